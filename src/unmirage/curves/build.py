"""Records x metrics -> curves."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage import metrics
from unmirage.curves.identity import Choice, Groups, group, where
from unmirage.curves.uncertainty import exact_interval, mean_error
from unmirage.errors import InputError
from unmirage.records.columns import AGGREGATE, PROVENANCE, SAMPLE
from unmirage.types import (
    Curve,
    Facts,
    Floats,
    Items,
    Key,
    Metric,
    Note,
    Records,
    Refusal,
)

#: below this share of common items a paired comparison says more about the items than the models
MIN_COMMON = 0.5


@dataclass(frozen=True)
class Options:
    """Which curves, and what the tables do not say."""

    family: Sequence[str] = ()  # shell patterns
    task: Sequence[str] = ()
    metric: Sequence[str] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    higher_is_better: Sequence[str] = ()
    lower_is_better: Sequence[str] = ()
    percent: Sequence[str] = ()  # already divided by 100 when read
    items: int | None = None
    chance: Mapping[str, float] = field(default_factory=dict)  # task (or "*") -> chance level


@dataclass(frozen=True)
class Built:
    curves: tuple[Curve, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    identity: tuple[str, ...]


def build(records: Records, options: Options) -> Built:
    """All curves of the records, rescored from items where there are items.

    Raises
    ------
    InputError
        nothing is left to audit; the text says why and what to change.
    """
    parts = []
    if records.samples.height:
        parts.append(_from_samples(_pick(records.samples, options), options))
    if records.aggregates.height:
        parts.append(_from_aggregates(_pick(records.aggregates, options), options))
    curves = tuple(c for p in parts for c in p.curves)
    refused = tuple(r for p in parts for r in p.refused)
    notes = tuple(n for p in parts for n in p.notes)
    identity = tuple(dict.fromkeys(c for p in parts for c in p.identity))
    if not curves:
        raise _nothing_left(records, options, refused)
    return Built(curves, refused, notes, identity)


def _nothing_left(records: Records, options: Options, refused: Sequence[Refusal]) -> InputError:
    rows = records.samples.height + records.aggregates.height
    file = next(
        (f["file"][0] for f in (records.samples, records.aggregates) if f.height and "file" in f),
        None,
    )
    if refused:
        reasons: dict[str, Refusal] = {}
        for r in refused:
            reasons.setdefault(r.code, r)
        what = "; ".join(f"{r.key.label()}: {r.reason}" for r in reasons.values())
        mend = "; ".join(dict.fromkeys(r.mend for r in reasons.values()))
        return InputError(f"no curve can be audited: {what}", file=file, mend=mend)
    asked = {
        "--family": options.family,
        "--task": options.task,
        "--metric": options.metric,
        "--where": options.where,
    }
    if rows and any(asked.values()):
        given = " ".join(f"{k} {' '.join(v)}" for k, v in asked.items() if v)
        known = _known(records)
        return OptionError_(f"nothing matches {given}", known)
    return InputError("no rows with a score", file=file, mend="see `unmirage audit --help`")


def OptionError_(what: str, mend: str) -> InputError:
    return InputError(what, mend=mend)


def _known(records: Records) -> str:
    said = []
    for column in ("family", "task", "metric"):
        seen: set[str] = set()
        for frame in (records.samples, records.aggregates):
            if column in frame.columns:
                seen.update(frame[column].drop_nulls().unique().to_list())
        few = sorted(seen)[:8]
        if few:
            said.append(f"{column}: {', '.join(few)}{' ...' if len(seen) > 8 else ''}")
    return "in the data: " + "; ".join(said)


def _pick(frame: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Rows of the families and tasks asked for (the metric is chosen later), and --where."""
    for column, patterns in (("family", options.family), ("task", options.task)):
        if patterns and column in frame.columns:
            frame = frame.filter(pl.col(column).is_in(_matching(frame[column], patterns)))
    present = {k: v for k, v in options.where.items() if k.rstrip("!") in frame.columns}
    return where(frame, options.where if not present else present)


def _matching(names: Iterable[str | None], patterns: Sequence[str]) -> list[str]:
    """Names that fit one of the shell patterns, case aside."""
    known = sorted({n for n in names if n is not None})
    low = [p.casefold() for p in patterns]
    return [n for n in known if any(fnmatch.fnmatchcase(n.casefold(), p) for p in low)]


