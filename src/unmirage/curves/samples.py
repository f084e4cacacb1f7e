"""Curves from per-item samples: rescored, with the items aligned over the rungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

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
from unmirage.curves.uncertainty import exact_interval, mean_error
from unmirage.errors import MetricError
from unmirage.records.columns import IDENTITY, PROVENANCE, SAMPLE, SETTINGS
from unmirage.types import Curve, Facts, Floats, Items, Key, Metric, Note, Refusal

#: below this share of common items a paired comparison says more about the items than the models
MIN_COMMON = 0.5


def from_samples(frame: pl.DataFrame, options: Options, elsewhere: Sequence[str] = ()) -> Built:
    """Curves of answers; ``elsewhere`` are metrics that other tables report."""
    groups, frame, ladders = by_ladder(frame, options)
    curves: list[Curve] = []
    refused = list(groups.refused)
    asked, left_out = _asked_metrics(frame, options, elsewhere)
    for number, rows in ladders:
        made, lost = _curves_of_group(groups, number, rows, asked, options)
        curves += made
        refused += lost
    notes = (*groups.notes, *left_out)
    return Built(tuple(curves), tuple(refused), notes, tuple(groups.identity))


def by_ladder(
    frame: pl.DataFrame, options: Options
) -> tuple[Groups, pl.DataFrame, list[tuple[int, pl.DataFrame]]]:
    """The ladders of models, all answers, and (number of the ladder, its answers) of each."""
    frame = _target_index(frame.with_row_index("_row"))
    cell = [c for c in _cell_columns(frame) if frame[c].null_count() < frame.height]
    frame = frame.with_columns(pl.struct(cell).rank("dense").alias("_cell"))
    cells = frame.unique("_cell", keep="first", maintain_order=True).select("_cell", *cell)
    groups = group(cells, options.choice)
    of_cell = groups.rows.select("_cell", "_curve", "_scale")
    placed = frame.join(of_cell, on="_cell", how="inner", maintain_order="left")
    parts = placed.partition_by("_curve", as_dict=True, maintain_order=True)
    return groups, frame, [(int(n[0]), rows) for n, rows in sorted(parts.items())]


def _target_index(frame: pl.DataFrame) -> pl.DataFrame:
    """Index of the right option where only its text or its letter is given."""
    if not {"choices", "choice_logprobs"} <= {*frame.columns}:
        return frame
    count = pl.coalesce(pl.col("choices").list.len(), pl.col("choice_logprobs").list.len())
    first = pl.col("targets").list.first()
    if "target_index_text" in frame.columns:
        first = pl.coalesce(first, pl.col("target_index_text").cast(pl.String))
    text = first.str.strip_chars()
    place = pl.lit(None, pl.Int64)
    for i in range(int(frame.select(count.max()).item() or 0)):
        same = pl.col("choices").list.get(i, null_on_oob=True).str.strip_chars() == text
        place = pl.coalesce(place, pl.when(same).then(pl.lit(i, pl.Int64)))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    by_letter = text.str.strip_chars("().:").replace_strict(
        {c: i for i, c in enumerate(letters)}, default=None, return_dtype=pl.Int64
    )
    by_letter = pl.when(by_letter < count).then(by_letter)
    return frame.with_columns(pl.coalesce("target_index", place, by_letter).alias("target_index"))


def _cell_columns(frame: pl.DataFrame) -> list[str]:
    """Columns that belong to a model and its setting, not to an item.

    A column nobody declared belongs here only where items would repeat without it.
    """
    own = {*SAMPLE, *PROVENANCE, "_row"}
    known = [c for c in frame.columns if c not in own and not frame.schema[c].is_nested()]
    cell = [c for c in known if c in IDENTITY or c in SETTINGS]
    item: list[str] = [c for c in ("item", "repeat", "metric") if c in frame.columns]
    extras = [c for c in known if c not in cell]
    for c in extras:
        # an attribute of the model (constant within it) may come along: it is checked as a setting
        varies = frame.group_by(cell).agg(pl.col(c).n_unique().alias("k"))["k"].max()
        if varies == 1:
            cell.append(c)
    crowded = frame.height > frame.select(cell + item).n_unique()
    for c in extras:
        if crowded and c not in cell and frame.select([*cell, c, *item]).n_unique() == frame.height:
            return [*cell, c]
    return cell


def _asked_metrics(
    frame: pl.DataFrame, options: Options, elsewhere: Sequence[str]
) -> tuple[list[Metric], list[Note]]:
    """Metrics the records allow, and per-item scores as reported; what was asked for in vain.

    Raises MetricError where a name is unknown, or where nothing that was asked for can be scored.
    """
    found = list(metrics.available(frame))
    if options.metric:
        # those asked for, and what may serve them as companion
        serves = [m for m in found if m.facts.linear or m.facts.continuous]
        found = [m for m in found if m in serves or wanted(m.name, options)]
    if "metric" in frame.columns and "score" in frame.columns:
        for name in frame["metric"].drop_nulls().unique().sort().to_list():
            part = frame.filter(pl.col("metric") == name)
            facts = facts_of(name, direction_of(part), options)
            if facts is None and part["score"].drop_nulls().is_in([0.0, 1.0]).all():
                # right or wrong, under whatever name
                facts = Facts(name, name, 0.0, 1.0, True, False, False, binary=True)
            if facts is not None:
                found.append(metrics.reported(name, facts))
    vain: list[MetricError] = []
    for pattern in options.metric:
        names = (*(m.name for m in found), *elsewhere)
        if not any(wanted(name, Options(metric=[pattern])) for name in names):
            one = metrics.get(pattern)
            try:
                found.append(_scorable(one, frame))
            except MetricError as problem:
                vain.append(problem)
    if vain and len(vain) == len(options.metric):
        raise vain[0]
    return found, [Note("warning", "metric_left_out", _in_line(problem)) for problem in vain]


def _scorable(metric: Metric, frame: pl.DataFrame) -> Metric:
    """The metric itself, where it scores some item; else MetricError."""
    if np.isnan(metrics.score(metric, frame)).all():  # refuses where a field is missing
        smaller = metrics.smaller(metric, frame)
        raise MetricError(
            f"{metric.name} cannot be scored for any item: {metric.note}",
            mend=f"--metric {smaller}, the largest that can" if smaller else "another metric",
        )
    return metric


def _in_line(problem: MetricError) -> str:
    return " ".join(str(problem).replace("\n  mend:", ";").split()) + "; the others are audited"


@dataclass(frozen=True)
class Grid:
    """Where each row of a curve's samples belongs: axes M rungs, S items."""

    rung: NDArray[np.int64]  # (rows,)
    code: NDArray[np.int64]  # (rows,)
    names: NDArray[np.object_]  # (S,)
    common: NDArray[np.bool_]  # (S,) items that every rung was given
    shape: tuple[int, int]

    @classmethod
    def of(cls, ladder: pl.DataFrame, rows: pl.DataFrame) -> Grid:
        names, code = np.unique(rows["item"].cast(pl.String).to_numpy(), return_inverse=True)
        place = {cell: i for i, cell in enumerate(ladder["_cell"].to_list())}
        rung = np.array([place[c] for c in rows["_cell"].to_list()], dtype=np.int64)
        seen = np.zeros((len(place), len(names)), bool)
        seen[rung, code] = True
        return cls(rung, code, names, np.asarray(seen.all(axis=0)), seen.shape)


