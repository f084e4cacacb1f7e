"""The test for a break: its slow twin, its size and its power."""

import numpy as np
import pytest

from unmirage.auditing import null, search
from unmirage.auditing.breaks import find_breaks, noise_between
from unmirage.curves.laws import LAWS, PLATEAU, Data, fit, weighted_fit


def logistic(eta):
    return 1 / (1 + np.exp(-eta))


def family(eta, n, seed=0, tau=0.0, length=1):
    """(B, M) latent values -> counted scores."""
    rng = np.random.default_rng(seed)
    p = logistic(eta + tau * rng.standard_normal(eta.shape)) ** length
    b, m = eta.shape
    u = rng.binomial(n, p) / n
    x = np.broadcast_to(np.linspace(7, 11, m), (b, m))
    nan = np.full((b, m), np.nan)
    return Data(x, u, np.full((b, m), float(n)), nan, np.zeros(b), np.ones(b), np.full(b, 0.01))


def line(b, m, low=-2.0, high=1.5):
    return np.tile(np.linspace(low, high, m), (b, 1))


def streams(b):
    return [np.random.default_rng(i) for i in range(b)]


@pytest.mark.parametrize(
    ("n", "m", "tau", "length"),
    [
        (200, 8, 0.0, 1),
        (2000, 8, 0.0, 5),
        (2000, 8, 0.2, 1),
        (500, 12, 0.1, 4),
        (20_000, 6, 0.0, 8),
    ],
)
def test_smooth_families_are_not_broken(n, m, tau, length):
    d = family(line(60, m), n, tau=tau, length=length)
    found = find_breaks("share", d, streams(60), 200)
    # 5 % of 60 is 3; 8 or more has probability 0.02 at the stated level
    assert (found.p_value < 0.05).sum() < 8


@pytest.mark.parametrize(("m", "step", "least"), [(8, 2.0, 0.9), (12, 2.0, 0.95), (8, 3.0, 0.95)])
def test_a_step_in_the_latent_performance_is_found(m, step, least):
    eta = line(30, m, -2.0, 0.0) + step * (np.arange(m) >= m // 2)
    found = find_breaks("share", family(eta, 1000), streams(30), 200)
    right = (found.p_value < 0.05) & (found.gap == m // 2 - 1) & (found.size > 0)
    assert right.mean() >= least
    assert (found.contrast[right] > 1).all()


def test_a_step_down_has_a_negative_size():
    eta = line(5, 10, 0.0, 1.0) - 3.0 * (np.arange(10) >= 6)
    found = find_breaks("share", family(eta, 2000), streams(5), 200)
    assert (found.size < 0).all()
    assert (found.gap == 5).all()


@pytest.mark.parametrize("m", [3, 4])
def test_few_rungs_never_break(m):
    eta = line(4, m, -3, -3) + 6.0 * (np.arange(m) >= m // 2)
    found = find_breaks("share", family(eta, 10_000), streams(4), 100)
    assert (found.p_value > 0.05).all()


def test_the_null_statistic_agrees_with_refitting():
    """Slow twin: each simulated family fitted in full, as the observed one is."""
    d = family(line(1, 9), 3000, tau=0.1)
    laws = LAWS["share"]
    fits = [fit(law, d) for law in laws]
    best = int(search.search(laws, fits, d)[0].argmin())
    rows = np.array([0])
    made = null.simulate(fits[best], d, rows, streams(1), 60)
    fast = null.statistics(laws, fits[best], d, rows, made)[0]
    slow = []
    for u in made[0]:
        one = Data(d.x, u[None], d.n, d.se, d.low, d.high, d.least)
        f = [fit(law, one) for law in laws]
        smooth, stepped, *_ = search.search(laws, f, one)
        slow.append(smooth.min() - stepped.criterion[0])
    slow = np.array(slow)
    assert np.corrcoef(fast, slow)[0, 1] > 0.8
    # what matters is the upper tail, which sets the p-value
    assert np.quantile(fast, 0.9) == pytest.approx(np.quantile(slow, 0.9), abs=2.5)


def test_the_step_is_found_by_trying_every_gap():
    """Slow twin of the step search: one law, one gap and one noise level at a time."""
    d = family(line(1, 8) + 1.5 * (np.arange(8) >= 3), 500, seed=4)
    laws = LAWS["share"]
    fits = [fit(law, d) for law in laws]
    best = search.search(laws, fits, d)[1]
    tried = {}
    for law, f in zip(laws, fits, strict=True):
        if law.basis == PLATEAU:
            continue
        for j in range(7):
            step = (np.arange(8) > j).astype(float)
            for level in search._levels(f)[0]:
                again = weighted_fit(law, d, f, np.array([level]), extra=step)
                value = search._deviance(d, again.mean, again.slope, np.array([level]))[0]
                k = law.parameters + 2
                tried[law.name, j, level] = value + 2 * k
    key = min(tried, key=tried.get)
    assert tried[key] == pytest.approx(best.criterion[0])
    assert key[1] == best.gap[0]


def test_seeded_and_independent_of_the_batch():
    d = family(line(3, 8) + 1.0 * (np.arange(8) >= 4), 400)
    whole = find_breaks("share", d, streams(3), 150)
    for i in range(3):
        alone = find_breaks("share", d.take(np.array([i])), [np.random.default_rng(i)], 150)
        assert alone.p_value[0] == whole.p_value[i]
        assert alone.statistic[0] == pytest.approx(whole.statistic[i])


@pytest.mark.parametrize("kind", ["share", "positive"])
def test_a_curve_that_falls_and_then_rises_ever_faster_is_no_break(kind):
    """Before cubic laws 30 to 100 % of such losses were called broken."""
    x = np.linspace(-1, 1, 10)
    eta = np.tile(0.5 + 1.5 * x + 2.0 * x**2, (40, 1))
    if kind == "share":
        d = family(eta - 1.0, 1000)
    else:
        se = 0.01
        rng = np.random.default_rng(0)
        u = -np.log(logistic(eta)) + se * rng.standard_normal(eta.shape)
        nan = np.full(eta.shape, np.nan)
        scale = np.tile(np.linspace(7, 11, 10), (40, 1))
        zero, one = np.zeros(40), np.ones(40)
        d = Data(scale, u, nan, np.full(eta.shape, se), zero, one, zero)
    found = find_breaks(kind, d, streams(40), 200)
    assert (found.p_value < 0.05).sum() <= 4


def test_no_law_that_can_all_but_make_a_step_is_given_one():
    d = family(line(5, 9), 500)
    members = find_breaks("share", d, streams(5), 100).members
    assert {g.law.basis for g in members if g.gap[0] >= 0} <= {"line", "bend"}


@pytest.mark.parametrize("tau", [0.0, 0.4])
def test_the_noise_between_rungs_is_told_without_the_test(tau):
    eta = line(12, 8) + 2.0 * (np.arange(8) >= 4) * (np.arange(12) % 2)[:, None]
    d = family(eta, 500, tau=tau)
    np.testing.assert_array_equal(
        noise_between("share", d), find_breaks("share", d, streams(12), 100).noise
    )
