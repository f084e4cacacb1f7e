"""The items of one file gathered in columns.

A file may hold a million items: they are turned into columns a block of the file at a time, and
each different prompt is kept once, since the models of a family are asked the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import numpy as np
import polars as pl

from unmirage.records.formats.lm_eval.batches import BOTH, NOBODY, OURS, THEIRS, Batch
from unmirage.records.formats.lm_eval.results import TaskFacts

_WORDS = {BOTH: "both", OURS: "ours", THEIRS: "theirs"}
#: what is known of an answer beside its columns
_ASIDE = ("document", "verdict")


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
        self.count = self.lost = self.more = 0  # items, scores not finite, further answers
        self._answers: list[pl.DataFrame] = []
        self._scores: list[pl.DataFrame] = []

    def take(self, batch: Batch) -> None:
        """The items of one block."""
        digests = self.prompts.digests(batch.prompts)
        self._answers.append(batch.answers.with_columns(digests))
        self._scores.append(batch.scores.with_columns(pl.col("at") + self.count))
        self.count += batch.answers.height
        self.lost += batch.lost
        self.more += batch.more

    def frame(self, task: TaskFacts) -> tuple[pl.DataFrame, pl.Series, Mapping[str | None, Count]]:
        """A row for each answer, and after it one for each score that the harness gave it; the
        line of each row; and who counts how many answers right, by filter. Prompts are digests;
        columns without values are left out."""
        answers = pl.concat(self._answers)
        names = labels(answers["item"], answers["document"])
        kept = named_filters(answers["filter"], answers["document"], task)
        answers = answers.with_columns(names, kept)
        scores = pl.concat(self._scores)
        at = scores["at"]
        same = (answers[c].gather(at) for c in ("row", "item", "filter"))
        scores = scores.drop("at").with_columns(*same, _direction(task))
        both = pl.concat([answers.drop(_ASIDE), scores], how="diagonal")
        places = np.concatenate([np.arange(answers.height), at.to_numpy()])
        both = both[np.argsort(places, kind="stable")]
        filled = [s.name for s in both.get_columns() if s.null_count() < both.height]
        found = both.select(c for c in filled if c != "row")
        return found, both["row"], counted(answers["filter"], answers["verdict"])


Count = Mapping[str, int]


def _direction(task: TaskFacts) -> pl.Expr:
    """Whether higher is better, by the name of the metric."""
    known = dict(task.higher)
    named = pl.col("metric").replace_strict(known, default=None, return_dtype=pl.Boolean)
    found = named if known else pl.lit(None, dtype=pl.Boolean)
    return found.alias("higher_is_better")


def labels(names: pl.Series, documents: pl.Series) -> pl.Series:
    """A name for each item: two documents of one text are two items.

    >>> labels(pl.Series("item", ["hash", "hash", "other"]), pl.Series(["1", "2", "3"])).to_list()
    ['hash', 'hash#2', 'other']
    """
    pairs = pl.DataFrame([names.alias("item"), documents.alias("document")])
    known = pairs.unique()
    if known["item"].is_unique().all():
        return names
    order = known.sort(pl.col("document").str.len_chars(), "document")
    place = pl.int_range(1, pl.len() + 1).over("item")
    label = pl.when(place > 1).then(pl.format("{}#{}", "item", place)).otherwise("item")
    table = order.with_columns(label.alias("label"))
    found = pairs.join(table, on=["item", "document"], how="left", maintain_order="left")
    return found["label"].alias("item")


def named_filters(filters: pl.Series, documents: pl.Series, task: TaskFacts) -> pl.Series:
    """Older versions do not write the filter: each document then stands there once a filter."""
    if filters.null_count() < len(filters):
        return filters
    times = documents.value_counts()["count"]
    count = times.max()
    if not isinstance(count, int) or times.min() != count:
        return filters
    named = task.filters if len(task.filters) == count else ("none",) if count == 1 else ()
    words = named or tuple(f"filter {i + 1}" for i in range(count))
    frame = documents.alias("document").to_frame()
    place = frame.select(pl.int_range(pl.len()).over("document")).to_series()
    return pl.Series("filter", words, dtype=pl.String).gather(place)


def counted(filters: pl.Series, verdicts: pl.Series) -> Mapping[str | None, Count]:
    """Filter -> how many answers who counts right; filters under which nobody could say are out."""
    pairs = pl.DataFrame([filters.alias("filter"), verdicts.alias("verdict")])
    said = pairs.filter(pl.col("verdict") != NOBODY).group_by("filter", "verdict").len()
    found: dict[str | None, dict[str, int]] = {}
    for name, verdict, count in said.sort("filter", "verdict").iter_rows():
        found.setdefault(name, {})[_WORDS[verdict]] = count
    return found
