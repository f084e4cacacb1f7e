"""Reads evaluations in the form of llm-foundry as DCLM and its relatives write them.

One JSON a model holds ``eval_metrics.icl`` (task -> share that is right); a CSV of the tasks
(``Eval Task``, ``#shots``, ``#datapoints``, ``Random baseline``) says what the JSON does not. There
are no items.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from unmirage.errors import FileProblem, InputError, ValueProblem
from unmirage.records.formats.jsonfile import is_kind, readable
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part, real, whole
from unmirage.records.sniff import Source
from unmirage.records.table import Table, guard, show
from unmirage.records.tables import absolute, cut_short
from unmirage.types import Note

_COLUMNS = {"Eval Task", "#datapoints", "Random baseline"}
_MAX_CSV = 64 * 2**20  # bytes: a list of tasks is short
_MAX_FILES = 1000  # CSV files that are looked at beside the evaluations
_SUITE = re.compile(
    r"^(evaluation|eval|heavy|medium|light)[-_]|[-_](heavy|medium|light)$", re.IGNORECASE
)
_NO_SIZE = (
    "evaluations of this form state no size: name the files after models whose names state it "
    "(open_lm_160m.json)"
)


@dataclass(frozen=True)
class _Task:
    """What the CSV says of one task."""

    metric: str
    shots: int | None
    n: float | None
    chance: float | None


@dataclass(frozen=True, eq=False)
class _Run:
    """The shares of one model."""

    source: Source
    content: Mapping[str, Any]
    tasks: Mapping[str, _Task]
    scores: Mapping[str, float]
    bad: int  # values that are no finite number


def is_log(source: Source) -> bool:
    """Whether a file holds the scores of a model or describes the tasks."""
    if source.kind == "csv":
        return not source.zipped and _describes(source.path)
    return is_kind(source, (b'"eval_metrics"',), _is_evaluation, rb'\{.*"eval_metrics":')


def _is_evaluation(content: Any) -> bool:
    return bool(part(content, "eval_metrics", "icl")) if isinstance(content, dict) else False


def _describes(path: Path) -> bool:
    with guard(str(path)), path.open("rb") as f:
        head = f.readline(4096).decode("utf-8-sig", "replace")
    return all(column in head for column in _COLUMNS)


def _text(path: Path) -> str:
    with guard(str(path)):
        if path.stat().st_size > _MAX_CSV:
            raise FileProblem("is larger than 64 MiB", file=str(path))
        return path.read_text("utf-8-sig", "replace")


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """One table an evaluation.

    Raises:
        FileProblem: an evaluation that is no JSON (skip_bad: left out and counted), or a CSV that
            ends within quotes.
        ValueProblem: a task whose chance level or number of items cannot be right (skip_bad:
            unknown, counted).
    """
    sources, notes = list(sources), list[Note]()
    described = _Described(skip_bad, notes)
    evaluations = [s for s in sources if s.kind == "json"]
    tables = [s for s in sources if s.kind == "csv"]
    for source in tables:
        notes += cut_short(_text(source.path), ",", source.name)
    if tables and not evaluations:
        text = "descriptions of tasks without an evaluation"
        notes.append(Note("info", "no_scores", text, tables[0].name, len(tables)))
    named = [absolute(s.path) for s in tables]
    runs = []
    for source, content in readable(evaluations, skip_bad, "evaluations that are not JSON", notes):
        tasks = described.of(source, named)
        found = {t: real(v) for t, v in part(content, "eval_metrics", "icl").items()}
        scores = {t: v for t, v in found.items() if v is not None and math.isfinite(v)}
        runs.append(_Run(source, content, tasks, scores, len(found) - len(scores)))
    misfits = _misfits(runs)
    if misfits:
        text = (
            "tasks whose scores are no whole number of right answers out of the #datapoints (a "
            "mean over categories, or other items): the number of items is unknown: "
        )
        shown = ", ".join(sorted(misfits)[:10]) + (", ..." if len(misfits) > 10 else "")
        notes.append(Note("warning", "n_samples_misfit", text + shown, count=len(misfits)))
    return [_table(run, misfits) for run in runs if run.scores or run.bad], notes


# ---------------------------------------------------------------- the CSV


class _Described:
    """The tasks as the nearest CSV describes them, each file read once."""

    def __init__(self, skip_bad: bool, notes: list[Note]) -> None:
        self.skip_bad, self.notes = skip_bad, notes
        self.files: dict[Path, dict[str, _Task]] = {}

    def of(self, source: Source, named: list[Path]) -> dict[str, _Task]:
        """Those beside the evaluation or in the nearest folder above, else the only ones given."""
        here = absolute(source.path).parent
        beside = [p for p in islice(here.glob("*.csv"), _MAX_FILES) if _describes(p)]
        above = [p for folder in here.parents for p in named if p.parent == folder]
        near = sorted(beside)[:1] or above[:1] or (named if len(named) == 1 else [])
        if not near:
            text = "no CSV of the tasks is there: shots, chance levels and items are unknown"
            self.notes.append(Note("warning", "no_metadata", text, source.name, 1))
            return {}
        if near[0] not in self.files:
            try:
                self.files[near[0]] = self._read(near[0])
            except InputError:
                if near[0] in named:
                    raise
                text = "a CSV of tasks that cannot be read left out"
                self.notes.append(Note("warning", "bad_metadata", text, str(near[0]), 1))
                self.files[near[0]] = {}
        return self.files[near[0]]

    def _read(self, path: Path) -> dict[str, _Task]:
        with guard(str(path)):
            text = _text(path)
            found: dict[str, _Task] = {}
            for row, cells in enumerate(csv.DictReader(io.StringIO(text, newline="")), 1):
                name = (cells.get("Eval Task") or "").strip()
                if name and name not in found:
                    found[name] = self._task(cells, str(path), row)
            return found

    def _task(self, cells: Mapping[str, Any], file: str, row: int) -> _Task:
        kind = str(cells.get("Task Type") or "").lower()
        spoken = "multiple choice" in kind or "schema" in kind or not kind
        chance = self._number(cells, "Random baseline", 0, 100, file, row)
        n = self._number(cells, "#datapoints", 1, 1e9, file, row)
        shots = whole(cells.get("#shots"))
        return _Task(
            "accuracy" if spoken else "exact_match",
            shots if shots is not None and shots >= 0 else None,
            n,
            None if chance is None else chance / 100,  # always written in percent
        )

    def _number(
        self, cells: Mapping[str, Any], column: str, low: float, high: float, file: str, row: int
    ) -> float | None:
        value = cells.get(column)
        if not isinstance(value, str) or not value.strip():
            return None
        number = real(value)
        if number is not None and low <= number <= high:
            return number
        if not self.skip_bad:
            what = f"is no number from {low:g} to {high:g}: {show(value)}"
            mend = "repair the cell, or read with skip_bad (--skip-bad)"
            raise ValueProblem(what, file=file, where=f"column {column!r}, row {row}", mend=mend)
        text = f"cells of {column!r} that cannot be right: unknown"
        self.notes.append(Note("warning", "bad_metadata", text, file, 1))
        return None


def _misfits(runs: list[_Run]) -> set[str]:
    """Tasks of which some score is no whole number of n-ths, so that n is another."""
    found = set()
    for run in runs:
        for name, score in run.scores.items():
            n = run.tasks[name].n if name in run.tasks else None
            if n is None or not 0 < score < 1:
                continue
            right = score * n
            if abs(right - round(right)) > max(2e-7 * n, 1e-6):  # scores are single precision
                found.add(name)
    return found


# ---------------------------------------------------------------- tables


def _table(run: _Run, misfits: set[str]) -> Table:
    rows, name = [], run.source.name
    for task, score in run.scores.items():
        facts = run.tasks.get(task)
        row: dict[str, Any] = {"task": task, "metric": "accuracy", "score": score}
        if facts is not None:
            row |= {"metric": facts.metric, "shots": facts.shots, "chance": facts.chance}
            row["n_samples"] = None if task in misfits else facts.n
        rows.append(row)
    notes = []
    lacking = sum(task not in run.tasks for task in run.scores) if run.tasks else 0
    others = len(part(run.content, "eval_metrics")) - 1
    for count, code, text in (
        (run.bad, "null_score", "scores that are null or no finite number left out"),
        (lacking, "no_metadata", "tasks that the CSV does not describe"),
    ):
        notes += [Note("warning", code, text, name, count)] if count else []
    if others:
        text = "entries of eval_metrics beside 'icl' are not read"
        notes.append(Note("info", "not_read", text, name, others))
    head = {"model": _model(run, notes)}
    return made_table(run.source, head, rows, range(1, len(rows) + 1), notes, scale_mend=_NO_SIZE)


def _model(run: _Run, notes: list[Note]) -> str:
    """The model; by the file's name where that says more: "model" may be the architecture alone,
    the same for every corpus and length of training."""
    said = run.content.get("model")
    stem = _SUITE.sub("", _SUITE.sub("", run.source.stem)) or run.source.stem
    if isinstance(said, str) and said.strip() and said not in stem:
        return said
    if stem != said:
        text = f"the model is named after the file, which says more than 'model': {stem!r}"
        notes.append(Note("info", "model_from_name", text, run.source.name, 1))
    return stem
