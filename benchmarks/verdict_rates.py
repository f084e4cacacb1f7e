"""Rates of the verdict on aggregates with known truth: the table of docs/log.md.

python benchmarks/verdict_rates.py        # about two minutes on one core
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

import unmirage

FAMILIES, ITEMS = 150, 1000
Truth = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


#: score at x decades, with noise e between the rungs and a step s (0 below, 1 above the middle)
TRUTHS: dict[str, Truth] = {
    "logistic": lambda x, e, s: logistic(-3 + 1.2 * (x - 6) + e),
    "power law, 8 tokens": lambda x, e, s: np.exp(-8 * np.exp(1 - 0.9 * (x - 6) + e)),
    "above chance 0.25": lambda x, e, s: 0.25 + 0.75 * logistic(-4 + 1.5 * (x - 6) + e),
    "step of 2 logits": lambda x, e, s: logistic(-2 + 0.4 * (x - 6) + 2 * s + e),
    "step of 3 logits": lambda x, e, s: logistic(-2.5 + 0.4 * (x - 6) + 3 * s + e),
    "step of 2 logits, 4 tokens": lambda x, e, s: logistic(0.4 * (x - 6) + 2 * s + e) ** 4,
}


def rates(name: str, rungs: int, tau: float, rng: np.random.Generator) -> Counter[str]:
    """Verdicts on families of one truth."""
    x, step = np.linspace(6, 10, rungs), (np.arange(rungs) >= rungs // 2).astype(float)
    frames = []
    for i in range(FAMILIES):
        truth = TRUTHS[name](x, tau * rng.standard_normal(rungs), step)
        score = rng.binomial(ITEMS, np.clip(truth, 0, 1)) / ITEMS
        columns = {"family": f"F{i}", "params": 10**x, "task": "t", "metric": "acc"}
        frame = pl.DataFrame({**columns, "score": score, "n_samples": float(ITEMS)})
        if "chance" in name:
            frame = frame.with_columns(chance=0.25)
        frames.append(frame)
    audit = unmirage.audit(unmirage.read(pl.concat(frames)), draws=200)
    return Counter(j.verdict for j in audit.judgements)


if __name__ == "__main__":
    rng = np.random.default_rng(11)
    for rungs in (6, 8, 12):
        for tau in (0.0, 0.2):
            for name in TRUTHS:
                found = rates(name, rungs, tau, rng)
                shares = {k: round(v / FAMILIES, 3) for k, v in sorted(found.items())}
                print(f"{name:28s} {rungs:2d} rungs, noise {tau}: {shares}", flush=True)
