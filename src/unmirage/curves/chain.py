"""What each step from log-probability to accuracy costs: how well single items follow scale.

A model gives a choice a log-probability; that becomes a probability, a share among the choices, and
at last right or wrong. At each step the scores of an item follow the size of the models less well
(Schaeffer et al. 2024, "Why has predicting downstream capabilities of frontier AI models with scale
remained elusive?"). Here: for each item the correlation over the models of a family between its
score and the logarithm of scale, and how these are spread over the items.

Axes: M rungs, S items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import stats

from unmirage import metrics
from unmirage.curves.options import Options, pick
from unmirage.curves.samples import MIN_COMMON, Grid, by_ladder, rung_means
from unmirage.metrics.ragged import finite
from unmirage.types import Floats, Key, Records

#: rungs below which a correlation says nothing
MIN_RUNGS = 3
_Scored = tuple[str, str, Callable[[pl.DataFrame], Floats]]  # name, title, scores of rows


@dataclass(frozen=True)
class Spread:
    """Correlations of single items with log scale; the rest of the items never change."""

    mean: float  # over the items where it is defined; NaN where there is none
    low: float  # 10 % of the items lie below
    median: float
    high: float  # 10 % of the items lie above
    defined: float  # share of the items whose score is not the same in every model


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the chain."""

    name: str
    title: str
    score: Floats  # (M,) mean over the items
    spearman: Spread
    pearson: Spread


@dataclass(frozen=True, eq=False)
class Chain:
    """The steps of one family on one task; on the same items throughout."""

    key: Key  # its metric is empty
    scale_name: str
    scale: Floats  # (M,)
    models: tuple[str, ...]
    items: int
    steps: tuple[Step, ...]


def _logprob_of_right(rows: pl.DataFrame) -> Floats:
    """Log-probability of the right choice, NaN where the item cannot be scored, (rows,)."""
    index = pl.col("target_index")
    within = (index >= 0) & (index < pl.col("choice_logprobs").list.len())
    right = pl.col("choice_logprobs").list.get(index, null_on_oob=True)
    values = rows.select(pl.when(within).then(right).cast(pl.Float64)).to_series().to_numpy()
    scored = ~np.isnan(metrics.score("prob_choice", rows))  # one rule of what can be scored
    return np.where(scored, values, np.nan)


def _all_right(rows: pl.DataFrame) -> Floats:
    """1 where every token of the target is the most likely one, (rows,)."""
    share = metrics.score("token_accuracy", rows)
    return finite(np.where(np.isnan(share), np.nan, (share == 1.0).astype(float)))


def _ours(name: str) -> Callable[[pl.DataFrame], Floats]:
    return lambda rows: metrics.score(name, rows)


#: (needs, steps): the chains that answers may allow, from smooth to sharp
_CHAINS: tuple[tuple[tuple[str, ...], tuple[_Scored, ...]], ...] = (
    (
        ("choice_logprobs", "target_index"),
        (
            ("logprob_choice", "log p of the right choice", _logprob_of_right),
            ("prob_choice", "p of the right choice", _ours("prob_choice")),
            ("prob_choice_norm", "p among the choices", _ours("prob_choice_norm")),
            ("accuracy", "accuracy", _ours("accuracy")),
        ),
    ),
    (
        ("token_logprobs", "token_correct"),
        (
            ("log_likelihood", "log p of the target", _ours("log_likelihood")),
            ("target_prob", "p of the target", _ours("target_prob")),
            ("all_tokens_right", "all tokens right", _all_right),
        ),
    ),
)


def chains(records: Records, options: Options | None = None) -> tuple[Chain, ...]:
    """The chain of every ladder whose answers allow one.

    >>> from unmirage.records import read
    >>> logp = [[-3.0, -1.0], [-2.0, -1.5], [-1.0, -2.0], [-0.5, -3.0]]
    >>> found = chains(read(pl.DataFrame({
    ...     "params": [1e7, 1e8, 1e9, 1e10], "item": "a", "target_index": 0,
    ...     "choice_logprobs": logp,
    ... })))
    >>> [round(step.spearman.mean, 2) for step in found[0].steps]
    [1.0, 1.0, 1.0, 0.89]
    """
    options = options or Options()
    frame = records.samples
    if not frame.height:
        return ()
    found: list[Chain] = []
    groups, _, ladders = by_ladder(pick(frame, options), options)
    for number, rows in ladders:
        key, scale_name = groups.keys[number], groups.scale_names[number]
        ladder = groups.rows.filter(pl.col("_curve") == number).sort("_scale")
        for needs, steps in _CHAINS:
            there = rows.filter(pl.all_horizontal(pl.col(c).is_not_null() for c in needs))
            if there.height and ladder.height >= MIN_RUNGS:
                chain = _chain(replace(key, metric=""), scale_name, ladder, there, steps)
                found += [chain] if chain else []
    return tuple(found)


def _chain(
    key: Key,
    scale_name: str,
    ladder: pl.DataFrame,
    rows: pl.DataFrame,
    steps: Sequence[_Scored],
) -> Chain | None:
    """None where too few items are the same in all models."""
    ladder = ladder.filter(pl.col("_cell").is_in(rows["_cell"].unique().implode()))
    if ladder.height < MIN_RUNGS:
        return None
    grid = Grid.of(ladder, rows)
    scores = [rung_means(score(rows), grid) for _, _, score in steps]
    whole = grid.common & ~np.any([np.isnan(s).any(axis=0) for s in scores], axis=0)
    if whole.sum() < max(1, MIN_COMMON * len(whole)):
        return None
    scale = ladder["_scale"].to_numpy()
    x = np.log10(scale)
    made = tuple(
        Step(name, title, s[:, whole].mean(axis=1), *spreads(x, s[:, whole]))
        for (name, title, _), s in zip(steps, scores, strict=True)
    )
    models = ladder["model"] if "model" in ladder.columns else ladder["_scale"].cast(pl.String)
    return Chain(key, scale_name, scale, tuple(models.to_list()), int(whole.sum()), made)


def spreads(x: Floats, scores: Floats) -> tuple[Spread, Spread]:
    """Spearman's and Pearson's correlation of each item's scores (M, S) with x (M,)."""
    ranks = np.asarray(stats.rankdata(scores, axis=0), dtype=float)
    finite_items = np.isfinite(scores).all(axis=0)
    plain = np.where(finite_items, scores, 0.0)  # p = 0 has no log: its ranks still count
    pearson = np.where(finite_items, _correlation(x, plain), np.nan)
    return _spread(_correlation(stats.rankdata(x), ranks)), _spread(pearson)


def _correlation(x: Floats, scores: Floats) -> Floats:
    """(S,) correlation of each column with x; NaN where the column is constant."""
    a, b = x - x.mean(), scores - scores.mean(axis=0)
    constant = np.ptp(scores, axis=0) == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        r = a @ b / np.sqrt((a @ a) * (b * b).sum(axis=0))
    return np.where(constant, np.nan, np.clip(r, -1.0, 1.0))


def _spread(r: Floats) -> Spread:
    there = r[~np.isnan(r)]
    if not len(there):
        return Spread(np.nan, np.nan, np.nan, np.nan, 0.0)
    low, median, high = np.quantile(there, (0.1, 0.5, 0.9))
    share = len(there) / len(r)
    return Spread(float(there.mean()), float(low), float(median), float(high), share)
