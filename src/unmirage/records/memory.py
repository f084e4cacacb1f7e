"""No more memory than was allowed: reading stops with an error before it runs out.

Memory is what the operating system says that the process holds; where a step needs much at once
(a whole file, all tables side by side), what it will need is estimated and added beforehand.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import polars as pl

from unmirage.errors import OptionError, TooLarge

SHARE = 0.8  # of the memory that is free, where the user gives no limit
MEND = (
    "read fewer files at once (one folder, one task), or give more memory with max_memory "
    "(--max-memory, in GB)"
)
WORST = 3 + 80  # bytes that a byte of JSON may become: no byte is a bracket and a comma
_LIMIT: ContextVar[float] = ContextVar("unmirage_memory", default=float("inf"))
_STATM = Path("/proc/self/statm")
#: (limit, use) of a control group, newer and older
_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def held(others: Iterable[int] = ()) -> int:
    """Bytes in memory of this process, and of others by their numbers."""
    if not _STATM.exists():
        return _peak()
    pages = 0
    for place in (_STATM, *(Path(f"/proc/{pid}/statm") for pid in others)):
        try:
            pages += int(place.read_text().split()[1])
        except (OSError, IndexError):
            continue  # it has just ended
    return pages * mmap.PAGESIZE


def _peak() -> int:
    """The most that this process ever held, where the system does not say what it holds now."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free() -> float:
    """Bytes that may still be taken: of the machine, and of the control group; inf: unknown."""
    found = [float("inf")]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE / 2)  # half is taken to be free
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        said = next(line for line in lines if line.startswith("MemAvailable:"))
        found = [int(said.split()[1]) * 1024]  # pages of files that can be dropped count as free
    except (OSError, ValueError, StopIteration):
        pass
    for limit, use in _GROUPS:
        try:
            found.append(int(limit.read_text()) - int(use.read_text()))
        except (OSError, ValueError):  # "max": there is none
            continue
    return max(0.0, min(found))


@contextmanager
def limited(gigabytes: float | None) -> Iterator[None]:
    """Within, this process may hold so many GB; None: what it holds and 80 % of what is free.

    Raises:
        OptionError: the limit is not above 0.
    """
    if gigabytes is not None and not gigabytes > 0:
        raise OptionError(f"{gigabytes:g} GB of memory hold nothing", mend="give more than 0")
    most = held() + SHARE * free() if gigabytes is None else gigabytes * 1e9
    token = _LIMIT.set(most)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def limit() -> float:
    """Bytes that may be held."""
    return _LIMIT.get()


def check(more: float = 0, *, file: str | None = None, others: Iterable[int] = ()) -> None:
    """``more`` bytes are about to be taken.

    Raises:
        TooLarge: there would be more than the limit; ``guard`` adds the file.
    """
    most = _LIMIT.get()
    if most == float("inf"):
        return
    now = held(others)
    if now + more > most:
        needs = f"{now / 1e9:.2g} GB are in use"
        needs += f", and {more / 1e9:.2g} GB more would be needed" if more else ""
        what = f"reading it takes more memory than the limit of {most / 1e9:.2g} GB ({needs})"
        raise TooLarge(what, file=file, mend=MEND)


def of_parquet(path: Path) -> int:
    """Bytes that the columns of a Parquet file take at least: it says how many rows it has, and
    few bytes may hold very many."""
    lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    width = sum(16 if dtype == pl.String else 8 for dtype in lazy.collect_schema().dtypes())
    return int(lazy.select(pl.len()).collect().item()) * width


def check_json(raw: bytes, *, times: int = 1, more: int = 0) -> None:
    """The value of some JSON is about to be made, ``times`` over, and ``more`` bytes taken.

    Counting what it holds takes as long as cutting it into lines: where even the worst would fit,
    it is not counted.

    Raises:
        TooLarge: as :func:`check`.
    """
    most = _LIMIT.get()
    if most == float("inf") or held() + times * WORST * len(raw) + more <= most:
        return
    check(times * decoded(raw) + more)


def decoded(raw: bytes) -> int:
    """Bytes that the value of some JSON may take at most, about.

    >>> decoded(b"[[], [], []]") > 250
    True
    """
    holders = raw.count(b"{") + raw.count(b"[")
    return 3 * len(raw) + 80 * holders + 64 * raw.count(b",")
