"""Curves as batches in the units in which forecasts are made.

A *link* z = g(y) brings a score to a scale on which trends in log10(scale) are nearly straight and
noise is nearly normal. Up is good on every link:

* ``logit``     z = log(u / (1 - u)), u = (y - worst) / (best - worst)
* ``loglog``    z = -log(-log u)
* ``chance``    z = asinh(o / (2 w)), o = v / (1 - v), v = (y - chance) / (best - chance): the
                logit of v well above w = 0.05, straight about chance, which a model may miss from
                below
* ``identity``  z = 4 y / span, the slope of a logit half-way up; span: the range of the metric,
  else the size of the largest training score
* ``log``       z = -log |y|, for losses
* ``above``     z = -log(|y| - e), on which a power law with the offset e is straight; e is half the
                smallest training loss

Counts of n items are smoothed, u = (n u + 1/2) / (n + 1), so that 0 and 1 have a place.
Axes: B series, M rungs, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from unmirage.curves.working import is_binomial, kind
from unmirage.types import Curve, Floats

#: the links that a kind of curve is seen through
LINKS = {
    "share": ("identity", "logit", "loglog"),
    "chance": ("identity", "logit", "chance"),
    "excess": ("identity", "logit", "chance", "near"),
    "positive": ("log", "above"),
    "free": ("identity",),
}
#: the loss that no model gets below, as a share of the smallest so far
OFFSETS = {"log": 0.0, "above": 0.5}
#: items of a share whose number nobody knows, for its smoothing only
UNKNOWN_ITEMS = 1000.0
#: kinds of scores that have a best and a worst value
BOUNDED = ("share", "chance", "excess")
#: how far above chance, as a share of the range, the links about chance bend
WIDTHS = {"chance": 0.05, "near": 0.005}


@dataclass(frozen=True, eq=False)
class Batch:
    """Series of one kind and one number of rungs."""

    kind: str  # of LINKS
    x: Floats  # (B, M) log10 of the scale
    y: Floats  # (B, M) scores
    n: Floats  # (B, M) items where each is right or wrong, else NaN
    se: Floats  # (B, M) sampling error of y, NaN = unknown
    worst: Floats  # (B,) worst value of the metric; 0 where it has none
    span: Floats  # (B,) best less worst, negative where low is good
    floor: Floats  # (B,) score of a guess, NaN = none
    low: Floats  # (B,) smallest and largest possible score, may be infinite
    high: Floats

    def take(self, rows: object) -> Batch:
        """Only some series."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "kind"}
        return Batch(self.kind, **{k: v[rows] for k, v in values.items()})


def form(curve: Curve) -> str:
    """The kind of a curve, by its metric and by what its training scores can be."""
    which, y = kind(curve), curve.score
    if which == "share":
        worst = curve.facts.low if curve.facts.higher_is_better else curve.facts.high
        if curve.floor == worst:
            return "share"
        return "chance" if curve.facts.binary else "excess"
    if np.isfinite([curve.facts.low, curve.facts.high]).all():
        return "share"  # bounded, but the score of a guess is unknown
    sign = 1.0 if curve.facts.higher_is_better else -1.0
    return "positive" if which == "positive" or (sign * y < 0).all() else "free"


def batch(curves: Sequence[Curve]) -> Batch:
    """Curves of one form and one number of rungs."""
    ends = np.array([_ends(c) for c in curves])
    n = [c.count if is_binomial(c) else np.full(len(c.scale), np.nan) for c in curves]
    return Batch(
        form(curves[0]),
        np.stack([c.x for c in curves]),
        np.stack([c.score for c in curves]),
        np.stack(n).astype(float),
        np.stack([np.where(c.stderr > 0, c.stderr, np.nan) for c in curves]),
        ends[:, 0],
        ends[:, 1],
        np.array([c.floor if np.isfinite(c.floor) else np.nan for c in curves]),
        np.array([c.facts.low for c in curves]),
        np.array([c.facts.high for c in curves]),
    )


