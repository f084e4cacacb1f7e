"""Which curves are asked for, and what the tables do not say."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from unmirage import metrics
from unmirage.curves.identity import Choice, where
from unmirage.types import Curve, Facts, Floats, Note, Refusal


@dataclass(frozen=True)
class Options:
    """As the user gave them; see :func:`unmirage.audit`."""

    family: Sequence[str] = ()  # shell patterns
    task: Sequence[str] = ()
    metric: Sequence[str] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    higher_is_better: Sequence[str] = ()
    lower_is_better: Sequence[str] = ()
    percent: Sequence[str] = ()  # already divided by 100 when read
    items: int | None = None
    chance: Mapping[str, float] = field(default_factory=dict)  # task (or "*") -> chance level


@dataclass(frozen=True)
class Built:
    curves: tuple[Curve, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    identity: tuple[str, ...]


def pick(frame: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Rows of the families and tasks asked for (the metric is chosen later), and --where."""
    for column, patterns in (("family", options.family), ("task", options.task)):
        if patterns and column in frame.columns:
            frame = frame.filter(pl.col(column).is_in(matching(frame[column], patterns)))
    present = {k: v for k, v in options.where.items() if k.rstrip("!") in frame.columns}
    return where(frame, present or options.where)


def matching(names: Iterable[str | None], patterns: Sequence[str]) -> list[str]:
    """Names that fit one of the shell patterns, case aside."""
    known = sorted({n for n in names if n is not None})
    low = [p.casefold() for p in patterns]
    return [n for n in known if any(fnmatch.fnmatchcase(n.casefold(), p) for p in low)]


def wanted(name: str, options: Options) -> bool:
    """Is this metric asked for, by name, alias or pattern?"""
    if not options.metric or matching([name], options.metric):
        return True
    known = metrics.facts(name)
    asked = [f.name for p in options.metric if (f := metrics.facts(p)) is not None]
    return name in asked or (known is not None and bool(matching([known.name], options.metric)))


def facts_of(name: str, said: bool | None, options: Options) -> Facts | None:
    """What is known of a reported metric: options first, then the table, then its name."""
    known = metrics.facts(name)
    direction = said
    if matching([name], options.higher_is_better):
        direction = True
    elif matching([name], options.lower_is_better):
        direction = False
    if direction is None:
        # sklearn's convention: a thing called score is better when higher
        direction = known.higher_is_better if known else (True if name == "score" else None)
    if direction is None:
        return None
    if known is None:
        return Facts(name, name, -np.inf, np.inf, direction, linear=False, continuous=False)
    return replace(known, higher_is_better=direction)


def direction_of(frame: pl.DataFrame) -> bool | None:
    if "higher_is_better" not in frame.columns:
        return None
    said = frame["higher_is_better"].drop_nulls().unique().to_list()
    return bool(said[0]) if len(said) == 1 else None


def clip(bound: Floats, facts: Facts) -> Floats:
    return np.clip(bound, facts.low, facts.high)


def floor_of(chance: float, facts: Facts) -> float:
    """Chance level, else the worst value; NaN where there is none."""
    if np.isfinite(chance):
        return float(chance)
    worst = facts.low if facts.higher_is_better else facts.high
    return float(worst) if np.isfinite(worst) else np.nan


def ceiling_of(facts: Facts) -> float:
    best = facts.high if facts.higher_is_better else facts.low
    return float(best) if np.isfinite(best) else np.nan
