"""Which files are logs of lighteval, which results belong to which details, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.errors import FileProblem
from unmirage.records.formats.jsonfile import head_of
from unmirage.records.formats.lm_eval.files import split_name
from unmirage.records.formats.lm_eval.results import Run
from unmirage.records.formats.values import part, real, whole
from unmirage.records.jsonlines import MAX_LIST, Decoder
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import absolute
from unmirage.types import Note

NEW = {"doc", "model_response", "metric"}  # columns of details since lighteval 0.11
_OLD = {"predictions", "full_prompt"}  # before
_ALSO = {"metrics", "gold_index", "gold", "choices"}  # one of them is there as well
_RESULTS = {"config_general", "results"}
_HEAD = 400  # bytes in which results show themselves
_STEP = re.compile(r"^(?:global)?[-_]?step[-_]?(\d{1,15})$", re.IGNORECASE)
_MEANS = ("mean", "nanmean", "np.mean", "average")
#: metrics whose items hold a log-likelihood, a pair or a count instead of a share of a mean
_NO_MEANS = re.compile(r"(?:^|_)(?:ppl|perplexity|bits_per_byte|bleu|chrf|ter)", re.IGNORECASE)


@dataclass(frozen=True)
class TaskName:
    """``suite|task:subset|shots`` in its parts."""

    name: str  # with the suite, without the shots
    shots: int | None


def is_log(source: Source) -> bool:
    """Whether a file holds details or results."""
    if source.kind == "parquet":
        columns = _columns(source.path)
        return is_details(columns) or _is_results_table(source, columns)
    return source.kind == "json" and _is_results_file(source)


def is_details(columns: Iterable[str]) -> bool:
    """Whether these are the columns of details, of any version."""
    there = set(columns)
    return there >= NEW or (there >= _OLD and bool(there & _ALSO))


def _columns(path: Path) -> set[str]:
    try:
        return set(pl.read_parquet_schema(path))
    except (Exception, pl.exceptions.PanicException):  # damaged: told when it is read as a table
        return set()


def _is_results_table(source: Source, columns: set[str]) -> bool:
    return columns >= _RESULTS and source.path.name.startswith("results")


def _is_results_file(source: Source) -> bool:
    head = head_of(source, _HEAD)
    return head.startswith(b"{") and b'"config_general"' in head


def task_of(text: str) -> TaskName:
    """The task and the shots in ``suite|task|shots``; older versions add a fourth part.

    >>> task_of("harness|arc:challenge|25"), task_of("gsm8k|5").name, task_of("arc").shots
    (TaskName(name='harness|arc:challenge', shots=25), 'gsm8k', None)
    """
    parts = text.split("|")
    if len(parts) == 4 and parts[3] in ("0", "1"):
        parts = parts[:3]  # whether examples may be left out
    if len(parts) > 1 and parts[-1].isdecimal() and len(parts[-1]) < 4:
        return TaskName("|".join(parts[:-1]), int(parts[-1]))
    return TaskName(text, None)


def flat(name: str) -> str:
    """A task's name as compared: files on some systems bear ``_`` for ``|`` and ``:``."""
    return re.sub(r"\W", "_", name)


def date_of(source: Source) -> tuple[str, str]:
    """(task or nothing, date or nothing) in the name of a file."""
    name, date = split_name(source.stem)
    return name.removeprefix("details_"), date


# ---------------------------------------------------------------- results


def read_run(source: Source) -> Run | None:
    """The run behind one file of results; None where it holds something else.

    Raises:
        FileProblem: it is no JSON.
    """
    with guard(source.name):
        content = _content(source)
    results, general = part(content, "results"), part(content, "config_general")
    if not results and not general:
        return None
    return _run(content, absolute(source.path).parent.name)


def _content(source: Source) -> dict[str, Any]:
    if source.kind == "parquet":
        row = pl.read_parquet(source.path, n_rows=1, glob=False).to_dicts()
        cells = {k: v for r in row for k, v in r.items() if isinstance(v, str)}
        return {k: _decoded(v.encode(), source.name) for k, v in cells.items()}
    if source.path.stat().st_size > MAX_LIST:
        raise FileProblem("is larger than 1 GiB", file=source.name)
    found = _decoded(source.path.read_bytes().removeprefix(b"\xef\xbb\xbf"), source.name)
    return found if isinstance(found, dict) else {}


def _decoded(raw: bytes, name: str) -> Any:
    try:
        return Decoder()(raw)
    except ValueError as e:
        mend = "it may be cut short: repair it, or read with skip_bad (--skip-bad)"
        raise FileProblem(f"is not JSON ({str(e)[:120]})", file=name, mend=mend) from e


def _run(content: Mapping[str, Any], folder: str) -> Run:
    general = part(content, "config_general")
    config = part(general, "model_config")
    named = general.get("model_name") or config.get("model_name")
    name = named if isinstance(named, str) and named.strip() else folder.replace("__", "/")
    revision = config.get("revision")
    revision = revision if isinstance(revision, str) else ""
    step = _STEP.match(revision)
    if revision not in ("", "main", "None") and not step:
        name = f"{name}@{revision}"
    chat = general.get("use_chat_template") or config.get("use_chat_template")
    # a size of memory such as "476.2 MB" is no number of parameters
    return Run(name, None, float(step[1]) if step else None, "chat" if chat else None, content)


