"""What a rung answers: canonical columns, true quantities, lengths of the stratum."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

jax = pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.small import rung  # noqa: E402
from unmirage.lab import engine, model, objective, rows, tasks  # noqa: E402
from unmirage.lab.incontext import LabelTask, RegressionTask, least_squares  # noqa: E402
from unmirage.lab.recipe import Rung  # noqa: E402
from unmirage.lab.tokens import TokenTask  # noqa: E402
from unmirage.records.columns import IDENTITY, SAMPLE, SETTINGS  # noqa: E402

MIXED = Rung(
    "multiplication",
    4,
    2,
    rung().recipe,
    (("choices", 3), ("digits", "1x1,1x2"), ("items", 15), ("shots", 1)),
)
RUNGS = {"tokens": MIXED, "labels": rung("icl-labels"), "numbers": rung("icl-regression")}
Asked = tuple[tasks.Task, Any, pl.DataFrame]


@pytest.fixture(scope="module")
def asked() -> dict[str, Asked]:
    """For each kind of task: it, random parameters, and the records."""
    found = {}
    for kind, one in RUNGS.items():
        task = tasks.make(one.task, 0, dict(one.options))
        shape, rng = engine.shape_of(task, one), np.random.default_rng(0)
        like = jax.eval_shape(partial(model.init, shape=shape), jax.random.key(0))
        params = jax.tree.map(
            lambda x, rng=rng: (rng.standard_normal(x.shape) / 2).astype(np.float32), like
        )
        found[kind] = (task, params, rows.evaluate(task, one, 200, params))
    return found


@pytest.fixture(params=RUNGS)
def frame(request: pytest.FixtureRequest, asked: dict[str, Asked]) -> pl.DataFrame:
    return asked[request.param][2]


# ---------------------------------------------------------------- all kinds


def test_columns_and_types_are_canonical(frame: pl.DataFrame) -> None:
    canonical = IDENTITY | SETTINGS | SAMPLE
    for name, dtype in frame.schema.items():
        if name == "token_logprobs":  # half the size, and exact to the 1e-4 nats kept
            assert dtype == pl.List(pl.Float32)
        elif name == "params_nonemb":
            assert dtype == pl.Float64
        else:
            assert dtype == canonical[name], name


def test_the_rung_is_told_in_every_row(frame: pl.DataFrame) -> None:
    one = next(r for r in RUNGS.values() if f"lab-{r.task}" == frame["family"][0])
    task = tasks.make(one.task, 0, dict(one.options))
    shape = engine.shape_of(task, one)
    tokens = 200 * 16 * shape.length
    params = model.count_params(shape)
    (told,) = (
        frame.select(
            "family", "model", "params", "params_nonemb", "tokens", "flops", "step", "seed"
        )
        .unique()
        .rows()
    )
    assert told == (
        f"lab-{one.task}", one.name, params, model.count_nonembedding(shape), tokens,
        6.0 * params * tokens, 200.0, one.seed,
    )  # fmt: skip


def test_an_item_is_named_once_in_each_setting(frame: pl.DataFrame) -> None:
    settings = [c for c in ("task", "subtask", "shots", "metric", "item") if c in frame.columns]
    assert frame.select(settings).is_duplicated().sum() == 0
    needed = [c for c in frame.columns if c != "subtask"]
    assert frame.select(needed).null_count().sum_horizontal()[0] == 0


def test_the_same_parameters_give_the_same_records(asked: dict[str, Asked]) -> None:
    for kind, (task, params, frame) in asked.items():
        assert rows.evaluate(task, RUNGS[kind], 200, params).equals(frame)
        later = rows.evaluate(task, RUNGS[kind], 300, params)
        assert later.drop("step", "tokens", "flops").equals(frame.drop("step", "tokens", "flops"))


# ---------------------------------------------------------------- tokens


def test_lists_are_as_long_as_the_target_of_the_stratum(asked: dict[str, Asked]) -> None:
    task, _, frame = asked["tokens"]
    assert isinstance(task, TokenTask)
    assert frame["subtask"].to_list() == ["1x1 digits"] * 15 + ["1x2 digits"] * 15
    lengths = pl.Series([2] * 15 + [3] * 15)
    for name in ("output_tokens", "target_tokens", "token_logprobs", "token_correct"):
        assert (frame[name].list.len() == lengths).all()
    assert (frame["target_bytes"] == lengths).all()
    assert (frame["output"].str.len_bytes() == lengths).all()
    assert (frame["targets"].list.len() == 1).all()


def test_texts_are_the_tokens_and_the_prompt_is_the_whole_one(asked: dict[str, Asked]) -> None:
    task, _, frame = asked["tokens"]
    assert isinstance(task, TokenTask)
    for row in frame.iter_rows(named=True):
        assert task.text(np.array(row["output_tokens"])) == row["output"]
        assert task.text(np.array(row["target_tokens"])) == row["targets"][0]
        assert len(row["prompt"]) == task.prompt
        question = row["prompt"].split(";")[-1].removesuffix("=")
        left, right = (int(n.lstrip("_")) for n in question.split("*"))
        assert int(row["targets"][0]) == left * right
    assert frame["item"][0] == "multiplication-1x1-00000"
    assert frame["item"][-1] == "multiplication-1x2-00014"


def test_log_probs_are_those_of_the_true_tokens_one_by_one(asked: dict[str, Asked]) -> None:
    task, params, frame = asked["tokens"]
    assert isinstance(task, TokenTask)
    shape = engine.shape_of(task, MIXED)
    sequences = task.sequences(task.asked).astype(np.int32)
    logs = np.asarray(objective.teacher(params, sequences, shape)[0])
    for row, log in zip(frame.iter_rows(named=True), logs, strict=True):
        n = len(row["target_tokens"])
        np.testing.assert_allclose(row["token_logprobs"], log[:n], atol=6e-5)
    assert frame["token_logprobs"].explode().max() <= 0


def test_free_running_is_right_just_where_every_teacher_forced_token_is(
    asked: dict[str, Asked],
) -> None:
    frame = asked["tokens"][2]
    exact = frame["output"] == frame["targets"].list.first()
    assert (exact == frame["token_correct"].list.all()).all()
    assert (exact == (frame["output_tokens"] == frame["target_tokens"])).all()


def test_the_right_option_is_as_likely_as_the_tokens_of_the_target(
    asked: dict[str, Asked],
) -> None:
    task, _, frame = asked["tokens"]
    assert isinstance(task, TokenTask)
    assert (frame["choices"].list.len() == 3).all()
    for row in frame.iter_rows(named=True):
        place = row["target_index"]
        assert row["choices"][place] == row["targets"][0]
        assert len(set(row["choices"])) == 3
        assert {len(c) for c in row["choices"]} == {len(row["targets"][0])}
        summed = sum(row["token_logprobs"])
        np.testing.assert_allclose(row["choice_logprobs"][place], summed, atol=3e-4)
    assert frame["choice_logprobs"].explode().n_unique() > 80, "the options differ"


def test_options_are_asked_after_the_same_prompt(asked: dict[str, Asked]) -> None:
    """A wrong option is as likely as if it were the target."""
    task, params, frame = asked["tokens"]
    assert isinstance(task, TokenTask)
    shape = engine.shape_of(task, MIXED)
    place = {c: i for i, c in enumerate(task.vocab)}
    for row in list(frame.iter_rows(named=True))[::7]:
        for option, told in zip(row["choices"], row["choice_logprobs"], strict=True):
            text = row["prompt"] + option.ljust(task.target, "_")
            ids = np.array([[place[c] for c in text]] * 30, dtype=np.int32)
            logs = np.asarray(objective.teacher(params, ids, shape)[0])[0, : len(option)]
            np.testing.assert_allclose(told, logs.sum(), atol=1e-4)


# ---------------------------------------------------------------- labels


def test_answers_of_labels_are_the_likeliest_and_add_up_to_one(asked: dict[str, Asked]) -> None:
    frame = asked["labels"][2]
    options = frame["choice_logprobs"].list.to_array(4).to_numpy()
    np.testing.assert_allclose(np.exp(options).sum(axis=1), 1, atol=1e-3)
    for row, logs in zip(frame.iter_rows(named=True), options, strict=True):
        assert row["choices"] == ["L00", "L01", "L02", "L03"]
        assert row["targets"] == [row["choices"][row["target_index"]]]
        np.testing.assert_allclose(row["token_logprobs"][0], logs[row["target_index"]], atol=1e-4)
        assert row["token_correct"] == [row["output"] == row["targets"][0]]
        assert logs[row["choices"].index(row["output"])] == logs.max()


def test_tests_of_labels_are_told_apart_and_prompts_show_the_context(
    asked: dict[str, Asked],
) -> None:
    task, _, frame = asked["labels"]
    assert isinstance(task, LabelTask)
    counts = frame.group_by("subtask", "shots", maintain_order=True).len()
    assert counts.rows() == [("in weights", 0, 60), ("in context", 1, 60)]
    shown = frame.filter(pl.col("shots") == 1)
    for prompt, target in shown.select("prompt", pl.col("targets").list.first()).iter_rows():
        assert prompt.endswith(" x:")
        assert prompt.count(f"x:{target} ") == 1
        assert prompt.count("x:L") == 2


# ---------------------------------------------------------------- numbers


def test_squared_errors_are_those_of_the_predictions(asked: dict[str, Asked]) -> None:
    task, params, frame = asked["numbers"]
    assert isinstance(task, RegressionTask)
    shape, arrays = engine.shape_of(task, RUNGS["numbers"]), task.test()
    guess = np.asarray(objective.numbers(params, arrays["inputs"], shape)).astype(float)
    best = least_squares(arrays["inputs"], ridge=task.noise**2 * task.dim)
    true = arrays["values"].astype(float)
    assert frame["shots"].unique(maintain_order=True).to_list() == [0, 1, 2, 4, 5]
    assert not frame["higher_is_better"].any()
    for (shots, metric), part in frame.group_by("shots", "metric"):
        error = (guess - true)[:, shots] ** 2
        over = error - (best - true)[:, shots] ** 2
        assert part["item"].to_list() == [f"{i:05d}" for i in range(60)]
        expected = {"squared_error": error, "excess_squared_error": over}[str(metric)]
        np.testing.assert_allclose(part["score"], expected, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(part["output"].cast(pl.Float64), guess[:, shots], rtol=1e-3)


# ---------------------------------------------------------------- chunks


@pytest.mark.parametrize("count", [1, rows.CHUNK - 1, rows.CHUNK, rows.CHUNK + 1])
def test_chunks_are_all_of_one_size_and_come_back_in_order(count: int) -> None:
    sizes: list[int] = []

    def twice(params: Any, part: np.ndarray, shape: Any) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(part))
        return part * 2, part.sum(axis=1)

    given = np.arange(count * 3).reshape(count, 3)
    doubled, summed = rows._chunked(twice, None, given, None)  # type: ignore[arg-type]
    assert set(sizes) == {rows.CHUNK}
    assert np.array_equal(doubled, given * 2)
    assert np.array_equal(summed, given.sum(axis=1))


def test_a_task_of_one_stratum_has_no_subtask_and_no_choices_unless_asked() -> None:
    one = rung("recall")
    task = tasks.make(one.task, 0, dict(one.options))
    shape = engine.shape_of(task, one)
    like = jax.eval_shape(partial(model.init, shape=shape), jax.random.key(0))
    frame = rows.evaluate(task, one, 100, jax.tree.map(lambda x: np.ones(x.shape, "f4"), like))
    assert frame["subtask"].null_count() == 16
    assert "choices" not in frame.columns
    assert frame["item"].to_list() == [f"recall-{i:05d}" for i in range(16)]
