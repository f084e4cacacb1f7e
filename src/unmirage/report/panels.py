"""Small multiples of lines, for pictures of many curves at once; it computes no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unmirage.report import axes, text
from unmirage.report.pictures import render, themed

#: colours that the colour-blind tell apart (Okabe and Ito), dark to light, and two more
COLOURS = (
    *("#1c2430", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#999999"),
    *("#7a4e1d", "#6a3d9a"),
)


@dataclass(frozen=True)
class Point:
    """One score of one line; None = no interval."""

    x: float
    y: float
    series: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """One small plot; a logarithmic axis needs numbers above 0."""

    title: str
    subtitle: str
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    log_x: bool = True
    log_y: bool = False
    dashed: tuple[str, ...] = ()  # series that are yardsticks, not models


def chart(title: str, panels: Sequence[Panel], columns: int = 3) -> Any:
    """An ``altair.ConcatChart`` of the panels.

    Where one panel has all series, a series has one colour and one legend serves all; else each
    panel has its own.
    """
    import altair as alt

    series = [list(dict.fromkeys(p.series for p in panel.points)) for panel in panels]
    most = max(series, key=len, default=[])
    one = all(set(names) <= set(most) for names in series)
    drawn = [
        _panel(alt, panel, _colour(alt, most if one else names, one))
        for panel, names in zip(panels, series, strict=True)
    ]
    whole = alt.concat(*drawn, columns=columns, spacing=28, align="all")
    if not one:
        whole = whole.resolve_scale(color="independent")
    heading = alt.TitleParams(text=text.shorten(title, 110), anchor="start", offset=12)
    return themed(whole.properties(title=heading, padding=16))


def _colour(alt: Any, names: Sequence[str], one: bool) -> Any:
    # full colours: bars of intervals are pale, and the legend is of both
    legend = alt.Legend(title=None, orient="bottom", columns=8 if one else 4, symbolOpacity=1)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    return alt.Color(
        "series:N",
        scale=alt.Scale(domain=list(names), range=colours),
        legend=legend if len(names) > 1 else None,
    )


def _panel(alt: Any, panel: Panel, colour: Any) -> Any:
    rows = [
        {"x": p.x, "y": p.y, "series": p.series, "low": p.low, "high": p.high}
        for p in panel.points
        if (p.x > 0 or not panel.log_x) and (p.y > 0 or not panel.log_y)
    ]
    if panel.log_y:  # a bar that reaches 0 ends at the axis
        least = min((r["y"] for r in rows if isinstance(r["y"], float)), default=1.0) / 2
        for r in rows:
            if r["low"] is not None:
                r["low"] = max(float(r["low"] or 0.0), least)
    x = alt.X("x:Q", title=panel.x_title, scale=_scale(alt, panel.log_x), axis=_x_axis(alt, panel))
    y = alt.Y("y:Q", title=panel.y_title, scale=_scale(alt, panel.log_y))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=colour)
    dash = alt.condition(
        alt.FieldOneOfPredicate(field="series", oneOf=list(panel.dashed)),
        alt.value([5, 4]),
        alt.value([1, 0]),
    )
    bars = [r for r in rows if r["low"] is not None]
    layers = [base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=dash)]
    if bars:
        layers.append(
            alt.Chart(alt.Data(values=bars))
            .mark_rule(opacity=0.55)
            .encode(x="x:Q", y="low:Q", y2="high:Q", color=colour)
        )
    layers.append(base.mark_point(size=26, filled=True, opacity=1).encode(y=y))
    heading = alt.TitleParams(
        text=text.shorten(panel.title, 48),
        subtitle=text.shorten(panel.subtitle, 64),
        anchor="start",
        fontSize=13,
        subtitleFontSize=11,
    )
    return alt.layer(*layers).properties(width=270, height=200, title=heading)


def _scale(alt: Any, log: bool) -> Any:
    return alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)


def _x_axis(alt: Any, panel: Panel) -> Any:
    xs = [p.x for p in panel.points if p.x > 0 or not panel.log_x]
    if not panel.log_x or not xs:
        return alt.Axis(grid=False)
    values = axes.scale_ticks(axes.scale_range(xs))
    labels = axes.scale_tick_texts(values, "params")
    table = ",".join(f"'{v:.12g}':'{t}'" for v, t in zip(values, labels, strict=True))
    shown = f"{{{table}}}[format(datum.value, '.12~g')]"
    return alt.Axis(values=values, grid=False, labelExpr=shown)


def save(drawn: Any, suffix: str, scale: float = 2.0) -> bytes:
    """The chart as ``.svg`` or ``.png``, in bytes."""
    return render(drawn, suffix, scale)
