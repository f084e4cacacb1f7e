"""The full verdict of the audit on some analyses, each beside its companion of the same outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from unmirage.auditing.companion import companion
from unmirage.auditing.judge import judge_each
from unmirage.multiverses.analyses import Analysis, Cell, Scorer, curve_of
from unmirage.multiverses.choices import MEAN
from unmirage.multiverses.sources import Source
from unmirage.types import Curve, Judgement


def judge(
    cells: Sequence[Cell],
    analyses: Sequence[Analysis],
    others: Sequence[Source],
    scorer: Scorer,
    *,
    seed: int,
    draws: int,
    level: float,
    progress: Callable[[int], None],
) -> list[Judgement]:
    """Judge each analysis; ``others`` are all sources of the task, asked for or not."""
    served = [s for s in others if s.first.facts.linear or s.first.facts.continuous]
    made: dict[tuple[object, ...], Curve] = {}
    cases = []
    for analysis in analyses:
        cell = cells[analysis.cell]
        curve = curve_of(cell, scorer.score(cell), analysis)
        group = [
            _beside(source, cell, analysis, scorer, made)
            for source in served
            if _same_outputs(source, cell.source, analysis)
        ]
        cases.append((curve, companion(curve, group), group))
    return judge_each(cases, seed=seed, draws=draws, level=level, progress=progress)


def _same_outputs(source: Source, own: Source, analysis: Analysis) -> bool:
    """Are these the same outputs under another metric, with the same rungs?"""
    levels = {**own.levels, "metric": source.levels["metric"]}
    scored = (source.first.items is None) == (own.first.items is None)
    same = source.levels == levels and source.levels["metric"] != own.levels["metric"]
    return same and scored and analysis.axis in source.axes and analysis.rungs in source.rungs


def _beside(
    source: Source,
    cell: Cell,
    analysis: Analysis,
    scorer: Scorer,
    made: dict[tuple[object, ...], Curve],
) -> Curve:
    """The curve of another metric; items are averaged in the groups in which they must be right."""
    cut = cell.cut if cell.cut.kind == "K of K" else MEAN
    name = (id(source), cut.level, cell.items, analysis.rungs, analysis.axis)
    if name not in made:
        other = replace(cell, source=source, cut=cut)
        made[name] = curve_of(other, scorer.score(other, MEAN), analysis, MEAN)
    return made[name]
