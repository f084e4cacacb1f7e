"""Whole runs: what is told, kept, extended and asked anew, and the records that come out."""

from __future__ import annotations

import errno
import importlib.util
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from typer.testing import CliRunner

import unmirage
from tests.lab.conftest import Whole
from tests.lab.small import COMMAND, LADDER, full_disk, rung
from unmirage.cli import app
from unmirage.errors import ExtraMissing, OptionError, UnmirageError
from unmirage.lab import engine, ladder, make_examples, tasks
from unmirage.lab.folder import Folder
from unmirage.lab.recipe import Rung


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Rungs are trained in this process, no worker starts; the names of those that were given."""
    given: list[str] = []

    def share_out(waiting: list[Rung], plan: Any, folder: Folder, *rest: Any) -> Iterator[Any]:
        for one in waiting:
            given.append(one.name)
            yield ladder._work(one, folder.path)

    monkeypatch.setattr(ladder, "_share_out", share_out)
    monkeypatch.setattr(ladder, "_told", queue.Queue())
    monkeypatch.setattr(ladder, "_ended", threading.Event())
    return given


def stamps(*patterns: str) -> Callable[[Path], dict[str, int]]:
    def found(path: Path) -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for one in patterns for p in path.glob(one)}

    return found


weights = stamps(".lab/models/*/*")
records = stamps("records/*-seed*.parquet")

# ---------------------------------------------------------------- a run of four rungs


def test_a_run_gives_its_rungs_in_order_and_their_records(whole: Whole) -> None:
    assert [one.rung for one in whole.done] == LADDER
    assert not any(one.resumed for one in whole.done)
    assert all(one.cpu_seconds > 0 for one in whole.done)
    assert all(one.path.exists() for one in whole.done)
    assert not (whole.path / "records" / "success.parquet").exists(), "there is one seed"
    assert not list((whole.path / ".lab" / "work").iterdir())


def test_a_worker_writes_what_this_process_writes(whole: Whole, tmp_path: Path) -> None:
    one = ladder.train_rung(LADDER[0], Folder(tmp_path))
    assert one.path.read_bytes() == whole.done[0].path.read_bytes()
    mine, theirs = (
        sorted(path.glob(f".lab/models/{LADDER[0].stem()}*/*")) for path in (tmp_path, whole.path)
    )
    assert len(mine) == len(theirs) == len(LADDER[0].recipe.grid())
    assert [p.read_bytes() for p in mine] == [p.read_bytes() for p in theirs]


def test_progress_goes_from_0_to_1_and_tells_each_rung_once(whole: Whole) -> None:
    shares = [progress.share for progress in whole.told]
    assert all(a <= b + 1e-9 for a, b in pairwise(shares))
    assert shares[0] < 0.5
    assert 0 <= shares[0] <= shares[-1] == pytest.approx(1)
    lines = [progress.line for progress in whole.told if progress.line]
    assert [line.split("]")[0] for line in lines] == [f"[{i}/4" for i in (1, 2, 3, 4)]
    assert sum("multiplication d8 seed0: 1,048 parameters, cross-entropy" in x for x in lines) == 1
    assert all("exact match" in line for line in lines)


def test_every_step_of_the_grid_is_recorded(whole: Whole) -> None:
    frame = pl.read_parquet(whole.done[0].path)
    per_step = frame.group_by("step", maintain_order=True).len()
    assert per_step.rows() == [(float(step), 120) for step in LADDER[0].recipe.grid()]


def test_models_learn_with_steps_and_with_size(whole: Whole) -> None:
    last = [
        pl.read_parquet(one.path)
        .group_by("step", maintain_order=True)
        .agg(-pl.col("token_logprobs").explode().mean())["token_logprobs"]
        for one in whole.done
    ]
    assert all(losses[-1] < losses[0] for losses in last)
    assert last[-1][-1] < last[0][-1]


def test_what_is_finished_is_not_done_again(whole: Whole) -> None:
    before = records(whole.path), weights(whole.path)
    told: list[ladder.Progress] = []
    again = ladder.run(LADDER, whole.path, tell=told.append)
    assert [one.rung for one in again] == LADDER
    assert all(one.resumed and one.cpu_seconds == 0 for one in again)
    assert told == [ladder.Progress(1.0, "4 of 4 rungs are there already")]
    assert (records(whole.path), weights(whole.path)) == before


def test_the_command_is_the_same_run(whole: Whole) -> None:
    before = records(whole.path), weights(whole.path)
    done = CliRunner().invoke(app, [*COMMAND, "--out", str(whole.path)])
    assert done.exit_code == 0, done.output
    assert "4 of 4 rungs are there already" in done.stderr
    assert "4 rungs in" in done.stderr
    assert (records(whole.path), weights(whole.path)) == before


def test_records_are_read_and_audited(whole: Whole) -> None:
    found = unmirage.read(whole.path)
    assert [note for note in found.notes if note.level == "warning"] == []
    assert found.samples.height == 4 * 120 * len(LADDER[0].recipe.grid())
    wanted = ["exact_match", "cross_entropy", "edit_distance", "accuracy", "brier"]
    done = unmirage.audit(found, metric=wanted, draws=100)
    assert done.refused == ()
    judged = {(j.key.metric, dict(j.key.settings)["subtask"]) for j in done.judgements}
    assert judged == {(m, s) for m in wanted for s in ("1x2 digits", "2x2 digits")}
    loss = next(j for j in done.judgements if j.key.metric == "cross_entropy")
    assert loss.curve.models == tuple(r.name for r in LADDER)
    assert loss.curve.score[-1] < loss.curve.score[0]


def test_gathered_are_the_last_steps_by_size(whole: Whole) -> None:
    frame = ladder.gather(whole.done)
    assert frame["step"].unique().to_list() == [4000.0]
    assert frame["params"].is_sorted()
    assert frame.height == 480
    assert frame["model"].unique(maintain_order=True).to_list() == [r.name for r in LADDER]


# ---------------------------------------------------------------- extended, asked anew


def test_more_sizes_and_seeds_train_only_what_is_missing(tmp_path: Path, here: list[str]) -> None:
    ladder.run([rung(d=16)], tmp_path)
    assert here == ["d16 seed0"]
    before = {**records(tmp_path), **weights(tmp_path)}
    here.clear()
    done = ladder.run([rung(d=d) for d in (2, 16)], tmp_path)
    assert here == ["d2 seed0"]
    assert [(one.rung.name, one.resumed) for one in done] == [
        ("d2 seed0", False),
        ("d16 seed0", True),
    ]
    here.clear()
    done = ladder.run([rung(seed=1)], tmp_path)
    assert here == ["d16 seed1"]
    assert [one.rung.name for one in done] == ["d2 seed0", "d16 seed0", "d16 seed1"]
    after = {**records(tmp_path), **weights(tmp_path)}
    assert before.items() <= after.items(), "files that were there are not touched"


def test_the_largest_rung_comes_first(tmp_path: Path, here: list[str]) -> None:
    ladder.run([rung(d=2), rung(d=2, seed=1), rung(d=16)], tmp_path)
    assert here[0] == "d16 seed0"


def test_other_settings_are_refused_and_replaced_when_asked(
    tmp_path: Path, here: list[str]
) -> None:
    (first,) = ladder.run([rung()], tmp_path)
    old = pl.read_parquet(first.path)
    before = records(tmp_path)
    other = replace(rung(), task_seed=1)
    with pytest.raises(OptionError, match="task seed 0 there, 1 now"):
        ladder.run([other], tmp_path)
    assert records(tmp_path) == before
    (second,) = ladder.run([other], tmp_path, replace_run=True)
    assert (second.rung, second.path) == (other, first.path)
    assert pl.read_parquet(second.path)["targets"].to_list() != old["targets"].to_list()


@pytest.mark.parametrize(
    ("few", "more"),
    [
        (rung("icl-labels", items=60), rung("icl-labels", items=90)),
        (rung("icl-regression", items=60), rung("icl-regression", items=90)),
        (rung("recall"), rung("recall", choices=3)),
    ],
)
def test_other_items_or_choices_are_asked_of_the_models_that_are_there(
    few: Rung, more: Rung, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = ladder.run([few], tmp_path)
    old, before = pl.read_parquet(first.path), weights(tmp_path)
    monkeypatch.setattr(engine, "_segment", None)  # nothing is trained any more
    (second,) = ladder.run([more], tmp_path)
    new = pl.read_parquet(second.path)
    assert weights(tmp_path) == before
    assert new.height > old.height or "choices" in new.columns
    names = [c for c in ("step", "subtask", "shots", "metric", "item") if c in old.columns]
    both = old.join(new, on=names, how="inner", nulls_equal=True, suffix=" now")
    assert both.height == old.height, "what was asked is asked again"
    for column in set(old.columns) - set(names):
        assert both[column].equals(both[f"{column} now"], check_names=False), column


def test_earlier_steps_are_asked_only_the_first_items(
    tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "EARLY_ITEMS", 25)
    (one,) = ladder.run([rung("icl-labels")], tmp_path)
    frame = pl.read_parquet(one.path).filter(pl.col("shots") == 1)
    items = frame.group_by("step", maintain_order=True).agg("item", "prompt", "targets")
    assert [len(names) for names in items["item"]] == [25, 25, 60]
    for column in ("item", "prompt", "targets"):
        assert items[column][0].to_list() == items[column][2].to_list()[:25]


# ---------------------------------------------------------------- the share of seeds


def slow_success(paths: list[Path]) -> dict[tuple[float, float], tuple[float, int]]:
    """(params, step) -> share of seeds half-way from a guess to perfect, and how many seeds."""
    answers: dict[tuple[float, int], dict[float, list[tuple[str, str]]]] = {}
    for path in paths:
        for row in pl.read_parquet(path).iter_rows(named=True):
            of_rung = answers.setdefault((row["params"], row["seed"]), {})
            of_rung.setdefault(row["step"], []).append((row["output"], row["targets"][0]))
    won: dict[tuple[float, float], list[bool]] = defaultdict(list)
    for (params, _), steps in answers.items():
        last = steps[max(steps)]
        right = sum(output == target for output, target in last) / len(last)
        guess = 1 / len({target for _, target in last})
        won[params, max(steps)].append(right >= (1 + guess) / 2)
    return {key: (sum(each) / len(each), len(each)) for key, each in won.items()}


def test_success_is_the_share_of_seeds_and_needs_two(tmp_path: Path, here: list[str]) -> None:
    success = Folder(tmp_path).success
    ladder.run([rung(d=d) for d in (2, 16)], tmp_path)
    assert not success.exists()
    plan = [rung(d=d, seed=s) for d in (2, 16) for s in (0, 1, 2)]
    done = ladder.run(plan, tmp_path)
    frame = pl.read_parquet(success)
    found = {(p, t): (s, int(n)) for p, t, s, n in
             frame.select("params", "step", "score", "n_samples").iter_rows()}  # fmt: skip
    assert found == slow_success([one.path for one in done])
    assert {n for _, n in found.values()} == {3}
    assert [score for score, _ in found.values()] == [0.0, 1.0]
    assert frame["metric"].unique().to_list() == ["seed_success"]
    assert frame["higher_is_better"].all()
    read = unmirage.read(tmp_path)
    assert read.aggregates["metric"].unique().to_list() == ["seed_success"]
    assert read.aggregates["params"].n_unique() == 2
    assert not [note for note in read.notes if note.level == "warning"]


def test_a_seed_succeeds_from_half_way_between_a_guess_and_perfect(tmp_path: Path) -> None:
    """Four targets: a guess is right on 2 of 8, half-way to perfect is 5 of 8."""
    folder, plan = Folder(tmp_path), [rung(d=d, seed=s) for d in (2, 16) for s in (0, 1)]
    rights = {(2, 0): 0, (2, 1): 5, (16, 0): 4, (16, 1): 8}
    targets = list("abcdabcd")
    for one in plan:
        frames = [
            pl.DataFrame({
                "family": "f", "params": float(one.d_model), "params_nonemb": 1.0, "tokens": step,
                "flops": step, "step": step, "task": "t", "subtask": pl.Series([None] * 8,
                dtype=pl.String), "shots": 0, "seed": one.seed, "targets": [[t] for t in targets],
                "output": targets[:right] + ["x"] * (8 - right),
            })
            for step, right in [(100.0, 8), (300.0, rights[one.d_model, one.seed])]
        ]  # fmt: skip
        folder.records(one).parent.mkdir(exist_ok=True)
        pl.concat(frames).write_parquet(folder.records(one))
    ladder.write_success(plan, folder)
    frame = pl.read_parquet(folder.success).select("params", "step", "score", "n_samples")
    assert frame.rows() == [(2.0, 300.0, 0.5, 2.0), (16.0, 300.0, 0.5, 2.0)]
    slow = slow_success([folder.records(r) for r in plan])
    assert slow == {(2.0, 300.0): (0.5, 2), (16.0, 300.0): (0.5, 2)}
    ladder.write_success(plan[:1], folder)
    assert not folder.success.exists(), "one seed has no share"


# ---------------------------------------------------------------- failures


def test_a_full_disk_is_told_and_what_is_finished_is_kept(
    tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = [rung(d=2), rung(d=16)]
    write, count = Folder.keep, iter(range(9))

    def full(*arguments: Any) -> None:
        if next(count):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(Folder, "keep", full)
    with pytest.raises(UnmirageError, match="recall d2 seed0 could not be written") as caught:
        ladder.run(plan, tmp_path)
    assert "No space left on device" in str(caught.value)
    assert "mend: make room and run the same command again" in str(caught.value)
    assert [Path(name).name for name in records(tmp_path)] == ["recall-d016-seed0.parquet"]
    monkeypatch.setattr(Folder, "keep", write)
    here.clear()
    monkeypatch.setattr(engine, "_segment", None)  # the weights are there
    assert len(ladder.run(plan, tmp_path)) == 2
    assert here == ["d2 seed0"]


@pytest.mark.parametrize("size", [1, 700, 9000])
def test_a_disk_that_is_really_full_is_told(size: int, tmp_path: Path, here: list[str]) -> None:
    """run.json, the weights of the small and of the large rung do not fit."""
    with (
        full_disk(size),
        pytest.raises(UnmirageError, match=r"could not be written: .*File too large") as caught,
    ):
        ladder.run([rung(d=16)], tmp_path)
    assert "mend: make room" in str(caught.value)
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(ladder.run([rung(d=16)], tmp_path)) == 1


def test_a_rung_that_is_asked_to_stop_before_it_begins_does_not_begin(
    tmp_path: Path, here: list[str]
) -> None:
    ladder._ended.set()
    assert ladder._work(rung(), tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    for missing in ("jax", "optax", "safetensors"):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, missing=missing: None if name == missing else found(name),
        )
        with pytest.raises(ExtraMissing, match=r"pip install 'unmirage\[lab\]'") as caught:
            ladder.run([rung()], tmp_path)
        assert missing in str(caught.value)
    arguments = ["recall", "--out", str(tmp_path), "--work", str(tmp_path / "work")]
    assert make_examples.main(arguments) == 1
    assert "pip install 'unmirage[lab]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "words"),
    [({"device": "tpu"}, "auto, cpu or gpu"), ({"workers": 0}, "at least 1")],
)
def test_a_device_or_workers_that_cannot_be_are_refused(
    how: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=words):
        ladder.run([rung()], tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_jax_does_not_see_is_refused_before_training(
    tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "_on_gpu", True)
    with pytest.raises(OptionError, match="JAX sees no GPU") as caught:
        ladder.run([rung()], tmp_path, device="gpu")
    assert "mend: --device cpu" in str(caught.value)
    assert not weights(tmp_path)


@pytest.mark.parametrize(
    ("platforms", "plugin", "backend", "there", "asked"),
    [
        ("cpu", True, "gpu", False, 0),
        ("", False, "gpu", False, 0),
        ("", True, "gpu\n", True, 1),
        ("", True, "cpu\n", False, 1),
        ("", True, "", False, 1),
    ],
)
def test_jax_is_asked_for_a_gpu_in_a_process_of_its_own(
    platforms: str, plugin: bool, backend: str, there: bool, asked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    processes: list[object] = []

    def run(command: object, **_: object) -> object:
        processes.append(command)
        return SimpleNamespace(stdout=backend, returncode=0)

    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: plugin and name == "jax_cuda12_plugin"
    )
    monkeypatch.setattr(ladder.subprocess, "run", run)
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert ladder.has_gpu() == there
    assert len(processes) == asked


def test_lines_tell_what_a_rung_of_each_kind_reached(tmp_path: Path, here: list[str]) -> None:
    plan = [rung("icl-regression"), rung("icl-labels")]
    lines = [ladder.describe(one) for one in ladder.run(plan, tmp_path)]
    assert lines[0].startswith("icl-regression d16 seed0: ")
    assert "after 5 examples" in lines[0]
    assert "cross-entropy" in lines[1]
    assert "exact match" in lines[1]


def test_an_example_is_the_last_step_without_empty_columns(whole: Whole) -> None:
    frame = make_examples.example(whole.done)
    assert frame["step"].unique().to_list() == [4000.0]
    assert all(frame[c].null_count() < len(frame) for c in frame.columns)


def test_the_command_that_makes_examples_refuses_an_unknown_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        make_examples.main(["division"])
    assert "no example named division" in capsys.readouterr().err


def test_tasks_are_made_once_in_a_process() -> None:
    assert tasks.make("recall", 0, {"items": 16}) is tasks.make("recall", 0, {"items": 16})
