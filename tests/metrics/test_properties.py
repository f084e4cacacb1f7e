"""Every declared property of every registered metric, checked on generated samples."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.metrics import METRICS, available, get, score
from unmirage.records.columns import SAMPLE
from unmirage.types import Metric

NAMES = tuple(METRICS)
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
REPEATS = 100  # enough for the largest registered k of pass@k


def answers(right: np.ndarray, prob: np.ndarray, wrong_prob: np.ndarray) -> pl.DataFrame:
    """One item with every field: right (T,) which tokens the answer has, prob (T,) of the target's.

    The answer is compared by words, and by ids. The choices are the target and two wrong ones.
    """
    count = len(right)
    words = [w if ok else f"wrong{i}" for i, (w, ok) in enumerate(zip(WORDS, right, strict=False))]
    target = float(np.log(prob).sum())
    row = {
        "item": "i",
        "output": " ".join(words),
        "targets": [" ".join(WORDS[:count])],
        "token_logprobs": np.log(prob).tolist(),
        "token_correct": (prob > wrong_prob).tolist(),
        "choices": ["c" * 10, "d" * 10, "e" * 10],
        "choice_logprobs": [target, float(np.log(wrong_prob).sum()), -900.0],
        "target_index": 0,
        "squared_error": float((1.0 - prob).mean()),
    }
    return pl.DataFrame([{**row, "repeat": r} for r in range(REPEATS)])


def greedy(prob: float, count: int = 4) -> pl.DataFrame:
    """What greedy decoding says where every right token has ``prob`` and one wrong one the rest."""
    each = np.full(count, prob)
    return answers(each > 0.5, each, 1.0 - each)


def one(metric: Metric, samples: pl.DataFrame) -> float:
    found = score(metric, samples)
    assert found.shape == (samples.height,)
    assert np.allclose(found, found[0], rtol=0, atol=0)
    return float(found[0])


def best(metric: Metric) -> float:
    return metric.facts.high if metric.facts.higher_is_better else metric.facts.low


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_its_own_and_its_aliases_lead_to_it(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert all(get(alias) is metric for alias in metric.aliases)
    assert metric.reference
    assert metric.note
    assert metric.facts.low < metric.facts.high


def test_the_generated_item_allows_every_metric() -> None:
    assert {m.name for m in available(greedy(0.9))} == set(NAMES)


# ---------------------------------------------------------------- direction


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_answer_scores_best_and_a_wrong_one_worse(name: str) -> None:
    metric = METRICS[name]
    perfect, poor = one(metric, greedy(1.0 - 1e-12)), one(metric, greedy(0.1))
    assert (perfect > poor) == metric.facts.higher_is_better
    assert perfect != poor
    if math.isfinite(best(metric)):
        assert perfect == pytest.approx(best(metric), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_more_right_tokens_never_score_worse(name: str) -> None:
    metric = METRICS[name]
    sign = 1.0 if metric.facts.higher_is_better else -1.0
    last = -math.inf
    for right in range(6):
        have = np.arange(5) < right
        prob = np.where(have, 0.9, 0.2)
        now = sign * one(metric, answers(have, prob, 1.0 - prob))
        assert now >= last - 1e-12
        last = now


# ---------------------------------------------------------------- continuity


@pytest.mark.parametrize("name", NAMES)
def test_continuous_is_what_does_not_jump_where_the_top_token_changes(name: str) -> None:
    metric = METRICS[name]
    jump = abs(one(metric, greedy(0.5 + 1e-9)) - one(metric, greedy(0.5 - 1e-9)))
    if metric.facts.continuous:
        assert jump < 1e-6
    else:
        assert jump > 0.3


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].facts.continuous])
def test_a_tiny_change_of_log_probabilities_makes_a_tiny_change(name: str) -> None:
    rng = np.random.default_rng(1)
    logprobs = -rng.exponential(1.0, size=(500, 4))
    samples = from_logprobs(logprobs, rng.integers(0, 4, 500))
    near = from_logprobs(logprobs - 1e-9 * rng.random((500, 4)), samples["target_index"].to_numpy())
    assert np.abs(score(name, samples) - score(name, near)).max() < 1e-7


def from_logprobs(logprobs: np.ndarray, right: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "choice_logprobs": logprobs.tolist(),
            "choices": [["ab", "ab", "ab", "ab"]] * len(logprobs),
            "token_logprobs": logprobs.tolist(),
            "target_bytes": np.full(len(logprobs), 10),
            "target_index": right.astype(np.int64),
            "squared_error": (logprobs**2).mean(axis=1),
        }
    )


# ---------------------------------------------------------------- linearity


def distance(metric: Metric, samples: pl.DataFrame) -> float:
    """How far the score is from the best, or from 0 where there is no best."""
    top = best(metric) if math.isfinite(best(metric)) else 0.0
    return abs(one(metric, samples) - top)


def with_errors(metric: Metric, wrong: int, scale: float) -> pl.DataFrame:
    """8 tokens of which ``wrong`` are wrong; the per-token quantity is ``scale``."""
    right = np.arange(8) >= wrong
    if metric.facts.unit in ("nats", "bits"):  # the per-token quantity is the log-probability
        return answers(right, np.full(8, math.exp(-scale)), np.full(8, math.exp(-3 * scale)))
    if metric.name in ("token_prob", "mse"):  # the per-token quantity is 1 - p
        return answers(right, np.full(8, 1.0 - scale), np.full(8, scale))
    return answers(right, np.where(right, 0.9, 0.1), np.where(right, 0.1, 0.9))


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].facts.linear])
@pytest.mark.parametrize("wrong", [2, 4, 8])
def test_half_the_per_token_error_is_half_the_distance_from_the_best(name: str, wrong: int) -> None:
    metric = METRICS[name]
    full = distance(metric, with_errors(metric, wrong, wrong / 10))
    half = distance(metric, with_errors(metric, wrong // 2, wrong / 20))
    assert full > 0
    assert half == pytest.approx(full / 2, rel=1e-12)


SHARP = ("exact_match", "prefix_match", "bleu", "accuracy", "target_prob", "prob_choice", "brier")


@pytest.mark.parametrize("name", SHARP)
def test_what_is_not_linear_is_seen_not_to_be(name: str) -> None:
    metric = METRICS[name]
    assert not metric.facts.linear
    whole, half = greedy(0.4, 8), greedy(0.7, 8)  # errors 0.6 and 0.3
    if metric.facts.forcing == "free":
        whole, half = with_errors(metric, 8, 0.8), with_errors(metric, 4, 0.4)
    assert distance(metric, half) != pytest.approx(distance(metric, whole) / 2, rel=0.05)


# ---------------------------------------------------------------- chance, binary


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].chance])
@pytest.mark.parametrize("choices", [2, 3, 5])
def test_a_guesser_scores_the_chance_level(name: str, choices: int) -> None:
    metric, rng, n = METRICS[name], np.random.default_rng(choices), 20_000
    logprobs = -rng.exponential(1.0, (n, choices))
    if metric.facts.continuous:  # the guesser of probabilities gives equal ones
        logprobs[:] = -math.log(choices)
    samples = pl.DataFrame(
        {
            "choice_logprobs": logprobs.tolist(),
            "choices": [["ab"] * choices] * n,
            "choice_credit": rng.integers(0, 2, (n, choices)).astype(float).tolist(),
            "target_index": rng.integers(0, choices, n),
        }
    )
    assert metric.chance is not None
    expected, found = metric.chance(samples), metric.score(samples)
    error = found.std() / math.sqrt(n)
    assert found.mean() == pytest.approx(expected.mean(), abs=5 * error + 1e-12)
    inside = (expected >= metric.facts.low) & (expected <= metric.facts.high)
    assert inside.all()


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].facts.binary])
def test_binary_items_score_0_or_1(name: str) -> None:
    rng = np.random.default_rng(3)
    samples = from_logprobs(-rng.exponential(1.0, (300, 4)), rng.integers(0, 4, 300))
    texts = pl.Series([["a"], ["b"], ["c"]] * 100)
    samples = samples.with_columns(output=pl.lit("a"), targets=texts)
    assert set(score(name, samples).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("accuracy", 1 / 3), ("accuracy_norm", 1 / 3), ("mc_grade", 1 / 3), ("brier", 2 / 3)],
)
def test_equal_choices_score_the_chance_level(name: str, expected: float) -> None:
    samples = pl.DataFrame(
        {"choice_logprobs": [[-1.0] * 3], "choices": [["a", "b", "c"]], "target_index": [2]}
    )
    assert score(name, samples)[0] == pytest.approx(expected, abs=1e-15)


# ---------------------------------------------------------------- range, on anything

NUMBERS = st.one_of(st.none(), st.floats(), st.floats(-50, 0), st.just(-math.inf))
TEXTS = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["a b", "the", "", "1 2", "\x00"])
)
WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 4))


def many(element: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.lists(element, max_size=5))


ROWS = st.fixed_dictionaries(
    {
        "item": st.sampled_from(["a", "b", None]),
        "repeat": st.sampled_from([0, 1, None]),
        "output": TEXTS,
        "targets": many(TEXTS),
        "output_tokens": many(WHOLE),
        "target_tokens": many(WHOLE),
        "token_logprobs": many(NUMBERS),
        "token_correct": many(st.sampled_from([True, False, None])),
        "target_bytes": WHOLE,
        "choices": many(TEXTS),
        "choice_logprobs": many(NUMBERS),
        "choice_credit": many(NUMBERS),
        "target_index": WHOLE,
        "metric": st.sampled_from(["acc", "f1", None]),
        "score": st.sampled_from([0.0, 1.0, 0.5, math.nan, None]),
    }
)
TYPES = {
    name: SAMPLE[name]
    for name in (
        "item",
        "repeat",
        "output",
        "targets",
        "output_tokens",
        "target_tokens",
        "token_logprobs",
        "token_correct",
        "target_bytes",
        "choices",
        "choice_logprobs",
        "choice_credit",
        "target_index",
        "metric",
        "score",
    )
}


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_any_samples_score_in_the_range_or_nan(rows: list[dict[str, object]]) -> None:
    samples = pl.DataFrame(rows, schema=TYPES)
    for metric in available(samples):
        found = score(metric, samples)
        assert found.shape == (len(rows),)
        assert found.dtype == np.float64
        inside = (found >= metric.facts.low) & (found <= metric.facts.high)
        assert (np.isnan(found) | (inside & np.isfinite(found))).all(), metric.name


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=6), st.integers(1, 5))
def test_rows_do_not_see_one_another(rows: list[dict[str, object]], cut: int) -> None:
    samples = pl.DataFrame(rows, schema=TYPES)
    for metric in available(samples):
        if metric.pooled:
            continue
        parts = [metric.score(samples[:cut]), metric.score(samples[cut:])]
        np.testing.assert_array_equal(metric.score(samples), np.concatenate(parts))


# ---------------------------------------------------------------- missing


def blanked(samples: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """A second row, without these columns."""
    schema = samples.schema
    empty = samples.with_columns(pl.lit(None, dtype=schema[c]).alias(c) for c in columns)
    return pl.concat([samples, empty])


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_a_needed_field_is_nan_and_leaves_the_others_alone(name: str) -> None:
    metric, samples = METRICS[name], greedy(0.9)
    for need in metric.needs:
        columns = [c for c in need.split("|") if c in samples.columns]
        both = blanked(samples, columns)
        found = score(metric, both)
        assert not np.isnan(found[: samples.height]).any()
        assert np.isnan(found[samples.height :]).all()
