"""The items of one file of samples of the every-eval-ever schema."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import Part, not_finite
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.every_eval_ever.aggregate import Log, Result, task_of, text
from unmirage.records.formats.jsonfile import first_row
from unmirage.records.formats.made import made_table
from unmirage.records.formats.values import part, real
from unmirage.records.jsonlines import Decoder, read_lines
from unmirage.records.sniff import Source
from unmirage.records.table import guard
from unmirage.records.tables import open_source
from unmirage.types import Note

KEYS = {"evaluation_id", "model_id", "evaluation_name", "sample_id", "input", "evaluation"}
NO_SIZE = "give the models' sizes (--models), or keep the record beside its samples"
#: metrics of lm-eval whose items hold a log-likelihood instead of a share of a mean
_NO_MEANS = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"}
_MEND = "repair or remove the line, or leave such lines out with skip_bad (--skip-bad)"


@dataclass(frozen=True)
class Line:
    """One line: one item under one score of its record."""

    number: int
    identity: Mapping[str, Any]  # model, params, step, variant, task, shots, filter
    sample: str
    content: str  # a hash of what was asked
    fields: Mapping[str, Any]
    outputs: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    higher: bool | None = None
    lost: int = 0
    failed: bool = False  # nothing was answered because of an error
    repeat: int | None = None

    @property
    def cell(self) -> tuple[str, str | None]:
        return self.identity["task"], self.identity["filter"]


@dataclass(frozen=True, eq=False)
class Samples:
    """What one file holds."""

    source: Source
    parts: list[Part]  # one for each task
    evaluations: frozenset[str]
    lines: int
    age: float  # of the newest of its records
    notes: list[Note]

    def key(self, one: Part) -> tuple[Any, ...]:
        """Equal for two files of one model and task from one source."""
        names = [c for c in ("model", "step", "variant", "shots") if c in one.table.frame.columns]
        models = one.table.frame.select(names).unique(maintain_order=True).rows()
        return one.task, tuple(models)


def is_samples(source: Source) -> bool:
    """Whether the first of the first lines that is JSON is an item of the schema."""
    return first_row(source).keys() >= KEYS


def read_samples(source: Source, logs: Mapping[str, Log], skip_bad: bool) -> Samples:
    """The items of one file.

    Raises:
        FileProblem: a line that is no JSON object (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    found: list[Line] = []
    seen: set[bytes] = set()
    ids: set[str] = set()
    bad = twice = 0
    with guard(source.name), open_source(source) as stream:
        for number, row in read_lines(stream, source.name, skip_bad, notes):
            try:
                mark = hashlib.blake2b(msgspec.json.encode(row), digest_size=16).digest()
                if mark in seen:
                    twice += 1
                    continue
                seen.add(mark)
                ids.add(str(row.get("evaluation_id")))
                found.append(_line(number, row, logs.get(str(row.get("evaluation_id")))))
            except BadCell as e:
                if not skip_bad:
                    raise cell_problem(source, number, e, _MEND) from e
                bad += 1
    if not found:
        raise FileProblem("holds no item that can be read", file=source.name)
    kept = _with_repeats([x for x in found if not x.failed and (x.outputs or x.scores)])
    notes += _left_out(source.name, found, bad, twice)
    tasks = dict.fromkeys(line.identity["task"] for line in kept)
    parts = [_part(source, [x for x in kept if x.identity["task"] == task]) for task in tasks]
    age = max((logs[i].age for i in ids if i in logs), default=0.0)
    return Samples(source, parts, frozenset(ids), len(found) + bad + twice, age, notes)


def _left_out(name: str, found: list[Line], bad: int, twice: int) -> Iterator[Note]:
    if bad:
        yield Note("warning", "bad_rows", "items that cannot be read left out", name, bad)
    if twice:
        yield Note("warning", "identical_rows", "lines that stand there twice", name, twice)
    if failed := sum(line.failed for line in found):
        told = "items that an error left without an answer: left out, they are not wrong answers"
        yield Note("warning", "errors", told, name, failed)
    if empty := sum(not line.failed and not line.outputs and not line.scores for line in found):
        told = "items with neither an answer nor a score left out"
        yield Note("warning", "no_answer", told, name, empty)
    if lost := sum(line.lost for line in found):
        yield not_finite(name, lost)


# ---------------------------------------------------------------- one line


def _line(number: int, row: Mapping[str, Any], log: Log | None) -> Line:
    """One line.

    Raises:
        BadCell: what the schema asks for is missing or malformed.
    """
    sample, asked = row.get("sample_id"), part(row, "input")
    if sample is None or isinstance(sample, (list, dict, bool)) or not str(sample).strip():
        raise BadCell("sample_id", "is empty or no text", sample)
    if text(row.get("model_id")) is None:
        raise BadCell("model_id", "is empty or no text", row.get("model_id"))
    fitting = log.results_of(row) if log else []
    result = fitting[0] if len(fitting) == 1 else None
    outputs = _outputs(row)
    scores, lost = _scores(row, result)
    targets = _texts(asked.get("reference"))
    error = text(row.get("error"))
    nothing = not any(scores.values())
    return Line(
        number,
        _identity(row, log, fitting),
        str(sample),
        _content(row, asked),
        {
            "prompt": text(asked.get("formatted")) or text(asked.get("raw")),
            "targets": targets or None,
            "choices": _texts(asked.get("choices")) or None,
        },
        tuple(outputs),
        scores,
        result.higher if result else None,
        lost,
        bool(error) and nothing and not any(o.strip() for o in outputs),
    )


def _identity(row: Mapping[str, Any], log: Log | None, fitting: list[Result]) -> dict[str, Any]:
    """What names the model and the setting; of several scores that fit, what they agree on."""
    name = text(row.get("evaluation_name")) or "evaluation"
    kept = text(part(row, "metadata").get("filter"))
    tasks, shots, filters = (
        {r.task for r in fitting},
        {r.row["shots"] for r in fitting},
        {r.filter for r in fitting},
    )
    kept = kept or (filters.pop() if len(filters) == 1 else None)
    kept = None if kept == "none" else kept
    return {
        **(log.identity if log else {"model": row["model_id"]}),
        "task": tasks.pop() if len(tasks) == 1 else task_of(name, kept, None),
        "filter": kept,
        "shots": shots.pop() if len(shots) == 1 else None,
    }


def _content(row: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    told = text(row.get("sample_hash"))
    parts = told or [asked.get("raw"), asked.get("reference"), asked.get("choices")]
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=6).hexdigest()


def _outputs(row: Mapping[str, Any]) -> list[str]:
    """What was scored: the value taken from the answer at last, else the answers themselves."""
    raw = _texts(part(row, "output").get("raw"))
    if len(raw) > 1:
        return raw
    listed = row.get("answer_attribution")
    steps = [s for s in listed if isinstance(s, dict)] if isinstance(listed, list) else []
    last = [
        v for s in steps if s.get("is_terminal") and isinstance(v := s.get("extracted_value"), str)
    ]
    return last[-1:] or raw


def _scores(row: Mapping[str, Any], result: Result | None) -> tuple[dict[str, float], int]:
    """(the tool's scores of this item, how many are not finite or unknown). A converter writes 0
    where lm-eval gave no score, and all of lm-eval's scores into the metadata."""
    told = part(row, "metadata").get("lm_eval_metrics")
    values: Mapping[str, Any] = {}
    if isinstance(told, str):
        try:
            found = Decoder()(told.encode("utf-8", "replace"))
        except ValueError as e:
            raise BadCell("metadata.lm_eval_metrics", "is not JSON", told) from e
        values = found if isinstance(found, dict) else {}
    else:
        score = part(row, "evaluation").get("score")
        if score is not None and real(score) is None:
            raise BadCell("evaluation.score", "is no number", score)
        values = {(result.metric if result else None) or "score": score}
    means = {str(k): x for k, x in values.items() if k not in _NO_MEANS}
    numbers = {k: v for k, x in means.items() if (v := real(x)) is not None}
    unknown = result is not None and result.unknown_level
    fine = {k: v for k, v in numbers.items() if math.isfinite(v) and not (unknown and v == -1)}
    return fine, len(numbers) - len(fine)


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [v for v in listed if isinstance(v, str)]


# ---------------------------------------------------------------- all lines


def _with_repeats(found: list[Line]) -> list[Line]:
    """The lines with a name for each item and, where one is answered several times, a number.

    Ids that stand for several texts (each subtask counts from 0) are told apart by the text.
    """
    texts: dict[Any, set[str]] = {}
    for line in found:
        texts.setdefault((*line.identity.values(), line.sample), set()).add(line.content)
    times: Counter[Any] = Counter()
    out = []
    for line in found:
        same = (*line.identity.values(), line.sample)
        name = f"{line.sample}:{line.content}" if len(texts[same]) > 1 else line.sample
        mark = (*line.identity.values(), name, tuple(sorted(line.scores)))
        times[mark] += 1
        out.append(replace(line, sample=name, repeat=times[mark]))
    several = any(n > 1 for n in times.values())
    return out if several else [replace(line, repeat=None) for line in out]


def _part(source: Source, found: list[Line]) -> Part:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    answered: set[Any] = set()
    for line in found:
        told = _answers(line)
        # one answer is scored by several metrics, a line each
        told = [
            r for r in told if (*line.identity.values(), line.sample, r["repeat"]) not in answered
        ]
        answered |= {(*line.identity.values(), line.sample, r["repeat"]) for r in told}
        better = line.higher
        told += [
            {"repeat": line.repeat, "metric": m, "score": v, "higher_is_better": better}
            for m, v in line.scores.items()
        ]
        rows += ({**line.identity, "item": line.sample, **row} for row in told)
        numbers += [line.number] * len(told)
    verdicts: dict[tuple[str, str | None], Counter[str]] = {}
    for line in found:
        if verdict := _verdict(line):
            verdicts.setdefault(line.cell, Counter())[verdict] += 1
    table = made_table(source, {}, rows, numbers, (), line=int, scale_mend=NO_SIZE)
    return Part(found[0].identity["task"], table, verdicts)


def _answers(line: Line) -> list[dict[str, Any]]:
    several = len(line.outputs) > 1
    return [
        {**line.fields, "output": out, "repeat": place if several else line.repeat}
        for place, out in enumerate(line.outputs, 1)
    ]


def _verdict(line: Line) -> str | None:
    """How the tool's verdict compares with ours; none where neither counts the answer right."""
    targets = line.fields["targets"]
    if len(line.outputs) != 1 or not targets or not line.scores:
        return None
    theirs = next(iter(line.scores.values()))
    if theirs not in (0.0, 1.0):
        return None  # no verdict of right or wrong
    ours = float(line.outputs[0].strip() in {t.strip() for t in targets})
    if abs(ours - theirs) < 1e-6:
        return "both" if ours else None
    return "ours" if ours > theirs else "theirs"
