"""A multiverse as one HTML file that opens offline; all text of the records is escaped."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from unmirage.report import html, speccurve, text, words
from unmirage.report.groups import by_code
from unmirage.report.multiverse import SHOWN, view
from unmirage.report.view import View, judgement_view
from unmirage.types import Judgement, Multiverse, Share, Universe

#: tasks whose picture the page holds
DRAWN = 24


def to_html(found: Multiverse) -> str:
    """The whole page as text."""
    style, script = html.asset("page.css"), html.asset("page.js")
    seen = view(found)
    ordered = sorted(found.universes, key=lambda u: (-u.whole.share, u.family, u.task))
    rendered: str = html.template("multiverse.html.j2").render(
        title="unmirage multiverse",
        lead=_lead(found),
        universes=[_universe(f"u{i + 1}", u) for i, u in enumerate(ordered[:DRAWN])],
        rows=[_row(f"u{i + 1}" if i < DRAWN else "", u) for i, u in enumerate(ordered)],
        refused=[html.refused_of(g) for g in by_code(seen["refused"])],
        notes=[html.note_of(g) for g in by_code(seen["notes"])],
        settings=[(k, html.setting(v)) for k, v in seen["settings"].items()],
        verdicts=words.VERDICTS,
        shown=SHOWN,
        version=seen["version"],
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(html.digest_of(style)),
        script_hash=Markup(html.digest_of(script)),
        data=Markup(html.embedded(_data(seen))),
    )
    return rendered


def _data(seen: View) -> View:
    """What the page lets people save: all but the tables, which are long (--json, -o)."""
    light = [{k: v for k, v in u.items() if k != "table"} for u in seen["universes"]]
    return {**seen, "universes": light}


def _lead(found: Multiverse) -> str:
    looked = sum(u.whole.analyses for u in found.universes)
    reporting = sum(u.whole.reporting for u in found.universes)
    tasks = len(found.universes)
    return (
        f"What could an analyst have made of the same outputs? {looked:,} analyses of "
        f"{tasks:,} {'task' if tasks == 1 else 'tasks'}: {reporting:,} would report an ability."
    )


def _row(name: str, u: Universe) -> dict[str, Any]:
    return {
        "id": name,
        "family": text.shorten(u.family, 60),
        "task": text.shorten(u.task, 90),
        "analyses": f"{u.whole.analyses:,}",
        "share": f"{100 * u.whole.share:.0f} %",
        "value": u.whole.share,
        "interval": _interval(u.whole),
    }


def _universe(name: str, u: Universe) -> dict[str, Any]:
    drawn = len(speccurve.marks(u))
    return {
        **_row(name, u),
        "total": f"{u.total:,}",
        "curves": f"{u.table['curve'].n_unique():,}",
        "sampled": "all analyses" if len(u.sample) == u.total else f"{len(u.sample):,} at random",
        "verdicts": [
            {
                "verdict": s.level,
                "count": s.reporting,
                "symbol": words.sign(s.level).symbol,
                "share": f"{100 * s.share:.0f} %",
                "interval": _interval(s),
            }
            for s in u.verdicts
        ],
        "picture": Markup(speccurve.draw(u)),
        "drawn": f"{drawn:,}",
        "partly": drawn < u.total,
        "levels": [_level(s) for s in u.shares],
        "extremes": [
            _extreme("Create", u.create_says, u.judged.get(u.create)),
            _extreme("Dissolve", u.dissolve_says, u.judged.get(u.dissolve)),
        ],
    }


def _level(s: Share) -> dict[str, Any]:
    return {
        "choice": text.shorten(s.choice, 40),
        "level": text.shorten(s.level, 60),
        "count": f"{s.reporting:,} of {s.analyses:,}",
        "share": f"{100 * s.share:.0f} %",
        "interval": _interval(s),
        "word": s.word,
    }


def _interval(s: Share) -> str:
    return "–" if s.low != s.low else f"{100 * s.low:.0f} to {100 * s.high:.0f} %"


def _extreme(title: str, says: str, judged: Judgement | None) -> dict[str, Any]:
    if judged is None:
        return {"title": title, "says": says, "verdict": "", "figures": []}
    j = judgement_view(judged)
    return {
        "title": title,
        "says": says,
        "verdict": j["verdict"],
        "symbol": words.sign(j["verdict"]).symbol,
        "because": text.sentence(j["because"]),
        "figures": html.figures(j),
    }
