"""Ways from scale to score. See :data:`ROUTES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unmirage.errors import OptionError
from unmirage.forecasting.engine import predict
from unmirage.forecasting.types import Prediction
from unmirage.types import Curve, Floats, Refusal

_Tell = Callable[[int, int], None] | None


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
    """Place of the curve -> its prediction at ``at`` (T,), log10 scale; what cannot be is left out."""
    if route != "process":
        raise OptionError(f"no route is named {route!r}", mend="process")
    made = predict(curves, [at] * len(curves), seed=seed, draws=draws)
    return {i: made[i] for i in asked}


def refusal(curve: Curve, route: str) -> Refusal:
    return Refusal(
        curve.key, "no_route", f"the route {route} does not lead to it", "--route process"
    )
