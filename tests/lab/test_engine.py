"""Training: it learns, it can be stopped at any segment, and it refuses what it cannot trust."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.small import OPTIONS, RECIPE, rung  # noqa: E402
from unmirage.errors import FileProblem, UnmirageError  # noqa: E402
from unmirage.lab import checkpoint, engine, rows, tasks  # noqa: E402
from unmirage.lab.recipe import Rung  # noqa: E402

KINDS = list(OPTIONS)


def make(one: Rung) -> tasks.Task:
    return tasks.make(one.task, one.task_seed, dict(one.options))


def train(one: Rung, folder: Path, **how: object) -> list[tuple[int, float]]:
    """Train in that folder; the losses told."""
    told: list[tuple[int, float]] = []

    def tell(step: int, loss: float) -> None:
        told.append((step, loss))

    engine.train(
        make(one),
        one,
        folder / "models",
        folder / "work",
        **{"tell": tell, **how},  # type: ignore[arg-type]
    )
    return told


def weights(one: Rung, folder: Path) -> dict[int, bytes]:
    """The bytes of every recorded step."""
    paths = {s: engine.weights_path(folder / "models", one, s) for s in one.recipe.grid()}
    return {s: path.read_bytes() for s, path in paths.items() if path.exists()}


def state(one: Rung, folder: Path) -> Path:
    return engine.state_path(folder / "work", one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Rung, Path]]:
    """A rung of each kind trained in one go, by task."""
    found = {}
    for task in KINDS:
        one, folder = rung(task), tmp_path_factory.mktemp(task)
        told = train(one, folder)
        assert [step for step, _ in told] == [100, 200, 300]
        assert told[-1][1] < told[0][1], "the loss falls"
        found[task] = (one, folder)
    return found


# ---------------------------------------------------------------- it learns


def test_a_small_table_is_learnt_by_heart(whole: dict[str, tuple[Rung, Path]]) -> None:
    one, folder = whole["recall"]
    task = make(one)
    path = engine.weights_path(folder / "models", one, 300)
    params = engine.load_weights(path, engine.shape_of(task, one))
    frame = rows.evaluate(task, one, 300, params)
    assert frame.height == 16
    assert frame["output"].to_list() == frame["targets"].list.first().to_list()
    assert frame["token_logprobs"].explode().mean() > -0.05


def test_weights_lie_at_every_step_of_the_grid_and_no_state_is_left(
    whole: dict[str, tuple[Rung, Path]],
) -> None:
    for one, folder in whole.values():
        assert set(weights(one, folder)) == set(one.recipe.grid()) == {100, 200, 300}
        assert len(set(weights(one, folder).values())) == 3
        assert not list((folder / "work").glob("*"))


def test_the_seed_is_that_of_the_first_parameters_and_not_of_the_data(tmp_path: Path) -> None:
    one, other = rung(seed=0), rung(seed=1)
    assert make(one) is make(other)
    train(one, tmp_path)
    train(other, tmp_path)
    for step in one.recipe.grid():
        mine, theirs = (
            checkpoint.load(engine.weights_path(tmp_path / "models", r, step))[0]
            for r in (one, other)
        )
        assert all(not np.array_equal(mine[name], theirs[name]) for name in mine)


# ---------------------------------------------------------------- stopped and resumed


@pytest.mark.parametrize("task", KINDS)
def test_training_stopped_anywhere_and_resumed_gives_the_same_bits(
    task: str, whole: dict[str, tuple[Rung, Path]], tmp_path: Path
) -> None:
    one, reference = whole[task]
    for stops in itertools.product((False, True), repeat=3):
        folder = tmp_path / "".join("ns"[s] for s in stops)
        asked: Iterator[bool] = iter(stops)
        seen, attempts = [], 0
        while True:
            attempts += 1
            try:
                seen += train(one, folder, stop=lambda asked=asked: next(asked))
                break
            except engine.Stopped:
                seen += [(0, 0.0)]
        assert attempts == 1 + sum(stops)
        steps = [step for step, _ in seen if step]
        assert steps == sorted(set(steps)), "no segment twice"
        assert weights(one, folder) == weights(one, reference)
        assert not state(one, folder).exists()


@pytest.mark.parametrize("step", [100, 200, 300])
def test_a_crash_between_weights_and_state_loses_only_what_was_not_saved(
    step: int, whole: dict[str, tuple[Rung, Path]], tmp_path: Path
) -> None:
    class Crash(Exception):
        pass

    def crash(now: int, loss: float) -> None:
        if now == step:
            raise Crash

    one, reference = whole["recall"]
    with pytest.raises(Crash):
        train(one, tmp_path, tell=crash, save_seconds=0)
    assert set(weights(one, tmp_path)) == {s for s in (100, 200, 300) if s <= step}
    assert state(one, tmp_path).exists() == (step > 100)
    train(one, tmp_path)
    assert weights(one, tmp_path) == weights(one, reference)
    assert not state(one, tmp_path).exists()


def test_a_state_is_saved_after_the_seconds_that_were_asked_for(tmp_path: Path) -> None:
    seen = []
    one = rung()
    where = state(one, tmp_path)
    train(one, tmp_path, save_seconds=1e9, stop=lambda: bool(seen.append(where.exists())))
    assert seen == [False, False, False]
    shutil.rmtree(tmp_path)
    seen.clear()
    train(one, tmp_path, save_seconds=0, stop=lambda: bool(seen.append(where.exists())))
    assert seen == [False, True, True]


def test_what_is_trained_is_not_trained_again(
    whole: dict[str, tuple[Rung, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, folder = whole["recall"]
    monkeypatch.setattr(engine, "_segment", None)
    assert train(one, folder) == []


# ---------------------------------------------------------------- data by steps


@pytest.mark.parametrize("task", KINDS)
def test_the_data_of_a_step_do_not_depend_on_where_training_began(task: str) -> None:
    one = rung(task)
    stream = engine.Stream(make(one), one.recipe)
    together, late = stream(0, 9), engine.Stream(make(one), one.recipe)(6, 9)
    assert together.keys() == late.keys()
    for name, array in together.items():
        assert array.shape[:2] == (9, 16)
        assert np.array_equal(array[6:], late[name])


def test_lengths_go_with_the_question_where_targets_differ_in_length() -> None:
    for shots in (0, 2):
        task = tasks.make("multiplication", 0, {"digits": "1x1,1x2", "items": 5, "shots": shots})
        batch = engine.Stream(task, RECIPE)(0, 4)
        target = np.asarray(batch["sequences"])[..., task.prompt :]
        filler = task.vocab.index("_")
        assert np.array_equal(batch["lengths"], (target != filler).sum(axis=2))
        assert set(np.asarray(batch["lengths"]).ravel()) == {2, 3}
    plain = tasks.make("multiplication", 0, {"digits": "1x2", "items": 5})
    assert set(engine.Stream(plain, RECIPE)(0, 1)) == {"sequences"}


# ---------------------------------------------------------------- the optimiser


def rates(width: int, **settings: float) -> np.ndarray:
    """The learning rate of each step: what Adam takes off where the gradient stays the same."""
    adam = engine.optimiser(replace(RECIPE, steps=10, **settings), width)  # type: ignore[arg-type]
    slope = jax.numpy.ones(())
    moments, found = adam.init(slope), []
    for _ in range(10):
        change, moments = adam.update(slope, moments, slope)
        found.append(-float(change))
    return np.array(found)


def test_the_rate_rises_and_falls_linearly_and_its_peak_falls_with_the_width() -> None:
    shape = np.array([0, 1, 2, 3, 4, *(4 - np.arange(1, 6) * 4 / 6)]) / 4
    np.testing.assert_allclose(rates(16, warmup=4, rate=0.5), 0.5 * shape, rtol=1e-4)
    np.testing.assert_allclose(rates(8, warmup=4, rate=0.5), 0.5 * shape, rtol=1e-4)
    np.testing.assert_allclose(rates(64, warmup=4, rate=0.5), 0.125 * shape, rtol=1e-4)
    slower = rates(64, warmup=4, rate=0.5, rate_power=0.5)
    np.testing.assert_allclose(slower, 0.25 * shape, rtol=1e-4)
    assert rates(16, warmup=0, rate=0.5)[0] == pytest.approx(0.5, rel=1e-4)


def test_a_long_gradient_is_cut_where_it_is_asked_for() -> None:
    # so short that Adam's epsilon of 1e-8 is no longer nothing beside it
    assert rates(16, warmup=0, rate=0.5, clip=1e-8)[0] == pytest.approx(0.25, rel=1e-3)


# ---------------------------------------------------------------- refusals


def test_a_loss_that_is_no_number_is_told_with_its_step_and_a_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = rung(), engine._segment

    def diverge(state: object, *rest: object) -> object:
        state, losses = real(state, *rest)
        return state, losses if not state_saved else losses * np.nan

    state_saved: list[int] = []
    monkeypatch.setattr(engine, "_segment", diverge)
    with pytest.raises(
        UnmirageError, match="recall d16 seed0: the loss is nan after 200"
    ) as caught:
        train(one, tmp_path, tell=lambda step, loss: state_saved.append(step), save_seconds=0)
    assert "mend: a lower rate: --set rate=" in str(caught.value)
    assert set(weights(one, tmp_path)) == {100}, "no weights of a model that is lost"


def test_a_damaged_state_is_refused_and_removing_it_is_the_mend(
    whole: dict[str, tuple[Rung, Path]], tmp_path: Path
) -> None:
    one, reference = whole["recall"]
    stops = iter((False, True))
    with pytest.raises(engine.Stopped):
        train(one, tmp_path, stop=lambda: next(stops))
    where, kept = state(one, tmp_path), weights(one, tmp_path)
    sound = where.read_bytes()
    for bad in (b"", sound[:-7], sound[:-1] + bytes([sound[-1] ^ 1])):
        where.write_bytes(bad)
        with pytest.raises(FileProblem, match="damaged") as caught:
            train(one, tmp_path)
        assert str(where) in str(caught.value)
        assert "mend: remove this file" in str(caught.value)
        assert weights(one, tmp_path) == kept
    where.unlink()
    train(one, tmp_path)
    assert weights(one, tmp_path) == weights(one, reference)


@pytest.mark.parametrize("what", ["another seed", "another task", "a step too far", "no step"])
def test_a_state_of_something_else_is_refused(what: str, tmp_path: Path) -> None:
    one = rung()
    other = {"another seed": rung(seed=5), "another task": rung("icl-labels")}.get(what, one)
    with pytest.raises(engine.Stopped):
        train(other, tmp_path / "other", stop=lambda: True)
    where = state(one, tmp_path)
    if other is one:
        arrays, facts = checkpoint.load(state(one, tmp_path / "other"))
        facts = {**facts, "step": "300" if what == "a step too far" else "soon"}
        checkpoint.save(where, arrays, facts)
    else:
        where.parent.mkdir(parents=True)
        shutil.copy(state(other, tmp_path / "other"), where)
    with pytest.raises(FileProblem, match="it is not of this rung") as caught:
        train(one, tmp_path)
    assert str(where) in str(caught.value)


def test_a_state_whose_weights_are_gone_is_refused(tmp_path: Path) -> None:
    one, stops = rung(), iter((False, True))
    with pytest.raises(engine.Stopped):
        train(one, tmp_path, stop=lambda: next(stops))
    engine.weights_path(tmp_path / "models", one, 100).unlink()
    with pytest.raises(FileProblem, match="weights of earlier steps are missing"):
        train(one, tmp_path)


def test_weights_of_another_shape_or_damaged_are_refused_by_name(
    whole: dict[str, tuple[Rung, Path]], tmp_path: Path
) -> None:
    one, folder = whole["recall"]
    path = engine.weights_path(folder / "models", one, 300)
    shape = engine.shape_of(make(one), one)
    for other in (replace(shape, d_model=8), replace(shape, layers=2)):
        with pytest.raises(FileProblem, match="another shape") as caught:
            engine.load_weights(path, other)
        assert str(path) in str(caught.value)
    (tmp_path / "x").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileProblem, match="damaged"):
        engine.load_weights(tmp_path / "x", shape)


def test_the_weights_tell_their_rung_shape_and_step(whole: dict[str, tuple[Rung, Path]]) -> None:
    one, folder = whole["recall"]
    _, facts = checkpoint.load(engine.weights_path(folder / "models", one, 200))
    assert facts["step"] == "200"
    assert '"task": "recall"' in facts["rung"]
    assert '"d_model": 16' in facts["shape"]
