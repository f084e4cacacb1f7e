"""PNG and SVG of any curve, drawn by Altair; no browser, no network, no statistics."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from unmirage.errors import OptionError
from unmirage.report import axes, marks, text, words
from unmirage.report.files import write
from unmirage.report.view import View, judgement_view
from unmirage.types import Audit, Judgement

_INK, _DIM, _RULE, _LAW, _PUSH = "#1c2430", "#5b6675", "#e3e7ec", "#0072b2", "#c24e00"
_FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
_WIDTH, _HEIGHT = 400, 250
#: Pixels of a PNG for each pixel of the SVG.
_SHARP = 2.0


def chart(judgement: Judgement | View) -> Any:
    """An ``altair.HConcatChart``: the curve, and beside it the same outputs under the companion.

    Takes a judgement or one entry of ``audits`` of the JSON.
    """
    import altair as alt

    j = judgement_view(judgement) if isinstance(judgement, Judgement) else judgement
    panels = [_panel(alt, j, j["curve"], j["smooth"], j["pushed"], _caption(j, "curve"))]
    if j["companion"] is not None:
        other, line = j["companion"], j["companion_smooth"]
        panels.append(_panel(alt, j, other, line, None, _caption(j, "companion")))
    title = alt.TitleParams(
        text=text.shorten(f"{j['task']} under {j['metric']}", 60 if len(panels) > 1 else 40),
        subtitle=_subtitle(j, 100 if len(panels) > 1 else 56),
        anchor="start",
        offset=14,
    )
    return themed(alt.hconcat(*panels, spacing=36).properties(title=title, padding=16))


def save_picture(
    what: Judgement | View | Audit, path: str | os.PathLike[str], *, scale: float = _SHARP
) -> Path:
    """Write one curve as ``.png`` or ``.svg``.

    Raises:
        OptionError: another suffix, or an audit that holds not exactly one curve.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".svg"):
        raise OptionError(f"pictures are .png or .svg, not {suffix!r}", mend="change the suffix")
    if isinstance(what, Audit):
        if len(what.judgements) != 1:
            raise OptionError(
                f"one picture shows one curve; this audit holds {len(what.judgements)}",
                mend="pass one of audit.judgements, or use save_pictures(audit, folder)",
            )
        what = what.judgements[0]
    return write(path, render(chart(what), suffix, scale))


