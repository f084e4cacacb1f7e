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

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from unmirage.curves.laws import Fit, design, unit
from unmirage.curves.working import from_working, kind, offset_and_span
from unmirage.types import Curve, Floats

_GRID = 13


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
    curve: Curve, companion: Curve, fitted: Fit, weights: Floats | None, gap: int
) -> Push | None:
    """Push the smooth law of the companion (a :class:`Fit` of one curve) through the metric.

    ``gap`` is that of the jump. ``weights`` (R, total) are the paired bootstrap weights of the
    items; None without items.
    Returns None where the two curves do not share rungs, or nothing rises.
    """
    if curve.models != companion.models or np.ptp(curve.score) == 0:
        return None
    if curve.items is None or companion.items is None or weights is None:
        return _by_link(curve, companion, fitted, gap)
    return _by_items(curve, companion, fitted, weights, gap)


def _share(y: Floats, pushed: Floats, gap: int) -> Floats:
    """(..., M) -> (...): the pushed part of the step at the gap."""
    step = y[..., gap + 1] - y[..., gap]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(step != 0, (pushed[..., gap + 1] - pushed[..., gap]) / step, np.nan)


def _by_items(
    curve: Curve, companion: Curve, fitted: Fit, weights: Floats, gap: int
) -> Push | None:
    assert curve.items is not None
    assert companion.items is not None
    common, here, there = np.intersect1d(
        curve.items.position, companion.items.position, return_indices=True
    )
    if len(common) < 2:
        return None
    y, c = curve.items.scores[:, here], companion.items.scores[:, there]
    knots, values = item_response(c.ravel(), y.ravel())
    by_ratio = bool((c > 0).all())
    mean = c.mean(axis=1)
    target = from_working(companion, fitted.mean[0])
    factors = _factors(companion, fitted, mean, by_ratio)
    # scores of every item at each factor tried, (F, M, S); resampling is then one product
    moved = c[None] * factors[..., None] if by_ratio else c[None] + factors[..., None]
    tried = np.interp(moved, knots, values)
    w = weights[:, common]
    w = w[w.sum(axis=1) > 0]
    w = w / w.sum(axis=1, keepdims=True)
    mean_draws, y_draws = w @ c.T, w @ y.T  # (R, M)
    target_draws = _smooth_again(companion, fitted, mean_draws)
    wanted = target_draws / mean_draws if by_ratio else target_draws - mean_draws
    grid = np.einsum("rs,fms->rfm", w, tried)
    pushed_draws = _between(factors, grid, wanted)
    exact = target / mean if by_ratio else target - mean
    pushed = np.array(
        [
            np.interp(c[i] * exact[i] if by_ratio else c[i] + exact[i], knots, values).mean()
            for i in range(len(c))
        ]
    )
    share = float(_share(y.mean(axis=1), pushed, gap))
    drawn = _share(y_draws, pushed_draws, gap)
    drawn = drawn[np.isfinite(drawn)]
    interval = None
    if len(drawn) > 20:
        low, high = np.quantile(drawn, [0.05, 0.95])
        interval = (float(low), float(high))
    return Push(pushed, pushed_draws, share, interval, "items", gap)


def item_response(c: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Monotone regression of y on c, rising or falling, whichever fits: knots and values."""
    order = np.argsort(c, kind="stable")
    c, y = c[order], y[order]
    rises = bool(np.cov(c, y)[0, 1] >= 0)
    fitted = isotonic_regression(y, increasing=rises)
    first = np.asarray(fitted.blocks[:-1])
    last = np.asarray(fitted.blocks[1:]) - 1
    ends = np.unique(np.concatenate([first, last]))
    knots, values = c[ends], np.asarray(fitted.x)[ends]
    # np.interp wants increasing knots: of ties keep the mean
    unique, place = np.unique(knots, return_inverse=True)
    return unique, np.bincount(place, values) / np.bincount(place)


def _factors(companion: Curve, fitted: Fit, mean: Floats, by_ratio: bool) -> Floats:
    """(F, M) factors (or shifts) that bracket what the bootstrap will ask for."""
    target = from_working(companion, fitted.mean[0])
    _, span = offset_and_span(companion)
    spread = 5 * np.abs(fitted.sd[0] * span) + 1e-12
    low, high = target - spread, target + spread
    if by_ratio:
        low, high = np.maximum(low, 1e-3 * target), np.maximum(high, 1e-3 * target)
        low, high = low / mean, high / mean
        low, high = np.minimum(low, 0.5), np.maximum(high, 2.0)
    else:
        low, high = low - mean, high - mean
    return np.asarray(np.linspace(low, high, _GRID))


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


def _smooth_again(companion: Curve, fitted: Fit, mean: Floats) -> Floats:
    """The companion's law refitted to resampled means (R, M), to first order."""
    a, span = offset_and_span(companion)
    u = (mean - a) / span
    t, _, _ = unit(companion.x[None])
    columns = design(fitted.law, t, fitted.shape)[0]
    slope = np.where(np.abs(fitted.slope[0]) < 1e-9, 1e-9, fitted.slope[0])
    weight = (slope / fitted.sd[0]) ** 2
    gram = columns.T @ (weight[:, None] * columns)
    hat = columns @ np.linalg.pinv(gram) @ (columns.T * weight)
    moved = (u - u.mean(axis=0)) / slope
    smooth = fitted.mean[0] + fitted.slope[0] * (moved @ hat.T)
    if kind(companion) == "positive":
        smooth = np.maximum(smooth, 1e-3 * fitted.mean[0])
    return np.asarray(a + span * smooth)


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
