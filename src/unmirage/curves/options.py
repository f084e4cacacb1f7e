"""Which curves are asked for, and what the tables do not say."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from unmirage import metrics
from unmirage.curves.identity import where
from unmirage.curves.rungs import Choice
from unmirage.errors import OptionError
from unmirage.types import Curve, Facts, Floats, Note, Records, Refusal


@dataclass(frozen=True)
class Options:
    """As the user gave them; see :func:`unmirage.audit`. :func:`options_of` makes them."""

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

    def told(self, built: Built, records: Records) -> dict[str, object]:
        """The settings that say which rows made the curves, as every result carries them."""
        choice = self.choice
        return {
            "scale": choice.scale or "chosen per family",
            "checkpoint": choice.checkpoint,
            "identity": list(built.identity),
            "by": list(choice.by),
            "ignore": list(choice.ignore),
            **{name: list(getattr(self, name)) for name in _LISTS},
            "items": self.items,
            "chance": dict(self.chance),
            "files": files_of(records),
            "where": dict(self.where),
        }


_LISTS = ("family", "task", "metric", "higher_is_better", "lower_is_better", "percent")


@dataclass(frozen=True)
class Built:
    curves: tuple[Curve, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    identity: tuple[str, ...]


def options_of(
    *,
    family: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
    metric: str | Sequence[str] = (),
    scale: str | None = None,
    where: Mapping[str, str] | None = None,
    by: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    checkpoint: str = "final",
    higher_is_better: str | Sequence[str] = (),
    lower_is_better: str | Sequence[str] = (),
    percent: str | Sequence[str] = (),
    items: int | None = None,
    chance: Mapping[str, float] | None = None,
) -> Options:
    """The options of :func:`unmirage.audit`, checked; one name may stand for a list of one.

    Raises
    ------
    OptionError
        fewer than 1 item, or a chance level outside [0, 1).
    """
    if items is not None and items < 1:
        raise OptionError(f"{items} items behind each score", mend="--items 500")
    chance = {} if chance is None else chance
    if not isinstance(chance, Mapping) or not all(0 <= c < 1 for c in chance.values()):
        raise OptionError(
            f"chance level {chance!r}", mend="a share of 1 by task: --chance mmlu=0.25"
        )
    lists = (family, task, metric, higher_is_better, lower_is_better, percent)
    return Options(
        **dict(zip(_LISTS, map(listed, lists), strict=True)),
        where=dict(where or {}),
        choice=Choice(scale, listed(by), listed(ignore), checkpoint),
        items=items,
        chance=dict(chance),
    )


def listed(names: str | Sequence[str]) -> Sequence[str]:
    """One name or many, as a list of names."""
    return [names] if isinstance(names, str) else list(names)


def files_of(records: Records) -> list[str]:
    """The files that rows of the records came from."""
    frames = [f for f in (records.samples, records.aggregates) if "file" in f.columns]
    return sorted({n for f in frames for n in f["file"].drop_nulls().unique().to_list()})


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
