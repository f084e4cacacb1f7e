"""How the pass rates of items are spread, from how often each passed: many shapes, averaged.

A shape theta gives shares w_g to the points p_g of one grid of pass rates, so that

    P(c of n | theta) = sum_g w_g(theta) p_g^c (1 - p_g)^(n - c)   (and n over c)

is a matrix product for all shapes at once. Shapes are a beta distribution, a normal in logit p and
a normal in log p cut at 1, each alone or with one or two clumps of items that pass at rates of
their own, prior flat in place and log width. No fit: points spread over the prior are moved to
where the likelihood is by tempering (Del Moral et al. 2006,
doi:10.1111/j.1467-9868.2006.00553.x).
Axes: N points (shapes), G grid, U distinct pairs (c, n), R draws, K values of k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from unmirage.forecasting.process import Integers
from unmirage.types import Floats

#: kinds of spread; kind + 3 and kind + 6 are the same with one and two clumps apart
KINDS = ("beta", "logit-normal", "log-normal")
_CLUMPS = ("", " and a clump", " and two clumps")
SHAPES = tuple(f"{name}{more}" for more in _CLUMPS for name in KINDS)
#: logit p of the grid
_ENDS = (-23.0, 14.0)
#: flat prior of (log a, log b) of a beta, (place, log width) of a normal
_LOW = np.array([[-6.0, -4.0], *[[-16.0, np.log(0.15)]] * 2])
_HIGH = np.array([[5.0, 9.0], *[[6.0, np.log(8.0)]] * 2])
#: a clump's rate begins where not even n^2 answers would show it: 0.01 / n^2
_UNSEEN = 0.01
_POINTS = 1500
#: moves of every point after each step of tempering, and after the last
_MOVES, _LAST = 3, 8
#: effective share of points that a step of tempering keeps
_KEEP = 0.5


@dataclass(frozen=True, eq=False)
class Shapes:
    """Points of a parameter space: which shape, and its parameters."""

    shape: Integers  # (N,) index of SHAPES
    theta: Floats  # (N, 6); the last four are of clumps, and mean nothing where there are none


def grid(most: float) -> Floats:
    """logit p, (G,): fine enough for items with ``most`` answers."""
    finer = np.ceil(np.sqrt(max(most, 1.0) / 450))
    return np.linspace(*_ENDS, int(400 * min(finer, 10)))


def shares(x: Floats, points: Shapes) -> Floats:
    """Shares w of the grid's points, (N, G), each row of sum 1."""
    step = x[1] - x[0]
    log_p, log_q = -np.logaddexp(0, -x), -np.logaddexp(0, x)
    kind, (one, two, *apart) = points.shape % 3, points.theta.T[:, :, None]
    out = np.empty((len(kind), len(x)))
    of = kind == 0
    a, b = np.exp(one[of]), np.exp(two[of])
    out[of] = np.exp(a * log_p + b * log_q - special.betaln(a, b))
    # what lies beyond the ends, by the leading term of the tail
    below = np.exp(a * (x[0] - step / 2) - special.betaln(a, b) - np.log(a))[:, 0] / step
    above = np.exp(-b * (x[-1] + step / 2) - special.betaln(a, b) - np.log(b))[:, 0] / step
    out[of, 0] += below
    out[of, -1] += above
    for number, at, slope in ((1, x, np.ones_like(x)), (2, log_p, np.exp(log_q))):
        of = kind == number
        width = np.exp(two[of])
        out[of] = np.exp(-(((at - one[of]) / width) ** 2) / 2) * slope / width / np.sqrt(2 * np.pi)
        # beyond the grid: never passes, always passes
        for end, sign in ((0, 1), (-1, -1)):
            edge = (at[end] - sign * slope[end] * step / 2 - one[of]) / width
            out[of, end] += special.ndtr(sign * edge[:, 0]) / step
    out /= out.sum(axis=1, keepdims=True)
    for number, (part, place) in enumerate((apart[:2], apart[2:])):
        of = np.flatnonzero(points.shape // 3 > number)
        out[of] *= 1 - part[of]
        out[of, np.rint((place[of, 0] - x[0]) / step).astype(int)] += part[of, 0]
    return out


def likelihood(x: Floats, pairs: Floats) -> Floats:
    """p_g^c (1 - p_g)^(n - c), (G, U), of (c, n) (U, 2); the largest of each pair is 1."""
    c, n = pairs.T
    log = -np.logaddexp(0, -x)[:, None] * c - np.logaddexp(0, x)[:, None] * (n - c)
    return np.asarray(np.exp(log - log.max(axis=0)))


def passing(x: Floats, k: Floats) -> Floats:
    """1 - (1 - p_g)^k, (G, K)."""
    return np.asarray(-np.expm1(-np.logaddexp(0, x)[:, None] * k))


def posterior(
    x: Floats, of: Floats, count: Floats, most: float, rng: np.random.Generator
) -> Shapes:
    """Shapes as likely as they are after the counts: ``of`` (G, U), seen ``count`` (U,) times.

    ``most`` answers to an item tell how rare the rate of a clump may be.
    """

    def log_like(points: Shapes) -> Floats:
        return np.asarray(np.log(np.maximum(shares(x, points) @ of, 1e-300)) @ count)

    each = np.arange(_POINTS) % len(SHAPES)
    low, high = box(each, most)
    points = Shapes(each, low + (high - low) * rng.random(low.shape))
    value, power = log_like(points), 0.0
    while power < 1:
        step = _next(value, 1 - power)
        power = 1.0 if step >= 1 - power else power + step
        weight = np.exp(step * (value - value.max()))
        keep = even(weight, _POINTS, rng)
        points, value = Shapes(points.shape[keep], points.theta[keep]), value[keep]
        for _ in range(_MOVES if power < 1 else _LAST):
            other, inside = _moved(points, most, rng)
            found = log_like(other)
            gain = power * (found - value)
            take = inside & (np.log(rng.random(_POINTS)) < gain)
            points = Shapes(points.shape, np.where(take[:, None], other.theta, points.theta))
            value = np.where(take, found, value)
    return points


def even(weight: Floats, count: int, rng: np.random.Generator) -> Integers:
    """``count`` indices, as often as their weights say: systematic sampling."""
    total = np.cumsum(weight)
    at = (np.arange(count) + rng.random()) / count * total[-1]
    return np.asarray(np.searchsorted(total, at).clip(0, len(weight) - 1))


def _next(value: Floats, most: float) -> float:
    """The largest step of the likelihood's power that keeps enough points."""

    def kept(step: float) -> float:
        w = np.exp(step * (value - value.max()))
        return float(w.sum() ** 2 / (w**2).sum() / len(w))

    if kept(most) >= _KEEP:
        return most
    low, high = 0.0, most
    for _ in range(50):
        mid = (low + high) / 2
        low, high = (mid, high) if kept(mid) >= _KEEP else (low, mid)
    return max(low, 1e-9)


def box(shape: Integers, most: float) -> tuple[Floats, Floats]:
    """Ends of the flat prior of each point, (N, 6)."""
    rare = np.clip(np.log(_UNSEEN / most**2), -16.0, -8.0)
    low = np.concatenate([_LOW[shape % 3], np.tile([0.01, rare], (len(shape), 2))], axis=1)
    high = np.concatenate([_HIGH[shape % 3], np.tile([0.99, 5.0], (len(shape), 2))], axis=1)
    return low, high


def _moved(
    points: Shapes, most: float, rng: np.random.Generator
) -> tuple[Shapes, NDArray[np.bool_]]:
    """Each point moved by the difference of two others of its shape (ter Braak 2006).

    And is it within the prior? Those that are not are brought in, but are not to be taken.
    """
    low, high = box(points.shape, most)
    theta = points.theta.copy()
    for shape in np.unique(points.shape):
        of, used = np.flatnonzero(points.shape == shape), 2 + 2 * (shape // 3)
        one, two = (of[rng.integers(len(of), size=len(of))] for _ in range(2))
        scale = 2.38 / np.sqrt(2 * used) * rng.choice([1.0, 0.4], len(of))
        move = scale[:, None] * (points.theta[one] - points.theta[two])
        move += 0.003 * (high - low)[of] * rng.standard_normal(move.shape)
        theta[of, :used] += move[:, :used]
    brought = np.clip(theta, low, high)
    return Shapes(points.shape, brought), np.asarray((brought == theta).all(axis=1))


def rates_of_items(
    mix: Floats, of: Floats, count: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Shares of these very items on the grid, (R, G): as drawn given the shape, and expected.

    ``mix`` (R, G) are the shapes. Each item is drawn from P(p | c, n, theta).
    """
    drawn, mean = np.zeros_like(mix), np.zeros_like(mix)
    rows = np.arange(len(mix))[:, None]
    for u, times in enumerate(count.astype(int)):
        total = np.cumsum(mix * of[:, u], axis=1)
        total /= total[:, -1:]
        mean += times * np.diff(total, axis=1, prepend=0.0)
        ends = (total + rows).ravel()
        at = np.searchsorted(ends, (rows + rng.random((len(mix), times))).ravel(), side="right")
        drawn += np.bincount(at.clip(0, mix.size - 1), minlength=mix.size).reshape(mix.shape)
    whole = count.sum()
    return drawn / whole, mean / whole
