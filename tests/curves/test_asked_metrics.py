"""Metrics that were asked for and cannot be scored."""

import polars as pl
import pytest

import unmirage
from unmirage import metrics
from unmirage.errors import MetricError
from unmirage.simulate import Design, Truth, samples


@pytest.fixture(scope="module")
def answers():
    return unmirage.read(samples(Truth(), Design(rungs=5, items=60, tokens=3), seed=1))


def test_one_metric_that_cannot_be_scored_stops_no_other(answers):
    done = unmirage.audit(answers, metric=["exact_match", "all_right@11", "brier"], draws=100)
    assert {j.key.metric for j in done.judgements} == {"exact_match"}
    said = [n.message for n in done.notes if n.code == "metric_left_out"]
    assert len(said) == 2
    assert "all_right_at_11 cannot be scored" in said[0]
    assert "all_right@3" in said[0]
    assert all("\n" not in text for text in said)


@pytest.mark.parametrize("asked", [["all_right@11"], ["brier"], ["all_right@11", "brier"]])
def test_nothing_that_can_be_scored_is_an_error(answers, asked):
    with pytest.raises(MetricError, match=r"cannot be scored(.|\n)*mend: "):
        unmirage.audit(answers, metric=asked, draws=100)


def test_an_unknown_name_is_an_error_whatever_stands_beside_it(answers):
    with pytest.raises(MetricError, match="no metric is named 'exact_macht'"):
        unmirage.audit(answers, metric=["exact_match", "exact_macht"], draws=100)


@pytest.mark.parametrize(("most", "asked"), [(3, 11), (1, 2), (40, 41), (7, 999)])
def test_the_largest_k_that_can_be_scored_is_named(most, asked):
    frame = pl.DataFrame({"token_correct": [[True] * most, [True]]})
    named = metrics.smaller(metrics.get(f"all_right@{asked}"), frame)
    assert named == f"all_right@{most}"


def test_no_smaller_k_is_named_where_none_can_be_scored():
    frame = pl.DataFrame({"token_correct": [None]}, schema={"token_correct": pl.List(pl.Boolean)})
    assert metrics.smaller(metrics.get("all_right@3"), frame) is None
    assert metrics.smaller(metrics.get("exact_match"), frame) is None


def test_near_names_and_numbered_ones_are_told():
    with pytest.raises(MetricError, match="did you mean 'all_right@5'"):
        metrics.get("al_right@5")
    with pytest.raises(MetricError, match=r"known: .*pass@5, reconstruction@0.005, subset_acc"):
        metrics.get("nosuch")
