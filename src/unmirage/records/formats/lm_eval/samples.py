"""The items of one file of samples as a frame, and whether our rules are the harness' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from unmirage.errors import FileProblem
from unmirage.records.formats.cells import BadCell, cell_problem
from unmirage.records.formats.lm_eval.files import Log
from unmirage.records.formats.lm_eval.gathered import Gathered, Prompts, counted, named_filters
from unmirage.records.formats.lm_eval.results import identity
from unmirage.records.formats.lm_eval.rows import item_of
from unmirage.records.formats.made import framed
from unmirage.records.jsonlines import read_lines
from unmirage.records.table import Table, guard
from unmirage.records.tables import open_source
from unmirage.types import Note

Cell = tuple[str, str | None]  # task, filter
#: the columns that say which answer is right
RIGHT = ("targets", "target_index", "choice_credit")
_MEND = "repair or remove the line, or leave such lines out with skip_bad (--skip-bad)"
NO_SIZE = (
    "keep the results_<date>.json of the run beside its samples, or name the folder after a "
    "model whose name states its size (pythia-160m)"
)


@dataclass(frozen=True, eq=False)
class Part:
    """What one file of samples holds."""

    task: str
    table: Table  # its prompts are places in the list of all
    verdicts: Mapping[Cell, Counter[str]]  # how the harness' verdicts compare with ours


def read_part(log: Log, skip_bad: bool, prompts: Prompts) -> Part:
    """The items of one file; ``prompts`` grow.

    Raises:
        FileProblem: a line that is no JSON object (skip_bad: left out and counted).
        ValueProblem: a cell that cannot be read (skip_bad: as above).
    """
    notes: list[Note] = []
    found, bad, name = Gathered(prompts), 0, log.source.name
    with guard(name), open_source(log.source) as stream:
        for number, row in read_lines(stream, name, skip_bad, notes):
            try:
                found.add(number, item_of(row, log.task))
            except BadCell as e:
                if not skip_bad:
                    raise cell_problem(log.source, number, e, _MEND) from e
                bad += 1
    if not found.numbers:
        raise FileProblem("holds no item that can be read", file=name)
    found.filters = named_filters(found.filters, found.documents, log.task)
    frame, numbers = found.frame(log.task)
    notes = [*log.notes, *notes, *_left_out(name, bad, found)]
    head = identity(log.run, log.task)
    line = int if log.source.kind == "jsonl" else None  # a row's number is that of its line
    verdicts = counted(found.filters, found.verdicts)
    return Part(
        log.task.name,
        framed(log.source, head, frame, numbers, notes, line=line, scale_mend=NO_SIZE),
        {(log.task.name, kept): count for kept, count in verdicts.items()},
    )


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


def not_finite(name: str, count: int) -> Note:
    """The note on scores that are NaN or infinite."""
    text = "scores of the harness that are not finite left out"
    return Note("warning", "null_score", text, name, count)


# ---------------------------------------------------------------- our rules and theirs


@dataclass(frozen=True)
class Agreement:
    """How the harness' verdicts compare with ours, item by item."""

    both: int = 0  # right by both
    ours: int = 0  # more right by this package's rule
    theirs: int = 0  # more right by the harness

    @property
    def holds(self) -> bool:
        """Whether most answers that either counts right are right by both."""
        return 2 * self.both >= self.both + self.ours + self.theirs


def compare(parts: Iterable[Part]) -> dict[Cell, Agreement]:
    """The agreement on each task and filter, over all models: they must be scored alike."""
    total: dict[Cell, Counter[str]] = {}
    for part in parts:
        for cell, count in part.verdicts.items():
            total.setdefault(cell, Counter()).update(count)
    return {cell: Agreement(**count) for cell, count in total.items()}


def agreement_notes(found: Mapping[Cell, Agreement]) -> list[Note]:
    """What the reader must know where the harness does not score as this package does."""
    notes = []
    for (task, kept), one in found.items():
        where = f"task {task!r}" + (f", filter {kept!r}" if kept else "")
        if not one.holds:
            text = (
                f"{where}: the answers that the harness counts right are not those that equal the "
                "target: its own scores are read, the targets are not"
            )
            notes.append(Note("warning", "own_scoring", text, count=one.ours + one.theirs))
        elif one.ours or one.theirs:
            text = f"{where}: answers that the harness does not score as they score here"
            notes.append(Note("info", "scored_otherwise", text, count=one.ours + one.theirs))
    return notes


# ---------------------------------------------------------------- frames


def with_prompts(part: Part, texts: pl.Series) -> Part:
    """The same with its prompts out of the list of all."""
    frame = part.table.frame
    if "prompt" not in frame.columns:
        return part
    frame = frame.with_columns(texts.gather(frame["prompt"]).alias("prompt"))
    return replace(part, table=replace(part.table, frame=frame))


def settled(part: Part, agreed: Mapping[Cell, Agreement]) -> Table:
    """The table of one file. Where our rule is not the harness' (its target may be a whole worked
    solution), it would be another metric under the same name: the targets are left out."""
    other = [f for (task, f), one in agreed.items() if task == part.task and not one.holds]
    columns = [c for c in RIGHT if c in part.table.frame.columns]
    if not other or not columns:
        return part.table
    here = pl.lit(None in other)
    if "filter" in part.table.frame.columns:
        here = pl.col("filter").is_in([f for f in other if f is not None])
        here = here.fill_null(None in other)
    frame = part.table.frame.with_columns(pl.when(~here).then(pl.col(c)).alias(c) for c in columns)
    return replace(part.table, frame=frame)
