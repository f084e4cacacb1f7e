"""Metrics of the log-probabilities of a given target (teacher-forced).

Axes: S items, T target tokens. Log-probabilities are in nats, each of a target token given the
true ones before it. An item is not scored (NaN) where it has no token, where a token has no
log-probability (null, NaN, above 0), or where ``target_tokens`` is there with another length.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.metrics.ragged import Ragged, finite, integers, lengths, nats, reals
from unmirage.types import Facts, Floats, Metric


def _tokens(samples: pl.DataFrame) -> tuple[Ragged, NDArray[np.bool_]]:
    """The target's log-probabilities and which rows agree with ``target_tokens``, (S,)."""
    found = nats(samples, "token_logprobs")
    return found, _agrees(samples, found)


def _agrees(samples: pl.DataFrame, found: Ragged) -> NDArray[np.bool_]:
    ids = lengths(samples, "target_tokens")
    return np.asarray((ids < 0) | (ids == found.length), dtype=bool)


def _total(samples: pl.DataFrame) -> Floats:
    """Sum of the target's log-probabilities, (S,) nats; may be -inf."""
    found, agrees = _tokens(samples)
    return np.where(agrees, found.reduce(np.add), np.nan)


def log_likelihood(samples: pl.DataFrame) -> Floats:
    """Log-probability of the whole target: ``sum_t log p_t``, nats.

    Returns (S,) in (-inf, 0]. A target of probability 0 (-inf) is not scored: NaN.

    >>> log_likelihood(pl.DataFrame({"token_logprobs": [[-1.0, -0.5], None]})).tolist()
    [-1.5, nan]
    """
    return finite(_total(samples))


def cross_entropy(samples: pl.DataFrame) -> Floats:
    """Per-token cross-entropy: ``-(1/T) sum_t log p_t``, nats per token.

    Returns (S,) in [0, inf). The mean over items weighs every item alike, whatever its length.
    A target of probability 0 (inf) is not scored: NaN.

    >>> cross_entropy(pl.DataFrame({"token_logprobs": [[-1.0, -0.5]]})).tolist()
    [0.75]
    """
    found, agrees = _tokens(samples)
    total = np.where(agrees, found.reduce(np.add), np.nan)
    return finite(np.abs(total) / np.maximum(found.length, 1))


def bits_per_byte(samples: pl.DataFrame) -> Floats:
    """``-(sum_t log p_t) / (B log 2)``, bits per byte, B the UTF-8 length of the target.

    B is ``target_bytes``; where that is missing, the length of the first of ``targets``. It does
    not depend on the tokenizer. Returns (S,) in [0, inf); NaN where B is 0 or unknown.

    >>> half = pl.DataFrame({"token_logprobs": [[math.log(0.5)]], "target_bytes": [1]})
    >>> bits_per_byte(half).tolist()
    [1.0]
    """
    size = integers(samples, "target_bytes")
    if "targets" in samples.columns:
        first = samples["targets"].cast(pl.List(pl.String)).list.first()
        text = first.str.len_bytes().cast(pl.Int64).fill_null(-1).to_numpy()
        size = np.where(size < 0, text, size)
    bits = np.abs(_total(samples)) / math.log(2.0)
    return finite(np.where(size > 0, bits / np.maximum(size, 1), np.nan))


def target_prob(samples: pl.DataFrame) -> Floats:
    """Probability of the whole target: ``exp(sum_t log p_t)``.

    Returns (S,) in [0, 1]. Continuous, yet it falls geometrically with the target's length, as
    exact match does: it is no linear companion. A target of probability 0 scores 0.

    >>> target_prob(pl.DataFrame({"token_logprobs": [[0.0, float("-inf")]]})).tolist()
    [0.0]
    """
    return np.exp(_total(samples))


def token_prob(samples: pl.DataFrame) -> Floats:
    """Mean probability of a right token: ``(1/T) sum_t p_t``.

    Returns (S,) in [0, 1]: one minus the per-token error ``e = 1 - p`` of the science text, and
    so linear in it and continuous at once.

    >>> two = [math.log(0.5), math.log(0.25)]
    >>> token_prob(pl.DataFrame({"token_logprobs": [two]})).tolist()
    [0.375]
    """
    found, agrees = _tokens(samples)
    total = found.reduce(np.add, np.exp(found.flat))
    mean = total / np.maximum(found.length, 1)
    return np.where(agrees, np.minimum(mean, 1.0), np.nan)


def token_accuracy(samples: pl.DataFrame) -> Floats:
    """Share of target tokens that were the most likely ones, teacher-forced.

    ``(1/T) sum_t [target token t has the largest probability]`` from ``token_correct``.
    Returns (S,) in [0, 1].

    >>> token_accuracy(pl.DataFrame({"token_correct": [[True, False], []]})).tolist()
    [0.5, nan]
    """
    found = reals(samples, "token_correct")
    share = found.reduce(np.add) / np.maximum(found.length, 1)
    return np.where(_agrees(samples, found), share, np.nan)


def _facts(
    name: str, title: str, low: float, high: float, up: bool, linear: bool, unit: str = ""
) -> Facts:
    return Facts(name, title, low, high, up, linear, continuous=True, unit=unit, forcing="teacher")


ALL: tuple[Metric, ...] = (
    Metric(
        Facts("token_accuracy", "per-token accuracy", 0, 1, True, True, False, forcing="teacher"),
        ("token_correct",),
        token_accuracy,
        "Schaeffer et al. 2023 (arXiv 2304.15004), Sec. 2",
        "share of target tokens that are the most likely ones given the true ones before them",
    ),
    Metric(
        _facts("token_prob", "mean probability of a right token", 0, 1, True, True),
        ("token_logprobs",),
        token_prob,
        "Schaeffer et al. 2023 (arXiv 2304.15004), Sec. 2: 1 - e",
        "mean over the target's tokens of the probability given to each",
    ),
    Metric(
        _facts("log_likelihood", "log-likelihood", -math.inf, 0, True, True, "nats"),
        ("token_logprobs",),
        log_likelihood,
        "lm-evaluation-harness, output type loglikelihood",
        "sum over the target's tokens; a target of probability 0 is not scored",
        aliases=("loglikelihood",),
    ),
    Metric(
        _facts("cross_entropy", "per-token cross-entropy", 0, math.inf, False, True, "nats"),
        ("token_logprobs",),
        cross_entropy,
        "Schaeffer et al. 2023 (arXiv 2304.15004), Eq. 1",
        "minus the mean log-probability of the target's tokens; items weigh alike whatever their "
        "length; a target of probability 0 is not scored",
    ),
    Metric(
        _facts("bits_per_byte", "bits per byte", 0, math.inf, False, True, "bits"),
        ("token_logprobs", "target_bytes|targets"),
        bits_per_byte,
        "Gao et al. 2020 (arXiv 2101.00027), Sec. 3.1",
        "per item, over the UTF-8 bytes of the first target (target_bytes where given); items "
        "weigh alike, while lm-evaluation-harness divides the sum over items by all bytes",
        aliases=("bpb",),
    ),
    Metric(
        _facts("target_prob", "probability of the whole target", 0, 1, True, False),
        ("token_logprobs",),
        target_prob,
        "Schaeffer et al. 2024 (arXiv 2406.04391)",
        "exp of the summed log-probabilities: falls geometrically with the target's length",
    ),
)
