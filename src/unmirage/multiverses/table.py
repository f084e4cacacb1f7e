"""What was chosen in every analysis, and what came of it, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from unmirage.multiverses.analyses import Analysis, Cell
from unmirage.multiverses.choices import KINDS, Ints
from unmirage.multiverses.looks import Looks
from unmirage.types import Curve, Floats, Judgement


def levels_of(cells: Sequence[Cell], analyses: Sequence[Analysis]) -> dict[str, list[str]]:
    """The level of each choice, in every analysis; the first is the first that there is."""
    rows = [{**cells[a.cell].levels, "rungs": a.rungs, "scale": a.axis} for a in analyses]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name, "–") for row in rows] for name in names}


def in_order(
    cells: Sequence[Cell], levels: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The levels of each choice that were drawn, in the order in which all there are come."""
    order: dict[str, dict[str, None]] = {name: {} for name in levels}
    cuts = {c.cut.level: (KINDS.index(c.cut.kind), c.cut.rank) for c in cells}
    order["score"] = dict.fromkeys(sorted(cuts, key=lambda level: (*cuts[level], level)))
    for cell in cells:
        for name, level in cell.levels.items():
            order[name][level] = None
        order["rungs"].update(dict.fromkeys(cell.source.rungs))
        order["scale"].update(dict.fromkeys(cell.source.axes))
    seen = {name: {*column} for name, column in levels.items()}
    return {n: tuple(v for v in (*order[n], "–") if v in seen[n]) for n in levels}


def table(
    cells: Sequence[Cell],
    analyses: Sequence[Analysis],
    curves: Sequence[Curve],
    levels: Mapping[str, Sequence[str]],
    looks: Looks,
    verdicts: Mapping[int, Judgement],
) -> pl.DataFrame:
    """One row an analysis; the columns are told at :class:`unmirage.types.Universe`."""
    n = len(analyses)
    judged = [verdicts.get(i) for i in range(n)]
    steps = np.array([len(c.scale) - 1 for c in curves], float)
    count = [float(c.count.min()) if np.isfinite(c.count).any() else None for c in curves]
    return pl.DataFrame(
        {
            **{name: list(column) for name, column in levels.items()},
            "kind": [cells[a.cell].cut.kind for a in analyses],
            "threshold": [_value(cells[a.cell], "threshold") for a in analyses],
            "k": [_value(cells[a.cell], "K of K") for a in analyses],
            "n": pl.Series(count, dtype=pl.Float64),
            "kept": [len(c.scale) for c in curves],
            "lowest": [float(c.score.min()) for c in curves],
            "highest": [float(c.score.max()) for c in curves],
            "emergence_score": looks.emergence,
            "per_step": looks.emergence / steps,
            "width_decades": looks.width,
            "steepness": looks.steepness,
            "onset": looks.onset,
            "p_steep": looks.p_steep,
            "p_late": looks.p_late,
            "p_movement": looks.p_movement,
            "inverse": looks.inverse,
            "sharp": looks.sharp,
            "reports": looks.reports,
            "curve": _same_curves(curves),
            "verdict": pl.Series([j and j.verdict for j in judged], dtype=pl.String),
            "explained_by": pl.Series(
                [j and ", ".join(j.explained_by) for j in judged], dtype=pl.String
            ),
        }
    )


def _value(cell: Cell, kind: str) -> float | None:
    return cell.cut.value if cell.cut.kind == kind else None


def _same_curves(curves: Sequence[Curve]) -> Ints:
    """A number for each curve; two of one shape, but for units and direction, have the same."""
    names: dict[bytes, int] = {}
    out = []
    for c in curves:
        sign = 1.0 if c.facts.higher_is_better else -1.0
        parts = [_unit(c.x), _unit(sign * c.score)]
        name = np.round(np.concatenate(parts), 9).tobytes()
        out.append(names.setdefault(name, len(names)))
    return np.array(out, dtype=np.int64)


def _unit(values: Floats) -> Floats:
    span = float(np.ptp(values))
    return (values - values.min()) / span + 0.0 if span > 0 else np.zeros(len(values))
