"""pass@k for more answers than were sampled, model by model: ``--to k=1000``.

How the pass rates of items are spread is averaged over many shapes (:func:`extrapolate_pass_at_k`);
beyond where that is known the widest band also holds -log pass@k = a k^-b (Brown et al. 2024,
arXiv 2407.21787, Sec. 3.1). Measured is pass@k of the same items, expected that of all items of
their kind. Axes: S items, K values of k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from unmirage.curves.options import Options, pick
from unmirage.errors import InputError
from unmirage.forecasting import single
from unmirage.forecasting.draws import fan as make_fan
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.rates import extrapolate_pass_at_k
from unmirage.forecasting.types import Forecast, Prediction
from unmirage.metrics.passk import estimate, pass_at, right_answers
from unmirage.types import Curve, Floats, Key, Records, Refusal

#: answers an item must have
LEAST_ANSWERS = 4
#: the name of the way, as a route
ROUTE = "mixture"
#: known up to n^1.5 for n answers an item: beyond, intervals of clumps of items hold too little
FARTHEST = 0.5
#: as many as there are different shapes: more tell nothing more
MOST_DRAWS = 1000
_FAN = 40
_PLACE = ("family", "task")
_SETTINGS = (
    *("model", "params", "tokens", "step", "seed", "subtask", "shots", "prompt_name", "filter"),
    *("split", "format", "variant", "metric"),
)
_MEND = f"{LEAST_ANSWERS} answers or more to each item, in a column `repeat` (or epoch)"


def forecast_in_k(
    records: Records, options: Options, targets: Sequence[float], *, seed: int, draws: int
) -> tuple[list[Forecast], list[Refusal]]:
    """One forecast for each model, task and k.

    Raises
    ------
    InputError
        no item has several answers.
    """
    frame = pick(records.samples, options)
    if not frame.height or not {"item", "repeat"} <= {*frame.columns}:
        raise InputError("no item has several answers, which pass@k is made of", mend=_MEND)
    right = pl.Series("right_", right_answers(frame))
    keys = [c for c in (*_PLACE, *_SETTINGS) if c in frame.columns]
    known = frame.with_columns(right).filter(pl.col("right_").is_not_nan())
    items = known.group_by([*keys, "item"], maintain_order=True).agg(
        pl.col("right_").sum().alias("right"), pl.len().alias("count")
    )
    told = [c for c in keys if c not in _PLACE and items[c].n_unique() > 1]
    found: list[Forecast] = []
    refused: list[Refusal] = []
    for part in items.partition_by(keys, maintain_order=True):
        curve = _curve(part, told)
        if isinstance(curve, Refusal):
            refused.append(curve)
        else:
            found += _forecasts(curve, part, targets, seed, draws)
    if not found:
        raise InputError("no model has enough answers to an item", mend=_MEND)
    return found, refused


def _curve(part: pl.DataFrame, told: Sequence[str]) -> Curve | Refusal:
    """pass@k of one model for the k that were sampled, or why there is none."""
    first = part.row(0, named=True)
    settings = tuple(sorted((c, str(first[c])) for c in told if first[c] is not None))
    key = Key(first.get("family") or "(one family)", first.get("task") or "", "pass@k", settings)
    n = int(part["count"].to_numpy().min())
    if n < LEAST_ANSWERS or part.height < 2:
        reason = f"{n} answers to an item, {part.height} items"
        return Refusal(key, "few_answers", reason, _MEND)
    k = np.unique(np.round(np.geomspace(1, n, 8))).astype(int)
    right, count = part["right"].to_numpy().astype(int), part["count"].to_numpy().astype(int)
    rates = np.stack([estimate(count, right, int(v)) for v in k])  # (K, S)
    score, error = rates.mean(axis=1), rates.std(axis=1, ddof=1) / np.sqrt(part.height)
    low, high = (np.clip(score + s * 1.96 * error, 0.0, 1.0) for s in (-1, 1))
    names = tuple(f"k = {v}" for v in k)
    facts = replace(pass_at(1).facts, name="pass_at_k", title="pass@k")
    some = np.full(len(k), float(part.height))
    return Curve(
        key, facts, "k", k.astype(float), names, score, error, some, low, high, 0.0, 1.0, "items"
    )


def _forecasts(
    curve: Curve, part: pl.DataFrame, targets: Sequence[float], seed: int, draws: int
) -> list[Forecast]:
    grid = np.geomspace(1.0, max(*targets, curve.scale[-1]), _FAN)
    right, count = part["right"].to_numpy().astype(float), part["count"].to_numpy().astype(float)
    every = np.concatenate([targets, grid])
    made = extrapolate_pass_at_k(right, count, every, draws=min(draws, MOST_DRAWS), seed=seed)
    same, kind = made.draws.T, made.population.T
    (law,) = single.predict(LAWS["log_pass_rate"], [curve], [np.log10(every)], seed=seed, draws=200)
    widest, widest_kind = _widest(same, law), _widest(kind, law)
    reach = float(np.ptp(curve.x))
    known = np.log10(grid) <= curve.x[-1] + FARTHEST * reach
    fan = make_fan(grid, same[len(targets) :], widest[len(targets) :], known)
    return [
        Forecast(
            curve.key, curve, float(k), float(np.log10(k) - curve.x[-1]), reach, ROUTE, same[t],
            kind[t], (float(widest[t, 0]), float(widest[t, 1])),
            (float(widest_kind[t, 0]), float(widest_kind[t, 1])), made.weights,
            {"the law": float(made.shape[t]), "the items": 1 - float(made.shape[t])},
            fan if k == max(targets) else None, farthest=FARTHEST,
        )
        for t, k in enumerate(targets)
    ]  # fmt: skip


def _widest(made: Floats, law: Prediction | None) -> Floats:
    """95 % band of the draws (K, R), and of the power law in k where it fits, (K, 2)."""
    low, high = np.quantile(made, [0.025, 0.975], axis=1)
    if law is not None:
        low, high = np.minimum(low, law.widest[:, 0]), np.maximum(high, law.widest[:, 1])
    return np.stack([low, high], axis=1)
