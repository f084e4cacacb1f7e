"""The logs of the field's tools: each format says which files are its own and makes tables of them.

A format is tried on each file in the order of :data:`FORMATS`; what none claims is read as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from unmirage.records.formats import (
    bbh,
    bigbench,
    completions,
    every_eval_ever,
    helm,
    inspect_ai,
    lighteval,
    llm_foundry,
    lm_eval,
    lm_eval_v0,
)
from unmirage.records.formats.jsonfile import one_look
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
    Format("lm-evaluation-harness 0.3", lm_eval_v0.is_log, lm_eval_v0.load),
    Format("llm-foundry", llm_foundry.is_log, llm_foundry.load),
    Format("BIG-bench", bigbench.is_log, bigbench.load),
    Format("BIG-Bench Hard outputs", bbh.is_log, bbh.load),
    Format("Inspect", inspect_ai.is_log, inspect_ai.load),
    Format("HELM", helm.is_log, helm.load),
    Format("lighteval", lighteval.is_log, lighteval.load),
    Format("every-eval-ever", every_eval_ever.is_log, every_eval_ever.load),
    Format("completions", completions.is_log, completions.load),
)


def format_of(source: Source) -> Format | None:
    """The format that claims a file; None for a plain table."""
    with one_look():
        return next((f for f in FORMATS if f.claims(source)), None)
