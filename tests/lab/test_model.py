"""The transformer against a slow twin: one position and one head at a time, in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.small import OPTIONS, rung  # noqa: E402
from unmirage.errors import OptionError  # noqa: E402
from unmirage.lab import engine, model, objective, rows, tasks  # noqa: E402
from unmirage.lab.model import Shape  # noqa: E402

TOKENS = [
    Shape(vocab=11, prompt=3, target=4, d_model=4),
    Shape(vocab=27, prompt=4, target=5, d_model=8, layers=2),
    Shape(vocab=12, prompt=1, target=1, d_model=6, layers=3, heads=2),
]
LABEL = Shape(vocab=5, prompt=7, target=1, d_model=8, layers=2, heads=2, features=9)
NUMBER = Shape(vocab=1, prompt=1, target=9, d_model=8, layers=2, heads=2, features=4)
EVERY = [*TOKENS, LABEL, NUMBER]
IDS = ["one layer", "two layers", "three layers", "labels", "numbers"]


def random_params(shape: Shape, seed: int = 0) -> Any:
    """Parameters of the sizes of that shape, none of them 0 as the unembedding is at the start."""
    like = jax.eval_shape(partial(model.init, shape=shape), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: (rng.standard_normal(x.shape) / np.sqrt(x.shape[0]) + 0.05).astype(np.float32),
        like,
    )


def random_inputs(shape: Shape, count: int, seed: int = 0) -> np.ndarray:
    """Token ids with all targets (B, P + L), or numbers (B, T, F)."""
    rng = np.random.default_rng(seed)
    if shape.features:
        return rng.standard_normal((count, shape.length, shape.features)).astype(np.float32)
    return rng.integers(0, shape.vocab, (count, shape.length + 1))


def slow_logits(params: Any, inputs: np.ndarray, shape: Shape) -> np.ndarray:
    """Outputs at every position of one sequence, (T, V)."""
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), params)

    def norm(v: np.ndarray) -> np.ndarray:
        centred = v - v.mean()
        return centred / np.sqrt((centred**2).mean() + model.EPSILON)

    def read(token: Any) -> np.ndarray:
        return token @ weights["token"] if shape.features else weights["token"][token]

    d, width = shape.d_model, shape.d_model // shape.heads
    xs = [read(token) + weights["position"][i] for i, token in enumerate(inputs)]
    for layer in weights["layers"]:
        mixed = [norm(x) @ layer["qkv"] for x in xs]
        after = []
        for i, x in enumerate(xs):
            found = np.zeros(d)
            for head in range(shape.heads):
                own = slice(head * width, (head + 1) * width)
                scores = [
                    mixed[i][:d][own] @ mixed[j][d : 2 * d][own] / np.sqrt(width)
                    for j in range(i + 1)
                ]
                shares = np.exp(scores) / np.sum(np.exp(scores))
                for j, share in enumerate(shares):
                    found[own] += share * mixed[j][2 * d :][own]
            x = x + found @ layer["out"]
            after.append(x + np.maximum(norm(x) @ layer["up"], 0.0) @ layer["down"])
        xs = after
    return np.array([norm(x) @ weights["unembed"] for x in xs])


def slow_log_probs(params: Any, inputs: np.ndarray, shape: Shape) -> np.ndarray:
    logits = slow_logits(params, inputs, shape)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("shape", EVERY, ids=IDS)
def test_the_parameter_count_is_the_number_of_parameters(shape: Shape) -> None:
    params = random_params(shape)
    assert model.count_params(shape) == sum(leaf.size for leaf in jax.tree.leaves(params))
    layers = sum(leaf.size for leaf in jax.tree.leaves(params["layers"]))
    assert model.count_nonembedding(shape) == layers


def test_a_model_starts_without_an_opinion_and_from_its_seed_alone() -> None:
    shape = engine.shape_of(tasks.make("recall", 0, OPTIONS["recall"]), rung())
    one, again, other = (model.init(jax.random.key(seed), shape) for seed in (1, 1, 2))
    assert not one["unembed"].any()
    for name in ("token", "position"):
        assert np.array_equal(one[name], again[name])
        assert not np.array_equal(one[name], other[name])
    up = np.asarray(one["layers"][0]["up"])
    assert not np.array_equal(up[:, :16], up[:, 16:32])
    np.testing.assert_allclose(up.std(), 1 / 4, rtol=0.1)
    sequences = random_inputs(shape, 3)
    logs, _ = rows.teacher_forced(one, shape, sequences)
    np.testing.assert_allclose(logs, -np.log(shape.vocab), rtol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"d_model": 6}, "not a multiple of 4 heads"),
        ({"prompt": 0}, "at least 1"),
        ({"target": 0}, "at least 1"),
        ({"layers": 0}, "at least 1"),
        ({"heads": 0}, "at least 1"),
        ({"vocab": 0}, "at least 1"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(sizes: dict[str, int], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Shape(**{"vocab": 10, "prompt": 2, "target": 2, "d_model": 4, **sizes})


# ---------------------------------------------------------------- the slow twin


@pytest.mark.parametrize("shape", TOKENS, ids=IDS[:3])
def test_teacher_forced_log_probs_equal_the_slow_twin(shape: Shape) -> None:
    params, sequences = random_params(shape), random_inputs(shape, 5)
    logs, right = rows.teacher_forced(params, shape, sequences)
    assert logs.shape == right.shape == (5, shape.target)
    for i, sequence in enumerate(sequences):
        slow = slow_log_probs(params, sequence[:-1], shape)[shape.prompt - 1 :]
        targets = sequence[shape.prompt :]
        np.testing.assert_allclose(logs[i], slow[range(shape.target), targets], atol=2e-5)
        assert right[i].tolist() == (slow.argmax(axis=1) == targets).tolist()


def test_label_log_probs_equal_the_slow_twin() -> None:
    params, inputs = random_params(LABEL), random_inputs(LABEL, 4)
    logs = objective.label_log_probs(params, inputs, LABEL)
    for i in range(4):
        slow = slow_log_probs(params, inputs[i], LABEL)[-1]
        np.testing.assert_allclose(logs[i], slow, atol=2e-5)


def test_predicted_numbers_equal_the_slow_twin() -> None:
    params, inputs = random_params(NUMBER), random_inputs(NUMBER, 4)
    found = objective.numbers(params, inputs, NUMBER)
    assert found.shape == (4, 5)
    for i in range(4):
        slow = slow_logits(params, inputs[i], NUMBER)[::2, 0]
        np.testing.assert_allclose(found[i], slow, atol=2e-5)


# ---------------------------------------------------------------- free-running and teacher-forced


@pytest.mark.parametrize("seed", range(4))
def test_free_running_is_right_just_where_every_teacher_forced_token_is(seed: int) -> None:
    shape = TOKENS[0]
    params, rng = random_params(shape, seed), np.random.default_rng(seed)
    prompts = rng.integers(0, shape.vocab, (64, shape.prompt))
    output = rows.generate(params, shape, prompts)
    targets = output.copy()
    spoilt = rng.random(output.shape) < 0.15
    targets[spoilt] = rng.integers(0, shape.vocab, spoilt.sum())
    _, right = rows.teacher_forced(params, shape, np.hstack([prompts, targets]))
    exact = (output == targets).all(axis=1)
    assert 0 < exact.sum() < 64
    assert exact.tolist() == right.all(axis=1).tolist()


def test_what_is_generated_is_the_likeliest_token_after_what_was_generated() -> None:
    shape = TOKENS[0]
    params, prompts = random_params(shape), random_inputs(shape, 6)[:, : shape.prompt]
    for prompt, output in zip(prompts, rows.generate(params, shape, prompts), strict=True):
        said = list(prompt)
        for token in output:
            assert slow_logits(params, np.array(said), shape)[-1].argmax() == token
            said.append(token)


# ---------------------------------------------------------------- causality


def test_later_tokens_do_not_change_earlier_log_probs() -> None:
    shape = TOKENS[1]
    params, before = random_params(shape), random_inputs(shape, 8)
    for place in range(shape.prompt, shape.length):
        after = before.copy()
        after[:, place] = (after[:, place] + 1) % shape.vocab
        one, _ = rows.teacher_forced(params, shape, before)
        two, _ = rows.teacher_forced(params, shape, after)
        until = place - shape.prompt
        assert np.array_equal(one[:, :until], two[:, :until])
        assert (one[:, until + 1 :] != two[:, until + 1 :]).all()


def test_every_token_of_the_prompt_matters() -> None:
    shape = TOKENS[1]
    params, before = random_params(shape), random_inputs(shape, 8)
    one, _ = rows.teacher_forced(params, shape, before)
    for place in range(shape.prompt):
        after = before.copy()
        after[:, place] = (after[:, place] + 1) % shape.vocab
        assert (rows.teacher_forced(params, shape, after)[0] != one).all()


def test_later_examples_do_not_change_earlier_predictions() -> None:
    params, before = random_params(NUMBER), random_inputs(NUMBER, 4)
    one = np.asarray(objective.numbers(params, before, NUMBER))
    for place in range(NUMBER.length):
        after = before.copy()
        after[:, place] += 1
        two = np.asarray(objective.numbers(params, after, NUMBER))
        seen = np.arange(0, NUMBER.length, 2) >= place
        assert np.array_equal(one[:, ~seen], two[:, ~seen])
        assert (one[:, seen] != two[:, seen]).all()


def test_results_do_not_depend_on_the_other_items_asked() -> None:
    shape = TOKENS[0]
    params, sequences = random_params(shape), random_inputs(shape, rows.CHUNK + 3)
    logs, right = rows.teacher_forced(params, shape, sequences)
    assert logs.shape == (rows.CHUNK + 3, shape.target)
    few_logs, few_right = rows.teacher_forced(params, shape, sequences[-3:])
    assert np.array_equal(logs[-3:], few_logs)
    assert np.array_equal(right[-3:], few_right)
    prompts = sequences[:, : shape.prompt]
    output = rows.generate(params, shape, prompts)
    assert np.array_equal(output[-3:], rows.generate(params, shape, prompts[-3:]))


# ---------------------------------------------------------------- what is minimised


def loss(name: str, params: Any, batch: Any, shape: Shape) -> float:
    return float(jax.jit(objective.LOSSES[name], static_argnums=2)(params, batch, shape))


def test_the_loss_of_tokens_is_their_mean_and_fillers_do_not_count() -> None:
    shape = TOKENS[0]
    params, sequences = random_params(shape), random_inputs(shape, 6)
    logs, _ = rows.teacher_forced(params, shape, sequences)
    found = loss("tokens", params, {"sequences": sequences}, shape)
    np.testing.assert_allclose(found, -logs.mean(), rtol=1e-5)
    lengths = np.array([1, 2, 3, 4, 1, 2])
    real = [log for row, n in zip(logs, lengths, strict=True) for log in row[:n]]
    with_lengths = {"sequences": sequences, "lengths": lengths}
    np.testing.assert_allclose(
        loss("tokens", params, with_lengths, shape), -np.mean(real), rtol=1e-5
    )


def test_the_loss_of_labels_is_the_mean_at_the_question() -> None:
    params, inputs, label = random_params(LABEL), random_inputs(LABEL, 5), np.array([0, 4, 1, 2, 0])
    logs = np.asarray(objective.label_log_probs(params, inputs, LABEL))
    found = loss("labels", params, {"inputs": inputs, "label": label}, LABEL)
    np.testing.assert_allclose(found, -logs[range(5), label].mean(), rtol=1e-5)


def test_the_loss_of_numbers_is_the_mean_squared_error_of_all_questions() -> None:
    params, inputs = random_params(NUMBER), random_inputs(NUMBER, 5)
    values = np.random.default_rng(1).standard_normal((5, 5)).astype(np.float32)
    guess = np.asarray(objective.numbers(params, inputs, NUMBER))
    found = loss("numbers", params, {"inputs": inputs, "values": values}, NUMBER)
    np.testing.assert_allclose(found, ((guess - values) ** 2).mean(), rtol=1e-5)
