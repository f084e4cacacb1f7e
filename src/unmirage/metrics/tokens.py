"""The tokens of an answer and of its targets, as numbers that can be compared.

Which tokens: the given ids where the item has both ``output_tokens`` and ``target_tokens``; else
words (runs without white space) where one of its targets contains white space; else characters
(Unicode code points). Text is stripped of white space at both ends first, in the sense of
Unicode's White_Space. The choice is made per item and, for text, from the targets alone.

Axes: S items, P pairs of an answer and one target, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from unmirage.metrics.ragged import Ragged
from unmirage.types import Floats

_CHUNK = 50_000  # items at a time, to bound the memory
_SURROGATES = range(0xD800, 0xE000)
_CODES = 0x110000 - len(_SURROGATES)  # different characters a string can hold
_SPACE = r"\s"


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of an answer and a target; equal codes are equal tokens, whatever they stand for."""

    row: NDArray[np.int64]  # (P,) the item
    output: Ragged  # (P,) lists
    target: Ragged  # (P,) lists


def text_pairs(samples: pl.DataFrame) -> pl.DataFrame:
    """row, output, target: one row for every target of every item that has both; stripped.

    >>> text_pairs(pl.DataFrame({"output": [" a", None], "targets": [["a", None], ["b"]]})).rows()
    [(0, 'a', 'a')]
    """
    return (
        samples.select(pl.col("output").cast(pl.String), pl.col("targets").cast(pl.List(pl.String)))
        .with_row_index("row")
        .filter(pl.col("output").is_not_null() & (pl.col("targets").list.len() > 0))
        .explode("targets")
        .rename({"targets": "target"})
        .drop_nulls("target")
        .with_columns(pl.col("output", "target").str.strip_chars())
    )


def token_units(samples: pl.DataFrame) -> pl.Series:
    """Which tokens an item is compared by: "ids", "words", "characters", or null for none.

    A curve whose rungs differ in it compares unlike things.

    >>> samples = pl.DataFrame({"output": ["a b", "a"], "targets": [["a c"], ["b"]]})
    >>> token_units(samples).to_list()
    ['words', 'characters']
    """
    unit = np.full(samples.height, None, dtype=object)
    if {"output", "targets"} <= set(samples.columns):
        pairs = _with_words(text_pairs(samples))
        unit[pairs["row"].to_numpy()] = np.where(pairs["words"].to_numpy(), "words", "characters")
    unit[_has_ids(samples)] = "ids"
    return pl.Series("unit", unit.tolist(), dtype=pl.String)


def best_pair(samples: pl.DataFrame, score: Callable[[Pairs], Floats], best: np.ufunc) -> Floats:
    """``score`` of every pair, then the best over an item's targets (np.fmin or np.fmax), (S,)."""
    out = np.full(samples.height, np.nan)
    for offset in range(0, samples.height, _CHUNK):
        for pairs in token_pairs(samples.slice(offset, _CHUNK)):
            best.at(out, pairs.row + offset, score(pairs))
    return out


def token_pairs(samples: pl.DataFrame) -> Iterator[Pairs]:
    """The pairs by ids, by words and by characters, each kind at once."""
    ids = _has_ids(samples)
    if ids.any():
        yield _id_pairs(samples, ids)
    if not {"output", "targets"} <= set(samples.columns):
        return
    pairs = text_pairs(samples)
    pairs = _with_words(pairs.filter(~ids[pairs["row"].to_numpy()]))
    yield _word_pairs(pairs.filter("words"))
    yield _character_pairs(pairs.filter(~pl.col("words")))


def edit_distances(pairs: Pairs) -> Floats:
    """Levenshtein distance of each pair, (P,): insertions, deletions and substitutions cost 1."""
    largest = max(
        (int(r.flat.max()) for r in (pairs.output, pairs.target) if len(r.flat)), default=0
    )
    if largest >= _CODES:  # more kinds of tokens than a string can hold
        both = zip(_slices(pairs.output), _slices(pairs.target), strict=True)
        return np.array([Levenshtein.distance(a.tolist(), b.tolist()) for a, b in both], float)
    found = process.cpdist(
        _strings(pairs.output), _strings(pairs.target), scorer=Levenshtein.distance, workers=1
    )
    return np.asarray(found, dtype=np.float64)


