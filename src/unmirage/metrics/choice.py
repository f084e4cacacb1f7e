"""Metrics of the log-probabilities of given choices.

Axes: S items, K choices. ``choice_logprobs`` are in nats, summed over the tokens of each choice.
An item is not scored (NaN) where it has fewer than two choices, where one of them has no
log-probability (null, NaN, above 0), where a list beside it has another length, or where
``target_index`` lies outside 0..K-1. A choice of probability 0 (-inf) is allowed.

Ties are exact equality. A tie for the top shares the credit: the score is the mean credit of the
tied choices, so a model that likes all choices alike scores the chance level. lm-evaluation-harness
and BIG-bench take the first of the tied choices, which rewards the order of the choices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.metrics.ragged import Ragged, finite, integers, lengths, lists, nats, reals
from unmirage.types import Facts, Floats, Metric


@dataclass(frozen=True, eq=False)
class Options:
    """The choices of all items; ``ok`` marks the items that can be scored."""

    logprob: Ragged  # N elements
    ok: NDArray[np.bool_]  # (S,)
    count: Floats  # (S,) number of choices, NaN where not ok


def _options(samples: pl.DataFrame) -> Options:
    found = nats(samples, "choice_logprobs")
    texts = lengths(samples, "choices")
    ok = (found.length >= 2) & ((texts < 0) | (texts == found.length))
    ok &= ~np.isnan(found.reduce(np.add))
    return Options(found, ok, np.where(ok, found.length, np.nan))


def _right(samples: pl.DataFrame) -> tuple[Options, Floats]:
    """The choices of the items whose right one is known, and 1 at the right one, (N,)."""
    options = _options(samples)
    index = integers(samples, "target_index")
    length = options.logprob.length
    ok = options.ok & (index >= 0) & (index < length)
    onehot = np.zeros(len(options.logprob.flat))
    onehot[(options.logprob.start + index)[ok]] = 1.0
    return Options(options.logprob, ok, np.where(ok, length, np.nan)), onehot


def _credits(samples: pl.DataFrame) -> tuple[Options, Floats]:
    """Credit of each choice, (N,): ``choice_credit``, else 1 for the right one."""
    options = _options(samples)
    ok, flat = np.zeros(samples.height, dtype=bool), np.zeros(len(options.logprob.flat))
    if "target_index" in samples.columns:
        right, flat = _right(samples)
        ok = right.ok
    if "choice_credit" in samples.columns:
        credit = reals(samples, "choice_credit")
        given = credit.length > 0
        worst, best = credit.reduce(np.minimum), credit.reduce(np.maximum)
        fits = options.ok & (credit.length == options.logprob.length) & (worst >= 0) & (best <= 1)
        fitted = options.logprob.fit(credit, fits)
        flat = np.where(fits[options.logprob.row], fitted, flat)
        ok = np.where(given, fits, ok)
    return Options(options.logprob, ok, np.where(ok, options.logprob.length, np.nan)), flat


def _top(options: Options, value: Floats, credit: Floats) -> Floats:
    """Mean credit of the choices with the largest value, (S,)."""
    shape = options.logprob
    tied = value == shape.reduce(np.maximum, value)[shape.row]
    score = shape.reduce(np.add, np.where(tied, credit, 0.0)) / np.maximum(
        shape.reduce(np.add, tied.astype(np.float64)), 1.0
    )
    return np.where(options.ok, score, np.nan)


def _at_right(options: Options, onehot: Floats, value: Floats) -> Floats:
    """The value at the right choice, (S,)."""
    picked = np.full(len(options.ok), np.nan)
    at = onehot == 1.0
    picked[options.logprob.row[at]] = value[at]
    return np.where(options.ok, picked, np.nan)


def _softmax(options: Options) -> Floats:
    """Probability of each choice among the choices, (N,); NaN where all have probability 0."""
    shape = options.logprob
    top = shape.reduce(np.maximum)
    top[np.isinf(top)] = np.nan
    weight = np.exp(shape.flat - top[shape.row])
    share: Floats = weight / shape.reduce(np.add, weight)[shape.row]
    return share


# ---------------------------------------------------------------- the metrics


def accuracy(samples: pl.DataFrame) -> Floats:
    """1 where the right choice is the most likely one: ``[argmax_k log p_k = right]``.

    Returns (S,) in [0, 1]; a tie for the top among m choices with the right one scores 1/m.

    >>> accuracy(pl.DataFrame({"choice_logprobs": [[-1.0, -2.0]], "target_index": [0]})).tolist()
    [1.0]
    """
    options, onehot = _right(samples)
    return _top(options, options.logprob.flat, onehot)


def accuracy_norm(samples: pl.DataFrame) -> Floats:
    """Accuracy of length-normalised choices: ``[argmax_k (log p_k / characters_k) = right]``.

    The length is that of the choice's own text in characters (Unicode code points), without the
    space before it: ``acc_norm`` of lm-evaluation-harness. A choice without text: NaN.

    >>> scored = {"choice_logprobs": [[-2.0, -3.0]], "target_index": [1]}
    >>> accuracy_norm(pl.DataFrame({**scored, "choices": [["a", "abc"]]})).tolist()
    [1.0]
    """
    options, onehot = _right(samples)
    shape, texts = lists(samples, "choices", pl.String)
    flat = texts.str.len_chars().cast(pl.Float64).to_numpy()
    same = options.ok & (shape.length == options.logprob.length)
    size = options.logprob.fit(Ragged(flat, shape.length), same)
    size[size == 0] = np.nan
    value = options.logprob.flat / size
    ok = same & ~np.isnan(options.logprob.reduce(np.add, size))
    return _top(Options(options.logprob, ok, options.count), value, onehot)


def mc_grade(samples: pl.DataFrame) -> Floats:
    """Credit of the most likely choice: ``credit[argmax_k log p_k]``.

    The credit is ``choice_credit`` (each in 0..1), else 1 for the right choice and 0 for others.
    Returns (S,) in [0, 1]; a tie for the top scores the mean credit of the tied choices.

    >>> samples = pl.DataFrame({"choice_logprobs": [[-1.0, -2.0]], "choice_credit": [[0.5, 1.0]]})
    >>> mc_grade(samples).tolist()
    [0.5]
    """
    options, credit = _credits(samples)
    return _top(options, options.logprob.flat, credit)


def prob_choice(samples: pl.DataFrame) -> Floats:
    """Probability of the right choice, raw: ``exp(log p_right)``.

    Returns (S,) in [0, 1]; the rest of the mass lies on wrong choices and on all other texts.

    >>> samples = pl.DataFrame({"choice_logprobs": [[0.0, -2.0]], "target_index": [0]})
    >>> prob_choice(samples).tolist()
    [1.0]
    """
    options, onehot = _right(samples)
    return np.exp(_at_right(options, onehot, options.logprob.flat))


def prob_choice_norm(samples: pl.DataFrame) -> Floats:
    """Probability of the right choice among the choices: ``p_right / sum_k p_k``.

    Returns (S,) in [0, 1]; NaN where all choices have probability 0.

    >>> samples = pl.DataFrame({"choice_logprobs": [[-5.0, -5.0]], "target_index": [0]})
    >>> prob_choice_norm(samples).tolist()
    [0.5]
    """
    options, onehot = _right(samples)
    return _at_right(options, onehot, _softmax(options))


def margin(samples: pl.DataFrame) -> Floats:
    """Log-probability of the right choice minus that of the best wrong one, nats.

    Returns (S,); above 0 where accuracy is 1. NaN where either has probability 0.

    >>> samples = pl.DataFrame({"choice_logprobs": [[-1.0, -3.0]], "target_index": [0]})
    >>> margin(samples).tolist()
    [2.0]
    """
    options, onehot = _right(samples)
    flat = options.logprob.flat
    wrong = options.logprob.reduce(np.maximum, np.where(onehot == 1.0, -np.inf, flat))
    with np.errstate(invalid="ignore"):
        return finite(_at_right(options, onehot, flat) - wrong)


def brier(samples: pl.DataFrame) -> Floats:
    """Brier score: ``sum_k (p_k - [k = right])^2``, p normalised over the choices.

    The original definition over all categories (Brier 1950), from 0 (best) to 2; the same as
    ``brier_score`` of lm-evaluation-harness. Returns (S,).

    >>> samples = pl.DataFrame({"choice_logprobs": [[-5.0, -5.0]], "target_index": [0]})
    >>> brier(samples).tolist()
    [0.5]
    """
    options, onehot = _right(samples)
    gap = options.logprob.reduce(np.add, (_softmax(options) - onehot) ** 2)
    return np.where(options.ok, gap, np.nan)


def brier_right(samples: pl.DataFrame) -> Floats:
    """Squared error of the right choice alone: ``(1 - p_right)^2``, p normalised over the choices.

    Returns (S,) in [0, 1], 0 best. Not proper for more than two choices; see :func:`brier`.

    >>> samples = pl.DataFrame({"choice_logprobs": [[-5.0, -5.0]], "target_index": [0]})
    >>> brier_right(samples).tolist()
    [0.25]
    """
    return (1.0 - prob_choice_norm(samples)) ** 2


# ---------------------------------------------------------------- chance levels


def chance_share(samples: pl.DataFrame) -> Floats:
    """1/K: what a guess scores, (S,)."""
    return 1.0 / _right(samples)[0].count


def chance_credit(samples: pl.DataFrame) -> Floats:
    """Mean credit of the choices, (S,)."""
    options, credit = _credits(samples)
    return options.logprob.reduce(np.add, credit) / options.count


def chance_brier(samples: pl.DataFrame) -> Floats:
    """1 - 1/K: the Brier score of equal probabilities, (S,)."""
    return 1.0 - chance_share(samples)


def chance_brier_right(samples: pl.DataFrame) -> Floats:
    """(1 - 1/K)^2: that of equal probabilities, (S,)."""
    return (1.0 - chance_share(samples)) ** 2


def chance_margin(samples: pl.DataFrame) -> Floats:
    """0: the margin of equal probabilities, (S,)."""
    return 0.0 * chance_share(samples)


# ---------------------------------------------------------------- declared


def _facts(
    name: str,
    title: str,
    low: float = 0.0,
    high: float = 1.0,
    up: bool = True,
    continuous: bool = True,
    binary: bool = False,
) -> Facts:
    linear = name == "margin"
    unit = "nats" if linear else ""
    return Facts(name, title, low, high, up, linear, continuous, unit, binary, "choice")


_NEEDS = ("choice_logprobs", "target_index")
_TIES = "a tie for the top shares the credit"

ALL: tuple[Metric, ...] = (
    Metric(
        _facts("accuracy", "accuracy over choices", continuous=False, binary=True),
        _NEEDS,
        accuracy,
        "lm-evaluation-harness, acc",
        f"the right choice has the largest log-probability; {_TIES}",
        chance_share,
        aliases=("acc",),
    ),
    Metric(
        _facts("accuracy_norm", "length-normalised accuracy", continuous=False, binary=True),
        (*_NEEDS, "choices"),
        accuracy_norm,
        "lm-evaluation-harness, acc_norm",
        "as accuracy, each log-probability divided by the characters (code points, not bytes) of "
        f"the choice's text; {_TIES}",
        chance_share,
        aliases=("acc_norm", "acc_len_norm"),
    ),
    Metric(
        _facts("mc_grade", "multiple-choice grade", continuous=False),
        ("choice_logprobs", "choice_credit|target_index"),
        mc_grade,
        "BIG-bench (arXiv 2206.04615), multiple_choice_grade",
        f"credit of the choice with the largest log-probability; {_TIES} (BIG-bench: the first)",
        chance_credit,
        aliases=("multiple_choice_grade",),
    ),
    Metric(
        _facts("prob_choice", "probability of the right choice"),
        _NEEDS,
        prob_choice,
        "Schaeffer et al. 2024 (arXiv 2406.04391)",
        "exp of its log-probability, not normalised over the choices",
    ),
    Metric(
        _facts("prob_choice_norm", "probability of the right choice among the choices"),
        _NEEDS,
        prob_choice_norm,
        "Schaeffer et al. 2024 (arXiv 2406.04391)",
        "divided by the sum over the choices",
        chance_share,
    ),
    Metric(
        _facts("margin", "margin of the right choice", -math.inf, math.inf),
        _NEEDS,
        margin,
        "Schaeffer et al. 2024 (arXiv 2406.04391)",
        "log-probability of the right choice minus that of the best wrong one; linear in the "
        "log-probabilities as long as the best wrong choice stays the same",
        chance_margin,
    ),
    Metric(
        _facts("brier", "Brier score", high=2.0, up=False),
        _NEEDS,
        brier,
        "Brier 1950 (doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2)",
        "sum over all choices of the squared error of the normalised probabilities, 0..2",
        chance_brier,
        aliases=("brier_score",),
    ),
    Metric(
        _facts("brier_right", "squared error of the right choice", up=False),
        _NEEDS,
        brier_right,
        "one term of Brier 1950",
        "(1 - normalised probability of the right choice)^2, 0..1",
        chance_brier_right,
    ),
)
