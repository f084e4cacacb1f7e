"""A decoder-only transformer as pure functions on a tree of parameters.

Axes: B sequences, T positions of the input, P of them prompt, L = T - P + 1 positions that are
asked, V outputs (tokens, labels, or 1 number), F features of a real-valued input, D width, H heads.
Everything but the width D is the same in all rungs of a ladder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from unmirage.errors import OptionError

Array = jax.Array
Params = dict[str, Any]

EPSILON = 1e-6


@dataclass(frozen=True)
class Shape:
    """The sizes that fix a model; d_model is the one dial of a ladder."""

    vocab: int  # V
    prompt: int  # P, positions before the first that is asked, and that one: >= 1
    target: int  # L, positions asked, >= 1
    d_model: int  # D, a multiple of heads
    layers: int = 1
    heads: int = 4  # H
    features: int = 0  # F numbers at each position; 0 = token ids

    def __post_init__(self) -> None:
        if min(self.vocab, self.prompt, self.target, self.d_model, self.layers, self.heads) < 1:
            raise OptionError(f"every size must be at least 1: {self}")
        if self.d_model % self.heads:
            raise OptionError(
                f"d_model {self.d_model} is not a multiple of {self.heads} heads",
                mend="choose another d_model or number of heads",
            )

    @property
    def length(self) -> int:
        """Input positions T: the prompt and all target tokens but the last."""
        return self.prompt + self.target - 1


def count_nonembedding(shape: Shape) -> int:
    """Parameters of the layers alone, 12 D^2 each: 4 D^2 attention and 8 D^2 feed-forward."""
    return 12 * shape.d_model**2 * shape.layers


def count_params(shape: Shape) -> int:
    """All parameters: the layers, the token and position embeddings and the unembedding.

    ``12 D^2 layers + (2 V + T) D``, with real inputs ``(F + V + T) D``; exact, since there are
    neither biases nor gains.

    >>> count_params(Shape(vocab=11, prompt=4, target=5, d_model=4))
    312
    """
    read = shape.features or shape.vocab
    return count_nonembedding(shape) + (read + shape.vocab + shape.length) * shape.d_model


@partial(jax.jit, static_argnames="shape")
def init(key: Array, shape: Shape) -> Params:
    """Random parameters: matrices N(0, 1/fan_in), embeddings N(0, 1/D), unembedding 0."""
    d = shape.d_model
    keys = iter(jax.random.split(key, 2 + 4 * shape.layers))

    def normal(rows: int, columns: int, fan_in: int) -> Array:
        return jax.random.normal(next(keys), (rows, columns)) / jnp.sqrt(fan_in)

    return {
        "token": normal(shape.features or shape.vocab, d, shape.features or d),
        "position": normal(shape.length, d, d),
        "layers": [
            {
                "qkv": normal(d, 3 * d, d),
                "out": normal(d, d, d),
                "up": normal(d, 4 * d, d),
                "down": normal(4 * d, d, 4 * d),
            }
            for _ in range(shape.layers)
        ],
        "unembed": jnp.zeros((d, shape.vocab)),
    }


def normalise(x: Array) -> Array:
    """(x - mean) / standard deviation over the last axis: GPT-2's norm without gain and bias."""
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON)


def times(x: Array, matrix: Array) -> Array:
    """x @ matrix over the last axis, as one flat product: its gradient then needs no copies."""
    flat: Array = x.reshape(-1, x.shape[-1]) @ matrix
    return flat.reshape(*x.shape[:-1], matrix.shape[1])


def attend(layer: Params, x: Array, heads: int, first: int) -> Array:
    """Causal self-attention of the positions from ``first`` on: (B, T, D) -> (B, T - first, D)."""
    b, t, d = x.shape
    width = d // heads
    q = times(x[:, first:], layer["qkv"][:, :d]).reshape(b, t - first, heads, width)
    kv = times(x, layer["qkv"][:, d:]).reshape(b, t, 2, heads, width)
    k, v = kv[:, :, 0], kv[:, :, 1]
    scores = jnp.einsum("bqhw,bkhw->bhqk", q, k) / jnp.sqrt(width)
    causal = jnp.arange(first, t)[:, None] >= jnp.arange(t)[None, :]
    weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    mixed = jnp.einsum("bhqk,bkhw->bqhw", weights, v).reshape(b, t - first, d)
    return times(mixed, layer["out"])


def logits(params: Params, inputs: Array, shape: Shape) -> Array:
    """Outputs at the positions that are asked: (B, T) token ids or (B, T, F) numbers -> (B, L, V).

    Position P - 1 + i of the input predicts target token i. The last layer works out only those
    positions, since nothing reads the others.
    """
    read: Array = params["token"]
    x = (times(inputs, read) if shape.features else read[inputs]) + params["position"]
    last = shape.layers - 1
    for i, layer in enumerate(params["layers"]):
        first = shape.prompt - 1 if i == last else 0
        x = x[:, first:] + attend(layer, normalise(x), shape.heads, first)
        x = x + times(jax.nn.relu(times(normalise(x), layer["up"])), layer["down"])
    return times(normalise(x), params["unembed"])


def log_probs(params: Params, inputs: Array, shape: Shape) -> Array:
    """Natural log of the next-token probabilities: (B, T) or (B, T, F) -> (B, L, V), nats."""
    return jax.nn.log_softmax(logits(params, inputs, shape), axis=-1)
