"""Scores as rows: finds the score column, or turns a wide table into a long one."""

from __future__ import annotations

import fnmatch
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from unmirage.errors import ColumnError, OptionError
from unmirage.records.cells import number
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES, IDENTITY
from unmirage.records.recognise import Recognised, near
from unmirage.records.table import Options
from unmirage.types import Facts, Note

_STDERR_ENDINGS = ("_stderr", "_std_err", "_se", "_standard_error")
_NO_SCORE_SIGNS = re.compile(r"[±$€£¥σμΔδ∆]|平均|均值")
#: while a table is worked on: the wide column that a score came from
FROM = "\0from"
CORRECT = ("correct", "is_correct")
ANSWERS = ("output", "token_logprobs", "choice_logprobs", "token_correct")
SCORABLE = (*ANSWERS, "squared_error")
TRIES = ("tries", "passes")
#: words in the names of numbers that are settings, costs or means of scores, or of which less is
#: better: with one of them a wide table is not guessed at
_NO_SCORE = """
average avg mean overall total sum std sd ci low lower high upper count num number rank elo
rating votes likes stars downloads learning lr rate momentum dropout decay warmup
temperature top seed epoch epochs step steps iter iteration batch loss losses ppl perplexity
nll bpb bits error errors err crossentropy cross entropy crossentropyloss cost price usd eur co2
carbon emissions energy vram ram mfu hfu bpw gbs sem moe margin variance var deviation spread mse
mae rmse wer cer ece toxicity hallucination refusal median aggregate percentile quantile baseline
chance delta diff difference gain change improvement value active sparsity wikitext wikitext2
wikitext103 ptb pile c4 wd beta1 beta2 id index
energy kwh power time hours hour seconds sec ms latency speed throughput memory gb gib mb
size weight weights params parameters tokens flops flop gflops tflops compute data layers
layer dim width depth heads hidden length context window year date age version ratio
fraction share alpha beta gamma tau
"""


@dataclass(frozen=True)
class _Wide:
    """One wide column and where its rows go."""

    column: str
    stderr: str | None
    task: str | None
    metric: str | None


def facts_of(name: str) -> Facts | None:
    """What the metrics layer knows of a metric by its name; None for an unknown name."""
    try:
        found = importlib.import_module("unmirage.metrics").facts(name)
    except Exception:
        return None
    return found if isinstance(found, Facts) else None


def long(seen: Recognised, options: Options) -> tuple[Recognised, frozenset[str]]:
    """The table with a ``score`` column, and which entries of ``options.scores`` it used.

    Raises:
        ColumnError: an aggregate table has no score column and ``scores`` names none.
        OptionError: several score columns beside outputs: rows would repeat the outputs.
    """
    frame = seen.table.frame
    if "score" in frame.columns:
        return _with_score(seen, options.scores)
    if seen.samples and {*TRIES} <= {*frame.columns}:
        return seen, frozenset()
    used, names = named(frame, options.scores)
    if not names and seen.samples:
        seen, found = _correct(seen)
        if found or any(c in frame.columns for c in ANSWERS):
            return seen, used
    automatic = not names
    names = names or [c for c in candidates(seen) if _known_metric(c)]
    if not names and (names := plainly_scores(seen)):
        seen = replace(seen, notes=(*seen.notes, _guessed(seen.table.name, names)))
        automatic = False
    if not names and "squared_error" in frame.columns:
        return seen, used
    if not names:
        raise _no_score(seen)
    if seen.samples and len(names) > 1 and any(c in frame.columns for c in ANSWERS):
        what = "a table with outputs can hold one score column, else each output would count twice"
        raise OptionError(what, file=seen.table.name, mend=f"--scores {names[0]}")
    return _melt(seen, names, automatic), used


