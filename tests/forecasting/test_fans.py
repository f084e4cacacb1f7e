"""Fans show the data and the target, whatever the bands do between."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unmirage
from unmirage.report import fans

from .made import logistic, table


def y_range(spec):
    (found,) = {
        tuple(layer["encoding"]["y"]["scale"]["domain"])
        for layer in spec["layer"]
        if "scale" in layer["encoding"].get("y", {})
    }
    return found


def made(frame, to):
    (f,) = unmirage.forecast(unmirage.read(frame), to={"params": to}, draws=60, fan=True).forecasts
    return f


@settings(max_examples=15, deadline=None)
@given(st.floats(0.02, 0.4), st.sampled_from([1e9, 1e10, 1e12, 1e100]), st.booleans())
def test_bands_do_not_rule_the_axis(fall, to, noisy):
    loss = 2 - fall * np.arange(6) + (0.1 * np.array([1, -1, 1, -1, 1, -1]) if noisy else 0)
    f = made(table(loss, metric="cross_entropy", n=None), to)
    spec = fans.fan(f).to_dict()
    low, high = y_range(spec)
    assert low <= loss.min() < loss.max() <= high
    least, most = loss.min() - np.ptp(loss), loss.max() + np.ptp(loss)
    if f.known:
        assert low <= f.median <= high
        least, most = min(least, f.median), max(most, f.median)
    room = 0.06 * (most - least) + 1e-9
    wide = most - least  # a floor as near as the range is wide is drawn too
    assert least - room - wide <= low
    assert high <= most + room
    for rows in (layer.get("data", {}).get("values", []) for layer in spec["layer"]):
        assert all(r["low"] <= r["high"] for r in rows if r.get("scale") == f.at and "low" in r)


def test_a_flat_series_shows_the_interval_of_its_target():
    f = made(table([0.5] * 6), 1e9)
    low, high = y_range(fans.fan(f).to_dict())
    assert low <= f.interval(0.95)[0] < f.interval(0.95)[1] <= high


@pytest.mark.parametrize(("tasks", "lines"), [("m", 1), ("f", 1), ("mf", 2)])
def test_reliability_has_one_line_where_all_series_move_or_none(tasks, lines):
    each = {"m": table(logistic(6), task="moves"), "f": table([0.5] * 6, task="flat")}
    records = unmirage.read(pl.concat([each[t] for t in tasks]))
    spec = fans.reliability(unmirage.backtest(records, held_out=1, draws=60)).to_dict()
    said = json.dumps(spec)
    assert ("series that move" in said) is (lines == 2)
    assert said.count('"nominal"') >= 41 * lines


def test_the_page_of_an_audit_leads_to_its_forecasts():
    from unmirage.report.forecast_page import section
    from unmirage.report.html import to_html

    records = unmirage.read(table(logistic(7)))
    audit = unmirage.audit(records, draws=100)
    page = to_html(audit, section(unmirage.forecast(records, to={"params": 1e10}, draws=60)))
    assert page.count('href="#forecast"') == 2
    assert page.count('id="forecast"') == 1
    assert "#forecast" not in to_html(audit)
