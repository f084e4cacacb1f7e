"""Several forecasts as one, weighted by the skill they had on rungs already seen.

The weights w of a linear pool minimise its mean CRPS, which is quadratic in them,

    CRPS(w) = sum_k w_k E|Y_k - y| - 1/2 sum_kl w_k w_l E|Y_k - Y_l|,

over the simplex, by multiplicative steps (Kivinen and Warmuth 1997). They are learned on the last
rungs of the training part of all series of the family, so nothing that is forecast is seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from unmirage.forecasting import single
from unmirage.forecasting.engine import cut, predict
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.series import form
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats

_Tell = Callable[[float], None]
#: draws by which the weights are learned
_DRAWS = 64
#: rungs that must be left to learn from when the last is held out for the weights
_LEAST = 4
#: how many series a start of equal weights counts as
_STRENGTH = 10.0


def pool_weights(draws: Floats, seen: Floats, strength: float = _STRENGTH) -> Floats:
    """Weights (K,) of the pool of draws (N, K, R) that has the least mean CRPS at seen (N,).

    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal(200)
    >>> good, bad = rng.standard_normal((200, 64)), 3 + rng.standard_normal((200, 64))
    >>> bool(pool_weights(np.stack([good, bad], axis=1), y)[0] > 0.85)
    True
    """
    near = np.abs(draws - seen[:, None, None]).mean(axis=2)
    size = np.maximum(near.mean(axis=1, keepdims=True), 1e-12)  # every series counts alike
    a = (near / size).mean(axis=0)
    k = draws.shape[1]
    apart = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            gap = np.abs(draws[:, i, :, None] - draws[:, j, None, :]).mean(axis=(1, 2))
            apart[i, j] = apart[j, i] = (gap / size[:, 0]).mean()
    weight = np.full(k, 1.0 / k)
    for _ in range(2000):
        slope = a - apart @ weight
        weight = weight * np.exp(-0.5 * (slope - slope.min()))
        weight /= weight.sum()
    n = np.sqrt(len(seen))
    return np.asarray((n * weight + np.sqrt(strength) / k) / (n + np.sqrt(strength)))


def combined(
    curves: Sequence[Curve], asked: Sequence[int], at: Sequence[Floats], *, seed: int, draws: int,
    tell: _Tell,
) -> dict[int, Prediction]:  # fmt: skip
    """The pool of the process and every law that can be fitted; half of the work is the weights."""
    members = _members(curves, at, seed, draws, lambda share: tell(share * len(curves) / 2))
    weights = _learn(curves, seed, lambda share: tell(share * len(curves) / 2))
    made = {}
    for i in asked:
        have = [name for name in members if members[name][i] is not None]
        share = weights.get(_group(curves[i]), {})
        w = np.array([share.get(name, 0.0) for name in have])
        w = w / w.sum() if w.sum() > 0 else np.eye(len(have))[0]
        made[i] = _mix([members[n][i] for n in have], w, have)
    return made


def _group(curve: Curve) -> tuple[str, str, str]:
    return curve.key.family, curve.scale_name, form(curve)


def _members(
    curves: Sequence[Curve], at: Sequence[Floats], seed: int, draws: int, tell: _Tell
) -> dict[str, list[Prediction | None]]:
    """``tell`` hears of the share of the work that is done."""
    each = 1 / (1 + len(LAWS))
    found: dict[str, list[Prediction | None]] = {
        "process": list(predict(curves, at, seed=seed, draws=draws))
    }
    tell(each)
    for name in LAWS:
        found[name] = single.predict(LAWS[name], curves, list(at), seed=seed, draws=draws)
        tell(each)
    return found


def _learn(
    curves: Sequence[Curve], seed: int, tell: _Tell
) -> dict[tuple[str, str, str], dict[str, float]]:
    """Weights by family, scale and form; those with too few rungs leave them to the process."""
    long = [c for c in curves if len(c.scale) > _LEAST]
    if not long:
        tell(1.0)
        return {}
    trains, at = [cut(c, -1) for c in long], [c.x[-1:] for c in long]
    members = _members(trains, at, seed, _DRAWS, tell)
    rows: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i, c in enumerate(long):
        rows[_group(c)].append(i)
    found = {}
    for group, places in rows.items():
        have = [n for n in members if all(members[n][i] is not None for i in places)]
        stacked = np.array([[members[n][i].measured[0] for n in have] for i in places])  # type: ignore[union-attr]
        seen = np.array([long[i].score[-1] for i in places])
        found[group] = dict(zip(have, map(float, pool_weights(stacked, seen)), strict=True))
    return found


def _mix(parts: Sequence[Prediction | None], weight: Floats, names: Sequence[str]) -> Prediction:
    """Quantiles of the pool: each part gives as many of its draws as its weight says."""
    there = [p for p in parts if p is not None]
    draws = there[0].measured.shape[1]
    ends = np.round(np.cumsum(weight) * draws).astype(int)
    count = np.diff(ends, prepend=0)

    def pool(which: str) -> Floats:
        taken = []
        for p, c in zip(there, count, strict=True):
            if c:
                ordered = np.sort(getattr(p, which), axis=1)
                taken.append(ordered[:, ((np.arange(c) + 0.5) / c * draws).astype(int)])
        return np.concatenate(taken, axis=1)

    used = [p for p, c in zip(there, count, strict=True) if c]
    low = np.min([p.widest[:, 0] for p in used], axis=0)
    high = np.max([p.widest[:, 1] for p in used], axis=0)
    status = {k: v for p in used for k, v in p.status.items()}
    dropped = {k: v for p in used for k, v in p.dropped.items()}
    return Prediction(
        pool("measured"),
        pool("expected"),
        dict(zip(names, map(float, weight), strict=True)),
        _why(used, weight[count > 0]),
        np.stack([low, high], axis=1),
        status,
        dropped,
    )


def _why(parts: Sequence[Prediction], weight: Floats) -> tuple[dict[str, float], ...]:
    """Shares of the variance of the pool: those of its parts by weight, and how far parts differ.

    Var = sum_k w_k var_k + sum_k w_k (mean_k - mean)^2.
    """
    w = weight / weight.sum()
    var = np.array([p.measured.var(axis=1) for p in parts])  # (K, T)
    mean = np.array([p.measured.mean(axis=1) for p in parts])
    between = w @ (mean - w @ mean) ** 2
    whole = np.maximum(w @ var + between, 1e-300)
    made = []
    for t in range(len(whole)):
        shares: dict[str, float] = defaultdict(float)
        for k, p in enumerate(parts):
            for name, share in p.why[t].items():
                shares[name] += float(w[k] * var[k, t] * share / whole[t])
        made.append({**shares, "laws that differ": float(between[t] / whole[t])})
    return tuple(made)
