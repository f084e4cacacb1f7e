"""Gives a table's columns their canonical names."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from unmirage.errors import ColumnError, OptionError
from unmirage.records.cells import parse
from unmirage.records.columns import (
    AGGREGATE_ALIASES,
    CANONICAL_AGGREGATES,
    CANONICAL_SAMPLES,
    PROVENANCE,
    SAMPLE_ALIASES,
    SCALE_COLUMNS,
    WEAK_ITEM,
    squeeze,
)
from unmirage.records.table import Table
from unmirage.types import Note

_BRACKET = re.compile(r"^(.+?)[\s_]*[(\[]\s*([^()\[\]]{1,12})\s*[)\]]$")
_ENDING = re.compile(r"^(.+)[\s_](bn?|billions?|m|millions?|t|trillions?)$", re.IGNORECASE)
_POWER = re.compile(r"^(?:1e|10\^|10\*\*)(\d{1,2})$")
_FACTORS = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "g": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "trillion": 1e12,
    "%": 0.01,
    "percent": 0.01,
}
ROW_INDEX = ("", "Unnamed: 0", "__index_level_0__")  # how pandas names the index it writes


@dataclass(frozen=True, eq=False)
class Recognised:
    """A table whose recognised columns carry canonical names, cells unchanged."""

    table: Table
    samples: bool
    factors: Mapping[str, float] = field(default_factory=dict)  # canonical column -> multiplier
    notes: tuple[Note, ...] = ()
    used: frozenset[str] = frozenset()  # explicitly mapped columns that this table has
    theirs: tuple[str, ...] = ()  # the table's own column names
    names: Mapping[str, str] = field(default_factory=dict)  # canonical column -> the table's own


def unit_factor(unit: str) -> float | None:
    """The multiplier that a unit in a column name stands for.

    >>> unit_factor("B"), unit_factor("1E21"), unit_factor("s")
    (1000000000.0, 1e+21, None)
    """
    word = unit.strip().lower()
    if power := _POWER.match(word):
        return float(f"1e{power[1]}")
    return _FACTORS.get(word, _FACTORS.get(word.removesuffix("s")) if len(word) > 3 else None)


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, case ignored."""
    by_lower = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), list(by_lower), n=1)
    return by_lower[found[0]] if found else None


def check_left_sides(columns: Mapping[str, str]) -> dict[str, str]:
    """``columns`` with "scale" as params.

    Raises:
        OptionError: a left side that is no canonical column, or one column named twice.
    """
    known = [*CANONICAL_SAMPLES, *CANONICAL_AGGREGATES, "scale"]
    for left in columns:
        if left not in known or left in PROVENANCE:
            guess = near(left, known)
            listed = ", ".join(dict.fromkeys(known))
            mend = f"did you mean {guess!r}?" if guess else f"known: {listed}"
            raise OptionError(f"--columns: {left!r} is not a column that unmirage knows", mend=mend)
    out = {("params" if c == "scale" else c): theirs for c, theirs in columns.items()}
    if len(out) < len(columns) or len(set(out.values())) < len(out):
        what = "--columns: two columns are given as one, or one as two"
        raise OptionError(what, mend="name each column once")
    return out


def recognise(table: Table, columns: Mapping[str, str], scores: Sequence[str] = ()) -> Recognised:
    """Canonical names for the columns of one table; ``columns`` says canonical -> theirs.

    Where ``scores`` (names or patterns) name columns, no other column is taken for the score.

    Raises:
        ColumnError: two columns claim one canonical name.
    """
    names = table.frame.columns
    explicit = {c: t for c, t in columns.items() if t in names}
    samples = holds_samples(names, explicit)
    taken = set(explicit.values())
    claims: dict[str, list[tuple[str, float]]] = {}
    for name in names:
        if name in taken or name in ROW_INDEX:
            continue
        if (claim := _claim(name, samples)) and claim[0] not in explicit:
            claims.setdefault(claim[0], []).append((name, claim[1]))
    asked = {
        n for n in names for pattern in scores if n == pattern or fnmatch.fnmatchcase(n, pattern)
    }
    if asked - {name for name, _ in claims.get("score", [])}:
        claims.pop("score", None)
    chosen = {c: (t, 1.0) for c, t in explicit.items()}
    for canonical, candidates in claims.items():
        if found := _choose(table, canonical, candidates):
            chosen[canonical] = found
    if samples and "item" not in chosen:
        weak = [n for n in names if squeeze(n) in WEAK_ITEM and n not in taken]
        if weak:
            chosen["item"] = (weak[0], 1.0)
    return _rename(table, samples, _gold_as_index(table, chosen, samples), frozenset(taken))


