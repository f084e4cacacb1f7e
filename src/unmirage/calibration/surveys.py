"""Surveys of many triplets, some with a real break: is the false discovery rate what it says?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from unmirage.calibration.grid import RANGES
from unmirage.simulate import SHAPES, Design, Metric, Truth, scores

#: of the same outputs, so that their verdicts go together
METRICS: tuple[Metric, ...] = ("exact_match", "token_accuracy", "cross_entropy")


#: of the families without a real rise, the share with rungs missing about the rise, and the share
#: that falls at once
HOLES, FALLS = 0.1, 0.1


def survey(
    triplets: int, share: float, seed: int, *, alone: bool = False
) -> tuple[pl.DataFrame, set[str]]:
    """A table of ``triplets`` curves (or a few more), and the families with a real break.

    Each family draws its truth and its design: a smooth shape, how far it rises, 6 to 12 rungs, 300
    to 3,000 items of 1 to 12 tokens, noise of 0 to 0.2 logit between rungs. Of the smooth ones some
    rise steeply from 0.001, so that exact match looks emergent, some have no rungs about the rise,
    and some fall at once instead, which is no ability. A ``share`` of all has a step of 2 to 4
    logits on a gentle rise. ``alone``: exact match of 8 to 20 tokens is all that there is, with
    noise up to 0.3, and 0 at most rungs of many families.
    """
    metrics = METRICS[:1] if alone else METRICS
    rng = np.random.default_rng([seed, 1])
    frames, real = [], set()
    for number in range(-(-triplets // len(metrics))):
        rises = bool(rng.random() < share)
        truth, design = _draw(rng, rises)
        if alone:
            design = replace(
                design,
                tokens=int(rng.choice([8, 12, 20])),
                noise=float(rng.choice([0.1, 0.2, 0.3])),
            )
        name = f"S{number}"
        if rises:
            real.add(name)
        made = scores(truth, design, metrics=metrics, seed=int(rng.integers(2**31)))
        frames.append(made.with_columns(family=pl.lit(name)))
    return pl.concat(frames, how="diagonal"), real


def _draw(rng: np.random.Generator, real: bool) -> tuple[Truth, Design]:
    design = Design(
        rungs=int(rng.choice([6, 8, 10, 12])),
        items=int(rng.choice([300, 1000, 3000])),
        tokens=int(rng.choice([1, 4, 8, 12])),
        noise=float(rng.choice([0.0, 0.1, 0.2])),
        uneven=bool(rng.random() < 0.5),
    )
    shape = str(rng.choice(list(SHAPES)))
    ranges = (*RANGES, (0.001, 0.97))
    first, last = ranges[rng.integers(len(ranges))]
    step = float(rng.choice([2.0, 3.0, 4.0]))
    kind = rng.random()
    if real:
        return Truth("logistic", 0.4, 0.6, step=step), design
    if kind < HOLES:
        hole = replace(design, rungs=14, decades=5.0, hole=0.4)
        return Truth("logistic", 0.0001, 0.9999), hole
    if kind < HOLES + FALLS:
        return Truth("logistic", 0.6, 0.4, step=-step), design
    return Truth(shape, first, last), design
