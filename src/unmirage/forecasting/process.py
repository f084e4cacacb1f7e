"""A Gaussian process on the link scale, its hyperparameters averaged over, not chosen.

With t the decades of scale beyond the last rung seen, a series is

    z_i = a + b t_i + c min(t_i, 0)^2 + u(t_i) + w(t_i) + e_i + s_i,
    a ~ N(mean z, A^2),  b ~ N(m, beta^2),  c ~ N(0, gamma^2),

c a bend that ends with the last rung (ahead, a parabola would turn), u a slope that wanders (a
random walk integrated from the last rung in both directions, of rho per square root of a decade),
w a random walk of omega per square root of a decade, e noise between rungs of sd tau (also of the
rung to be forecast) and s sampling error of variance kappa v_i: models that answer the same items
share part of their luck, so kappa may be below 1. Earlier rungs may count less: their e and s are
10^(phi |t| / 2) times as large, which matters along a training run. Given all these numbers h all
is normal and in closed form (Rasmussen and Williams 2006, Eqs. 2.23 to 2.25, 2.30). h lies on a
grid whose weights start flat. The other series of a family move them together (the nonparametric
estimate of a mixing distribution, Laird 1978, by EM, held back by the flat prior), then each series
by its own likelihood: nothing is chosen, all is averaged. Links are compared by the likelihood of
the scores themselves (with log |dz/dy|).

Axes: B series, M rungs, T targets, H points of the grid (over all links).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from unmirage.forecasting.series import LINKS, Batch, forward
from unmirage.types import Floats

Integers = NDArray[np.int64]

#: prior sd of the level, link units
LEVEL_SD = 10.0
#: above any squared distance of a series from its law
HUGE = 1e15
#: (mean, sd) of the slope at the last rung, link units a decade
SLOPES = ((0.0, 0.0), (0.0, 0.1), (0.0, 0.4), (0.4, 0.3), (1.0, 0.6), (0.0, 1.5), (0.0, 5.0))
#: (gamma, rho)
BENDS = ((0.0, 0.0), (0.2, 0.0), (1.0, 0.0), (0.0, 0.3), (0.0, 1.0))
WALKS = (0.0, 0.05, 0.2, 0.6)
NOISES = (0.003, 0.02, 0.06, 0.2, 0.5)
KAPPAS = (0.1, 0.4, 1.0)
FADES = (0.0, 1.0)
#: rungs from which on noise may be found to fade (along a training run)
MANY = 12
#: (H, 8): phi, m, beta, gamma, rho, omega, tau, kappa of one link
GRID = np.array(
    [(f, *s, *b, *r) for f, s, b, *r in product(FADES, SLOPES, BENDS, WALKS, NOISES, KAPPAS)]
)
#: how many spare rungs the flat prior counts as
STRENGTH = 40.0


def log_likelihood(train: Batch, chunk: int = 2_000_000) -> Floats:
    """Log density of the scores of each series at every point of the grid of every link, (B, H)."""
    m = train.x.shape[1]
    grid = GRID if m >= MANY else GRID[GRID[:, 0] == 0]
    rows = max(1, chunk // (len(grid) * m * m))
    parts = []
    for link in LINKS[train.kind]:
        z, v, jacobian = forward(link, train)
        pieces = [slice(i, i + rows) for i in range(0, len(z), rows)]
        like = np.concatenate([_exact(grid[None], train.x[p], z[p], v[p])[0] for p in pieces])
        pad = ((0, 0), (0, len(GRID) - len(grid)))
        more = jacobian.sum(axis=1)[:, None]
        parts.append(np.pad(like + more, pad, constant_values=-np.inf))
    return np.concatenate(parts, axis=1)


def ahead(train: Batch, at: Floats, pick: Integers, chunk: int = 2_000_000) -> Ahead:
    """Mean and sd at ``at`` (B, T), log10 scale, of the points ``pick`` (B, K) of each series."""
    links, m = LINKS[train.kind], train.x.shape[1]
    rows = max(1, chunk // (pick.shape[1] * m * (m + at.shape[1])))
    mean = np.empty((*at.shape, pick.shape[1]))
    sd = np.empty_like(mean)
    kind = pick // len(GRID)
    grid = GRID[pick % len(GRID)]
    for place, link in enumerate(links):
        z, v, _ = forward(link, train)
        used = np.flatnonzero((kind == place).any(axis=1))
        for i in range(0, len(used), rows):
            p = used[i : i + rows]
            _, found, spread = _exact(grid[p], train.x[p], z[p], v[p], at[p])
            here = (kind[p] == place)[:, None]
            mean[p] = np.where(here, found, mean[p])
            sd[p] = np.where(here, spread, sd[p])
    return Ahead(links, kind, grid, mean, sd)


def _exact(
    grid: Floats, x: Floats, z: Floats, v: Floats, at: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Likelihood (B, H), and mean and sd at the targets (B, T, H); grid (B or 1, H, 8)."""
    last = x[:, -1:]
    t = x - last
    s = np.empty((len(x), 0)) if at is None else at - last
    fade, m, kappa = grid[..., 0], grid[..., 1], grid[..., 7]
    beta2, bend2, rho2, omega2, tau2 = np.moveaxis(grid[..., 2:7] ** 2, -1, 0)
    centre = z.mean(axis=1, keepdims=True)
    first = t[:, :1]

    rates = np.stack([beta2, bend2, rho2, omega2], axis=-1)  # (B or 1, H, 4)

    def cover(one: Floats, two: Floats) -> Floats:
        """(B, H, P, Q) covariance of the smooth part."""
        both = one[:, :, None] * two[:, None, :]
        past = np.minimum(one, 0)[:, :, None] * np.minimum(two, 0)[:, None, :]
        walk = np.minimum(one[:, :, None], two[:, None, :]) - first[:, :, None]
        parts = np.stack([both, past**2, _wander(one, two), walk], axis=1)
        made = LEVEL_SD**2 + rates @ parts.reshape(*parts.shape[:2], -1)
        return np.asarray(made.reshape(*made.shape[:2], *both.shape[1:]))

    count, more = t.shape[1], 1 + s.shape[1]
    noise = v[:, None] * kappa[..., None] + tau2[..., None]
    place = np.arange(count)
    # the last rows of the root of ((K, r, C), (r', C', huge)) are the solutions L^-1 (r, C)
    whole = np.zeros((len(x), grid.shape[1], count + more, count + more))
    whole[:, :, :count, :count] = cover(t, t)
    whole[:, :, place, place] += noise * 10 ** (-fade[..., None] * t[:, None]) + 1e-10
    whole[:, :, count, :count] = (z - centre)[:, None] - m[..., None] * t[:, None]
    whole[:, :, count + 1 :, :count] = cover(s, t)
    rest = np.arange(count, count + more)
    whole[:, :, rest, rest] = HUGE
    low = np.linalg.cholesky(whole)
    w, c = low[:, :, count, :count], np.swapaxes(low[:, :, count + 1 :, :count], 2, 3)
    low = low[:, :, :count, :count]
    logdet = np.log(np.diagonal(low, axis1=2, axis2=3)).sum(axis=2)
    like = -0.5 * (w**2).sum(axis=2) - logdet - 0.5 * t.shape[1] * np.log(2 * np.pi)
    beyond, m = s[..., None], m[:, None]
    tau2 = tau2[:, None] * 10 ** (-fade[:, None] * np.minimum(beyond, 0))
    mean = centre[..., None] + m * beyond + np.einsum("bhmt,bhm->bth", c, w)
    prior = (
        LEVEL_SD**2
        + beyond**2 * beta2[:, None]
        + np.minimum(beyond, 0) ** 4 * bend2[:, None]
        + tau2
    )
    prior = prior + abs(beyond) ** 3 / 3 * rho2[:, None]
    prior = prior + (s - first)[..., None] * omega2[:, None]
    var = prior - np.einsum("bhmt,bhmt->bth", c, c)
    return like, mean, np.sqrt(np.maximum(var, 1e-12))


