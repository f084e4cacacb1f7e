"""The scores that HELM gave: of each instance, and of the whole run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.helm.answers import variant_of
from unmirage.records.formats.lm_eval.results import part, real
from unmirage.records.shape import facts_of

#: counts, times and the like, which are no scores of an ability
_NO_SCORES = ("batch_size", "prompt_truncated", "predicted_index", "max_prob", "runtime")
_NO_SCORE_BEGINS = ("num_", "finish_reason_", "inference_", "training_", "estimated_")
#: of the text itself, where the text was to be predicted; else of whatever the model wrote
_OF_TEXT = ("logprob", "perplexity", "bits_per_byte", "logprob_per_byte")
#: scores that no other tool has, of which more is better
_HIGHER = {
    *("math_equiv", "math_equiv_chain_of_thought", "final_number_exact_match", "code_eval_acc"),
    *("exact_match_indicator", "exact_set_match", "iou_set_match", "f1_set_match", "test_avg"),
    *("quasi_leave_articles_exact_match", "cleva_math_result_match", "strict_acc", "pass"),
    *("classification_macro_f1", "classification_micro_f1", "chain_of_thought_correctness"),
}


@dataclass(frozen=True)
class Stat:
    """One number that HELM computed."""

    metric: str
    split: str | None
    subtask: str | None
    variant: str | None
    mean: float | None  # None: not known

    @property
    def higher(self) -> bool | None:
        """Whether more is better, where the name alone does not tell."""
        base, at, _ = self.metric.partition("@")
        known = facts_of(base) if at else None
        if known is not None:
            return known.higher_is_better
        return True if base in _HIGHER else None


def stat_of(row: Any, method: str | None, single: bool) -> Stat | None:
    """A score; None for what is none, and for the best of k answers where one was asked for."""
    name = part(row, "name") if isinstance(row, dict) else {}
    metric = name.get("name")
    if not isinstance(metric, str) or not metric or not _is_score(metric, method):
        return None
    if single and "@" in metric:
        return None
    mean = real(row.get("mean"))
    total, count = real(row.get("sum")), real(row.get("count"))
    if mean is None and total is not None and count:
        mean = total / count
    split, sub = name.get("split"), name.get("sub_split")
    return Stat(
        metric,
        split if isinstance(split, str) else None,
        sub if isinstance(sub, str) else None,
        variant_of(name.get("perturbation")),
        mean if mean is not None and math.isfinite(mean) else None,
    )


def _is_score(metric: str, method: str | None) -> bool:
    if metric in _OF_TEXT:
        return method == "language_modeling"
    return metric not in _NO_SCORES and not metric.startswith(_NO_SCORE_BEGINS)


def counts(rows: tuple[Any, ...]) -> Mapping[tuple[Any, Any], float]:
    """(split, subtask) -> number of instances, without the perturbed."""
    found = {}
    for row in rows:
        name = part(row, "name") if isinstance(row, dict) else {}
        number = real(row.get("mean")) if name else None
        split, sub = name.get("split"), name.get("sub_split")
        plain = all(v is None or isinstance(v, str) for v in (split, sub))
        counted = name.get("name") == "num_instances" and not name.get("perturbation")
        if counted and plain and number is not None and 0 < number < math.inf:
            found[split, sub] = number
    return found
