"""Tokens with log-probabilities, and which of them are the target's.

A log-probability belongs to the target only where the target was part of the prompt: tokens of a
text that the model wrote itself say nothing of the target, not even where the two are equal (only
right answers would have one).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from unmirage.records.formats.values import real

#: servers write this where a token was not among the likeliest, or for minus infinity
_UNKNOWN = -9999.0


class Token(NamedTuple):
    """One token as a server reports it."""

    text: str
    logprob: float | None = None  # nats
    id: int | None = None
    best: bool | None = None  # was it the likeliest?
    top: Any = None  # the likeliest texts at its place, as the server wrote them


@dataclass(frozen=True)
class Forced:
    """The tokens of a target that was part of the prompt."""

    logprobs: list[float]
    ids: list[int] | None
    correct: list[bool] | None


def tokens_of(logprobs: Any) -> list[Token]:
    """The tokens in ``logprobs`` of a choice: of completions, of chats, or Together's."""
    if not isinstance(logprobs, dict):
        return []
    content = logprobs.get("content")
    if isinstance(content, list):
        return [_chat_token(t) for t in content if isinstance(t, dict)]
    texts, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(texts, list) or not isinstance(values, list) or len(texts) != len(values):
        return []
    ids, tops = logprobs.get("token_ids"), logprobs.get("top_logprobs")
    ids = ids if isinstance(ids, list) and len(ids) == len(texts) else [None] * len(texts)
    tops = tops if isinstance(tops, list) and len(tops) == len(texts) else [None] * len(texts)
    return [_token(*one) for one in zip(texts, values, ids, tops, strict=True)]


def _chat_token(one: Mapping[str, Any]) -> Token:
    return _token(one.get("token"), one.get("logprob"), one.get("id"), one.get("top_logprobs"))


def _token(text: Any, value: Any, id_: Any, top: Any) -> Token:
    return Token(text if isinstance(text, str) else "", _number(value), _id(id_), None, top)


def likeliest(token: Token) -> dict[str, float]:
    """The likeliest texts at a token's place: a dictionary, or in chats a list of objects.

    >>> likeliest(Token("a", top=[{"token": "a", "logprob": -0.5}]))
    {'a': -0.5}
    """
    top = token.top
    if isinstance(top, list):
        pairs = [t for t in top if isinstance(t, dict)]
        top = {t["token"]: t.get("logprob") for t in pairs if isinstance(t.get("token"), str)}
    if not isinstance(top, dict):
        return {}
    return {str(k): n for k, v in top.items() if (n := _number(v)) is not None}


def _is_best(token: Token) -> bool | None:
    """Whether a token was the likeliest at its place; None where nothing says."""
    if token.best is not None or token.logprob is None:
        return token.best
    top = likeliest(token)
    return token.logprob >= max(top.values()) - 1e-9 if top else None


def prompt_tokens(listed: Any, ids: Any) -> list[Token]:
    """The tokens of a prompt in vLLM's ``prompt_logprobs``: at each place the likeliest ids and
    the one that stood there."""
    if not isinstance(listed, list):
        return []
    there = ids if isinstance(ids, list) and len(ids) == len(listed) else [None] * len(listed)
    return [_prompt_token(place, _id(one)) for place, one in zip(listed, there, strict=True)]


def _prompt_token(place: Any, id_: int | None) -> Token:
    if not isinstance(place, dict) or not place:
        return Token("", None, id_)
    key = str(id_) if id_ is not None else next(reversed(place)) if len(place) == 1 else None
    entry = place.get(key) if key is not None else None
    if not isinstance(entry, dict):
        return Token("", None, id_)
    rank, text = real(entry.get("rank")), entry.get("decoded_token")
    number = _number(entry.get("logprob"))
    return Token(
        text if isinstance(text, str) else "",
        number,
        id_ if id_ is not None else _id(key),
        None if rank is None else rank == 1,
    )


def _number(value: Any) -> float | None:
    found = None if isinstance(value, (bool, str)) else real(value)
    return found if found is not None and found > _UNKNOWN and math.isfinite(found) else None


def _id(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**62 else None


# ---------------------------------------------------------------- the target's part


def before(tokens: Sequence[Token], text: str) -> list[Token] | None:
    """The first tokens, which spell a text; None where no number of tokens does.

    >>> [t.text for t in before([Token("ab"), Token("c"), Token("d")], "abc")]
    ['ab', 'c']
    """
    length = 0
    for place, token in enumerate(tokens):
        if length >= len(text):
            return list(tokens[:place])
        if place == 0 and token.logprob is None and not text.startswith(token.text):
            continue  # a mark of the beginning, which is no text of the prompt
        if not text.startswith(token.text, length):
            return None
        length += len(token.text)
    return list(tokens) if length == len(text) else None


def target_part(tokens: Sequence[Token], target: str) -> list[Token] | None:
    """The last tokens, which spell a target; None where its start is within a token.

    White space before the target may belong to its first token.

    >>> [t.text for t in target_part([Token("2+2="), Token(" "), Token("4")], "4")]
    ['4']
    """
    wanted, found = target, ""
    for place in range(len(tokens) - 1, -1, -1):
        found = tokens[place].text + found
        if found == wanted or (found.lstrip() == wanted.lstrip() and found.lstrip()):
            return list(tokens[place:])
        if len(found.lstrip()) > len(wanted):
            return None
    return None


def forced(tokens: Sequence[Token]) -> Forced | None:
    """What the tokens of a target say; None where one of them has no log-probability."""
    values = [t.logprob for t in tokens if t.logprob is not None]
    if not tokens or len(values) < len(tokens):
        return None
    ids = [t.id for t in tokens if t.id is not None]
    best = [b for t in tokens if (b := _is_best(t)) is not None]
    return Forced(
        values,
        ids if len(ids) == len(tokens) else None,
        best if len(best) == len(tokens) else None,
    )


def of_choices(token: Token, choices: Sequence[str]) -> list[float] | None:
    """The log-probability of each choice as the next token; None where one is not among the
    likeliest: it is not known then, and not 0.

    >>> of_choices(Token("A", top={"A": -0.5, " A": -3.0, "B": -1.5}), ["A", "B"])
    [-0.4211..., -1.5]
    """
    likely = likeliest(token)
    if len({c.strip() for c in choices}) < len(choices):
        return None
    found = []
    for choice in choices:
        same = [v for t, v in likely.items() if t.strip() == choice.strip()]
        if not same:
            return None
        top = max(same)
        found.append(min(0.0, top + math.log(math.fsum(math.exp(v - top) for v in same))))
    return found
