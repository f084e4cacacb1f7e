"""Reads what lighteval and the first Open LLM Leaderboard write: details in Parquet, and results.

Each ``details_<task>_<date>.parquet`` is joined to the ``results_<date>.json`` of its run and
becomes one table. An item has one row with what the model answered (one for each of several
answers) and one more for each score that lighteval gave it. Scores without items are read from the
results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import agreement_notes, compare, not_finite, settled
from unmirage.records.formats.lighteval.details import (
    NO_SIZE,
    Details,
    details_of,
    newest,
    read_details,
)
from unmirage.records.formats.lighteval.files import (
    Runs,
    date_of,
    flat,
    is_log,
    scores,
)
from unmirage.records.formats.lm_eval.results import Run
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]
_Key = tuple[str, float | None, str, int | None]


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all details and results, and the notes that belong to no table.

    Raises:
        FileProblem: a file is truncated or not of its kind (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: the row is left out and counted).
    """
    sources = list(sources)
    results = [s for s in sources if s.path.name.startswith("results") or s.kind == "json"]
    runs = Runs(results, skip_bad)
    found = [details_of(s, runs) for s in sources if s not in results]
    kept, notes = newest(found)
    parts, done = [], {}
    for one in kept:
        try:
            part_, metrics = read_details(one, skip_bad)
        except FileProblem:
            if not skip_bad:
                raise
            notes.append(Note("warning", "bad_file", "a file left out", one.source.name, 1))
            continue
        parts.append(part_)
        done[_key(one)] = metrics
    agreed = compare(parts)
    notes += [*agreement_notes(agreed), *runs.notes]
    tables = [settled(p, agreed) for p in parts]
    more, told = _aggregates(runs.given, done)
    return [*tables, *more], [*notes, *told]


def _key(one: Details) -> _Key:
    return (one.run.model, one.run.step, flat(one.task.name), one.task.shots)


def _aggregates(
    given: list[tuple[Source, Run]], done: dict[_Key, set[str]]
) -> tuple[list[Table], list[Note]]:
    """The scores that no item has, of the newest results of each model and task."""
    last: dict[tuple[Any, ...], tuple[str, Source, dict[str, Any]]] = {}
    notes: list[Note] = []
    older: dict[str, int] = {}
    for source, run in sorted(given, key=lambda pair: date_of(pair[0])[1]):
        rows = [r for t in part(run.content, "results") if t != "all" for r in scores(run, t)]
        if lost := sum(not math.isfinite(r["score"]) for r in rows):
            notes.append(not_finite(source.name, lost))
        for row in rows:
            key = (row["model"], row["step"], flat(row["task"]), row["shots"])
            if not math.isfinite(row["score"]) or row["metric"] in done.get(key, ()):
                continue
            place = (*key, row["format"], row["metric"])
            if place in last:
                gone = last[place][1].name
                older[gone] = older.get(gone, 0) + 1
            last[place] = (date_of(source)[1], source, row)
    text = "scores of older runs of the same model and task left out"
    notes += [Note("warning", "older_run", text, name, n) for name, n in older.items()]
    return [t for s, _ in given if (t := _table(s, last.values()))], notes


def _table(source: Source, found: Iterable[tuple[str, Source, dict[str, Any]]]) -> Table | None:
    rows = [row for _, of, row in found if of is source]
    return (
        made_table(source, {}, rows, range(1, len(rows) + 1), scale_mend=NO_SIZE) if rows else None
    )
