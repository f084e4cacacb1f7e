"""How large each model is: the scale columns, or the size that a model's name states."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl

from unmirage.errors import ColumnError
from unmirage.records.columns import SCALE_COLUMNS, extra_columns, squeeze
from unmirage.records.recognise import Recognised, near
from unmirage.types import Note

# 1_8B may be 1.8B: no size is read off it
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(?<!\d_)(\d+)(\.\d+)?([mMbB])(\d*)(?![A-Za-z0-9]|\.\d)")
_FACTORS = {"m": 1e6, "b": 1e9}


def size_in(name: str) -> float | None:
    """The number of parameters that a model's name states; None where it states none or several.

    >>> size_in("opt-125m"), size_in("bloom-7b1"), size_in("Mixtral-8x7B"), size_in("Qwen-1_8B")
    (125000000.0, 7100000000.0, None, None)
    """
    sizes = set()
    for whole, part, unit, tail in _SIZE.findall(name[:500]):
        if part and tail:
            continue
        digits = f"{whole}{part}" if part else f"{whole}.{tail or 0}"
        sizes.add(float(round(float(digits) * _FACTORS[unit.lower()])))
    return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None


def with_scale(seen: Recognised, need: bool) -> Recognised:
    """The table with a scale column; sizes are read off model names only if every name has one.

    Raises:
        ColumnError: there is no scale column and the names do not say.
    """
    table = seen.table
    frame = table.frame
    there = (c for c in SCALE_COLUMNS if c in frame.columns)
    if any(frame[c].null_count() < frame.height for c in there):
        return seen
    if "model" in frame.columns and frame["model"].dtype == pl.String:
        names = frame["model"].unique().to_list()
        sizes = {n: size_in(n) for n in names if n is not None}
        if len(sizes) == len(names) and all(sizes.values()):
            params = frame["model"].replace_strict(sizes, return_dtype=pl.Float64)
            message = "no scale column: the parameters were read off the models' names"
            note = Note("warning", "params_from_names", message, table.name, len(names))
            new = replace(table, frame=frame.with_columns(params.alias("params")))
            return replace(seen, table=new, notes=(*seen.notes, note))
    if need:
        raise _no_scale(seen)
    return seen


def _no_scale(seen: Recognised) -> ColumnError:
    columns = seen.theirs
    left = extra_columns(seen.table.frame)
    words = ("param", "size", "scale", "token", "flop", "compute", "step")
    like = (c for word in words for c in left if word in squeeze(c))
    almost = (c for word in ("params", "model_size", "tokens", "flops") if (c := near(word, left)))
    guess = "N" if "N" in columns else next(like, None) or next(almost, None)
    mend = seen.table.scale_mend or f"--columns scale={guess or '<your column>'}"
    shown = ", ".join(columns[:30]) + (", ..." if len(columns) > 30 else "")
    what = f"no column says how large a model is (params, tokens, flops, step); columns: {shown}"
    return ColumnError(what, file=seen.table.name, mend=mend)
