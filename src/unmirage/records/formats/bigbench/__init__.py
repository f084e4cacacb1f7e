"""Reads BIG-bench's result files: ``scores_<family>_<model>.json`` and ``full-log_...json``.

A file holds a model (with its family and counts of parameters), a task, and one entry for each
subtask and number of shots: a dictionary of scores, the preferred one, and the scores that count as
poor and as very good. Full logs hold the items too. A ``task.json`` beside the scores says how many
items there are and what a guess scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.bigbench.queries import items
from unmirage.records.formats.bigbench.scores import PARAMS, Result, aggregates
from unmirage.records.formats.bigbench.task import Tasks, is_task
from unmirage.records.formats.jsonfile import is_kind, readable
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]

_NO_SIZE = "give model.total_params or model.non_embedding_params in the file"


def is_log(source: Source) -> bool:
    """Whether a file holds results, or describes a task."""
    start = rb'\{"scores":\[\{"score_dict"'
    return is_kind(source, (b'"score_dict"', b'"task_name"'), _is_result, start) or is_task(source)


def _is_result(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("scores"), list)
        and all(isinstance(content.get(k), dict) for k in ("task", "model"))
        and any(part({"e": e}, "e", "score_dict") for e in content["scores"])
    )


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all result files.

    Raises:
        FileProblem: a file that is no JSON (skip_bad: left out and counted).
        ValueProblem: a score outside its metric's range (skip_bad: as above).
    """
    sources, notes = list(sources), list[Note]()
    described = [s for s in sources if is_task(s)]
    tasks = Tasks(described, skip_bad, notes)
    files = [s for s in sources if s not in described]
    read = readable(files, skip_bad, "results that are not JSON", notes)
    results = _once([Result(s, c, skip_bad) for s, c in read], notes)
    if described and not results:
        text = "descriptions of tasks without a result file: they hold no score"
        notes.append(Note("info", "no_scores", text, count=len(described)))
    _tell_sizes(results, notes)
    tables = [t for result in results for t in _tables(result, tasks)]
    return tables, notes


def _once(results: list[Result], notes: list[Note]) -> list[Result]:
    """One file a model and task: the full log of a run holds its scores as well."""
    logs = {r.key for r in results if r.has_items}
    kept = [r for r in results if r.has_items or r.key not in logs]
    if gone := len(results) - len(kept):
        text = "files of scores left out whose full logs are read"
        notes.append(Note("info", "copy_left_out", text, count=gone))
    return kept


def _tell_sizes(results: list[Result], notes: list[Note]) -> None:
    used = {name for r in results if (name := r.size[0])}
    if not used:
        return
    words = ", ".join(n for n in PARAMS if n in used)
    if len(used) > 1:
        text = f"models differ in which count of parameters they state; used: {words}"
        notes.append(Note("warning", "params_differ", text, count=len(results)))
    else:
        text = f"parameters are {words}, by which BIG-bench compares models"
        notes.append(Note("info", "params_kind", text, count=len(results)))


def _tables(result: Result, tasks: Tasks) -> list[Table]:
    """The scores and, if there are items, another table of these."""
    answers, places, scored = items(result) if result.has_items else ([], [], set())
    rows = aggregates(result, tasks.of(result.source, result.task), scored)
    if not rows and not answers:
        if result.skip_bad:
            return []
        raise FileProblem("holds no score that is a number", file=result.source.name)
    made = []
    notes = result.notes()
    if rows:
        at = [row.pop("_place") for row in rows]
        made.append(made_table(result.source, result.head, rows, at, notes, scale_mend=_NO_SIZE))
    if answers:
        more = [] if rows else notes
        made.append(
            made_table(result.source, result.head, answers, places, more, scale_mend=_NO_SIZE)
        )
    return made
