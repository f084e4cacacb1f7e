"""Many small tasks in one corpus, and multitask sparse parity: families with many curves.

A prompt of the mixture begins with the letter of its task. Each task is a stratum of one table;
its test prompts are never trained on (but for ``lookup``, a table to be known by heart).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unmirage.errors import OptionError
from unmirage.lab.tokens import DIGITS, Stratum, TokenTask, table, with_extras

LETTERS = "abcdefghij"
POOL = 30_000  # rows trained on, at most, a task
RESERVE = 5_000  # rows held out, at most, a task; a fifth where there are few
Rng = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """One task of the mixture: a random argument, and the answer to it."""

    sign: str  # the letter its prompts begin with
    draw: Callable[[Rng], str]
    answer: Callable[[str], str]
    length: int


def _string(alphabet: str, size: int) -> Callable[[Rng], str]:
    return lambda rng: "".join(alphabet[i] for i in rng.integers(0, len(alphabet), size))


def _two(sign: str, low: int, high: int) -> Callable[[Rng], str]:
    def draw(rng: Rng) -> str:
        a, b = rng.integers(low, high, 2)
        return f"{a}{sign}{b}"

    return draw


def _ordered(rng: Rng) -> str:
    a, b = sorted(rng.integers(10, 100, 2).tolist(), reverse=True)
    return f"{a}-{b}"


def _times(rng: Rng) -> str:
    return f"{rng.integers(10, 100)}*{rng.integers(0, 10)}"


def _split(sign: str, result: Callable[[int, int], int], size: int) -> Callable[[str], str]:
    def answer(text: str) -> str:
        a, b = text.split(sign)
        return f"{result(int(a), int(b)):0{size}d}"

    return answer


def _shifted(text: str) -> str:
    return "".join(LETTERS[(LETTERS.index(c) + 1) % len(LETTERS)] for c in text)


def _number(size: int) -> Callable[[Rng], str]:
    return lambda rng: f"{rng.integers(0, 10**size):0{size}d}"


def _xor(text: str) -> str:
    """Bit by bit of the two halves."""
    return "".join(str(int(a != b)) for a, b in zip(text[:5], text[5:], strict=True))


def _known(text: str) -> str:
    """A random value for each number, the same for ever."""
    return f"{int(np.random.default_rng([31, int(text)]).integers(0, 1000)):03d}"


KINDS: dict[str, Kind] = {
    "copy": Kind("C", _string(LETTERS, 5), str, 5),
    "reverse": Kind("R", _string(LETTERS, 5), lambda t: t[::-1], 5),
    "sort": Kind("S", _string(LETTERS, 5), lambda t: "".join(sorted(t)), 5),
    "shift": Kind("H", _string(LETTERS, 5), _shifted, 5),
    "largest": Kind("L", _string(DIGITS, 5), max, 1),
    "most_common": Kind("O", _string("abc", 9), lambda t: max("abc", key=t.count), 1),
    "count": Kind("N", _string("ab", 9), lambda t: str(t.count("a")), 1),
    "xor": Kind("P", _string("01", 10), _xor, 5),
    "add2": Kind("A", _two("+", 10, 100), _split("+", lambda a, b: a + b, 3), 3),
    "add3": Kind("B", _two("+", 100, 1000), _split("+", lambda a, b: a + b, 4), 4),
    "subtract": Kind("D", _ordered, _split("-", lambda a, b: a - b, 2), 2),
    "times": Kind("M", _times, _split("*", lambda a, b: a * b, 3), 3),
    "modulo7": Kind("Q", _number(4), lambda t: str(int(t) % 7), 1),
    "double": Kind("W", _number(4), lambda t: f"{2 * int(t):05d}", 5),
    "next": Kind("X", _number(5), lambda t: f"{int(t) + 1:06d}", 6),
    "lookup": Kind("K", lambda rng: f"{rng.integers(0, 500):03d}", _known, 3),
}


def mixture(seed: int = 0, items: int = 400, shots: int = 0, choices: int = 0) -> TokenTask:
    """Sixteen tasks on strings and numbers, equally often, one stratum each."""
    _check(items, RESERVE)
    parts = []
    for i, (name, kind) in enumerate(KINDS.items()):
        rng = np.random.default_rng([seed, 8, i])
        arguments = list(dict.fromkeys(kind.draw(rng) for _ in range(POOL + RESERVE)))
        held = min(RESERVE, len(arguments) // 5)
        test, train = np.arange(held), np.arange(held, len(arguments))
        if name == "lookup":
            test = train = np.arange(len(arguments))
        parts.append(
            (
                Stratum(f"mixture-{name}", None, train, test[:items], kind.length),
                [kind.sign + text + "=" for text in arguments],
                [kind.answer(text) for text in arguments],
            )
        )
    vocab = DIGITS + LETTERS + "+-*=" + "".join(kind.sign for kind in KINDS.values())
    about = (
        f"{len(KINDS)} tasks on strings and numbers in one corpus. No test prompt was seen in "
        "training, but for lookup, which is memory."
    )
    return with_extras(table("mixture", vocab, parts, seed, about), shots, choices)


def _check(items: int, most: int) -> None:
    if not 1 <= items <= most:
        raise OptionError(f"{items} items of each task", mend=f"ask for 1 to {most}")


def parity(
    seed: int = 0,
    items: int = 200,
    bits: int = 16,
    quanta: int = 12,
    order: int = 2,
    power: str = "1.2",
    shots: int = 0,
    choices: int = 2,
) -> TokenTask:
    """Multitask sparse parity (Michaud et al. 2023, arXiv 2303.13506).

    Task i is the parity of ``order`` of ``bits`` random bits, chosen once; it makes up a share
    proportional to i^-power of the training: each is learnt or not, a quantum.
    """
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    if not (1 <= order <= bits and 3 <= bits <= 60 and 1 <= quanta <= len(alphabet)):
        raise OptionError(
            f"{quanta} parities of {order} of {bits} bits",
            mend=f"order <= bits, bits from 3 to 60, quanta from 1 to {len(alphabet)}",
        )
    _check(items, min(RESERVE, 2**bits // 5))
    try:
        exponent = float(power)
    except ValueError:
        exponent = np.nan
    if not abs(exponent) <= 10:
        raise OptionError(f"power {power!r}", mend="a number from -10 to 10: power=1.2")
    parts = []
    for i in range(quanta):
        rng = np.random.default_rng([seed, 9, i])
        chosen = rng.choice(bits, order, replace=False)
        drawn = rng.integers(0, 2**bits, POOL + RESERVE)
        numbers = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
        table_ = (numbers[:, None] >> np.arange(bits)) & 1
        held = min(RESERVE, len(numbers) // 5)
        spelt = ["".join(row) for row in table_.astype(str)]
        right = table_[:, chosen].sum(axis=1) % 2
        parts.append(
            (
                Stratum(
                    f"parity-{i + 1:02d}",
                    None,
                    np.arange(held, len(numbers)),
                    np.arange(min(items, held)),
                    1,
                    float((i + 1) ** -exponent),
                ),
                [f"{alphabet[i]}{text}=" for text in spelt],
                right.astype(str).tolist(),
            )
        )
    about = (
        f"{quanta} parities of {order} of {bits} bits, the i-th with a share of i^-{exponent:g} of "
        "the training. No test prompt was seen in training."
    )
    task = table("parity", "01=" + alphabet[:quanta], parts, seed, about)
    return with_extras(task, shots, choices)
