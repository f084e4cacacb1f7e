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
from unmirage.forecasting.types import ROUTES, Prediction
from unmirage.types import Curve, Floats, Refusal

_Tell = Callable[[int, int], None] | None
_MENDS = {
    "metric": "a smooth metric of the same outputs (log-probabilities), or --route process",
    "two_step": "a loss or log-probability of the same outputs, or --route process",
}


def run(
    route: str,
    curves: Sequence[Curve],
    asked: Sequence[int],
    at: Floats,
    *,
    seed: int,
    draws: int,
    progress: _Tell = None,
) -> dict[int, Prediction]:
    """Place of the curve -> its prediction at ``at`` (T,), log10 scale; what cannot be is left out.

    Raises
    ------
    OptionError
        no route and no law has that name.
    """
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, len(curves))

    every = [at] * len(curves)
    if route == "process":
        made = predict(curves, every, seed=seed, draws=draws, progress=tell)
        return {i: made[i] for i in asked}
    if route == "combined":
        return combined(curves, asked, every, seed=seed, draws=draws)
    if route in ("metric", "two_step"):
        return companions.run(route, curves, asked, every, seed=seed, draws=draws)
    if route not in LAWS:
        known = ", ".join((*ROUTES, *LAWS))
        raise OptionError(f"no route or law is named {route!r}", mend=f"one of {known}")
    fitted = single.predict(LAWS[route], [curves[i] for i in asked], at, seed=seed, draws=draws)
    return {i: f for i, f in zip(asked, fitted, strict=True) if f is not None}


def refusal(curve: Curve, route: str) -> Refusal:
    """Why a curve has no forecast by this route."""
    reason = f"the route {route!r} does not lead to it"
    if route in LAWS:
        reason = f"the law {route!r} needs a bounded metric or a loss, and more rungs"
    return Refusal(curve.key, "no_route", reason, _MENDS.get(route, "--route process"))
