"""Cards of metrics as text, Markdown, JSON and pictures; it computes no statistics."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from unmirage.cards.card import FAMILY, Card, Response, dial
from unmirage.report import axes, text
from unmirage.report.files import write
from unmirage.report.markdown import safe
from unmirage.report.panels import COLOURS
from unmirage.report.view import numbers, package_version, plain

SCHEMA = "unmirage.metric/1"

# ---------------------------------------------------------------- text


def facts_of(card: Card) -> list[tuple[str, str]]:
    """What is declared, as pairs of words."""
    fact, metric = card.metric.facts, card.metric
    part = dial(metric)[1]
    unit = f" {fact.unit}" if fact.unit else ""
    better = "higher" if fact.higher_is_better else "lower"
    extra = f" (extra {metric.extra})" if metric.extra else ""
    return [
        ("title", fact.title),
        ("source", metric.reference),
        ("also called", ", ".join(metric.aliases) or "–"),
        ("needs", ", ".join(n.replace("|", " or ") for n in metric.needs) + extra),
        ("range", f"{text.number(fact.low)} to {text.number(fact.high)}{unit}, {better} is better"),
        ("chance", "–" if card.chance is None else f"{text.number(card.chance)} of four choices"),
        ("linear", f"{_yes(fact.linear)}, in the per-{part} quantity at fixed length"),
        ("continuous", _yes(fact.continuous) + ", in the model's probabilities"),
        ("0 or 1", _yes(fact.binary)),
        ("scored from", _FORCING[fact.forcing]),
    ]


_FORCING = {
    "teacher": "log-probabilities of the given target",
    "free": "generated text",
    "choice": "log-probabilities of given options",
    "reported": "a table",
}


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def measured_of(card: Card) -> list[tuple[str, str]]:
    """What the simulation found, as pairs of words."""
    if not card.installed:
        return [("measured", f"not here: pip install 'unmirage[{card.metric.extra}]'")]
    pairs = [
        ("scores seen", f"{text.number(card.seen[0])} to {text.number(card.seen[1])}"),
        (
            "bend",
            f"{text.number(card.bend, 2)} of the range off a straight line in the {card.quantity}",
        ),
        (
            "jump",
            f"one item changes by up to {text.number(card.jump, 2)} of its range where the error "
            "changes by 0.001",
        ),
    ]
    if card.guess is not None:
        pairs.append(("a guesser", f"scores {text.number(card.guess)}"))
    return pairs


def headings(card: Card) -> tuple[str, ...]:
    """Above the columns of :func:`rows_of`."""
    return (f"{dial(card.metric)[1]}s", "at error 0.1", "steepness", "90 %", "along scale")


def rows_of(card: Card) -> list[tuple[str, ...]]:
    """One row a target length."""
    return [
        (
            str(r.tokens),
            text.number(_at(r, 0.1)),
            text.number(r.steepness),
            text.interval(list(r.interval)),
            text.number(r.along_scale),
        )
        for r in card.responses
    ]


def _at(response: Response, error: float) -> float:
    """The score at the tried error nearest to this one."""
    nearest = min(range(len(response.error)), key=lambda i: abs(response.error[i] - error))
    return float(response.score[nearest])


def to_text(card: Card) -> str:
    """For the terminal."""
    lines = [card.metric.name, "=" * len(card.metric.name), "", *_wrapped(card.definition), ""]
    lines += [f"{name:12} {value}" for name, value in facts_of(card)]
    lines += ["", "Measured by simulation", ""]
    lines += [f"{name:12} {value}" for name, value in measured_of(card)]
    if card.responses:
        turned, part = dial(card.metric)
        lines += ["", f"Response to the {turned}, by the number of {part}s:", ""]
        rows = [headings(card), *rows_of(card)]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  " + "  ".join(c.rjust(w) for c, w in zip(r, wide, strict=True)) for r in rows]
        lines += ["", _legend_of(card)]
    return "\n".join(lines)


def _wrapped(definition: str, width: int = 96) -> list[str]:
    """The paragraphs in lines; marks of code are left to Markdown."""
    lines: list[str] = []
    for part in definition.replace("``", "").split("\n\n"):
        lines += (
            ["", *textwrap.wrap(text.visible(part), width)]
            if lines
            else textwrap.wrap(text.visible(part), width)
        )
    return lines


def _legend_of(card: Card) -> str:
    first, last, decades = FAMILY
    models = (
        f"per-token cross-entropy is a power law\nof scale, from {first:g} to {last:g} right tokens"
    )
    if dial(card.metric)[1] == "value":
        models = f"expected squared error\nfalls smoothly from {1 - first:g} to {1 - last:.2g}"
    return (
        "steepness: times as steep as a straight line, as the error falls from 1 to 0 (90 % "
        "interval\nover items); along scale: the same for models whose "
        f"{models} over {decades:g} decades."
    )


def to_json(card: Card) -> str:
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "version": package_version(),
        "name": card.metric.name,
        "definition": card.definition,
        "declared": dict(facts_of(card)),
        "installed": card.installed,
        "seen": plain(list(card.seen)),
        "chance": plain(card.chance),
        "guess": plain(card.guess),
        "bend": plain(card.bend),
        "quantity": card.quantity,
        "jump": plain(card.jump),
        "responses": [
            {
                "tokens": r.tokens,
                "error": numbers(r.error, 6),
                "score": numbers(r.score, 6),
                "stderr": numbers(r.stderr, 6),
                "steepness": plain(r.steepness),
                "interval": plain(list(r.interval)),
                "along_scale": plain(r.along_scale),
            }
            for r in card.responses
        ],
    }
    return text.json_safe(json.dumps(body, ensure_ascii=False, allow_nan=False, indent=1)) + "\n"


# ---------------------------------------------------------------- the page

_INTRO = """# The metrics, one card each

