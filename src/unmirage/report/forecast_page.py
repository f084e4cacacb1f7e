"""Forecasts and backtests as one HTML file that opens offline, and as a section of the report."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from unmirage.forecasting.types import FARTHEST, Backtest, Forecasts
from unmirage.report import fans, forecasts, text
from unmirage.report.html import _asset, _harmless, _hash
from unmirage.report.pictures import render

#: so many charts are drawn on a page
MOST = 60


def to_html(made: Forecasts) -> str:
    """The whole page as text."""
    return _page("unmirage forecast", section(made))


def backtest_html(made: Backtest) -> str:
    head, *lines = forecasts.backtest_table(made)
    charts = [_svg(fans.reliability(made))]
    charts += [_svg(fans.fan(f, whole)) for f, whole in made.examples]
    return _page(
        "unmirage backtest",
        _render(_BACKTEST, head=head, lines=lines, charts=charts, settings=_settings(made)),
    )


def section(made: Forecasts) -> Markup:
    """The forecasts as a part of a page: a table, then the fans."""
    drawn = [_svg(fans.fan(f)) for f in made.forecasts[:MOST] if f.fan is not None]
    rows = [
        {
            "label": text.visible(f.key.label(), 120),
            "at": text.scale(f.at, f.curve.scale_name),
            "distance": f"{f.distance:+.2f}",
            "last": text.number(float(f.curve.score[-1])),
            "median": text.number(f.median) if f.known else "not known",
            "bands": [text.interval(list(f.interval(v))) if f.known else "" for v in (0.5, 0.8)],
            "widest": text.interval(list(f.interval(0.95))),
            "why": forecasts.why(f),
        }
        for f in made.forecasts
    ]
    return _render(
        _SECTION,
        rows=rows,
        charts=drawn,
        undrawn=len(made.forecasts) - len(drawn),
        refused=[f"{r.key.label()}: {r.reason}" for r in made.refused],
        farthest=f"{FARTHEST:g}",
        settings=_settings(made),
    )


def _settings(made: Forecasts | Backtest) -> list[tuple[str, str]]:
    return [(k, str(v)) for k, v in made.settings.items()]


def _svg(chart: Any) -> Markup:
    from unmirage.report.pictures import themed

    drawn = render(themed(chart), ".svg", 1.0).decode()
    return Markup(drawn)  # made by vl-convert, which escapes all text


def _render(template: str, **values: Any) -> Markup:
    env = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_harmless, trim_blocks=True
    )
    return Markup(env.from_string(template).render(**values))


def _page(title: str, body: Markup) -> str:
    style = _asset("page.css") + _STYLE
    return str(
        _render(_PAGE, title=title, body=body, style=Markup(style), style_hash=Markup(_hash(style)))
    )


_STYLE = """
.fans { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 1.2rem; }
.fans > div { background: #fff; border: 1px solid var(--rule); border-radius: 8px; padding: .4rem; overflow-x: auto; }
.fans svg { max-width: 100%; height: auto; }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{{ style_hash }}' 'unsafe-inline'; img-src data:">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{{ body }}
</main>
</body>
</html>
"""
_SECTION = """<section id="forecast">
<h2>Forecasts</h2>
<p class="lead">{{ rows|length }} forecasts. Intervals are predictive: of the score as it would be measured on as many items as
the rungs have. Farther beyond the rungs than {{ farthest }} times their own range the answer is: not known.</p>
<div class="scroll"><table>
<thead><tr><th>family / task / metric</th><th class="num">at</th><th class="num">decades beyond</th><th class="num">last</th>
<th class="num">median</th><th class="num">50 %</th><th class="num">80 %</th><th class="num">95 %</th><th>why so wide</th></tr></thead>
<tbody>
{% for r in rows %}
<tr><th scope="row">{{ r.label }}</th><td class="num">{{ r.at }}</td><td class="num">{{ r.distance }}</td><td class="num">{{ r.last }}</td>
<td class="num">{{ r.median }}</td>{% for b in r.bands %}<td class="num">{{ b }}</td>{% endfor %}<td class="num">{{ r.widest }}</td><td>{{ r.why }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="dim">Bands: 50, 80 and 95 %; line: median; diamond: the target; dashed: floor, and the least that the items show.</p>
<div class="fans">
{% for c in charts %}<div>{{ c }}</div>
{% endfor %}
</div>
{% if undrawn %}<p class="dim">{{ undrawn }} forecasts are not drawn.</p>{% endif %}
{% if refused %}<details><summary>{{ refused|length }} curves could not be forecast</summary><ul class="labels">
{% for r in refused %}<li>{{ r }}</li>{% endfor %}</ul></details>{% endif %}
<details><summary>Settings</summary><dl class="settings">{% for k, v in settings %}<dt>{{ k }}</dt><dd>{{ v }}</dd>{% endfor %}</dl></details>
</section>
"""
_BACKTEST = """<section id="backtest">
<h2>Skill and coverage</h2>
<p class="lead">The largest rungs are held out and forecast from the smaller ones. CRPS: smaller is better; shares in points of 1,
other metrics in ranges of their series. Skill: how much less CRPS than the best baseline.</p>
<div class="scroll"><table>
<thead><tr>{% for h in head %}<th class="num">{{ h }}</th>{% endfor %}</tr></thead>
<tbody>{% for line in lines %}<tr><th scope="row">{{ line[0] }}</th>{% for c in line[1:] %}<td class="num">{{ c }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
<div class="fans">
{% for c in charts %}<div>{{ c }}</div>
{% endfor %}
</div>
<details><summary>Settings</summary><dl class="settings">{% for k, v in settings %}<dt>{{ k }}</dt><dd>{{ v }}</dd>{% endfor %}</dl></details>
</section>
"""
