"""JSON lines and lists of JSON records, read line by line in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

import msgspec
import polars as pl

from unmirage.errors import FileProblem
from unmirage.records import memory
from unmirage.types import Note

MAX_LINE = 64 * 2**20  # bytes
BLOCK = 4 * 2**20  # bytes of lines read at a time
MAX_LIST = 2**30  # bytes of one .json file, which must be held as a whole
MAX_COLUMNS = 5_000
BATCH = 10_000  # rows turned into columns at a time
_BOM = b"\xef\xbb\xbf"

Row = tuple[int, dict[str, Any]]


class Decoder:
    """Decodes one JSON text, strictly first; counts the texts in which characters were replaced."""

    def __init__(self) -> None:
        self.replaced = 0
        self._since = 0  # bytes decoded since memory was looked at

    def __call__(self, raw: bytes) -> Any:
        """The value. Accepts NaN and Infinity, which JSON forbids and Python writes.

        Raises:
            ValueError: not JSON, or nested too deeply.
            TooLarge: it would take more memory than is allowed.
        """
        self._since += len(raw)
        if self._since > BLOCK:
            memory.check_json(raw)
            self._since = 0
        try:
            return msgspec.json.decode(raw)
        except (ValueError, RecursionError):
            return self._lenient(raw)

    def _lenient(self, raw: bytes) -> Any:
        try:
            text = raw.decode("utf-8")
            bad = False
        except UnicodeDecodeError:
            text, bad = raw.decode("utf-8", "replace"), True
        try:
            value, surrogates = _scrub(json.loads(text))
        except RecursionError as e:
            raise ValueError("nested too deeply") from e
        self.replaced += bad or surrogates
        return value


def _scrub(value: Any) -> tuple[Any, bool]:
    """The value with lone surrogates as U+FFFD, and whether there were any."""
    if isinstance(value, str):
        clean = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return clean, clean != value
    if isinstance(value, list):
        parts = [_scrub(v) for v in value]
        return [v for v, _ in parts], any(b for _, b in parts)
    if isinstance(value, dict):
        pairs = [(_scrub(k), _scrub(v)) for k, v in value.items()]
        return {k: v for (k, _), (v, _) in pairs}, any(a or b for (_, a), (_, b) in pairs)
    return value, False


def lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """(line number, line without its end) of every line that is not blank.

    Raises:
        FileProblem: a line longer than 64 MiB.
        TooLarge: a line that takes more memory than is allowed.
    """
    number = 0
    while line := _line(stream):
        number += 1
        _refuse_long(line, name, number)
        if number == 1:
            line = _head(line, name)
        line = line.strip()
        if line:
            yield number, line


def _line(stream: BinaryIO) -> bytes:
    """The next line, up to one byte more than it may have; a long one in parts."""
    part = stream.readline(BLOCK)
    if len(part) < BLOCK or part.endswith(b"\n"):
        return part
    parts, size = [part], len(part)
    while part and not part.endswith(b"\n") and size <= MAX_LINE:
        memory.check(2 * size)  # the parts of the line, which are there, once more as a whole
        part = stream.readline(min(BLOCK, MAX_LINE + 1 - size))
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def blocks(stream: BinaryIO, name: str) -> Iterator[tuple[list[int], list[bytes]]]:
    """The lines of a file that are not blank, a few megabytes at a time: numbers and lines.

    Raises:
        FileProblem: a line longer than 64 MiB.
        TooLarge: a line that takes more memory than is allowed.
    """
    first, rest = 1, b""
    while block := stream.read(BLOCK):
        # a line of many blocks is there twice while it grows, and then once more as what it says
        memory.check_json(block, times=2, more=2 * len(rest))
        whole = block.split(b"\n")
        whole[0] = rest + whole[0]
        rest = whole.pop()
        if first == 1 and whole:
            whole[0] = _head(whole[0], name)
        for number, line in (first, whole[0] if whole else b""), (first + len(whole), rest):
            _refuse_long(line, name, number)
        if whole and len(whole[0]) > BLOCK:
            memory.check_json(whole[0])
        if (found := _numbered(whole, first))[0]:
            yield found
        first += len(whole)
    if (found := _numbered([_head(rest, name) if first == 1 else rest], first))[0]:
        yield found


def _head(line: bytes, name: str) -> bytes:
    """The first line without its byte-order mark."""
    refuse_utf16(line, name)
    return line.removeprefix(_BOM)


def _numbered(found: list[bytes], first: int) -> tuple[list[int], list[bytes]]:
    numbers = [i for i, line in enumerate(found, first) if line and not line.isspace()]
    return numbers, [found[i - first] for i in numbers]


def _refuse_long(line: bytes, name: str, number: int) -> None:
    if len(line) > MAX_LINE:
        what = f"the line is longer than {MAX_LINE // 2**20} MiB"
        raise FileProblem(what, file=name, where=f"line {number}")


def refuse_utf16(head: bytes, name: str) -> None:
    """Raises FileProblem where the first bytes mark UTF-16 or UTF-32 text."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileProblem("is UTF-16 or UTF-32 text", file=name, mend="save it as UTF-8")


