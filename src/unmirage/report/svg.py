"""One panel of the page: scores against log scale, as inline SVG. It draws; it computes nothing.

Colours are classes, so that the page's style sheet decides them (light, dark, print).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import Any

from unmirage.report import axes, text
from unmirage.report.marks import Rule
from unmirage.report.view import View
from unmirage.report.words import scale_title

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 10, 42


@dataclass(frozen=True)
class Panel:
    """What one panel shows."""

    curve: View
    scale_name: str
    smooth: View | None = None
    pushed: list[float | None] | None = None
    rules: list[Rule] = field(default_factory=list)
    step: tuple[float, float] | None = None
    hollow: set[float] = field(default_factory=set)


@dataclass(frozen=True)
class _Frame:
    """Data to pixels."""

    across: axes.Range
    up: axes.Range

    def x(self, scale: float) -> float:
        low, high = self.across
        share = (math.log10(scale) - low) / (high - low)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, score: float) -> float:
        low, high = self.up
        share = (score - low) / (high - low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def draw(panel: Panel) -> str:
    """The panel as an ``<svg>`` element with a text alternative."""
    points = [p for p in panel.curve["points"] if p["score"] is not None and p["scale"]]
    # Rules may stretch the axis only where they are near: a far one would squeeze the curve.
    scores = [p["score"] for p in points] or [0.0]
    span = max(scores) - min(scores)
    near = [r for r in panel.rules if min(scores) - span <= r.score <= max(scores) + span]
    up = axes.score_range(panel.curve, panel.smooth, panel.pushed, [r.score for r in near])
    up = axes.label_room(up, near[0].score if near else None)
    frame = _Frame(axes.scale_range([p["scale"] for p in points]), up)
    parts = [
        *_grid(frame, panel.scale_name),
        *_step(frame, panel.step),
        *_rules(frame, near),
        *_smooth(frame, panel.smooth),
        *_pushed(frame, panel),
        *_points(frame, points, panel),
    ]
    alt = escape(alternative(panel), quote=True)
    body = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}">{body}</svg>'


def alternative(panel: Panel) -> str:
    """The panel in one sentence, for those who cannot see it."""
    points, name = panel.curve["points"], panel.scale_name
    title = text.visible(panel.curve["title"], 80)
    if not points:
        return f"{title}: no points"
    first, last = points[0], points[-1]
    return (
        f"{title} against {scale_title(name)}, {len(points)} models: "
        f"{text.number(first['score'])} at {text.scale(first['scale'], name)}, "
        f"{text.number(last['score'])} at {text.scale(last['scale'], name)}"
    )


def spark(curve: View) -> str:
    """A word-sized picture of the curve, for tables."""
    points = [p for p in curve["points"] if p["score"] is not None and p["scale"]]
    (left, right), (low, high) = (
        axes.scale_range([p["scale"] for p in points]),
        axes.score_range(curve),
    )
    spots = [
        (
            90 * (math.log10(p["scale"]) - left) / (right - left),
            22 - 20 * (p["score"] - low) / (high - low),
        )
        for p in points
    ]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6"/>' for x, y in spots)
    return (
        f'<svg class="spark" viewBox="0 0 90 24" aria-hidden="true">{_line(spots, "s")}{dots}</svg>'
    )


# ---------------------------------------------------------------- layers


def _grid(frame: _Frame, scale_name: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    scores, scales = axes.ticks(frame.up), axes.scale_ticks(frame.across)
    parts = []
    for value, label in zip(scores, axes.tick_texts(scores), strict=True):
        y = frame.y(value)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(_text(LEFT - 7, y + 4, label, "end"))
    for value, label in zip(scales, axes.scale_tick_texts(scales, scale_name), strict=True):
        x = frame.x(value)
        parts.append(f'<path class="t" d="M{x:.1f} {bottom}v5"/>')
        parts.append(_text(x, bottom + 18, label, "middle"))
    parts.append(f'<path class="x" d="M{LEFT} {bottom}H{right}"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 5, scale_title(scale_name), "middle", "a n"))
    return parts


def _step(frame: _Frame, step: tuple[float, float] | None) -> list[str]:
    if step is None:
        return []
    left, right = frame.x(step[0]), frame.x(step[1])
    tall = HEIGHT - TOP - BOTTOM
    return [
        f'<rect class="w" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{tall}"/>'
    ]


def _rules(frame: _Frame, rules: list[Rule]) -> list[str]:
    """Dashed lines, with the words of all of them outside the first."""
    if not rules:
        return []
    heights = [frame.y(r.score) for r in rules]
    apart = [y for i, y in enumerate(heights) if i == 0 or abs(y - heights[0]) > 3]
    parts = [f'<path class="f" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>' for y in apart]
    beside = 13 if axes.below(frame.up, rules[0].score) else -5
    said = " · ".join(r.text for r in rules)
    return [*parts, _text(WIDTH - RIGHT - 2, heights[0] + beside, said, "end", "a k")]


def _smooth(frame: _Frame, line: View | None) -> list[str]:
    if line is None:
        return []
    rows = list(zip(line["scale"], line["score"], line["low"], line["high"], strict=True))
    upper = _spots(frame, [(r[0], r[3]) for r in rows])
    lower = _spots(frame, [(r[0], r[2]) for r in rows])
    parts = []
    if len(upper) > 1 and len(lower) > 1:
        outline = [*_thin(upper), *reversed(_thin(lower))]
        parts.append(f'<path class="b" d="{_path(outline)}Z"/>')
    parts.append(_line(_thin(_spots(frame, [(r[0], r[1]) for r in rows])), "l"))
    return parts


def _pushed(frame: _Frame, panel: Panel) -> list[str]:
    if panel.pushed is None:
        return []
    scales = [p["scale"] for p in panel.curve["points"]]
    return [_line(_spots(frame, list(zip(scales, panel.pushed, strict=True))), "u")]


def _points(frame: _Frame, points: list[View], panel: Panel) -> list[str]:
    bars, dots = [], []
    for p in points:
        x, y = frame.x(p["scale"]), frame.y(p["score"])
        if p["low"] is not None and p["high"] is not None:
            bars.append(f"M{x:.1f} {frame.y(p['low']):.1f}V{frame.y(p['high']):.1f}")
        kind = "h" if p["scale"] in panel.hollow else "p"
        tip = escape(point_text(p, panel.scale_name))
        dots.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{tip}</title></circle>'
        )
    return [f'<path class="e" d="{"".join(bars)}"/>', *dots] if bars else dots


def point_text(point: View, scale_name: str) -> str:
    """One measured point in words."""
    words = f"{text.visible(point['model'], 80)} ({text.scale(point['scale'], scale_name)}): "
    words += text.number(point["score"])
    if point["low"] is not None and point["high"] is not None:
        words += f", 95 % {text.number(point['low'])} to {text.number(point['high'])}"
    return words + (f", n = {text.number(point['n'])}" if point["n"] is not None else "")


# ---------------------------------------------------------------- strokes

Spots = list[tuple[float, float]]


def _spots(frame: _Frame, pairs: list[tuple[Any, Any]]) -> Spots:
    return [(frame.x(s), frame.y(v)) for s, v in pairs if s is not None and v is not None]


def _path(spots: Spots) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)


def _line(spots: Spots, kind: str) -> str:
    return f'<path class="{kind}" d="{_path(spots)}"/>' if len(spots) > 1 else ""


def _text(x: float, y: float, words: str, anchor: str, kind: str = "a") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text.visible(words, 60))}</text>"
    )


def _thin(spots: Spots, within: float = 0.25) -> Spots:
    """The line with the fewest corners that stays within a quarter of a pixel of it."""
    if len(spots) < 3:
        return spots
    (x0, y0), (x1, y1) = spots[0], spots[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    off = [abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length for x, y in spots[1:-1]]
    far = max(range(len(off)), key=off.__getitem__)
    if off[far] <= within:
        return [spots[0], spots[-1]]
    return [*_thin(spots[: far + 2], within)[:-1], *_thin(spots[far + 1 :], within)]
