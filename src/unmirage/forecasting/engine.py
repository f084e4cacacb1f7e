"""Many series at once -> predictive distributions at their targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unmirage.forecasting import draws as make
from unmirage.forecasting import process
from unmirage.forecasting.series import Batch, backward, batch, form
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats

#: parts of the grid with less weight than this are not plausible
PLAUSIBLE = 0.002
_Progress = Callable[[int], None]


def cut(curve: Curve, rungs: int) -> Curve:
    """The first rungs of a curve only; its items are left behind.

    A negative number leaves out that many of the largest.
    """
    columns = ("scale", "models", "score", "stderr", "count", "low", "high")
    return replace(curve, items=None, **{c: getattr(curve, c)[:rungs] for c in columns})


def predict(
    curves: Sequence[Curve],
    at: Sequence[Floats],
    *,
    seed: int = 0,
    draws: int = 1000,
    strength: float = process.STRENGTH,
    progress: _Progress | None = None,
) -> list[Prediction]:
    """Forecast every curve at its targets (T,), log10 scale.

    Curves of one family and scale share what they tell of noise and slopes, whatever their task.
    The same curves and seed give the same draws.
    """
    groups: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for i, c in enumerate(curves):
        groups[form(c), len(c.scale), len(at[i])].append(i)
    fitted = {}
    for key, places in groups.items():
        data = batch([curves[i] for i in places])
        fitted[key] = (data, process.posterior(data, np.stack([at[i] for i in places])))
        if progress:
            progress(len(places))
    priors = _priors(curves, groups, fitted, strength)
    uniform = make.points(draws, seed)
    made: dict[int, Prediction] = {}
    for key, places in groups.items():
        data, found = fitted[key]
        prior = np.stack([priors[_family(curves[i])].weight(key[0]) for i in places])
        weight = process.responsibilities(found.log_like, prior)
        for i, one in zip(places, _draw(data, found, weight, uniform), strict=True):
            made[i] = one
    return [made[i] for i in range(len(curves))]


def _family(curve: Curve) -> tuple[str, str]:
    return curve.key.family, curve.scale_name


def _priors(
    curves: Sequence[Curve],
    groups: dict[tuple[str, int, int], list[int]],
    fitted: dict[tuple[str, int, int], tuple[Batch, process.Posterior]],
    strength: float,
) -> dict[tuple[str, str], process.Prior]:
    """The weights of the grid that the series of each family move together."""
    likes: dict[tuple[str, str], dict[str, list[Floats]]] = defaultdict(lambda: defaultdict(list))
    for key, places in groups.items():
        for row, i in enumerate(places):
            likes[_family(curves[i])][key[0]].append(fitted[key][1].log_like[row])
    found = {}
    for family, kinds in likes.items():
        like = {k: np.stack(v) for k, v in kinds.items()}
        # tasks of one family are no independent witnesses: n of them count as root n
        share = sum(map(len, like.values())) ** -0.5
        count = {k: np.full(len(v), share) for k, v in like.items()}
        found[family] = process.learn(like, count, process.flat(), strength)
    return found


def _draw(
    data: Batch, found: process.Posterior, weight: Floats, uniform: Floats
) -> list[Prediction]:
    expected, pick = make.mixture(found.links, weight, found.mean, found.sd, data, uniform)
    share = process.KAPPA[pick % len(process.KAPPA)]
    target = _target(data, expected.shape[1])
    measured = make.observe(expected, share, target, uniform[2])
    links = weight.reshape(len(weight), len(found.links), -1).sum(axis=2)
    widest = _widest(data, found, weight)
    why = _why(data, found, weight, expected, measured)
    return [
        Prediction(
            measured[b],
            expected[b],
            dict(zip(found.links, map(float, links[b]), strict=True)),
            why[b],
            widest[b],
        )
        for b in range(len(weight))
    ]


def _target(data: Batch, targets: int) -> Batch:
    """What the target will be measured on: as many items as the rungs, the error of the last."""
    known = np.isfinite(data.n).all(axis=1)
    n = np.where(known, np.median(np.nan_to_num(data.n), axis=1), np.nan)
    blank = np.full((len(n), targets), np.nan)
    n, se = n[:, None] + 0 * np.nan_to_num(blank), data.se[:, -1:] + 0 * np.nan_to_num(blank)
    return replace(data, x=blank, y=blank, n=n, se=se)


def _widest(data: Batch, found: process.Posterior, weight: Floats) -> Floats:
    """Hull of the 95 % intervals of all plausible parts, (B, T, 2), within the metric's range."""
    per = weight.shape[1] // len(found.links)
    ends = []
    for place, link in enumerate(found.links):
        part = slice(place * per, (place + 1) * per)
        out = (weight[:, None, part] < PLAUSIBLE) | (found.sd[..., part] == 0)
        for sign in (-1.96, 1.96):
            z = found.mean[..., part] + sign * found.sd[..., part]
            z = np.where(out, np.nan, z)
            ends.append(backward(link, z, data))
    every = np.concatenate(ends, axis=-1)
    low = np.nanmin(np.where(np.isnan(every), np.inf, every), axis=-1)
    high = np.nanmax(np.where(np.isnan(every), -np.inf, every), axis=-1)
    return np.stack([low, high], axis=-1)


def _why(
    data: Batch, found: process.Posterior, weight: Floats, expected: Floats, measured: Floats
) -> list[tuple[dict[str, float], ...]]:
    """Shares of the variance: which law, the law and its drift, noise between rungs, sampling."""
    tau2 = np.tile(process.GRID[:, 5] ** 2, len(found.links))
    noise = (weight * tau2).sum(axis=1)[:, None]
    within = (weight[:, None] * found.sd**2).sum(axis=2)
    share = np.clip(noise / np.maximum(within, 1e-300), 0, 1)
    law, total = expected.var(axis=2), measured.var(axis=2)
    sampling = np.maximum(total - law, 0.0)
    whole = np.maximum(law + sampling, 1e-300)
    rows = []
    for b in range(len(weight)):
        rows.append(
            tuple(
                {
                    "the law": float((1 - share[b, t]) * law[b, t] / whole[b, t]),
                    "noise between rungs": float(share[b, t] * law[b, t] / whole[b, t]),
                    "sampling of items": float(sampling[b, t] / whole[b, t]),
                }
                for t in range(law.shape[1])
            )
        )
    return rows

