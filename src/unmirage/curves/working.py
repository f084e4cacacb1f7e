"""Curves in the units in which laws are fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmirage.curves.laws import Data
from unmirage.types import Curve, Floats

#: slope by which noise between rungs acts at a chance level (a logistic has 0.25 half-way up)
CHANCE_SLOPE = 0.03
#: and at a loss, as a share of its range: small losses scatter in nats, not only in per cent
LOSS = 0.02
#: more items than that count as that many: their error is below rounding
MOST_ITEMS = 1e12


def kind(curve: Curve) -> str:
    """ "share" where floor and best value are known, "positive" for losses, else "free"."""
    if np.isfinite(curve.floor) and np.isfinite(curve.ceiling) and curve.floor != curve.ceiling:
        return "share"
    loss = not curve.facts.higher_is_better and 0 <= curve.facts.low < np.inf
    loglik = curve.facts.higher_is_better and curve.facts.high == 0.0
    size = np.abs(curve.score)
    return "positive" if (loss or loglik) and size.max() > 0 else "free"


def offset_and_span(curve: Curve) -> tuple[float, float]:
    """(a, b) with score = a + b u, u the working unit of the curve's kind."""
    form = kind(curve)
    if form == "share":
        return curve.floor, curve.ceiling - curve.floor
    sign = 1.0 if curve.facts.higher_is_better else -1.0
    if form == "positive":
        return 0.0, -sign
    span = float(np.ptp(curve.score)) or 1.0
    low = curve.score.min() if sign > 0 else curve.score.max()
    return float(low), sign * span


def to_working(curve: Curve) -> Floats:
    a, b = offset_and_span(curve)
    return np.asarray((curve.score - a) / b)


def from_working(curve: Curve, u: Floats) -> Floats:
    a, b = offset_and_span(curve)
    return np.asarray(a + b * u)


def is_binomial(curve: Curve) -> bool:
    """Is each score a count of right items out of n independent ones?"""
    return (
        curve.facts.binary
        and kind(curve) == "share"
        and curve.stderr_from in ("items", "binomial")
        and bool(np.isfinite(curve.count).all())
    )


def errors(curve: Curve) -> Floats:
    """Sampling error of the working unit, (M,), above 0.

    Unknown errors become a thousandth of the range: the noise between rungs then carries them.
    """
    _, span = offset_and_span(curve)
    error = np.abs(curve.stderr / span)
    known = error[np.isfinite(error) & (error > 0)]
    least = 1e-3 * (float(np.ptp(to_working(curve))) or 1.0)
    if not len(known):
        return np.full(len(error), least)
    # an error of 0 is a rung where all items agree; it is not known better than the best other one
    usual = np.where(np.isfinite(error), error, known.max())
    return np.maximum(usual, min(float(known.min()), least))


def stack(curves: Sequence[Curve]) -> Data:
    """Curves of one kind and one number of rungs as one batch."""
    n = [
        np.minimum(c.count, MOST_ITEMS) if is_binomial(c) else np.full(len(c.scale), np.nan)
        for c in curves
    ]
    ends = [(c.floor, c.ceiling) if kind(c) == "share" else (0.0, 1.0) for c in curves]
    return Data(
        np.stack([c.x for c in curves]),
        np.stack([to_working(c) for c in curves]),
        np.stack(n),
        np.stack([errors(c) for c in curves]),
        np.array([e[0] for e in ends]),
        np.array([e[1] for e in ends]),
        np.array([_least(c) for c in curves]),
    )


def _least(curve: Curve) -> float:
    if _above_worst(curve):
        return CHANCE_SLOPE
    return LOSS * float(np.ptp(to_working(curve))) if kind(curve) == "positive" else 0.0


def _above_worst(curve: Curve) -> bool:
    """Is the floor a chance level, which a model may also miss from below?"""
    worst = curve.facts.low if curve.facts.higher_is_better else curve.facts.high
    return kind(curve) == "share" and curve.floor != worst
