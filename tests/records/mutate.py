"""What the tests of several formats put into files, and the places they put it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from unmirage.records.sniff import Source, kind_of

JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
    max_leaves=6,
)


def few(examples: int) -> settings:
    """The same so many examples each time, of tests that share a folder."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a JSON value."""
    below = value.items() if isinstance(value, dict) else ()
    below = enumerate(value) if isinstance(value, list) else below
    return [here, *(p for k, v in below for p in paths(v, (*here, k)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def edited(raw: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """(place, bytes that go, bytes that come), one after the other."""
    for at, gone, put in edits:
        raw = raw[:at] + put + raw[at + gone :]
    return raw


def claims_none(is_log: Callable[[Source], bool], folder: Path) -> None:
    """Asserts that no file below a folder is one of the format's."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if kind := kind_of(path):
            assert not is_log(Source(path, str(path), *kind)), path