def is_json(raw: bytes) -> bool:
    """Whether the bytes are one JSON value, which is not made.

    >>> is_json(b'{"a": [1, 2]}'), is_json(b'{"a": [1, 2')
    (True, False)
    """
    memory.check(len(raw))
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (ValueError, RecursionError):
        try:
            Decoder()(raw)  # NaN, and bytes that are no UTF-8
        except ValueError:
            return False
    return True


def refuse_undecodable(raw: bytes, name: str) -> None:
    """Raises FileProblem with the place where a file stops being one JSON value."""
    if not raw.strip():
        raise FileProblem("is empty", file=name)
    refuse_utf16(raw, name)
    raw = raw.removeprefix(_BOM)
    if is_json(raw):
        return
    try:
        Decoder()(raw)
    except ValueError as e:
        mend = "it may be cut short: repair or remove it"
        raise FileProblem(f"is not JSON to its end ({str(e)[:120]})", file=name, mend=mend) from e


def read_lines(stream: BinaryIO, name: str, skip_bad: bool, notes: list[Note]) -> Iterator[Row]:
    """The objects of a JSON-lines file with their line numbers; ``notes`` grow at the end.

    Raises:
        FileProblem: a line that is not a JSON object (skip_bad: left out and counted).
    """
    return decoded(lines(stream, name), name, skip_bad, notes)


def decoded(
    found: Iterable[tuple[int, bytes]], name: str, skip_bad: bool, notes: list[Note]
) -> Iterator[Row]:
    """The same of lines that were read already."""
    decode, bad = Decoder(), 0
    for number, line in found:
        try:
            value = decode(line)
            if not isinstance(value, dict):
                raise ValueError(f"holds {type(value).__name__}, not an object")
        except ValueError as e:
            if not skip_bad:
                raise FileProblem(
                    f"the line is not a JSON object ({str(e)[:120]})",
                    file=name,
                    where=f"line {number}",
                    mend="repair or remove the line, or read with skip_bad (--skip-bad)",
                ) from e
            bad += 1
            continue
        yield number, value
    notes += _replaced_note(decode, name)
    if bad:
        notes.append(
            Note("warning", "bad_lines", "lines that are not JSON objects left out", name, bad)
        )


def read_list(raw: bytes, name: str) -> tuple[list[Row], list[Note]]:
    """The objects of a JSON list with their 1-based places.

    Raises:
        FileProblem: not a list of objects.
    """
    decode = Decoder()
    refuse_utf16(raw, name)
    mend = "give a list of records, or one record a line in a .jsonl file"
    try:
        value = decode(raw.removeprefix(_BOM))
    except ValueError as e:
        raise FileProblem(f"is not JSON ({str(e)[:120]})", file=name, mend=mend) from e
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise FileProblem("is not a list of records", file=name, mend=mend)
    return list(enumerate(value, 1)), _replaced_note(decode, name)


def _replaced_note(decode: Decoder, name: str) -> list[Note]:
    if not decode.replaced:
        return []
    message = "records held bytes or escapes that are no text; read as U+FFFD"
    return [Note("warning", "bad_text", message, name, decode.replaced)]


def to_frame(rows: Iterable[Row], name: str) -> tuple[pl.DataFrame, pl.Series]:
    """One column a key (missing keys are null) and the row numbers.

    Raises:
        FileProblem: more than 5,000 different keys.
    """
    numbers: list[pl.Series] = [pl.Series("row", [], dtype=pl.Int64)]
    columns: dict[str, _Column] = {}
    done, rows = 0, iter(rows)
    # few objects may live at a time: they take ten times the memory of a column
    while batch := list(islice(rows, BATCH)):
        values = [row for _, row in batch]
        keys = dict.fromkeys(chain(columns, chain.from_iterable(values)))
        if len(keys) > MAX_COLUMNS:
            raise FileProblem(f"has more than {MAX_COLUMNS} columns", file=name)
        for key in keys:
            if key not in columns:
                columns[key] = _Column(done)
            columns[key].add([row.get(key) for row in values])
        numbers.append(pl.Series("row", [number for number, _ in batch], dtype=pl.Int64))
        done += len(batch)
    frame = pl.DataFrame([column.whole(key) for key, column in columns.items()])
    return frame, pl.concat(numbers)


