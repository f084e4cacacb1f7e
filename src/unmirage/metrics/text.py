"""Metrics of a generated answer (free-running) against one or several right targets.

Any of ``targets`` is right: each metric takes the best over them. Answer and targets are stripped
of white space at both ends. An item is not scored (NaN) where it has no answer or no target; an
empty answer is an answer. Which tokens are compared is told in :mod:`unmirage.metrics.tokens`.

Axes: S items.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter

import numpy as np
import polars as pl

from unmirage.metrics.tokens import Pairs, best_pair, edit_distances, matches, text_pairs
from unmirage.types import Facts, Floats, Metric

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def exact_match(samples: pl.DataFrame) -> Floats:
    """1 where the stripped answer equals one of the stripped targets, else 0.

    Case and punctuation count. Returns (S,).

    >>> exact_match(pl.DataFrame({"output": [" 42\\n", "4"], "targets": [["42"], ["42"]]})).tolist()
    [1.0, 0.0]
    """
    pairs = text_pairs(samples)
    out = np.full(samples.height, np.nan)
    equal = (pairs["output"] == pairs["target"]).cast(pl.Float64).to_numpy()
    np.fmax.at(out, pairs["row"].to_numpy(), equal)
    return out


def edit_distance(samples: pl.DataFrame) -> Floats:
    """Levenshtein distance in tokens between answer and target, the smallest over the targets.

    Insertions, deletions and substitutions cost 1 each. Returns (S,) in [0, inf), 0 best.

    >>> edit_distance(pl.DataFrame({"output": ["1234"], "targets": [["1244"]]})).tolist()
    [1.0]
    """
    return best_pair(samples, edit_distances, np.fmin)


def edit_distance_norm(samples: pl.DataFrame) -> Floats:
    """Edit distance divided by the larger of the two lengths: ``d / max(T_answer, T_target)``.

    Returns (S,) in [0, 1], 0 best; 0 where both are empty.

    >>> edit_distance_norm(pl.DataFrame({"output": ["1234"], "targets": [["1244"]]})).tolist()
    [0.25]
    """

    def share(pairs: Pairs) -> Floats:
        return edit_distances(pairs) / np.maximum(
            np.maximum(pairs.output.length, pairs.target.length), 1
        )

    return best_pair(samples, share, np.fmin)


def token_accuracy_free(samples: pl.DataFrame) -> Floats:
    """Share of the target's tokens that the answer has at the same place.

    ``(1/T) sum_t [answer_t = target_t]``; a shorter answer misses the rest, tokens beyond the
    target are ignored. One inserted token shifts all that follow. Returns (S,) in [0, 1]; NaN for
    an empty target.

    >>> token_accuracy_free(pl.DataFrame({"output": ["1934"], "targets": [["1234"]]})).tolist()
    [0.75]
    """

    def share(pairs: Pairs) -> Floats:
        found = pairs.target.reduce(np.add, matches(pairs).astype(np.float64))
        return found / np.maximum(pairs.target.length, 1)

    return best_pair(samples, share, np.fmax)


def prefix_match(samples: pl.DataFrame) -> Floats:
    """Share of the target's tokens that the answer has before its first error.

    ``(1/T) max {t : answer_1..t = target_1..t}``; 1 where the answer begins with the whole target.
    Returns (S,) in [0, 1]; NaN for an empty target.

    >>> prefix_match(pl.DataFrame({"output": ["1934"], "targets": [["1234"]]})).tolist()
    [0.25]
    """

    def share(pairs: Pairs) -> Floats:
        length = np.repeat(pairs.target.length, pairs.target.length)
        place = np.arange(len(length)) - np.repeat(pairs.target.start, pairs.target.length)
        first = pairs.target.reduce(np.minimum, np.where(matches(pairs), length, place))
        return first / np.maximum(pairs.target.length, 1)

    return best_pair(samples, share, np.fmax)


def normal(text: str) -> list[str]:
    """The words of SQuAD's script: lower case, no ASCII punctuation, no English articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def f1(samples: pl.DataFrame) -> Floats:
    """Token F1 of SQuAD: ``2 P R / (P + R)`` over the bags of normalised words.

    Normalised: lower case, without ASCII punctuation and without a, an, the. P is the share of
    the answer's words in the target, R that of the target's words in the answer. Where one side
    has no word left, 1 if both have none, else 0. Returns (S,) in [0, 1].

    >>> f1(pl.DataFrame({"output": ["The cat sat."], "targets": [["a cat ran"]]})).tolist()
    [0.5]
    """
    pairs = text_pairs(samples)
    out = np.full(samples.height, np.nan)
    for row, answer, target in pairs.iter_rows():
        out[row] = np.fmax(out[row], words_f1(normal(answer), normal(target)))
    return out


def words_f1(answer: list[str], target: list[str]) -> float:
    if not answer or not target:
        return float(answer == target)
    common = (Counter(answer) & Counter(target)).total()
    return 2.0 * common / (len(answer) + len(target))


# ---------------------------------------------------------------- declared


def _facts(
    name: str,
    title: str,
    high: float = 1.0,
    up: bool = True,
    linear: bool = False,
    unit: str = "",
    binary: bool = False,
) -> Facts:
    return Facts(name, title, 0.0, high, up, linear, False, unit, binary, forcing="free")


_TEXT = ("output", "targets")
# (output and targets) or (output_tokens and target_tokens), as a conjunction of alternatives
_TOKENS = (
    "output|output_tokens",
    "targets|target_tokens",
    "output|target_tokens",
    "targets|output_tokens",
)
_KIND = "tokens: given ids, else words where a target has white space, else characters"

ALL: tuple[Metric, ...] = (
    Metric(
        _facts("exact_match", "exact match", binary=True),
        _TEXT,
        exact_match,
        "lm-evaluation-harness, exact_match; BIG-bench, exact_str_match",
        "stripped answer equals a stripped target; case and punctuation count",
        aliases=("em", "exact_str_match"),
    ),
    Metric(
        _facts("edit_distance", "token edit distance", math.inf, False, True, "tokens"),
        _TOKENS,
        edit_distance,
        "Levenshtein 1966; Schaeffer et al. 2023 (arXiv 2304.15004), App. A.2",
        f"Levenshtein, smallest over the targets; {_KIND}",
    ),
    Metric(
        _facts("edit_distance_norm", "normalised token edit distance", up=False, linear=True),
        _TOKENS,
        edit_distance_norm,
        "Levenshtein 1966, over the larger length",
        f"divided by the larger of the two lengths; {_KIND}",
    ),
    Metric(
        _facts("token_accuracy_free", "per-token accuracy, free-running", linear=True),
        _TOKENS,
        token_accuracy_free,
        "Schaeffer et al. 2023 (arXiv 2304.15004), Sec. 2",
        f"share of the target's tokens that the answer has at the same place; {_KIND}",
    ),
    Metric(
        _facts("prefix_match", "prefix match"),
        _TOKENS,
        prefix_match,
        "the share whose all-or-nothing form is HELM's prefix_exact_match",
        f"share of the target's tokens before the answer's first error; {_KIND}",
    ),
    Metric(
        _facts("f1", "token F1"),
        _TEXT,
        f1,
        "Rajpurkar et al. 2018 (arXiv 1806.03822), evaluation script of SQuAD 2.0",
        "words in lower case, without ASCII punctuation and a, an, the; largest over the targets; "
        "words of several tokens are right only as a whole, so it is not declared linear",
    ),
)
