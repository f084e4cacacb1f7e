"""Our rules of what is right beside those of the tool that wrote a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from unmirage.records.table import Table
from unmirage.types import Note

Cell = tuple[str, str | None]  # task, filter
#: the columns that say which answer is right
RIGHT = ("targets", "target_index", "choice_credit")


@dataclass(frozen=True, eq=False)
class Part:
    """What one file of samples holds."""

    task: str
    table: Table
    verdicts: Mapping[Cell, Counter[str]]  # how the harness' verdicts compare with ours


def not_finite(name: str, count: int) -> Note:
    """The note on scores that are NaN or infinite."""
    text = "scores of the harness that are not finite left out"
    return Note("warning", "null_score", text, name, count)


@dataclass(frozen=True)
class Agreement:
    """How the harness' verdicts compare with ours, item by item."""

    both: int = 0  # right by both
    ours: int = 0  # more right by this package's rule
    theirs: int = 0  # more right by the harness

    @property
    def holds(self) -> bool:
        """Whether most answers that either counts right are right by both."""
        return 2 * self.both >= self.both + self.ours + self.theirs


def compare(parts: Iterable[Part]) -> dict[Cell, Agreement]:
    """The agreement on each task and filter, over all models: they must be scored alike."""
    total: dict[Cell, Counter[str]] = {}
    for part in parts:
        for cell, count in part.verdicts.items():
            total.setdefault(cell, Counter()).update(count)
    return {cell: Agreement(**count) for cell, count in total.items()}


def agreement_notes(found: Mapping[Cell, Agreement]) -> list[Note]:
    """What the reader must know where the harness does not score as this package does."""
    notes = []
    for (task, kept), one in found.items():
        where = f"task {task!r}" + (f", filter {kept!r}" if kept else "")
        if not one.holds:
            text = (
                f"{where}: the answers that the harness counts right are not those that equal the "
                "target: its own scores are read, the targets are not"
            )
            notes.append(Note("warning", "own_scoring", text, count=one.ours + one.theirs))
        elif one.ours or one.theirs:
            text = f"{where}: answers that the harness does not score as they score here"
            notes.append(Note("info", "scored_otherwise", text, count=one.ours + one.theirs))
    return notes


def settled(part: Part, agreed: Mapping[Cell, Agreement]) -> Table:
    """The table of one file. Where our rule is not the harness' (its target may be a whole worked
    solution), it would be another metric under the same name: the targets are left out."""
    other = [f for (task, f), one in agreed.items() if task == part.task and not one.holds]
    columns = [c for c in RIGHT if c in part.table.frame.columns]
    if not other or not columns:
        return part.table
    here = pl.lit(None in other)
    if "filter" in part.table.frame.columns:
        here = pl.col("filter").is_in([f for f in other if f is not None])
        here = here.fill_null(None in other)
    frame = part.table.frame.with_columns(pl.when(~here).then(pl.col(c)).alias(c) for c in columns)
    return replace(part.table, frame=frame)
