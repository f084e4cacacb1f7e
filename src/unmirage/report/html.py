"""The audit as one HTML file that opens offline: no network, no framework, charts as inline SVG."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from unmirage.report import marks, svg, text, words
from unmirage.report.groups import by_code, message
from unmirage.report.view import View, view
from unmirage.types import Audit

#: With at most this many curves the findings lie open from the start.
_OPEN = 3


def to_html(audit: Audit, forecasts: Markup | None = None) -> str:
    """The whole page as text; ``forecasts``: the section of forecast_page, beside the audit."""
    return page(view(audit), forecasts)


def page(audit: View, forecasts: Markup | None = None) -> str:
    """The page of a view, also of one that was read back from JSON."""
    style, script = asset("page.css"), asset("page.js")
    if forecasts is not None:
        style += asset("forecast.css")
    order = sorted(range(len(audit["audits"])), key=lambda i: _order(audit["audits"][i]))
    judged = [(f"c{i + 1}", audit["audits"][i]) for i in order]
    rendered: str = template("page.html.j2").render(
        title="unmirage audit",
        lead=lead(audit),
        tiles=[_tile(v, audit) for v in words.VERDICTS if v in audit["summary"]["by_verdict"]],
        rows=[_row(name, j) for name, j in judged],
        cards=[_card(name, j) for name, j in judged],
        open=len(judged) <= _OPEN,
        refused=[refused_of(g) for g in by_code(audit["refused"])],
        notes=[note_of(g) for g in by_code(audit["notes"])],
        forecasts=forecasts or "",
        settings=[(k, setting(v)) for k, v in audit["settings"].items()],
        verdicts=words.VERDICTS,
        explanations=words.EXPLANATIONS,
        version=audit["version"],
        data=Markup(embedded(audit)),
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(digest_of(style)),
        script_hash=Markup(digest_of(script)),
    )
    return rendered


def lead(audit: View) -> str:
    """One line: what was audited."""
    judged = audit["audits"]
    families = {j["family"] for j in judged}
    tasks, metrics = {j["task"] for j in judged}, {j["metric"] for j in judged}
    line = (
        f"{_count(len(judged), 'curve')}: {_count(len(families), 'family', 'families')}, "
        f"{_count(len(tasks), 'task')}, {_count(len(metrics), 'metric')}."
    )
    refused = len(audit["refused"])
    return line + (f" {_count(refused, 'curve')} could not be audited." if refused else "")


# ---------------------------------------------------------------- parts of the page


def _order(j: View) -> tuple[int, str, str, str]:
    return words.rank(j["verdict"]), j["family"], j["task"], j["label"]


def _tile(verdict: str, audit: View) -> dict[str, Any]:
    causes = audit["summary"]["by_explanation"] if verdict == "mirage" else {}
    detail = ", ".join(f"{name} {count}" for name, count in causes.items() if count)
    count = audit["summary"]["by_verdict"][verdict]
    symbol = words.sign(verdict).symbol
    return {"verdict": verdict, "count": count, "symbol": symbol, "detail": detail}


def _named(j: View) -> dict[str, Any]:
    """What a row of the table and a card share."""
    return {
        "verdict": j["verdict"],
        "symbol": words.sign(j["verdict"]).symbol,
        "family": text.shorten(j["family"], 60),
        "task": text.shorten(j["task"], 90),
        "metric": text.shorten(j["metric"], 60),
        "settings": ", ".join(
            f"{text.shorten(k, 30)} = {text.shorten(v, 40)}" for k, v in j["settings"].items()
        ),
        "explained": " and ".join(j["explained_by"]),
    }


def _row(name: str, j: View) -> dict[str, Any]:
    scores = [p["score"] for p in j["curve"]["points"] if p["score"] is not None] or [0.0]
    return {
        **_named(j),
        "id": name,
        "rank": words.rank(j["verdict"]),
        "spark": Markup(svg.spark(j["curve"])),
        "rise": f"{text.number(scores[0])} → {text.number(scores[-1])}",
        "size": scores[-1] - scores[0],
    }


def _card(name: str, j: View) -> dict[str, Any]:
    points, scale = j["curve"]["points"], j["scale_name"]
    ends = [text.scale(p["scale"], scale) for p in points]
    return {
        **_named(j),
        "id": name,
        "models": f"{len(points)} models, {ends[0]} to {ends[-1]} {words.scale_title(scale)}"
        if points
        else "no models",
        "because": text.sentence(j["because"]),
        "would_change": text.sentence(j["would_change"]),
        "figures": figures(j),
        "alone": _alone(j),
        "findings": [_finding(f) for f in j["findings"]],
        "scale": words.scale_title(scale),
        "companion": j["companion"] and j["companion"]["title"],
        "points": _points(j),
        "notes": j["notes"],
    }


def figures(j: View) -> list[dict[str, Any]]:
    """The panels of one judgement: the curve, and beside it its companion."""
    main = svg.Panel(
        curve=j["curve"],
        scale_name=j["scale_name"],
        smooth=j["smooth"],
        pushed=j["pushed"],
        rules=marks.rules(j),
        step=marks.step(j),
        hollow=marks.below_floor(j),
    )
    drawn = [_figure(main, "as claimed" if j["companion"] else "")]
    if j["companion"] is not None:
        jump = marks.step(j, companion=True)
        other = svg.Panel(j["companion"], j["scale_name"], j["companion_smooth"], step=jump)
        drawn.append(_figure(other, f"the same outputs, {_kind(j['companion'])} metric"))
    return drawn


def _alone(j: View) -> str:
    """Why there is no second panel."""
    linear = j["curve"]["linear"] and j["curve"]["continuous"]
    if j["companion"] is not None or linear or j["verdict"] == "smooth":
        return ""
    if j["curve"]["rescored"]:
        return "The outputs behind these scores hold nothing that a linear metric could score."
    return (
        "These are reported scores without the outputs behind them, so they cannot be scored "
        "again under a linear metric. Per-item outputs would put a second panel here."
    )


def _figure(panel: svg.Panel, detail: str) -> dict[str, Any]:
    curve = panel.curve
    way = "" if curve["higher_is_better"] else "lower is better"
    unit = f"in {curve['unit']}" if curve["unit"] else ""
    return {
        "title": curve["title"],
        "detail": ", ".join(part for part in (detail, unit, way) if part),
        "svg": Markup(svg.draw(panel)),
        "law": f"line: {panel.smooth['law']}" if panel.smooth else "",
    }


def _kind(curve: View) -> str:
    return "linear" if curve["linear"] else "continuous" if curve["continuous"] else "another"


def _finding(f: View) -> dict[str, str]:
    return {
        "title": words.title_of(f["test"]),
        "evidence": text.sentence(f["evidence"]),
        "reference": f["reference"],
        "statistic": text.number(f["statistic"]),
        "interval": text.interval(f["interval"]),
        "p": text.probability(f["p_value"]),
    }


def _points(j: View) -> list[dict[str, str]]:
    others = {p["scale"]: p["score"] for p in (j["companion"] or {"points": []})["points"]}
    return [
        {
            "model": text.shorten(p["model"], 60),
            "scale": text.scale(p["scale"], j["scale_name"]),
            "score": text.number(p["score"], 4),
            "interval": text.interval([p["low"], p["high"]]) if p["low"] is not None else "–",
            "n": text.number(p["n"]),
            "other": text.number(others.get(p["scale"]), 4),
        }
        for p in j["curve"]["points"]
    ]


def refused_of(group: Any) -> dict[str, Any]:
    one = group.first
    reason, mend = one["reason"].rstrip("."), one["mend"]
    return {"title": group.title, "reason": reason, "mend": mend, "members": group.members}


def note_of(group: Any) -> dict[str, Any]:
    messages = [
        text.visible(message(n)) + (f" ({text.visible(n['file'])})" if n["file"] else "")
        for n in group.members
    ]
    return {"title": group.title, "level": group.first["level"], "messages": messages}


def setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(n: int, one: str, more: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else more or one + 's'}"


# ---------------------------------------------------------------- machinery


@cache
def template(name: str) -> Any:
    """A page of the folder of assets; whatever it prints is escaped."""
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.from_string(asset(name))


def _harmless(value: Any) -> Any:
    """Control characters of any text that the template prints are shown, not obeyed."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.visible(value)
    return "" if value is None else value


@cache
def asset(name: str) -> str:
    return (files("unmirage.report") / "assets" / name).read_text("utf-8")


def digest_of(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"sha256-{digest}"


def embedded(audit: View) -> str:
    """JSON that cannot end the script element it lies in."""
    raw = json.dumps(audit, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        raw = raw.replace(char, f"\\u{ord(char):04x}")
    return text.json_safe(raw)
