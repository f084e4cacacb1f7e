"""Lines of samples decoded into just the fields that are read.

Nearly all lines of a file look alike. The first one of a block tells their form, and the others are
decoded into exactly that form: what is not read (the document, the raw responses) becomes no
objects. Lines of any other form are :class:`Irregular` and are read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from operator import attrgetter, ne
from typing import Any

import msgspec

from unmirage.records.formats.lm_eval.rows import KEYS, OWN

MOST_SCORES = 200  # names of scores in one line
_ARGUMENTS, _METRICS = attrgetter("arguments"), attrgetter("metrics")
EMPTY = msgspec.Raw(b'""')
_TEXT = msgspec.json.Decoder(str)
KINDS = ("generate_until", "multiple_choice", "loglikelihood")


class Irregular(Exception):
    """Lines that are not all of the one usual form."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A prompt and what stands beside it: settings of the generation."""

    arg_0: str
    arg_1: msgspec.Raw = msgspec.Raw()


class _Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A prompt, which is the same for all choices, and its continuation."""

    arg_0: msgspec.Raw
    arg_1: str


class _AskedList(_Asked, array_like=True, gc=False):
    """The same as older versions write it."""


class _PairList(_Pair, array_like=True, gc=False):
    """The same as older versions write it."""


class _Likelihood(msgspec.Struct, array_like=True, gc=False):
    """``[logprob, is_greedy]``."""

    value: str | float


@lru_cache(maxsize=100)
def _decoder(keys: tuple[str, ...], names: tuple[str, ...], kind: str, listed: bool) -> Any:
    """A decoder of lines with these keys, of which ``names`` are scores."""
    written = kind == "generate_until"
    call: Any = (_AskedList if listed else _Asked) if written else _PairList if listed else _Pair
    answer: Any = str if written else _Likelihood
    types: dict[str, Any] = {
        "doc_id": Any,
        "target": Any,
        "arguments": list[call] if listed else dict[str, call],
        "filtered_resps": list[answer],
        "filter": str | None,
        "metrics": list[str] | None,
        "doc_hash": str | None,
    }
    must = ("doc_id", "arguments", "filtered_resps")
    fields: list[Any] = [(c, t) if c in must else (c, t, None) for c, t in types.items()]
    for i, name in enumerate(names):
        fields.append((f"score_{i}", Any, msgspec.field(name=name, default=None)))
    rest = [k for k in keys if k not in types and k not in names]
    for i, name in enumerate(rest):
        fields.append((f"skip_{i}", msgspec.Raw, msgspec.field(name=name, default=msgspec.Raw())))
    struct = msgspec.defstruct("Line", fields, kw_only=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(struct)


def typed(lines: Sequence[bytes], kind: str | None) -> tuple[list[Any], tuple[str, ...]]:
    """The lines as structs, and the names of the scores: ``score_0`` is the first of them.

    Raises:
        Irregular: the lines are not all alike, or of a form that is not known here.
    """
    if not lines:
        raise Irregular
    try:
        first = msgspec.json.decode(lines[0])
        names = _names(first) if kind in KINDS else None
        if kind is None or names is None:
            raise Irregular
        decode = _decoder(tuple(first), names, kind, isinstance(first["arguments"], list)).decode
        rows = [decode(line) for line in lines]
    except (ValueError, RecursionError, TypeError) as e:
        raise Irregular from e
    named = list(names) if "metrics" in first else None
    if rows[0].metrics != named or any(map(ne, map(_METRICS, rows), repeat(named))):
        raise Irregular
    return rows, names


def _names(first: Any) -> tuple[str, ...] | None:
    """The names of the scores in a line; None where it is of another form."""
    if not isinstance(first, dict) or not first.keys() >= KEYS or "arguments" not in first:
        return None
    # older versions do not list them
    named = first["metrics"] if "metrics" in first else sorted(first.keys() - OWN)
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        return None
    plain = len(set(named)) == len(named) <= MOST_SCORES and OWN.isdisjoint(named)
    return tuple(named) if plain else None


def calls_of(rows: Sequence[Any]) -> list[list[Any]]:
    """The requests of each line in their order.

    Raises:
        Irregular: a line has none, or they are numbered in another order.
    """
    if isinstance(rows[0].arguments, list):
        calls = list(map(_ARGUMENTS, rows))
    else:
        for keys in {*map(tuple, map(_ARGUMENTS, rows))}:
            if list(keys) != sorted(keys, key=lambda k: (len(k), k)):
                raise Irregular
        calls = [list(row.arguments.values()) for row in rows]
    if not all(calls):
        raise Irregular
    return calls


def prompts_of(calls: Sequence[list[Any]]) -> list[str | None]:
    """The prompt of the first request of each line.

    Raises:
        Irregular: it is no text.
    """
    first = [call[0].arg_0 for call in calls]
    if isinstance(first[0], str):
        return first
    try:
        return list(map(_TEXT.decode, first))
    except ValueError as e:
        raise Irregular from e
