"""Reads responses of completions and chats in JSON lines, with their log-probabilities.

Lines of OpenAI's batch output, of plain responses (OpenAI, Together, vLLM's server) and of vLLM's
offline outputs. Targets stand beside a response, in its metadata, or in the file of requests, which
is joined by ``custom_id``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.errors import FileProblem
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.completions.rows import (
    TARGETS,
    Answer,
    answer_of,
    is_request,
    is_response,
)
from unmirage.records.formats.jsonfile import first_row
from unmirage.records.formats.made import made_table
from unmirage.records.jsonlines import read_lines
from unmirage.records.sniff import Source
from unmirage.records.table import Table, guard
from unmirage.records.tables import absolute, open_source
from unmirage.types import Level, Note

__all__ = ["is_log", "load"]
NO_SIZE = "responses do not say how large a model is: give the models' sizes (--models)"
_MEND = "repair or remove the line, or leave such lines out with skip_bad (--skip-bad)"
_TASK = "completions"


def is_log(source: Source) -> bool:
    """Whether the first of the first lines that is JSON is a response or a request."""
    row = first_row(source)
    return is_response(row) or is_request(row)


@dataclass(frozen=True, eq=False)
class _File:
    """The answers of one file."""

    source: Source
    answers: list[tuple[int, Answer]]
    notes: list[Note] = field(default_factory=list)

    @property
    def models(self) -> set[str]:
        return {_model(self.source, a) for _, a in self.answers}

    @property
    def names_tasks(self) -> bool:
        return all(a.task for _, a in self.answers)


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """The tables of all responses, and the notes that belong to no table.

    Raises:
        FileProblem: a file is truncated or not of its kind (skip_bad: such lines are left out).
        ValueProblem: a cell that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    asked: list[Source] = []
    given: list[Source] = []
    for source in sources:
        (asked if is_request(first_row(source)) else given).append(source)
    requests = _requests(asked, skip_bad, notes)
    files = [_read(source, requests, skip_bad) for source in given]
    if asked and not given:
        what = "holds requests only; there is no file of their responses"
        if not asked[0].found:
            raise FileProblem(what, file=asked[0].name, mend="give the output of the batch too")
        notes.append(Note("warning", "no_responses", what, asked[0].name, len(asked)))
    # a file a model, none of which names its task, holds one task
    unnamed = [f for f in files if not f.names_tasks]
    models = [m for f in unnamed for m in f.models]
    common = len(models) == len(set(models))
    made = [(f, _table(f, _TASK if common else f.source.stem)) for f in files]
    notes += [note for f, table in made if table is None for note in f.notes]
    return [table for _, table in made if table is not None], notes


def _requests(
    sources: list[Source], skip_bad: bool, notes: list[Note]
) -> dict[str, list[Mapping[str, Any]]]:
    """The requests of each custom_id."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for source in sources:
        with guard(source.name), open_source(source) as stream:
            for _, row in read_lines(stream, source.name, skip_bad, notes):
                if is_request(row):
                    found.setdefault(str(row["custom_id"]), []).append(row)
    return found


def _request_of(
    row: Mapping[str, Any], requests: Mapping[str, list[Mapping[str, Any]]]
) -> Mapping[str, Any] | None:
    """The request of a response: of its custom_id and, if there are several, of its model."""
    found = requests.get(str(row.get("custom_id")), [])
    if len(found) < 2:
        return found[0] if found else None
    body = row.get("response")
    body = body.get("body") if isinstance(body, dict) else None
    model = str(body.get("model")) if isinstance(body, dict) else ""
    same = []
    for one in found:
        sent = one.get("body")
        name = sent.get("model") if isinstance(sent, dict) else None
        if isinstance(name, str) and name and model.startswith(name):
            same.append((len(name), one))
    if same:
        return max(same, key=lambda pair: pair[0])[1]
    plain = [one for one in found if "body" not in one]  # targets, the same for every model
    return plain[0] if len(plain) == 1 else None


def _read(source: Source, requests: Mapping[str, Any], skip_bad: bool) -> _File:
    notes: list[Note] = []
    answers: list[tuple[int, Answer]] = []
    bad = 0
    with guard(source.name), open_source(source) as stream:
        for number, row in read_lines(stream, source.name, skip_bad, notes):
            try:
                if not is_response(row):
                    raise BadCell("choices", "holds no response")
                answers.append((number, answer_of(row, _request_of(row, requests))))
            except BadCell as e:
                if not skip_bad:
                    raise cell_problem(source, number, e, _MEND) from e
                bad += 1
    if not answers:
        raise FileProblem("holds no response that can be read", file=source.name)
    notes += _left_out(source.name, [a for _, a in answers], bad)
    return _File(source, [(n, a) for n, a in answers if not a.failed], notes)


def _left_out(name: str, answers: list[Answer], bad: int) -> Iterator[Note]:
    if bad:
        yield Note("warning", "bad_rows", "lines that cannot be read left out", name, bad)
    for level, code, holds, text in _TOLD:
        if count := sum(holds(a) for a in answers):
            yield Note(level, code, text, name, count)


#: what is told of the answers for which it holds
_TOLD: tuple[tuple[Level, str, Callable[[Answer], int], str], ...] = (
    (
        "warning",
        "errors",
        lambda a: a.failed,
        "requests that failed: left out, they are not wrong answers",
    ),
    (
        "info",
        "cut_answers",
        lambda a: a.cut,
        "answers that ended at the limit of tokens, not by themselves",
    ),
    (
        "warning",
        "no_answer",
        lambda a: a.empty,
        "responses without a text, or of an echo whose prompt is not known: left out",
    ),
    (
        "warning",
        "target_not_found",
        lambda a: a.unaligned,
        "targets in the prompt that no tokens spell: their log-probabilities are not read",
    ),
    (
        "warning",
        "logprob_missing",
        lambda a: a.unknown,
        "targets of which a token has no log-probability: not read, the others are not all",
    ),
    (
        "warning",
        "no_target",
        lambda a: not a.fields.get("targets") and not a.failed,
        f"answers without a target ({', '.join(TARGETS)}): they cannot be scored",
    ),
)


def _model(source: Source, answer: Answer) -> str:
    """The model that a line names, else the folder."""
    return answer.model or absolute(source.path).parent.name


def _table(file: _File, task: str) -> Table | None:
    source, notes = file.source, list(file.notes)
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, one in file.answers:
        same = {
            "item": one.item,
            "model": _model(source, one),
            "task": one.task or task,
            **one.fields,
        }
        rows += ({**same, **row} for row in one.rows)
        numbers += [number] * len(one.rows)
    if nameless := sum(a.model is None for _, a in file.answers):
        text = "responses that name no model: it is named after the folder"
        notes.append(Note("warning", "model_from_folder", text, source.name, nameless))
    if plain := sum(a.task is None for _, a in file.answers):
        text = f"responses that name no task: task is {task!r}"
        notes.append(Note("info", "default_task", text, source.name, plain))
    if not rows:
        return None
    return made_table(source, {}, rows, numbers, notes, line=int, scale_mend=NO_SIZE)
