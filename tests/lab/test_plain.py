"""The parts of the lab that need no JAX: tasks, settings, writing, the refusal without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unmirage.errors import ExtraMissing, OptionError
from unmirage.lab import ladder, make_examples, tasks
from unmirage.lab.recipe import Recipe, Rung


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_is_the_same_for_the_same_seed_and_another_for_another(name: str) -> None:
    build = tasks.TASKS[name]
    one, same, other = build(3), build(3), build(4)
    for part in ("prompts", "targets", "train", "test"):
        assert np.array_equal(getattr(one, part), getattr(same, part))
    assert not np.array_equal(one.test, other.test) or not np.array_equal(
        one.targets, other.targets
    )


@pytest.mark.parametrize(("name", "sign"), [("multiplication", "*"), ("addition", "+")])
def test_targets_are_the_true_results_with_leading_zeros(name: str, sign: str) -> None:
    task = tasks.make(name)
    for row in task.test[::50]:
        left, right = task.text(task.prompts[row]).removesuffix("=").split(sign)
        true = int(left) * int(right) if sign == "*" else int(left) + int(right)
        assert task.text(task.targets[row]) == f"{true:04d}"


def test_which_test_items_were_trained_on_is_as_said() -> None:
    assert set(tasks.make("recall").test) <= set(tasks.make("recall").train)
    assert set(tasks.make("multiplication").test) <= set(tasks.make("multiplication").train)
    addition = tasks.make("addition")
    assert not set(addition.test) & set(addition.train)
    assert len(np.unique(addition.prompts, axis=0)) == len(addition.prompts)
    assert "No test pair was seen" in addition.about
    assert "seen in training" in tasks.make("multiplication").about


def test_recall_keys_are_distinct() -> None:
    task = tasks.make("recall")
    assert len(np.unique(task.prompts, axis=0)) == len(task.prompts) == 2048


def test_every_pass_of_the_batches_is_a_permutation_of_the_training_items() -> None:
    task = tasks.recall(items=64)
    order = tasks.batches(task, steps=12, batch=16)
    assert order.shape == (12, 16)
    passes = order.reshape(3, 64)
    assert all(np.array_equal(np.sort(one), task.train) for one in passes)
    assert not np.array_equal(passes[0], passes[1])
    assert np.array_equal(order, tasks.batches(task, steps=12, batch=16))


def test_an_unknown_task_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(OptionError, match="recall, multiplication, addition"):
        tasks.make("division")


def test_every_setting_changes_the_file_name() -> None:
    rung = Rung("recall", 8, 0, Recipe())
    others = [
        Rung("recall", 8, 1, Recipe()),
        Rung("recall", 8, 0, Recipe(steps=4999)),
        Rung("recall", 8, 0, Recipe(rate=0.02)),
        Rung("recall", 8, 0, Recipe(), task_seed=1),
        Rung("recall", 8, 0, Recipe(), items=10),
    ]
    names = {r.file_name() for r in (rung, *others)}
    assert len(names) == 6
    assert rung.file_name() == Rung("recall", 8, 0, Recipe()).file_name()


def test_a_write_that_breaks_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rung.parquet"
    ladder.write(pl.DataFrame({"x": [1]}), path)

    def breaks(self: pl.DataFrame, file: Path, **_: object) -> None:
        Path(file).write_bytes(b"PAR1 half")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", breaks)
    with pytest.raises(OSError, match="disk full"):
        ladder.write(pl.DataFrame({"x": [2]}), path)
    assert [p.name for p in tmp_path.iterdir()] == ["rung.parquet"]
    assert pl.read_parquet(path)["x"].to_list() == [1]


def test_without_the_extra_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jax" else found(name)
    )
    with pytest.raises(ExtraMissing, match=r"pip install unmirage\[lab\]"):
        ladder.run([Rung("recall", 4, 0, Recipe())], tmp_path)
    arguments = ["recall", "--out", str(tmp_path), "--work", str(tmp_path / "work")]
    assert make_examples.main(arguments) == 1
    assert "pip install unmirage[lab]" in capsys.readouterr().err


def test_the_command_refuses_an_unknown_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_examples.main(["division"])
    assert "no example named division" in capsys.readouterr().err
