"""A table as read from one file, and how its cells are named in messages."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from unmirage.errors import FileProblem, TooLarge, UnmirageError, ValueProblem
from unmirage.records.models import NONE, OwnModels
from unmirage.types import Note


@dataclass(frozen=True, eq=False)
class Options:
    """What the caller of :func:`unmirage.records.read` asked for."""

    columns: Mapping[str, str] = field(default_factory=dict)
    scores: Sequence[str] = ()
    percent: Sequence[str] = ()
    skip_bad: bool = False
    need_scale: bool = True
    models: OwnModels = NONE  # sizes that the caller gave


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of one file with the file's own columns, and ``numbers``: the 1-based row of each."""

    name: str  # as given
    stem: str
    frame: pl.DataFrame
    numbers: pl.Series  # Int64; line numbers for JSON lines
    notes: tuple[Note, ...] = ()
    text: bool = False  # every cell is text: types are still to be guessed (CSV)
    line: Callable[[int], int | None] | None = None  # row number -> line number, where they differ
    scale_mend: str | None = None  # what to do where nothing says how large the models are


def place(table: Table, row: int, column: str | None = None) -> str:
    """``column 'params', row 3 (line 4)``."""
    parts = [f"column {column!r}"] if column else []
    line = table.line(row) if table.line else None
    parts.append(f"row {row}" + (f" (line {line})" if line else ""))
    return ", ".join(parts)


def show(value: object) -> str:
    """A cell for a message: escaped and short.

    >>> show("x" * 100)[-5:]
    'xx...'
    """
    if isinstance(value, pl.Series):
        value = value.to_list()
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def value_problem(
    table: Table, what: str, *, row: int, column: str, mend: str | None = None
) -> ValueProblem:
    """The error for one cell."""
    return ValueProblem(what, file=table.name, where=place(table, row, column), mend=mend)


def csv_line_finder(text: str, separator: str) -> Callable[[int], int | None]:
    """Row number -> line on which it ends; the file is parsed again only when asked (on errors)."""

    def line(row: int) -> int | None:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            for number, _ in enumerate(reader):
                if number == row:
                    return reader.line_num
        except csv.Error:
            pass
        return None

    return line


@contextlib.contextmanager
def guard(name: str) -> Iterator[None]:
    """Turns whatever a parser raises, a panic of polars included, into a FileProblem.

    Raises:
        FileProblem: for every exception that is not an UnmirageError.
    """
    try:
        yield
    except TooLarge as e:
        if e.file is not None:
            raise
        raise TooLarge(e.what, file=name, mend=e.mend) from e
    except UnmirageError:
        raise
    except (Exception, pl.exceptions.PanicException) as e:
        first = (str(e).strip().splitlines() or [""])[0][:200]
        mend = "the file may be truncated or of another kind than its name says"
        detail = f"{type(e).__name__}: {first}"
        raise FileProblem(f"cannot be read ({detail})", file=name, mend=mend) from e
