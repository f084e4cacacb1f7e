"""Families of well-known models, where the tables name none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from unmirage.records.models import OwnModels, known
from unmirage.types import Note

#: fewer models of one family make no ladder: such tables are left to be taken as one family
_LADDER = 3


def with_families(
    frames: Sequence[pl.DataFrame], models: OwnModels
) -> tuple[list[pl.DataFrame], list[Note]]:
    """The frames with the families that the user's table names; and, where every model that is
    left without one is well known and some family has three of them, with those of the bundled
    table: families of half the models would tear a ladder apart."""
    missing: set[str | None] = set()
    for frame in frames:
        if frame.height and "family" in frame.columns:
            missing |= set(frame.filter(pl.col("family").is_null())["model"].unique())
    names = sorted(n for n in missing if n is not None)
    own = {n: k.family for n in names if (k := models.find(n)) and k.family}
    left = [n for n in names if n not in own]
    listed = {n: k.family for n in left if (k := known(n)) and k.family}
    ladder = max(Counter(listed.values()).values(), default=0) >= _LADDER
    if None in missing or len(listed) < len(left) or not ladder:
        listed = {}
    notes = []
    for code, found, where in (
        ("families_from_models", own, "the models file"),
        ("families_known", listed, "the bundled table of known models"),
    ):
        if found:
            text = f"no family given: taken from {where}"
            notes.append(Note("info", code, text, count=len(found)))
    both = {**listed, **own}
    return [_fill(f, both) for f in frames] if both else list(frames), notes


def _fill(frame: pl.DataFrame, families: dict[str, str]) -> pl.DataFrame:
    if not frame.height or "family" not in frame.columns:
        return frame
    found = pl.col("model").replace_strict(families, default=None, return_dtype=pl.String)
    return frame.with_columns(pl.coalesce("family", found).alias("family"))
