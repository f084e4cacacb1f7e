"""Forecasts by one law: fitted, bootstrapped, and noise between rungs and of sampling added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from unmirage.curves.uncertainty import stream
from unmirage.errors import OptionError
from unmirage.forecasting.draws import observe, target
from unmirage.forecasting.fitting import DEGENERATE, fit
from unmirage.forecasting.laws import Law, usable
from unmirage.forecasting.series import BOUNDED, batch, form
from unmirage.forecasting.types import Prediction
from unmirage.forecasting.usable import called
from unmirage.types import Curve, Floats

#: what makes a forecast by a law wide
SOURCES = ("the law", "noise between rungs", "sampling of items")

_AHEAD = "a formula for all t from 0 on, or a nearer target"


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
    strict: bool = False,
) -> list[Prediction | None]:
    """One prediction a curve at ``at``: (T,) for all, or one for each; None where it cannot be.

    A curve needs scores that the law can hold for, and one rung more than the law has parameters.
    A law that fails has none, so that one bad law does not stop those beside it.

    Raises
    ------
    OptionError
        ``strict``, and the law raises or returns another shape; the text names it and the mend.
    """
    try:
        usable(law)
    except OptionError:
        if strict:
            raise
        return [None] * len(curves)
    each = list(at) if isinstance(at, (list, tuple)) else [np.asarray(at)] * len(curves)
    rungs = [c.x - c.x[0] for c in curves]
    ahead = [np.asarray(a) - c.x[0] for a, c in zip(each, curves, strict=True)]
    return predict_at(law, curves, rungs, ahead, seed=seed, draws=draws, strict=strict)


def predict_at(
    law: Law, curves: Sequence[Curve], rungs: Sequence[Floats], ahead: Sequence[Floats], *,
    seed: int = 0, draws: int = 200, strict: bool = False,
) -> list[Prediction | None]:  # fmt: skip
    """The same with the places that the formula takes: of the rungs (M, ...) and of the targets."""
    made: list[Prediction | None] = [None] * len(curves)
    groups: dict[int, list[int]] = defaultdict(list)
    for i, c in enumerate(curves):
        if why_not(law, c) is None:
            groups[len(c.scale)].append(i)
    for places in groups.values():
        mine, t = [curves[i] for i in places], np.stack([rungs[i] for i in places])
        try:
            found = _together(law, mine, t, [ahead[i] for i in places], seed, draws)
        except OptionError:
            if strict:
                raise
            continue
        for i, one in zip(places, found, strict=True):
            made[i] = one
    return made


def why_not(law: Law, curve: Curve) -> tuple[str, str] | None:
    """Why a law cannot be fitted to a curve, and the mend; None where it can."""
    kind, need = form(curve), len(law.parameters) + 1
    if kind == "free":
        return f"the law {law.name!r} needs a metric with a best score, or a loss", "another route"
    if kind not in law.forms:
        held = "shares of right items" if "share" in law.forms else "losses"
        return f"the law {law.name!r} holds for {held} only", "another law, or --route process"
    if len(curve.scale) < need:
        few = f"the law {law.name!r} has {need - 1} parameters and needs {need} rungs"
        return few, f"more models than {len(curve.scale)}, or --route process"
    return None


def _together(
    law: Law, curves: Sequence[Curve], t: Floats, ahead: Sequence[Floats], seed: int, draws: int
) -> list[Prediction | None]:
    """The predictions of curves with one number of rungs."""
    units = [to_error(c) for c in curves]
    y, v = np.stack([u[0] for u in units]), np.stack([u[1] for u in units])
    rng = stream(seed, "law", law.name, curves[0].key.label())
    found = fit(law, t, y, v, draws=draws, rng=rng)
    noise = rng.standard_normal((2, len(curves), draws))
    rest2 = ((y - called(law, found.theta, t)) ** 2).mean(axis=1)
    fits = y.shape[1] * np.log(rest2 + v.mean(axis=1) + 1e-9) + 2 * len(law.parameters)
    made: list[Prediction | None] = []
    for k, c in enumerate(curves):
        use = found.draw_status[k] != DEGENERATE
        # degenerate draws are no forecasts; their places go to the others
        rows = np.resize(np.flatnonzero(use), draws) if use.any() else np.arange(draws)
        error = called(law, found.draws[k][rows], ahead[k], _AHEAD).T
        if np.isfinite(error).all():
            a, b = units[k][2:]
            scores = [a + b * error, a + b * (error + found.tau[k] * noise[0, k])]
            one = _prediction(c, scores, noise[1, k])
            status, lost = str(found.status[k]), float((~use).mean())
            made.append(
                replace(
                    one, status={law.name: status}, dropped={law.name: lost}, aic=float(fits[k])
                )
            )
        else:
            made.append(None)
    return made


def _prediction(curve: Curve, scores: Sequence[Floats], noise: Floats) -> Prediction:
    """From draws (T, R) of the law alone, and of the law with noise between rungs."""
    low, high = curve.facts.low, curve.facts.high
    alone, expected = (np.clip(s, low, high) for s in scores)
    like = target(batch([curve]), len(alone))
    uniform = stats.norm.cdf(noise).clip(1e-9, 1 - 1e-9)
    measured = observe(expected[None], np.ones((1, len(noise))), like, uniform)[0]
    tails = np.quantile(expected, [0.025, 0.975], axis=1).T
    why = _shares(alone, expected, measured)
    return Prediction(measured, expected, {}, why, tails)


def _shares(alone: Floats, expected: Floats, measured: Floats) -> tuple[dict[str, float], ...]:
    """Shares of the variance, for each target."""
    law, rungs = alone.var(axis=1), np.maximum(expected.var(axis=1) - alone.var(axis=1), 0.0)
    items = np.maximum(measured.var(axis=1) - expected.var(axis=1), 0.0)
    parts = np.stack([law, rungs, items])
    shares = parts / np.maximum(parts.sum(axis=0), 1e-300)
    return tuple(dict(zip(SOURCES, map(float, column), strict=True)) for column in shares.T)
