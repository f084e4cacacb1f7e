"""The requests of a HELM run in canonical fields.

One instance is one request, or one for each answer option (methods ``multiple_choice_separate_*``):
the log-probability of an option is then that of the tokens with which its request ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unmirage.records.formats.lm_eval.results import part, real, whole
from unmirage.records.jsonlines import json_text

Fields = dict[str, Any]
#: keys of a perturbation that do not tell two of them apart
_NO_SETTING = ("name", "robustness", "fairness", "computed_on")


class BadRequest(ValueError):
    """A request that cannot be read; says which key."""

    def __init__(self, key: str, what: str, value: Any = None) -> None:
        super().__init__(what)
        self.key, self.value = key, value


@dataclass(frozen=True)
class Key:
    """What one answer is an answer to."""

    item: str
    trial: int
    variant: str | None  # the perturbation; None for the instance itself


@dataclass
class Group:
    """The requests about one instance in one trial."""

    key: Key
    place: int  # 1-based, of the first request
    requests: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def instance(self) -> Mapping[str, Any]:
        return part(self.requests[0], "instance")

    @property
    def setting(self) -> Fields:
        """The columns that hold for each row of this instance."""
        split, sub = self.instance.get("split"), self.instance.get("sub_split")
        return {
            "split": split if isinstance(split, str) else None,
            "subtask": sub if isinstance(sub, str) else None,
        }


def key_of(item: Any, trial: Any, perturbation: Any) -> Key:
    """The key of an instance.

    Raises:
        BadRequest: it has no name, or no trial.
    """
    number = whole(trial)
    if not isinstance(item, (str, int)) or isinstance(item, bool):
        raise BadRequest("id", "names no instance", item)
    if number is None or number < 0:
        raise BadRequest("train_trial_index", "is no whole number", trial)
    return Key(str(item)[:10_000], number, variant_of(perturbation))


def variant_of(perturbation: Any) -> str | None:
    """The name of a perturbation with its settings; None where there is none.

    >>> variant_of({"name": "typos", "prob": 0.1, "robustness": True}), variant_of(None)
    ('typos(prob=0.1)', None)
    """
    if not isinstance(perturbation, dict) or not perturbation:
        return None
    name = json_text(perturbation.get("name")) or "perturbed"
    if name == "identity":
        return None
    more = sorted((k, v) for k, v in perturbation.items() if k not in _NO_SETTING)
    told = ", ".join(f"{k}={json_text(v)}" for k, v in more)[:200]
    return f"{name}({told})" if told else name


def group_key(row: Any) -> Key:
    """The key of the instance that a request is about.

    Raises:
        BadRequest: there is none.
    """
    if not isinstance(row, dict) or not isinstance(row.get("instance"), dict):
        raise BadRequest("instance", "is not there")
    instance = row["instance"]
    trial = row.get("train_trial_index", 0)
    return key_of(instance.get("id"), trial, instance.get("perturbation"))


# ---------------------------------------------------------------- parts of a request


@dataclass(frozen=True)
class Reference:
    text: str
    right: bool


def references(instance: Mapping[str, Any]) -> list[Reference]:
    """The possible answers of an instance."""
    listed = instance.get("references")
    found = []
    for one in listed if isinstance(listed, list) else []:
        text = part(one, "output").get("text") if isinstance(one, dict) else None
        tags = one.get("tags") if isinstance(one, dict) else None
        right = isinstance(tags, list) and "correct" in tags
        found.append(Reference(text if isinstance(text, str) else "", right))
    return found


def completion(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first answer to a request; None where the request failed."""
    result = part(request, "result")
    listed = result.get("completions")
    if result.get("success") is False or not isinstance(listed, list) or not listed:
        return None
    return listed[0] if isinstance(listed[0], dict) else None


def completions(request: Mapping[str, Any]) -> int:
    """How many answers were asked for at once."""
    listed = part(request, "result").get("completions")
    return len(listed) if isinstance(listed, list) else 0


@dataclass(frozen=True)
class Token:
    text: str
    logprob: float | None


def tokens(answer: Mapping[str, Any]) -> list[Token]:
    """The tokens of an answer with their log-probabilities, where these are numbers."""
    listed = answer.get("tokens")
    found = []
    for one in listed if isinstance(listed, list) else []:
        row = one if isinstance(one, dict) else {}
        value, text = real(row.get("logprob")), row.get("text")
        fine = value is not None and math.isfinite(value)
        found.append(Token(text if isinstance(text, str) else "", value if fine else None))
    return found


