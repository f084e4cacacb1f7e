"""Reads records of the every-eval-ever schema: aggregate JSON and samples in JSON lines.

A sample has one row with what the model answered and one for each score. The scores of a record
are read where no sample bears them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import Part, agreement_notes, compare, not_finite, settled
from unmirage.records.formats.every_eval_ever.aggregate import Log, is_record, read_record
from unmirage.records.formats.every_eval_ever.samples import (
    NO_SIZE,
    Samples,
    is_samples,
    read_samples,
)
from unmirage.records.formats.made import made_table
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]
_T = TypeVar("_T")


def is_log(source: Source) -> bool:
    """Whether a file holds a record or its samples."""
    return is_record(source) or is_samples(source)


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all records and samples, and the notes that belong to no table.

    Raises:
        FileProblem: a file is truncated or not of its kind (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: the line is left out and counted).
    """
    notes: list[Note] = []
    sources = list(sources)
    logs = _each([s for s in sources if s.kind == "json"], read_record, skip_bad, notes)
    by_id = {log.id: log for log in sorted(logs, key=lambda one: one.age) if log.id}

    def samples(source: Source) -> Samples:
        return read_samples(source, by_id, skip_bad)

    found = _each([s for s in sources if s.kind == "jsonl"], samples, skip_bad, notes)
    notes += [note for one in found for note in one.notes]
    parts, told = _newest(found)
    agreed = compare(parts)
    notes += [*agreement_notes(agreed), *told, *_counts(by_id, found)]
    tables = [settled(p, agreed) for p in parts]
    more, told = _aggregates(logs, _sampled(tables))
    return [*tables, *more], [*notes, *told]


def _each(
    sources: list[Source], read: Callable[[Source], _T], skip_bad: bool, notes: list[Note]
) -> list[_T]:
    """What each file holds; one that cannot be read is left out where skip_bad was asked for."""
    found = []
    for source in sources:
        try:
            found.append(read(source))
        except FileProblem:
            if not skip_bad:
                raise
            notes.append(Note("warning", "bad_file", "a file left out", source.name, 1))
    return found


def _newest(found: list[Samples]) -> tuple[list[Part], list[Note]]:
    """The parts of the newest evaluation of each model and task, and a note for each left out."""
    last: dict[tuple[object, ...], Samples] = {}
    for one in sorted(found, key=lambda s: (s.age, s.source.name)):
        last.update((one.key(part), one) for part in one.parts)
    parts: list[Part] = []
    notes: list[Note] = []
    text = "samples of which newer ones of the same model, task and source are there left out"
    for one in found:
        same = [p for p in one.parts if last[one.key(p)].evaluations == one.evaluations]
        parts += same
        if gone := len(one.parts) - len(same):
            notes.append(Note("warning", "older_run", text, one.source.name, gone))
    return parts, notes


def _counts(by_id: dict[str, Log], found: list[Samples]) -> Iterable[Note]:
    """A file of samples that is shorter than its record says may be cut at the end of a line."""
    for one in found:
        told = [by_id[i].rows for i in one.evaluations if i in by_id]
        if len(one.evaluations) != 1 or not told or told[0] in (None, one.lines):
            continue
        text = f"holds {one.lines} lines where its record says {told[0]}: it may be cut short"
        yield Note(
            "warning", "rows_missing", text, one.source.name, abs((told[0] or 0) - one.lines)
        )


_KEY = ("model", "step", "variant", "task", "filter", "shots", "metric")


def _sampled(tables: Iterable[Table]) -> set[tuple[Any, ...]]:
    """What samples bear scores of."""
    found: set[tuple[Any, ...]] = set()
    for table in tables:
        there = [c for c in _KEY if c in table.frame.columns]
        for row in table.frame.select(there).unique().iter_rows(named=True):
            found.add(tuple(row.get(c) for c in _KEY))
    return found


def _aggregates(logs: list[Log], sampled: set[tuple[Any, ...]]) -> tuple[list[Table], list[Note]]:
    """The scores that no sample bears; of one measured twice the newest."""
    notes: list[Note] = []
    last: dict[tuple[Any, ...], tuple[Log, dict[str, Any]]] = {}
    older: dict[str, int] = {}
    for log in sorted(logs, key=lambda one: one.age):
        name = log.source.name
        if log.lost:
            notes.append(not_finite(name, log.lost))
        if log.percent:
            text = "scores in percent, as the record says, divided by 100"
            notes.append(Note("info", "percent", text, name, log.percent))
        for row in (dict(r.row) for r in log.results if r.has_score):
            key = tuple(row[c] for c in _KEY)
            if key in sampled:
                continue
            if key in last:
                gone = last[key][0].source.name
                older[gone] = older.get(gone, 0) + 1
            last[key] = (log, row)
    text = "scores that a newer record gives of the same model, task, metric and source left out"
    notes += [Note("warning", "older_run", text, name, n) for name, n in older.items()]
    tables = []
    for log in logs:
        rows = [row for of, row in last.values() if of is log]
        if rows:
            numbers = range(1, len(rows) + 1)
            tables.append(made_table(log.source, {}, rows, numbers, scale_mend=NO_SIZE))
    return tables, notes
