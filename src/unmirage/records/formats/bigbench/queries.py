"""The items of a full log: what the model answered to each prompt."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from unmirage.records.formats.bigbench.metric import ON_100, fits, higher_is_better
from unmirage.records.formats.bigbench.scores import Result, shots_of, subtask_of
from unmirage.records.formats.values import part, real

_PROGRAM = "programmatic"  # stands for the names of subtasks and shots that are not known
Row = dict[str, Any]
Scored = tuple[str | None, int | None, str]


def items(result: Result) -> tuple[list[Row], list[int], set[Scored]]:
    """Rows of all samples, the place of each, and which scores they have."""
    rows: list[Row] = []
    places: list[int] = []
    scored: set[Scored] = set()
    seen: Counter[tuple[Any, ...]] = Counter()
    place = 0
    for query in _objects(result.content.get("queries")):
        same = _setting(query, result.task)
        for sample in _objects(query.get("samples")):
            place += 1
            answer = _answer(query, sample, result)
            if answer is None:
                continue
            fields, found = answer
            key = (same["subtask"], same["shots"], fields["format"], _name(fields))
            seen[key] += 1
            item = key[-1] + (f"#{seen[key]}" if seen[key] > 1 else "")
            kept = {**same, "item": item, "format": fields["format"]}
            rows.append({**kept, **fields})
            rows += [{**kept, **row} for row in found]
            places += [place] * (1 + len(found))
            scored |= {(same["subtask"], same["shots"], row["metric"]) for row in found}
    return rows, places, scored


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return iter([v for v in value if isinstance(v, dict)] if isinstance(value, list) else [])


def _setting(query: Mapping[str, Any], task: str) -> Row:
    if query.get("task") in (None, _PROGRAM):
        return {"subtask": None, "shots": None}
    return {
        "subtask": subtask_of(query["task"], task),
        "shots": shots_of(query.get("shots")),
    }


def _name(fields: Row) -> str:
    """One name for one prompt with its answers, in the runs of all models."""
    answers = fields.get("choices") or fields.get("targets") or []
    said = "\0".join([fields["prompt"], *answers])
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]


def _answer(
    query: Mapping[str, Any], sample: Mapping[str, Any], result: Result
) -> tuple[Row, list[Row]] | None:
    if not isinstance(sample.get("input"), str):
        result.count("bad_rows", "items without a prompt left out")
        return None
    if query.get("function") == "generate_text":
        return _generated(sample, result)
    if "target_values" in sample:
        return _chosen(query, sample, result)
    result.count("not_read", "items that hold log-likelihoods of targets only are not read")
    return None


def _generated(sample: Mapping[str, Any], result: Result) -> tuple[Row, list[Row]] | None:
    if not isinstance(sample.get("output"), str):
        result.count("bad_rows", "items without an output left out")
        return None
    judged = part(sample, "targets")
    fields = {
        "format": "generate_text",
        "prompt": sample["input"],
        "output": sample["output"],
        "targets": list(judged) or None,
    }
    best: dict[str, float] = {}
    for target in judged:
        for metric, value in part(judged, target).items():
            score = _score(metric, value)
            if score is not None and higher_is_better(metric):
                best[metric] = max(score, best.get(metric, -math.inf))
    return fields, [_scored(m, v) for m, v in best.items()]


def _score(metric: str, value: Any) -> float | None:
    score = real(value)
    if score is None or not math.isfinite(score):
        return None
    score = score / 100 if metric in ON_100 else score
    return score if fits(metric, score) else None


def _scored(metric: str, score: float) -> Row:
    return {"metric": metric, "score": score, "higher_is_better": higher_is_better(metric)}


def _chosen(
    query: Mapping[str, Any], sample: Mapping[str, Any], result: Result
) -> tuple[Row, list[Row]] | None:
    choices, values = sample.get("targets"), part(sample, "target_values")
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        result.count("bad_rows", "items without options left out")
        return None
    credits = [real(values.get(c)) for c in choices]
    fields: Row = {"format": "multiple_choice", "prompt": sample["input"], "choices": choices}
    if credits and all(c is not None and math.isfinite(c) for c in credits):
        best = [i for i, c in enumerate(credits) if c == max(credits)]  # type: ignore[type-var]
        fields["choice_credit"] = credits
        fields["target_index"] = best[0] if len(best) == 1 else None
    fields["choice_logprobs"] = _logprobs(query, sample, len(choices), result)
    grade = _score("multiple_choice_grade", sample.get("correct"))
    return fields, [] if grade is None else [_scored("multiple_choice_grade", grade)]


def _logprobs(
    query: Mapping[str, Any], sample: Mapping[str, Any], count: int, result: Result
) -> list[float] | None:
    """The log-probability of each option. Normalised ones sum to 1 over the options, whatever the
    model thinks of them: they are none of the answer."""
    given = sample.get("absolute_scores")
    if given is None and query.get("absolute_normalization") is True:
        given = sample.get("scores")
    found = [real(v) for v in given] if isinstance(given, list) else []
    kept = [v for v in found if v is not None and math.isfinite(v) and v <= 1e-3]
    if len(kept) == count == len(found):
        return kept
    result.count("no_logprobs", "items without log-probabilities of the options themselves")
    return None
