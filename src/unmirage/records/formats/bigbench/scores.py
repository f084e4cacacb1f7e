"""The aggregate scores of one result file: one entry a subtask and number of shots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.errors import ValueProblem
from unmirage.records.formats.bigbench.metric import (
    COUNTED,
    fits,
    higher_is_better,
    is_renormalised,
    unit_of,
)
from unmirage.records.formats.bigbench.task import TaskFacts
from unmirage.records.formats.values import part, real, whole
from unmirage.records.sniff import Source
from unmirage.records.table import show
from unmirage.types import Note

#: the counts of parameters, in the order in which one is taken
PARAMS = ("flop_matched_non_embedding_params", "non_embedding_params", "total_params")
_MEND = "is it on 0-100? repair it, or leave such scores out with skip_bad (--skip-bad)"


@dataclass(eq=False)
class Result:
    """One file: a model on a task."""

    source: Source
    content: Mapping[str, Any]
    skip_bad: bool
    counts: dict[tuple[str, str], int] = field(default_factory=dict)  # what the notes will say

    @property
    def task(self) -> str:
        return text(part(self.content, "task").get("task_name")) or self.source.stem

    @property
    def head(self) -> dict[str, Any]:
        """The columns that are the same in every row."""
        model = part(self.content, "model")
        family, name = text(model.get("model_family")), text(model.get("model_name"))
        full = name or self.source.stem
        if family and not full.startswith(family):
            full = f"{family} {full}"  # "128b" alone is a model of several families
        _, params = self.size
        return {"family": family, "model": full, "task": self.task, "params": params}

    @property
    def size(self) -> tuple[str | None, float | None]:
        """(which count, the count); 0 stands for not known."""
        model = part(self.content, "model")
        for name in PARAMS:
            value = real(model.get(name))
            if value is not None and 0 < value < math.inf:
                return name, value
        return None, None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for the scores and the full log of one run."""
        head = self.head
        return head["family"], head["model"], head["task"]

    @property
    def has_items(self) -> bool:
        return bool(self.content.get("queries"))

    def count(self, code: str, message: str, by: int = 1) -> None:
        self.counts[code, message] = self.counts.get((code, message), 0) + by

    def notes(self) -> list[Note]:
        info = ("percent", "shares_counted", "scored_items", "not_read")
        return [
            Note("info" if code in info else "warning", code, message, self.source.name, n)
            for (code, message), n in self.counts.items()
        ]


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def subtask_of(description: Any, task: str) -> str | None:
    """The subtask that an entry is about; None for the task itself."""
    name = text(description)
    return None if name is None or name == task else name.removeprefix(f"{task}:")


def shots_of(value: Any) -> int | None:
    """-1 says that shots make no sense for the task."""
    number = whole(value)
    return number if number is not None and number >= 0 else None


def aggregates(
    result: Result, tasks: Mapping[str, TaskFacts], scored: set[tuple[Any, ...]]
) -> list[dict[str, Any]]:
    """The rows of one file but those in ``scored``: (subtask, shots, metric) that items have.

    Raises:
        ValueProblem: a score outside its metric's range (skip_bad: left out and counted).
    """
    entries = [e for e in result.content["scores"] if isinstance(e, dict)]
    renormalised = is_renormalised(entries)
    subtasks = {subtask_of(e.get("subtask_description"), result.task) for e in entries}
    rows = []
    trials = _trials(result, entries)
    for place, entry in enumerate(entries, 1):
        subtask = subtask_of(entry.get("subtask_description"), result.task)
        # an entry of the task beside others is a mean of means, not of items
        mean = subtask is None and len(subtasks) > 1
        facts = None if mean else tasks.get(subtask or result.task)
        same = {"subtask": subtask, "shots": shots_of(entry.get("number_of_shots"))}
        same["run"] = trials[place - 1]
        for metric, value in part(entry, "score_dict").items():
            row = _row(result, entry, metric, value, place, renormalised)
            if row is None:
                continue
            if (subtask, same["shots"], metric) in scored:
                result.count("scored_items", "scores left out that the items have")
                continue
            rows.append({**same, **row, **_of_task(metric, row, facts), "_place": place})
    _without_misfits(result, rows)
    return rows


