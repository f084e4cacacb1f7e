"""Rates below 1/n, pass@k beyond k, two scales: against simulated truth."""

import numpy as np
import polars as pl
import pytest

import unmirage
from unmirage.errors import InputError, OptionError
from unmirage.forecasting import (
    extrapolate_pass_at_k,
    forecast_two_scales,
    log_pass_rate,
    pass_until,
)
from unmirage.report.forecast_page import to_html

from .made import logistic, table


@pytest.mark.parametrize("successes", [2, 5])
def test_pass_until_is_unbiased_far_below_one_in_n(successes):
    rng = np.random.default_rng(0)
    rate = 1e-4
    tries = successes + rng.negative_binomial(successes, rate, 20_000)
    assert pass_until(tries.astype(float), successes).mean() == pytest.approx(rate, rel=0.05)


def test_items_that_never_pass_are_counted():
    assert pass_until(np.array([np.inf, 3.0])).tolist() == [0.0, 0.5]
    mean, error, none = log_pass_rate(np.array([0.0, 0.1, 0.1]))
    assert (mean, error, none) == (pytest.approx(-np.log(0.1)), pytest.approx(0.0), 1)
    with pytest.raises(OptionError, match="unbiased"):
        pass_until(np.array([3.0]), successes=1)


def test_pass_at_k_is_extrapolated_with_honest_intervals():
    rng = np.random.default_rng(2)
    k = np.array([1.0, 20.0, 500.0])
    hits = 0
    for seed in range(20):
        p = rng.beta(0.4, 4.0, 400)
        made = extrapolate_pass_at_k(rng.binomial(40, p), np.full(400, 40), k, draws=60, seed=seed)
        truth = 1 - np.exp(  # the mean of (1 - p)^k under the beta distribution
            [_log_miss(0.4, 4.0, v) for v in k]
        )
        hits += ((made.low <= truth) & (truth <= made.high)).sum()
        assert np.diff(made.rate).min() > 0
    assert 50 <= hits <= 60  # of 60 at 95 %


def _log_miss(a, b, k):
    from scipy.special import betaln

    return betaln(a, b + k) - betaln(a, b)


def test_two_scales_find_the_truth_in_any_unit():
    n, d = (v.ravel() for v in np.meshgrid([1e8, 3e8, 1e9, 3e9], [2e9, 8e9, 3e10]))
    rng = np.random.default_rng(0)

    def truth(n, d):
        return 1.7 + (n / 1e8) ** -0.35 + 0.8 * (d / 2e9) ** -0.4

    loss = truth(n, d) * (1 + 0.003 * rng.standard_normal(len(n)))
    made = forecast_two_scales(n, d, loss, to=(1e10, 1e11))
    low, high = made.interval(0.95)
    assert low < truth(1e10, 1e11) < high
    assert high - low < 0.4
    other = forecast_two_scales(n / 1e9, d / 1e9, loss, to=(10.0, 100.0))
    assert other.draws == pytest.approx(made.draws, rel=1e-6)
    assert made.distance == (pytest.approx(0.523, abs=1e-3), pytest.approx(0.523, abs=1e-3))


def test_a_ladder_of_one_size_has_no_law_of_two_scales():
    with pytest.raises(InputError, match="1 sizes"):
        forecast_two_scales(np.full(8, 1e8), np.logspace(9, 10, 8), np.ones(8), to=(1e9, 1e10))


def _answers(rng, models=3, items=150, repeats=16):
    p = rng.beta(0.4, 4.0, items)
    rows = [
        {"family": "F", "model": f"m{m}", "params": 10.0 ** (6 + m), "task": "code",
         "item": str(i), "repeat": r, "metric": "right", "score": float(rng.random() < p[i])}
        for m in range(models) for i in range(items) for r in range(repeats)
    ]  # fmt: skip
    return p, pl.DataFrame(rows)


def test_pass_at_k_is_a_target_of_the_command():
    p, answers = _answers(np.random.default_rng(4))
    made = unmirage.forecast(unmirage.read(answers), to={"k": [8, 100, 1e6]}, fan=True, draws=50)
    assert len(made.forecasts) == 3 * 3
    for f in made.forecasts:
        truth = (1 - (1 - p) ** f.at).mean()
        low, high = f.widest
        assert low - 0.02 <= truth <= high + 0.02
        assert f.known == (f.at <= 16**2)
        assert f.curve.scale_name == "k"
        assert np.diff(f.curve.score).min() > 0
    inside, near, _ = made.forecasts[:3]
    assert inside.distance < 0 < near.distance
    assert made.forecasts[2].fan is not None
    again = unmirage.forecast(unmirage.read(answers), to={"k": [8, 100, 1e6]}, fan=True, draws=50)
    assert again.to_json() == made.to_json()
    assert "pass@k" in to_html(made)


def test_pass_at_k_needs_answers_and_a_k():
    _, answers = _answers(np.random.default_rng(4), repeats=2)
    with pytest.raises(InputError, match="enough answers"):
        unmirage.forecast(unmirage.read(answers), to={"k": 100})
    with pytest.raises(InputError, match="several answers"):
        unmirage.forecast(unmirage.read(table(logistic(5))), to={"k": 100})
    with pytest.raises(OptionError, match="k of"):
        unmirage.forecast(unmirage.read(answers), to={"k": 0.5})
    with pytest.raises(OptionError, match="leads to no k"):
        unmirage.forecast(unmirage.read(answers), to={"k": 100}, route="m4")
