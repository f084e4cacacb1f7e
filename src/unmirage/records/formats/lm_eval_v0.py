"""Reads the results that lm-evaluation-harness 0.3 and older wrote: one JSON a run, no items.

Such a file holds ``results`` (task -> metric -> value, ``<metric>_stderr`` beside it), ``versions``
and, where the writer kept it, ``config``. What the configuration says goes before what names of
files say: Pythia's folders named five-shot hold zero-shot results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unmirage import metrics
from unmirage.errors import FileProblem
from unmirage.records.duplicates import shots_in
from unmirage.records.formats.jsonfile import is_kind, readable
from unmirage.records.formats.lm_eval.results import run_of
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part, real, whole
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

_STDERR = "_stderr"
_STEP = re.compile(r"(?:global)?[-_]?step[-_]?(\d{1,15})(?!\d)", re.IGNORECASE)
_TAIL = re.compile(r"[-_](?:eval[-_])?results.*$|-v[\d.]+-res$", re.IGNORECASE)
_SHOTS = re.compile(r"[-_]?(?:zero|one|two|three|four|five|\d+)[-_]?shots?", re.IGNORECASE)
#: tasks of 0.3 whose metrics no other tool names so; all of them are better when higher
_HIGHER = re.compile(
    r"(bleu|bleurt|rouge\w{1,4})_(max|acc|diff)|((best|HasAns|NoAns)_)?(exact|f1)|anls|em"
)
_NO_SIZE = (
    "keep the file's config (model_args), or name the file after a model whose name states its "
    "size (pythia-160m.json)"
)


def is_log(source: Source) -> bool:
    """Whether a file holds results of 0.3 or older."""
    return is_kind(source, (b'"results"', b'"versions"'), _is_results, rb'\{"results":\{"')


def _is_results(content: Any) -> bool:
    if not isinstance(content, dict) or "configs" in content or "config_general" in content:
        return False
    tasks = content.get("results")
    about = [content.get(k) for k in ("versions", "config")]
    if not isinstance(tasks, dict) or not any(isinstance(a, dict) for a in about):
        return False
    scored = [m for m in tasks.values() if isinstance(m, dict)]
    bare = all("," not in str(name) for m in scored for name in m)
    return bool(scored) and len(scored) == len(tasks) and bare


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """One table a file.

    Raises:
        FileProblem: a file that is no JSON or holds no score (skip_bad: left out and counted).
    """
    notes: list[Note] = []
    tables = []
    for source, content in readable(sources, skip_bad, "results that are not JSON", notes):
        rows, lost = _rows(content)
        if rows:
            tables.append(_table(source, content, rows, lost))
            continue
        if not skip_bad:
            raise FileProblem("holds no score that is a number", file=source.name)
        notes.append(Note("warning", "null_score", "results without a score left out", source.name))
    return tables, notes


@dataclass
class _Lost:
    """What is left out of one file, counted."""

    not_finite: int = 0
    no_number: int = 0
    no_error: int = 0

    def notes(self, name: str) -> list[Note]:
        said = (
            (self.not_finite, "null_score", "scores that are not finite left out"),
            (self.no_number, "null_score", "scores that are null or no number left out"),
            (self.no_error, "stderr_zero", "standard errors of 0, null or no number: unknown"),
        )
        return [Note("warning", code, text, name, n) for n, code, text in said if n]


def _rows(content: Mapping[str, Any]) -> tuple[list[dict[str, Any]], _Lost]:
    rows, lost = [], _Lost()
    for task in part(content, "results"):
        found = part(content, "results", task)
        version = part(content, "versions").get(task)
        n = _items(found)
        for metric, value in found.items():
            if metric.endswith(_STDERR) or not (score := _finite(value, lost)):
                continue
            row = {
                "task": task,
                "task_version": None if version is None else str(version)[:100],
                "metric": metric,
                "score": score[0],
                "n_samples": n,
                "higher_is_better": True if _HIGHER.fullmatch(metric) else None,
            }
            if metric + _STDERR in found:
                row["stderr"] = _error(found[metric + _STDERR], lost)
            rows.append(row)
    return rows, lost


def _finite(value: Any, lost: _Lost) -> tuple[float] | None:
    score = real(value)
    if score is None:
        lost.no_number += 1
    elif not math.isfinite(score):
        lost.not_finite += 1
    else:
        return (score,)
    return None


def _error(value: Any, lost: _Lost) -> float | None:
    """A standard error; 0 is what the harness writes where no answer, or every answer, is right."""
    error = real(value)
    if error is None or not 0 < error < math.inf:
        lost.no_error += 1
        return None
    return error


# ---------------------------------------------------------------- how many items


def _items(found: Mapping[str, Any]) -> float | None:
    """The number of items of one task, if its metrics that are right or wrong agree on one."""
    counts = set()
    for metric, value in found.items():
        facts = metrics.facts(metric)
        score, error = real(value), real(found.get(metric + _STDERR))
        if facts is not None and facts.binary and score is not None and error is not None:
            counts |= {n} if (n := items_behind(score, error)) else set()
    return float(counts.pop()) if len(counts) == 1 else None


def items_behind(score: float, stderr: float) -> int | None:
    """n of a share whose standard error is that of 0.3: sqrt(p (1 - p) / (n - 1)).

    Only where n is whole and so is the number of right answers: rounded or bootstrapped errors
    say nothing.

    >>> items_behind(0.28, 0.04512608598542126), items_behind(0.28, 0.045)
    (100, None)
    """
    if not (0 < score < 1 and 0 < stderr < 1):
        return None
    raw = score * (1 - score) / stderr / stderr + 1
    if not 2 <= raw < 1e7:
        return None
    n = round(raw)
    right = score * n
    return n if abs(raw - n) < 1e-6 * n and abs(right - round(right)) < 1e-6 * n else None


# ---------------------------------------------------------------- which model


def _table(
    source: Source, content: Mapping[str, Any], rows: list[dict[str, Any]], lost: _Lost
) -> Table:
    notes = lost.notes(source.name)
    head = _head(source, content, notes)
    config = part(content, "config")
    if (limit := real(config.get("limit"))) is not None:
        text = f"the run was limited (limit = {limit:g}): its scores are those of a few items"
        notes.append(Note("warning", "limited", text, source.name, len(rows)))
    if any(row["n_samples"] for row in rows):
        text = "numbers of items worked out from shares and their standard errors"
        known = sum(row["n_samples"] is not None for row in rows)
        notes.append(Note("info", "items_from_stderr", text, source.name, known))
    places = range(1, len(rows) + 1)
    return made_table(source, head, rows, places, notes, scale_mend=_NO_SIZE)


def _head(source: Source, content: Mapping[str, Any], notes: list[Note]) -> dict[str, Any]:
    """The model, its checkpoint and the shots: from the configuration, else from the name."""

    def warn(code: str, text: str) -> None:
        notes.append(Note("warning", code, text, source.name, 1))

    config = part(content, "config")
    run = run_of({"config": config}, "")
    model, step, shots = run.model, run.step, whole(config.get("num_fewshot"))
    if not model or model.startswith("@"):
        model = model_in(source.stem) + model
        warn("model_from_name", f"model_args name no model: taken from the file name as {model!r}")
    said = {float(s) for s in _STEP.findall(source.stem)}
    if step is None and len(said) == 1:
        step = said.pop()
        warn("step_from_name", f"model_args state no step: taken from the file name as {step:g}")
    elif step is not None and said - {step}:
        text = f"the file name states another step than model_args ({step:g}), which is used"
        warn("step_disagrees", text)
    if shots is None and len(named := shots_in(source.stem)) == 1:
        shots = named.pop()
        warn("shots_from_name", f"no num_fewshot: shots taken from the file name as {shots}")
    return {"model": model, "step": step, "shots": shots, "params": run.params}


def model_in(stem: str) -> str:
    """The model that a file of results is named after.

    >>> model_in("pythia-1.4b-deduped-0shot-global_step36500_eval_results_12-30-2022-04-13-44")
    'pythia-1.4b-deduped'
    >>> model_in("bloom-560m"), model_in("arc_easy-v0-res")
    ('bloom-560m', 'arc_easy')
    """
    name = _SHOTS.sub("", _STEP.sub("", _TAIL.sub("", stem))).strip("-_ ")
    return name or stem
