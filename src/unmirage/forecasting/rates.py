"""Rates below what n items show: sampling until success, and pass@k beyond the k that was sampled.

Axes: S items, R draws, K values of k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from unmirage.errors import OptionError
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
    """pass@k at each k, with a 95 % interval over items; extrapolated where k > n."""

    k: Floats  # (K,)
    rate: Floats
    low: Floats
    high: Floats
    alpha: float  # of the beta distribution of the items' pass rates
    beta: float
    draws: Floats  # (R, K) sorted; of items resampled


def extrapolate_pass_at_k(
    correct: Floats, n: Floats, k: Floats, *, draws: int = 200, seed: int = 0
) -> PassAtK:
    """pass@k for k beyond the samples taken: items' pass rates follow a beta distribution.

    P(c_i) = beta-binomial(c_i; n_i, alpha, beta), fitted by maximum likelihood;
    pass@k = 1 - B(alpha, beta + k) / B(alpha, beta), which falls short of 1 as k^-alpha
    (Schaeffer et al. 2025, arXiv 2502.17578). Intervals by resampling items.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.beta(0.3, 3.0, 300)
    >>> right, k = rng.binomial(50, p), np.array([1.0, 1000.0])
    >>> found = extrapolate_pass_at_k(right, np.full(300, 50), k)
    >>> bool(found.low[1] < 0.84 < found.high[1])
    True
    """
    c, n = np.broadcast_arrays(np.asarray(correct, float), np.asarray(n, float))
    k = np.asarray(k, float)
    if ((c < 0) | (c > n)).any() or (k < 1).any():
        raise OptionError("impossible counts or k", mend="0 <= correct <= n, k from 1 on")
    rng = np.random.default_rng([seed, 11])
    weights = rng.multinomial(len(c), np.full(len(c), 1 / len(c)), size=draws).astype(float)
    pairs, code = np.unique(np.stack([c, n], axis=1), axis=0, return_inverse=True)
    count = np.stack([np.bincount(code.ravel(), w, len(pairs)) for w in weights])
    whole = np.bincount(code.ravel(), minlength=len(pairs)).astype(float)
    best = _beta(pairs, whole, np.log([0.5, 1.0]))
    rows = np.array([_beta(pairs, w, best) for w in count])
    made = _pass(np.exp(rows), k)
    low, high = np.quantile(made, [0.025, 0.975], axis=0)
    alpha, beta = np.exp(best)
    return PassAtK(
        k,
        _pass(np.exp(best)[None], k)[0],
        low,
        high,
        float(alpha),
        float(beta),
        np.sort(made, axis=0),
    )


def _beta(pairs: Floats, weight: Floats, start: Floats) -> Floats:
    """log (alpha, beta) of most likelihood; counts that repeat are counted once."""
    c, n = pairs.T

    def cost(theta: Floats) -> float:
        a, b = np.exp(np.clip(theta, -12, 12))
        like = special.betaln(c + a, n - c + b) - special.betaln(a, b)
        return -float((weight * like).sum()) + 1e-3 * float((theta**2).sum())

    return np.asarray(optimize.minimize(cost, start, method="L-BFGS-B").x)


def _pass(shape: Floats, k: Floats) -> Floats:
    a, b = shape[:, :1], shape[:, 1:]
    return np.asarray(-np.expm1(special.betaln(a, b + k) - special.betaln(a, b)))
