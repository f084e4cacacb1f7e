"""The real lm-evaluation-harness runs exported rungs and its log gives our scores: make harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("jax", reason="needs the extra: pip install unmirage[lab]")
for _name in ("lm_eval", "torch", "transformers"):
    pytest.importorskip(_name, reason="needs the extra harness: make harness")

import unmirage  # noqa: E402
from unmirage.lab import export, ladder  # noqa: E402
from unmirage.lab.folder import Folder  # noqa: E402
from unmirage.lab.recipe import Recipe, Rung  # noqa: E402

RECIPE = Recipe(steps=400, batch=64, layers=2)
RUNGS = [Rung("multiplication", d, 0, RECIPE, (("items", 120),)) for d in (4, 8, 16, 32)]
TASK = "unmirage_multiplication"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The run's folder, and that of the harness's logs of all its rungs."""
    top = tmp_path_factory.mktemp("harness")
    folder = Folder(top / "run")
    with folder.locked():
        folder.plan(RUNGS)
    for rung in RUNGS:
        ladder.train_rung(rung, folder)
        out = export.export(folder.path, rung.name, top / rung.name.replace(" ", "-"))
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(top / "hf")}
        subprocess.run(
            [sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu",
             "--model_args", f"pretrained={out}", "--include_path", str(out / "lm_eval"),
             "--tasks", f"{TASK}_loglikelihood,{TASK}_generate_until", "--batch_size", "60",
             "--log_samples", "--output_path", str(top / "log")],
            check=True, env={**os.environ, **offline}, timeout=600,
        )  # fmt: skip
    return folder.path, top / "log"


def test_the_harness_scores_as_we_do(logs: tuple[Path, Path]) -> None:
    run, log = logs
    for rung in RUNGS:
        ours = pl.read_parquet(Folder(run).records(rung)).filter(pl.col("step") == RECIPE.steps)
        exact = (ours["output"] == ours["targets"].list.first()).mean()
        [results] = log.glob(f"*{rung.name.replace(' ', '-')}*/results_*.json")
        said = json.loads(results.read_text())["results"]
        assert said[f"{TASK}_generate_until"]["exact_match,none"] == pytest.approx(exact, abs=1e-9)
        assert said[f"{TASK}_loglikelihood"]["acc,none"] == pytest.approx(exact, abs=1e-9)


def test_its_log_is_read_and_gives_the_log_probabilities_of_our_records(
    logs: tuple[Path, Path],
) -> None:
    run, log = logs
    read = unmirage.read(log).samples
    for rung in RUNGS:
        mine = read.filter(pl.col("model").str.ends_with(rung.name.replace(" ", "-")))
        theirs = mine.filter(pl.col("metric") == "log_likelihood").sort("row")["score"]
        ours = pl.read_parquet(Folder(run).records(rung)).filter(pl.col("step") == RECIPE.steps)
        summed = ours["token_logprobs"].list.sum()
        assert theirs.to_list() == pytest.approx(summed.to_list(), abs=1e-3)


def test_its_log_is_audited_and_the_curve_is_ours(logs: tuple[Path, Path]) -> None:
    run, log = logs
    theirs = unmirage.audit(unmirage.read(log), metric=["exact_match"], draws=100)
    ours = unmirage.audit(unmirage.read(run), metric=["exact_match"], draws=100)
    [their_curve] = [j.curve for j in theirs.judgements if "generate" in j.key.task]
    [our_curve] = [j.curve for j in ours.judgements]
    assert their_curve.score.tolist() == pytest.approx(our_curve.score.tolist(), abs=1e-9)
