"""Reading stops with an error before it holds more memory than is allowed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.records.test_bad_files import good
from tests.records.test_lm_eval import ladder
from unmirage import cli
from unmirage.errors import OptionError, TooLarge
from unmirage.records import memory, read, write_store
from unmirage.records.sniff import Source
from unmirage.records.workers import Job, processes, spread

REAL = Path(__file__).parents[2].parent / "shared" / "formats"
LITTLE = 0.001  # GB: less than the interpreter holds
#: tasks alone hold no scores
GENUINE = [p for p in REAL.glob("*") if p.name not in ("README.md", "bigbench_tasks")]
TABLE = pl.DataFrame({"model": ["a-1b", "a-2b"], "task": "t", "score": [0.1, 0.2]})
WRITE: dict[str, Callable[[Path], object]] = {
    "csv": lambda p: TABLE.write_csv(p),
    "parquet": lambda p: TABLE.write_parquet(p),
    "arrow": lambda p: TABLE.write_ipc(p),
    "jsonl": lambda p: TABLE.write_ndjson(p),
    "json": lambda p: TABLE.write_json(p),
    "csv.gz": lambda p: p.write_bytes(gzip.compress(TABLE.write_csv().encode())),
}


@pytest.mark.parametrize("ending", WRITE)
def test_every_kind_of_table_stops_at_the_limit(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scores.{ending}"
    WRITE[ending](path)
    assert read(path).aggregates.height == 2
    with pytest.raises(TooLarge, match="more memory than the limit") as caught:
        read(path, max_memory=LITTLE)
    assert caught.value.file == str(path)
    assert "--max-memory" in str(caught.value)


@pytest.mark.skipif(not GENUINE, reason=f"the genuine logs are not there: {REAL}")
def test_every_genuine_log_stops_at_the_limit() -> None:
    for folder in GENUINE:
        with pytest.raises(TooLarge) as caught:
            read(folder, need_scale=False, max_memory=LITTLE)
        assert str(folder) in str(caught.value.file)


def test_nothing_is_left_out_to_fit(tmp_path: Path) -> None:
    folder = good(tmp_path / "logs")
    with pytest.raises(TooLarge):
        read(folder, max_memory=LITTLE)
    write_store(read(folder), tmp_path / "store")
    with pytest.raises(TooLarge, match="store"):
        read(tmp_path / "store", max_memory=LITTLE)


@pytest.mark.parametrize("workers", [1, 2])
def test_logs_stop_whatever_the_number_of_processes(tmp_path: Path, workers: int) -> None:
    with pytest.raises(TooLarge) as caught:
        read(ladder(tmp_path), workers=workers, max_memory=LITTLE)
    assert "pythia" in str(caught.value.file)


def test_a_limit_above_nothing(tmp_path: Path) -> None:
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="memory"):
            read(good(tmp_path), max_memory=wrong)
    asked = ["read", str(tmp_path), "--max-memory", "0.001"]
    done = CliRunner().invoke(cli.app, asked)
    assert done.exit_code == 2
    assert "more memory than the limit" in done.output


def test_the_default_is_a_share_of_what_is_free() -> None:
    assert memory.limit() == float("inf")
    with memory.limited(None):
        assert memory.held() < memory.limit() <= memory.held() + memory.free()
    assert memory.limit() == float("inf")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system says no use")
def test_what_is_held_is_seen() -> None:
    before = memory.held()
    data = bytearray(b"x" * 50_000_000)
    assert 45e6 < memory.held() - before < 80e6
    assert len(data) == 50_000_000


@given(st.binary(max_size=200) | st.text("[]{},", max_size=200).map(str.encode))
def test_no_json_becomes_more_than_the_worst(raw: bytes) -> None:
    """Where the worst fits, what it holds is not counted."""
    assert memory.decoded(raw) <= memory.WORST * len(raw)


def test_json_is_counted_only_where_the_worst_would_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw, counted = b"x" * 1_000_000, list[int]()
    whole = memory.decoded
    monkeypatch.setattr(memory, "decoded", lambda raw: counted.append(1) or whole(raw))
    memory.check_json(raw)
    with memory.limited(1e6):
        memory.check_json(raw, times=2)
    assert not counted
    with memory.limited(memory.held() / 1e9 + 0.05):
        memory.check_json(raw)  # 83 MB at worst, 3 MB in truth
        with pytest.raises(TooLarge):
            memory.check_json(raw, more=10**8)
    assert len(counted) == 2


ROWS = 400_000
MANY: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda p: p.write_text("params,score,note\n" + "1e9,0.5,x\n" * ROWS),
    "a.csv.gz": lambda p: p.write_bytes(gzip.compress(b"params,score\n" + b"1e9,1\n" * 9 * ROWS)),
    "a.jsonl": lambda p: p.write_text('{"params": 1e9, "score": 0.5, "n": [{}]}\n' * ROWS),
    "a.jsonl.gz": lambda p: p.write_bytes(gzip.compress(b"[" * 15_000_000)),
    "a.json": lambda p: p.write_text("[" + ",".join(["{}"] * 9 * ROWS) + "]"),
    "b.json": lambda p: p.write_text(json.dumps([{"params": 1e9, "score": 0.5}] * ROWS)),
    "a.parquet": lambda p: pl.select(
        *(pl.lit(0.5).repeat_by(1).explode().first().alias(f"c{i}") for i in range(20)),
        pl.int_range(9 * ROWS).alias("n"),
    ).write_parquet(p),
}
SCRIPT = """
import re, sys
from unmirage.errors import UnmirageError
from unmirage.records import memory, read
most = memory.held() + 40e6
try:
    read(sys.argv[1], max_memory=most / 1e9, workers=1)
