"""Many series at once -> predictive distributions at their targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unmirage.forecasting import draws as make
from unmirage.forecasting import process
from unmirage.forecasting.series import Batch, backward, batch, form
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats

#: normals that a forecast is a mixture of, after the grid was weighted
PARTS = 256
#: n series of one family and kind count as n to this power
WITNESSES = 0.75
#: series drawn at once
CHUNK = 500
_Progress = Callable[[int], None]
_Group = tuple[str, int, int]  # form, rungs, targets
_Groups = dict[_Group, list[int]]


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
    families: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, c in enumerate(curves):
        families[c.key.family, c.scale_name].append(i)
    uniform = make.points(draws, seed)
    made: dict[int, Prediction] = {}
    for places in families.values():  # one after another: the grid of a family fits into memory
        mine, targets = [curves[i] for i in places], [at[i] for i in places]
        made.update(zip(places, _family(mine, targets, uniform, strength, progress), strict=True))
    return [made[i] for i in range(len(curves))]


def _family(
    curves: Sequence[Curve],
    at: Sequence[Floats],
    uniform: Floats,
    strength: float,
    progress: _Progress | None,
) -> list[Prediction]:
    """The predictions of the curves of one family and scale."""
    groups: _Groups = defaultdict(list)
    for i, c in enumerate(curves):
        groups[form(c), len(c.scale), len(at[i])].append(i)
    data = {key: batch([curves[i] for i in places]) for key, places in groups.items()}
    like = {}
    for key, places in groups.items():
        like[key] = process.log_likelihood(data[key])
        if progress:
            progress(len(places))
    weights = _weights(groups, like, strength)
    made: dict[int, Prediction] = {}
    for key, places in groups.items():
        weight = weights.pop(key)
        for start in range(0, len(places), CHUNK):
            part = slice(start, start + CHUNK)
            mine = places[part]
            chosen = process.pick(weight[part], PARTS)
            these = data[key].take(part)
            found = process.ahead(these, np.stack([at[i] for i in mine]), chosen)
            made.update(zip(mine, _draw(these, found, uniform), strict=True))
    return [made[i] for i in range(len(curves))]


def _weights(
    groups: _Groups, like: Mapping[_Group, Floats], strength: float
) -> dict[_Group, Floats]:
    """Weights of the grid for every series of a family: what the others say, and itself.

    A series tells of noise and bends by the rungs that level and slope leave over; tasks of one
    family are no independent witnesses: n of one kind count as n ** WITNESSES.
    """
    kinds: dict[str, list[_Group]] = defaultdict(list)
    for key in groups:
        kinds[key[0]].append(key)
    stacked = {k: np.concatenate([like[key] for key in v]) for k, v in kinds.items()}
    spare = {
        k: np.concatenate([np.full(len(groups[key]), key[1] - 2.0) for key in v])
        for k, v in kinds.items()
    }
    count = {k: v * len(v) ** (WITNESSES - 1) for k, v in spare.items()}
    weighed = process.weigh(stacked, count, process.flat(strength))
    made: dict[_Group, Floats] = {}
    for kind, keys in kinds.items():
        ends = np.cumsum([len(groups[key]) for key in keys])
        made.update(zip(keys, np.split(weighed[kind], ends[:-1]), strict=True))
    return made


def _draw(data: Batch, found: process.Ahead, uniform: Floats) -> list[Prediction]:
    expected, share = make.expected(found, data, uniform)
    measured = make.observe(expected, share, make.target(data, expected.shape[1]), uniform[2])
    stays = _stays(data, uniform)[:, None]
    expected = np.where(stays, data.y[:, -1, None, None], expected)
    measured = np.where(stays, data.y[:, -1, None, None], measured)
    widest, why = _widest(data, found), _why(found, expected, measured)
    links = [
        {name: float((row == n).mean()) for n, name in enumerate(found.links)} for row in found.kind
    ]
    return [
        Prediction(measured[b], expected[b], links[b], why[b], widest[b])
        for b in range(len(measured))
    ]


def _stays(data: Batch, uniform: Floats) -> NDArray[np.bool_]:
    """Draws (B, R) in which a score that never moved, to the last digit, does not move again.

    Of m equal scores all m - 1 that could differ did not: the next does not with a probability of
    m / (m + 1) (Laplace's rule of succession). Counts of items say so by themselves.
    """
    rungs = data.y.shape[1]
    still = (np.ptp(data.y, axis=1) == 0) & ~np.isfinite(data.n).all(axis=1)
    within = uniform[0] * PARTS % 1.0  # uniform again, within the part that was drawn
    return np.asarray(still[:, None] & (within < rungs / (rungs + 1)))


def _widest(data: Batch, found: process.Ahead) -> Floats:
    """Hull of the 95 % intervals of all parts, without sampling error, (B, T, 2)."""
    ends = []
    for number, link in enumerate(found.links):
        out = (found.kind != number)[:, None]
        for sign in (-1.96, 1.96):
            z = found.mean + sign * found.sd
            ends.append(np.where(out, np.nan, backward(link, z, data)))
    every = np.concatenate(ends, axis=-1)
    return np.stack([np.nanmin(every, axis=-1), np.nanmax(every, axis=-1)], axis=-1)


def _noise_share(found: process.Ahead) -> Floats:
    """Noise between rungs as a share of the variance on the link, mean over links, (B, T).

    The variance is that of the whole mixture: of its parts, and between them.
    """
    share, count = np.zeros(found.mean.shape[:2]), found.kind.shape[1]
    for number in range(len(found.links)):
        here = (found.kind == number)[:, None]  # (B, 1, K)
        n = np.maximum(here.sum(axis=2), 1)
        tau2 = (here * found.grid[:, None, :, 6] ** 2).sum(axis=2) / n
        mean = (here * found.mean).sum(axis=2) / n
        whole = (here * (found.sd**2 + (found.mean - mean[..., None]) ** 2)).sum(axis=2) / n
        share += here.sum(axis=2) / count * tau2 / np.maximum(whole, 1e-300)
    return np.clip(share, 0.0, 1.0)


def _why(
    found: process.Ahead, expected: Floats, measured: Floats
) -> list[tuple[dict[str, float], ...]]:
    """Shares of the variance: the law and its drift, noise between rungs, sampling of items."""
    rungs = _noise_share(found)
    law, total = expected.var(axis=2), measured.var(axis=2)
    whole = np.maximum(np.maximum(law, total), 1e-300)
    parts = {
        "the law": (1 - rungs) * law / whole,
        "noise between rungs": rungs * law / whole,
        "sampling of items": np.maximum(total - law, 0.0) / whole,
    }
    return [
        tuple({k: float(v[b, t]) for k, v in parts.items()} for t in range(law.shape[1]))
        for b in range(len(law))
    ]
