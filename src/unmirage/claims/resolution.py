"""P2: with more test items the floor lifts, and how many are needed is predicted beforehand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from unmirage.claims.claim import Answer, Cell, Claim, item_number, last_step, number
from unmirage.curves.uncertainty import exact_interval
from unmirage.report.panels import Panel, Point

FIRST = 100  # items of the small test set
TIMES = (1, 10, 100)


def judge(frames: Sequence[pl.DataFrame]) -> Claim:
    """From samples of families that were asked many items; the first hundred are looked at first.

    The needed number is predicted from the log-probabilities of the targets of the first hundred
    items, p = mean of prod_t p(token t), n = log(0.05) / log(1 - p), as the audit predicts it. Only
    then are the other items looked at.
    """
    models: list[_Model] = []
    panels: list[Panel] = []
    for frame in frames:
        models += _family(last_step(frame))
        panels += _panels(last_step(frame))
    floor = [m for m in models if m.right[0] == 0]
    lifted = [m for m in floor if m.above]
    predicted = [m for m in floor if m.predicted is not None]
    within = [m for m in predicted if m.first is not None and m.first <= (m.predicted or 0)]
    below = [m for m in models if not m.above]
    constant = [m for m in models if m.above and not m.over_constant]
    answer: Answer = "in part" if lifted else "not here"
    if floor and not (below or constant) and len(within) >= len(predicted) / 2 > 0:
        answer = "as the article says"
    ours = (
        f"With {FIRST} items {len(floor)} of {len(models)} models have not one right answer; with "
        f"all of theirs (at most {FIRST * TIMES[-1]:,}) {len(lifted)} of these, and "
        f"{len(models) - len(below)} of all, are seen above chance. For "
        f"{len(predicted)} of them the log-probabilities of the first {FIRST} targets named, "
        "beforehand, a number of items that would show the score with probability 0.95; the first "
        f"right answer came within it for {len(within)}. {_ratios(predicted)}"
    )
    differs = "Chance is 10^-L, a random answer of L digits. "
    if below:
        differs += f"{len(below)} models are not above it with all items ({_names(below)}). "
    if constant:
        differs += (
            f"{len(constant)} are above it, but not shown to be above the best constant answer "
            f"({_names(constant)}): what they know may be no more than how answers are "
            "distributed. The constant is the most frequent target of every second item; a model "
            "must be above the upper end of the 95 % interval of its score on the others."
        )
    return Claim(
        "P2",
        "With 10 and 100 times the items every model is seen above chance",
        "Fig. 4: a larger test set lifts the accuracy of small models above chance, smoothly.",
        answer,
        ours,
        differs,
        [m.row() for m in models],
        panels,
        columns=3,
    )


def _ratios(predicted: Sequence[_Model]) -> str:
    """Measured over predicted numbers of items, by family, in a sentence."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for m in predicted:
        if m.measured and m.predicted:
            ratios[m.family].append(m.measured / m.predicted)
    said = [f"{f} {min(r):.2g} to {max(r):.2g}" for f, r in ratios.items()]
    return f"Measured over predicted number: {'; '.join(said)}." if said else ""


def _names(models: Sequence[_Model]) -> str:
    sizes: dict[str, set[float]] = defaultdict(set)
    for m in models:
        sizes[m.family].add(m.params)
    return "; ".join(f"{f}: {', '.join(map(number, sorted(s)))}" for f, s in sizes.items())


@dataclass(frozen=True)
class _Model:
    """One model, asked 1, 10 and 100 times the items."""

    family: str
    params: float
    seed: int
    right: tuple[int, ...]  # right answers among the first 1, 10, 100 times FIRST items
    asked: int  # items in all
    predicted: float | None  # items needed, by the log-probabilities of the first items
    measured: float | None  # items that show the measured share with probability 0.95
    first: int | None  # place of the first right answer, from 1 on
    above: bool  # above a random answer of that length, with all items
    over_constant: bool  # above the best constant answer too

    def row(self) -> dict[str, Cell]:
        right = zip(TIMES[:-1], self.right, strict=False)
        return {
            "family": self.family,
            "parameters": int(self.params),
            "seed": self.seed,
            **{f"right of {FIRST * t:,}": r for t, r in right},
            "asked": self.asked,
            "right of all": self.right[-1],
            "items needed, predicted": self.predicted,
            "items needed, measured": self.measured,
            "first right item": self.first,
            "above chance": "yes" if self.above else "no",
            "above best constant": "yes" if self.over_constant else "no",
        }


