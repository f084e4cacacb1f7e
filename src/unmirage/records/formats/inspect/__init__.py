"""Reads the logs of Inspect: ``.eval`` archives and ``.json`` logs.

A sample has one row with what the model answered (``metric`` is empty there) and one more for each
score that a scorer gave it; epochs are repeats. Logs without samples give the scores of their
results. Inspect keeps no log-probabilities of choices, so none are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.inspect.log import Log, head_of_log
from unmirage.records.formats.inspect.rows import results_table, samples_table
from unmirage.records.formats.jsonfile import is_kind
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]


def is_log(source: Source) -> bool:
    """Whether a file is a log of Inspect: every ``.eval``, and JSON that looks like one."""
    if source.kind == "eval":
        return True
    return is_kind(source, (b'"eval"',), _is_json_log, rb'\{"version":\d+,"status":"')


def _is_json_log(content: Any) -> bool:
    told = content.get("eval") if isinstance(content, dict) else None
    return isinstance(told, dict) and "status" in content and {"task", "model"} <= told.keys()


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """One table a log; of several files of one evaluation the best is read.

    Raises:
        FileProblem: a log that is damaged (skip_bad: left out, as its samples are, and counted).
    """
    notes: list[Note] = []
    logs = []
    for source in sources:
        try:
            logs.append(head_of_log(source))
        except FileProblem:
            if not skip_bad:
                raise
            text = "logs that cannot be read left out"
            notes.append(Note("warning", "bad_results", text, source.name, 1))
    tables = []
    for log in _best(logs, notes):
        if log.status != "success":
            text = f"the evaluation did not end well (status {log.status[:40]!r})"
            notes.append(Note("warning", "status", text, log.source.name, 1))
        table = samples_table(log, skip_bad) or results_table(log)
        if table is None:
            text = "logs without samples and without scores left out"
            notes.append(Note("warning", "empty_log", text, log.source.name, 1))
        else:
            tables.append(table)
    return tables, notes


def _best(logs: list[Log], notes: list[Note]) -> list[Log]:
    """One log of each evaluation: the same run in two files, or a try and its repetition."""
    best: dict[tuple[Any, ...], Log] = {}
    for log in logs:
        if log.key not in best or log.worth > best[log.key].worth:
            best[log.key] = log
    text = "other files or earlier tries of the same evaluation left out"
    for log in logs:
        if best[log.key] is not log:
            notes.append(Note("info", "same_run", text, log.source.name, 1))
    return [log for log in logs if best[log.key] is log]
