"""Reads one file of any kind into a Table, without giving its columns a meaning."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl

from unmirage.errors import ColumnError, FileProblem
from unmirage.records import memory
from unmirage.records.jsonlines import (
    MAX_LIST,
    is_json,
    json_text,
    lines,
    read_lines,
    read_list,
    refuse_undecodable,
    refuse_utf16,
    series,
    to_frame,
)
from unmirage.records.progress import opened
from unmirage.records.sniff import Source
from unmirage.records.table import Table, csv_line_finder, guard
from unmirage.types import Note

MAX_TEXT = 4 * 2**30  # bytes of one CSV file, unpacked
PART = 64 * 2**20  # bytes of it read at a time
FRAME_NAME = "(frame)"


def load(source: Source, skip_bad: bool = False) -> Table:
    """The rows of one file.

    Raises:
        FileProblem: the file is empty, has no rows, is truncated or not of its kind.
    """
    with guard(source.name):
        opened(source.name)
        _refuse_strange(source)
        if source.kind in ("csv", "tsv"):
            table = _csv(source)
        elif source.kind in ("jsonl", "json"):
            table = _json(source, skip_bad)
        else:
            table = _binary(source)
        if table.frame.height == 0 or table.frame.width == 0:
            raise FileProblem("holds no rows", file=source.name)
        return table


def from_frame(frame: Any, name: str = FRAME_NAME) -> Table:
    """A polars or pandas data frame, or a table of Arrow's, as a Table.

    Raises:
        FileProblem: it is none, or has no rows.
        ColumnError: two columns have one name.
    """
    with guard(name):
        if isinstance(frame, pl.LazyFrame):
            frame = frame.collect()
        elif not isinstance(frame, pl.DataFrame):
            arrow = hasattr(frame, "column_names")  # pandas can be one only by way of pyarrow
            _refuse_twice(list(frame.column_names if arrow else map(str, frame.columns)), name)
            frame = pl.DataFrame(frame) if arrow else _from_pandas(frame)
        if frame.height == 0 or frame.width == 0:
            raise FileProblem("holds no rows", file=name)
        return _table(name, "frame", plain(frame))


def is_frame(one: Any) -> bool:
    """Whether :func:`from_frame` may be tried on it."""
    arrow = hasattr(one, "column_names") and hasattr(one, "__arrow_c_stream__")
    arrow = arrow or (hasattr(one, "column_names") and hasattr(one, "__arrow_c_array__"))
    return arrow or isinstance(one, pl.LazyFrame) or hasattr(one, "columns")


def _from_pandas(frame: Any) -> pl.DataFrame:
    """By way of lists: neither pandas nor pyarrow is needed here, and NaN, NA and NaT are null.

    An index that has a name is a column (or several): ``groupby("model").mean()`` has no other.
    """
    index = [n for n in getattr(getattr(frame, "index", None), "names", ()) if n is not None]
    if index and not {*map(str, index)} & {*map(str, frame.columns)}:
        frame = frame.reset_index()
    names = list(frame.columns)
    return pl.DataFrame([series(str(c), [_cell(v) for v in frame[c].tolist()]) for c in names])


def _cell(value: Any) -> Any:
    """A cell of pandas as Python would hold it."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist"):  # of numpy
        return value.tolist()
    if hasattr(value, "isoformat"):  # a time
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return None
    return value


def _table(name: str, stem: str, frame: pl.DataFrame, notes: tuple[Note, ...] = ()) -> Table:
    numbers = pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True).alias("row")
    return Table(name, stem, frame, numbers, notes)


def table_of(name: str, stem: str, frame: pl.DataFrame, *, text: bool = False) -> Table:
    """A frame that was read elsewhere as a Table; ``text``: types are still to be guessed."""
    if frame.height == 0 or frame.width == 0:
        raise FileProblem("holds no rows", file=name)
    return replace(_table(name, stem, plain(frame)), text=text)


def _refuse_strange(source: Source) -> None:
    if source.path.stat().st_size == 0:
        raise FileProblem("is empty", file=source.name)
    with source.path.open("rb") as f:
        if f.read(40).startswith(b"version https://git-lfs"):
            mend = "fetch the file itself: git lfs pull"
            raise FileProblem("is a Git LFS pointer, not the data", file=source.name, mend=mend)


def open_source(source: Source) -> BinaryIO:
    """The bytes of a file, unpacked."""
    memory.check(file=source.name)
    opened(source.name)
    if source.zipped:
        return cast(BinaryIO, gzip.open(source.path, "rb"))
    return source.path.open("rb")


