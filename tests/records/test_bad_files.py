"""One bad file among many: left out and told where it was found, an error where it was named."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from unmirage.errors import ColumnError, FileProblem, InputError, ValueProblem
from unmirage.records import read, write_store
from unmirage.types import Records


def good(folder: Path, n: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        row = {"model": f"mine-{i + 1}b", "task": "t", "score": (i + 1) / 10}
        (folder / f"m{i}.jsonl").write_text(json.dumps(row) + "\n")
    return folder


def left(got: Records) -> list[tuple[str, str | None, int | None]]:
    return [(n.level, n.file, n.count) for n in got.notes if n.code == "file_left_out"]


BAD: dict[str, tuple[str, bytes, type[InputError]]] = {
    "cut short": ("bad.jsonl", b'{"model": "a-1b", "sco', FileProblem),
    "no parquet": ("bad.parquet", b"PAR1 and more", FileProblem),
    "empty": ("bad.csv", b"", FileProblem),
    "no gzip": ("bad.jsonl.gz", b'{"model": "a-1b"}', FileProblem),
    "a bad cell": ("bad.csv", b"model,task,score\na-1b,t,high\n", ValueProblem),
    "a bad size": ("bad.csv", b"model,params,task,score\na,-5,t,0.5\n", ValueProblem),
    "no size": ("bad.csv", b"model,task,score\na,t,0.5\n", ColumnError),
    "two sizes": ("bad.csv", b"model,n_params,size,task,score\na,5,6,t,0.5\n", ColumnError),
}


@pytest.mark.parametrize("kind", BAD)
def test_found_named_strict(tmp_path: Path, kind: str) -> None:
    name, raw, error = BAD[kind]
    folder = good(tmp_path / "logs")
    bad = folder / name
    bad.write_bytes(raw)
    got = read(folder)
    assert sorted(got.aggregates["params"]) == [1e9, 2e9, 3e9, 4e9, 5e9]
    assert left(got) == [("warning", str(bad), 1)]
    with pytest.raises(error, match="bad"):
        read(folder, strict=True)
    with pytest.raises(error, match="bad"):
        read([folder, bad])
    with pytest.raises(error, match="bad"):
        read(bad)


def test_nothing_good_is_the_first_error(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.jsonl").write_text("{")
    with pytest.raises(FileProblem, match=r"0\.jsonl"):
        read(tmp_path)


def test_many_bad_files_are_one_note(tmp_path: Path) -> None:
    folder = good(tmp_path / "logs")
    for i in range(20):
        (folder / f"z{i}.parquet").write_bytes(b"")
    assert left(read(folder)) == [("warning", f"{folder / 'z0.parquet'} and 19 more", 20)]


def test_a_broken_store_in_a_folder(tmp_path: Path) -> None:
    folder = good(tmp_path / "logs")
    write_store(read(folder), folder / "store")
    next((folder / "store").glob("aggregates-*.parquet")).write_bytes(b"PAR1")
    got = read(folder)
    assert got.aggregates.height == 5
    assert len(left(got)) == 1
    with pytest.raises(FileProblem):
        read(folder, strict=True)
    with pytest.raises(FileProblem):
        read(folder / "store")


def test_one_bad_log_of_a_harness(tmp_path: Path) -> None:
    """The logs of one format are read together; the bad one is found and the rest is read."""
    row: dict[str, Any] = {
        "doc_id": 0,
        "doc": {"q": "?"},
        "target": "a",
        "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": {}}},
        "resps": [["a"]],
        "filtered_resps": ["a"],
        "filter": "none",
        "doc_hash": "h",
        "exact_match": 1.0,
        "metrics": ["exact_match"],
    }
    for i in range(4):
        folder = tmp_path / f"org__mine-{i + 1}b"
        folder.mkdir()
        path = folder / "samples_t_2026-01-01T00-00-00.0.jsonl"
        path.write_text(json.dumps(row) + "\n" + ("{\n" if i == 2 else ""))
    got = read(tmp_path)
    assert sorted(set(got.samples["model"])) == [f"org/mine-{i}b" for i in (1, 2, 4)]
    assert len(left(got)) == 1
    assert got.formats == (("lm-evaluation-harness 0.4", 3),)
    with pytest.raises(FileProblem, match="mine-3b"):
        read(tmp_path, strict=True)


def test_progress_counts_files(tmp_path: Path) -> None:
    folder = good(tmp_path / "logs")
    pl.DataFrame({"params": [1e9], "score": [0.5]}).write_parquet(folder / "x.parquet")
    seen: list[tuple[int, int]] = []
    got = read(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(7)] + [(6, 6)]
    assert got.formats == (("jsonl", 5), ("parquet", 1))
    assert read(pl.DataFrame({"params": [1e9], "score": [0.5]})).formats == (("data frame", 1),)


def test_a_folder_without_scores_says_what_lies_there(tmp_path: Path) -> None:
    task = {"name": "quiz", "description": "d", "keywords": ["k"], "metrics": ["exact_str_match"]}
    task |= {"examples": [{"input": "1 + 1", "target": "2"}]}
    (tmp_path / "task.json").write_text(json.dumps(task))
    with pytest.raises(FileProblem, match="descriptions of tasks without a result file"):
        read(tmp_path)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "json"])
def test_one_bad_file_among_five_hundred(tmp_path: Path, ending: str) -> None:
    for i in range(500):
        frame = pl.DataFrame({"model": [f"m{i}"], "params": [1e9 + i], "task": "t", "score": [0.5]})
        path = tmp_path / f"f{i:03}.{ending}"
        write = {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "json": frame.write_json}
        write[ending](path)
    bad = tmp_path / f"f250.{ending}"
    bad.write_bytes(bad.read_bytes()[:-1].replace(b"t,", b'"t,')[:-3])
    got = read(tmp_path)
    assert got.aggregates.height == 499
    assert left(got) == [("warning", str(bad), 1)]
    with pytest.raises(FileProblem, match=f"f250.{ending}"):
        read(tmp_path, strict=True)
