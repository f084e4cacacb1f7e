"""Ways from scale to score.

``process``   the Gaussian process of :mod:`unmirage.forecasting.process`, on the score itself.
a law         one of :data:`unmirage.forecasting.laws.LAWS`, fitted with bootstrapped errors.
``combined``  the process and the laws, weighted so that they would have had the least CRPS on the
              largest rungs of the same family, forecast from those below.
``metric``    scale -> the smooth companion of the same outputs (process) -> the metric.
``two_step``  scale -> the loss of the task (a power law) -> the metric (a logistic of the loss).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unmirage.errors import OptionError
from unmirage.forecasting import companions, single
from unmirage.forecasting.combine import combined
from unmirage.forecasting.engine import predict
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.plausible import widen
from unmirage.forecasting.types import ROUTES, Prediction
from unmirage.types import Curve, Floats, Refusal

_MENDS = {
    "metric": "a smooth metric of the same outputs (log-probabilities), or --route process",
    "two_step": "a loss or log-probability of the same outputs, or --route process",
}


def run(
    route: str,
    curves: Sequence[Curve],
    asked: Sequence[int],
    at: Sequence[Floats],
    *,
    seed: int,
    draws: int,
    tell: Callable[[float], None] | None = None,
) -> dict[int, Prediction]:
    """Place of the curve -> its prediction at its targets (T,), log10; what cannot be is left out.

    Where a target is not known, ``widest`` holds every law that is still plausible. ``tell`` hears
    of curves as they are done, ``len(curves)`` in all.

    Raises
    ------
    OptionError
        no route and no law has that name, or a law that raises.
    """
    say = tell or (lambda more: None)
    made = _run(route, curves, asked, at, seed, draws, say)
    return widen(made, curves, at, seed=seed, process=route == "process")


def _run(
    route: str, curves: Sequence[Curve], asked: Sequence[int], at: Sequence[Floats], seed: int,
    draws: int, tell: Callable[[float], None],
) -> dict[int, Prediction]:  # fmt: skip
    if route == "process":
        made = predict(curves, at, seed=seed, draws=draws, progress=tell)
        return {i: made[i] for i in asked}
    if route == "combined":
        return combined(curves, asked, at, seed=seed, draws=draws, tell=tell)
    if route in ("metric", "two_step"):
        found = companions.run(route, curves, asked, at, seed=seed, draws=draws)
    elif route in LAWS:
        mine, targets = [curves[i] for i in asked], [at[i] for i in asked]
        law = LAWS[route]
        fitted = single.predict(law, mine, targets, seed=seed, draws=draws, strict=True)
        found = {i: f for i, f in zip(asked, fitted, strict=True) if f is not None}
    else:
        known = ", ".join((*ROUTES, *LAWS))
        raise OptionError(f"no route or law is named {route!r}", mend=f"one of {known}")
    tell(len(curves))
    return found


def refusal(curve: Curve, route: str) -> Refusal:
    """Why a curve has no forecast by this route."""
    if route in LAWS:
        no_fit = (f"the law {route!r} has no finite fit to it", "another law, or --route process")
        return Refusal(curve.key, "no_route", *(single.why_not(LAWS[route], curve) or no_fit))
    reason = f"the route {route!r} does not lead to it"
    return Refusal(curve.key, "no_route", reason, _MENDS.get(route, "--route process"))
