"""What the curve without noise may be: coverage, a slow twin, and what cannot be told."""

import numpy as np
import pytest
from scipy import stats

import unmirage
from unmirage.auditing import findings, shape
from unmirage.auditing.posterior import curve_draws, law_draws
from unmirage.auditing.resolution import at_floor, items_needed, resolution
from unmirage.auditing.tested import examine
from unmirage.curves.laws import PLAUSIBLE, inverse_link
from unmirage.simulate import Design, Truth, expected, family, scores


def examined(truth, design, families, seed):
    """(what the test found, true scores) of each family."""
    frame = scores(truth, design, families=families, seed=seed)
    curves = [j.curve for j in unmirage.audit(unmirage.read(frame), draws=100).judgements]
    for k, one in examine(curves, 0, 100).items():
        rng = np.random.default_rng([seed, int(curves[k].key.family[1:])])
        yield one, expected(family(truth, design, rng).p, design, "exact_match")[0]


@pytest.mark.parametrize(
    ("truth", "design"),
    [
        (Truth("power law"), Design()),
        (Truth("logistic"), Design(noise=0.2)),
        (Truth("logistic", 0.4, 0.6, step=2.0), Design()),
    ],
)
def test_intervals_of_shape_hold_the_truth(truth, design):
    inside = {"emergence": 0, "width": 0}
    count = 60
    for one, true in examined(truth, design, count, 1):
        drawn = findings.noise_free(one, None, np.random.default_rng(0), 400)
        x = one.curve.x
        for name, score in (
            ("emergence", shape.emergence_score),
            ("width", lambda y, x=x: shape.width(y, x)),
        ):
            low, high = np.quantile(score(drawn), [0.05, 0.95])
            inside[name] += low <= float(score(true)) <= high
    # 90 % of 60 is 54; fewer than 45 has probability 1e-4 at the stated level
    assert min(inside.values()) >= 45, inside


def test_draws_agree_with_the_posterior_on_a_grid():
    """Slow twin: one law, one noise level, two coefficients on a grid, weights by likelihood."""
    one, _ = next(iter(examined(Truth("logistic"), Design(items=200), 1, 5)))
    group = next(g for g in one.members if g.law.name == "logit line" and g.gap[0] < 0)
    group = group.take(np.array([int(group.criterion.argmin())]))
    made = law_draws([group], one.data, np.random.default_rng(0), 20_000)
    t = np.linspace(-1, 1, 8)
    sd = 0.4
    a, b = np.meshgrid(
        group.theta[0, 0] + sd * np.linspace(-1, 1, 161),
        group.theta[0, 1] + sd * np.linspace(-1, 1, 161),
    )
    mean, slope = inverse_link("logit", a[..., None] + b[..., None] * t)
    v = one.data.variance(mean.reshape(-1, 8)) + (slope.reshape(-1, 8) * group.tau[0]) ** 2
    loglik = -0.5 * (np.log(v) + (one.data.u[0] - mean.reshape(-1, 8)) ** 2 / v).sum(1)
    weight = np.exp(loglik - loglik.max())
    weight /= weight.sum()
    exact = weight @ mean.reshape(-1, 8)
    spread = np.sqrt(weight @ (mean.reshape(-1, 8) - exact) ** 2)
    np.testing.assert_allclose(made.mean(axis=0), exact, atol=0.1 * spread.max())
    np.testing.assert_allclose(made.std(axis=0), spread, rtol=0.15, atol=1e-4)


def test_where_laws_count_alike_each_plausible_one_has_its_share():
    one, _ = next(iter(examined(Truth("logistic"), Design(items=300), 1, 2)))
    best = min(g.criterion.min() for g in one.members)
    near = {g.law for g in one.members if g.criterion.min() <= best + PLAUSIBLE}
    assert len(near) > 1
    even = curve_draws(one.members, one.data, np.random.default_rng(0), 4000, even=True)
    only = [
        curve_draws(
            [g for g in one.members if g.law == law], one.data, np.random.default_rng(1), 4000
        )
        for law in near
    ]
    middle = np.mean([d.mean(axis=0) for d in only], axis=0)
    np.testing.assert_allclose(even.mean(axis=0), middle, atol=0.01)


