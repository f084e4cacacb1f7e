"""P3: accuracy falls geometrically with the target's length, edit distance about linearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from unmirage.claims.claim import Answer, Cell, Claim, last_step, number
from unmirage.metrics import score
from unmirage.report.panels import Panel, Point
from unmirage.types import Floats

SOLVED = 0.95  # a model with more right answers at every length has no fall to speak of
LEAST_RIGHT = 5  # right answers a length needs to be part of a fit


def judge(frames: Sequence[pl.DataFrame]) -> Claim:
    """From samples of families with several target lengths."""
    table: list[dict[str, Cell]] = []
    panels: list[Panel] = []
    for frame in frames:
        rows, drawn = _family(last_step(frame))
        table += rows
        panels += drawn
    geometric = [float(v) for r in table if isinstance(v := r["R2 geometric"], float)]
    linear = [float(v) for r in table if isinstance(v := r["R2 linear"], float)]
    good, straight = _share(geometric), _share(linear)
    answer: Answer = "in part"
    if good >= 0.75 and straight >= 0.75:
        answer = "as the article says"
    elif good < 0.25 and straight < 0.25:
        answer = "not here"
    names = list(dict.fromkeys(str(r["family"]) for r in table))
    differs = " ".join(filter(None, (_differs(table, name) for name in names)))
    ours = " ".join(_said(table, name) for name in names)
    return Claim(
        "P3",
        "Accuracy falls geometrically with target length, edit distance about linearly",
        "Sec. 2 and App. A.2, A.3: p^L for accuracy, L (1 - p) for token edit distance.",
        answer,
        ours,
        differs or "All families fall geometrically.",
        table,
        panels,
        columns=2,
    )


def _share(values: Sequence[float]) -> float:
    """Share of fits with R2 of at least 0.9; 0 where there is none."""
    return float(np.mean(np.array(values) >= 0.9)) if values else 0.0


def _values(table: Sequence[dict[str, Cell]], family: str, column: str) -> list[float]:
    mine = [r[column] for r in table if r["family"] == family]
    return [v for v in mine if isinstance(v, float)]


def _differs(table: Sequence[dict[str, Cell]], family: str) -> str:
    """Why a family's fall is no straight line, as far as the accuracies of the positions tell."""
    if _share(_values(table, family, "R2 geometric")) >= 0.75:
        return ""
    fitted = [r for r in table if r["family"] == family and r["lengths fitted"]]
    pairs = [
        (first, last)
        for r in fitted
        if isinstance(first := r["first token right"], float)
        and isinstance(last := r["last token right"], float)
    ]
    if not pairs:
        return ""
    first, last = np.median(np.array(pairs), axis=0)
    said = (
        f"{family}: no one p serves all lengths: in the longest answers the first token is right "
        f"in {100 * first:.0f} % and, given the true ones before it, the last in "
        f"{100 * last:.0f} % (medians of the fitted models)"
    )
    if last > 1.2 * first:
        said += ": what is known at all is known to the end, so the fall levels off"
    elif first > 1.2 * last:
        said += ": later tokens are skills of their own, so the fall grows steeper"
    return said + "."


def _said(table: Sequence[dict[str, Cell]], family: str) -> str:
    """One family in a sentence."""
    curved, straight, together = (
        _values(table, family, c) for c in ("R2 geometric", "R2 linear", "exact over independent")
    )
    if not curved:
        return f"{family}: no model has three lengths with {LEAST_RIGHT} right answers."
    said = (
        f"{family}: log(exact match) is a straight line in length (R2 of at least 0.9) for "
        f"{round(_share(curved) * len(curved))} of {len(curved)} models that can be fitted, edit "
        f"distance for {round(_share(straight) * len(straight))} of {len(straight)}"
    )
    if together:
        said += (
            f"; answers are wholly right {np.median(together):.2f} times as often as independent "
            f"errors would have it (median of {len(together)} models that are not nearly perfect; "
            f"{min(together):.2f} to {max(together):.2f})"
        )
    return said + "."


