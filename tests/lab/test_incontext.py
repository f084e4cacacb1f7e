"""In-context tasks: what the sequences hold, and least squares as the yardstick of regression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.errors import OptionError
from unmirage.lab import tasks
from unmirage.lab.incontext import LabelTask, RegressionTask, least_squares, shots_asked

SMALL = RegressionTask(dim=3, shots=6, noise=0.1, items=40)
LABELS = LabelTask(dim=6, classes=40, labels=10, pairs=6, burst=2, items=50)
NAMES = ("icl-regression", "icl-labels")


def exact_labels(task: LabelTask) -> LabelTask:
    """Items that are their class's centre, so that classes can be told apart."""
    return replace(task, spread=0.0)


# ---------------------------------------------------------------- both


@pytest.mark.parametrize("task", [SMALL, LABELS])
def test_batches_are_the_same_for_a_step_and_other_for_another(
    task: RegressionTask | LabelTask,
) -> None:
    one, again, other = task.batch(3, 8), task.batch(3, 8), task.batch(4, 8)
    seeded = replace(task, seed=1).batch(3, 8)
    for name in one:
        assert np.array_equal(one[name], again[name])
        assert not np.array_equal(one[name], other[name])
        assert not np.array_equal(one[name], seeded[name])
    assert not np.array_equal(one["inputs"][0], one["inputs"][1])


@pytest.mark.parametrize("task", [SMALL, LABELS])
def test_training_does_not_notice_how_many_are_asked(task: RegressionTask | LabelTask) -> None:
    few, more = replace(task, items=2).batch(5, 4), task.batch(5, 4)
    assert all(np.array_equal(few[name], more[name]) for name in few)


def test_fewer_items_are_the_first_of_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmirage.lab.incontext.BLOCK", 16)
    few, more = replace(SMALL, items=5).test(), SMALL.test()
    assert all(np.array_equal(few[name], more[name][:5]) for name in few)
    assert len(more["values"]) == 40
    assert not np.array_equal(more["values"][:16], more["values"][16:32])
    short, long = replace(LABELS, items=5).tests(), LABELS.tests()
    assert short.keys() == long.keys()
    for kind in long:
        assert all(np.array_equal(short[kind][n], long[kind][n][:5]) for n in long[kind])
        assert {len(array) for array in long[kind].values()} == {50}


@pytest.mark.parametrize("name", NAMES)
def test_the_options_of_a_task_are_its_sizes(name: str) -> None:
    known = tasks.options(name)
    assert known["items"] == 1000
    assert not {"seed", "name", "kind"} & set(known)
    assert tasks.make(name, 5, {"items": 3}).seed == 5


# ---------------------------------------------------------------- regression


def test_a_regression_sequence_is_questions_and_answers_in_turn() -> None:
    arrays = SMALL.batch(0, 500)
    inputs, values = arrays["inputs"], arrays["values"]
    assert inputs.shape == (500, 13, 4)
    assert values.shape == (500, 7)
    assert (inputs[:, ::2, 3] == 0).all(), "a question does not tell the answer"
    assert (inputs[:, 1::2, :3] == 0).all()
    assert np.array_equal(inputs[:, 1::2, 3], values[:, :6])


def test_the_answer_0_has_an_error_of_1_and_the_noise() -> None:
    values = RegressionTask(dim=5, shots=4, noise=0.5).batch(0, 20_000)["values"]
    np.testing.assert_allclose((values.astype(float) ** 2).mean(), 1 + 0.25, atol=0.04)


