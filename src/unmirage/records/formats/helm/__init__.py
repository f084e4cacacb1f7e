"""Reads run folders of HELM (crfm-helm): ``run_spec.json``, ``scenario_state.json``,
``per_instance_stats.json`` and ``stats.json``.

The state holds every request, one for each item or one for each of its options, and becomes one
row an item; the statistics of each item become one more row for each score. Of ``stats.json`` only
what no item bears is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import agreement_notes, compare, settled
from unmirage.records.formats.helm.files import ITEMS, STATE, TOTALS, Run, is_log, runs_of
from unmirage.records.formats.helm.runs import Read, read_run
from unmirage.records.formats.jsonfile import content_of
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

__all__ = ["is_log", "load"]


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all runs, and the notes that belong to no table.

    Raises:
        FileProblem: a file is no JSON or not of its kind (skip_bad: left out and counted).
        ValueProblem: a request or statistic that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    found = []
    for run in runs_of(sources, skip_bad, notes):
        contents = _contents(run, skip_bad, notes)
        if contents:
            found.append(read_run(run, contents, skip_bad))
    kept = _newest(found, notes)
    parts = [one.part for one in kept if one.part is not None]
    agreed = compare(parts)
    notes += agreement_notes(agreed)
    tables = []
    for one in kept:
        tables += [settled(one.part, agreed)] if one.part is not None else []
        tables += one.others
        notes += one.notes
    return tables, notes


def _contents(run: Run, skip_bad: bool, notes: list[Note]) -> dict[str, Any]:
    """What each file of a run that was named or found holds: a state an object, else a list."""
    kinds: dict[str, type] = {STATE: dict, ITEMS: list, TOTALS: list}
    found = {}
    for name, source in run.sources.items():
        if name not in kinds:
            continue
        try:
            found[name] = _value(source, kinds[name])
        except FileProblem as e:
            if not skip_bad:
                raise
            notes.append(Note("warning", "bad_file", "a file left out", e.file, 1))
    return found


def _value(source: Source, kind: type) -> Any:
    value = content_of(source)
    if not isinstance(value, kind):
        what = f"holds {type(value).__name__}, not {kind.__name__}"
        raise FileProblem(what, file=source.name, mend="give the file as HELM wrote it")
    return value


def _newest(found: list[Read], notes: list[Note]) -> list[Read]:
    """One run of each model, task and setting: that with items, then the newest."""
    last = {one.key: one for one in sorted(found, key=lambda one: one.age)}
    text = "another run of the same model, task and setting (that with items, else the newest) read"
    for one in found:
        if last[one.key] is not one:
            notes.append(Note("warning", "older_run", f"left out: {text}", one.name, 1))
    return [one for one in found if last[one.key] is one]