def test_at_the_floor_no_law_counts_as_one_of_them():
    one, _ = next(iter(examined(Truth("u-shaped"), Design(), 1, 7)))
    silent = at_floor(one.curve)
    assert silent.any()
    assert not silent.all()
    best = min(g.criterion.min() for g in one.members)
    laws = len({g.law for g in one.members if g.criterion.min() <= best + PLAUSIBLE})
    args = (one.members, one.data)
    bare = curve_draws(*args, np.random.default_rng(0), 8000)
    made = curve_draws(*args, np.random.default_rng(0), 8000, silent=silent)
    np.testing.assert_array_equal(made[:, ~silent], bare[:, ~silent])
    changed = (made != bare).any(axis=1)
    assert changed.mean() == pytest.approx(1 / (1 + laws), abs=0.02)
    right = one.curve.score[silent] * one.curve.count[silent]
    alone = stats.beta(right + 0.5, one.curve.count[silent] - right + 0.5)
    for q in (0.05, 0.5, 0.95):
        below = (made[changed][:, silent] <= alone.ppf(q)).mean(axis=0)
        np.testing.assert_allclose(below, q, atol=0.04)


def test_needed_items_without_an_upper_end_have_all_that_they_may_miss_below():
    one, _ = next(iter(examined(Truth("u-shaped"), Design(), 1, 7)))
    rng = np.random.default_rng(0)
    drawn = np.where(rng.random((1000, 8)) < 0.3, 0.0, rng.random((1000, 8)) * 1e-3)
    found = resolution(one.curve, np.full(8, 5e-4), "a law", drawn)
    rungs = found.values["floor_rungs"]
    assert rungs
    for rung in rungs:
        i = int(np.flatnonzero(one.curve.scale == rung["scale"])[0])
        assert rung["needed_high"] == np.inf
        needed = items_needed(one.curve, drawn[:, i])
        assert np.mean(needed >= rung["needed_low"]) == pytest.approx(0.9, abs=0.002)


def test_the_same_seed_gives_the_same_draws():
    one, _ = next(iter(examined(Truth("power law"), Design(), 1, 0)))
    a, b = (curve_draws(one.members, one.data, np.random.default_rng(7), 100) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_errors_that_models_share_move_the_curve_together():
    one, _ = next(iter(examined(Truth("logistic"), Design(items=100, noise=0.3), 1, 4)))
    m = len(one.curve.scale)
    alike = np.full((m, m), 0.99) + 0.01 * np.eye(m)
    apart, together = (
        curve_draws(one.members, one.data, np.random.default_rng(0), 4000, c)
        for c in (np.eye(m), alike)
    )
    difference = lambda d: np.diff(d, axis=1).std(axis=0).mean()  # noqa: E731
    assert difference(together) < difference(apart)


def test_too_few_rungs_for_a_law_fall_back_on_the_scores():
    frame = scores(Truth("logistic"), Design(rungs=3), seed=0)
    made = unmirage.audit(unmirage.read(frame), draws=200)
    one = next(iter(examine([made.judgements[0].curve], 0, 100).values()))
    assert curve_draws(one.members, one.data, np.random.default_rng(0), 50) is None
    assert law_draws(one.members, one.data, np.random.default_rng(0), 50) is None
    drawn = findings.noise_free(one, None, np.random.default_rng(0), 2000)
    curve = one.curve
    np.testing.assert_allclose(drawn.mean(axis=0), curve.score, atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), curve.stderr, rtol=0.1)


def test_without_errors_and_laws_nothing_is_made_up():
    frame = scores(Truth("logistic"), Design(rungs=3), seed=0).drop("n_samples")
    made = unmirage.audit(unmirage.read(frame), draws=100)
    found = made.judgements[0].finding("emergence_score")
    assert found.interval is None


@pytest.mark.parametrize("items", [50, 200])
def test_the_number_of_needed_items_has_an_interval_that_holds_it(items):
    truth, design = Truth("power law", 0.001, 0.9), Design(items=items, tokens=8)
    made = unmirage.audit(unmirage.read(scores(truth, design, families=20, seed=6)), draws=200)
    inside = asked = 0
    for j in made.judgements:
        rng = np.random.default_rng([6, int(j.key.family[1:])])
        true = expected(family(truth, design, rng).p, design, "exact_match")[0]
        needed = items_needed(j.curve, true)
        for rung in j.finding("resolution").values["floor_rungs"]:
            if rung["hidden"]:
                i = int(np.searchsorted(j.curve.scale, rung["scale"]))
                asked += 1
                inside += rung["needed_low"] <= needed[i] <= rung["needed_high"]
                assert rung["needed_low"] <= rung["needed_high"]
    assert asked > 40
    assert inside / asked >= 0.85