def _with_score(seen: Recognised, scores: Sequence[str]) -> tuple[Recognised, frozenset[str]]:
    """A table that has a score column: others like it, in a table without tasks, are told."""
    frame, name = seen.table.frame, seen.names.get("score", "score")
    used = frozenset(s for s in scores if s == name or fnmatch.fnmatchcase(name, s))
    if seen.samples or used or {"task", "metric"} & {*frame.columns}:
        return seen, used
    spare = [c for c in candidates(seen) if _like_scores(c, frame[c])]
    if spare:
        message = f"only {name!r} is read; columns that look like other scores left out: "
        message += f"{', '.join(spare)}; --scores says which to read"
        note = Note("warning", "spare_scores", message, seen.table.name, len(spare))
        seen = replace(seen, notes=(*seen.notes, note))
    return seen, used


def named(frame: pl.DataFrame, scores: Sequence[str]) -> tuple[frozenset[str], list[str]]:
    """Which ``scores`` (names or patterns like ``eval/*``) this frame has, and their columns."""
    used: set[str] = set()
    names: dict[str, None] = {}
    for score in scores:
        if score in frame.columns:
            found = [score]
        else:
            found = [c for c in frame.columns if fnmatch.fnmatchcase(c, score)]
        used |= {score} if found else set()
        names.update(dict.fromkeys(found))
    return frozenset(used), list(names)


def candidates(seen: Recognised) -> list[str]:
    """Numeric columns without a meaning: what could be scores of a wide table."""
    known = CANONICAL_SAMPLES if seen.samples else CANONICAL_AGGREGATES
    frame = seen.table.frame
    return [
        c
        for c in frame.columns
        if c not in known and not c.lower().endswith(_STDERR_ENDINGS) and _holds_numbers(frame[c])
    ]


def plainly_scores(seen: Recognised) -> list[str]:
    """The columns of a wide table that can be nothing but scores; none where one may be another
    thing: one row a model, and each column of numbers holds fractions from 0 to 1, or up to 100.

    A table with a learning rate or a mean of its columns is not guessed at.
    """
    frame = seen.table.frame
    if seen.samples or {"task", "metric"} & set(frame.columns) or "model" not in frame.columns:
        return []
    which = [c for c in IDENTITY if c in frame.columns and c != "seed"]
    if frame["model"].null_count() or frame.select(which).is_duplicated().any():
        return []
    names = candidates(seen)
    if len(names) < 2 or not all(_like_scores(name, frame[name]) for name in names):
        return []
    top = {name: _top(frame[name]) for name in names}
    if any(_beside(a, b) and top[b] < top[a] / 4 for a in names for b in names):
        return []
    return names


def _top(s: pl.Series) -> float:
    return float(number(s).values.drop_nulls().to_numpy().max(initial=0.0))


def _beside(name: str, other: str) -> bool:
    """``other`` says something of the column ``name``: its error, say."""
    return other != name and (other.startswith(name) or other.endswith(name))


def _like_scores(name: str, s: pl.Series) -> bool:
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = re.split(r"[^a-z0-9]+", f"{apart} {name}".lower())
    if set(_NO_SCORE.split()).intersection(words) or _NO_SCORE_SIGNS.search(name):
        return False
    if s.dtype == pl.Boolean:
        return False
    return _measured(s) and bool(number(s).values.drop_nulls().is_between(0, 100).all())


def _guessed(file: str, names: list[str]) -> Note:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    text = f"columns taken to be scores, each of a task: {shown}; --scores says which are"
    return Note("warning", "guessed_scores", text, file, len(names))


def _holds_numbers(s: pl.Series) -> bool:
    """Whether every cell is a number, a truth value or missing, and some are not missing."""
    if not (s.dtype.is_numeric() or s.dtype in (pl.Boolean, pl.String)):
        return False
    if s.dtype == pl.String and number(s.drop_nulls().head(100)).bad.any():
        return False  # long texts need not be looked at one by one
    parsed = number(s)
    return not parsed.bad.any() and parsed.values.null_count() < s.len()


