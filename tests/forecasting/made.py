"""Small ladders for the tests of forecasts."""

import numpy as np
import polars as pl

from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.records import read


def table(scores, *, metric="acc", family="F", task="toy", n=1000, start=6.0, gap=0.5, **more):
    scores = np.asarray(scores, float)
    scale = 10.0 ** (start + gap * np.arange(len(scores)))
    return pl.DataFrame(
        {
            "family": family,
            "task": task,
            "metric": metric,
            "params": scale,
            "score": scores,
            "n_samples": float(n) if n else None,
            **more,
        }
    )


def curves(*tables):
    frame = pl.concat(tables, how="diagonal_relaxed")
    return list(build(read(frame), Options()).curves)


def logistic(rungs, slope=1.0, middle=1.5, gap=0.5, seed=0, n=1000, noise=0.0):
    rng = np.random.default_rng(seed)
    eta = slope * (gap * np.arange(rungs) - middle) + noise * rng.standard_normal(rungs)
    return rng.binomial(n, 1 / (1 + np.exp(-eta))) / n
