"""Simulated families against their own formulas."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from unmirage.errors import OptionError
from unmirage.simulate import METRICS, SHAPES, Design, Truth, expected, family, samples, scores


def scored(frame: pl.DataFrame, metric: str) -> np.ndarray:
    audit = unmirage.audit(unmirage.read(frame), metric=[metric], draws=100)
    [j] = audit.judgements
    return j.curve.score


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_meet_their_ends_and_say_which_way_they_go(shape: str) -> None:
    t = np.linspace(0, 1, 101)
    p = SHAPES[shape](t, 0.2, 0.9)
    ends = (0.9, 0.2) if shape == "inverse" else (0.2, 0.9)
    assert np.allclose(p[[0, -1]], ends)
    rises = np.diff(p) > 0
    assert {"inverse": not rises.any(), "u-shaped": rises.any() and not rises.all()}.get(
        shape, rises.all()
    )
    # smooth: halving the grid halves the largest step, or nearly
    fine = SHAPES[shape](np.linspace(0, 1, 201), 0.2, 0.9)
    assert np.abs(np.diff(fine)).max() < 0.6 * np.abs(np.diff(p)).max()


@pytest.mark.parametrize("r", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    "metric", ["exact_match", "cross_entropy", "token_accuracy_free", "target_prob"]
)
def test_items_score_what_is_expected(r: float, metric: str) -> None:
    design = Design(rungs=5, items=4000, tokens=3, dependence=r)
    truth = Truth("logistic", 0.2, 0.9)
    p = family(truth, design, np.random.default_rng([3, 0])).p[0]
    # probabilities are calibrated
    same = {"token_accuracy_free": "token_accuracy", "target_prob": "exact_match"}
    name = same.get(metric, metric)
    want = expected(p, design, name)
    got = scored(samples(truth, design, seed=3), metric)
    sd = 0.5 if metric != "cross_entropy" else np.maximum(2.5 * want, 0.3)
    assert np.all(np.abs(got - want) < 5 * sd / np.sqrt(4000))


@pytest.mark.parametrize("chance", [0.25, 0.5])
def test_choices_score_what_is_expected(chance: float) -> None:
    design = Design(rungs=5, items=4000, chance=chance)
    truth = Truth("logistic", 0.05, 0.9)
    p = family(truth, design, np.random.default_rng([5, 0])).p[0]
    got = scored(samples(truth, design, seed=5), "accuracy")
    want = expected(p, design, "accuracy")
    assert np.all(np.abs(got - want) < 4 * 0.5 / np.sqrt(4000))
    assert want[0] == pytest.approx(chance + 0.05 * (1 - chance))


def test_errors_within_an_answer_are_correlated_as_asked_and_items_are_shared() -> None:
    design = Design(rungs=2, items=20_000, tokens=2, dependence=0.3, difficulty=0.8)
    frame = samples(Truth("logistic", 0.4, 0.6), design, seed=0)
    right = [np.array(g["token_correct"].to_list(), float) for _, g in frame.group_by("model")]
    for tokens in right:
        assert np.corrcoef(tokens.T)[0, 1] == pytest.approx(0.3, abs=0.03)
    between = np.corrcoef(right[0][:, 0], right[1][:, 0])[0, 1]
    assert 0.15 < between < 0.3  # the shared part of the items' luck, and no more
    own = Design(rungs=2, items=20_000, tokens=2, dependence=0.3, difficulty=0.0)
    frame = samples(Truth("logistic", 0.4, 0.6), own, seed=0)
    a, b = (np.array(g["token_correct"].to_list(), float) for _, g in frame.group_by("model"))
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 0.03


@given(
    p=st.floats(0.01, 0.99),
    r=st.floats(0.01, 0.9),
    tokens=st.integers(1, 20),
)
def test_dependent_errors_make_whole_answers_more_often(p: float, r: float, tokens: int) -> None:
    at = np.array([p])
    alone = expected(at, Design(tokens=tokens), "exact_match")[0]
    together = expected(at, Design(tokens=tokens, dependence=r), "exact_match")[0]
    assert alone == pytest.approx(p**tokens)
    assert alone - 1e-12 <= together <= p + 1e-12


@pytest.mark.parametrize("metric", METRICS)
def test_reported_scores_scatter_about_what_is_expected(metric) -> None:
    chance = 0.25 if metric == "accuracy" else 0.0
    design = Design(rungs=4, items=300, tokens=3, dependence=0.3, chance=chance)
    truth = Truth("logistic", 0.3, 0.8)
    frame = scores(truth, design, families=600, metrics=[metric], seed=1)
    p = family(truth, design, np.random.default_rng(0)).p[0]
    want = expected(p, design, metric)
    by = frame.group_by("params", maintain_order=True).agg(
        pl.col("score").mean(), pl.col("score").std().alias("sd")
    )
    error = by["sd"].to_numpy() / np.sqrt(600)
    assert np.all(np.abs(by["score"].to_numpy() - want) < 4.5 * error)
    if metric != "accuracy" and metric != "exact_match":
        said = frame.group_by("params", maintain_order=True).agg(pl.col("stderr").mean())
        assert np.allclose(by["sd"], said["stderr"], rtol=0.15)


def test_a_step_lies_in_the_middle_and_is_as_high_as_asked() -> None:
    design = Design(rungs=8)
    p = family(Truth("logistic", 0.3, 0.4, step=2.0), design, np.random.default_rng(0)).p[0]
    logits = np.diff(np.log(p / (1 - p)))
    assert logits.argmax() == 3
    assert logits[3] - logits[0] == pytest.approx(2.0)


def test_slope_changes_and_bimodal_seeds() -> None:
    design = Design(rungs=9, decades=4, seeds=40)
    drawn = family(Truth("logistic", 0.3, 0.4, slope=1.5), design, np.random.default_rng(0))
    logits = np.diff(np.log(drawn.p[0] / (1 - drawn.p[0])))
    assert np.allclose(logits[5:] - logits[:4].mean(), 0.75)
    two = family(Truth("logistic", 0.1, 0.9, bimodal=True), design, np.random.default_rng(0)).p
    assert set(np.unique(two.round(6))) == {0.1, 0.9}
    success = (two > 0.5).mean(axis=0)
    assert success[0] < 0.2
    assert success[-1] > 0.8


def test_a_hole_leaves_out_the_middle_and_missing_answers_are_not_there() -> None:
    frame = samples(Truth(), Design(rungs=9, items=500, hole=0.4, missing=0.2), seed=2)
    scale = np.log10(frame["params"].unique().sort().to_numpy())
    assert len(scale) == 6
    assert np.diff(scale).max() == pytest.approx(2.0)
    asked = frame.group_by("model").len()["len"]
    assert 350 < asked.min() <= asked.max() < 450


def test_the_same_seed_gives_the_same_family_whatever_stands_beside_it() -> None:
    design = Design(rungs=4, items=50, uneven=True, noise=0.2, seeds=2)
    two = scores(Truth(), design, families=2, seed=7)
    assert scores(Truth(), design, families=1, seed=7).equals(two.filter(pl.col("family") == "F0"))
    assert not scores(Truth(), design, families=1, seed=8)["score"].equals(
        two.filter(pl.col("family") == "F0")["score"]
    )
    assert samples(Truth(), design, seed=7).equals(samples(Truth(), design, seed=7))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Truth("straight"), "no shape is named 'straight'"),
        (lambda: Truth(first=0.0), "probabilities of 0.0"),
        (lambda: Truth(step=float("nan")), "not finite"),
        (lambda: Design(rungs=1), "1 rungs"),
        (lambda: Design(items=0), "0 items"),
        (lambda: Design(dependence=1.0), "dependence 1.0"),
        (lambda: Design(chance=0.6), "chance level of 0.6"),
        (lambda: samples(Truth(), Design(chance=0.3)), "chance level of 0.3"),
        (lambda: Design(items=10**19), "10,000,000,000,000,000,000 items"),
        (lambda: Design(decades=0), "0 decades"),
        (lambda: scores(Truth(), Design(), metrics=["bleu"]), "'bleu'"),  # type: ignore[list-item]
        (lambda: scores(Truth(), Design(), metrics=["accuracy"]), "chance level of 0.0"),
        (lambda: scores(Truth(), Design(), families=0), "0 families"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        make()
