"""What a trained rung answers, as records: one row for each test item.

Axes: S test items, L target tokens, K choices, V labels. Teacher-forced quantities
(``token_logprobs``, ``token_correct``) are those of each target token given the true tokens before
it; free-running ones (``output``, ``output_tokens``) come from greedy generation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.lab import model, objective
from unmirage.lab.engine import shape_of
from unmirage.lab.incontext import Arrays, LabelTask, RegressionTask, least_squares, shots_asked
from unmirage.lab.model import Params, Shape
from unmirage.lab.recipe import Rung
from unmirage.lab.tasks import Task
from unmirage.lab.tokens import TokenTask
from unmirage.lab.vision import VisionTask
from unmirage.lab.vision import rows as vision

Asked = Callable[[Params, Any, Shape], Any]

CHUNK = 512  # test items evaluated at once; fixed, so that results do not depend on memory


def _chunked(
    function: Asked, params: Params, rows: NDArray[Any], shape: Shape
) -> list[NDArray[Any]]:
    """A jitted function of (params, rows, shape) over chunks of one size, the last one filled up
    with copies, so that one program serves; a list of its outputs, each cut to the rows."""
    short = -len(rows) % CHUNK
    filled = np.concatenate([rows, np.repeat(rows[:1], short, axis=0)])
    kind = np.float32 if filled.dtype.kind == "f" else np.int32
    parts = [
        function(params, part.astype(kind), shape)
        for part in np.split(filled, len(filled) // CHUNK)
    ]
    many = [part if isinstance(part, tuple) else (part,) for part in parts]
    return [
        np.concatenate([np.asarray(p) for p in piece])[: len(rows)]
        for piece in zip(*many, strict=True)
    ]


def teacher_forced(
    params: Params, shape: Shape, sequences: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Per target token of (S, P + L): its log-probability in nats, and whether it was likeliest."""
    logs, right = _chunked(objective.teacher, params, sequences, shape)
    return np.asarray(logs), np.asarray(right)


