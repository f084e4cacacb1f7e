"""Blocks of lines turned into columns at once: the same as line by line, which is the slow twin."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.test_lm_eval import (
    FEW,
    JSONS,
    KINDS,
    REAL,
    TASKS,
    Row,
    chosen,
    generated,
    ladder,
    likely,
    line,
    real,
    results,
)
from unmirage.errors import FileProblem
from unmirage.records import jsonlines, read
from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.lm_eval import batches, samples
from unmirage.records.formats.lm_eval.batches import Batch, of_items, of_lines
from unmirage.records.formats.lm_eval.results import TaskFacts, task_facts
from unmirage.records.formats.lm_eval.rows import item_of
from unmirage.records.formats.lm_eval.typed import Irregular
from unmirage.records.jsonlines import Decoder, blocks, lines


def facts(task: str) -> TaskFacts:
    return task_facts(results("m"), task)


def written(rows: list[Row]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def slow(raw: list[bytes], task: TaskFacts) -> Batch:
    decode = Decoder()
    return of_items(range(1, len(raw) + 1), [item_of(decode(one), task) for one in raw])


def fast(raw: list[bytes], task: TaskFacts) -> Batch:
    return of_lines(range(1, len(raw) + 1), raw, task)


def by_item(batch: Batch) -> pl.DataFrame:
    return batch.scores.sort("at", maintain_order=True)


def same(a: Batch, b: Batch) -> bool:
    frames = a.answers.equals(b.answers) and by_item(a).equals(by_item(b))
    types = a.answers.schema == b.answers.schema and a.scores.schema == b.scores.schema
    return frames and types and (a.prompts, a.lost, a.more) == (b.prompts, b.lost, b.more)


WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
PARTS = st.sampled_from(["a", "b", "[1, 0]", "['a', 'b']", "7", " a ", "\x1ca", ""])
LOGS = st.one_of(st.floats(-30, 0), st.sampled_from([0, -3, -1.5, -1e-9, float("-inf")]))
SCORES = st.one_of(
    *(st.floats(0, 1), st.sampled_from([0, 1, True, None, "0.5", "nan", [1, "[0.2 0.8]"], "x"]))
)
TARGETS = st.one_of(st.integers(-1, 5), PARTS, WORDS, st.sampled_from([True, 1.0, None, [0, 1]]))


@st.composite
def usual(draw: st.DrawFn) -> tuple[str, list[Row]]:
    """Lines of one form, with any values that the harness may write there."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    rows = []
    for i in range(draw(st.integers(1, 6))):
        if kind == "math":
            row = generated(i, "f", 0, draw(st.one_of(WORDS, PARTS)), draw(SCORES))
        elif kind == "quiz":
            count = draw(st.integers(1, 5))
            logs = [draw(LOGS) for _ in range(count)]
            ends = [draw(st.sampled_from("abcd")) for _ in range(count)]
            row = chosen(i, 0, logs, draw(SCORES), "".join(ends))
        else:
            row = likely(i, draw(WORDS), draw(LOGS), draw(st.booleans()))
            row["perplexity"] = draw(SCORES)  # -Infinity is no JSON
        rows.append(row | {"target": draw(TARGETS)})
    return kind, rows


