"""Which curves of a task are one source of scores: each by itself, and those that are pooled.

Subtasks may be averaged (macro: every subtask alike; micro: every item alike), seeds and prompts
too; any other setting that the records hold in several values is a choice between them.
Axes: S items, M rungs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from unmirage.multiverses.choices import (
    MEAN,
    Choices,
    Cut,
    Ints,
    k_of_k_cuts,
    rung_sets,
    threshold_cuts,
)
from unmirage.types import Curve, Floats

#: settings that may be averaged over, and how
POOLED = {
    "subtask": ("macro mean", "micro mean"),
    "seed": ("mean",),
    "prompt_name": ("mean",),
}
AXES = ("params", "flops", "tokens")


@dataclass(frozen=True, eq=False)
class Source:
    """Curves whose scores are joined into one, under one metric."""

    levels: Mapping[str, str]  # choice (metric, and settings that vary) -> level
    members: tuple[Curve, ...]
    micro: bool  # all items alike, else all members alike
    cuts: tuple[Cut, ...]
    rungs: Mapping[str, Ints]  # name -> rungs kept
    axes: Mapping[str, Floats]  # name -> scale of the rungs (M,)

    @property
    def first(self) -> Curve:
        return self.members[0]


_Joined = tuple[Mapping[str, str], tuple[Curve, ...], bool]


def sources(curves: Sequence[Curve], frame: pl.DataFrame, chosen: Choices) -> list[Source]:
    """All sources of one family and task; ``frame`` holds the rows that they were made of.

    Raises what :func:`threshold_cuts` and :func:`k_of_k_cuts` raise.
    """
    varying = _varying(curves)
    found: list[_Joined] = [(_levels(c, varying), (c,), False) for c in curves]
    for column in varying:
        found += _pooled(curves, varying, column)
    axes = _axes_of_all(curves, frame)
    made = []
    for levels, members, micro in found:
        first = members[0]
        cuts = _cuts(members, chosen)
        rungs = rung_sets(first.scale, chosen)
        made.append(Source(levels, members, micro, cuts, rungs, axes[id(first)]))
    return made


def _varying(curves: Sequence[Curve]) -> list[str]:
    """Settings that are not the same in all curves of a metric: of those there is a choice."""
    values: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    names = sorted({name for c in curves for name, _ in c.key.settings})
    for c in curves:
        held = dict(c.key.settings)
        for name in names:
            values[c.key.metric, name].add(held.get(name))
    return [n for n in names if any(len(v) > 1 for (_, name), v in values.items() if name == n)]


def _levels(curve: Curve, varying: Sequence[str]) -> dict[str, str]:
    held = dict(curve.key.settings)
    return {"metric": curve.key.metric, **{name: held.get(name, "–") for name in varying}}


def _pooled(curves: Sequence[Curve], varying: Sequence[str], column: str) -> list[_Joined]:
    """Averages over the values of one setting, where the rungs are the same."""
    groups: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
    for c in curves if column in POOLED else ():
        held = dict(c.key.settings)
        if column in held:
            rest = tuple(s for s in c.key.settings if s[0] != column)
            groups[c.key.metric, rest, c.scale_name, tuple(c.scale)].append(c)
    out: list[_Joined] = []
    for members in groups.values():
        for how in POOLED[column] if len(members) > 1 else ():
            micro = how == "micro mean"
            if micro and not _countable(members):
                continue
            levels = {**_levels(members[0], varying), column: how}
            out.append((levels, tuple(members), micro))
    return out


def _countable(members: Sequence[Curve]) -> bool:
    """Is it known how much each member weighs in an average over items?"""
    return all(c.items is not None or np.isfinite(c.count).all() for c in members)


def _cuts(members: Sequence[Curve], chosen: Choices) -> tuple[Cut, ...]:
    """Ways from scores of items to a score of a model."""
    if any(c.items is None for c in members):
        return (MEAN,)
    matrices = [c.items.scores for c in members if c.items is not None]
    scores = np.concatenate([m.ravel() for m in matrices])
    name = members[0].key.metric
    if all(map(is_right_or_wrong, members)):
        fewest = min(m.shape[1] for m in matrices)
        return (MEAN, *k_of_k_cuts(name, fewest, chosen))
    return (MEAN, *threshold_cuts(name, members[0].facts, scores, chosen))


def is_right_or_wrong(curve: Curve) -> bool:
    """Is the score of every item 0 or 1?"""
    return curve.items is not None and bool(np.isin(curve.items.scores, (0.0, 1.0)).all())


def _axes_of_all(curves: Sequence[Curve], frame: pl.DataFrame) -> dict[int, dict[str, Floats]]:
    """The axes of every curve by its id; metrics of the same models have the same."""
    made: dict[tuple[object, ...], dict[str, Floats]] = {}
    out = {}
    for c in curves:
        same = (c.scale_name, tuple(c.scale), c.models, c.key.settings)
        if same not in made:
            made[same] = _axes(c, frame)
        out[id(c)] = made[same]
    return out


def _axes(curve: Curve, frame: pl.DataFrame) -> dict[str, Floats]:
    """The scale of the curve, and other sizes of the same models that space them otherwise."""
    axes = {curve.scale_name: curve.scale}
    if "model" not in frame.columns:
        return axes
    held = dict(curve.key.settings)
    known = [c for c in held if c in frame.columns and c != "variant"]
    same = [pl.col(c).cast(pl.String) == held[c] for c in known]
    rows = frame.filter(pl.col("model").is_in(curve.models), *same)
    for name in AXES:
        if name in axes or name not in rows.columns:
            continue
        sizes = dict(rows.group_by("model").agg(pl.col(name).max()).iter_rows())
        scale = np.array([sizes.get(m) or np.nan for m in curve.models], float)
        if _another(scale, list(axes.values())):
            axes[name] = scale
    return axes


def _another(scale: Floats, axes: Sequence[Floats]) -> bool:
    """Every rung has a size of its own, and they are not spaced as on an axis that is there."""
    if not (np.isfinite(scale) & (scale > 0)).all() or len(set(scale)) < len(scale):
        return False
    return not any(np.allclose(_spacing(scale), _spacing(a), atol=1e-6) for a in axes)


def _spacing(scale: Floats) -> Floats:
    """Places of the rungs between the smallest, 0, and the largest, 1, on a logarithmic axis."""
    x = np.log10(scale)
    return np.asarray((x - x.min()) / np.ptp(x))
