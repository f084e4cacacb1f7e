"""Batched fits against scipy, one curve at a time."""

import numpy as np
import pytest
from scipy.optimize import minimize

from unmirage.curves.laws import LAWS, PLATEAU, Data, Law, fit, inverse_link, predict, unit

ALL = [(kind, law) for kind, laws in LAWS.items() for law in laws]


def data(u, x=None, n=None, se=0.01, least=0.0):
    u = np.atleast_2d(u)
    b, m = u.shape
    x = np.broadcast_to(np.linspace(7, 11, m) if x is None else x, (b, m))
    counts = np.full((b, m), np.nan if n is None else float(n))
    return Data(x, u, counts, np.full((b, m), se), np.zeros(b), np.ones(b), np.full(b, least))


def share(m=9, n=1000, length=5, seed=0, curves=4):
    rng = np.random.default_rng(seed)
    x = np.linspace(7, 11, m)
    p = np.exp(-length * np.exp(1.2 - 1.1 * (x - 7)))
    return p, data(rng.binomial(n, p, (curves, m)) / n, n=n)


@pytest.mark.parametrize(("kind", "law"), ALL)
def test_a_law_recovers_itself(kind, law):
    """Noise-free points on a law are fitted exactly, whatever the units of scale."""
    t = np.linspace(-1, 1, 10)
    if law.basis == PLATEAU:
        eta = 0.1 + 0.8 / (1 + np.exp(-(t - 0.15) / 0.4))
    else:
        eta = (0.5 if law.link == "identity" else 0.4) + (
            0.3 if law.link == "identity" else 1.5
        ) * t
    u = inverse_link(law.link, eta)[0]
    for x in (np.linspace(6, 12, 10), np.linspace(0, 3, 10)):
        found = fit(law, data(u, x, se=1e-4))
        tolerance = 0.02 if law.basis == PLATEAU else 1e-4  # the plateau's shapes are a grid
        np.testing.assert_allclose(found.mean[0], u, atol=tolerance)


@pytest.mark.parametrize("law", [Law("logit", "line"), Law("loglog", "line"), Law("logit", "bend")])
def test_binomial_fits_equal_maximum_likelihood(law):
    """At tau = 0 the iteration solves the binomial score equations (slow twin: scipy)."""
    _, d = share(n=4000)
    found = fit(law, d)
    t = unit(d.x)[0][0]
    columns = np.stack([t**k for k in range(law.parameters)], axis=1)

    for i in np.flatnonzero(found.tau == 0):
        k = d.u[i] * 4000

        def loss(theta, k=k):
            p = np.clip(inverse_link(law.link, columns @ theta)[0], 1e-12, 1 - 1e-12)
            return -(k * np.log(p) + (4000 - k) * np.log1p(-p)).sum()

        best = minimize(loss, found.theta[i], method="Nelder-Mead", options={"maxiter": 4000})
        np.testing.assert_allclose(
            inverse_link(law.link, columns @ best.x)[0], found.mean[i], atol=4e-3
        )


def test_noise_between_rungs_is_estimated():
    rng = np.random.default_rng(1)
    x = np.linspace(7, 11, 16)
    eta = 0.6 * (x - 9) + 0.3 * rng.normal(size=(300, 16))
    d = data(rng.binomial(20_000, 1 / (1 + np.exp(-eta))) / 20_000, n=20_000)
    tau = fit(Law("logit", "line"), d).tau
    assert np.sqrt((tau**2).mean()) == pytest.approx(0.3, abs=0.03)
    quiet = data(rng.binomial(500, 1 / (1 + np.exp(-0.6 * (x - 9))), (300, 16)) / 500, n=500)
    assert np.median(fit(Law("logit", "line"), quiet).tau) < 0.05


def test_a_batch_is_its_curves():
    _, d = share()
    for law in LAWS["share"]:
        whole = fit(law, d)
        for i in range(4):
            alone = fit(law, d.take(np.array([i])))
            np.testing.assert_allclose(alone.mean[0], whole.mean[i], rtol=1e-9, atol=1e-12)


def test_the_law_of_the_article_wins_on_its_own_curves():
    _, d = share(n=10_000, curves=20)
    scores = {law.name: fit(law, d).aicc for law in LAWS["share"]}
    assert np.mean(scores["loglog line"] < scores["logit line"]) > 0.9


def test_the_band_covers_the_truth():
    p, d = share(n=1000, curves=300, seed=5)
    law = Law("loglog", "line")
    mean, _, error = predict(fit(law, d), d, d.x)
    inside = np.abs(mean - p) <= 1.645 * error + 1e-9
    use = (p > 0.02) & (p < 0.98)
    assert 0.85 <= inside[:, use].mean() <= 0.96


@pytest.mark.parametrize("u", [np.zeros(6), np.ones(6), np.r_[np.zeros(5), 1.0]])
@pytest.mark.parametrize("law", LAWS["share"])
def test_degenerate_curves_stay_finite(u, law):
    found = fit(law, data(u, n=100))
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.tau).all()
