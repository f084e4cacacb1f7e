"""Which rungs sit where the items can see nothing, and how many items would show them."""

from __future__ import annotations

import numpy as np

from unmirage.auditing.words import SCHAEFFER, number
from unmirage.curves.working import is_binomial, kind
from unmirage.types import Curve, Finding, Floats


def resolution(
    curve: Curve, expected: Floats, source: str, drawn: Floats | None = None
) -> Finding | None:
    """Which rungs sit at the floor, what is expected there, and how many items would show it.

    A rung is at the floor when its 95 % interval reaches it. Above a floor c > 0 an expected score
    p needs n = ((1.645 sqrt(c (1-c)) + 1.645 sqrt(p (1-p))) / (p - c))^2 items, above 0
    n = log(0.05) / log(1 - p): seen with probability 0.95. Scores that are not right or wrong need
    n = (3.29 sd / distance)^2, sd that of one item. ``drawn`` (R, M), what may be expected, gives
    the number its 90 % interval: from 5 % to 95 % of the draws, from 10 % on where it has no upper
    end.
    """
    if kind(curve) != "share" or not np.isfinite(curve.count).all():
        return None
    if not is_binomial(curve) and not np.isfinite(curve.stderr).any():
        return None  # nothing says how far the scores of single items differ
    sign = np.sign(curve.ceiling - curve.floor)
    n = curve.count
    needed = items_needed(curve, expected)
    ends = np.full((2, len(n)), np.nan)
    if drawn is not None and len(drawn) >= 20:
        # the less is expected, the more items are needed
        low, less, high = (
            items_needed(curve, sign * q)
            for q in np.quantile(sign * drawn, [0.95, 0.9, 0.05], axis=0, method="inverted_cdf")
        )
        # an interval without an upper end has all that it may miss below
        ends = np.stack([np.where(np.isinf(high), less, low), high])
    silent = at_floor(curve)
    hidden = silent & (needed > n)
    rungs = [
        {
            "scale": float(curve.scale[i]),
            "score": float(curve.score[i]),
            "hidden": bool(hidden[i]),
            "expected": float(expected[i]),
            "needed_n": float(needed[i]),
            "needed_low": float(ends[0, i]),
            "needed_high": float(ends[1, i]),
        }
        for i in np.flatnonzero(silent)
    ]
    visible = float(_visible(curve))
    count = int(hidden.sum())
    text = f"{int(n.min())} items show a score {number(visible)} off the floor at best"
    if rungs:
        text += f"; {len(rungs)} of {len(n)} rungs sit at the floor"
    else:
        text += "; no rung sits at the floor"
    if count:
        worst = int(np.flatnonzero(hidden)[np.argmin(needed[hidden])])
        text += (
            f", in {count} of them {source} expects less than that: at "
            f"{number(curve.scale[worst])} it expects {number(expected[worst])}, for which "
            f"{number(needed[worst])} items are needed"
        )
        if np.isfinite(ends[:, worst]).any():
            text += f" (90 %: {number(ends[0, worst])} to {number(ends[1, worst])})"
    values = {
        "floor_rungs": rungs,
        "n": float(n.min()),
        "floor": float(curve.floor),
        "smallest_visible": visible,
        "hidden": count,
        "at_floor": len(rungs),
    }
    return Finding("resolution", float(count), text, None, None, SCHAEFFER, values)


def at_floor(curve: Curve) -> np.ndarray:
    """Rungs whose 95 % interval reaches the floor, (M,)."""
    return np.asarray((curve.low <= curve.floor + 1e-12) & (curve.high >= curve.floor - 1e-12))


def items_needed(curve: Curve, expected: Floats) -> Floats:
    """Items that show an expected score off the floor, (M,) -> (M,)."""
    sign = np.sign(curve.ceiling - curve.floor)
    above = np.maximum(sign * (expected - curve.floor), 1e-15)
    if is_binomial(curve):
        return np.array([_needed(curve.floor, a, sign) for a in above])
    sd = curve.stderr * np.sqrt(curve.count)  # of one item
    return np.asarray(np.ceil((3.29 * np.nanmax(sd) / above) ** 2))


def _visible(curve: Curve) -> float:
    """Smallest distance from the floor that the items at hand show."""
    n = float(curve.count.min())
    if not is_binomial(curve):
        return 3.29 * float(np.nanmax(curve.stderr))
    if curve.floor in (0.0, 1.0):
        return 3.0 / n
    return 3.29 * float(np.sqrt(curve.floor * (1 - curve.floor) / n))


def _needed(floor: float, above: float, sign: float) -> float:
    p = float(np.clip(floor + sign * above, 0.0, 1.0))
    if floor in (0.0, 1.0):
        rate = min(max(above, 1e-300), 1.0 - 1e-12)
        return float(np.ceil(np.log(0.05) / np.log1p(-rate))) if rate > 1e-15 else np.inf
    spread = 1.645 * (np.sqrt(floor * (1 - floor)) + np.sqrt(max(p * (1 - p), 0.0)))
    return float(np.ceil((spread / above) ** 2)) if above > 1e-12 else np.inf
