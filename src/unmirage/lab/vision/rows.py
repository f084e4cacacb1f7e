"""What a trained rung of a vision family answers, as records.

``autoencoder``: one row an image, with its squared error. ``digits``: one row a bundle of images.
``glyphs``: one row a sequence. A label is a token: ``token_logprobs`` holds the log-probability of
the right class of each image (nats), ``token_correct`` whether it was the likeliest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.lab import model
from unmirage.lab.incontext import Arrays
from unmirage.lab.model import Params
from unmirage.lab.vision import VisionTask, nets
from unmirage.lab.vision.autoencoder import AutoencoderTask
from unmirage.lab.vision.digits import DigitsTask
from unmirage.lab.vision.nets import AutoencoderShape, GlyphShape, LeNetShape, VisionShape

CHUNK = 200  # items evaluated at once; fixed, so that results do not depend on memory


def shape_of(task: VisionTask, d_model: int, layers: int, heads: int) -> VisionShape:
    """The net's sizes for this task and rung."""
    if isinstance(task, AutoencoderTask):
        return AutoencoderShape(task.images.train.size, d_model)
    if isinstance(task, DigitsTask):
        return LeNetShape(task.size, len(task.classes), d_model)
    size, filters = task.images.size, GlyphShape.filters
    features = nets.embedded(size, filters) + task.way
    sequence = model.Shape(
        task.way, task.shown + 1, task.asked, d_model, layers, heads, features=features
    )
    return GlyphShape(size, sequence)


def counted(shape: VisionShape, step: int, batch: int) -> dict[str, float]:
    """The columns of scale: ``tokens`` are images seen; ``flops`` six per multiply-add."""
    each = shape.sequence.length if isinstance(shape, GlyphShape) else 1
    params, seen = nets.count_params(shape), float(step * batch * each)
    return {
        "params": float(params),
        "params_nonemb": float(params),
        "tokens": seen,
        "flops": 6.0 * nets.macs(shape) * seen,
        "step": float(step),
    }


def items(task: VisionTask, params: Params, shape: Any) -> pl.DataFrame:
    """Ask every test item."""
    if isinstance(task, AutoencoderTask):
        return _images(task, params, shape)
    if isinstance(task, DigitsTask):
        return _digits(task, params, shape)
    arrays = task.test()
    logs = _chunked(nets.label_log_probs, params, arrays, shape)
    names = [str(i) for i in range(task.way)]
    n = len(logs)
    shown = [" ".join(f"x:{i}" for i in row) for row in arrays["shown"].tolist()]
    return _labelled(logs, arrays["label"].astype(np.int64), names).select(
        pl.lit(task.name).alias("task"),
        pl.Series("subtask", [None] * n, dtype=pl.String),
        pl.Series("shots", [task.shots] * n, dtype=pl.Int64),
        pl.Series("item", [f"{task.name}-{i:05d}" for i in range(n)]),
        pl.Series("prompt", [f"{one}{' x:' * task.asked}" for one in shown]),
        pl.all(),
    )


def _chunked(
    function: Callable[..., Any], params: Params, arrays: Arrays, shape: VisionShape
) -> NDArray[Any]:
    """A function of (params, arrays, shape) over chunks of one size, the last one filled up."""
    n = len(next(iter(arrays.values())))
    found = []
    for start in range(0, n, CHUNK):
        part = {k: v[start : start + CHUNK] for k, v in arrays.items()}
        short = CHUNK - len(part["images"])
        filled = {k: np.concatenate([v, np.repeat(v[:1], short, axis=0)]) for k, v in part.items()}
        found.append(np.asarray(function(params, filled, shape))[: CHUNK - short])
    return np.concatenate(found)


def _images(task: AutoencoderTask, params: Params, shape: AutoencoderShape) -> pl.DataFrame:
    def error(params: Params, arrays: Any, shape: AutoencoderShape) -> Any:
        return nets.squared_error(params, arrays["images"], shape)

    found = _chunked(error, params, {"images": task.test().pixels}, shape).astype(np.float64)
    n = len(found)
    return pl.DataFrame(
        {
            "task": [task.name] * n,
            "shots": pl.Series([0] * n, dtype=pl.Int64),
            "item": [f"{task.name}-{i:05d}" for i in range(n)],
            # to 1e-7: of a pixel of 256 steps an error below (1/256)^2 = 1.5e-5 is not seen
            "squared_error": np.round(found, 7),
        }
    )


def _digits(task: DigitsTask, params: Params, shape: LeNetShape) -> pl.DataFrame:
    def asked(params: Params, arrays: Any, shape: LeNetShape) -> Any:
        return nets.class_log_probs(params, arrays["images"], shape)

    test = task.test()
    logs = _chunked(asked, params, {"images": test.pixels}, shape)
    bundles = len(test) // task.together
    label = test.labels.reshape(bundles, task.together)
    logs = logs.reshape(bundles, task.together, len(task.classes))
    return _labelled(logs, label, task.classes).select(
        pl.lit(task.name).alias("task"),
        pl.Series("subtask", [None] * bundles, dtype=pl.String),
        pl.Series("shots", [0] * bundles, dtype=pl.Int64),
        pl.Series("item", [f"{task.name}-{i:05d}" for i in range(bundles)]),
        pl.all(),
    )


def _labelled(logs: NDArray[np.floating], label: NDArray[np.int64], names: Any) -> pl.DataFrame:
    """Rows of (S, L, V) log-probabilities of the classes and (S, L) right ones."""
    best = logs.argmax(axis=-1)
    own = np.take_along_axis(logs, label[..., None], axis=-1)[..., 0].astype(np.float64)
    tidy = np.minimum(np.round(own, 4), 0.0) + 0.0

    def spelt(rows: NDArray[np.int64]) -> list[str]:
        return [" ".join(names[i] for i in row) for row in rows.tolist()]

    return pl.DataFrame(
        {
            "output": spelt(best),
            "targets": [[text] for text in spelt(label)],
            "output_tokens": pl.Series(best.tolist(), dtype=pl.List(pl.Int64)),
            "target_tokens": pl.Series(label.tolist(), dtype=pl.List(pl.Int64)),
            "token_logprobs": pl.Series(tidy.tolist(), dtype=pl.List(pl.Float32)),
            "token_correct": pl.Series((best == label).tolist(), dtype=pl.List(pl.Boolean)),
        }
    )
