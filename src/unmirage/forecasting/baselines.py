"""The forecasts to beat, fast enough to stand beside every backtest.

* ``last_value``: the last score; its error is that of two samplings.
* ``random_walk``: the last score; its error is that of the steps so far, per root of a decade.
* ``logit_line``: least squares, a straight line in the logit (losses: the logarithm; other
  scores as they are) against log scale, with its own normal covariance and residual variance.

The slow ones (scipy's curve_fit and others) are run beside them in ``benchmarks/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from unmirage.forecasting.series import backward, batch, forward
from unmirage.types import Curve, Floats

_U = (np.arange(200) + 0.5) / 200
#: standard normal draws, evenly spread
NORMAL = stats.norm.ppf(_U)
Drawn = list[Floats]  # for each series (T, R)


def last_value(curves: Sequence[Curve], at: Sequence[Floats]) -> Drawn:
    drawn = []
    for c, x in zip(curves, at, strict=True):
        error = np.sqrt(2) * np.nan_to_num(c.stderr[-1])
        drawn.append(np.tile(c.score[-1] + error * NORMAL, (len(x), 1)))
    return drawn


def random_walk(curves: Sequence[Curve], at: Sequence[Floats]) -> Drawn:
    drawn = []
    for c, x in zip(curves, at, strict=True):
        rate = (np.diff(c.score) ** 2).sum() / np.ptp(c.x)
        sd = np.sqrt(rate * np.maximum(x - c.x[-1], 0.0))
        drawn.append(c.score[-1] + sd[:, None] * NORMAL)
    return drawn


def logit_line(curves: Sequence[Curve], at: Sequence[Floats]) -> Drawn:
    drawn = []
    for c, x in zip(curves, at, strict=True):
        data = batch([c])
        link = {"positive": "log", "free": "identity"}.get(data.kind, "logit")
        z = forward(link, data)[0][0]
        columns = np.stack([np.ones_like(c.x), c.x - c.x[-1]], axis=1)
        ahead = np.stack([np.ones_like(x), x - c.x[-1]], axis=1)
        gram = np.linalg.inv(columns.T @ columns)
        theta = gram @ columns.T @ z
        spare = max(len(z) - 2, 1)
        variance = ((z - columns @ theta) ** 2).sum() / spare
        sd = np.sqrt(variance * (1 + np.einsum("tp,pq,tq->t", ahead, gram, ahead)))
        line = ahead @ theta
        drawn.append(backward(link, (line[:, None] + sd[:, None] * NORMAL)[None], data)[0])
    return drawn


BASELINES: Mapping[str, Callable[[Sequence[Curve], Sequence[Floats]], Drawn]] = {
    "last_value": last_value,
    "random_walk": random_walk,
    "logit_line": logit_line,
}