except UnmirageError as e:
    print(type(e).__name__, e.file)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(peak / most)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted on Linux")
def test_a_small_file_of_many_rows_stops_before_they_are_checked(tmp_path: Path) -> None:
    """8 MB of Parquet, 10 million rows, took 2.6 GB with a limit of 1 GB."""
    rows = pl.select(pl.int_range(1_000_000).alias("item"))
    same = {"model": "a", "params": 1e9, "task": "t", "metric": "acc", "score": 0.5}
    rows.with_columns(**{k: pl.lit(v) for k, v in same.items()}).write_parquet(tmp_path / "a.pq")
    script = SCRIPT.replace("40e6", "180e6")
    asked = [sys.executable, "-c", script, str(tmp_path / "a.pq")]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert said == f"TooLarge {tmp_path / 'a.pq'}"
    assert float(peak) < 1.1


def test_the_largest_file_is_named_when_all_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("a", 1), ("b", 5000), ("c", 1)):
        frame = pl.DataFrame({"model": "a", "params": [1e9 + i for i in range(rows)], "score": 0.1})
        frame.write_csv(tmp_path / f"{name}.csv")
    whole, calls = memory.check, []

    def check(more: float = 0, **about: object) -> None:
        if not more and not about:  # the check before a table is looked at
            calls.append(1)
            raise TooLarge("much", mend="less")
        whole(more, **about)  # type: ignore[arg-type]

    monkeypatch.setattr(memory, "check", check)
    with pytest.raises(TooLarge, match=r"b\.csv") as caught:
        read(tmp_path, workers=1)
    assert calls
    assert caught.value.file == str(tmp_path / "b.csv")


def takes(megabytes: int) -> int:
    """What a worker does in the test below."""
    data = bytearray(b"x" * megabytes * 1_000_000)
    time.sleep(20 if megabytes > 1 else 0.7)
    return len(data)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted on Linux")
def test_the_file_that_a_worker_reads_is_named(tmp_path: Path) -> None:
    jobs = []
    for name, size in (("first", 1), ("guilty", 400)):
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        jobs.append(Job(size, Source(path, name, "jsonl")))
    most = (memory.held() + 300e6) / 1e9
    with memory.limited(most), processes(2), pytest.raises(TooLarge) as caught:
        list(spread(takes, jobs))
    assert caught.value.file == "guilty"


LONG: dict[str, Callable[[dict[str, object]], object]] = {
    "text": lambda row: row.update(x="y" * 60_000_000),
    "list": lambda row: row.update(x=["a"] * 15_000_000),
    "cut": lambda row: row.update(x="y" * 80_000_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted on Linux")
@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("name", ["a.jsonl", "samples_t_2026-01-01T00-00-00.0.jsonl"])
def test_a_long_line_stops_before_it_is_there(tmp_path: Path, kind: str, name: str) -> None:
    row: dict[str, object] = {"doc_id": 0, "doc": {}, "model": "a", "params": 1e9, "score": 0.5}
    row |= {"arguments": [["q"]], "target": "t", "resps": [["a"]], "filtered_resps": ["a"]}
    path = tmp_path / name
    with path.open("w") as file:
        file.write(json.dumps(row) + "\n")
        LONG[kind](row)
        file.write(json.dumps(row) + "\n")
    asked = [sys.executable, "-c", SCRIPT, str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert said == f"TooLarge {path}"
    assert float(peak) < 1.25


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted on Linux")
@pytest.mark.parametrize("name", MANY)
def test_little_that_becomes_much_stops_before_it_is_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    MANY[name](path)
    asked = [sys.executable, "-c", SCRIPT, str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    said, peak = done.stdout.splitlines()
    assert said == f"TooLarge {path}"
    assert float(peak) < 1.25
