"""Scores of a curve's shape against obvious twins and the figures of docs/science."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from unmirage.auditing import shape

CURVES = st.lists(st.floats(-5, 5, allow_nan=False), min_size=3, max_size=14).map(np.array)


@pytest.mark.parametrize("rungs", [4, 5, 8, 12])
def test_a_straight_line_scores_its_number_of_steps(rungs):
    """Schaeffer et al. 2023, Sec. 4: range over root median squared step is K - 1 on a line."""
    line = np.linspace(0.1, 0.9, rungs)
    assert float(shape.emergence_score(line)) == pytest.approx(rungs - 1)
    assert float(shape.linearity(line)) == pytest.approx(rungs - 1)


def test_a_flat_curve_with_one_jump_has_no_finite_score():
    assert np.isinf(shape.emergence_score(np.array([0, 0, 0, 0, 1.0])))
    assert shape.emergence_score(np.zeros(5)) == 0


def test_falling_curves_score_negative():
    assert float(shape.emergence_score(np.linspace(1, 0, 6))) == pytest.approx(-5)


@settings(max_examples=200, deadline=None)
@given(CURVES)
def test_emergence_score_twin(y):
    score = float(shape.emergence_score(y))
    steps = np.array([y[i] - y[i - 1] for i in range(1, len(y))])
    median = np.sqrt(np.median(steps**2))
    span = max(y) - min(y)
    if span <= 1e-9 or median <= 1e-9:
        return
    sign = 1 if np.argmax(y) >= np.argmin(y) else -1
    assert score == pytest.approx(sign * span / median)


@settings(max_examples=200, deadline=None)
@given(CURVES)
def test_isotonic_equals_scipy(y):
    np.testing.assert_allclose(shape.isotonic(y), isotonic_regression(y).x, atol=1e-9)


def test_width_of_a_logistic():
    """10-90 % of a logistic takes 2 ln 9 of its scale parameter."""
    x = np.linspace(4, 14, 400)
    y = 1 / (1 + np.exp(-(x - 9) / 0.5))
    assert float(shape.width(y, x)) == pytest.approx(2 * np.log(9) * 0.5, rel=0.01)


def test_width_counts_decades_not_rungs():
    x = np.array([6.0, 6.5, 8.0, 9.0])
    assert float(shape.width((x - 6) / 3, x)) == pytest.approx(2.4)
    assert float(shape.steepness((x - 6) / 3, x)) == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(CURVES)
def test_batches_equal_single_curves(y):
    x = np.arange(len(y), dtype=float)
    two = np.stack([y, y[::-1]])
    for f in (shape.emergence_score, shape.linearity):
        np.testing.assert_array_equal(f(two), [f(y), f(y[::-1])])
    np.testing.assert_array_equal(shape.width(two, x), [shape.width(y, x), shape.width(y[::-1], x)])


@settings(max_examples=100, deadline=None)
@given(CURVES)
def test_largest_drop_twin(y):
    i, j, drop = shape.largest_drop(y)
    sign = float(shape.direction(y))
    pairs = [sign * (y[a] - y[b]) for a in range(len(y)) for b in range(a, len(y))]
    assert drop == pytest.approx(max(pairs))
    assert i <= j


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 9), st.integers(1, 6), st.integers(0, 10_000))
def test_a_batch_with_a_scale_for_each_curve_is_one_by_one(m, b, seed):
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=(b, m)), np.sort(rng.uniform(5, 10, (b, m)), axis=1)
    steep, late = shape.steepness_and_onset(y, x)
    for i in range(b):
        assert steep[i] == pytest.approx(float(shape.steepness(y[i], x[i])), nan_ok=True)
        assert late[i] == pytest.approx(float(shape.onset(y[i], x[i])), nan_ok=True)
