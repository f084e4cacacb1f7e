"""Inspect runs small models here; we read what it wrote and get its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import unmirage
from tests.clients.conftest import WIDTHS
from unmirage import metrics

EXACT = 1e-6


def said(rungs_log: Path) -> dict[str, dict[str, Any]]:
    """Model -> the score of each scorer, from the headers of JSON logs."""
    found = {}
    for path in sorted(rungs_log.glob("*.json")):
        log = json.loads(path.read_text("utf-8"))
        means = {s["name"]: s["metrics"]["accuracy"]["value"] for s in log["results"]["scores"]}
        found[log["eval"]["model"]] = means
    return found


def reported(samples: pl.DataFrame, task: str, scorer: str | None = None) -> pl.DataFrame:
    """The score of each item and repeat that the tool gave; by one scorer where there are more."""
    here = samples.filter(pl.col("task") == task, pl.col("metric") == "accuracy")
    return here if scorer is None else here.filter(pl.col("filter") == scorer)


def answers(samples: pl.DataFrame, task: str) -> pl.DataFrame:
    return samples.filter(pl.col("task") == task, pl.col("metric").is_null())


def test_epochs_are_repeats_of_an_item(inspect_logs: Path) -> None:
    rows = answers(unmirage.read(inspect_logs).samples, "choices")
    assert rows.height == 24
    assert rows["item"].n_unique() == 12
    assert rows.group_by("item").agg(pl.col("repeat").n_unique())["repeat"].to_list() == [2] * 12
    assert rows["choice_logprobs"].null_count() == rows.height, "Inspect logs none"


def test_generated_answers_are_scored_as_inspect_does(inspect_logs: Path) -> None:
    samples = unmirage.read(inspect_logs).samples
    ours = metrics.score("exact_match", answers(samples, "sums")).mean()
    theirs = reported(samples, "sums", "match")
    assert theirs.height == 20
    assert 0 < ours < 1
    assert ours == pytest.approx(theirs["score"].mean(), abs=EXACT)


def test_choices_have_inspects_scores_and_no_brier_score(inspect_logs: Path) -> None:
    samples = unmirage.read(inspect_logs).samples
    assert reported(samples, "choices").height == 24
    with pytest.raises(unmirage.UnmirageError, match="choice_logprobs"):
        metrics.score("brier", answers(samples, "choices"))


def test_a_family_scores_as_inspect_says_in_its_own_header(inspect_rungs: Path) -> None:
    samples = unmirage.read(inspect_rungs, need_scale=False).samples
    headers = said(inspect_rungs)
    assert len(headers) == len(WIDTHS)
    for model, theirs in headers.items():
        rows = samples.filter(pl.col("model").str.ends_with(model.split("/")[-1]))
        ours = metrics.score("exact_match", answers(rows, "multiplication")).mean()
        assert ours == pytest.approx(theirs["match"], abs=EXACT)
        for name in ("match", "includes"):
            given = reported(rows, "multiplication", name)["score"].mean()
            assert given == pytest.approx(theirs[name], abs=EXACT)
    assert len({m["match"] for m in headers.values()}) > 1


def test_a_family_scores_in_inspect_as_in_the_lab(inspect_rungs: Path, rungs: Path) -> None:
    lab = unmirage.read(rungs / "run").samples
    for model, theirs in said(inspect_rungs).items():
        rows = lab.filter(pl.col("model") == model.split("/")[-1].replace("-", " "))
        last = rows.filter(pl.col("step") == rows["step"].max())
        assert metrics.score("exact_match", last).mean() == pytest.approx(
            theirs["match"], abs=EXACT
        )
