"""The bundled records: what they promise, checked without JAX."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import unmirage.examples as examples
from unmirage.errors import OptionError
from unmirage.lab import make_examples, tasks
from unmirage.records.columns import IDENTITY, SAMPLE, SETTINGS

NAMES = examples.names()


@pytest.fixture(scope="module", params=NAMES)
def frame(request: pytest.FixtureRequest) -> pl.DataFrame:
    return pl.read_parquet(examples.path(request.param))


def test_the_names_are_the_files_there_are_and_the_ladders_that_make_them() -> None:
    there = {path.stem for path in examples.folder().glob("*.parquet")}
    assert there == set(NAMES) == set(make_examples.PLANS)


def test_all_files_together_are_below_5_mb() -> None:
    assert sum(examples.path(name).stat().st_size for name in NAMES) < 5_000_000


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(OptionError, match="recall, multiplication, addition"):
        examples.path("division")


def test_columns_are_canonical(frame: pl.DataFrame) -> None:
    canonical = IDENTITY | SETTINGS | SAMPLE
    assert set(frame.columns) - set(canonical) == {"params_nonemb"}
    for name, dtype in frame.schema.items():
        if name == "token_logprobs":  # half the size, and exact to the 1e-4 nats kept
            assert dtype == pl.List(pl.Float32)
        elif name != "params_nonemb":
            assert dtype == canonical[name]
    assert frame.null_count().sum_horizontal()[0] == 0


def test_all_rungs_hold_the_same_items(frame: pl.DataFrame) -> None:
    items = frame.group_by("model", maintain_order=True).agg("item", "prompt", "targets")
    for column in ("item", "prompt", "targets"):
        assert items[column].n_unique() == 1
    assert items["item"][0].n_unique() == items["item"][0].len() >= 1000


def test_the_rungs_are_those_of_the_plan(frame: pl.DataFrame) -> None:
    name = frame["task"][0]
    plan = make_examples.PLANS[name]
    assert frame["family"].unique().to_list() == [f"lab-{name}"]
    expected = [f"d{size} seed{seed}" for size in plan.sizes for seed in plan.seeds]
    assert frame["model"].unique(maintain_order=True).to_list() == expected
    assert frame["step"].unique().to_list() == [plan.recipe.steps]


def test_params_increase_and_follow_from_the_width(frame: pl.DataFrame) -> None:
    plan = make_examples.PLANS[frame["task"][0]]
    task = tasks.make(frame["task"][0])
    length = task.prompts.shape[1] + task.targets.shape[1] - 1
    rungs = frame.unique("params", maintain_order=True)
    sizes = pl.Series(plan.sizes, dtype=pl.Float64)
    inner = 12 * sizes**2 * plan.recipe.layers
    assert rungs["params_nonemb"].to_list() == inner.to_list()
    assert rungs["params"].to_list() == (inner + (2 * len(task.vocab) + length) * sizes).to_list()
    assert frame["params"].is_sorted()
    tokens = plan.recipe.steps * plan.recipe.batch * length
    assert frame["tokens"].unique().to_list() == [tokens]
    assert (frame["flops"] == 6 * frame["params"] * frame["tokens"]).all()


def test_the_task_still_makes_the_items_of_the_file(frame: pl.DataFrame) -> None:
    task = tasks.make(frame["task"][0])
    first = frame.filter(pl.col("model") == frame["model"][0])
    assert first["prompt"].to_list() == [task.text(row) for row in task.prompts[task.test]]
    assert first["target_tokens"].to_list() == task.targets[task.test].tolist()


def test_log_probs_are_log_probs_and_tokens_are_the_text(frame: pl.DataFrame) -> None:
    logs = frame["token_logprobs"].explode()
    assert logs.is_finite().all()
    assert logs.max() <= 0
    for name in ("output_tokens", "target_tokens", "token_logprobs", "token_correct"):
        assert (frame[name].list.len() == frame["target_bytes"]).all()
    vocab = pl.Series(list(tasks.make(frame["task"][0]).vocab))
    spelt = vocab.gather(frame["output_tokens"].explode()).to_list()
    assert "".join(spelt) == frame["output"].str.join()[0]


def test_free_running_exact_match_is_every_teacher_forced_token_right(frame: pl.DataFrame) -> None:
    exact = frame["output"] == frame["targets"].list.first()
    assert (exact == frame["token_correct"].list.all()).all()
    assert (exact == (frame["output_tokens"] == frame["target_tokens"])).all()


def test_a_likeliest_token_has_at_least_an_even_share(frame: pl.DataFrame) -> None:
    tokens = frame.select(pl.col("token_logprobs", "token_correct").explode())
    size = len(tasks.make(frame["task"][0]).vocab)
    likely = tokens.filter(pl.col("token_correct"))["token_logprobs"].exp()
    assert likely.min() >= 1 / size - 1e-3
    unlikely = tokens.filter(~pl.col("token_correct"))["token_logprobs"].exp()
    assert unlikely.max() <= 0.5 + 1e-3


def scores(name: str) -> pl.DataFrame:
    return (
        pl.read_parquet(examples.path(name))
        .group_by("params", "seed", maintain_order=True)
        .agg(
            exact=(pl.col("output") == pl.col("targets").list.first()).mean(),
            loss=-pl.col("token_logprobs").list.mean().mean(),
            position=pl.concat_list(
                -pl.col("token_logprobs").list.get(i).mean() for i in range(4)
            ).first(),
        )
    )


@pytest.mark.parametrize("name", ["recall", "multiplication"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_graded_ladders_are_graded_and_run_from_floor_to_ceiling(name: str, seed: int) -> None:
    rungs = scores(name).filter(pl.col("seed") == seed)
    assert rungs["exact"][0] < 0.05
    assert rungs["exact"][-1] > 0.95
    steps = rungs["loss"].diff().drop_nulls()
    assert steps.min() > -0.55, "no rung loses more than half a nat at once"
    assert steps.max() < 0.15, "nor gains much"


@pytest.mark.parametrize("seed", [0, 1])
def test_a_digit_of_addition_flips_from_ln_10_to_nearly_nothing(seed: int) -> None:
    digits = scores("addition").filter(pl.col("seed") == seed)["position"].list.to_array(4)
    table = digits.to_numpy()
    flips = (table[:-1] > 2.2) & (table[1:] < 0.5)
    assert flips.any(), "some digit goes from a blind guess to known between two sizes"


def test_the_command_that_remakes_them_is_named() -> None:
    assert examples.__doc__ is not None
    assert "python -m unmirage.lab.make_examples" in examples.__doc__
    assert Path(make_examples.__file__ or "").stem == "make_examples"
