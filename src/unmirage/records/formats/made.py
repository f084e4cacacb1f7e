"""Tables made of rows that a format has put into canonical columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

#: the type of each column that a format may fill
TYPES: dict[str, Any] = {**CANONICAL_AGGREGATES, **CANONICAL_SAMPLES, "task_version": pl.String}


def made_table(
    source: Source,
    head: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    notes: Sequence[Note] = (),
    *,
    line: Callable[[int], int | None] | None = None,
    scale_mend: str | None = None,
) -> Table:
    """Rows as a table: ``head`` is the same in each, and only columns that are filled are there.

    Rows with ``item`` are answers (no ``metric`` where they hold what the model answered; one more
    row for each score the tool gave, with ``metric`` and ``score``); rows without are aggregates.
    ``numbers`` are the 1-based places in the file, ``line`` tells the line of a place.
    """
    names = dict.fromkeys(k for row in rows for k, v in row.items() if v is not None)
    frame = pl.DataFrame(
        [pl.Series(c, [row.get(c) for row in rows], dtype=TYPES[c]) for c in names]
    )
    same = [pl.lit(v, dtype=TYPES[c]).alias(c) for c, v in head.items() if v is not None]
    return Table(
        source.name,
        source.stem,
        frame.with_columns(same),
        pl.Series("row", numbers, dtype=pl.Int64),
        tuple(notes),
        line=line,
        scale_mend=scale_mend,
    )
