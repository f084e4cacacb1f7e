"""The two ways through, from records to forecasts and backtests, their pages and commands."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage
from unmirage import cli
from unmirage.errors import InputError, OptionError
from unmirage.report import fans
from unmirage.report.forecast_page import backtest_html, to_html
from unmirage.report.forecasts import backtest_json, to_json
from unmirage.simulate import Design, Truth, samples

from .made import logistic, table

HOSTILE = "</style><script>alert(1)</script>\x1b[31m{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def records():
    tables = [table(logistic(8, seed=s), task=f"t{s}", family=f"F{s % 2}") for s in range(4)]
    return unmirage.read(pl.concat(tables))


def run(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli.app, [str(a) for a in arguments])


def test_every_curve_is_forecast_with_nested_intervals(records):
    made = unmirage.forecast(records, to={"params": 1e10})
    assert len(made.forecasts) == 4
    for f in made.forecasts:
        ends = [f.interval(v) for v in (0.5, 0.8, 0.9, 0.95)]
        assert all(a[0] >= b[0] and a[1] <= b[1] for a, b in pairwise(ends))
        assert ends[0][0] <= f.median <= ends[0][1]
        assert f.distance == pytest.approx(10 - 9.5)
        assert 0 <= f.interval(0.95)[0] <= f.interval(0.95)[1] <= 1
        assert sum(f.why.values()) == pytest.approx(1, abs=0.02)
    assert made.to_frame().height == 4


def test_the_same_seed_gives_the_same_bytes_and_another_not(records):
    one, two = (unmirage.forecast(records, to={"params": 1e10}, seed=3).to_json() for _ in "ab")
    assert one == two
    assert one != unmirage.forecast(records, to={"params": 1e10}, seed=4).to_json()


def test_too_far_is_not_known(records):
    made = unmirage.forecast(records, to={"params": [1e11, 1e16]}, task="t0").forecasts
    near, far = made
    assert near.known
    assert not far.known
    assert far.interval(0.95) == far.widest
    assert np.isnan(far.interval(0.5)).all()
    assert far.widest[1] - far.widest[0] >= np.ptp(near.interval(0.95))
    body = json.loads(unmirage.forecast(records, to={"params": 1e16}).to_json())
    assert body["forecasts"][0]["median"] is None
    assert "not known" in body["forecasts"][0]["in_words"]


def test_a_family_is_not_moved_by_another(records):
    alone = unmirage.forecast(records, to={"params": 1e10}, family="F0").forecasts
    both = unmirage.forecast(records, to={"params": 1e10}).forecasts
    beside = {f.key: f for f in both}
    for f in alone:
        assert f.draws == pytest.approx(beside[f.key].draws)


@pytest.mark.parametrize(
    ("to", "match"),
    [({"width": 7}, "no scale"), ({"params": -1}, "target"), ({}, "target")],
)
def test_targets_that_cannot_be_are_refused(records, to, match):
    with pytest.raises(OptionError, match=match):
        unmirage.forecast(records, to=to)


def test_too_few_rungs_are_refused_with_the_mend():
    few = unmirage.read(table([0.1, 0.2, 0.3]))
    with pytest.raises(InputError, match="held out"):
        unmirage.backtest(few, held_out=1)


def test_a_backtest_scores_what_was_held_out(records):
    made = unmirage.backtest(records, held_out=(1, 2))
    rows = made.rows
    assert rows.height == 4 * (1 + 2)
    assert (rows["low_95"] <= rows["median"]).all()
    assert (rows["median"] <= rows["high_95"]).all()
    assert rows["pit"].is_between(0, 1).all()
    assert {"crps", "crps_last_value", "crps_random_walk", "crps_logit_line"} <= set(rows.columns)
    last = rows.filter(held_out=1, task="t0")
    assert last["observed"][0] == logistic(8, seed=0)[-1]


@pytest.mark.parametrize("route", ["metric", "two_step"])
def test_the_metric_route_finds_simulated_truth(route):
    """Exact match of 8 tokens from its cross-entropy, in the same answers."""
    made = samples(Truth("power law", 0.5, 0.97), Design(rungs=9, items=400, tokens=8), seed=2)
    whole = unmirage.read(made)
    sizes = np.sort(made["params"].unique().to_numpy())
    part = unmirage.read(made.filter(pl.col("params") < sizes[-2]))
    (found,) = unmirage.forecast(
        part, to={"params": float(sizes[-1])}, route=route, metric="exact_match"
    ).forecasts
    truth = unmirage.audit(whole, metric="exact_match", draws=100).judgements[0].curve.score[-1]
    low, high = found.interval(0.95)
    assert low <= truth <= high
    assert high - low < 0.8


def test_the_combination_is_made_of_parts(records):
    (f,) = unmirage.forecast(
        records, to={"params": 1e10}, route="combined", task="t1", draws=100
    ).forecasts
    assert sum(f.weights.values()) == pytest.approx(1)
    assert set(f.weights) > {"process", "logit_line"}


def test_pages_are_whole_and_harmless(records):
    hostile = unmirage.read(table(logistic(7), task=HOSTILE, family=HOSTILE))
    made = unmirage.forecast(hostile, to={"params": 1e10}, fan=True)
    tested = unmirage.backtest(hostile, held_out=1)
    for page in (to_html(made), backtest_html(tested)):
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "49" not in page.split("alert(1)")[1][:40]
        assert page.rstrip().endswith("</html>")
        assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    for text in (to_json(made), backtest_json(tested)):
        assert json.loads(text)["settings"]
        assert "\x1b" not in text


def test_held_out_rungs_are_drawn_hollow(records):
    made = unmirage.backtest(records, held_out=2)
    forecast, whole = made.examples[0]
    spec = json.dumps(fans.fan(forecast, whole).to_dict())
    hollow, filled = spec.count('"held": true'), spec.count('"held": false')
    assert hollow > 0
    assert filled == 3 * hollow  # 6 rungs and 2, in as many layers
    assert fans.reliability(made).to_dict()


def test_commands(tmp_path):
    source = tmp_path / "scores.csv"
    source.write_text(table(logistic(8)).write_csv())
    html, out = tmp_path / "f.html", tmp_path / "f.parquet"
    done = run("forecast", source, "--to", "params=1e10", "--html", html, "-o", out)
    assert done.exit_code == 0, done.output
    assert "why so wide" in done.stdout
    assert "95 %" in done.stdout
    assert html.stat().st_size > 10_000
    assert pl.read_parquet(out).height == 1
    body = json.loads(run("forecast", source, "--to", "params=1e10", "--json", "-").stdout)
    assert body["schema"] == "unmirage.forecast/1"
    done = run("backtest", source, "--hold-out", "2", "--json", tmp_path / "b.json")
    assert done.exit_code == 0, done.output
    assert "CRPS" in done.stdout
    for wrong in (("--to", "params"), ("--to", "width=3")):
        assert run("forecast", source, *wrong).exit_code == 2
    assert run("backtest", source, "--hold-out", "0").exit_code == 2


def test_the_bundled_example_is_forecast():
    done = run(
        "forecast", "example", "--to", "params=3e5", "--task", "multiplication",
        "--metric", "exact_match", "--draws", "100",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.count("exact_match") == 3


def test_the_settings_tell_all_that_was_asked():
    sizes, scores = [1e6, 1e7, 1e8, 1e9, 1e10], [0.3, 0.4, 0.5, 0.6, 0.7]
    frame = pl.DataFrame({"family": "demo", "task": "toy", "params": sizes, "acc": scores})
    said = {"items": 400, "chance": {"toy": 0.25}, "checkpoint": "all", "task": "toy"}
    records = unmirage.read(frame)
    for found in (
        unmirage.forecast(records, to={"params": 1e11}, **said, draws=60),
        unmirage.backtest(records, held_out=1, **said, draws=60),
        unmirage.audit(records, **said, draws=100),
        unmirage.multiverse(records, **said, draws=100, judged=0),
    ):
        held = {name: found.settings[name] for name in said}
        assert held == {**said, "task": ["toy"]}
