"""One line of a ``samples_<task>_<date>.jsonl`` of lm-evaluation-harness 0.4 in canonical fields.

A line holds one document under one filter: the prompts (``arguments``), what the model gave back
(``resps``, after the filter ``filtered_resps``), the target and the harness' own scores. The
harness turns whatever stands in ``resps`` and in ``target`` into text before it writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from unmirage.records.cells import whole_list
from unmirage.records.formats.cells import BadCell, likeliest_is_right
from unmirage.records.formats.lm_eval.results import TaskFacts
from unmirage.records.formats.values import real, whole
from unmirage.records.jsonlines import json_text

#: keys of a line that are no scores
OWN = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
OWN |= {"doc_hash", "prompt_hash", "target_hash", "prompt", "task_name"}
KEYS = {"doc_id", "target", "filtered_resps"}  # every line has them
Fields = dict[str, Any]


#: the harness' own score of right and wrong, by output type
RIGHT = {"generate_until": "exact_match", "multiple_choice": "acc"}


class Item(msgspec.Struct, frozen=True):
    """One document under one filter."""

    doc_id: Any
    name: str  # doc_hash, else doc_id
    filter: str | None
    fields: Fields  # canonical sample columns
    scores: dict[str, float] = {}  # the harness' own
    lost: int = 0  # its scores that are NaN or infinite
    more: int = 0  # further answers to the same prompt
    ours: float | None = None  # right (1) or wrong (0) by this package's rule
    theirs: float | None = None  # the same by the harness


def item_of(row: Mapping[str, Any], task: TaskFacts) -> Item:
    """One line as an item.

    Raises:
        BadCell: what the task's kind needs is missing or malformed.
    """
    doc_id = row.get("doc_id")
    name = row.get("doc_hash") or doc_id
    if name is None or isinstance(name, (list, dict)):
        raise BadCell("doc_id", "is empty")
    arguments, answers = _arguments(row), _answers(row)
    values = _values(row, task)
    finite = all(map(math.isfinite, values.values()))
    scores = values if finite else {m: v for m, v in values.items() if math.isfinite(v)}
    lost = len(values) - len(scores)
    kind = task.kind if task.kind in _READERS else guess_kind(arguments, answers)
    fields = _READERS[kind](row, arguments, answers, task, scores)
    value = fields.get("score")
    if value is not None and not math.isfinite(value):
        fields["score"], lost = None, lost + 1
    if "metric" in fields:
        scores.pop(fields["metric"], None)
    kept = row.get("filter")
    fields["prompt"] = _prompt(arguments)
    return Item(
        doc_id,
        str(name),
        kept if isinstance(kept, str) and kept else None,
        fields,
        scores,
        lost,
        _further(answers) if kind == "generate_until" else 0,
        _ours(kind, fields),
        scores.get(RIGHT.get(kind, "")),
    )


# ---------------------------------------------------------------- parts of a line


def _arguments(row: Mapping[str, Any]) -> list[list[Any]]:
    """The arguments of each request: ``gen_args_0: {arg_0, arg_1}`` or, once, plain lists."""
    given = row.get("arguments")
    if isinstance(given, dict):
        given = [given[k] for k in _in_order(tuple(given))]
    requests = given if isinstance(given, list) else []
    return [
        [r[k] for k in _in_order(tuple(r))]
        if isinstance(r, dict)
        else (r if isinstance(r, list) else [r])
        for r in requests
    ]


@lru_cache(maxsize=1000)
def _in_order(keys: tuple[str, ...]) -> list[str]:
    """``arg_10`` after ``arg_9``."""
    return sorted(keys, key=lambda k: (len(k), k))


def _answers(row: Mapping[str, Any]) -> list[Any]:
    """What the model gave back to each request: after the filter, else the first response."""
    found = row.get("filtered_resps")
    if isinstance(found, list) and found:
        return found
    found = row.get("resps")
    if not isinstance(found, list) or not found:
        raise BadCell("filtered_resps", "is empty, and so is 'resps'", found)
    return [r[0] if isinstance(r, list) and r else r for r in found]


def _prompt(arguments: list[list[Any]]) -> str | None:
    return json_text(arguments[0][0]) if arguments and arguments[0] else None


def _values(row: Mapping[str, Any], task: TaskFacts) -> dict[str, float]:
    """The harness' scores of this item; what is no number, or no share of a mean, is none."""
    named = row.get("metrics")
    names = named if isinstance(named, list) else sorted(row.keys() - OWN)
    found = {}
    for name in names:
        if isinstance(name, str) and name not in task.no_means:
            value = real(row.get(name))
            if value is not None:
                found[name] = value
    return found


def guess_kind(arguments: list[list[Any]], answers: list[Any]) -> str:
    """The output type of a line, where no results file says it.

    >>> guess_kind([["Q:", {"until": []}]], ["four"]), guess_kind([["Q:", " 4"]], [["-1", "True"]])
    ('generate_until', 'loglikelihood')
    """
    told = arguments[0][1] if arguments and len(arguments[0]) > 1 else None
    pairs = all(isinstance(a, list) and len(a) == 2 and real(a[0]) is not None for a in answers)
    numbers = all(real(a) is not None for a in answers)
    if isinstance(told, dict) or not (pairs or numbers):
        return "generate_until"
    if len(answers) > 1:
        return "multiple_choice"
    if arguments and len(arguments[0]) == 1 and numbers:
        return "loglikelihood_rolling"
    return "loglikelihood" if pairs else "generate_until"


