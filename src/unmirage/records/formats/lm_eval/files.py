"""Which files are logs of the harness, and which results belong to which samples."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.jsonfile import content_of, first_row, head_of
from unmirage.records.formats.lm_eval.results import (
    Run,
    TaskFacts,
    is_results,
    model_of,
    run_of,
    task_facts,
    task_named,
)
from unmirage.records.formats.lm_eval.rows import KEYS
from unmirage.records.jsonlines import MAX_LIST, Decoder
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import absolute
from unmirage.types import Note

_DATE = re.compile(r"^(.*?)_?(\d{4}-\d{2}-\d{2}T[\d.:+-]+)$", re.DOTALL)
_HEAD = 200  # bytes in which results show themselves
_BOM = b"\xef\xbb\xbf"
Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Log:
    """One file of samples and the run it belongs to."""

    source: Source
    date: str
    run: Run
    task: TaskFacts
    notes: tuple[Note, ...] = ()

    @property
    def key(self) -> Key:
        """Equal for two runs of one model on one task in one folder."""
        return key_of(self.source.path, self.run, self.task)


def key_of(path: Path, run: Run, task: TaskFacts) -> Key:
    """What two runs share of which only the newest is read."""
    return (absolute(path).parent, run.model, run.step, run.format, task.name, task.shots)


def is_log(source: Source) -> bool:
    """Whether a file holds samples or results of the harness."""
    return is_samples_file(source) or is_results_file(source)


def is_samples_file(source: Source) -> bool:
    """Whether the first of the first lines that is JSON is an item as the harness writes it."""
    row = first_row(source)
    return row.keys() >= KEYS and bool({"resps", "arguments"} & row.keys())


def is_results_file(source: Source) -> bool:
    """Whether a file holds the results of a run; one cut short is told by its name."""
    if source.kind != "json":
        return False
    head = head_of(source, _HEAD)
    named, said = source.path.name.startswith("results"), b'"results"' in head
    if not head.startswith(b"{") or not (named or said):
        return False
    try:
        return is_results(content_of(source))
    except FileProblem:
        return named and said


def _content(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        ValueError: it is not JSON, or too large.
    """
    if path.stat().st_size > MAX_LIST:
        raise ValueError("larger than 1 GiB")
    return Decoder()(path.read_bytes().removeprefix(_BOM))


def split_name(stem: str) -> tuple[str, str]:
    """(task or nothing, date or nothing) in the name of a file of samples or results.

    >>> split_name("samples_gsm8k_cot_2026-01-21T03-44-18.458309")
    ('gsm8k_cot', '2026-01-21T03-44-18.458309')
    """
    found = _DATE.match(stem)
    name, date = (found[1], found[2]) if found else (stem, "")
    return name.removeprefix("samples_"), date


class Runs:
    """The results of each folder, each file read once. Those that were not given but lie beside
    samples do without being read."""

    def __init__(self, skip_bad: bool, given: Iterable[Path] = ()) -> None:
        self.skip_bad = skip_bad
        self.given = set(map(absolute, given))
        self.bad: set[str] = set()  # files left out
        self.of_file = cache(self._of_file)
        self._of_folder = cache(self._read_folder)

    def _of_file(self, path: Path) -> Run | None:
        """The run behind one file; None where it is no JSON and need not be.

        Raises:
            FileProblem: it is no JSON.
        """
        with guard(str(path)):
            try:
                return run_of(_content(path), absolute(path).parent.name)
            except ValueError as e:
                if self.skip_bad or absolute(path) not in self.given:
                    self.bad.add(str(path))
                    return None
                raise FileProblem(
                    f"is not JSON ({str(e)[:120]})",
                    file=str(path),
                    mend="it may be cut short: repair it, or read with skip_bad (--skip-bad); "
                    "without it the model is named after the folder",
                ) from e

    def _read_folder(self, folder: Path) -> dict[Path, Run]:
        with guard(str(folder)):
            paths = sorted(p for p in folder.glob("*.json") if p.is_file())
            found = [p for p in paths if is_results_file(Source(p, str(p), "json"))]
        return {p: run for p in found if (run := self.of_file(p)) is not None}

    def beside(self, source: Source) -> Run | None:
        """The run that wrote some samples: of the same date, or the only one in the folder."""
        date = split_name(source.stem)[1]
        there = self._of_folder(source.path.parent)
        same = [run for path, run in there.items() if split_name(path.stem)[1] == date]
        if len(same) == 1:
            return same[0]
        return next(iter(there.values())) if len(there) == 1 else None


def log_of(source: Source, runs: Runs) -> Log:
    """A file of samples with its run; without results the folder's name is the model's."""
    name, date = split_name(source.stem)
    if (run := runs.beside(source)) is not None:
        task = task_named(run.content, name)
        return Log(source, date, run, task_facts(run.content, task))
    message = (
        "no results_<date>.json beside the samples is of their date: the model is named after the "
        "folder; shots, output type and directions of metrics are not known"
    )
    note = Note("warning", "no_results", message, source.name, 1)
    run = Run(model_of(absolute(source.path).parent.name), None, None, None, {})
    return Log(source, date, run, TaskFacts(name), (note,))


def newest(logs: Iterable[Log]) -> tuple[list[Log], list[Note]]:
    """The last run of each model and task in a folder, and a note for each file left out."""
    logs = list(logs)
    last = {log.key: log for log in sorted(logs, key=lambda one: (one.date, one.source.name))}
    message = "older runs of the same model and task in one folder left out: the newest is kept"
    gone = [log.source.name for log in logs if last[log.key] is not log]
    notes = [Note("warning", "older_run", message, name, 1) for name in gone]
    return [log for log in logs if last[log.key] is log], notes
