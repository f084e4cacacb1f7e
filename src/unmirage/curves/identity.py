"""Which rows make one curve.

A curve holds every setting fixed and has one row a rung. Rows that would mix two settings are
split; rows that cannot be told apart are refused; nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from unmirage.curves.names import lineage
from unmirage.errors import ColumnError, OptionError, ValueProblem
from unmirage.records.columns import AGGREGATE, IDENTITY, PROVENANCE, SAMPLE, SETTINGS
from unmirage.types import ASKED_SCALES, SCALES, Key, Note, Refusal

#: where a row came from: told apart only when nothing else does
_ORIGIN = {"path", "source", "url", "date", "timestamp", "time", "hash", "sha", "commit"}
_ORIGIN |= {"note", "notes", "comment", "comments", "file", "row"}
_MEASURED = {"score", "stderr", "n_samples", "chance", "higher_is_better"}
MIN_RUNGS = 3


@dataclass(frozen=True)
class Choice:
    """How the user wants rows grouped."""

    scale: str | None = None
    by: Sequence[str] = ()
    ignore: Sequence[str] = ()
    checkpoint: str = "final"  # "final", "all" or "step=N"


@dataclass
class Groups:
    """Rows with their curve: ``rows`` has columns _curve (int), _scale, and all that came in."""

    rows: pl.DataFrame
    keys: list[Key]
    scale_names: list[str]
    refused: list[Refusal] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    identity: list[str] = field(default_factory=list)


def where(frame: pl.DataFrame, conditions: Mapping[str, str]) -> pl.DataFrame:
    """Rows whose columns read as given; a name that ends in ``!`` means *differs from*."""
    for name, value in conditions.items():
        column = name.rstrip("!")
        if column not in frame.columns:
            raise ColumnError(
                f"--where names the column {column!r}, which is not there",
                mend="columns: " + _shown_columns(frame),
            )
        same = _as_text(column, frame) == value
        if frame.schema[column].is_numeric():
            try:
                same = pl.col(column) == float(value)
            except ValueError:
                raise OptionError(f"--where {column}={value}: the column holds numbers") from None
        frame = frame.filter(~same.fill_null(False) if name.endswith("!") else same)
    return frame


def _shown_columns(frame: pl.DataFrame) -> str:
    return ", ".join(c for c in frame.columns if not c.startswith("_"))


def _as_text(column: str, frame: pl.DataFrame) -> pl.Expr:
    """A column as it is shown in a key: numbers without a needless .0."""
    dtype = frame.schema[column]
    if dtype.is_float():
        whole = pl.col(column) == pl.col(column).round(0)
        text = pl.col(column).cast(pl.String)
        return pl.when(whole).then(text.str.strip_suffix(".0")).otherwise(text)
    return pl.col(column).cast(pl.String)


def group(rows: pl.DataFrame, choice: Choice) -> Groups:
    """Sort rows (one a model, setting and metric) into curves.

    Raises
    ------
    ColumnError
        no scale column, or an option that names a column that is not there.
    ValueProblem
        the chosen scale holds 0 or a negative number.
    """
    notes: list[Note] = []
    for name in (*choice.by, *choice.ignore):
        if name not in rows.columns:
            raise ColumnError(
                f"no column is named {name!r}", mend="columns: " + _shown_columns(rows)
            )
    rows = _with_family(rows, notes)
    texts = [c for c in SETTINGS if c in rows.columns and rows.schema[c] == pl.String]
    rows = rows.with_columns(pl.col(c).replace("", None) for c in texts)
    rows = rows.with_columns(
        *(
            pl.col(c).map_elements(lineage, return_dtype=pl.String).alias(f"_{c}_line")
            for c in ("model", "variant")
            if c in rows.columns
        )
    )
    rows = _with_scale(rows, choice, notes)
    rows = _checkpoints(rows, choice, notes)
    _check_scale(rows)
    # along a training run, or along examples, the model is part of what is held fixed
    training = pl.col("_scale_name").is_in(["step", "tokens", *ASKED_SCALES])
    fixed = [c for c in ("_model_line", "params") if c in rows.columns]
    rows = rows.with_columns(pl.when(training).then(pl.col(c)).alias(f"_by_{c}") for c in fixed)
    settings = _known_settings(rows, choice)
    rows, settings = _split_on_extras(rows, settings, choice, notes)
    rows, settings = _tell_apart(rows, settings, notes)
    return _collect(rows, settings, notes)


def _with_family(rows: pl.DataFrame, notes: list[Note]) -> pl.DataFrame:
    """Fill a missing family with the lineage of the models, else with one name for all."""
    if "family" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.String).alias("family"))
    missing = rows["family"].is_null()
    if not missing.any():
        return rows
    if "model" not in rows.columns or rows.filter(missing)["model"].null_count():
        return rows.with_columns(pl.col("family").fill_null("(one family)"))
    names = rows.filter(missing)["model"].unique()
    lines = names.map_elements(lineage, return_dtype=pl.String)
    if lines.n_unique() == 1 or lines.n_unique() == len(names):
        family = pl.lit(lines[0].replace("{size}", "").strip("-_/ ") or "(one family)")
        if lines.n_unique() > 1:
            family = pl.lit("(one family)")
    else:
        family = pl.col("model").map_elements(lineage, return_dtype=pl.String)
    rows = rows.with_columns(pl.coalesce("family", family).alias("family"))
    said = rows.filter(missing)["family"].unique().sort().to_list()
    text = f"no family column: taken from the model names as {', '.join(map(repr, said[:5]))}"
    if said == ["(one family)"]:
        text = "no family column, and the model names tell none: all models taken as one family"
    notes.append(Note("warning", "family_assumed", text + (" ..." if len(said) > 5 else "")))
    return rows


def _with_scale(rows: pl.DataFrame, choice: Choice, notes: list[Note]) -> pl.DataFrame:
    """Add _scale and _scale_name: the axis asked for, else the best that each family has."""
    axes = [s for s in (*SCALES, choice.scale) if s in SCALES or s in ASKED_SCALES]
    present = [s for s in axes if s in rows.columns and rows[s].null_count() < len(rows)]
    if choice.scale in ASKED_SCALES and choice.scale in present:
        none = (rows[choice.scale] == 0).sum()
        rows = rows.filter((pl.col(choice.scale) != 0).fill_null(True))
        if none:
            text = f"{none} rows have {choice.scale} = 0, which has no logarithm: left out"
            notes.append(Note("info", "scale_zero", text, count=int(none)))
    if choice.scale is not None and choice.scale not in present:
        raise ColumnError(
            f"the scale {choice.scale!r} is not in the data",
            mend=f"--scale {present[0]}, or --to {present[0]}=X"
            if present
            else "--columns scale=YOUR_COLUMN",
        )
    if not present:
        raise ColumnError("no scale column", mend="--columns scale=YOUR_COLUMN")
    if choice.scale is not None:
        rows = rows.with_columns(pl.lit(choice.scale).alias("_scale_name"))
    else:
        distinct = rows.group_by("family").agg(pl.col(s).drop_nulls().n_unique() for s in present)
        # one size only: the training is the scale
        order = ("params", "tokens", "step", "flops") if "params" in present else SCALES
        enough = pl.coalesce(
            *(
                pl.when(pl.col(s) >= (2 if s == "params" else MIN_RUNGS)).then(pl.lit(s))
                for s in order
                if s in present
            ),
            pl.lit(present[0]),
        )
        picked = distinct.select("family", enough.alias("_scale_name"))
        rows = rows.join(picked, on="family", how="left", maintain_order="left")
    scale = pl.coalesce(
        *(pl.when(pl.col("_scale_name") == s).then(pl.col(s).cast(pl.Float64)) for s in present)
    )
    rows = rows.with_columns(scale.alias("_scale"))
    used = rows["_scale_name"].unique().sort().to_list()
    notes.append(Note("info", "scale", f"scale axis: {', '.join(used)} (log10, decades)"))
    sizes = rows.filter(pl.col("_scale_name") == "params")["_scale"].drop_nulls().to_list()
    if sizes and max(sizes) < 1000:
        text = (
            f"parameters from {min(sizes):g} to {max(sizes):g}: in millions or billions? the "
            "verdicts do not depend on it, the sizes shown do"
        )
        notes.append(Note("warning", "small_scale", text))
    lost = rows["_scale"].null_count()
    if lost:
        text = f"{lost} rows have no {' or '.join(used)} and are left out"
        notes.append(Note("warning", "no_scale", text, count=lost))
    return rows.filter(pl.col("_scale").is_not_null())


def _checkpoints(rows: pl.DataFrame, choice: Choice, notes: list[Note]) -> pl.DataFrame:
    """Keep one checkpoint of each training run, unless the scale is the training itself."""
    clock = next((c for c in ("step", "tokens") if c in rows.columns), None)
    if clock is None or rows.is_empty():
        return rows
    if choice.checkpoint.startswith("step="):
        wanted = float(choice.checkpoint.removeprefix("step="))
        return rows.filter(pl.col(clock) == wanted)
    if choice.checkpoint not in ("final", "all"):
        raise OptionError(f"--checkpoint {choice.checkpoint!r}", mend="final, all or step=N")
    along = pl.col("_scale_name").is_in(["step", "tokens"])
    if choice.checkpoint == "all" or rows.select(along.all()).item():
        return rows
    runs, keep = _run_columns(rows), pl.lit(True)
    # tokens first: steps of two batch sizes do not compare
    for time in (c for c in ("tokens", "step") if c in rows.columns):
        value = pl.col(time).cast(pl.Float64).fill_null(-1.0)
        keep = keep & (value == value.max().over(runs))
    keep = keep | along
    kept = rows.filter(keep)
    if len(kept) < len(rows):
        text = (
            f"{len(rows) - len(kept)} rows of earlier checkpoints are left out: each model at its "
            "last checkpoint (--checkpoint all keeps them, the scale tokens draws the training)"
        )
        notes.append(Note("info", "final_checkpoint", text, count=len(rows) - len(kept)))
    return kept


def _run_columns(rows: pl.DataFrame) -> list[str]:
    """The columns that are the same along one training run under one setting."""
    lines = [f"_{c}_line" for c in ("model", "variant") if f"_{c}_line" in rows.columns]
    fixed = [c for c in ("family", "params", "seed", "metric") if c in rows.columns]
    known = [c for c in SETTINGS if c in rows.columns and c != "variant"]
    sized = ["model"] if "params" not in rows.columns and "model" in rows.columns else []
    return [*fixed, *known, *lines, *sized]


def _check_scale(rows: pl.DataFrame) -> None:
    bad = rows.filter(~(pl.col("_scale") > 0) | ~pl.col("_scale").is_finite())
    if len(bad):
        first = bad.row(0, named=True)
        name = first["_scale_name"]
        raise ValueProblem(
            f"{len(bad)} rows have {name} = {first['_scale']:g}, which has no logarithm",
            file=first.get("file"),
            where=f"row {first['row']}, column {name}" if first.get("row") else f"column {name}",
            mend=f"leave them out with --where {name}!={first['_scale']:g}",
        )


def _known_settings(rows: pl.DataFrame, choice: Choice) -> list[str]:
    """Setting columns that hold anything; a variant counts without its size."""
    scale = choice.scale
    found = [c for c in (*SETTINGS, "seed") if c in rows.columns and c not in ("task", scale)]
    found = ["_variant_line" if c == "variant" else c for c in found]
    found += [c for c in ("_by__model_line", "_by_params") if c in rows.columns]
    found += [c for c in choice.by if c not in found]
    drop = {*choice.ignore, *(f"_{c}_line" for c in choice.ignore)}
    return [c for c in found if c not in drop and rows[c].null_count() < len(rows)]


def _base(rows: pl.DataFrame, settings: list[str]) -> list[str]:
    return [c for c in ("family", "task", "metric", *settings) if c in rows.columns]


def _split_on_extras(
    rows: pl.DataFrame, settings: list[str], choice: Choice, notes: list[Note]
) -> tuple[pl.DataFrame, list[str]]:
    """Split on a column nobody declared where it would otherwise mix settings in a curve.

    Such a column is harmless where it is constant, one-to-one with the rung, or a number that
    rises or falls with scale (layers, width). Elsewhere it groups rungs: a setting.
    """
    known = {*IDENTITY, *SETTINGS, *AGGREGATE, *SAMPLE, *PROVENANCE, *_ORIGIN, *choice.ignore}
    extras = [c for c in rows.columns if c not in known and not c.startswith("_")]
    extras = [c for c in extras if not rows.schema[c].is_nested() and c not in settings]
    for c in extras:
        base = _base(rows, settings)
        stats = rows.group_by(base).agg(_mixes(c, rows.schema[c].is_numeric()).alias("_mixes"))
        hit = int(stats["_mixes"].sum())
        if not hit:
            continue
        tried = rows.join(
            stats.select(*base, "_mixes"),
            on=base,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        split = tried.with_columns(
            pl.when("_mixes").then(_as_text(c, tried)).alias(f"_by_{c}")
        ).drop("_mixes")
        rungs = split.group_by(*base, f"_by_{c}").agg(pl.col("_scale").n_unique().alias("k"))
        if rungs.filter(pl.col(f"_by_{c}").is_not_null())["k"].max() < 2:  # type: ignore[operator]
            continue  # tells single rows apart: no setting
        rows, settings = split, [*settings, f"_by_{c}"]
        text = (
            f"{hit} curves would mix values of the column {c!r}: split by it (--ignore {c} joins)"
        )
        notes.append(Note("info", "split_by", text, count=hit))
    return rows, settings


def _mixes(column: str, numeric: bool) -> pl.Expr:
    """Within one curve: does the column hold values that do not simply go with the rung?"""
    value = pl.col(column)
    values, rungs = value.n_unique(), pl.col("_scale").n_unique()
    by_rung = pl.struct("_scale", column).n_unique() == rungs
    harmless = values == rungs
    if numeric:
        steps = value.cast(pl.Float64).sort_by("_scale").diff().drop_nulls()
        harmless = harmless | (steps >= 0).all() | (steps <= 0).all()
    return (values > 1) & ~(by_rung & harmless)


def _tell_apart(
    rows: pl.DataFrame, settings: list[str], notes: list[Note]
) -> tuple[pl.DataFrame, list[str]]:
    """Where two rows share a rung: drop exact repeats, then split by lineage, then by origin."""
    if "score" in rows.columns:
        same = [*_base(rows, settings), "_scale", "score"]
        same += [c for c in ("model",) if c in rows.columns]
        once = rows.unique(same, keep="first", maintain_order=True)
        if len(once) < len(rows):
            text = f"{len(rows) - len(once)} rows repeat a model's score exactly: each counted once"
            notes.append(Note("info", "repeated_scores", text, count=len(rows) - len(once)))
            rows = once
    origins = [c for c in rows.columns if c in _ORIGIN and c != "row"]
    for column in ("_model_line", *origins):
        if column not in rows.columns or f"_by_{column}" in settings:
            continue
        base = _base(rows, settings)
        crowd = (pl.len().over([*base, "_scale"]) > 1).any().over(base)
        hit = rows.filter(crowd).select(base).n_unique() if rows.height else 0
        if not hit:
            break
        # only where a value then holds most of the ladder; else it merely names the models
        whole = pl.col("_scale").n_unique().over(base)
        part = pl.col("_scale").n_unique().over([*base, column])
        several = pl.col(column).n_unique().over(base) > 1
        most = (2 * part.max().over(base) >= whole) & crowd & several
        tried = rows.with_columns(
            pl.when(most).then(pl.col(column).cast(pl.String)).alias(f"_by_{column}")
        )
        hit = tried.filter(pl.col(f"_by_{column}").is_not_null()).select(base).n_unique()
        if not hit:
            continue
        rows, settings = tried, [*settings, f"_by_{column}"]
        what = "the lineage of the model names" if column == "_model_line" else f"{column!r}"
        text = f"{hit} curves held several rows at one rung: split by {what}"
        notes.append(Note("info", "split_by", text, count=hit))
    return rows, settings


def _shown(column: str) -> str:
    """The name of a working column as the user knows it."""
    name = column.removeprefix("_by_")
    return {"_variant_line": "variant", "_model_line": "lineage"}.get(name, name)


def _collect(rows: pl.DataFrame, settings: list[str], notes: list[Note]) -> Groups:
    base = _base(rows, settings)
    shown = [c for c in settings if rows[c].drop_nulls().n_unique() > 0]
    texts = rows.with_columns(_as_text(c, rows).alias(c) for c in settings)
    texts = texts.with_columns(pl.struct(base).rank("dense").alias("_curve") - 1)
    heads = texts.unique("_curve", keep="first").sort("_curve")
    groups = Groups(
        texts.sort("_curve", "_scale", maintain_order=True),
        [],
        [],
        notes=notes,
        identity=[*(c for c in base if c[0] != "_"), *(_shown(c) for c in shown if c[0] == "_")],
    )
    for head in heads.iter_rows(named=True):
        pairs = [(_shown(c), head[c]) for c in shown if head[c] is not None]
        key = Key(
            head["family"],
            head.get("task") or "(task)",
            head.get("metric") or "",
            tuple(sorted((k, str(v)) for k, v in pairs)),
        )
        groups.keys.append(key)
        groups.scale_names.append(head["_scale_name"])
    return _refuse(groups)


def _refuse(groups: Groups) -> Groups:
    """Take out the curves with rows that cannot be told apart, or with too few rungs."""
    rows = groups.rows
    stats = rows.group_by("_curve").agg(
        pl.col("_scale").n_unique().alias("rungs"), pl.len().alias("rows")
    )
    bad: list[int] = []
    for curve, rungs, n in stats.sort("_curve").iter_rows():
        key = groups.keys[curve]
        if n > rungs:
            bad.append(curve)
            groups.refused.append(_mixed(key, rows.filter(pl.col("_curve") == curve)))
        elif rungs < MIN_RUNGS:
            bad.append(curve)
            text = "one model" if rungs == 1 else f"{rungs} models"
            groups.refused.append(
                Refusal(
                    key,
                    "too_few_rungs",
                    f"{text}: a curve needs at least {MIN_RUNGS} rungs",
                    "add models of other sizes, or join settings with --ignore COLUMN",
                )
            )
    groups.rows = rows.filter(~pl.col("_curve").is_in(bad))
    return groups


def _mixed(key: Key, rows: pl.DataFrame) -> Refusal:
    crowded = rows.filter(pl.len().over("_scale") > 1)
    first = crowded.filter(pl.col("_scale") == crowded["_scale"][0])
    differ = [
        c
        for c in first.columns
        if not c.startswith("_")
        and not first.schema[c].is_nested()
        and first[c].n_unique() > 1
        and c not in _MEASURED
        and c != "row"
    ]
    place = f"{rows['_scale_name'][0]} = {first['_scale'][0]:g}"
    what = f"they differ in {', '.join(differ)}" if differ else "no column tells them apart"
    mend = "keep one row a model"
    if differ:
        mend = f"--by {differ[0]}, or leave one out: --where '{differ[0]}!={first[differ[0]][0]}'"
    return Refusal(key, "mixed_rows", f"{len(first)} rows at {place}; {what}", mend)
