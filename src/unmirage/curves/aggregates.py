"""Curves from scores without items: units, directions and sampling errors are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from unmirage import metrics
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
    percent = _percent_scales(groups.rows, options, notes)
    if options.items is None:
        groups.rows = _infer_items(groups.rows, percent, notes)
    curves: list[Curve] = []
    refused = list(groups.refused)
    parts = groups.rows.partition_by("_curve", as_dict=True, maintain_order=True)
    for (number,), rows in sorted(parts.items()):
        made = _aggregate_curve(groups, int(number), rows, percent, options)
        if isinstance(made, Curve):
            curves.append(made)
        else:
            refused.append(made)
    return Built(tuple(curves), tuple(refused), tuple(notes), tuple(groups.identity))


def _percent_scales(
    rows: pl.DataFrame, options: Options, notes: list[Note]
) -> dict[tuple[str, str, str], str]:
    """(file, task, metric) -> "percent" or "mixed" for shares written on 0-100.

    A share above 1 means percent. It is sure where one curve crosses 1 without a gap; where every
    curve lies wholly on one side of 1, two scales may have been mixed and nobody can tell.
    """
    out: dict[tuple[str, str, str], str] = {}
    if "file" not in rows.columns:
        rows = rows.with_columns(pl.lit("").alias("file"))
    for (file, task, metric), part in rows.group_by("file", "task", "metric", maintain_order=True):
        facts = metrics.facts(str(metric))
        top = float(part["score"].max())  # type: ignore[arg-type]
        if facts is None or facts.high != 1.0 or top <= 1.0 + 1e-9 or top > 100.0 + 1e-9:
            continue
        if facts.name.startswith(_ON_100):
            out[str(file), str(task), str(metric)] = "percent"
            continue
        kinds = set()
        for (_,), curve in part.group_by("_curve"):
            kinds.add(_side_of_one(curve["score"].to_numpy()))
        mixed = "mixed" in kinds or ({"below", "above"} <= kinds and "across" not in kinds)
        out[str(file), str(task), str(metric)] = "mixed" if mixed else "percent"
        if not mixed:
            text = f"{metric} of {task} is on 0-100 (largest {top:g}): divided by 100"
            notes.append(Note("info", "assumed_percent", text, file=str(file) or None))
    return out


#: written on 0-100 by the tools that define them; a value below 1 is then a small score
_ON_100 = ("bleu", "rouge")
_MOST_ITEMS = 20_000
_ENOUGH_SCORES = 8


def _infer_items(
    rows: pl.DataFrame, percent: Mapping[tuple[str, str, str], str], notes: list[Note]
) -> pl.DataFrame:
    """Fill n_samples where all scores of a task are whole multiples of one 1/n.

    Only for metrics that are right or wrong on each item. A power of ten is not believed: scores
    rounded to some digits look like that.
    """
    if "n_samples" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.Float64).alias("n_samples"))
    keys = [c for c in ("file", "task", "subtask", "metric", "shots", "split") if c in rows.columns]
    made = []
    told = 0
    for _, part in rows.group_by(keys, maintain_order=True):
        facts = metrics.facts(part["metric"][0])
        bare = part["n_samples"].null_count() == part.height
        if facts is not None and facts.binary and bare:
            unit = percent.get(
                (
                    str(part[0, "file"]) if "file" in keys else "",
                    part[0, "task"] if "task" in keys else "",
                    part[0, "metric"],
                )
            )
            n = whole_multiple(part["score"].to_numpy() / (100.0 if unit else 1.0))
            if n:
                told += 1
                part = part.with_columns(pl.lit(float(n)).alias("n_samples"))
        made.append(part)
    if told:
        text = (
            f"the number of items is not given for {told} tasks and settings: taken from their "
            "scores, which are all whole multiples of one 1/n (--items N overrides)"
        )
        notes.append(Note("warning", "items_inferred", text, count=told))
    return pl.concat(made) if made else rows


def whole_multiple(scores: Floats) -> int | None:
    """The smallest n that makes every score a whole number of n-ths, if that is telling.

    >>> whole_multiple(np.array([1, 5, 77, 200, 433, 512, 870, 1300]) / 1319)
    1319
    >>> whole_multiple(np.array([0.1, 0.25, 0.31, 0.42, 0.5, 0.61, 0.7, 0.83])) is None
    True
    """
    inner = np.unique(scores[(scores > 0) & (scores < 1)])
    if len(inner) < _ENOUGH_SCORES:
        return None
    tried = np.arange(10, _MOST_ITEMS + 1)
    for s in inner:
        off = np.abs(tried * s - np.round(tried * s))
        tried = tried[off < 1e-6 * np.maximum(tried, 100) ** 0.5]
        if not len(tried):
            return None
    n = int(tried[0])
    return None if n in (10, 100, 1000, 10_000) else n


def _side_of_one(scores: Floats) -> str:
    positive = np.sort(scores[scores > 0])
    under, over = positive[positive <= 1.0], positive[positive > 1.0]
    if not len(over):
        return "below"
    if not len(under):
        return "above"
    return "across" if over[0] / under[-1] < 10 else "mixed"


def _aggregate_curve(
    groups: Groups,
    number: int,
    rows: pl.DataFrame,
    percent: Mapping[tuple[str, str, str], str],
    options: Options,
) -> Curve | Refusal:
    key = groups.keys[number]
    facts = facts_of(key.metric, direction_of(rows), options)
    if facts is None:
        mend = f"--higher-is-better {key.metric} or --lower-is-better {key.metric}"
        return Refusal(key, "unknown_direction", f"is a high {key.metric} good or bad?", mend)
    files = set(rows["file"].to_list()) if "file" in rows.columns else {""}
    units = {percent.get((str(f), key.task, key.metric), "unit") for f in files}
    if len(units) > 1 or "mixed" in units:
        text = "some scores are on 0-1, others on 0-100, or it cannot be told which"
        return Refusal(
            key, "mixed_scale", text, f"bring them to one scale, or --percent {key.metric}"
        )
    by = 100.0 if units == {"percent"} else 1.0
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
    if facts.high != 1.0 or not facts.higher_is_better or "norm," in key.metric:
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
        return np.sqrt(share * (1 - share) / n), "binomial"
    if np.isfinite(reported).any():
        return reported, "reported"
    return np.full(len(score), np.nan), "none"
