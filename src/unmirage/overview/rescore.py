"""Our recomputed score against the one the harness reported, item by item, and why they differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage import metrics
from unmirage.errors import UnmirageError
from unmirage.metrics.text import normal, words_f1
from unmirage.records.columns import IDENTITY, SETTINGS
from unmirage.types import Floats, Metric, Records

Mask = NDArray[np.bool_]
SCORABLE = ("output", "token_logprobs", "choice_logprobs", "token_correct")
#: scores nearer than that are the same
TOLERANCE = 1e-6
#: harnesses print that many digits
_ROUNDED = 5e-4
_FACTORS = (
    (100.0, "the harness writes it on 0-100"),
    (0.5, "the harness halves it"),
    (2.0, "the harness doubles it"),
    (1 / math.log(2), "the harness counts in bits, not nats"),
    (math.log(2), "the harness counts in nats, not bits"),
    (-1.0, "the harness writes the other sign"),
)


@dataclass(frozen=True)
class Compared:
    """One metric of one model on one task: the harness' score and ours, of the same items."""

    task: str
    metric: str  # our name
    reported_as: str  # the harness' name
    model: str
    items: int  # answers that both scored
    ours: float  # mean
    theirs: float
    differ: int  # answers on which they differ
    reason: str  # "" where they agree


def compare(records: Records) -> tuple[Compared, ...]:
    """Every score that a harness gave to items and that can be recomputed from the same items."""
    frame = records.samples
    if not frame.height or "metric" not in frame.columns:
        return ()
    frame = frame.with_row_index("_row")
    found: list[Compared] = []
    for (task,), part in sorted(frame.partition_by("task", as_dict=True).items(), key=_text):
        found += _of_task(str(task), part)
    found += _of_aggregates(records)
    return tuple(sorted(found, key=lambda c: (c.task, c.metric, c.reported_as, c.model)))


def _text(pair: tuple[tuple[object, ...], pl.DataFrame]) -> str:
    return str(pair[0])


def _of_task(task: str, frame: pl.DataFrame) -> Iterator[Compared]:
    have = [c for c in SCORABLE if c in frame.columns]
    if not have:
        return
    answers = frame.filter(pl.any_horizontal(pl.col(c).is_not_null() for c in have))
    scored = frame.filter(pl.col("score").is_not_null() & pl.col("metric").is_not_null())
    if not answers.height or not scored.height:
        return
    there = {m.name: m for m in metrics.available(answers)}
    for name in sorted(scored["metric"].unique().to_list()):
        metric = next((there[n] for n in _ours(name) if n in there), None)
        if metric is None or metric.pooled:
            continue
        paired = _paired(answers, scored.filter(pl.col("metric") == name))
        if paired is None:
            continue
        try:
            ours = metrics.score(metric, paired)
        except UnmirageError:
            continue
        yield from _by_model(task, name, metric, paired, ours)


def _ours(reported_as: str) -> tuple[str, ...]:
    """Our names for a reported score, the nearest first: harnesses without log-probabilities of
    choices call it accuracy how many written answers equal their target."""
    facts = metrics.facts(reported_as)
    if facts is None:
        return ()
    return ("accuracy", "exact_match") if facts.name == "accuracy" else (facts.name,)


