"""A table of sizes of the user's own models: ``--models models.csv``."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from unmirage.errors import ColumnError, FileProblem
from unmirage.records.cells import parse, text
from unmirage.records.models import Known, OwnModels, parse_name
from unmirage.records.recognise import recognise
from unmirage.records.sniff import find
from unmirage.records.table import Table, value_problem
from unmirage.records.tables import from_frame, load

_NUMBERS = ("params", "tokens", "flops")
_MEND = "give columns model, params and, where known, tokens, flops, family"


def read_models(given: str | Path | pl.DataFrame) -> OwnModels:
    """The user's table of models: a file or a data frame.

    Raises:
        FileProblem: it cannot be read.
        ColumnError: no column ``model``, or nothing beside it.
        ValueProblem: a number that cannot be right, or two rows that disagree.

    >>> own = read_models(pl.DataFrame({"model": ["mine-small"], "params": ["12M"]}))
    >>> own.find("lab/Mine_Small").params
    12000000.0
    """
    table = _load(given)
    seen = recognise(table, {})
    frame = seen.table.frame
    there = [c for c in _NUMBERS if c in frame.columns]
    if "model" not in frame.columns or not (there or "family" in frame.columns):
        columns = ", ".join(seen.theirs[:30])
        raise ColumnError(
            f"is no table of models (columns: {columns})", file=table.name, mend=_MEND
        )
    numbers = {c: _number(seen.table, frame[c], seen.factors.get(c, 1.0)) for c in there}
    names = text(frame["model"]).to_list()
    families: list[str | None] = [None] * frame.height
    if "family" in frame.columns:
        families = text(frame["family"]).to_list()
    by_name: dict[str, Known] = {}
    by_key: dict[str, Known | None] = {}
    for i, name in enumerate(names):
        row = int(table.numbers[i])
        if not name or not name.strip():
            raise value_problem(table, "is empty", row=row, column="model", mend=_MEND)
        params, tokens, flops = (numbers[c][i] if c in numbers else None for c in _NUMBERS)
        said = Known(name, families[i] or None, params, tokens, flops, source=table.name)
        if by_name.setdefault(name.casefold(), said) != said:
            what = f"the model {name!r} is given twice, with different numbers"
            raise value_problem(table, what, row=row, column="model", mend="leave one row a model")
        key = parse_name(name).key
        # two names of one key: each is found only as it is written
        by_key[key] = said if by_key.get(key, said) == said else None
    return OwnModels(by_name, {k: v for k, v in by_key.items() if v is not None})


def _load(given: str | Path | pl.DataFrame) -> Table:
    if not isinstance(given, (str, Path)):
        return from_frame(given, "(models)")
    sources, _ = find(Path(given))
    if len(sources) != 1 or sources[0].found or sources[0].kind == "store":
        raise FileProblem("is no table of models", file=str(given), mend="name one CSV file")
    return load(sources[0])


def _number(table: Table, column: pl.Series, factor: float) -> list[float | None]:
    parsed = parse(column, pl.Float64, scale=True, factor=factor)
    values = parsed.values.fill_nan(None)
    bad = parsed.bad | ((values <= 0) | values.is_infinite()).fill_null(False)
    if bad.any():
        at = bad.arg_true()[0]
        what = f"is no number above 0: {str(column[at])[:40]!r}"
        mend = "give a number such as 1.4e9 or 1.4B, or leave the cell empty"
        raise value_problem(table, what, row=int(table.numbers[at]), column=column.name, mend=mend)
    found: list[float | None] = values.to_list()
    return found
