"""What the ``task.json`` files say: how many items a task has, and what guessing scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from unmirage.errors import FileProblem
from unmirage.records.formats.jsonfile import content_of, head_of
from unmirage.records.formats.values import real
from unmirage.records.sniff import Source
from unmirage.records.tables import absolute
from unmirage.types import Note

NAME = "task.json"
_MAX_SUBTASKS = 1000


@dataclass(frozen=True)
class TaskFacts:
    """One task or subtask."""

    n: int  # distinct examples: the harness drops repeated ones
    chance: float | None  # multiple_choice_grade of a guess; None where not all have choices
    whole: bool  # every option is worth 0 or 1


def is_task(source: Source) -> bool:
    """Whether a file describes a task."""
    if source.path.name != NAME or not (head := head_of(source)).startswith(b"{"):
        return False
    try:
        content = content_of(source)
    except FileProblem:
        return b'"canary"' in head
    return isinstance(content, dict) and {"name", "keywords"} <= content.keys()


def facts_of(content: Any) -> TaskFacts | None:
    """The facts of a task with examples; None for one made of subtasks or code."""
    listed = content.get("examples") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        return None
    examples = [e for e in listed if isinstance(e, dict)]
    distinct = list({msgspec.json.encode(e): e for e in examples}.values())
    guesses, whole = [], True
    for example in distinct:
        credits = _credits(example.get("target_scores"))
        if credits is None:
            return TaskFacts(len(distinct), None, False)
        guesses.append(sum(credits) / len(credits))
        whole = whole and set(credits) <= {0.0, 1.0}
    return TaskFacts(len(distinct), sum(guesses) / len(guesses), whole) if guesses else None


def _credits(given: Any) -> list[float] | None:
    values = [real(v) for v in given.values()] if isinstance(given, dict) else []
    found = [v for v in values if v is not None and math.isfinite(v)]
    return found if found and len(found) == len(values) else None


class Tasks:
    """The descriptions beside and below each file of scores, each file read once."""

    def __init__(self, named: Iterable[Source], skip_bad: bool, notes: list[Note]) -> None:
        self.skip_bad, self.notes = skip_bad, notes
        self.read: dict[Path, tuple[str, TaskFacts | None]] = {}
        given = [s.path for s in named]
        self.given = set(map(absolute, given))
        self.named = dict(map(self._file, given))

    def of(self, source: Source, task: str) -> dict[str, TaskFacts]:
        """Facts by the subtask's name; the task itself is under its own."""
        here = absolute(source.path).parent
        folder = here.parent if here.name == "results" else here
        found: dict[str, TaskFacts] = {}
        if (main := folder / NAME).is_file():
            _, facts = self._file(main)
            found |= {task: facts} if facts else {}
            below = islice(sorted(folder.glob(f"*/{NAME}")), _MAX_SUBTASKS)
            found |= {n: f for n, f in map(self._file, below) if f is not None}
        elif facts := self.named.get(task):
            found[task] = facts
        return found

    def _file(self, path: Path) -> tuple[str, TaskFacts | None]:
        """(name, facts) of one file."""
        key = absolute(path)
        if key not in self.read:
            try:
                content = content_of(Source(path, str(path), "json"))
            except FileProblem:
                if not self.skip_bad and key in self.given:
                    raise
                text = "descriptions of tasks that are not JSON left out"
                self.notes.append(Note("warning", "bad_task", text, str(path), 1))
                content = {}
            name = content.get("name") if isinstance(content, dict) else None
            name = name if isinstance(name, str) else key.parent.name
            self.read[key] = name, facts_of(content)
        return self.read[key]
