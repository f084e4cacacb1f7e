"""Forecasts in parameters and tokens at once, from records and by the command."""

import json
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import unmirage
from unmirage import cli
from unmirage.errors import ColumnError, InputError, OptionError
from unmirage.report.forecast_page import to_html

TARGET = {"params": 1e10, "tokens": 1e11}


def nats(n, d):
    return 0.5 + 1.2 * (n / 1e8) ** -0.35 + 0.8 * (d / 2e9) ** -0.4


def ladder(metric="loss", noise=0.003, seed=0, **more):
    rng = np.random.default_rng(seed)
    rows = []
    for n in (1e8, 3e8, 1e9, 3e9):
        for m, d in enumerate((2e9, 8e9, 3e10)):
            loss = nats(n, d) * (1 + noise * rng.standard_normal())
            score = loss if metric == "loss" else rng.binomial(2000, np.exp(-loss)) / 2000
            rows.append({"family": "F", "model": f"{n:g}-{m}", "params": n, "tokens": d,
                         "task": "toy", "metric": metric, "score": score, "multiple": m,
                         "n_samples": None if metric == "loss" else 2000.0})  # fmt: skip
    return pl.DataFrame(rows).with_columns(**{k: pl.lit(v) for k, v in more.items()})


@pytest.mark.parametrize("metric", ["loss", "exact_match"])
def test_the_truth_is_found_in_both_scales(metric):
    (f,) = unmirage.forecast(unmirage.read(ladder(metric)), to=TARGET, fan=True).forecasts
    truth = nats(1e10, 1e11)
    truth = truth if metric == "loss" else np.exp(-truth)
    low, high = f.interval(0.95)
    assert low < truth < high
    assert high - low < 0.25
    assert f.place == pytest.approx(TARGET)
    assert f.at == pytest.approx(6e21)
    assert f.distance == pytest.approx(np.log10(1e10 / 3e9))
    assert f.known
    assert f.fan is not None
    assert f.fan.scale[-1] == pytest.approx(6e21)
    assert f.curve.scale.tolist() == sorted(f.curve.scale)


def test_one_curve_although_a_column_names_the_training():
    made = unmirage.forecast(unmirage.read(ladder(run="x")), to=TARGET)
    assert "multiple" not in dict(made.forecasts[0].key.settings)
    split = unmirage.read(ladder().with_columns(multiple=pl.int_range(12) % 2))
    with pytest.raises(InputError, match="models, "):
        unmirage.forecast(split, to=TARGET)


def test_too_far_on_one_axis_is_not_known():
    far = {"params": 1e10, "tokens": 1e15}
    (f,) = unmirage.forecast(unmirage.read(ladder()), to=far).forecasts
    assert not f.known
    assert f.distance == pytest.approx(np.log10(1e15 / 3e10))
    assert f.interval(0.95) == f.widest


@given(st.sampled_from([1e-9, 1e-6, 1e3]), st.sampled_from([1e-9, 1e6]))
@settings(max_examples=4, deadline=None)
def test_units_do_not_matter(a, b):
    one = unmirage.forecast(unmirage.read(ladder()), to=TARGET, draws=60).forecasts[0]
    table = ladder().with_columns(pl.col("params") * a, pl.col("tokens") * b)
    to = {"params": 1e10 * a, "tokens": 1e11 * b}
    other = unmirage.forecast(unmirage.read(table), to=to, draws=60).forecasts[0]
    assert other.draws == pytest.approx(one.draws, rel=1e-6)


def test_the_order_of_rows_does_not_matter():
    made = [
        unmirage.forecast(unmirage.read(t), to=TARGET, draws=60).forecasts[0].draws
        for t in (ladder(), ladder().sort("tokens", "params", descending=True))
    ]
    assert made[0] == pytest.approx(made[1])


def test_the_metric_is_reached_by_its_companion():
    both = pl.concat([ladder("exact_match"), ladder("cross_entropy", noise=0.001)])
    for route in ("metric", "two_step"):
        (f,) = unmirage.forecast(
            unmirage.read(both), to=TARGET, route=route, metric="exact_match"
        ).forecasts
        low, high = f.interval(0.95)
        assert low < np.exp(-nats(1e10, 1e11)) < high
        assert f.route == route


@pytest.mark.parametrize(
    ("to", "problem", "match"),
    [
        ({"params": 1e10, "flops": 1e21}, OptionError, "params and tokens"),
        ({"params": [1e10, 2e10], "tokens": 1e11}, OptionError, "do not pair"),
        ({"params": 1e10, "tokens": 0}, OptionError, "above 0"),
    ],
)
def test_targets_that_cannot_be_are_refused(to, problem, match):
    with pytest.raises(problem, match=match):
        unmirage.forecast(unmirage.read(ladder()), to=to)


def test_ladders_of_one_scale_say_so():
    with pytest.raises(ColumnError, match="both params and tokens"):
        unmirage.forecast(unmirage.read(ladder().drop("tokens")), to=TARGET)
    one = ladder().filter(pl.col("tokens") == 2e9)
    with pytest.raises(InputError, match="1 numbers of tokens"):
        unmirage.forecast(unmirage.read(one), to=TARGET)
    with pytest.raises(OptionError, match="knows one scale"):
        unmirage.forecast(unmirage.read(ladder()), to=TARGET, route="m4")


def test_rows_without_a_scale_are_counted():
    table = ladder().with_columns(tokens=pl.when(pl.int_range(12) > 0).then(pl.col("tokens")))
    made = unmirage.forecast(unmirage.read(table), to=TARGET)
    (note,) = (n for n in made.notes if n.code == "no_scale")
    assert note.count == 1
    assert len(made.forecasts[0].curve.scale) == 11


def test_by_the_command(tmp_path):
    path = tmp_path / "scores.csv"
    ladder().write_csv(path)
    for to in (["--to", "params=1e10,tokens=1e11"], ["--to", "params=1e10", "--to", "tokens=1e11"]):
        done = CliRunner(env={"COLUMNS": "100"}).invoke(
            cli.app,
            ["forecast", str(path), *to, "--json", str(tmp_path / "f.json"), "--draws", "60",
             "--html", str(tmp_path / "f.html"), "--out", str(tmp_path / "f.csv")],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert re.search("10B params and 100B tokens", done.output)
    (told,) = json.loads((tmp_path / "f.json").read_text())["forecasts"]
    assert told["place"] == TARGET
    assert pl.read_csv(tmp_path / "f.csv")["at_tokens"].to_list() == [1e11]
    assert "100B tokens" in (tmp_path / "f.html").read_text()


def test_the_same_seed_gives_the_same_bytes():
    made = [unmirage.forecast(unmirage.read(ladder()), to=TARGET, fan=True, seed=2) for _ in "ab"]
    assert made[0].to_json() == made[1].to_json()
    assert to_html(made[0]) == to_html(made[1])