def _curves_of_group(
    groups: Groups, number: int, rows: pl.DataFrame, asked: list[Metric], options: Options
) -> tuple[list[Curve], list[Refusal]]:
    key, scale = groups.keys[number], groups.scale_names[number]
    ladder = groups.rows.filter(pl.col("_curve") == number).sort("_scale")
    grid = Grid.of(ladder, rows)
    m, total = grid.shape
    if grid.common.mean() < MIN_COMMON:
        fewest = int(np.argmin(np.bincount(grid.rung, minlength=m)))
        names = ladder["model"] if "model" in ladder.columns else ladder["_scale"]
        text = (
            f"only {grid.common.sum()} of {total} items were given to all {m} models "
            f"(fewest: {names[fewest]})"
        )
        return [], [Refusal(key, "items_differ", text, "evaluate all models on the same items")]
    clusters = _clusters(rows, grid.code, total)
    curves: list[Curve] = []
    refused: list[Refusal] = []
    for metric in asked:
        if any(c.key.metric == metric.name for c in curves):
            continue  # rescored here: the score that was reported is for cross-checks only
        keyed = replace(key, metric=metric.name)
        matrix = rung_means(metric.score(rows), grid)
        if np.isnan(matrix).all():
            continue
        position = np.flatnonzero(grid.common & ~np.isnan(matrix).any(axis=0))
        if len(position) < max(2, MIN_COMMON * grid.common.sum()):
            text = f"only {len(position)} of {grid.common.sum()} items can be scored in every model"
            refused.append(Refusal(keyed, "items_unscored", text, "see `unmirage metrics`"))
            continue
        items = Items(
            tuple(grid.names[position]),
            matrix[:, position],
            position,
            total,
            clusters,
            total - len(position),
        )
        chance = _chance(metric, rows, grid.code, position)
        curves.append(_item_curve(keyed, metric.facts, ladder, scale, items, chance, options))
    return curves, refused


