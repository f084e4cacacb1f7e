"""Many large files read by several processes; what comes out is the same, whatever their number.

A worker is a process of this interpreter that imports this package and nothing of the caller's
script, which therefore needs no main guard. Jobs and results go as pickles through pipes between a
process and its own children. A job whose worker cannot start, or dies, is done here.
"""

from __future__ import annotations

import gc
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any, BinaryIO

import polars as pl

from unmirage.errors import InputError, OptionError, TooLarge
from unmirage.records import memory
from unmirage.records.progress import opened
from unmirage.records.sniff import Source

SMALL = 50_000_000  # bytes of input for which starting workers takes longer than it saves
MOST = 8  # one process takes what they hand over
#: run by a worker: the search path is that of the process that started it
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from unmirage.records.workers import main; main()"
)
_ASKED: ContextVar[int | None] = ContextVar("unmirage_workers", default=1)


@dataclass(frozen=True)
class Job:
    """One file to read: ``value`` is what the function is called with."""

    value: Any
    source: Source
    group: str = ""  # a worker takes jobs of one group one after another where it can


@contextmanager
def processes(asked: int | None) -> Iterator[None]:
    """Within, files are read by so many processes; None: one a core, for large input.

    Raises:
        OptionError: fewer than one.
    """
    if asked is not None and asked < 1:
        raise OptionError(f"{asked} processes read nothing", mend="give 1 or more workers")
    token = _ASKED.set(asked)
    try:
        yield
    finally:
        _ASKED.reset(token)


@contextmanager
def few_collections() -> Iterator[None]:
    """Within, no garbage is looked for: what is decoded holds no cycles, and looking takes a fifth
    of the time of reading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def spread(do: Callable[[Any], Any], jobs: Sequence[Job]) -> Generator[Any, None, None]:
    """``do`` of every job, in order; an :class:`InputError` that it raises comes in its place.

    ``do`` may keep what it learns from job to job: each worker has a copy of it.
    """
    count = _count(jobs)
    crew = _Crew(do, jobs, count) if count > 1 else None
    try:
        for place, job in enumerate(jobs):
            yield crew.result(place) if crew else _tried(do, job.value)
    finally:
        if crew:
            crew.stop()


def every(do: Callable[[Any], Any], jobs: Sequence[Job]) -> list[Any]:
    """``do`` of every job, in order.

    Raises:
        InputError: that of the first bad file; those of the others are in its ``also``.
    """
    found = []
    with closing(spread(do, jobs)) as results:
        for one in results:
            if isinstance(one, TooLarge):
                raise one
            found.append(one)
    bad = [one for one in found if isinstance(one, InputError)]
    if bad:
        bad[0].also = tuple(bad[1:])
        raise bad[0]
    return found


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count(jobs: Sequence[Job]) -> int:
    asked = _ASKED.get()
    if getattr(sys, "frozen", False) or not sys.executable or len(jobs) < 2:
        return 1
    if asked is None:
        size = sum(job.source.path.stat().st_size for job in jobs)
        asked = 1 if size < SMALL else min(cores(), MOST)
    return min(asked, len(jobs))


def _tried(do: Callable[[Any], Any], value: Any) -> Any:
    try:
        return do(value)
    except InputError as error:
        return error.bare()


class _Crew:
    """Some workers, and a thread for each that hands it jobs and takes its results."""

    def __init__(self, do: Callable[[Any], Any], jobs: Sequence[Job], count: int) -> None:
        self.do, self.jobs, self.count, self.busy = do, jobs, count, count
        share = memory.limit() / (count + 1) / 1e9
        self.share = str(share) if share < float("inf") else ""
        self._todo = dict(enumerate(jobs))
        self._doing: dict[int, None] = {}
        self._lock = threading.Lock()
        self._done: Queue[tuple[int, Any] | None] = Queue()  # None: a worker has ended
        self._results: dict[int, Any] = {}
        self._workers: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            threading.Thread(target=self._lead, daemon=True).start()

    def result(self, place: int) -> Any:
        """What came of a job; done here where its worker is gone or has too little memory.

        Raises:
            TooLarge: this process and its workers hold more than is allowed.
        """
        while place not in self._results and self.busy:
            if (one := self._done.get()) is None:
                self.busy -= 1
            else:
                self._results[one[0]] = one[1]
                opened(self.jobs[one[0]].source.name)
        found = self._results.pop(place, None)
        pids = [worker.pid for worker in self._workers]
        memory.check(file=self._largest(place), others=pids)
        if found is not None and not isinstance(found, TooLarge):
            return found
        return _tried(self.do, self.jobs[place].value)

    def _largest(self, place: int) -> str:
        """The largest file of those that are being read, or were just read."""
        with self._lock:
            sources = [self.jobs[at].source for at in (place, *self._doing)]
        return max(sources, key=lambda s: s.path.stat().st_size).name

    def stop(self) -> None:
        """Ends the workers, in whatever they are."""
        with self._lock:
            self._todo.clear()
            for worker in self._workers:
                worker.kill()
        for worker in self._workers:
            worker.wait()

    def _lead(self) -> None:
        try:
            worker = self._start()
            if worker is None or worker.stdin is None or worker.stdout is None:
                return
            with worker.stdin as to, worker.stdout as back:
                _send(self.do, to)
                group = None
                while (job := self._next(group)) is not None:
                    place, group = job, self.jobs[job].group
                    _send(self.jobs[place].value, to)
                    found = pickle.load(back)
                    with self._lock:
                        self._doing.pop(place, None)
                    self._done.put((place, found))
        except (OSError, EOFError, ValueError, pickle.PickleError):
            pass  # its last job is done here
        finally:
            self._done.put(None)

    def _start(self) -> subprocess.Popen[bytes] | None:
        # not the folder that this process happens to be in, where it is not named
        path = [*filter(None, sys.path), str(Path(__file__).parents[2])]
        command = [sys.executable, "-P", "-c", _START, json.dumps(path), self.share]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        env = {**os.environ, "POLARS_MAX_THREADS": "1"}
        with self._lock:
            if not self._todo:
                return None
            worker = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env, **pipes)
            self._workers.append(worker)
            return worker

    def _next(self, group: str | None) -> int | None:
        """A job of the same group, else the first one of the group of which most are to be done."""
        with self._lock:
            if not self._todo:
                return None
            left: dict[str, list[int]] = {}
            for place, job in self._todo.items():
                left.setdefault(job.group, []).append(place)
            chosen = left.get(group or "") or max(left.values(), key=len)
            del self._todo[chosen[0]]
            self._doing[chosen[0]] = None
            return chosen[0]


# ---------------------------------------------------------------- pipes


class _Pickler(pickle.Pickler):
    """Frames as Arrow, three times as fast as they pickle themselves."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, pl.DataFrame):
            raw = io.BytesIO()
            obj.write_ipc(raw, compression="uncompressed")
            return _frame, (pickle.PickleBuffer(raw.getbuffer()),)
        return NotImplemented


def _frame(raw: Any) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(raw))


def _send(value: Any, to: Any) -> None:
    _Pickler(to, protocol=5).dump(value)
    to.flush()


def main() -> None:
    """A worker: takes a function and then values on its standard input, until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it will end it
    gc.disable()
    back: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed must not come between
    try:
        do = pickle.load(sys.stdin.buffer)
        with memory.limited(float(sys.argv[2]) if sys.argv[2] else None):
            while True:
                _send(_tried(do, pickle.load(sys.stdin.buffer)), back)
    except (EOFError, BrokenPipeError):
        pass
