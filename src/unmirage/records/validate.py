"""Types and values of one table: what cannot be right is refused, or left out and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unmirage.errors import ColumnError
from unmirage.records.cells import parse
from unmirage.records.columns import (
    CANONICAL_AGGREGATES,
    CANONICAL_SAMPLES,
    IDENTITY,
    SCALE_COLUMNS,
    SETTINGS,
)
from unmirage.records.recognise import Recognised
from unmirage.records.shape import FROM, SCORABLE, TRIES, facts_of
from unmirage.records.table import Options, Table, show, value_problem
from unmirage.records.until import LOG_RATE, RATE, unfold
from unmirage.types import Note

_MENDS = {
    "params": "give the number of parameters as a number above 0 (1.4e9 or 1.4B)",
    "tokens": "give a number such as 300e9 or 300B",
    "flops": "give a number such as 1e21",
    "step": "give a whole number",
    "score": "repair the cell, or leave such rows out with skip_bad (--skip-bad)",
}
_NOUNS: dict[Any, str] = {
    pl.Float64: "number",
    pl.Int64: "whole number",
    pl.Boolean: "truth value",
}
_SKIP = "repair the cell, rename the column, or leave such rows out with skip_bad (--skip-bad)"


#: more items than that were never asked
MOST_ITEMS = 1e15
#: a score beyond that is a slip
MOST_SCORE = 1e100
#: rows that a note names
_ROWS_NAMED = 5


@dataclass(eq=False)
class _Work:
    """A table on its way; rows are dropped as bad cells are met (skip_bad only)."""

    table: Table
    options: Options
    notes: list[Note]
    names: Mapping[str, str]  # canonical column -> the table's own

    @property
    def frame(self) -> pl.DataFrame:
        return self.table.frame

    def put(self, column: pl.Series | pl.Expr) -> None:
        self.table = replace(self.table, frame=self.frame.with_columns(column))

    def note(self, level: Any, code: str, message: str, count: int | None = None) -> None:
        self.notes.append(Note(level, code, message, self.table.name, count))

    def keep(self, mask: pl.Series) -> None:
        self.table = replace(
            self.table, frame=self.frame.filter(mask), numbers=self.table.numbers.filter(mask)
        )

    def _wide(self, column: str) -> bool:
        return column == "score" and FROM in self.frame.columns

    def refuse(self, bad: pl.Series, column: str, what: str, mend: str, raw: pl.Series) -> None:
        """Raises for the first bad row, or drops all of them where the caller said skip_bad."""
        if not bad.any():  # asked of every column of every file: cheap where all is well
            return
        bad = bad.fill_null(False)
        count = int(bad.sum())
        if not self.options.skip_bad:
            at = bad.arg_true()[0]
            where = int(self.table.numbers[at])
            name = self.frame[FROM][at] if self._wide(column) else self.names.get(column, column)
            text = f"{what}: {show(raw[at])}"
            raise value_problem(self.table, text, row=where, column=name, mend=mend)
        self.note("warning", "bad_rows", f"rows left out: column {column!r} {what}", count)
        self.keep(~bad)


def validate(seen: Recognised, options: Options) -> tuple[pl.DataFrame, tuple[Note, ...]]:
    """The canonical frame of one table (typed, checked, with ``file`` and ``row``) and its notes.

    Raises:
        ValueProblem: a cell that cannot be right.
        ColumnError: a column that must be there and is not.
    """
    work = _Work(seen.table, options, [*seen.table.notes, *seen.notes], seen.names)
    known = CANONICAL_SAMPLES if seen.samples else CANONICAL_AGGREGATES
    for column in [c for c in work.frame.columns if c in known]:
        _cast(work, column, known[column], seen.factors.get(column, 1.0))
    _scales(work)
    if seen.samples and {*TRIES} <= {*work.frame.columns}:
        _tries(work)
    _defaults(work)
    _percent(work)
    if seen.samples:
        _samples(work)
    _scores(work, required=not seen.samples)
    if not seen.samples:
        _side_numbers(work)
    _chance(work)
    frame = work.frame.with_columns(
        pl.lit(work.table.name).alias("file"), work.table.numbers.alias("row")
    )
    return frame.drop(FROM, strict=False), tuple(work.notes)


def complete(frame: pl.DataFrame, samples: bool) -> pl.DataFrame:
    """The frame with every canonical column, in the canonical order, extras after them."""
    known: dict[str, Any] = CANONICAL_SAMPLES if samples else CANONICAL_AGGREGATES
    missing = [pl.lit(None, dtype=t).alias(c) for c, t in known.items() if c not in frame.columns]
    extra = [c for c in frame.columns if c not in known]
    return frame.with_columns(missing).select(*known, *sorted(extra))


def _cast(work: _Work, column: str, dtype: Any, factor: float) -> None:
    raw = work.frame[column]
    parsed = parse(raw, dtype, scale=column in SCALE_COLUMNS, factor=factor)
    if column == "target_index" and parsed.bad.any():
        # letters: which letter is which choice is not known here
        work.table = replace(work.table, frame=work.frame.rename({column: "target_index_text"}))
        message = "target_index holds no whole numbers and was kept as target_index_text"
        work.note("warning", "target_index_text", message)
        return
    if parsed.values is not raw:
        work.put(parsed.values.alias(column))
    if parsed.guessed:
        message = f"cells of {column!r} read as numbers with a unit (1.4B, 45%, 5-shot)"
        work.note("info", "units_read", message, parsed.guessed)
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    what = _NOUNS.get(inner, "text")
    what = f"is no list of {what}s" if inner is not dtype else f"is no {what}"
    work.refuse(parsed.bad, column, what, _MENDS.get(column, _SKIP), raw)


def _scales(work: _Work) -> None:
    for column in SCALE_COLUMNS:
        if column not in work.frame.columns:
            continue
        what = "is not above 0" if column == "params" else "is below 0"
        s = work.frame[column]
        work.refuse(s.is_nan() | s.is_infinite(), column, "is no finite number", _MENDS[column], s)
        s = work.frame[column]
        low = s <= 0 if column == "params" else s < 0
        work.refuse(low, column, what, _MENDS[column], s)
        missing = work.frame[column].null_count()
        if missing:
            work.note("info", "scale_missing", f"rows in which {column!r} is empty", missing)


def _defaults(work: _Work) -> None:
    frame = work.frame
    if "task" not in frame.columns:
        work.put(pl.lit(work.table.stem).alias("task"))
        work.note("info", "default_task", f"no task column: task is {work.table.stem!r}")
    elif missing := frame["task"].null_count():
        work.put(pl.col("task").fill_null(work.table.stem))
        work.note(
            "info", "default_task", f"rows without a task: task is {work.table.stem!r}", missing
        )
    frame = work.frame
    if "score" not in frame.columns:
        return
    if "metric" not in frame.columns:
        work.put(pl.lit("score").alias("metric"))
        work.note("info", "default_metric", "no metric column: metric is 'score'")
    elif missing := int((frame["metric"].is_null() & frame["score"].is_not_null()).sum()):
        named = pl.when(pl.col("score").is_not_null()).then(pl.col("metric").fill_null("score"))
        work.put(named.otherwise(pl.col("metric")).alias("metric"))
        work.note("info", "default_metric", "rows without a metric: metric is 'score'", missing)


def percent_mask(frame: pl.DataFrame, percent: tuple[str, ...]) -> pl.Expr:
    """Rows whose metric, or whose task where the metric has no name, was said to be in percent."""
    names = [p.casefold() for p in percent]
    metric = pl.col("metric").str.to_lowercase()
    bare = (metric == "score") & pl.col("task").str.to_lowercase().is_in(names)
    return (metric.is_in(names) | bare).fill_null(False)


def _percent(work: _Work) -> None:
    percent = tuple(work.options.percent)
    frame = work.frame
    if not percent or "score" not in frame.columns:
        return
    mask = percent_mask(frame, percent)
    count = frame.select(mask.sum()).item()
    if not count:
        return
    columns = [c for c in ("score", "stderr") if c in frame.columns]
    changed = [pl.when(mask).then(pl.col(c) / 100).otherwise(pl.col(c)).alias(c) for c in columns]
    if "chance" in frame.columns:
        high = mask & (pl.col("chance") > 1)
        changed.append(
            pl.when(high).then(pl.col("chance") / 100).otherwise(pl.col("chance")).alias("chance")
        )
    work.table = replace(work.table, frame=frame.with_columns(changed))
    work.note("info", "percent", "scores divided by 100, as asked", count)


def _scores(work: _Work, *, required: bool) -> None:
    if "score" not in work.frame.columns:
        return
    s = work.frame["score"]
    work.refuse(s.is_nan(), "score", "is NaN", _MENDS["score"], s)
    s = work.frame["score"]
    work.refuse(s.is_infinite(), "score", "is infinite", _MENDS["score"], s)
    s = work.frame["score"]
    # the squares of larger ones are no numbers any more
    work.refuse(s.abs() > MOST_SCORE, "score", f"is beyond {MOST_SCORE:g}", _MENDS["score"], s)
    useless = work.frame["score"].is_null()
    if not required:  # a sample can still be scored from its output
        have = [c for c in SCORABLE if c in work.frame.columns]
        for column in have:
            useless = useless & work.frame[column].is_null()
    if count := int(useless.sum()):
        work.keep(~useless)
        what = "a score" if required else "anything to score"
        work.note("warning", "null_score", f"rows without {what} left out", count)


def _side_numbers(work: _Work) -> None:
    """Standard errors and counts that cannot be right become unknown."""
    frame = work.frame
    if "stderr" in frame.columns:
        s = frame["stderr"]
        # the square must be a number above 0
        bad = ((s < 0) | ~s.is_finite() | (s > 1e150) | ((s > 0) & (s < 1e-150))).fill_null(False)
        _blank(work, "stderr", bad, "stderr_bad", "standard errors below 0 or beyond all numbers")
        # harnesses write 0.0 where they could not know it
        score = frame["score"]
        zero = ((s == 0) & (score > 0) & (score < 1)).fill_null(False)
        _blank(work, "stderr", zero, "stderr_zero", "standard errors of 0 at a score within (0, 1)")
    if "n_samples" in frame.columns:
        n = frame["n_samples"]
        bad = ((n < 1) | (n > MOST_ITEMS) | ~n.is_finite()).fill_null(False)
        what = f"numbers of items below 1 or above {MOST_ITEMS:g}"
        _blank(work, "n_samples", bad, "n_samples_bad", what)


def _blank(work: _Work, column: str, bad: pl.Series, code: str, what: str) -> None:
    if count := int(bad.sum()):
        rows = work.table.numbers.filter(bad).to_list()
        first = ", ".join(map(str, rows[:_ROWS_NAMED])) + (", ..." if count > _ROWS_NAMED else "")
        what = f"{what} ({'row' if count == 1 else 'rows'} {first})"
        work.put(pl.select(pl.when(~bad).then(work.frame[column]).alias(column)).to_series())
        work.note("warning", code, f"{what}: read as unknown", count)


def _chance(work: _Work) -> None:
    """A chance level of a score within [0, 1] lies there too."""
    frame = work.frame
    if "chance" not in frame.columns or "score" not in frame.columns:
        return
    bad = (~frame["chance"].is_finite()).fill_null(False)
    _blank(work, "chance", bad, "chance_bad", "chance levels that are not finite")
    frame = work.frame
    outside = ((frame["chance"] < 0) | (frame["chance"] > 1)).fill_null(False)
    if not outside.any():
        return
    bounded = _bounded_metrics(frame)
    wrong = outside & frame["metric"].is_in(bounded).fill_null(False)
    mend = "give the chance level as a share of 1, or read the metric as --percent"
    work.refuse(wrong, "chance", "lies outside [0, 1]", mend, frame["chance"])


def _bounded_metrics(frame: pl.DataFrame) -> list[str]:
    """Metrics whose scores here lie in [0, 1], unless their facts allow more."""
    within = frame.group_by("metric").agg(
        (pl.col("score").min() >= 0) & (pl.col("score").max() <= 1)
    )
    names = within.filter(pl.col("score"))["metric"].drop_nulls().to_list()
    return [n for n in names if (f := facts_of(n)) is None or (f.low >= 0 and f.high <= 1)]


# ---------------------------------------------------------------- samples


def _samples(work: _Work) -> None:
    frame = work.frame
    if not any(c in frame.columns for c in (*SCORABLE, "score")):
        what = "holds items but nothing to score: no output, log-probabilities or score"
        raise ColumnError(what, file=work.table.name, mend="--columns output=<your column>")
    if "item" not in frame.columns:
        _number_items(work)
    _empty_outputs(work)
    s = work.frame["item"]
    work.refuse(s.is_null(), "item", "is empty", _SKIP, s)
    if "squared_error" in work.frame.columns:
        s = work.frame["squared_error"]
        mend = "a squared error is a number from 0 on; leave the cell empty where there is none"
        bad = ((s < 0) | ~s.is_finite() | (s > MOST_SCORE)).fill_null(False)
        what = f"is below 0 or no number up to {MOST_SCORE:g}"
        work.refuse(bad, "squared_error", what, mend, s)
    for column in ("token_logprobs", "choice_logprobs"):
        if column in work.frame.columns:
            s = work.frame[column]
            # 1e-3: harnesses round; a probability of 1 has the log-probability 0
            mend = "give natural logarithms of probabilities: all are at most 0"
            above = (s.list.max() > 1e-3).fill_null(False)
            work.refuse(above, column, "holds a log-probability above 0", mend, s)
    _choices(work)


def _tries(work: _Work) -> None:
    """Pass rates, where items were tried again and again and there is no other score."""
    mend = "whole numbers: tries from 1 on, passes from 0 to tries"
    for column, low in (("tries", 1), ("passes", 0)):
        s = work.frame[column]
        work.refuse(s.is_null(), column, "is empty", mend, s)
        s = work.frame[column]
        work.refuse(s < low, column, f"is below {low}", mend, s)
    more = work.frame["passes"] > work.frame["tries"]
    work.refuse(more, "passes", "is above tries", mend, work.frame["passes"])
    if "score" in work.frame.columns:
        return
    frame, numbers = unfold(work.frame), work.table.numbers
    work.table = replace(work.table, frame=frame, numbers=pl.concat([numbers, numbers]))
    for name, why in (
        (RATE, "items tried until their first pass"),
        (LOG_RATE, "items without one"),
    ):
        rows = frame.filter(metric=name)
        if lost := rows["score"].null_count():
            message = f"{why} have no {name}: left out"
            if name == LOG_RATE:
                message += f", so the mean of a model that leaves out many is too low{_most(rows)}"
            work.note("warning", "no_rate", message, lost)
    there = work.frame["score"].is_not_null()
    work.keep(there)


def _most(rows: pl.DataFrame) -> str:
    """The model that loses the largest share of its items."""
    if "model" not in rows.columns:
        return ""
    lost = pl.col("score").null_count()
    each = rows.group_by("model").agg(lost.alias("lost"), pl.len().alias("of"))
    share = pl.col("lost") / pl.col("of")
    worst = each.sort(share, "model", descending=[True, False]).row(0, named=True)
    return f" ({worst['model']}: {worst['lost']} of {worst['of']} items)"


def _number_items(work: _Work) -> None:
    """Without an item column the place within the model's rows stands for the item."""
    names = (*IDENTITY, *SETTINGS, "metric", "repeat")
    group = [c for c in names if c in work.frame.columns]
    order = pl.int_range(1, pl.len() + 1)
    items = work.frame.select((order.over(group) if group else order).cast(pl.String).alias("item"))
    work.put(items["item"])
    message = "no item column: items are numbered in the order of each model's rows"
    work.note("warning", "items_numbered", message, work.frame.height)


def _empty_outputs(work: _Work) -> None:
    """CSV cannot tell an empty answer from a missing one, and models do answer nothing: leaving
    such rows out would make weak models look better."""
    if not work.table.text or "output" not in work.frame.columns:
        return
    empty = work.frame["output"].null_count()
    if empty and empty < work.frame.height:
        work.put(work.frame["output"].fill_null(""))
        work.note("warning", "empty_output", "empty cells of 'output' read as empty answers", empty)


def _choices(work: _Work) -> None:
    """Lists about the same choices must be of one length."""
    if "choice_logprobs" not in work.frame.columns:
        return
    mend = "give one log-probability for each choice"
    for other in ("choices", "choice_credit"):
        if other in work.frame.columns:
            frame = work.frame
            differ = frame["choice_logprobs"].list.len() != frame[other].list.len()
            what = f"has another length than {other!r}"
            work.refuse(differ, "choice_logprobs", what, mend, frame["choice_logprobs"])
    if "target_index" in work.frame.columns:
        frame = work.frame
        index = frame["target_index"]
        outside = (index < 0) | (index >= frame["choice_logprobs"].list.len())
        what = "is no index (from 0) of one of the choices"
        work.refuse(outside, "target_index", what, "count choices from 0", index)
