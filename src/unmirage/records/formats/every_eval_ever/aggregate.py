"""What an aggregate record of the every-eval-ever schema says: one model and its scores."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.jsonfile import head_of
from unmirage.records.formats.values import part, real, whole
from unmirage.records.jsonlines import MAX_LIST, Decoder
from unmirage.records.sniff import Source
from unmirage.records.table import guard

_HEAD = 2_000  # bytes in which a record shows itself
_STEP = re.compile(r"^(?:global)?[-_]?step[-_]?(\d{1,15})$", re.IGNORECASE)
_FILTER = re.compile(r"^(.*?) \(filter: (.{1,100})\)$", re.DOTALL)
_WORD = re.compile(r"^[\w@.+-]{1,40}$")
_SHOTS = ("num_fewshot", "num_few_shot", "n_shot", "num_shots", "shots", "n_fewshot")
_PARAMS = ("num_parameters", "model_num_parameters", "n_parameters", "parameter_count")
_BILLIONS = ("params_billions", "parameters_billions", "num_parameters_billions")
_UNKNOWN = ("", "unknown", "none", "n/a")


@dataclass(frozen=True)
class Result:
    """One score of a record."""

    id: str | None
    name: str  # evaluation_name
    task: str
    filter: str | None
    metric: str | None
    higher: bool | None
    unknown_level: bool  # a score of -1 stands for "unknown"
    row: Mapping[str, Any]  # canonical aggregate columns; score may be None

    @property
    def has_score(self) -> bool:
        return self.row["score"] is not None


@dataclass(frozen=True, eq=False)
class Log:
    """One record: one model, several scores."""

    source: Source
    id: str
    identity: Mapping[str, Any]  # model, params, step, variant
    age: float
    results: tuple[Result, ...] = ()
    lost: int = 0  # scores that are no finite numbers, or unknown
    percent: int = 0  # scores divided by 100
    rows: int | None = None  # of samples, as the record says

    def results_of(self, line: Mapping[str, Any]) -> list[Result]:
        """The scores that a sample may belong to: by its id, else by its name, else all."""
        wanted, name = line.get("evaluation_result_id"), line.get("evaluation_name")
        found = [r for r in self.results if r.id is not None and r.id == wanted]
        return found or [r for r in self.results if r.name == name] or list(self.results)


def is_record(source: Source) -> bool:
    """Whether a file begins as a record does."""
    head = head_of(source, _HEAD)
    keys = (b'"schema_version"', b'"evaluation_id"')
    return head.startswith(b"{") and all(k in head for k in keys)


def read_record(source: Source) -> Log:
    """One file as a record.

    Raises:
        FileProblem: it is no JSON, or lacks what the schema asks for.
    """
    with guard(source.name):
        if source.path.stat().st_size > MAX_LIST:
            raise FileProblem("is larger than 1 GiB", file=source.name)
        try:
            content = Decoder()(source.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        except ValueError as e:
            mend = "it may be cut short: repair it, or read with skip_bad (--skip-bad)"
            raise FileProblem(f"is not JSON ({str(e)[:120]})", file=source.name, mend=mend) from e
        return _log(source, content if isinstance(content, dict) else {})


def _log(source: Source, content: Mapping[str, Any]) -> Log:
    info = part(content, "model_info")
    model = text(info.get("id")) or text(info.get("name"))
    listed = content.get("evaluation_results")
    if model is None or not isinstance(listed, list):
        mend = "see the schema of every-eval-ever: model_info.id and evaluation_results"
        raise FileProblem("names no model, or holds no results", file=source.name, mend=mend)
    identity = {**_model(model, part(info, "additional_details")), "variant": _variant(content)}
    made = [_result(one, identity) for one in listed if isinstance(one, dict)]
    results = [result for result, _ in made]
    return Log(
        source,
        text(content.get("evaluation_id")) or "",
        identity,
        _age(content),
        tuple(results),
        sum(not r.has_score for r in results) + len(listed) - len(made),
        sum(scaled for _, scaled in made),
        whole(part(content, "detailed_evaluation_results").get("total_rows")),
    )


def _model(name: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that name a model; its details are texts of free keys."""
    found = next((v for k in _PARAMS if (v := real(details.get(k)))), None)
    billions = next((v for k in _BILLIONS if (v := real(details.get(k)))), None)
    if found is None and billions is not None:
        found = billions * 1e9
    revision = text(details.get("revision")) or ""
    step = _STEP.match(revision)
    if revision not in ("", "main", "None") and not step:
        name = f"{name}@{revision}"
    params = found if found is not None and 0 < found < math.inf else None
    return {"model": name, "params": params, "step": float(step[1]) if step else None}


