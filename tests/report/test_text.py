"""Names and numbers for people; ticks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmirage.report import axes, text


@given(st.text(alphabet=st.characters(codec=None)), st.integers(4, 40))
def test_shown_text_is_harmless_and_short(name, width):
    shown = text.shorten(name, width)
    assert len(shown) <= width
    shown.encode("utf-8")
    assert not any(
        ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in shown
    )


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (999.9e6, "params", "1B"),
        (12_345, "params", "12.3k"),
        (6.9e9, "params", "6.9B"),
        (175e9, "params", "175B"),
        (2e12, "tokens", "2T"),
        (6.3e23, "flops", "6.3×10²³"),
        (1, "step", "1"),
        (None, "params", "–"),
        (0.0, "params", "–"),
    ],
)
def test_scales(value, name, shown):
    assert text.scale(value, name) == shown


@given(st.floats(3, 24), st.floats(0.05, 12))
def test_scale_ticks_are_few_and_inside(low, span):
    ticks = axes.scale_ticks((low, low + span))
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-9 <= math.log10(t) <= low + span + 1e-9 for t in ticks)
    assert ticks == sorted(set(ticks))


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e4))
def test_score_ticks_are_few_and_told_apart(low, span):
    ticks = axes.ticks((low, low + span))
    assert 2 <= len(ticks) <= 8
    labels = axes.tick_texts(ticks)
    assert len(set(labels)) == len(labels)


def test_noise_does_not_fill_the_panel(fakes):
    import numpy as np

    from unmirage.report.view import curve_view
    from unmirage.types import Key

    flat = fakes.curve(Key("f", "t", "m"), fakes.EXACT, np.full(10, 0.5), n=1e9, floor=0.25)
    low, high = axes.score_range(curve_view(flat))
    assert high - low >= 0.075