def _ends(curve: Curve) -> tuple[float, float]:
    """The worst value, and the best less the worst; where there are none, 0 and a size."""
    sign = 1.0 if curve.facts.higher_is_better else -1.0
    if form(curve) in BOUNDED:
        worst = curve.facts.low if sign > 0 else curve.facts.high
        best = curve.facts.high if sign > 0 else curve.facts.low
        return float(worst), float(best - worst)
    size = float(np.abs(curve.score).max())
    if form(curve) == "free" and size <= 1.0:
        size = 1.0  # most likely a share of some kind
    return 0.0, sign * (size or 1.0)


def forward(link: str, b: Batch) -> tuple[Floats, Floats, Floats]:
    """z, its sampling variance and log |dz/dy|, (B, M) each."""
    worst, span = b.worst[:, None], b.span[:, None]
    se = np.nan_to_num(b.se)
    if link == "identity":
        slope = 4.0 / span * np.ones_like(b.y)
        return 4.0 * (b.y - worst) / span, (slope * se) ** 2, np.log(np.abs(slope))
    if link in OFFSETS:
        size = np.maximum(np.abs(b.y) - _offset(link, b)[:, None], 1e-6 * np.abs(span))
        return -np.log(size / np.abs(span)), (se / size) ** 2, -np.log(size)
    n = np.where(np.isnan(b.n), UNKNOWN_ITEMS, b.n)
    u = (np.clip((b.y - worst) / span, 0, 1) * n + 0.5) / (n + 1)
    own = np.where(np.isnan(b.n), (se / span) ** 2, u * (1 - u) / (n + 1))
    if link in WIDTHS:
        base, width = ((b.floor - b.worst) / b.span)[:, None], 2 * WIDTHS[link]
        v = (u - base) / (1 - base)
        odds = v / (1 - v)
        z = np.arcsinh(odds / width)
        slope = 1 / np.sqrt(odds**2 + width**2) / (1 - v) ** 2 / (1 - base)
    elif link == "loglog":
        z, slope = -np.log(-np.log(u)), -1 / (u * np.log(u))
    else:
        z, slope = np.log(u / (1 - u)), 1 / (u * (1 - u))
    return z, slope**2 * own, np.log(slope / np.abs(span))


def _offset(link: str, b: Batch) -> Floats:
    return np.asarray(OFFSETS[link] * np.abs(b.y).min(axis=1))


def backward(link: str, z: Floats, b: Batch) -> Floats:
    """The scores at z (B, ...); the smoothing of counts is undone."""
    shape = (len(b.y), *(1,) * (z.ndim - 1))
    score = _raw(link, z, b, shape)
    return np.clip(score, b.low.reshape(shape), b.high.reshape(shape))


def _raw(link: str, z: Floats, b: Batch, shape: tuple[int, ...]) -> Floats:
    worst, span = b.worst.reshape(shape), b.span.reshape(shape)
    if link == "identity":
        return np.asarray(worst + span * z / 4.0)
    if link in OFFSETS:
        size = np.abs(span) * np.exp(-np.clip(z, -30, 30))
        return np.asarray(np.sign(-span) * (size + _offset(link, b).reshape(shape)))
    z = np.clip(z, -30.0, 30.0)
    if link in WIDTHS:
        base = ((b.floor - b.worst) / b.span).reshape(shape)
        odds = 2 * WIDTHS[link] * np.sinh(np.minimum(z, 20.0))
        odds = np.maximum(odds, -base)  # where u = 0
        u = base + (1 - base) * odds / (1 + odds)
    else:
        u = np.exp(-np.exp(-z)) if link == "loglog" else 1 / (1 + np.exp(-z))
    n = np.where(np.isnan(b.n[:, -1]), UNKNOWN_ITEMS, b.n[:, -1]).reshape(shape)
    return np.asarray(worst + span * np.clip((u * (n + 1) - 0.5) / n, 0.0, 1.0))