def ending(found: Sequence[Token], text: str) -> list[Token]:
    """The last tokens, as many as spell ``text``; empty where they do not.

    >>> [t.text for t in ending([Token("Q:", 0.0), Token(" a", -1.0), Token(" b", -2.0)], "a b")]
    [' a', ' b']
    """
    spelt, wanted = "", text.strip()
    for count, token in enumerate(reversed(found), 1):
        spelt = token.text + spelt
        if spelt.strip() == wanted:
            return list(found[-count:])
        if len(spelt.strip()) > len(wanted):
            break
    return []


# ---------------------------------------------------------------- by method


def fields_of(group: Group, method: str | None) -> Fields | None:
    """What the model answered; None where nothing can be read of it (a request failed)."""
    prompt = part(group.requests[0], "request").get("prompt")
    if method is not None and method.startswith("multiple_choice_separate"):
        found = _separate(group)
    elif method == "language_modeling":
        found = _modelled(group)
    elif group.requests[0].get("reference_index") is not None:
        return None  # rankings: only the scores
    else:
        found = _generated(group)
    return {"prompt": prompt if isinstance(prompt, str) else None, **found} if found else None


def _rights(right: Sequence[int], count: int) -> Fields:
    if len(right) == 1:
        return {"target_index": right[0]}
    return {"choice_credit": [float(i in right) for i in range(count)]} if right else {}


def _generated(group: Group) -> Fields | None:
    """Generated text; where options are named by letters the right letters are the targets."""
    asked = [r for r in group.requests if r.get("request_mode") in (None, "original")]
    if len(asked) != 1:
        raise BadRequest("instance", f"is asked {len(asked)} times in one trial", group.key.item)
    request = asked[0]
    answer = completion(request)
    if answer is None or not isinstance(answer.get("text"), str):
        return None
    known = references(group.instance)
    mapping = request.get("output_mapping")
    if not isinstance(mapping, dict) or not mapping:
        targets = [r.text for r in known if r.right]
        return {"output": answer["text"], "targets": targets or None}
    letters, texts = list(mapping), [json_text(v) or "" for v in mapping.values()]
    if [r.text for r in known] == texts:
        right = [i for i, r in enumerate(known) if r.right]
    else:
        true = {r.text for r in known if r.right}
        right = [i for i, text in enumerate(texts) if text in true]
    return {
        "output": answer["text"],
        "targets": [letters[i] for i in right] or None,
        "choices": texts,
        "choice_logprobs": _letters(answer, letters),
        **_rights(right, len(texts)),
    }


def _letters(answer: Mapping[str, Any], letters: list[str]) -> list[float] | None:
    """The log-probabilities of all letters as the first token, which older versions keep."""
    listed = answer.get("tokens")
    first = listed[0] if isinstance(listed, list) and listed else None
    top = part(first, "top_logprobs") if isinstance(first, dict) else {}
    named = {k.strip(): v for k, raw in top.items() if (v := real(raw)) is not None}
    if len(named) < len(top) or not all(letter in named for letter in letters):
        return None
    found = [named[letter] for letter in letters]
    return found if all(math.isfinite(v) for v in found) else None


def _separate(group: Group) -> Fields | None:
    """One request for each option."""
    known = references(group.instance)
    asked: dict[int, Mapping[str, Any]] = {}
    for request in group.requests:
        place = whole(request.get("reference_index"))
        if place is not None and request.get("request_mode") in (None, "original"):
            if place in asked:
                raise BadRequest("reference_index", "is asked twice of one instance", place)
            asked[place] = request
    ends: list[list[Token]] = []
    for place, reference in enumerate(known):
        answer = completion(asked[place]) if place in asked else None
        end = ending(tokens(answer), reference.text) if answer is not None else []
        if not end or any(t.logprob is None for t in end):
            return None
        ends.append(end)
    right = [i for i, r in enumerate(known) if r.right]
    logs = [[t.logprob for t in end if t.logprob is not None] for end in ends]
    fields: Fields = {
        "choices": [r.text for r in known],
        "choice_logprobs": [sum(one) for one in logs],
        **_rights(right, len(known)),
    }
    if len(right) == 1:
        text = known[right[0]].text
        size = len(text.encode(errors="replace"))
        fields |= {"targets": [text], "token_logprobs": logs[right[0]], "target_bytes": size}
    return fields if known else None


def _modelled(group: Group) -> Fields | None:
    """A text that the model was not asked to answer but to predict, in one window or several."""
    logs: list[float] = []
    for request in group.requests:
        answer = completion(request)
        if answer is None:
            return None
        skip = max(0, whole(request.get("num_conditioning_tokens")) or 0)
        found = tokens(answer)[skip:]
        if any(t.logprob is None for t in found):
            return None
        logs += [t.logprob for t in found if t.logprob is not None]
    return {"token_logprobs": logs} if logs else None
