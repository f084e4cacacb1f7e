"""What the noise-free curve may be: draws from all laws that fit, with and without a step.

A measured curve is rougher than the true one, so a shape score of the former (steps in the
denominator, a width) is biased, and resampling the items adds the noise a second time. Here the
members of the break search (law, gap of a step, noise tau between rungs) stand for what the curve
may be. Each has the weight

    w = exp(-(D + log det X'WX) / 2) * prior,

the prior even over the places of the step and over the noise, D its criterion (Akaike weights:
Burnham and Anderson 2002, Sec. 2.9), W = diag(g^2 / (v + g^2 tau^2)). The determinant, relative to
that of the best member of the same law, makes up for the coefficients that were fitted (restricted
likelihood: Patterson and Thompson 1971, doi:10.1093/biomet/58.3.545).
A draw takes a member, its coefficients from N(theta, (X'WX)^-1), and at each rung the deviation
from the law given the residual r = u - mu,

    d ~ N(G (G + V)^-1 r, G - G (G + V)^-1 G),    G = diag(g^2 tau^2),

V the covariance of the sampling errors, which models have in common where they share items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmirage.auditing.breaks import NEAR
from unmirage.auditing.search import Members
from unmirage.curves.laws import PLATEAU, PLAUSIBLE, Data, design, inverse_link, minus_two_log, unit
from unmirage.types import Floats

#: proposals a draw, and how far above the proposal the likelihood of one may count
_SPARE, _MOST_EXCESS = 2, 4.0


def curve_draws(
    members: Sequence[Members],
    data: Data,
    rng: np.random.Generator,
    draws: int,
    correlation: Floats | None = None,
    *,
    even: bool = False,
    silent: np.ndarray | None = None,
) -> Floats | None:
    """Noise-free curves of one curve (``data`` of batch size 1), (R, M) in the working unit.

    ``correlation`` (M, M) is that of the sampling errors of the rungs; None: independent. ``even``:
    all laws within PLAUSIBLE of the best count alike, for what only the laws can tell. ``silent``
    (M,): rungs at the floor, where laws are extrapolated; of W plausible laws one draw in W + 1
    takes there what the items say by themselves. None is returned where no law has a rung to spare.
    """
    made = _draw(members, data, rng, draws, even)
    if made is None:
        return None
    mean, slope, tau = made
    drawn = _between(data, mean, slope, tau, rng, correlation)
    if silent is not None and silent.any():
        lawless = rng.random(draws) < 1 / (1 + _plausible(members))
        drawn = np.where(lawless[:, None] & silent, _alone(data, rng, draws), drawn)
    return drawn


def _plausible(members: Sequence[Members]) -> int:
    """How many laws come within PLAUSIBLE of the best."""
    best = min(g.criterion.min() for g in members)
    return len({g.law for g in members if g.criterion.min() <= best + PLAUSIBLE})


def _alone(data: Data, rng: np.random.Generator, draws: int) -> Floats:
    """What the items of each rung say by themselves, (R, M): Beta(k + 1/2, n - k + 1/2) of k right
    in n (Jeffreys), a normal distribution for other scores."""
    u, n, size = data.u[0], data.n[0], (draws, data.u.shape[1])
    if np.isnan(n).any():
        return np.asarray(u + data.se[0] * rng.standard_normal(size))
    span = data.high[0] - data.low[0]
    right = np.clip(data.low[0] + u * span, 0.0, 1.0) * n
    return np.asarray((rng.beta(right + 0.5, n - right + 0.5, size) - data.low[0]) / span)


def law_draws(
    members: Sequence[Members], data: Data, rng: np.random.Generator, draws: int
) -> Floats | None:
    """What the smooth law of one curve may be, noise between rungs left out, (R, M)."""
    made = _draw([g for g in members if g.gap[0] < 0], data, rng, draws)
    return None if made is None else made[0]


def _draw(
    members: Sequence[Members],
    data: Data,
    rng: np.random.Generator,
    draws: int,
    even: bool = False,
) -> tuple[Floats, Floats, Floats] | None:
    """Laws with their coefficients: mean and slope (R, M), noise tau (R,).

    Far from its fit a law is not as likely as the normal distribution says, so more are proposed
    than wanted and drawn again by weight (sampling importance resampling, Rubin 1988).
    """
    if not members:
        return None
    columns = [_columns(g, data) for g in members]
    factors, criteria, deviances = [], [], []
    for g, x in zip(members, columns, strict=True):
        mean, slope = inverse_link(g.law.link, np.einsum("nmp,np->nm", x, g.theta))
        total = _total(data, mean, slope, g.tau)
        deviances.append(minus_two_log(data.u - mean, total))
        gram = _gram(x, slope**2 / total)
        root = np.linalg.cholesky(gram)
        half_log = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        best = int(g.criterion.argmin())
        # a law without slope has no determinant to speak of: it may not outweigh the criterion
        fitted = np.clip(2 * (half_log - half_log[best]), -NEAR, NEAR)
        criteria.append(g.criterion + fitted - 2 * np.log(g.prior))
        factors.append(np.swapaxes(np.linalg.inv(root), 1, 2))  # F F' = (X'WX)^-1
    log_weight = -0.5 * np.concatenate(criteria)
    weight = _evened(members, log_weight) if even else np.exp(log_weight - log_weight.max())
    counts = rng.multinomial(_SPARE * draws, weight / weight.sum())
    out: list[tuple[Floats, Floats, Floats, Floats]] = []
    start = 0
    for g, x, factor, at_fit in zip(members, columns, factors, deviances, strict=True):
        mine = counts[start : start + len(g.curve)]
        start += len(g.curve)
        row = np.repeat(np.arange(len(mine)), mine)
        z = rng.standard_normal((len(row), g.theta.shape[1]))
        theta = g.theta[row] + np.einsum("rpq,rq->rp", factor[row], z)
        mean, slope = inverse_link(g.law.link, np.einsum("rmp,rp->rm", x[row], theta))
        deviance = minus_two_log(data.u - mean, _total(data, mean, slope, g.tau[row]))
        out.append((mean, slope, g.tau[row], deviance - at_fit[row] - (z**2).sum(axis=1)))
    mean, slope, tau, excess = (np.concatenate(parts) for parts in zip(*out, strict=True))
    likely = np.exp(-0.5 * np.maximum(excess, -_MOST_EXCESS))  # no draw outweighs all others
    kept = rng.choice(len(likely), draws, p=likely / likely.sum())
    return mean[kept], slope[kept], tau[kept]


def _evened(members: Sequence[Members], log_weight: Floats) -> Floats:
    """Weights (N,) in which every plausible law has one share, and others none."""
    laws = [g.law for g in members]
    place = np.repeat([laws.index(law) for law in laws], [len(g.curve) for g in members])
    least, most = np.full(len(laws), np.inf), np.full(len(laws), -np.inf)
    np.minimum.at(least, place, np.concatenate([g.criterion for g in members]))
    np.maximum.at(most, place, log_weight)
    weight = np.exp(log_weight - most[place])
    share = np.bincount(place, weight, len(laws))
    near = least <= least.min() + PLAUSIBLE
    return np.asarray(weight * (near / np.where(share > 0, share, 1.0))[place])


def _columns(g: Members, data: Data) -> Floats:
    """(N, M, Q), the step last."""
    t = np.broadcast_to(unit(data.x)[0], (len(g.curve), data.u.shape[1]))
    columns = design(g.law, t, g.shape if g.law.basis == PLATEAU else None)
    if g.gap[0] < 0:
        return columns
    step = (np.arange(t.shape[1]) > g.gap[:, None]).astype(float)
    return np.concatenate([columns, step[..., None]], axis=-1)


def _total(data: Data, mean: Floats, slope: Floats, tau: Floats) -> Floats:
    return data.variance(mean) + (data.noise_slope(slope) * tau[:, None]) ** 2


def _gram(columns: Floats, weight: Floats) -> Floats:
    """X'WX with a ridge so small that only directions nobody measured feel it, (N, Q, Q)."""
    gram = np.einsum("nmp,nm,nmq->npq", columns, weight, columns)
    ridge = 1e-6 * np.trace(gram, axis1=1, axis2=2)[:, None, None] + 1e-300
    return np.asarray(gram + ridge * np.eye(gram.shape[-1]))


