"""The items of one file of details as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import Part, not_finite
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.lighteval.files import (
    Facts,
    Runs,
    TaskName,
    date_of,
    facts_of,
    flat,
    model_from_path,
    task_of,
)
from unmirage.records.formats.lighteval.rows import OWN, Answer, answer_of
from unmirage.records.formats.lm_eval.results import Run
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import absolute
from unmirage.types import Note

_BATCH = 2_000  # rows held at a time
_MAX_ROWS = 1_000_000  # of one file: a task has some 10,000 items
#: fields of the nested columns that are read; the examples of the prompt may be large
_FIELDS = {
    "doc": ("query", "choices", "gold_index", "task_name", "id"),
    "model_response": (
        *("input", "text", "text_post_processed", "output_tokens", "logprobs"),
        "argmax_logits_eq_gold",
    ),
}
_READ = {"example", "full_prompt", "predictions", "cont_tokens", "gold", "choices", "gold_index"}
_READ |= {"metrics", "num_asked_few_shots", "num_effective_few_shots"}
_MEND = "repair or remove the row, or leave such rows out with skip_bad (--skip-bad)"
NO_SIZE = "lighteval writes no number of parameters: name models by size, or give --models"


@dataclass(frozen=True, eq=False)
class Details:
    """One file of details and the run it belongs to."""

    source: Source
    date: str
    run: Run
    task: TaskName
    facts: Facts
    notes: tuple[Note, ...] = ()


def details_of(source: Source, runs: Runs) -> Details:
    """A file of details with its run; without results the model is named after the folder."""
    name, date = date_of(source)
    run = runs.of(source)
    notes: tuple[Note, ...] = ()
    if run is None:
        message = (
            "no results_<date>.json of their date: the model is named after the folder; what the "
            "results say of metrics and checkpoints is not known"
        )
        notes = (Note("warning", "no_results", message, source.name, 1),)
        run = Run(model_from_path(source.path), None, None, None, {})
    task = _known_task(task_of(name), run)
    return Details(source, date, run, task, facts_of(run.content, task), notes)


def _known_task(task: TaskName, run: Run) -> TaskName:
    """The task as the results spell it, where a file's name could not."""
    if task.shots is not None:
        return task
    same = [t for t in part(run.content, "results") if flat(t) == flat(task.name)]
    return task_of(same[0]) if len(same) == 1 else task


def newest(found: Iterable[Details]) -> tuple[list[Details], list[Note]]:
    """The last run of each model and task, and a note for each file left out."""
    found = list(found)

    def key(one: Details) -> tuple[Any, ...]:
        folder = absolute(one.source.path).parent
        folder = folder.parent if folder.name == one.date else folder
        return (folder, one.run.model, one.run.step, one.task)

    last = {key(one): one for one in sorted(found, key=lambda d: (d.date, d.source.name))}
    message = "older runs of the same model and task in one folder left out: the newest is kept"
    gone = [one.source.name for one in found if last[key(one)] is not one]
    notes = [Note("warning", "older_run", message, name, 1) for name in gone]
    return [one for one in found if last[key(one)] is one], notes


def read_details(one: Details, skip_bad: bool) -> tuple[Part, set[str]]:
    """The items of one file, and the metrics that they hold scores of.

    Raises:
        FileProblem: the file is damaged or holds no item.
        ValueProblem: a cell that cannot be read (skip_bad: the row is left out and counted).
    """
    source, bad = one.source, 0
    answers: list[tuple[int, Answer]] = []
    with guard(source.name):
        for number, row in enumerate(_rows(source), 1):
            try:
                answers.append((number, answer_of(row, one.facts)))
            except BadCell as e:
                if not skip_bad:
                    raise cell_problem(source, number, e, _MEND, lines=False) from e
                bad += 1
    if not answers:
        raise FileProblem("holds no item that can be read", file=source.name)
    groups, repeated = _grouped(answers)
    rows, numbers = _rows_of(groups, one.facts)
    if not rows:
        raise FileProblem("holds neither an answer nor a score", file=source.name)
    task, more = _shots(one, [a for _, a in answers])
    head = {
        "model": one.run.model,
        "step": one.run.step,
        "format": one.run.format,
        "task": task.name,
        "shots": task.shots,
        "task_version": one.facts.version,
    }
    notes = [*one.notes, *more, *_left_out(source.name, bad, answers, repeated)]
    table = made_table(source, head, rows, numbers, notes, scale_mend=NO_SIZE)
    metrics = {m for _, a in answers for m in a.scores}
    return Part(task.name, table, {(task.name, None): _verdicts(answers)}), metrics


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    """The rows of a file, some at a time."""
    lazy = pl.scan_parquet(source.path, glob=False, hive_partitioning=False)
    schema = lazy.collect_schema()
    new = "model_response" in schema
    kept = [c for c in schema if (c in (*_FIELDS, "metric") if new else _is_read(c, schema[c]))]
    lazy = lazy.select(_column(c, schema[c]) for c in kept)
    count = lazy.select(pl.len()).collect().item()
    if count > _MAX_ROWS:
        raise FileProblem(f"has more than {_MAX_ROWS} rows", file=source.name)
    for start in range(0, count, _BATCH):
        yield from lazy.slice(start, _BATCH).collect().iter_rows(named=True)


