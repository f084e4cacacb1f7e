"""Refusals and notes by code, so that 3,000 of them are a few lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from unmirage.report.view import View


@dataclass(frozen=True)
class Group:
    """Entries of one code; ``first`` stands for all of them."""

    code: str
    members: list[View]

    @property
    def first(self) -> View:
        return self.members[0]

    @property
    def title(self) -> str:
        return self.code.replace("_", " ")


def by_code(entries: Iterable[View]) -> list[Group]:
    """Groups, the largest first; warnings before information."""
    found: dict[str, list[View]] = defaultdict(list)
    for entry in entries:
        found[entry["code"]].append(entry)
    groups = [Group(code, members) for code, members in found.items()]
    return sorted(groups, key=lambda g: (g.first.get("level") == "info", -len(g.members), g.code))


def message(note: View) -> str:
    """The note with its count, where the sentence does not hold it already.

    >>> message({"message": "rows without a score left out", "count": 12478})
    'rows without a score left out (12,478)'
    """
    text, count = str(note["message"]), note.get("count")
    if not count or str(count) in text or f"{count:,}" in text:
        return text
    return f"{text} ({count:,})"