def _variant(content: Mapping[str, Any]) -> str | None:
    """Who measured, and with which tool: scores of two sources are not of one curve."""
    told = (
        part(content, "source_metadata").get("source_organization_name"),
        part(content, "eval_library").get("name"),
    )
    known = [t for t in told if isinstance(t, str) and t.strip().lower() not in _UNKNOWN]
    return " / ".join(dict.fromkeys(known)) or None


def _age(content: Mapping[str, Any]) -> float:
    """When it was measured, else when it was recorded (seconds); 0 where no number says."""
    told = (real(content.get(k)) for k in ("evaluation_timestamp", "retrieved_timestamp"))
    return next((t for t in told if t is not None and math.isfinite(t)), 0.0)


# ---------------------------------------------------------------- scores


def _result(one: Mapping[str, Any], identity: Mapping[str, Any]) -> tuple[Result, bool]:
    """One score, and whether it was in percent."""
    config, details = part(one, "metric_config"), part(one, "score_details")
    name = text(one.get("evaluation_name")) or "evaluation"
    metric, kept = _metric(config)
    task = task_of(name, kept, text(part(one, "source_data").get("dataset_name")))
    lower, unknown = config.get("lower_is_better"), config.get("has_unknown_level") is True
    score = real(details.get("score"))
    if score is not None and (not math.isfinite(score) or (unknown and score == -1)):
        score = None
    stderr, count = _uncertainty(details, part(one, "source_data"))
    percent = _is_percent(config) and score is not None
    if percent and score is not None:
        score, stderr = score / 100, None if stderr is None else stderr / 100
    row = {
        **identity,
        "task": task,
        "filter": kept,
        "shots": _shots(one),
        "metric": metric or "score",
        "score": score,
        "stderr": stderr,
        "n_samples": count,
        "higher_is_better": not lower if isinstance(lower, bool) else None,
    }
    id_ = text(one.get("evaluation_result_id"))
    higher = row["higher_is_better"]
    return Result(id_, name, task, kept, metric, higher, unknown, row), percent


def task_of(name: str, kept: str | None, dataset: str | None) -> str:
    """The task that an evaluation's name stands for; it may only name the scorer.

    >>> task_of("gsm8k/strict", "strict", "gsm8k"), task_of("choice", None, "ai2_arc")
    ('gsm8k', 'ai2_arc/choice')
    """
    name = name.removesuffix(f"/{kept}") if kept else name
    plain, data = (re.sub(r"\W|_", "", n).lower() for n in (name, dataset or ""))
    return name if not data or data in plain or plain in data else f"{dataset}/{name}"


def _metric(config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(metric, filter): converted logs of lm-eval name both in the description only."""
    said = text(config.get("evaluation_description")) or ""
    filtered = _FILTER.match(said)
    word, kept = (filtered[1], filtered[2]) if filtered else (said, None)
    named = (text(config.get(k)) for k in ("metric_id", "metric_name", "metric_kind"))
    return next((n for n in named if n), word if _WORD.match(word) else None), kept


def _uncertainty(
    details: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """(standard error, number of items). ``samples_number`` is the size of the data set, of which
    a run may have used a part: it is not read."""
    told = part(details, "uncertainty")
    error = told.get("standard_error")
    stderr = real(error.get("value") if isinstance(error, dict) else error)
    count = real(told.get("num_samples"))
    used = data.get("sample_ids")
    if count is None and isinstance(used, list) and used:
        count = float(len(used))
    return stderr, count


def _is_percent(config: Mapping[str, Any]) -> bool:
    unit = str(config.get("metric_unit")).strip().lower()
    top = real(config.get("max_score"))
    return unit in ("percent", "percentage", "%") and (top is None or top == 100)


def _shots(one: Mapping[str, Any]) -> int | None:
    settings = part(one, "generation_config", "additional_details")
    told = (whole(settings.get(k)) for k in _SHOTS)
    return next((n for n in told if n is not None and n >= 0), None)


def text(value: Any) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value.strip() else None
