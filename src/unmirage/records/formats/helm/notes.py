"""What is left out of a HELM run, and where its own figures do not fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unmirage.errors import ValueProblem
from unmirage.records.formats.helm.answers import Fields, Group
from unmirage.records.formats.helm.files import Run
from unmirage.records.formats.helm.stats import stat_of
from unmirage.records.formats.lm_eval.results import whole
from unmirage.types import Note

_LOGS = ("choice_logprobs", "token_logprobs")


@dataclass
class Left:
    """Counts of what is left out of one run."""

    run: Run
    skip_bad: bool
    broken: int = 0
    unread: int = 0
    unscored: int = 0
    zeros: int = 0

    def bad(self, problem: ValueProblem) -> None:
        """Counts an entry that cannot be read.

        Raises:
            ValueProblem: unless skip_bad was asked for.
        """
        if not self.skip_bad:
            raise problem
        self.broken += 1

    def drop_placeholders(self, found: Sequence[Fields]) -> None:
        """Clients that give no log-probabilities write 0 for each: that is no certainty."""
        having = [f for f in found if any(f.get(c) for c in _LOGS)]
        values = (v for f in having for c in _LOGS for v in f.get(c) or [])
        if having and not any(v != 0 for v in values):
            self.zeros = len(having)
            for fields in having:
                for column in _LOGS:
                    fields.pop(column, None)

    def notes(self) -> list[Note]:
        counted = (
            ("bad_rows", "instances that cannot be read left out", self.broken),
            (
                "no_answer",
                "instances of which no answer could be read (the request failed, or its tokens "
                "do not end with the option): only their scores are read",
                self.unread,
            ),
            (
                "unscored",
                "scores that are missing or no number: not scored, which is not 0",
                self.unscored,
            ),
            (
                "no_logprobs",
                "instances whose log-probabilities are all 0: taken for missing",
                self.zeros,
            ),
        )
        name = self.run.source.name
        return [Note("warning", code, text, name, n) for code, text, n in counted if n]


def checks(run: Run, rows: Sequence[dict[str, Any]], groups: Iterable[Group]) -> list[Note]:
    """Fewer examples in the prompt than asked for, and means that HELM states otherwise."""
    notes = []
    asked = whole(run.spec.get("max_train_instances")) or 0
    given = [whole(g.requests[0].get("num_train_instances")) for g in groups]
    fewer = sum(n is not None and n < asked for n in given)
    if fewer:
        text = (
            "prompts with fewer examples than the run asked for (the prompt was too long): the "
            "column shots holds what was asked for"
        )
        notes.append(Note("warning", "fewer_shots", text, run.source.name, fewer))
    return notes + _differences(run, rows)


def _differences(run: Run, rows: Sequence[dict[str, Any]]) -> list[Note]:
    """Where the mean over instances is not the score that HELM states of the run."""
    scores: dict[tuple[Any, ...], dict[Any, list[float]]] = {}
    for row in rows:
        if row["variant"] is None:
            place = (row["metric"], row.get("split"), row.get("subtask"))
            scores.setdefault(place, {}).setdefault(row["repeat"], []).append(row["score"])
    wrong = []
    for row in run.stats:
        stat = stat_of(row, run.method, single=False)
        if stat is None or stat.mean is None or stat.variant is not None:
            continue
        trials = scores.get((stat.metric, stat.split, stat.subtask))
        if trials:
            means = [sum(v) / len(v) for v in trials.values()]
            if abs(sum(means) / len(means) - stat.mean) > 1e-6:
                wrong.append(stat.metric)
    if not wrong:
        return []
    text = f"task {run.task!r}: the run states other means than its instances give, which are read"
    text += ": " + ", ".join(sorted(set(wrong))[:10])
    return [Note("warning", "stated_otherwise", text, run.source.name, len(wrong))]


def verdicts(
    run: Run, rows: Sequence[dict[str, Any]]
) -> dict[tuple[str, str | None], Counter[str]]:
    """How HELM's exact match compares with that of output and targets."""
    theirs = {_place(r): r["score"] for r in rows if r.get("metric") == "exact_match"}
    count: Counter[str] = Counter()
    for row in rows:
        value = theirs.get(_place(row)) if row.get("output") is not None else None
        if value is None or not row.get("targets"):
            continue
        ours = float(row["output"].strip() in {t.strip() for t in row["targets"]})
        if abs(ours - value) >= 1e-6:
            count["ours" if ours > value else "theirs"] += 1
        elif ours > 0:
            count["both"] += 1
    return {(run.task, None): count} if count else {}


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(c) for c in ("item", "repeat", "variant", "split", "subtask"))
