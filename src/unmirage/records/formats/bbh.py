"""Reads outputs in the form of BIG-Bench Hard's: one JSON a task, ``outputs`` with an input, a
prediction and a target each. The files name no model and hold no score."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from unmirage.errors import FileProblem, ValueProblem
from unmirage.records.formats.jsonfile import is_kind, readable
from unmirage.records.formats.made import made_table
from unmirage.records.sniff import Source
from unmirage.records.table import Table, show
from unmirage.records.tables import absolute
from unmirage.types import Note

_KEYS = ("input", "prediction", "target")
_MODE = re.compile(r"(?<![a-z])(direct|cot)(?![a-z])", re.IGNORECASE)
_ENDS = re.compile(r"([-_](direct|cot|outputs?|few[-_]shot|template|\d+[-_]\d+))+$", re.IGNORECASE)
_ANSWER = "the answer is "
#: how a written-out answer is read, as the filter of its rows
_FILTER = "after 'the answer is'"
_MEND = "repair or remove it, or leave such items out with skip_bad (--skip-bad)"
_NO_SIZE = "name the folder after a model whose name states its size (pythia-160m)"


def is_log(source: Source) -> bool:
    """Whether a file holds outputs."""
    return is_kind(source, (b'"outputs"',), _is_outputs, rb'\{("canary":"[^"]*",)?"outputs":\[')


def _is_outputs(content: Any) -> bool:
    listed = content.get("outputs") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        return False
    return isinstance(listed[0], dict) and all(key in listed[0] for key in _KEYS)


def load(sources: Iterable[Source], skip_bad: bool = False) -> tuple[list[Table], list[Note]]:
    """One table a file.

    Raises:
        FileProblem: a file that is no JSON (skip_bad: left out and counted).
        ValueProblem: an item without text (skip_bad: as above).
    """
    notes: list[Note] = []
    read = readable(sources, skip_bad, "outputs that are not JSON", notes)
    return [_table(source, content["outputs"], skip_bad) for source, content in read], notes


def _table(source: Source, outputs: list[Any], skip_bad: bool) -> Table:
    rows, numbers, seen = list[dict[str, Any]](), list[int](), Counter[str]()
    for number, given in enumerate(outputs, 1):
        texts = [given.get(key) for key in _KEYS] if isinstance(given, dict) else []
        if len(texts) != len(_KEYS) or not all(isinstance(t, str) for t in texts):
            if skip_bad:
                continue
            what = f"holds no text as input, prediction and target: {show(given)}"
            where = f"outputs[{number - 1}]"
            raise ValueProblem(what, file=source.name, where=where, mend=_MEND)
        prompt, output, target = texts
        name = hashlib.sha256(f"{prompt}\0{target}".encode("utf-8", "replace")).hexdigest()[:16]
        seen[name] += 1
        item = name + (f"#{seen[name]}" if seen[name] > 1 else "")
        rows.append({"item": item, "prompt": prompt, "output": output, "targets": [target]})
        numbers.append(number)
    if not rows:
        raise FileProblem("holds no item that can be read", file=source.name)
    notes = _short_answers(rows, source.name)
    if bad := len(outputs) - len(rows):
        text = "items that cannot be read left out"
        notes.append(Note("warning", "bad_rows", text, source.name, bad))
    head = _head(source, notes)
    return made_table(source, head, rows, numbers, notes, scale_mend=_NO_SIZE)


def _short_answers(rows: list[dict[str, Any]], name: str) -> list[Note]:
    """Cuts chains of thought down to the answer that they end in: what comes before it would make
    every answer wrong."""
    found = 0
    for row in rows:
        _, said, answer = row["output"].rpartition(_ANSWER)
        if said:
            row["output"] = answer.strip().removesuffix(".")
            found += 1
    if not found:
        return []
    for row in rows:
        row["filter"] = _FILTER
    text = f"outputs of which the text after {_ANSWER.strip()!r} is read as the answer"
    return [Note("info", "answer_taken", text, name, found)]


def _head(source: Source, notes: list[Note]) -> dict[str, Any]:
    folder = absolute(source.path).parent.name
    mode = _MODE.search(source.stem) or _MODE.search(folder)
    model = _ENDS.sub("", folder) or folder
    text = f"the outputs name no model: taken from the folder as {model!r}"
    notes.append(Note("warning", "model_from_name", text, source.name, 1))
    return {
        "model": model,
        "task": _ENDS.sub("", source.stem) or source.stem,
        "format": mode[1].lower() if mode else None,
    }