def generate(params: Params, shape: Shape, prompts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Free-running greedy answers of L tokens, (S, L); the prompt tells how many of them count."""
    return np.asarray(_chunked(objective.generate, params, prompts, shape)[0]).astype(np.int64)


def _tidy(logs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-probabilities to 1e-4 nats, never above 0."""
    return np.minimum(np.round(logs.astype(np.float64), 4), 0.0) + 0.0


def evaluate(task: Task, rung: Rung, step: int, params: Params) -> pl.DataFrame:
    """Ask every test item; the records of one rung after that many steps."""
    found = shape_of(task, rung)
    if isinstance(task, VisionTask):
        assert not isinstance(found, Shape)
        scale = vision.counted(found, step, rung.recipe.batch)
        return _identity(task, rung, scale, vision.items(task, params, found))
    assert isinstance(found, Shape)
    shape = found
    if isinstance(task, TokenTask):
        items = _token_items(task, params, shape)
    elif isinstance(task, LabelTask):
        items = _label_items(task, params, shape)
    else:
        items = _number_items(task, params, shape)
    return _identity(task, rung, _scale(rung, step, shape), items)


def _scale(rung: Rung, step: int, shape: Shape) -> dict[str, float]:
    """``params`` counts all parameters, ``tokens`` are training positions seen, ``steps * batch *
    T``; ``flops = 6 params tokens``, the usual estimate."""
    params, tokens = model.count_params(shape), step * rung.recipe.batch * shape.length
    return {
        "params": float(params),
        "params_nonemb": float(model.count_nonembedding(shape)),
        "tokens": float(tokens),
        "flops": 6.0 * params * tokens,
        "step": float(step),
    }


def _identity(task: Task, rung: Rung, scale: dict[str, float], items: pl.DataFrame) -> pl.DataFrame:
    """The columns that say which model."""
    same = {
        "family": pl.lit(f"lab-{task.name}"),
        "model": pl.lit(rung.name),
        **{name: pl.lit(value) for name, value in scale.items()},
        "seed": pl.lit(rung.seed, dtype=pl.Int64),
    }
    return items.select(*(value.alias(name) for name, value in same.items()), pl.all())


def _token_items(task: TokenTask, params: Params, shape: Shape) -> pl.DataFrame:
    sequences = task.sequences(task.asked)
    prompts, targets = sequences[:, : shape.prompt], sequences[:, shape.prompt :]
    logs, right = teacher_forced(params, shape, sequences)
    output, tidy = generate(params, shape, prompts), _tidy(logs)
    lengths = task.lengths[task.test].tolist()
    names = [(s, i) for s in task.strata for i in range(len(s.test))]

    def cut(rows: NDArray[np.generic]) -> list[list[object]]:
        return [row[:n] for row, n in zip(rows.tolist(), lengths, strict=True)]

    wanted, given = cut(targets), cut(output)
    texts = [task.text(np.array(row)) for row in wanted]
    frame = pl.DataFrame(
        {
            "task": [s.task for s, _ in names],
            "subtask": pl.Series([s.subtask for s, _ in names], dtype=pl.String),
            "shots": pl.Series([task.shots] * len(names), dtype=pl.Int64),
            "item": [
                f"{s.task}-{(s.subtask or '').split(' ')[0]}-{i:05d}".replace("--", "-")
                for s, i in names
            ],
            "prompt": [task.text(row) for row in prompts],
            "output": [task.text(np.array(row)) for row in given],
            "targets": [[text] for text in texts],
            "output_tokens": pl.Series(given, dtype=pl.List(pl.Int64)),
            "target_tokens": pl.Series(wanted, dtype=pl.List(pl.Int64)),
            "token_logprobs": pl.Series(cut(tidy), dtype=pl.List(pl.Float32)),
            "token_correct": pl.Series(cut(right), dtype=pl.List(pl.Boolean)),
            "target_bytes": pl.Series([len(text) for text in texts], dtype=pl.Int64),
        }
    )
    if not task.choices:
        return frame
    options, place = task.options()
    summed = np.empty(options.shape[:2])
    real = np.arange(task.target) < np.asarray(lengths)[:, None]
    for k in range(task.choices):
        filled = np.concatenate([prompts, options[:, k]], axis=1)
        summed[:, k] = np.where(real, teacher_forced(params, shape, filled)[0], 0.0).sum(axis=1)
    spelt = [[task.text(o[:n]) for o in row] for row, n in zip(options, lengths, strict=True)]
    return frame.with_columns(
        pl.Series("choices", spelt, dtype=pl.List(pl.String)),
        pl.Series("choice_logprobs", _tidy(summed).tolist(), dtype=pl.List(pl.Float64)),
        pl.Series("target_index", place, dtype=pl.Int64),
    )


def _label_items(task: LabelTask, params: Params, shape: Shape) -> pl.DataFrame:
    """Rows of every test: the subtask says which, ``shots`` how often the asked class was shown."""
    return pl.concat(
        _labels_of(task, params, shape, kind, shots, arrays)
        for (kind, shots), arrays in task.tests().items()
    )


def _labels_of(
    task: LabelTask,
    params: Params,
    shape: Shape,
    kind: str,
    shots: int,
    arrays: Arrays,
) -> pl.DataFrame:
    logs = np.asarray(_chunked(objective.label_log_probs, params, arrays["inputs"], shape)[0])
    label, n = arrays["label"].astype(np.int64), len(arrays["label"])
    names = [f"L{i:02d}" for i in range(task.labels)]
    shown = arrays["inputs"][:, 1::2, task.dim :].argmax(axis=2)
    best, own = logs.argmax(axis=1), _tidy(logs[np.arange(n), label])
    return pl.DataFrame(
        {
            "task": [task.name] * n,
            "subtask": [kind] * n,
            "shots": pl.Series([shots] * n, dtype=pl.Int64),
            "item": [f"{kind.replace(' ', '-')}-{i:05d}" for i in range(n)],
            "prompt": [" ".join(f"x:{names[j]}" for j in row) + " x:" for row in shown],
            "output": [names[j] for j in best],
            "targets": [[names[j]] for j in label],
            "token_logprobs": pl.Series([[v] for v in own.tolist()], dtype=pl.List(pl.Float32)),
            "token_correct": pl.Series([[bool(v)] for v in best == label]),
            "choices": [names] * n,
            "choice_logprobs": pl.Series(_tidy(logs).tolist(), dtype=pl.List(pl.Float64)),
            "target_index": pl.Series(label, dtype=pl.Int64),
        }
    )


def _number_items(task: RegressionTask, params: Params, shape: Shape) -> pl.DataFrame:
    """One row for each sequence, number of shots and score: the squared error, and by how much it
    exceeds that of ridge regression on the same examples, the best possible predictor."""
    arrays = task.test()
    inputs, true = arrays["inputs"].astype(np.float32), arrays["values"].astype(np.float64)
    guess = np.asarray(_chunked(objective.numbers, params, inputs, shape)[0]).astype(np.float64)
    error = (guess - true) ** 2
    over = error - (least_squares(inputs, ridge=task.noise**2 * task.dim) - true) ** 2
    frames = []
    for k in shots_asked(task.shots):
        names = [f"{i:05d}" for i in range(len(true))]
        for metric, score in (("squared_error", error), ("excess_squared_error", over)):
            frames.append(
                pl.DataFrame(
                    {
                        "task": [task.name] * len(true),
                        "shots": pl.Series([k] * len(true), dtype=pl.Int64),
                        "item": names,
                        "output": [f"{v:.4g}" for v in guess[:, k]],
                        "targets": [[f"{v:.4g}"] for v in true[:, k]],
                        "metric": [metric] * len(true),
                        "score": np.round(score[:, k], 6),
                        "higher_is_better": [False] * len(true),
                    }
                )
            )
    return pl.concat(frames)
