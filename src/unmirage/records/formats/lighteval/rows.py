"""One row of details in canonical fields, of any version of lighteval."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.records.formats.cells import BadCell, likeliest_is_right
from unmirage.records.formats.lighteval.files import Facts, shots_of
from unmirage.records.formats.literal import value_of
from unmirage.records.formats.values import real
from unmirage.records.jsonlines import json_text

Row = Mapping[str, Any]
#: columns of old details that are no scores
OWN = {"example", "instruction", "full_prompt", "predictions", "prediction_logits", "pred_logits"}
OWN |= {"input_tokens", "cont_tokens", "truncated", "padded", "gold", "choices", "gold_index"}
OWN |= {"num_effective_few_shots", "num_asked_few_shots", "metrics", "specifics", "hashes", "hash"}
OWN |= {"judement_prompt", "judgement_prompt", "judgement", "text", "id", "__index_level_0__"}
#: the metrics that count an answer right or wrong, the strictest first
_EXACT: tuple[str, ...] = (
    "exact_match",
    "em",
    "quasi_exact_match",
    "qem",
    "prefix_exact_match",
    "pem",
)
_EXACT += ("extractive_match", "expr_gold_metric")
_ACCURACY = ("acc", "loglikelihood_acc", "accuracy")


@dataclass(frozen=True)
class Answer:
    """One document as one kind of request was answered."""

    name: str  # of the document: a hash of its text
    kind: str  # "text", "choices", "likelihood" or "nothing"
    prompt: str | None
    fields: Mapping[str, Any]  # canonical columns, without the output
    outputs: tuple[str, ...] = ()  # one an answer
    tokens: tuple[list[int], ...] = ()  # ids of each output
    scores: Mapping[str, float] = field(default_factory=dict)  # lighteval's own
    lost: int = 0  # its scores that are NaN or infinite
    shots: int | None = None
    fewer: bool = False  # the prompt held fewer examples than asked
    ours: float | None = None  # right (1) or wrong (0) by this package's rule
    theirs: float | None = None  # the same by lighteval


@dataclass(frozen=True)
class _Said:
    """A row of either schema in one form."""

    query: str | None
    prompt: str | None
    choices: list[str]
    right: list[int]
    targets: list[str]
    texts: list[str]
    logs: list[float]
    tokens: list[list[int]]
    metrics: Mapping[str, Any]
    asked: Any = None
    effective: Any = None


def answer_of(row: Row, facts: Facts) -> Answer:
    """One row as an answer.

    Raises:
        BadCell: a cell that cannot be read.
    """
    said = _new(row) if "model_response" in row else _old(row)
    if said.query is None:
        raise BadCell("example", "is empty")
    values = {
        m: v
        for m, x in said.metrics.items()
        if facts.is_mean(m) and not m.endswith("_stderr") and (v := real(x)) is not None
    }
    scores = {m: v for m, v in values.items() if math.isfinite(v)}
    kind, fields = _fields(said)
    asked, effective = shots_of(said.asked), shots_of(said.effective)
    return Answer(
        _name(said),
        kind,
        said.prompt or said.query,
        fields,
        tuple(said.texts) if kind == "text" else (),
        tuple(said.tokens) if kind == "text" and len(said.tokens) == len(said.texts) else (),
        scores,
        len(values) - len(scores),
        asked,
        asked is not None and effective is not None and effective < asked,
        _ours(kind, fields, said.texts),
        _theirs(kind, scores),
    )


def _name(said: _Said) -> str:
    """A name that is the same for every model: winogrande asks two items by one text, which differ
    in their choices."""
    # in newer versions the right answers of a text are its choices
    told = [said.query, *dict.fromkeys([*said.choices, *said.targets]), "", *said.targets]
    text = "\0".join(t or "" for t in told).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


# ---------------------------------------------------------------- the two schemas


def _old(row: Row) -> _Said:
    """Columns of plain or stringified lists (until 0.10, and the first leaderboard)."""
    choices, right = _texts(row, "choices"), _wholes(row, "gold_index")
    targets = _texts(row, "gold") or [choices[i] for i in right if i < len(choices)]
    texts, logs = _predictions(_cell(row, "predictions"))
    given = _object(row, "metrics")
    if not given:  # the first files had a column a metric
        given = {k: v for k, v in row.items() if k not in OWN and isinstance(v, (bool, int, float))}
    prompt = _text(row.get("full_prompt"))
    return _Said(
        _text(row.get("example")) or prompt,
        prompt,
        choices,
        right,
        targets,
        texts,
        logs,
        _ids(_cell(row, "cont_tokens")),
        given,
        row.get("num_asked_few_shots"),
        row.get("num_effective_few_shots"),
    )


def _new(row: Row) -> _Said:
    """Columns ``doc``, ``model_response`` and ``metric``."""
    doc, response = _object(row, "doc"), _object(row, "model_response")
    choices, right = _texts(doc, "choices"), _wholes(doc, "gold_index")
    shown = response.get("input")
    texts = _texts(response, "text_post_processed") or _texts(response, "text")
    logs = _reals(response, "logprobs")
    # beside a text that was generated they are those of its tokens
    if texts and not response.get("argmax_logits_eq_gold"):
        logs = []
    return _Said(
        _text(doc.get("query")),
        shown if isinstance(shown, str) else None,
        choices,
        right,
        [choices[i] for i in right if i < len(choices)],
        [] if logs else texts,
        logs,
        _ids(_cell(response, "output_tokens")),
        _object(row, "metric"),
    )


def _predictions(given: Any) -> tuple[list[str], list[float]]:
    """(texts, log-likelihoods) in a list of predictions: texts, lists of texts, pairs of a text
    and its logits, numbers, or pairs of a number and whether it was the likeliest."""
    listed = given if isinstance(given, list) else [given]
    if len(listed) == 1 and isinstance(listed[0], list) and len(listed[0]) > 2:
        listed = listed[0]  # all choices in one request
    texts: list[str] = []
    logs: list[float] = []
    for one in listed:
        if isinstance(one, list):
            if one and all(isinstance(v, str) for v in one):
                texts += one
                continue
            one = one[0] if one else None
            one = one[0] if isinstance(one, list) and one else one
        if isinstance(one, str):
            texts.append(one)
        elif one is not None:
            value = None if isinstance(one, bool) else real(one)
            if value is None:
                raise BadCell("predictions", "is neither text nor a log-likelihood", one)
            logs.append(value)
    if texts and logs:
        raise BadCell("predictions", "mixes texts and log-likelihoods", given)
    return texts, logs


# ---------------------------------------------------------------- canonical fields


def _fields(said: _Said) -> tuple[str, dict[str, Any]]:
    """(kind of answer, the canonical columns that it fills)."""
    if said.texts:
        return "text", {"targets": said.targets or None}
    logs, count = said.logs, len(said.choices)
    if not logs:
        return "nothing", {}
    if any(math.isnan(v) for v in logs):
        raise BadCell("predictions", "holds a NaN as a log-likelihood", logs)
    if count < 2 and len(logs) == 1:
        # of the whole target: there are no values of its tokens
        target = {"targets": said.targets or said.choices or None}
        return "likelihood", {**target, "metric": "log_likelihood", "score": logs[0]}
    if count > 1 and len(logs) == 2 * count:
        logs = logs[:count]  # asked again without the question, to subtract
    if count > 1 and len(logs) != count:
        raise BadCell("predictions", f"holds {len(logs)} log-likelihoods of {count} choices")
    fields: dict[str, Any] = {"choice_logprobs": logs, "choices": said.choices or None}
    right = sorted(set(said.right))
    if not right or right[-1] >= len(logs):
        return "choices", fields
    if len(right) == 1:
        return "choices", {**fields, "target_index": right[0]}
    return "choices", {**fields, "choice_credit": [float(i in right) for i in range(len(logs))]}


def _ours(kind: str, fields: Mapping[str, Any], texts: list[str]) -> float | None:
    if kind == "text" and len(texts) == 1 and fields["targets"]:
        return float(texts[0].strip() in {t.strip() for t in fields["targets"]})
    if kind != "choices":
        return None
    return likeliest_is_right(fields)


def _theirs(kind: str, scores: Mapping[str, float]) -> float | None:
    names = {"text": _EXACT, "choices": _ACCURACY}.get(kind, ())
    return next((scores[n] for n in names if n in scores), None)


# ---------------------------------------------------------------- cells


def _cell(row: Row, key: str) -> Any:
    """A cell; what was written as text of a list or an object is read."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip().startswith(("[", "{", "(")):
        return None if value in ("None", "") else value
    try:
        return value_of(value)
    except ValueError as e:
        raise BadCell(key, f"cannot be read ({e})", value) from e


def _object(row: Row, key: str) -> Mapping[str, Any]:
    found = _cell(row, key)
    if found is not None and not isinstance(found, dict):
        raise BadCell(key, "is no object", found)
    return found or {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value not in ("", "None") else None


def _texts(row: Row, key: str) -> list[str]:
    found = _cell(row, key)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    return [t for v in listed if (t := json_text(v)) is not None]


def _wholes(row: Row, key: str) -> list[int]:
    found = _cell(row, key)
    values = [shots_of(v) for v in (found if isinstance(found, list) else [found])]
    return [v for v in values if v is not None]


def _reals(row: Row, key: str) -> list[float]:
    found = _cell(row, key)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    values = [real(v) for v in listed if not isinstance(v, bool)]
    if len(values) < len(listed) or any(v is None for v in values):
        raise BadCell(key, "is no list of numbers", found)
    return [v for v in values if v is not None]


def _ids(found: Any) -> list[list[int]]:
    """Ids of tokens, a list an answer; nothing where they are of another form."""
    rows = found if isinstance(found, list) else []
    plain = [r for r in rows if isinstance(r, list) and all(type(v) is int for v in r)]
    fit = all(-(2**63) <= v < 2**63 for r in plain for v in r)
    return plain if fit and len(plain) == len(rows) else []
