"""Recipes, rungs and families: the grid of recorded steps, fingerprints, widths, settings."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.errors import OptionError
from unmirage.lab import families, mixture, recipe, tasks
from unmirage.lab.families import FAMILIES, Family, changed, rungs
from unmirage.lab.recipe import SEGMENT, Recipe, Rung

# ---------------------------------------------------------------- the grid of recorded steps


@settings(max_examples=300, deadline=None)
@given(steps=st.integers(1, 30_000), checkpoints=st.integers(1, 12))
def test_the_grid_increases_to_the_last_step_in_multiples_of_a_segment(
    steps: int, checkpoints: int
) -> None:
    grid = Recipe(steps=steps, checkpoints=checkpoints).grid()
    assert grid[-1] == steps
    assert all(a < b for a, b in pairwise(grid))
    assert all(step % SEGMENT == 0 for step in grid[:-1])
    assert grid[0] == min(SEGMENT, steps) or steps < 2 * SEGMENT


@settings(max_examples=100, deadline=None)
@given(doublings=st.integers(1, 8), checkpoints=st.integers(1, 4), rest=st.integers(0, 99))
def test_the_grid_is_even_in_log_steps(doublings: int, checkpoints: int, rest: int) -> None:
    steps = 2**doublings * SEGMENT + rest
    grid = Recipe(steps=steps, checkpoints=checkpoints).grid()
    # where rounding to segments is no matter, one ratio; never a step close to the last one
    late = [step for step in grid[:-1] if step >= 16 * SEGMENT]
    for a, b in pairwise(late):
        assert b / a == pytest.approx(2 ** (1 / checkpoints), rel=0.07)
    if len(grid) > 1:
        assert grid[-1] / grid[-2] >= 2 ** (0.5 / checkpoints)
    assert {2**i * SEGMENT for i in range(doublings)} <= set(grid), "every doubling is there"


@pytest.mark.parametrize(
    ("steps", "checkpoints", "grid"),
    [
        (30, 1, (30,)),
        (100, 1, (100,)),
        (190, 4, (100, 190)),
        (1000, 1, (100, 200, 400, 1000)),
        (800, 2, (100, 200, 300, 400, 600, 800)),
    ],
)
def test_the_grid_of_some_recipes(steps: int, checkpoints: int, grid: tuple[int, ...]) -> None:
    assert Recipe(steps=steps, checkpoints=checkpoints).grid() == grid


@pytest.mark.parametrize(
    "bad",
    [
        *({name: 0} for name in ("steps", "batch", "layers", "heads", "checkpoints")),
        *({"rate": value} for value in (0.0, -1.0, float("nan"))),
        {"warmup": -1},
        {"clip": -0.5},
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_a_mend(bad: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="mend: ") as caught:
        Recipe(**bad)  # type: ignore[arg-type]
    assert next(iter(bad)) in str(caught.value)


# ---------------------------------------------------------------- fingerprints

RUNG = Rung("addition", 8, 0, Recipe(), (("choices", 0), ("digits", "3"), ("items", 100)))


def with_option(rung: Rung, **options: int | str) -> Rung:
    return replace(rung, options=tuple(sorted({**dict(rung.options), **options}.items())))


@pytest.mark.parametrize(
    "other",
    [
        *(replace(RUNG, recipe=replace(RUNG.recipe, **{f.name: 2})) for f in fields(Recipe)),
        replace(RUNG, d_model=12),
        replace(RUNG, seed=1),
        replace(RUNG, task="multiplication"),
        replace(RUNG, task_seed=1),
        with_option(RUNG, digits="4"),
        with_option(RUNG, shots=1),
    ],
)  # fmt: skip
def test_every_setting_of_the_training_changes_both_fingerprints(other: Rung) -> None:
    assert other != RUNG
    assert other.trained() != RUNG.trained()
    assert other.asked() != RUNG.asked()


@pytest.mark.parametrize("task", ["addition", "mixture", "parity", "icl-labels"])
@pytest.mark.parametrize("option", ["items", "choices"])
def test_what_is_asked_changes_only_the_fingerprint_of_the_records(task: str, option: str) -> None:
    one = Rung(task, 8, 0, Recipe())
    other = with_option(one, **{option: 7})
    assert other.trained() == one.trained()
    assert other.asked() != one.asked()
    assert other.stem() == one.stem()


def test_the_items_of_recall_are_what_it_trains_on_and_its_choices_are_not() -> None:
    one = Rung("recall", 8, 0, Recipe())
    assert with_option(one, items=7).trained() != one.trained()
    assert with_option(one, choices=4).trained() == one.trained()
    assert with_option(one, choices=4).asked() != one.asked()


def test_the_version_of_the_lab_changes_both_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    before = RUNG.trained(), RUNG.asked()
    monkeypatch.setattr(recipe, "VERSION", recipe.VERSION + 1)
    assert RUNG.trained() != before[0]
    assert RUNG.asked() != before[1]


def test_fingerprints_survive_json() -> None:
    kept = json.loads(json.dumps(asdict(RUNG)))
    options = tuple((name, value) for name, value in kept["options"])
    again = Rung(**{**kept, "recipe": Recipe(**kept["recipe"]), "options": options})
    assert again == RUNG
    assert (again.trained(), again.asked()) == (RUNG.trained(), RUNG.asked())


def test_wider_and_longer_costs_more() -> None:
    assert replace(RUNG, d_model=12).cost() > RUNG.cost()
    assert replace(RUNG, recipe=Recipe(steps=9999)).cost() > RUNG.cost()


# ---------------------------------------------------------------- families


@pytest.fixture
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that take no time to make, and are not kept for other tests."""
    monkeypatch.setattr(mixture, "POOL", 600)
    monkeypatch.setattr(mixture, "RESERVE", 500)
    monkeypatch.setattr(tasks, "_make", tasks._make.__wrapped__)


