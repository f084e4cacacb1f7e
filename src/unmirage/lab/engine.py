"""Trains one rung: compiled segments of steps, weights on a log grid, resumable at any moment.

Interrupted and resumed training takes the same steps on the same numbers as training in one go: a
segment always begins at a multiple of its length, data depend on the step alone, and a checkpoint
holds the whole state (parameters and Adam's moments).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from unmirage.errors import UnmirageError
from unmirage.lab import checkpoint
from unmirage.lab.incontext import LabelTask
from unmirage.lab.model import Params, Shape
from unmirage.lab.objective import LOSSES, Batch, init
from unmirage.lab.recipe import SEGMENT, Recipe, Rung
from unmirage.lab.tasks import Task
from unmirage.lab.tokens import Ints, TokenTask
from unmirage.lab.vision import VisionTask
from unmirage.lab.vision import rows as vision
from unmirage.lab.vision.nets import VisionShape

SAVE_SECONDS = 10.0  # between two checkpoints

Tell = Callable[[int, float], None]  # (step, loss)


class Stopped(Exception):
    """Training was asked to stop; its state is saved."""


def shape_of(task: Task, rung: Rung) -> Shape | VisionShape:
    """The model's sizes for this task and rung."""
    r = rung.recipe
    if isinstance(task, VisionTask):
        return vision.shape_of(task, rung.d_model, r.layers, r.heads)
    if isinstance(task, TokenTask):
        vocab, prompt, target, features = len(task.vocab), task.prompt, task.target, 0
    elif isinstance(task, LabelTask):
        vocab, prompt, target, features = task.labels, 2 * task.pairs + 1, 1, task.features
    else:
        vocab, prompt, target, features = 1, 1, 2 * task.shots + 1, task.features
    return Shape(vocab, prompt, target, rung.d_model, r.layers, r.heads, features)


def optimiser(recipe: Recipe, d_model: int) -> optax.GradientTransformation:
    """Adam; the rate rises linearly over ``warmup`` steps and falls linearly to 0.

    The peak is ``rate * min(1, (16 / D)^rate_power)``; a gradient longer than ``clip`` is cut;
    ``decay`` makes it AdamW.
    """
    peak = recipe.rate * min(1.0, (16 / d_model) ** recipe.rate_power)
    rise = optax.linear_schedule(0.0, peak, recipe.warmup)
    fall = optax.linear_schedule(peak, 0.0, max(recipe.steps - recipe.warmup, 1))
    rate = optax.join_schedules([rise, fall], [recipe.warmup])
    adam = optax.adamw(rate, weight_decay=recipe.decay) if recipe.decay else optax.adam(rate)
    if recipe.clip:
        return optax.chain(optax.clip_by_global_norm(recipe.clip), adam)
    return adam


@partial(jax.jit, static_argnames=("shape", "recipe", "kind"), donate_argnames=("state",))
def _segment(
    state: Any, batches: Batch, shape: Shape | VisionShape, recipe: Recipe, kind: str
) -> Any:
    """Some training steps in one compiled loop: every array of ``batches`` is (steps, batch, ...).

    ``state`` is (parameters, Adam's moments) and is given away: its memory is used again. Returns
    the new state and the loss of every step, (steps,).
    """
    adam, loss = optimiser(recipe, shape.d_model), LOSSES[kind]

    def step(state: Any, batch: Batch) -> Any:
        params, moments = state
        value, slope = jax.value_and_grad(loss)(params, batch, shape)
        change, moments = adam.update(slope, moments, params)
        return (optax.apply_updates(params, change), moments), value

    return jax.lax.scan(step, state, batches)