def _family(frame: pl.DataFrame) -> tuple[list[dict[str, Cell]], list[Panel]]:
    frame = frame.with_columns(
        pl.Series("exact", score("exact_match", frame)),
        pl.Series("distance", score("edit_distance", frame)),
        length=pl.col("targets").list.first().str.len_chars(),
    )
    name = frame["family"][0].removeprefix("lab-")
    by = frame.group_by("params", "seed", "length").agg(
        pl.col("exact").mean(),
        pl.col("exact").sum().alias("right"),
        pl.col("distance").mean(),
        pl.col("distance").std().alias("sd"),
        pl.len().alias("n"),
        pl.col("token_correct").alias("tokens"),
    )
    rows: list[dict[str, Cell]] = []
    accuracy, distance = [], []
    first = by["seed"].min()
    for (params, seed), part in by.sort("params", "seed", "length").group_by(
        "params", "seed", maintain_order=True
    ):
        found = _fits(part)
        rows.append({"family": name, "parameters": int(params), "seed": int(seed), **found})
        if seed == first:
            for length, exact, far in part.select("length", "exact", "distance").iter_rows():
                accuracy.append(Point(length, exact, number(float(params))))
                distance.append(Point(length, far, number(float(params))))
    said = "one line a model, by its parameters; first seed"
    panels = [
        Panel(f"{name}: exact match", said, "target length (tokens)", "exact match (log)",
              tuple(accuracy), log_x=False, log_y=True),
        Panel(f"{name}: token edit distance", said, "target length (tokens)", "token edit distance",
              tuple(distance), log_x=False),
    ]  # fmt: skip
    return rows, panels


def _fits(part: pl.DataFrame) -> dict[str, Cell]:
    """log exact match = a + L log p, by binomial errors; distance = a + b L; dependence."""
    length = part["length"].to_numpy().astype(float)
    exact, right, n = (part[c].to_numpy().astype(float) for c in ("exact", "right", "n"))
    solved = bool((exact > SOLVED).all())
    use = (right >= LEAST_RIGHT) & (exact < 1) & (not solved)
    rate: Cell = None
    fit: Cell = None
    error: Cell = None
    if use.sum() >= 3:
        y = np.log(exact[use])
        weight = exact[use] * n[use] / (1 - exact[use])  # 1 / variance of log share
        slope, spread, r2 = _line(length[use], y, weight)
        rate, fit, error = round(float(np.exp(slope)), 4), round(r2, 3), round(spread, 3)
    far = part["distance"].to_numpy()
    slope, spread, r2 = _line(length, far, np.ones(len(far)))
    moves = len(length) >= 3 and not solved
    ratios = [_dependence(t) for t in part["tokens"].to_list()]
    known = [r for r in ratios if np.isfinite(r)]
    longest = np.array(part["tokens"].to_list()[-1], dtype=float).mean(axis=0)
    return {
        "lengths fitted": int(use.sum()) if rate is not None else 0,
        "p per token": rate,
        "R2 geometric": fit,
        "rms error of log": error,
        "edit distance per token": round(slope, 3) if moves else None,
        "R2 linear": round(r2, 3) if moves else None,
        "rms error of distance": round(spread, 3) if moves else None,
        "first token right": round(float(longest[0]), 3),
        "last token right": round(float(longest[-1]), 3),
        "exact over independent": round(float(np.median(known)), 2) if known else None,
    }


def _line(x: Floats, y: Floats, weight: Floats) -> tuple[float, float, float]:
    """Weighted least squares: slope, root mean squared error, R2."""
    slope, start = np.polyfit(x, y, 1, w=np.sqrt(weight))
    mean = np.average(y, weights=weight)
    left = float(np.average((y - start - slope * x) ** 2, weights=weight))
    whole = float(np.average((y - mean) ** 2, weights=weight))
    return float(slope), float(np.sqrt(left)), 1 - left / whole if whole > 0 else float("nan")


def _dependence(tokens: list[list[bool]]) -> float:
    """Share of answers with every token right, over the product of the shares of each position.

    1 = independent errors; above, errors come together. Teacher-forced, so that an early error
    does not spoil what follows. NaN where nothing or nearly everything is right, or for one token.
    """
    right = np.array(tokens, dtype=float)
    both = right.all(axis=1).mean()
    apart = right.mean(axis=0).prod()
    if right.shape[1] < 2 or both * len(right) < LEAST_RIGHT or both > SOLVED:
        return float("nan")
    return float(both / apart)
