"""How much of a jump follows from a smooth companion."""

import numpy as np
import pytest

import unmirage
from tests.auditing.families import answers
from unmirage.auditing.push import item_response

SMOOTH = np.exp(np.linspace(1.1, -1.9, 9))
BROKEN = np.r_[np.full(5, 2.2), np.full(5, 0.03)] * np.exp(-0.03 * np.arange(10))


def judged(samples, metric="exact_match", **more):
    audit = unmirage.audit(unmirage.read(samples), metric=[metric], draws=300, **more)
    return audit.judgements[0]


def test_item_response_is_exact_for_a_step_and_monotone_else():
    rng = np.random.default_rng(0)
    c = rng.normal(size=500)
    np.testing.assert_array_equal(item_response(c, (c > 0.3).astype(float))(c), c > 0.3)
    np.testing.assert_array_equal(item_response(c, (c < 0.3).astype(float))(c), c < 0.3)
    y = (rng.random(500) < 1 / (1 + np.exp(-c))).astype(float)
    at = np.linspace(-4, 4, 200)
    assert (np.diff(item_response(c, y)(at)) >= 0).all()
    assert (np.diff(item_response(c, 1 - y)(at)) <= 0).all()
    assert np.abs(item_response(c, y)(np.zeros(1)) - 0.5) < 0.15
    # one value of c: nothing can be told but the mean
    np.testing.assert_allclose(item_response(np.ones(300), np.arange(300) % 2 * 1.0)(at), 0.5)


def test_item_response_between_rungs_that_lie_apart():
    """Items of a rung are much alike: the odd ones at its edges must not level the way between."""
    rng = np.random.default_rng(1)
    c = np.concatenate([m * np.exp(0.02 * rng.standard_normal(300)) for m in (0.1, 0.3, 0.9)])
    y = (rng.random(900) < np.exp(-4 * c)).astype(float)
    between = item_response(c, y)(np.array([0.17, 0.5]))
    np.testing.assert_allclose(between, np.exp(-4 * np.array([0.17, 0.5])), atol=0.08)


def test_a_smooth_companion_explains_the_jump_of_exact_match():
    found = judged(answers(SMOOTH, items=1500, tokens=8)).finding("metric")
    assert found.values["companion"] == "cross_entropy"
    assert found.statistic == pytest.approx(1, abs=0.15)
    low, high = found.interval
    assert low <= found.statistic <= high


def test_a_broken_companion_does_not():
    j = judged(answers(BROKEN, items=1500))
    assert j.finding("metric").statistic < 0.5
    assert j.finding("companion_break").p_value < 0.05


def test_dependence_within_an_answer_is_measured():
    """With equal difficulty answers of 5 tokens count like 5; with unequal ones like fewer."""
    alone = judged(answers(SMOOTH, items=3000, dependence=0.0)).finding("metric")
    together = judged(answers(SMOOTH, items=3000, dependence=1.2)).finding("metric")
    assert alone.values["length"] == 5
    assert alone.values["effective_length"] == pytest.approx(5, abs=0.6)
    assert together.values["effective_length"] < alone.values["effective_length"] - 0.7


def test_item_response_of_quantiles_that_all_but_tie():
    """Half of the items have one loss, up to rounding: their knots are one."""
    c = np.concatenate([0.03 * (1 + 1e-16 * np.arange(1500)), np.linspace(0.1, 3, 1500)])
    c[:700] = np.nextafter(0.03, 1)
    y = (np.random.default_rng(0).random(3000) < np.exp(-c)).astype(float)
    response = item_response(c, y)
    at = response(np.array([0.03, 0.1, 1.0, 3.0]))
    assert np.isfinite(at).all()
    assert (np.diff(at) <= 1e-12).all()
    assert response(np.array([0.03]))[0] == pytest.approx(y[:1500].mean(), abs=0.05)
    flat = item_response(np.full(1000, 0.3), y[:1000])
    assert flat(np.array([0.1, 0.5])) == pytest.approx(y[:1000].mean())
