"""The shape of a curve as the literature scores it, for many resampled curves at once.

Curves come as (..., M) arrays of scores oriented so that higher is better, with x in decades: (M,),
or one row a curve, (..., M).
"""

from __future__ import annotations

import numpy as np

from unmirage.types import Floats


def direction(y: Floats) -> Floats:
    """+1 where the best rung is larger than the worst one, else -1; (..., M) -> (...)."""
    return np.where(y.argmax(axis=-1) >= y.argmin(axis=-1), 1.0, -1.0)


def emergence_score(y: Floats) -> Floats:
    """Signed range over the root median squared step (..., M) -> (...).

    sign(argmax y - argmin y) (max y - min y) / sqrt(median_i (y_i - y_{i-1})^2), inf where the
    median step is 0 (Srivastava et al. 2022, arXiv 2206.04615; Schaeffer et al. 2023, Sec. 4).
    BIG-bench calls the same formula *breakthroughness*.

    >>> float(emergence_score(np.linspace(0, 1, 8)).round(6))
    7.0
    """
    steps = np.diff(y, axis=-1)
    return _signed_range(y, np.sqrt(np.median(steps**2, axis=-1)))


def linearity(y: Floats) -> Floats:
    """Signed range over the root mean squared step (BIG-bench, arXiv 2206.04615, App. B).

    >>> float(linearity(np.linspace(0, 1, 8)).round(6))
    7.0
    """
    return _signed_range(y, np.sqrt(np.mean(np.diff(y, axis=-1) ** 2, axis=-1)))


def _signed_range(y: Floats, step: Floats) -> Floats:
    span = np.ptp(y, axis=-1)
    # a range below rounding error is no range
    tiny = 1e-12 * np.maximum(np.abs(y).max(axis=-1), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(step > tiny, span / np.where(step > tiny, step, 1.0), np.inf)
    return np.where(span > tiny, direction(y) * ratio, 0.0)


def isotonic(y: Floats) -> Floats:
    """Least-squares non-decreasing fit, (..., M) -> (..., M): max over i of min over k of means."""
    m = y.shape[-1]
    total = np.concatenate([np.zeros((*y.shape[:-1], 1)), np.cumsum(y, axis=-1)], axis=-1)
    i, k = np.arange(m)[:, None], np.arange(m)[None]
    length = np.maximum(k - i + 1, 1)
    means = (total[..., 1:][..., None, :] - total[..., :-1][..., :, None]) / length
    means = np.where(k >= i, means, np.inf)  # block from i to k
    # min over k >= j, then max over i <= j
    least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    least = np.where(k >= i, least, -np.inf)
    return np.asarray(least.max(axis=-2))


def width(y: Floats, x: Floats, low: float = 0.1, high: float = 0.9) -> Floats:
    """Decades between 10 % and 90 % of the rise of the isotonic fit, (..., M) -> (...).

    Straight lines between rungs; NaN where nothing rises. A falling curve is turned over.

    >>> float(width(np.linspace(0, 1, 5), np.linspace(6, 10, 5)).round(6))
    3.2
    """
    return _between(_risen(y), x, low, high)


def _between(share: Floats, x: Floats, low: float, high: float) -> Floats:
    return _crossing(share, x, high) - _crossing(share, x, low)


def _risen(y: Floats) -> Floats:
    """Share of the rise of the isotonic fit that is reached at each rung, (..., M)."""
    fitted = isotonic(y * direction(y)[..., None])
    start, rise = fitted[..., :1], fitted[..., -1:] - fitted[..., :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rise > 0, (fitted - start) / np.where(rise > 0, rise, 1.0), np.nan)


def onset(y: Floats, x: Floats) -> Floats:
    """Share of the range of scale that passes before 10 % of the rise, (..., M) -> (...).

    0.1 for a straight line; near 1 where nothing is there until the largest rungs.
    """
    return _onset(_risen(y), x)


def _onset(share: Floats, x: Floats) -> Floats:
    return np.asarray((_crossing(share, x, 0.1) - x[..., 0]) / (x[..., -1] - x[..., 0]))


def _crossing(share: Floats, x: Floats, level: float) -> Floats:
    above = share >= level
    k = np.maximum(above.argmax(axis=-1), 1)[..., None]
    before = np.take_along_axis(share, k - 1, axis=-1)[..., 0]
    after = np.take_along_axis(share, k, axis=-1)[..., 0]
    k = k[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(after > before, (level - before) / (after - before), 0.0)
    x = np.broadcast_to(x, share.shape)
    start = np.take_along_axis(x, (k - 1)[..., None], axis=-1)[..., 0]
    stop = np.take_along_axis(x, k[..., None], axis=-1)[..., 0]
    place = start + np.clip(part, 0.0, 1.0) * (stop - start)
    return np.where(np.isnan(share[..., 0]), np.nan, place)


def steepness(y: Floats, x: Floats) -> Floats:
    """How many times as steep the rise is as a straight line over the same range of scale.

    0.8 (x_M - x_1) / width; 1 for a straight line.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(0.8 * (x[..., -1] - x[..., 0]) / width(y, x))


def steepness_and_onset(y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Both at once: the monotone fit, nearly all of the work, is made once."""
    share = _risen(y)
    wide = _between(share, x, 0.1, 0.9)
    return np.asarray(0.8 * (x[..., -1] - x[..., 0]) / wide), _onset(share, x)


def largest_step(y: Floats) -> tuple[np.ndarray, Floats]:
    """Gap of the largest step along the overall direction, and its share of the range."""
    steps = np.diff(y * direction(y)[..., None], axis=-1)
    gap = steps.argmax(axis=-1)
    span = np.ptp(y, axis=-1)
    top = np.take_along_axis(steps, gap[..., None], axis=-1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return gap, np.where(span > 0, top / np.where(span > 0, span, 1.0), np.nan)


def largest_drop(y: Floats) -> tuple[int, int, float]:
    """The rungs i < j with the largest fall y_i - y_j against the overall direction; (M,) only."""
    z = y * float(direction(y))
    best = np.maximum.accumulate(z)
    j = int((best - z).argmax())
    i = int(z[: j + 1].argmax())
    return i, j, float(z[i] - z[j])
