"""The process equals its slow twin, and behaves as it says."""

import numpy as np
import pytest

from unmirage.forecasting import process
from unmirage.forecasting.engine import cut, predict
from unmirage.forecasting.series import LINKS, backward, batch, form, forward

from .made import curves, logistic, table

H = {kind: len(links) * len(process.GRID) for kind, links in LINKS.items()}


def slow_twin(h, x, z, v, at):
    """One series, one point of the grid, written out rung by rung."""
    fade, m, beta, gamma, rho, omega, tau, kappa = h
    t, s, first = x - x[-1], at - x[-1], x[0] - x[-1]

    def k(a, b):
        smooth = process.LEVEL_SD**2 + beta**2 * a * b + gamma**2 * (min(a, 0) * min(b, 0)) ** 2
        if a * b > 0:  # integral over the common way u from 0 of (|a| - u) (|b| - u)
            near, far = min(abs(a), abs(b)), max(abs(a), abs(b))
            smooth += rho**2 * (near**2 * far / 2 - near**3 / 6)
        return smooth + omega**2 * (min(a, b) - first)

    cover = np.array([[k(a, b) for b in t] for a in t])
    cover += np.diag((kappa * v + tau**2) * 10 ** (-fade * t) + 1e-10)
    inverse = np.linalg.inv(cover)
    r = z - z.mean() - m * t
    like = -0.5 * (r @ inverse @ r + np.linalg.slogdet(cover)[1] + len(t) * np.log(2 * np.pi))
    cross = np.array([[k(a, b) for b in s] for a in t])
    mean = z.mean() + m * s + cross.T @ inverse @ r
    own = np.array([k(b, b) for b in s]) + tau**2 * 10 ** (-fade * np.minimum(s, 0))
    return like, mean, np.sqrt(own - np.einsum("mt,mn,nt->t", cross, inverse, cross))


def test_the_closed_form_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(6, 10, 7))
    z, v = rng.standard_normal(7), rng.uniform(0.01, 0.1, 7)
    at = np.array([x[-1] + 0.3, x[-1] + 1.0, x[2]])
    grid = process.GRID[rng.choice(len(process.GRID), 40, replace=False)]
    like, mean, sd = process._exact(grid[None], x[None], z[None], v[None], at[None])
    for i, h in enumerate(grid):
        twin = slow_twin(h, x, z, v, at)
        assert like[0, i] == pytest.approx(twin[0], rel=1e-5, abs=1e-5)
        assert mean[0, :, i] == pytest.approx(twin[1], rel=1e-4, abs=1e-4)
        assert sd[0, :, i] == pytest.approx(twin[2], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("metric", "more", "values"),
    [
        ("exact_match", {}, [0.0, 0.02, 0.4, 0.9]),
        ("acc", {"chance": 0.25}, [0.2, 0.26, 0.5, 0.97]),
        ("prob_correct", {"chance": 0.25}, [0.2, 0.252, 0.5, 0.97]),
        ("cross_entropy", {}, [3.0, 2.0, 1.0, 0.4]),
        ("log_likelihood", {}, [-9.0, -4.0, -2.0, -1.0]),
    ],
)
def test_links_come_back(metric, more, values):
    (curve,) = curves(table(values, metric=metric, **more))
    data = batch([curve])
    for link in LINKS[form(curve)]:
        z, _, _ = forward(link, data)
        assert np.diff(z[0]).min() > 0, link  # up is good on every link
        assert backward(link, z, data)[0] == pytest.approx(values, abs=2e-3), link


@pytest.mark.parametrize("metric", ["acc", "prob_correct"])
def test_the_jacobian_is_the_slope_of_the_link(metric):
    (curve,) = curves(table([0.2, 0.3, 0.5, 0.8], n=None, metric=metric, chance=0.25))
    data = batch([curve])
    step = 1e-6
    moved = batch(curves(table(data.y[0] + step, n=None, metric=metric, chance=0.25)))
    for link in LINKS[data.kind]:
        z, _, log_slope = forward(link, data)
        slope = (forward(link, moved)[0] - z) / step
        assert np.log(np.abs(slope)) == pytest.approx(log_slope, abs=5e-3), link


def test_weights_are_the_others_and_not_the_series_itself():
    """A family of one series keeps the flat prior, however it is weighted."""
    like = np.random.default_rng(0).standard_normal((1, H["share"]))
    start = process.flat(20.0)
    made = process.weigh({"share": like}, {"share": np.array([5.0])}, start)["share"]
    plain = process.responsibilities(np.exp(like), start.weight("share"))
    assert made == pytest.approx(plain, rel=1e-9)