def _is_read(name: str, dtype: pl.DataType) -> bool:
    """Whether a column of old details is read: what it must hold, or a score of its own."""
    return name in _READ or (name not in OWN and (dtype.is_numeric() or dtype == pl.Boolean))


def _column(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column; of a nested one the fields that are read."""
    if name not in _FIELDS or not isinstance(dtype, pl.Struct):
        return pl.col(name)
    there = [f.name for f in dtype.fields if f.name in _FIELDS[name]]
    if not there:
        return pl.lit(None).alias(name)
    return pl.struct(pl.col(name).struct.field(f) for f in there).alias(name)


def _shots(one: Details, answers: list[Answer]) -> tuple[TaskName, list[Note]]:
    """The task with the shots that its rows say, else its name; names may lie."""
    asked = {a.shots for a in answers if a.shots is not None}
    notes, name = [], one.source.name
    task = replace(one.task, shots=asked.pop()) if len(asked) == 1 else one.task
    if one.task.shots is not None and task.shots != one.task.shots:
        text = f"named {one.task.shots}-shot, but its rows say {task.shots}: the rows are believed"
        notes.append(Note("warning", "shots_disagree", text, name, len(answers)))
    if fewer := sum(a.fewer for a in answers):
        text = "prompts that held fewer examples than asked for: they did not fit"
        notes.append(Note("warning", "fewer_shots", text, name, fewer))
    return task, notes


def _verdicts(answers: list[tuple[int, Answer]]) -> Counter[str]:
    """How lighteval's verdicts compare with ours."""
    count: Counter[str] = Counter()
    for _, one in answers:
        if one.ours is None or one.theirs is None:
            continue
        if abs(one.ours - one.theirs) >= 1e-6:
            count["ours" if one.ours > one.theirs else "theirs"] += 1
        elif one.ours > 0:
            count["both"] += 1
    return count


# ---------------------------------------------------------------- rows

_Group = list[tuple[int, Answer]]


def _grouped(answers: list[tuple[int, Answer]]) -> tuple[dict[str, _Group], int]:
    """The answers to each item by its name, and how many were answered the same way before.

    A document has one row for each kind of request that its task makes (a text, the likelihoods
    of choices, several samples): they are one item. Equal rows of one kind are two documents of
    one text.
    """
    groups: dict[str, _Group] = {}
    seen: Counter[tuple[Any, ...]] = Counter()
    repeated = 0
    for number, one in answers:
        same = (one.name, one.kind, tuple(sorted(one.scores)))
        seen[same] += 1
        label = one.name if seen[same] == 1 else f"{one.name}#{seen[same]}"
        group = groups.setdefault(label, [])
        repeated += any(o.kind == one.kind for _, o in group)
        group.append((number, one))
    return groups, repeated


def _rows_of(groups: Mapping[str, _Group], facts: Facts) -> tuple[list[dict[str, Any]], list[int]]:
    """One row for each answer and one for each reported score, with their row numbers."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for label, group in groups.items():
        told = _answers_of(group)
        scores: dict[str, tuple[int, float]] = {}
        for number, one in group:
            for metric, value in one.scores.items():
                scores.setdefault(metric, (number, value))
        for metric, (number, value) in scores.items():
            better = facts.higher.get(metric)
            told.append((number, {"metric": metric, "score": value, "higher_is_better": better}))
        rows += ({"item": label, **row} for _, row in told)
        numbers += [number for number, _ in told]
    return rows, numbers


def _answers_of(group: _Group) -> list[tuple[int, dict[str, Any]]]:
    """The rows of the first answer of each kind; a text and the choices share one."""
    first: dict[str, tuple[int, Answer]] = {}
    for number, one in group:
        first.setdefault(one.kind, (number, one))
    told: list[tuple[int, dict[str, Any]]] = []
    for number, one in first.values():
        for row in _answer_rows(one):
            plain = "metric" not in row and row.get("repeat") is None
            same = [r for _, r in told if "metric" not in r and r.get("repeat") is None]
            if plain and same:
                same[0].update({k: v for k, v in row.items() if v is not None})
            else:
                told.append((number, row))
    return told


def _answer_rows(one: Answer) -> list[dict[str, Any]]:
    same = {"prompt": one.prompt, **one.fields}
    if one.kind == "nothing":
        return []
    if one.kind != "text":
        return [same]
    ids = one.tokens or (None,) * len(one.outputs)
    several = len(one.outputs) > 1
    return [
        {**same, "output": text, "output_tokens": tokens, "repeat": place if several else None}
        for place, (text, tokens) in enumerate(zip(one.outputs, ids, strict=True), 1)
    ]


def _left_out(
    name: str, bad: int, answers: list[tuple[int, Answer]], repeated: int
) -> Iterator[Note]:
    if bad:
        yield Note("warning", "bad_rows", "items that cannot be read left out", name, bad)
    if lost := sum(a.lost for _, a in answers):
        yield not_finite(name, lost)
    if repeated:
        text = "further answers of one kind to the same item left out: the first is read"
        yield Note("info", "further_answers", text, name, repeated)
    if empty := sum(a.kind == "nothing" for _, a in answers):
        text = "items without an answer: only their scores are read"
        yield Note("warning", "no_answer", text, name, empty)
