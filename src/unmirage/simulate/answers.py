"""Answers of simulated families, item by item."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy import special

from unmirage.simulate.families import family, refuse, total_of
from unmirage.simulate.truths import Design, Truth
from unmirage.types import Floats

#: nats below which a log-probability is not followed
LEAST = -700.0


def samples(truth: Truth, design: Design, *, families: int = 1, seed: int = 0) -> pl.DataFrame:
    """Answers item by item, as ``unmirage.read`` takes them.

    Text (no chance level): ``output`` drawn token by token, ``targets``, ``token_logprobs`` and
    ``token_correct``. Choices (a chance level): ``choices``, ``choice_logprobs``, ``target_index``.
    """
    refuse(design, (), families)
    frames = []
    for number in range(families):
        rng = np.random.default_rng([seed, number])
        drawn = family(truth, design, rng)
        parts = 1 + design.choices
        shared = rng.standard_normal((parts, design.items))
        targets = rng.integers(0, 10, (design.items, design.tokens))
        for k, row in enumerate(drawn.p):
            for i, p in enumerate(row):
                luck = rng.standard_normal((parts, design.items))
                luck = np.sqrt(design.difficulty) * shared + np.sqrt(1 - design.difficulty) * luck
                made = (
                    _choices(p, design, luck[1:], rng)
                    if design.choices
                    else _answers(p, design, luck[0], targets, rng)
                )
                head: dict[str, Any] = {
                    "family": f"F{number}",
                    "model": f"m{i} s{k}",
                    "params": float(drawn.scale[i]),
                    "task": "simulated",
                    **({"seed": k} if design.seeds > 1 else {}),
                }
                frame = pl.DataFrame({"item": [f"q{s}" for s in range(design.items)], **made})
                if design.missing:
                    kept = rng.random(design.items) >= design.missing
                    frame = frame.filter(pl.Series(kept))
                frames.append(frame.with_columns(**{n: pl.lit(v) for n, v in head.items()}))
    return pl.concat(frames)


def _answers(
    p: float, design: Design, luck: Floats, targets: Any, rng: np.random.Generator
) -> dict[str, Any]:
    """Outputs of one model; the luck of an item is its place in the beta distribution."""
    shape, r = (design.items, design.tokens), design.dependence
    total = total_of(r)
    shapes = p * total, (1 - p) * total
    if r:
        mine = special.betaincinv(*shapes, special.ndtr(luck))
        each = np.broadcast_to(mine[:, None], shape)
    else:
        each = rng.beta(*shapes, shape)
    right = rng.random(shape) < each
    wrong = (targets + rng.integers(1, 10, shape)) % 10
    with np.errstate(divide="ignore"):
        nats = np.log(each)
    return {
        "output": _spell(np.where(right, targets, wrong)),
        "targets": [[t] for t in _spell(targets)],
        "token_logprobs": pl.Series(np.clip(nats, LEAST, 0.0)).cast(pl.List(pl.Float64)),
        "token_correct": pl.Series(right).cast(pl.List(pl.Boolean)),
    }


def _spell(digits: Any) -> list[str]:
    return ["".join(map(str, row)) for row in digits.tolist()]


def _choices(p: float, design: Design, luck: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Log-probabilities of K choices whose best is right with c + (1 - c) p."""
    k = design.choices
    share = design.chance + (1 - design.chance) * p
    eta = np.log(share * (k - 1) / (1 - share))
    made = -np.log(-np.log(special.ndtr(luck.T).clip(1e-300, 1 - 1e-16)))  # (items, K) Gumbel
    index = rng.integers(0, k, design.items)
    made[np.arange(design.items), index] += eta
    made = made - special.logsumexp(made, axis=1, keepdims=True)
    return {
        "choices": [[f"choice {j}" for j in range(k)]] * design.items,
        "choice_logprobs": pl.Series(np.maximum(made, LEAST)).cast(pl.List(pl.Float64)),
        "target_index": index,
    }
