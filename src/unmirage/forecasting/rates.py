"""Rates below what n items show: sampling until success, and pass@k beyond the k that was sampled.

Axes: S items, R draws, K values of k.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unmirage.errors import OptionError
from unmirage.forecasting import mixing
from unmirage.types import Floats


def pass_until(tries: Floats, successes: int = 2) -> Floats:
    """Unbiased pass rate of each item from the tries until its r-th success, (S,).

    (r - 1) / (K - 1) for r >= 2 successes in K tries (Haldane 1945, doi:10.1093/biomet/33.3.222);
    the design of PassUntil (Hu et al. 2023, arXiv 2310.03262), which sees rates far below 1/n.
    An item that never passed has tries = inf and rate 0.

    >>> pass_until(np.array([3.0, 1001.0])).tolist()
    [0.5, 0.001]

    Raises
    ------
    OptionError
        fewer than 2 successes (no unbiased estimate), or fewer tries than successes.
    """
    k = np.asarray(tries, float)
    if successes < 2:
        raise OptionError(
            f"{successes} successes give no unbiased rate", mend="sample until 2 or more"
        )
    if (k < successes).any():
        raise OptionError("fewer tries than successes", mend="count all tries, failures too")
    return np.where(np.isinf(k), 0.0, (successes - 1) / (np.where(np.isinf(k), 2.0, k) - 1))


def log_pass_rate(rates: Floats) -> tuple[float, float, int]:
    """-mean log pass rate over items that ever pass, its standard error, and how many never do.

    The quantity of the law -E[log pass rate] = a C^-k (OpenAI 2023, arXiv 2303.08774, Sec. 3.2).
    Items that never pass have no logarithm: they are counted, not hidden.
    """
    rates = np.asarray(rates, float)
    some = -np.log(rates[rates > 0])
    error = float(some.std(ddof=1) / np.sqrt(len(some))) if len(some) > 1 else np.nan
    return (float(some.mean()) if len(some) else np.nan), error, int((rates == 0).sum())


@dataclass(frozen=True, eq=False)
class PassAtK:
    """pass@k at each k of the same items, with a 95 % interval; extrapolated where k > n."""

    k: Floats  # (K,)
    rate: Floats  # median
    low: Floats
    high: Floats
    weights: Mapping[str, float]  # shape of the items' pass rates -> share
    draws: Floats  # (R, K) sorted; of these very items, were each given k answers
    population: Floats  # (R, K) sorted; of all items of their kind
    shape: Floats  # (K,) share of the variance of ``draws`` that the shape makes, not the items


def extrapolate_pass_at_k(
    correct: Floats, n: Floats, k: Floats, *, draws: int = 200, seed: int = 0
) -> PassAtK:
    """pass@k for k beyond the samples taken, averaged over how items' pass rates may be spread.

    The spread is a beta distribution (as in Schaeffer et al. 2025, arXiv 2502.17578), or normal in
    logit or log, alone or with clumps of items apart: :mod:`unmirage.forecasting.mixing`. A draw
    is a spread theta as likely as the counts make it, then a rate p_i of each item from
    P(p | c_i, n_i, theta); pass@k is the mean of 1 - (1 - p_i)^k.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.3, 3.0, 300)
    >>> right, k = rng.binomial(50, p), np.array([1.0, 1000.0])
    >>> found = extrapolate_pass_at_k(right, np.full(300, 50), k)
    >>> bool(found.low[1] < (1 - (1 - p) ** 1000).mean() < found.high[1])
    True

    Raises
    ------
    OptionError
        no item, counts that are NaN, not whole or impossible, or a k below 1.
    """
    c, n, k = np.asarray(correct, float), np.asarray(n, float), np.asarray(k, float)
    c, n = np.broadcast_arrays(np.atleast_1d(c), n)
    _check(c, n, k, draws)
    rng = np.random.default_rng([seed, 11])
    pairs, times = np.unique(np.stack([c, n], axis=1), axis=0, return_counts=True)
    x, count = mixing.grid(float(n.max())), times.astype(float)
    of = mixing.likelihood(x, pairs)
    points = mixing.posterior(x, of, count, float(n.max()), rng)
    keep = mixing.even(np.ones(len(points.shape)), draws, rng)
    mix = mixing.shares(x, mixing.Shapes(points.shape[keep], points.theta[keep]))
    drawn, mean = mixing.rates_of_items(mix, of, count, rng)
    passed = mixing.passing(x, k)
    made = np.minimum(drawn @ passed, 1.0)
    low, rate, high = np.quantile(made, [0.025, 0.5, 0.975], axis=0)
    share = np.bincount(points.shape, minlength=len(mixing.SHAPES)) / len(points.shape)
    part = (mean @ passed).var(axis=0) / np.maximum(made.var(axis=0), 1e-300)
    return PassAtK(
        k,
        rate,
        low,
        high,
        {name: float(v) for name, v in zip(mixing.SHAPES, share, strict=True)},
        np.sort(made, axis=0),
        np.sort(np.minimum(mix @ passed, 1.0), axis=0),
        np.minimum(part, 1.0),
    )


def _check(c: Floats, n: Floats, k: Floats, draws: int) -> None:
    if not len(c):
        raise OptionError("no items", mend="one count of right answers for each item")
    whole = (c == np.round(c)) & (n == np.round(n)) & (c >= 0) & (n >= 1) & (c <= n)
    if not whole.all():
        at = int(np.flatnonzero(~whole)[0])
        raise OptionError(
            f"item {at}: {c[at]:g} right of {n[at]:g} answers is impossible",
            mend="whole counts with 0 <= correct <= n and n from 1 on; leave out what is missing",
        )
    if not (np.isfinite(k) & (k >= 1)).all():
        raise OptionError("impossible k", mend="k from 1 on, finite")
    if draws < 1:
        raise OptionError(f"{draws} draws", mend="1 or more; 200 is usual")
