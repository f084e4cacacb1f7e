"""Records -> Forecasts, and Records -> Backtest: the two ways through."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from unmirage.curves.build import build
from unmirage.curves.options import Built, options_of, wanted
from unmirage.curves.progress import Steps, Tell
from unmirage.errors import InputError, OptionError
from unmirage.forecasting import draws as make
from unmirage.forecasting import routes
from unmirage.forecasting.backtest import LEAST, hold_out
from unmirage.forecasting.engine import cut
from unmirage.forecasting.in_k import MOST_DRAWS, ROUTE, forecast_in_k
from unmirage.forecasting.in_two import AXES, forecast_in_two
from unmirage.forecasting.series import batch
from unmirage.forecasting.types import (
    FARTHEST,
    Backtest,
    Fan,
    Forecast,
    Forecasts,
    Prediction,
    beyond,
)
from unmirage.metrics import facts
from unmirage.types import ASKED_SCALES, SCALES, Curve, Floats, Note, Records, Refusal

#: the target of pass@k
IN_K = "k"
#: places of a fan between the first rung and the target
FAN = 40
#: largest target; scores and scales beyond are no numbers of models
_FAR = 1e100


def forecast(
    records: Records,
    *,
    to: Mapping[str, float | Sequence[float]],
    family: Sequence[str] = (),
    task: Sequence[str] = (),
    metric: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    ignore: Sequence[str] = (),
    checkpoint: str = "final",
    higher_is_better: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
    items: int | None = None,
    chance: Mapping[str, float] | None = None,
    route: str = "process",
    seed: int = 0,
    draws: int = 1000,
    fan: bool = False,
    progress: Tell | None = None,
) -> Forecasts:
    """Forecast every (family, task, metric) of the records at a larger scale.

    Parameters
    ----------
    records
        from :func:`unmirage.read`.
    to
        the target, ``{"params": 7e10}``; the name is the scale axis, several values are several
        forecasts. ``{"k": 1000}`` asks for pass@k beyond the answers sampled, model by model;
        ``{"params": 7e10, "tokens": 1.4e12}`` for a model of both, by a law of two scales.
    route
        "process" (a Gaussian process averaged over links, slopes and noise), "metric" (the smooth
        companion pushed through the metric), "two_step" (a loss, then the metric), "combined"
        (laws weighted by held-out skill) or the name of a law.
    fan
        also keep the bands between the first rung and the target, to be drawn.
    family, task, metric, where, by, ignore, checkpoint
        which rows, and
    higher_is_better, lower_is_better, items, chance
        what a table does not say,
        as for :func:`unmirage.audit`.
    seed, draws
        the same input and seed give the same forecast.

    Raises
    ------
    OptionError
        a target that is no scale, or an unknown route.
    InputError
        nothing can be forecast; the text names the reason and the mend.

    Examples
    --------
    >>> import polars as pl, unmirage
    >>> table = pl.DataFrame({
    ...     "family": "demo", "task": "toy", "metric": "acc", "n_samples": 500,
    ...     "params": [1e6, 1e7, 1e8, 1e9, 1e10], "score": [0.1, 0.2, 0.3, 0.4, 0.5],
    ... })
    >>> (f,) = unmirage.forecast(unmirage.read(table), to={"params": 1e11}).forecasts
    >>> round(f.distance, 1), f.interval(0.5)[0] < 0.6 < f.interval(0.8)[1]
    (1.0, True)
    """
    targets = _targets(to)
    scale = next(iter(targets)) if len(targets) == 1 else ""
    options = options_of(
        family=family, task=task, metric=metric, scale=None if scale in (IN_K, "") else scale,
        where=where, by=by, ignore=ignore, checkpoint=checkpoint, items=items, chance=chance,
        higher_is_better=higher_is_better, lower_is_better=lower_is_better,
    )  # fmt: skip
    seed, draws = _check(records, seed, draws)
    asked_for = {
        "version": version("unmirage"), "to": targets, "route": route, "seed": seed,
        "draws": draws,
    }  # fmt: skip
    if not scale:
        both, left, made_of = forecast_in_two(
            records, options, targets, route=route, seed=seed, draws=draws, fan=fan
        )
        settings = {**asked_for, **options.told(made_of, records), "scale": list(targets)}
        return Forecasts(tuple(both), tuple(left), (*records.notes, *made_of.notes), settings)
    if scale == IN_K:
        if route != "process":
            raise OptionError(
                f"--route {route} leads to no k", mend="--to k=... without --route: it has one way"
            )
        asked_for |= {"route": ROUTE, "draws": min(draws, MOST_DRAWS)}
        every, lost = forecast_in_k(records, options, targets[IN_K], seed=seed, draws=draws)
        settings = {**asked_for, **options.told(Built((), (), (), ()), records)}
        return Forecasts(tuple(every), tuple(lost), records.notes, settings)
    built = build(records, options)
    curves, refused = _enough(built.curves)
    asked = [i for i, c in enumerate(curves) if wanted(c.key.metric, options)]
    if not asked:
        raise InputError(
            f"no curve has the {LEAST} rungs that a forecast needs",
            mend="more models, or a target on another scale: --to tokens=1e12",
        )
    at = np.log10(np.asarray(targets[scale], float))
    steps, far = Steps(len(curves), progress), int(at.argmax())
    grids = [_grid(c, float(at.max())) for c in curves]
    places = [np.concatenate([at, g]) for g in grids] if fan else [at] * len(curves)
    made = routes.run(route, curves, asked, places, seed=seed, draws=draws, tell=steps)
    fans = {i: _bands(curves[i], grids[i], made[i]) for i in asked if fan and i in made}
    found = [
        _forecast(curves[i], made[i], t, float(x), route, fans.get(i) if t == far else None)
        for i in asked
        if i in made
        for t, x in enumerate(at)
    ]
    left = [routes.refusal(curves[i], route) for i in asked if i not in made]
    if not found:
        raise InputError(f"{left[0].key.label()}: {left[0].reason}", mend=left[0].mend)
    settings = {**asked_for, **options.told(built, records)}
    notes = (*records.notes, *built.notes, *_ranges([f.curve for f in found]))
    return Forecasts(tuple(found), (*built.refused, *refused, *left), notes, settings)


def backtest(
    records: Records,
    *,
    held_out: int | Sequence[int] = (1, 2, 3),
    scale: str | None = None,
    family: Sequence[str] = (),
    task: Sequence[str] = (),
    metric: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    ignore: Sequence[str] = (),
    checkpoint: str = "final",
    higher_is_better: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
    items: int | None = None,
    chance: Mapping[str, float] | None = None,
    route: str = "process",
    seed: int = 0,
    draws: int = 500,
    examples: int = 12,
    progress: Tell | None = None,
) -> Backtest:
    """Hold out the largest rungs of every series, forecast them, and score the forecasts.

    Parameters
    ----------
    held_out
        how many of the largest rungs are held out; several numbers are several origins.
    examples
        so many series are kept whole, to be drawn.

    Other parameters as for :func:`forecast`. The held-out scores are seen by nothing but the
    scoring.

    Raises
    ------
    InputError
        no series has 3 rungs more than are held out.
    """
    rungs = _rungs(held_out)
    options = options_of(
        family=family, task=task, metric=metric, scale=scale, where=where, by=by, ignore=ignore,
        checkpoint=checkpoint, higher_is_better=higher_is_better, lower_is_better=lower_is_better,
        items=items, chance=chance,
    )  # fmt: skip
    seed, draws = _check(records, seed, draws)
    built = build(records, options)
    asked = [c for c in built.curves if wanted(c.key.metric, options)]
    curves, refused = _enough(asked, LEAST + min(rungs))
    if not curves:
        raise InputError(
            f"no series has {LEAST + min(rungs)} rungs: {LEAST} to learn from and {min(rungs)} "
            "held out",
            mend="a smaller --hold-out, or more models",
        )
    done = Steps(len(rungs) * len(curves), progress)
    # the farthest origin of the first curves is drawn
    shown = {(i, _most_held(c, rungs)): _grid(c, float(c.x[-1])) for i, c in enumerate(curves)}
    rows, made = hold_out(
        curves, rungs, route=route, seed=seed, draws=draws, progress=done,
        more=dict(list(shown.items())[:examples]),
    )  # fmt: skip
    done_with = {i for i, _, _ in made}
    refused += [
        routes.refusal(cut(c, -min(rungs)), route)
        for i, c in enumerate(curves)
        if i not in done_with
    ]
    if not made:
        raise InputError(f"{refused[-1].key.label()}: {refused[-1].reason}", mend=refused[-1].mend)
    kept = []
    for i, held, found in made:
        if len(found.measured) > held:
            train, whole = cut(curves[i], -held), curves[i]
            fan = _bands(train, shown[i, held], found)
            kept.append((_forecast(train, found, held - 1, float(whole.x[-1]), route, fan), whole))
    settings = {
        "version": version("unmirage"), "held_out": rungs, "route": route, "seed": seed,
        "draws": draws,
        **options.told(built, records),
    }  # fmt: skip
    notes = (*records.notes, *built.notes)
    return Backtest(rows, (*built.refused, *refused), notes, settings, tuple(kept))


# ---------------------------------------------------------------- parts


def _targets(to: Mapping[str, float | Sequence[float]]) -> dict[str, list[float]]:
    mend = "{'params': 7e10}, or --to params=7e10"
    if not isinstance(to, Mapping) or not to or (len(to) > 1 and {*to} != {*AXES}):
        both = "one scale and its value, or params and tokens"
        raise OptionError(f"a target of {to!r}", mend=f"{both}: {mend}")
    return {name: _values(name, to[name], mend) for name in (to if len(to) == 1 else AXES)}


def _values(name: str, value: object, mend: str) -> list[float]:
    if name not in (*SCALES, *ASKED_SCALES, IN_K):
        known = ", ".join((*SCALES, *ASKED_SCALES, IN_K))
        raise OptionError(f"no scale is named {name!r}", mend=f"{known}: {mend}")
    wrong = OptionError(f"a target of {value!r}", mend=f"numbers above 0, to 1e100: {mend}")
    try:
        found = np.atleast_1d(np.asarray(value, float))
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    values = [float(v) for v in found.ravel()]
    if found.ndim > 1 or not values or not all(0 < v <= _FAR for v in values):
        raise wrong
    if name == IN_K and min(values) < 1:
        raise OptionError(f"k of {min(values):g}", mend="answers an item, from 1 on: --to k=100")
    return values


def _check(records: object, seed: object, draws: object) -> tuple[int, int]:
    """Seed and draws as whole numbers."""
    if not isinstance(records, Records):
        what = f"a forecast takes Records, not {type(records).__name__}"
        raise OptionError(what, mend="unmirage.forecast(unmirage.read(...), to=...)")
    start = _whole(seed)
    if start is None or start < 0:
        raise OptionError(f"a seed of {seed!r}", mend="a whole number from 0 on")
    count = _whole(draws)
    if count is None or not 50 <= count <= 100_000:
        mend = "a whole number between 50 and 100,000; --draws 1000 is usual"
        raise OptionError(f"{draws!r} draws", mend=mend)
    return start, count


def _whole(value: Any) -> int | None:
    """A whole number of any kind, but for True and False; else None."""
    try:
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        return None


def _rungs(held_out: object) -> list[int]:
    """How many rungs are held out: numbers from 1 on, each once, the smallest first."""
    many = held_out if isinstance(held_out, Iterable) else [held_out]
    found = [] if isinstance(many, (str, bytes)) else [_whole(v) for v in many]
    rungs = sorted({n for n in found if n is not None and n > 0})
    if not rungs or not all(n is not None and n > 0 for n in found):
        mend = "whole numbers from 1 on: --hold-out 1,2, or held_out=(1, 2)"
        raise OptionError(f"hold out {held_out!r} rungs", mend=mend)
    return rungs


def _enough(curves: Sequence[Curve], least: int = LEAST) -> tuple[list[Curve], list[Refusal]]:
    kept = [c for c in curves if len(c.scale) >= least]
    few = [c for c in curves if len(c.scale) < least]
    reason = f"fewer than {least} rungs"
    return kept, [Refusal(c.key, "too_few_rungs", reason, "more models") for c in few]


def _most_held(curve: Curve, rungs: Sequence[int]) -> int:
    return max(n for n in rungs if len(curve.scale) - n >= LEAST)


def _ranges(curves: Sequence[Curve]) -> list[Note]:
    """Metrics that nobody knows, with scores that look like shares: their forecasts may not be."""
    loose = {
        c.key: c.key.metric
        for c in curves
        if np.isinf([c.facts.low, c.facts.high]).all()
        and c.score.min() >= 0
        and c.score.max() <= 1
        and facts(c.key.metric) is None
    }
    return [
        Note(
            "warning", "unknown_range",
            f"the range of {name!r} is not known, so forecasts may leave 0 to 1: name the metric "
            "in a column metric (acc, exact_match, ...)",
            count=sum(v == name for v in loose.values()),
        )
        for name in sorted({*loose.values()})
    ]  # fmt: skip


def _forecast(
    curve: Curve, found: Prediction, t: int, x: float, route: str, fan: Fan | None
) -> Forecast:
    widest = found.widest[t : t + 1]
    measured = make.band_as_measured(widest, batch([curve]))
    return Forecast(
        curve.key,
        curve,
        10.0**x,
        float(beyond(np.asarray(x), curve.x)),
        float(np.ptp(curve.x)),
        route,
        np.sort(found.measured[t]),
        np.sort(found.expected[t]),
        (float(measured[0, 0]), float(measured[0, 1])),
        (float(widest[0, 0]), float(widest[0, 1])),
        found.weights,
        found.why[t],
        fan,
        status=found.status,
        dropped=found.dropped,
    )


def _grid(curve: Curve, end: float) -> Floats:
    """Places of a fan, from the first rung to the end or the last rung."""
    return np.linspace(curve.x[0], max(end, curve.x[-1]), FAN)


def _bands(curve: Curve, grid: Floats, made: Prediction) -> Fan:
    """The bands of a prediction whose last targets are the grid."""
    ahead = slice(-len(grid), None)
    known = beyond(grid, curve.x) <= FARTHEST * np.ptp(curve.x)
    widest = make.band_as_measured(made.widest[ahead], batch([curve]))
    return make.fan(10.0**grid, made.measured[ahead], widest, known)
