"""The rows of one run: answers, the scores of the scorers, and the scores of the whole run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.inspect_ai.rows import Sample, Score, letter_of, points
from unmirage.records.formats.inspect_ai.runs import Run, text_of
from unmirage.records.formats.values import part, real
from unmirage.records.jsonlines import json_text

#: scorers of Inspect that give letters for right and wrong, whatever is made of these
_RIGHT_OR_WRONG = {"exact", "match", "includes", "pattern", "answer", "choice", "math"}
_RIGHT_OR_WRONG |= {"model_graded_qa", "model_graded_fact"}
Rows = tuple[list[dict[str, Any]], list[int]]  # rows and their places


@dataclass(frozen=True)
class Total:
    """One score of the whole run, as the log states it."""

    scorer: str
    part: str | None
    reducer: str | None  # how epochs were joined; None where by their mean
    values: Mapping[str, float]  # metric -> value
    scored: float | None  # number of samples

    @property
    def mean(self) -> float | None:
        """The mean over the samples, where the log states one."""
        return self.values.get("accuracy", self.values.get("mean"))


def totals(run: Run) -> list[Total]:
    """The scores that a log states of its run."""
    results = part(run.log.head, "results")
    listed = results.get("scores")
    if not isinstance(listed, list):
        # the first versions had one scorer
        scorer = results.get("scorer")
        name = scorer.get("name") if isinstance(scorer, dict) else scorer
        listed = [{"name": name or "score", "metrics": results.get("metrics")}]
    found = []
    for one in listed:
        if not isinstance(one, dict) or not (name := text_of(one.get("name"))):
            continue
        scorer = text_of(one.get("scorer")) or name
        reducer = text_of(one.get("reducer"))
        found.append(
            Total(
                scorer,
                None if name == scorer else name,
                None if reducer in (None, "mean") else reducer,
                _values(part(one, "metrics")),
                real(one.get("scored_samples")),
            )
        )
    return [t for t in found if t.values]


def _values(metrics: Mapping[str, Any]) -> dict[str, float]:
    named = {k: points(v.get("value") if isinstance(v, dict) else v) for k, v in metrics.items()}
    return {k: v for k, v in named.items() if v is not None}


@dataclass(frozen=True)
class Names:
    """What the scores of a run are called: right or wrong gives an accuracy, as in Inspect."""

    scorers: tuple[str, ...]  # that gave some sample a score
    accuracies: frozenset[tuple[str, str | None]]  # (scorer, part) whose mean is an accuracy

    def filter(self, scorer: str) -> str | None:
        """Scorers read different answers off one output: a setting where there are several."""
        return scorer if len(self.scorers) > 1 else None

    def columns(
        self, scorer: str, named: str | None, reducer: str | None = None
    ) -> dict[str, str | bool | None]:
        accuracy = (scorer, named) in self.accuracies
        metric = named or ("accuracy" if accuracy else scorer)
        return {
            "filter": self.filter(scorer),
            "metric": f"{metric}/{reducer}" if reducer else metric,
            "higher_is_better": True if accuracy else None,
        }


def names_of(run: Run) -> Names:
    """The names of a run's scores."""
    stated = totals(run)
    given = [score for sample in run.log.samples for score in sample.scores]
    scorers = dict.fromkeys([*(s.scorer for s in given), *(t.scorer for t in stated)])
    scorers |= dict.fromkeys(name for r in _reductions(run) if (name := text_of(r.get("scorer"))))
    accuracies = {(t.scorer, t.part) for t in stated if "accuracy" in t.values}
    accuracies |= {(name, None) for name in scorers if name.split("/")[-1] in _RIGHT_OR_WRONG}
    letters: dict[tuple[str, str | None], bool] = {}
    for score in given:
        if score.value is not None:
            key = (score.scorer, score.part)
            letters[key] = letters.get(key, True) and score.letter
    accuracies |= {key for key, all_letters in letters.items() if all_letters}
    return Names(tuple(scorers), frozenset(accuracies))


# ---------------------------------------------------------------- items


def item_rows(run: Run, names: Names) -> Rows:
    """One row for each answer (one a scorer, where scorers read it off the output) and one for
    each score."""
    samples = [s for s in run.log.samples if not s.failed or s.scores]
    epochs = len({s.epoch for s in samples}) > 1
    finders = {s.scorer for one in samples for s in one.scores if s.answer is not None}
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    for sample in samples:
        same = {"item": sample.item, "repeat": sample.epoch if epochs else None}
        new = _answers(sample, names, finders, same)
        for score in sample.scores:
            if score.value is not None:
                named = names.columns(score.scorer, score.part)
                new.append({**same, **named, "score": score.value, "chance": _chance(sample)})
        rows += new
        places += [sample.place] * len(new)
    return rows, places


