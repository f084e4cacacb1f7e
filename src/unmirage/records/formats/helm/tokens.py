"""The completions of a request: text, tokens and log-probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.values import real

_BYTE = re.compile(r"\\x([0-9a-fA-F]{2})")
_BLANKS = 64  # bytes of blanks that may stand around an answer


@dataclass(frozen=True)
class Token:
    """One token; no log-probability is None."""

    text: bytes
    logprob: float | None
    top: Mapping[str, Any]  # the likeliest tokens in its place


@dataclass(frozen=True)
class Completion:
    """One answer."""

    text: str
    logprob: float
    tokens: Sequence[Any] = ()  # as in the file: most are never looked at


def completions(result: Any) -> list[Completion]:
    """The answers to a request, the likeliest first as HELM scores them; none where it failed.

    Raises:
        BadCell: the result is malformed.
    """
    if result is None or (isinstance(result, dict) and result.get("success") is False):
        return []
    listed = result.get("completions") if isinstance(result, dict) else None
    if not isinstance(listed, list):
        raise BadCell("result", "holds no list of completions", result)
    return sorted((_completion(one) for one in listed), key=lambda one: -one.logprob)


def _completion(given: Any) -> Completion:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise BadCell("completions", "holds an answer without a text", given)
    tokens = given.get("tokens")
    logprob = real(given.get("logprob"))
    return Completion(
        given["text"],
        -math.inf if logprob is None or math.isnan(logprob) else logprob,
        tokens if isinstance(tokens, list) else (),
    )


def token_of(given: Any) -> Token:
    """One token of the file.

    Raises:
        BadCell: it has no text.
    """
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise BadCell("tokens", "holds a token without a text", given)
    logprob, top = real(given.get("logprob")), given.get("top_logprobs")
    return Token(
        bytes_of(given["text"]),
        logprob if logprob is not None and math.isfinite(logprob) else None,
        top if isinstance(top, dict) else {},
    )


def bytes_of(text: str) -> bytes:
    r"""What a token stands for: parts of characters are written ``bytes:\xe2\x80``.

    >>> bytes_of("bytes:\\xe2\\x80"), bytes_of("\u2581a")
    (b'\xe2\x80', b' a')
    """
    if text.startswith("bytes:"):
        return bytes(int(pair, 16) for pair in _BYTE.findall(text))
    return text.replace("\u2581", " ").encode("utf-8", "replace")


def all_zero(answers: Iterable[Completion]) -> bool:
    """Whether there are log-probabilities and each is 0: some clients write so what they lack."""
    some = False
    for answer in answers:
        for token in answer.tokens:
            value = token.get("logprob") if isinstance(token, dict) else None
            if value is not None and value != 0:
                return False
            some = some or value is not None
    return some


def logprob_of(tokens: Sequence[Any], answer: str) -> float | None:
    """The log-probability of an answer at the end of a prompt that was echoed; None where no token
    begins with it, or one has no log-probability. A blank before it belongs to it."""
    want = answer.strip().encode("utf-8", "replace")
    got = b""
    values: list[float | None] = []
    at = len(tokens)
    while at and len(got.strip()) < len(want) and len(got) <= len(want) + _BLANKS:
        at -= 1
        token = token_of(tokens[at])
        if token.text.strip() or values:
            got = token.text + got
            values.append(token.logprob)
    if not want or got.strip() != want:
        return None
    if at and not got[:1].isspace() and (blank := token_of(tokens[at - 1])).text == b" ":
        values.append(blank.logprob)
    known = [v for v in values if v is not None]
    return math.fsum(known) if len(known) == len(values) else None


def top_logprobs(completion: Completion, labels: Sequence[str]) -> list[float] | None:
    """The log-probability of each label in the place of the first token; None where one lacks."""
    if not completion.tokens:
        return None
    best: dict[str, float] = {}
    for text, given in token_of(completion.tokens[0]).top.items():
        value, label = real(given), text.replace("\u2581", " ").strip()
        if value is not None and math.isfinite(value):
            best[label] = max(value, best.get(label, -math.inf))
    found = [best[label] for label in labels if label in best]
    return found if found and len(found) == len(labels) else None
