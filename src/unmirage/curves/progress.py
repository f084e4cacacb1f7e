"""How far the work is: single steps are counted, a pair (done, total) is told."""

from __future__ import annotations

from collections.abc import Callable

#: called with the steps that are done, and all there are
Tell = Callable[[int, int], None]


class Steps:
    """Call it with the steps (or parts of one) that were done since.

    >>> done = Steps(4, lambda done, total: print(f"{done} of {total}"))
    >>> done(3)
    3 of 4
    >>> done.also(2)
    >>> done.finish()
    6 of 6
    """

    def __init__(self, total: int, tell: Tell | None = None) -> None:
        self._done, self._total, self._tell = 0.0, total, tell

    def also(self, more: int) -> None:
        """There is more to do than was known."""
        self._total += more

    def finish(self) -> None:
        """Nothing is left, whatever was expected."""
        self(self._total - self._done)

    def __call__(self, more: float) -> None:
        self._done = min(self._done + more, self._total)
        if self._tell:
            self._tell(round(self._done), self._total)
