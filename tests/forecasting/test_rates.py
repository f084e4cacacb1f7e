"""Rates below 1/n, pass@k beyond k, two scales: against simulated truth."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import unmirage
from unmirage.errors import InputError, OptionError
from unmirage.forecasting import (
    extrapolate_pass_at_k,
    forecast_two_scales,
    log_pass_rate,
    mixing,
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


def _plainly(shape, theta, c, n):
    """P(c of n) of one shape, by scipy: a beta-binomial, or an integral over the normal."""
    one, two, part, place, part_2, place_2 = theta
    if shape % 3 == 0:
        alone = stats.betabinom.pmf(c, n, np.exp(one), np.exp(two))
    else:

        def at(z):
            v = one + np.exp(two) * z
            p = 1 / (1 + np.exp(-v)) if shape % 3 == 1 else np.exp(min(v, 0.0))
            return stats.norm.pdf(z) * stats.binom.pmf(c, n, p)

        alone = integrate.quad(at, -9, 9, limit=500, points=[-3, 0, 3])[0]
    for number, (share, at_rate) in enumerate([(part, place), (part_2, place_2)]):
        if shape // 3 > number:
            clump = stats.binom.pmf(c, n, 1 / (1 + np.exp(-at_rate)))
            alone = (1 - share) * alone + share * clump
    return alone


@pytest.mark.parametrize("shape", range(9))
@pytest.mark.parametrize(("one", "two"), [(-1.2, 1.1), (-4.0, 0.7), (0.3, -0.2)])
def test_the_likelihood_of_a_shape_is_that_of_its_slow_twin(shape, one, two):
    n = 12
    pairs = np.array([[c, n] for c in range(n + 1)], float)
    x = mixing.grid(n)
    theta = np.array([[one, two, 0.3, x[200], 0.2, x[260]]])
    got = (mixing.shares(x, mixing.Shapes(np.array([shape]), theta)) @ mixing.likelihood(x, pairs))[
        0
    ]
    scale = [stats.binom.pmf(c, n, 1 / (1 + np.exp(-x))).max() for c in range(n + 1)]
    want = [_plainly(shape, theta[0], c, n) for c in range(n + 1)]
    assert got * scale == pytest.approx(want, rel=2e-3, abs=1e-7)


def test_shares_sum_to_1_wherever_the_prior_reaches():
    rng = np.random.default_rng(0)
    shape = np.arange(900) % 9
    low, high = mixing.box(shape, 16.0)
    for end in (low, high, low + (high - low) * rng.random(low.shape)):
        made = mixing.shares(mixing.grid(16), mixing.Shapes(shape, end))
        assert (made >= 0).all()
        assert made.sum(axis=1) == pytest.approx(1.0)


def test_tempering_finds_what_weighing_the_prior_finds():
    c, n, k = np.array([0, 0, 0, 0, 0, 1, 1, 2, 5, 8]), 8, np.array([8.0, 64.0])
    made = extrapolate_pass_at_k(c, n, k, draws=1000)
    rng, x = np.random.default_rng(5), mixing.grid(n)
    pairs, count = np.unique(np.stack([c, np.full(10, n)], 1), axis=0, return_counts=True)
    of, passed = mixing.likelihood(x, pairs.astype(float)), mixing.passing(x, k)
    weight, value, of_shape = [], [], []
    for _ in range(25):
        shape = np.arange(4500) % 9
        low, high = mixing.box(shape, float(n))
        w = mixing.shares(x, mixing.Shapes(shape, low + (high - low) * rng.random(low.shape)))
        weight.append(np.exp(np.log(np.maximum(w @ of, 1e-300)) @ count))
        value.append(w @ passed)
        of_shape.append(shape)
    weight, value, of_shape = map(np.concatenate, (weight, value, of_shape))
    weight /= weight.sum()
    mean = weight @ value
    assert made.population.mean(axis=0) == pytest.approx(mean, abs=0.03)
    sd = np.sqrt(weight @ (value - mean) ** 2)
    assert made.population.std(axis=0) == pytest.approx(sd, rel=0.12)
    for number, name in enumerate(mixing.SHAPES):
        assert made.weights[name] == pytest.approx(weight[of_shape == number].sum(), abs=0.1)


def _spreads(rng, items):
    return {
        "beta": rng.beta(0.3, 3.0, items),
        "log-normal": np.minimum(np.exp(rng.normal(-4, 2, items)), 1.0),
        "logit-normal": 1 / (1 + np.exp(-rng.normal(-4, 2, items))),
        "two clumps": np.where(rng.random(items) < 0.5, 0.3, 1e-3),
    }


@pytest.mark.parametrize("name", ["beta", "log-normal", "logit-normal", "two clumps"])
def test_pass_at_k_is_extrapolated_with_honest_intervals(name):
    rng = np.random.default_rng(2)
    k = np.array([8.0, 32.0, 64.0, 256.0])
    hits, kind = np.zeros(4), np.zeros(4)
    everyone = _spreads(rng, 400_000)[name]
    whole = np.array([(1 - (1 - everyone) ** v).mean() for v in k])
    for seed in range(20):
        p = _spreads(rng, 120)[name]
        made = extrapolate_pass_at_k(rng.binomial(16, p), 16, k, draws=200, seed=seed)
        truth = (1 - (1 - p[:, None]) ** k).mean(axis=0)
        hits += (made.low <= truth) & (truth <= made.high)
        low, high = np.quantile(made.population, [0.025, 0.975], axis=0)
        kind += (low <= whole) & (whole <= high)
    assert hits.min() >= 15  # of 20 at 95 %: fewer is rarer than 1 in 1,000
    assert kind.min() >= 15


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.lists(st.integers(6, 9), min_size=12, max_size=12),
    st.integers(0, 99),
)
def test_pass_at_k_rises_with_k_and_repeats_itself(right, answers, seed):
    n, k = np.array(answers[: len(right)]), np.array([1.0, 2.0, 9.0, 1e3, 1e9])
    made = extrapolate_pass_at_k(right, n, k, draws=30, seed=seed)
    for rows in (made.rate, made.low, made.high, *made.draws, *made.population):
        assert np.diff(rows).min() >= -1e-12
        assert 0 <= rows.min() <= rows.max() <= 1
    assert (made.low <= made.rate).all()
    assert (made.rate <= made.high).all()
    assert sum(made.weights.values()) == pytest.approx(1.0)
    assert ((made.shape >= 0) & (made.shape <= 1)).all()
    again = extrapolate_pass_at_k(right, n, k, draws=30, seed=seed)
    assert again.draws.tobytes() == made.draws.tobytes()


def test_measured_of_few_items_and_many_answers_is_surer_than_of_their_kind():
    made = extrapolate_pass_at_k(np.full(20, 90) + np.arange(20), 400, np.array([2.0]), draws=400)
    assert np.ptp(made.draws) > 0
    assert made.draws.std() < made.population.std()


@pytest.mark.parametrize(
    ("right", "n", "k"),
    [([], 4, 8), ([5], 4, 8), ([-1], 4, 8), ([np.nan], 4, 8), ([1], np.nan, 8), ([0.5], 4, 8),
     ([0], 0, 8), ([1], 4, 0.5), ([1], 4, np.nan), ([1], 4, np.inf)],
)  # fmt: skip
def test_impossible_counts_are_refused(right, n, k):
    with pytest.raises(OptionError):
        extrapolate_pass_at_k(np.array(right, float), np.asarray(n, float), np.array([k]))


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
    made = unmirage.forecast(unmirage.read(answers), to={"k": [8, 60, 1e6]}, fan=True, draws=50)
    assert len(made.forecasts) == 3 * 3
    for f in made.forecasts:
        truth = (1 - (1 - p) ** f.at).mean()
        low, high = f.widest
        assert low - 0.02 <= truth <= high + 0.02
        assert f.known == (f.at <= 16**1.5)
        assert f.interval(0.95) != f.interval(0.95, sampling=False)
        assert set(f.why) == {"the law", "the items"}
        assert sum(f.why.values()) == pytest.approx(1)
        assert f.route == "mixture"
        assert sum(f.weights.values()) == pytest.approx(1)
        assert f.curve.scale_name == "k"
        assert np.diff(f.curve.score).min() > 0
    inside, near, _ = made.forecasts[:3]
    assert inside.distance < 0 < near.distance
    assert made.forecasts[2].fan is not None
    again = unmirage.forecast(unmirage.read(answers), to={"k": [8, 60, 1e6]}, fan=True, draws=50)
    assert again.to_json() == made.to_json()
    page = to_html(made)
    assert "pass@k" in page
    assert "of the same items" in page
    assert "than 0.5 times" in page


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
