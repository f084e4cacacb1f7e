"""Laws of a score against scale: names, bounds, starts and one formula each; yours in ten lines.

A law says what the *error* of a model is, on a working scale that all metrics share:

* shares: error = (best - y) / (best - chance): 1 at chance, 0 at the best score;
* losses: the loss by the largest one measured; other scores: how far they are below the best
  measured, by the range measured.

It is a function of t, the decades of scale beyond the smallest rung, so a forecast is the same
whether parameters are counted in units or in billions. Theta has shape (..., P) and t (..., M); the
leading axes are those of batches and draws, and the formula is called on all of them at once.

>>> import numpy as np
>>> from unmirage.forecasting import Law, add_law
>>> def hyperbola(theta, t):
...     a, b = theta[..., :1], theta[..., 1:]
...     return a / (1 + b * t)
>>> law = Law("hyperbola", ("a", "b"), ((0, 2), (0, 10)), hyperbola,
...           start=lambda t, e: [(1.0, 0.3), (0.8, 1.0)])
>>> add_law(law)
>>> bool(np.isclose(law.formula(np.array([1.0, 1.0]), np.array([1.0]))[0], 0.5))
True

From then on ``route="hyperbola"`` and ``--route hyperbola`` are forecasts by it, with its
intervals; a package adds laws through the entry point ``unmirage.laws``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from unmirage.errors import OptionError
from unmirage.forecasting.types import ROUTES
from unmirage.forecasting.usable import FORMS, check, check_facts
from unmirage.registry import Registry
from unmirage.types import Floats

_Starts = Callable[[Floats, Floats], Sequence[Sequence[float]]]
_LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class Law:
    """One law; see the module for its units."""

    name: str
    parameters: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]  # of each parameter
    formula: Callable[[Floats, Floats], Floats]  # (..., P), (..., M) -> (..., M)
    start: _Starts  # t (M,), error (M,) -> places to start from
    reference: str = ""

    #: parameters that are above 0 by their nature: fitted, and their bounds opened, in logarithms
    positive: tuple[str, ...] = ()
    #: the kinds of scores that it can hold for: "share", "chance" (a share with a chance level),
    #: "excess" (a probability with one), "positive" (a loss)
    forms: tuple[str, ...] = FORMS

    def __post_init__(self) -> None:
        check_facts(self)


LAWS: Registry[Law] = Registry("law", group="unmirage.laws", error=OptionError)


def add_law(law: Law) -> None:
    """Make a law known under its name, for this process.

    Raises
    ------
    OptionError
        the name is taken, or the law raises, returns another shape or numbers that are not finite
        on a short trial series; the text names the law and the mend.
    """
    name = usable(law).name
    if name in (*ROUTES, *LAWS):
        raise OptionError(f"{name!r} is the name of a route or law", mend="another name")
    LAWS.add(name, law)


def usable(law: object) -> Law:
    """The law itself, tried on a short series; raises as :func:`add_law` does."""
    if not isinstance(law, Law):
        mend = "Law(name, parameters, bounds, formula, start)"
        raise OptionError(f"{type(law).__name__} is no law", mend=mend)
    check(law)
    return law


def _parts(theta: Floats) -> tuple[Floats, ...]:
    """The parameters, each (..., 1)."""
    return tuple(np.moveaxis(theta[..., None, :], -1, 0))


def _ten(z: Floats) -> Floats:
    return np.asarray(np.exp(np.clip(_LN10 * z, -80.0, 80.0)))


def _power(theta: Floats, t: Floats) -> Floats:
    e, a, b = _parts(theta)
    return e + a * _ten(-b * t)


def _saturating(theta: Floats, t: Floats) -> Floats:
    top, a, b = _parts(theta)
    return 1 - top * -np.expm1(np.minimum(-a * _ten(b * t), 80.0))


def _logistic(theta: Floats, t: Floats) -> Floats:
    low, rise, m, w = _parts(theta)
    return np.asarray(1 - low - rise * special.expit((t - m) / w))


def _broken(theta: Floats, t: Floats) -> Floats:
    e, a, b, c, d, f = _parts(theta)
    # (1 + 10^((t - d) / f))^(-c f), in logarithms so that nothing overflows
    bend = -c * f * np.logaddexp(0.0, np.clip(_LN10 * (t - d) / f, -500, 500))
    return e + a * _ten(-b * t) * np.exp(np.clip(bend, -80, 80))


def _m4(theta: Floats, t: Floats) -> Floats:
    e, span, alpha, beta, c = _parts(theta)
    # y = e + span q: log q - alpha log(1 - q) = log beta - c t log 10 - (1 - alpha) log span
    goal = np.log(beta) - _LN10 * c * t - (1 - alpha) * np.log(span)
    return np.asarray(e + span * special.expit(_solve(alpha, goal)))


def _solve(alpha: Floats, goal: Floats) -> Floats:
    """u with log q - alpha log(1 - q) = goal, q = 1 / (1 + exp(-u)).

    Newton's steps: the left side rises, bent one way only, so that from where its two asymptotes
    (u and alpha u) are, all steps after the first go one way.
    """
    alpha = np.broadcast_to(alpha, goal.shape)
    u = np.clip(np.where(goal < 0, goal, goal / alpha), -80.0, 80.0)
    for _ in range(60):
        low = np.exp(-np.abs(u))
        value = np.minimum(u, 0) + alpha * np.maximum(u, 0) + (alpha - 1) * np.log1p(low) - goal
        down = np.where(u > 0, low, 1.0) / (1 + low)  # 1 - q
        step = value / (down + alpha * (1 - down))
        u = np.clip(u - step, -80.0, 80.0)
        if np.abs(step).max(initial=0.0) < 1e-9:
            break
    return np.asarray(u)


def _log_pass(theta: Floats, t: Floats) -> Floats:
    a, k = _parts(theta)
    return -np.expm1(np.minimum(-a * _ten(-k * t), 80.0))


def _logit_line(theta: Floats, t: Floats) -> Floats:
    a, b = _parts(theta)
    return np.asarray(special.expit(a - b * t))


def _spread(t: Floats, e: Floats) -> tuple[float, float, float]:
    return float(np.ptp(t)) or 1.0, float(max(e[0], 1e-3)), float(np.clip(e.min(), 1e-3, 2.0))


def _start_power(t: Floats, e: Floats) -> list[tuple[float, ...]]:
    _, first, least = _spread(t, e)
    return [
        (share * least, max(first - share * least, 1e-3), b)
        for share in (0.0, 0.5, 0.95)
        for b in (0.05, 0.3, 1.0)
    ]


def _start_saturating(t: Floats, e: Floats) -> list[tuple[float, ...]]:
    _, first, least = _spread(t, e)
    a = float(np.clip(1 - first, 0.003, 0.9))
    return [(top, a, b) for top in (1.0, max(1 - least, 0.05)) for b in (0.1, 0.4, 1.0)]


def _start_logistic(t: Floats, e: Floats) -> list[tuple[float, ...]]:
    reach, _, least = _spread(t, e)
    low, top = float(np.clip(1 - e.max(), -0.2, 0.9)), float(np.clip(1.2 - least, 0.1, 1.0))
    rise = max(top - low, 0.05)
    return [(low, rise, m * reach, w * reach) for m in (0.3, 0.7, 1.2) for w in (0.1, 0.35)]


def _start_broken(t: Floats, e: Floats) -> list[tuple[float, ...]]:
    reach, first, least = _spread(t, e)
    return [
        (share * least, first, b, c, d * reach, 0.3)
        for share in (0.0, 0.9)
        for b, c in ((0.02, 0.5), (0.3, -0.2))
        for d in (0.4, 0.8)
    ]


def _start_m4(t: Floats, e: Floats) -> list[tuple[float, ...]]:
    _, first, _ = _spread(t, e)
    top = float(np.clip(1.1 * max(first, e.max()), 0.1, 3.0))
    return [
        (rest * top, (1 - rest) * top, 1.0, b, c)
        for rest in (0.05, 0.5)
        for b in (1.0, 10.0)
        for c in (0.2, 0.8)
    ]


for _law in (
    Law(
        "power_law", ("e", "a", "b"), ((0, 2), (0, 5), (0, 4)), _power, _start_power,
        "error = e + a 10^(-b t): a power law of scale with an offset",
    ),
    Law(
        "saturating", ("top", "a", "b"), ((0.01, 1), (1e-6, 5), (0, 4)), _saturating,
        _start_saturating,
        "1 - error = top (1 - exp(-a 10^(b t))): a power law of the score that saturates", ("a",),
    ),
    Law(
        "logistic", ("low", "rise", "m", "w"), ((-0.3, 1), (0, 1.3), (-5, 8), (0.03, 5)), _logistic,
        _start_logistic, "logistic in log scale between a floor and a ceiling", ("w",),
    ),
    Law(
        "broken", ("e", "a", "b", "c", "d", "f"),
        ((0, 2), (0, 5), (-0.5, 4), (-4, 4), (-1, 8), (0.05, 2)), _broken, _start_broken,
        "one break: Caballero et al. 2022, arXiv 2210.14891, Eq. 1", ("f",),
    ),
    Law(
        "m4", ("e", "span", "alpha", "beta", "c"),
        ((0, 2), (0.01, 5), (0.01, 5), (1e-4, 1e4), (0, 4)), _m4, _start_m4,
        "(y - e) / (e + span - y)^alpha = beta 10^(-c t): Alabdulmohsin et al. 2022, "
        "arXiv 2209.06640, Eq. 1 (M4)", ("span", "alpha", "beta"),
    ),
    Law(
        "log_pass_rate", ("a", "k"), ((1e-6, 60), (0, 4)), _log_pass,
        lambda t, e: [(a, k) for a in (0.3, 2.0, 8.0) for k in (0.1, 0.4, 1.0)],
        "-log pass rate = a C^-k: OpenAI 2023, arXiv 2303.08774, Sec. 3.2", ("a",),
        ("share", "chance", "excess"),
    ),
    Law(
        "logit_line", ("a", "b"), ((-15, 15), (-8, 8)), _logit_line,
        lambda t, e: [(0.0, 0.0), (2.0, 1.0), (0.0, 0.5)],
        "the logit of the score is a straight line in log scale",
    ),
):  # fmt: skip
    LAWS.add(_law.name, _law)
