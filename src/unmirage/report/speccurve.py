"""A specification curve: analyses sorted by their emergence score, and below each what it chose.

Simonsohn, Simmons and Nelson 2020, doi:10.1038/s41562-020-0912-z. It draws; it computes nothing.
On the page the style sheet gives the colours; a picture on its own brings them along.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from hashlib import sha1
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.auditing.case import SHARP
from unmirage.report import text, words
from unmirage.report.files import write
from unmirage.types import Multiverse, Universe

#: analyses drawn at most
MOST = 150
WIDTH, LEFT, RIGHT = 920, 206, 14
_PANEL, _GAP, _ROW, _TOP = 120, 26, 13, 8
#: a score beyond this many times that of a straight line is drawn at the edge
_CLIP = 1000.0

_STYLE = """
svg{background:#fff;font-family:"Helvetica Neue",Helvetica,Arial,sans-serif}
.g{stroke:#e3e7ec;fill:none}
.f{stroke:#77808c;stroke-dasharray:6 4;fill:none}
.a{font-size:11px;fill:#5b6675}.n{font-size:12px;font-weight:600;fill:#1c2430}.band{fill:#f5f7f9}
.m{stroke-width:1.6}.h{font-size:17px;font-weight:600;fill:#1c2430}.s{font-size:12px;fill:#5b6675}
"""


@dataclass(frozen=True)
class Mark:
    """One analysis."""

    row: int
    levels: dict[str, str]
    per_step: float
    steepness: float
    reports: bool
    verdict: str | None


def marks(universe: Universe) -> list[Mark]:
    """The analyses that are drawn, sorted: all, else MOST, those that were judged first.

    What room they leave is for others, taken evenly from lowest to highest.
    """
    order = ("per_step", "steepness", "row")
    table = universe.table.with_row_index("row").sort(*order)
    if table.height > MOST:
        is_judged = pl.col("row").is_in(sorted(universe.judged))
        judged = _evenly(table.filter(is_judged), MOST)
        others = _evenly(table.filter(~is_judged), MOST - judged.height)
        table = pl.concat([judged, others]).sort(*order)
    shown = shown_choices(universe)
    return [
        Mark(
            r["row"],
            {c: r[c] for c in shown},
            r["per_step"],
            r["steepness"],
            r["reports"],
            r["verdict"],
        )
        for r in table.iter_rows(named=True)
    ]


def _evenly(table: pl.DataFrame, most: int) -> pl.DataFrame:
    if table.height <= most:
        return table
    return table[[i * table.height // most for i in range(most)]]


def shown_choices(universe: Universe) -> dict[str, tuple[str, ...]]:
    """Choices between several levels."""
    return {c: levels for c, levels in universe.choices.items() if len(levels) > 1}


def draw(universe: Universe, *, alone: bool = False) -> str:
    """The picture as an ``<svg>`` element; ``alone``: as a file of its own."""
    drawn, choices = marks(universe), shown_choices(universe)
    x = _places(len(drawn))
    parts, bottom = (_heading(universe, len(drawn)), 78.0) if alone else ([], float(_TOP))
    for title, said, values, line in (
        ("emergence score", "per step; straight line = 1", [m.per_step for m in drawn], 1.0),
        ("steepness", f"line = 1; sharp from {SHARP:g}", [m.steepness for m in drawn], SHARP),
    ):
        parts += [_text(8, bottom + 12, title, "start", "n"), _text(8, bottom + 28, said, "start")]
        parts += _panel(values, line, drawn, x, bottom)
        bottom += _PANEL + _GAP
    for choice, levels in choices.items():
        parts += _matrix(choice, levels, drawn, x, bottom)
        bottom += _ROW * (len(levels) + 1) + 10
    label = escape(alternative(universe, len(drawn)), quote=True)
    head = f'<svg viewBox="0 0 {WIDTH} {bottom:.0f}" role="img" aria-label="{label}"'
    if not alone:
        return f"{head}>{''.join(parts)}</svg>"
    paint = "".join(f".v-{v}{{fill:{s.paint};stroke:{s.paint}}}" for v, s in words.VERDICTS.items())
    style = (
        f"<style>{_STYLE}{paint}.v-none{{fill:#9aa4b0;stroke:#9aa4b0}}.hollow{{fill:#fff}}</style>"
    )
    size = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom:.0f}"'
    paper = f'<rect width="{WIDTH}" height="{bottom:.0f}" fill="#fff"/>'
    return f"{head} {size}>{style}{paper}{''.join(parts)}</svg>\n"


def alternative(universe: Universe, drawn: int) -> str:
    """The picture in one sentence, for those who cannot see it."""
    whole = universe.whole
    return (
        f"{drawn} analyses of {text.visible(universe.task, 80)} sorted by emergence score, and the "
        f"choices of each; {whole.reporting} of {whole.analyses} report an ability"
    )


def render(universe: Universe, suffix: str, scale: float = 2.0) -> bytes:
    """The picture as ``.svg`` or ``.png``, in bytes."""
    drawn = draw(universe, alone=True)
    if suffix == ".svg":
        return drawn.encode("utf-8", "backslashreplace")
    import vl_convert

    return bytes(vl_convert.svg_to_png(drawn, scale=scale))


def save_all(found: Multiverse, folder: Path, *, progress: Any = None) -> list[Path]:
    """PNG and SVG of every task into a folder."""
    written = []
    for done, universe in enumerate(found.universes):
        key = (universe.family, universe.task)
        digest = sha1(repr(key).encode("utf-8", "surrogatepass")).hexdigest()[:6]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(key)).strip("-.")[:80] or "task"
        for suffix in (".svg", ".png"):
            path = folder / f"{name}-{digest}{suffix}"
            written.append(write(path, render(universe, suffix)))
        if progress:
            progress(done + 1, len(found.universes))
    return written


# ---------------------------------------------------------------- parts


def _places(n: int) -> list[float]:
    step = (WIDTH - LEFT - RIGHT) / max(n, 1)
    return [LEFT + (i + 0.5) * step for i in range(n)]


def _heading(universe: Universe, drawn: int) -> list[str]:
    """Title, what is drawn of what there is, and the colours."""
    whole = universe.whole
    said = f"{whole.reporting:,} of {whole.analyses:,} analyses would report an ability"
    if drawn < universe.total:
        said += f"; drawn are {drawn:,} of {universe.total:,}"
    name = f"{text.shorten(universe.family, 36)} / {text.shorten(universe.task, 50)}"
    parts = [_text(8, 22, name, "start", "h"), _text(8, 42, said, "start", "s")]
    x = 8.0
    names = [v for v in words.VERDICTS if v in {j.verdict for j in universe.judged.values()}]
    for verdict, name in [(v, v) for v in names] + [("none", "not judged")]:
        parts.append(f'<circle class="m v-{verdict}" cx="{x + 4:.0f}" cy="58" r="4"/>')
        parts.append(_text(x + 13, 62, name, "start", "s"))
        x += 28 + 7 * len(name)
    parts.append(f'<circle class="m v-none hollow" cx="{x + 4:.0f}" cy="58" r="4"/>')
    return [*parts, _text(x + 13, 62, "reports no ability", "start", "s")]


def _panel(
    values: list[float], line: float, drawn: list[Mark], x: list[float], top: float
) -> list[str]:
    """Dots on a logarithmic axis; what has no finite place lies at the edge."""
    finite = [v for v in values if math.isfinite(v) and 0 < v <= _CLIP]
    low = math.floor(math.log10(min([*finite, line, 1.0])))
    high = math.ceil(math.log10(max([*finite, line * 1.5])))
    low = max(low, -2)

    def place(v: float) -> float:
        if not v > 0:  # falls, or does not rise at all
            return top + _PANEL
        share = (math.log10(min(v, 10.0**high)) - low) / (high - low)
        return top + _PANEL * (1 - min(max(share, 0.0), 1.0))

    parts = []
    for power in range(low, high + 1):
        y = place(10.0**power)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{10.0**power:g}", "end"))
    y = place(line)
    parts.append(f'<path class="f" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
    spots = zip(drawn, x, values, strict=True)
    return parts + [_dot(m, at, place(v), v) for m, at, v in spots if not math.isnan(v)]


def _dot(mark: Mark, x: float, y: float, value: float) -> str:
    kind = f"m v-{mark.verdict or 'none'}" + ("" if mark.reports else " hollow")
    said = ", ".join(f"{c} {v}" for c, v in mark.levels.items())
    verdict = f"; {mark.verdict}" if mark.verdict else ""
    tip = escape(text.visible(f"{text.number(value)}{verdict}; {said}", 400))
    spot = f'cx="{x:.1f}" cy="{y:.1f}" r="3.2"'
    if math.isinf(value):
        d = f"M{x - 3.5:.1f} {y + 3:.1f}h7l-3.5 -6z"
        return f'<path class="{kind}" d="{d}"><title>{tip}</title></path>'
    return f'<circle class="{kind}" {spot}><title>{tip}</title></circle>'


def _matrix(
    choice: str, levels: tuple[str, ...], drawn: list[Mark], x: list[float], top: float
) -> list[str]:
    """One row a level, one tick for each analysis that chose it."""
    parts = [_text(8, top + 10, choice, "start", "n")]
    thick = max(1.0, min(5.0, 0.7 * (WIDTH - LEFT - RIGHT) / max(len(drawn), 1)))
    for i, level in enumerate(levels):
        y = top + _ROW * (i + 1)
        if i % 2 == 0:
            wide = WIDTH - LEFT - RIGHT
            parts.append(
                f'<rect class="band" x="{LEFT}" y="{y:.1f}" width="{wide}" height="{_ROW}"/>'
            )
        parts.append(_text(LEFT - 6, y + 10, text.shorten(level, 30), "end"))
        for mark, at in zip(drawn, x, strict=True):
            if mark.levels[choice] == level:
                kind = f"v-{mark.verdict or 'none'}"
                parts.append(
                    f'<rect class="{kind}" x="{at - thick / 2:.1f}" y="{y + 3:.1f}" '
                    f'width="{thick:.1f}" height="{_ROW - 6}"/>'
                )
    return parts


def _text(x: float, y: float, said: str, anchor: str, kind: str = "a") -> str:
    clean = escape(text.visible(said, 120))
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{clean}</text>'
