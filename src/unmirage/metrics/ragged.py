"""Lists of unequal length, laid end to end, so that numpy can score them all at once.

Axes: S items, N all elements of all lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.types import Floats

#: float32 log-softmax may round a log-probability of 0 a little above 0
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Ragged:
    """One list per item. A missing cell and an empty list both have length 0."""

    flat: NDArray[Any]  # (N,)
    length: NDArray[np.int64]  # (S,)

    @property
    def start(self) -> NDArray[np.int64]:
        """Where each list begins in ``flat``, (S,)."""
        return np.asarray(np.cumsum(self.length) - self.length, dtype=np.int64)

    @property
    def row(self) -> NDArray[np.int64]:
        """The item that each element belongs to, (N,)."""
        return np.repeat(np.arange(len(self.length)), self.length)

    def reduce(self, how: np.ufunc, flat: NDArray[Any] | None = None) -> Floats:
        """``how`` over each list, (S,); NaN where the list is empty."""
        out = np.full(len(self.length), np.nan)
        full = self.length > 0
        if full.any():
            values = self.flat if flat is None else flat
            # empty lists take no room, so the starts of the others cut ``flat`` without gaps
            with np.errstate(invalid="ignore", over="ignore"):
                out[full] = how.reduceat(values, self.start[full])
        return out

    def fit(self, other: Ragged, same: NDArray[np.bool_]) -> Floats:
        """The elements of ``other`` laid out as ``self``; NaN where not ``same``, (N,)."""
        out = np.full(len(self.flat), np.nan)
        out[np.repeat(same, self.length)] = other.flat[np.repeat(same, other.length)]
        return out


def lists(samples: pl.DataFrame, column: str, dtype: type[pl.DataType]) -> tuple[Ragged, pl.Series]:
    """A list column as :class:`Ragged` of polars' own elements, and those elements as a series."""
    cells = samples[column].cast(pl.List(dtype), strict=False)
    length = cells.list.len().fill_null(0)
    flat = cells.filter(length > 0).explode()
    return Ragged(np.empty(0), length.to_numpy().astype(np.int64)), flat


def reals(samples: pl.DataFrame, column: str) -> Ragged:
    """A list column of numbers (or of true and false); a null element becomes NaN.

    >>> r = reals(pl.DataFrame({"x": [[1.0, None], None, [], [2.0]]}), "x")
    >>> r.flat.tolist(), r.length.tolist()
    ([1.0, nan, 2.0], [2, 0, 0, 1])
    """
    shape, flat = lists(samples, column, pl.Float64)
    return Ragged(flat.to_numpy(), shape.length)


def nats(samples: pl.DataFrame, column: str) -> Ragged:
    """A list column of log-probabilities; what cannot be one (above 0, NaN) becomes NaN.

    Values up to 1e-6 above 0 are rounding and become 0; -inf (probability 0) stays.
    """
    found = reals(samples, column)
    with np.errstate(invalid="ignore"):
        flat = np.where(found.flat > ROUNDING, np.nan, np.minimum(found.flat, 0.0))
    return Ragged(flat, found.length)


def lengths(samples: pl.DataFrame, column: str) -> NDArray[np.int64]:
    """The length of each list, (S,); -1 where the column or the cell is missing."""
    if column not in samples.columns:
        return np.full(samples.height, -1, dtype=np.int64)
    if samples[column].dtype == pl.Null:
        return np.full(samples.height, -1, dtype=np.int64)
    return samples[column].list.len().cast(pl.Int64).fill_null(-1).to_numpy()


def integers(samples: pl.DataFrame, column: str) -> NDArray[np.int64]:
    """An integer column, (S,); -1 where the column or the cell is missing."""
    if column not in samples.columns:
        return np.full(samples.height, -1, dtype=np.int64)
    return samples[column].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()


def finite(score: Floats) -> Floats:
    """Infinite scores become NaN: one of them would make the mean over items infinite."""
    return np.where(np.isfinite(score), score, np.nan)
