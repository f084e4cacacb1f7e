"""P1: the same outputs leap under accuracy and rise smoothly under edit distance and loss."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from unmirage.claims.claim import Answer, Cell, Claim, looks_sharp, number, steepness
from unmirage.report.panels import Panel, Point
from unmirage.types import Audit, Judgement

METRICS = ("exact_match", "edit_distance", "cross_entropy")
TITLES = {
    "exact_match": "exact match",
    "edit_distance": "token edit distance",
    "cross_entropy": "cross-entropy (nats per token)",
}


def judge(audits: Sequence[Audit]) -> Claim:
    """From audits of the families under the three metrics."""
    judged = [j for a in audits for j in a.judgements if j.key.metric in METRICS]
    by: dict[tuple[str, str], list[Judgement]] = defaultdict(list)
    for j in judged:
        by[j.key.family, j.key.metric].append(j)
    table: list[dict[str, Cell]] = []
    for (family, metric), group in sorted(
        by.items(), key=lambda x: (x[0][0], METRICS.index(x[0][1]))
    ):
        verdicts = Counter(j.verdict for j in group)
        table.append(
            {
                "family": family,
                "metric": TITLES[metric],
                "curves": len(group),
                "looks like a jump": sum(map(looks_sharp, group)),
                "median steepness": round(float(np.nanmedian([steepness(j) for j in group])), 2),
                "verdicts": ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items())),
            }
        )
    share = {m: _share(judged, m) for m in METRICS}
    sharper = _sharper(judged)
    explained = [j for j in judged if j.key.metric == "exact_match" and "metric" in j.explained_by]
    answer: Answer = "not here"
    if share["exact_match"] >= 0.5 and share["cross_entropy"] <= 0.25:
        answer = "as the article says"
    elif share["exact_match"] > share["cross_entropy"] or sharper > 0.5:
        answer = "in part"
    survive = sorted(
        {
            f"{j.key.family.removeprefix('lab-')} {_where(j)}"
            for j in judged
            if j.verdict == "survives"
        }
    )
    ours = (
        f"Exact match looks like a jump in {100 * share['exact_match']:.0f} % of the curves, token "
        f"edit distance of the same outputs in {100 * share['edit_distance']:.0f} %, cross-entropy "
        f"in {100 * share['cross_entropy']:.0f} %; exact match is the steepest of the three in "
        f"{100 * sharper:.0f} %. {len(explained)} exact-match curves are judged a mirage of the "
        "metric."
    )
    differs = "No curve survives under a linear metric."
    if survive:
        differs = (
            f"Real breaks, not made by the metric, are found in: {'; '.join(survive)}. There a "
            "digit position, or a whole skill, is learnt between two sizes or not at all, and the "
            "loss of that position leaps too."
        )
    return Claim(
        "P1",
        "Accuracy leaps, edit distance and loss are smooth, on the same outputs",
        "Fig. 3: GPT-3 models, two-digit products and four-digit sums: sharp under accuracy of "
        "4- and 5-token answers, smooth under token edit distance.",
        answer,
        ours,
        differs,
        table,
        _panels(judged),
    )


def _share(judged: list[Judgement], metric: str) -> float:
    group = [j for j in judged if j.key.metric == metric]
    return sum(map(looks_sharp, group)) / len(group) if group else float("nan")


def _sharper(judged: list[Judgement]) -> float:
    """Share of (family, setting) in which exact match is the steepest of the three."""
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for j in judged:
        found[j.key.family, _where(j)][j.key.metric] = steepness(j)
    whole = [d for d in found.values() if len(d) == len(METRICS)]
    best = [max(d, key=lambda m: d[m]) == "exact_match" for d in whole]
    return sum(best) / len(best) if best else float("nan")


def _where(j: Judgement) -> str:
    settings = {k: v for k, v in j.key.settings if k in ("subtask", "seed")}
    return ", ".join(
        f"{k} {v}" if k == "seed" else v for k, v in sorted(settings.items(), reverse=True)
    )


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
                    f"{family.removeprefix('lab-')} {strata[-1]}".strip(),
                    "the same outputs of the same models",
                    "parameters",
                    TITLES[metric],
                    tuple(points),
                )
            )
    return panels


__all__ = ["METRICS", "judge", "number"]
