"""What the ladders learn: tables of prompts and targets of one length, as characters.

Axes: N items of the table, P prompt tokens, L target tokens. One character is one token; its id is
its place in the vocabulary. Prompts end in ``=``. The seed of a task fixes its table, its test
items and the order of its training batches: they are the same for every rung of a ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import OptionError

Ints = NDArray[np.int64]
DIGITS = "0123456789"
LETTERS = "abcdefghijklmnop"


@dataclass(frozen=True, eq=False)
class Task:
    """A table of items, which of them are trained on and which are asked."""

    name: str
    vocab: str  # V characters; the id of a token is its place here
    prompts: Ints  # (N, P)
    targets: Ints  # (N, L)
    train: Ints  # indices of the items trained on
    test: Ints  # indices of the items asked, sorted
    seed: int
    about: str  # one sentence: the task, and whether the test items were seen in training

    def text(self, ids: Ints) -> str:
        """The characters of a row of token ids."""
        return "".join(self.vocab[i] for i in ids)


def encode(vocab: str, texts: Sequence[str]) -> Ints:
    """Texts of one length -> token ids, (texts, characters).

    >>> encode("01+=", ["1+0=", "0+0="]).tolist()
    [[1, 2, 0, 3], [0, 2, 0, 3]]
    """
    place = np.full(128, -1, dtype=np.int64)
    place[np.frombuffer(vocab.encode("ascii"), dtype=np.uint8)] = np.arange(len(vocab))
    letters = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8)
    return place[letters].reshape(len(texts), -1)


def _subset(rng: np.random.Generator, total: int, count: int) -> Ints:
    return np.sort(rng.choice(total, min(count, total), replace=False)).astype(np.int64)


def recall(seed: int = 0, items: int = 2048) -> Task:
    """Random keys of three letters, each with a random value of five digits: pure memory."""
    rng = np.random.default_rng([seed, 1])
    base = len(LETTERS)
    keys = rng.choice(base**3, items, replace=False)
    values = rng.integers(0, 10**5, items)
    vocab = DIGITS + LETTERS + "="
    spelt = [LETTERS[k // base**2] + LETTERS[k // base % base] + LETTERS[k % base] for k in keys]
    everything = np.arange(items)
    return Task(
        name="recall",
        vocab=vocab,
        prompts=encode(vocab, [f"{key}=" for key in spelt]),
        targets=encode(vocab, [f"{value:05d}" for value in values]),
        train=everything,
        test=everything,
        seed=seed,
        about=f"Recall of a table of {items} random keys with 5-digit values. All test items were "
        "seen in training: it is memorisation.",
    )


def multiplication(seed: int = 0, items: int = 2000) -> Task:
    """Products of two 2-digit numbers, four digits with leading zeros; all pairs are trained on."""
    left, right = (side.ravel() for side in np.mgrid[10:100, 10:100])
    vocab = DIGITS + "*="
    rng = np.random.default_rng([seed, 2])
    return Task(
        name="multiplication",
        vocab=vocab,
        prompts=encode(vocab, [f"{a}*{b}=" for a, b in zip(left, right, strict=True)]),
        targets=encode(vocab, [f"{a * b:04d}" for a, b in zip(left, right, strict=True)]),
        train=np.arange(len(left)),
        test=_subset(rng, len(left), items),
        seed=seed,
        about="Multiplication of two 2-digit numbers (10 to 99). All test pairs were seen in "
        "training: it is fitting, not generalising.",
    )


def addition(seed: int = 0, items: int = 2000, pool: int = 200_000) -> Task:
    """Sums of two 3-digit numbers, four digits with leading zeros, most significant first.

    ``pool`` distinct pairs of the 810,000 are drawn; the test pairs are held out of training.
    """
    rng = np.random.default_rng([seed, 3])
    pairs = rng.choice(900 * 900, pool, replace=False)
    left, right = 100 + pairs // 900, 100 + pairs % 900
    vocab = DIGITS + "+="
    test = _subset(rng, pool, items)
    return Task(
        name="addition",
        vocab=vocab,
        prompts=encode(vocab, [f"{a}+{b}=" for a, b in zip(left, right, strict=True)]),
        targets=encode(vocab, [f"{a + b:04d}" for a, b in zip(left, right, strict=True)]),
        train=np.setdiff1d(np.arange(pool), test),
        test=test,
        seed=seed,
        about="Addition of two 3-digit numbers (100 to 999). No test pair was seen in training.",
    )


TASKS: dict[str, Callable[..., Task]] = {
    "recall": recall,
    "multiplication": multiplication,
    "addition": addition,
}


@cache
def make(name: str, seed: int = 0, items: int | None = None) -> Task:
    """The task of that name; ``items`` caps how many items are asked (recall: also learnt).

    Raises:
        OptionError: there is no task of that name.
    """
    if name not in TASKS:
        raise OptionError(f"no lab task named {name!r}", mend=f"use one of: {', '.join(TASKS)}")
    return TASKS[name](seed) if items is None else TASKS[name](seed, items)


def batches(task: Task, steps: int, batch: int) -> Ints:
    """Which items each training step sees, (steps, batch): shuffled passes through the table.

    Every pass is a new permutation; the order depends on the task's seed alone, so that all rungs
    see the same data in the same order.
    """
    rng = np.random.default_rng([task.seed, 4])
    passes = -(-steps * batch // len(task.train))
    order = np.concatenate([rng.permutation(task.train) for _ in range(passes)])
    return order[: steps * batch].reshape(steps, batch)
