"""P10: an analyst may choose an analysis that creates an ability, or one that removes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

from unmirage.claims.claim import Answer, Cell, Claim
from unmirage.report.panels import Panel, Point
from unmirage.types import Multiverse, Share, Universe

#: metrics of the base install that answers with log-probabilities allow
METRICS = (
    *("exact_match", "edit_distance_norm", "token_accuracy_free", "prefix_match"),
    *("token_accuracy", "token_prob", "cross_entropy", "target_prob"),
)
_CHOSEN = ("metric", "score")


def judge(found: Sequence[Multiverse]) -> Claim:
    """From the multiverse of each family."""
    universes = [u for m in found for u in m.universes]
    both = [u for u in universes if {"creates", "dissolves"} <= _words(u)]
    answer: Answer = "not here"
    if universes and len(both) == len(universes):
        answer = "as the article says"
    elif both:
        answer = "in part"
    return Claim(
        "P10",
        "The choice of the analysis creates an ability, or removes it",
        "Secs. 7 and 8: one may choose a metric that makes an ability appear or vanish, and among "
        "so many tasks, metrics and families some appear by chance alone.",
        answer,
        " ".join(_said(u) for u in universes),
        "All analyses of a family are of the same outputs, so they are dependent: a share of them "
        "is no probability. Intervals speak of other test items, and of the analyses that were "
        "not drawn, not of other models.",
        [_row(u, s) for u in universes for s in u.shares if s.choice in _CHOSEN],
        [_panel(universes, *how) for how in _PANELS],
        2,
    )


def _words(u: Universe) -> set[str]:
    """What levels of the metric and of the score do."""
    return {s.word for s in u.shares if s.choice in _CHOSEN}


def _said(u: Universe) -> str:
    mean = next((s for s in u.shares if s.level == "mean score"), None)
    effects = sorted((s for s in u.shares if s.choice in _CHOSEN and s.word), key=_effect)
    text = (
        f"{_name(u)}: {_percent(u.whole)} of {u.whole.analyses:,} analyses (of {u.total:,}) would "
        f"report an ability"
    )
    if mean is not None:
        text += f", of those under a mean score {_percent(mean)}"
    if effects:
        text += (
            f"; from {_percent(effects[0])} ({effects[0].level}) to {_percent(effects[-1])} "
            f"({effects[-1].level})"
        )
    reporting = u.table.filter("reports")["verdict"].drop_nulls().to_list()
    if reporting:
        counts = Counter(reporting)
        told = ", ".join(f"{n} {v}" for v, n in sorted(counts.items()))
        text += f". Of {len(reporting)} that report one and were judged: {told}"
    return text + "."


def _effect(share: Share) -> float:
    return share.effect


def _row(u: Universe, s: Share) -> dict[str, Cell]:
    known = s.low == s.low
    return {
        "family": _name(u),
        "choice": s.choice,
        "level": s.level,
        "analyses": s.analyses,
        "report an ability": s.reporting,
        "share": round(s.share, 3),
        "from": round(s.low, 3) if known else None,
        "to": round(s.high, 3) if known else None,
        "": s.word,
    }


def _name(u: Universe) -> str:
    return u.family.removeprefix("lab-")


def _percent(share: Share) -> str:
    return f"{100 * share.share:.0f} %"


#: title, title of the axis, and what the levels look like
_PANELS = (
    ("All of K random items right", "K", r"(\d+) of \d+ at random"),
    (
        "Share of items beyond a threshold",
        "answers that pass it (%)",
        r"passed by about (\d+) %",
    ),
)


def _panel(universes: Sequence[Universe], title: str, x_title: str, level: str) -> Panel:
    points = [
        Point(float(match[1]), s.share, _name(u), s.low, s.high)
        for u in universes
        for s in u.shares
        if s.choice == "score" and (match := re.fullmatch(level, s.level))
    ]
    if x_title == "K":
        points += [Point(1.0, share, _name(u)) for u in universes if (share := _one(u)) is not None]
    return Panel(
        title,
        "exact match" if x_title == "K" else "every metric that is not right or wrong",
        x_title,
        "share of analyses that report an ability",
        tuple(sorted(points, key=lambda p: (p.series, p.x))),
        log_x=False,
    )


def _one(u: Universe) -> float | None:
    """Share of the analyses of exact match itself, K = 1."""
    table = u.table.filter(pl.col("metric") == "exact_match", pl.col("kind") == "mean")
    return float(table["reports"].cast(pl.Float64).sum() / table.height) if table.height else None
