"""Reads the run folders that HELM writes (helm-run): one folder for each model and scenario.

An instance has one row with what the model answered (``metric`` is empty there) and one more for
each score that HELM gave it. Requests about one instance, one for each answer option, are one row.
Perturbed instances are another ``variant``; training trials are repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unmirage.errors import ValueProblem
from unmirage.records.formats.helm.answers import (
    BadRequest,
    Fields,
    Group,
    Key,
    completions,
    fields_of,
    group_key,
    key_of,
)
from unmirage.records.formats.helm.files import Run, is_log, runs_of
from unmirage.records.formats.helm.notes import Left, checks, verdicts
from unmirage.records.formats.helm.stats import Stat, counts, stat_of
from unmirage.records.formats.lm_eval.results import whole
from unmirage.records.formats.lm_eval.samples import Part, agreement_notes, compare, settled
from unmirage.records.formats.made import made_table
from unmirage.records.sniff import Source
from unmirage.records.table import Table, show
from unmirage.types import Note

__all__ = ["is_log", "load"]

_MEND = "repair it, or leave such instances out with skip_bad (--skip-bad)"
_NO_SIZE = "name a model whose name states its size (eleutherai/pythia-1b), or give the sizes"
Rows = tuple[list[dict[str, Any]], list[int]]


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all runs of which a file was named or found, and notes of no table.

    Raises:
        FileProblem: a file that is truncated (skip_bad: left out and counted).
        ValueProblem: an instance that cannot be read (skip_bad: as above).
    """
    runs, notes = runs_of(sources, skip_bad)
    parts = [found for run in runs if (found := _part(run, skip_bad))]
    agreed = compare(parts)
    tables = [settled(one, agreed) for one in parts]
    return tables, [*notes, *agreement_notes(agreed)]


def _part(run: Run, skip_bad: bool) -> Part | None:
    left = Left(run, skip_bad)
    groups = _groups(run, left)
    trials = len({g.key.trial for g in groups.values()}) > 1
    rows, places = _answer_rows(run, groups, trials, left)
    more, more_places = _score_rows(run, groups, trials, left)
    rows, places = rows + more, places + more_places
    notes = [*run.notes, *left.notes(), *checks(run, more, groups.values())]
    if not rows:
        rows, places = _total_rows(run, notes)
    if not rows:
        return None
    asked = whole(run.spec.get("max_train_instances"))
    head = {
        "model": run.model,
        "task": run.task,
        "format": run.method,
        "shots": asked if asked is not None and asked >= 0 else None,
    }
    table = made_table(run.source, head, rows, places, notes, scale_mend=_NO_SIZE)
    return Part(run.task, table, verdicts(run, rows))


def _groups(run: Run, left: Left) -> dict[Key, Group]:
    """The requests about each instance in each trial."""
    groups: dict[Key, Group] = {}
    for place, row in enumerate(run.states, 1):
        try:
            key = group_key(row)
        except BadRequest as e:
            left.bad(_problem(run, "request", place, e))
            continue
        groups.setdefault(key, Group(key, place)).requests.append(row)
    return groups


def _same(key: Key, trials: bool) -> dict[str, Any]:
    repeat = key.trial + 1 if trials else None
    return {"item": key.item, "repeat": repeat, "variant": key.variant}


def _answer_rows(run: Run, groups: Mapping[Key, Group], trials: bool, left: Left) -> Rows:
    found: list[tuple[Group, Fields]] = []
    for group in groups.values():
        try:
            fields = fields_of(group, run.method)
        except BadRequest as e:
            left.bad(_problem(run, "request", group.place, e))
            continue
        if fields is None:
            left.unread += 1
        else:
            found.append((group, fields))
    left.drop_placeholders([fields for _, fields in found])
    rows = [{**_same(g.key, trials), **g.setting, **fields} for g, fields in found]
    return rows, [g.place for g, _ in found]


def _score_rows(run: Run, groups: Mapping[Key, Group], trials: bool, left: Left) -> Rows:
    """One row for each score of each instance."""
    single = all(completions(r) <= 1 for g in groups.values() for r in g.requests)
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    several = trials or len({_trial(row) for row in run.per_instance}) > 1
    for place, row in enumerate(run.per_instance, 1):
        try:
            if not isinstance(row, dict):
                raise BadRequest("instance_id", "is not there")
            trial = row.get("train_trial_index", 0)
            key = key_of(row.get("instance_id"), trial, row.get("perturbation"))
        except BadRequest as e:
            left.bad(_problem(run, "per_instance_stats.json, entry", place, e))
            continue
        group = groups.get(key)
        listed = row.get("stats")
        for one in listed if isinstance(listed, list) else []:
            stat = stat_of(one, run.method, single)
            if stat is None:
                continue
            if stat.mean is None:
                left.unscored += 1
                continue
            setting = group.setting if group else {"split": stat.split, "subtask": stat.subtask}
            rows.append({**_same(key, several), **setting, **_score(stat)})
            places.append(group.place if group else place)
    return rows, places


def _trial(row: Any) -> int:
    return (whole(row.get("train_trial_index", 0)) or 0) if isinstance(row, dict) else 0


def _score(stat: Stat) -> dict[str, Any]:
    return {"metric": stat.metric, "score": stat.mean, "higher_is_better": stat.higher}


def _total_rows(run: Run, notes: list[Note]) -> Rows:
    """The scores of a run without instances; those of perturbed ones are left out."""
    number = counts(run.stats)
    rows: list[dict[str, Any]] = []
    lost = 0
    for row in run.stats:
        stat = stat_of(row, run.method, single=False)
        if stat is None or stat.mean is None:
            continue
        if stat.variant is not None:
            lost += 1
            continue
        n = number.get((stat.split, stat.subtask))
        same = {"split": stat.split, "subtask": stat.subtask, "n_samples": n}
        rows.append({**same, **_score(stat)})
    if lost:
        text = "scores of perturbed instances left out: only the instances themselves are read"
        notes.append(Note("info", "perturbed", text, run.source.name, lost))
    return rows, list(range(1, len(rows) + 1))


def _problem(run: Run, what: str, place: int, error: BadRequest) -> ValueProblem:
    text = str(error) + (f": {show(error.value)}" if error.value is not None else "")
    where = f"key {error.key!r}, {what} {place}"
    return ValueProblem(text, file=run.source.name, where=where, mend=_MEND)