class Stream:
    """The training data of a rung by steps; they depend on the task and the step alone."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self.task, self.recipe = task, recipe
        self._rows: Ints | None = None
        if isinstance(task, TokenTask):
            self._rows = task.batches(recipe.steps, recipe.batch)

    def __call__(self, start: int, stop: int) -> Batch:
        """The batches of the steps from start to before stop, each array (steps, batch, ...)."""
        found: dict[str, NDArray[Any]]
        if isinstance(self.task, TokenTask):
            assert self._rows is not None
            rows = self._rows[start:stop]
            found = {"sequences": self.task.sequences(rows).astype(np.int32)}
            if not self.task.one_length:
                asked = rows[..., -1] if self.task.shots else rows
                found["lengths"] = self.task.lengths[asked].astype(np.int32)
        else:
            drawn = [self.task.batch(i, self.recipe.batch) for i in range(start, stop)]
            found = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
            found = {k: v.astype(np.int32) if v.dtype == np.int64 else v for k, v in found.items()}
        return {name: jnp.asarray(array) for name, array in found.items()}


def weights_path(models: Path, rung: Rung, step: int) -> Path:
    """Where the parameters of a rung after that many steps lie."""
    return models / f"{rung.stem()}-{rung.trained()}" / f"step-{step:07d}.safetensors"


def state_path(work: Path, rung: Rung) -> Path:
    """Where the state of a rung that is not finished lies."""
    return work / f"{rung.stem()}-{rung.trained()}.safetensors"


def _restore(path: Path, like: Any, rung: Rung) -> tuple[Any, int]:
    """The state and the steps done."""
    arrays, facts = checkpoint.load(path)
    try:
        step = int(facts["step"])
        if facts["rung"] != rung.trained() or not 0 < step < rung.recipe.steps:
            raise KeyError("another rung")
        return jax.tree.map(jnp.asarray, checkpoint.unflatten(like, arrays)), step
    except (KeyError, ValueError) as error:
        raise checkpoint.damaged(path, f"it is not of this rung: {error}") from error


def train(
    task: Task,
    rung: Rung,
    models: Path,
    work: Path,
    tell: Tell = lambda step, loss: None,
    save_seconds: float = SAVE_SECONDS,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train what is missing; afterwards the weights of every step of the recipe's grid lie there.

    Raises:
        Stopped: ``stop`` said so; the state is saved.
        FileProblem: a checkpoint is damaged.
        UnmirageError: the loss is no longer a number.
    """
    shape, recipe = shape_of(task, rung), rung.recipe
    paths = {step: weights_path(models, rung, step) for step in recipe.grid()}
    saved = state_path(work, rung)
    if all(path.exists() for path in paths.values()):
        saved.unlink(missing_ok=True)
        return
    params = init(jax.random.key(rung.seed), shape)
    state, done = (params, optimiser(recipe, shape.d_model).init(params)), 0
    if saved.exists():
        state, done = _restore(saved, state, rung)
        if not all(path.exists() for step, path in paths.items() if step <= done):
            raise checkpoint.damaged(saved, "weights of earlier steps are missing")
    stream, last = Stream(task, recipe), time.monotonic()
    length = min(SEGMENT, recipe.steps)
    for start in range(done, recipe.steps, length):
        end = min(start + length, recipe.steps)
        state, losses = _segment(state, stream(start, end), shape, recipe, task.kind)
        loss = float(losses[-1])
        if not math.isfinite(loss):
            raise UnmirageError(
                f"{rung.task} {rung.name}: the loss is {loss} after {end} steps",
                mend="a lower rate: --set rate=...",
            )
        if end in paths:
            save_weights(paths[end], state[0], shape, rung, end)
        tell(end, loss)
        asked = stop()
        if end < recipe.steps and (asked or time.monotonic() - last >= save_seconds):
            checkpoint.save(saved, state, {"rung": rung.trained(), "step": str(end)})
            last = time.monotonic()
        if asked:
            raise Stopped
    saved.unlink(missing_ok=True)


def save_weights(
    path: Path, params: Params, shape: Shape | VisionShape, rung: Rung, step: int
) -> None:
    """The parameters with all that is needed to use them again."""
    facts = {"rung": json.dumps(asdict(rung)), "shape": json.dumps(asdict(shape))}
    checkpoint.save(path, params, {**facts, "step": str(step)})


def load_weights(path: Path, shape: Shape | VisionShape) -> Params:
    """The parameters of one rung at one step."""
    arrays, _ = checkpoint.load(path)
    try:
        like = jax.eval_shape(lambda key: init(key, shape), jax.random.key(0))
        found: Params = checkpoint.unflatten(
            jax.tree.map(lambda x: np.zeros(x.shape), like), arrays
        )
    except KeyError as error:
        raise checkpoint.damaged(path, f"{error} has another shape") from error
    on_device: Params = jax.tree.map(jnp.asarray, found)
    return on_device
