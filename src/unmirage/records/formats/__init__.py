"""The logs of the field's tools: each format says which files are its own and makes tables of them.

A format is tried on each file in the order of :data:`FORMATS`; what none claims is read as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from unmirage.records.formats import helm, inspect_ai, lm_eval
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

Loaded = tuple[list[Table], list[Note]]


@dataclass(frozen=True)
class Format:
    """One kind of log; both functions raise nothing but an UnmirageError."""

    name: str  # as people call it
    claims: Callable[[Source], bool]  # cheap: the file's name and its head
    load: Callable[[Iterable[Source], bool], Loaded]  # all sources it claimed, skip_bad


FORMATS: tuple[Format, ...] = (
    Format("lm-evaluation-harness 0.4", lm_eval.is_log, lm_eval.load),
    Format("Inspect", inspect_ai.is_log, inspect_ai.load),
    Format("HELM", helm.is_log, helm.load),
)


def format_of(source: Source) -> Format | None:
    """The format that claims a file; None for a plain table."""
    return next((f for f in FORMATS if f.claims(source)), None)
