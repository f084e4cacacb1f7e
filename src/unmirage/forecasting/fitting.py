"""Bounded weighted least squares of one law on very many series at once, and its draws.

Levenberg and Marquardt's method with steps kept inside the bounds: a parameter that a step would
push out stays at its bound and the others move (Kelley 1999, Iterative Methods for Optimization,
Sec. 5.4, the projected form). Every series starts from several places and keeps the best. Axes:
B series, G starts, R draws, M rungs, P parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmirage.forecasting.laws import Law
from unmirage.forecasting.usable import called, starts
from unmirage.types import Floats

#: how a fit ended; a fit at a bound is one whose parameter would have gone on
CONVERGED, AT_BOUND, DEGENERATE, UNFINISHED = "converged", "at_bound", "degenerate", "unfinished"
STATUS = (CONVERGED, AT_BOUND, DEGENERATE, UNFINISHED)
#: in draws bounds give way by this share of their width: where the best fit lies at a bound, draws
#: that may not pass it are too narrow
SLACK = 0.25
#: draws end when a step gains less than this share of their cost, which is a chi-square of M - P:
#: what is left to gain is nothing beside its scatter
NEAR = 1e-5
#: least variance of a score, in the working unit of laws
_LEAST = 1e-12
_STEP = 1e-6


@dataclass(frozen=True, eq=False)
class Fit:
    """One law on each of B series."""

    law: Law
    theta: Floats  # (B, P)
    cost: Floats  # (B,) weighted sum of squares
    status: NDArray[np.str_]  # (B,) one of STATUS
    tau: Floats  # (B,) noise between rungs, working unit
    draws: Floats  # (B, R, P)
    draw_status: NDArray[np.str_]  # (B, R)


def minimise(
    law: Law,
    t: Floats,
    y: Floats,
    weight: Floats,
    start: Floats,
    *,
    slack: float = 0.0,
    most: int = 60,
    near: float = 1e-9,
) -> tuple[Floats, Floats, NDArray[np.str_]]:
    """Minimise sum w (y - f)^2 from one start each: t, y, weight (N, M), start (N, P).

    It ends when a step gains less than the share ``near`` of the cost, or after ``most`` steps.
    Returns theta (N, P), cost (N,), status (N,).
    """  # fmt: skip
    low, high = _free(law, np.array(law.bounds, float).T)
    room = slack * (high - low)
    low, high = low - room, high + room
    theta = np.clip(_free(law, start), low, high)
    root = np.sqrt(weight)
    resid = root * (y - _values(law, theta, t))
    cost = np.nan_to_num((resid**2).sum(axis=1), nan=np.inf)
    damp, live = np.full(len(y), 1e-2), np.arange(len(y))
    done = np.zeros(len(y), bool)
    flat = np.zeros(len(y), bool)
    for _ in range(most):
        at, r = theta[live], resid[live]
        jac = _jacobian(law, at, t[live], root[live], low, high)
        step, singular = _step(jac, r, damp[live], at, low, high)
        new = np.clip(at + step, low, high)
        left = root[live] * (y[live] - _values(law, new, t[live]))
        value = np.nan_to_num((left**2).sum(axis=1), nan=np.inf)
        better = value <= cost[live]
        gain = np.where(better, cost[live] - value, np.inf)
        small = better & (gain <= near * (cost[live] + 1e-12))
        hit = live[better]
        theta[hit], resid[hit], cost[hit] = new[better], left[better], value[better]
        damp[live] *= np.where(better, 0.2, 5.0)
        flat[live] = singular
        done[live] = small | (damp[live] > 1e9)
        live = live[~done[live]]
        if not len(live):
            break
    edge = ((theta <= low + 1e-9 * (high - low)) | (theta >= high - 1e-9 * (high - low))).any(
        axis=1
    )
    status = np.where(flat, DEGENERATE, np.where(edge, AT_BOUND, CONVERGED))
    status = np.where(done, status, UNFINISHED)
    return _natural(law, theta), cost, np.where(np.isfinite(cost), status, DEGENERATE)


def _free(law: Law, theta: Floats) -> Floats:
    """Parameters (..., P) as they are fitted: positive ones in logarithms."""
    logs = np.isin(law.parameters, law.positive)
    return np.where(logs, np.log(np.where(logs, np.maximum(theta, 1e-300), 1.0)), theta)


def _natural(law: Law, free: Floats) -> Floats:
    logs = np.isin(law.parameters, law.positive)
    return np.where(logs, np.exp(np.where(logs, free, 0.0)), free)


def _values(law: Law, free: Floats, t: Floats) -> Floats:
    return called(law, _natural(law, free), t)  # a step may leave where it has numbers


def _jacobian(
    law: Law, theta: Floats, t: Floats, root: Floats, low: Floats, high: Floats
) -> Floats:
    """Weighted slopes of the formula, (N, M, P), by differences; all in one call."""
    size = _STEP * np.maximum(np.abs(theta), 1e-2 * np.minimum(high - low, 1.0))
    size = np.where(theta + size > high, -size, size)
    moved = theta[:, None] + size[:, :, None] * np.eye(theta.shape[1])  # (N, P, P)
    values = _values(law, np.concatenate([theta[:, None], moved], axis=1), t[:, None])
    slopes = (values[:, 1:] - values[:, :1]) / size[:, :, None]
    return np.asarray(np.swapaxes(slopes, 1, 2) * root[..., None])


def _step(
    jac: Floats, resid: Floats, damp: Floats, theta: Floats, low: Floats, high: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """The damped step with parameters at a bound that would leave it held, and who is singular."""
    pull = np.einsum("nmp,nm->np", jac, resid)
    held = ((theta <= low) & (pull < 0)) | ((theta >= high) & (pull > 0))
    free = np.where(held, 0.0, 1.0)
    gram = np.einsum("nmp,nmq->npq", jac, jac) * free[:, :, None] * free[:, None]
    eye = np.eye(theta.shape[1])
    diagonal = np.einsum("npp->np", gram)
    scale = np.where(diagonal > 1e-200, diagonal, 1.0)
    # each parameter in the unit of its own slope: slopes that are far apart do not make it singular
    one = np.sqrt(scale)
    shape = gram / (one[:, :, None] * one[:, None]) + held[..., None] * eye
    shape = np.where(np.isfinite(shape).all(axis=(1, 2))[:, None, None], shape, eye)
    matrix = shape + (damp[:, None] + 1e-12 / scale)[..., None] * eye
    step = np.linalg.solve(matrix, (pull * free / one)[..., None])[..., 0] / one
    singular = np.abs(np.linalg.det(shape)) < 1e-9
    return np.nan_to_num(step), singular


def fit(
    law: Law,
    t: Floats,
    y: Floats,
    variance: Floats,
    *,
    draws: int = 0,
    rng: np.random.Generator | None = None,
) -> Fit:
    """Fit a law to series t, y (B, M) with sampling variances (B, M), and draw from its errors.

    tau^2 = max(0, mean(r^2) M / (M - P) - mean(variance)): what scatters beyond sampling. Draws are
    fits to y* = f + noise of variance (variance + tau^2), from the best fit on (parametric
    bootstrap, Efron and Tibshirani 1993, Sec. 6.5); bounds give way by SLACK there
    (those of positive parameters in logarithms, so no draw leaves where the law has numbers).
    """  # fmt: skip
    places = [starts(law, t[b], y[b]) for b in range(len(y))]
    count = [len(s) for s in places]
    row = np.repeat(np.arange(len(y)), count)
    weight = 1.0 / (variance + np.maximum(variance.mean(axis=1, keepdims=True), 1e-5))
    theta, cost, status = minimise(law, t[row], y[row], weight[row], np.concatenate(places))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    best = np.array([f + cost[f : f + c].argmin() for f, c in zip(first, count, strict=True)])
    theta, cost, status = theta[best], cost[best], status[best]
    mean = called(law, theta, t)
    m, p = y.shape[1], theta.shape[1]
    spare = max(m - p, 1)
    tau2 = np.maximum(((y - mean) ** 2).mean(axis=1) * m / spare - variance.mean(axis=1), 0.0)
    found, how = _bootstrap(law, t, mean, variance + tau2[:, None], theta, draws, rng)
    return Fit(law, theta, cost, status, np.sqrt(tau2), found, how)


def _bootstrap(
    law: Law, t: Floats, mean: Floats, total: Floats, theta: Floats, draws: int,
    rng: np.random.Generator | None,
) -> tuple[Floats, NDArray[np.str_]]:  # fmt: skip
    b, m = mean.shape
    if not draws:
        return np.empty((b, 0, theta.shape[1])), np.empty((b, 0), "U10")
    assert rng is not None
    y = mean[:, None] + np.sqrt(total)[:, None] * rng.standard_normal((b, draws, m))
    row = np.repeat(np.arange(b), draws)
    weight = 1 / np.maximum(total, _LEAST)  # an exact fit of exact scores has no variance
    found, _, status = minimise(
        law, t[row], y.reshape(-1, m), weight[row], theta[row], slack=SLACK, most=30, near=NEAR
    )
    return found.reshape(b, draws, -1), status.reshape(b, draws)