def _wander(one: Floats, two: Floats) -> Floats:
    """Covariance (B, P, Q) of a random walk integrated from 0 in both directions, of unit rate."""
    a, b = one[:, :, None], two[:, None, :]
    near, far = np.minimum(abs(a), abs(b)), np.maximum(abs(a), abs(b))
    return np.where(a * b > 0, near**2 * (3 * far - near) / 6, 0.0)


@dataclass(frozen=True, eq=False)
class Ahead:
    """Normals on links at the targets, K for each series, all of one weight."""

    links: tuple[str, ...]
    kind: Integers  # (B, K) place of the link
    grid: Floats  # (B, K, 8)
    mean: Floats  # (B, T, K) link scale
    sd: Floats  # (B, T, K) without the sampling error of the target


@dataclass(frozen=True, eq=False)
class Prior:
    """Weights of the grid: of the links of a kind, and of the points of a link; not normalised."""

    link: Mapping[str, Floats]  # kind -> (links,)
    point: Mapping[str, Floats]  # link -> (len(GRID),)

    def weight(self, kind: str) -> Floats:
        """(H,) of a kind."""
        points = np.stack([self.point[name] for name in LINKS[kind]])
        return _joint(self.link[kind], points)


def _joint(links: Floats, points: Floats) -> Floats:
    """Weights of links (..., L) and of their points (..., L, G), normalised, as (..., L G)."""
    links = links / links.sum(axis=-1, keepdims=True)
    points = points / points.sum(axis=-1, keepdims=True)
    made = links[..., None] * points
    return np.asarray(made.reshape(*made.shape[:-2], -1))


