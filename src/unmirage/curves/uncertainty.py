"""Sampling errors of a mean over items, and the paired bootstrap."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unmirage.types import Floats, Items


def exact_interval(successes: Floats, n: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Clopper-Pearson interval of a share, exact also at 0 and 1.

    The bounds are beta quantiles: low = B(a/2; k, n-k+1), high = B(1-a/2; k+1, n-k), a = 1 - level
    (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404). Shapes broadcast.

    >>> low, high = exact_interval(np.array([0.0, 5.0]), np.array([100.0, 100.0]))
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.0164], [0.0362, 0.1128])
    """
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1e-12), n - k + 1), 0.0)
        high = np.where(k < n, stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1e-12)), 1.0)
    known = np.isfinite(n) & (n > 0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def mean_error(scores: Floats, cluster: NDArray[np.int64] | None = None) -> Floats:
    """Standard error of the mean over items, (M, S) -> (M,).

    Independent items: s / sqrt(S). G clusters:
    sqrt(G / (G - 1) sum_c (sum_{i in c} (y_i - mean))^2) / S (Miller 2024, arXiv 2411.00640, Eqs. 1
    and 4, with the correction for few clusters). One item or one cluster: NaN.

    >>> mean_error(np.array([[0.0, 1.0, 1.0, 0.0]])).round(4).tolist()
    [0.2887]
    """
    m, s = scores.shape
    if s < 2:
        return np.full(m, np.nan)
    if cluster is None:
        return np.asarray(scores.std(axis=1, ddof=1) / np.sqrt(s))
    names, code = np.unique(cluster, return_inverse=True)
    if len(names) < 2:
        return np.full(m, np.nan)
    centred = scores - scores.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(code, row, len(names)) for row in centred])
    few = len(names) / (len(names) - 1)
    return np.asarray(np.sqrt(few * (sums**2).sum(axis=1)) / s)


def stream(seed: int, *names: str) -> np.random.Generator:
    """A random stream that depends on the seed and the names only, not on order or workers."""
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def bootstrap_weights(items: Items, draws: int, rng: np.random.Generator) -> Floats:
    """Weights of the paired bootstrap, (R, total): each row a resample of items or whole clusters.

    They are drawn for the list of items that all models and metrics of a task share, so the same
    item gets the same weight everywhere; a curve takes the columns ``items.position``.
    """
    if items.clusters is None:
        total = items.total
        return rng.multinomial(total, np.full(total, 1 / total), size=draws).astype(float)
    names, code = np.unique(items.clusters, return_inverse=True)
    share = np.full(len(names), 1 / len(names))
    return np.asarray(rng.multinomial(len(names), share, size=draws).astype(float)[:, code])


def weighted_means(weights: Floats, scores: Floats) -> Floats:
    """Means of (M, S) scores under (R, S) weights, (R, M); NaN where a row has no weight."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights / np.where(total > 0, total, np.nan)) @ scores.T)