def one_by_one(inputs: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """The slow twin of least_squares: each sequence and each number of examples by itself."""
    found = []
    for sequence in inputs.astype(float):
        x, y = sequence[::2, :-1], sequence[1::2, -1]
        d = x.shape[1]
        row = [0.0]
        for k in range(1, len(x)):
            left = np.vstack([x[:k], np.sqrt(ridge) * np.eye(d)]) if ridge else x[:k]
            right = np.concatenate([y[:k], np.zeros(d)]) if ridge else y[:k]
            row.append(x[k] @ np.linalg.lstsq(left, right, rcond=None)[0])
        found.append(row)
    return np.array(found)


@settings(max_examples=40, deadline=None)
@given(
    dim=st.integers(1, 5),
    shots=st.integers(1, 8),
    ridge=st.sampled_from([0.0, 0.01, 1.0]),
    seed=st.integers(0, 80),  # of all of these no matrix is nearly singular
)
def test_least_squares_is_that_of_numpy(dim: int, shots: int, ridge: float, seed: int) -> None:
    task = RegressionTask(dim=dim, shots=shots, noise=0.3, seed=seed)
    inputs = task.batch(0, 4)["inputs"]
    slow = one_by_one(inputs, ridge)
    np.testing.assert_allclose(
        least_squares(inputs, ridge), slow, rtol=1e-4, atol=1e-5 * (1 + abs(slow).max())
    )


def test_without_noise_as_many_examples_as_dimensions_tell_all() -> None:
    arrays = replace(SMALL, noise=0.0).test()
    error = abs(least_squares(arrays["inputs"]) - arrays["values"])
    assert np.median(error[:, 3:]) < 1e-5
    assert np.quantile(error[:, 4:], 0.9) < 1e-4
    assert np.median(error[:, 2]) > 0.05, "two examples do not tell three weights"


def test_ridge_is_better_than_none_and_than_more() -> None:
    task = RegressionTask(dim=4, shots=6, noise=0.5, items=3000)
    arrays = task.test()
    best = task.noise**2 * task.dim
    error = [
        ((least_squares(arrays["inputs"], r) - arrays["values"]) ** 2)[:, 1:].mean()
        for r in (best / 20, best, best * 20)
    ]
    assert error[1] < min(error[0], error[2])
    assert error[1] > task.noise**2


@pytest.mark.parametrize(
    ("most", "asked"),
    [(1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3]), (16, [0, 1, 2, 4, 8, 16])],
)
def test_the_contexts_that_are_recorded(most: int, asked: list[int]) -> None:
    assert shots_asked(most) == asked


# ---------------------------------------------------------------- labels


def shown(task: LabelTask, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The items of the pairs (B, n, d), their labels (B, n) and the question (B, d)."""
    answers = inputs[:, 1::2]
    assert (answers[..., : task.dim] == 0).all()
    assert (answers[..., task.dim :].sum(axis=2) == 1).all()
    assert (inputs[:, ::2, task.dim :] == 0).all(), "a question does not tell its label"
    return (
        inputs[:, :-1:2, : task.dim],
        answers.argmax(axis=2) - task.dim,
        inputs[:, -1, : task.dim],
    )


def matches(items: np.ndarray, question: np.ndarray) -> np.ndarray:
    """How many of the pairs are of the question's class, (B,), where items are centres."""
    return (items == question[:, None]).all(axis=2).sum(axis=1)


def centres(task: LabelTask) -> dict[bytes, int]:
    """Centre -> label of all classes that training ever showed."""
    found: dict[bytes, int] = {}
    for step in range(60):
        arrays = task.batch(step, 64)
        items, labels, _ = shown(task, arrays["inputs"])
        for item, label in zip(items.reshape(-1, task.dim), labels.ravel(), strict=True):
            assert found.setdefault(item.tobytes(), int(label)) == label, "one label for ever"
    return found


def test_every_class_of_the_training_keeps_its_label_and_labels_are_equally_common() -> None:
    known = centres(exact_labels(LABELS))
    assert len(known) == LABELS.classes
    assert np.bincount(list(known.values())).tolist() == [4] * 10


def test_bursty_sequences_hold_the_asked_class_and_the_others_do_not() -> None:
    task = exact_labels(replace(LABELS, bursty=0.7))
    arrays = task.batch(0, 4000)
    items, labels, question = shown(task, arrays["inputs"])
    counts = matches(items, question)
    assert set(counts) == {0, 2}
    np.testing.assert_allclose((counts == 2).mean(), 0.7, atol=0.03)
    same = (items == question[:, None]).all(axis=2)
    assert (labels[same] == np.repeat(arrays["label"], 6).reshape(-1, 6)[same]).all()
    for items_of_one in items[:50]:
        _, each = np.unique(items_of_one, axis=0, return_counts=True)
        assert each.tolist() == [2, 2, 2], "every class as often"
    for share in (0.0, 1.0):
        items, _, question = shown(task, replace(task, bursty=share).batch(0, 200)["inputs"])
        assert set(matches(items, question)) == {2 * int(share)}


def test_the_in_weights_test_asks_known_classes_that_the_context_does_not_hold() -> None:
    task = exact_labels(LABELS)
    known = centres(task)
    arrays = task.in_weights()
    items, _, question = shown(task, arrays["inputs"])
    assert not matches(items, question).any()
    assert [known[q.tobytes()] for q in question] == arrays["label"].tolist()


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_the_in_context_test_asks_new_classes_that_the_context_shows(shots: int) -> None:
    task = exact_labels(LABELS)
    known = centres(task)
    arrays = task.tests()["in context", shots]
    items, labels, question = shown(task, arrays["inputs"])
    assert not {item.tobytes() for item in items.reshape(-1, task.dim)} & set(known)
    assert (matches(items, question) == shots).all()
    for pairs, named, asked, right in zip(items, labels, question, arrays["label"], strict=True):
        of_class: dict[bytes, int] = {}
        for item, label in zip(pairs, named, strict=True):
            assert of_class.setdefault(item.tobytes(), int(label)) == label
        assert len(of_class) == 6 // shots
        assert len(set(of_class.values())) == len(of_class), "classes are told apart by label"
        assert of_class[asked.tobytes()] == right


def test_the_place_and_the_label_tell_nothing_of_the_answer() -> None:
    task = exact_labels(replace(LABELS, items=4000))
    arrays = task.in_context(1)
    items, labels, question = shown(task, arrays["inputs"])
    place = (items == question[:, None]).all(axis=2).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(place) / 4000, 1 / 6, atol=0.03)
    np.testing.assert_allclose(np.bincount(arrays["label"]) / 4000, 1 / 10, atol=0.03)
    first = (labels[:, 0] == arrays["label"]).mean()
    np.testing.assert_allclose(first, 1 / 6, atol=0.03)


