"""Which of HELM's statistics are scores, and which end of each is better."""

from __future__ import annotations

import re

from unmirage.metrics.names import facts as facts_of

#: about the request, not the answer; a confidence and a fitted line are no scores either
_NO_SCORE = re.compile(
    r"(num_|inference_|training_|batch_size|finish_reason_|prompt_truncated|predicted_index"
    r"|max_prob|platt_|estimated_num_|runtime|logprob_per_token)"
)
#: about the text that the model wrote itself, except where it was given the text
OF_TEXT = ("logprob", "perplexity", "bits_per_byte", "logprob_per_byte")
#: made of probabilities: nothing where those are placeholders
_OF_PROBABILITY = re.compile(r"(ece_|selective_)")
_HIGHER = re.compile(
    r"((quasi_)?leave_articles_exact_match|quasi_leave_articles_exact_match|exact_match_indicator"
    r"|final_number_exact_match|exact_set_match|iou_set_match|f1_set_match|math_equiv\w*"
    r"|chain_of_thought_correctness|ifeval_strict_accuracy|code_eval_acc|test_avg|strict_acc|pass"
    r"|classification_(macro|micro)_f1|(chinese_)?(bleu|rouge)_\w+|cider|logprob_per_byte"
    r"|selective_\w+|RR|NDCG|tip_score)$"
)
_LOWER = re.compile(r"(ece_\w+|absolute_value_difference|(ter|mer|cer)_score|toxic_frac)$")


def is_score(metric: str, of_text: bool, placeholders: bool) -> bool:
    """Whether a statistic is a score. ``of_text``: the model was given the text it is about;
    ``placeholders``: the log-probabilities of the run are none.

    >>> is_score("exact_match", False, False), is_score("num_bytes", False, False)
    (True, False)
    """
    if _NO_SCORE.match(metric) or (metric in OF_TEXT and not of_text):
        return False
    return not (placeholders and (metric in OF_TEXT or _OF_PROBABILITY.match(metric)))


def higher_is_better(metric: str) -> bool | None:
    """The better end, as HELM declares it; None where it is not known.

    >>> higher_is_better("exact_match@5"), higher_is_better("bias_metric:mode=associations")
    (True, None)
    """
    base = metric.partition("@")[0]
    if (facts := facts_of(base)) is not None:
        return facts.higher_is_better
    if _HIGHER.match(base):
        return True
    return False if _LOWER.match(base) else None
