"""The nets of the vision families: pure functions on a tree of parameters.

Axes: B images or sequences, T images of a sequence, H x W x C an image, P = H W C, D width, V
classes. Images come as numbers from 0 to 255. A convolution is patches and a matrix product: the
gradient of JAX's own convolution is many times slower on a processor (benchmarks/vision_
throughput.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from unmirage.lab import model
from unmirage.lab.model import Array, Params, times

Size = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True)
class AutoencoderShape:
    """One hidden layer of D units between an image and itself."""

    image: Size
    d_model: int


@dataclass(frozen=True)
class LeNetShape:
    """LeCun et al. 1998 in small: D and 2 D filters, each with pooling; D units; V classes."""

    image: Size
    classes: int
    d_model: int

    @property
    def kernel(self) -> int:
        """5 as in LeNet, 3 for images of less than 16 pixels."""
        return 5 if min(self.image[:2]) >= 16 else 3


@dataclass(frozen=True)
class GlyphShape:
    """A convolutional embedder of fixed size before a transformer of width D."""

    image: Size
    sequence: model.Shape
    filters: int = 8

    @property
    def d_model(self) -> int:
        return self.sequence.d_model


VisionShape = AutoencoderShape | LeNetShape | GlyphShape


# ---------------------------------------------------------------- layers


def patches(x: Array, kernel: int, stride: int) -> Array:
    """(B, H, W, C) -> (B, H / stride, W / stride, kernel^2 C), zeros around the image."""
    _, h, w, _ = x.shape
    rows, columns = -(-h // stride), -(-w // stride)
    before = (kernel - 1) // 2
    reach = stride * (max(rows, columns) - 1) + kernel
    padded = jnp.pad(x, ((0, 0), (before, max(reach - h, 0)), (before, max(reach - w, 0)), (0, 0)))
    parts = [
        padded[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
    return jnp.concatenate(parts, axis=-1)


def convolve(x: Array, weights: Array, kernel: int, stride: int = 1) -> Array:
    """(B, H, W, C) and (kernel^2 C, F) -> (B, H / stride, W / stride, F)."""
    return times(patches(x, kernel, stride), weights)


def pool(x: Array) -> Array:
    """The mean of each 2 x 2; an odd last row or column is left out."""
    b, h, w, c = x.shape
    even = x[:, : h // 2 * 2, : w // 2 * 2]
    return even.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def scaled(images: Array) -> Array:
    """0..255 -> 0..1."""
    return images.astype(jnp.float32) / 255.0


def _normal(key: Array, rows: int, columns: int, gain: float = 1.0) -> Array:
    return gain * jax.random.normal(key, (rows, columns)) / jnp.sqrt(rows)


# ---------------------------------------------------------------- the three nets


def _autoencoder(key: Array, shape: AutoencoderShape) -> Params:
    one, two = jax.random.split(key)
    p, d = _pixels(shape.image), shape.d_model
    return {
        "in": _normal(one, p, d),
        "in_bias": jnp.zeros(d),
        "out": _normal(two, d, p),
        "out_bias": jnp.zeros(p),
    }


def _pixels(image: Size) -> int:
    return image[0] * image[1] * image[2]


def rebuild(params: Params, images: Array, shape: AutoencoderShape) -> Array:
    """The images as they come out, sigmoid(tanh(x W + a) U + b): (B, H, W, C) -> (B, P), 0..1."""
    x = scaled(images).reshape(-1, _pixels(shape.image))
    hidden = jnp.tanh(x @ params["in"] + params["in_bias"])
    return jax.nn.sigmoid(hidden @ params["out"] + params["out_bias"])


@partial(jax.jit, static_argnames="shape")
def squared_error(params: Params, images: Array, shape: AutoencoderShape) -> Array:
    """Mean over the pixels of each image: (B, H, W, C) -> (B,)."""
    gap = rebuild(params, images, shape) - scaled(images).reshape(-1, _pixels(shape.image))
    return jnp.mean(gap**2, axis=-1)


def _lenet(key: Array, shape: LeNetShape) -> Params:
    h, w, c = shape.image
    keys = jax.random.split(key, 3)
    d, k = shape.d_model, shape.kernel**2
    sizes = ((k * c, d), (k * d, 2 * d), (h // 4 * (w // 4) * 2 * d, d))
    params: Params = {}
    for i, (one, (rows, columns)) in enumerate(zip(keys, sizes, strict=True)):
        params[f"w{i}"] = _normal(one, rows, columns, gain=2**0.5)
        params[f"b{i}"] = jnp.zeros(columns)
    return {**params, "w3": jnp.zeros((d, shape.classes)), "b3": jnp.zeros(shape.classes)}


@partial(jax.jit, static_argnames="shape")
def class_log_probs(params: Params, images: Array, shape: LeNetShape) -> Array:
    """(B, H, W, C) -> (B, V), nats."""
    x = scaled(images)
    for i in range(2):
        x = pool(jax.nn.relu(convolve(x, params[f"w{i}"], shape.kernel) + params[f"b{i}"]))
    x = jax.nn.relu(x.reshape(len(x), -1) @ params["w2"] + params["b2"])
    return jax.nn.log_softmax(x @ params["w3"] + params["b3"])


def _glyphs(key: Array, shape: GlyphShape) -> Params:
    one, two, three = jax.random.split(key, 3)
    f, c, d = shape.filters, shape.image[2], shape.d_model
    transformer = model.init(three, shape.sequence)
    # keys begin as queries, so that attention begins as likeness
    for layer in transformer["layers"]:
        layer["qkv"] = layer["qkv"].at[:, d : 2 * d].set(layer["qkv"][:, :d])
    return {
        **transformer,
        "conv0": _normal(one, 25 * c, f, gain=2**0.5),
        "bias0": jnp.zeros(f),
        "conv1": _normal(two, 9 * f, 2 * f, gain=2**0.5),
        "bias1": jnp.zeros(2 * f),
    }


def embedded(image: Size, filters: int) -> int:
    """Numbers that the embedder gives for an image."""
    h, w = ((n + 3) // 4 for n in image[:2])
    return h * w * 2 * filters


@partial(jax.jit, static_argnames="shape")
def label_log_probs(params: Params, batch: dict[str, Array], shape: GlyphShape) -> Array:
    """log p of every label of the images that are asked: (B, asked, way), nats.

    An example shown is its image's embedding beside its label, one-hot; an image that is asked has
    no label. So the answers do not see one another: teacher-forced and free-running are one.
    """
    b, t = batch["images"].shape[:2]
    x = scaled(batch["images"]).reshape(b * t, *shape.image)
    x = jax.nn.relu(convolve(x, params["conv0"], 5, 2) + params["bias0"])
    x = jax.nn.relu(convolve(x, params["conv1"], 3, 2) + params["bias1"])
    way, shown = shape.sequence.vocab, shape.sequence.prompt - 1
    x = x.reshape(b, t, -1)
    # what the images shown share says nothing of their classes; with it training finds likeness
    # late, for some seeds never
    x = model.normalise(x - x[:, :shown].mean(axis=1, keepdims=True))
    told = jnp.pad(jax.nn.one_hot(batch["shown"], way), ((0, 0), (0, t - shown), (0, 0)))
    # as long as the embedding, or the label is not heard beside the image
    inputs = jnp.concatenate([x, told * x.shape[-1] ** 0.5], axis=-1)
    return model.log_probs(params, inputs, shape.sequence)


# ---------------------------------------------------------------- for the engine

_INITS: dict[type, Callable[..., Params]] = {
    AutoencoderShape: _autoencoder,
    LeNetShape: _lenet,
    GlyphShape: _glyphs,
}


@partial(jax.jit, static_argnames="shape")
def init(key: Array, shape: VisionShape) -> Params:
    """Random parameters: matrices N(0, 1/fan_in), twice that before a ReLU; biases and last 0."""
    return _INITS[type(shape)](key, shape)


def _images_loss(params: Params, batch: dict[str, Array], shape: Any) -> Array:
    """Mean squared error over images and pixels."""
    return jnp.mean(squared_error(params, batch["images"], shape))


def _picked(spread: Array, label: Array) -> Array:
    return -jnp.mean(jnp.take_along_axis(spread, label[..., None], axis=-1))


def _digits_loss(params: Params, batch: dict[str, Array], shape: Any) -> Array:
    """Mean cross-entropy, nats."""
    return _picked(class_log_probs(params, batch["images"], shape), batch["label"])


def _glyphs_loss(params: Params, batch: dict[str, Array], shape: Any) -> Array:
    """Mean cross-entropy of the labels asked, nats."""
    return _picked(label_log_probs(params, batch, shape), batch["label"])


LOSSES: dict[str, Callable[..., Array]] = {
    "images": _images_loss,
    "digits": _digits_loss,
    "glyphs": _glyphs_loss,
}


def count_params(shape: VisionShape) -> int:
    """All parameters."""
    like = jax.eval_shape(lambda key: init(key, shape), jax.random.key(0))
    return sum(int(leaf.size) for leaf in jax.tree.leaves(like))


def macs(shape: VisionShape) -> float:
    """Multiply-adds of the forward pass of one image, those of the matrices alone."""
    h, w, c = shape.image
    if isinstance(shape, AutoencoderShape):
        return 2.0 * h * w * c * shape.d_model
    if isinstance(shape, LeNetShape):
        d, k = shape.d_model, shape.kernel**2
        first, second = h * w * k * c * d, (h // 2) * (w // 2) * k * d * 2 * d
        return float(first + second + h // 4 * (w // 4) * 2 * d * d + d * shape.classes)
    f, s = shape.filters, shape.sequence
    half, quarter = -(-h // 2) * -(-w // 2), embedded(shape.image, f) // (2 * f)
    embedder = half * 25 * c * f + quarter * 9 * f * 2 * f
    return float(embedder + model.count_params(s) + 2 * s.layers * s.length * s.d_model)
