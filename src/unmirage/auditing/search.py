"""Every member of both classes of explanations, tried on a batch of curves.

A member is a smooth law at one level of noise between the rungs, without a step or with one at one
gap; :mod:`unmirage.auditing.breaks` tells its criterion D.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmirage.curves.laws import (
    PLATEAU,
    Data,
    Fit,
    Law,
    minus_two_log,
    plateau_columns,
    shapes,
    solve,
    unit,
    weighted_fit,
)
from unmirage.types import Floats

#: noise levels tried, as multiples of the noise the law shows on the curve
LEVELS = np.array([0.0, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.8])
#: what a level stands for: the length of noise nearest to it
_LEVEL_PRIOR = np.gradient(LEVELS) / np.gradient(LEVELS).sum()
#: rungs that a step leaves at least on either side
SIDE = 2
MEMORY = 4_000_000  # doubles in the largest temporary

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Members:
    """One law tried on a batch, without or with a step: one row a (curve, gap, noise level)."""

    law: Law
    curve: Ints  # (N,)
    gap: Ints  # (N,) -1 without a step
    tau: Floats  # (N,) noise between rungs, on the scale of eta
    shape: Floats  # (N, 2) of the plateau, NaN otherwise
    theta: Floats  # (N, Q) coefficients, the height of the step last
    criterion: Floats  # (N,) D
    prior: Floats  # (N,) even over gaps, and over noise from none to the largest level

    def take(self, rows: Ints | NDArray[np.bool_]) -> Members:
        names = ("curve", "gap", "tau", "shape", "theta", "criterion", "prior")
        return Members(self.law, *(getattr(self, name)[rows] for name in names))


def search(
    laws: Sequence[Law], fits: Sequence[Fit], data: Data
) -> tuple[Floats, BestStep, BestStep, list[Members]]:
    """Try every member of both classes.

    D of each smooth law (W, B), the best step, the best at the edge of the rungs, all members.
    """
    b, m = data.u.shape
    smooth = np.full((len(laws), b), np.inf)
    best, edge = BestStep(b, m), BestStep(b, m)
    members = []
    for number, (law, fitted) in enumerate(zip(laws, fits, strict=True)):
        for part in _parts(b, m):
            made, noise, contrast = _members(law, fitted, data, part, step=False)
            members.append(made)
            smooth[number] = np.minimum(smooth[number], _least(made, b))
            if law.takes_step:
                made, noise, contrast = _members(law, fitted, data, part, step=True)
                inner = (made.gap >= SIDE - 1) & (made.gap < m - SIDE)
                best.see(made.take(inner), noise[inner], contrast[inner])
                edge.see(made.take(~inner), noise[~inner], contrast[~inner])
                members.append(made)
    return smooth, best, edge, members


def _parts(b: int, m: int) -> Iterator[Ints]:
    """Curves in parts whose rows (gap, noise level) fit into memory."""
    size = max(1, MEMORY // (m * m * len(LEVELS) * 8))
    for start in range(0, b, size):
        yield np.arange(start, min(start + size, b))


def _least(made: Members, b: int) -> Floats:
    """Least criterion of every curve, (B,); inf where there is none."""
    out = np.full(b, np.inf)
    np.minimum.at(out, made.curve, made.criterion)
    return out


class BestStep:
    """The best step of every curve so far."""

    def __init__(self, b: int, m: int) -> None:
        self.criterion, self.gap = np.full(b, np.inf), np.zeros(b, np.int64)
        self.size, self.contrast = np.full(b, np.nan), np.full(b, np.nan)
        self.noise, self.link = np.zeros((b, m)), [""] * b

    def see(self, made: Members, noise: Floats, contrast: Floats) -> None:
        order = np.lexsort((made.criterion, made.curve))
        curves, first = np.unique(made.curve[order], return_index=True)
        rows = order[first]
        won = made.criterion[rows] < self.criterion[curves]
        curves, rows = curves[won], rows[won]
        self.criterion[curves], self.gap[curves] = made.criterion[rows], made.gap[rows]
        self.size[curves], self.contrast[curves] = made.theta[rows, -1], contrast[rows]
        self.noise[curves] = noise[rows]
        for i in curves:
            self.link[i] = made.law.link


def penalty_of(law: Law, m: int, step: bool) -> float:
    """2k, k the coefficients, the noise and the step (Akaike); inf where no rung is to spare."""
    k = law.parameters + 1 + int(step)
    return 2.0 * k if m > k else np.inf


def _levels(fitted: Fit) -> Floats:
    """(B, L) noise levels on the scale of eta."""
    return np.asarray(np.maximum(fitted.tau, typical_noise(fitted))[:, None] * LEVELS)


def typical_noise(fitted: Fit) -> Floats:
    """Median sampling error of a rung on the scale of eta, (B,)."""
    slope = np.maximum(np.abs(fitted.slope), 1e-9)
    return np.asarray(np.minimum(np.median(fitted.sampling / slope, axis=1), 10.0))


def _members(
    law: Law, fitted: Fit, data: Data, part: Ints, *, step: bool
) -> tuple[Members, Floats, Floats]:
    """The law on some curves at every noise level, with a step at every gap or without.

    With the noise between rungs in u (N, M), and the contrast of the step (N,).
    """
    m = data.u.shape[1]
    penalty = penalty_of(law, m, step)
    if law.basis == PLATEAU:
        made = _plateau_members(law, fitted, data, part, penalty)
        return made, np.zeros((len(made.curve), m)), np.zeros(len(made.curve))
    places = m - 1 if step else 1
    # no rung to spare: no members
    curve = np.repeat(part if np.isfinite(penalty) else part[:0], places * len(LEVELS))
    gap = np.tile(np.repeat(np.arange(places), len(LEVELS)), len(curve) // (places * len(LEVELS)))
    tau = np.tile(_levels(fitted)[part][:, None], (1, places, 1)).ravel()[: len(curve)]
    extra = (np.arange(m) > gap[:, None]).astype(float) if step else None
    again = weighted_fit(law, data.take(curve), fitted.take(curve), tau, extra=extra)
    height = again.theta[:, -1]
    rows = np.arange(len(curve))
    criterion = _deviance(data.take(curve), again.mean, again.slope, tau) + penalty
    shape = np.full((len(curve), 2), np.nan)
    prior = np.tile(_LEVEL_PRIOR / places, len(curve) // len(LEVELS))
    if not step:
        none = Members(law, curve, gap - 1, tau, shape, again.theta, criterion, prior)
        return none, np.zeros((len(curve), m)), np.zeros(len(curve))
    rest = np.abs(again.eta[rows, gap + 1] - again.eta[rows, gap] - height)
    noise = data.take(curve).noise_slope(again.slope) * tau[:, None]
    made = Members(law, curve, gap, tau, shape, again.theta, criterion, prior)
    return made, noise, np.abs(height) / np.maximum(rest, 1e-9)


def _plateau_members(law: Law, fitted: Fit, data: Data, part: Ints, penalty: float) -> Members:
    """All shapes and noise levels of the plateau, with weights at the fitted mean."""
    part = part if np.isfinite(penalty) else part[:0]
    few, at = data.take(part), fitted.take(part)
    tau = _levels(at)  # (B, L); axes of the arrays below: B, L, G shapes, M, P
    noisy = few.noise_slope(at.slope)[:, None] * tau[..., None]
    total = (few.variance(at.mean)[:, None] + noisy**2)[:, :, None]
    columns = plateau_columns(unit(few.x)[0])[:, None]
    theta = solve(columns, 1 / total, few.u[:, None, None])
    residual = few.u[:, None, None] - np.einsum("...mp,...p->...m", columns, theta)
    q = (residual**2 / total).sum(-1)
    criterion = np.log(total).sum(-1) + q + penalty
    centre, width = shapes(unit(few.x)[0])
    shape = np.broadcast_to(np.stack([centre, width], -1)[:, None], (*q.shape, 2))
    return Members(
        law,
        np.repeat(part, q.shape[1] * q.shape[2]),
        np.full(q.size, -1),
        np.repeat(tau.ravel(), q.shape[2]),
        shape.reshape(-1, 2),
        theta.reshape(-1, theta.shape[-1]),
        criterion.ravel(),
        np.tile(np.repeat(_LEVEL_PRIOR, q.shape[2]), q.shape[0]) / q.shape[2],
    )


def _deviance(data: Data, mean: Floats, slope: Floats, tau: Floats) -> Floats:
    return minus_two_log(data.u - mean, data.total(mean, slope, tau))
