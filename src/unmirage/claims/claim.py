"""What crosses the modules of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from unmirage.report.panels import Panel
from unmirage.types import Judgement

Answer = Literal[
    "as the article says",
    "in part",
    "not here",
    "yes, here",
    "no sign of it here",
    "undecided here",
]
Cell = str | int | float | None


@dataclass(frozen=True)
class Claim:
    """One claim, and what our families say to it."""

    id: str  # "P1"
    title: str
    article: str  # what the article shows, in our words, with its figure
    answer: Answer
    ours: str  # what we see, with figures
    differs: str  # where our families behave otherwise, and why
    table: Sequence[Mapping[str, Cell]]
    panels: Sequence[Panel] = field(default_factory=tuple)
    columns: int = 3  # panels in a row


def steepness(judgement: Judgement) -> float:
    """How many times as steep as a straight line; NaN where it was not tested."""
    found = judgement.finding("sharpness")
    value = found.values.get("steepness") if found else None
    return float(value) if isinstance(value, int | float) else float("nan")


def number(value: float) -> str:
    """A figure for a sentence or a table: three significant digits."""
    if value != value:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def last_step(frame: pl.DataFrame) -> pl.DataFrame:
    """The records of every model after its last step."""
    return frame.filter(pl.col("step") == pl.col("step").max().over("family", "model"))


def item_number(column: str = "item") -> pl.Expr:
    """The place of an item within its stratum: the digits at the end of its name."""
    return pl.col(column).str.extract(r"(\d+)$").cast(pl.Int64)