class _Column:
    """The cells of one key: as a column while all are of one plain type, else as they are."""

    def __init__(self, missing: int) -> None:
        self._parts = [pl.Series([None] * missing, dtype=pl.Null)]
        self._dtype: pl.DataType = pl.Null()
        self._loose: list[Any] | None = None
        self._text = False  # a nested value was there: all are JSON text

    def add(self, cells: list[Any]) -> None:
        if not self._text and _nested(cells):
            self._text, before = True, self._cells()
            self._parts, self._dtype, self._loose = [], pl.String(), None
            self.add(before)
        if self._text:
            cells = [json_text(c) for c in cells]
        if self._loose is not None:
            self._loose += cells
            return
        dtype = _exact(cells)
        if dtype is None or (dtype != self._dtype and pl.Null not in (dtype, self._dtype)):
            self._loose, self._parts = [*self._cells(), *cells], []
            return
        self._parts.append(pl.Series(cells, dtype=dtype))
        self._dtype = self._dtype if dtype == pl.Null else dtype

    def _cells(self) -> list[Any]:
        if self._loose is not None:
            return self._loose
        return [cell for part in self._parts for cell in part.to_list()]

    def whole(self, name: str) -> pl.Series:
        if self._loose is not None:
            return series(name, self._loose)
        dtype = pl.String() if self._dtype == pl.Null else self._dtype
        return pl.concat([part.cast(dtype) for part in self._parts], rechunk=True).alias(name)


def _nested(cells: list[Any]) -> bool:
    """Whether a cell holds what fits into no column."""
    kinds = set(map(type, cells))
    if list in kinds:
        kinds = {type(v) for c in cells if type(c) is list for v in c} | (kinds - {list})
        return bool(kinds & {dict, list})
    return dict in kinds


def _exact(cells: list[Any]) -> pl.DataType | None:
    """The type that gives each cell back as it was; Null: all are missing; None: there is none."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {list}:
        inner = [v for c in cells if c is not None for v in c]
        found = _exact(inner)
        return None if found in (None, pl.Null()) else pl.List(found)
    if not kinds:
        return pl.Null()
    dtype = _dtype(cells) if len(kinds) == 1 else None
    if dtype is None or (kinds == {int} and dtype is not pl.Int64):
        return None
    return dtype()


def series(name: str, cells: list[Any]) -> pl.Series:
    """A typed column; what fits no plain type becomes text, nested values JSON text."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {list}:
        inner = [v for c in cells if c is not None for v in c]
        dtype = _dtype(inner)
        if dtype is not None:
            plain = [c if c is None else _numbers(c, dtype) for c in cells]
            return pl.Series(name, plain, dtype=pl.List(dtype))
    else:
        dtype = _dtype(cells)
        if dtype is not None:
            return pl.Series(name, _numbers(cells, dtype), dtype=dtype)
    return pl.Series(name, [json_text(c) for c in cells], dtype=pl.String)


def _dtype(cells: list[Any]) -> type[pl.DataType] | None:
    kinds = set(map(type, cells)) - {type(None)}
    if kinds <= {str}:
        return pl.String
    if kinds == {bool}:
        return pl.Boolean
    if kinds == {int}:
        whole = [c for c in cells if c is not None]
        # beyond 64 bits as floats: a step or a count never needs them exactly
        return pl.Int64 if min(whole) >= -(2**63) and max(whole) < 2**63 else pl.Float64
    return pl.Float64 if kinds <= {int, float} else None


def _numbers(cells: list[Any], dtype: type[pl.DataType]) -> list[Any]:
    """The cells; whole numbers among floats as floats."""
    if dtype is not pl.Float64 or set(map(type, cells)) <= {float, type(None)}:
        return cells
    return [None if c is None else _float(c) for c in cells]


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def json_text(value: Any) -> str | None:
    """JSON text of a value; text stays as it is."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
