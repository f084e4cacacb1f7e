"""Joining the notes of many files, so that a folder of 1,000 files does not give 1,000 notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from unmirage.types import Note


def merge(notes: Iterable[Note]) -> tuple[Note, ...]:
    """One note for each (level, code, message), counts added, in first-seen order.

    >>> a = Note("info", "null_score", "rows without a score left out", "a.csv", 2)
    >>> merge([a, Note(a.level, a.code, a.message, "b.csv", 3)])[0].count
    5
    """
    groups: dict[tuple[str, str, str], list[Note]] = {}
    for note in notes:
        groups.setdefault((note.level, note.code, note.message), []).append(note)
    return tuple(_join(group) for group in groups.values())


def _join(group: list[Note]) -> Note:
    counts = [n.count for n in group if n.count is not None]
    files = sorted({n.file for n in group if n.file is not None})
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    file = f"{files[0]}{more}" if files else None
    return replace(group[0], count=sum(counts) if counts else None, file=file)
