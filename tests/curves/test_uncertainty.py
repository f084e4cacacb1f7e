"""Sampling errors against slow, obvious twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unmirage.curves.uncertainty import (
    bootstrap_weights,
    exact_interval,
    mean_error,
    stream,
    weighted_means,
)
from unmirage.types import Items


def items(total, scores, clusters=None, position=None):
    position = np.arange(total) if position is None else position
    names = tuple(str(i) for i in position)
    return Items(names, scores, position, total, clusters)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), data=st.data())
def test_exact_interval_inverts_the_binomial_tails(n, data):
    k = data.draw(st.integers(0, n))
    low, high = exact_interval(np.array([float(k)]), np.array([float(n)]))
    if k > 0:
        assert stats.binom.sf(k - 1, n, low[0]) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low[0] == 0
    if k < n:
        assert stats.binom.cdf(k, n, high[0]) == pytest.approx(0.025, rel=1e-6)
    else:
        assert high[0] == 1


def test_exact_interval_covers_near_the_floor():
    rng, n, p = np.random.default_rng(0), 200, 0.004
    k = rng.binomial(n, p, 4000).astype(float)
    low, high = exact_interval(k, np.full(4000, float(n)))
    assert ((low <= p) & (p <= high)).mean() >= 0.95


def test_unknown_n_is_nan():
    low, high = exact_interval(np.array([np.nan]), np.array([np.nan]))
    assert np.isnan(low[0])
    assert np.isnan(high[0])


def test_clustered_error_equals_the_double_sum():
    rng = np.random.default_rng(1)
    y, cluster = rng.normal(size=(2, 40)), rng.integers(0, 7, 40)
    for row, found in zip(y, mean_error(y, cluster), strict=True):
        total = 0.0
        for i in range(40):
            for j in range(40):
                if cluster[i] == cluster[j]:
                    total += (row[i] - row.mean()) * (row[j] - row.mean())
        groups = len(set(cluster))
        assert found == pytest.approx(np.sqrt(total * groups / (groups - 1)) / 40)


def test_duplicated_items_in_clusters_do_not_look_like_more_evidence():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(1, 100))
    twice = np.repeat(y, 2, axis=1)
    honest = mean_error(twice, np.repeat(np.arange(100), 2))[0]
    assert honest == pytest.approx(mean_error(y)[0], rel=0.02)
    assert mean_error(twice)[0] < 0.8 * honest


def test_one_item_has_no_error():
    assert np.isnan(mean_error(np.array([[1.0]]))).all()


def test_the_same_item_weighs_the_same_under_every_metric():
    a = items(50, np.zeros((2, 50)))
    part = np.arange(0, 50, 2)
    b = items(50, np.zeros((2, 25)), position=part)
    wa = bootstrap_weights(a, 30, stream(0, "x"))
    wb = bootstrap_weights(b, 30, stream(0, "x"))
    np.testing.assert_array_equal(wb[:, b.position], wa[:, part])
    np.testing.assert_array_equal(wa.sum(axis=1), 50)


def test_clusters_are_drawn_whole():
    clusters = np.repeat(np.arange(10), 5)
    w = bootstrap_weights(items(50, np.zeros((1, 50)), clusters), 20, stream(0, "x"))
    assert (np.ptp(w.reshape(20, 10, 5), axis=2) == 0).all()


def test_bootstrap_error_agrees_with_the_formula():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(1, 300))
    w = bootstrap_weights(items(300, y), 4000, stream(0, "x"))
    assert weighted_means(w, y).std() == pytest.approx(mean_error(y)[0], rel=0.06)


def test_streams_depend_on_seed_and_names_only():
    assert stream(0, "a", "b").random() == stream(0, "a", "b").random()
    assert stream(0, "a", "b").random() != stream(1, "a", "b").random()
    assert stream(0, "a", "b").random() != stream(0, "ab").random()