def holds_samples(names: Iterable[str], explicit: Mapping[str, str]) -> bool:
    """Whether these columns are those of per-item answers; "label" or "response" alone is not."""
    squeezed = {squeeze(n) for n in names}
    exact = set(names) | set(explicit)

    def has(canonical: str) -> bool:
        return canonical in exact or any(
            squeeze(a) in squeezed for a in (canonical, *SAMPLE_ALIASES[canonical])
        )

    if has("item") or has("token_logprobs") or has("choice_logprobs"):
        return True
    weak = any(w in squeezed for w in WEAK_ITEM)
    return bool(exact & {"output", "targets"}) or (has("output") and (has("targets") or weak))


@functools.cache
def _index(samples: bool) -> dict[str, str]:
    aliases = SAMPLE_ALIASES if samples else AGGREGATE_ALIASES
    return {squeeze(a): c for c, names in aliases.items() for a in (c, *names)}


def _claim(name: str, samples: bool) -> tuple[str, float] | None:
    """(canonical, multiplier) that a column name asks for."""
    known = CANONICAL_SAMPLES if samples else CANONICAL_AGGREGATES
    if name in known:
        # where a size came from stays true when records are read again; file and row do not
        return None if name in PROVENANCE and name != "scale_source" else (name, 1.0)
    index = _index(samples)
    if canonical := index.get(squeeze(name)):
        return canonical, 1.0
    for pattern in (_BRACKET, _ENDING):
        if found := pattern.match(name.strip().lstrip("#")):
            base, factor = index.get(squeeze(found[1])), unit_factor(found[2])
            share = factor == 0.01
            if base and factor and base in (("score", "stderr") if share else SCALE_COLUMNS):
                return base, factor
    return None


def _choose(
    table: Table, canonical: str, candidates: list[tuple[str, float]]
) -> tuple[str, float] | None:
    for name, factor in candidates:
        if name == canonical:
            return name, factor
    fitting = [c for c in candidates if fits(table.frame[c[0]], canonical)]
    if canonical in SCALE_COLUMNS and not fitting:
        fitting = candidates  # words in a scale column are refused later, with their row
    if len(fitting) > 1:
        both = " and ".join(repr(name) for name, _ in fitting[:2])
        mend = f"say which: --columns {canonical}={fitting[0][0]}"
        what = f"{both} could both be the column {canonical!r}"
        raise ColumnError(what, file=table.name, mend=mend)
    return fitting[0] if fitting else None


def fits(s: pl.Series, canonical: str) -> bool:
    """Whether every cell can be read as the canonical column's type."""
    dtype: Any = {**CANONICAL_AGGREGATES, **CANONICAL_SAMPLES}[canonical]
    if dtype == pl.String:
        return True
    return not parse(s, dtype, scale=canonical in SCALE_COLUMNS).bad.any()


def _gold_as_index(
    table: Table, chosen: dict[str, tuple[str, float]], samples: bool
) -> dict[str, tuple[str, float]]:
    """A whole-number target beside choices is the index of the right choice."""
    if not samples or "target_index" in chosen or "targets" not in chosen:
        return chosen
    name = chosen["targets"][0]
    if name == "targets" or not ({"choices", "choice_logprobs"} & chosen.keys()):
        return chosen
    s = table.frame[name]
    whole = s.dtype.is_integer() or (table.text and not parse(s, pl.Int64).bad.any())
    if whole:
        chosen["target_index"] = chosen.pop("targets")
    return chosen


def _rename(
    table: Table, samples: bool, chosen: dict[str, tuple[str, float]], used: frozenset[str]
) -> Recognised:
    known = CANONICAL_SAMPLES if samples else CANONICAL_AGGREGATES
    theirs = {name: canonical for canonical, (name, _) in chosen.items()}
    new: dict[str, str] = {}
    for name in table.frame.columns:
        if name in theirs:
            new[name] = theirs[name]
        elif name in ROW_INDEX:
            new[name] = ""
        else:
            # a name that has a meaning here but was given to another column
            new[name] = _free(name, table.frame.columns) if name in known else name
    frame = pl.DataFrame([table.frame[name].alias(to) for name, to in new.items() if to])
    factors = {c: f for c, (_, f) in chosen.items() if f != 1.0}
    return Recognised(
        replace(table, frame=frame),
        samples,
        factors,
        tuple(_mapping_note(table.name, chosen)),
        used,
        tuple(table.frame.columns),
        {c: name for c, (name, _) in chosen.items()},
    )


def _free(name: str, taken: list[str]) -> str:
    new = f"{name}_in_table"
    while new in taken:
        new += "_"
    return new


def _mapping_note(file: str, chosen: Mapping[str, tuple[str, float]]) -> list[Note]:
    said = [
        f"{canonical} = {name!r}" + (f" x {factor:g}" if factor != 1 else "")
        for canonical, (name, factor) in sorted(chosen.items())
        if name != canonical
    ]
    return [Note("info", "columns", "columns read as: " + ", ".join(said), file)] if said else []
