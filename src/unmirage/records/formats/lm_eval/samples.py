"""The items of one file of samples as a frame, and whether our rules are the harness' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unmirage.errors import FileProblem, ValueProblem
from unmirage.records.formats.lm_eval.files import Log
from unmirage.records.formats.lm_eval.results import TaskFacts, identity
from unmirage.records.formats.lm_eval.rows import BadCell, Item, item_of
from unmirage.records.formats.made import made_table
from unmirage.records.jsonlines import read_lines
from unmirage.records.sniff import Source
from unmirage.records.table import Table, guard, show, value_problem
from unmirage.records.tables import open_source
from unmirage.types import Note

Cell = tuple[str, str | None]  # task, filter
#: the columns that say which answer is right
RIGHT = ("targets", "target_index", "choice_credit")
_MEND = "repair or remove the line, or leave such lines out with skip_bad (--skip-bad)"
_NO_SIZE = (
    "keep the results_<date>.json of the run beside its samples, or name the folder after a "
    "model whose name states its size (pythia-160m)"
)


@dataclass(frozen=True, eq=False)
class Part:
    """What one file of samples holds."""

    task: str
    table: Table
    verdicts: Mapping[Cell, Counter[str]]  # how the harness' verdicts compare with ours


def read_part(log: Log, skip_bad: bool) -> Part:
    """The items of one file.

    Raises:
        FileProblem: a line that is no JSON object (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    items: list[tuple[int, Item]] = []
    bad, name = 0, log.source.name
    with guard(name), open_source(log.source) as stream:
        for number, row in read_lines(stream, name, skip_bad, notes):
            try:
                items.append((number, item_of(row, log.task)))
            except BadCell as e:
                if not skip_bad:
                    raise _problem(log, number, e) from e
                bad += 1
    if not items:
        raise FileProblem("holds no item that can be read", file=name)
    items = _with_filters(items, log.task)
    rows, numbers = _rows_of(items, log.task)
    notes = [*log.notes, *notes, *_left_out(name, bad, [item for _, item in items])]
    head = identity(log.run, log.task)
    return Part(
        log.task.name,
        table(log.source, head, rows, numbers, notes),
        _verdicts(log.task.name, [item for _, item in items]),
    )


def _left_out(name: str, bad: int, items: list[Item]) -> list[Note]:
    notes = []
    lost, more = sum(i.lost for i in items), sum(i.more for i in items)
    if bad:
        notes.append(Note("warning", "bad_rows", "items that cannot be read left out", name, bad))
    if lost:
        notes.append(not_finite(name, lost))
    if more:
        text = "further answers to the same prompt left out: the first is read"
        notes.append(Note("info", "further_answers", text, name, more))
    return notes


def not_finite(name: str, count: int) -> Note:
    """The note on scores that are NaN or infinite."""
    text = "scores of the harness that are not finite left out"
    return Note("warning", "null_score", text, name, count)


def _problem(log: Log, number: int, bad: BadCell) -> ValueProblem:
    table = Table(log.source.name, log.source.stem, pl.DataFrame(), pl.Series(), line=int)
    what = str(bad) + (f": {show(bad.value)}" if bad.value is not None else "")
    return value_problem(table, what, row=number, column=bad.column, mend=_MEND)


def _with_filters(items: list[tuple[int, Item]], task: TaskFacts) -> list[tuple[int, Item]]:
    """Older versions do not write the filter: each document then stands there once a filter."""
    times = Counter(str(item.doc_id) for _, item in items)
    count = max(times.values())
    if any(item.filter is not None for _, item in items) or set(times.values()) != {count}:
        return items
    named = task.filters if len(task.filters) == count else ("none",) if count == 1 else ()
    seen: Counter[str] = Counter()
    out = []
    for number, item in items:
        place = seen[str(item.doc_id)]
        seen[str(item.doc_id)] += 1
        label = named[place] if named else f"filter {place + 1}"
        out.append((number, replace(item, filter=label)))
    return out


# ---------------------------------------------------------------- our rules and theirs


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


def _verdicts(task: str, items: list[Item]) -> dict[Cell, Counter[str]]:
    found: dict[Cell, Counter[str]] = {}
    for item in items:
        if item.ours is None or item.theirs is None:
            continue
        count = found.setdefault((task, item.filter), Counter())
        if abs(item.ours - item.theirs) >= 1e-6:
            count["ours" if item.ours > item.theirs else "theirs"] += 1
        elif item.ours > 0:
            count["both"] += 1
    return found


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


# ---------------------------------------------------------------- frames


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


def _names(items: list[Item]) -> list[str]:
    """A name for each item: two documents of one text are two items."""
    documents: dict[str, set[str]] = {}
    for item in items:
        documents.setdefault(item.name, set()).add(str(item.doc_id))
    places = {
        name: {doc: i for i, doc in enumerate(sorted(docs, key=lambda d: (len(d), d)))}
        for name, docs in documents.items()
        if len(docs) > 1
    }

    def label(item: Item) -> str:
        place = places.get(item.name, {}).get(str(item.doc_id), 0)
        return f"{item.name}#{place + 1}" if place else item.name

    return [label(item) for item in items]


def _rows_of(
    items: list[tuple[int, Item]], task: TaskFacts
) -> tuple[list[Mapping[str, Any]], list[int]]:
    """One row for each answer and one for each reported score, with their line numbers."""
    rows: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    for (number, item), label in zip(items, _names([i for _, i in items]), strict=True):
        same = {"item": label, "filter": item.filter}
        rows.append({**same, **item.fields})
        rows += (
            {**same, "metric": m, "score": v, "higher_is_better": task.higher.get(m)}
            for m, v in item.scores.items()
        )
        numbers += [number] * (1 + len(item.scores))
    return rows, numbers


def table(
    source: Source,
    head: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    notes: Sequence[Note],
) -> Table:
    """Rows as a table."""
    line = int if source.kind == "jsonl" else None  # a row's number is that of its line
    return made_table(source, head, rows, numbers, notes, line=line, scale_mend=_NO_SIZE)
