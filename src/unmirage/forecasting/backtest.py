"""Hold the largest rungs out, forecast them from the smaller ones, and score the forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from unmirage.curves.uncertainty import stream
from unmirage.forecasting import routes, scoring
from unmirage.forecasting.baselines import BASELINES
from unmirage.forecasting.engine import cut, predict
from unmirage.forecasting.process import STRENGTH
from unmirage.forecasting.series import BOUNDED, form
from unmirage.forecasting.types import LEVELS, Prediction
from unmirage.types import Curve, Floats

#: rungs a law is made from, at least
LEAST = 3
#: how many standard errors a series must move to count as moving
MOVES = 3.0


def moves(curve: Curve) -> bool:
    """Do the highest and the lowest score lie more than 3 standard errors apart?

    An unknown error counts as none.
    """
    error = np.nan_to_num(curve.stderr)
    i, j = int(curve.score.argmax()), int(curve.score.argmin())
    rise = curve.score[i] - curve.score[j]
    return bool(rise > MOVES * np.hypot(error[i], error[j]) + 1e-12)


def unit(curve: Curve) -> float:
    """What CRPS is divided by: 1 for a share, else the range of the whole series."""
    return 1.0 if form(curve) in BOUNDED else float(np.ptp(curve.score)) or 1.0


def hold_out(
    curves: Sequence[Curve],
    rungs: Sequence[int] = (1, 2, 3),
    *,
    route: str = "process",
    seed: int = 0,
    draws: int = 500,
    strength: float = STRENGTH,
    baselines: bool = True,
    more: Mapping[tuple[int, int], Floats] | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[pl.DataFrame, list[tuple[int, int, Prediction]]]:
    """The rows of :class:`Backtest` and, for each (curve, rungs held out), the prediction.

    Curves that the route does not lead to from so few rungs have none. ``more``: further targets,
    log10, of a curve and number of rungs held out; they are not scored.
    """
    rows: list[dict[str, Any]] = []
    made = []
    for held in rungs:
        places = [i for i, c in enumerate(curves) if len(c.scale) - held >= LEAST]
        trains = [cut(curves[i], -held) for i in places]
        at = [curves[i].x[-held:] for i in places]
        beyond = {} if more is None else more
        every = [
            np.concatenate([a, beyond.get((i, held), [])]) for i, a in zip(places, at, strict=True)
        ]
        if route == "process":
            made_of = predict(
                trains, every, seed=seed, draws=draws, strength=strength, progress=progress
            )
            found = dict(enumerate(made_of))
        else:
            here = range(len(trains))
            found = routes.run(route, trains, here, every, seed=seed, draws=draws, tell=progress)
        others = {name: make(trains, at) for name, make in (BASELINES.items() if baselines else ())}
        for k, i in ((k, i) for k, i in enumerate(places) if k in found):
            beside = {name: drawn[k] for name, drawn in others.items()}
            rows += _rows(curves[i], trains[k], held, found[k], beside, seed)
            made.append((i, held, found[k]))
    return pl.DataFrame(rows, infer_schema_length=None), made


def _rows(
    curve: Curve,
    train: Curve,
    held: int,
    found: Prediction,
    others: dict[str, Floats],
    seed: int,
) -> list[dict[str, Any]]:
    seen, size, key = curve.score[-held:], unit(curve), curve.key
    measured = found.measured[:held]
    uniform = stream(seed, "pit", key.label(), curve.scale_name, str(held)).random(held)
    pits = scoring.pit(measured, seen, uniform)
    scores = {"crps": scoring.crps(measured, seen) / size}
    for name, drawn in others.items():
        scores[f"crps_{name}"] = scoring.crps(drawn, seen) / size
    tails = [q for level in LEVELS for q in ((1 - level) / 2, (1 + level) / 2)]
    bounds = np.quantile(measured, [0.5, *tails], axis=1)
    names = ["median", *(f"{e}_{round(100 * v)}" for v in LEVELS for e in ("low", "high"))]
    return [
        {
            "family": key.family,
            "task": key.task,
            "metric": key.metric,
            "settings": ", ".join(f"{k}={v}" for k, v in key.settings),
            "form": form(curve),
            "held_out": held,
            "ahead": t + 1,
            "train": len(train.scale),
            "scale": float(curve.scale[len(train.scale) + t]),
            "distance": float(curve.x[len(train.scale) + t] - train.x[-1]),
            "reach": float(np.ptp(train.x)),
            "observed": float(seen[t]),
            "stderr": float(curve.stderr[len(train.scale) + t]),
            "unit": size,
            "moves": moves(curve),
            "pit": float(pits[t]),
            **{n: float(b) for n, b in zip(names, bounds[:, t], strict=True)},
            **{n: float(s[t]) for n, s in scores.items()},
        }
        for t in range(held)
    ]


def add_scores(
    rows: pl.DataFrame,
    curves: Sequence[Curve],
    methods: Mapping[str, Callable[[Sequence[Curve], Sequence[Floats]], list[Floats]]],
) -> pl.DataFrame:
    """The CRPS of more methods beside the rows that :func:`hold_out` made of the same curves."""
    found: dict[str, list[float]] = {name: [] for name in methods}
    for held in rows["held_out"].unique(maintain_order=True).to_list():
        use = [c for c in curves if len(c.scale) - held >= LEAST]
        trains, at = [cut(c, -held) for c in use], [c.x[-held:] for c in use]
        for name, method in methods.items():
            for c, drawn in zip(use, method(trains, at), strict=True):
                found[name] += (scoring.crps(drawn, c.score[-held:]) / unit(c)).tolist()
    return rows.with_columns(**{f"crps_{k}": pl.Series(v) for k, v in found.items()})
