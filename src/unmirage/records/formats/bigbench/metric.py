"""On which scale BIG-bench writes each of its metrics, and which end is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from unmirage.records.formats.values import real

#: written on 0-100
ON_100 = ("bleu", "sequence_f1", "rouge1", "rouge2", "rougeLsum", "normalized_aggregate_score")
#: written on 0-1; BIG-bench's own loader multiplies them by 100, and so may files it wrote again
ON_1 = (
    "bleurt",
    "calibration_multiple_choice_brier_score",
    "expected_calibration_error",
    "exact_str_match",
    "case_insensitive_str_match",
    "multiple_choice_grade",
    "numeric_match_with_0_1_relative_error",
    "macro_f1",
)
_LOWER = ("calibration_multiple_choice_brier_score", "expected_calibration_error")
_OTHERS = (
    "weighted_probabilities",
    "weighted_log_probabilities",
    "log_likelihood",
    "log_likelihood_per_word",
    "log_likelihood_per_char",
)
#: each item is right or wrong under these (multiple_choice_grade: where all credits are 0 or 1)
COUNTED = ("exact_str_match", "case_insensitive_str_match", "multiple_choice_grade")


def higher_is_better(metric: str) -> bool | None:
    """The better end of a metric that BIG-bench defines; None for those of single tasks."""
    if metric in _LOWER:
        return False
    return True if metric in (*ON_100, *ON_1, *_OTHERS) else None


def is_renormalised(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether some entry says that the best score of a metric on 0-1 is 100."""
    return any(
        e.get("preferred_score") in ON_1 and (real(e.get("high_score")) or 0) >= 100
        for e in entries
    )


def unit_of(metric: str, entry: Mapping[str, Any], renormalised: bool) -> float:
    """What a score is divided by: as its entry declares where it does, else as it is defined."""
    high = real(entry.get("high_score"))
    if metric in ON_100:
        declared = metric == entry.get("preferred_score") and high == 1.0
        return 1.0 if declared else 100.0
    return 100.0 if metric in ON_1 and renormalised else 1.0


def fits(metric: str, score: float) -> bool:
    """Whether a score in its unit lies where the metric can be."""
    if metric == "bleurt" or metric not in (*ON_1, *ON_100):
        return math.isfinite(score)
    credited = metric in ("normalized_aggregate_score", "multiple_choice_grade")
    low = -math.inf if credited else 0.0  # options may be worth less than nothing
    return low <= score <= 1.0 + 1e-9
