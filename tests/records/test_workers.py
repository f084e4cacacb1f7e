"""Several processes read what one reads: the same records, notes and errors."""

from __future__ import annotations

import os
import sys
import weakref
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage
from tests.records.test_lm_eval import ladder
from unmirage import cli
from unmirage.errors import FileProblem, InputError, OptionError, ValueProblem
from unmirage.records import workers
from unmirage.records.formats.lm_eval import samples
from unmirage.records.left_out import LeftOut
from unmirage.records.sniff import Source
from unmirage.records.workers import Job, every, processes, spread
from unmirage.types import Records


def same(a: Records, b: Records) -> bool:
    frames = a.samples.equals(b.samples) and a.aggregates.equals(b.aggregates)
    return frames and (a.notes, a.formats) == (b.notes, b.formats)


def jobs(values: list[Any]) -> list[Job]:
    there = Source(Path(__file__), __file__, "jsonl")
    return [Job(v, there, str(i % 2)) for i, v in enumerate(values)]


def said(error: InputError) -> tuple[Any, ...]:
    return type(error), str(error), error.what, error.file, error.where, error.mend


@pytest.fixture(autouse=True)
def _workers_find_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that were started."""
    found: list[Any] = []

    class Popen(workers.subprocess.Popen):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            found.append(self)

    monkeypatch.setattr(workers.subprocess, "Popen", Popen)
    return found


@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_processes_reads_the_same(
    tmp_path: Path, started: list[Any], count: int
) -> None:
    folder = ladder(tmp_path)
    alone = unmirage.read(folder, workers=1)
    assert not started
    assert same(alone, unmirage.read(folder, workers=count))
    assert 0 < len(started) <= count
    assert all(p.poll() is not None for p in started)


def test_the_command_writes_the_same_bytes(tmp_path: Path, started: list[Any]) -> None:
    folder = ladder(tmp_path / "logs")
    written = []
    for count in (1, 2):
        for command in ("read", "audit"):
            out = tmp_path / f"{command}{count}"
            asked = ["-o", out] if command == "read" else ["--json", out, "--draws", 100]
            arguments = [command, folder, "--workers", count, "--quiet", *asked]
            done = CliRunner().invoke(cli.app, list(map(str, arguments)))
            assert done.exit_code == 0, done.output
            files = sorted(out.glob("*.parquet")) or [out]
            written.append([p.read_bytes() for p in files])
    assert written[:2] == written[2:]
    assert started


def test_errors_come_back_as_they_are(tmp_path: Path, started: list[Any]) -> None:
    folder = ladder(tmp_path)
    files = sorted(folder.rglob("samples_*.jsonl"))
    for file in files[2:4]:  # the first in order is told, whichever worker is faster
        text = file.read_text().splitlines()
        text[1] = text[1].replace('"filtered_resps": [', '"filtered_resps": [[], ')
        file.write_text("\n".join(text))
    found = []
    for count in (1, 2):
        with pytest.raises(ValueProblem) as caught:
            unmirage.read(folder, workers=count, strict=True)
        found.append(said(caught.value))
    assert found[0] == found[1]
    assert found[0][3] == str(files[2])
    assert "line 2" in found[0][4]
    assert started


def test_bad_files_are_left_out_alike(tmp_path: Path, started: list[Any]) -> None:
    folder = ladder(tmp_path)
    for file in sorted(folder.rglob("samples_*.jsonl"))[2:5]:
        file.write_text(file.read_text()[:-40])
    alone, several = (unmirage.read(folder, workers=n) for n in (1, 2))
    assert same(alone, several)
    assert "file_left_out" in {n.code for n in several.notes}
    assert started


def test_progress_tells_every_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    unmirage.read(ladder(tmp_path), workers=2, progress=lambda *told: seen.append(told))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1] > 2


def test_frames_and_errors_in_the_order_of_the_jobs(started: list[Any]) -> None:
    values = [pl.DataFrame({"a": [i, None], "b": [["x"], None]}) for i in range(7)]
    with processes(3):
        found = list(spread(_echo, jobs([*values, FileProblem("no", file="f", mend="m")])))
    assert all(a.equals(b) for a, b in zip(values, found[:-1], strict=True))
    assert said(found[-1]) == said(FileProblem("no", file="f", mend="m"))
    assert 0 < len(started) <= 3


def test_errors_hold_nothing_of_what_was_read() -> None:
    """Many bad files, or one and a second reading, would keep all their rows in memory."""
    data = _Data()
    alive = weakref.ref(data)
    jobs_ = jobs([data, data])
    with pytest.raises(FileProblem) as caught, processes(1):
        every(_fail, jobs_)
    assert [e.__cause__ for e in (caught.value, *caught.value.also)] == [None, None]
    left = LeftOut(found={"f"})
    left.take(caught.value, "f")
    del data, jobs_, caught
    assert alive() is None


def test_every_bad_file_is_told_at_once() -> None:
    values: list[Any] = [1, FileProblem("a", file="f"), 2, FileProblem("b", file="g")]
    for count in (1, 2):
        with pytest.raises(FileProblem, match="f: a") as caught, processes(count):
            every(_echo, jobs(values))
        assert [str(e) for e in caught.value.also] == ["g: b"]


def test_bad_files_cost_one_more_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ladder(tmp_path)
    files = sorted(folder.rglob("samples_*.jsonl"))
    for file in files[2:6]:
        file.write_text(file.read_text()[:-40])
    calls: list[str] = []
    plain = samples.read_part

    def counted(log: Any, *more: Any) -> Any:
        calls.append(log.source.name)
        return plain(log, *more)

    monkeypatch.setattr(samples, "read_part", counted)
    got = unmirage.read(folder, workers=1)
    assert sum(n.count or 0 for n in got.notes if n.code == "file_left_out") == 4
    assert len(calls) == len(files) + len(files) - 4


def test_a_worker_that_dies_or_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getpid()
    with processes(2):
        assert list(spread(_die_elsewhere, jobs([here] * 5))) == [here] * 5
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    with processes(2):
        assert list(spread(_process, jobs([0] * 5))) == [here] * 5


def test_a_function_keeps_what_it_learns() -> None:
    with processes(2):
        found = list(spread(_Counter(), jobs([0] * 6)))
    assert sorted(found)[0] == 1
    assert sum(n == 1 for n in found) <= 2  # a copy for each worker


def test_workers_end_when_nobody_waits_for_them(started: list[Any]) -> None:
    with processes(2), closing(spread(_sleep_later, jobs([0, 1, 1, 1]))) as results:
        assert next(results) == 0
    assert all(p.poll() is not None for p in started)


def test_ctrl_c_ends_the_workers(monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "opened", interrupted)
    with pytest.raises(KeyboardInterrupt), processes(2):
        list(spread(_sleep_later, jobs([0, 1, 1, 1])))
    assert all(p.poll() is not None for p in started)


def test_small_input_starts_nothing(tmp_path: Path, started: list[Any]) -> None:
    unmirage.read(ladder(tmp_path))
    assert not started


def test_large_input_starts_one_a_core(
    tmp_path: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SMALL", 10)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    folder = ladder(tmp_path)
    assert same(unmirage.read(folder), unmirage.read(folder, workers=1))
    assert 0 < len(started) <= 2


def test_a_worker_runs_nothing_of_the_folder_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "polars", "pickle", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('was_run', 'w')")
    monkeypatch.chdir(tmp_path)
    with processes(2):
        assert os.getpid() not in list(spread(_process, jobs([0] * 4)))
    assert not Path("was_run").exists()


def test_fewer_than_one() -> None:
    with pytest.raises(OptionError, match="1 or more"):
        unmirage.read("x", workers=0)


# ---------------------------------------------------------------- what workers are given to do


def _echo(value: Any) -> Any:
    if isinstance(value, InputError):
        raise value
    return value


class _Data:
    pass


def _fail(value: Any) -> None:
    try:
        raise ValueError(value)
    except ValueError as e:
        raise FileProblem("bad", file="f") from e


def _process(_: Any) -> int:
    return os.getpid()


def _die_elsewhere(parent: int) -> int:
    if os.getpid() != parent:
        os._exit(1)
    return parent


def _sleep_later(seconds: int) -> int:
    import time

    time.sleep(60 * seconds)
    return seconds


class _Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: Any) -> int:
        self.calls += 1
        return self.calls
