"""Metrics of images: slow twins, declared facts, bad numbers, and how an audit comes to them."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from unmirage.errors import MetricError
from unmirage.metrics import facts, get, score
from unmirage.metrics.vision import MAKERS, all_right, reconstruction, subset_accuracy

flags = st.lists(st.booleans(), max_size=8)
errors = st.lists(st.one_of(st.none(), st.floats(0, 2)), min_size=1, max_size=20)


@given(st.lists(flags, min_size=1, max_size=12), st.integers(1, 9))
def test_labels_score_as_a_loop_over_them_does(rows: list[list[bool]], k: int) -> None:
    samples = pl.DataFrame({"token_correct": pl.Series(rows, dtype=pl.List(pl.Boolean))})
    first = [float(all(row[:k])) if len(row) >= k else math.nan for row in rows]
    np.testing.assert_array_equal(score(subset_accuracy(k), samples), first)
    any_k = [
        float(np.mean([all(c) for c in combinations(row, k)])) if len(row) >= k else math.nan
        for row in rows
    ]
    np.testing.assert_allclose(score(all_right(k), samples), any_k, rtol=0, atol=1e-12)


@given(errors, st.floats(1e-6, 3))
def test_errors_score_as_a_loop_over_them_does(values: list[float | None], c: float) -> None:
    samples = pl.DataFrame({"squared_error": pl.Series(values, dtype=pl.Float64)})
    if samples["squared_error"].null_count() == len(samples):
        return
    twin = [math.nan if v is None else float(v < c) for v in values]
    np.testing.assert_array_equal(score(reconstruction(c), samples), twin)
    plain = [math.nan if v is None else v for v in values]
    np.testing.assert_array_equal(score("mse", samples), plain)


@pytest.mark.parametrize("p", [0.2, 0.7, 0.95])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_independent_labels_are_all_right_with_the_power_of_their_rate(p: float, k: int) -> None:
    right = np.random.default_rng(0).random((4000, 5)) < p
    samples = pl.DataFrame({"token_correct": right.tolist()})
    for metric in (subset_accuracy(k), all_right(k)):
        found = metric.score(samples)
        assert found.mean() == pytest.approx(p**k, abs=5 * found.std() / 63)


def test_all_choices_of_k_spread_less_than_the_first_k() -> None:
    right = np.random.default_rng(1).random((5000, 5)) < 0.7
    samples = pl.DataFrame({"token_correct": right.tolist()})
    spread = [m.score(samples).std() for m in (all_right(2), subset_accuracy(2))]
    assert spread[0] < 0.8 * spread[1]


EXAMPLES = [example for _, _, example in MAKERS.values()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_declared_facts_are_true(name: str) -> None:
    metric = get(name)
    assert metric.name == name.replace("@", "_at_")
    assert get(metric.name).facts == metric.facts
    known = facts(metric.name)
    assert known is not None
    assert known.name == metric.name
    rng = np.random.default_rng(0)
    samples = pl.DataFrame(
        {"token_correct": (rng.random((500, 6)) < 0.8).tolist(),
         "squared_error": rng.exponential(0.01, 500)}
    )  # fmt: skip
    found = score(name, samples)
    assert found.min() >= metric.facts.low
    assert found.max() <= metric.facts.high
    assert metric.facts.binary == bool(np.isin(found, (0.0, 1.0)).all())
    assert not metric.facts.continuous
    best = pl.DataFrame({"token_correct": [[True] * 6], "squared_error": [0.0]})
    worst = pl.DataFrame({"token_correct": [[False] * 6], "squared_error": [9.0]})
    assert (score(name, best)[0], score(name, worst)[0]) == (1.0, 0.0)
    assert metric.note
    assert metric.reference


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reconstruction@0", "no squared error is below that"),
        ("reconstruction@-0.1", "no squared error is below that"),
        ("reconstruction@nan", "no squared error is below that"),
        ("reconstruction@inf", "no squared error is below that"),
        ("reconstruction@much", "'much' is no number"),
        ("subset_accuracy@0", "not defined"),
        ("subset_accuracy@2.5", "'2.5' is no number"),
        ("all_right@-1", "not defined"),
    ],
)
def test_numbers_that_cannot_be_are_refused(name: str, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        get(name)
    assert facts(name) is None


# ---------------------------------------------------------------- in an audit


def ladder(labels: int = 5) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for i, params in enumerate((1e3, 3e3, 1e4, 3e4, 1e5, 3e5)):
        for item in range(60):
            p = 0.3 + 0.12 * i
            rows.append(
                {
                    "family": "nets",
                    "model": f"n{i}",
                    "params": params,
                    "task": "images",
                    "item": f"{item:03d}",
                    "token_correct": (rng.random(labels) < p).tolist(),
                    "token_logprobs": [float(np.log(p))] * labels,
                    "squared_error": float(rng.exponential(0.1 / (i + 1))),
                }
            )
    return pl.DataFrame(rows)


def test_an_audit_scores_them_by_name_from_the_records() -> None:
    asked = ["reconstruction@0.02", "all_right@3", "subset_accuracy@5", "mse"]
    found = unmirage.audit(unmirage.read(ladder()), metric=asked, draws=100)
    curves = {j.key.metric: j.curve for j in found.judgements}
    assert set(curves) == {
        *("reconstruction_at_0.02", "all_right_at_3", "subset_accuracy_at_5", "mse")
    }
    frame = ladder()
    for name, curve in curves.items():
        parts = frame.partition_by("params", maintain_order=True)
        mine = [score(name, part).mean() for part in parts]
        np.testing.assert_allclose(curve.score, mine)


def test_the_squared_error_is_the_companion_of_its_thresholds() -> None:
    found = unmirage.audit(unmirage.read(ladder()), metric=["reconstruction@0.01"], draws=100)
    [j] = found.judgements
    assert j.companion is not None
    assert j.companion.key.metric == "mse"


def test_more_than_there_are_cannot_be_right() -> None:
    with pytest.raises(MetricError, match="all_right_at_6 cannot be scored for any item") as error:
        unmirage.audit(unmirage.read(ladder()), metric=["all_right@6"])
    assert "items of at least 6 labels" in str(error.value)
    no_errors = unmirage.read(ladder().drop("squared_error"))
    with pytest.raises(MetricError, match="no row has a value of squared_error"):
        unmirage.audit(no_errors, metric=["reconstruction@0.1"])


@pytest.mark.parametrize("bad", [-0.5, math.inf])
def test_a_squared_error_below_0_is_refused(bad: float) -> None:
    frame = ladder().with_columns(
        squared_error=pl.when(pl.col("item") == "003").then(bad).otherwise("squared_error")
    )
    with pytest.raises(unmirage.UnmirageError, match="squared_error"):
        unmirage.read(frame)