def _binary(source: Source) -> Table:
    if source.kind == "parquet":
        memory.check(memory.of_parquet(source.path))
        frame = pl.read_parquet(source.path, glob=False, hive_partitioning=False)
    else:
        frame = _arrow(source.path)
    return _table(source.name, source.stem, plain(frame))


def _arrow(path: Path) -> pl.DataFrame:
    with path.open("rb") as f:
        if f.read(6) == b"ARROW1":
            return pl.read_ipc(path)
    return pl.read_ipc_stream(path)


def _json(source: Source, skip_bad: bool) -> Table:
    with open_source(source) as stream:
        if source.kind == "json" and _first(stream) != b"{":
            raw = stream.read(MAX_LIST + 1)
            if len(raw) > MAX_LIST:
                mend = "write one record a line in a .jsonl file"
                raise FileProblem("is larger than 1 GiB", file=source.name, mend=mend)
            listed, notes = read_list(raw, source.name)
            frame, numbers = to_frame(listed, source.name)
        else:
            notes = []
            rows = read_lines(stream, source.name, skip_bad, notes)
            try:
                frame, numbers = to_frame(rows, source.name)
            except FileProblem as e:
                if source.kind != "json":
                    raise
                what = f"is neither a list of records nor JSON lines ({e.what})"
                raise FileProblem(what, file=source.name, where=e.where, mend=e.mend) from e
    return Table(source.name, source.stem, frame, numbers, tuple(notes))


def _first(stream: BinaryIO) -> bytes:
    """The first byte that is neither space nor byte-order mark; the stream is rewound."""
    head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    stream.seek(0)
    return head[:1]


def looks_like_records(source: Source) -> bool:
    """Whether a .json file found in a folder is a list, or holds one object a line (a folder also
    holds configurations, which are passed over).

    Raises:
        FileProblem: it is no JSON to its end: cut short, it may have held records.
    """
    if source.kind != "json":
        return True
    with guard(source.name), open_source(source) as stream:
        first = _first(stream)
        if first == b"[":
            return True
        if first == b"{" and _one_a_line(stream):
            return True
    refuse_damaged(source)
    return False


def refuse_damaged(source: Source) -> None:
    """Raises FileProblem where a .json file is not one JSON value to its end."""
    with guard(source.name):
        if source.path.stat().st_size > MAX_LIST:
            raise FileProblem("is larger than 1 GiB", file=source.name)
        memory.check(source.path.stat().st_size)
        refuse_undecodable(source.path.read_bytes(), source.name)


def _one_a_line(stream: BinaryIO) -> bool:
    """Whether the first two lines that are not blank begin an object each, and the first ends it;
    the stream is rewound."""
    try:
        found = list(islice(lines(stream, ""), 2))
        return len(found) == 2 and found[1][1][:1] == b"{" and is_json(found[0][1])
    except FileProblem:
        return False
    finally:
        stream.seek(0)


# ---------------------------------------------------------------- CSV


def _csv(source: Source) -> Table:
    memory.check(source.path.stat().st_size)
    with open_source(source) as stream:
        raw = _whole(stream)
    if len(raw) > MAX_TEXT:
        raise FileProblem("is larger than 4 GiB", file=source.name, mend="convert it to Parquet")
    # the bytes, the text, the bytes that polars parses, and its cells, of 16 bytes each
    memory.check(3 * len(raw) + 20 * (raw.count(b",") + raw.count(b"\t") + raw.count(b"\n")))
    refuse_utf16(raw, source.name)
    text, notes = _decode(raw.removeprefix(b"\xef\xbb\xbf"), source.name)
    if not text.strip():
        raise FileProblem("is empty", file=source.name)
    separator = "\t" if source.kind == "tsv" else _separator(text)
    _check_header(text, separator, source.name)
    notes += cut_short(text, separator, source.name)
    try:
        frame = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except pl.exceptions.ComputeError:
        _refuse_open_quote(text, separator, source.name)
        _refuse_long_rows(text, separator, source.name)
        raise
    table = _table(source.name, source.stem, frame, tuple(notes))
    # a blank line is no row, yet it keeps its number
    kept = ~pl.all_horizontal(pl.all().is_null())
    mask = frame.select(kept.alias("kept"))["kept"]
    return Table(
        source.name,
        source.stem,
        frame.filter(mask),
        table.numbers.filter(mask),
        table.notes,
        text=True,
        line=csv_line_finder(text, separator),
    )


