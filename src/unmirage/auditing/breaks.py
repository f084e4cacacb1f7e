"""Is there a sudden break that no smooth law explains?

Two classes of explanation compete for a curve: the smooth laws of :mod:`unmirage.curves.laws`, and
a smooth law (line or bend) plus one step at an unknown gap between two rungs. Each member gets

    D = min over tau of  sum_i log(v_i + g_i^2 tau^2) + (u_i - mu_i)^2 / (v_i + g_i^2 tau^2)  + c,

v_i the sampling variance, tau the noise between rungs on the scale of the law, g_i the slope of its
link, and c = 2k for k fitted numbers (Akaike 1974, doi:10.1109/TAC.1974.1100705). The statistic is

    T = min over smooth laws of D  -  min over (law, gap) of D,

so a step counts only if it beats the best smooth law with its own noise, and by more than what
laws that fit about as well differ by (T > 6; else p = 1). A step leaves two rungs or more on either
side: one rung that lies apart says nothing of what is beyond it (trimming as in the sup-F test,
Andrews 1993, doi:10.2307/2951764). The distribution of T comes from families simulated under the
smooth law with the same rungs, items and noise (parametric bootstrap), in which the gap is chosen
anew each time: the place may be chosen after looking. Where several smooth laws fit about as well,
the one that gives the largest p-value counts. With too few rungs for a step and noise both, T =
-inf and p = 1: there a steep smooth curve and a step are one and the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unmirage.curves.laws import (
    LAWS,
    PLATEAU,
    PLAUSIBLE,
    Data,
    Fit,
    Law,
    design,
    fit,
    inverse_link,
    minus_two_log,
    plateau_columns,
    shapes,
    solve,
    unit,
    weighted_fit,
)
from unmirage.types import Floats

#: noise levels tried, as multiples of the noise the law shows on the curve
_LEVELS = np.array([0.0, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.8])
#: what a level stands for: the length of noise nearest to it
_LEVEL_PRIOR = np.gradient(_LEVELS) / np.gradient(_LEVELS).sum()
#: a first look with few draws; curves far from significant stop there
_FIRST, _STOP = 80, 0.2
#: a p-value needs no more than so many families that reach the statistic; families at a time
ENOUGH, _CHUNK = 10, 2000
#: members whose criterion is so far above the best of their curve weigh below 0.25 % of it
NEAR = 12.0
#: rungs that a step leaves at least on either side
SIDE = 2
_MEMORY = 4_000_000  # doubles in the largest temporary

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


@dataclass(frozen=True, eq=False)
class Breaks:
    """One row a curve; axes B curves, M rungs, W laws."""

    p_value: Floats  # (B,) 1 where there are too few rungs
    statistic: Floats  # (B,) T; -inf where there are too few rungs
    edge: Floats  # (B,) T of a step that leaves fewer than SIDE rungs on one side
    gap: Ints  # (B,) the best step lies between rungs gap and gap + 1
    size: Floats  # (B,) its height on the scale of the law, towards better
    contrast: Floats  # (B,) that height over what the smooth part changes across the same gap
    noise: Floats  # (B, M) between rungs, in u, under the better of the two classes
    unit: tuple[str, ...]  # (B,) that scale: the link of the law with the step
    best: Ints  # (B,) number of the best smooth law
    fits: tuple[Fit, ...]  # (W,) each smooth law on all curves
    members: tuple[Members, ...]  # all that come within NEAR of the best of their curve


def find_breaks(
    kind: str, data: Data, streams: Sequence[np.random.Generator], draws: int
) -> Breaks:
    """Test every curve for a break; ``streams`` holds one random generator a curve."""
    laws = LAWS[kind]
    fits = tuple(fit(law, data) for law in laws)
    smooth, best_step, edge, members = search(laws, fits, data)
    size = best_step.size
    if kind == "positive":
        # a loss on its own scale gets better downwards; its logarithm is turned already
        size = np.where([link == "identity" for link in best_step.link], -size, size)
    least, best = smooth.min(axis=0), smooth.argmin(axis=0)
    t, noise = _statistic_and_noise(fits, data, smooth, best_step)
    # where a smooth law fits about as well a step is no evidence, however rare it is
    p_value = np.where(t > PLAUSIBLE, 0.0, 1.0)
    for number in range(len(laws)):
        asked = (t > PLAUSIBLE) & (smooth[number] <= least + PLAUSIBLE)
        rows = np.flatnonzero(asked)
        p = _p_values(laws, number, fits, data, t, rows, streams, _FIRST)
        again = rows[p <= _STOP]
        deep = _p_values(laws, number, fits, data, t, again, streams, draws)
        p[p <= _STOP] = deep
        p_value[rows] = np.maximum(p_value[rows], p)
    limit = np.minimum(least, best_step.criterion) + NEAR
    near = tuple(found.take(found.criterion <= limit[found.curve]) for found in members)
    return Breaks(
        p_value,
        t,
        _gained(least, edge.criterion),
        best_step.gap,
        size,
        best_step.contrast,
        noise,
        tuple(best_step.link),
        best,
        fits,
        tuple(found for found in near if len(found.curve)),
    )


def _gained(least: Floats, criterion: Floats) -> Floats:
    """T: what a step gains on the best smooth law, (B,); -inf where either cannot be fitted."""
    few = ~(np.isfinite(least) & np.isfinite(criterion))
    return np.asarray(np.where(few, -np.inf, least - np.where(few, 0.0, criterion)))


def noise_between(kind: str, data: Data) -> Floats:
    """Noise between rungs in the working unit, (B, M), with the step where it fits better."""
    fits = tuple(fit(law, data) for law in LAWS[kind])
    smooth, best_step, *_ = search(LAWS[kind], fits, data)
    return _statistic_and_noise(fits, data, smooth, best_step)[1]


def _statistic_and_noise(
    fits: Sequence[Fit], data: Data, smooth: Floats, best_step: BestStep
) -> tuple[Floats, Floats]:
    """T of every curve (B,), and its noise between rungs (B, M)."""
    least, best = smooth.min(axis=0), smooth.argmin(axis=0)
    t = _gained(least, best_step.criterion)
    rows = np.arange(len(best))
    at_best = np.stack([data.noise_slope(f.slope) * f.tau[:, None] for f in fits])[best, rows]
    return t, np.where((t > 0)[:, None], best_step.noise, at_best)


def deeper(kind: str, data: Data, statistic: float, rng: np.random.Generator, most: int) -> float:
    """The p-value of one curve from up to ``most`` families of each plausible law.

    A law is done when ENOUGH of its families reach the statistic: p = ENOUGH / families then, else
    (1 + reached) / (1 + families) (Besag and Clifford 1991, doi:10.1093/biomet/78.2.301).
    """
    laws = LAWS[kind]
    fits = tuple(fit(law, data) for law in laws)
    smooth = search(laws, fits, data)[0][:, 0]
    worst, only = 0.0, np.array([0])
    for number in np.flatnonzero(smooth <= smooth.min() + PLAUSIBLE):
        reached = made = 0
        while made < most and reached < ENOUGH:
            families = simulate(fits[number], data, only, [rng], min(_CHUNK, most - made))
            null = _statistics(laws, fits[number], data, only, families)[0]
            hits = np.flatnonzero(null >= statistic)
            if reached + len(hits) >= ENOUGH:
                made += int(hits[ENOUGH - reached - 1]) + 1
                reached = ENOUGH
            else:
                made, reached = made + len(null), reached + len(hits)
        p = reached / made if reached >= ENOUGH else (1 + reached) / (1 + made)
        worst = max(worst, p)
    return worst


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
    size = max(1, _MEMORY // (m * m * len(_LEVELS) * 8))
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


def _penalty(law: Law, m: int, step: bool) -> float:
    """2k, k the coefficients, the noise and the step (Akaike); inf where no rung is to spare."""
    k = law.parameters + 1 + int(step)
    return 2.0 * k if m > k else np.inf


def _levels(fitted: Fit) -> Floats:
    """(B, L) noise levels on the scale of eta."""
    return np.asarray(np.maximum(fitted.tau, _typical(fitted))[:, None] * _LEVELS)


def _typical(fitted: Fit) -> Floats:
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
    penalty = _penalty(law, m, step)
    if law.basis == PLATEAU:
        made = _plateau_members(law, fitted, data, part, penalty)
        return made, np.zeros((len(made.curve), m)), np.zeros(len(made.curve))
    places = m - 1 if step else 1
    # no rung to spare: no members
    curve = np.repeat(part if np.isfinite(penalty) else part[:0], places * len(_LEVELS))
    gap = np.tile(np.repeat(np.arange(places), len(_LEVELS)), len(curve) // (places * len(_LEVELS)))
    tau = np.tile(_levels(fitted)[part][:, None], (1, places, 1)).ravel()[: len(curve)]
    extra = (np.arange(m) > gap[:, None]).astype(float) if step else None
    again = weighted_fit(law, data.take(curve), fitted.take(curve), tau, extra=extra)
    height = again.theta[:, -1]
    rows = np.arange(len(curve))
    criterion = _deviance(data.take(curve), again.mean, again.slope, tau) + penalty
    shape = np.full((len(curve), 2), np.nan)
    prior = np.tile(_LEVEL_PRIOR / places, len(curve) // len(_LEVELS))
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


# ---------------------------------------------------------------- the null distribution


def _p_values(
    laws: Sequence[Law],
    number: int,
    fits: Sequence[Fit],
    data: Data,
    t: Floats,
    rows: Ints,
    streams: Sequence[np.random.Generator],
    draws: int,
) -> Floats:
    """Share of families simulated under one smooth law that reach T, (len(rows),)."""
    out = np.ones(len(rows))
    m = data.u.shape[1]
    size = max(1, _MEMORY // (draws * m * 21))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        made = simulate(fits[number], data, part, streams, draws)
        null = _statistics(laws, fits[number], data.take(part), part, made)
        out[start : start + size] = (1 + (null >= t[part, None]).sum(axis=1)) / (draws + 1)
    return out


def simulate(
    fitted: Fit, data: Data, rows: Ints, streams: Sequence[np.random.Generator], draws: int
) -> Floats:
    """Scores of the same rungs and items under the fitted law, (B, R, M).

    Few rungs say little of the noise between them, so that each family has its own,

        tau_r^2 = (tau^2 + s^2) F - s^2,    F = k / chi2_k,

    s the typical sampling error, k the rungs that tell of the law less its parameters. A law that
    fits badly shows its misfit as noise, and in so much noise a step on few rungs is nothing rare:
    the noise ends at the most that the law has, or at tau where it may have more.
    """
    out = np.empty((len(rows), draws, data.u.shape[1]))
    part, at = data.take(rows), fitted.take(rows)
    most = _most_noise(at, part)
    sampling, spare = _typical(at), np.maximum(_telling(at) - fitted.law.parameters, 2.0)
    for k, row in enumerate(rows):
        rng = streams[row]
        noise = rng.standard_normal((draws, out.shape[2]))
        least = sampling[k] ** 2
        more = (at.tau[k] ** 2 + least) * spare[k] / rng.chisquare(spare[k], draws)
        tau = np.minimum(np.sqrt(np.maximum(more - least, 0.0)), most[k])[:, None]
        mean, slope = inverse_link(fitted.law.link, at.eta[k] + tau * noise)
        if part.least[k] > 0:
            missing = np.sqrt(np.maximum(part.least[k] ** 2 - slope**2, 0.0))
            mean = mean + missing * tau * rng.standard_normal(mean.shape)
        out[k] = sample(mean, part, k, rng)
    return out


def _most_noise(fitted: Fit, data: Data) -> Floats:
    """The most noise that a simulated family has, on the scale of eta, (B,)."""
    law, tau = fitted.law, fitted.tau
    if not law.excess:
        return np.full(len(tau), law.noisy)
    span = np.ptp(data.u, axis=1) if law.link == "identity" else 1.0
    return np.asarray(np.maximum(tau, law.noisy * span))


def _telling(fitted: Fit) -> Floats:
    """How many rungs tell of the law: (sum w)^2 / sum w^2, w their weights (Kish 1965), (B,)."""
    weight = (fitted.slope / fitted.sd) ** 2
    weight = weight / np.maximum(weight.max(axis=1, keepdims=True), 1e-300)
    return np.asarray(weight.sum(axis=1) ** 2 / np.maximum((weight**2).sum(axis=1), 1e-300))


def sample(mean: Floats, data: Data, curve: int, rng: np.random.Generator) -> Floats:
    """Measured scores of one curve whose true values are ``mean`` (R, M)."""
    n = data.n[curve]
    if np.isnan(n).any():
        return np.asarray(mean + data.se[curve] * rng.standard_normal(mean.shape))
    span = data.high[curve] - data.low[curve]
    share = np.clip(data.low[curve] + mean * span, 0.0, 1.0)
    return np.asarray((rng.binomial(n.astype(np.int64), share) / n - data.low[curve]) / span)


def _statistics(laws: Sequence[Law], truth: Fit, data: Data, rows: Ints, made: Floats) -> Floats:
    """T of simulated families, (B, R).

    Each law is made linear about its fit to the truth: under a smooth truth a fitted step is small,
    so this agrees with refitting (tests/auditing/test_breaks.py holds the slow twin).
    """
    m = data.u.shape[1]
    smooth = np.full(made.shape[:2], np.inf)
    stepped = np.full(made.shape[:2], np.inf)
    centre = replace(data, u=truth.mean[rows])
    tau = truth.tau[rows]
    for law in laws:
        penalty = _penalty(law, m, step=False)
        if not np.isfinite(penalty):
            continue
        fitted = fit(law, centre)
        d0, d1 = _law_criteria(law, fitted, data, made, tau)
        smooth = np.minimum(smooth, d0 + penalty)
        if law.takes_step:
            stepped = np.minimum(stepped, d1 + _penalty(law, m, step=True))
    return np.asarray(smooth - stepped)


def _law_criteria(
    law: Law, fitted: Fit, data: Data, made: Floats, tau: Floats
) -> tuple[Floats, Floats]:
    """min over tau of D without and with the best step, (B, R) each, penalties aside."""
    t, _, _ = unit(data.x)
    m = t.shape[1]
    columns = plateau_columns(t) if law.basis == PLATEAU else design(law, t)[:, None]
    residual = made - fitted.mean[:, None]
    inner = slice(SIDE - 1, m - SIDE)
    jump = np.tril(np.ones((m, m)), -1)[:, inner]  # a column a gap: 1 above it
    smooth = np.full(made.shape[:2], np.inf)
    stepped = smooth.copy()
    for level in np.maximum(tau, _typical(fitted))[None] * _LEVELS[:, None]:
        sd = np.sqrt(data.total(fitted.mean, fitted.slope, level))
        pull = (fitted.slope / sd)[:, None, :, None]
        basis, _ = np.linalg.qr(columns * pull)
        r = (residual / sd[:, None])[:, None]  # (B, 1, R, M)
        q = (r**2).sum(-1) - ((r @ basis) ** 2).sum(-1)  # (B, G, R)
        base = 2 * np.log(sd).sum(axis=1)[:, None]
        smooth = np.minimum(smooth, base + q.min(axis=1))
        if not law.takes_step:
            continue
        raw = pull * jump
        off = raw - basis @ (np.swapaxes(basis, -1, -2) @ raw)
        norm = np.linalg.norm(off, axis=2, keepdims=True)
        real = norm > 1e-6 * np.linalg.norm(raw, axis=2, keepdims=True)
        steps = np.where(real, off / np.where(real, norm, 1.0), 0.0)
        gain = ((r @ steps) ** 2).max(axis=-1)  # (B, 1, R)
        stepped = np.minimum(stepped, base + (q - gain)[:, 0])
    return smooth, stepped


__all__ = ["Breaks", "Members", "find_breaks", "sample", "simulate"]
