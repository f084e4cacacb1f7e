"""What a ``results_<date>.json`` of lm-evaluation-harness 0.4 says: the model, its tasks, and the
scores that come without items."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.records.formats.values import part, real, whole

#: keys of ``config.model_args`` that name the model, the most telling first (the tracker's order)
_NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")
_STEP = re.compile(r"^(?:global)?[-_]?step[-_]?(\d{1,15})$", re.IGNORECASE)
#: aggregations under which the score of a task is the mean of the items' values
_MEANS = (None, "mean", "nanmean")
#: metrics whose items hold a log-likelihood or a pair instead of a score, whatever is not said
_NO_MEANS = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte")
DELIMITER = " "  # between prompt and answer, where the task says nothing


@dataclass(frozen=True)
class TaskFacts:
    """One task as it was run."""

    name: str
    kind: str | None = None  # output_type: generate_until, multiple_choice, loglikelihood, ...
    shots: int | None = None
    version: str | None = None
    delimiter: str = DELIMITER  # put before each choice; no part of its text
    filters: tuple[str, ...] = ()  # in the order in which the harness applies them
    higher: Mapping[str, bool] = field(default_factory=dict)
    no_means: frozenset[str] = frozenset(_NO_MEANS)  # metrics that are no mean over items


@dataclass(frozen=True, eq=False)
class Run:
    """One call of the harness: one model, several tasks."""

    model: str
    params: float | None
    step: float | None
    format: str | None  # "chat" where a chat template was applied
    content: Mapping[str, Any]


def is_results(content: Any) -> bool:
    """Whether this is what the harness writes as results."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), dict) for key in ("results", "configs")
    )


def run_of(content: Mapping[str, Any], folder: str) -> Run:
    """The run of one results file; ``folder`` names the model where the file does not."""
    config = part(content, "config")
    args = _model_args(config.get("model_args"))
    name = next((args[k] for k in _NAMES if args.get(k)), None)
    name = name or _text(content.get("model_name")) or model_of(folder)
    revision = _text(config.get("model_revision")) or args.get("revision") or ""
    step = _STEP.match(revision)
    if revision not in ("", "main", "None") and not step:
        name = f"{name}@{revision}"
    params = real(config.get("model_num_parameters"))
    chat = content.get("chat_template") or content.get("chat_template_sha")
    return Run(
        name,
        params if params is not None and 0 < params < math.inf else None,  # -1: not known
        float(step[1]) if step else None,
        "chat" if chat else None,
        content,
    )


def model_of(folder: str) -> str:
    """The model that a folder is named after: the harness writes ``__`` for ``/``.

    >>> model_of("EleutherAI__pythia-160m")
    'EleutherAI/pythia-160m'
    """
    return folder.replace("__", "/")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _model_args(given: Any) -> dict[str, str]:
    """``pretrained=...,revision=...`` as a dictionary; newer versions write one themselves."""
    if isinstance(given, dict):
        return {k: v for k, v in given.items() if isinstance(v, str)}
    pairs = (p.partition("=") for p in given.split(",")) if isinstance(given, str) else ()
    return {key.strip(): value.strip() for key, _, value in pairs}


def task_facts(content: Mapping[str, Any], task: str) -> TaskFacts:
    """What the results say of one task; unknown things are None or empty."""
    config = part(content, "configs", task)
    shots = whole(part(content, "n-shot").get(task))
    version = part(content, "versions").get(task)
    said = part(content, "higher_is_better", task)
    filters = config.get("filter_list")
    names = [f.get("name") for f in filters if isinstance(f, dict)] if filters else []
    delimiter = config.get("target_delimiter")
    return TaskFacts(
        task,
        _text(config.get("output_type")),
        shots if shots is not None else whole(config.get("num_fewshot")),
        None if version is None or isinstance(version, (dict, list)) else str(version),
        delimiter if isinstance(delimiter, str) else DELIMITER,
        tuple(n for n in names if isinstance(n, str)),
        {m: h for m, h in said.items() if isinstance(h, bool)},
        _no_means(config),
    )


def _no_means(config: Mapping[str, Any]) -> frozenset[str]:
    """Metrics that the task does not average over its items."""
    listed = config.get("metric_list")
    metrics = [m for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
    found = {str(m.get("metric")) for m in metrics if m.get("aggregation") not in _MEANS}
    return frozenset(found) | frozenset(_NO_MEANS)


def task_named(content: Mapping[str, Any], name: str) -> str:
    """The task of the results that a file is named after (``/`` and the like are ``_`` there)."""
    known = [*part(content, "configs"), *part(content, "results")]
    if name in known:
        return name
    same = (t for t in known if re.sub(r"\W", "_", t) == re.sub(r"\W", "_", name))
    ends = sorted((t for t in known if name.endswith(f"_{t}")), key=len)
    return next(same, ends[-1] if ends else name)


def scores(run: Run, task: str) -> tuple[list[dict[str, Any]], int]:
    """The aggregate scores of one task or group, and how many are left out: not finite."""
    content, rows, lost = run.content, [], 0
    facts = task_facts(content, task)
    found = part(content, "results", task)
    for key, value in found.items():
        metric, comma, kept = key.partition(",")
        score = real(value)
        if not comma or metric.endswith("_stderr") or score is None:
            continue
        if not math.isfinite(score):
            lost += 1
            continue
        rows.append(
            {
                **identity(run, facts),
                "filter": kept or None,
                "metric": metric,
                "score": score,
                "stderr": real(found.get(f"{metric}_stderr,{kept}")),
                "n_samples": _count(content, task),
                "higher_is_better": facts.higher.get(metric),
            }
        )
    return rows, lost


def identity(run: Run, facts: TaskFacts) -> dict[str, Any]:
    """The columns that a run and a task fill in every row."""
    return {
        "model": run.model,
        "params": run.params,
        "step": run.step,
        "task": facts.name,
        "shots": facts.shots,
        "format": run.format,
        "task_version": facts.version,
    }


def _count(content: Mapping[str, Any], task: str) -> float | None:
    """The number of items behind a score; of a group, the sum over its tasks."""
    counts = [
        real(part(content, "n-samples", leaf).get("effective"))
        or real(part(content, "results", leaf).get("sample_len"))
        or real(part(content, "results", leaf).get("samples"))
        for leaf in leaves(content, task)
    ]
    known = [c for c in counts if c is not None]
    return sum(known) if known and len(known) == len(counts) else None


def leaves(content: Mapping[str, Any], task: str) -> list[str]:
    """The tasks that a group is made of; a task itself.

    >>> leaves({"group_subtasks": {"mmlu": ["stem"], "stem": ["algebra", "virology"]}}, "mmlu")
    ['algebra', 'virology']
    """
    below = part(content, "group_subtasks")
    found: dict[str, None] = {}
    seen: set[str] = set()
    todo = [task]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = below.get(name)
        parts = [p for p in parts if isinstance(p, str)] if isinstance(parts, list) else []
        todo += reversed(parts)
        if not parts:
            found[name] = None
    return list(found)