def model_from_path(path: Path) -> str:
    """The model that the folders of some details are named after.

    >>> model_from_path(Path("out/details/org/tiny-70m/2024-01-01T00-00-00.1/details_x.parquet"))
    'org/tiny-70m'
    """
    folders = list(absolute(path).parent.parts)
    while len(folders) > 1 and re.match(r"\d{4}-\d{2}-\d{2}T", folders[-1]):
        folders.pop()
    if "details" in folders:
        below = folders[len(folders) - folders[::-1].index("details") :]
        if below:
            return "/".join(below)
    return folders[-1].removeprefix("details_").replace("__", "/")


class Runs:
    """All results that were given or lie where lighteval puts them, each read once."""

    def __init__(self, sources: Iterable[Source], skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self.notes: list[Note] = []
        self._seen: dict[Path, Run | None] = {}
        self.given: list[tuple[Source, Run]] = []
        named = {s.path.with_suffix("") for s in sources if s.kind == "json"}
        for source in sources:
            if source.kind == "parquet" and source.path.with_suffix("") in named:
                continue  # the same results once more
            if (run := self._read(source)) is not None:
                self.given.append((source, run))

    def _read(self, source: Source) -> Run | None:
        where = absolute(source.path)
        if where not in self._seen:
            try:
                self._seen[where] = read_run(source)
            except FileProblem:
                if not self.skip_bad:
                    raise
                self._seen[where] = None
                text = "results that are not JSON left out"
                self.notes.append(Note("warning", "bad_results", text, source.name, 1))
        return self._seen[where]

    def of(self, details: Source) -> Run | None:
        """The run that wrote some details: results of the same date, of the model in the path."""
        date = date_of(details)[1]
        if not date:
            return None
        found = [run for s, run in self.given if date_of(s)[1] == date]
        found = found or [run for p in _places(details.path, date) if (run := self._disk(p))]
        if len(found) > 1:
            path = str(absolute(details.path)).replace("__", "/")
            found = [run for run in found if run.model.strip("/") in path]
        return found[0] if len(found) == 1 else None

    def _disk(self, path: Path) -> Run | None:
        """Results that nobody gave: bad ones are no reason to stop."""
        source = Source(path, str(path), "json")
        try:
            return self._read(source) if path.is_file() and _is_results_file(source) else None
        except FileProblem:
            self._seen[absolute(path)] = None
            return None


def _places(path: Path, date: str) -> list[Path]:
    """Where the results of some details may lie."""
    here = absolute(path).parent
    name = f"results_{date}.json"
    tops = [here, *list(here.parents)[:1]]
    parts = list(here.parts)
    if "details" in parts:
        at = len(parts) - 1 - parts[::-1].index("details")
        model = [p for p in parts[at + 1 :] if p != date]
        tops.append(Path(*parts[:at], "results", *model))
    return [top / name for top in dict.fromkeys(tops)]


# ---------------------------------------------------------------- what results say of a task


@dataclass(frozen=True)
class Facts:
    """One task as its configuration describes it."""

    version: str | None
    count: float | None
    higher: Mapping[str, bool]
    no_means: frozenset[str]

    def is_mean(self, metric: str) -> bool:
        """Whether the score of the task is the mean of the items' values."""
        return metric not in self.no_means and not _NO_MEANS.search(metric)


def facts_of(content: Mapping[str, Any], task: TaskName) -> Facts:
    """What the results say of a task; unknown things are None or empty."""
    config = _entry(part(content, "config_tasks"), task)
    version = _entry(part(content, "versions"), task)
    config = config if isinstance(config, dict) else {}
    listed = config.get("metric") or config.get("metrics")
    higher: dict[str, bool] = {}
    no_means: set[str] = set()
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict):
            _metric_facts(one, higher, no_means)
    count = real(config.get("effective_num_docs"))
    return Facts(
        str(version) if isinstance(version, (str, int, float)) else None,
        count if count is not None and count > 0 else None,
        higher,
        frozenset(no_means),
    )


def _metric_facts(one: Mapping[str, Any], higher: dict[str, bool], no_means: set[str]) -> None:
    named = one.get("metric_name")
    names = [n for n in (named if isinstance(named, list) else [named]) if isinstance(n, str)]
    for name in names:
        better, function = one.get("higher_is_better"), one.get("corpus_level_fn")
        better = better.get(name) if isinstance(better, dict) else better
        function = function.get(name) if isinstance(function, dict) else function
        if isinstance(better, bool):
            higher[name] = better
        if isinstance(function, str) and function not in _MEANS:
            no_means.add(name)


def _entry(listed: Mapping[str, Any], task: TaskName) -> Any:
    """The entry of a task, whose key may or may not bear the shots."""
    wanted = flat(task.name)
    for key, value in listed.items():
        if flat(key) == wanted or flat(task_of(key).name) == wanted:
            return value
    return None


def scores(run: Run, task: str) -> list[dict[str, Any]]:
    """The aggregate scores of one task of the results."""
    named = task_of(task)
    facts = facts_of(run.content, named)
    found = part(run.content, "results", task)
    return [
        {
            "model": run.model,
            "step": run.step,
            "format": run.format,
            "task": named.name,
            "shots": named.shots,
            "task_version": facts.version,
            "metric": metric,
            "score": score,
            "stderr": real(found.get(f"{metric}_stderr")),
            "n_samples": facts.count,
            "higher_is_better": facts.higher.get(metric),
        }
        for metric, value in found.items()
        if not metric.endswith("_stderr") and (score := real(value)) is not None
    ]


def shots_of(value: Any) -> int | None:
    """A number of examples; lighteval writes -1 where it does not know."""
    found = whole(value)
    return found if found is not None and found >= 0 else None
