"""The folder of a run: whose it is, what extends it, what is refused, and one run at a time."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.small import full_disk, rung
from unmirage.errors import FileProblem, OptionError, UnmirageError
from unmirage.lab.folder import Folder, read_plan, write_frame, write_text
from unmirage.lab.recipe import VERSION, Recipe, Rung

OLD = [rung(d=4), rung(d=16)]


def asked(**options: int | str) -> list[Rung]:
    return [rung("icl-labels", d=d, **options) for d in (4, 16)]


def planned(path: Path, wanted: list[Rung], replace: bool = False) -> list[Rung]:
    folder = Folder(path)
    with folder.locked():
        return folder.plan(wanted, replace)


def finish(path: Path, plan: list[Rung]) -> None:
    """Records of every rung, without training."""
    for one in plan:
        write_frame(pl.DataFrame({"x": [one.d_model]}), Folder(path).records(one), one)


def finished(path: Path, plan: list[Rung]) -> list[bool]:
    return [Folder(path).finished(one) for one in plan]


# ---------------------------------------------------------------- run.json


def test_run_json_tells_the_family_and_its_settings(tmp_path: Path) -> None:
    assert planned(tmp_path / "new" / "run", OLD) == OLD
    body = json.loads((tmp_path / "new" / "run" / "run.json").read_text())
    assert (body["format"], body["version"]) == ("unmirage-lab", VERSION)
    assert body["rungs"] == [["recall", 4, 0], ["recall", 16, 0]]
    assert body["tasks"]["recall"]["options"] == {"items": 16, "length": "2"}
    assert body["tasks"]["recall"]["recipe"]["steps"] == 300
    assert read_plan(tmp_path / "new" / "run") == OLD


def test_more_sizes_and_seeds_extend_a_run(tmp_path: Path) -> None:
    planned(tmp_path, OLD)
    finish(tmp_path, OLD)
    more = planned(tmp_path, [rung(d=8, seed=s) for s in (0, 1)])
    assert [r.name for r in more] == ["d4 seed0", "d8 seed0", "d8 seed1", "d16 seed0"]
    assert finished(tmp_path, more) == [True, False, False, True]
    assert read_plan(tmp_path) == more
    assert planned(tmp_path, OLD[:1]) == more, "fewer take nothing away"


def test_two_tasks_in_one_run_keep_their_order(tmp_path: Path) -> None:
    both = [*asked(), *OLD]
    assert planned(tmp_path, both) == both
    assert planned(tmp_path, both[::-1]) == [*OLD, *asked()]
    assert read_plan(tmp_path) == [*OLD, *asked()]


def test_other_numbers_of_items_or_choices_ask_the_same_models_anew(tmp_path: Path) -> None:
    planned(tmp_path, asked(items=60))
    finish(tmp_path, asked(items=60))
    plan = planned(tmp_path, asked(items=61))
    assert plan == asked(items=61)
    assert finished(tmp_path, plan) == [False, False]
    finish(tmp_path, plan)
    assert finished(tmp_path, plan) == [True, True]
    one = planned(tmp_path, asked(items=62)[1:])
    assert one == asked(items=62), "all rungs are asked the same"
    other = tmp_path / "recall"
    planned(other, OLD)
    assert planned(other, [rung(d=4, choices=4)]) == [rung(d=d, choices=4) for d in (4, 16)]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([rung(recipe=replace(OLD[0].recipe, steps=400))], "recall: steps 300 there, 400 now"),
        ([rung(recipe=replace(OLD[0].recipe, rate=0.5))], "recall: rate 0.01 there, 0.5 now"),
        ([rung(length="3")], "recall: length 2 there, 3 now"),
        ([rung(items=17)], "recall: items 16 there, 17 now"),
        ([rung(shots=1)], "recall: shots the default there, 1 now"),
        ([replace(rung(), task_seed=1)], "recall: task seed 0 there, 1 now"),
        (asked(), "recall there, icl-labels now"),
        ([*OLD, *asked()], "recall there, recall, icl-labels now"),
    ],
)
def test_other_settings_are_refused_with_what_differs_and_may_replace(
    wanted: list[Rung], words: str, tmp_path: Path
) -> None:
    planned(tmp_path, OLD)
    finish(tmp_path, OLD)
    body = (tmp_path / "run.json").read_bytes()
    with pytest.raises(OptionError) as caught:
        planned(tmp_path, wanted)
    assert words in str(caught.value)
    assert "--replace" in str(caught.value)
    assert finished(tmp_path, OLD) == [True, True]
    assert (tmp_path / "run.json").read_bytes() == body
    assert planned(tmp_path, wanted, replace=True) == wanted
    assert not list((tmp_path / "records").iterdir())
    assert read_plan(tmp_path) == wanted


def test_replace_changes_nothing_where_the_settings_are_the_same(tmp_path: Path) -> None:
    planned(tmp_path, OLD)
    finish(tmp_path, OLD)
    planned(tmp_path, OLD, replace=True)
    assert finished(tmp_path, OLD) == [True, True]


def test_a_run_of_another_version_of_the_lab_is_refused_and_may_be_replaced(
    tmp_path: Path,
) -> None:
    planned(tmp_path, OLD)
    body = json.loads((tmp_path / "run.json").read_text())
    body["version"] = VERSION + 1
    body["tasks"]["recall"]["recipe"]["what_is_new"] = 1
    (tmp_path / "run.json").write_text(json.dumps(body))
    with pytest.raises(OptionError, match=f"lab version {VERSION + 1} there, {VERSION} now"):
        planned(tmp_path, OLD)
    with pytest.raises(FileProblem, match=f"of lab version {VERSION + 1}"):
        read_plan(tmp_path)
    assert planned(tmp_path, OLD, replace=True) == OLD


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    (tmp_path / ".notes.tmp").write_text("mine")
    for replace_run in (False, True):
        with pytest.raises(OptionError, match="holds other things and no run of the lab"):
            planned(tmp_path, OLD, replace_run)
    assert {p.name for p in tmp_path.iterdir()} == {"thesis.tex", ".notes.tmp"}


def test_a_folder_without_a_run_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="there is no run of the lab"):
        read_plan(tmp_path)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"rungs": []}', b"\xff\xfe", b"3"])
def test_a_damaged_run_json_is_refused_by_name(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(body)
    for act in (lambda: planned(tmp_path, OLD), lambda: read_plan(tmp_path)):
        with pytest.raises(FileProblem) as caught:
            act()
        assert str(tmp_path / "run.json") in str(caught.value)
        assert "mend: " in str(caught.value)
    assert (tmp_path / "run.json").read_bytes() == body


JUNK = st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3)
JUNK |= st.builds(list) | st.builds(dict)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_run_json_holds_there_is_a_plan_or_a_clear_error(
    data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    if not path.exists():
        planned(path, OLD)
        (tmp_path / "sound.json").write_bytes((path / "run.json").read_bytes())
    body = json.loads((tmp_path / "sound.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        spoil(body, data)
    (path / "run.json").write_text(json.dumps(body))
    for act in (lambda: planned(path, OLD), lambda: read_plan(path)):
        try:
            plan = act()
        except UnmirageError as error:
            assert "mend: " in str(error)  # noqa: PT017
        else:
            assert all(isinstance(one, Rung) for one in plan)


def spoil(body: Any, data: st.DataObject) -> None:
    """Replace or remove one thing anywhere."""
    places: list[tuple[Any, Any]] = []

    def visit(here: Any) -> None:
        for key in list(here) if isinstance(here, dict) else range(len(here)):
            places.append((here, key))
            if isinstance(here[key], (dict, list)):
                visit(here[key])

    visit(body)
    if not places:
        return
    here, key = data.draw(st.sampled_from(places))
    if data.draw(st.booleans()):
        del here[key]
    else:
        here[key] = copy.deepcopy(data.draw(JUNK))


# ---------------------------------------------------------------- records


def test_records_count_only_for_the_rung_that_they_answer_for(tmp_path: Path) -> None:
    one = OLD[0]
    assert not Folder(tmp_path).finished(one)
    finish(tmp_path, [one])
    assert Folder(tmp_path).finished(one)
    longer = rung(d=4, recipe=Recipe(steps=400))
    assert Folder(tmp_path).records(longer) == Folder(tmp_path).records(one)
    assert not Folder(tmp_path).finished(longer)
    write_frame(pl.DataFrame({"x": [1]}), Folder(tmp_path).records(one))
    assert not Folder(tmp_path).finished(one), "a file of somebody else"


def test_damaged_records_are_refused_by_name(tmp_path: Path) -> None:
    one = OLD[0]
    path = Folder(tmp_path).records(one)
    frame = pl.DataFrame({"x": [f"{i} {i * i}" for i in range(5000)]})
    write_frame(frame, path, one)
    whole = path.read_bytes()
    spoilt = whole[:200] + bytes(800) + whole[1000:]
    for body in (b"", whole[:100], whole[:-5], b"PAR1" * 20, spoilt):
        path.write_bytes(body)
        with pytest.raises(FileProblem, match="the records are damaged") as caught:
            Folder(tmp_path).finished(one)
        assert str(path) in str(caught.value)
        assert "mend: remove this file" in str(caught.value)


def test_not_one_bit_of_finished_records_may_change(tmp_path: Path) -> None:
    one, folder = OLD[0], Folder(tmp_path)
    folder.keep(pl.DataFrame({"x": [float(i * i) for i in range(300)]}), one)
    assert folder.finished(one)
    path = folder.records(one)
    whole = path.read_bytes()
    for place in range(3, len(whole), max(1, len(whole) // 60)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(bytes(spoilt))
        said = ""
        try:
            taken = folder.finished(one)
        except FileProblem as error:
            taken, said = False, str(error)
        assert not taken
        assert not said or "the records are damaged" in said
    path.write_bytes(whole)
    assert folder.finished(one)


def test_replace_leaves_the_files_of_others(tmp_path: Path) -> None:
    planned(tmp_path, OLD)
    finish(tmp_path, OLD)
    mine = tmp_path / "records" / "mine.parquet"
    write_frame(pl.DataFrame({"x": [1]}), mine)
    planned(tmp_path, [rung(d=4, recipe=Recipe(steps=400))], replace=True)
    assert [p.name for p in (tmp_path / "records").iterdir()] == ["mine.parquet"]


def test_a_run_json_of_others_is_judged_before_anything_is_swept(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"a": 1}')
    (tmp_path / "records").mkdir()
    left = tmp_path / "records" / ".a.parquet.1.tmp"
    left.write_text("somebody's")
    with pytest.raises(FileProblem, match="no run of the lab"):
        planned(tmp_path, OLD)
    assert left.read_text() == "somebody's"
    assert not (tmp_path / ".lab").exists()


def test_without_its_damaged_run_json_a_run_keeps_its_finished_rungs(tmp_path: Path) -> None:
    planned(tmp_path, OLD)
    finish(tmp_path, OLD)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(FileProblem, match="finished rungs are kept"):
        planned(tmp_path, OLD)
    (tmp_path / "run.json").unlink()
    assert planned(tmp_path, OLD) == OLD
    assert all(finished(tmp_path, OLD))


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_frame(pl.DataFrame({"x": [1]}), tmp_path / "a.parquet")
    write_text(tmp_path / "b.json", "old")
    long = "".join(map(str, range(9999)))
    with full_disk(2000):
        with pytest.raises(OSError, match=r"a\.parquet cannot be written"):
            write_frame(pl.DataFrame({"x": [long]}), tmp_path / "a.parquet")
        with pytest.raises(OSError):
            write_text(tmp_path / "b.json", long)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.json"]
    assert pl.read_parquet(tmp_path / "a.parquet")["x"].to_list() == [1]
    assert (tmp_path / "b.json").read_text() == "old"


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [[1.5, 2.0]], "y": ["a"]})
    for name in ("a", "b"):
        write_frame(frame, tmp_path / name, OLD[0])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---------------------------------------------------------------- one run at a time


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.locked():
        with pytest.raises(OptionError, match="another run is at work") as caught:
            planned(tmp_path, OLD)
        assert str(tmp_path) in str(caught.value)
    assert planned(tmp_path, OLD) == OLD


def test_the_lock_of_a_run_that_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom unmirage.lab.folder import Folder\n"
        "with Folder(sys.argv[1]).locked():\n    print('held', flush=True)\n    time.sleep(60)"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        with pytest.raises(OptionError, match="another run is at work"):
            planned(tmp_path, OLD)
        job.send_signal(signal.SIGKILL)
    assert planned(tmp_path, OLD) == OLD


def test_what_a_killed_run_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    planned(tmp_path, OLD)
    halves = [
        ".run.json.77.tmp",
        "records/.recall-d004-seed0.parquet.77.tmp",
        ".lab/work/.recall-d004-seed0-abc.safetensors.77.tmp",
        ".lab/models/recall-d004-seed0-abc/.step-0000100.safetensors.77.tmp",
    ]
    others = [".mine.tmp", "records/.mine.77.tmp", "records/recall-d004-seed0.parquet"]
    for name in [*halves, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    planned(tmp_path, OLD)
    assert not [name for name in halves if (tmp_path / name).exists()]
    assert all((tmp_path / name).exists() for name in others)


def test_a_run_killed_before_run_json_was_there_is_begun_anew(tmp_path: Path) -> None:
    with Folder(tmp_path).locked():
        pass
    (tmp_path / ".run.json.77.tmp").write_text("{")
    assert planned(tmp_path, OLD) == OLD


def test_a_folder_that_cannot_be_made_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(FileProblem, match="the folder cannot be used") as caught:
            planned(path, OLD)
        assert str(path) in str(caught.value)
