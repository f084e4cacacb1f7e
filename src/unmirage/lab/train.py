"""One rung of a ladder: train a model on a task, evaluate it, write one row per test item.

Axes: S test items, P prompt tokens, L target tokens, T = P + L - 1 input positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
from numpy.typing import NDArray

from unmirage.lab import model
from unmirage.lab.model import Array, Params, Shape
from unmirage.lab.recipe import Recipe, Rung
from unmirage.lab.tasks import Ints, Task, batches

CHUNK = 512  # test items evaluated at once; fixed, so that results do not depend on memory


def shape_of(task: Task, rung: Rung) -> Shape:
    """The model's sizes for this task and rung."""
    return Shape(
        vocab=len(task.vocab),
        prompt=task.prompts.shape[1],
        target=task.targets.shape[1],
        d_model=rung.d_model,
        layers=rung.recipe.layers,
        heads=rung.recipe.heads,
    )


def optimiser(recipe: Recipe, d_model: int) -> optax.GradientTransformation:
    """Adam; the rate rises linearly over ``warmup`` steps and falls linearly to 0.

    The peak is ``rate * min(1, (16 / D)^rate_power)``.
    """
    peak = recipe.rate * min(1.0, (16 / d_model) ** recipe.rate_power)
    rise = optax.linear_schedule(0.0, peak, recipe.warmup)
    fall = optax.linear_schedule(peak, 0.0, max(recipe.steps - recipe.warmup, 1))
    return optax.adam(optax.join_schedules([rise, fall], [recipe.warmup]))


def target_log_probs(params: Params, sequences: Array, shape: Shape) -> Array:
    """log p of each target token given the true tokens before it: (B, P + L) -> (B, L), nats."""
    spread = model.log_probs(params, sequences[:, :-1], shape)
    return jnp.take_along_axis(spread, sequences[:, shape.prompt :, None], axis=-1)[..., 0]


@partial(jax.jit, static_argnames=("shape", "recipe"), donate_argnames=("state",))
def _steps(state: Any, table: Array, order: Array, shape: Shape, recipe: Recipe) -> Any:
    """All training steps in one compiled loop: order (steps, batch) indexes table (N, P + L).

    ``state`` is (parameters, Adam's moments) and is given away: its memory is used again. Returns
    the new state and the loss of every step, (steps,).
    """
    adam = optimiser(recipe, shape.d_model)

    def loss(params: Params, sequences: Array) -> Array:
        return -jnp.mean(target_log_probs(params, sequences, shape))

    def step(state: Any, picked: Array) -> Any:
        params, moments = state
        value, slope = jax.value_and_grad(loss)(params, table[picked])
        change, moments = adam.update(slope, moments, params)
        return (optax.apply_updates(params, change), moments), value

    return jax.lax.scan(step, state, order)


def train(task: Task, rung: Rung) -> Params:
    """Train from random parameters (the rung's seed) by the mean cross-entropy of the target."""
    shape, recipe = shape_of(task, rung), rung.recipe
    params = model.init(jax.random.key(rung.seed), shape)
    table = jnp.asarray(np.hstack([task.prompts, task.targets]), dtype=jnp.int32)
    order = jnp.asarray(batches(task, recipe.steps, recipe.batch), dtype=jnp.int32)
    start = (params, optimiser(recipe, shape.d_model).init(params))
    end: tuple[tuple[Params, Any], Array] = _steps(start, table, order, shape, recipe)
    return end[0][0]


@partial(jax.jit, static_argnames="shape")
def _teacher(params: Params, sequences: Array, shape: Shape) -> tuple[Array, Array]:
    spread = model.log_probs(params, sequences[:, :-1], shape)
    true = sequences[:, shape.prompt :]
    picked = jnp.take_along_axis(spread, true[..., None], axis=-1)[..., 0]
    return picked, jnp.argmax(spread, axis=-1) == true


@partial(jax.jit, static_argnames="shape")
def _generate(params: Params, prompts: Array, shape: Shape) -> Array:
    """Greedy decoding of L tokens: (B, P) -> (B, L). Future positions hold 0 and are not seen."""

    def extend(i: Array, sequences: Array) -> Array:
        best = jnp.argmax(model.logits(params, sequences[:, :-1], shape)[:, i], axis=-1)
        return sequences.at[:, shape.prompt + i].set(best.astype(sequences.dtype))

    start = jnp.pad(prompts, ((0, 0), (0, shape.target)))
    full: Array = jax.lax.fori_loop(0, shape.target, extend, start)
    return full[:, shape.prompt :]


