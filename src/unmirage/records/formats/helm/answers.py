"""What was asked and answered, one row an instance."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from unmirage.records.formats.helm.run import Run
from unmirage.records.formats.lm_eval.results import part, real, whole
from unmirage.types import Note

Level = Literal["info", "warning"]
Rows = list[tuple[int, dict[str, Any]]]
_CORRECT = "correct"


@dataclass(frozen=True)
class Reference:
    text: str
    correct: bool


@dataclass
class _Asked:
    """The requests of one instance, of which each asked for one option."""

    number: int
    row: dict[str, Any]
    references: list[Reference]
    logprobs: dict[int, float] = field(default_factory=dict)


def answers(run: Run, states: Any, notes: list[Note]) -> Rows:
    """One row for each instance, trial and perturbation, with the number of its first state."""
    listed = [
        (number, state)
        for number, state in enumerate(states if isinstance(states, list) else [], 1)
        if isinstance(state, dict) and isinstance(state.get("instance"), dict)
    ]
    counts: Counter[str] = Counter()
    rows = _separate(run, listed, counts) if run.separate else _together(run, listed, counts)
    for key, text in _TEXTS.items():
        if counts[key]:
            level: Level = "info" if key == "calibration" else "warning"
            notes.append(Note(level, key, text, run.source.name, counts[key]))
    return rows


_TEXTS = {
    "failed": "requests that failed left out",
    "no_output": "requests without a completion left out",
    "fewer_shots": "prompts that hold fewer examples than asked for, which is what 'shots' says",
    "calibration": "requests that ask for an option without its question are not read",
    "options_missing": "instances left out of which the log-probability of an option is missing",
}


def _together(run: Run, states: Iterable[tuple[int, Any]], counts: Counter[str]) -> Rows:
    """Generated answers, and choices of which the model names the letter."""
    rows: Rows = []
    for number, state in states:
        if (output := _completion(state, counts)) is None:
            continue
        references = references_of(state["instance"])
        row = common(run, state) | {"prompt": part(state, "request").get("prompt")}
        counts["fewer_shots"] += _fewer(run, state)
        row["output"] = output
        letters = state.get("output_mapping")
        row |= _choice(letters, references) if isinstance(letters, dict) else _free(references)
        if not isinstance(row["prompt"], str):
            del row["prompt"]
        rows.append((number, row))
    return rows


def _free(references: Sequence[Reference]) -> dict[str, Any]:
    """Any of the correct references is right; all are, where none is marked."""
    right = [r.text for r in references if r.correct] or [r.text for r in references]
    return {"targets": right or None}


def _choice(letters: Mapping[str, Any], references: Sequence[Reference]) -> dict[str, Any]:
    right = {r.text for r in references if r.correct}
    names, texts = list(letters), [str(t) for t in letters.values()]
    places = [i for i, text in enumerate(texts) if text in right]
    return {
        "choices": texts,
        "targets": [names[i] for i in places] or None,
        "target_index": places[0] if len(places) == 1 else None,
    }


def _separate(run: Run, states: Iterable[tuple[int, Any]], counts: Counter[str]) -> Rows:
    """The requests for the options of one instance, put together again."""
    found: dict[tuple[Any, ...], _Asked] = {}
    for number, state in states:
        if state.get("request_mode") == "calibration":
            counts["calibration"] += 1
            continue
        row, references = common(run, state), references_of(state["instance"])
        key = tuple(row.get(k) for k in ("item", "split", "variant", "repeat"))
        one = found.setdefault(key, _Asked(number, row, references))
        place = whole(state.get("reference_index"))
        counts["fewer_shots"] += _fewer(run, state)
        if place is None or not 0 <= place < len(references):
            continue
        if (said := _logprob(state, references[place].text, counts)) is not None:
            one.logprobs[place] = said
    rows: Rows = []
    for one in found.values():
        if len(one.logprobs) < max(len(one.references), 1):
            counts["options_missing"] += 1
            continue
        right = [i for i, r in enumerate(one.references) if r.correct]
        one.row |= {
            "choices": [r.text for r in one.references],
            "choice_logprobs": [one.logprobs[i] for i in range(len(one.references))],
            "target_index": right[0] if len(right) == 1 else None,
            "choice_credit": [float(r.correct) for r in one.references],
        }
        rows.append((one.number, one.row))
    return rows


def _fewer(run: Run, state: Mapping[str, Any]) -> bool:
    held = whole(state.get("num_train_instances"))
    return held is not None and run.shots is not None and held < run.shots


def common(run: Run, state: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one answer from others: item, split, perturbation, trial."""
    instance = state["instance"]
    variant = part(instance, "perturbation").get("name")
    split = instance.get("split")
    trial = whole(state.get("train_trial_index"))
    return {
        "item": _item(instance),
        "split": split if isinstance(split, str) else None,
        "variant": variant if isinstance(variant, str) else None,
        "repeat": trial + 1 if run.trials > 1 and trial is not None and trial >= 0 else None,
    }


def _item(instance: Mapping[str, Any]) -> str:
    name = instance.get("id")
    if isinstance(name, (str, int)) and not isinstance(name, bool):
        return str(name)
    text = str(part(instance, "input").get("text"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def references_of(instance: Mapping[str, Any]) -> list[Reference]:
    """The references of an instance, in their order."""
    listed = instance.get("references")
    found = []
    for one in listed if isinstance(listed, list) else []:
        text = part(one, "output").get("text") if isinstance(one, dict) else None
        tags = one.get("tags") if isinstance(one, dict) else None
        found.append(Reference(str(text or ""), isinstance(tags, list) and _CORRECT in tags))
    return found


def _first(state: Mapping[str, Any], counts: Counter[str]) -> Mapping[str, Any] | None:
    """The first completion; None where there is none."""
    result = part(state, "result")
    if result.get("success") is False:
        counts["failed"] += 1
        return None
    listed = result.get("completions")
    first = listed[0] if isinstance(listed, list) and listed else None
    if not isinstance(first, dict):
        counts["no_output"] += 1
        return None
    return first


def _completion(state: Mapping[str, Any], counts: Counter[str]) -> str | None:
    first = _first(state, counts)
    if first is None:
        return None
    text = first.get("text")
    if not isinstance(text, str):
        counts["no_output"] += 1
        return None
    prompt = part(state, "request").get("prompt")
    echoed = part(state, "request").get("echo_prompt") is True
    return text.removeprefix(prompt) if echoed and isinstance(prompt, str) else text


def _logprob(state: Mapping[str, Any], option: str, counts: Counter[str]) -> float | None:
    """The log-probability of an option that ends the prompt: the sum over the last tokens that hold
    its text. None where the tokens do not end in it, or hold no log-probability."""
    first = _first(state, counts)
    tokens = first.get("tokens") if first is not None else None
    text, total, wanted = "", 0.0, option.strip()
    for token in reversed(tokens if isinstance(tokens, list) else []):
        said = real(token.get("logprob")) if isinstance(token, dict) else None
        if said is None or not isinstance(token.get("text"), str):
            return None
        text, total = token["text"] + text, total + said
        if text.strip() == wanted:
            # a probability of 1 for all that was asked means that none was kept
            return total if total < 0 else None
        if len(text.strip()) > len(wanted):
            return None
    return None