def flat(strength: float = 1.0) -> Prior:
    """All points alike; together they count as ``strength`` spare rungs for each link."""
    return Prior(
        {k: np.full(len(v), strength / len(v)) for k, v in LINKS.items()},
        {n: np.full(len(GRID), strength / len(GRID)) for v in LINKS.values() for n in v},
    )


def learn(
    density: Mapping[str, Floats], count: Mapping[str, Floats], start: Prior, steps: int = 60
) -> Prior:
    """The prior by EM on series of all kinds, likelihoods (B, H) by kind, largest 1.

    ``count`` (B,): how much each series counts; ``start`` is a Dirichlet prior.
    """
    found = start
    for _ in range(steps):
        totals = {}
        for kind, values in density.items():
            weight = found.weight(kind)
            totals[kind] = weight * ((count[kind] / (values @ weight)) @ values)
        found = _total(totals, start)
    return found


def weigh(
    like: Mapping[str, Floats], count: Mapping[str, Floats], start: Prior
) -> dict[str, Floats]:
    """Weights of the grid (B, H) by kind: what all other series say, then the series itself."""
    density = {k: np.exp(v - v.max(axis=1, keepdims=True)) for k, v in like.items()}
    shares = _shares(density, count, learn(density, count, start))
    total, made = _total({k: v.sum(axis=0) for k, v in shares.items()}, start), {}
    for kind, share in shares.items():
        mine = share.reshape(len(share), len(LINKS[kind]), -1)
        points = np.stack([total.point[name] for name in LINKS[kind]])
        links = np.maximum(total.link[kind] - mine.sum(axis=2), start.link[kind])
        others = np.maximum(points - mine, np.stack([start.point[n] for n in LINKS[kind]]))
        made[kind] = responsibilities(density[kind], _joint(links, others))
    return made


def _shares(
    density: Mapping[str, Floats], count: Mapping[str, Floats], prior: Prior
) -> dict[str, Floats]:
    return {
        kind: responsibilities(values, prior.weight(kind)) * count[kind][:, None]
        for kind, values in density.items()
    }


def _total(totals: Mapping[str, Floats], start: Prior) -> Prior:
    """What the series give, (H,) by kind, added to the start."""
    links, points = dict(start.link), dict(start.point)
    for kind, total in totals.items():
        parts = total.reshape(len(LINKS[kind]), -1)
        links[kind] = links[kind] + parts.sum(axis=1)
        for name, part in zip(LINKS[kind], parts, strict=True):
            points[name] = points[name] + part
    return Prior(links, points)


def responsibilities(density: Floats, weight: Floats) -> Floats:
    """Posterior weights of the grid for each series, (B, H), from its likelihoods."""
    share = density * weight
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def pick(weight: Floats, count: int) -> Integers:
    """Points of the grid, as often as their weight says, (B, count): systematic sampling."""
    total = np.cumsum(weight, axis=1)
    even = (np.arange(count) + 0.5) / count
    found = [np.searchsorted(row, even * row[-1]) for row in total]
    return np.stack(found).clip(0, weight.shape[1] - 1)