def matches(pairs: Pairs) -> NDArray[np.bool_]:
    """Whether the answer has the target's token at the same place, (N,) over target tokens."""
    place = np.arange(len(pairs.target.flat)) - np.repeat(pairs.target.start, pairs.target.length)
    there = place < np.repeat(pairs.output.length, pairs.target.length)
    at = np.repeat(pairs.output.start, pairs.target.length) + place
    same = np.zeros(len(place), dtype=bool)
    same[there] = pairs.output.flat[at[there]] == pairs.target.flat[there]
    return same


# ---------------------------------------------------------------- the three kinds


def _has_ids(samples: pl.DataFrame) -> NDArray[np.bool_]:
    """Which items have ids for both the answer and the target, none of them null, (S,)."""
    if not {"output_tokens", "target_tokens"} <= set(samples.columns):
        return np.zeros(samples.height, dtype=bool)
    ids = samples.select(pl.col("output_tokens", "target_tokens").cast(pl.List(pl.Int64)))
    whole = [c.list.drop_nulls().list.len() == c.list.len() for c in ids]
    return (whole[0] & whole[1]).fill_null(False).to_numpy()


def _id_pairs(samples: pl.DataFrame, ids: NDArray[np.bool_]) -> Pairs:
    cells = [
        samples[c].cast(pl.List(pl.Int64)).filter(pl.Series(ids))
        for c in ("output_tokens", "target_tokens")
    ]
    return _coded(np.flatnonzero(ids), cells[0], cells[1])


def _with_words(pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds ``words``: one of the item's targets contains white space."""
    return pairs.with_columns(words=pl.col("target").str.contains(_SPACE).any().over("row"))


def _word_pairs(pairs: pl.DataFrame) -> Pairs:
    words = pairs.select(pl.col("output", "target").str.extract_all(r"\S+"))
    return _coded(pairs["row"].to_numpy(), words["output"], words["target"])


def _coded(row: NDArray[np.integer], output: pl.Series, target: pl.Series) -> Pairs:
    """Numbers the tokens of two list columns 0, 1, 2, ... alike."""
    length = [c.list.len().to_numpy().astype(np.int64) for c in (output, target)]
    flat = [c.filter(c.list.len() > 0).explode() for c in (output, target)]
    every = pl.concat([f.alias("token") for f in flat]).to_frame()
    number = every.unique().with_row_index("code")
    code = every.join(number, on="token", how="left", maintain_order="left")["code"]
    codes = code.to_numpy().astype(np.int64)
    cut = len(flat[0])
    return Pairs(
        row.astype(np.int64), Ragged(codes[:cut], length[0]), Ragged(codes[cut:], length[1])
    )


def _character_pairs(pairs: pl.DataFrame) -> Pairs:
    def codes(text: pl.Series) -> Ragged:
        flat = np.frombuffer("".join(text.to_list()).encode("utf-32-le"), dtype="<u4")
        # _strings steps over the surrogates, which no text holds
        flat = np.where(flat >= _SURROGATES.stop, flat - len(_SURROGATES), flat)
        return Ragged(flat.astype(np.int64), text.str.len_chars().to_numpy().astype(np.int64))

    row = pairs["row"].to_numpy().astype(np.int64)
    return Pairs(row, codes(pairs["output"]), codes(pairs["target"]))


def _slices(lists: Ragged) -> list[NDArray[np.int64]]:
    return np.split(lists.flat, np.cumsum(lists.length)[:-1]) if len(lists.length) else []


def _strings(lists: Ragged) -> list[str]:
    """Each list as a string with one character per code; codes must be below ``_CODES``."""
    code = lists.flat
    point = np.where(code >= _SURROGATES.start, code + len(_SURROGATES), code)
    text = point.astype("<u4").tobytes().decode("utf-32-le")
    ends = np.cumsum(lists.length).tolist()
    return [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
