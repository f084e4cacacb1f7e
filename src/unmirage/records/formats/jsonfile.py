"""One JSON value in one file: its head to tell the kind, and the whole, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.jsonlines import MAX_LIST, Decoder, lines
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import open_source
from unmirage.types import Note

_HEAD = 1000  # bytes in which a file shows what it is
_BOM = b"\xef\xbb\xbf"
_MEND = "it may be cut short: repair or remove it, or read with skip_bad (--skip-bad)"


def head_of(source: Source) -> bytes:
    """The first bytes of a .json file, without byte-order mark and leading space."""
    if source.kind != "json":
        return b""
    with guard(source.name), source.path.open("rb") as f:
        return f.read(_HEAD).removeprefix(_BOM).lstrip()


def first_row(source: Source) -> dict[str, Any]:
    """The object in the first of the first lines of a .jsonl file that is JSON; else empty."""
    if source.kind != "jsonl":
        return {}
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
