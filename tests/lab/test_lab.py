"""The lab's transformer, training and ladders, on models small enough for a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

jax = pytest.importorskip("jax", reason="the lab needs the extra: pip install unmirage[lab]")
pytest.importorskip("optax", reason="the lab needs the extra: pip install unmirage[lab]")

from unmirage.errors import OptionError  # noqa: E402
from unmirage.lab import ladder, model, tasks, train  # noqa: E402
from unmirage.lab.model import Shape  # noqa: E402
from unmirage.lab.recipe import Recipe, Rung  # noqa: E402

TINY = Recipe(steps=30, batch=16, warmup=5)
SHAPES = [
    Shape(vocab=11, prompt=3, target=4, d_model=4),
    Shape(vocab=27, prompt=4, target=5, d_model=8, layers=2),
    Shape(vocab=12, prompt=1, target=1, d_model=6, layers=3, heads=2),
]


def random_params(shape: Shape, seed: int = 0) -> Any:
    """Initial parameters, but with an unembedding that is not zero."""
    params = model.init(jax.random.key(seed), shape)
    unembed = jax.random.normal(jax.random.key(seed + 1), params["unembed"].shape)
    return {**params, "unembed": unembed}


def slow_log_probs(params: Any, tokens: list[int], shape: Shape) -> np.ndarray:
    """The obvious twin: float64, one sequence, one position and one head at a time; (T, V)."""
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), params)

    def norm(v: np.ndarray) -> np.ndarray:
        return v / np.sqrt((v**2).mean() + model.EPSILON)

    d, width = shape.d_model, shape.d_model // shape.heads
    xs = [weights["token"][t] + weights["position"][i] for i, t in enumerate(tokens)]
    for layer in weights["layers"]:
        rows = [norm(x) @ layer["qkv"] for x in xs]
        after = []
        for i, x in enumerate(xs):
            mixed = np.zeros(d)
            for head in range(shape.heads):
                own = slice(head * width, (head + 1) * width)
                scores = [
                    rows[i][:d][own] @ rows[j][d : 2 * d][own] / np.sqrt(width)
                    for j in range(i + 1)
                ]
                shares = np.exp(scores) / np.sum(np.exp(scores))
                for j, share in enumerate(shares):
                    mixed[own] += share * rows[j][2 * d :][own]
            x = x + mixed @ layer["out"]
            after.append(x + np.maximum(norm(x) @ layer["up"], 0.0) @ layer["down"])
        xs = after
    logits = np.array([norm(x) @ weights["unembed"] for x in xs])
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_parameter_count_is_the_number_of_parameters(shape: Shape) -> None:
    params = model.init(jax.random.key(0), shape)
    assert model.count_params(shape) == sum(leaf.size for leaf in jax.tree.leaves(params))
    layers = sum(leaf.size for leaf in jax.tree.leaves(params["layers"]))
    assert model.count_nonembedding(shape) == layers


@pytest.mark.parametrize("shape", SHAPES)
def test_teacher_forced_log_probs_equal_the_slow_twin(shape: Shape) -> None:
    params, rng = random_params(shape), np.random.default_rng(0)
    prompts = rng.integers(0, shape.vocab, (5, shape.prompt))
    targets = rng.integers(0, shape.vocab, (5, shape.target))
    logs, right = train.teacher_forced(params, shape, prompts, targets)
    for i in range(5):
        sequence = [*prompts[i], *targets[i][:-1]]
        slow = slow_log_probs(params, sequence, shape)[shape.prompt - 1 :]
        np.testing.assert_allclose(logs[i], slow[range(shape.target), targets[i]], atol=2e-5)
        assert right[i].tolist() == (slow.argmax(axis=1) == targets[i]).tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_free_running_is_right_just_where_every_teacher_forced_token_is(
    shape: Shape, seed: int
) -> None:
    params, rng = random_params(shape, seed), np.random.default_rng(seed)
    prompts = rng.integers(0, shape.vocab, (64, shape.prompt))
    output = train.generate(params, shape, prompts)
    targets = output.copy()
    spoilt = rng.random(output.shape) < 0.15
    targets[spoilt] = rng.integers(0, shape.vocab, spoilt.sum())
    _, right = train.teacher_forced(params, shape, prompts, targets)
    exact = (output == targets).all(axis=1)
    assert 0 < exact.sum() < 64
    assert exact.tolist() == right.all(axis=1).tolist()


def test_later_tokens_do_not_change_earlier_log_probs() -> None:
    shape = SHAPES[1]
    params, rng = random_params(shape), np.random.default_rng(1)
    tokens = rng.integers(0, shape.vocab, (8, shape.length))
    changed = tokens.copy()
    changed[:, -1] = (changed[:, -1] + 1) % shape.vocab
    before, after = (np.asarray(model.log_probs(params, t, shape)) for t in (tokens, changed))
    assert np.array_equal(before[:, :-1], after[:, :-1])
    assert not np.array_equal(before[:, -1], after[:, -1])


def test_results_do_not_depend_on_the_other_items_asked() -> None:
    shape = SHAPES[0]
    params, rng = random_params(shape), np.random.default_rng(2)
    prompts = rng.integers(0, shape.vocab, (train.CHUNK + 3, shape.prompt))
    all_at_once = train.generate(params, shape, prompts)
    assert np.array_equal(all_at_once[-3:], train.generate(params, shape, prompts[-3:]))


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(OptionError, match="not a multiple"):
        Shape(vocab=10, prompt=2, target=2, d_model=6, heads=4)
    with pytest.raises(OptionError, match="at least 1"):
        Shape(vocab=10, prompt=0, target=2, d_model=4)


def test_a_small_table_is_learnt_by_heart() -> None:
    rung = Rung("recall", 16, 0, Recipe(steps=400, batch=16, warmup=20), items=16)
    task = tasks.make("recall", 0, 16)
    frame = train.run(task, rung)
    found = ladder.summary(frame)
    assert found.exact_match_free == 1.0
    assert found.cross_entropy_teacher < 0.05
    assert frame["output"].to_list() == frame["targets"].list.first().to_list()
    assert frame["tokens"][0] == 400 * 16 * (4 + 5 - 1)
    assert frame["flops"][0] == 6 * frame["params"][0] * frame["tokens"][0]


def test_the_same_rung_gives_the_same_bytes(tmp_path: Path) -> None:
    rung = Rung("multiplication", 4, 1, TINY, items=50)
    task = tasks.make("multiplication", 0, 50)
    for name in ("one", "two"):
        ladder.write(train.run(task, rung), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    other = train.run(task, Rung("multiplication", 4, 2, TINY, items=50))
    first = pl.read_parquet(tmp_path / "one")
    assert other["token_logprobs"].to_list() != first["token_logprobs"].to_list()


def test_a_finished_rung_is_not_trained_again_unless_its_settings_change(tmp_path: Path) -> None:
    said: list[str] = []
    plan = ladder.rungs("recall", (4, 8), (0,), TINY, items=32)
    first = ladder.run(plan, tmp_path, workers=1, say=said.append)
    assert [one.rung for one in first] == plan
    assert not any(one.resumed for one in first)
    assert "recall d8 seed0" in said[0], "the largest rung comes first"
    stamps = [one.path.stat().st_mtime_ns for one in first]

    again = ladder.run(plan, tmp_path, workers=1, say=said.append)
    assert all(one.resumed for one in again)
    assert [one.path.stat().st_mtime_ns for one in again] == stamps
    assert said[-1] == "2 of 2 rungs are there already"
    more = [*plan, Rung("recall", 4, 0, Recipe(steps=31, batch=16, warmup=5), items=32)]
    assert [(tmp_path / rung.file_name()).exists() for rung in more] == [True, True, False]
    frame = ladder.gather(again)
    assert frame["params"].is_sorted()
    assert frame.height == 64


SCRIPT = """
import sys
from pathlib import Path
from unmirage.lab import ladder
from unmirage.lab.recipe import Recipe

if __name__ == "__main__":
    recipe = Recipe(steps=30, batch=16, warmup=5)
    plan = ladder.rungs("recall", range(4, 164, 4), (0,), recipe, items=32)
    ladder.run(plan, Path(sys.argv[1]), workers=1)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a process group")
def test_a_run_killed_half_way_leaves_no_half_written_file(tmp_path: Path) -> None:
    script, folder = tmp_path / "run.py", tmp_path / "rungs"
    script.write_text(SCRIPT)
    job = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    left = list(folder.glob("*.parquet"))
    assert 0 < len(left) < 40
    assert all(pl.read_parquet(path).height == 32 for path in left)
