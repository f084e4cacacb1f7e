"""A block of lines as columns: at once where all are of the usual form, else line by line.

Both ways give the same; the tests hold one against the other. At once, what the harness wrote as
text is turned into numbers, lists and verdicts column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.records.formats.lm_eval.results import TaskFacts
from unmirage.records.formats.lm_eval.rows import (
    RIGHT,
    Item,
    indices,
    right_by_score,
    targets_of,
)
from unmirage.records.formats.lm_eval.typed import EMPTY, Irregular, calls_of, prompts_of, typed
from unmirage.records.formats.made import TYPES, column, lists
from unmirage.records.formats.values import real
from unmirage.types import Floats

#: the columns of an answer
FIELDS = (
    *("output", "targets", "choices", "choice_logprobs", "choice_credit"),
    *("target_index", "metric", "score"),
)
SCORES = {"at": pl.Int64, "metric": pl.String, "score": pl.Float64}
#: who counts the answer right: both, this package or the harness alone; 0: nobody
NOBODY, BOTH, OURS, THEIRS = range(4)
_PLACES = {str(i): i for i in range(1000)}


@dataclass(frozen=True, eq=False)
class Batch:
    """Some items: ``answers`` has row, item, document, filter, verdict and :data:`FIELDS`, one row
    an item; ``scores`` the harness' own: at (place of the item), metric, score."""

    prompts: list[str | None]
    answers: pl.DataFrame
    scores: pl.DataFrame
    lost: int = 0  # scores that are NaN or infinite
    more: int = 0  # further answers to the same prompt


def _verdicts(ours: Floats, theirs: Floats) -> NDArray[np.int8]:
    """Who counts each answer right, (S,); NaN: cannot say."""
    known = ~(np.isnan(ours) | np.isnan(theirs))
    differ = known & ~(np.abs(ours - theirs) < 1e-6)
    found = np.where(known & (ours > 0), BOTH, NOBODY)
    return np.where(differ, np.where(ours > theirs, OURS, THEIRS), found).astype(np.int8)


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _answers(
    numbers: Sequence[int],
    names: list[str],
    documents: list[str],
    filters: Sequence[str | None],
    verdicts: NDArray[np.int8],
    fields: Sequence[pl.Series],
) -> pl.DataFrame:
    """The frame of a batch; fields that are not given are null."""
    head = [
        pl.Series("row", numbers, dtype=pl.Int64),
        pl.Series("item", names, dtype=pl.String),
        pl.Series("document", documents, dtype=pl.String),
        pl.Series("filter", filters, dtype=pl.String),
        pl.Series("verdict", verdicts, dtype=pl.Int8),
    ]
    given = {s.name for s in fields}
    rest = [pl.lit(None, dtype=TYPES[c]).alias(c) for c in FIELDS if c not in given]
    return (
        pl.DataFrame([*head, *fields]).with_columns(rest).select(*(s.name for s in head), *FIELDS)
    )


# ---------------------------------------------------------------- line by line


def of_items(numbers: Sequence[int], items: Sequence[Item]) -> Batch:
    """Items that were read one by one, and the lines they stand on."""
    cells = {name: [item.fields.get(name) for item in items] for name in FIELDS}
    ours, theirs = _floats([i.ours for i in items]), _floats([i.theirs for i in items])
    scores = pl.DataFrame(
        {
            "at": [at for at, item in enumerate(items) for _ in item.scores],
            "metric": [m for item in items for m in item.scores],
            "score": [v for item in items for v in item.scores.values()],
        },
        schema=SCORES,
    )
    answers = _answers(
        numbers,
        [item.name for item in items],
        [str(item.doc_id) for item in items],
        [item.filter for item in items],
        _verdicts(ours, theirs),
        [column(name, values, TYPES[name]) for name, values in cells.items()],
    )
    prompts = [item.fields["prompt"] for item in items]
    return Batch(prompts, answers, scores, sum(i.lost for i in items), sum(i.more for i in items))


# ---------------------------------------------------------------- at once


