"""Curves from scores without items: units, directions and sampling errors are worked out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from unmirage.curves.identity import Groups, group
from unmirage.curves.options import (
    Built,
    Options,
    ceiling_of,
    clip,
    direction_of,
    facts_of,
    floor_of,
    wanted,
)
from unmirage.curves.uncertainty import exact_interval
from unmirage.types import Curve, Facts, Floats, Note, Refusal


def from_aggregates(frame: pl.DataFrame, options: Options) -> Built:
    if frame.is_empty():
        return Built((), (), (), ())
    names = frame["metric"].drop_nulls().unique().to_list()
    if not any(wanted(n, options) for n in names):
        return Built((), (), (), ())
    groups = group(frame, options.choice)
    notes = list(groups.notes)
    if "score" in frame["metric"].unique().to_list() and not options.lower_is_better:
        text = "the metric has no name: taken as higher is better (--lower-is-better score)"
        notes.append(Note("warning", "assumed_direction", text))
    curves: list[Curve] = []
    refused = list(groups.refused)
    parts = groups.rows.partition_by("_curve", as_dict=True, maintain_order=True)
    for (number,), rows in sorted(parts.items()):
        made = _aggregate_curve(groups, int(number), rows, options)
        if isinstance(made, Curve):
            curves.append(made)
        else:
            refused.append(made)
    return Built(tuple(curves), tuple(refused), tuple(notes), tuple(groups.identity))


def _aggregate_curve(
    groups: Groups, number: int, rows: pl.DataFrame, options: Options
) -> Curve | Refusal:
    key = groups.keys[number]
    facts = facts_of(key.metric, direction_of(rows), options, key.task)
    if facts is None:
        name = key.task if key.metric == "score" else key.metric
        mend = f"--higher-is-better {name} or --lower-is-better {name}"
        return Refusal(key, "unknown_direction", f"is a high {key.metric} good or bad?", mend)
    units = set(rows["_unit"].to_list())
    if len(units) > 1 or None in units:
        text = "some scores are on 0-1, others on 0-100, or it cannot be told which"
        mend = f"bring them to one scale, or --percent {key.metric}"
        return Refusal(key, "mixed_scale", text, mend)
    (by,) = units
    score = rows["score"].to_numpy().astype(float) / by
    facts = _fit_range(facts, score)
    n = _column(rows, "n_samples")
    if options.items is not None:
        n = np.where(np.isnan(n), float(options.items), n)
    error, source = _aggregate_error(facts, score, n, _column(rows, "stderr") / by)
    low, high = score - 1.96 * error, score + 1.96 * error
    if source == "binomial":
        low, high = exact_interval(score * n, n)
    chance = _column(rows, "chance")
    floor = options.chance.get(key.task, options.chance.get("*", np.nan))
    if not np.isfinite(floor) and np.isfinite(chance).any():
        floor = float(np.nanmedian(chance))
    if facts.high != 1.0 or not facts.higher_is_better or key.metric.endswith(",norm"):
        floor = np.nan
    models = rows["model"] if "model" in rows.columns else rows["_scale"].cast(pl.String)
    return Curve(
        key,
        facts,
        groups.scale_names[number],
        rows["_scale"].to_numpy(),
        tuple(models.to_list()),
        score,
        error,
        n,
        clip(low, facts),
        clip(high, facts),
        floor_of(floor, facts),
        ceiling_of(facts),
        source,
    )


def _column(rows: pl.DataFrame, name: str) -> Floats:
    if name not in rows.columns:
        return np.full(rows.height, np.nan)
    return rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy().astype(float)


def _fit_range(facts: Facts, score: Floats) -> Facts:
    """A score outside its metric's range was rescaled by somebody: its bounds are unknown."""
    if score.min() < facts.low - 1e-9 or score.max() > facts.high + 1e-9:
        return replace(facts, low=-np.inf, high=np.inf, binary=False)
    return facts


def _aggregate_error(
    facts: Facts, score: Floats, n: Floats, reported: Floats
) -> tuple[Floats, str]:
    """Standard errors: binomial where each item is right or wrong and n is known, else as told."""
    if facts.binary and np.isfinite(n).all():
        share = (score * n + 0.5) / (n + 1)  # keeps the error above 0 at the floor
        binomial = np.sqrt(share * (1 - share) / n)
        # clustered or macro-averaged: whoever gave a clearly larger error knew more
        if not (reported > 1.2 * binomial).any():
            return binomial, "binomial"
    if np.isfinite(reported).any():
        return reported, "reported"
    return np.full(len(score), np.nan), "none"
