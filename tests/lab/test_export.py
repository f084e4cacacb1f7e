"""A rung as a GPT-2 folder: the files say the same model, by a GPT-2 written out here."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install unmirage[lab]")

from safetensors.numpy import load_file

from unmirage.errors import FileProblem, OptionError
from unmirage.lab import export, ladder
from unmirage.lab.folder import Folder
from unmirage.lab.recipe import Recipe, Rung

RECIPE = Recipe(steps=60, batch=16, layers=2, warmup=5)
OPTIONS = (("digits", "1x2,2x2"), ("items", 40))
RUNG = Rung("multiplication", 8, 3, RECIPE, OPTIONS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    made = Folder(folder)
    with made.locked():
        made.plan([RUNG])
    ladder.train_rung(RUNG, made)
    return folder


@pytest.fixture(scope="module")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.export(run, "d8 seed3", tmp_path_factory.mktemp("out") / "d8-seed3")


def gpt2(folder: Path, ids: list[int]) -> np.ndarray:
    """Log-probabilities (T, V) of a GPT-2 as its paper and its file format define it, float64."""
    config = json.loads((folder / "config.json").read_text())
    w = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()}
    assert config["activation_function"] == "relu"
    t, heads = len(ids), config["n_head"]
    size = config["n_embd"] // heads

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(
            centred.var(axis=-1, keepdims=True) + config["layer_norm_epsilon"]
        )
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:  # Conv1D: (in, out)
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][:t]
    for i in range(config["n_layer"]):
        here = f"transformer.h.{i}"
        q, k, v = np.split(dense(norm(x, f"{here}.ln_1"), f"{here}.attn.c_attn"), 3, axis=-1)
        mixed = np.zeros_like(q)
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            scores = q[:, own] @ k[:, own].T / math.sqrt(size)
            scores[np.triu_indices(t, 1)] = -np.inf
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            mixed[:, own] = shares / shares.sum(axis=1, keepdims=True) @ v[:, own]
        x = x + dense(mixed, f"{here}.attn.c_proj")
        up = np.maximum(dense(norm(x, f"{here}.ln_2"), f"{here}.mlp.c_fc"), 0.0)
        x = x + dense(up, f"{here}.mlp.c_proj")
    logits = norm(x, "transformer.ln_f") @ w["lm_head.weight"].T
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def tokenise(folder: Path, text: str) -> list[int]:
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return [vocab[c] for c in text]


def test_the_exported_model_gives_the_log_probabilities_of_the_records(
    run: Path, written: Path
) -> None:
    frame = pl.read_parquet(Folder(run).records(RUNG))
    for row in frame.sample(30, seed=0).iter_rows(named=True):
        ids = tokenise(written, row["prompt"] + row["targets"][0])
        logs = gpt2(written, ids[:-1])[len(row["prompt"]) - 1 :]
        wanted = [logs[i, token] for i, token in enumerate(ids[len(row["prompt"]) :])]
        assert row["token_logprobs"] == pytest.approx(wanted, abs=2e-4)


def test_the_items_are_those_of_the_records(run: Path, written: Path) -> None:
    frame = pl.read_parquet(Folder(run).records(RUNG))
    for name, part in (("1x2", "1x2 digits"), ("2x2", "2x2 digits")):
        path = written / "lm_eval" / f"unmirage_multiplication_{name}.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        mine = frame.filter(pl.col("subtask") == part)
        assert [line["prompt"] for line in lines] == mine["prompt"].to_list()
        assert [line["target"] for line in lines] == mine["targets"].list.first().to_list()
        for kind, length in (("loglikelihood", None), ("generate_until", int(part[0]) + 2)):
            stem = f"unmirage_multiplication_{name}_{kind}"
            task = json.loads((written / "lm_eval" / f"{stem}.yaml").read_text())
            assert task["task"] == stem
            assert task["dataset_kwargs"]["data_files"]["test"] == str(path)
            if length:
                assert task["generation_kwargs"]["max_gen_toks"] == length


def test_a_finished_folder_and_nothing_half_written(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export.export(run, "d8 seed3", out)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    with pytest.raises(OptionError, match="is there already"):
        export.export(run, "d8 seed3", out)


def test_what_cannot_be_exported_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="models: d8 seed3"):
        export.export(run, "d9 seed3", tmp_path / "a")
    with pytest.raises(FileProblem, match="no run of the lab"):
        export.export(tmp_path, "d8 seed3", tmp_path / "a")
    for rung in (Rung("icl-labels", 4, 0, RECIPE), Rung("recall", 4, 0, RECIPE)):
        folder = Folder(tmp_path / rung.task)
        with folder.locked():
            folder.plan([rung])
    with pytest.raises(OptionError, match="no language model"):
        export.export(tmp_path / "icl-labels", "d4 seed0", tmp_path / "a")
    with pytest.raises(OptionError, match="no weights of its last step"):
        export.export(tmp_path / "recall", "d4 seed0", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_an_export_to_here_and_weights_that_are_gone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = export.export(copy, "d8 seed3", ".")
    assert (made / "config.json").exists()
    for weights in (copy / ".lab" / "models").rglob("*.safetensors"):
        weights.unlink()
    with pytest.raises(OptionError, match="no weights") as caught:
        export.export(copy, "d8 seed3", tmp_path / "b")
    assert f"remove {Folder(copy).records(RUNG)}" in str(caught.value)
