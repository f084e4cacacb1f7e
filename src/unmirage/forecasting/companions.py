"""The metric route and two steps: forecast the smooth quantity, push it through the metric.

Step 1 forecasts the companion c (a probability, log-probability or loss of the same outputs). Step
2 is a regression over the rungs,

    z_i = a + b h(c_i) + e_i,   b ~ N(m, s^2),   e ~ N(0, v_i + tau^2),

with z the logit of the metric, or -log(-log y) beside a loss (exact match is exp(-L loss)); h the
logarithm of a loss, the logit of a share, else c itself; and m and s^2 the mean and spread of the
slopes of the other tasks of the family under the same two metrics: a task at chance does not tell
its own slope, the others do (empirical Bayes). The draws of step 1 go through draws of step 2, so
the errors of both are in the interval.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from unmirage.auditing.companion import companion
from unmirage.curves.uncertainty import stream
from unmirage.forecasting import single
from unmirage.forecasting.draws import observe, target
from unmirage.forecasting.engine import predict
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.series import BOUNDED, Batch, backward, batch, form, forward
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats

#: companions that are a loss, for two steps
LOSSES = ("cross_entropy", "bits_per_byte", "log_likelihood", "logprob_correct", "logprob_choice")
#: probabilities among the choices, straightest first
AMONG = ("prob_correct_norm", "prob_choice_norm")
_LINK = dict.fromkeys(BOUNDED, "logit")
#: tasks differ in slope by at least this share of the mean slope
LEAST_SPREAD = 0.2
#: variance of z that no regression of so few rungs goes below
_LEAST = 1e-4


@dataclass(frozen=True, eq=False)
class _Pair:
    """A metric and its companion at the same rungs."""

    curve: Curve
    other: Curve
    data: Batch
    link: str
    c: Floats  # (M,) companion, on its straight scale
    z: Floats  # (M,)
    v: Floats  # (M,)


#: places of curves -> the predictions of their companions, one a place
_First = Callable[[Sequence[int], Sequence[Curve]], Sequence[Prediction | None]]


def run(
    route: str, curves: Sequence[Curve], asked: Sequence[int], at: Sequence[Floats], *, seed: int,
    draws: int,
) -> dict[int, Prediction]:  # fmt: skip
    """Predictions of the curves that have a companion."""

    def first(places: Sequence[int], others: Sequence[Curve]) -> Sequence[Prediction | None]:
        targets = [at[i] for i in places]
        if route == "two_step":
            return single.predict(LAWS["power_law"], others, targets, seed=seed, draws=draws)
        return predict(others, targets, seed=seed, draws=draws)

    return push(route, curves, asked, first, seed=seed)


def push(
    route: str, curves: Sequence[Curve], asked: Sequence[int], first: _First, *, seed: int
) -> dict[int, Prediction]:
    """The same with companions that ``first`` forecasts."""
    near: dict[object, list[Curve]] = defaultdict(list)
    for c in curves:
        near[c.key.family, c.key.task, c.key.settings].append(c)
    pairs: dict[int, _Pair] = {}
    for i, c in enumerate(curves):
        beside = near[c.key.family, c.key.task, c.key.settings]
        other = _loss(c, beside) if route == "two_step" else _smooth(c, beside)
        if other is not None and form(c) in _LINK:
            pairs[i] = _pair(c, other)
    mine = [i for i in asked if i in pairs]
    if not mine:
        return {}
    steps = first(mine, [pairs[i].other for i in mine])
    made = {}
    for i, step in zip(mine, steps, strict=True):
        if step is not None:
            mean, spread = _slopes(pairs, i)
            ahead = _straight(pairs[i].other, step.expected)
            pushed = _push(pairs[i], ahead, mean, spread, seed)
            made[i] = replace(pushed, status=step.status, dropped=step.dropped)
    return made


def _loss(curve: Curve, beside: Sequence[Curve]) -> Curve | None:
    return next(
        (
            o
            for name in LOSSES
            for o in beside
            if o.facts.name.startswith(name) and o.models == curve.models and o is not curve
        ),
        None,
    )


def _smooth(curve: Curve, beside: Sequence[Curve]) -> Curve | None:
    """The companion of a choice is its probability among the choices where there is one."""
    if curve.key.metric in AMONG or curve.facts.name in AMONG:
        return None
    for name in AMONG:
        for o in beside:
            if name in (o.key.metric, o.facts.name) and o.models == curve.models:
                return o
    return companion(curve, beside)


def _pair(curve: Curve, other: Curve) -> _Pair:
    data = batch([curve])
    # exact match is exp(-L loss): a straight line of slope 1 on these two scales
    link = "loglog" if data.kind == "share" and form(other) == "positive" else _LINK[data.kind]
    z, v, _ = forward(link, data)
    return _Pair(curve, other, data, link, _straight(other, other.score), z[0], v[0])


def _straight(other: Curve, score: Floats) -> Floats:
    """The companion on the scale on which metrics follow it: log of a loss, logit of a share."""
    kind, size = form(other), np.abs(other.score)
    if kind == "positive":
        return np.asarray(-np.log(np.maximum(np.abs(score), 1e-3 * size.min() + 1e-12)))
    sign = 1.0 if other.facts.higher_is_better else -1.0
    if kind == "free":
        return sign * score
    u = (score - other.facts.low) / (other.facts.high - other.facts.low)
    u = np.clip(u, 1e-4, 1 - 1e-4)
    return np.asarray(sign * np.log(u / (1 - u)))


def _slopes(pairs: dict[int, _Pair], place: int) -> tuple[float, float]:
    """Mean and standard deviation of the slopes of the other tasks under the same two metrics."""
    me, found, weight = pairs[place], [], []
    for i, p in pairs.items():
        same = (p.curve.key.family, p.curve.key.metric, p.other.key.metric) == (
            me.curve.key.family, me.curve.key.metric, me.other.key.metric,
        )  # fmt: skip
        if i != place and same and p.curve.key.task != me.curve.key.task and np.ptp(p.c) > 0:
            c = p.c - p.c.mean()
            w = 1 / (p.v + _LEAST)
            gram = (w * c**2).sum()
            found.append((w * c * (p.z - p.z.mean())).sum() / gram)
            rest = p.z - p.z.mean() - found[-1] * c
            weight.append(gram / max(1.0, (w * rest**2).sum() / max(len(c) - 2, 1)))
    if len(found) < 3:
        return 0.0, np.inf
    slopes, own = np.array(found), 1 / np.array(weight)
    # their variance less that of their own errors, the unweighted moment estimate of the spread
    spread = max(float(slopes.var(ddof=1) - own.mean()), (LEAST_SPREAD * float(slopes.mean())) ** 2)
    share = 1 / (own + spread)
    return float((share * slopes).sum() / share.sum()), float(np.sqrt(spread))


def _push(p: _Pair, expected: Floats, mean: float, spread: float, seed: int) -> Prediction:
    """Draws of the companion (T, R) through draws of the regression."""
    theta, cover, tau2 = _regress(p, mean, spread)
    rng = stream(seed, "push", p.curve.key.label())
    draws = expected.shape[1]
    normal = rng.standard_normal((4, draws))
    root = np.linalg.cholesky(cover + 1e-14 * np.eye(2) * np.trace(cover))
    a, b = theta[:, None] + root @ normal[:2]
    z = a + b * (expected - p.c.mean()) + np.sqrt(tau2) * normal[2]
    score = backward(p.link, z[None], p.data)
    uniform = stats.norm.cdf(normal[3])
    like = target(p.data, len(expected))
    measured = observe(score, np.ones((1, draws)), like, uniform)[0]
    score = score[0]
    tails = np.quantile(score, [0.025, 0.975], axis=1).T
    parts = _shares(z, b, expected, tau2, measured, score)
    return Prediction(measured, score, {}, parts, tails)


def _regress(p: _Pair, mean: float, spread: float) -> tuple[Floats, Floats, float]:
    """Posterior mean (2,) and covariance of (a, b), and the noise tau^2, by iteration."""
    c = p.c - p.c.mean()
    columns = np.stack([np.ones_like(c), c], axis=1)
    precision = np.diag([0.0, 0.0 if np.isinf(spread) else spread**-2])
    tau2, m = _LEAST, len(c)
    for _ in range(30):
        w = 1 / (p.v + tau2)
        gram = columns.T @ (w[:, None] * columns) + precision
        right = columns.T @ (w * p.z) + precision @ np.array([0.0, mean])
        theta = np.linalg.solve(gram, right)
        rest2 = (p.z - columns @ theta) ** 2
        new = max(float((rest2 - p.v).sum() / max(m - 2, 1)), _LEAST)
        tau2 = 0.5 * (tau2 + new)
    # few rungs do not tell the noise: as a t distribution would widen it
    widen = float(stats.t.ppf(0.975, max(m - 2, 1)) / stats.norm.ppf(0.975))
    return theta, np.linalg.inv(gram) * min(widen, 3.0) ** 2, tau2


def _shares(
    z: Floats, b: Floats, expected: Floats, tau2: float, measured: Floats, score: Floats
) -> tuple[dict[str, float], ...]:
    companion_part = (b.mean() ** 2) * expected.var(axis=1)
    total = np.maximum(z.var(axis=1), 1e-300)
    sampling = np.maximum(measured.var(axis=1) - score.var(axis=1), 0.0)
    law = score.var(axis=1) / np.maximum(score.var(axis=1) + sampling, 1e-300)
    first = np.minimum(companion_part / total, 1.0)
    return tuple(
        {
            "the companion": float(f * part),
            "the metric": float((1 - f) * part),
            "sampling of items": float(1 - part),
        }
        for f, part in zip(first, law, strict=True)
    )