def wanted(name: str, options: Options) -> bool:
    """Is this metric asked for, by name, alias or pattern?"""
    if not options.metric or _matching([name], options.metric):
        return True
    known = metrics.facts(name)
    asked = [f.name for p in options.metric if (f := metrics.facts(p)) is not None]
    return name in asked or (known is not None and bool(_matching([known.name], options.metric)))


# ---------------------------------------------------------------- from items


def _from_samples(frame: pl.DataFrame, options: Options) -> Built:
    frame = frame.with_row_index("_row")
    cell = [c for c in _cell_columns(frame) if frame[c].null_count() < frame.height]
    frame = frame.with_columns(pl.struct(cell).rank("dense").alias("_cell"))
    cells = frame.unique("_cell", keep="first", maintain_order=True).select("_cell", *cell)
    groups = group(cells, options.choice)
    curves: list[Curve] = []
    refused = list(groups.refused)
    notes = list(groups.notes)
    asked = _asked_metrics(frame, options)
    of_cell = groups.rows.select("_cell", "_curve", "_scale")
    placed = frame.join(of_cell, on="_cell", how="inner", maintain_order="left")
    for curve, rows in sorted(
        placed.partition_by("_curve", as_dict=True, maintain_order=True).items()
    ):
        number = int(curve[0])
        made, lost = _curves_of_group(groups, number, rows, asked, options)
        curves += made
        refused += lost
    return Built(tuple(curves), tuple(refused), tuple(notes), tuple(groups.identity))


def _cell_columns(frame: pl.DataFrame) -> list[str]:
    """Columns that belong to a model and its setting, not to an item.

    A column nobody declared belongs here only where items would repeat without it.
    """
    own = {*SAMPLE, *PROVENANCE, "_row"}
    known = [c for c in frame.columns if c not in own and not frame.schema[c].is_nested()]
    from unmirage.records.columns import IDENTITY, SETTINGS

    cell = [c for c in known if c in IDENTITY or c in SETTINGS]
    item = [c for c in ("item", "repeat", "metric") if c in frame.columns]
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


def _asked_metrics(frame: pl.DataFrame, options: Options) -> list[Metric]:
    """Metrics the records allow, and per-item scores as reported."""
    found = [m for m in metrics.available(frame)]
    if "metric" in frame.columns and "score" in frame.columns:
        for name in frame["metric"].drop_nulls().unique().sort().to_list():
            facts = _facts(name, _direction_of(frame.filter(pl.col("metric") == name)), options)
            if facts is not None and all(facts.name != m.name for m in found):
                found.append(metrics.reported(name, facts))
    for pattern in options.metric:
        if not any(wanted(m.name, Options(metric=[pattern])) for m in found):
            metrics.score(metrics.get(pattern), frame)  # refuses with what is missing
    return found


def _direction_of(frame: pl.DataFrame) -> bool | None:
    if "higher_is_better" not in frame.columns:
        return None
    said = frame["higher_is_better"].drop_nulls().unique().to_list()
    return bool(said[0]) if len(said) == 1 else None


def _curves_of_group(
    groups: Groups, number: int, rows: pl.DataFrame, asked: list[Metric], options: Options
) -> tuple[list[Curve], list[Refusal]]:
    key = groups.keys[number]
    ladder = groups.rows.filter(pl.col("_curve") == number).sort("_scale")
    cells = ladder["_cell"].to_list()
    names, code = np.unique(rows["item"].cast(pl.String).to_numpy(), return_inverse=True)
    rung = np.searchsorted(np.sort(cells), rows["_cell"].to_numpy())
    rung = np.argsort(cells, kind="stable").argsort()[np.argsort(cells)][rung]
    order = {c: i for i, c in enumerate(cells)}
    rung = np.array([order[c] for c in rows["_cell"].to_list()], dtype=np.int64)
    seen = np.zeros((len(cells), len(names)), bool)
    seen[rung, code] = True
    common = seen.all(axis=0)
    if common.mean() < MIN_COMMON:
        text = f"only {common.sum()} of {len(names)} items were given to all {len(cells)} models"
        return [], [Refusal(key, "items_differ", text, "evaluate all models on the same items")]
    clusters = _clusters(rows, code, len(names))
    curves, refused = [], []
    for metric in asked:
        keyed = replace(key, metric=metric.name)
        scores = metric.score(rows)
        matrix = _matrix(scores, rung, code, seen.shape)
        usable = common & ~np.isnan(matrix).any(axis=0)
        if not (~np.isnan(matrix)).any():
            continue
        if usable.sum() < max(2, MIN_COMMON * common.sum()):
            text = (
                f"only {usable.sum()} of {common.sum()} common items can be scored in every model"
            )
            refused.append(Refusal(keyed, "items_unscored", text, "see `unmirage metrics`"))
            continue
        position = np.flatnonzero(usable)
        items = Items(
            tuple(names[position]),
            matrix[:, position],
            position,
            len(names),
            clusters,
            len(names) - len(position),
        )
        chance = _chance(metric, rows, code, position)
        curves.append(
            _item_curve(
                keyed, metric.facts, ladder, groups.scale_names[number], items, chance, options
            )
        )
    return curves, refused