# ---------------------------------------------------------------- by output type


def _generated(
    row: Mapping[str, Any], arguments: list[list[Any]], answers: list[Any], *_: Any
) -> Fields:
    first = answers[0]
    if isinstance(first, list):
        first = first[0] if first else None
    return {"output": json_text(first), "targets": targets_of(row.get("target"))}


def _likelihood(
    row: Mapping[str, Any], arguments: list[list[Any]], answers: list[Any], *_: Any
) -> Fields:
    """The log-likelihood of the whole target: there are no values of its tokens, so it is
    reported as a score in nats."""
    value = _loglik(answers[0])
    return {"targets": targets_of(row.get("target")), "metric": "log_likelihood", "score": value}


def _rolling(
    row: Mapping[str, Any], arguments: list[list[Any]], answers: list[Any], *_: Any
) -> Fields:
    return {"metric": "log_likelihood", "score": _loglik(answers[0])}


def _chosen(
    row: Mapping[str, Any],
    arguments: list[list[Any]],
    answers: list[Any],
    task: TaskFacts,
    scores: Mapping[str, float],
) -> Fields:
    logs = [_loglik(a) for a in answers]
    arguments = arguments if len(arguments) == len(logs) else []
    if count := _unconditional(arguments):
        arguments, logs = arguments[:count], logs[:count]
    texts = [a[1] if len(a) > 1 and isinstance(a[1], str) else None for a in arguments]
    known = [t.removeprefix(task.delimiter) for t in texts if t is not None]
    if len(known) != len(logs):
        known = []
    if len(known) > 1 and len(set(known)) == 1:
        # winogrande: the choices stand in the prompts, before the same ending
        right = indices(row.get("target"), [], len(logs)) or right_by_score(logs, scores.get("acc"))
        known = []
    else:
        right = indices(row.get("target"), known, len(logs))
    fields: Fields = {"choice_logprobs": logs, "choices": known or None}
    if len(right) == 1:
        fields["target_index"] = right[0]
    elif right:
        fields["choice_credit"] = [float(i in right) for i in range(len(logs))]
    return fields


_READERS: dict[str, Callable[..., Fields]] = {
    "generate_until": _generated,
    "loglikelihood": _likelihood,
    "loglikelihood_rolling": _rolling,
    "multiple_choice": _chosen,
}


def _loglik(answer: Any) -> float:
    """The log-likelihood in ``[logprob, is_greedy]``, which may be nested once more."""
    found = answer
    while isinstance(found, list) and found:
        found = found[0]
    value = real(found)
    if value is None or isinstance(found, bool):
        raise BadCell("filtered_resps", "is no log-likelihood", answer)
    return value


def _unconditional(arguments: list[list[Any]]) -> int:
    """For ``acc_mutual_info`` each choice is asked again without a prompt: how many come before."""
    half, odd = divmod(len(arguments), 2)
    if odd or not half or not arguments[-1] or arguments[-1][0] != "":
        return 0
    empty = [bool(a) and a[0] == "" for a in arguments]
    return half if all(empty[half:]) and not any(empty[:half]) else 0


def indices(target: Any, choices: list[str], count: int) -> list[int]:
    """The places of the right choices: a number, a list of numbers, or the text of a choice."""
    if isinstance(target, str) and target.strip().startswith("["):
        try:
            target = whole_list(target)
        except ValueError:
            return []
    listed = target if isinstance(target, list) else [target]
    found = []
    for one in listed:
        place = whole(one)
        if place is None and isinstance(one, str):
            same = [i for i, c in enumerate(choices) if c.strip() == one.strip()]
            place = same[0] if len(same) == 1 else None
        if place is None or not 0 <= place < count:
            return []
        found.append(place)
    return sorted(set(found))


def right_by_score(logs: list[float], score: float | None) -> list[int]:
    """Of two choices, the right one by the harness' accuracy."""
    if len(logs) != 2 or score not in (0.0, 1.0) or logs[0] == logs[1]:
        return []
    if any(math.isnan(v) for v in logs):
        return []
    best = int(logs[1] > logs[0])
    return [best if score == 1.0 else 1 - best]


def targets_of(target: Any) -> list[str] | None:
    """The right answers; a list of texts may have been written as its Python text.

    >>> targets_of("['Paris', 'paris']"), targets_of("[1, 2]"), targets_of(7)
    (['Paris', 'paris'], ['[1, 2]'], ['7'])
    """
    if target is None:
        return None
    if isinstance(target, str) and target.startswith("["):
        try:
            listed = whole_list(target)
        except ValueError:
            return [target]
        if listed and all(isinstance(v, str) for v in listed):
            return listed
        return [target]
    if isinstance(target, list):
        return [t for v in target if (t := json_text(v)) is not None] or None
    text = json_text(target)
    return None if text is None else [text]


def _further(answers: list[Any]) -> int:
    return len(answers[0]) - 1 if isinstance(answers[0], list) and answers[0] else 0


def _ours(kind: str, fields: Fields) -> float | None:
    """Whether the answer is right by this package's exact match or accuracy."""
    if kind == "generate_until":
        answer, targets = fields["output"], fields["targets"]
        if answer is None or targets is None:
            return None
        return float(answer.strip() in {t.strip() for t in targets})
    if kind != "multiple_choice" or any(math.isnan(v) for v in fields["choice_logprobs"]):
        return None
    return likeliest_is_right(fields)
