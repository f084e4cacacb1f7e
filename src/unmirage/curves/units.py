"""What a table of scores leaves unsaid: 0-1 or 0-100, and how many items.

Both are worked out on the whole table, before anything is picked from it, so that the answer does
not depend on what was asked for.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from unmirage import metrics
from unmirage.types import Floats, Note

#: written on 0-100 by the tools that define them; a value below 1 is then a small score
_ON_100 = ("bleu", "rouge")
_MOST_ITEMS = 20_000
_ENOUGH_SCORES = 8


def settle(frame: pl.DataFrame, *, infer_items: bool) -> tuple[pl.DataFrame, list[Note]]:
    """Add ``_unit`` (1, 100, or null where two scales may be mixed) and fill ``n_samples``."""
    notes: list[Note] = []
    if "n_samples" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias("n_samples"))
    keys = [c for c in ("file", "task", "metric") if c in frame.columns]
    finer = [c for c in ("subtask", "shots", "split", "filter") if c in frame.columns]
    made, told = [], 0
    for _, part in frame.group_by(keys, maintain_order=True):
        unit = _unit(part, notes)
        for _, rows in part.group_by(finer, maintain_order=True) if finer else [((), part)]:
            n = _items(rows, unit) if infer_items and unit is not None else None
            told += n is not None
            count = pl.col("n_samples") if n is None else pl.lit(float(n)).alias("n_samples")
            made.append(rows.with_columns(pl.lit(unit, pl.Float64).alias("_unit"), count))
    if told:
        text = (
            f"the number of items is not given for {told} tasks and settings: taken from their "
            "scores, which are all whole multiples of one 1/n (--items N overrides)"
        )
        notes.append(Note("warning", "items_inferred", text, count=told))
    return pl.concat(made) if made else frame, notes


def _unit(part: pl.DataFrame, notes: list[Note]) -> float | None:
    """100 for shares above 1, None where nobody can tell.

    It is sure where the scores of one family cross 1 without a gap; where every family lies wholly
    on one side of 1, or one leaps over it, two scales may have been mixed.
    """
    metric, scores = str(part[0, "metric"]), part["score"].to_numpy()
    facts, top = metrics.facts(metric), float(scores.max())
    if facts is None or facts.high != 1.0 or not 1.0 + 1e-9 < top <= 100.0 + 1e-9:
        return 1.0
    if not facts.name.startswith(_ON_100):
        families = part.partition_by("family") if "family" in part.columns else [part]
        kinds = {_side_of_one(f["score"].to_numpy()) for f in families}
        if "mixed" in kinds or ({"below", "above"} <= kinds and "across" not in kinds):
            return None
    task = str(part[0, "task"]) if "task" in part.columns else "the table"
    file = str(part[0, "file"]) if "file" in part.columns else None
    text = f"{metric} of {task} is on 0-100 (largest {top:g}): divided by 100"
    notes.append(Note("info", "assumed_percent", text, file=file))
    return 100.0


def _side_of_one(scores: Floats) -> str:
    positive = np.sort(scores[scores > 0])
    under, over = positive[positive <= 1.0], positive[positive > 1.0]
    if not len(over):
        return "below"
    if not len(under):
        return "above"
    # a single score above 1 among shares is more likely a slip than a scale
    return "across" if over[0] / under[-1] < 10 and len(over) >= len(under) else "mixed"


def _items(rows: pl.DataFrame, unit: float) -> int | None:
    """n of a metric that is right or wrong on each item, where the table does not say it.

    Not believed where scores rounded to some digits would look like that by luck.
    """
    facts = metrics.facts(str(rows[0, "metric"]))
    if facts is None or not facts.binary or rows["n_samples"].null_count() < rows.height:
        return None
    return whole_multiple(rows["score"].to_numpy() / unit)


def whole_multiple(scores: Floats) -> int | None:
    """The smallest n that makes every score a whole number of n-ths, if that is telling.

    >>> whole_multiple(np.array([1, 5, 77, 200, 433, 512, 870, 1300]) / 1319)
    1319
    >>> whole_multiple(np.array([0.1, 0.25, 0.31, 0.42, 0.5, 0.61, 0.7, 0.83])) is None
    True
    """
    inner = np.unique(scores[(scores > 0) & (scores < 1)])
    if len(inner) < _ENOUGH_SCORES:
        return None
    tried = np.arange(10, _MOST_ITEMS + 1)
    misses = np.zeros(len(tried), np.int64)
    for score in inner:
        off = np.abs(tried * score - np.round(tried * score))
        misses += ~(off < 1e-6 * np.sqrt(np.maximum(tried, 100)))
        kept = len(inner) - misses >= 0.9 * len(inner)
        tried, misses = tried[kept], misses[kept]
    every = tried[misses == 0]
    # where a few scores alone ask for a larger n, some models were run on other items
    if not len(every) or every[0] != tried[0]:
        return None
    n = int(every[0])
    return n if _by_rounding(inner, n) < 1e-6 else None


def _by_rounding(scores: Floats, n: int) -> float:
    """Chance that scores rounded to their decimals are multiples of 1/n by luck."""
    for decimals in range(1, 7):
        if np.allclose(scores, np.round(scores, decimals), rtol=0, atol=1e-9):
            whole = 10**decimals
            return float((n / whole) ** len(scores)) if whole % n == 0 else 0.0
    return 0.0
