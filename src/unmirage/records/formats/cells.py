"""Cells of a log that cannot be read, and what several formats ask of the fields of one item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from unmirage.errors import ValueProblem
from unmirage.records.sniff import Source
from unmirage.records.table import Table, show, value_problem


class BadCell(ValueError):
    """A cell that cannot be read; says which."""

    def __init__(self, column: str, what: str, value: Any = None) -> None:
        super().__init__(what)
        self.column, self.value = column, value


def cell_problem(
    source: Source, number: int, bad: BadCell, mend: str, *, lines: bool = True
) -> ValueProblem:
    """The error for a bad cell in a row, which is a line of the file or not."""
    line = int if lines else None
    table = Table(source.name, source.stem, pl.DataFrame(), pl.Series(), line=line)
    what = str(bad) + (f": {show(bad.value)}" if bad.value is not None else "")
    return value_problem(table, what, row=number, column=bad.column, mend=mend)


def likeliest_is_right(fields: Mapping[str, Any]) -> float | None:
    """The credit of the choice with the highest log-probability; None where nothing says it."""
    logs: list[float] = fields["choice_logprobs"]
    top = logs.index(max(logs))
    if (right := fields.get("target_index")) is not None:
        return float(top == right)
    credit = fields.get("choice_credit")
    return None if credit is None else float(credit[top])
