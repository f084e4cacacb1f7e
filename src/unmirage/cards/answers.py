"""Answers whose every token is wrong with a given probability, to see what a metric makes of it.

All errors of one length share their luck: token t of item s is right where a uniform number
u_st < 1 - e, so the same item is followed from right to wrong as the error e grows.

Text: words of a vocabulary of a thousand, so that a wrong word is right elsewhere by luck in one
case of a thousand. Values: squared errors of mean e, exponential. Log-probabilities: that of each
target token is log(1 - e). Choices: K options of L tokens; at each token the right option has
probability 1 - e and each other e / (K - 1), in logits with a normal noise of sd 1, and the
log-probability of an option is the sum over its tokens.
Axes: E errors, S items, T tokens of a target.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from scipy import special

from unmirage.types import Floats, Metric

WORDS = 1000
CHOICES = 4


def answers(metric: Metric, error: Floats, tokens: int, items: int, seed: int = 0) -> pl.DataFrame:
    """Samples that the metric can score, E * S rows (times repeats where they are pooled).

    >>> from unmirage import metrics
    >>> frame = answers(metrics.get("exact_match"), np.array([0.0, 1.0]), 2, 3)
    >>> metrics.score("exact_match", frame).tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    repeats = int(metric.name.rpartition("_")[2]) if metric.pooled else 0
    choices = metric.facts.forcing == "choice"
    return _drawn(choices, repeats, tuple(error.tolist()), tokens, items, seed)


@lru_cache(maxsize=16)  # most metrics are asked of the same answers
def _drawn(
    choices: bool, repeats: int, errors: tuple[float, ...], tokens: int, items: int, seed: int
) -> pl.DataFrame:
    rng, error = np.random.default_rng([seed, tokens, items]), np.array(errors)
    if choices:
        return _choices(error, tokens, items, rng)
    if repeats:
        return _repeated(repeats, error, tokens, items, rng)
    return _text(error, rng.random((items, tokens)), rng)


def _text(error: Floats, luck: Floats, rng: np.random.Generator) -> pl.DataFrame:
    items, tokens = luck.shape
    target = rng.integers(0, WORDS, (items, tokens))
    wrong = (target + rng.integers(1, WORDS, (items, tokens))) % WORDS
    right = luck[None] < 1 - error[:, None, None]  # (E, S, T)
    with np.errstate(divide="ignore"):
        nats = np.log1p(-np.broadcast_to(error[:, None, None], right.shape))
    spelt, given = _spell(target), np.where(right, target, wrong).reshape(-1, tokens)
    ids = np.tile(target, (len(error), 1))
    return pl.DataFrame(
        {
            "output": _spell(given),
            "output_tokens": pl.Series(given).cast(pl.List(pl.Int64)),
            "target_tokens": pl.Series(ids).cast(pl.List(pl.Int64)),
            "targets": [[t] for t in spelt] * len(error),
            "token_logprobs": pl.Series(nats.reshape(-1, tokens)).cast(pl.List(pl.Float64)),
            "token_correct": pl.Series(right.reshape(-1, tokens)).cast(pl.List(pl.Boolean)),
            "target_bytes": [len(t) for t in spelt] * len(error),
            "squared_error": (error[:, None] * -np.log1p(-luck).mean(axis=1)).ravel(),
        }
    )


def _spell(words: np.ndarray) -> list[str]:
    return [" ".join(f"w{w:03d}" for w in row) for row in words.tolist()]


def _repeated(
    k: int, error: Floats, tokens: int, items: int, rng: np.random.Generator
) -> pl.DataFrame:
    """As many answers an item as the metric pools: pass@k needs k."""
    frame = _text(error, rng.random((items * k, tokens)), rng)
    place = np.arange(len(error) * items * k)
    return frame.with_columns(
        item=pl.Series(place // k).cast(pl.String), repeat=pl.Series(place % k)
    )


def _choices(error: Floats, tokens: int, items: int, rng: np.random.Generator) -> pl.DataFrame:
    noise = rng.standard_normal((items, tokens, CHOICES))
    place = rng.integers(0, CHOICES, items)
    share = np.broadcast_to((error / (CHOICES - 1))[:, None, None], (len(error), items, CHOICES))
    share = np.where(np.arange(CHOICES) == place[:, None], 1 - error[:, None, None], share)
    with np.errstate(divide="ignore"):
        logit = np.log(share)[:, :, None] + noise  # (E, S, T, K)
    nats = (logit - special.logsumexp(logit, axis=-1, keepdims=True)).sum(axis=2)
    rows = len(error) * items
    return pl.DataFrame(
        {
            "choices": [[f"choice {k}" for k in range(CHOICES)]] * rows,
            "choice_logprobs": pl.Series(np.minimum(nats, 0.0).reshape(rows, CHOICES)).cast(
                pl.List(pl.Float64)
            ),
            "target_index": np.tile(place, len(error)),
        }
    )


def guesses(metric: Metric, items: int, seed: int = 0) -> pl.DataFrame:
    """A guesser's choices: a random favourite, or equal probabilities where those are scored."""
    rng = np.random.default_rng([seed, items])
    logit = rng.standard_normal((items, CHOICES)) if not metric.facts.continuous else 0.0
    logit = np.broadcast_to(logit, (items, CHOICES))
    nats = logit - special.logsumexp(logit, axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "choices": [[f"choice {k}" for k in range(CHOICES)]] * items,
            "choice_logprobs": pl.Series(np.ascontiguousarray(nats)).cast(pl.List(pl.Float64)),
            "target_index": rng.integers(0, CHOICES, items),
        }
    )
