"""lm-evaluation-harness runs small models here; we read what it wrote and get its scores."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unmirage
from tests.clients.conftest import LAB_TASK, WIDTHS
from unmirage import metrics

EXACT = 1e-6


def answers(samples: pl.DataFrame, task: str, kept: str = "none") -> pl.DataFrame:
    """The rows that hold what the model answered."""
    here = (pl.col("task") == task) & (pl.col("filter") == kept) & pl.col("metric").is_null()
    return samples.filter(here)


def said(log: Path, task: str) -> dict[str, Any]:
    """The scores in the harness' own results."""
    [results] = log.rglob("results_*.json")
    found: dict[str, Any] = json.loads(results.read_text())["results"][task]
    return found


def test_generation_under_two_filters_is_scored_as_the_harness_does(lm_eval_logs: Path) -> None:
    samples = unmirage.read(lm_eval_logs).samples
    for kept in ("line", "number"):
        rows = answers(samples, "local_sums", kept)
        assert rows.height == 24
        assert rows["shots"].unique().to_list() == [2]
        ours = metrics.score("exact_match", rows).mean()
        theirs = said(lm_eval_logs, "local_sums")[f"exact_match,{kept}"]
        assert 0 < theirs < 1
        assert ours == pytest.approx(theirs, abs=EXACT)


def test_choices_are_scored_as_the_harness_does(lm_eval_logs: Path) -> None:
    rows = answers(unmirage.read(lm_eval_logs).samples, "local_capitals")
    theirs = said(lm_eval_logs, "local_capitals")
    assert rows.height == 20
    assert 0 < theirs["acc,none"] < 1
    pairs = (("accuracy", "acc"), ("accuracy_norm", "acc_norm"), ("brier", "brier_score"))
    for ours, name in pairs:
        assert metrics.score(ours, rows).mean() == pytest.approx(theirs[f"{name},none"], abs=EXACT)


def test_each_item_has_the_score_that_the_harness_gave_it(lm_eval_logs: Path) -> None:
    samples = unmirage.read(lm_eval_logs).samples
    rows = answers(samples, "local_capitals").sort("row")
    for ours, name in (("accuracy", "acc"), ("accuracy_norm", "acc_norm")):
        here = (pl.col("task") == "local_capitals") & (pl.col("metric") == name)
        given = samples.filter(here).sort("row")
        assert given["item"].to_list() == rows["item"].to_list()
        assert metrics.score(ours, rows).tolist() == pytest.approx(given["score"].to_list())


def test_likelihoods_give_the_perplexity_that_the_harness_reports(lm_eval_logs: Path) -> None:
    samples = unmirage.read(lm_eval_logs).samples
    rows = samples.filter(pl.col("task") == "local_endings", pl.col("metric") == "log_likelihood")
    theirs = said(lm_eval_logs, "local_endings")
    ours = math.exp(-np.mean(rows["score"].to_numpy()))
    assert ours == pytest.approx(theirs["perplexity,none"], rel=EXACT)
    right = samples.filter(pl.col("task") == "local_endings", pl.col("metric") == "acc")
    assert right["score"].mean() == pytest.approx(theirs["acc,none"], abs=EXACT)


def test_the_model_and_its_size_are_those_of_the_run(lm_eval_logs: Path) -> None:
    samples = unmirage.read(lm_eval_logs).samples
    assert samples["params"].unique().to_list() == [134_515_008]
    assert samples["model"].unique().to_list() == ["smollm2"]


# ---------------------------------------------------------------- a family of our own


def lab_records(rungs: Path, width: int) -> pl.DataFrame:
    """What the lab itself recorded of a rung at its last step."""
    found = unmirage.read(rungs / "run").samples.filter(pl.col("model") == f"d{width} seed0")
    return found.filter(pl.col("step") == found["step"].max()).sort("row")


def test_an_exported_rung_scores_in_the_harness_as_in_the_lab(
    lm_eval_rungs: Path, rungs: Path
) -> None:
    read = unmirage.read(lm_eval_rungs).samples
    for width in WIDTHS:
        ours = lab_records(rungs, width)
        exact = (ours["output"] == ours["targets"].list.first()).mean()
        rows = read.filter(pl.col("model").str.ends_with(f"d{width}-seed0"))
        generated = answers(rows, f"{LAB_TASK}_generate_until")
        assert metrics.score("exact_match", generated).mean() == pytest.approx(exact, abs=EXACT)
        theirs = rows.filter(pl.col("metric") == "log_likelihood").sort("row")["score"]
        summed = ours["token_logprobs"].list.sum().to_list()
        # two programs in 32-bit floats
        assert theirs.to_list() == pytest.approx(summed, abs=1e-3)


def test_the_family_is_audited_from_the_harness_log_as_from_the_lab(
    lm_eval_rungs: Path, rungs: Path
) -> None:
    theirs = unmirage.audit(unmirage.read(lm_eval_rungs), metric=["exact_match"], draws=100)
    ours = unmirage.audit(unmirage.read(rungs / "run"), metric=["exact_match"], draws=100)
    [their_curve] = [j.curve for j in theirs.judgements if "generate" in j.key.task]
    [our_curve] = [j.curve for j in ours.judgements]
    assert their_curve.score.tolist() == pytest.approx(our_curve.score.tolist(), abs=EXACT)
