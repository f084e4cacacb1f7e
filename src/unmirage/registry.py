"""name -> object, with near-miss hints; plug-ins add to it through entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from unmirage.errors import UnmirageError

T = TypeVar("T")


class Registry(Generic[T]):
    """An ordered name -> object table.

    ``group`` is the entry-point group that plug-ins use, for example ``unmirage.metrics``;
    each entry point is loaded once, on first use. ``also`` are names that are made when asked for,
    such as "pass@5": they are only told.

    >>> r: Registry[int] = Registry("number")
    >>> r.add("one", 1)
    >>> r["one"]
    1
    >>> r["on"]
    Traceback (most recent call last):
    ...
    unmirage.errors.UnmirageError: no number is named 'on'
      mend: did you mean 'one'? known: one
    """

    def __init__(
        self,
        noun: str,
        *,
        group: str | None = None,
        error: type[UnmirageError] = UnmirageError,
        also: tuple[str, ...] = (),
    ) -> None:
        self._noun, self._group, self._error, self._also = noun, group, error, also
        self._items: dict[str, T] = {}
        self._aliases: dict[str, str] = {}
        self._loaded = group is None

    def add(self, name: str, item: T, *, aliases: tuple[str, ...] = ()) -> None:
        for key in (name, *aliases):
            if key in self._items or key in self._aliases:
                raise self._error(f"{self._noun} {key!r} is already registered")
        self._items[name] = item
        self._aliases.update(dict.fromkeys(aliases, name))

    def _load(self) -> None:
        if not self._loaded and self._group is not None:
            self._loaded = True
            for point in entry_points(group=self._group):
                self.add(point.name, point.load())

    def resolve(self, name: str) -> str | None:
        """The registered name behind a name or alias; None where there is none."""
        self._load()
        return name if name in self._items else self._aliases.get(name)

    def __getitem__(self, name: str) -> T:
        key = self.resolve(name)
        if key is None:
            known = ", ".join((*self._items, *self._also))
            names = [*self._items, *self._aliases, *self._also]
            near = difflib.get_close_matches(name, names, n=3)
            meant = " or ".join(map(repr, near))
            hint = f"did you mean {meant}? known: {known}" if near else f"known: {known}"
            raise self._error(f"no {self._noun} is named {name!r}", mend=hint)
        return self._items[key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.resolve(name) is not None

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._items)

    def __len__(self) -> int:
        self._load()
        return len(self._items)