def save_pictures(
    audit: Audit,
    folder: str | os.PathLike[str],
    *,
    most: int | None = 200,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """PNG and SVG of every curve (the first ``most``, the interesting verdicts first)."""
    ordered = sorted(audit.judgements, key=lambda j: (words.rank(j.verdict), j.key.label()))
    chosen = ordered[:most]
    written = []
    for done, judgement in enumerate(chosen):
        drawn, name = chart(judgement), file_name(judgement)
        for suffix in (".png", ".svg"):
            written.append(write(Path(folder) / (name + suffix), render(drawn, suffix, _SHARP)))
        if progress:
            progress(done + 1, len(chosen))
    return written


def file_name(judgement: Judgement) -> str:
    """A name that every file system takes, and that no other curve has."""
    label = judgement.key.label()
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-.")[:80].rstrip("-.") or "curve"
    key = (judgement.key, judgement.curve.scale_name)
    return f"{plain}-{sha1(repr(key).encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def render(drawn: Any, suffix: str, scale: float) -> bytes:
    import vl_convert

    spec = drawn.to_json(indent=None)
    if suffix == ".svg":
        return _own_ids(str(vl_convert.vegalite_to_svg(spec))).encode("utf-8")
    return bytes(vl_convert.vegalite_to_png(spec, scale=scale))


def _own_ids(svg: str) -> str:
    """Clip paths named after the picture: vl-convert counts them on from picture to picture."""
    names = re.findall(r' id="(clip\d+)"', svg)
    order = {name: str(i) for i, name in enumerate(dict.fromkeys(names))}

    def numbered(before: str) -> str:
        pattern = r'( id="|="url\(#)(clip\d+)'
        return re.sub(pattern, lambda m: m[1] + before + order.get(m[2], m[2]), svg)

    digest = sha256(numbered("").encode()).hexdigest()[:12]
    return numbered(f"clip-{digest}-")


# ---------------------------------------------------------------- words


def _subtitle(j: View, width: int) -> list[str]:
    why = " and ".join(j["explained_by"])
    before = ", may be " if j["verdict"] == "undecided" else ", explained by "
    verdict = j["verdict"] + (before + why if why else "")
    held = ", ".join(f"{k} = {v}" for k, v in j["settings"].items())
    place = f"{j['family']} · {held}" if held else j["family"]
    return [text.shorten(place, width), text.shorten(verdict, width)]


def _caption(j: View, which: str) -> list[str]:
    curve = j[which]
    title = text.shorten(curve["title"], 44) + (
        f" ({text.shorten(curve['unit'], 16)})" if curve["unit"] else ""
    )
    line = j["smooth" if which == "curve" else "companion_smooth"]
    notes = ["the same outputs" if which == "companion" else ""]
    notes.append("" if curve["higher_is_better"] else "lower is better")
    notes.append(f"line: {line['law']}" if line else "")
    if which == "curve" and j["pushed"]:
        notes.append("dots: what the companion predicts")
    return [title, text.shorten(" · ".join(n for n in notes if n), 70)]


# ---------------------------------------------------------------- layers


def _panel(
    alt: Any,
    j: View,
    curve: View,
    smooth: View | None,
    pushed: list[float | None] | None,
    caption: list[str],
) -> Any:
    points = [p for p in curve["points"] if p["score"] is not None and p["scale"]]
    across = axes.scale_range([p["scale"] for p in points])
    up = axes.score_range(curve, smooth, pushed)
    extras: list[Any] = _step(alt, marks.step(j, companion=True))
    hollow: set[float] = set()
    if curve is j["curve"]:
        rules = _near(j)
        up = axes.score_range(curve, smooth, pushed, [r.score for r in rules])
        up = axes.label_room(up, rules[0].score if rules else None)
        extras, hollow = _step(alt, marks.step(j)) + _rules(alt, j, up), marks.below_floor(j)
    base = alt.Chart(alt.Data(values=_clipped(points, up, hollow)))
    x, y = _x(alt, across, j["scale_name"]), _y(alt, up)
    layers = [*extras, *_line(alt, smooth, up)]
    if pushed is not None:
        layers.append(_dots(alt, points, curve, pushed))
    layers.append(
        base.mark_rule(color=_INK, strokeWidth=1.2, opacity=0.75).encode(
            x=x, y="low:Q", y2="high:Q"
        )
    )
    layers.append(
        base.mark_point(size=52, stroke=_INK, strokeWidth=1.6, opacity=1, fillOpacity=1).encode(
            x=x,
            y=y,
            fill=alt.condition("datum.hollow", alt.value("white"), alt.value(_INK)),
            tooltip=_tooltip(alt),
        )
    )
    title = alt.TitleParams(text=caption[0], subtitle=caption[1], anchor="start", fontSize=13)
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _clipped(points: list[View], up: axes.Range, hollow: set[float]) -> list[View]:
    """Points with their intervals cut at the panel's edge; unknown intervals have no bar."""
    low, high = up
    return [
        {
            **p,
            "model": text.visible(p["model"], 80),
            "hollow": p["scale"] in hollow,
            "low": None if p["low"] is None else max(p["low"], low),
            "high": None if p["high"] is None else min(p["high"], high),
        }
        for p in points
    ]


def _x(alt: Any, across: axes.Range, name: str) -> Any:
    values = axes.scale_ticks(across)
    labels = dict(
        zip((f"{v:.12g}" for v in values), axes.scale_tick_texts(values, name), strict=True)
    )
    table = ",".join(f"'{value}':'{label}'" for value, label in labels.items())
    return alt.X(
        "scale:Q",
        title=words.scale_title(name),
        scale=alt.Scale(type="log", domain=[10.0 ** across[0], 10.0 ** across[1]], nice=False),
        axis=alt.Axis(
            values=values, grid=False, labelExpr=f"{{{table}}}[format(datum.value, '.12~g')]"
        ),
    )


def _y(alt: Any, up: axes.Range) -> Any:
    values = axes.ticks(up)
    return alt.Y(
        "score:Q",
        title=None,
        scale=alt.Scale(domain=list(up), nice=False, zero=False),
        axis=alt.Axis(values=values, format=f",.{axes.decimals(values)}f"),
    )


def _line(alt: Any, smooth: View | None, up: axes.Range) -> list[Any]:
    if smooth is None:
        return []
    columns = zip(smooth["scale"], smooth["score"], smooth["low"], smooth["high"], strict=True)
    rows = [
        {"scale": s, "score": v, "low": max(low, up[0]), "high": min(high, up[1])}
        for s, v, low, high in columns
        if None not in (s, v, low, high)
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(x="scale:Q")
    return [
        base.mark_area(color=_LAW, opacity=0.15, clip=True).encode(y="low:Q", y2="high:Q"),
        base.mark_line(color=_LAW, strokeWidth=2, clip=True).encode(y="score:Q"),
    ]


def _dots(alt: Any, points: list[View], curve: View, pushed: list[float | None]) -> Any:
    scales = [p["scale"] for p in curve["points"]]
    pairs = zip(scales, pushed, strict=True)
    rows = [{"scale": s, "score": v} for s, v in pairs if v is not None]
    mark = {"color": _PUSH, "strokeWidth": 3, "strokeDash": [0.1, 5.5], "strokeCap": "round"}
    return alt.Chart(alt.Data(values=rows)).mark_line(**mark).encode(x="scale:Q", y="score:Q")


def _step(alt: Any, step: tuple[float, float] | None) -> list[Any]:
    if step is None:
        return []
    rows = alt.Data(values=[{"from": step[0], "to": step[1]}])
    mark = alt.Chart(rows).mark_rect(color="#e69f00", opacity=0.14)
    return [mark.encode(x="from:Q", x2="to:Q")]


def _near(j: View) -> list[marks.Rule]:
    """Rules that do not squeeze the curve by being far from it."""
    scores = [p["score"] for p in j["curve"]["points"] if p["score"] is not None] or [0.0]
    span = max(scores) - min(scores)
    return [r for r in marks.rules(j) if min(scores) - span <= r.score <= max(scores) + span]


def _rules(alt: Any, j: View, up: axes.Range) -> list[Any]:
    rules = _near(j)
    if not rules:
        return []
    first = rules[0].score
    close = 0.015 * (up[1] - up[0])
    apart = [r.score for r in rules if r.score == first or abs(r.score - first) > close]
    lines = alt.Chart(alt.Data(values=[{"score": s} for s in apart])).mark_rule(
        color="#77808c", strokeDash=[6, 4]
    )
    below = axes.below(up, first)
    said = " · ".join(r.text for r in rules)
    label = alt.Chart(alt.Data(values=[{"score": first, "text": said}])).mark_text(
        align="right",
        baseline="top" if below else "bottom",
        dy=4 if below else -4,
        dx=-2,
        color=_DIM,
        fontSize=11,
    )
    at = {"x": alt.value(_WIDTH), "y": "score:Q", "text": "text:N"}
    return [lines.encode(y="score:Q"), label.encode(**at)]


def _tooltip(alt: Any) -> list[Any]:
    fields = ("model:N", "scale:Q", "score:Q", "low:Q", "high:Q", "n:Q")
    return [alt.Tooltip(f) for f in fields]


def themed(drawn: Any) -> Any:
    label = {"labelColor": _DIM, "labelFontSize": 11.5, "titleColor": _DIM, "titleFontSize": 12}
    return (
        drawn.configure(font=_FONT, background="white")
        .configure_view(stroke=None)
        .configure_axis(**label, titleFontWeight="normal", gridColor=_RULE, labelPadding=5)
        .configure_axisX(
            domainColor="#9aa4b0",
            tickColor="#9aa4b0",
            tickSize=5,
            labelOverlap=True,
            labelFlush=False,
        )
        .configure_axisY(domain=False, ticks=False)
        .configure_title(
            color=_INK,
            fontSize=17,
            fontWeight=600,
            subtitleColor=_DIM,
            subtitleFontSize=12,
            subtitlePadding=5,
        )
    )