def test_the_counts_that_are_asked_divide_the_pairs() -> None:
    assert list(LABELS.tests()) == [
        ("in weights", 0),
        ("in context", 1),
        ("in context", 2),
        ("in context", 3),
    ]


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_items_have_length_1_on_average_whatever_the_spread(spread: float) -> None:
    task = replace(LABELS, dim=50, spread=spread)
    items, _, question = shown(task, task.batch(0, 500)["inputs"])
    for vectors in (items, question):
        np.testing.assert_allclose((vectors**2).sum(axis=-1).mean(), 1, atol=0.05)


def test_items_of_one_class_differ_and_are_nearer_to_each_other_than_to_others() -> None:
    task = replace(LABELS, dim=30, spread=0.3, bursty=1.0, burst=3)
    items, labels, question = shown(task, task.batch(0, 300)["inputs"])
    likeness = np.einsum("bnd,bd->bn", items, question)
    nearest = labels[np.arange(300), likeness.argmax(axis=1)]
    assert (nearest == task.batch(0, 300)["label"]).mean() > 0.95
    assert not matches(items, question).any()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("icl-regression", {n: 0}) for n in ("dim", "shots", "items")),
        *(("icl-regression", {"noise": v}) for v in (-0.1, float("nan"), float("inf"))),
        *(("icl-labels", {n: 0}) for n in ("dim", "pairs", "burst", "items", "classes")),
        *(("icl-labels", {"bursty": v}) for v in (-0.1, 1.1, float("nan"))),
        *(("icl-labels", {"spread": v}) for v in (-0.1, float("nan"), float("inf"))),
        ("icl-labels", {"labels": 1}),
        ("icl-labels", {"burst": 3, "pairs": 8}),
        ("icl-labels", {"labels": 7, "pairs": 8, "burst": 1}),
        ("icl-labels", {"classes": 8, "pairs": 8, "burst": 1}),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_a_mend(
    name: str, options: dict[str, int | float]
) -> None:
    with pytest.raises(OptionError, match="mend: ") as caught:
        tasks.make(name, 0, options)
    assert str(next(iter(options.values()))) in str(caught.value)
