"""P1: the same outputs leap under accuracy and rise smoothly under edit distance and loss."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from unmirage.auditing.verdict import looks_sharp
from unmirage.claims.claim import Answer, Cell, Claim, number, steepness
from unmirage.report.panels import Panel, Point
from unmirage.types import Audit, Judgement

METRICS = ("exact_match", "edit_distance", "cross_entropy")
TITLES = {
    "exact_match": "exact match",
    "edit_distance": "token edit distance",
    "cross_entropy": "cross-entropy (nats per token)",
}


AXES = {"params": "scale", "step": "training step"}


def judge(audits: Mapping[str, Sequence[Audit]]) -> Claim:
    """From audits of the families under the three metrics, by the axis they run along."""
    judged = {
        axis: [j for a in found for j in a.judgements if j.key.metric in METRICS]
        for axis, found in audits.items()
    }
    every = [j for group in judged.values() for j in group]
    exact, edit, loss = (_share(every, m) for m in METRICS)
    mirages = sum(
        j.key.metric == "exact_match" and j.verdict == "mirage" and "metric" in j.explained_by
        for j in every
    )
    answer: Answer = "not here"
    if exact >= 0.5 and max(edit, loss) <= 0.25:
        answer = "as the article says"
    elif exact > loss:
        answer = "in part"
    ours = " ".join(_said(AXES[axis], group) for axis, group in judged.items())
    return Claim(
        "P1",
        "Accuracy leaps, edit distance and loss are smooth, on the same outputs",
        "Fig. 3: GPT-3 models, two-digit products and four-digit sums: sharp under accuracy of "
        "4- and 5-token answers, smooth under token edit distance.",
        answer,
        f"{ours} {mirages} exact-match curves are judged a mirage of the metric.",
        _differs(every),
        _table(judged),
        _panels(judged.get("params", [])),
    )


def _said(axis: str, judged: list[Judgement]) -> str:
    """One axis in a sentence."""
    parts = []
    for metric in METRICS:
        group = [j for j in judged if j.key.metric == metric]
        parts.append(f"{TITLES[metric]} in {sum(map(looks_sharp, group))} of {len(group)}")
    return (
        f"Along {axis} a jump is seen under {', '.join(parts)} curves; exact match is the steepest "
        f"of the three for {100 * _steepest(judged):.0f} %."
    )


def _differs(judged: list[Judgement]) -> str:
    """Real breaks, families in which exact match does not leap, and those where more does."""
    said = []
    breaks = sorted(
        {
            f"{_family(j)} {_where(j)}"
            for j in judged
            if j.verdict == "survives" and j.key.metric == "cross_entropy"
        }
    )
    if breaks:
        said.append(f"Real breaks, of the loss too, are found in: {'; '.join(breaks)}.")
    for family in dict.fromkeys(_family(j) for j in judged):
        mine = [j for j in judged if _family(j) == family and j.curve.scale_name == "params"]
        exact = [j for j in mine if j.key.metric == "exact_match"]
        if exact and not any(map(looks_sharp, exact)):
            ends = [float(np.mean([j.curve.score[i] for j in exact])) for i in (0, -1)]
            said.append(
                f"{family.capitalize()}: along scale exact match does not look like a jump; it "
                f"goes gradually from {number(ends[0])} to {number(ends[1])} (mean over seeds)."
            )
        edit, loss = (_share(mine, m) for m in ("edit_distance", "cross_entropy"))
        if edit >= 0.5 > loss:
            said.append(
                f"{family.capitalize()}: along scale token edit distance looks like a jump too "
                f"({100 * edit:.0f} % of the curves), cross-entropy less often "
                f"({100 * loss:.0f} %). The one is of generated answers, in which an early wrong "
                "token can spoil the later ones; the other is given the true tokens."
            )
    return " ".join(said) or "No break of the loss is found."


def _table(judged: Mapping[str, list[Judgement]]) -> list[dict[str, Cell]]:
    """One row for each axis, family and metric."""
    by: dict[tuple[str, str, int], list[Judgement]] = defaultdict(list)
    for axis, group in judged.items():
        for j in group:
            by[AXES[axis], _family(j), METRICS.index(j.key.metric)].append(j)
    rows: list[dict[str, Cell]] = []
    for (axis, family, metric), group in sorted(by.items()):
        verdicts = Counter(j.verdict for j in group)
        rows.append(
            {
                "along": axis,
                "family": family,
                "metric": TITLES[METRICS[metric]],
                "curves": len(group),
                "looks like a jump": sum(map(looks_sharp, group)),
                "median steepness": round(float(np.nanmedian([steepness(j) for j in group])), 2),
                "verdicts": ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items())),
            }
        )
    return rows


def _share(judged: list[Judgement], metric: str) -> float:
    """Share of the curves of a metric that look like a jump."""
    group = [j for j in judged if j.key.metric == metric]
    return sum(map(looks_sharp, group)) / len(group) if group else float("nan")


def _steepest(judged: list[Judgement]) -> float:
    """Share of (family, setting) in which exact match is the steepest of the three."""
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for j in judged:
        found[j.key.family, str(j.key.settings)][j.key.metric] = steepness(j)
    whole = [d for d in found.values() if len(d) == len(METRICS) and not np.isnan(sum(d.values()))]
    best = [max(d, key=lambda m: d[m]) == "exact_match" for d in whole]
    return sum(best) / len(best) if best else float("nan")


def _family(j: Judgement) -> str:
    return j.key.family.removeprefix("lab-")


def _where(j: Judgement) -> str:
    """The stratum, the seed and, along the training, the model."""
    settings = dict(j.key.settings)
    parts = [settings.get("subtask"), settings.get("lineage"), f"seed {settings.get('seed')}"]
    if parts[1]:
        parts = [parts[0], f"{parts[1]} along training"]
    return ", ".join(p for p in parts if p)


def _panels(judged: list[Judgement]) -> list[Panel]:
    """A row of three for each family: one line a seed, of the longest answers."""
    panels = []
    for family in dict.fromkeys(j.key.family for j in judged):
        group = [j for j in judged if j.key.family == family]
        strata = sorted({dict(j.key.settings).get("subtask", "") for j in group})
        shown = [j for j in group if dict(j.key.settings).get("subtask", "") == strata[-1]]
        for metric in METRICS:
            points = [
                Point(
                    float(x),
                    float(y),
                    f"seed {dict(j.key.settings).get('seed')}",
                    float(a),
                    float(b),
                )
                for j in shown
                if j.key.metric == metric
                for x, y, a, b in zip(
                    j.curve.scale, j.curve.score, j.curve.low, j.curve.high, strict=True
                )
            ]
            panels.append(
                Panel(
                    f"{_family(shown[0])} {strata[-1]}".strip(),
                    "the same outputs of the same models",
                    "parameters",
                    TITLES[metric],
                    tuple(points),
                )
            )
    return panels
