"""Surveys of many triplets, some with a real break: is the false discovery rate what it says?"""

from __future__ import annotations

import numpy as np
import polars as pl

from unmirage.calibration.grid import RANGES
from unmirage.simulate import SHAPES, Design, Metric, Truth, scores

#: of the same outputs, so that their verdicts go together
METRICS: tuple[Metric, ...] = ("exact_match", "token_accuracy", "cross_entropy")


def survey(triplets: int, share: float, seed: int) -> tuple[pl.DataFrame, set[str]]:
    """A table of ``triplets`` curves (or a few more), and the families with a real break.

    Each family draws its truth and its design: a smooth shape, how far it rises, 6 to 12 rungs, 300
    to 3,000 items of 1 to 8 tokens, noise of 0 to 0.2 logit between rungs; a ``share`` of them has
    a step of 2 to 4 logits on a gentle rise instead.
    """
    rng = np.random.default_rng([seed, 1])
    frames, real = [], set()
    for number in range(-(-triplets // len(METRICS))):
        truth, design = _draw(rng, bool(rng.random() < share))
        name = f"S{number}"
        if truth.real:
            real.add(name)
        made = scores(truth, design, metrics=METRICS, seed=int(rng.integers(2**31)))
        frames.append(made.with_columns(family=pl.lit(name)))
    return pl.concat(frames, how="diagonal"), real


def _draw(rng: np.random.Generator, real: bool) -> tuple[Truth, Design]:
    design = Design(
        rungs=int(rng.choice([6, 8, 10, 12])),
        items=int(rng.choice([300, 1000, 3000])),
        tokens=int(rng.choice([1, 4, 8])),
        noise=float(rng.choice([0.0, 0.1, 0.2])),
        uneven=bool(rng.random() < 0.5),
    )
    shape = str(rng.choice(list(SHAPES)))
    first, last = RANGES[rng.integers(len(RANGES))]
    step = float(rng.choice([2.0, 3.0, 4.0]))
    return (Truth("logistic", 0.4, 0.6, step=step) if real else Truth(shape, first, last)), design
