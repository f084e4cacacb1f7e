"""A Gaussian process on the link scale, its hyperparameters averaged over, not chosen.

With t the decades of scale beyond the last rung seen, a series is

    z_i = a + b t_i + c t_i^2 + w(t_i) + e_i + s_i,
    a ~ N(mean z, A^2),  b ~ N(m, beta^2),  c ~ N(0, gamma^2),

w a random walk of omega per square root of a decade, e noise between rungs of sd tau (also of the
rung to be forecast) and s sampling error of variance kappa v_i: models that answer the same items
share part of their luck, so kappa may be below 1. The noise of earlier rungs is
10^(phi |t| / 2) times as large, which matters along a training run. Given all these numbers h everything is
normal and in closed form (Rasmussen and Williams 2006, Eqs. 2.23 to 2.25, 2.30). h lies on a
grid whose weights start flat. The series of a family move them together (the nonparametric estimate
of a mixing distribution, Laird 1978, by EM, held back by the flat prior), then each series by its
own likelihood: nothing is chosen, all is averaged. Links are compared by the likelihood of the scores themselves (with log |dz/dy|).

Axes: B series, M rungs, T targets, H points of the grid (over all links).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from unmirage.forecasting.series import LINKS, Batch, forward
from unmirage.types import Floats

#: prior sd of the level, link units
LEVEL_SD = 10.0
#: (mean, sd) of the slope at the last rung, link units a decade
SLOPES = ((0.0, 0.0), (0.0, 0.1), (0.1, 0.1), (0.0, 0.4), (0.4, 0.3), (1.0, 0.6))
BENDS = (0.0, 0.2)
WALKS = (0.0, 0.05, 0.2, 0.6)
NOISES = (0.003, 0.02, 0.06, 0.2, 0.5)
KAPPAS = (0.1, 1.0)
FADES = (0.0, 1.0)
#: rungs from which on noise may be found to fade (along a training run)
MANY = 12
#: (H, 7): phi, m, beta, gamma, omega, tau, kappa of one link
GRID = np.array(
    [(f, *s, *r) for f, s, *r in product(FADES, SLOPES, BENDS, WALKS, NOISES, KAPPAS)]
)
KAPPA = GRID[:, 6]
#: how many series the flat prior counts as, beside the square root of those of the family
STRENGTH = 20.0


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the process says at the targets, one normal for each point of the grid."""

    links: tuple[str, ...]
    log_like: Floats  # (B, H) log density of the training scores
    mean: Floats  # (B, T, H) link scale
    sd: Floats  # (B, T, H) without the sampling error of the target


