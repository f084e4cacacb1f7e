"""The two ways through, from records to forecasts and backtests, their pages and commands."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage
from unmirage import cli
from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.errors import InputError, OptionError
from unmirage.forecasting import LAWS, engine, process, single
from unmirage.forecasting.fitting import STATUS
from unmirage.report import fans
from unmirage.report.forecast_page import backtest_html, to_html
from unmirage.report.forecasts import backtest_json, backtest_table, to_json, to_text
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


@pytest.mark.parametrize("route", ["process", "power_law", "combined"])
def test_a_fan_changes_no_number_and_ends_at_the_target(records, route):
    how = {"to": {"params": [1e10, 3e10]}, "route": route, "task": "t1", "draws": 200}
    plain = unmirage.forecast(records, **how).forecasts
    drawn = unmirage.forecast(records, **how, fan=True).forecasts
    for a, b in zip(plain, drawn, strict=True):
        assert np.array_equal(a.draws, b.draws)
        assert a.widest == b.widest
    fan = drawn[1].fan
    assert drawn[0].fan is None
    assert fan.median[-1] == pytest.approx(drawn[1].median)
    assert fan.bands[0.95][1][-1] == pytest.approx(drawn[1].interval(0.95)[1])


@pytest.mark.parametrize("route", ["power_law", "combined"])
def test_a_backtest_goes_any_route(records, route):
    made = unmirage.backtest(records, held_out=2, route=route, draws=100, examples=2)
    assert made.rows.height == 4 * 2
    assert made.settings["route"] == route
    assert [f.route for f, _ in made.examples] == [route] * 2
    f, whole = made.examples[0]
    last = made.rows.filter(task=f.key.task, family=f.key.family, ahead=2)
    assert last["median"][0] == pytest.approx(f.median)
    assert f.fan.median[-1] == pytest.approx(f.median)
    assert f.fan.scale[-1] == pytest.approx(whole.scale[-1])


def test_a_backtest_counts_what_a_route_does_not_reach(records):
    made = unmirage.backtest(records, held_out=[2, 3], route="m4", draws=100)  # 6 rungs needed
    assert set(made.rows["held_out"]) == {2}
    with pytest.raises(InputError, match="does not lead to it"):
        unmirage.backtest(records, held_out=1, route="metric", draws=100)


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


def test_below_the_smallest_rung_is_not_inside():
    records = unmirage.read(table(logistic(6)))
    near, far = unmirage.forecast(records, to={"params": [10**5.5, 1.0]}).forecasts
    assert near.distance == pytest.approx(0.5)
    assert near.known
    assert far.distance == pytest.approx(6.0)
    assert not far.known
    said = "\n".join(map(str, to_text(unmirage.forecast(records, to={"params": 10**5.5}))))
    assert "0.5 decades below the rungs" in said
    assert "0.50 below" in to_html(unmirage.forecast(records, to={"params": 10**5.5}))


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_a_score_that_never_moved_tells_nothing_far_away(score):
    records = unmirage.read(table([score] * 6, n=None))
    near, far = unmirage.forecast(records, to={"params": [1e9, 1e13]}).forecasts
    assert np.ptp(near.interval(0.5)) < 1e-9
    assert far.interval(0.95) == (0.0, 1.0)


@pytest.mark.parametrize("loss", [[2.9, 2.8, 2.7, 2.5, 1.9, 1.0, 0.4], [3.0, 2.0, 1.0, 0.2]])
def test_a_loss_never_reaches_0(loss):
    records = unmirage.read(table(loss, metric="cross_entropy", n=None, gap=0.3))
    for f in unmirage.forecast(records, to={"params": [10**8.2, 1e9]}).forecasts:
        assert f.draws.min() > 0
        assert f.median < loss[-1]


def test_a_metric_of_unknown_range_is_told():
    unknown = table(logistic(6), metric="score")
    made = unmirage.forecast(unmirage.read(unknown), to={"params": 1e9})
    (note,) = (n for n in made.notes if n.code == "unknown_range")
    assert "'score'" in note.message
    known = unmirage.forecast(unmirage.read(table(logistic(6))), to={"params": 1e9})
    assert not [n for n in known.notes if n.code == "unknown_range"]


def test_noise_between_rungs_is_a_share_of_the_whole_mixture():
    """The slow way: the variance of many draws of the mixture on its link, with and without it."""
    rng = np.random.default_rng(0)
    grid = process.GRID[rng.choice(len(process.GRID), (1, 50))]
    mean, sd = rng.standard_normal((1, 1, 50)), 0.5 + rng.random((1, 1, 50))
    found = process.Ahead(("identity",), np.zeros((1, 50), int), grid, mean, sd)
    which = rng.integers(0, 50, 400_000)
    noise = grid[0, which, 6] * rng.standard_normal(len(which))
    rest = np.sqrt(np.maximum(sd[0, 0, which] ** 2 - grid[0, which, 6] ** 2, 0))
    whole = mean[0, 0, which] + rest * rng.standard_normal(len(which)) + noise
    assert engine._noise_share(found)[0, 0] == pytest.approx(noise.var() / whole.var(), rel=0.02)


ROUTES = ("process", "power_law", "m4", "logit_line", "combined")


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_tells_the_same_things(records, route):
    """Whole counts, shares of the variance, a fan, and the status of each fit."""
    made = unmirage.forecast(
        records, to={"params": [1e10, 1e14]}, route=route, task="t1", draws=100, fan=True
    )
    near, far = made.forecasts
    assert np.allclose(near.draws * 1000, np.round(near.draws * 1000))
    assert sum(near.why.values()) == pytest.approx(1, abs=0.02)
    assert set(near.status.values()) <= set(STATUS)
    assert set(near.status) <= {*LAWS}
    assert (route in LAWS) == (list(near.status) == [route])
    assert far.fan is not None
    unknown = far.fan.scale > 10 ** (9.5 + 3.5 * (1 + 1e-9))
    assert np.isnan(far.fan.median[unknown]).all()
    assert np.isfinite(far.fan.median[~unknown]).all()
    low, high = far.fan.bands[0.95]
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    assert not far.known
    view = json.loads(made.to_json())["forecasts"][0]
    assert view["status"] == dict(near.status)
    assert made.to_frame()["status"][0] == ", ".join(f"{k}: {v}" for k, v in near.status.items())


def test_what_is_not_known_holds_every_plausible_law(records):
    """The band of one law alone would be narrow: logit_line says almost 1, a power law does not."""
    (curve,) = build(records, Options(task=["t1"])).curves
    at = [np.array([14.0])]
    bands = {}
    for route in ("process", "power_law", "logit_line"):
        (f,) = unmirage.forecast(
            records, to={"params": 1e14}, route=route, task="t1", draws=100
        ).forecasts
        bands[route] = f.widest
        for name in ("logit_line", "power_law", "saturating"):
            (alone,) = single.predict(LAWS[name], [curve], at, draws=39)
            least = min(one.aic for one in _fits(curve, at))
            if alone.aic <= least + 6:
                assert f.widest_expected[0] <= alone.expected.min()
                assert f.widest_expected[1] >= alone.expected.max()
        assert f.widest[0] <= f.widest_expected[0]
        assert f.widest[1] >= f.widest_expected[1]
        assert f.interval(0.95, sampling=False) == f.widest_expected
    assert np.ptp(list(bands.values()), axis=0).max() < 0.1  # the same band by any route


def _fits(curve, at):
    found = [single.predict(LAWS[n], [curve], at, draws=39)[0] for n in LAWS]
    return [f for f in found if f is not None]


def test_laws_say_what_they_cannot_hold_for():
    loss = table(3 - 0.2 * np.arange(7), metric="cross_entropy")
    few = table(logistic(4), task="few")
    both = unmirage.read(pl.concat([loss, few]))
    reasons = {}
    for route in ("log_pass_rate", "m4"):
        made = unmirage.forecast(both, to={"params": 1e10}, route=route, draws=50)
        reasons[route] = [(r.key.metric, r.reason, r.mend) for r in made.refused]
    assert "shares of right items only" in reasons["log_pass_rate"][0][1]
    assert "5 parameters and needs 6 rungs" in reasons["m4"][0][1]


@pytest.mark.parametrize("route", ["process", "combined", "power_law"])
def test_steps_are_told_up_to_the_last(records, route):
    told = []
    unmirage.forecast(
        records, to={"params": 1e10}, route=route, draws=50, fan=True,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[-1][0] == told[-1][1]
    assert [d for d, _ in told] == sorted(d for d, _ in told)


def test_the_sampling_of_items_is_that_of_the_rate_foreseen():
    """From a half to nearly all: the error of the last rung would be far too large."""
    n = 100
    y = np.round(n / (1 + np.exp(-np.linspace(-3, 1, 8)))) / n
    (f,) = unmirage.forecast(
        unmirage.read(table(y, n=n)), to={"params": 10**11.5}, route="logit_line", draws=2000
    ).forecasts
    added = f.draws.var() - f.expected.var()
    binomial = (f.expected * (1 - f.expected)).mean() / n
    assert added == pytest.approx(binomial, rel=0.5)
    assert added < 0.5 * y[-1] * (1 - y[-1]) / n


def test_a_baseline_without_error_leaves_no_skill_to_tell(records):
    flat = unmirage.read(table([0.0] * 6))
    made = unmirage.backtest(flat, held_out=1)
    assert backtest_table(made)[1][-1] == "–"


def test_words_of_number_and_place(records):
    made = unmirage.forecast(records, to={"params": 1e8}, task="t1", draws=50)
    said = "\n".join(map(str, to_text(made)))
    assert said.startswith("1 forecast;")
    assert "inside the range of the rungs" in said
    assert "inside" in to_html(made)
    with pytest.raises(InputError, match="rungs") as seen:
        unmirage.forecast(unmirage.read(table([0.1, 0.2])), to={"params": 1e10})
    assert "--scale" not in str(seen.value)
    assert "audited" not in str(seen.value)


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
