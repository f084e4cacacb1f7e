"""The scores that HELM gave: of each instance, and of a run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from unmirage.records.formats.helm.answers import Level, Rows, common
from unmirage.records.formats.helm.run import Run
from unmirage.records.formats.lm_eval.results import part, real
from unmirage.types import Note

#: of a run, not of an answer: counts, time, energy, and what the model thought of its own words
_NO_SCORE = re.compile(
    r"num_|training_|inference_|finish_reason_|batch_size$|prompt_truncated$|max_prob$|logprob|"
    r"perplexity$|bits_per_byte$|predicted_index$|references_|estimated_|ece_|platt_|selective_"
)
#: where text itself is predicted, these are its scores, and lower is better
_OF_TEXT = {"perplexity": False, "bits_per_byte": False, "logprob_per_byte": True}
_BETTER = re.compile(
    r"(quasi_)?(prefix_)?exact_(set_)?match|f1|iou_|rouge_|bleu_|math_equiv|code_eval_acc|"
    r"test_avg|strict_acc|classification_|(M?RR|NDCG)@|chain_of_thought_correct"
)


def item_scores(run: Run, stats: Any, notes: list[Note]) -> Rows:
    """One row for each instance and score."""
    rows: Rows = []
    counts: Counter[str] = Counter()
    for number, one in enumerate(stats if isinstance(stats, list) else [], 1):
        if not isinstance(one, dict) or not isinstance(one.get("instance_id"), (str, int)):
            counts["bad"] += 1
            continue
        listed = one.get("stats")
        instance = {"id": one["instance_id"], "perturbation": one.get("perturbation")}
        state = {"instance": instance, "train_trial_index": one.get("train_trial_index")}
        same = common(run, state)
        for name, said in _stats(listed, run, counts):
            row = same | {"split": _text(name.get("split")), **_score(str(name["name"]), said)}
            rows.append((number, row))
    _tell(run, counts, notes)
    return rows


def _score(name: str, mean: float) -> dict[str, Any]:
    better = _OF_TEXT.get(name, True if _BETTER.match(name) else None)
    return {"metric": name, "score": mean, "higher_is_better": better}


def _stats(
    listed: Any, run: Run, counts: Counter[str]
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """(name, mean) of every statistic that is a score."""
    for one in listed if isinstance(listed, list) else []:
        name = part(one, "name") if isinstance(one, dict) else {}
        told = name.get("name")
        of_text = run.method == "language_modeling" and told in _OF_TEXT
        if not isinstance(told, str) or (_NO_SCORE.match(told) and not of_text):
            continue
        mean = real(one.get("mean"))
        if mean is None or not math.isfinite(mean):
            counts["null"] += 1
        else:
            yield name, mean


def aggregates(run: Run, stats: Any, notes: list[Note]) -> Rows:
    """One row for each split and score of the run, over unperturbed instances."""
    rows: Rows = []
    counts: Counter[str] = Counter()
    instances = {
        _text(part(one, "name").get("split")): real(one.get("mean"))
        for one in (stats if isinstance(stats, list) else [])
        if isinstance(one, dict)
        and part(one, "name").get("name") == "num_instances"
        and not part(one, "name", "perturbation")
    }
    for number, (name, mean) in enumerate(_stats(stats, run, counts), 1):
        if part(name, "perturbation"):
            counts["perturbed"] += 1
            continue
        split = _text(name.get("split"))
        row = {"split": split, "n_samples": instances.get(split)}
        rows.append((number, row | _score(str(name["name"]), mean)))
    _tell(run, counts, notes)
    return rows


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _tell(run: Run, counts: Counter[str], notes: list[Note]) -> None:
    for key, code, text in (
        ("bad", "bad_rows", "statistics that name no instance left out"),
        ("null", "null_score", "scores without a finite mean left out"),
        ("perturbed", "perturbed", "scores over perturbed instances are not read without items"),
    ):
        if counts[key]:
            level: Level = "info" if key == "perturbed" else "warning"
            notes.append(Note(level, code, text, run.source.name, counts[key]))