def _between(
    data: Data,
    mean: Floats,
    slope: Floats,
    tau: Floats,
    rng: np.random.Generator,
    correlation: Floats | None,
) -> Floats:
    """The law's curve with the noise between rungs that the scores leave open, (R, M)."""
    residual = data.u - mean
    v = data.variance(mean)
    g2 = (data.noise_slope(slope) * tau[:, None]) ** 2
    z = rng.standard_normal(mean.shape)
    if correlation is None:
        share = g2 / np.maximum(g2 + v, 1e-300)
        return np.asarray(mean + share * residual + np.sqrt(share * v) * z)
    sd = np.sqrt(v)
    correlation = correlation + 1e-9 * np.eye(len(correlation))  # of identical models it is 1
    both = sd[:, :, None] * sd[:, None] * correlation
    # d = b + G (G + V)^-1 (r - b - e) with b ~ N(0, G), e ~ N(0, V) has the law of d given r
    b = np.sqrt(g2) * z
    root = np.linalg.cholesky(correlation)
    e = sd * (rng.standard_normal(mean.shape) @ root.T)
    inner = both + g2[:, :, None] * np.eye(mean.shape[1])
    solved = np.linalg.solve(inner, (residual - b - e)[..., None])[..., 0]
    return np.asarray(mean + b + g2 * solved)
