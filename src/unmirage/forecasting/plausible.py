"""How wide must a band be that no plausible law leaves? For targets that are not known.

The hull of the 95 % intervals of the process, of the route asked for, and of every law that fits
the rungs nearly as well as the best one: its AIC, M log(mean r^2 + mean variance) + 2 P, is within
6 of the least (Burnham and Anderson 2002, Sec. 2.6); of a score that never moved: its whole range.
Of 39 draws the least and the largest hold 38/40 = 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from unmirage.forecasting import single
from unmirage.forecasting.engine import predict
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.types import FARTHEST, Prediction, beyond
from unmirage.types import Curve, Floats

#: AIC beyond that of the best law up to which a law is plausible
PLAUSIBLE = 6.0
_DRAWS = 39


def widen(
    made: Mapping[int, Prediction],
    curves: Sequence[Curve],
    at: Sequence[Floats],
    *,
    seed: int,
    process: bool,
) -> dict[int, Prediction]:
    """The same predictions, ``widest`` the hull at targets (T,) of a curve that are not known.

    ``process``: the predictions are those of the process, which need not be made again.
    """
    far = {i: beyond(at[i], curves[i].x) > FARTHEST * np.ptp(curves[i].x) for i in made}
    unknown = [i for i in made if far[i].any()]
    if not unknown:
        return dict(made)
    mine = [curves[i] for i in unknown]
    hulls = [made[i].widest.copy() for i in unknown]
    if not process:
        every = predict(curves, at, seed=seed, draws=64)
        hulls = [_hull(h, every[i].widest) for h, i in zip(hulls, unknown, strict=True)]
    hulls = _laws(mine, [at[i] for i in unknown], hulls, seed)
    # a score that never moved does not tell how it will: anything is plausible
    hulls = [
        np.broadcast_to([c.facts.low, c.facts.high], h.shape)
        if np.ptp(c.score) == 0 and np.isfinite([c.facts.low, c.facts.high]).all()
        else h
        for c, h in zip(mine, hulls, strict=True)
    ]
    found = dict(made)
    for i, hull in zip(unknown, hulls, strict=True):
        found[i] = replace(made[i], widest=np.where(far[i][:, None], hull, made[i].widest))
    return found


def _hull(one: Floats, two: Floats) -> Floats:
    low = np.fmin(one[:, 0], two[:, 0])
    return np.stack([low, np.fmax(one[:, 1], two[:, 1])], axis=1)


def _laws(
    curves: Sequence[Curve], at: Sequence[Floats], hulls: list[Floats], seed: int
) -> list[Floats]:
    """The hulls, and the laws that are plausible."""
    tried = [single.predict(LAWS[name], curves, at, seed=seed, draws=_DRAWS) for name in LAWS]
    for k, hull in enumerate(hulls):
        there = [one for found in tried if (one := found[k]) is not None]
        best = min((one.aic for one in there), default=0.0)
        for one in there:
            if one.aic <= best + PLAUSIBLE:
                ends = [one.expected.min(axis=1), one.expected.max(axis=1)]
                hull = _hull(hull, np.stack(ends, axis=1))
        hulls[k] = hull
    return hulls