def _chunks(rows: Ints) -> list[Array]:
    """Rows in chunks of one size, the last filled up with copies, so that one program serves."""
    short = -len(rows) % CHUNK
    filled = np.vstack([rows, np.repeat(rows[:1], short, axis=0)])
    return [jnp.asarray(part, dtype=jnp.int32) for part in np.split(filled, len(filled) // CHUNK)]


def teacher_forced(
    params: Params, shape: Shape, prompts: Ints, targets: Ints
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Per target token: its log-probability in nats (S, L), and whether it was the likeliest."""
    parts = [_teacher(params, part, shape) for part in _chunks(np.hstack([prompts, targets]))]
    logs = np.concatenate([np.asarray(part[0]) for part in parts])[: len(prompts)]
    right = np.concatenate([np.asarray(part[1]) for part in parts])[: len(prompts)]
    return logs, right


def generate(params: Params, shape: Shape, prompts: Ints) -> Ints:
    """Free-running greedy answers, (S, L) token ids.

    Targets of a task have one length, so there is no end token: L tokens are generated.
    """
    parts = [np.asarray(_generate(params, part, shape)) for part in _chunks(prompts)]
    return np.concatenate(parts)[: len(prompts)].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a trained model does on the test items."""

    log_probs: NDArray[np.float32]  # (S, L) nats, teacher-forced
    right: NDArray[np.bool_]  # (S, L) teacher-forced
    output: Ints  # (S, L) free-running


def evaluate(params: Params, task: Task, shape: Shape) -> Answers:
    """Ask every test item, teacher-forced and free-running."""
    prompts, targets = task.prompts[task.test], task.targets[task.test]
    logs, right = teacher_forced(params, shape, prompts, targets)
    return Answers(logs, right, generate(params, shape, prompts))


def to_rows(task: Task, rung: Rung, answers: Answers) -> pl.DataFrame:
    """One row per test item in the canonical sample columns, plus ``params_nonemb``.

    ``params`` counts all parameters; ``tokens`` are the training tokens seen,
    ``steps * batch * T``; ``flops = 6 * params * tokens``, the usual estimate. Log-probabilities
    are rounded to 1e-4 nats and kept as Float32.
    """
    shape, recipe = shape_of(task, rung), rung.recipe
    params, tokens = model.count_params(shape), recipe.steps * recipe.batch * shape.length
    targets = task.targets[task.test]
    texts = [task.text(row) for row in targets]
    logs = np.minimum(np.round(answers.log_probs.astype(np.float64), 4), 0.0) + 0.0
    same = {
        "family": pl.lit(f"lab-{task.name}"),
        "model": pl.lit(f"d{rung.d_model} seed{rung.seed}"),
        "params": pl.lit(float(params)),
        "params_nonemb": pl.lit(float(model.count_nonembedding(shape))),
        "tokens": pl.lit(float(tokens)),
        "flops": pl.lit(6.0 * params * tokens),
        "step": pl.lit(float(recipe.steps)),
        "seed": pl.lit(rung.seed, dtype=pl.Int64),
        "task": pl.lit(task.name),
        "shots": pl.lit(0, dtype=pl.Int64),
    }
    items = pl.DataFrame(
        {
            "item": [f"{task.name}-{i:05d}" for i in range(len(targets))],
            "prompt": [task.text(row) for row in task.prompts[task.test]],
            "output": [task.text(row) for row in answers.output],
            "targets": [[text] for text in texts],
            "output_tokens": answers.output.tolist(),
            "target_tokens": targets.tolist(),
            "token_logprobs": pl.Series(logs.tolist(), dtype=pl.List(pl.Float32)),
            "token_correct": answers.right.tolist(),
            "target_bytes": [len(text.encode()) for text in texts],
        }
    )
    return items.select(*(value.alias(name) for name, value in same.items()), pl.all())


def run(task: Task, rung: Rung) -> pl.DataFrame:
    """Train one rung and return its records; the same task and rung give the same rows."""
    return to_rows(task, rung, evaluate(train(task, rung), task, shape_of(task, rung)))
