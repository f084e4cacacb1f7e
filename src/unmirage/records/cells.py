"""Parses the cells of one column into its canonical type. Nothing is refused here: what cannot
be parsed is null in ``values`` and true in ``bad``."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

MISSING_WORDS = ("", "na", "n/a", "none", "null", "-", "--", "#n/a")
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12}
_SUFFIXED = re.compile(r"^([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*(k|m|bn?|t)$")
_GROUPED = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$")
_SHOTS = re.compile(r"^(zero|one|two|three|four|five|ten|\d+)[-_ ]?shots?$")
SHOT_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
MAX_LITERAL = 1_000_000  # characters of a Python list written as text


@dataclass(frozen=True, eq=False)
class Parsed:
    """A parsed column, axis rows."""

    values: pl.Series
    bad: pl.Series  # Boolean: held something that cannot be parsed
    guessed: int = 0  # cells in which a suffix ("1.4B", "45%", "5-shot") was read


def parse(s: pl.Series, dtype: Any, *, scale: bool = False, factor: float = 1.0) -> Parsed:
    """One column as a canonical type; ``scale`` reads "1.4B", ``factor`` multiplies plain numbers.

    >>> parse(pl.Series("params", ["70m", "7e10"]), pl.Float64, scale=True).values.to_list()
    [70000000.0, 70000000000.0]
    """
    if dtype == pl.Float64:
        return number(s, scale=scale, factor=factor)
    if dtype == pl.Int64:
        return integer(s)
    if dtype == pl.Boolean:
        return boolean(s)
    if dtype == pl.String:
        return Parsed(text(s), _none(s))
    return listed(s, dtype)


def _none(s: pl.Series) -> pl.Series:
    return pl.Series("bad", [False], dtype=pl.Boolean).new_from_index(0, s.len())


def _all_bad(s: pl.Series, dtype: Any) -> Parsed:
    nothing = pl.Series(s.name, [None], dtype=dtype).new_from_index(0, s.len())
    return Parsed(nothing, s.is_not_null())


def number(s: pl.Series, *, scale: bool = False, factor: float = 1.0) -> Parsed:
    """Numbers; text is read too."""
    if s.dtype == pl.Boolean or s.dtype.is_numeric():
        values = s.cast(pl.Float64)
        return Parsed(values * factor if factor != 1 else values, _none(s))
    if s.dtype != pl.String:
        return _all_bad(s, pl.Float64)
    plain = s.str.strip_chars()
    values = plain.cast(pl.Float64, strict=False)
    left = plain.is_not_null() & values.is_null()
    values = values * factor if factor != 1 else values
    if not left.any():
        return Parsed(values, _none(s))
    return _odd_numbers(plain, values, left, scale)


def _odd_numbers(plain: pl.Series, values: pl.Series, left: pl.Series, scale: bool) -> Parsed:
    """Second look at the cells that are no plain number; each different text once."""
    found: dict[str, float | None] = {}
    bad: list[str] = []
    guessed: list[str] = []
    for cell in plain.filter(left).unique().to_list():
        word = cell.lower()
        value = None if word in MISSING_WORDS else _odd_number(word, scale)
        if value is not None:
            guessed.append(cell)
        elif word not in MISSING_WORDS:
            bad.append(cell)
        found[cell] = value
    odd = plain.replace_strict(found, default=None, return_dtype=pl.Float64)
    filled = pl.select(pl.when(left).then(odd).otherwise(values).alias(plain.name)).to_series()
    count = int((plain.is_in(guessed) & left).sum())
    return Parsed(filled, plain.is_in(bad).fill_null(False) & left, count)


def _odd_number(word: str, scale: bool) -> float | None:
    if word in ("true", "false") and not scale:
        return float(word == "true")
    if _GROUPED.match(word):
        return float(word.replace(",", ""))
    if scale and (found := _SUFFIXED.match(word)):
        # round: 1.4 * 1e9 must be the number that a table writes as 1400000000
        value = float(found[1]) * _UNITS[found[2]]
        return float(round(value)) if value == value and abs(value) < 1e300 else value
    if word.endswith("%") and not scale:
        try:
            return float(word[:-1]) / 100
        except ValueError:
            return None
    return None


def integer(s: pl.Series) -> Parsed:
    """Whole numbers; "5-shot" is 5."""
    if s.dtype == pl.Int64:
        return Parsed(s, _none(s))
    parsed = number(s)
    values, bad, guessed = parsed.values, parsed.bad, 0
    if s.dtype == pl.String and bad.any():
        lower = s.str.strip_chars().str.to_lowercase()
        counts = {w: shot_count(w) for w in lower.filter(bad).unique()}
        found = {w: float(n) for w, n in counts.items() if n is not None}
        read = lower.replace_strict(found, default=None, return_dtype=pl.Float64)
        values = pl.select(pl.when(bad).then(read).otherwise(values).alias(s.name)).to_series()
        guessed = int((bad & read.is_not_null()).sum())
        bad = bad & read.is_null()
    # NaN is how pandas writes a missing whole number
    values = values.fill_nan(None)
    whole = ((values == values.round()) & (values.abs() < 2.0**62)).fill_null(True)
    values = pl.select(pl.when(whole).then(values).alias(s.name)).to_series()
    return Parsed(values.cast(pl.Int64), bad | ~whole, guessed)


def shot_count(word: str) -> int | None:
    """The number in "five-shot" or "5shot"; None for anything else.

    >>> shot_count("five-shot"), shot_count("lots")
    (5, None)
    """
    found = _SHOTS.match(word)
    if not found or len(word) > 30:
        return None
    return SHOT_WORDS[found[1]] if found[1] in SHOT_WORDS else int(found[1])


def boolean(s: pl.Series) -> Parsed:
    """True and false, also 0/1 and words."""
    if s.dtype == pl.Boolean:
        return Parsed(s, _none(s))
    parsed = number(s)
    values = parsed.values.fill_nan(None)
    bad = parsed.bad | ~values.is_in([0.0, 1.0]).fill_null(True)
    good = pl.select(pl.when(~bad).then(values).alias(s.name)).to_series()
    return Parsed(good.cast(pl.Boolean), bad)


def text(s: pl.Series) -> pl.Series:
    """Text; whole floats lose their ``.0`` (pandas writes items as floats), one-element lists
    their brackets."""
    if s.dtype == pl.String:
        return s
    if s.dtype == pl.Float64:
        as_int = integer(s)
        if not as_int.bad.any():
            return as_int.values.cast(pl.String)
    if isinstance(s.dtype, pl.List):
        lengths = s.list.len()
        if s.dtype.inner == pl.String and not (lengths > 1).any():
            return s.list.first()
        cells = [None if v is None else msgspec.json.encode(v).decode() for v in s.to_list()]
        return pl.Series(s.name, cells, dtype=pl.String)
    if s.dtype == pl.Boolean:
        return pl.select(
            pl.when(s.is_null())
            .then(None)
            .when(s)
            .then(pl.lit("True"))
            .otherwise(pl.lit("False"))
            .alias(s.name)
        ).to_series()
    return s.cast(pl.String)


# ---------------------------------------------------------------- lists


def listed(s: pl.Series, dtype: Any) -> Parsed:
    """Lists: real ones, JSON or Python text of one, and for texts a single value."""
    inner = dtype.inner
    if isinstance(s.dtype, pl.List):
        have = s.dtype.inner
        if have == inner:
            return Parsed(s, _none(s))
        if inner != pl.String and have == pl.String:
            return _map(s, dtype, lambda v: [_element(x, inner) for x in v])
        if inner == pl.String or (have is not None and have.is_numeric() and inner != pl.Boolean):
            return Parsed(s.cast(dtype, strict=False), _none(s))
        return _map(s, dtype, lambda v: [_element(x, inner) for x in v])
    if inner == pl.String:
        return _text_lists(text(s))
    if s.dtype != pl.String:
        return _all_bad(s, dtype)
    if inner == pl.Float64 and (fast := _plain_lists(s)) is not None:
        return fast
    return _map(s, dtype, lambda v: [_element(x, inner) for x in split_list(v)])


def _plain_lists(s: pl.Series) -> Parsed | None:
    """A column of nothing but JSON lists of numbers, ten times faster; None for any other."""
    if not s.str.contains(r"^\s*\[[-+.,\s\deE]*\]\s*$").fill_null(True).all():
        return None
    try:
        return Parsed(s.str.json_decode(pl.List(pl.Float64)), _none(s))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _text_lists(s: pl.Series) -> Parsed:
    looks = s.str.strip_chars_start().str.starts_with("[").fill_null(False)
    plain = pl.select(pl.when(s.is_not_null()).then(pl.concat_list(s))).to_series().alias(s.name)
    if not looks.any():
        return Parsed(plain, _none(s))
    cells = [
        [cell] if not look else _texts_of(cell)
        for cell, look in zip(s.to_list(), looks.to_list(), strict=True)
    ]
    lists = [None if c == [None] else c for c in cells]
    return Parsed(pl.Series(s.name, lists, dtype=pl.List(pl.String)), _none(s))


def _texts_of(cell: str) -> list[str | None]:
    """The texts in a list written as text; the cell itself where it is no such list."""
    try:
        values = whole_list(cell)
    except ValueError:
        return [cell]
    if any(isinstance(v, (list, dict, tuple, set, bytes)) for v in values):
        return [cell]
    return [v if v is None or isinstance(v, str) else str(v) for v in values]


def whole_list(cell: str) -> list[Any]:
    """The list behind JSON or Python text.

    Raises:
        ValueError: it is no list.
    """
    try:
        value = msgspec.json.decode(cell)
    except (ValueError, RecursionError) as e:
        if len(cell) > MAX_LITERAL:
            raise ValueError("too long") from e
        try:
            value = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as e2:
            raise ValueError("no list") from e2
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def split_list(cell: str) -> list[Any]:
    """As :func:`whole_list`, and also numpy's "[-1.2 -3.4]" and lists with nan or inf.

    Raises:
        ValueError: it is no list.
    """
    try:
        return whole_list(cell)
    except ValueError:
        inner = cell.strip()
        if not (inner.startswith("[") and inner.endswith("]")):
            raise
        return inner[1:-1].replace(",", " ").split()


def is_missing_word(cell: str) -> bool:
    """Whether a cell says in words that it is empty."""
    return cell.strip().lower() in (*MISSING_WORDS, "nan")


def _element(value: Any, inner: Any) -> Any:
    """One element of a list; raises ValueError where it is of another type."""
    if value is None:
        return None
    if isinstance(value, str) and value.strip().lower() in MISSING_WORDS:
        return None
    if inner == pl.Boolean:
        return _truth(value)
    if isinstance(value, (bool, list, dict, tuple, set, bytes)):
        raise ValueError("not a number")
    real = float(value)
    if inner == pl.Float64:
        return real
    if not math.isfinite(real) or real != round(real) or abs(real) >= 2**62:
        raise ValueError("not a whole number")
    return int(real)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "1", "1.0"):
        return True
    if word in ("false", "0", "0.0"):
        return False
    raise ValueError("neither true nor false")


def _map(s: pl.Series, dtype: Any, change: Callable[[Any], list[Any]]) -> Parsed:
    cells: list[list[Any] | None] = []
    bad: list[bool] = []
    for cell in s.to_list():
        value, wrong = None, False
        missing = cell is None or (isinstance(cell, str) and is_missing_word(cell))
        if not missing:
            try:
                value = change(cell)
            except (ValueError, TypeError, OverflowError):
                wrong = True
        cells.append(value)
        bad.append(wrong)
    return Parsed(pl.Series(s.name, cells, dtype=dtype), pl.Series("bad", bad, dtype=pl.Boolean))
