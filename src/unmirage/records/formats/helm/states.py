"""The answers in a ``scenario_state.json``: one row an item, however many requests it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.errors import FileProblem, ValueProblem
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.helm.place import Place, place_of
from unmirage.records.formats.helm.tokens import (
    Completion,
    all_zero,
    completions,
    logprob_of,
    token_of,
    top_logprobs,
)
from unmirage.records.formats.values import part, real, whole
from unmirage.records.sniff import Source
from unmirage.types import Level, Note

Fields = dict[str, Any]
_MEND = "repair the file, or leave such items out with skip_bad (--skip-bad)"
_CORRECT = "correct"
_TELL: dict[str, tuple[Level, str]] = {
    "bad_rows": ("warning", "requests that cannot be read left out"),
    "no_result": ("warning", "items without an answer: their requests failed or were not made"),
    "no_logprobs": ("warning", "items left out: not each token or option has a log-probability"),
    "no_label_logprobs": (
        "info",
        "log-probabilities of letters left out: other items of the run do not have them",
    ),
    "zero_logprobs": (
        "warning",
        "answers whose log-probabilities are all 0: placeholders, read as unknown with the scores "
        "made of them",
    ),
    "not_read": ("info", "requests that rank one reference at a time: answers are not read"),
    "calibration": ("info", "requests for calibration left out: they hold no answer to an item"),
    "further_answers": ("info", "further answers to the same prompt left out: the likeliest"),
    "fewer_shots": ("warning", "requests with fewer examples than asked for (shots)"),
    "prompt_truncated": ("warning", "prompts cut to the length that the model can read"),
}


@dataclass(frozen=True)
class Request:
    """One request of a run."""

    number: int  # its 1-based place
    place: Place
    split: str | None
    subtask: str | None
    references: tuple[tuple[str, bool], ...]  # text, correct
    reference: int | None  # the one that was asked about
    mode: str | None
    letters: Mapping[str, str]
    prompt: str | None
    echoed: bool
    skip: int  # tokens at the start that are context only
    answers: tuple[Completion, ...]


@dataclass(eq=False)
class States:
    """What one file holds: rows in canonical columns, and which answers are right by our rule."""

    rows: dict[Place, list[Fields]] = field(default_factory=dict)
    numbers: dict[Place, list[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    date: float = 0.0
    placeholders: bool = False

    def notes(self, name: str) -> list[Note]:
        """The notes on what was counted."""
        told = [(code, self.counts[code]) for code in _TELL if self.counts[code]]
        return [Note(_TELL[c][0], c, _TELL[c][1], name, n) for c, n in told]

    def ours(self, place: Place) -> float | None:
        """Whether an answer equals a target."""
        fields = self.rows.get(place, [{}])[0]
        output, targets = fields.get("output"), fields.get("targets")
        if output is None or targets is None:
            return None
        return float(output.strip() in {t.strip() for t in targets})


def read_states(
    source: Source, content: Mapping[str, Any], head: Mapping[str, Any], skip_bad: bool
) -> States:
    """The items of one file.

    Raises:
        FileProblem: there is no list of requests.
        ValueProblem: a request that cannot be read (skip_bad: left out and counted).
    """
    listed = content.get("request_states")
    if not isinstance(listed, list):
        raise FileProblem("holds no list of request_states", file=source.name)
    states = States()
    groups: dict[Place, list[Request]] = {}
    for number, given in enumerate(listed, 1):
        with _Bad(source, number, skip_bad, states.counts):
            request = _request(number, given)
            groups.setdefault(request.place, []).append(request)
            _count(given, head, states)
    method = str(head["format"])
    _placeholders([r for group in groups.values() for r in group], states)
    make = _maker(method, groups)
    for place, group in groups.items():
        with _Bad(source, group[0].number, skip_bad, states.counts):
            for request, fields in make(group, method, states):
                same = {
                    "split": request.split,
                    "subtask": request.subtask,
                    "prompt": request.prompt,
                }
                states.rows.setdefault(place, []).append({**same, **fields})
                states.numbers.setdefault(place, []).append(request.number)
    _some_lack(states)
    return states


class _Bad:
    """Counts what cannot be read, or raises it with its place."""

    def __init__(self, source: Source, number: int, skip_bad: bool, counts: Counter[str]) -> None:
        self.source, self.number, self.skip_bad, self.counts = source, number, skip_bad, counts

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if not isinstance(error, BadCell):
            return False
        if not self.skip_bad:
            raise bad_cell(self.source, self.number, error) from error
        self.counts["bad_rows"] += 1
        return True


def bad_cell(source: Source, number: int, bad: BadCell) -> ValueProblem:
    """The error on one element of a list."""
    return cell_problem(source, number, bad, _MEND, lines=False)


# ---------------------------------------------------------------- one request


def _request(number: int, given: Any) -> Request:
    if not isinstance(given, dict):
        raise BadCell("request_states", "holds a value that is no request", given)
    instance, request = part(given, "instance"), part(given, "request")
    reference = given.get("reference_index")
    if reference is not None and (index := whole(reference)) is None:
        raise BadCell("reference_index", "is no index", reference)
    mapping = given.get("output_mapping")
    letters = mapping if isinstance(mapping, dict) else {}
    prompt = request.get("prompt")
    return Request(
        number,
        place_of(instance.get("id"), instance.get("perturbation"), given.get("train_trial_index")),
        _word(instance.get("split")),
        _word(instance.get("sub_split")),
        _references(instance.get("references")),
        None if reference is None else index,
        _word(given.get("request_mode")),
        {k: v for k, v in letters.items() if isinstance(v, str)},
        prompt if isinstance(prompt, str) and prompt else _said(request.get("messages")),
        request.get("echo_prompt") is True,
        max(whole(given.get("num_conditioning_tokens")) or 0, 0),
        tuple(completions(given.get("result"))),
    )


def _said(messages: Any) -> str | None:
    """The text of a chat."""
    if not isinstance(messages, list):
        return None
    turns = [m for m in messages if isinstance(m, dict) and isinstance(m.get("content"), str)]
    return "\n".join(f"{m.get('role')}: {m['content']}" for m in turns) or None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _references(given: Any) -> tuple[tuple[str, bool], ...]:
    """Text and correctness of each reference; newer versions write the text in an object."""
    found = []
    for one in given if isinstance(given, list) else []:
        output = one.get("output") if isinstance(one, dict) else None
        text = output.get("text") if isinstance(output, dict) else output
        tags = one.get("tags") if isinstance(one, dict) else None
        if not isinstance(text, str):
            raise BadCell("references", "holds one without a text", one)
        found.append((text, isinstance(tags, list) and _CORRECT in tags))
    return tuple(found)


def _count(given: Mapping[str, Any], head: Mapping[str, Any], states: States) -> None:
    date = real(part(given, "result").get("request_datetime"))
    if date is not None and date < 1e12:
        states.date = max(states.date, date)
    if given.get("request_mode") == "calibration":
        return
    examples, shots = whole(given.get("num_train_instances")), head["shots"]
    states.counts["fewer_shots"] += shots is not None and examples is not None and examples < shots
    states.counts["prompt_truncated"] += given.get("prompt_truncated") is True


def _placeholders(requests: list[Request], states: States) -> None:
    states.placeholders = all_zero(a for r in requests for a in r.answers)
    if states.placeholders:
        states.counts["zero_logprobs"] = sum(bool(r.answers) for r in requests)


# ---------------------------------------------------------------- by method

Made = list[tuple[Request, Fields]]


def _maker(
    method: str, groups: Mapping[Place, list[Request]]
) -> Callable[[list[Request], str, States], Made]:
    if method.startswith("ranking"):
        return _ranked
    if method == "language_modeling":
        return _given_text
    if method.startswith("multiple_choice_separate"):
        return _separate
    asked = any(r.reference is not None for group in groups.values() for r in group)
    return _separate if asked else _generated


def _ranked(group: list[Request], method: str, states: States) -> Made:
    states.counts["not_read"] += len(group)
    return []


def _given_text(group: list[Request], method: str, states: States) -> Made:
    """The log-probabilities of a given text; a long one was cut into several requests."""
    answers = [r.answers[0] if r.answers else None for r in group]
    tokens = [
        token_of(t) for r, a in zip(group, answers, strict=True) if a for t in a.tokens[r.skip :]
    ]
    values = [t.logprob for t in tokens]
    if None in answers or not values:
        states.counts["no_result"] += 1
        return []
    if states.placeholders or None in values:
        states.counts["no_logprobs"] += not states.placeholders
        return []
    size = sum(len(t.text) for t in tokens)
    return [(group[0], {"token_logprobs": values, "target_bytes": size})]


def _separate(group: list[Request], method: str, states: States) -> Made:
    """Each option was asked about alone: its log-probability is that of the end of the prompt."""
    first = group[0]
    asked: dict[int, Request] = {}
    for request in group:
        if request.mode == "calibration":
            states.counts["calibration"] += 1
            continue
        index = -1 if request.reference is None else request.reference
        if not 0 <= index < len(first.references):
            raise BadCell("reference_index", "is no index of a reference", request.reference)
        if index in asked:
            raise BadCell("reference_index", "is asked about twice", index)
        if request.references != first.references:
            raise BadCell("references", "differ between the requests of one item")
        asked[index] = request
    logs = [_of_option(asked.get(i), text) for i, (text, _) in enumerate(first.references)]
    known = [v for v in logs if v is not None]
    if states.placeholders or not known or len(known) != len(logs):
        states.counts["no_logprobs"] += not states.placeholders
        return []
    fields = _right([t for t, _ in first.references], [c for _, c in first.references])
    return [(first, {**fields, "choice_logprobs": logs, "prompt": _stem(asked)})]


def _of_option(request: Request | None, text: str) -> float | None:
    return logprob_of(request.answers[0].tokens, text) if request and request.answers else None


def _stem(asked: Mapping[int, Request]) -> str | None:
    """The prompt without the option at its end."""
    for request in asked.values():
        prompt = (request.prompt or "").rstrip()
        text = request.references[request.reference or 0][0].strip()
        return prompt.removesuffix(text).rstrip(" ") or None
    return None


def _right(texts: list[str], correct: list[bool]) -> Fields:
    fields: Fields = {"choices": texts}
    if sum(correct) == 1:
        fields["target_index"] = correct.index(True)
    elif any(correct):
        fields["choice_credit"] = [float(c) for c in correct]
    return fields


def _generated(group: list[Request], method: str, states: States) -> Made:
    return [(r, f) for r in group if (f := _written(r, method, states)) is not None]


def _written(request: Request, method: str, states: States) -> Fields | None:
    """What the model wrote, or the letter it wrote for one of the options."""
    if not request.answers:
        states.counts["no_result"] += 1
        return None
    states.counts["further_answers"] += len(request.answers) - 1
    right = [text for text, correct in request.references if correct]
    output = request.answers[0].text
    if request.echoed and request.prompt:
        output = output.removeprefix(request.prompt)
    fields: Fields = {"output": output, "targets": right or None}
    if not request.letters:
        return fields
    options = list(request.letters.values())
    correct = [text in right for text in options]
    fields |= _right(options, correct)
    letters = [k for k, c in zip(request.letters, correct, strict=True) if c]
    # a letter is no answer that a chain of thought could equal
    fields["targets"] = None if "chain_of_thought" in method else letters or None
    if not states.placeholders and (logs := top_logprobs(request.answers[0], [*request.letters])):
        fields["choice_logprobs"] = logs
    return fields


def _some_lack(states: States) -> None:
    """Letters among the likeliest tokens of some items only: those would be no fair sample."""
    rows = [f for rows in states.rows.values() for f in rows if f.get("output") is not None]
    have = [f for f in rows if "choice_logprobs" in f]
    if have and len(have) < len(rows):
        states.counts["no_label_logprobs"] += len(have)
        for fields in have:
            del fields["choice_logprobs"]