@settings(parent=FEW, max_examples=300)
@given(usual())
def test_columns_are_those_of_the_lines_one_by_one(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    assert same(fast(written(rows), facts(kind)), slow(written(rows), facts(kind)))


@settings(parent=FEW, max_examples=300)
@given(usual(), st.data())
def test_what_is_not_usual_is_refused_or_the_same(
    case: tuple[str, list[Row]], data: st.DataObject
) -> None:
    kind, rows = case
    row = data.draw(st.sampled_from(rows))
    key = data.draw(st.sampled_from([*row, "new"]))
    row[key] = data.draw(JSONS)
    if data.draw(st.booleans()) and key != "new":
        del row[key]
    raw = written(rows)
    try:
        found = fast(raw, facts(kind))
    except Irregular:
        return
    assert same(found, slow(raw, facts(kind)))


def test_older_forms_are_read_at_once() -> None:
    """Arguments as plain lists, scores that no list names, numbers instead of texts."""
    for task, rows in TASKS.items():
        older = []
        for row in rows:
            calls = [list(call.values()) for call in row["arguments"].values()]
            older.append(
                {k: v for k, v in row.items() if k not in ("metrics", "filter", "doc_hash")}
                | {"arguments": calls}
            )
        raw = written(older)
        assert same(fast(raw, facts(task)), slow(raw, facts(task)))


def test_choices_of_any_number_and_winogrande() -> None:
    rows = [chosen(i, i % 2, [-1.0, -2.0, -3.0][: 2 + i % 2], 1.0, "abc") for i in range(6)]
    asked = [("He", " ran.", ["-3.0", "False"]), ("She", " ran.", ["-2.0", "False"])]
    rows.append(line(7, "none", "ran.", asked, acc=1.0, acc_norm=0.0))
    found = fast(written(rows), facts("quiz"))
    assert same(found, slow(written(rows), facts("quiz")))
    assert found.answers["target_index"][-1] == 1
    assert found.answers["choices"][-1] is None


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [b"{}"],
        [b"[1]"],
        [b'{"doc_id": 1'],
        [b"[" * 100_000],
        [*written([generated(0, "f", 1, "x", 1.0)]), b"{}"],
        written([generated(0, "f", 1, "x", 1.0) | {"metrics": ["target"]}]),
        written([generated(0, "f", 1, "x", float("nan"))]),
        written([generated(0, "f", 1, "x", 1.0) | {"doc": [[]] * 3, "arguments": {}}]),
    ],
)
def test_irregular_lines(raw: list[bytes]) -> None:
    with pytest.raises(Irregular):
        fast(raw, facts("math"))


def test_a_file_in_many_blocks_or_line_by_line_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ladder(tmp_path, items=20)
    whole = read(folder)
    monkeypatch.setattr(jsonlines, "BLOCK", 1500)
    cut = read(folder)

    def never(*_: Any) -> Batch:
        raise Irregular

    monkeypatch.setattr(samples, "of_lines", never)
    slowly = read(folder)
    for other in (cut, slowly):
        assert other.samples.equals(whole.samples)
        assert other.aggregates.equals(whole.aggregates)
        assert other.notes == whole.notes


@real
def test_the_genuine_lines_are_of_the_usual_form(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = batches.of_lines

    def counted(numbers: Any, raw: Any, task: TaskFacts) -> Batch:
        found = plain(numbers, raw, task)
        seen.append(found.answers.height)
        return found

    monkeypatch.setattr(samples, "of_lines", counted)
    read(REAL)
    text = next(REAL.glob("samples_*.jsonl")).read_text()
    assert sum(seen) == len(text.splitlines())


ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n  \n", b""])


@FEW
@given(st.lists(st.tuples(st.sampled_from([b"{}", b"[1]", b" x ", b""]), ENDS)), st.integers(1, 9))
def test_blocks_number_the_lines_as_reading_them_does(
    parts: list[tuple[bytes, bytes]], size: int
) -> None:
    raw = b"".join(a + b for a, b in parts)
    for head in (b"", b"\xef\xbb\xbf"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsonlines, "BLOCK", size)
            found = [
                (n, one.strip())
                for at, cut in blocks(io.BytesIO(head + raw), "f")
                for n, one in zip(at, cut, strict=True)
            ]
        assert found == list(lines(io.BytesIO(head + raw), "f"))


class _Endless(io.RawIOBase):
    """A line that never ends."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return b"x" * size

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError


def test_an_endless_line_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "MAX_LINE", 1000)
    monkeypatch.setattr(jsonlines, "BLOCK", 300)
    stream: Any = _Endless()
    with pytest.raises(FileProblem, match="line 1"):
        list(blocks(stream, "f"))
    assert stream.given <= 1500
    with pytest.raises(FileProblem, match="UTF-16"):
        list(blocks(io.BytesIO(b"\xff\xfe{}"), "f"))


def test_choices_asked_again_without_a_prompt_are_read_one_by_one() -> None:
    asked = [("Q", " a", ["-1.0", "False"]), ("", " a", ["-9.0", "False"])]
    with pytest.raises(Irregular):
        fast(written([line(0, "none", 1, asked, acc=0.0)]), facts("quiz"))


def test_bad_cells_are_found_line_by_line() -> None:
    rows = [*TASKS["quiz"], TASKS["quiz"][0] | {"filtered_resps": [["word", "False"]] * 4}]
    with pytest.raises(Irregular):
        fast(written(rows), facts("quiz"))
    with pytest.raises(BadCell):
        slow(written(rows), facts("quiz"))