def _family(frame: pl.DataFrame) -> list[_Model]:
    frame = frame.with_columns(
        exact=pl.col("output") == pl.col("targets").list.first(), place=item_number()
    )
    longest = frame.filter(pl.col("targets").list.first().str.len_chars() == _longest(frame))
    constant = _best_constant(longest)
    family = _name(frame)
    found = []
    groups = longest.sort("params", "seed", "place").group_by("model", maintain_order=True)
    for _, mine in groups:
        exact = mine["exact"].to_numpy()
        total, n = int(exact.sum()), len(exact)
        places = np.flatnonzero(exact)
        probability = mine.filter(pl.col("place") < FIRST)["token_logprobs"].list.sum().exp()
        found.append(
            _Model(
                family,
                float(mine["params"][0]),
                int(mine["seed"][0]),
                tuple(int(exact[: FIRST * t].sum()) for t in TIMES),
                n,
                _needed(float(np.nanmean(probability.to_numpy()))),
                _needed(total / n),
                int(places[0]) + 1 if len(places) else None,
                _above(total, n, 10.0 ** -_longest(frame)),
                _above(total, n, constant),
            )
        )
    return found


def _longest(frame: pl.DataFrame) -> int:
    return int(frame.select(pl.col("targets").list.first().str.len_chars().max()).item())


def _name(frame: pl.DataFrame) -> str:
    return f"{frame['family'][0].removeprefix('lab-')}, {_longest(frame)}-digit answers"


def _needed(rate: float) -> float | None:
    """Items of which at least one is right with probability 0.95."""
    return float(np.ceil(np.log(0.05) / np.log1p(-rate))) if 0 < rate < 1 else None


def _above(right: int, asked: int, chance: float) -> bool:
    """More right answers than chance gives, one-sided binomial test at the 5 % level."""
    return right > 0 and bool(stats.binom.sf(right - 1, asked, chance) < 0.05)


def _best_constant(frame: pl.DataFrame) -> float:
    """The score of the best constant answer, upper end of its 95 % interval: chosen on every
    second item, measured on the rest."""
    one = frame.filter(pl.col("model") == frame["model"][0])
    target = one.sort("place")["targets"].list.first()
    best = target.gather_every(2).mode().sort()[0]
    hits, rest = int((target.gather_every(2, 1) == best).sum()), len(target) // 2
    return float(exact_interval(np.array([hits], float), np.array([max(rest, 1)], float))[1][0])


def _panels(frame: pl.DataFrame) -> list[Panel]:
    """Exact match against parameters with 1, 10 and 100 times the items, seed by seed."""
    frame = frame.with_columns(
        exact=pl.col("output") == pl.col("targets").list.first(), place=item_number()
    )
    frame = frame.filter(pl.col("targets").list.first().str.len_chars() == _longest(frame))
    family = _name(frame)
    panels = []
    for times in TIMES:
        part = frame.filter(pl.col("place") < FIRST * times)
        found = part.group_by("params", "seed", maintain_order=True).agg(
            pl.col("exact").sum().alias("k"), pl.len().alias("n")
        )
        points = []
        for params, seed, k, n in found.sort("params").iter_rows():
            low, high = exact_interval(np.array([k], float), np.array([n], float))
            points.append(Point(params, k / n, f"seed {seed}", float(low[0]), float(high[0])))
        panels.append(
            Panel(
                f"{family}: {int(found.select(pl.col('n').max()).item()):,} items",
                "log axis; models without a right answer are not drawn",
                "parameters",
                "exact match",
                tuple(points),
                log_y=True,
            )
        )
    return panels
