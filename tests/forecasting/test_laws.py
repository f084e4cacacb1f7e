"""Every law in the registry: shapes, bounds, fits equal to scipy's; and a user's own law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

import unmirage
from unmirage.errors import OptionError, UnmirageError
from unmirage.forecasting import LAWS, Law, add_law
from unmirage.forecasting.fitting import (
    AT_BOUND,
    CONVERGED,
    DEGENERATE,
    STATUS,
    UNFINISHED,
    fit,
    minimise,
)

from .made import logistic, table

T = np.linspace(0, 3, 9)
TRUTHS = {
    "power_law": [0.2, 0.7, 0.4],
    "saturating": [0.9, 0.1, 0.5],
    "logistic": [0.05, 0.8, 1.5, 0.4],
    "broken": [0.1, 0.8, 0.1, 0.6, 1.5, 0.4],
    "m4": [0.24, 0.96, 1.0, 2.0, 0.5],
    "log_pass_rate": [3.0, 0.5],
    "logit_line": [1.0, 1.0],
}
ours = pytest.mark.parametrize("name", list(TRUTHS))


def test_every_law_has_a_truth_here():
    assert set(TRUTHS) <= set(LAWS)


@ours
def test_formula_takes_any_leading_axes(name):
    law = LAWS[name]
    theta = np.broadcast_to(TRUTHS[name], (4, 3, len(law.parameters)))
    whole = law.formula(theta, np.broadcast_to(T, (4, 3, 9)))
    assert whole.shape == (4, 3, 9)
    assert whole[2, 1] == pytest.approx(law.formula(np.array(TRUTHS[name]), T))
    assert np.diff(whole[0, 0]).max() <= 1e-9  # the error falls with scale


@ours
def test_a_fit_finds_the_curve_it_was_made_from(name):
    law = LAWS[name]
    e = law.formula(np.array(TRUTHS[name]), T)
    found = fit(law, T[None], e[None], np.full((1, 9), 1e-4))
    assert law.formula(found.theta[0], T) == pytest.approx(e, abs=5e-3)
    assert found.status[0] in STATUS


@ours
def test_fits_are_as_good_as_scipy(name):
    """The slow twin: scipy's bounded least squares from the same starts."""
    law, rng = LAWS[name], np.random.default_rng(5)
    e = law.formula(np.array(TRUTHS[name]), T) + 0.02 * rng.standard_normal(9)
    low, high = np.array(law.bounds, float).T
    best = np.inf
    for start in law.start(T, e):
        at = np.clip(start, low + 1e-9, high - 1e-9)
        twin = least_squares(lambda p: law.formula(np.array(p), T) - e, at, bounds=(low, high))
        best = min(best, 2 * twin.cost)
    found = fit(law, T[None], e[None], np.full((1, 9), 1.0))
    mine = ((law.formula(found.theta[0], T) - e) ** 2).sum()
    assert mine <= 1.02 * best + 1e-6


@ours
def test_starts_give_finite_curves(name):
    law = LAWS[name]
    for e in (np.full(9, 0.5), np.linspace(1.2, -0.1, 9), np.zeros(9)):
        for start in law.start(T, e):
            low, high = np.array(law.bounds, float).T
            assert np.isfinite(law.formula(np.clip(start, low, high), T)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(TRUTHS)))
def test_fits_stay_in_bounds_and_never_end_worse_than_they_began(seed, name):
    law, rng = LAWS[name], np.random.default_rng(seed)
    y = np.clip(rng.normal(0.6, 0.4, (3, 9)), -0.2, 1.5)
    low, high = np.array(law.bounds, float).T
    start = np.array([np.clip(law.start(T, row)[0], low, high) for row in y])
    t, w = np.broadcast_to(T, y.shape), np.ones_like(y)
    theta, cost, status = minimise(law, t, y, w, start)
    assert (theta >= low - 1e-12).all()
    assert (theta <= high * (1 + 1e-12) + 1e-12).all()  # exp(log(high)) is rounded
    assert (cost <= ((y - law.formula(start, t)) ** 2).sum(axis=1) + 1e-12).all()
    assert set(status) <= set(STATUS)


def test_status_says_how_a_fit_ended():
    law = LAWS["power_law"]
    t = np.broadcast_to(T, (3, 9))
    y = np.stack([law.formula(np.array([0.3, 0.6, 0.5]), T), np.full(9, 0.5), 0.9 - 0.25 * T])
    start = np.array([[0.2, 0.7, 0.4], [0.5, 0.0, 0.0], [0.1, 0.8, 0.3]])
    _, _, status = minimise(law, t, y, np.ones_like(y), start)
    assert status[0] == CONVERGED
    assert status[1] in (DEGENERATE, AT_BOUND)
    assert status[2] == AT_BOUND  # a straight line runs the offset to its bound


