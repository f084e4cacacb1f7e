"""How often the intervals of pass@k beyond the answers sampled hold the truth, on made items.

    python benchmarks/pass_at_k.py [--times 200] [--answers 16,64] [--items 100,400]

Each time items draw their pass rates from a known spread, and their answers from those. Truths: the
mean of 1 - (1 - p_i)^k over these very items, and over all of their kind; printed is the
share held by 50, 80 and 95 % intervals. All spreads but the last are among the shapes averaged.
"""

import argparse

import numpy as np
from scipy import special

from unmirage.forecasting import extrapolate_pass_at_k

LEVELS = (0.5, 0.8, 0.95)


def beta(rng, size):
    return rng.beta(0.3, 3.0, size)


def log_normal(rng, size):
    return np.minimum(np.exp(rng.normal(-4, 2, size)), 1.0)


def logit_normal(rng, size):
    return special.expit(rng.normal(-4, 2, size))


def two_clumps(rng, size):
    return np.where(rng.random(size) < 0.5, 0.3, 1e-3)


def three_clumps(rng, size):
    return rng.choice([0.6, 0.05, 1e-3], size)


def easy_and_hard(rng, size):
    hard = rng.random(size) < 0.5
    return np.where(hard, np.exp(rng.normal(-7, 1, size)).clip(0, 1), rng.beta(2, 2, size))


def half_never(rng, size):
    return np.where(rng.random(size) < 0.5, 0.0, rng.beta(1, 3, size))


TRUTHS = (beta, log_normal, logit_normal, two_clumps, half_never, three_clumps, easy_and_hard)


def held(draws, truth):
    """Is the truth in each central interval? (levels, K)"""
    return np.stack(
        [
            (np.quantile(draws, (1 - v) / 2, axis=0) <= truth)
            & (truth <= np.quantile(draws, (1 + v) / 2, axis=0))
            for v in LEVELS
        ]
    )


def judge(truth, answers, items, times):
    k = answers * np.unique([2, 4, 16, answers]).astype(float)
    everyone = truth(np.random.default_rng(1), 1_000_000)
    of_kind = np.array([-np.expm1(v * np.log1p(-everyone.clip(0, 1 - 1e-12))).mean() for v in k])
    rng = np.random.default_rng([answers, items])
    same, kind, width = [], [], []
    for seed in range(times):
        p = truth(rng, items)
        made = extrapolate_pass_at_k(rng.binomial(answers, p), answers, k, draws=400, seed=seed)
        same.append(held(made.draws, (1 - (1 - p[:, None]) ** k).mean(axis=0)))
        kind.append(held(made.population, of_kind))
        width.append(made.high - made.low)
    return k, np.mean(same, axis=0), np.mean(kind, axis=0), np.mean(width, axis=0)


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--times", type=int, default=200)
    ask.add_argument("--answers", default="16,64")
    ask.add_argument("--items", default="100,400")
    ask.add_argument("--truths", default=",".join(t.__name__ for t in TRUTHS))
    asked = ask.parse_args()
    print("| items' pass rates | answers | items | k | these items | all items | width of 95 % |")
    print("|---|---|---|---|---|---|---|")
    for truth in (t for t in TRUTHS if t.__name__ in asked.truths.split(",")):
        for answers in map(int, asked.answers.split(",")):
            for items in map(int, asked.items.split(",")):
                for k, same, kind, wide in zip(
                    *(v.T for v in judge(truth, answers, items, asked.times)), strict=True
                ):
                    told = (", ".join(f"{100 * v:.0f}" for v in row) for row in (same, kind))
                    print(
                        f"| {truth.__name__.replace('_', ' ')} | {answers} | {items} | {k:g} |",
                        " | ".join(told), f"| {wide:.3f} |", flush=True,
                    )  # fmt: skip


if __name__ == "__main__":
    main()