def _whole(stream: BinaryIO) -> bytes:
    """All bytes up to one more than may be; zipped ones may be many more than the file's."""
    parts, size = [], 0
    while size <= MAX_TEXT and (part := stream.read(min(PART, MAX_TEXT + 1 - size))):
        parts.append(part)
        size += len(part)
        memory.check(size)
    return b"".join(parts)


def _decode(raw: bytes, name: str) -> tuple[str, list[Note]]:
    try:
        return raw.decode("utf-8"), []
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        count = text.count("\ufffd")
        message = "bytes that are no UTF-8 text; read as U+FFFD"
        return text, [Note("warning", "bad_text", message, name, count)]


def _separator(text: str) -> str:
    head = text.split("\n", 1)[0]
    return "," if "," in head else max(",;\t|", key=head.count)


def _check_header(text: str, separator: str, name: str) -> None:
    """polars would rename the second of two equal columns silently."""
    try:
        header = next(csv.reader(io.StringIO(text[: 2**20], newline=""), delimiter=separator), [])
    except csv.Error as e:
        raise FileProblem(f"has no readable header ({e})", file=name) from e
    _refuse_twice(header, name)


def _refuse_twice(names: list[str], name: str) -> None:
    seen = Counter(names)
    twice = sorted(n for n, count in seen.items() if count > 1)
    if twice:
        raise ColumnError(f"two columns are named {twice[0]!r}", file=name, mend="rename one")


def _refuse_long_rows(text: str, separator: str, name: str) -> None:
    """Says where the first row with more cells than the header stands; polars does not."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        width = len(next(reader, []))
        for row in reader:
            if len(row) > width:
                what = f"a row has {len(row)} cells, the header {width}"
                mend = f"put cells that hold {separator!r} in quotes, or remove what is too much"
                where = f"line {reader.line_num}"
                raise FileProblem(what, file=name, where=where, mend=mend)
    except csv.Error:
        return


def cut_short(text: str, separator: str, name: str) -> list[Note]:
    """What the end of a CSV file says of whether it is whole.

    Raises:
        FileProblem: it ends within quotes.
    """
    if text.count('"') % 2:
        _refuse_open_quote(text, separator, name)
    if text.endswith(("\n", "\r")):
        return []
    width = len(_cells(text[: 2**20], separator))
    last = text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]
    # cells in quotes hold separators and ends of lines: then the last line cannot be judged alone
    if '"' not in last and last.count(separator) + 1 < width:
        message = "the last line has no end and lacks its last cell: the file may be cut short"
        return [Note("warning", "cut_short", message, name)]
    message = "the last line has no end: were the file cut short, its last cell would be too"
    return [Note("info", "no_last_end", message, name)]


def _cells(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error:
        return []


def _refuse_open_quote(text: str, separator: str, name: str) -> None:
    """Raises FileProblem where a file ends within quotes; one with 5" in a cell does not."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as e:
        if "unexpected end" in str(e) or "field limit" in str(e):
            mend = "the file may be cut short: repair it, or close the quote"
            where = f"line {line}"
            raise FileProblem("a quote is not closed", file=name, where=where, mend=mend) from e


# ---------------------------------------------------------------- plain types


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of few types: Boolean, Int64, Float64, String, Date..., and lists of these."""
    return frame.with_columns(plain_series(s) for s in frame.get_columns())


def plain_series(s: pl.Series) -> pl.Series:
    """One column in a plain type; what has none becomes text (nested values: JSON text)."""
    dtype = s.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        if isinstance(inner, pl.DataType) and (inner.is_numeric() or inner in (pl.Boolean,)):
            to = inner if inner == pl.Boolean else pl.Float64()
            return s.cast(pl.List(to))
        if inner in (pl.String, pl.Null) or isinstance(inner, (pl.Categorical, pl.Enum)):
            return s.cast(pl.List(pl.String))
    elif dtype.is_integer():
        wide = s.cast(pl.Int64, strict=False)
        return wide if wide.null_count() == s.null_count() else s.cast(pl.Float64)
    elif dtype.is_numeric():
        return s.cast(pl.Float64)
    elif dtype == pl.Null or isinstance(dtype, (pl.Categorical, pl.Enum)):
        return s.cast(pl.String)
    elif dtype.is_temporal() or dtype in (pl.Boolean, pl.String):
        return s
    return pl.Series(s.name, [_text(v) for v in s.to_list()], dtype=pl.String)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return json_text(value)
    except (TypeError, ValueError):
        return str(value)


def absolute(path: Path) -> Path:
    """The path with no links and dots, to see that a file was named twice."""
    return Path(os.path.realpath(path))
