"""Hostile input never crashes, never hangs, and never becomes a 0."""

from __future__ import annotations

import math
import time

import numpy as np
import polars as pl
import pytest

from unmirage.errors import MetricError
from unmirage.metrics import METRICS, available, score

HOSTILE = ["", " ", "\x00", "\x1b[31mred\x1b[0m", "\u202eabc", "a" * 10_000, "é" * 5, "\U0010ffff",
           "\n\n", "...", "<script>", "{{7*7}}", "%s%n", "０", "\ufeff", "a\x00b"]  # fmt: skip
TEXT = [n for n in METRICS if {"output", "targets"} <= set(METRICS[n].needs) or "edit" in n]


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("target", HOSTILE)
def test_hostile_texts_score_in_range_and_best_where_equal(name: str, target: str) -> None:
    samples = pl.DataFrame({"output": HOSTILE, "targets": [[target]] * len(HOSTILE)})
    metric = METRICS[name]
    found = score(name, samples)
    inside = (found >= metric.facts.low) & (found <= metric.facts.high)
    assert (inside | np.isnan(found)).all()
    same = found[HOSTILE.index(target)]
    best = metric.facts.high if metric.facts.higher_is_better else metric.facts.low
    assert same == best or np.isnan(same)


@pytest.mark.parametrize("name", TEXT)
def test_a_huge_answer_takes_no_time(name: str) -> None:
    huge = ["a" * 2_000_000, "a b " * 500_000]
    samples = pl.DataFrame({"output": huge, "targets": [["a b c"], ["a b " * 500]]})
    began = time.perf_counter()
    score(name, samples)
    assert time.perf_counter() - began < 20


def test_rouge_of_a_pair_too_large_to_align_is_not_scored() -> None:
    samples = pl.DataFrame({"output": ["a b " * 500_000], "targets": [["a b " * 500]]})
    assert np.isnan(score("rouge_lsum", samples)).all()


def test_rouge_of_a_target_in_another_script_is_not_scored_rather_than_0() -> None:
    samples = pl.DataFrame({"output": ["答え", "x"], "targets": [["答え"], ["x"]]})
    np.testing.assert_array_equal(score("rouge_lsum", samples), [np.nan, 1.0])


@pytest.mark.parametrize(
    ("name", "logprobs", "expected"),
    [
        ("log_likelihood", [-math.inf, -1.0], math.nan),
        ("cross_entropy", [-math.inf, -1.0], math.nan),
        ("target_prob", [-math.inf, -1.0], 0.0),
        ("token_prob", [-math.inf, 0.0], 0.5),
        ("cross_entropy", [1e-9, -1.0], 0.5),
        ("cross_entropy", [0.5, -1.0], math.nan),
        ("cross_entropy", [math.nan, -1.0], math.nan),
        ("cross_entropy", [None, -1.0], math.nan),
        ("cross_entropy", [], math.nan),
        ("log_likelihood", [-1e308, -1e308], math.nan),
        ("target_prob", [-1e308, -1e308], 0.0),
    ],
)
def test_impossible_log_probabilities(
    name: str, logprobs: list[float | None], expected: float
) -> None:
    samples = pl.DataFrame(
        {"token_logprobs": [logprobs]}, schema={"token_logprobs": pl.List(pl.Float64)}
    )
    np.testing.assert_allclose(METRICS[name].score(samples), [expected], atol=1e-8)


CHOICE = [n for n in METRICS if METRICS[n].facts.forcing == "choice"]


@pytest.mark.parametrize("name", CHOICE)
@pytest.mark.parametrize(
    "change",
    [
        {"target_index": [3]},
        {"target_index": [-1]},
        {"choice_logprobs": [[-1.0]]},
        {"choice_logprobs": [[]]},
        {"choice_logprobs": [[-1.0, math.nan, -2.0]]},
        {"choice_logprobs": [[-1.0, 0.5, -2.0]]},
        {"choice_logprobs": [[-1.0, -2.0]]},
    ],
)
def test_choices_that_do_not_fit_are_nan(name: str, change: dict[str, list[object]]) -> None:
    good: dict[str, list[object]] = {
        "choice_logprobs": [[-1.0, -2.0, -3.0]],
        "choices": [["a", "b", "c"]],
        "target_index": [0],
    }
    types = {"choice_logprobs": pl.List(pl.Float64)}
    samples = pl.DataFrame({**good, **change}, schema_overrides=types)
    assert np.isnan(METRICS[name].score(samples)).all()
    assert not np.isnan(METRICS[name].score(pl.DataFrame(good))).any()


@pytest.mark.parametrize("credit", [[1.0, 0.0], [2.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [None, 1.0, 0]])
def test_credit_that_does_not_fit_is_nan(credit: list[float | None]) -> None:
    samples = pl.DataFrame(
        {"choice_logprobs": [[-1.0, -2.0, -3.0]], "choice_credit": [credit], "target_index": [0]},
        strict=False,
    )
    assert np.isnan(score("mc_grade", samples)).all()


def test_impossible_choices_of_which_some_are_still_told() -> None:
    none = pl.DataFrame({"choice_logprobs": [[-math.inf] * 2], "target_index": [0]})
    for name, expected in [("accuracy", 0.5), ("prob_choice", 0.0), ("brier", math.nan)]:
        np.testing.assert_array_equal(score(name, none), [expected])
    one = pl.DataFrame({"choice_logprobs": [[-math.inf, -1.0]], "target_index": [0]})
    for name, expected in [("brier", 2.0), ("prob_choice_norm", 0.0), ("margin", math.nan)]:
        np.testing.assert_array_equal(score(name, one), [expected])


@pytest.mark.parametrize("name", METRICS)
def test_a_column_of_the_wrong_type_is_refused_not_crashed_on(name: str) -> None:
    needs = {c for need in METRICS[name].needs for c in need.split("|")}
    samples = pl.DataFrame({c: [{"a": 1}] for c in needs})
    with pytest.raises(MetricError, match="cannot read the columns it needs"):
        score(name, samples)


def test_columns_of_nothing_but_null_allow_no_metric() -> None:
    needs = {c for m in METRICS for need in METRICS[m].needs for c in need.split("|")}
    assert available(pl.DataFrame({c: [None, None] for c in needs})) == ()
    assert available(pl.DataFrame({c: [] for c in needs})) == ()


@pytest.mark.parametrize("name", METRICS)
def test_columns_of_null_and_no_rows_do_not_crash_a_score(name: str) -> None:
    needs = {c for need in METRICS[name].needs for c in need.split("|")}
    for rows in (0, 2):
        samples = pl.DataFrame({c: [None] * rows for c in needs})
        found = METRICS[name].score(samples)
        assert found.shape == (rows,)
        assert np.isnan(found).all()
