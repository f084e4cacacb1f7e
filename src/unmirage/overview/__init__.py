"""What a reading found: formats, models, tasks, the metrics they allow, and what to mind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from unmirage import metrics
from unmirage.curves.chain import Chain, chains
from unmirage.errors import UnmirageError
from unmirage.metrics.passk import most_answers
from unmirage.overview.rescore import Compared, compare
from unmirage.types import Note, Records

__all__ = ["Chain", "Compared", "ModelSeen", "Overview", "TaskSeen", "compare", "overview"]


@dataclass(frozen=True)
class ModelSeen:
    """One model; None where nothing is known."""

    name: str
    family: str | None
    params: float | None
    tokens: float | None  # the most
    checkpoints: int
    #: where its size is from: "table", "models file", "bundled table", "name"; "table (tokens)"
    #: where only tokens are known, "table; tokens: bundled table" where these are from elsewhere
    source: str | None
    rows: int


@dataclass(frozen=True)
class TaskSeen:
    """One task."""

    name: str
    models: int
    items: int  # 0: scores without items
    shots: tuple[int, ...]
    possible: tuple[str, ...]  # metrics that can be computed from its answers
    reported: tuple[str, ...]  # metrics that the files report


@dataclass(frozen=True)
class Overview:
    """All that ``unmirage read`` shows."""

    formats: tuple[tuple[str, int], ...]
    files: int
    answers: int  # rows
    scores: int  # rows of scores without items
    models: tuple[ModelSeen, ...]
    tasks: tuple[TaskSeen, ...]
    compared: tuple[Compared, ...]
    chains: tuple[Chain, ...]
    notes: tuple[Note, ...]

    @property
    def warnings(self) -> int:
        return sum(n.level == "warning" for n in self.notes)


def overview(records: Records) -> Overview:
    """What the records hold.

    >>> from unmirage.records import read
    >>> found = overview(read(pl.DataFrame({"model": "gpt2", "task": "t", "acc": [0.5]})))
    >>> found.models[0].source, found.tasks[0].reported
    ('bundled table', ('acc',))
    """
    both = [f for f in (records.samples, records.aggregates) if f.height]
    files = {name for f in both for name in f["file"].drop_nulls().unique()}
    notes = list(records.notes)
    try:
        chain = chains(records)
    except UnmirageError as error:  # no scale, or one that cannot be used
        chain = ()
        notes.append(Note("warning", "no_chain", f"items were not set against scale: {error.what}"))
    return Overview(
        records.formats,
        len(files),
        records.samples.height,
        records.aggregates.height,
        _models(both),
        _tasks(records),
        compare(records),
        chain,
        tuple(notes),
    )


def _models(frames: Iterable[pl.DataFrame]) -> tuple[ModelSeen, ...]:
    columns = ["family", "model", "params", "tokens", "flops", "step", "scale_source"]
    rows = pl.concat([f.select(columns) for f in frames])
    seen = (
        rows.group_by("model", "family", "params")
        .agg(
            pl.col("tokens").max(),
            pl.struct("tokens", "step").n_unique().alias("checkpoints"),
            _source().drop_nulls().unique().sort().str.join(", ").alias("source"),
            pl.len().alias("rows"),
        )
        .sort("family", "params", "model", nulls_last=True)
    )
    return tuple(
        ModelSeen(
            row["model"] or "(no name)",
            row["family"],
            row["params"],
            row["tokens"],
            row["checkpoints"],
            row["source"] or None,
            row["rows"],
        )
        for row in seen.iter_rows(named=True)
    )


def _source() -> pl.Expr:
    """Where a row's size is from; a step of training says nothing of the size."""
    said = pl.col("scale_source")
    return (
        pl.when(pl.col("params").is_not_null())
        .then(said)
        .when(pl.col("tokens").is_not_null())
        .then(said + " (tokens)")
        .when(pl.col("flops").is_not_null())
        .then(said + " (FLOPs)")
    )


def _tasks(records: Records) -> tuple[TaskSeen, ...]:
    parts: dict[str, list[pl.DataFrame]] = {}
    for frame in (records.samples, records.aggregates):
        if frame.height:
            for (task,), rows in frame.partition_by("task", as_dict=True).items():
                parts.setdefault(str(task), []).append(rows)
    return tuple(_task(name, rows) for name, rows in sorted(parts.items()))


def _task(name: str, parts: list[pl.DataFrame]) -> TaskSeen:
    answers = [p for p in parts if "item" in p.columns]
    scale = pl.concat([p.select("model", "params", "shots", "metric") for p in parts])
    possible: list[str] = []
    items = 0
    for rows in answers:
        items = rows["item"].n_unique()
        possible = _possible(rows)
    return TaskSeen(
        name,
        scale.select("model", "params").n_unique(),
        items,
        tuple(sorted(scale["shots"].drop_nulls().unique())),
        tuple(possible),
        tuple(sorted(scale["metric"].drop_nulls().unique())),
    )


def _possible(rows: pl.DataFrame) -> list[str]:
    """The metrics whose fields are there; pass@k only where some item has k answers."""
    names = [m.name for m in metrics.available(rows)]
    many = {n: int(n.removeprefix("pass_at_")) for n in names if n.startswith("pass_at_")}
    most = most_answers(rows) if many else 0
    return [n for n in names if many.get(n, 0) <= most]
