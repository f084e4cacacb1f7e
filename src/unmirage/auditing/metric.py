"""What share of the jump the metric makes, and how dependent the errors of an answer are."""

from __future__ import annotations

import numpy as np

from unmirage.auditing.push import Push
from unmirage.auditing.words import SCHAEFFER, number, two_numbers
from unmirage.types import Curve, Finding


def metric_finding(
    curve: Curve, companion: Curve, push: Push, dependence: dict[str, object] | None
) -> Finding:
    j = push.gap
    jump = " to ".join(two_numbers(curve.scale[j], curve.scale[j + 1]))
    if push.way == "items":
        how = f"the smooth law of {companion.facts.title}, pushed item by item through the metric,"
    else:
        how = (
            f"the smooth law of {companion.facts.title}, through a fitted logistic link (there are "
            "no items to rescore),"
        )
    share = f"{100 * push.share:.0f} %" if push.share > 0 else "none"
    text = f"{how} makes {share} of the jump from {jump}"
    if push.interval:
        text += f" (90 %: {100 * push.interval[0]:.0f} to {100 * push.interval[1]:.0f} %)"
    if dependence:
        text += f"; {dependence['text']}"
    values: dict[str, object] = {
        "companion": companion.key.metric,
        "way": push.way,
        "step_from": float(curve.scale[j]),
        "step_to": float(curve.scale[j + 1]),
        "pushed": [float(v) for v in push.pushed],
    }
    if dependence:
        values.update({k: v for k, v in dependence.items() if k != "text"})
    return Finding("metric", push.share, text, push.interval, None, SCHAEFFER, values)


def dependence(exact: Curve, per_token: Curve, total: Curve) -> dict[str, object] | None:
    """How dependent are the errors within an answer?

    With independent errors exact match is p^L, p = exp(-cross-entropy), L tokens. The effective
    length log(exact match) / log(p) is L then, and shorter where errors come together. Median over
    rungs with exact match between 0.02 and 0.98.
    """
    if total.items is None or per_token.items is None or exact.models != per_token.models:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = -total.items.scores / per_token.items.scores
        length = float(np.nanmedian(lengths))
        p = np.exp(-per_token.score)
        effective = np.log(exact.score) / np.log(p)
    use = (exact.score > 0.02) & (exact.score < 0.98) & np.isfinite(effective)
    if not use.any() or not np.isfinite(length):
        return None
    found = float(np.median(effective[use]))
    text = (
        f"answers of {number(length)} tokens count like {number(found)} independent ones "
        f"(independent errors would give p^{number(length)})"
    )
    independent = [float(v) for v in p**length]
    return {
        "text": text,
        "length": length,
        "effective_length": found,
        "independent": independent,
    }
