"""Which other metric of the same outputs shows what happens underneath."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmirage.types import Curve

#: teacher-forced and choice quantities in which models change smoothly if they change smoothly at
#: all; from the most direct on. A free-running quantity is no such thing: an early error spoils
#: what follows, so even one that is linear in the errors can be sharp.
_ANSWER = (
    "cross_entropy",
    "log_likelihood",
    "bits_per_byte",
    "token_accuracy",
    "target_prob",
)
_CHOICE = (
    "margin",
    "logprob_correct",
    "prob_choice_norm",
    "prob_choice",
    "brier",
    "brier_right",
)
_LAST = ("edit_distance_norm", "token_accuracy_free", "edit_distance")


def primary(curve: Curve) -> bool:
    """Is the metric itself linear and not free-running? Then it is its own evidence."""
    return curve.facts.linear and curve.facts.forcing != "free"


def companion(curve: Curve, others: Sequence[Curve]) -> Curve | None:
    """The best companion among curves of the same family, task and settings, or None."""
    if primary(curve):
        return None
    choice = curve.facts.forcing == "choice"
    names: tuple[str, ...] = (*_CHOICE, *_ANSWER) if choice else (*_ANSWER, *_CHOICE)
    if curve.facts.name.startswith("reconstruction_at_"):  # a threshold on just this error
        names = ("mse", *names)
    candidates = [
        o for o in others if o is not curve and o.models == curve.models and not _copy(curve, o)
    ]
    for name in names:
        for other in candidates:
            if other.facts.name == name and other.facts.name != curve.facts.name:
                return other
    linear = [o for o in candidates if primary(o)]
    if linear:
        return linear[0]
    if not curve.facts.linear:
        for name in _LAST:
            for other in candidates:
                if other.facts.name == name:
                    return other
    return None


def _copy(one: Curve, other: Curve) -> bool:
    """Is one metric a straight-line function of the other on these very answers?

    Then it says nothing that the first does not (exact match and edit distance of one character).
    """
    if one.items is None or other.items is None:
        return False
    _, here, there = np.intersect1d(one.items.position, other.items.position, return_indices=True)
    a, b = one.items.scores[:, here].ravel(), other.items.scores[:, there].ravel()
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return True
    return bool(abs(np.corrcoef(a, b)[0, 1]) > 1 - 1e-9)
