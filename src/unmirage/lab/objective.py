"""What is minimised and what is read off a model, for each kind of task: pure functions in JAX.

Axes: B sequences, T input positions, P prompt, L positions asked, V outputs, F features.
A batch is a dictionary of arrays with B first:

    tokens      sequences (B, P + L) ids; lengths (B,) where targets differ in length
    labels      inputs (B, T, F); label (B,), asked at the last position
    numbers     inputs (B, T, F); values (B, n), asked at every second position, the first included

and those of the vision families: :mod:`unmirage.lab.vision.nets`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from unmirage.lab import model
from unmirage.lab.model import Array, Params, Shape
from unmirage.lab.vision import nets

Batch = dict[str, Array]
Loss = Callable[[Params, Batch, Any], Array]


def target_log_probs(params: Params, sequences: Array, shape: Shape) -> Array:
    """log p of each target token given the true tokens before it: (B, P + L) -> (B, L), nats."""
    spread = model.log_probs(params, sequences[:, :-1], shape)
    return jnp.take_along_axis(spread, sequences[:, shape.prompt :, None], axis=-1)[..., 0]


def tokens_loss(params: Params, batch: Batch, shape: Shape) -> Array:
    """Mean cross-entropy of the target tokens, nats; fillers beyond a target do not count."""
    logs = target_log_probs(params, batch["sequences"], shape)
    if "lengths" not in batch:
        return -jnp.mean(logs)
    real = jnp.arange(shape.target) < batch["lengths"][:, None]
    return -jnp.sum(jnp.where(real, logs, 0.0)) / jnp.sum(real)


def labels_loss(params: Params, batch: Batch, shape: Shape) -> Array:
    """Mean cross-entropy of the label at the last position, nats."""
    spread = model.log_probs(params, batch["inputs"], shape)[:, -1]
    return -jnp.mean(jnp.take_along_axis(spread, batch["label"][:, None], axis=-1))


def predict_numbers(params: Params, inputs: Array, shape: Shape) -> Array:
    """The number predicted at every second position: (B, T, F) -> (B, n)."""
    return model.logits(params, inputs, shape)[:, ::2, 0]


def numbers_loss(params: Params, batch: Batch, shape: Shape) -> Array:
    """Mean squared error over all numbers of a sequence."""
    return jnp.mean((predict_numbers(params, batch["inputs"], shape) - batch["values"]) ** 2)


LOSSES: dict[str, Loss] = {
    "tokens": tokens_loss,
    "labels": labels_loss,
    "numbers": numbers_loss,
    **nets.LOSSES,
}


def init(key: Array, shape: Shape | nets.VisionShape) -> Params:
    """Random parameters of a model of that shape."""
    found: Params = model.init(key, shape) if isinstance(shape, Shape) else nets.init(key, shape)
    return found


@partial(jax.jit, static_argnames="shape")
def teacher(params: Params, sequences: Array, shape: Shape) -> tuple[Array, Array]:
    """log p of each target token, and whether it was the likeliest: (B, P + L) -> (B, L) twice."""
    spread = model.log_probs(params, sequences[:, :-1], shape)
    true = sequences[:, shape.prompt :]
    picked = jnp.take_along_axis(spread, true[..., None], axis=-1)[..., 0]
    return picked, jnp.argmax(spread, axis=-1) == true


@partial(jax.jit, static_argnames="shape")
def generate(params: Params, prompts: Array, shape: Shape) -> Array:
    """Greedy decoding of L tokens: (B, P) -> (B, L). Future positions hold 0 and are not seen."""

    def extend(i: Array, sequences: Array) -> Array:
        best = jnp.argmax(model.logits(params, sequences[:, :-1], shape)[:, i], axis=-1)
        return sequences.at[:, shape.prompt + i].set(best.astype(sequences.dtype))

    start = jnp.pad(prompts, ((0, 0), (0, shape.target)))
    full: Array = jax.lax.fori_loop(0, shape.target, extend, start)
    return full[:, shape.prompt :]


@partial(jax.jit, static_argnames="shape")
def label_log_probs(params: Params, inputs: Array, shape: Shape) -> Array:
    """Log-probability of every label at the last position: (B, T, F) -> (B, V), nats."""
    return model.log_probs(params, inputs, shape)[:, -1]


numbers = jax.jit(predict_numbers, static_argnames="shape")