def posterior(train: Batch, at: Floats, chunk: int = 2_000_000) -> Posterior:
    """Fit every series at every point of the grid and forecast at ``at`` (B, T), log10 scale."""
    links, m = LINKS[train.kind], train.x.shape[1]
    grid = GRID if m >= MANY else GRID[GRID[:, 0] == 0]
    rows = max(1, chunk // (len(grid) * m * (m + at.shape[1])))
    parts = []
    for link in links:
        z, v, jacobian = forward(link, train)
        pieces = [slice(i, i + rows) for i in range(0, len(z), rows)]
        done = [_exact(grid, train.x[p], z[p], v[p], at[p]) for p in pieces]
        like, mean, sd = (np.concatenate([d[k] for d in done]) for k in range(3))
        like = like + jacobian.sum(axis=1)[:, None]
        missing = len(GRID) - len(grid)
        pad = ((0, 0), (0, missing))
        parts.append(
            (
                np.pad(like, pad, constant_values=-np.inf),
                np.pad(mean, ((0, 0), *pad)),
                np.pad(sd, ((0, 0), *pad)),
            )
        )
    like, mean, sd = (np.concatenate([p[k] for p in parts], axis=-1) for k in range(3))
    return Posterior(links, like, mean, sd)


def _exact(
    grid: Floats, x: Floats, z: Floats, v: Floats, at: Floats
) -> tuple[Floats, Floats, Floats]:
    """Likelihood (B, H), and mean and sd at the targets (B, T, H)."""
    last = x[:, -1:]
    t, s = x - last, at - last
    first = t[:, :1]
    fade, m, kappa = grid[:, 0], grid[:, 1], grid[:, 6]
    beta2, bend2, omega2, tau2 = (grid[:, 2:6] ** 2).T
    centre = z.mean(axis=1, keepdims=True)

    def cover(one: Floats, two: Floats) -> Floats:
        """(B, H, P, Q) covariance of the smooth part."""
        both = (one[:, :, None] * two[:, None, :])[:, None]
        slope = both * beta2[:, None, None] + both**2 * bend2[:, None, None]
        walk = np.minimum(one[:, :, None], two[:, None, :]) - first[:, :, None]
        return np.asarray(LEVEL_SD**2 + slope + walk[:, None] * omega2[:, None, None])

    k = cover(t, t)
    noise = v[:, None] * kappa[:, None] + tau2[:, None]
    place = np.arange(t.shape[1])
    k[:, :, place, place] += noise * 10 ** (-fade[:, None] * t[:, None]) + 1e-10
    low = np.linalg.cholesky(k)
    r = (z - centre)[:, None] - m[:, None] * t[:, None]
    cross = cover(t, s)
    solved = np.linalg.solve(low, np.concatenate([r[..., None], cross], axis=-1))
    w, c = solved[..., 0], solved[..., 1:]
    logdet = np.log(np.diagonal(low, axis1=2, axis2=3)).sum(axis=2)
    like = -0.5 * (w**2).sum(axis=2) - logdet - 0.5 * t.shape[1] * np.log(2 * np.pi)
    ahead = s[..., None]
    mean = centre[..., None] + m * ahead + np.einsum("bhmt,bhm->bth", c, w)
    prior = LEVEL_SD**2 + ahead**2 * beta2 + ahead**4 * bend2 + tau2
    prior = prior + (s - first)[..., None] * omega2
    var = prior - np.einsum("bhmt,bhmt->bth", c, c)
    return like, mean, np.sqrt(np.maximum(var, 1e-12))


@dataclass(frozen=True, eq=False)
class Prior:
    """Weights of the grid: of the links of a kind, and of the points of a link."""

    link: Mapping[str, Floats]  # kind -> (links,)
    point: Mapping[str, Floats]  # link -> (len(GRID),)

    def weight(self, kind: str) -> Floats:
        """(H,) of a kind."""
        parts = zip(self.link[kind], LINKS[kind], strict=True)
        return np.concatenate([share * self.point[name] for share, name in parts])


def flat() -> Prior:
    """All points alike."""
    return Prior(
        {k: np.full(len(v), 1 / len(v)) for k, v in LINKS.items()},
        {name: np.full(len(GRID), 1 / len(GRID)) for v in LINKS.values() for name in v},
    )


def learn(
    like: Mapping[str, Floats],
    count: Mapping[str, Floats],
    start: Prior,
    strength: float,
    steps: int = 60,
) -> Prior:
    """The prior by EM on series of all kinds, log likelihoods (B, H) by kind.

    ``count`` (B,): how many series each counts as. ``strength``: how many the ``start``
    counts as, for each link (a Dirichlet prior).
    """
    scaled = {k: np.exp(v - v.max(axis=1, keepdims=True)) for k, v in like.items()}
    found = start
    for _ in range(steps):
        links, points = {}, {name: strength * p for name, p in start.point.items()}
        for kind, usual in start.link.items():
            links[kind] = strength * usual
            if kind not in scaled:
                continue
            share = scaled[kind] * found.weight(kind)
            share *= (count[kind] / share.sum(axis=1))[:, None]
            total = share.sum(axis=0).reshape(len(usual), -1)
            links[kind] = links[kind] + total.sum(axis=1)
            for name, part in zip(LINKS[kind], total, strict=True):
                points[name] = points[name] + part
        found = Prior(*({k: v / v.sum() for k, v in made.items()} for made in (links, points)))
    return found


def responsibilities(log_like: Floats, weight: Floats) -> Floats:
    """Posterior weights of the grid for each series, (B, H)."""
    share = np.exp(log_like - log_like.max(axis=1, keepdims=True)) * weight
    return np.asarray(share / share.sum(axis=1, keepdims=True))
