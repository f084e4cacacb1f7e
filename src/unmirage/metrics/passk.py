"""pass@k: at least one of k answers to an item is right.

Axes: S rows (several per item, one for each ``repeat``).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.errors import MetricError
from unmirage.metrics.text import exact_match
from unmirage.types import Facts, Floats, Metric

#: columns that, with ``item``, say which rows are repeats of one another
_SAME = (
    *("family", "model", "params", "tokens", "flops", "step", "seed"),
    *("task", "subtask", "shots", "prompt_name", "filter", "split", "format", "variant", "run"),
    *("metric", "item"),
)


def estimate(count: NDArray[np.int64], right: NDArray[np.int64], k: int) -> Floats:
    """Unbiased pass@k of an item with ``right`` of ``count`` answers right.

    ``1 - C(n - c, k) / C(n, k) = 1 - prod_{i=n-c+1}^{n} (1 - k/i)`` (Chen et al. 2021,
    arXiv 2107.03374), computed through logarithms so that small values keep their digits.
    Shapes (S,) -> (S,); NaN where n < k.

    >>> estimate(np.array([4, 4, 1]), np.array([1, 3, 1]), 2).tolist()
    [0.5, 1.0, nan]
    """
    seen, which = np.unique(np.stack([count, right]), axis=1, return_inverse=True)
    out = np.full(seen.shape[1], np.nan)
    for at, (n, c) in enumerate(seen.T.tolist()):
        if n < k:
            continue
        logs = np.log1p(-k / np.arange(n - c + 1, n + 1)) if n - c >= k else np.array([-np.inf])
        out[at] = -np.expm1(logs.sum())
    return out[which.reshape(-1)]


def right_answers(samples: pl.DataFrame) -> Floats:
    """1 where the row's answer is right, 0 where it is wrong, NaN where that is not known, (S,).

    Where the rows of a reported metric (``metric``) score only 0 and 1, that score decides, as
    only it knows of programs that were run; elsewhere exact match of the answer with a target.

    >>> right_answers(pl.DataFrame({"score": [1.0, 0.0, None]})).tolist()
    [1.0, 0.0, nan]
    """
    out = np.full(samples.height, np.nan)
    if {"output", "targets"} <= set(samples.columns):
        out = exact_match(samples)
    if "score" not in samples.columns:
        return out
    known = [c for c in ("metric", "score", "higher_is_better") if c in samples.columns]
    frame = samples.select(known).with_columns(pl.col("score").cast(pl.Float64))
    usable = pl.col("score").is_null() | pl.col("score").is_in([0.0, 1.0])
    if "higher_is_better" in known:
        usable = usable & pl.col("higher_is_better").fill_null(True)
    verdict = usable.all().over("metric") if "metric" in known else usable.all()
    given = frame.select(pl.when(verdict).then(pl.col("score"))).to_series().to_numpy()
    return np.where(np.isnan(given), out, given)


def _pooled(samples: pl.DataFrame, k: int) -> Floats:
    right = right_answers(samples)
    known = ~np.isnan(right)
    for column in ("item", "repeat"):
        known &= samples[column].is_not_null().to_numpy()
    frame = samples.select(c for c in _SAME if c in samples.columns).with_columns(
        right_=pl.Series(np.where(known, right, 0.0).astype(np.int64)),
        known_=pl.Series(known.astype(np.int64)),
    )
    keys = [c for c in frame.columns if c in _SAME]
    sums = frame.select(pl.col("known_", "right_").sum().over(keys))
    score = estimate(sums["known_"].to_numpy(), sums["right_"].to_numpy(), k)
    return np.where(known, score, np.nan)


def most_answers(samples: pl.DataFrame) -> int:
    """The most answers to one item that pass@k may count: no larger k can be scored.

    >>> most_answers(pl.DataFrame({"item": ["a", "a", "b"], "repeat": [0, 1, 0]}))
    2
    """
    rows = samples.filter(pl.col("item").is_not_null() & pl.col("repeat").is_not_null())
    counts = rows.group_by([c for c in _SAME if c in rows.columns]).len()
    return int(counts["len"].max() or 0)  # type: ignore[arg-type]


def pass_at(k: int) -> Metric:
    """The metric pass@k.

    Each row carries the value of its item, so that the mean over an item's rows is the item's
    pass@k; NaN where the item has fewer than k answers. ``k`` is at least 1.

    Raises MetricError where it is not.

    >>> samples = pl.DataFrame({"item": ["a", "a"], "repeat": [0, 1], "score": [1.0, 0.0]})
    >>> pass_at(1).score(samples).tolist()
    [0.5, 0.5]
    """
    if k < 1:
        raise MetricError(f"pass@{k} is not defined", mend="use a k of at least 1")

    def score(samples: pl.DataFrame) -> Floats:
        return _pooled(samples, k)

    return Metric(
        Facts(f"pass_at_{k}", f"pass@{k}", 0.0, 1.0, True, False, False, forcing="free"),
        ("item", "repeat", "output|score", "targets|score"),
        score,
        "Chen et al. 2021 (arXiv 2107.03374), Eq. 1",
        "unbiased, over the repeats of an item; right: the reported score where it is only 0 or 1, "
        "else exact match",
        pooled=True,
        aliases=(f"pass@{k}",),
    )


ALL: tuple[Metric, ...] = tuple(pass_at(k) for k in (1, 10, 100))