def test_draws_are_the_same_for_the_same_seed_and_cover_the_truth():
    law, rng = LAWS["logit_line"], np.random.default_rng(2)
    mean = law.formula(np.array(TRUTHS["logit_line"]), T)
    y = mean + 0.03 * rng.standard_normal((200, 9))
    t, v = np.broadcast_to(T, y.shape), np.full(y.shape, 9e-4)
    found = fit(law, t, y, v, draws=100, rng=np.random.default_rng(1))
    again = fit(law, t, y, v, draws=100, rng=np.random.default_rng(1))
    assert (found.draws == again.draws).all()
    low, high = np.quantile(found.draws[:, :, 1], [0.05, 0.95], axis=1)
    inside = ((low <= 1.0) & (high >= 1.0)).mean()
    assert 0.83 < inside < 0.97


def test_a_users_law_is_fitted_like_ours():
    def formula(theta, t):
        a, b = np.moveaxis(theta[..., None, :], -1, 0)
        return a / (1 + b * t)

    name = "test_hyperbola"
    if name not in LAWS:
        bounds = ((0, 2), (0, 10))
        add_law(Law(name, ("a", "b"), bounds, formula, lambda t, e: [(1.0, 0.3)]))
    records = unmirage.read(table(logistic(7)))
    (made,) = unmirage.forecast(records, to={"params": 1e10}, route=name).forecasts
    assert made.route == name
    assert made.interval(0.5)[0] < made.median < made.interval(0.5)[1]


def test_bad_laws_and_unknown_names_are_refused():
    with pytest.raises(OptionError, match="bounds"):
        Law("x", ("a",), (), lambda p, t: t, lambda t, e: [(1.0,)])
    for pair in ((1, 0), (0, np.inf), (np.nan, 1), (0,), "ab"):
        with pytest.raises(OptionError, match="'x': bounds"):
            Law("x", ("a",), (pair,), lambda p, t: t, lambda t, e: [(1.0,)])
    with pytest.raises(OptionError, match="positive"):
        Law("x", ("a",), ((0, 1),), lambda p, t: t, lambda t, e: [(1.0,)], positive=("a",))
    records = unmirage.read(table(logistic(7)))
    with pytest.raises(UnmirageError, match="no route or law"):
        unmirage.forecast(records, to={"params": 1e10}, route="powerlaw")


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_that_never_moved_are_fitted_by_every_law(score):
    flat = table([score] * 6, n=500, gap=1.0)
    for name in ("power_law", "saturating", "log_pass_rate"):
        made = unmirage.forecast(
            unmirage.read(flat), to={"params": 1e12}, route=name, draws=50
        ).forecasts
        assert abs(made[0].median - score) < 0.05, name


def _line(theta, t):
    return theta[..., :1] + 0 * t


def _raises(*_):
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    ("formula", "start", "match"),
    [
        (_raises, lambda t, e: [(1.0,)], "formula raises ZeroDivisionError: no"),
        (lambda theta, t: theta[..., 0], lambda t, e: [(1.0,)], "give"),
        (lambda theta, t: theta[0] + t, lambda t, e: [(0.5,)], "other values"),
        (lambda theta, t: np.nan * t * theta[..., :1], lambda t, e: [(1.0,)], "not finite"),
        (_line, _raises, "start raises"),
        (_line, lambda t, e: [], "starts have shape"),
        (_line, lambda t, e: [(1.0, 2.0)], "starts have shape"),
        (_line, lambda t, e: [1.0], "starts have shape"),
        (_line, lambda t, e: [(np.nan,)], "start that is not finite"),
        (_line, lambda t, e: None, "start raises"),
    ],
)
def test_a_law_that_cannot_work_is_named_when_it_is_added(formula, start, match):
    law = Law("test_wrong", ("a",), ((0, 2),), formula, start)
    with pytest.raises(OptionError, match=match) as seen:
        add_law(law)
    assert "test_wrong" in str(seen.value)
    assert seen.value.mend
    assert "test_wrong" not in LAWS


def test_names_that_are_taken_and_things_that_are_no_law_are_refused():
    for name in ("power_law", "process"):
        with pytest.raises(OptionError, match="name of a route or law"):
            add_law(Law(name, ("a",), ((0, 2),), _line, lambda t, e: [(1.0,)]))
    with pytest.raises(OptionError, match="no law"):
        add_law(_line)


