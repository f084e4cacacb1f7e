"""How much of a jump follows from smooth per-token quantities pushed through the metric?

With items. Let c_is be the companion (say the cross-entropy) of item s in rung i, y_is its score
under the metric. The item response r(c) = E[y | c] is measured from the same outputs: a monotone
(isotonic) regression of y on c over all items and rungs. It knows nothing of the rung, and since c
belongs to a whole answer it contains the dependence of the errors within an answer. Now give each
rung the mean that the smooth law of the companion allows it, and push that through:

    y^_i = mean_s r(c_is * Lhat_i / Lbar_i)     (c_is + Lhat_i - Lbar_i where c has any sign)

The share of the jump explained is (y^_{j+1} - y^_j) / (y_{j+1} - y_j) at the largest step of y. It
is near 1 where a smooth companion and the metric make the jump, and below 1 where the companion
itself leaps, or where models with equal companion score differently.

Without items only the two curves are there: y is then pushed through a logistic link with two
coefficients, fitted to the smooth companion, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from unmirage.curves.laws import Fit
from unmirage.curves.working import from_working, kind, offset_and_span
from unmirage.types import Curve, Floats

_GRID = 13
#: the item response is measured in at most so many quantiles of at least so many items
_BINS, _ITEMS = 60, 100
#: share of the range of its knots below which two are one
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class Push:
    """``pushed`` (M,) and the share of the jump it makes, with a 90 % interval.

    ``drawn`` (R, M): the same from resampled items.
    """

    pushed: Floats
    drawn: Floats | None
    share: float
    interval: tuple[float, float] | None
    way: str  # "items" or "link"
    gap: int


def push(
    curve: Curve,
    companion: Curve,
    fitted: Fit,
    law: Floats,
    drawn: Floats,
    weights: Floats | None,
    gap: int,
) -> Push | None:
    """Push the smooth law of the companion (a :class:`Fit` of one curve) through the metric.

    ``law`` (R, M) is what that law may be, ``drawn`` (R, M) what the curve without sampling noise
    may be, both as scores: they make the interval. ``gap`` is that of the jump. ``weights`` (R,
    total) are the paired bootstrap weights of the items; None without items.
    Returns None where the two curves do not share rungs, or nothing rises.
    """
    if curve.models != companion.models or np.ptp(curve.score) == 0:
        return None
    if curve.items is None or companion.items is None or weights is None:
        return _by_link(curve, companion, fitted, gap)
    return _by_items(curve, companion, fitted, law, drawn, weights, gap)


def _share(y: Floats, pushed: Floats, gap: int) -> Floats:
    """(..., M) -> (...): the pushed part of the step at the gap."""
    step = y[..., gap + 1] - y[..., gap]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(step != 0, (pushed[..., gap + 1] - pushed[..., gap]) / step, np.nan)


def _by_items(
    curve: Curve,
    companion: Curve,
    fitted: Fit,
    law: Floats,
    drawn: Floats,
    weights: Floats,
    gap: int,
) -> Push | None:
    assert curve.items is not None
    assert companion.items is not None
    common, here, there = np.intersect1d(
        curve.items.position, companion.items.position, return_indices=True
    )
    if len(common) < 2:
        return None
    y, c = curve.items.scores[:, here], companion.items.scores[:, there]
    response = item_response(c.ravel(), y.ravel())
    by_ratio = bool((c > 0).all())
    mean = c.mean(axis=1)
    target = from_working(companion, fitted.mean[0])
    w = weights[:, common]
    w = w[w.sum(axis=1) > 0]
    w = w / w.sum(axis=1, keepdims=True)
    rows = min(len(w), len(law), len(drawn))
    w, law, drawn = w[:rows], law[:rows], drawn[:rows]
    exact = target / mean if by_ratio else target - mean
    again = w @ c.T  # (R, M)
    wanted = law / again if by_ratio else law - again
    factors = _factors(wanted, exact)
    # scores of every item at each factor tried, (F, M, S); resampling is then one product
    moved = c[None] * factors[..., None] if by_ratio else c[None] + factors[..., None]
    tried = response(moved)
    pushed_draws = _between(factors, np.einsum("rs,fms->rfm", w, tried), wanted)
    pushed = np.array(
        [response(c[i] * exact[i] if by_ratio else c[i] + exact[i]).mean() for i in range(len(c))]
    )
    share = float(_share(y.mean(axis=1), pushed, gap))
    shares = _share(drawn, pushed_draws, gap)
    shares = shares[np.isfinite(shares)]
    interval = None
    if len(shares) > 20:
        low, high = np.quantile(shares, [0.05, 0.95])
        interval = (float(low), float(high))
    return Push(pushed, pushed_draws, share, interval, "items", gap)


def item_response(c: Floats, y: Floats) -> Callable[[Floats], Floats]:
    """Monotone regression of y on c, rising or falling, whichever fits.

    Where y is a function of c (accuracy of the margin) that very step function. Else the isotonic
    regression of means over quantiles of c, joined by a monotone cubic (Fritsch and Carlson 1980,
    doi:10.1137/0717021), in log c where c > 0: single items at the edge of a rung weigh little.
    """
    order = np.argsort(c, kind="stable")
    c, y = c[order], y[order]
    rises = bool(np.cov(c, y)[0, 1] >= 0)
    exact = isotonic_regression(y, increasing=rises)
    if np.array_equal(exact.x, y):
        first = np.asarray(exact.blocks[:-1])
        last = np.asarray(exact.blocks[1:]) - 1
        ends = np.unique(np.concatenate([first, last]))
        at_ends, there = c[ends], y[ends]
        return lambda at: np.asarray(np.interp(at, at_ends, there))
    parts = np.array_split(np.arange(len(c)), int(np.clip(len(c) // _ITEMS, 2, _BINS)))
    middle, size = np.array([c[i].mean() for i in parts]), np.array([len(i) for i in parts], float)
    by_log = c[0] > 0
    x = np.log(middle) if by_log else middle
    span = np.ptp(x)
    if span <= _TIE * np.abs(x).max():
        return lambda at: np.full(at.shape, y.mean())
    # of quantiles that are ties, or all but ties, keep the mean
    knots, place = np.unique(np.round((x - x[0]) / span / _TIE), return_inverse=True)
    size, total = np.bincount(place, size), np.bincount(place, [y[i].sum() for i in parts])
    values = isotonic_regression(total / size, weights=size, increasing=rises).x
    curve = PchipInterpolator(knots * _TIE, values)

    def response(at: Floats) -> Floats:
        at = np.clip(at, middle[0], middle[-1])
        return np.asarray(curve(((np.log(at) if by_log else at) - x[0]) / span))

    return response


def _factors(wanted: Floats, exact: Floats) -> Floats:
    """(F, M) factors (or shifts) that bracket all but 1 % of the wanted ones (R, M)."""
    low, high = np.quantile(wanted, [0.005, 0.995], axis=0)
    low, high = np.minimum(low, exact), np.maximum(high, exact)
    width = np.maximum(high - low, 1e-12 + 1e-9 * np.abs(exact))
    return np.asarray(np.linspace(low, low + width, _GRID))


def _between(factors: Floats, grid: Floats, wanted: Floats) -> Floats:
    """Linear interpolation in the factor: (F, M), (R, F, M), (R, M) -> (R, M)."""
    f = factors.shape[0]
    place = (wanted - factors[0]) / (factors[-1] - factors[0]) * (f - 1)
    place = np.clip(place, 0, f - 1 - 1e-9)
    k = place.astype(np.int64)[:, None]
    part = place - k[:, 0]
    below = np.take_along_axis(grid, k, axis=1)[:, 0]
    above = np.take_along_axis(grid, k + 1, axis=1)[:, 0]
    return np.asarray(below + part * (above - below))


def _by_link(curve: Curve, companion: Curve, fitted: Fit, gap: int) -> Push | None:
    """Two coefficients on the logistic scale: score ~ smooth companion, by least squares."""
    low, span = offset_and_span(curve)
    if kind(curve) != "share" or len(curve.scale) < 5:
        return None
    u = np.clip((curve.score - low) / span, 0.005, 0.995)
    q = fitted.eta[0]
    weight = u * (1 - u)
    columns = np.stack([np.ones_like(q), q], axis=1)
    logit = np.log(u / (1 - u))
    gram = columns.T @ (weight[:, None] * columns)
    theta = np.linalg.pinv(gram) @ (columns.T @ (weight * logit))
    pushed = low + span / (1 + np.exp(-columns @ theta))
    share = float(_share(curve.score, pushed, gap))
    return Push(np.asarray(pushed), None, share, None, "link", gap)
