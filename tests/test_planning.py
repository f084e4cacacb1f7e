"""Plans: they agree with the simulator, and take from a curve what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage
from unmirage.calibration.grid import Cell
from unmirage.calibration.run import judge
from unmirage.cli import app
from unmirage.errors import InputError, OptionError
from unmirage.planning import GENTLE, Plan, Power, at_hand, plan
from unmirage.report.plans import to_text
from unmirage.simulate import Design, Truth, scores


def one(truth: Truth, design: Design, metric: str = "exact_match", seed: int = 0):
    frame = scores(truth, design, metrics=[metric], seed=seed)  # type: ignore[list-item]
    [found] = unmirage.audit(unmirage.read(frame), draws=200).judgements
    return found


def test_a_plan_agrees_with_the_simulator() -> None:
    made = plan(rungs=(6, 8), items=(300,), steps=(3.0,), families=15, seed=4, workers=1)
    for p in made.surface:
        truth = Truth(GENTLE.shape, GENTLE.first, GENTLE.last, step=p.step)
        rate = judge(Cell("power", truth, Design(rungs=p.rungs, items=p.items)), 15, 4)
        assert (p.rate, p.low, p.high) == (rate.rate, *rate.interval)
    assert [(p.rungs, p.items, p.step) for p in made.steps] == [(8, 1000, 3.0)]


def test_the_same_plan_however_many_workers() -> None:
    kept = {"rungs": (5, 8), "items": (100,), "steps": (), "families": 4, "seed": 1}
    assert plan(workers=1, **kept) == plan(workers=2, **kept)  # type: ignore[arg-type]


def made(
    rates: dict[tuple[int, int], float], steps: dict[float, float], power: float = 0.9
) -> Plan:
    surface = tuple(Power(r, n, 2.0, rate, 0.0, 1.0, 10) for (r, n), rate in rates.items())
    heights = tuple(Power(8, 1000, s, rate, 0.0, 1.0, 10) for s, rate in steps.items())
    return Plan(2.0, power, GENTLE, Design(), surface, heights, (1e6, 1e10))


def test_the_choice_is_the_fewest_rungs_then_items_and_sizes_span_the_range() -> None:
    found = made({(12, 100): 1.0, (8, 10_000): 0.95, (8, 1000): 0.92, (6, 10_000): 0.5}, {})
    assert found.choice is not None
    assert (found.choice.rungs, found.choice.items) == (8, 1000)
    assert len(found.sizes) == 8
    assert found.sizes[0] == pytest.approx(1e6)
    assert found.sizes[-1] == pytest.approx(1e10)
    none = made({(6, 100): 0.1}, {})
    assert none.choice is None
    assert none.sizes == ()
    assert "None of these designs" in to_text(none)


def test_the_weakest_step_is_one_above_which_all_are_seen() -> None:
    assert made({}, {0.5: 0.1, 1.0: 0.95, 2.0: 0.99}).weakest == 1.0
    assert made({}, {0.5: 0.95, 1.0: 0.4, 2.0: 0.99}).weakest == 2.0
    assert made({}, {1.0: 0.4, 2.0: 0.5}).weakest is None


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_a_curve_tells_its_design_and_its_noise(noise: float) -> None:
    told = []
    for seed in range(12):
        design = Design(rungs=12, items=4000, tokens=1, noise=noise)
        truth, found, scale = at_hand(one(Truth("logistic", 0.1, 0.9), design, seed=seed))
        assert (found.rungs, found.items, found.tokens, found.chance) == (12, 4000, 1, 0.0)
        assert found.decades == pytest.approx(4.0)
        assert scale == pytest.approx((1e6, 1e10))
        assert truth.first < truth.last
        told.append(found.noise)
    assert np.median(told) == pytest.approx(noise, abs=0.13)


def test_chance_is_taken_from_the_curve() -> None:
    design = Design(rungs=6, chance=0.25)
    _, found, _ = at_hand(one(Truth("logistic", 0.1, 0.9), design, "accuracy"))
    assert found.chance == 0.25
    assert plan(design=found, rungs=(6,), items=(100,), steps=(), families=2, workers=1).surface


def test_a_loss_and_a_curve_without_items_cannot_be_planned_for() -> None:
    with pytest.raises(InputError, match="share of right answers"):
        at_hand(one(Truth(), Design(), "cross_entropy"))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"power": 1.0}, "a power of 1.0"),
        ({"step": 0.0}, "not above 0"),
        ({"steps": (-1.0,)}, "not above 0"),
        ({"families": 0}, "0 families"),
        ({"rungs": (1,)}, "1 rungs"),
        ({"items": (0,)}, "0 items"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        plan(**options)


@pytest.mark.parametrize(
    ("asked", "mend"),
    [
        (["--tokens", "99999"], "a number of tokens from 1 to 10,000"),
        (["--items", "0"], "whole numbers from 1 on: --items 500,2000"),
        (["--rungs", "2"], "whole numbers from 3 on: --rungs 6,8,12"),
    ],
)
def test_the_mend_is_one_for_the_option_at_fault(asked, mend):
    done = CliRunner().invoke(app, ["plan", *asked, "--families", "1"])
    assert done.exit_code == 2
    assert mend in done.stderr


def test_the_command_plans_without_records_and_from_one_curve(tmp_path: Path) -> None:
    asked = ["plan", "--rungs", "8", "--items", "200", "--families", "2", "--workers", "1"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "| 8 |" in done.output
    body = json.loads((tmp_path / "plan.json").read_text())
    assert body["format"] == "unmirage.plan/1"
    assert body["design"]["noise"] == 0.1
    assert (tmp_path / "power.svg").read_text().startswith("<svg")
    assert "power.svg" in (tmp_path / "plan.md").read_text()
    table = tmp_path / "two.csv"
    scores(Truth("logistic", 0.1, 0.9), Design(tokens=1, chance=0), families=2).write_csv(table)
    both = CliRunner().invoke(app, [*asked, str(table)])
    assert both.exit_code == 2
    assert "2 curves" in both.output
    first = CliRunner().invoke(app, [*asked, str(table), "--family", "F0"])
    assert first.exit_code == 0, first.output
    assert "answers of 1 tokens" in first.output
    told = CliRunner().invoke(app, [*asked, str(table), "--tokens", "4"])
    assert told.exit_code == 2
    wrong = CliRunner().invoke(app, ["plan", "--rungs", "six"])
    assert wrong.exit_code == 2
    assert "--rungs 'six'" in wrong.output


def test_a_chance_level_of_mixed_numbers_of_choices_is_kept_and_one_above_half_refused() -> None:
    frame = pl.DataFrame(
        {
            "model": [f"m{i}" for i in range(6)],
            "params": [1e7, 1e8, 1e9, 1e10, 1e11, 1e12],
            "task": "t",
            "metric": "accuracy",
            "score": [0.31, 0.3, 0.35, 0.5, 0.6, 0.8],
            "n_samples": 500,
        }
    )
    [found] = unmirage.audit(unmirage.read(frame), chance={"t": 0.3}, draws=100).judgements
    design = at_hand(found)[1]
    assert design.chance == 0.3
    made = plan(rungs=(6,), items=(500,), steps=(), design=design, families=4, workers=1)
    assert made.surface[0].families == 4
    [high] = unmirage.audit(unmirage.read(frame), chance={"t": 0.7}, draws=100).judgements
    with pytest.raises(InputError, match=r"chance level of 0\.7"):
        at_hand(high)