def test_em_never_lowers_the_likelihood():
    rng = np.random.default_rng(1)
    like = {"free": np.exp(3 * rng.standard_normal((30, H["free"])))}
    count = {"free": np.ones(30)}
    before = -np.inf
    for steps in (1, 3, 10, 30):
        weight = process.learn(like, count, process.flat(1e-6), steps).weight("free")
        now = np.log(like["free"] @ weight).sum()
        assert now >= before - 1e-9
        before = now


def test_the_forecast_does_not_depend_on_the_unit_of_scale():
    scores = logistic(7)
    units, billions = curves(table(scores)), curves(table(scores, start=-3.0))
    a = predict(units, [units[0].x[-1:] + 0.5])[0]
    b = predict(billions, [billions[0].x[-1:] + 0.5])[0]
    assert a.measured == pytest.approx(b.measured, abs=1e-6)


def test_a_past_break_widens():
    smooth = table([0.30, 0.34, 0.38, 0.42, 0.46, 0.50], family="A", n=4000)
    broken = table([0.30, 0.31, 0.30, 0.49, 0.50, 0.50], family="B", n=4000)
    pair = curves(smooth, broken)
    made = predict(pair, [c.x[-1:] + 0.5 for c in pair])
    wide = [np.ptp(np.quantile(p.measured[0], [0.1, 0.9])) for p in made]
    assert wide[1] > 1.3 * wide[0]


def test_farther_is_wider_and_sampling_is_part_of_it():
    (curve,) = curves(table(logistic(7, n=200), n=200))
    made = predict([curve], [curve.x[-1] + np.array([0.2, 0.6, 1.5])])[0]
    law = made.expected.std(axis=1)
    assert law[0] < law[1] < law[2]
    assert (made.measured.std(axis=1) > law).all()
    assert np.allclose((made.measured * 200) % 1, 0, atol=1e-6) or np.allclose(
        np.abs((made.measured * 200) - np.round(made.measured * 200)), 0, atol=1e-6
    )


def test_what_is_held_out_is_never_seen():
    scores = logistic(8)
    other = scores.copy()
    other[-2:] = 0.0
    pair = [curves(table(s))[0] for s in (scores, other)]
    made = [predict([cut(c, -2)], [c.x[-2:]])[0].measured for c in pair]
    assert (made[0] == made[1]).all()


def test_intervals_hold_on_smooth_families():
    """300 tasks of one family, logistic truths with noise between rungs: 90 % intervals."""
    rng = np.random.default_rng(3)
    ladders = [
        table(
            logistic(8, slope=rng.uniform(0.3, 1.5), seed=s, noise=0.15),
            task=f"t{s}",
        )
        for s in range(300)
    ]
    whole = curves(*ladders)
    made = predict([cut(c, -1) for c in whole], [c.x[-1:] for c in whole])
    tails = np.array([np.quantile(p.measured[0], [0.05, 0.95]) for p in made])
    seen = np.array([c.score[-1] for c in whole])
    inside = ((tails[:, 0] <= seen) & (seen <= tails[:, 1])).mean()
    assert 0.85 < inside < 0.96


def test_probabilities_just_above_chance_keep_growing():
    """An excess over chance that doubles each rung is straight on the link for it."""
    values = 0.25 + 0.001 * 2.0 ** np.arange(8)
    (curve,) = curves(table(values, n=None, metric="prob_correct", chance=0.25))
    made = predict([cut(curve, -1)], [curve.x[-1:]])[0]
    assert np.median(made.measured) - 0.25 == pytest.approx(values[-1] - 0.25, rel=0.15)


def test_a_slowing_loss_is_not_forecast_upwards():
    (curve,) = curves(table([4.0, 3.5, 3.1, 2.9, 2.7, 2.6], n=None, metric="loss"))
    made = predict([curve], [curve.x[-1] + np.array([0.5, 1.0, 2.0])])[0]
    median = np.median(made.measured, axis=1)
    assert (np.diff([2.6, *median]) < 0).all()


def test_a_score_that_never_moved_most_likely_stays():
    """Not for counts of items, which say so themselves; Laplace: 5 / 6 after five equal scores."""
    (curve,) = curves(table([-0.5] * 5, n=None, metric="normalized_score"))
    made = predict([curve], [curve.x[-1:] + 0.3], draws=2000)[0]
    assert 5 / 6 - 0.02 < (made.measured == -0.5).mean() < 0.9
