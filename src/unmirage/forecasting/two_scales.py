"""A law of two scales, parameters N and tokens D, for ladders that vary both.

    error(N, D) = E + A (N / N0)^-a + B (D / D0)^-b,

N0 and D0 the smallest of the ladder (Hoffmann et al. 2022, arXiv 2203.15556, Eq. 2). In log10
units, so the forecast does not depend on the units of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unmirage.errors import InputError, OptionError
from unmirage.forecasting.fitting import DEGENERATE, fit
from unmirage.forecasting.laws import Law
from unmirage.types import Floats

#: models that a law of two scales needs
LEAST = 7


def _formula(theta: Floats, t: Floats) -> Floats:
    """t (..., M, 2): decades of N and of D beyond the smallest."""
    e, a_size, a, b_size, b = np.moveaxis(theta[..., None, :], -1, 0)
    falls = np.clip(-np.log(10.0) * np.stack([a * t[..., 0], b * t[..., 1]]), -80.0, 80.0)
    return np.asarray(e + a_size * np.exp(falls[0]) + b_size * np.exp(falls[1]))


def _share(theta: Floats, t: Floats) -> Floats:
    """-log of the share above chance follows the law: it ends at chance and at the best score."""
    return -np.expm1(-np.clip(_formula(theta, t), -3.0, 80.0))


def _start(t: Floats, e: Floats) -> Sequence[Sequence[float]]:
    first, least = float(e.max()), float(e.min())
    return [
        (share * least, 0.5 * first, a, 0.5 * first, b)
        for share in (0.0, 0.7)
        for a in (0.2, 0.6)
        for b in (0.2, 0.6)
    ]


def _start_share(t: Floats, e: Floats) -> Sequence[Sequence[float]]:
    return _start(t, -np.log(np.clip(1.0 - e, 1e-3, 1.0)))


TWO_SCALES = Law(
    "two_scales",
    ("E", "A", "a", "B", "b"),
    ((0, 3), (0, 10), (0, 3), (0, 10), (0, 3)),
    _formula,
    _start,
    "Hoffmann et al. 2022, arXiv 2203.15556, Eq. 2",
    forms=("positive",),
)
TWO_SCALES_SHARE = Law(
    "two_scales",
    ("E", "A", "a", "B", "b"),
    ((0, 5), (0, 30), (0, 3), (0, 30), (0, 3)),
    _share,
    _start_share,
    "the same of -log((y - chance) / (best - chance))",
    forms=("share", "chance", "excess"),
)


@dataclass(frozen=True, eq=False)
class TwoScales:
    """A forecast at (N, D)."""

    draws: Floats  # (R,) of the measured quantity, sorted
    theta: Floats  # (5,) E, A, a, B, b; sizes in units of the largest value
    status: str
    distance: tuple[float, float]  # decades beyond the largest N and D

    @property
    def median(self) -> float:
        return float(np.median(self.draws))

    def interval(self, level: float) -> tuple[float, float]:
        """Central predictive interval."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def forecast_two_scales(
    params: Floats,
    tokens: Floats,
    loss: Floats,
    *,
    to: tuple[float, float],
    stderr: Floats | None = None,
    draws: int = 500,
    seed: int = 0,
) -> TwoScales:
    """Forecast a loss (or another positive quantity that falls) at ``to`` = (params, tokens).

    >>> n, d = np.meshgrid([1e8, 3e8, 1e9], [2e9, 8e9, 3e10])
    >>> loss = 1.7 + 1.0 * (n / 1e8) ** -0.3 + 0.8 * (d / 2e9) ** -0.4
    >>> f = forecast_two_scales(n.ravel(), d.ravel(), loss.ravel(), to=(3e9, 1e11))
    >>> round(f.median, 1)
    2.2

    Raises
    ------
    InputError
        fewer than 7 models, or all of one size or one number of tokens.
    """
    n, d, y = (np.asarray(v, float).ravel() for v in (params, tokens, loss))
    if not (np.isfinite([n, d, y]).all() and (np.array([n, d, y, [*y]]) > 0).all()):
        raise OptionError("a scale or loss that is not above 0", mend="leave such rows out")
    if len(y) < LEAST or len(np.unique(n)) < 2 or len(np.unique(d)) < 2:
        raise InputError(
            f"{len(y)} models, {len(np.unique(n))} sizes, {len(np.unique(d))} numbers of tokens",
            mend=f"a law of two scales needs {LEAST} models that differ in both",
        )
    size, start = y.max(), np.array([n.min(), d.min()])
    t = np.log10(np.stack([n, d], axis=1) / start)
    variance = np.zeros(len(y)) if stderr is None else np.nan_to_num(stderr / size) ** 2
    rng = np.random.default_rng([seed, 13])
    found = fit(TWO_SCALES, t[None], y[None] / size, variance[None], draws=draws, rng=rng)
    use = found.draw_status[0] != DEGENERATE
    theta = found.draws[0][use] if use.any() else found.draws[0]
    ahead = np.log10(np.array([to], float) / start)
    noise = found.tau[0] * rng.standard_normal(len(theta))
    made = np.sort(size * (_formula(theta, ahead)[:, 0] + noise))
    beyond = np.log10(np.array(to, float) / [n.max(), d.max()])
    return TwoScales(
        made, found.theta[0], str(found.status[0]), (float(beyond[0]), float(beyond[1]))
    )