def of_lines(numbers: Sequence[int], lines: Sequence[bytes], task: TaskFacts) -> Batch:
    """Lines that are all of one form, and their numbers.

    Raises:
        Irregular: they are not, or one of them cannot be read.
    """
    rows, names = typed(lines, task.kind)
    calls = calls_of(rows)
    documents = list(map(attrgetter("doc_id"), rows))
    answered = all(map(attrgetter("filtered_resps"), rows))
    if not answered or not {*map(type, documents)} <= {int, str}:
        raise Irregular
    written = list(map(str, documents))
    items = [row.doc_hash or doc for row, doc in zip(rows, written, strict=True)]
    values, lost = _values(rows, names, task)
    said = values.get(RIGHT.get(task.kind or "", ""))
    theirs = _floats([None] * len(rows)) if said is None else said
    if task.kind == "multiple_choice":
        fields, ours = _chosen(rows, calls, theirs, task)
    elif task.kind == "generate_until":
        fields, ours = _generated(rows)
    else:
        fields, ours = _likelihood(rows), _floats([None] * len(rows))
        values.pop("log_likelihood", None)
        lost += fields[-1].null_count()
    filters = [row.filter or None for row in rows]
    verdicts = _verdicts(ours, theirs)
    answers = _answers(numbers, items, written, filters, verdicts, fields)
    return Batch(prompts_of(calls), answers, _long(values), lost)


def _values(
    rows: Sequence[Any], names: Sequence[str], task: TaskFacts
) -> tuple[dict[str, Floats], int]:
    """The harness' scores, (S,) each with NaN where there is none, and how many are not finite."""
    found: dict[str, Floats] = {}
    lost = 0
    for i, name in enumerate(names):
        if name in task.no_means:
            continue
        cells = list(map(attrgetter(f"score_{i}"), rows))
        kinds = {*map(type, cells)}
        if kinds.isdisjoint((float, int, str, bool)):
            continue
        if not kinds <= {float}:
            cells = list(map(real, cells))
            lost -= cells.count(None)
        values = _floats(cells)
        bad = ~np.isfinite(values)
        lost += int(bad.sum())
        found[name] = np.where(bad, np.nan, values)
    return found, lost


def _long(values: dict[str, Floats]) -> pl.DataFrame:
    """One row a score, metric after metric."""
    parts = []
    for name, cells in values.items():
        at = np.flatnonzero(~np.isnan(cells))
        metric = pl.repeat(name, len(at), dtype=pl.String, eager=True)
        parts.append(pl.DataFrame({"at": at, "metric": metric, "score": cells[at]}, schema=SCORES))
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCORES)


def _generated(rows: Sequence[Any]) -> tuple[list[pl.Series], Floats]:
    outputs = [row.filtered_resps[0] for row in rows]
    raw = [row.target for row in rows]
    if {*map(type, raw)} == {str} and not any(target.startswith("[") for target in raw):
        targets = pl.Series("targets", raw, dtype=pl.String).reshape((-1, 1)).arr.to_list()
        ours = [float(o.strip() == t.strip()) for o, t in zip(outputs, raw, strict=True)]
        return [pl.Series("output", outputs, dtype=pl.String), targets], _floats(ours)
    many = list(map(targets_of, raw))
    right = [
        None if ts is None else float(o.strip() in {t.strip() for t in ts})
        for o, ts in zip(outputs, many, strict=True)
    ]
    columns = [
        pl.Series("output", outputs, dtype=pl.String),
        column("targets", many, TYPES["targets"]),
    ]
    return columns, _floats(right)


def _likelihood(rows: Sequence[Any]) -> list[pl.Series]:
    values = _reals([row.filtered_resps[0].value for row in rows])
    targets = column("targets", [targets_of(row.target) for row in rows], TYPES["targets"])
    score = pl.select(pl.when(values.is_finite()).then(values).alias("score")).to_series()
    return [targets, pl.repeat("log_likelihood", len(rows), eager=True).alias("metric"), score]


