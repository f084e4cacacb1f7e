"""Which curves are asked for, and what the tables do not say."""

from __future__ import annotations

import fnmatch
import re
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


def listed(names: str | Sequence[str]) -> Sequence[str]:
    """One name or many, as a list of names."""
    return [names] if isinstance(names, str) else list(names)


def pick(frame: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Rows of the families and tasks asked for (the metric is chosen later), and --where."""
    for column, patterns in (("family", options.family), ("task", options.task)):
        if patterns and column in frame.columns:
            frame = frame.filter(pl.col(column).is_in(matching(frame[column], patterns)))
    present = {k: v for k, v in options.where.items() if k.rstrip("!") in frame.columns}
    return where(frame, present or options.where)


def matching(names: Iterable[str | None], patterns: Sequence[str]) -> list[str]:
    """Names that fit one of the shell patterns, case aside; else those that contain one."""
    known = sorted({n for n in names if n is not None})
    found: dict[str, None] = {}
    for pattern in (p.casefold() for p in patterns):
        fit = [n for n in known if fnmatch.fnmatchcase(n.casefold(), pattern)]
        if not fit and not set(pattern) & set("*?["):
            fit = [n for n in known if pattern in n.casefold()]  # lambada: lambada_openai
        found.update(dict.fromkeys(fit))
    return sorted(found)


def wanted(name: str, options: Options) -> bool:
    """Is this metric asked for, by name, alias or pattern?"""
    low = [p.casefold() for p in options.metric]
    if not low or any(fnmatch.fnmatchcase(name.casefold(), p) for p in low):
        return True
    known = metrics.facts(name)
    asked = [f.name for p in options.metric if (f := metrics.facts(p)) is not None]
    return name in asked or (
        known is not None and any(fnmatch.fnmatchcase(known.name, p) for p in low)
    )


#: words in the name of a column of scores that tell that less is better
_LOSSES = re.compile(r"loss|perplexity|ppl|entropy|nll|bpb|bits_per|error|brier|distance", re.I)


def facts_of(name: str, said: bool | None, options: Options, task: str = "") -> Facts | None:
    """What is known of a reported metric: options first, then the table, then its name."""
    known = metrics.facts(name)
    if name == "score" and known is None and (tail := re.split(r"[/.]", task)[-1]):
        known = metrics.facts(tail)  # a wide table whose columns are named after losses
    direction = said
    for names, better in ((options.higher_is_better, True), (options.lower_is_better, False)):
        low = [p.casefold() for p in names]
        if any(fnmatch.fnmatchcase(n.casefold(), p) for n in (name, task) for p in low):
            direction = better
    if direction is None and known is not None:
        direction = known.higher_is_better
    if direction is None and name == "score" and not _LOSSES.search(task):
        direction = True  # scikit-learn's convention: a score is better when higher
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
