"""What a backtest tells: all groups, what was left out, in text, JSON and page; and its options."""

import io
import json
import re
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

import unmirage
from unmirage.cli import app
from unmirage.report.forecast_page import backtest_html, to_html
from unmirage.report.forecasts import (
    HEADS,
    backtest_json,
    backtest_table,
    backtest_text,
    doubts,
    to_json,
    to_text,
)

from .made import logistic, table

FIELDS = Path(__file__).parents[2] / "docs" / "json.md"


def run(*args):
    return CliRunner().invoke(app, list(map(str, args)))


@pytest.fixture(scope="module")
def made():
    tables = [table(logistic(6, seed=i), task=f"task {i:02}") for i in range(33)]
    tables += [table(logistic(6, seed=40), task="all"), table(logistic(3), task="short")]
    return unmirage.backtest(unmirage.read(pl.concat(tables)), held_out=(1, 2), draws=60)


def shown(parts, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    return console.file.getvalue()


def test_groups_beyond_the_table_are_told(made):
    said = " ".join(shown(backtest_text(made)).split())
    assert "4 more groups: --out FILE.csv has every score" in said
    assert "1 curve left out: fewer than 4 rungs (1)" in said
    assert "4 more groups" in backtest_html(made)
    assert "more group" not in shown(backtest_text(made, "family"))


def test_json_has_every_group_and_a_task_may_be_named_all(made):
    body = json.loads(backtest_json(made))
    groups = body["groups"]
    assert [g["by"] for g in groups[:4]] == ["all", "moves", "held_out", "held_out"]
    assert groups[0]["scores"] == made.rows.height
    tasks = {g["name"]: g for g in groups if g["by"] == "task"}
    assert len(tasks) == 34
    assert tasks["all"]["scores"] == 3
    assert {*groups[0]["coverage"]} == {"0.5", "0.8", "0.9", "0.95"}
    assert {*groups[0]["crps"]} == {"forecast", "last_value", "random_walk", "logit_line"}
    mean = pl.Series([r["crps"] for r in body["rows"] if r["task"] == "all"]).mean()
    assert tasks["all"]["crps"]["forecast"] == pytest.approx(mean)


@pytest.mark.parametrize("by", ["family", "metric", "form", "held_out", "ahead", "settings"])
def test_the_group_asked_for_is_that_of_text_json_and_page(made, by):
    groups = json.loads(backtest_json(made, by))["groups"]
    several = made.rows[by].n_unique() > 1
    assert ("task" in {g["by"] for g in groups}) is False
    assert (by in {g["by"] for g in groups}) is (several or by == "held_out")
    titles = [line[0] for line in backtest_table(made, by)[1:]]
    assert len(titles) == len(groups) == len(set(titles))
    if by == "ahead":
        page = backtest_html(made, by)
        assert all(title in page for title in titles)


@pytest.mark.parametrize("width", [80, 100])
def test_heads_and_columns_are_whole(made, width):
    """A head is on one line, and no line is cut."""
    said = shown(backtest_text(made), width).splitlines()
    (head,) = (line for line in said if "skill" in line and "scores" in line)
    assert re.findall(r"\S+(?: %)?", head) == [
        "scores", "50 %", "80 %", "90 %", "95 %", "CRPS", "last", "walk", "logit", "skill",
    ]  # fmt: skip
    rows = [line for line in said if line.startswith("task ")]
    assert len(rows) == 29  # and the task named all
    for line in [head, *rows]:
        assert len(line.rstrip()) <= width
        assert "…" not in line
    assert all(line.rstrip().endswith(("%", "–")) for line in rows)
    for name in ("last", "walk", "logit", "skill", "CRPS"):
        assert name in HEADS


def test_every_field_of_the_json_is_described(made):
    told = FIELDS.read_text()
    records = unmirage.read(table(logistic(7)))
    forecasts = json.loads(to_json(unmirage.forecast(records, to={"params": 1e10}, draws=60)))
    backtest = json.loads(backtest_json(made))
    for schema in (forecasts["schema"], backtest["schema"]):
        assert schema in told
    words = {*forecasts, *backtest, *forecasts["forecasts"][0], *backtest["groups"][0]}
    words |= {k for k in backtest["rows"][0] if not k.startswith(("low", "high", "crps_"))}
    assert not sorted(w for w in words if f"`{w}`" not in told)


def test_sampling_error_is_told_only_where_there_is_one():
    known, unknown = table(logistic(7), task="a"), table(logistic(7), task="b", n=None)
    for frame, says in (
        (known, "sampling error of as many items as the rungs have"),
        (unknown, "without sampling error: the number of items is not known"),
        (pl.concat([known, unknown]), "of 1 the number of items is not known"),
    ):
        made = unmirage.forecast(unmirage.read(frame), to={"params": 1e10}, draws=60)
        assert says in str(next(iter(to_text(made))))
        assert says in to_html(made)


def test_options_are_refused_before_anything_is_computed(tmp_path, monkeypatch):
    source = tmp_path / "scores.csv"
    source.write_text(table(logistic(8)).write_csv())
    to = ("forecast", source, "--to", "params=1e10")
    page = tmp_path / "x.html"
    monkeypatch.setattr("unmirage.cli.forecasting.load", None)
    for args in (
        (*to, "--out", tmp_path / "x.txt"),
        (*to, "--html", page, "--json", page),
        (*to, "--html", page, "--json", tmp_path / "." / "x.html"),
        ("backtest", source, "--out", tmp_path / "x"),
        ("backtest", source, "--hold-out", "1,,2"),
        ("backtest", source, "--hold-out", ""),
        ("backtest", source, "--hold-out", "9" * 5000),
        ("forecast", source, "--to", "params=1e9,,1e10"),
    ):
        done = run(*args)
        assert done.exit_code == 2, args
        assert "mend:" in done.stderr
        assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_scale_that_is_not_there_is_mended_by_an_option_that_forecast_has(tmp_path):
    source = tmp_path / "scores.csv"
    source.write_text(table(logistic(8)).write_csv())
    done = run("forecast", source, "--to", "tokens=1e10")
    assert done.exit_code == 2
    assert "--to params=X" in done.stderr


def test_the_commands_write_the_group_asked_for(tmp_path):
    source, out = tmp_path / "scores.csv", tmp_path / "b.json"
    both = [table(logistic(6), family="F"), table(logistic(6, seed=1), family="G")]
    source.write_text(pl.concat(both).write_csv())
    page = tmp_path / "b.html"
    done = run(
        "backtest", source, "--group", "family", "--hold-out", "1", "--json", out, "--html", page
    )
    assert done.exit_code == 0, done.output
    groups = json.loads(out.read_text())["groups"]
    assert [g["name"] for g in groups if g["by"] == "family"] == ["F", "G"]
    assert ">G</th>" in page.read_text()


def test_families_whose_intervals_hold_too_little_are_named():
    """A jump that no rung foreshadows, in all tasks at once."""
    scores = [0.02, 0.03, 0.04, 0.05, 0.06, 0.9, 0.92]
    tables = [table([s + k / 1000 for s in scores], task="jump", n=500, seed=k) for k in range(12)]
    made = unmirage.backtest(unmirage.read(pl.concat(tables)), held_out=2, draws=100)
    (doubt,) = doubts(made)
    assert "F / jump: 80 % intervals hold" in doubt
    assert doubt in "\n".join(map(str, backtest_text(made)))
    assert "do not trust" in backtest_html(made)
    calm = [table(logistic(7, seed=k), seed=k) for k in range(12)]
    assert not doubts(unmirage.backtest(unmirage.read(pl.concat(calm)), draws=100))
