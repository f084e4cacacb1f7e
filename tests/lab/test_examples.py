"""The bundled records: what they promise, checked without JAX."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import unmirage
import unmirage.examples as examples
from unmirage.errors import OptionError
from unmirage.lab import make_examples, tasks
from unmirage.lab.families import FAMILIES, default_rungs
from unmirage.lab.tokens import TokenTask
from unmirage.records.columns import IDENTITY, SAMPLE, SETTINGS

NAMES = examples.names()


@pytest.fixture(scope="module", params=NAMES)
def frame(request: pytest.FixtureRequest) -> pl.DataFrame:
    return pl.read_parquet(examples.path(request.param))


def test_the_names_are_the_files_there_are_and_the_ladders_that_make_them() -> None:
    there = {path.stem for path in examples.folder().glob("*.parquet")}
    assert there == set(NAMES) == set(make_examples.NAMES)
    assert all(name in FAMILIES for name in NAMES)


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


def test_the_rungs_are_those_of_the_default_ladder(frame: pl.DataFrame) -> None:
    plan = default_rungs(frame["task"][0])
    assert frame["family"].unique().to_list() == [f"lab-{plan[0].task}"]
    assert frame["model"].unique(maintain_order=True).to_list() == [rung.name for rung in plan]
    assert frame["step"].unique().to_list() == [plan[0].recipe.steps]


def test_params_increase_and_follow_from_the_width(frame: pl.DataFrame) -> None:
    plan = default_rungs(frame["task"][0])
    task = made(frame)
    length = task.prompt + task.target - 1
    rungs = frame.unique("params", maintain_order=True)
    sizes = pl.Series(list(dict.fromkeys(r.d_model for r in plan)), dtype=pl.Float64)
    inner = 12 * sizes**2 * plan[0].recipe.layers
    assert rungs["params_nonemb"].to_list() == inner.to_list()
    assert rungs["params"].to_list() == (inner + (2 * len(task.vocab) + length) * sizes).to_list()
    assert frame["params"].is_sorted()
    tokens = plan[0].recipe.steps * plan[0].recipe.batch * length
    assert frame["tokens"].unique().to_list() == [tokens]
    assert (frame["flops"] == 6 * frame["params"] * frame["tokens"]).all()


def made(frame: pl.DataFrame) -> TokenTask:
    rung = default_rungs(frame["task"][0])[0]
    task = tasks.make(rung.task, rung.task_seed, dict(rung.options))
    assert isinstance(task, TokenTask)
    return task


def test_the_task_still_makes_the_items_of_the_file(frame: pl.DataFrame) -> None:
    task = made(frame)
    first = frame.filter(pl.col("model") == frame["model"][0])
    assert first["prompt"].to_list() == [task.text(row) for row in task.prompts[task.test]]
    assert first["target_tokens"].to_list() == task.targets[task.test].tolist()


def test_log_probs_are_log_probs_and_tokens_are_the_text(frame: pl.DataFrame) -> None:
    logs = frame["token_logprobs"].explode()
    assert logs.is_finite().all()
    assert logs.max() <= 0
    for name in ("output_tokens", "target_tokens", "token_logprobs", "token_correct"):
        assert (frame[name].list.len() == frame["target_bytes"]).all()
    vocab = pl.Series(list(made(frame).vocab))
    spelt = vocab.gather(frame["output_tokens"].explode()).to_list()
    assert "".join(spelt) == frame["output"].str.join()[0]


def test_free_running_exact_match_is_every_teacher_forced_token_right(frame: pl.DataFrame) -> None:
    exact = frame["output"] == frame["targets"].list.first()
    assert (exact == frame["token_correct"].list.all()).all()
    assert (exact == (frame["output_tokens"] == frame["target_tokens"])).all()


def test_a_likeliest_token_has_at_least_an_even_share(frame: pl.DataFrame) -> None:
    tokens = frame.select(pl.col("token_logprobs", "token_correct").explode())
    size = len(made(frame).vocab)
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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["recall", "multiplication"])
def test_the_graded_ladders_are_graded_and_run_from_floor_to_ceiling(name: str, seed: int) -> None:
    rungs = scores(name).filter(pl.col("seed") == seed)
    assert rungs["exact"][0] < 0.01
    assert rungs["exact"][-1] > 0.8
    assert rungs["loss"].diff().drop_nulls().max() < 0.05, "no rung gains much"


def test_a_digit_of_addition_flips_from_ln_10_to_nearly_nothing() -> None:
    flipped = []
    for seed in range(6):
        digits = scores("addition").filter(pl.col("seed") == seed)["position"].list.to_array(4)
        table = digits.to_numpy()
        flips = (table[:-1] > 2.2) & (table[1:] < 0.5)
        flipped.append(bool(flips.any()))
    assert sum(flipped) >= 4, "in most seeds a digit goes from a blind guess to known in one size"


def test_addition_is_bimodal_over_seeds() -> None:
    one = scores("addition").filter(pl.col("params") == 1048)["exact"]
    assert ((one < 0.2) | (one > 0.6)).all()
    assert 0 < (one > 0.6).sum() < 6


def test_the_examples_show_what_the_demo_tells() -> None:
    read = unmirage.read([examples.path(name) for name in NAMES])
    audit = unmirage.audit(read, metric=["exact_match"])  # as the demo does
    verdicts = {name: [j.verdict for j in audit.judgements if j.key.task == name] for name in NAMES}
    assert verdicts["recall"] == ["mirage"] * 3
    assert all("metric" in j.explained_by for j in audit.judgements if j.key.task == "recall")
    assert verdicts["multiplication"] == ["smooth"] * 3
    assert "survives" in verdicts["addition"]


def test_the_command_that_remakes_them_is_named() -> None:
    assert examples.__doc__ is not None
    assert "python -m unmirage.lab.make_examples" in examples.__doc__
    assert Path(make_examples.__file__ or "").stem == "make_examples"