def _measured(s: pl.Series) -> bool:
    """Fractions that differ from row to row: a measurement, not a setting of several rows."""
    values = number(s).values.drop_nulls()
    fractions = (values != values.round(0)).any()
    return bool(fractions) and values.n_unique() > max(4, s.len() // 4)


def _known_metric(column: str) -> bool:
    return facts_of(column) is not None


def _correct(seen: Recognised) -> tuple[Recognised, bool]:
    """A column saying right or wrong is the score of a table that has no other."""
    table = seen.table
    for name in CORRECT:
        if name not in table.frame.columns:
            continue
        parsed = number(table.frame[name])
        if parsed.bad.any() or not parsed.values.drop_nulls().is_in([0.0, 1.0]).all():
            continue
        frame = table.frame.with_columns(parsed.values.alias("score"))
        if "metric" not in frame.columns:
            frame = frame.with_columns(pl.lit("correct").alias("metric"))
        note = Note("info", "score_from_correct", f"score = {name!r}", table.name)
        frame = frame.drop(name)
        return replace(seen, table=replace(table, frame=frame), notes=(*seen.notes, note)), True
    return seen, False


def _no_score(seen: Recognised) -> ColumnError:
    found = candidates(seen)
    columns = ", ".join(seen.table.frame.columns[:30])
    if not found:
        mend = "--columns score=<your column>"
        guess = near("score", seen.table.frame.columns)
        mend = f"--columns score={guess}" if guess else mend
        what = f"has no score column (columns: {columns})"
        return ColumnError(what, file=seen.table.name, mend=mend)
    listed = ", ".join(found[:30]) + (", ..." if len(found) > 30 else "")
    what = f"has no score column; these columns could hold scores: {listed}"
    return ColumnError(what, file=seen.table.name, mend=f"--scores {','.join(found[:8])}")


def _melt(seen: Recognised, names: list[str], automatic: bool) -> Recognised:
    table = seen.table
    frame = table.frame.with_columns(table.numbers.alias("row"))
    wides = [_target(frame, name) for name in names]
    used = {*names, *(w.stderr for w in wides if w.stderr)}
    spare = [c for c in candidates(seen) if c not in used and _measured(frame[c])]
    rest = [c for c in frame.columns if c not in used and c not in spare]
    parts = []
    for wide in wides:
        if frame[wide.column].dtype not in (pl.String, pl.Boolean) and not (
            frame[wide.column].dtype.is_numeric()
        ):
            what = f"the column {wide.column!r} holds no numbers"
            raise ColumnError(what, file=table.name, mend="name other columns in --scores")
        part = frame.select(rest).with_columns(
            _score_cells(frame[wide.column]), pl.lit(wide.column).alias(FROM)
        )
        if wide.stderr:
            part = part.with_columns(frame[wide.stderr].alias("stderr"))
        if wide.task:
            part = part.with_columns(pl.lit(wide.task).alias("task"))
        if wide.metric:
            part = part.with_columns(pl.lit(wide.metric).alias("metric"))
        parts.append(part)
    whole = pl.concat(parts, how="diagonal_relaxed")
    notes = seen.notes
    if automatic:
        message = f"columns read as scores: {', '.join(names)}"
        notes = (*notes, Note("info", "wide_scores", message, table.name))
    if spare:
        message = f"columns that look like other scores left out: {', '.join(spare)}"
        if automatic:
            message += "; --scores says which to read"
        level: Literal["warning", "info"] = "warning" if automatic else "info"
        notes = (*notes, Note(level, "spare_scores", message, table.name, len(spare)))
    new = replace(table, frame=whole.drop("row"), numbers=whole["row"])
    return replace(seen, table=new, notes=notes)


def _score_cells(s: pl.Series) -> pl.Series:
    """Text stays text, so that a cell that is no number is refused with its row."""
    cells = s if s.dtype == pl.String else s.cast(pl.Float64)
    return cells.alias("score")


def _target(frame: pl.DataFrame, name: str) -> _Wide:
    """Where the rows of a wide column go: it names the task, or where a task column exists or
    where it is the name of a metric, the metric."""
    stderr = next((name + e for e in _STDERR_ENDINGS if name + e in frame.columns), None)
    if "metric" in frame.columns and "task" not in frame.columns:
        return _Wide(name, stderr, name, None)
    if "task" in frame.columns or _known_metric(name):
        return _Wide(name, stderr, None, name)
    return _Wide(name, stderr, name, None)
