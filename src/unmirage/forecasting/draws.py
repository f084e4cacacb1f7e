"""Forecasts as draws: mixtures of normals on links, pushed to scores, with sampling error.

The points are quasi-random (Sobol), the same for all series, so no loop over draws and no noise of
its own. Axes: B series, T targets, H components, R draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unmirage.forecasting.process import Ahead
from unmirage.forecasting.series import BOUNDED, Batch, backward
from unmirage.forecasting.types import LEVELS, Fan
from unmirage.types import Floats


def points(draws: int, seed: int, dimensions: int = 3) -> Floats:
    """(D, R) uniforms in (0, 1), evenly spread."""
    sobol = stats.qmc.Sobol(dimensions, seed=np.random.default_rng([seed, 7]))
    power = int(np.ceil(np.log2(draws)))
    return np.asarray(sobol.random_base2(power)[:draws].T.clip(1e-6, 1 - 1e-6))


def expected(found: Ahead, like: Batch, uniform: Floats) -> tuple[Floats, Floats]:
    """Draws of the score without sampling error (B, T, R), and kappa of each (B, R)."""
    parts = found.mean.shape[2]
    place = np.minimum((uniform[0] * parts).astype(int), parts - 1)
    z = found.mean[..., place] + found.sd[..., place] * stats.norm.ppf(uniform[1])
    score = np.empty_like(z)
    for number, link in enumerate(found.links):
        here = (found.kind[:, place] == number)[:, None]
        if here.any():
            score = np.where(here, backward(link, z, like), score)
    return score, found.grid[:, place, 7]


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
    sd = np.where(
        counted, np.sqrt(inside * (1 - inside) / np.where(counted, n, 1.0)), se / np.abs(span)
    )
    u = u + np.sqrt(share)[:, None] * sd * stats.norm.ppf(uniform)
    whole = np.round(np.clip(u, 0, 1) * n) / n
    u = np.where(counted, whole, np.clip(u, 0, 1) if target.kind in BOUNDED else u)
    low, high = target.low[:, None, None], target.high[:, None, None]
    return np.asarray(np.clip(worst + span * u, low, high))


def target(data: Batch, targets: int) -> Batch:
    """What the targets will be measured on: as many items as the rungs, else the last error."""
    known = np.isfinite(data.n).all(axis=1)
    n = np.where(known, np.median(np.nan_to_num(data.n), axis=1), np.nan)
    blank = np.full((len(n), targets), np.nan)
    n, se = np.repeat(n[:, None], targets, axis=1), np.repeat(data.se[:, -1:], targets, axis=1)
    return replace(data, x=blank, y=blank, n=n, se=se)


def fan(scale: Floats, made: Floats, widest: Floats, known: NDArray[np.bool_]) -> Fan:
    """The bands of draws (T, R) at ``scale`` (T,).

    Where it is not ``known`` there is no median, and one band: the ``widest`` plausible (T, 2).
    """
    bands = {}
    for level in (LEVELS[0], LEVELS[1], LEVELS[3]):
        low, high = np.quantile(made, [(1 - level) / 2, (1 + level) / 2], axis=1)
        beyond = widest if level == LEVELS[3] else np.full_like(widest, np.nan)
        bands[level] = (np.where(known, low, beyond[:, 0]), np.where(known, high, beyond[:, 1]))
    return Fan(scale, np.where(known, np.median(made, axis=1), np.nan), bands)


def band_as_measured(band: Floats, data: Batch) -> Floats:
    """The ends (T, 2) of a 95 % band of one series, moved out by 1.96 sampling errors at them."""
    like = target(data, len(band))
    both = np.concatenate([band, band], axis=1)
    normal = stats.norm.cdf(1.96 * np.array([-1.0, -1.0, 1.0, 1.0]))
    every = np.concatenate([band, observe(both[None], np.ones((1, 4)), like, normal)[0]], axis=1)
    return np.stack([every.min(axis=1), every.max(axis=1)], axis=1)
