"""Rows of JSON become columns a batch at a time; the slow twin makes each column of all cells."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from unmirage.records import jsonlines

plain = st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text()
values = st.recursive(plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v))
columns = st.sampled_from(
    [
        *(st.integers(-3, 3), st.floats(), st.text(), st.booleans()),
        *(st.lists(st.integers(-3, 3)), st.lists(st.floats() | st.none()), st.lists(st.text())),
        *(st.integers(-3, 3) | st.floats(), values),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of a few keys, each of which has cells of some kinds, changing on the way."""
    kinds = {key: [draw(columns), draw(columns)] for key in draw(st.sets(st.sampled_from("abc")))}
    count, change = draw(st.integers(0, 12)), draw(st.integers(0, 12))
    rows = [{k: draw(v[i >= change]) for k, v in kinds.items()} for i in range(count)]
    return [{k: v for k, v in row.items() if draw(st.integers(0, 4))} for row in rows]


@pytest.mark.parametrize("size", [1, 3])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=tables())
@example(rows=[{"a": [1]}, {"a": [None]}, {}, {"a": [2.5]}])
@example(rows=[{"a": 1}, {"a": 2**70}, {"a": 0.5}])
@example(rows=[{"a": 1}, {"a": 0.5}, {"a": {"b": [1]}}, {"a": True}])
@example(rows=[{"a": [1, 2]}, {"a": [[1], [2]]}, {"a": "x"}])
@example(rows=[{"a": None}, {"a": None}, {"b": "late"}])
def test_batches_make_no_difference(size: int, rows: list[dict[str, Any]]) -> None:
    keys = dict.fromkeys(k for row in rows for k in row)
    wanted = pl.DataFrame([jsonlines.series(k, [row.get(k) for row in rows]) for k in keys])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonlines, "BATCH", size)
        found, numbers = jsonlines.to_frame(enumerate(rows, 1), "x")
    assert numbers.to_list() == list(range(1, len(rows) + 1))
    assert found.schema == wanted.schema
    assert found.equals(wanted)
