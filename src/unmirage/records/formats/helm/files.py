"""Which files are of a HELM run, and what the files of one run folder hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from unmirage.errors import FileProblem
from unmirage.records.formats.lm_eval.results import part
from unmirage.records.formats.skim import skim
from unmirage.records.jsonlines import MAX_LIST, Decoder
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import absolute
from unmirage.types import Note

#: file -> what its first bytes hold
_MARKS = {
    "scenario_state.json": (b'"adapter_spec"',),
    "run_spec.json": (b'"scenario_spec"', b'"adapter_spec"'),
    "per_instance_stats.json": (b'"instance_id"',),
    "stats.json": (b'"sum_squared"',),
    "scenario.json": (b'"definition_path"',),
}
#: files that HELM makes of these for its pages
_COPIES = ("instances.json", "display_predictions.json", "display_requests.json")
_HEAD = 4096  # bytes in which a file shows itself
#: parts of a run's name that have a column of their own, or name the model
_NOT_TASK = {"model", "model_deployment", "method", "data_augmentation"}
_NOT_TASK |= {"max_train_instances", "num_train_trials"}


class _Request(msgspec.Struct):
    prompt: Any = None


class _State(msgspec.Struct):
    """The keys of a request that are read."""

    instance: Any = None
    train_trial_index: Any = 0
    reference_index: Any = None
    request_mode: Any = None
    output_mapping: Any = None
    request: _Request | None = None
    result: Any = None
    num_train_instances: Any = None
    num_conditioning_tokens: Any = 0


class _States(msgspec.Struct):
    adapter_spec: Any = None
    request_states: list[_State] | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """What one run folder holds; what is not there is empty."""

    source: Source  # the file that rows are counted in
    name: str  # as HELM names the run
    spec: Mapping[str, Any]  # how prompts were made: the adapter
    states: tuple[Any, ...] = ()  # requests and results
    per_instance: tuple[Any, ...] = ()
    stats: tuple[Any, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def task(self) -> str:
        """The run's name without what has a column of its own.

        ``mmlu:subject=anatomy,method=multiple_choice_joint,model=x`` is ``mmlu:subject=anatomy``.
        """
        scenario, _, rest = self.name.partition(":")
        parts = re.split(r",(?=[\w.]+=)", rest) if rest else []
        kept = [p for p in parts if p.partition("=")[0] not in _NOT_TASK]
        return f"{scenario}:{','.join(kept)}" if kept else scenario

    @property
    def method(self) -> str | None:
        return _text(self.spec.get("method"))

    @property
    def model(self) -> str:
        named = _text(self.spec.get("model")) or _text(self.spec.get("model_deployment"))
        said = re.search(r"(?:^|[:,])model=([^,]+)", self.name)
        return named or (said[1].replace("_", "/", 1) if said else self.source.path.parent.name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def is_log(source: Source) -> bool:
    """Whether a file is of a HELM run, by its name and its first bytes."""
    if source.kind != "json":
        return False
    name = source.path.name
    with guard(source.name):
        if name in _COPIES:
            return _is_run_spec(source.path.parent / "run_spec.json")
        if name not in _MARKS:
            return False
        with source.path.open("rb") as f:
            head = f.read(_HEAD)
        if not head.strip() or head.split() == [b"[]"]:
            return _is_run_spec(source.path.parent / "run_spec.json")
        return any(mark in head for mark in _MARKS[name])


def _is_run_spec(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as f:
        head = f.read(_HEAD)
    return any(mark in head for mark in _MARKS["run_spec.json"])


def runs_of(sources: Iterable[Source], skip_bad: bool) -> tuple[list[Run], list[Note]]:
    """One run for each folder in which a file was named or found.

    Raises:
        FileProblem: a file that is damaged or cut short (skip_bad: left out and counted).
    """
    folders: dict[Path, list[Source]] = {}
    for source in sources:
        folders.setdefault(absolute(source.path).parent, []).append(source)
    notes: list[Note] = []
    runs = [_run(group, skip_bad, notes) for group in folders.values()]
    found = [r for r in runs if r.states or r.per_instance or r.stats]
    kept: dict[tuple[str, str], Run] = {}
    for run in sorted(found, key=lambda r: r.source.name):
        kept[run.name, run.model] = run
    text = "runs of the same name in another folder left out: the last by name is read"
    gone = [r for r in found if kept[r.name, r.model] is not r]
    notes += [Note("warning", "older_run", text, r.source.name, 1) for r in gone]
    return [r for r in found if kept[r.name, r.model] is r], notes


def _run(group: list[Source], skip_bad: bool, notes: list[Note]) -> Run:
    folder = group[0].path.parent
    reader = _Reader(folder, skip_bad, notes)
    spec = reader.read("run_spec.json", Any)
    spec = spec if isinstance(spec, dict) else {}
    states = reader.read("scenario_state.json", _States)
    states = states if isinstance(states, dict) else {}
    adapter = part(states, "adapter_spec") or part(spec, "adapter_spec")
    listed = states.get("request_states")
    per_instance = reader.read("per_instance_stats.json", Any)
    stats = reader.read("stats.json", Any)
    order = ("scenario_state.json", "per_instance_stats.json", "stats.json")
    path = next((folder / n for n in order if (folder / n).is_file()), group[0].path)
    return Run(
        next((s for s in group if s.path == path), Source(path, str(path), "json")),
        _text(spec.get("name")) or absolute(folder).name,
        adapter,
        tuple(listed) if isinstance(listed, list) else (),
        tuple(per_instance) if isinstance(per_instance, list) else (),
        tuple(stats) if isinstance(stats, list) else (),
        tuple(reader.replaced()),
    )


class _Reader:
    """Reads the files of one folder."""

    def __init__(self, folder: Path, skip_bad: bool, notes: list[Note]) -> None:
        self.folder, self.skip_bad, self.notes = folder, skip_bad, notes
        self.decode = Decoder()

    def read(self, name: str, shape: Any) -> Any:
        """The value in one file; None where it is not there."""
        path = self.folder / name
        with guard(str(path)):
            if not path.is_file():
                return None
            try:
                if path.stat().st_size > MAX_LIST:
                    raise ValueError("larger than 1 GiB")
                return skim(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), shape, self.decode)
            except ValueError as e:
                if not self.skip_bad:
                    raise FileProblem(
                        f"is not JSON ({str(e)[:120]})",
                        file=str(path),
                        mend="it may be cut short: copy it again, or leave it out with skip_bad "
                        "(--skip-bad)",
                    ) from e
        text = "files of HELM runs that are not JSON left out"
        self.notes.append(Note("warning", "bad_log", text, str(path), 1))
        return None

    def replaced(self) -> list[Note]:
        if not self.decode.replaced:
            return []
        text = "records held bytes or escapes that are no text; read as U+FFFD"
        return [Note("warning", "bad_text", text, str(self.folder), self.decode.replaced)]
