"""One sample of an Inspect log in canonical fields.

A sample is one answer to one item in one epoch. Each scorer gives it a value (a letter for right,
wrong, partly right or no answer; a number; a truth value; several of these under names) and, often,
the answer that it found in what the model wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.values import real, whole
from unmirage.records.jsonlines import json_text

#: letters that Inspect writes, and words that it takes for numbers
POINTS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAX_ID = 10_000  # characters of the name of an item


class BadSample(ValueError):
    """A sample that cannot be read; says which key."""

    def __init__(self, key: str, what: str, value: Any = None) -> None:
        super().__init__(what)
        self.key, self.value = key, value


@dataclass(frozen=True)
class Score:
    """One value that one scorer gave."""

    scorer: str
    part: str | None  # the name of the value where a scorer gives several
    value: float | None  # None: not scored
    answer: str | None  # what the scorer took for the answer
    letter: bool = False  # right or wrong, not a number


@dataclass(frozen=True)
class Sample:
    """One answer to one item."""

    place: int  # 1-based, in the log
    item: str
    epoch: int
    prompt: str | None = None
    completion: str | None = None
    targets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    right: tuple[int, ...] = ()  # places of the right choices
    scores: tuple[Score, ...] = ()
    failed: bool = False  # an error stopped it, or it was declared invalid


def sample_of(row: Mapping[str, Any], place: int) -> Sample:
    """One sample of a log, or one of its summaries.

    Raises:
        BadSample: it does not say which item and epoch it is.
    """
    name, epoch = row.get("id"), whole(row.get("epoch", 1))
    if not isinstance(name, (str, int)) or isinstance(name, bool):
        raise BadSample("id", "names no item", name)
    if epoch is None or epoch < 0:
        raise BadSample("epoch", "is no whole number", row.get("epoch"))
    choices = _texts(row.get("choices"))
    targets = _texts(row.get("target"))
    kept = _attachments(row)
    return Sample(
        place,
        str(name)[:_MAX_ID],
        epoch,
        _resolved(_conversation(row.get("input")), kept),
        _resolved(_completion(row.get("output")), kept),
        targets,
        choices,
        _right(targets, len(choices)),
        _scores(row.get("scores")),
        bool(row.get("error") or row.get("invalidation")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(t for v in value if (t := json_text(v)) is not None)
    text = json_text(value)
    return () if text is None else (text,)


# ---------------------------------------------------------------- text


def _attachments(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Long texts that stand apart from where they are used."""
    transcript = row.get("transcript")
    older = transcript.get("content") if isinstance(transcript, dict) else None
    found = row.get("attachments") or older
    return found if isinstance(found, dict) else {}


def _resolved(text: str | None, kept: Mapping[str, Any]) -> str | None:
    """The text itself where only a reference to it stands; None where it is not in the log."""
    for mark in ("attachment://", "tc://"):
        if text is not None and text.startswith(mark) and len(text) < 200:
            found = kept.get(text.removeprefix(mark))
            return found if isinstance(found, str) else None
    return text


def _content(content: Any) -> str | None:
    """The text of a message: a text, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
    texts = [t for t in parts if isinstance(t, str)]
    return "\n".join(texts) if texts else None


def _conversation(given: Any) -> str | None:
    if not isinstance(given, list):
        return given if isinstance(given, str) else None
    texts = [_content(m.get("content")) for m in given if isinstance(m, dict)]
    return "\n\n".join(t for t in texts if t is not None) or None


def _completion(output: Any) -> str | None:
    """What the model wrote: older logs have it only in the first message."""
    if not isinstance(output, dict):
        return None
    if isinstance(text := output.get("completion"), str):
        return text
    listed = output.get("choices")
    first = listed[0] if isinstance(listed, list) and listed else None
    message = first.get("message") if isinstance(first, dict) else None
    return _content(message.get("content")) if isinstance(message, dict) else None


# ---------------------------------------------------------------- choices and scores


def _right(targets: tuple[str, ...], count: int) -> tuple[int, ...]:
    """The places of the right choices; empty where a target is no letter of a choice.

    >>> _right(("C",), 4), _right(("A", "D"), 4), _right(("E",), 4), _right(("yes",), 4)
    ((2,), (0, 3), (), ())
    """
    letters = [letter_of(i) for i in range(min(count, 1000))]
    named = [t.strip().upper() for t in targets]
    if not named or not all(n in letters for n in named):
        return ()
    return tuple(sorted({letters.index(n) for n in named}))


def letter_of(place: int) -> str:
    """How Inspect names a choice: A to Z, then 1, 2, ..."""
    return _LETTERS[place] if place < len(_LETTERS) else str(place - len(_LETTERS) + 1)


def points(value: Any) -> float | None:
    """The number behind a value; None where there is none, so that it is never taken for 0.

    >>> points("C"), points("P"), points(True), points("0.25"), points("maybe"), points(None)
    (1.0, 0.5, 1.0, 0.25, None, None)
    """
    if isinstance(value, str):
        named = POINTS.get(value, _WORDS.get(value.strip().lower()))
        if named is not None:
            return named
    number = real(value)
    return number if number is not None and math.isfinite(number) else None


def _scores(given: Any) -> tuple[Score, ...]:
    if not isinstance(given, dict):
        return ()
    found: list[Score] = []
    for scorer, score in given.items():
        said = score if isinstance(score, dict) else {"value": score}
        value, answer = said.get("value"), said.get("answer")
        answer = answer if isinstance(answer, str) else None
        parts: list[tuple[str | None, Any]] = [(None, value)]
        if isinstance(value, dict):
            parts = list(value.items())
        elif isinstance(value, list):
            parts = [(str(i + 1), v) for i, v in enumerate(value[:100])]
        found += (
            Score(scorer, part, points(v), answer, isinstance(v, bool) or str(v) in POINTS)
            for part, v in parts
        )
    return tuple(found)
