"""How far reading is: files are counted when they are opened to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int], None]  # files done, files in all


class _Ticker:
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total
        self.seen: set[str] = set()
        progress(0, total)

    def opened(self, name: str) -> None:
        if name not in self.seen and len(self.seen) < self.total:
            self.seen.add(name)
            self.progress(len(self.seen), self.total)


_CURRENT: ContextVar[_Ticker | None] = ContextVar("unmirage_reading", default=None)


@contextmanager
def counted(progress: Progress | None, total: int) -> Iterator[None]:
    """Calls ``progress`` for each file that is opened within; all are done at the end."""
    if progress is None:
        yield
        return
    token = _CURRENT.set(_Ticker(progress, total))
    try:
        yield
        progress(total, total)
    finally:
        _CURRENT.reset(token)


def opened(name: str) -> None:
    """A file is being read (formats need not call it: open_source does)."""
    if (ticker := _CURRENT.get()) is not None:
        ticker.opened(name)
