"""Forecasts and backtests as one HTML file that opens offline, and as a section of the report."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from unmirage.forecasting.types import Backtest, Forecast, Forecasts
from unmirage.report import fans, forecasts, text
from unmirage.report.html import asset, digest_of, template
from unmirage.report.pictures import render

#: so many charts are drawn on a page
MOST = 60


def to_html(made: Forecasts) -> str:
    """The whole page as text."""
    return _page("unmirage forecast", section(made))


def backtest_html(made: Backtest, by: str = "task") -> str:
    """The whole page as text, with a row of the table for each ``by``."""
    head, *lines = forecasts.backtest_table(made, by)
    charts = [_svg(fans.reliability(made))]
    charts += [_svg(fans.fan(f, whole)) for f, whole in made.examples]
    return _page(
        "unmirage backtest",
        _render(
            "backtest.html.j2",
            head=head,
            lines=lines,
            heads=forecasts.HEADS,
            more=forecasts.more_groups(made, by),
            doubts=forecasts.doubts(made),
            charts=charts,
            notes=_notes(made),
            refused=_refused(made),
            settings=_settings(made),
        ),
    )


def section(made: Forecasts) -> Markup:
    """The forecasts as a part of a page: a table, then the fans."""
    drawn = [_svg(fans.fan(f)) for f in made.forecasts[:MOST] if f.fan is not None]
    rows = [
        {
            "label": text.visible(f.key.label(), 120),
            "at": forecasts.target(f),
            "distance": _distance(f),
            "last": text.number(float(f.curve.score[-1])),
            "median": text.number(f.median) if f.known else "not known",
            "bands": [text.interval(list(f.interval(v))) if f.known else "" for v in (0.5, 0.8)],
            "widest": text.interval(list(f.interval(0.95))),
            "why": f"why so wide: {forecasts.why(f)}" if f.known else forecasts.why(f),
        }
        for f in made.forecasts
    ]
    return _render(
        "forecast.html.j2",
        rows=rows,
        charts=drawn,
        undrawn=len(made.forecasts) - len(drawn),
        notes=_notes(made),
        refused=_refused(made),
        farthest=f"{forecasts.farthest(made):g}",
        sampled=forecasts.sampled(made),
        settings=_settings(made),
    )


def _distance(f: Forecast) -> str:
    if f.distance <= 0:
        return "inside"
    return f"{f.distance:.2f} below" if forecasts.below(f) else f"{f.distance:+.2f}"


def _notes(made: Forecasts | Backtest) -> list[str]:
    return [text.visible(n) for n in forecasts.notes(made)]


def _refused(made: Forecasts | Backtest) -> list[str]:
    return [text.visible(f"{r.key.label()}: {r.reason}") for r in made.refused]


def _settings(made: Forecasts | Backtest) -> list[tuple[str, str]]:
    return [(k, str(v)) for k, v in made.settings.items()]


def _svg(chart: Any) -> Markup:
    from unmirage.report.pictures import themed

    drawn = render(themed(chart), ".svg", 1.0).decode()
    return Markup(drawn)  # made by vl-convert, which escapes all text


def _render(name: str, **values: Any) -> Markup:
    return Markup(template(name).render(**values))


def _page(title: str, body: Markup) -> str:
    style = asset("page.css") + asset("forecast.css")
    return str(
        _render(
            "forecast_page.html.j2",
            title=title,
            body=body,
            style=Markup(style),
            style_hash=Markup(digest_of(style)),
        )
    )
