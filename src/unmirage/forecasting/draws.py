"""Forecasts as draws: mixtures of normals on links, pushed to scores, with sampling error.

The points are quasi-random (Sobol), the same for all series, so no loop over draws and no noise of
its own. Axes: B series, T targets, H components, R draws.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from unmirage.forecasting.series import Batch, backward
from unmirage.types import Floats


def points(draws: int, seed: int, dimensions: int = 3) -> Floats:
    """(D, R) uniforms in (0, 1), evenly spread."""
    sobol = stats.qmc.Sobol(dimensions, seed=np.random.default_rng([seed, 7]))
    power = int(np.ceil(np.log2(draws)))
    return np.asarray(sobol.random_base2(power)[:draws].T.clip(1e-6, 1 - 1e-6))


def mixture(
    links: tuple[str, ...], weight: Floats, mean: Floats, sd: Floats, like: Batch, uniform: Floats
) -> tuple[Floats, Floats]:
    """Draws of the expected score (B, T, R) and the component of each (B, R)."""
    total = np.cumsum(weight, axis=1)
    order = np.sort(uniform[0])
    pick = np.stack([np.searchsorted(row, order * row[-1]) for row in total])
    pick = pick.clip(0, weight.shape[1] - 1)
    each = pick[:, None]
    z = np.take_along_axis(mean, np.broadcast_to(each, (*mean.shape[:2], len(order))), axis=2)
    spread = np.take_along_axis(sd, np.broadcast_to(each, z.shape), axis=2)
    z = z + spread * stats.norm.ppf(uniform[1])[np.argsort(uniform[0])]
    per = weight.shape[1] // len(links)
    score = np.empty_like(z)
    for place, link in enumerate(links):
        here = np.broadcast_to((each // per) == place, z.shape)
        score = np.where(here, backward(link, z, like), score)
    return score, pick


def observe(score: Floats, share: Floats, target: Batch, uniform: Floats) -> Floats:
    """Scores as they would be measured: sampling error added, counts of items whole, (B, T, R).

    ``share`` (B, R): the part of the sampling variance that models do not have in common.
    ``target`` holds n and se of the rungs to be forecast.
    """
    n, se = target.n[..., None], np.nan_to_num(target.se)[..., None]
    worst, span = target.worst[:, None, None], target.span[:, None, None]
    u = (score - worst) / span
    inside = np.clip(u, 0.0, 1.0)
    counted = np.isfinite(n)
    sd = np.where(counted, np.sqrt(inside * (1 - inside) / np.where(counted, n, 1.0)), se / np.abs(span))
    u = u + np.sqrt(share)[:, None] * sd * stats.norm.ppf(uniform)
    whole = np.round(np.clip(u, 0, 1) * n) / n
    u = np.where(counted, whole, np.clip(u, 0, 1) if target.kind in ("share", "chance") else u)
    return np.asarray(worst + span * u)
