"""Which model and settings a log is about, and which of several logs are read.

A run may lie in a folder twice (as .eval and as .json), and a run that failed beside the one that
repeated it, with the same samples: neither may be counted twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from unmirage.records.formats.inspect_ai.files import Log
from unmirage.records.formats.values import part, whole
from unmirage.records.jsonlines import json_text
from unmirage.records.tables import absolute
from unmirage.types import Note

#: providers that load a model of the hub: what follows is the model's own name
_LOADERS = ("hf", "vllm", "sglang", "nnterp", "transformer_lens")
_STEP = re.compile(r"^(?:global)?[-_]?step[-_]?(\d{1,15})$", re.IGNORECASE)
#: arguments of tasks that say how many examples the prompt holds
_SHOTS = ("fewshot", "num_fewshot", "few_shot", "n_shots", "num_shots", "shots", "n_shot")
_LONG = 80  # characters of a value in the name of a variant


@dataclass(frozen=True, eq=False)
class Run:
    """A log with what identifies it."""

    log: Log
    model: str
    step: float | None
    task: str
    version: str | None
    shots: int | None
    variant: str | None = None

    @property
    def eval(self) -> Mapping[str, Any]:
        return part(self.log.head, "eval")

    @property
    def status(self) -> str:
        return text_of(self.log.head.get("status")) or "started"

    @property
    def setting(self) -> tuple[Any, ...]:
        """What two runs share of which one repeats the other."""
        folder = absolute(self.log.source.path).parent
        return (folder, self.model, self.step, self.task, self.version, self.shots, self.variant)


def text_of(value: Any) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value.strip() else None


def run_of(log: Log) -> Run:
    """The model and the task of a log."""
    said = part(log.head, "eval")
    args = part(said, "model_args")
    model = _model(text_of(said.get("model")) or "unknown", args)
    revision = text_of(args.get("revision")) or ""
    step = _STEP.match(revision)
    if revision not in ("", "main") and not step:
        model = f"{model}@{revision}"
    version = said.get("task_version")
    counts = (whole(part(said, "task_args").get(k)) for k in _SHOTS)
    return Run(
        log,
        model,
        float(step[1]) if step else None,
        text_of(said.get("task")) or log.source.stem,
        None if version is None or isinstance(version, (dict, list)) else json_text(version),
        next((n for n in counts if n is not None and n >= 0), None),
    )


def _model(name: str, args: Mapping[str, Any]) -> str:
    """The model's name without the program that ran it.

    >>> _model("hf/org/pythia-70m", {}), _model("openai/gpt-4o", {})
    ('org/pythia-70m', 'openai/gpt-4o')
    """
    provider, _, rest = name.partition("/")
    path = text_of(args.get("model_path"))
    if path and rest in ("", "local"):
        return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or name
    return rest if provider in _LOADERS and rest else name


# ---------------------------------------------------------------- settings that differ


def with_variants(runs: list[Run]) -> list[Run]:
    """The runs, each named after those arguments in which the runs of its task differ."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.task, run.version), []).append(run)
    keys = {group: _keys(same) for group, same in groups.items()}
    return [_named(run, keys[run.task, run.version]) for run in runs]


def _keys(same: list[Run]) -> set[str]:
    """Arguments in which the runs of one task differ; how answers were drawn only counts where
    the runs of one model differ in it."""
    keys = _differing([_arguments(r) for r in same])
    models: dict[tuple[Any, ...], list[dict[str, str]]] = {}
    for run in same:
        models.setdefault((run.model, run.step), []).append(_generation(run))
    return keys.union(*(_differing(given) for given in models.values()))


def _named(run: Run, keys: set[str]) -> Run:
    said = {**_generation(run), **_arguments(run)} if keys else {}
    named = [f"{k}={said[k]}" for k in sorted(keys) if k in said]
    return replace(run, variant=", ".join(named) or None)


def _arguments(run: Run) -> dict[str, str]:
    """The arguments of the task, but for the number of examples, which has its own column."""
    given = part(run.eval, "task_args")
    return {k: _short(v) for k, v in given.items() if k not in _SHOTS}


def _generation(run: Run) -> dict[str, str]:
    """How answers were drawn."""
    given = {**part(run.log.head, "plan", "config"), **part(run.eval, "model_generate_config")}
    names = ("temperature", "top_p", "top_k", "max_tokens", "reasoning_effort", "reasoning_tokens")
    return {k: _short(given[k]) for k in names if given.get(k) is not None}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text[:_LONG]


def _differing(given: list[dict[str, str]]) -> set[str]:
    keys = {k for one in given for k in one}
    return {k for k in keys if len({one.get(k) for one in given}) > 1}


# ---------------------------------------------------------------- read once


def once(runs: Iterable[Run]) -> tuple[list[Run], list[Note]]:
    """The runs without those that lie there in another form, or were repeated."""
    runs = list(runs)
    kept, notes = _one_of_each(runs)
    kept, older = _newest(with_variants(kept))
    return kept, [*notes, *older]


def _one_of_each(runs: list[Run]) -> tuple[list[Run], list[Note]]:
    best: dict[Any, Run] = {}
    for place, run in enumerate(runs):
        key = _identity(run) or place
        if key not in best or _richness(run) > _richness(best[key]):
            best[key] = run
    chosen = list(best.values())
    text = "the same run lies there in another file: read once"
    gone = [r.log.source.name for r in runs if all(r is not c for c in chosen)]
    return chosen, [Note("info", "same_run", text, name, 1) for name in gone]


def _identity(run: Run) -> tuple[Any, ...] | None:
    """Equal for two files of one run; older logs have no ``eval_id``."""
    said = run.eval
    if eval_id := text_of(said.get("eval_id")):
        return ("eval_id", eval_id)
    found = tuple(text_of(said.get(k)) for k in ("run_id", "task_id", "created", "model"))
    return found if found[0] and found[1] else None


def _richness(run: Run) -> tuple[bool, int, bool]:
    samples = run.log.samples
    return any(s.completion is not None for s in samples), len(samples), _done(run)


def _done(run: Run) -> bool:
    return run.status == "success"


def _newest(runs: list[Run]) -> tuple[list[Run], list[Note]]:
    """Of runs alike that share items the last that came to its end."""
    order = sorted(runs, key=lambda r: (_done(r), str(r.eval.get("created"))), reverse=True)
    seen: dict[tuple[Any, ...], set[Any]] = {}
    gone: list[Run] = []
    for run in order:
        # a run without samples gives one score: it repeats any other
        own = {(s.item, s.epoch) for s in run.log.samples}
        before = seen.get(run.setting)
        if before is not None and (not own or not before or own & before):
            gone.append(run)
        else:
            seen.setdefault(run.setting, set()).update(own)
    text = "older or unfinished runs of the same model, task and settings in one folder left out"
    notes = [Note("warning", "older_run", text, r.log.source.name, 1) for r in gone]
    return [r for r in runs if all(r is not g for g in gone)], notes
