"""Reads the logs of Inspect (inspect-ai): ``.eval`` archives and ``.json`` files.

Each run becomes one table in canonical columns. An item has, for each epoch, a row with what the
model answered (as its scorer read it off the output) and one more for each score. A log without
samples gives the scores of its items over epochs, or else those of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem, InputError
from unmirage.records.formats.agreement import Part, agreement_notes, compare, settled
from unmirage.records.formats.inspect_ai.files import Log, is_log, read_log
from unmirage.records.formats.inspect_ai.rows import Sample
from unmirage.records.formats.inspect_ai.runs import Run, once, run_of
from unmirage.records.formats.inspect_ai.scores import (
    Names,
    Total,
    item_rows,
    names_of,
    reduced_rows,
    total_rows,
    totals,
    verdicts,
)
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part, real
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]

_NO_SIZE = "name a model whose name states its size (hf/org/pythia-160m), or give the sizes"


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all logs that were named or found, and the notes that belong to no table.

    Raises:
        FileProblem: a log is truncated, damaged or none (skip_bad: left out and counted).
        ValueProblem: a sample that cannot be read (skip_bad: as above).
    """
    logs: list[Log] = []
    notes: list[Note] = []
    for source in sources:
        try:
            logs.append(read_log(source, skip_bad))
        except InputError:
            if not skip_bad:
                raise
            text = "logs that cannot be read left out"
            notes.append(Note("warning", "bad_log", text, source.name, 1))
    runs, told = once(run_of(log) for log in logs)
    found = [(run, _part(run)) for run in runs]
    parts = [one for _, one in found if one is not None]
    for run in (run for run, one in found if one is None):
        source = run.log.source
        what = "holds neither samples with scores or answers, nor scores of the run"
        if not (source.found or parts or skip_bad):
            raise FileProblem(what, file=source.name, mend="score it: inspect score")
        notes.append(Note("warning", "no_scores", f"logs left out: the log {what}", source.name, 1))
    agreed = compare(parts)
    tables = [settled(one, agreed) for one in parts]
    return tables, [*notes, *told, *agreement_notes(agreed)]


def _part(run: Run) -> Part | None:
    """The table of one run; None where it holds no score at all."""
    names = names_of(run)
    notes = [*run.log.notes, *_run_notes(run)]
    rows, places = item_rows(run, names)
    if rows:
        notes += _sample_notes(run, names, rows)
    else:
        (rows, places), lost = reduced_rows(run, names)
        notes += _unscored(run, lost)
        if not rows:
            rows, places = total_rows(run, names)
    if not rows:
        return None
    head = {
        "model": run.model,
        "step": run.step,
        "task": run.task,
        "shots": run.shots,
        "variant": run.variant,
        "task_version": run.version,
    }
    table = made_table(run.log.source, head, rows, places, notes, scale_mend=_NO_SIZE)
    return Part(run.task, table, verdicts(run, names))


# ---------------------------------------------------------------- notes


def _note(run: Run, code: str, text: str, count: int) -> Note:
    return Note("warning", code, text, run.log.source.name, count)


def _unscored(run: Run, count: int) -> list[Note]:
    text = "samples without a score (missing, NaN or no number): not scored, which is not 0"
    return [_note(run, "unscored", text, count)] if count else []


def _run_notes(run: Run) -> list[Note]:
    notes = []
    if run.status != "success":
        # told apart by their text, so that a folder of logs gives one note for each
        text = f"runs whose status is {run.status[:40]!r}: they did not come to their end"
        notes.append(_note(run, "run_not_finished", text, 1))
    if run.log.head.get("invalidated") is True:
        notes.append(_note(run, "run_invalid", "runs that were declared invalid", 1))
    return notes


def _sample_notes(run: Run, names: Names, rows: list[dict[str, Any]]) -> list[Note]:
    samples = run.log.samples
    failed = sum(s.failed for s in samples)
    fine = [s for s in samples if not s.failed or s.scores]
    notes = _unscored(run, sum(_missing(s, names) for s in fine))
    if failed:
        text = "samples that an error stopped, or that were declared invalid: left out if unscored"
        notes.append(_note(run, "failed_samples", text, failed))
    said = real(part(run.log.head, "results").get("completed_samples"))
    if said is not None and said > len(samples):
        text = "samples that were completed are not in the log: scores are of those in it"
        notes.append(_note(run, "samples_missing", text, int(min(said, 2**53)) - len(samples)))
    return notes + _differences(run, names, rows)


def _missing(sample: Sample, names: Names) -> int:
    """How many scorers gave a sample no score."""
    given = {s.scorer for s in sample.scores}
    return sum(s.value is None for s in sample.scores) + sum(n not in given for n in names.scorers)


def _differences(run: Run, names: Names, rows: list[dict[str, Any]]) -> list[Note]:
    """Where the mean of the samples is not the score that the log states."""
    notes = []
    for total in totals(run):
        if total.reducer is None and total.mean is not None:
            ours = _mean(rows, names, total)
            if ours is not None and abs(ours - total.mean) > 1e-6:
                text = (
                    f"task {run.task!r}, scorer {total.scorer!r}: the log states "
                    f"{total.mean:.6g}, its samples give {ours:.6g}: the samples are read"
                )
                notes.append(_note(run, "stated_otherwise", text, 1))
    return notes


def _mean(rows: list[dict[str, Any]], names: Names, total: Total) -> float | None:
    """The mean over items of the mean over epochs."""
    wanted = names.columns(total.scorer, total.part)
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row.get("metric") == wanted["metric"] and row.get("filter") == wanted["filter"]:
            scores.setdefault(row["item"], []).append(row["score"])
    means = [sum(v) / len(v) for v in scores.values()]
    return sum(means) / len(means) if means else None
