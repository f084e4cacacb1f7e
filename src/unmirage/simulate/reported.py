"""Reported scores of simulated families: aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import special

from unmirage.simulate.families import Family, Metric, expected, family, refuse, total_of
from unmirage.simulate.truths import Design, Truth
from unmirage.types import Floats


def scores(
    truth: Truth,
    design: Design,
    *,
    families: int = 1,
    metrics: Sequence[Metric] = ("exact_match",),
    seed: int = 0,
) -> pl.DataFrame:
    """A table of reported scores, one row a (family, seed, rung, metric): aggregates.

    Shares carry ``n_samples``, cross-entropy its ``stderr``. Rungs are independent: what models
    have in common in the luck of their items is in :func:`samples` only.
    """
    refuse(design, metrics, families)
    frames = []
    for number in range(families):
        rng = np.random.default_rng([seed, number])
        drawn = family(truth, design, rng)
        n = rng.binomial(design.items, 1 - design.missing, drawn.p.shape).clip(1)
        for metric in metrics:
            mean = expected(drawn.p, design, metric)
            if metric == "cross_entropy":
                sd = np.sqrt(_variance(drawn.p, design) / n)
                made = np.maximum(mean + sd * rng.standard_normal(mean.shape), 1e-9)
                more: dict[str, Floats] = {"stderr": sd.ravel()}
            elif metric == "token_accuracy":
                made, sd = _token_accuracy(drawn.p, design, n, rng)
                more = {"stderr": sd.ravel()}
            else:
                made = rng.binomial(n, np.clip(mean, 0, 1)) / n
                more = {"n_samples": n.ravel().astype(float)}
            frames.append(_table(number, drawn, design, metric, made, more))
    return pl.concat(frames, how="diagonal")


def _variance(p: Floats, design: Design) -> Floats:
    """Variance of one item's mean token loss: between items, or between independent tokens."""
    total = total_of(design.dependence)
    each = special.polygamma(1, p * total) - special.polygamma(1, total)
    return np.asarray(each if design.dependence else each / design.tokens)


def _token_accuracy(
    p: Floats, design: Design, n: Any, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Mean share of right tokens: normal, with the variance of correlated tokens."""
    size, r = design.tokens, design.dependence
    sd = np.sqrt(p * (1 - p) * (1 + (size - 1) * r) / (size * n))
    return np.clip(p + sd * rng.standard_normal(p.shape), 0, 1), sd


def _table(
    number: int,
    drawn: Family,
    design: Design,
    metric: Metric,
    made: Floats,
    more: dict[str, Floats],
) -> pl.DataFrame:
    seeds, rungs = drawn.p.shape
    columns: dict[str, Any] = {
        "family": [f"F{number}"] * made.size,
        "model": [f"m{i} s{k}" for k in range(seeds) for i in range(rungs)],
        "params": np.tile(drawn.scale, seeds),
        "task": ["simulated"] * made.size,
        "metric": [metric] * made.size,
        "score": made.ravel(),
        **more,
    }
    if design.chance and metric == "accuracy":
        columns["chance"] = [design.chance] * made.size
    if seeds > 1:
        columns["seed"] = np.repeat(np.arange(seeds), rungs)
    return pl.DataFrame(columns)