def _clusters(rows: pl.DataFrame, code: NDArray[np.int64], n: int) -> NDArray[np.int64] | None:
    if "cluster" not in rows.columns or rows["cluster"].null_count() == rows.height:
        return None
    # an item of no cluster is one of its own
    own = pl.concat_str(pl.lit("item "), pl.col("item").cast(pl.String))
    names = rows.select(pl.coalesce("cluster", own)).to_series()
    _, label = np.unique(names.to_numpy(), return_inverse=True)
    out = np.zeros(n, np.int64)
    out[code] = label
    return out


def rung_means(scores: Floats, grid: Grid) -> Floats:
    """(M, S) mean over repeats; NaN where nothing could be scored."""
    ok = ~np.isnan(scores)
    flat = grid.rung[ok] * grid.shape[1] + grid.code[ok]
    size = grid.shape[0] * grid.shape[1]
    total = np.bincount(flat, scores[ok], size)
    count = np.bincount(flat, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((total / count).reshape(grid.shape))


def _chance(
    metric: Metric, rows: pl.DataFrame, code: NDArray[np.int64], position: NDArray[np.int64]
) -> float:
    """Expected score of a guess, averaged over the items used."""
    if metric.chance is not None:
        values = metric.chance(rows)
        here = values[np.isin(code, position)]
        return float(np.nanmean(here)) if np.isfinite(here).any() else np.nan
    return np.nan


def _item_curve(
    key: Key,
    facts: Facts,
    ladder: pl.DataFrame,
    scale_name: str,
    items: Items,
    chance: float,
    options: Options,
) -> Curve:
    score = items.scores.mean(axis=1)
    m, n = items.scores.shape
    error = mean_error(items.scores, items.cluster)
    reach = 1.96
    if items.cluster is not None:
        reach = float(stats.t.ppf(0.975, max(1, len(np.unique(items.cluster)) - 1)))
    low, high = score - reach * error, score + reach * error
    binary = bool(np.isin(items.scores, (0.0, 1.0)).all())
    if binary and items.clusters is None:
        low, high = exact_interval(items.scores.sum(axis=1), np.full(m, n, float))
    facts = replace(facts, binary=facts.binary or binary) if binary else facts
    said = options.chance.get(key.task, options.chance.get("*", np.nan))
    notes: tuple[Note, ...] = ()
    if items.dropped:
        text = f"{items.dropped} of {items.dropped + n} items left out: not scored in every model"
        notes = (Note("warning", "items_dropped", text, count=items.dropped),)
    floor = said if np.isfinite(said) and facts.high == 1.0 else chance
    models = ladder["model"] if "model" in ladder.columns else ladder["_scale"].cast(pl.String)
    return Curve(
        key,
        facts,
        scale_name,
        ladder["_scale"].to_numpy(),
        tuple(models.to_list()),
        score,
        error,
        np.full(m, float(n)),
        clip(low, facts),
        clip(high, facts),
        floor_of(floor, facts),
        ceiling_of(facts),
        "clusters" if items.clusters is not None else "items",
        items,
        notes,
    )
