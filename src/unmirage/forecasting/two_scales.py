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

    The draws are of the loss with the noise between models, and without the sampling error of the
    target: how many items it will be measured on is not known here.

    Raises
    ------
    InputError
        fewer than 7 models, or all of one size or one number of tokens.
    OptionError
        ``to`` is no pair of numbers above 0, or the columns differ in length or hold other numbers.
    """
    goal = _row(to, "to")
    if goal.shape != (2,):
        raise OptionError(f"a target of {to!r}", mend="(params, tokens): to=(7e9, 1.4e12)")
    n, d, y = (
        _row(v, name) for v, name in ((params, "params"), (tokens, "tokens"), (loss, "loss"))
    )
    if not len(n) == len(d) == len(y):
        what = f"{len(n)} params, {len(d)} tokens and {len(y)} losses"
        raise OptionError(what, mend="one of each for each model")
    if len(y) < LEAST or len(np.unique(n)) < 2 or len(np.unique(d)) < 2:
        raise InputError(
            f"{len(y)} models, {len(np.unique(n))} sizes, {len(np.unique(d))} numbers of tokens",
            mend=f"a law of two scales needs {LEAST} models that differ in both",
        )
    size, start = y.max(), np.array([n.min(), d.min()])
    t = np.log10(np.stack([n, d], axis=1) / start)
    error = np.zeros(len(y)) if stderr is None else np.asarray(stderr, float).ravel()
    if len(error) != len(y):
        raise OptionError(f"{len(error)} errors of {len(y)} losses", mend="one for each model")
    variance = np.nan_to_num(error / size) ** 2
    rng = np.random.default_rng([seed, 13])
    found = fit(TWO_SCALES, t[None], y[None] / size, variance[None], draws=draws, rng=rng)
    use = found.draw_status[0] != DEGENERATE
    theta = found.draws[0][use] if use.any() else found.draws[0]
    ahead = np.log10(goal[None] / start)
    noise = found.tau[0] * rng.standard_normal(len(theta))
    made = np.sort(size * (_formula(theta, ahead)[:, 0] + noise))
    beyond = np.log10(goal / [n.max(), d.max()])
    return TwoScales(
        made, found.theta[0], str(found.status[0]), (float(beyond[0]), float(beyond[1]))
    )


def _row(values: object, name: str) -> Floats:
    """Numbers above 0, up to 1e100, in a row."""
    try:
        row = np.asarray(values, float).ravel()
    except (TypeError, ValueError, OverflowError):
        row = np.array([np.nan])
    if not ((row > 0) & (row <= 1e100)).all():  # NaN is neither
        raise OptionError(
            f"{name} holds what is no number above 0", mend="leave such rows out, or mend them"
        )
    return row