def _answers(
    sample: Sample, names: Names, finders: set[str], same: Mapping[str, Any]
) -> list[dict[str, Any]]:
    given = {s.scorer: s for s in reversed(sample.scores)}
    rows = []
    for scorer in names.scorers or (None,):
        output = sample.completion
        if scorer is not None and scorer in finders:
            output = _found(given.get(scorer))
        if output is None:
            continue
        row: dict[str, Any] = {
            **same,
            "filter": names.filter(scorer) if scorer else None,
            "prompt": sample.prompt,
            "output": output,
            "targets": _targets(sample) or None,
            "choices": list(sample.choices) or None,
            "target_index": sample.right[0] if len(sample.right) == 1 else None,
        }
        rows.append(row)
    return rows


def _targets(sample: Sample) -> list[str]:
    """What is right: any target, but of several right choices all must be named."""
    if len(sample.right) > 1:
        return [", ".join(letter_of(i) for i in sample.right)]
    return list(sample.targets)


def _found(score: Score | None) -> str | None:
    """The answer that a scorer found; "" where it found none and counted that."""
    if score is None:
        return None
    return "" if score.answer is None and score.value is not None else score.answer


def _chance(sample: Sample) -> float | None:
    return 1 / len(sample.choices) if len(sample.right) == 1 else None


def verdicts(run: Run, names: Names) -> dict[tuple[str, str | None], Counter[str]]:
    """How the scorers' verdicts compare with an exact match of answer and target."""
    found: dict[tuple[str, str | None], Counter[str]] = {}
    finders = {s.scorer for one in run.log.samples for s in one.scores if s.answer is not None}
    for sample in run.log.samples:
        for score in sample.scores:
            output = _found(score) if score.scorer in finders else sample.completion
            targets = {t.strip() for t in _targets(sample)}
            if score.value is None or score.part is not None or output is None or not targets:
                continue
            ours = float(output.strip() in targets)
            count = found.setdefault((run.task, names.filter(score.scorer)), Counter())
            if abs(ours - score.value) >= 1e-6:
                count["ours" if ours > score.value else "theirs"] += 1
            elif ours > 0:
                count["both"] += 1
    return found


# ---------------------------------------------------------------- scores of a whole run


def _reductions(run: Run) -> list[Mapping[str, Any]]:
    """The scores of each item over its epochs; older logs keep them with the results."""
    listed = run.log.head.get("reductions")
    if not isinstance(listed, list):
        listed = part(run.log.head, "results").get("sample_reductions")
    return [r for r in listed if isinstance(r, dict)] if isinstance(listed, list) else []


def reduced_rows(run: Run, names: Names) -> tuple[Rows, int]:
    """The scores of the items of a log that holds no samples, and how many are unscored."""
    rows: list[dict[str, Any]] = []
    lost = 0
    for reduction in _reductions(run):
        scorer = text_of(reduction.get("scorer"))
        reducer = text_of(reduction.get("reducer"))
        samples = reduction.get("samples")
        for one in samples if scorer and isinstance(samples, list) else []:
            item = one.get("sample_id") if isinstance(one, dict) else None
            if scorer is None or not isinstance(item, (str, int)):
                continue
            value = one.get("value")
            for named, v in value.items() if isinstance(value, dict) else [(None, value)]:
                number = points(v)
                if number is None:
                    lost += 1
                    continue
                how = None if reducer in (None, "mean") else reducer
                columns = names.columns(scorer, named, how)
                rows.append({"item": json_text(item), **columns, "score": number})
    return (rows, list(range(1, len(rows) + 1))), lost


def total_rows(run: Run, names: Names) -> Rows:
    """The scores of a run without items."""
    results = part(run.log.head, "results")
    epochs = real(part(run.eval, "config").get("epochs")) or 1.0
    count = real(results.get("completed_samples")) or real(results.get("total_samples"))
    items = count / epochs if count and math.isfinite(count / max(epochs, 1.0)) else None
    rows = []
    for total in totals(run):
        n = min(total.scored, items) if total.scored and items else total.scored or items
        same = {"n_samples": n}
        if total.mean is not None:
            named = names.columns(total.scorer, total.part, total.reducer)
            stderr = total.values.get("stderr")
            rows.append({**same, **named, "score": total.mean, "stderr": stderr})
        for metric, value in total.values.items():
            if metric in ("accuracy", "mean", "stderr", "std", "var", "bootstrap_stderr"):
                continue
            prefix = f"{total.part or total.scorer}/{metric}"
            name = f"{prefix}/{total.reducer}" if total.reducer else prefix
            column = names.filter(total.scorer)
            rows.append({**same, "filter": column, "metric": name, "score": value})
    return rows, list(range(1, len(rows) + 1))
