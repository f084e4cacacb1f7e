"""Files that were cut short, of every format and under any name: told as a warning, never passed
over in silence."""

import json
import random
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.records import ladders
from unmirage import cli
from unmirage.errors import FileProblem, UnmirageError
from unmirage.records import read
from unmirage.records.sniff import kind_of

SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
GENUINE = sorted(p for p in SHARED.rglob("*") if p.is_file() and kind_of(p) and p.stat().st_size)
NAMES = {"its own": "{0}", "another": "bad_{0}", "a plain": "x{1}"}
CUTS = 4


def good(folder: Path) -> None:
    row = {"model": "mine", "params": 1e9, "task": "t", "score": 0.5}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "good.jsonl").write_text(json.dumps(row) + "\n")


def places(path: Path, raw: bytes) -> list[int]:
    """Where to cut: so that it shows in the file itself."""
    rng = random.Random(f"{path.name} {len(raw)}")
    if path.suffix == ".csv":
        # within a line, before its last cell; lines of cells in quotes: within quotes
        ends = [i for i in range(1, len(raw)) if raw[:i].count(b'"') % 2]
        ends = ends or [i for i in range(30, len(raw)) if raw[i - 1 : i] == b"\n"][1:-1]
        return [rng.choice(ends) + 1 for _ in range(CUTS)] if ends else []
    found = [rng.randrange(1, len(raw.rstrip())) for _ in range(CUTS)]
    if path.suffix == ".jsonl":  # cut between two lines it is whole
        found = [n for n in found if raw[n - 1 : n] not in b"\n}" and raw[n : n + 1] != b"\n"]
    return found


def told(folder: Path, bad: Path) -> bool:
    """Whether the reading of a folder warns of a file, and stops at it if told to be strict."""
    notes = read(folder).notes
    warned = any(str(bad) in f"{n.file} {n.message}" for n in notes if n.level == "warning")
    with pytest.raises(UnmirageError):
        read(folder, strict=True)
    return warned


def check(folder: Path, path: Path) -> None:
    """Cuts a file of a folder, beside the others and alone, under each name."""
    raw = path.read_bytes()
    beside = path.parent
    alone = folder.parent / "alone"
    good(folder)
    good(alone)
    path.unlink()
    for cut in places(path, raw):
        for name in NAMES.values():
            for place in (beside, alone):
                bad = place / name.format(path.name, path.suffix)
                bad.write_bytes(raw[:cut])
                assert told(folder if place == beside else alone, bad), (bad, cut)
                bad.unlink()
    path.write_bytes(raw)


@pytest.mark.skipif(not GENUINE, reason=f"the genuine logs are not there: {SHARED}")
@pytest.mark.parametrize(
    "path", [p for p in GENUINE if p.stat().st_size > 1000], ids=lambda p: p.name
)
def test_genuine_files(tmp_path: Path, path: Path) -> None:
    if path.suffix == ".csv" and b'"' not in path.read_bytes():
        pytest.skip("a table without quotes: see below")
    shutil.copytree(path.parent, tmp_path / "logs" / path.parent.name)
    check(tmp_path / "logs", tmp_path / "logs" / path.parent.name / path.name)


@pytest.mark.parametrize("name", ladders.WRITERS)
def test_files_of_every_format(tmp_path: Path, name: str) -> None:
    root = tmp_path / "logs"
    for path in [ladders.one(name, root, size, items=3) for size in (70, 160)][-1]:
        check(root, path)


@pytest.mark.parametrize("gone", [5, 12])  # the last cell; and the end of a quote
def test_a_table_cut_within_a_line(tmp_path: Path, gone: int) -> None:
    good(tmp_path)
    rows = "".join(f'm-{i}b,"a, b",0.{i}\n' for i in range(1, 9))
    bad = tmp_path / "bad.csv"
    bad.write_text("model,task,score\n" + rows[:-gone].removesuffix(","))
    assert any(str(bad) in f"{n.file}" for n in read(tmp_path).notes if n.level == "warning")


@pytest.mark.parametrize(("text", "line"), [('"a', 3), ('m,"x\n\n', 3), ('5",t,0.1\n"b', 4)])
def test_a_quote_that_is_not_closed(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "t.csv").write_text("model,task,score\nm-1b,t,0.5\n" + text)
    with pytest.raises(FileProblem, match="quote is not closed") as e:
        read(tmp_path / "t.csv")
    assert e.value.where == f"line {line}"


def test_a_last_line_without_an_end(tmp_path: Path) -> None:
    """Many programs write none; a number may have lost its last digits."""
    (tmp_path / "t.csv").write_text('model,task,score\nm-1b,"5"" t",0.52')
    (note,) = (n for n in read(tmp_path / "t.csv").notes if n.code == "no_last_end")
    assert note.level == "info"


WHOLE = {
    "an object": b'{"a": NaN}\n',
    "nothing": b"null",
    "text": b'"a \xff"',
    "marked": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_without_records_are_no_warning(tmp_path: Path, kind: str) -> None:
    good(tmp_path)
    (tmp_path / "config.json").write_bytes(WHOLE[kind])
    notes = [n for n in read(tmp_path).notes if "config.json" in n.message]
    assert [(n.level, n.code) for n in notes] == [("info", "files_not_read")]


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xff\xfe{\0}\0", b"{'a': 1}", b"PK\3\4", b"{}{}"])
def test_a_json_that_is_none(tmp_path: Path, raw: bytes) -> None:
    good(tmp_path)
    bad = tmp_path / "config.json"
    bad.write_bytes(raw)
    assert told(tmp_path, bad)


def test_objects_one_a_line_in_a_json_of_a_folder(tmp_path: Path) -> None:
    rows = [{"model": f"mine-{i}b", "task": "t", "score": i / 10} for i in (1, 2, 3)]
    text = "\n".join(map(json.dumps, rows))
    (tmp_path / "all.json").write_text(text)
    assert read(tmp_path).aggregates.height == 3
    good(tmp_path)
    (tmp_path / "all.json").write_text(text[:-4])
    assert told(tmp_path, tmp_path / "all.json")


def test_check_fails_and_names_the_place(tmp_path: Path) -> None:
    good(tmp_path)
    whole = json.dumps({"adapter_spec": {}, "request_states": [{"instance": "x"}]}, indent=1)
    bad = tmp_path / "bad_scenario_state.json"
    bad.write_text(whole)
    run = CliRunner(env={"COLUMNS": "200"})
    assert run.invoke(cli.app, ["read", str(tmp_path), "--check"]).exit_code == 0
    bad.write_text(whole[: len(whole) // 2])
    done = run.invoke(cli.app, ["read", str(tmp_path), "--check", "--json"])
    assert done.exit_code == 1
    (note,) = (n for n in json.loads(done.stdout)["notes"] if n["level"] == "warning")
    assert note["file"] == str(bad)
    assert "line 3 column" in note["message"]
