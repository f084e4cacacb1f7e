"""Families with known truth, written out item by item."""

from __future__ import annotations

import numpy as np
import polars as pl


def answers(
    cross_entropy, *, items=1000, tokens=5, seed=0, dependence=0.5, family="truth", cluster=None
):
    """Samples of a family whose mean per-token cross-entropy is given for each rung (nats).

    Items differ in difficulty (log-normal, sd ``dependence``): errors within an answer come
    together. A token is right when its probability beats an even coin; the answer is those tokens.
    """
    rng = np.random.default_rng(seed)
    difficulty = np.exp(dependence * rng.standard_normal(items))
    difficulty /= difficulty.mean()
    frames = []
    for i, level in enumerate(cross_entropy):
        nats = level * difficulty[:, None] * rng.gamma(4.0, 0.25, (items, tokens))
        right = rng.random((items, tokens)) < np.exp(-nats)
        target = rng.integers(0, 10, (items, tokens))
        wrong = (target + rng.integers(1, 10, (items, tokens))) % 10
        output = np.where(right, target, wrong)
        frames.append(
            pl.DataFrame(
                {
                    "family": family,
                    "model": f"m{i}",
                    "params": 10.0 ** (6 + 0.4 * i),
                    "task": "digits",
                    "item": [f"q{s}" for s in range(items)],
                    "output": ["".join(map(str, row)) for row in output],
                    "targets": [["".join(map(str, row))] for row in target],
                    "token_logprobs": (-nats).tolist(),
                    "token_correct": right.tolist(),
                    **({"cluster": [f"c{s // cluster}" for s in range(items)]} if cluster else {}),
                }
            )
        )
    return pl.concat(frames)


def scores(values, *, n=1000, metric="acc", scale=None, **more):
    """A table of aggregate scores."""
    k = len(values)
    scale = [10.0 ** (6 + 0.4 * i) for i in range(k)] if scale is None else scale
    return pl.DataFrame(
        {"family": "F", "task": "t", "metric": metric, "params": scale, "score": values}
        | ({"n_samples": [float(n)] * k} if n else {})
        | more
    )