def test_a_law_that_fails_on_some_series_only_is_named_too():
    def start(t, e):
        return [(1.0,)] if len(t) == 5 else []

    name = "test_fails_later"
    add_law(Law(name, ("a",), ((0, 2),), _line, start))
    try:
        with pytest.raises(OptionError, match=name):
            unmirage.forecast(
                unmirage.read(table(logistic(7))), to={"params": 1e10}, route=name, draws=50
            )
    finally:
        LAWS._items.pop(name)


def test_m4_solves_its_own_equation():
    """The slow twin: halving in the share q, one number at a time."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        low, high = np.log([0.01, 0.01, 1e-4]), np.log([5, 5, 1e4])
        span, alpha, beta = np.exp(rng.uniform(low, high))
        e, c, t = rng.uniform(-0.5, 2), rng.uniform(-1, 5), rng.uniform(0, 4)
        y = float(LAWS["m4"].formula(np.array([e, span, alpha, beta, c]), np.array([t]))[0])
        left, right = 0.0, 1.0
        for _ in range(200):
            q = (left + right) / 2
            value = np.log(max(q, 1e-300)) - alpha * np.log1p(-min(q, 1 - 1e-16))
            high_enough = value + (1 - alpha) * np.log(span) >= np.log(beta) - np.log(10) * c * t
            left, right = (left, q) if high_enough else (q, right)
        assert y == pytest.approx(e + span * (left + right) / 2, abs=1e-6)


@ours
def test_draws_stay_where_the_law_has_numbers(name):
    law, rng = LAWS[name], np.random.default_rng(3)
    y = np.clip(rng.normal(0.7, 0.3, (6, 9)), 0.0, 1.2)
    t, v = np.broadcast_to(T, y.shape), np.full(y.shape, 1e-3)
    found = fit(law, t, y, v, draws=40, rng=rng)
    ahead = law.formula(found.draws, np.broadcast_to(T + 3, (6, 40, 9)))
    assert np.isfinite(ahead).all()
    positive = [law.parameters.index(p) for p in law.positive]
    assert (found.draws[:, :, positive] > 0).all()


def _only_near(theta, t):
    if np.max(t) > 3.1:
        raise KeyError("far")
    return theta[..., :1] + 0 * t


def _complex(theta, t):
    return (theta[..., :1] + 0 * t).astype(complex)


@pytest.fixture
def near_law():
    name = "test_only_near"
    add_law(Law(name, ("a",), ((0, 2),), _only_near, lambda t, e: [(0.5,)]))
    yield name
    LAWS._items.pop(name)


def test_a_law_that_fails_ahead_is_named_and_stops_no_other(near_law):
    records = unmirage.read(table(logistic(7)))  # 3 decades
    with pytest.raises(OptionError, match=r"test_only_near.*KeyError"):
        unmirage.forecast(records, to={"params": 1e14}, route=near_law, draws=50)
    for route in ("process", "combined", "power_law"):
        (made,) = unmirage.forecast(records, to={"params": 1e14}, route=route, draws=50).forecasts
        assert np.isfinite(made.widest).all()
    assert unmirage.backtest(records, held_out=1, route="combined", draws=50).rows.height


def test_laws_of_complex_numbers_or_unknown_forms_are_refused():
    law = Law("test_complex", ("a",), ((0, 2),), _complex, lambda t, e: [(0.5,)])
    with pytest.raises(OptionError, match="complex"):
        add_law(law)
    for forms in (("nonsense",), (), "share", None):
        with pytest.raises(OptionError, match="forms") as seen:
            Law("x", ("a",), ((0, 2),), _line, lambda t, e: [(0.5,)], forms=forms)
        assert seen.value.mend


def test_exact_fits_of_exact_scores_make_no_warnings():
    """Errors of 0 and no scatter: a variance of 0."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for score in (0.0, 1.0, 0.5):
            flat = unmirage.read(table([score] * 7, n=None, stderr=0.0))
            for route in ("process", *LAWS):
                (made,) = unmirage.forecast(
                    flat, to={"params": 1e14}, route=route, draws=50
                ).forecasts
                assert np.isfinite(made.widest).all()


def test_nearly_all_draws_are_kept():
    """Draws that end after few steps lie near the minimum, and are forecasts like the others."""
    rng = np.random.default_rng(8)
    law = LAWS["power_law"]
    y = law.formula(np.array(TRUTHS["power_law"]), T) + 0.02 * rng.standard_normal((20, 9))
    t, v = np.broadcast_to(T, y.shape), np.full(y.shape, 4e-4)
    found = fit(law, t, y, v, draws=50, rng=rng)
    assert (found.draw_status == UNFINISHED).mean() < 0.3