def _paired(answers: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame | None:
    """The answers with the harness' score, ``_theirs``; None where it is unclear which is whose."""
    names = [c for c in (*IDENTITY, *SETTINGS, "item", "repeat") if c in answers.columns]
    key = [c for c in names if answers[c].null_count() < answers.height]
    # a table may repeat an answer in the row of each of its scores
    have = [c for c in SCORABLE if c in answers.columns]
    answers = answers.drop("score", "metric").unique([*key, *have], maintain_order=True)
    theirs = scored.select(*key, pl.col("score").alias("_theirs"))
    if theirs.select(key).is_duplicated().any() or answers.select(key).is_duplicated().any():
        return None
    joined = answers.join(theirs, on=key, how="inner", nulls_equal=True, maintain_order="left")
    return joined if joined.height else None


def _by_model(
    task: str, name: str, metric: Metric, paired: pl.DataFrame, ours: Floats
) -> Iterator[Compared]:
    theirs = paired["_theirs"].to_numpy()
    both = ~np.isnan(ours)
    models = paired["model"].fill_null("(no name)").to_numpy()
    for model in np.unique(models):
        here = np.flatnonzero(both & (models == model))
        if not len(here):
            continue
        a, b = ours[here], theirs[here]
        differ = np.abs(a - b) > TOLERANCE * np.maximum(1.0, np.abs(b))
        rows = paired[here]
        reason = why(metric, rows, a, b, differ, name) if differ.any() else ""
        yield Compared(
            task,
            metric.name,
            name,
            str(model),
            len(here),
            float(a.mean()),
            float(b.mean()),
            int(differ.sum()),
            reason,
        )


def _of_aggregates(records: Records) -> Iterator[Compared]:
    """Scores that were reported without items, of answers that are there as well."""
    samples, frame = records.samples, records.aggregates
    have = [c for c in SCORABLE if c in samples.columns]
    answers = samples.filter(pl.any_horizontal(pl.col(c).is_not_null() for c in have))
    key = ["task", "model", "step", "shots", "subtask"]
    rows = frame.join(answers.select(key).unique(), on=key, how="semi", nulls_equal=True)
    for name, *values, score, n in rows.select("metric", *key, "score", "n_samples").rows():
        known = [n for n in _ours(name or "") if n in metrics.METRICS]
        if not known:
            continue
        same = (pl.col(c).eq_missing(pl.lit(v)) for c, v in zip(key, values, strict=True))
        here = answers.filter(*same)
        one_each = not here.select("item", "repeat").is_duplicated().any()
        there = (m for m in map(metrics.get, known) if not metrics.missing(m, here))
        metric = next(there, None)
        if not one_each or metric is None or metric.pooled:
            continue  # answers of several filters or prompts: not known which was reported
        ours = metrics.score(metric, here)
        ours = ours[~np.isnan(ours)]
        if not len(ours):
            continue
        mean = float(ours.mean())
        differs = abs(mean - score) > TOLERANCE * max(1.0, abs(score))
        reason = _why_aggregate(mean, score, n, len(ours)) if differs else ""
        model = values[1] or "(no name)"
        told = f"{name} (of all items)"
        yield Compared(
            str(values[0]), metric.name, told, model, len(ours), mean, score, int(differs), reason
        )


def _why_aggregate(ours: float, theirs: float, said: float | None, items: int) -> str:
    if said is not None and said != items:
        return f"the harness scored {said:,.0f} items, {items:,} answers are here"
    for factor, text in _FACTORS:
        if ours and abs(theirs / ours - factor) < TOLERANCE:
            return text
    return "the harness rounds" if abs(theirs - ours) <= _ROUNDED else "not known"


# ---------------------------------------------------------------- why they differ


def why(
    metric: Metric,
    rows: pl.DataFrame,
    ours: Floats,
    theirs: Floats,
    differ: Mask,
    reported_as: str = "",
) -> str:
    """What explains most of the differences, with its share where it is not all of them."""
    best, text = 0, ""
    for reason, mask in _reasons(metric, rows, ours, theirs, reported_as):
        explained = int((mask & differ).sum())
        if explained > best:
            best, text = explained, reason
    total = int(differ.sum())
    if not best:
        return "not known"
    return text if best == total else f"{text} ({best:,} of {total:,}; the rest is not known)"


def _reasons(
    metric: Metric, rows: pl.DataFrame, ours: Floats, theirs: Floats, reported_as: str
) -> Iterator[tuple[str, Mask]]:
    """(reason, items that it explains), the surest first."""
    said = np.abs(ours) > TOLERANCE
    for factor, text in _FACTORS:
        same = _near(theirs, factor * ours)
        # a factor is one of all items, not of some
        if said.any() and (same | ~said).all():
            yield text, same
    if metric.name == "brier":
        yield from _other(rows, theirs, "brier_right", "the harness scores only the right choice")
    if metric.facts.forcing == "choice":
        if metric.name == "accuracy":
            tied = (ours > 0) & (ours < 1)
            yield "ties for the top: the harness takes the first, here they share the credit", tied
            other = "the harness divides the log-probabilities by the length of the choices"
            yield from _other(rows, theirs, "accuracy_norm", other)
        if metric.name == "accuracy_norm":
            bytes_text = "the harness divides by bytes, here by characters"
            yield bytes_text, _near(theirs, _per_byte(rows))
            yield from _other(rows, theirs, "accuracy", "the harness does not divide by the length")
    if metric.name == "exact_match":
        yield from _texts(rows, theirs)
    if metric.name == "f1":
        yield (
            "the harness counts each word once, however often it is said",
            _near(theirs, _sets(rows)),
        )
    if metric.name == "bleu":
        yield from _ngrams(reported_as, ours, theirs)
    yield "the harness rounds", np.abs(ours - theirs) <= _ROUNDED


def _near(a: Floats, b: Floats) -> Mask:
    return np.abs(a - b) <= TOLERANCE * np.maximum(1.0, np.abs(b))


def _other(rows: pl.DataFrame, theirs: Floats, name: str, text: str) -> Iterator[tuple[str, Mask]]:
    """The harness' score is another one of ours."""
    if not metrics.missing(metrics.get(name), rows):
        yield text, _near(theirs, metrics.score(name, rows))


def _per_byte(rows: pl.DataFrame) -> Floats:
    """1 where the right choice has the largest log-probability per byte, NaN where unknown."""
    found = []
    columns = rows.select("choice_logprobs", "choices", "target_index").iter_rows()
    for logprobs, choices, right in columns:
        if logprobs is None or choices is None or right is None or None in (*logprobs, *choices):
            found.append(math.nan)
            continue
        each = [p / max(1, len(c.encode())) for p, c in zip(logprobs, choices, strict=True)]
        found.append(float(each.index(max(each)) == right))
    return np.array(found)


def _texts(rows: pl.DataFrame, theirs: Floats) -> Iterator[tuple[str, Mask]]:
    """Looser ways to match an answer, by which the harness may have called it right."""
    right = theirs >= 1 - TOLERANCE
    output = rows["output"].to_list()
    targets = [[t for t in (ts or ()) if t is not None] for ts in rows["targets"].to_list()]
    pairs = list(zip(output, targets, strict=True))

    def hits(fits: object) -> Mask:
        return right & np.array([o is not None and fits(o, t) for o, t in pairs])  # type: ignore[operator]

    yield (
        "the harness ignores case, punctuation and white space",
        hits(lambda o, t: any(_plain(o) == _plain(x) for x in t)),
    )
    yield (
        "the harness accepts an answer that begins with the target",
        hits(lambda o, t: any(x and o.strip().startswith(x.strip()) for x in t)),
    )
    yield (
        "the harness accepts an answer that holds the target",
        hits(lambda o, t: any(x.strip() and x.strip() in o for x in t)),
    )
    strict = (theirs <= TOLERANCE) & np.array([o is not None for o in output])
    yield (
        "the harness does not strip white space",
        strict & np.array([o is not None and o != o.strip() for o in output]),
    )


def _sets(rows: pl.DataFrame) -> Floats:
    """F1 over the sets of words, not the bags: the largest over the targets, NaN where unknown."""
    found = []
    for answer, targets in rows.select("output", "targets").iter_rows():
        listed = [t for t in (targets or ()) if t is not None]
        if answer is None or not listed:
            found.append(math.nan)
            continue
        found.append(max(words_f1(*(sorted(set(normal(x))) for x in (answer, t))) for t in listed))
    return np.array(found)


def _ngrams(reported_as: str, ours: Floats, theirs: Floats) -> Iterator[tuple[str, Mask]]:
    """BLEU of fewer words in a row, or not smoothed."""
    longest = re.fullmatch(r"bleu[_-]?([1-4])", reported_as.casefold())
    if longest and longest[1] != "4":
        words = "single words" if longest[1] == "1" else f"up to {longest[1]} words in a row"
        yield f"the harness counts {words}, here up to 4 in a row", np.ones(len(ours), dtype=bool)
    unsmoothed = "the harness does not smooth: 0 where no 4 words in a row are right"
    yield unsmoothed, (theirs <= TOLERANCE) & (ours > TOLERANCE)


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
