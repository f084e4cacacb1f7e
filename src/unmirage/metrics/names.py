"""What is known of a metric by the name that a table gives it.

A name is compared in lower case, without spaces, hyphens and underscores, and without what
follows a comma (lm-evaluation-harness writes "metric,filter"). A name that is not known is None:
a guessed direction would turn a curve upside down. Names whose direction is not that of ability
(pct_stereotype, likelihood_diff, parity, ...) are left out on purpose.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache

from unmirage.errors import MetricError
from unmirage.metrics import choice, logprob, overlap, passk, text, vision
from unmirage.types import Facts

_INF = math.inf


def _share(name: str, title: str, binary: bool = False, continuous: bool = False) -> Facts:
    """A score in 0..1 of which more is better."""
    return Facts(name, title, 0.0, 1.0, True, False, continuous, binary=binary)


def _error(
    name: str,
    title: str,
    linear: bool = False,
    continuous: bool = True,
    low: float = 0.0,
    high: float = _INF,
    unit: str = "",
) -> Facts:
    """A score of which less is better."""
    return Facts(name, title, low, high, False, linear, continuous, unit)


def _log(name: str, title: str) -> Facts:
    """A log-probability: at most 0, more is better."""
    return Facts(name, title, -_INF, 0.0, True, True, True, "nats")


def _within(name: str, title: str) -> Facts:
    """A correlation or the like in -1..1 of which more is better."""
    return Facts(name, title, -1.0, 1.0, True, False, False)


#: names of the field that are another name of a metric of ours
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "exact_match": ("string_match", "em_score"),
    "accuracy": ("acc_raw", "accuracy_score", "multiple_choice_accuracy", "mc_accuracy"),
    "accuracy_norm": ("acc_per_char", "accuracy_norm", "acc_normalized", "normalized_accuracy"),
    "mc_grade": ("mcg",),
    "cross_entropy": (
        *("cross_entropy_loss", "ce_loss", "ce", "xent", "nll", "nll_loss", "mean_nll", "lm_loss"),
        *("negative_log_likelihood", "avg_nll", "nll_per_token", "loss_per_token"),
    ),
    "log_likelihood": ("logprob", "log_prob", "logprobs", "logp", "ll", "loglik"),
    "bits_per_byte": ("bits_per_byte_corr", "bpb_corr"),
    "edit_distance": ("token_edit_distance", "levenshtein", "levenshtein_distance"),
    "edit_distance_norm": ("normalized_edit_distance", "normalised_edit_distance"),
    "token_accuracy": ("per_token_accuracy", "token_acc"),
    "f1": ("f1_score", "token_f1", "squad_f1", "sequence_f1"),
    "brier": (
        *("brier_loss", "multiple_choice_brier_score"),
        "calibration_multiple_choice_brier_score",
    ),
    "rouge_lsum": ("rouge_l_sum",),
    "bleu": ("sacrebleu", "corpus_bleu", "bleu_score"),
}

_OTHERS: tuple[tuple[Facts, tuple[str, ...]], ...] = (
    (_share("acc_per_byte", "accuracy per byte", True), ("acc_bytes", "accuracy_bytes")),
    (_share("acc_per_token", "accuracy per token", True), ("acc_norm_token",)),
    (_share("acc_uncond", "unconditional-normalised accuracy", True), ("acc_mutual_info",)),
    (_share("balanced_accuracy", "balanced accuracy"), ("balanced_acc",)),
    (_share("quasi_exact_match", "quasi-exact match", True), ("qem",)),
    (_share("prefix_exact_match", "prefix exact match", True), ("pem",)),
    (_share("quasi_prefix_exact_match", "quasi-prefix exact match", True), ("pqem",)),
    (_share("case_insensitive_str_match", "case-insensitive match", True), ()),
    (_share("contains", "answer contained", True), ("substring_match",)),
    (_share("mc1", "MC1", True), ()),
    (_share("mc2", "MC2", continuous=True), ()),
    (_share("precision", "precision"), ()),
    (_share("recall", "recall"), ()),
    (_share("macro_f1", "macro F1"), ("f1_macro",)),
    (_share("micro_f1", "micro F1"), ("f1_micro",)),
    (_share("chrf", "chrF"), ("chrf++", "chrf2")),
    (_share("meteor", "METEOR"), ()),
    (_share("iou", "intersection over union"), ("miou",)),
    (_share("auc", "area under the ROC curve"), ("auroc", "roc_auc")),
    (_share("pass_until", "pass rate"), ()),
    (_error("log_pass_rate", "-log pass rate", continuous=False, unit="nats"), ()),
    (_share("pass_rate", "pass rate"), ("success_rate", "solve_rate")),
    (_share("seed_success", "share of seeds that succeed", binary=True), ()),
    (_within("mcc", "Matthews correlation"), ("matthews_correlation", "matthews_corrcoef")),
    (_within("pearson", "Pearson correlation"), ("pearsonr",)),
    (_within("spearman", "Spearman correlation"), ("spearmanr",)),
    (
        Facts("normalized_aggregate_score", "normalised score", -_INF, 1.0, True, False, False),
        ("normalized_score", "normalized_preferred_metric"),
    ),
    (Facts("margin", "margin of the right choice", -_INF, _INF, True, False, True), ()),
    (
        _error("loss", "loss", True, unit="nats"),
        (
            "val_loss",
            "validation_loss",
            "test_loss",
            "train_loss",
            "eval_loss",
            "task_loss",
            "training_loss",
        ),
    ),
    (
        _error("bits_per_token", "bits per token", True, unit="bits"),
        ("bits_per_character", "bpc", "bits_per_char"),
    ),
    (_error("perplexity", "perplexity", low=1.0), ("ppl", "token_perplexity", "pplx")),
    (_error("word_perplexity", "perplexity per word", low=1.0), ("word_ppl",)),
    (_error("byte_perplexity", "perplexity per byte", low=1.0), ("byte_ppl",)),
    (_error("error_rate", "error rate", continuous=False, high=1.0), ()),
    (_error("wer", "word error rate", True, False), ("word_error_rate",)),
    (
        _error("cer", "character error rate", True, False),
        ("char_error_rate", "character_error_rate"),
    ),
    (_error("ter", "translation edit rate", continuous=False), ()),
    (
        _error("ece", "expected calibration error", continuous=False, high=1.0),
        ("expected_calibration_error",),
    ),
    (_error("mae", "mean absolute error"), ("mean_absolute_error", "l1_loss", "l1_error")),
    (
        _error("mse", "mean squared error"),
        (
            "mean_squared_error",
            "squared_error",
            "l2_loss",
            "reconstruction_error",
            "reconstruction_mse",
        ),
    ),
    (_error("rmse", "root mean squared error"), ("root_mean_squared_error",)),
)

_RUNG = r"(_per_(token|char|byte))?"
#: patterns over the name in lower case with underscores
_PATTERNS: tuple[tuple[re.Pattern[str], Facts], ...] = (
    (
        re.compile(r"rouge_?(\d|l|w|lsum|l_sum)?_?(fmeasure|f1|f|precision|recall|max|score)?"),
        _share("rouge", "ROUGE"),
    ),
    (re.compile(r"bleu_?([1-4]|max)"), _share("bleu", "BLEU")),
    (
        re.compile(rf"(prob_correct|correct_prob|norm_correct_prob)(_choice|_norm)?{_RUNG}"),
        _share("prob_correct", "probability of the right answer", continuous=True),
    ),
    (
        re.compile(rf"(log_?prob_correct|correct_log_?prob)(_choice|_norm)?{_RUNG}"),
        _log("logprob_correct", "log-probability of the right answer"),
    ),
    (
        re.compile(r"(sum_logits_corr|logits_per_(token|char|byte)_corr)"),
        _log("logprob_correct", "log-probability of the right answer"),
    ),
    (
        re.compile(r"(avg|mean|average)_?log_?(prob|likelihood)|log_?likelihood_per_token"),
        _log("log_likelihood", "log-likelihood"),
    ),
)
_PASS = re.compile(r"pass_?(@|at)_?([1-9]\d{0,8})")


def squeezed(name: str) -> str:
    """The name as it is compared: without case, spaces, hyphens and underscores.

    >>> squeezed("Exact-Match,strict-match")
    'exactmatch'
    """
    return re.sub(r"[\s_-]+", "", name.split(",")[0].lower())


@cache
def _known() -> dict[str, Facts]:
    """Squeezed name -> facts."""
    known: dict[str, Facts] = {}
    for fact, names in _OTHERS:
        known.update(dict.fromkeys(map(squeezed, (fact.name, *names)), fact))
    for metric in (*text.ALL, *choice.ALL, *logprob.ALL, *overlap.ALL):
        fact = replace(metric.facts, forcing="reported")
        names = (metric.name, *metric.aliases, *_SYNONYMS.get(metric.name, ()))
        for key in map(squeezed, names):
            # a reported margin may be one of probabilities: the cautious entry above stays
            known.setdefault(key, fact)
    return known


def facts(name: str) -> Facts | None:
    """What is known of a metric by its name in a table; None where it is not known.

    ``Facts.name`` is our name of it where the metric is one of ours; ``forcing`` is "reported".
    Every k of pass@k is known.

    >>> facts("exact_match,strict-match").name, facts("Pass@5").name, facts("PPL").higher_is_better
    ('exact_match', 'pass_at_5', False)
    >>> facts("acc_stderr,none") is None and facts("pct_stereotype") is None
    True
    """
    found = _known().get(squeezed(name))
    if found is not None:
        return found
    plain = re.sub(r"[\s_-]+", "_", name.split(",")[0].strip().lower())
    many = _PASS.fullmatch(plain)
    if many:
        return replace(passk.pass_at(int(many[2])).facts, forcing="reported")
    try:
        numbered = vision.made(plain)
    except MetricError:
        return None
    if numbered:
        return replace(numbered.facts, forcing="reported")
    return next((fact for pattern, fact in _PATTERNS if pattern.fullmatch(plain)), None)
