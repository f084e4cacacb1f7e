"""Rows that repeat: the same row twice is one row; one item answered twice must be told apart."""

from __future__ import annotations

import re

import polars as pl

from unmirage.errors import ValueProblem
from unmirage.records.cells import shot_count
from unmirage.records.columns import (
    IDENTITY,
    PROVENANCE,
    SETTINGS,
    extra_columns,
    squeeze,
)
from unmirage.records.table import show
from unmirage.types import Note

#: extra columns that say where a row came from, not what was held fixed
ORIGIN = {
    *("path", "source", "url", "file", "filename", "date", "timestamp", "time", "datetime"),
    *("created", "createdat", "uuid", "hash", "sha", "commit", "note", "notes", "comment"),
    *("comments", "fileintable", "rowintable"),
}
_SHOT_TOKEN = re.compile(
    r"(?<![a-z0-9])((?:zero|one|two|three|four|five|ten|\d{1,3})[-_ ]?shots?)(?![a-z])"
)
_NAMING = re.compile(r"path|dir|folder|file|source|name|config|run|variant", re.IGNORECASE)


_LONG = ("prompt", "output")
_PLACE = "\0place"


def is_origin(column: str) -> bool:
    """Whether a column only says where a row came from."""
    return column in PROVENANCE or squeeze(column) in ORIGIN


def drop_identical(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Note]]:
    """The frame without rows that equal an earlier row in all but their origin."""
    said = [c for c in frame.columns if not is_origin(c) and frame[c].null_count() < frame.height]
    if not said:
        return frame, []
    # long texts and lists are compared only in rows that may be alike in all else: laying columns
    # side by side needs as much memory again as they take, hashing does not
    short = [c for c in said if c not in _LONG and not isinstance(frame[c].dtype, pl.List)]
    alike = _alike(frame.select(short)) if short else pl.repeat(True, frame.height, eager=True)
    if not alike.any():
        return frame, []
    rows = frame.with_row_index(_PLACE).filter(alike)
    kept = rows.unique(subset=said, keep="first", maintain_order=True)
    count = rows.height - kept.height
    if not count:
        return frame, []
    gone = rows[_PLACE].filter(~rows[_PLACE].is_in(kept[_PLACE].implode()))
    keep = ~pl.int_range(frame.height, dtype=pl.UInt32, eager=True).is_in(gone.implode())
    message = "rows that repeat an earlier row in every column but their origin left out"
    return frame.filter(keep), [Note("info", "identical_rows", message, count=count)]


def _alike(frame: pl.DataFrame) -> pl.Series:
    """Which rows may equal another one; those that do not, do not."""
    return frame.hash_rows().is_duplicated()


def item_key(frame: pl.DataFrame) -> list[str]:
    """The columns that together name one answer to one item under one setting."""
    names = (*IDENTITY, *SETTINGS, "metric", "item", "repeat")
    return [c for c in names if c in frame.columns and frame[c].null_count() < frame.height]


def check_items(frame: pl.DataFrame, skip_bad: bool) -> tuple[pl.DataFrame, list[Note]]:
    """The samples, once it is sure that no item is counted twice.

    Raises:
        ValueProblem: one item has several answers and no column tells them apart (skip_bad: the
            first is kept, the others are counted).
    """
    key = item_key(frame)
    if not key or not _alike(frame.select(key)).any():
        return frame, []
    many = frame.height - frame.select(key).n_unique() if frame.height else 0
    if not many:
        return frame, []
    if found := telling_apart(frame, key):
        message = f"items repeat, and the column {found!r} tells them apart: read as a setting"
        return frame, [Note("warning", "setting_from_extra", message, count=many)]
    if skip_bad:
        message = "further answers to an item already answered left out"
        note = Note("warning", "repeated_items", message, count=many)
        return frame.unique(subset=key, keep="first", maintain_order=True), [note]
    raise _repeated(frame, key)


def telling_apart(frame: pl.DataFrame, key: list[str]) -> str | None:
    """The extra column that, with the key, names every row; None where there is none.

    A column of (nearly) all different values, such as an answer or a time, tells any rows apart
    and says nothing; nor is one pair of repeated rows enough for a column of numbers.
    """
    counts = frame.group_by(key).len()["len"]
    pairs = int((counts > 1).sum())
    found = []
    for column in extra_columns(frame):
        dtype = frame[column].dtype
        if not (dtype == pl.String or (dtype == pl.Int64 and pairs > 1)):
            continue
        values = frame[column].n_unique()
        if 2 * values <= frame.height and frame.select(*key, column).n_unique() == frame.height:
            found.append((is_origin(column), values, column))
    return min(found)[2] if found else None


def _repeated(frame: pl.DataFrame, key: list[str]) -> ValueProblem:
    first = frame.filter(frame.select(key).is_duplicated()).head(1)
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.lit(first[c])) for c in key)
    rows = frame.filter(same)
    files = rows["file"].unique(maintain_order=True).to_list()
    model = f" for model {show(first['model'][0])}" if first["model"][0] is not None else ""
    what = f"item {show(first['item'][0])} appears {rows.height} times{model}"
    where = "rows " + ", ".join(
        f"{row}" if len(files) == 1 else f"{row} of {file}"
        for file, row in rows.select("file", "row").head(5).iter_rows()
    )
    mend = (
        "if a model answered each item several times, say which column numbers the answers: "
        "--columns repeat=<your column>; if the answers differ in a setting or a filter, give "
        "the column of it: --columns filter=<your column>"
    )
    return ValueProblem(what, file=files[0], where=where, mend=mend)


# ---------------------------------------------------------------- shots


def shots_in(text: str) -> set[int]:
    """The numbers of shots that a name states.

    >>> shots_in("pythia-v0/pythia-1.4b/five-shot")
    {5}
    """
    found = (shot_count(token) for token in _SHOT_TOKEN.findall(text.lower()[:2000]))
    return {n for n in found if n is not None}


def shots_disagree(frame: pl.DataFrame) -> list[Note]:
    """A warning where the name of a model, task, file or folder states other shots than ``shots``.

    Folders named five-shot that hold zero-shot results are a real trap (Pythia v0).
    """
    if "shots" not in frame.columns or frame["shots"].null_count() == frame.height:
        return []
    names = ["task", "model", "variant", "run", "prompt_name", "file"]
    names += [c for c in extra_columns(frame) if is_origin(c) or _NAMING.search(c)]
    wrong = pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
    example = ""
    for column in names:
        if frame.schema.get(column) != pl.String:
            continue
        texts = frame[column].unique()
        texts = texts.filter(texts.str.contains("(?i)shot").fill_null(False))
        if texts.is_empty():
            continue  # nearly always: the pairs of millions of rows need not be looked at
        pairs = frame.select(text=column, shots="shots").drop_nulls()
        pairs = pairs.filter(pl.col("text").is_in(texts.implode())).unique().sort("text", "shots")
        bad = [(t, n) for t, n in pairs.iter_rows() if (said := shots_in(t)) and n not in said]
        if not bad:
            continue
        example = example or f"{column} {show(bad[0][0])} has shots = {bad[0][1]}"
        table = pl.DataFrame(bad, schema={column: pl.String, "shots": pl.Int64}, orient="row")
        listed = table.with_columns(_hit=True)
        both = [column, "shots"]
        hit = frame.select(both).join(listed, on=both, how="left", maintain_order="left")
        wrong = wrong | hit["_hit"].fill_null(False)
    count = int(wrong.sum())
    if not count:
        return []
    message = f"names state other shots than the column 'shots', which is used: {example}"
    return [Note("warning", "shots_disagree", message, count=count)]
