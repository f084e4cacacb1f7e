"""The chain from log-probability to accuracy against a slow, obvious twin."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from unmirage.curves.chain import chains, spreads
from unmirage.records import read


def answers(models: int = 6, items: int = 40, seed: int = 1, noise: float = 1.0) -> pl.DataFrame:
    """Models that grow better; each item has an ease of its own."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 1.5, items)
    rows = []
    for m in range(models):
        for i in range(items):
            right = -6.0 + 0.8 * m + ease[i] + rng.normal(0, 0.2)
            logp = [min(right, -0.01), *(-np.abs(rng.normal(4.0, noise, 3)) - 0.01)]
            rows.append(
                {
                    "family": "f",
                    "model": f"m{m}",
                    "params": 1e7 * 4.0**m,
                    "task": "t",
                    "item": f"i{i}",
                    "choice_logprobs": [float(p) for p in logp],
                    "target_index": 0,
                }
            )
    return pl.DataFrame(rows)


def test_every_correlation_by_hand() -> None:
    frame = answers()
    (chain,) = chains(read(frame))
    x = [math.log10(1e7 * 4.0**m) for m in range(6)]
    lists = {key[0]: part.sort("params")["choice_logprobs"].to_list()
             for key, part in frame.group_by("item")}  # fmt: skip
    steps = {
        "logprob_choice": lambda p: p[0],
        "prob_choice": lambda p: math.exp(p[0]),
        "prob_choice_norm": lambda p: math.exp(p[0]) / sum(map(math.exp, p)),
        "accuracy": lambda p: float(p[0] == max(p)),
    }
    assert [s.name for s in chain.steps] == list(steps)
    assert (chain.items, chain.models, chain.key.metric) == (
        40,
        tuple(f"m{m}" for m in range(6)),
        "",
    )
    for step in chain.steps:
        scores = [[steps[step.name](p) for p in ps] for ps in lists.values()]
        for spread, function in ((step.spearman, stats.spearmanr), (step.pearson, stats.pearsonr)):
            r = [function(x, s).statistic for s in scores if len(set(s)) > 1]
            assert spread.mean == pytest.approx(np.mean(r), abs=1e-12)
            assert spread.median == pytest.approx(np.median(r), abs=1e-12)
            assert spread.low == pytest.approx(np.quantile(r, 0.1), abs=1e-12)
            assert spread.defined == len(r) / 40
        means = np.mean(scores, axis=0)
        assert step.score == pytest.approx(means)


def test_each_step_costs_correlation() -> None:
    """As the paper finds it where the mass on wrong choices fluctuates from model to model."""
    (chain,) = chains(read(answers(items=200, noise=3.0)))
    pearson = [s.pearson.mean * s.pearson.defined for s in chain.steps]
    assert pearson == sorted(pearson, reverse=True)
    assert chain.steps[0].pearson.defined == 1.0
    assert chain.steps[-1].pearson.defined < 1.0
    # a monotone change of one item's score changes no rank
    assert chain.steps[0].spearman == chain.steps[1].spearman


def test_targets_without_choices() -> None:
    frame = pl.DataFrame(
        {
            "params": [1e7, 1e8, 1e9],
            "item": "a",
            "token_logprobs": [[-3.0, -1.0], [-2.0, -0.5], [-0.1, -0.2]],
            "token_correct": [[False, True], [False, True], [True, True]],
        }
    )
    (chain,) = chains(read(frame))
    assert [s.name for s in chain.steps] == ["log_likelihood", "target_prob", "all_tokens_right"]
    assert chain.steps[2].score.tolist() == [0.0, 0.0, 1.0]
    assert chain.steps[0].pearson.mean == pytest.approx(
        stats.pearsonr([7, 8, 9], [-4, -2.5, -0.3]).statistic
    )


def test_answers_that_allow_no_chain() -> None:
    text = pl.DataFrame({"params": [1e7, 1e8, 1e9], "item": "a", "output": "x", "targets": "x"})
    assert chains(read(text)) == ()
    assert chains(read(pl.DataFrame({"params": [1e7], "score": [0.5]}))) == ()
    assert chains(read(answers(models=2))) == ()


def test_items_that_not_every_model_has_are_left_out() -> None:
    frame = answers().filter(~((pl.col("model") == "m2") & (pl.col("item") == "i3")))
    (chain,) = chains(read(frame))
    assert chain.items == 39
    half = frame.filter(~((pl.col("model") == "m2") & pl.col("item").str.contains("[0-9]$")))
    assert [c.items for c in chains(read(half))] in ([], [39], [40])


def test_probabilities_of_zero_and_constant_items() -> None:
    x = np.array([7.0, 8.0, 9.0, 10.0])
    scores = np.array([[-np.inf, 1.0], [-3.0, 1.0], [-2.0, 1.0], [-1.0, 1.0]])
    spearman, pearson = spreads(x, scores)
    assert (spearman.mean, spearman.defined) == (1.0, 0.5)
    assert pearson.defined == 0.0
    assert math.isnan(pearson.mean)


def test_two_families_are_two_chains() -> None:
    both = pl.concat([answers(), answers(seed=2).with_columns(family=pl.lit("g"))])
    assert [c.key.family for c in chains(read(both))] == ["f", "g"]
