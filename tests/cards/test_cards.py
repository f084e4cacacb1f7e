"""Cards: what the simulation measures agrees with what is declared, and the docs hold its page."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage import metrics
from unmirage.cards import card, cards
from unmirage.cards.answers import answers
from unmirage.cards.card import ERRORS, FAMILY
from unmirage.errors import MetricError
from unmirage.report.cards import draw, render, to_json, to_page, to_text

PAGE = Path(__file__).parents[2] / "docs" / "metrics" / "README.md"
ready = pytest.mark.skipif(
    not all(metrics.installed(metrics.get(n)) for n in metrics.METRICS),
    reason="the extra 'text' is not installed",
)


@pytest.fixture(scope="module")
def every():
    return cards()


@ready
def test_the_page_of_the_docs_is_what_the_command_makes(every):
    """Remake it with ``unmirage metrics cards -o docs/metrics``."""
    assert PAGE.read_text("utf-8") == to_page(every)
    pictures = {p.stem for p in PAGE.parent.glob("*.svg")}
    assert pictures == {c.metric.name for c in every}


@ready
def test_what_is_declared_linear_is_measured_linear(every):
    for made in every:
        if made.metric.facts.linear:
            # a mean of 200 items of 16 tokens has an error of up to 0.009
            assert made.bend < 0.03, made.metric.name


@ready
def test_what_is_declared_continuous_does_not_jump_and_nothing_else_does_not(every):
    for made in every:
        assert (made.jump < 0.05) == made.metric.facts.continuous, made.metric.name


@ready
def test_no_score_is_outside_the_declared_range(every):
    for made in every:
        fact = made.metric.facts
        assert fact.low - 1e-12 <= made.seen[0] <= made.seen[1] <= fact.high + 1e-12


@ready
def test_a_guesser_scores_the_declared_chance(every):
    guessed = [c for c in every if c.guess is not None]
    assert len(guessed) == 7
    for made in guessed:
        # 20,000 items, right or wrong: an error of 0.003
        assert made.guess == pytest.approx(made.chance, abs=0.012)


@ready
def test_the_best_score_is_that_of_no_error(every):
    for made in every:
        better = 1 if made.metric.facts.higher_is_better else -1
        for r in made.responses:
            y = better * r.score[np.isfinite(r.score)]
            assert y[0] == y.max()
            assert y[-1] == y.min()


def test_exact_match_is_p_to_the_power_of_length():
    """Schaeffer et al. 2023, App. A.3."""
    for r in card("exact_match", items=2000).responses:
        assert r.score == pytest.approx((1 - ERRORS) ** r.tokens, abs=0.05)


def test_edit_distance_is_length_times_error():
    """Schaeffer et al. 2023, App. A.2."""
    for r in card("edit_distance", items=1000).responses:
        assert r.score == pytest.approx(r.tokens * ERRORS, abs=0.06 * r.tokens)


def test_log_probabilities_are_those_of_the_error():
    for r in card("cross_entropy", items=20).responses:
        assert r.score[:-1] == pytest.approx(-np.log1p(-ERRORS[:-1]))
        assert np.isnan(r.score[-1])


def test_the_steepness_of_exact_match_is_that_of_its_formula():
    """0.8 over the part of the error's range that 10 to 90 % of p^L take."""
    for r in card("exact_match", items=3000).responses:
        width = 0.9 ** (1 / r.tokens) - 0.1 ** (1 / r.tokens)
        assert r.steepness == pytest.approx(0.8 / width, rel=0.12)
        assert r.interval[0] <= r.steepness * 1.05
        assert r.interval[1] >= r.steepness * 0.95


def test_the_family_is_a_power_law():
    r = card("cross_entropy", items=20).responses[0]
    loss = np.log(r.family)
    x = np.log10(r.scale)
    assert loss[[0, -1]] == pytest.approx(np.log(-np.log(FAMILY[:2])), rel=0.01)
    assert np.polyval(np.polyfit(x, loss, 1), x) == pytest.approx(loss, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_more_error_is_never_better_for_any_item(tokens, items, seed, a, b):
    """All errors share their luck: an item only goes from right to wrong."""
    error = np.sort([a, b])
    for name in ("exact_match", "token_accuracy_free", "prefix_match", "token_prob"):
        metric = metrics.get(name)
        y = metrics.score(metric, answers(metric, error, tokens, items, seed)).reshape(2, items)
        assert (y[1] <= y[0] + 1e-12).all()


def test_same_seed_same_bytes():
    assert to_json(card("brier", items=30)) == to_json(card("brier", items=30))
    assert to_json(card("brier", items=30)) != to_json(card("brier", items=30, seed=1))


def test_a_card_is_told_and_drawn():
    made = card("edit_distance", items=30)
    told = to_text(made)
    assert "token edit distance" in told
    assert "linear       yes" in told
    assert json.loads(to_json(made))["responses"][4]["tokens"] == 16
    assert render(made, ".svg").startswith(b"<svg ")
    assert render(made, ".png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["mse", "reconstruction@0.02"])
def test_a_squared_error_is_of_values_and_not_of_tokens(name):
    made = card(name, items=50)
    told = to_text(made) + draw(made) + to_page([made]).partition("\n## ")[2]
    assert "token" not in told
    assert "expected squared error" in told
    assert (made.jump == 1) == (name != "mse"), "an image passes a threshold all at once"


def test_a_metric_whose_extra_is_missing_has_a_card_that_says_so(monkeypatch):
    monkeypatch.setattr(metrics, "installed", lambda metric: metric.extra is None)
    made = card("bleu")
    assert not made.installed
    assert "pip install 'unmirage[text]'" in to_text(made)
    assert json.loads(to_json(made))["responses"] == []
    assert "## bleu" in to_page([made])


def test_every_k_of_pass_at_k_has_a_card():
    assert card("pass@3", items=20).metric.name == "pass_at_3"


def test_an_unknown_metric_is_an_error():
    with pytest.raises(MetricError, match="did you mean 'brier'"):
        card("bier")


def test_metrics_of_many_labels_are_asked_of_answers_that_long():
    made = card("all_right@5", items=30)
    assert [r.tokens for r in made.responses] == [5, 8, 16]
    assert all(np.isfinite(r.steepness) for r in made.responses)
    made = card("subset_accuracy@20", items=30)
    assert [r.tokens for r in made.responses] == [20]
    assert made.jump == 1.0
    assert to_text(made)


def test_a_metric_of_more_labels_than_can_be_simulated_is_refused():
    with pytest.raises(MetricError, match="1,000,000 labels are not simulated"):
        card("subset_accuracy@1000000")
