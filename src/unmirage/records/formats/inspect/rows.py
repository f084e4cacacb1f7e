"""Samples and results of one log as rows in canonical columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.records.formats.inspect.log import Log, Sample, samples_of
from unmirage.records.formats.lm_eval.results import part, real
from unmirage.records.formats.made import made_table
from unmirage.records.table import Table
from unmirage.types import Note

#: grades of Inspect and what they are worth
GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_MEANS = ("accuracy", "mean")
_ERRORS = ("stderr", "bootstrap_stderr")
_SPREADS = (*_ERRORS, "std", "var")
NO_SIZE = "give the models' sizes: --models models.csv with the columns model and params"


@dataclass
class _Counts:
    failed: int = 0  # samples that ended in an error
    empty: int = 0  # samples without an answer
    unscored: int = 0
    strange: int = 0  # values that are no grade and no number
    graders: Counter[str] = field(default_factory=Counter)  # that say which answer they saw


def samples_table(log: Log, skip_bad: bool) -> Table | None:
    """The items of a log; None where no sample holds anything.

    Raises:
        FileProblem: a sample that is no JSON (skip_bad: left out and counted).
    """
    notes: list[Note] = []
    counts = _Counts()
    kept = []
    for place, sample in samples_of(log, skip_bad, notes):
        if sample.error is not None:
            counts.failed += 1
            continue
        kept.append((place, _answer(sample, counts), _scores(sample, log, counts)))
    reader = _reader(counts, len(kept))
    repeats = log.epochs > 1 or any((answer["repeat"] or 1) > 1 for _, answer, _ in kept)
    rows: list[dict[str, Any]] = []
    numbers = []
    for place, answer, scores in kept:
        seen = answer.pop("seen")
        if reader:
            answer.update(output=seen.get(reader), filter=f"answer read by {reader}")
        if not repeats:
            del answer["repeat"]
        same = {k: answer.get(k) for k in ("item", "repeat", "filter")}
        mine = [{**same, **score} for score in scores]
        if answer.get("output") is not None:
            mine.insert(0, answer)
        else:
            counts.empty += 1
        rows += mine
        numbers += [place] * len(mine)
    if not rows:
        return None
    notes += [*_notes(log, counts), *_stated(log, rows)]
    return made_table(log.source, log.settings(), rows, numbers, notes, scale_mend=NO_SIZE)


def _reader(counts: _Counts, samples: int) -> str | None:
    """The scorer that says of every sample which answer it read from the output, if one alone does:
    what stands about the answer would make all answers wrong."""
    every = [name for name, n in counts.graders.items() if n == samples]
    return every[0] if len(every) == len(counts.graders) == 1 else None


def _answer(sample: Sample, counts: _Counts) -> dict[str, Any]:
    stored = sample.attachments if isinstance(sample.attachments, dict) else {}
    targets = [t for t in _listed(sample.target) if isinstance(t, str)]
    choices = [c for c in _listed(sample.choices) if isinstance(c, str)]
    seen = {}
    for name, score in _scored(sample).items():
        if isinstance(given := part_of(score).get("answer"), str):
            seen[name] = given
            counts.graders[name] += 1
    return {
        "item": _name(sample.id),
        "repeat": int(n) if (n := real(sample.epoch)) is not None and 0 <= n < 1e9 else None,
        "prompt": _text(sample.input, stored),
        "output": _completion(sample.output, stored),
        "targets": targets or None,
        "choices": choices or None,
        "target_index": _index(targets, choices),
        "seen": seen,
    }


def _index(targets: list[str], choices: list[str]) -> int | None:
    """The place of the right choice, where one letter says it."""
    if len(targets) != 1 or len(letter := targets[0].strip()) != 1:
        return None
    place = ord(letter.upper()) - ord("A")
    return place if 0 <= place < len(choices) else None


def _scored(sample: Sample) -> dict[str, Any]:
    if isinstance(sample.scores, dict):
        return sample.scores
    return {"score": sample.score} if isinstance(sample.score, dict) else {}


def part_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _scores(sample: Sample, log: Log, counts: _Counts) -> list[dict[str, Any]]:
    """One row for each score that the scorers gave."""
    rows = []
    for name, score in _scored(sample).items():
        value = part_of(score).get("value")
        pairs = value.items() if isinstance(value, dict) else [(None, value)]
        for key, one in pairs:
            number = grade(one)
            if number is None or not math.isfinite(number):
                gone = one is None or number is not None
                counts.unscored += gone
                counts.strange += not gone
                continue
            metric = name if key is None else f"{name}/{key}"
            rows.append({"metric": metric, "score": number, "higher_is_better": _better(log, name)})
    return rows


def grade(value: Any) -> float | None:
    """The number behind a score's value: C, I, P and N are grades; None for other words.

    >>> grade("C"), grade("P"), grade(True), grade("0.25"), grade("great")
    (1.0, 0.5, 1.0, 0.25, None)
    """
    if isinstance(value, str):
        word = value.strip()
        found = GRADES.get(word, _WORDS.get(word.casefold()))
        return found if found is not None else real(word)
    return real(value)


def _better(log: Log, scorer: str) -> bool | None:
    """True where the run took an accuracy of the scorer: then its scores count right answers."""
    listed = part(log.head, "results").get("scores")
    for one in listed if isinstance(listed, list) else []:
        one = part_of(one)
        if scorer in (one.get("name"), one.get("scorer")) and "accuracy" in part(one, "metrics"):
            return True
    return True if scorer in ("match", "includes", "choice", "pattern", "exact", "answer") else None


def _notes(log: Log, counts: _Counts) -> list[Note]:
    told = (
        (counts.failed, "failed_samples", "samples that ended in an error left out"),
        (counts.empty, "no_output", "samples without an answer: only their scores are read"),
        (counts.unscored, "null_score", "scores that are NaN or empty: unscored, left out"),
        (counts.strange, "null_score", "scores that are neither a grade nor a number left out"),
    )
    return [Note("warning", code, text, log.source.name, n) for n, code, text in told if n]


def _stated(log: Log, rows: list[dict[str, Any]]) -> list[Note]:
    """Where the samples are not all, or their mean is not the accuracy that the log states."""
    results, notes = part(log.head, "results"), []
    done = real(results.get("completed_samples")) or 0.0
    if done > log.samples:
        text = f"samples of a run that had more ({done:,.0f}): what is read is a part of it"
        notes.append(Note("warning", "samples_missing", text, log.source.name, log.samples))
    listed = results.get("scores")
    for one in listed if isinstance(listed, list) and done <= log.samples else []:
        name, said = _accuracy(part_of(one))
        mine = [row["score"] for row in rows if row.get("metric") == name]
        if not mine or said is None or not math.isfinite(said):
            continue
        mean = math.fsum(mine) / len(mine)
        if abs(mean - said) > 1e-6:
            text = f"the log states an accuracy of {said:.6g} under {name!r}, its samples give "
            text += f"{mean:.6g}: other samples, or epochs that were not reduced by their mean"
            notes.append(Note("warning", "stated_otherwise", text, log.source.name))
    return notes


def _accuracy(one: Mapping[str, Any]) -> tuple[str, float | None]:
    return str(one.get("name")), real(part(one, "metrics", "accuracy").get("value"))


# ---------------------------------------------------------------- results without samples


def results_table(log: Log) -> Table | None:
    """The scores of a log without samples; None where there are none."""
    results = part(log.head, "results")
    listed = results.get("scores")
    rows: list[dict[str, Any]] = []
    lost = 0
    for one in listed if isinstance(listed, list) else []:
        made, missing = _result(part_of(one), results, log)
        rows += made
        lost += missing
    if not rows:
        return None
    text = "scores that are NaN or empty: unscored, left out"
    notes = [Note("warning", "null_score", text, log.source.name, lost)] if lost else []
    places = range(1, len(rows) + 1)
    return made_table(log.source, log.settings(), rows, places, notes, scale_mend=NO_SIZE)


def _result(
    one: Mapping[str, Any], results: Mapping[str, Any], log: Log
) -> tuple[list[dict[str, Any]], int]:
    name = str(one.get("name") or one.get("scorer"))
    values = {k: real(part_of(m).get("value")) for k, m in part(one, "metrics").items()}
    error = next((v for k in _ERRORS if (v := values.get(k)) is not None), None)
    count = real(one.get("scored_samples")) or real(results.get("completed_samples"))
    rows: list[dict[str, Any]] = []
    lost = 0
    means = [k for k in _MEANS if k in values]
    for key, value in values.items():
        if key in _SPREADS or key in means[1:]:
            continue
        if value is None or not math.isfinite(value):
            lost += 1
            continue
        mean = key in means
        rows.append(
            {
                "metric": name if mean else f"{name}/{key}",
                "score": value,
                "stderr": error if mean else None,
                # epochs ask the same items again
                "n_samples": count / log.epochs if mean and count else None,
                "higher_is_better": True if key == "accuracy" else None,
            }
        )
    return rows, lost


# ---------------------------------------------------------------- texts


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) else None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: Any, stored: Mapping[str, Any]) -> str | None:
    """The text of a string, of a list of messages or of parts of a message."""
    if isinstance(value, str):
        if value.startswith("attachment://"):
            value = stored.get(value.removeprefix("attachment://"))
        return value if isinstance(value, str) else None
    parts = _parts(value, stored) if isinstance(value, list) else []
    return "\n".join(parts) or None


def _parts(listed: Iterable[Any], stored: Mapping[str, Any]) -> list[str]:
    texts = []
    for one in listed:
        told = part_of(one)
        text = _text(told.get("content", told.get("text")), stored) if told else None
        if text is not None and told.get("type") not in ("reasoning", "image", "audio"):
            texts.append(text)
    return texts


def _completion(output: Any, stored: Mapping[str, Any]) -> str | None:
    """What the model answered; None where it gave no answer, "" where an empty one."""
    told = part_of(output)
    if isinstance(given := told.get("completion"), str):
        return _text(given, stored)
    listed = told.get("choices")
    first = part_of(listed[0]) if isinstance(listed, list) and listed else {}
    content = part(first, "message").get("content")
    if content is None:
        return None
    return _text(content, stored) or ""
