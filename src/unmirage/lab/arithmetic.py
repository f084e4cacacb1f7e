"""Recall, addition and multiplication.

Test items are never trained on (recall excepted, which asks what was learnt). Which rows are held
out does not depend on how many of them are asked, so that a trained rung can be asked more items.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unmirage.errors import OptionError
from unmirage.lab.tokens import DIGITS, Ints, Stratum, TokenTask, table, with_extras

LETTERS = "abcdefghijklmnop"
POOL = 200_000  # rows trained on, at most, a stratum
RESERVE = 100_000  # rows held out, at most, a stratum
SHARE = 0.2  # of a small table that is held out


def recall(
    seed: int = 0, items: int = 2048, length: str = "5", shots: int = 0, choices: int = 0
) -> TokenTask:
    """Random keys of three letters, each with a random value: pure memory.

    ``length`` is the number of digits of a value, "5", or a range, "1-8", of which each length is
    a stratum with as many keys.
    """
    base, (low, high) = len(LETTERS), _range("length", length, 1, 18)
    kinds = high - low + 1
    if not kinds <= items <= base**3:
        raise OptionError(
            f"{items} keys of three letters", mend=f"ask for {kinds} to {base**3} items"
        )
    rng = np.random.default_rng([seed, 1])
    keys = rng.choice(base**3, items, replace=False)
    spelt = [LETTERS[k // base**2] + LETTERS[k // base % base] + LETTERS[k % base] for k in keys]
    parts = []
    for n, mine in zip(range(low, high + 1), np.array_split(np.arange(items), kinds), strict=True):
        values = rng.integers(0, 10**n, len(mine))
        everything = np.arange(len(mine))
        subtask = f"{n} digits" if kinds > 1 else None
        parts.append(
            (
                Stratum("recall", subtask, everything, everything, n),
                [f"{spelt[i]}=" for i in mine],
                [f"{value:0{n}d}" for value in values],
            )
        )
    about = (
        f"Recall of a table of {items} random keys with {length}-digit values. All test items were "
        "seen in training: it is memorisation."
    )
    task = table("recall", DIGITS + LETTERS + "=", parts, seed, about)
    return with_extras(task, shots, choices)


def addition(
    seed: int = 0, items: int = 1000, digits: str = "3", shots: int = 0, choices: int = 0
) -> TokenTask:
    """Sums of two numbers of n digits each, n + 1 digits with leading zeros, largest first.

    ``digits`` is one n, "3", or a range, "2-6", of which each n is a stratum.
    """
    low, high = _range("digits", digits, 1, 8)
    task = _arithmetic(
        "addition",
        "+",
        [(n, n, n + 1) for n in range(low, high + 1)],
        lambda a, b: a + b,
        seed,
        items,
    )
    return with_extras(task, shots, choices)


def multiplication(
    seed: int = 0, items: int = 1000, digits: str = "2x2", shots: int = 0, choices: int = 0
) -> TokenTask:
    """Products of numbers of m and n digits, m + n digits with leading zeros, largest first.

    ``digits`` lists the strata: "2x2", or "1x2,2x2,2x3".
    """
    shapes = []
    for part in digits.split(","):
        left, _, right = part.partition("x")
        if not all(n.isdecimal() and 1 <= int(n) <= 4 for n in (left, right)):
            raise OptionError(f"digits {digits!r}", mend="name strata like 2x2 or 1x2,2x2,2x3")
        shapes.append((int(left), int(right), int(left) + int(right)))
    if len(set(shapes)) < len(shapes):
        raise OptionError(f"digits {digits!r} names a stratum twice", mend="name each once")
    task = _arithmetic("multiplication", "*", shapes, lambda a, b: a * b, seed, items)
    return with_extras(task, shots, choices)


def _range(name: str, text: str, least: int, most: int) -> tuple[int, int]:
    low, _, high = text.partition("-")
    high = high or low
    if low.isdecimal() and high.isdecimal() and least <= int(low) <= int(high) <= most:
        return int(low), int(high)
    raise OptionError(f"{name} {text!r}", mend=f"one number or a range within {least}-{most}")


def _arithmetic(
    name: str,
    sign: str,
    shapes: list[tuple[int, int, int]],
    result: Callable[[Ints, Ints], Ints],
    seed: int,
    items: int,
) -> TokenTask:
    """One stratum for each (digits left, digits right, digits of the result).

    A small stratum asks all that it holds out.
    """
    if items < 1:
        raise OptionError(f"{items} items", mend="ask for at least 1")
    parts, most = [], 0
    wide = max(m for m, _, _ in shapes), max(n for _, n, _ in shapes)
    for m, n, length in shapes:
        rng = np.random.default_rng([seed, 7, m, n])
        a, b, held = _pairs(rng, m, n)
        most = max(most, held)
        several = f"{m}x{n} digits" if sign == "*" else f"{n} digits"
        parts.append(
            (
                Stratum(
                    name,
                    several if len(shapes) > 1 else None,
                    np.arange(held, len(a)),
                    np.arange(min(items, held)),
                    length,
                ),
                [f"{x:_>{wide[0]}d}{sign}{y:_>{wide[1]}d}=" for x, y in zip(a, b, strict=True)],
                [f"{z:0{length}d}" for z in result(a, b)],
            )
        )
    if items > most:
        raise OptionError(
            f"{name} holds out {most} pairs, not {items}", mend=f"--items {most}, or more digits"
        )
    spelt = " and ".join(f"{m}- by {n}-digit" for m, n, _ in shapes)
    about = f"{name.capitalize()}, {spelt} numbers. No test pair was seen in training."
    return table(name, DIGITS + sign + "=", parts, seed, about)


def _pairs(rng: np.random.Generator, m: int, n: int) -> tuple[Ints, Ints, int]:
    """Different pairs of numbers of m and n digits in random order, and how many are held out."""
    low, high = (0 if m == 1 else 10 ** (m - 1)), (0 if n == 1 else 10 ** (n - 1))
    width, total = 10**n - high, (10**m - low) * (10**n - high)
    held = min(RESERVE, int(SHARE * total))
    pairs = rng.choice(total, min(held + POOL, total), replace=False)
    return low + pairs // width, high + pairs % width, held
