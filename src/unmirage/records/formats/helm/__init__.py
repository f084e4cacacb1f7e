"""Reads run folders of HELM: ``run_spec.json``, ``scenario_state.json`` (what was asked and
answered), ``per_instance_stats.json`` (scores of items), ``stats.json`` (scores of the run).

An instance has one row with what the model answered (``metric`` is empty there) and one more for
each score that HELM gave it. Where every option was a request of its own, the requests of one
instance are one row with the log-probability of each option. Scores of the run are read only where
there are no items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.helm.answers import answers
from unmirage.records.formats.helm.run import Run, run_of
from unmirage.records.formats.helm.scores import aggregates, item_scores
from unmirage.records.formats.jsonfile import content_of, head_of
from unmirage.records.formats.made import made_table
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]

_READ: dict[str, type] = {
    "run_spec": dict,
    "scenario_state": dict,
    "per_instance_stats": list,
    "stats": list,
}
#: what HELM writes beside them; nothing is read of it
_BESIDE = {"scenario", "instances", "display_predictions", "display_requests"}
_NO_SIZE = "give the models' sizes: --models models.csv with the columns model and params"


def is_log(source: Source) -> bool:
    """Whether a file belongs to a run: by its name, and by the run beside it or its head."""
    if source.kind != "json" or source.stem not in {*_READ, *_BESIDE}:
        return False
    if source.stem in ("run_spec", "scenario_state"):
        return b'"adapter_spec"' in head_of(source)
    folder = source.path.parent
    return any(
        (path := folder / f"{name}.json").is_file()
        and b'"adapter_spec"' in head_of(Source(path, str(path), "json"))
        for name in ("run_spec", "scenario_state")
    )


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all runs; each folder is one.

    Raises:
        FileProblem: a file that is no JSON, or not of its kind (skip_bad: left out and counted).
    """
    runs: dict[Path, dict[str, Source]] = defaultdict(dict)
    for source in sources:
        if source.stem in _READ:
            runs[source.path.parent][source.stem] = source
    notes: list[Note] = []
    tables: list[Table] = []
    for files in runs.values():
        tables += _tables(files, skip_bad, notes)
    return tables, notes


def _tables(files: Mapping[str, Source], skip_bad: bool, notes: list[Note]) -> list[Table]:
    held: dict[str, Any] = {}
    for name, source in files.items():
        try:
            held[name] = _content(source)
        except FileProblem:
            if not skip_bad:
                raise
            text = "files of runs that cannot be read left out"
            notes.append(Note("warning", "bad_results", text, source.name, 1))
    state = held.get("scenario_state", {})
    run = run_of(next(iter(files.values())), held.get("run_spec"), state)
    if run is None:
        text = "runs that name no model left out: run_spec.json and scenario_state.json are missing"
        notes.append(Note("warning", "no_run", text, next(iter(files.values())).name, 1))
        return []
    made = []
    if rows := answers(run, state.get("request_states"), told := list[Note]()):
        made.append(_table(files["scenario_state"], run, rows, told))
    if rows := item_scores(run, held.get("per_instance_stats"), told := list[Note]()):
        made.append(_table(files["per_instance_stats"], run, rows, told))
    if not made and (rows := aggregates(run, held.get("stats"), told := list[Note]())):
        made.append(_table(files["stats"], run, rows, told))
    if not made:
        text = "runs without an answer and without a score left out"
        notes.append(Note("warning", "empty_log", text, next(iter(files.values())).name, 1))
    return made


def _content(source: Source) -> Any:
    content = content_of(source)
    kind = _READ[source.stem]
    if not isinstance(content, kind):
        word = "an object" if kind is dict else "a list"
        raise FileProblem(f"holds {type(content).__name__}, not {word}", file=source.name)
    return content


def _table(
    source: Source, run: Run, rows: list[tuple[int, dict[str, Any]]], notes: list[Note]
) -> Table:
    numbers = [number for number, _ in rows]
    only = [row for _, row in rows]
    return made_table(source, run.settings(), only, numbers, notes, scale_mend=_NO_SIZE)
