"""The items of one file of samples as a frame, and whether our rules are the harness' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from unmirage.errors import FileProblem
from unmirage.records.formats.agreement import Part, not_finite
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.lm_eval.batches import Batch, of_items, of_lines
from unmirage.records.formats.lm_eval.files import Log
from unmirage.records.formats.lm_eval.gathered import Gathered, Prompts
from unmirage.records.formats.lm_eval.results import identity
from unmirage.records.formats.lm_eval.rows import Item, item_of
from unmirage.records.formats.lm_eval.typed import Irregular
from unmirage.records.formats.made import framed
from unmirage.records.jsonlines import blocks, decoded
from unmirage.records.notes import merge
from unmirage.records.table import guard
from unmirage.records.tables import open_source
from unmirage.types import Note

_MEND = "repair or remove the line, or leave such lines out with skip_bad (--skip-bad)"
NO_SIZE = (
    "keep the results_<date>.json of the run beside its samples, or name the folder after a "
    "model whose name states its size (pythia-160m)"
)


class Reader:
    """Reads one file after another, and hands out each different prompt of a task once."""

    def __init__(self, skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self._prompts: dict[str, Prompts] = {}

    def __call__(self, log: Log) -> tuple[Part, pl.DataFrame]:
        """The items of a file, and the digests and texts of prompts that no file before it had.

        Raises:
            FileProblem, ValueProblem: see :func:`read_part`.
        """
        prompts = self._prompts.setdefault(log.task.name, Prompts())
        return read_part(log, self.skip_bad, prompts), prompts.fresh()


def read_part(log: Log, skip_bad: bool, prompts: Prompts) -> Part:
    """The items of one file; ``prompts`` grow.

    Raises:
        FileProblem: a line that is no JSON object (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    found, bad, name = Gathered(prompts), 0, log.source.name
    with guard(name), open_source(log.source) as stream:
        for at, lines in blocks(stream, name):
            try:
                batch = of_lines(at, lines, log.task)
            except Irregular:
                given = zip(at, lines, strict=True)
                batch, more = _one_by_one(log, given, skip_bad, notes)
                bad += more
            found.take(batch)
    if not found.count:
        raise FileProblem("holds no item that can be read", file=name)
    frame, numbers, verdicts = found.frame(log.task)
    notes = [*log.notes, *merge(notes), *_left_out(name, bad, found)]
    head = identity(log.run, log.task)
    line = int if log.source.kind == "jsonl" else None  # a row's number is that of its line
    return Part(
        log.task.name,
        framed(log.source, head, frame, numbers, notes, line=line, scale_mend=NO_SIZE),
        {(log.task.name, kept): Counter(count) for kept, count in verdicts.items()},
    )


def _one_by_one(
    log: Log, lines: Iterable[tuple[int, bytes]], skip_bad: bool, notes: list[Note]
) -> tuple[Batch, int]:
    """The items of a block whose lines are not all of the usual form, and how many are bad."""
    numbers: list[int] = []
    items: list[Item] = []
    bad = 0
    for number, row in decoded(lines, log.source.name, skip_bad, notes):
        try:
            items.append(item_of(row, log.task))
        except BadCell as e:
            if not skip_bad:
                raise cell_problem(log.source, number, e, _MEND) from e
            bad += 1
        else:
            numbers.append(number)
    return of_items(numbers, items), bad


def _left_out(name: str, bad: int, found: Gathered) -> list[Note]:
    notes = []
    if bad:
        notes.append(Note("warning", "bad_rows", "items that cannot be read left out", name, bad))
    if found.lost:
        notes.append(not_finite(name, found.lost))
    if found.more:
        text = "further answers to the same prompt left out: the first is read"
        notes.append(Note("info", "further_answers", text, name, found.more))
    return notes


def with_prompts(part: Part, texts: pl.DataFrame) -> Part:
    """The same with its prompts, of which it has the digests."""
    frame = part.table.frame
    if "prompt" not in frame.columns:
        return part
    found = frame.select("prompt").join(texts, on="prompt", how="left", maintain_order="left")
    frame = frame.with_columns(found["text"].alias("prompt"))
    return replace(part, table=replace(part.table, frame=frame))