def _reals(cells: list[Any]) -> pl.Series:
    """The numbers behind texts and numbers.

    Raises:
        Irregular: one of them is none.
    """
    kinds = {*map(type, cells)}
    if kinds == {str}:
        found = pl.Series("value", cells, dtype=pl.String).cast(pl.Float64, strict=False)
    elif kinds == {float}:
        return pl.Series("value", cells, dtype=pl.Float64)
    else:
        found = pl.Series("value", [real(cell) for cell in cells], dtype=pl.Float64)
    if found.null_count():
        raise Irregular
    return found


# ---------------------------------------------------------------- choices


def _chosen(
    rows: Sequence[Any], calls: list[list[Any]], theirs: Floats, task: TaskFacts
) -> tuple[list[pl.Series], Floats]:
    sizes = np.array(list(map(len, map(attrgetter("filtered_resps"), rows))))
    if list(map(len, calls)) != sizes.tolist() or any(c[-1].arg_0 == EMPTY for c in calls):
        raise Irregular  # in the second case each choice may be asked again without a prompt
    logs = _reals([one.value for row in rows for one in row.filtered_resps])
    texts = pl.Series([one.arg_1 for one in chain.from_iterable(calls)], dtype=pl.String)
    texts = texts.str.strip_prefix(task.delimiter)
    starts = np.cumsum(sizes) - sizes
    # winogrande: the choices stand in the prompts, before the same ending
    equal = (texts == texts.shift(1)).fill_null(True).to_numpy().copy()
    equal[starts] = True
    same = np.logical_and.reduceat(equal, starts) & (sizes > 1)
    choices = lists(texts.alias("choices"), sizes)
    if same.any():
        choices = pl.select(pl.when(~pl.Series(same)).then(choices).alias("choices")).to_series()
    table = _table(logs, sizes, starts)
    index, credits = _right([r.target for r in rows], choices, table, sizes, theirs)
    ours = _likeliest(table, index, credits)
    found = [choices, lists(logs.alias("choice_logprobs"), sizes)]
    found.append(pl.Series("target_index", index, dtype=pl.Int64))
    if credits:
        cells = [credits.get(i) for i in range(len(rows))]
        found.append(column("choice_credit", cells, TYPES["choice_credit"]))
    return found, ours


def _table(logs: pl.Series, sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> Floats:
    """(S, K) log-probabilities, -inf beyond the choices of an item."""
    found = np.full((len(sizes), int(sizes.max())), -np.inf)
    own = np.repeat(np.arange(len(sizes)), sizes)
    found[own, np.arange(len(logs)) - np.repeat(starts, sizes)] = logs.to_numpy()
    return found


def _right(
    targets: list[Any],
    choices: pl.Series,
    table: Floats,
    sizes: NDArray[np.int64],
    theirs: Floats,
) -> tuple[list[int | None], dict[int, list[float]]]:
    """The place of the right choice of each item; where several are right, their credits."""
    kinds = {*map(type, targets)}
    index: list[int | None] = [None] * len(targets)
    if kinds == {str}:
        index = [_PLACES.get(target) for target in targets]
    elif kinds == {int}:
        index = list(targets)
    credits: dict[int, list[float]] = {}
    for i, place in enumerate(index):
        size = int(sizes[i])
        if place is not None and 0 <= place < size:
            continue
        known, logs = choices[i], table[i, :size].tolist()
        score = None if np.isnan(theirs[i]) else float(theirs[i])
        right = indices(targets[i], [] if known is None else known.to_list(), size)
        if known is None and not right:
            right = right_by_score(logs, score)
        index[i] = right[0] if len(right) == 1 else None
        if len(right) > 1:
            credits[i] = [float(k in right) for k in range(size)]
    return index, credits


def _likeliest(table: Floats, index: list[int | None], credits: dict[int, list[float]]) -> Floats:
    """The credit of the choice with the highest log-probability, (S,); NaN: nothing says it."""
    top = table.argmax(axis=1)
    right = _floats(index)
    found = np.where(np.isnan(right), np.nan, (top == right).astype(np.float64))
    for i, credit in credits.items():
        found[i] = credit[top[i]]
    found[np.isnan(table).any(axis=1)] = np.nan
    return found
