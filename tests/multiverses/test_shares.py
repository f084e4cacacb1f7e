"""Shares and sentences: no sentence claims what the analyses do not hold."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.multiverses import shares

LEVELS = ("metric", "score", "rungs")
KINDS = {"mean scores": "mean", "thresholds": "threshold", "K-of-K scores": "K of K"}


@st.composite
def universes(draw):
    n = draw(st.integers(2, 30))
    levels = {
        name: draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n)) for name in LEVELS
    }
    kinds = draw(st.lists(st.sampled_from(list(KINDS.values())), min_size=n, max_size=n))
    reports = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return levels, kinds, reports


@settings(max_examples=200, deadline=None)
@given(universes(), st.booleans())
def test_a_sentence_is_true(universe, create):
    levels, kinds, reports = universe
    mask = reports if create else ~reports
    row = int(np.argmax(mask))
    text = shares.sentence(levels, kinds, reports, len(reports) + 5, row, create=create)
    assert f"under {mask.sum()} of {len(mask)} analyses" in text
    assert f"(drawn from {len(reports) + 5})" in text
    mine = np.flatnonzero(mask)
    for kind in re.findall(r"all of them (thresholds|mean scores|K-of-K scores)", text):
        assert {kinds[i] for i in mine} == {KINDS[kind]}
        assert any(k != KINDS[kind] for k in kinds)
    for choice, level in re.findall(r"all of them with (\w+) (\w)", text):
        assert {levels[choice][i] for i in mine} == {level}
    for choice, level, percent in re.findall(r"most often with (\w+) (\w) \((\d+) %\)", text):
        here = np.array(levels[choice]) == level
        assert round(100 * mask[here].mean()) == int(percent)
        for other in {*levels[choice]}:
            assert mask[np.array(levels[choice]) == other].mean() <= mask[here].mean() + 1e-9
    chosen = re.findall(r"This one: (.*)\.$", text)
    assert bool(chosen) == bool(mask[row] and any(len({*v}) > 1 for v in levels.values()))


@settings(max_examples=100, deadline=None)
@given(universes(), st.integers(0, 5), st.floats(0.1, 1))
def test_levels_hold_all_analyses_and_their_own_share(universe, seed, drawn):
    levels, _, reports = universe
    rng = np.random.default_rng(seed)
    again = rng.random((len(reports), 10)) < reports.mean()
    choices = {name: tuple(sorted({*column})) for name, column in levels.items()}
    found = shares.by_level(choices, levels, reports, again, True, drawn)
    for choice, names in choices.items():
        mine = [s for s in found if s.choice == choice]
        assert [s.level for s in mine] == (list(names) if len(names) > 1 else [])
        if mine:
            assert sum(s.analyses for s in mine) == len(reports)
            assert sum(s.reporting for s in mine) == reports.sum()
        for s in mine:
            assert 0 <= s.low <= s.share <= s.high <= 1
            assert s.effect_low <= s.effect <= s.effect_high
            assert (s.word == "creates") == (s.effect_low > 0)
            assert (s.word == "dissolves") == (s.effect_high < 0)


def test_a_share_is_as_sure_as_its_resamples_and_its_drawing():
    reports = np.array([True] * 30 + [False] * 70)
    again = np.tile(reports[:, None], (1, 40))
    sure = shares.whole(reports, again, True, 1.0)
    assert (sure.low, sure.high) == (0.3, 0.3)  # all analyses, and no item changes any
    drawn = shares.whole(reports, again, True, 0.5)
    sd = np.sqrt(30.5 / 101 * 70.5 / 101 / 100 / 2)
    assert drawn.high - drawn.share == pytest.approx(1.645 * sd)
    again[:, ::2] = False
    unsure = shares.whole(reports, again, True, 1.0)
    assert unsure.high - unsure.share == pytest.approx(1.645 * 0.15)
    unknown = shares.whole(reports, again, False, 1.0)
    assert np.isnan([unknown.low, unknown.high]).all()
