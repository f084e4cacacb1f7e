"""In-context learning: linear regression, and labels of classes never seen before.

Axes: B sequences, T = 2 k + 1 positions of k solved examples and a question, F features of a
position. An example is two positions, what is asked and the answer, so that positions 0, 2, 4, ...
are questions. Every step and every test draws its own numbers from the task's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import OptionError
from unmirage.lab.tokens import BLOCK, Ints, distinct

Reals = NDArray[np.float32]
Arrays = dict[str, NDArray[np.generic]]
Rng = np.random.Generator


#: more is surely a slip, and would not fit a memory
LARGEST, MOST_ITEMS = 4096, 10_000_000


@dataclass(frozen=True)
class RegressionTask:
    """y = w x / sqrt(d) + noise in context (Garg et al. 2022, arXiv 2208.01066).

    x and w are N(0, 1) in d dimensions, new for every sequence: the answer 0 has a squared error
    of 1 + noise^2, the best possible one of noise^2.
    """

    name: str = "icl-regression"
    dim: int = 4  # d
    shots: int = 16  # k, the longest context
    noise: float = 0.1  # standard deviation
    items: int = 1000  # test sequences
    seed: int = 0
    kind: Literal["numbers"] = "numbers"

    def __post_init__(self) -> None:
        if not (
            0 < self.dim <= LARGEST
            and 0 < self.shots <= LARGEST
            and 0 < self.items <= MOST_ITEMS
            and 0 <= self.noise < np.inf
        ):
            raise OptionError(
                f"dim {self.dim}, shots {self.shots}, items {self.items}, noise {self.noise}",
                mend="sizes from 1 on, a noise from 0 on",
            )

    @property
    def features(self) -> int:
        return self.dim + 1

    @property
    def about(self) -> str:
        return (
            f"Linear regression in context: {self.dim} dimensions, up to {self.shots} examples, "
            f"noise {self.noise}. Every sequence has weights of its own."
        )

    def draw(self, rng: Rng, count: int) -> Arrays:
        """Sequences: inputs (count, T, d + 1), values (count, k + 1), the true answers."""
        k, d = self.shots, self.dim
        x = rng.standard_normal((count, k + 1, d), dtype=np.float32)
        w = rng.standard_normal((count, d, 1), dtype=np.float32)
        noise = np.float32(self.noise) * rng.standard_normal((count, k + 1), dtype=np.float32)
        y = (x @ w)[..., 0] / np.float32(np.sqrt(d)) + noise
        inputs = np.zeros((count, 2 * k + 1, d + 1), dtype=np.float32)
        inputs[:, ::2, :d] = x
        inputs[:, 1::2, d] = y[:, :k]
        return {"inputs": inputs, "values": y}

    def batch(self, step: int, size: int) -> Arrays:
        """The training sequences of one step."""
        return self.draw(np.random.default_rng([self.seed, 4, step]), size)

    def test(self) -> Arrays:
        """The test sequences."""
        return _in_blocks(self.draw, [self.seed, 2], self.items)


def _in_blocks(draw: Callable[[Rng, int], Arrays], key: list[int], items: int) -> Arrays:
    """Test sequences in blocks with a generator each, so that fewer are the first of more."""
    starts = range(0, items, BLOCK)
    parts = [draw(np.random.default_rng([*key, start]), BLOCK) for start in starts]
    return {name: np.concatenate([p[name] for p in parts])[:items] for name in parts[0]}


def least_squares(inputs: Reals, ridge: float = 0.0) -> NDArray[np.float64]:
    """What least squares predicts from the examples before each question: (B, T, F) -> (B, k + 1).

    With fewer examples than dimensions the solution of least norm; ``ridge`` is added to the
    diagonal of X'X: noise^2 d makes it the best possible predictor of :class:`RegressionTask`.
    """
    x, y = inputs[:, ::2, :-1].astype(np.float64), inputs[:, 1::2, -1].astype(np.float64)
    found = np.zeros(x.shape[:2])
    for k in range(1, x.shape[1]):
        past = x[:, :k]
        gram = past.transpose(0, 2, 1) @ past + ridge * np.eye(x.shape[2])
        moment = (past.transpose(0, 2, 1) @ y[:, :k, None])[..., 0]
        w = (np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ moment[..., None])[..., 0]
        found[:, k] = np.einsum("bd,bd->b", x[:, k], w)
    return found


def shots_asked(most: int) -> list[int]:
    """The contexts that are recorded: 0, the powers of two, and the longest.

    >>> shots_asked(12)
    [0, 1, 2, 4, 8, 12]
    """
    return sorted({0, most, *(2**i for i in range(most.bit_length()) if 2**i < most)})


@dataclass(frozen=True)
class LabelTask:
    """Items of Gaussian classes with labels, then a question (Chan et al. 2022, Reddy 2024).

    A class is a centre, N(0, 1/d) in each of d dimensions; an item is its class's centre plus
    ``spread`` times as much noise, rescaled. In training every class keeps one of ``labels``
    labels. Bursty sequences hold the asked class ``burst`` times among their ``pairs`` examples,
    and every other class as often; the rest hold it not at all, so that only the weights know.
    Asked later: *in weights*, classes of the training that are not in the context; *in context*,
    new classes with random labels, which only the context tells.
    """

    name: str = "icl-labels"
    dim: int = 8  # d
    classes: int = 512
    labels: int = 8
    pairs: int = 4
    burst: int = 1
    bursty: float = 0.9  # share of training sequences
    spread: float = 0.1
    items: int = 1000  # test sequences of each kind
    seed: int = 0
    kind: Literal["labels"] = "labels"

    def __post_init__(self) -> None:
        sizes = (self.dim, self.pairs, self.burst, self.items)
        real = 0 <= self.bursty <= 1 and 0 <= self.spread < np.inf
        if min(sizes) < 1 or self.labels < 2 or not real:
            raise OptionError(
                f"dim {self.dim}, pairs {self.pairs}, burst {self.burst}, items {self.items}, "
                f"labels {self.labels}, bursty {self.bursty}, spread {self.spread}",
                mend="sizes from 1 on, labels from 2 on, bursty from 0 to 1, a spread from 0 on",
            )
        if self.pairs % self.burst or self.labels < self.pairs or self.classes <= self.pairs:
            raise OptionError(
                f"{self.pairs} pairs, burst {self.burst}, {self.labels} labels, "
                f"{self.classes} classes",
                mend="pairs a multiple of burst, at least as many labels as pairs, more classes",
            )

    @property
    def shots(self) -> int:
        return self.pairs

    @property
    def features(self) -> int:
        return self.dim + self.labels

    @property
    def about(self) -> str:
        return (
            f"Few-shot labelling: {self.pairs} labelled items of Gaussian classes, then one to "
            f"label among {self.labels}. {self.classes} classes in training; those of the "
            "in-context test were never seen."
        )

    def _items(self, rng: Rng, centres: Reals) -> Reals:
        """One item of each class: the same shape."""
        noise = rng.standard_normal(centres.shape, dtype=np.float32) / np.float32(np.sqrt(self.dim))
        scale = np.float32(1 / np.sqrt(1 + self.spread**2))
        return (centres + np.float32(self.spread) * noise) * scale

    def _inputs(self, items: Reals, labels: Ints) -> Reals:
        """(B, n + 1, d) items and (B, n) labels of all but the last -> (B, 2 n + 1, F)."""
        count, n = labels.shape
        found = np.zeros((count, 2 * n + 1, self.features), dtype=np.float32)
        found[:, ::2, : self.dim] = items
        rows = np.arange(count)[:, None]
        found[rows, 2 * np.arange(n) + 1, self.dim + labels] = 1.0
        return found

    def _context(self, rng: Rng, count: int, burst: int) -> Ints:
        """Which of the sequence's classes each pair holds, (count, pairs): each ``burst`` times."""
        slots = np.repeat(np.arange(self.pairs // burst), burst)
        return rng.permuted(np.tile(slots, (count, 1)), axis=1)

    def batch(self, step: int, size: int) -> Arrays:
        """The training sequences of one step: inputs (size, T, F), label (size,)."""
        return self._seen(np.random.default_rng([self.seed, 4, step]), size, self.bursty)

    def _seen(self, rng: Rng, count: int, bursty: float) -> Arrays:
        """Sequences of the classes of the training."""
        centres, labels = _known(self)
        chosen = distinct(rng, count, self.pairs + 1, self.classes)
        place = self._context(rng, count, self.burst)
        context = np.take_along_axis(chosen, place, axis=1)
        asked = np.where(rng.random(count) < bursty, chosen[:, 0], chosen[:, -1])
        both = centres[np.hstack([context, asked[:, None]])]
        return self._sequence(rng, both, labels[context]) | {"label": labels[asked]}

    def _sequence(self, rng: Rng, centres: Reals, labels: Ints) -> Arrays:
        return {"inputs": self._inputs(self._items(rng, centres), labels)}

    def in_weights(self) -> Arrays:
        """Test: a class of the training that is not in the context."""
        return _in_blocks(partial(self._seen, bursty=0.0), [self.seed, 2], self.items)

    def in_context(self, shots: int) -> Arrays:
        """Test: new classes with labels of their own; the asked one was shown ``shots`` times."""
        return _in_blocks(partial(self._unseen, shots=shots), [self.seed, 3, shots], self.items)

    def _unseen(self, rng: Rng, count: int, shots: int) -> Arrays:
        """Sequences of new classes."""
        kinds = self.pairs // shots
        centres = rng.standard_normal((count, kinds, self.dim), dtype=np.float32)
        centres /= np.float32(np.sqrt(self.dim))
        named = distinct(rng, count, kinds, self.labels)
        place = self._context(rng, count, shots)
        rows = np.arange(count)[:, None]
        shown = np.concatenate([centres[rows, place], centres[:, :1]], axis=1)
        return self._sequence(rng, shown, named[rows, place]) | {"label": named[:, 0]}

    def tests(self) -> dict[tuple[str, int], Arrays]:
        """(kind, how often the asked class is in the context) -> test sequences."""
        counts = [n for n in range(1, self.pairs + 1) if self.pairs % n == 0 and n < self.pairs]
        found = {("in context", n): self.in_context(n) for n in counts}
        return {("in weights", 0): self.in_weights(), **found}


@cache
def _known(task: LabelTask) -> tuple[Reals, Ints]:
    """Centres (classes, d) and labels (classes,) of the training classes."""
    rng = np.random.default_rng([task.seed, 1])
    centres = rng.standard_normal((task.classes, task.dim)) / np.sqrt(task.dim)
    return centres.astype(np.float32), np.arange(task.classes) % task.labels
