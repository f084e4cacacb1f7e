"""Which row stands at which rung: the scale axis of every family, and one checkpoint of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from unmirage.errors import ColumnError, OptionError, ValueProblem
from unmirage.records.columns import SETTINGS
from unmirage.types import ASKED_SCALES, SCALES, Note

MIN_RUNGS = 3


@dataclass(frozen=True)
class Choice:
    """How the user wants rows grouped."""

    scale: str | None = None
    by: Sequence[str] = ()
    ignore: Sequence[str] = ()
    checkpoint: str = "final"  # "final", "all" or "step=N"


def with_scale(rows: pl.DataFrame, choice: Choice, notes: list[Note]) -> pl.DataFrame:
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
            mend=f"--scale {present[0]} (of a forecast: --to {present[0]}=X)"
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


def checkpoints(rows: pl.DataFrame, choice: Choice, notes: list[Note]) -> pl.DataFrame:
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
            "last checkpoint (--checkpoint all keeps them, --scale tokens draws the training)"
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


def check_scale(rows: pl.DataFrame) -> None:
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
