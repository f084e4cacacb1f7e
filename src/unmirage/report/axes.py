"""Where ticks go and how far an axis reaches; shared by the page, the pictures and the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from unmirage.report.text import scale as scale_text
from unmirage.report.view import View

Range = tuple[float, float]
_MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 2, 2.5, 3, 4, 6, 8))


def scale_range(*scales: Iterable[float | None]) -> Range:
    """log10 of the smallest and largest scale, with a little room at both ends."""
    logs = [math.log10(s) for column in scales for s in column if s is not None and s > 0]
    low, high = (min(logs), max(logs)) if logs else (0.0, 1.0)
    room = max(0.05 * (high - low), 0.04)
    return low - room, high + room


def scale_ticks(span: Range, most: int = 7) -> list[float]:
    """Four to seven round scale values inside a range of log10(scale)."""
    low, high = span
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) >= 4:
        step = math.ceil(len(powers) / most)
        return [10.0**p for p in powers if p % step == 0]
    best: list[float] = []
    for mantissas in _MANTISSAS:
        every = [
            m * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for m in mantissas
        ]
        best = [v for v in every if low <= math.log10(v) <= high]
        if len(best) >= 4:
            return best if len(best) <= most else best[::2]
    narrow = ticks((10**low, 10**high), 4)
    return narrow if len(narrow) > len(best) else best


def ticks(span: Range, about: int = 5) -> list[float]:
    """Round values inside a range of scores."""
    low, high = span
    if not high > low:
        return [low]
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= 0.75 * rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def tick_texts(values: list[float]) -> list[str]:
    """Tick labels that share one number of decimals."""
    if not values:
        return []
    if max(map(abs, values)) >= 1e5:
        return [f"{v:.3g}" for v in values]
    return [f"{v:,.{decimals(values)}f}" for v in values]


def decimals(values: list[float]) -> int:
    """How many decimals tell the values apart and show them whole."""
    return next((d for d in range(7) if all(abs(v - round(v, d)) < 1e-9 for v in values)), 7)


def scale_tick_texts(values: list[float], name: str) -> list[str]:
    return [scale_text(v, name) for v in values]


def score_range(
    curve: View,
    smooth: View | None = None,
    pushed: list[float | None] | None = None,
    marks: Iterable[float | None] = (),
) -> Range:
    """The scores an axis must reach: all points and lines, and intervals as far as is sensible.

    A bounded metric shows at least a tenth of its range, so that noise does not fill the panel.
    """
    points = curve["points"]
    line: View = smooth or {"score": [], "low": [], "high": []}
    core = _known([p["score"] for p in points], line["score"], pushed, marks)
    low, high = (min(core), max(core)) if core else (0.0, 1.0)
    floor, ceiling = curve["floor"], curve["ceiling"]
    if floor is not None and low - (high - low) <= floor <= high + (high - low):
        low, high = min(low, floor), max(high, floor)
    span = high - low
    ends = [[p["low"] for p in points], [p["high"] for p in points]]
    soft = _known(*ends, line["low"], line["high"])
    low = min([low, *(max(v, low - 0.5 * span) for v in soft)])
    high = max([high, *(min(v, high + 0.5 * span) for v in soft)])
    least = 0.1 * abs(ceiling - floor) if None not in (floor, ceiling) else 1e-9 + 0.02 * abs(high)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    room = 0.05 * (high - low)
    return low - room, high + room


def label_room(span: Range, score: float | None) -> Range:
    """The range with room for a line of words outside a rule at that score, near either edge."""
    low, high = span
    room = 0.085 * (high - low)
    if score is None or not low <= score <= high:
        return span
    if score - low < room:
        return score - room, high
    return (low, score + room) if high - score < room else span


def below(span: Range, score: float) -> bool:
    """Whether the words of a rule at that score stand below it: on the side without points."""
    return score < (span[0] + span[1]) / 2


def _known(*columns: Iterable[float | None] | None) -> list[float]:
    return [float(v) for column in columns if column for v in column if v is not None]
