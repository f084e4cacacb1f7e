"""What is known of a metric by the name that tables in the field give it."""

from __future__ import annotations

import math

import pytest

from unmirage.metrics import METRICS, facts


def names(text: str) -> list[str]:
    return text.split()


UP = names(
    """
acc acc_norm acc_len_norm accuracy exact_match em exact_match,strict-match acc,none f1
bleu rouge1 rouge2 rougeL rougeLsum rouge_l rouge1_fmeasure mc1 mc2 pass@1 pass@7 Pass@100
pass_at_10 prob_correct prob_correct_per_char correct_prob correct_prob_per_token
logprob_correct logprob_correct_per_token log_likelihood loglikelihood sum_logits_corr
multiple_choice_grade exact_str_match quasi_exact_match normalized_aggregate_score
Exact-Match ExactMatch EXACT_MATCH acc_raw acc_per_char acc_per_byte acc_bytes mcc chrf
token_accuracy prefix_match
    """
)
DOWN = names(
    """
ppl perplexity word_perplexity byte_perplexity,none bits_per_byte bpb bits_per_byte_corr
loss val_loss cross_entropy cross-entropy nll brier brier_score Brier_Score
calibration_multiple_choice_brier_score edit_distance levenshtein mae mse rmse wer cer ter
error_rate ece
    """
)
UNKNOWN = names(
    """
pct_stereotype likelihood_difference likelihood_diff parity acc_stderr acc_stderr,none
exact_match_stderr,strict-match score value primary_metric total_prob rouge1_diff bleu_acc
brier_skill_score pass@ pass@0 pass@k n_samples alias length lossless macc
perplexity_ratio train_time f1_stderr neg_loss 1-acc
    """
)


@pytest.mark.parametrize("name", UP)
def test_more_is_better(name: str) -> None:
    found = facts(name)
    assert found is not None
    assert found.higher_is_better
    assert found.forcing == "reported"


@pytest.mark.parametrize("name", DOWN)
def test_less_is_better(name: str) -> None:
    found = facts(name)
    assert found is not None
    assert not found.higher_is_better
    assert found.low >= 0


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_none(name: str) -> None:
    assert facts(name) is None


@pytest.mark.parametrize("name", METRICS)
def test_our_own_names_are_known_as_declared(name: str) -> None:
    found, own = facts(name), METRICS[name].facts
    assert found is not None
    assert found.higher_is_better == own.higher_is_better
    assert found.low <= own.low
    assert found.high >= own.high
    # a reported margin may be one of probabilities, a reported mean squared error one of anything
    if name not in ("margin", "mse"):
        assert (found.name, found.linear, found.continuous) == (name, own.linear, own.continuous)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("acc_norm,none", "accuracy_norm"),
        ("exact_match,flexible-extract", "exact_match"),
        ("multiple_choice_grade", "mc_grade"),
        ("exact_str_match", "exact_match"),
        ("pass@64", "pass_at_64"),
        ("nll", "cross_entropy"),
    ],
)
def test_our_name_of_it(name: str, canonical: str) -> None:
    found = facts(name)
    assert found is not None
    assert found.name == canonical


def test_ranges() -> None:
    for name, low, high in [("ppl", 1, math.inf), ("mcc", -1, 1), ("brier_score", 0, 2)]:
        found = facts(name)
        assert found is not None
        assert (found.low, found.high) == (low, high)