def test_no_option_of_a_task_has_the_name_of_a_setting_of_the_recipe() -> None:
    of_recipe = {f.name for f in fields(Recipe)}
    for name in tasks.TASKS:
        assert not of_recipe & set(tasks.options(name)), "--set could not tell them apart"


@pytest.mark.usefixtures("_small_tables")
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_a_ladder_of_a_task_that_can_be_made(name: str) -> None:
    plan = families.default_rungs(name)
    assert len(plan) == len(set(plan)) == sum(f.sizes * f.seeds for f in FAMILIES[name])
    for family in FAMILIES[name]:
        known = tasks.options(family.task)
        assert {option for option, _ in family.options} <= set(known)
        mine = [r for r in plan if r.task == family.task]
        assert {r.recipe for r in mine} == {family.recipe}
        widths = sorted({r.d_model for r in mine})
        assert (widths[0], widths[-1]) == (family.smallest, family.largest)


@settings(max_examples=200, deadline=None)
@given(
    heads=st.sampled_from([1, 2, 4]),
    smallest=st.integers(1, 6),
    more=st.integers(0, 40),
    count=st.integers(1, 20),
)
def test_widths_increase_in_multiples_of_the_heads_or_do_not_fit(
    heads: int, smallest: int, more: int, count: int
) -> None:
    low, high = smallest * heads, (smallest + more) * heads
    family = Family("recall", "", low, high, Recipe(heads=heads))
    if count > more + 1:
        with pytest.raises(OptionError, match="do not fit") as caught:
            family.widths(count)
        assert f"at most {more + 1}" in str(caught.value)
        return
    widths = family.widths(count)
    assert len(widths) == count
    assert all(a < b for a, b in pairwise(widths))
    assert all(d % heads == 0 for d in widths)
    assert widths[-1] == high
    assert widths[0] == low or count == 1


def test_rungs_are_every_width_with_every_seed() -> None:
    found = rungs(FAMILIES["recall"][0], (4, 8), range(2))
    assert [r.name for r in found] == ["d4 seed0", "d4 seed1", "d8 seed0", "d8 seed1"]


@pytest.mark.parametrize(
    ("widths", "seeds", "words"),
    [
        ((8, 4), (0,), "do not increase"),
        ((4, 4), (0,), "do not increase"),
        ((4, 6), (0,), "no multiple of 4 heads"),
        ((-4, 4), (0,), "no multiple"),
        ((0, 4), (0,), "no multiple"),
        ((), (0,), "no size"),
        ((4,), (), "no seed"),
    ],
)
def test_sizes_that_cannot_be_are_refused(
    widths: tuple[int, ...], seeds: tuple[int, ...], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        rungs(FAMILIES["recall"][0], widths, seeds)


def test_settings_are_those_of_the_recipe_and_of_the_task() -> None:
    family = changed(
        FAMILIES["addition"][0], {"steps": "2e3", "rate": "0.5", "digits": "2-3", "items": "30"}
    )
    assert family.recipe == replace(FAMILIES["addition"][0].recipe, steps=2000, rate=0.5)
    assert family.options == (("digits", "2-3"), ("items", 30))
    assert changed(FAMILIES["addition"][0], {}) == FAMILIES["addition"][0]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stepz", "5", "no setting 'stepz'"),
        ("seed", "5", "no setting 'seed'"),
        ("steps", "many", "a whole number is needed"),
        ("steps", "1e400", "a whole number is needed"),
        ("steps", "", "a whole number is needed"),
        ("items", "1.5", "a whole number is needed"),
        ("rate", "fast", "a number is needed"),
    ],
)
def test_a_setting_nobody_knows_or_of_the_wrong_kind_is_refused(
    name: str, value: str, words: str
) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        changed(FAMILIES["addition"][0], {name: value})
    assert "mend: " in str(caught.value)


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(OptionError, match="did you mean 'multiplication'"):
        FAMILIES["multiplicaton"]


@pytest.mark.usefixtures("_small_tables")
def test_a_task_that_cannot_be_is_refused_before_anything_is_trained() -> None:
    family = changed(FAMILIES["parity"][0], {"choices": "3"})
    with pytest.raises(OptionError, match="at most 2 choices"):
        rungs(family, (4,), (0,))


def test_the_table_of_families_has_a_row_for_each() -> None:
    rows = families.table()
    assert [row["family"] for row in rows] == list(FAMILIES)
    assert all(row["about"] for row in rows)
    recall = rows[0]
    assert (recall["widths"], recall["params"]) == ("4 to 96", "192 to 110,592")
    assert "length=5" in str(recall["options"])


@pytest.mark.parametrize(
    "settings",
    [{"steps": 10**13}, {"batch": 10**9}, {"checkpoints": 10**12}, {"rate_power": -1000.0}],
)
def test_settings_that_are_surely_a_slip_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(settings))):
        Recipe(**settings)


def test_sizes_and_seeds_that_are_surely_a_slip_are_refused() -> None:
    family = FAMILIES["recall"][0]
    with pytest.raises(OptionError, match="4000000000 sizes"):
        family.widths(4_000_000_000)
    with pytest.raises(OptionError, match="a width of 99,999,996"):
        rungs(family, (4, 99_999_996), (0,))
    with pytest.raises(OptionError, match="100,000,000 seeds"):
        rungs(family, (4,), range(100_000_000))
    icl = next(f for f in FAMILIES["icl"] if f.task == "icl-regression")
    with pytest.raises(OptionError, match="dim 100000000"):
        rungs(changed(icl, {"dim": "100000000"}), (8,), (0,))
