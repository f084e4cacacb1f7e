"""Forecasts by one law: fitted, bootstrapped, and noise between rungs and of sampling added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from unmirage.curves.uncertainty import stream
from unmirage.forecasting.fitting import DEGENERATE, UNFINISHED, fit
from unmirage.forecasting.laws import Law
from unmirage.forecasting.series import BOUNDED, form
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats


def to_error(curve: Curve) -> tuple[Floats, Floats, float, float]:
    """Errors (M,) and their sampling variance, and (a, b) with score = a + b error."""
    kind, facts = form(curve), curve.facts
    if kind in BOUNDED:
        best = facts.high if facts.higher_is_better else facts.low
        a, b = best, curve.floor - best
    else:
        a, b = 0.0, float(np.sign(curve.score[0]) * np.abs(curve.score).max())
    variance = np.nan_to_num(curve.stderr / b) ** 2
    return (curve.score - a) / b, variance, float(a), float(b)


def predict(
    law: Law,
    curves: Sequence[Curve],
    at: Floats | Sequence[Floats],
    *,
    seed: int = 0,
    draws: int = 200,
) -> list[Prediction | None]:
    """One prediction a curve at ``at``: (T,) for all, or one for each; None where it cannot be.

    A curve needs a bounded metric or a loss, and one rung more than the law has parameters.
    """  # fmt: skip
    each = list(at) if isinstance(at, (list, tuple)) else [np.asarray(at)] * len(curves)
    made: list[Prediction | None] = [None] * len(curves)
    groups: dict[int, list[int]] = defaultdict(list)
    for i, c in enumerate(curves):
        if form(c) != "free" and len(c.scale) > len(law.parameters):
            groups[len(c.scale)].append(i)
    for places in groups.values():
        units = [to_error(curves[i]) for i in places]
        t = np.stack([curves[i].x - curves[i].x[0] for i in places])
        y, v = np.stack([u[0] for u in units]), np.stack([u[1] for u in units])
        rng = stream(seed, "law", law.name, *(curves[i].key.label() for i in places[:1]))
        found = fit(law, t, y, v, draws=draws, rng=rng)
        noise = rng.standard_normal((2, len(places), 1, draws))
        for k, i in enumerate(places):
            ahead = np.asarray(each[i]) - curves[i].x[0]
            theta = found.draws[k]
            use = ~np.isin(found.draw_status[k], (DEGENERATE, UNFINISHED))
            # degenerate draws are no forecasts; their places go to the others
            rows = np.resize(np.flatnonzero(use), draws) if use.any() else np.arange(draws)
            e = law.formula(theta[rows], ahead).T + found.tau[k] * noise[0, k]
            made[i] = _prediction(curves[i], units[k][2], units[k][3], e, v[k][-1], noise[1, k])
    return made


def _prediction(
    curve: Curve, a: float, b: float, error: Floats, variance: float, noise: Floats
) -> Prediction:
    low, high = curve.facts.low, curve.facts.high
    expected = np.clip(a + b * error, low, high)
    measured = np.clip(a + b * (error + np.sqrt(variance) * noise), low, high)
    tails = np.quantile(measured, [0.025, 0.975], axis=1).T
    return Prediction(measured, expected, {}, tuple({} for _ in error), tails)