def _trials(result: Result, entries: list[dict[str, Any]]) -> list[str | None]:
    """Names for entries of one subtask and number of shots; None where there is only one."""
    keys = [
        (subtask_of(e.get("subtask_description"), result.task), shots_of(e.get("number_of_shots")))
        for e in entries
    ]
    many, seen = Counter(keys), Counter[Any]()
    names: list[str | None] = []
    for key in keys:
        seen[key] += 1
        names.append(f"trial {seen[key]}" if many[key] > 1 else None)
    return names


def _row(
    result: Result,
    entry: Mapping[str, Any],
    metric: str,
    value: Any,
    place: int,
    renormalised: bool,
) -> dict[str, Any] | None:
    score = real(value)
    if score is None or not math.isfinite(score):
        result.count("null_score", "scores that are null or no finite number left out")
        return None
    by = unit_of(metric, entry, renormalised)
    if by != 1:
        result.count("percent", "scores of metrics that are written on 0-100 divided by 100")
    if not fits(metric, score / by):
        if not result.skip_bad:
            what = f"{metric} is outside its range: {show(value)}"
            where = f"scores[{place - 1}].score_dict"
            raise ValueProblem(what, file=result.source.name, where=where, mend=_MEND)
        result.count("bad_rows", "scores outside the range of their metric left out")
        return None
    row: dict[str, Any] = {"metric": metric, "score": score / by}
    row["higher_is_better"] = higher_is_better(metric)
    if metric == entry.get("preferred_score"):
        row |= _preferred(result, entry, row, by)
    return row


def _preferred(
    result: Result, entry: Mapping[str, Any], row: Mapping[str, Any], by: float
) -> dict[str, Any]:
    """What an entry says of its preferred metric: the scores that are poor and very good."""
    low, high = real(entry.get("low_score")), real(entry.get("high_score"))
    if low is None or high is None or not -math.inf < low < high < math.inf:
        result.count("bad_low_score", "entries whose low_score is not below their high_score")
        return {}
    found: dict[str, Any] = {"higher_is_better": row["higher_is_better"] is not False}
    if 0 <= low / by <= 1:
        found["chance"] = low / by
    return found


# ---------------------------------------------------------------- what the task says


def _of_task(metric: str, row: Mapping[str, Any], facts: TaskFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    found: dict[str, Any] = {"n_samples": float(facts.n), "_whole": facts.whole}
    if metric == "multiple_choice_grade" and facts.chance is not None:
        low = row.get("chance")
        found["chance"] = facts.chance if low is None else low
        found["_chance_differs"] = abs(found["chance"] - facts.chance) > 1e-3
    return found


def _without_misfits(result: Result, rows: list[dict[str, Any]]) -> None:
    """Blanks numbers of items with which some share is no whole number of right answers: runs
    were made on a part of the examples. Where all fit, shares have a binomial standard error."""
    bad = {row["subtask"] for row in rows if _counted(row) and not _fits(row, rows)}
    for row in rows:
        if row.pop("_chance_differs", False):
            text = "chance levels of task.json that are not low_score, which is used"
            result.count("chance_differs", text)
        if row.get("n_samples") is not None and row["subtask"] in bad:
            row["n_samples"] = None
            text = "rows whose shares do not fit the number of examples in task.json: items unknown"
            result.count("n_samples_misfit", text)
        elif _counted(row) and row["metric"] == "multiple_choice_grade":
            row["stderr"] = _binomial(row["score"], row["n_samples"])
            text = "grades of which each item has 0 or 1: binomial standard errors"
            result.count("shares_counted", text)
        row.pop("_whole", None)


def _counted(row: Mapping[str, Any]) -> bool:
    """Whether n is known and each item is right or wrong."""
    if row.get("n_samples") is None or row["metric"] not in COUNTED:
        return False
    return bool(row["metric"] != "multiple_choice_grade" or row["_whole"])


def _binomial(score: float, n: float) -> float:
    share = (score * n + 0.5) / (n + 1)  # keeps the error above 0 at the ends
    return math.sqrt(share * (1 - share) / n)


def _fits(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> bool:
    if row["score"] < 0:
        return False  # no share
    right = row["score"] * row["n_samples"]
    like = [r["score"] for r in rows if r["subtask"] == row["subtask"] and _counted(r)]
    digits = max(len(repr(s).partition(".")[2]) if "e" not in repr(s) else 17 for s in like)
    rounded = 0.5 * 10.0**-digits if digits < 7 else 0.0  # some files hold three decimals
    off: float = abs(right - round(right))
    return off <= float(row["n_samples"]) * (rounded + 1e-9) + 1e-6
