"""Tasks of prompts and targets in characters: the table, who is trained on, who is asked.

Axes: N rows of the table, P prompt tokens, L tokens of the longest target, S test items, k shots,
K choices. One character is one token; its id is its place in the vocabulary. Shorter prompts and
targets are filled up with ``_``, prompts on the left. The seed of a task fixes its table, its test
items and the order of its training batches: they are the same for every rung of a ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import OptionError

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
DIGITS = "0123456789"
FILLER = "_"
BETWEEN = ";"  # between the examples of a few-shot prompt
BLOCK = 1000  # test items drawn for at once, so that fewer are given the same as the first of more


@dataclass(frozen=True, eq=False)
class Stratum:
    """Rows of the table that are reported together: one task, one target length."""

    task: str  # its name in the records
    subtask: str | None  # its name where a task has several strata
    train: Ints  # rows trained on
    test: Ints  # rows asked
    length: int  # target tokens
    weight: float = 1.0  # its share of the training batches, over the sum of all weights


@dataclass(frozen=True, eq=False)
class TokenTask:
    """A table of items and its strata."""

    name: str
    vocab: str  # V characters
    prompts: Bytes  # (N, P)
    targets: Bytes  # (N, L), filled up beyond a stratum's length
    strata: tuple[Stratum, ...]
    seed: int
    about: str  # one sentence: the task, and whether the test items were seen in training
    shots: int = 0  # solved examples of the same stratum before every prompt, in training too
    choices: int = 0  # options of a multiple-choice version of each test item; 0 = none
    kind: Literal["tokens"] = "tokens"

    def text(self, ids: NDArray[np.integer]) -> str:
        """The characters of a row of token ids."""
        return "".join(self.vocab[i] for i in ids)

    @property
    def prompt(self) -> int:
        """Tokens of a whole prompt, its examples included."""
        own = int(self.prompts.shape[1])
        return self.shots * (own + self.target + 1) + own

    @property
    def target(self) -> int:
        return int(self.targets.shape[1])

    @property
    def one_length(self) -> bool:
        """Whether all targets are as long as the longest."""
        return all(s.length == self.target for s in self.strata)

    @cached_property
    def test(self) -> Ints:
        """Rows of the test items, (S,), stratum by stratum."""
        return np.concatenate([s.test for s in self.strata])

    @cached_property
    def lengths(self) -> Ints:
        """Target length of every row of the table, (N,)."""
        found = np.full(len(self.prompts), self.target, dtype=np.int64)
        for s in self.strata:
            found[s.train], found[s.test] = s.length, s.length
        return found

    def batches(self, steps: int, batch: int) -> Ints:
        """Which rows each training step sees, (steps, batch), or (steps, batch, k + 1) with shots.

        Every stratum is gone through in shuffled passes; which stratum comes next is drawn by
        weight. The order depends on the task's seed alone. With shots the last row of each group
        is the question, the others are its examples.
        """
        rng = np.random.default_rng([self.seed, 4])
        total = steps * batch
        which = np.zeros(total, dtype=np.int64)
        if len(self.strata) > 1:
            weight = np.array([s.weight for s in self.strata])
            which = rng.choice(len(weight), total, p=weight / weight.sum())
        order = np.empty(total, dtype=np.int64)
        for i, s in enumerate(self.strata):
            place = np.flatnonzero(which == i)
            order[place] = _passes(rng, s.train, len(place))
        rows = order.reshape(steps, batch)
        if not self.shots:
            return rows
        examples = np.empty((total, self.shots), dtype=np.int64)
        for i, s in enumerate(self.strata):
            place = np.flatnonzero(which == i)
            examples[place] = _examples(rng, s.train, order[place], self.shots)
        return np.concatenate([examples.reshape(steps, batch, -1), rows[..., None]], axis=-1)

    @cached_property
    def asked(self) -> Ints:
        """Rows of each test prompt: (S,), or (S, k + 1) with the examples before the question."""
        if not self.shots:
            return self.test
        examples = [
            _examples(np.random.default_rng([self.seed, 5, i]), s.train, s.test, self.shots)
            for i, s in enumerate(self.strata)
        ]
        return np.hstack([np.vstack(examples), self.test[:, None]])

    def sequences(self, rows: Ints) -> Bytes:
        """Prompt and target of each row, (..., P + L); with shots all in one line.

        >>> import unmirage.lab.arithmetic as arithmetic
        >>> task = arithmetic.addition(digits="1", items=2, shots=1)
        >>> task.text(task.sequences(task.asked)[0])[:9]
        '9+3=12;7+'
        """
        both = np.concatenate([self.prompts, self.targets], axis=1)
        if not self.shots:
            return both[rows]
        mark = np.full((len(both), 1), self.vocab.index(BETWEEN), dtype=np.uint8)
        groups = np.concatenate([both, mark], axis=1)[rows]
        return groups.reshape(*rows.shape[:-1], -1)[..., :-1]

    def options(self) -> tuple[NDArray[np.uint8], Ints]:
        """Multiple choice: the options of each test item (S, K, L), and the right one's place (S,).

        Wrong options are targets of other items of the stratum, all different.
        """
        found, places = [], []
        for i, s in enumerate(self.strata):
            pool = np.unique(self.targets[s.train], axis=0)
            for start in range(0, len(s.test), BLOCK):
                rng = np.random.default_rng([self.seed, 6, i, start])
                right = self.targets[s.test[start : start + BLOCK]]
                n = len(right)
                drawn = pool[distinct(rng, BLOCK, self.choices, len(pool))[:n]]
                same = (drawn == right[:, None]).all(axis=-1)
                # all that differ first; one too many were drawn, in case one is the right one
                differ = np.argsort(same, axis=1, kind="stable")[..., None]
                wrong = np.take_along_axis(drawn, differ, axis=1)[:, :-1]
                both = np.concatenate([right[:, None], wrong], axis=1)
                order = rng.permuted(np.tile(np.arange(self.choices), (BLOCK, 1)), axis=1)[:n]
                found.append(np.take_along_axis(both, order[..., None], axis=1))
                places.append(order.argmin(axis=1))
        return np.concatenate(found), np.concatenate(places)


def distinct(rng: np.random.Generator, count: int, size: int, total: int) -> Ints:
    """(count, size) numbers below ``total``, all different within a row, in random order."""
    if total < 8 * size:
        return np.argsort(rng.random((count, total)), axis=1)[:, :size]
    found = rng.integers(0, total, (count, size))
    while True:
        ordered = np.sort(found, axis=1)
        again = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        if not again.any():
            return found
        found[again] = rng.integers(0, total, (int(again.sum()), size))


def _passes(rng: np.random.Generator, rows: Ints, total: int) -> Ints:
    """``total`` rows in passes, each a new permutation."""
    passes = -(-total // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(passes)] or [rows[:0]])[:total]


def encode(vocab: str, texts: Sequence[str]) -> Bytes:
    """Texts of one length -> token ids, (texts, characters).

    >>> encode("01+=", ["1+0=", "0+0="]).tolist()
    [[1, 2, 0, 3], [0, 2, 0, 3]]
    """
    place = np.full(128, 255, dtype=np.uint8)
    place[np.frombuffer(vocab.encode("ascii"), dtype=np.uint8)] = np.arange(len(vocab))
    letters = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8)
    return place[letters].reshape(len(texts), -1)


def _examples(rng: np.random.Generator, train: Ints, questions: Ints, shots: int) -> Ints:
    """(Q, k) rows of the same stratum, none of them the question itself."""
    drawn = rng.choice(train, (len(questions), shots))
    same = drawn == questions[:, None]
    while same.any() and len(train) > 1:
        drawn[same] = rng.choice(train, int(same.sum()))
        same = drawn == questions[:, None]
    return drawn


def with_extras(task: TokenTask, shots: int, choices: int) -> TokenTask:
    """The task with few-shot prompts, with options, or both.

    Raises:
        OptionError: a negative number, one option only, or more than a stratum has targets.
    """
    if shots < 0 or choices < 0 or choices == 1:
        raise OptionError(
            f"shots {shots}, choices {choices}", mend="shots from 0 on, choices 0 or from 2 on"
        )
    for s in task.strata if choices else ():
        different = len(np.unique(task.targets[s.train], axis=0))
        if different < choices:
            raise OptionError(
                f"{s.subtask or s.task} has only {different} different targets",
                mend=f"ask for at most {different} choices",
            )
    if shots:
        task = replace(task, vocab=task.vocab + BETWEEN)
    return replace(task, shots=shots, choices=choices)


def table(
    name: str,
    vocab: str,
    parts: Sequence[tuple[Stratum, Sequence[str], Sequence[str]]],
    seed: int,
    about: str,
) -> TokenTask:
    """A task from the prompts and targets of each stratum; its rows count within the stratum."""
    every = [prompt for _, prompts, _ in parts for prompt in prompts]
    wide, long = max(map(len, every)), max(s.length for s, _, _ in parts)
    if any(len(prompt) < wide or FILLER in prompt for prompt in every) or any(
        s.length < long for s, _, _ in parts
    ):
        vocab += FILLER
    strata, left, right, start = [], [], [], 0
    for s, prompts, targets in parts:
        strata.append(replace(s, train=s.train + start, test=s.test + start))
        left.append(encode(vocab, [p.rjust(wide, FILLER) for p in prompts]))
        right.append(encode(vocab, [t.ljust(long, FILLER) for t in targets]))
        start += len(prompts)
    return TokenTask(
        name, vocab, np.concatenate(left), np.concatenate(right), tuple(strata), seed, about
    )
