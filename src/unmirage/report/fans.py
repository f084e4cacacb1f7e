"""Fan charts of forecasts and the reliability of backtests, as Altair charts."""

from __future__ import annotations

from typing import Any

import numpy as np

from unmirage.forecasting.types import LEVELS, Backtest, Forecast
from unmirage.report import axes, forecasts, text, words
from unmirage.report.pictures import themed
from unmirage.types import Curve

_INK, _DIM, _FAN, _RULE = "#1c2430", "#5b6675", "#0072b2", "#77808c"
_WIDTH, _HEIGHT = 420, 250


def _data(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    make: Any = alt.Data
    return make(values=rows)


def fan(f: Forecast, whole: Curve | None = None) -> Any:
    """The data, the bands (50, 80, 95 %), the floor and the resolution limit.

    ``whole``: the curve with the held-out rungs, which are drawn hollow.
    """
    import altair as alt

    seen = whole or f.curve
    train = len(f.curve.scale) if whole is None else int((seen.scale < _first_held(f)).sum())
    up = _range(f, seen)
    across = axes.scale_range([*seen.scale.tolist(), f.at])
    values = axes.scale_ticks(across)
    labels = axes.scale_tick_texts(values, seen.scale_name)
    table = ",".join(f"'{v:.12g}':'{t}'" for v, t in zip(values, labels, strict=True))
    x = alt.X(
        "scale:Q",
        title=words.scale_title(seen.scale_name),
        scale=alt.Scale(type="log", domain=[10.0 ** across[0], 10.0 ** across[1]], nice=False),
        axis=alt.Axis(
            values=values, grid=False, labelExpr=f"{{{table}}}[format(datum.value, '.12~g')]"
        ),
    )
    ticks = axes.ticks(up)
    y = alt.Y(
        "score:Q",
        title=None,
        scale=alt.Scale(domain=list(up), nice=False, zero=False),
        axis=alt.Axis(values=ticks, format=f",.{axes.decimals(ticks)}f"),
    )
    layers = [
        *_bands(alt, f, up, x, y),
        *_rules(alt, seen, up),
        *_points(alt, seen, train, up, x, y),
    ]
    if whole is None:
        layers += _target(alt, f, up, x)
    title = alt.TitleParams(
        text=text.shorten(f"{f.key.task} under {f.key.metric}", 52),
        subtitle=[
            text.shorten(_place(f), 74),
            text.shorten(_said(f, whole), 104 if f.place else 86),
        ],
        anchor="start",
        fontSize=14,
    )
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _first_held(f: Forecast) -> float:
    """Largest scale of training is ``distance`` decades below the target."""
    return float(f.at * 10 ** (-f.distance) * (1 + 1e-9))


def _place(f: Forecast) -> str:
    held = ", ".join(f"{k} = {v}" for k, v in f.key.settings)
    return f"{f.key.family} · {held}" if held else f.key.family


def _said(f: Forecast, whole: Curve | None) -> str:
    side = "below" if forecasts.below(f) else "beyond"
    far = f"{f.distance:.2g} decades {side} the rungs ({f.reach:.2g} wide)"
    if f.distance <= 0:
        far = f"inside the range of the rungs ({f.reach:.2g} decades)"
    if whole is not None:
        return f"hollow: held out; {far}"
    if f.place:
        far = f"{forecasts.target(f)}: {far}"
    if not f.known:
        return f"not known: {far}; 95 %: {text.interval(list(f.widest))}"
    return f"{text.number(f.median)}, 95 %: {text.interval(list(f.interval(0.95)))}; {far}"


def _range(f: Forecast, seen: Curve) -> tuple[float, float]:
    """The data, the median and the 95 % interval of the target.

    The interval reaches at most one span of the data beyond them: bands that go on are cut.
    """
    first, last = float(seen.score.min()), float(seen.score.max())
    span = last - first or np.inf
    low, high = f.interval(0.95)
    inside = [max(low, first - span), min(high, last + span)]
    values = [first, last, *inside, *([f.median] if f.known else [])]
    lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
    span = highest - lowest
    if lowest - span < seen.floor < highest + span:  # never for a floor that is NaN
        lowest, highest = min(lowest, seen.floor), max(highest, seen.floor)
    room = 0.06 * (highest - lowest or 1.0)
    return lowest - room, highest + room


def _bands(alt: Any, f: Forecast, up: axes.Range, x: Any, y: Any) -> list[Any]:
    if f.fan is None:
        return []
    layers = []
    for level, (low, high) in sorted(f.fan.bands.items(), reverse=True):
        rows = [
            {"scale": float(s), "low": float(max(a, up[0])), "high": float(min(b, up[1]))}
            for s, a, b in zip(f.fan.scale, low, high, strict=True)
            if np.isfinite(a)
        ]
        mark = alt.Chart(alt.Data(values=rows)).mark_area(color=_FAN, opacity=0.16, clip=True)
        layers.append(mark.encode(x=x, y=alt.Y("low:Q"), y2="high:Q"))
        assert level in LEVELS
    middle = [
        {"scale": float(s), "score": float(m)}
        for s, m in zip(f.fan.scale, f.fan.median, strict=True)
        if np.isfinite(m)
    ]
    line = alt.Chart(alt.Data(values=middle)).mark_line(color=_FAN, strokeWidth=2, clip=True)
    return [*layers, line.encode(x=x, y=y)]


def _points(alt: Any, seen: Curve, train: int, up: axes.Range, x: Any, y: Any) -> list[Any]:
    rows = [
        {
            "scale": float(s),
            "score": float(v),
            "low": None if np.isnan(low) else float(max(low, up[0])),
            "high": None if np.isnan(high) else float(min(high, up[1])),
            "held": i >= train,
            "model": text.visible(m, 80),
        }
        for i, (s, v, low, high, m) in enumerate(
            zip(seen.scale, seen.score, seen.low, seen.high, seen.models, strict=True)
        )
    ]
    base = alt.Chart(alt.Data(values=rows))
    bars = base.mark_rule(color=_INK, strokeWidth=1.1, opacity=0.6)
    dots = base.mark_point(size=46, stroke=_INK, strokeWidth=1.5, opacity=1, fillOpacity=1)
    fill = alt.condition("datum.held", alt.value("white"), alt.value(_INK))
    tips = [alt.Tooltip(t) for t in ("model:N", "scale:Q", "score:Q")]
    return [
        bars.encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        dots.encode(x=x, y=y, fill=fill, tooltip=tips),
    ]


def _rules(alt: Any, seen: Curve, up: axes.Range) -> list[Any]:
    """The floor, and the least that items which are right or wrong can show above it."""
    if not np.isfinite(seen.floor):
        return []
    above = seen.facts.low if seen.facts.higher_is_better else seen.facts.high
    rules = [("chance" if seen.floor != above else "floor", float(seen.floor))]
    n = seen.count[np.isfinite(seen.count)]
    if len(n) and seen.facts.binary and seen.facts.higher_is_better:
        error = np.sqrt(max(seen.floor * (1 - seen.floor), 1 / n.min()) / n.min())
        limit = 1 / n.min() if seen.floor == 0 else seen.floor + 1.64 * error
        rules.append((f"{n.min():,.0f} items show scores from {limit:.2g} on", float(limit)))
    near = 0.09 * (up[1] - up[0])
    if len(rules) == 2 and abs(rules[1][1] - rules[0][1]) < near:  # no room for two lines of words
        said = f"{rules[0][0]}; {rules[1][0]}"
        rules = [("", rules[0][1]), (said, rules[1][1])]
    rows = [{"score": v, "text": t} for t, v in rules if up[0] <= v <= up[1]]
    base = alt.Chart(alt.Data(values=rows))
    label = {"align": "right", "baseline": "bottom", "dx": -3, "dy": -2, "fontSize": 10}
    at = {"y": "score:Q", "x": alt.value(_WIDTH), "text": "text:N"}
    return [
        base.mark_rule(color=_RULE, strokeDash=[5, 4]).encode(y="score:Q"),
        base.mark_text(color=_DIM, **label).encode(**at),
    ]


def _target(alt: Any, f: Forecast, up: axes.Range, x: Any) -> list[Any]:
    low, high = f.interval(0.95)
    low, high = (float(np.clip(v, *up)) for v in (low, high))
    rows = [{"scale": f.at, "low": low, "high": high}]
    base = alt.Chart(alt.Data(values=rows))
    bar = base.mark_rule(color=_FAN, strokeWidth=2.2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    if not f.known:
        return [bar]
    dot = alt.Chart(alt.Data(values=[{"scale": f.at, "score": f.median}])).mark_point(
        shape="diamond", size=80, filled=True, color=_FAN, opacity=1
    )
    return [bar, dot.encode(x=x, y="score:Q")]


def sheet(charts: list[Any], columns: int = 2) -> Any:
    """Several charts on one sheet."""
    import altair as alt

    return themed(alt.concat(*charts, columns=columns, spacing=32).properties(padding=14))


def reliability(made: Backtest) -> Any:
    """Nominal against actual share below, for all held-out scores and those of series that move.

    Where all series move, or none, there is one line.
    """
    import altair as alt

    levels = np.linspace(0, 1, 41)
    rows = []
    moving = made.rows.filter("moves")
    parts = {"all": made.rows}
    if 0 < moving.height < made.rows.height:
        parts["series that move"] = moving
    for name, part in parts.items():
        pits = np.sort(part["pit"].to_numpy())
        share = np.searchsorted(pits, levels, side="right") / len(pits)
        rows += [
            {"nominal": float(a), "actual": float(b), "series": name}
            for a, b in zip(levels, share, strict=True)
        ]
    straight = alt.Chart(_data([{"a": 0.0}, {"a": 1.0}])).mark_line(color=_RULE, strokeDash=[5, 4])
    colour = alt.Color(
        "series:N",
        scale=alt.Scale(domain=list(parts), range=[_FAN, "#d55e00"][: len(parts)]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    line = alt.Chart(_data(rows)).mark_line(strokeWidth=2)
    drawn = alt.layer(
        straight.encode(x=alt.X("a:Q", title="nominal"), y=alt.Y("a:Q", title="actual")),
        line.encode(x="nominal:Q", y="actual:Q", color=colour),
    )
    title = alt.TitleParams(
        text="Reliability",
        subtitle=["share of held-out scores below each predicted quantile; straight: calibrated"],
        anchor="start",
        fontSize=14,
    )
    return drawn.properties(width=300, height=300, title=title)
