"""Metrics of images that are rebuilt or labelled: the thresholds that make sharp curves.

Each takes a number (a threshold c, a length L or K) and so is made by name:
``unmirage audit ... --metric reconstruction@0.005 --metric subset_accuracy@3``. Source: Schaeffer,
Miranda and Koyejo 2023 (arXiv 2304.15004), Sec. 5 and App. B. Axes: S items, N labels in all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import polars as pl

from unmirage.errors import MetricError
from unmirage.metrics.passk import estimate
from unmirage.metrics.ragged import finite, reals
from unmirage.types import Facts, Floats, Metric

_PAPER = "Schaeffer, Miranda and Koyejo 2023 (arXiv 2304.15004)"
#: the longest run of labels that a metric may ask to be right
_MOST = 10**9


def squared_error(samples: pl.DataFrame) -> Floats:
    """The squared error of each answer, mean over its values: column ``squared_error``, (S,).

    >>> squared_error(pl.DataFrame({"squared_error": [0.25, None, -1.0]})).tolist()
    [0.25, nan, nan]
    """
    column = samples["squared_error"]
    if column.dtype.is_nested():  # polars would take a number out of a struct
        raise pl.exceptions.InvalidOperationError("squared_error holds no plain numbers")
    values = column.cast(pl.Float64).to_numpy()
    return finite(np.where(values >= 0, values, np.nan))


MSE = Metric(
    # the mean of the squared errors of the values, so linear in these
    Facts("mse", "mean squared error", 0.0, math.inf, False, True, True),
    ("squared_error",),
    squared_error,
    _PAPER + ", Sec. 5",
    "mean over an item's values (pixels) of (answer - truth)^2",
)


def reconstruction(c: float) -> Metric:
    """1 where the squared error of an image is below the threshold c: ``[e < c]``.

    Raises MetricError where c is not above 0 and finite.

    >>> reconstruction(0.01).score(pl.DataFrame({"squared_error": [0.005, 0.01]})).tolist()
    [1.0, 0.0]
    """
    if not (c > 0 and math.isfinite(c)):
        raise MetricError(
            f"reconstruction@{c:g}: no squared error is below that",
            mend="a finite threshold above 0, in the unit of the column squared_error",
        )

    def score(samples: pl.DataFrame) -> Floats:
        error = squared_error(samples)
        return np.where(np.isnan(error), np.nan, (error < c).astype(np.float64))

    name = f"reconstruction_at_{c:g}"
    return Metric(
        Facts(name, f"share of images with error below {c:g}", 0.0, 1.0, True, False, False, "",
              binary=True),
        ("squared_error",),
        score,
        _PAPER + ", Fig. 7",
        f"1 where the squared error is below {c:g}",
        aliases=(f"reconstruction@{c:g}",),
    )  # fmt: skip


def subset_accuracy(n: int) -> Metric:
    """1 where the first L labels of a sequence are all right: ``prod_{i <= L} [label i right]``.

    NaN where the sequence has fewer than L. Raises MetricError where L is below 1.

    >>> samples = pl.DataFrame({"token_correct": [[True, True, False], [True]]})
    >>> subset_accuracy(2).score(samples).tolist()
    [1.0, nan]
    """
    _counted(n, "subset_accuracy")

    def score(samples: pl.DataFrame) -> Floats:
        found = reals(samples, "token_correct")
        place = np.arange(len(found.flat)) - np.repeat(found.start, found.length)
        least = found.reduce(np.minimum, np.where(place < n, found.flat, 1.0))
        return np.where(found.length >= n, least, np.nan)

    return _of_labels(
        f"subset_accuracy_at_{n}",
        f"subset accuracy, first {n} all right",
        score,
        "Fig. 8",
        f"1 where the first {n} labels of a sequence are all right, given the ones before; needs "
        f"items of at least {n} labels",
        binary=True,
    )


def all_right(k: int) -> Metric:
    """The probability that K of an item's n labels, drawn without replacement, are all right.

    ``C(c, K) / C(n, K)`` with c right ones: the mean of [all K right] over all choices of K. With
    n = K it is 0 or 1. NaN where n < K. Raises MetricError where K is below 1.

    >>> all_right(2).score(pl.DataFrame({"token_correct": [[True, True, False], [True]]})).round(4)
    array([0.3333,    nan])
    """
    _counted(k, "all_right")

    def score(samples: pl.DataFrame) -> Floats:
        found = reals(samples, "token_correct")
        right = found.reduce(np.add)
        known = (found.length >= k) & ~np.isnan(right)
        count = np.where(known, found.length, k).astype(np.int64)
        wrong = count - np.where(known, right, 0).astype(np.int64)
        # all K right is not to have one of the wrong ones among K
        return np.where(known, 1.0 - estimate(count, wrong, k), np.nan)

    return _of_labels(
        f"all_right_at_{k}",
        f"{k} of {k} right",
        score,
        "Fig. 11",
        f"share of all choices of {k} of an item's labels in which all are right; needs items of "
        f"at least {k} labels",
    )


def _of_labels(
    name: str,
    title: str,
    score: Callable[[pl.DataFrame], Floats],
    figure: str,
    note: str,
    binary: bool = False,
) -> Metric:
    return Metric(
        Facts(name, title, 0.0, 1.0, True, False, False, "", binary, "teacher"),
        ("token_correct",),
        score,
        f"{_PAPER}, {figure}",
        note,
        aliases=(name.replace("_at_", "@"),),
    )


def _counted(n: int, name: str) -> None:
    if not 1 <= n <= _MOST:
        raise MetricError(f"{name}@{n} is not defined", mend="a whole number from 1 on")


#: name before the "@" -> (maker, the kind of its number, an example)
MAKERS: dict[str, tuple[Callable[..., Metric], type, str]] = {
    "reconstruction": (reconstruction, float, "reconstruction@0.005"),
    "subset_accuracy": (subset_accuracy, int, "subset_accuracy@3"),
    "all_right": (all_right, int, "all_right@5"),
}
EXAMPLES = tuple(example for *_, example in MAKERS.values())
_NAME = re.compile(rf"({'|'.join(MAKERS)})\s?(?:@|_at_)\s?(\S+)")


def made(name: str) -> Metric | None:
    """The metric of a name with a number; None where it is no such name.

    Raises MetricError where the number cannot be.

    >>> made("reconstruction@5e-3").name, made("accuracy")
    ('reconstruction_at_0.005', None)
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    maker, kind, example = MAKERS[found[1]]
    try:
        number = kind(found[2])
    except ValueError:
        raise MetricError(f"{name}: {found[2]!r} is no number for it", mend=example) from None
    return maker(number)


ALL: tuple[Metric, ...] = (MSE,)
