"""One JSON value in one file: its head to tell the kind, and the whole, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, TypeVar

from unmirage.errors import FileProblem
from unmirage.records.jsonlines import MAX_LIST, Decoder, lines
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import open_source
from unmirage.types import Note

_HEAD = 4096  # bytes in which a file shows what it is
_SHORT = 1000  # of them, as many as most formats need
_BOM = b"\xef\xbb\xbf"
_MEND = "it may be cut short: repair or remove it, or read with skip_bad (--skip-bad)"


#: what is known of the file that is looked at, while all formats are asked whether it is theirs
_LOOK: ContextVar[dict[tuple[Any, Source], Any] | None] = ContextVar("unmirage_look", default=None)
T = TypeVar("T")


@contextmanager
def one_look() -> Iterator[None]:
    """Within, a file that several formats ask for is read and decoded once."""
    token = _LOOK.set({})
    try:
        yield
    finally:
        _LOOK.reset(token)


def _once(do: Callable[[Source], T], source: Source) -> T:
    look = _LOOK.get()
    if look is None:
        return do(source)
    if (do, source) not in look:
        look[do, source] = do(source)
    found: T = look[do, source]
    return found


def head_of(source: Source, most: int = _SHORT) -> bytes:
    """The first bytes of a .json file, without byte-order mark and leading space."""
    if source.kind != "json":
        return b""
    return _once(_head, source)[:most].removeprefix(_BOM).lstrip()


def _head(source: Source) -> bytes:
    with guard(source.name), source.path.open("rb") as f:
        return f.read(_HEAD)


def first_row(source: Source) -> dict[str, Any]:
    """The object in the first of the first lines of a .jsonl file that is JSON; else empty."""
    return _once(_first_row, source) if source.kind == "jsonl" else {}


def _first_row(source: Source) -> dict[str, Any]:
    decode = Decoder()
    with guard(source.name), open_source(source) as stream:
        for _, line in islice(lines(stream, source.name), 3):
            try:
                row = decode(line)
            except ValueError:
                continue
            return row if isinstance(row, dict) else {}
    return {}


def content_of(source: Source) -> Any:
    """The JSON value in a file.

    Raises:
        FileProblem: it is not JSON, nested too deeply, or larger than 1 GiB.
    """
    return _once(_content, source)


def _content(source: Source) -> Any:
    with guard(source.name):
        if source.path.stat().st_size > MAX_LIST:
            raise FileProblem("is larger than 1 GiB", file=source.name)
        try:
            return Decoder()(source.path.read_bytes().removeprefix(_BOM))
        except ValueError as e:
            what = f"is not JSON ({str(e)[:120]})"
            raise FileProblem(what, file=source.name, mend=_MEND) from e


def is_kind(
    source: Source, words: Iterable[bytes], known: Callable[[Any], bool], start: bytes
) -> bool:
    """Whether a file's head holds one of the words and its value is known to be of the kind.

    A file that is no JSON is of the kind if it begins like ``start``, a regular expression without
    its spaces: cut short, it must be spoken of.
    """
    head = head_of(source)
    if not head.startswith(b"{") or not any(word in head for word in words):
        return False
    try:
        return known(content_of(source))
    except FileProblem:
        return re.match(start, b"".join(head.split())) is not None


def readable(
    sources: Iterable[Source], skip_bad: bool, what: str, notes: list[Note]
) -> list[tuple[Source, Any]]:
    """The values of all files; with skip_bad those that are no JSON are left out and noted.

    Raises:
        FileProblem: a file that is no JSON.
    """
    found = []
    for source in sources:
        try:
            found.append((source, content_of(source)))
        except FileProblem:
            if not skip_bad:
                raise
            notes.append(Note("warning", "bad_results", f"{what} left out", source.name, 1))
    return found