def _clusters(rows: pl.DataFrame, code: NDArray[np.int64], n: int) -> NDArray[np.int64] | None:
    if "cluster" not in rows.columns or rows["cluster"].null_count() == rows.height:
        return None
    _, label = np.unique(rows["cluster"].fill_null("").to_numpy(), return_inverse=True)
    out = np.zeros(n, np.int64)
    out[code] = label
    return out


def _matrix(
    scores: Floats, rung: NDArray[np.int64], code: NDArray[np.int64], shape: tuple[int, int]
) -> Floats:
    """(M, S) mean over repeats; NaN where nothing could be scored."""
    ok = ~np.isnan(scores)
    flat = rung[ok] * shape[1] + code[ok]
    size = shape[0] * shape[1]
    total = np.bincount(flat, scores[ok], size)
    count = np.bincount(flat, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((total / count).reshape(shape))


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
    low, high = score - 1.96 * error, score + 1.96 * error
    binary = bool(np.isin(items.scores, (0.0, 1.0)).all())
    if binary and items.clusters is None:
        low, high = exact_interval(items.scores.sum(axis=1), np.full(m, n, float))
    facts = replace(facts, binary=facts.binary or binary) if binary else facts
    said = options.chance.get(key.task, options.chance.get("*", np.nan))
    notes = ()
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
        _clip(low, facts),
        _clip(high, facts),
        _floor(floor, facts),
        _ceiling(facts),
        "clusters" if items.clusters is not None else "items",
        items,
        notes,
    )


def _clip(bound: Floats, facts: Facts) -> Floats:
    return np.clip(bound, facts.low, facts.high)


def _floor(chance: float, facts: Facts) -> float:
    """Chance level, else the worst value; NaN where there is none."""
    if np.isfinite(chance):
        return float(chance)
    worst = facts.low if facts.higher_is_better else facts.high
    return float(worst) if np.isfinite(worst) else np.nan


def _ceiling(facts: Facts) -> float:
    best = facts.high if facts.higher_is_better else facts.low
    return float(best) if np.isfinite(best) else np.nan


# ---------------------------------------------------------------- from reported scores


def _facts(name: str, said: bool | None, options: Options) -> Facts | None:
    """What is known of a reported metric: options first, then the table, then its name."""
    known = metrics.facts(name)
    direction = said
    if _matching([name], options.higher_is_better):
        direction = True
    elif _matching([name], options.lower_is_better):
        direction = False
    if direction is None:
        # sklearn's convention: a thing called score is better when higher
        direction = known.higher_is_better if known else (True if name == "score" else None)
    if direction is None:
        return None
    if known is None:
        return Facts(name, name, -np.inf, np.inf, direction, linear=False, continuous=False)
    return replace(known, higher_is_better=direction)


def _from_aggregates(frame: pl.DataFrame, options: Options) -> Built:
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
    curves, refused = [], list(groups.refused)
    parts = groups.rows.partition_by("_curve", as_dict=True, maintain_order=True)
    for (number,), rows in sorted(parts.items()):
        made = _aggregate_curve(groups, int(number), rows, percent, options)
        (curves if isinstance(made, Curve) else refused).append(made)  # type: ignore[arg-type]
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
            f"the number of items is not given for {told} tasks and settings: taken from their scores, "
            "which are all whole multiples of 1/n (--items N overrides)"
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
    facts = _facts(key.metric, _direction_of(rows), options)
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
        _clip(low, facts),
        _clip(high, facts),
        _floor(floor, facts),
        _ceiling(facts),
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


__all__ = ["AGGREGATE", "Built", "Options", "build"]
