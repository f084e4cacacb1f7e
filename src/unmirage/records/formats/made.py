"""Tables made of rows that a format has put into canonical columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.records import memory
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
    frame = pl.DataFrame([column(c, [row.get(c) for row in rows], TYPES[c]) for c in names])
    at = pl.Series("row", numbers, dtype=pl.Int64)
    return framed(source, head, frame, at, notes, line=line, scale_mend=scale_mend)


def framed(
    source: Source,
    head: Mapping[str, Any],
    frame: pl.DataFrame,
    numbers: pl.Series,
    notes: Sequence[Note] = (),
    *,
    line: Callable[[int], int | None] | None = None,
    scale_mend: str | None = None,
) -> Table:
    """The same of rows that are a frame already."""
    memory.check(file=source.name)
    same = [pl.lit(v, dtype=TYPES[c]).alias(c) for c, v in head.items() if v is not None]
    return Table(
        source.name,
        source.stem,
        frame.with_columns(same),
        numbers,
        tuple(notes),
        line=line,
        scale_mend=scale_mend,
    )


def column(name: str, cells: list[Any], dtype: Any) -> pl.Series:
    """Cells as a column; of lists, all values are converted in one go (25 times as fast).

    >>> column("choices", [["a", "b"], None, ["c"]], pl.List(pl.String)).to_list()
    [['a', 'b'], None, ['c']]
    """
    if not isinstance(dtype, pl.List) or any(c is not None and not c for c in cells):
        return pl.Series(name, cells, dtype=dtype)
    sizes = np.fromiter((0 if c is None else len(c) for c in cells), np.int64, len(cells))
    flat = pl.Series(name, [v for c in cells if c is not None for v in c], dtype=dtype.inner)
    filled = np.flatnonzero(sizes)
    found = lists(flat, sizes[filled])
    if len(filled) == len(cells):
        return found
    places = np.zeros(len(cells), dtype=np.int64)
    places[filled] = np.arange(len(filled))
    at = pl.select(pl.when(pl.Series(sizes > 0)).then(pl.Series(places))).to_series()
    return found.gather(at)


def lists(flat: pl.Series, sizes: NDArray[np.int64]) -> pl.Series:
    """The values one after another as lists of these sizes, none of which is 0.

    >>> lists(pl.Series("a", [1, 2, 3]), np.array([2, 1])).to_list()
    [[1, 2], [3]]
    """
    if len(sizes) and (sizes == sizes[0]).all():
        return flat.reshape((-1, int(sizes[0]))).arr.to_list()
    owner = np.repeat(np.arange(len(sizes)), sizes)
    frame = pl.DataFrame({"owner": owner, "value": flat})
    found = frame.group_by("owner", maintain_order=True).agg("value")["value"]
    return found.alias(flat.name)
