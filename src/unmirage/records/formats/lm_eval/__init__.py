"""Reads what lm-evaluation-harness 0.4 writes with ``--log_samples --output_path DIR``.

Files are told by what they hold: each ``samples_<task>_<date>.jsonl`` is joined to the
``results_<date>.json`` beside it and becomes one table in canonical columns. An item has one row
with what the model answered (``metric`` is empty there) and one more for each score that the
harness gave it, so that no answer is counted twice. Scores of tasks without samples are read from
the results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unmirage.records.formats.agreement import Part, agreement_notes, compare, not_finite, settled
from unmirage.records.formats.lm_eval.files import (
    Key,
    Log,
    Runs,
    is_log,
    key_of,
    log_of,
    newest,
    split_name,
)
from unmirage.records.formats.lm_eval.results import Run, scores, task_facts
from unmirage.records.formats.lm_eval.samples import NO_SIZE, Reader, with_prompts
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.records.workers import Job, every
from unmirage.types import Note

__all__ = ["is_log", "load"]


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all logs that were named or found, and the notes that belong to no table.

    Raises:
        FileProblem: a file is truncated or not of its kind (skip_bad: such lines, and results,
            are left out and counted).
        ValueProblem: a cell of a line that cannot be read (skip_bad: as above).
    """
    sources = list(sources)
    runs = Runs(skip_bad, (s.path for s in sources))
    logs = [log_of(s, runs) for s in sources if s.kind == "jsonl"]
    kept, notes = newest(logs)
    parts, texts = _parts(kept, skip_bad)
    agreed = compare(parts)
    notes += agreement_notes(agreed)
    tables = [settled(with_prompts(one, texts[one.task]), agreed) for one in parts]
    results = [(s, run) for s in sources if s.kind == "json" and (run := runs.of_file(s.path))]
    more, told = _aggregates(results, {log.key for log in logs})
    text = "results that are not JSON left out"
    bad = [Note("warning", "bad_results", text, name, 1) for name in sorted(runs.bad)]
    return [*tables, *more], [*notes, *told, *bad]


def _parts(logs: list[Log], skip_bad: bool) -> tuple[list[Part], dict[str, pl.DataFrame]]:
    """What each file holds, and the prompts of each task by their digests."""
    # only what is needed goes to a worker
    jobs = [
        Job(replace(log, run=replace(log.run, content={})), log.source, log.task.name)
        for log in logs
    ]
    parts: list[Part] = []
    texts: dict[str, list[pl.DataFrame]] = {}
    for one, fresh in every(Reader(skip_bad), jobs):
        parts.append(one)
        texts.setdefault(one.task, []).append(fresh)
    # in one piece, or what is taken from it would be copied
    whole = {task: pl.concat(some, rechunk=True) for task, some in texts.items()}
    return parts, {task: one.unique("prompt", keep="any") for task, one in whole.items()}


@dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of one task in one file of results."""

    source: Source
    run: Run
    key: Key
    rows: list[dict[str, Any]]

    @property
    def age(self) -> tuple[str, str]:
        return split_name(self.source.stem)[1], self.source.name


def _aggregates(
    results: list[tuple[Source, Run]], sampled: set[Key]
) -> tuple[list[Table], list[Note]]:
    """The scores of each task whose samples are not there, from the newest results."""
    found: list[_Scores] = []
    notes: list[Note] = []
    for source, run in results:
        for task in part(run.content, "results"):
            key = key_of(source.path, run, task_facts(run.content, task))
            if key not in sampled:
                rows, lost = scores(run, task)
                found.append(_Scores(source, run, key, rows))
                notes += [not_finite(source.name, lost)] if lost else []
    last = {one.key: one for one in sorted(found, key=lambda one: one.age)}
    text = "scores of older runs of the same model and task in one folder left out"
    tables = []
    for source, _ in results:
        own = [one for one in found if one.source is source]
        kept = [one for one in own if last[one.key] is one]
        if len(kept) < len(own):
            notes.append(Note("warning", "older_run", text, source.name, len(own) - len(kept)))
        if rows := [row for one in kept for row in one.rows]:
            tables.append(made_table(source, {}, rows, range(1, len(rows) + 1), scale_mend=NO_SIZE))
    return tables, notes
