"""A family drawn from its truth, and what infinitely many items would score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from unmirage.errors import OptionError
from unmirage.simulate.truths import SHAPES, Design, Truth
from unmirage.types import Floats

#: parameters of the smallest model, log10
START = 6.0
#: where tokens are independent, how far their probabilities lie apart, on the scale of r
OWN = 4e-4

Metric = Literal["exact_match", "token_accuracy", "cross_entropy", "accuracy"]
METRICS: tuple[Metric, ...] = ("exact_match", "token_accuracy", "cross_entropy", "accuracy")


@dataclass(frozen=True, eq=False)
class Family:
    """The truth about one simulated family; axes K seeds, M rungs."""

    scale: Floats  # (M,) parameters
    p: Floats  # (K, M) per-token probability, noise between rungs included


def family(truth: Truth, design: Design, rng: np.random.Generator) -> Family:
    """Draw one family: its rungs, and the per-token probability at each."""
    t = _places(design, rng)
    m, shape = len(t), (design.seeds, len(t))
    eta = special.logit(SHAPES[truth.shape](t, truth.first, truth.last))
    eta = eta + truth.step * (np.arange(m) >= m // 2)
    eta = eta + truth.slope * design.decades * np.maximum(t - 0.5, 0.0)
    eta = np.broadcast_to(eta, shape)
    if truth.bimodal:
        ends = special.logit([truth.first, truth.last])
        has = rng.random(shape) < special.expit(8 * (t - 0.5))
        eta = np.where(has, ends[1], ends[0])
    eta = eta + design.noise * rng.standard_normal(shape)
    return Family(10 ** (START + design.decades * t), np.asarray(special.expit(eta)))


def _places(design: Design, rng: np.random.Generator) -> Floats:
    """Places of the rungs in the range of scale, from 0 to 1."""
    gaps = np.ones(design.rungs - 1)
    if design.uneven:
        gaps = np.exp(0.6 * rng.standard_normal(design.rungs - 1))
    t = np.concatenate([[0.0], np.cumsum(gaps) / gaps.sum()])
    return np.asarray(t[np.abs(t - 0.5) >= design.hole / 2] if design.hole else t)


def expected(p: Floats, design: Design, metric: Metric) -> Floats:
    """What infinitely many items would score; same shape as ``p``.

    >>> expected(np.array([0.5]), Design(tokens=3), "exact_match").tolist()
    [0.125]
    """
    r = design.dependence
    if metric == "accuracy":
        return np.asarray(design.chance + (1 - design.chance) * p)
    if metric == "token_accuracy":
        return np.asarray(p)
    if metric == "exact_match":
        t = np.arange(design.tokens)[:, None]
        flat = (p.reshape(1, -1) * (1 - r) + t * r) / (1 - r + t * r)
        return np.asarray(flat.prod(axis=0).reshape(p.shape))
    total = total_of(r)
    return np.asarray(special.digamma(total) - special.digamma(p * total))


def total_of(r: float) -> float:
    """Sum of the two parameters of the beta distribution of an item, or of a token for r = 0."""
    r = r or OWN
    return (1 - r) / r


def refuse(design: Design, metrics: Sequence[str], families: int) -> None:
    if families < 1:
        raise OptionError(f"{families} families", mend="1 or more")
    for metric in metrics:
        if metric not in METRICS:
            raise OptionError(
                f"no simulated metric is named {metric!r}", mend=f"metrics: {', '.join(METRICS)}"
            )
        if (metric == "accuracy") != bool(design.chance):
            raise OptionError(
                f"{metric} with a chance level of {design.chance}",
                mend="accuracy needs a chance level, the other metrics have none",
            )
