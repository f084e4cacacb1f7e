"""Which files are HELM's, and which run each belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.jsonfile import content_of, head_of
from unmirage.records.formats.values import part, whole
from unmirage.records.sniff import Source
from unmirage.records.tables import absolute, refuse_damaged
from unmirage.types import Note

SPEC, STATE = "run_spec.json", "scenario_state.json"
ITEMS, TOTALS = "per_instance_stats.json", "stats.json"
#: how each file begins, without spaces; those not read are claimed too, or they'd pass as tables
_STARTS = {
    SPEC: rb'\{"name":"',
    STATE: rb'\{"adapter_spec":\{|\{"request_states":\[',
    ITEMS: rb'\[\{"(instance_id|perturbation|train_trial_index|stats)":',
    TOTALS: rb'\[\{"name":\{"name":"',
    "scenario.json": rb'\{("name"|"definition_path")',
    "instances.json": rb'\[\{"(input|references)":',
    "display_predictions.json": rb'\[\{"instance_id":',
    "display_requests.json": rb'\[\{"instance_id":',
    "run_specs.json": rb'\[\{"name":.*"scenario_spec":',
    "runs.json": rb'\[\{"run_spec":',
}
_BESIDE = ("scenario.json", "instances.json")  # HELM's only beside a run: the names are common
_NOT_TASK = {"model", "model_deployment", "method", "max_train_instances"}  # other columns say it
_MEND = "keep the run_spec.json of the run beside its other files"


def is_log(source: Source) -> bool:
    """Whether a file is one that HELM writes into a run's folder, or a summary of runs."""
    name = source.path.name
    if name not in _STARTS or not (head := b"".join(head_of(source).split())):
        return False
    beside = (source.path.parent / SPEC).is_file() or (source.path.parent / STATE).is_file()
    if name in _BESIDE or head == b"[]":
        return beside and head[:1] in b"[{"
    return re.match(_STARTS[name], head, re.DOTALL) is not None


@dataclass(frozen=True, eq=False)
class Run:
    """One folder: one model on one scenario."""

    folder: Path
    sources: Mapping[str, Source]  # file name -> the file, of those named or found
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A file of the run, for messages about the whole."""
        return next(iter(self.sources.values())).name

    def head(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that are the same in every row.

        Raises:
            FileProblem: nothing says which model ran.
        """
        adapter = part(self.spec, "adapter_spec") or part(state, "adapter_spec")
        task, args = split_name(_text(self.spec.get("name")) or self.folder.name)
        model = _text(adapter.get("model")) or _text(adapter.get("model_deployment"))
        model = model or args.get("model", "").replace("_", "/", 1)
        if not model:
            what = "nothing says which model ran: there is no run_spec.json"
            raise FileProblem(what, file=self.name, mend=_MEND)
        shots = whole(adapter.get("max_train_instances"))
        rest = ",".join(f"{k}={v}" for k, v in args.items() if k not in _NOT_TASK)
        return {
            "model": model,
            "task": f"{task}:{rest}" if rest else task,
            "format": _text(adapter.get("method")) or args.get("method"),
            "shots": shots if shots is not None and shots >= 0 else None,
        }


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """The scenario and its arguments in the name of a run or of its folder.

    >>> split_name("mmlu:subject=anatomy,model=openai_gpt2")
    ('mmlu', {'subject': 'anatomy', 'model': 'openai_gpt2'})
    """
    found = re.match(r"([^:=,]+)[:-]([^:=,]+=.*)$", name, re.DOTALL)
    if not found:
        return name, {}
    pairs = (pair.partition("=") for pair in found[2].split(","))
    return found[1], {key: value for key, _, value in pairs}


def runs_of(sources: Iterable[Source], skip_bad: bool, notes: list[Note]) -> list[Run]:
    """The runs that the files belong to, each with its specification.

    Raises:
        FileProblem: a specification that is not JSON (skip_bad: done without, with a note).
    """
    folders: dict[Path, dict[str, Source]] = {}
    for source in sources:
        folders.setdefault(absolute(source.path).parent, {})[source.path.name] = source
    runs = []
    for files in folders.values():
        with_results = bool({STATE, ITEMS, TOTALS} & files.keys())
        _refuse_damaged(files, with_results, skip_bad, notes)
    for folder, files in folders.items():
        if not {STATE, ITEMS, TOTALS} & files.keys():
            if SPEC in files:
                text = "runs without results: only the specification is there"
                notes.append(Note("info", "no_scores", text, files[SPEC].name, 1))
            continue
        runs.append(Run(folder, files, _spec(folder, files, skip_bad, notes)))
    return runs


def _refuse_damaged(
    files: Mapping[str, Source], with_results: bool, skip_bad: bool, notes: list[Note]
) -> None:
    """What is not read must at least be whole: it may be a file of results under another name."""
    read = {STATE, ITEMS, TOTALS, *([SPEC] if with_results else [])}
    for source in (s for name, s in files.items() if name not in read):
        try:
            refuse_damaged(source)
        except FileProblem:
            if not skip_bad:
                raise
            notes.append(Note("warning", "bad_file", "a file left out", source.name, 1))


def _spec(
    folder: Path, files: Mapping[str, Source], skip_bad: bool, notes: list[Note]
) -> Mapping[str, Any]:
    path = folder / SPEC
    source = files.get(SPEC) or Source(path, str(path), "json")
    if not path.is_file():
        return {}
    try:
        content = content_of(source)
    except FileProblem:
        if not skip_bad and SPEC in files:
            raise
        text = "a run_spec.json that is not JSON left out"
        notes.append(Note("warning", "bad_file", text, source.name, 1))
        content = {}
    return content if isinstance(content, dict) else {}