Made by `unmirage metrics cards -o docs/metrics`. Declared is what the code says of a metric and the
tests check; measured is what a simulation makes of answers whose every token is wrong with the same
probability (the per-token error), independently, for targets of 1 to 16 tokens. Where a metric
needs squared errors an answer is of values, and what is turned is the expected squared error of
each.

- *steepness*: how many times as steep the score rises as a straight line does, as the error falls
  from 1 to 0. 1 is a straight line; the more, the sharper the metric.
- *along scale*: the same for models whose per-token cross-entropy is a power law of scale, from
  0.3 to 0.97 right tokens over 4 decades: what such a smooth family looks like under the metric.
- *bend*: the largest distance of the longest response from a straight line in the per-token
  quantity (error, log-probability or log-odds), as a share of its range.
- *jump*: the largest change of the score of one item where the error changes by 0.001, as a share
  of the item's range: near 0 for a continuous metric.

The idea and the curves of ROUGE-L-Sum and BLEU: Schaeffer et al. 2023 (arXiv 2304.15004), App. A.
"""


def to_page(cards: Sequence[Card]) -> str:
    """All cards as one page of Markdown; each has its picture beside it, NAME.svg."""
    lines = [_INTRO, *_index(cards)]
    for card in cards:
        lines += ["", *_section(card)]
    return "\n".join(lines) + "\n"


def _index(cards: Sequence[Card]) -> Iterable[str]:
    ends = (4, 16)
    named = " | ".join(f"steepness, {t} tokens" for t in ends)
    yield f"| metric | better | linear | continuous | bend | jump | {named} |"
    yield "|---|---|---|---|---|---|" + "---|" * len(ends)
    for c in cards:
        fact = c.metric.facts
        steep = {r.tokens: r.steepness for r in c.responses}
        cells = [
            f"[{safe(c.metric.name)}](#{c.metric.name})",
            "higher" if fact.higher_is_better else "lower",
            _yes(fact.linear),
            _yes(fact.continuous),
            text.number(c.bend, 2),
            text.number(c.jump, 2),
            *(text.number(steep.get(t), 3) for t in ends),
        ]
        yield f"| {' | '.join(cells)} |"


def _section(card: Card) -> Iterable[str]:
    name = card.metric.name
    yield f"## {name}"
    yield ""
    yield card.definition
    yield ""
    if card.responses:
        yield f"![{name}: response to the {dial(card.metric)[0]}]({name}.svg)"
        yield ""
    for word, value in (*facts_of(card), *measured_of(card)):
        yield f"- *{word}*: {safe(value)}"
    if card.responses:
        yield ""
        yield f"| {' | '.join(headings(card))} |"
        yield "|---|---|---|---|---|"
        for row in rows_of(card):
            yield f"| {' | '.join(row)} |"


def save_page(cards: Sequence[Card], folder: Path) -> list[Path]:
    """README.md and one picture a card."""
    written = [
        write(folder / f"{c.metric.name}.svg", render(c, ".svg")) for c in cards if c.responses
    ]
    return [*written, write(folder / "README.md", to_page(cards))]


# ---------------------------------------------------------------- the picture

_W, _H, _LEFT, _TOP, _BOTTOM, _BETWEEN = 330, 210, 52, 74, 46, 62
_STYLE = (
    'svg{background:#fff;font-family:"Helvetica Neue",Helvetica,Arial,sans-serif}'
    ".g{stroke:#e3e7ec;fill:none}.x{stroke:#9aa4b0;fill:none}.l{fill:none;stroke-width:1.8}"
    ".a{font-size:11.5px;fill:#5b6675}.h{font-size:17px;font-weight:600;fill:#1c2430}"
    ".s{font-size:12px;fill:#5b6675}"
)


def render(card: Card, suffix: str, scale: float = 2.0) -> bytes:
    """The picture as ``.svg`` or ``.png``, in bytes."""
    drawn = draw(card)
    if suffix == ".svg":
        return drawn.encode("utf-8")
    import vl_convert

    return bytes(vl_convert.svg_to_png(drawn, scale=scale))


def draw(card: Card) -> str:
    """The score against the per-token error, and along scale; one line a target length."""
    fact = card.metric.facts
    wide, tall = 2 * (_LEFT + _W) + _BETWEEN, _TOP + _H + _BOTTOM
    unit = f" ({fact.unit})" if fact.unit else ""
    better = "higher is better" if fact.higher_is_better else "lower is better"
    parts = [
        _text(8, 24, f"{fact.title}{unit}", "start", "h"),
        _text(8, 44, f"{better}; targets of", "start", "s"),
        *_legend(card.responses, f"{dial(card.metric)[1]}s"),
    ]
    up = _range([r.score.tolist() for r in card.responses])
    span = (0.0, FAMILY[2])
    lines = [(r.error.tolist(), r.score.tolist()) for r in card.responses]
    parts += _panel(_LEFT, (0.0, 1.0), up, lines, dial(card.metric)[0])
    family = [([math.log10(s) for s in r.scale], r.family.tolist()) for r in card.responses]
    title = "scale of a power-law family (decades)"
    parts += _panel(2 * _LEFT + _W + 32, span, up, family, title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" '
        f'height="{tall}" role="img" aria-label="{escape(alternative(card), quote=True)}">'
        f'<style>{_STYLE}</style><rect width="{wide}" height="{tall}" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def alternative(card: Card) -> str:
    """The picture in one sentence."""
    steep = ", ".join(f"{r.tokens}: {text.number(r.steepness)}" for r in card.responses)
    turned, part = dial(card.metric)
    length = "target length" if part == "token" else "number of values"
    return f"{card.metric.facts.title} against {turned}; steepness by {length} {steep}"


def _legend(responses: Sequence[Response], parts_name: str) -> list[str]:
    parts, x = [], 176.0
    for r, colour in zip(responses, COLOURS, strict=False):
        parts.append(f'<path class="l" stroke="{colour}" d="M{x:.0f} 40h18"/>')
        parts.append(_text(x + 23, 44, str(r.tokens), "start", "s"))
        x += 54
    return [*parts, _text(x, 44, parts_name, "start", "s")]


def _range(scores: Sequence[Sequence[float]]) -> tuple[float, float]:
    finite = [v for line in scores for v in line if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = 0.04 * (high - low or 1.0)
    return low - room, high + room


def _panel(
    left: float,
    across: tuple[float, float],
    up: tuple[float, float],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]],
    title: str,
) -> list[str]:
    def x(v: float) -> float:
        return left + _W * (v - across[0]) / (across[1] - across[0])

    def y(v: float) -> float:
        return _TOP + _H * (1 - (v - up[0]) / (up[1] - up[0]))

    parts, bottom = [], _TOP + _H
    rows = axes.ticks(up)
    for value, label in zip(rows, axes.tick_texts(rows), strict=True):
        parts.append(f'<path class="g" d="M{left:.0f} {y(value):.1f}h{_W}"/>')
        parts.append(_text(left - 7, y(value) + 4, label, "end"))
    columns = axes.ticks(across)
    for value, label in zip(columns, axes.tick_texts(columns), strict=True):
        parts.append(f'<path class="x" d="M{x(value):.1f} {bottom}v5"/>')
        parts.append(_text(x(value), bottom + 19, label, "middle"))
    parts.append(f'<path class="x" d="M{left:.0f} {bottom}h{_W}"/>')
    parts.append(_text(left + _W / 2, bottom + 38, title, "middle"))
    for (xs, ys), colour in zip(lines, COLOURS, strict=False):
        spots = [f"{x(a):.1f} {y(b):.1f}" for a, b in zip(xs, ys, strict=True) if math.isfinite(b)]
        if len(spots) > 1:
            parts.append(f'<path class="l" stroke="{colour}" d="M{"L".join(spots)}"/>')
    return parts


def _text(x: float, y: float, said: str, anchor: str, kind: str = "a") -> str:
    clean = escape(text.visible(said, 100))
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{clean}</text>'
