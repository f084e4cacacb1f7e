"""CRPS, PIT and coverage against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.forecasting import scoring
from unmirage.forecasting.combine import pool_weights


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=12),
    st.floats(-4, 4),
)
def test_crps_is_the_integral(draws, seen):
    """The slow twin: integrate (F(y) - [y >= seen])^2 over a fine grid."""
    grid = np.linspace(-5, 5, 40_001)
    cdf = (np.array(draws)[:, None] <= grid).mean(axis=0)
    twin = ((cdf - (grid >= seen)) ** 2).sum() * (grid[1] - grid[0])
    assert scoring.crps(np.array([draws]), np.array([seen]))[0] == pytest.approx(twin, abs=2e-3)


def test_pit_of_a_calibrated_forecast_is_uniform_with_ties_too():
    rng = np.random.default_rng(0)
    counts = rng.binomial(20, 0.05, (4000, 200)) / 20
    seen = rng.binomial(20, 0.05, 4000) / 20
    pits = scoring.pit(counts, seen, rng.random(4000))
    for level in (0.5, 0.8, 0.95):
        assert scoring.covered(pits, level).mean() == pytest.approx(level, abs=0.03)


def test_pit_of_one_that_is_too_narrow_is_not():
    rng = np.random.default_rng(0)
    pits = scoring.pit(
        0.3 * rng.standard_normal((2000, 200)), rng.standard_normal(2000), rng.random(2000)
    )
    assert scoring.covered(pits, 0.8).mean() < 0.5


def test_the_pool_is_no_worse_than_its_best_part():
    rng = np.random.default_rng(1)
    y = rng.standard_normal(400)
    parts = np.stack([1.5 + rng.standard_normal((400, 40)), -1 + rng.standard_normal((400, 40)),
                      4 * rng.standard_normal((400, 40))], axis=1)  # fmt: skip
    w = pool_weights(parts, y, strength=0.0)
    assert w.sum() == pytest.approx(1)
    single = [scoring.crps(parts[:, k], y).mean() for k in range(3)]
    count = np.round(w * 40).astype(int)
    pool = np.concatenate([parts[:, k, :c] for k, c in enumerate(count)], axis=1)
    assert scoring.crps(pool, y).mean() < min(single)
