"""The items of one file gathered in columns.

A file may hold a million items: they are turned into columns a few thousand at a time, since
collecting garbage among so many living objects would take longer than decoding them, and each
different prompt is kept once, since the models of a family are asked the same ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256

import numpy as np
import polars as pl

from unmirage.records.formats.lm_eval.results import TaskFacts
from unmirage.records.formats.lm_eval.rows import Fields, Item
from unmirage.records.formats.made import TYPES, column

#: the columns of an answer
FIELDS = (
    *("prompt", "output", "targets", "choices", "choice_logprobs", "choice_credit"),
    *("target_index", "metric", "score"),
)
BATCH = 5_000  # items turned into columns at a time
Verdict = str | None  # who counts the answer right: "both", "ours" or "theirs" alone; None: nobody


class Prompts:
    """Each different prompt once, named by its digest."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._digests: list[bytes] = []
        self._texts: list[str] = []

    def digests(self, prompts: list[str | None]) -> pl.Series:
        """The digest of each prompt."""
        found = [None if text is None else sha256(text.encode()).digest() for text in prompts]
        for digest, text in zip(found, prompts, strict=True):
            if digest is not None and text is not None and digest not in self._seen:
                self._seen.add(digest)
                self._digests.append(digest)
                self._texts.append(text)
        return pl.Series("prompt", found, dtype=pl.Binary)

    def fresh(self) -> pl.DataFrame:
        """The prompts that came since this was last asked."""
        columns = {"prompt": self._digests, "text": self._texts}
        self._digests, self._texts = [], []
        return pl.DataFrame(columns, schema={"prompt": pl.Binary, "text": pl.String})


class Gathered:
    """The items of one file, as they are read."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self.numbers: list[int] = []  # lines
        self.names: list[str] = []
        self.documents: list[str] = []
        self.filters: list[str | None] = []
        self.verdicts: list[Verdict] = []
        self.lost = self.more = 0  # scores that are not finite, further answers
        self._at: list[int] = []  # of each score, the place of its item
        self._metrics: list[str] = []
        self._scores: list[float] = []
        self._waiting: list[Fields] = []
        self._parts: list[pl.DataFrame] = []

    def add(self, number: int, item: Item) -> None:
        """One item, and the line it stands on."""
        place = len(self.numbers)
        self.numbers.append(number)
        self.names.append(item.name)
        self.documents.append(str(item.doc_id))
        self.filters.append(item.filter)
        self.verdicts.append(_verdict(item.ours, item.theirs))
        self.lost += item.lost
        self.more += item.more
        self._at += [place] * len(item.scores)
        self._metrics += item.scores.keys()
        self._scores += item.scores.values()
        self._waiting.append(item.fields)
        if len(self._waiting) >= BATCH:
            self._turn()

    def _turn(self) -> None:
        rows, self._waiting = self._waiting, []
        cells = {name: [row.get(name) for row in rows] for name in FIELDS}
        made = [self.prompts.digests(cells.pop("prompt"))]
        made += [column(name, values, TYPES[name]) for name, values in cells.items()]
        self._parts.append(pl.DataFrame(made))

    def frame(self, task: TaskFacts) -> tuple[pl.DataFrame, pl.Series]:
        """A row for each answer, and after it one for each score that the harness gave it; the
        line of each row. Prompts are digests; columns without values are left
        out."""
        self._turn()
        numbers = pl.Series("row", self.numbers, dtype=pl.Int64)
        names = pl.Series("item", labels(self.names, self.documents), dtype=pl.String)
        filters = pl.Series("filter", self.filters, dtype=pl.String)
        answers = pl.concat(self._parts).with_columns(names, filters, numbers)
        scores = pl.DataFrame(
            [
                *(s.gather(self._at) for s in (names, filters, numbers)),
                pl.Series("metric", self._metrics, dtype=pl.String),
                pl.Series("score", self._scores, dtype=pl.Float64),
            ]
        ).with_columns(_direction(task))
        both = pl.concat([answers, scores], how="diagonal")
        places = np.concatenate([np.arange(answers.height), np.array(self._at, dtype=np.int64)])
        both = both[np.argsort(places, kind="stable")]
        filled = [s.name for s in both.get_columns() if s.null_count() < both.height]
        return both.select(c for c in filled if c != "row"), both["row"]


def _direction(task: TaskFacts) -> pl.Expr:
    """Whether higher is better, by the name of the metric."""
    known = dict(task.higher)
    named = pl.col("metric").replace_strict(known, default=None, return_dtype=pl.Boolean)
    found = named if known else pl.lit(None, dtype=pl.Boolean)
    return found.alias("higher_is_better")


def _verdict(ours: float | None, theirs: float | None) -> Verdict:
    if ours is None or theirs is None:
        return None
    if abs(ours - theirs) >= 1e-6:
        return "ours" if ours > theirs else "theirs"
    return "both" if ours > 0 else None


def labels(names: list[str], documents: list[str]) -> list[str]:
    """A name for each item: two documents of one text are two items.

    >>> labels(["hash", "hash", "other"], ["1", "2", "3"])
    ['hash', 'hash#2', 'other']
    """
    same: dict[str, set[str]] = {}
    for name, document in zip(names, documents, strict=True):
        same.setdefault(name, set()).add(document)
    places = {
        name: {doc: i for i, doc in enumerate(sorted(docs, key=lambda d: (len(d), d)))}
        for name, docs in same.items()
        if len(docs) > 1
    }
    if not places:
        return names

    def label(name: str, document: str) -> str:
        place = places.get(name, {}).get(document, 0)
        return f"{name}#{place + 1}" if place else name

    return [label(n, d) for n, d in zip(names, documents, strict=True)]


def named_filters(
    filters: list[str | None], documents: list[str], task: TaskFacts
) -> list[str | None]:
    """Older versions do not write the filter: each document then stands there once a filter."""
    if any(name is not None for name in filters):
        return filters
    times = Counter(documents)
    count = max(times.values())
    if set(times.values()) != {count}:
        return filters
    named = task.filters if len(task.filters) == count else ("none",) if count == 1 else ()
    seen: Counter[str] = Counter()
    out: list[str | None] = []
    for document in documents:
        place = seen[document]
        seen[document] += 1
        out.append(named[place] if named else f"filter {place + 1}")
    return out


def counted(
    filters: list[str | None], verdicts: list[Verdict]
) -> Mapping[str | None, Counter[str]]:
    """Filter -> how many answers who counts right; filters under which nobody could say are out."""
    found: dict[str | None, Counter[str]] = {}
    for name, verdict in zip(filters, verdicts, strict=True):
        if verdict is not None:
            found.setdefault(name, Counter())[verdict] += 1
    return found
