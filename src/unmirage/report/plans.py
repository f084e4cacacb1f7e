"""A plan as text, JSON and picture; it computes no statistics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unmirage.report.panels import Panel, Point, chart

if TYPE_CHECKING:
    from unmirage.planning import Plan, Power


def to_text(plan: Plan) -> str:
    """For the terminal, and for Markdown readers too."""
    numbers = sorted({p.items for p in plan.surface})
    design, lines = plan.design, []
    if plan.surface:
        lines += [
            f"Share of real steps of {plan.step:g} logits judged survives "
            f"({plan.surface[0].families} simulated families a design, 95 % interval):",
            "",
            "| rungs | " + " | ".join(f"{n:,} items" for n in numbers) + " |",
            "|---|" + "---|" * len(numbers),
        ]
        for rungs in sorted({p.rungs for p in plan.surface}):
            row = [p for p in plan.surface if p.rungs == rungs]
            cells = " | ".join(_power(p) for p in sorted(row, key=lambda p: p.items))
            lines.append(f"| {rungs} | {cells} |")
        lines += ["", _choice(plan)]
    if plan.steps:
        lines += ["", f"With {design.rungs} rungs of {design.items:,} items: {_weakest(plan)}"]
        lines += [f"  step of {p.step:g} logits: {_power(p)}" for p in plan.steps]
    lines += ["", _same(plan)]
    return "\n".join(lines)


def _power(p: Power) -> str:
    return f"{p.rate:.2f} ({p.low:.2f} to {p.high:.2f})"


def _choice(plan: Plan) -> str:
    best = plan.choice
    if best is None:
        less = ", or less noise" if plan.design.noise > 0 else ", or a higher step"
        return f"None of these designs reaches a power of {plan.power:g}: more rungs{less}."
    sizes = ", ".join(f"{s:.3g}" for s in plan.sizes)
    return (
        f"A power of {plan.power:g} is reached with {best.rungs} rungs of {best.items:,} items: "
        f"sizes near {sizes}."
    )


def _weakest(plan: Plan) -> str:
    if plan.weakest is None:
        return f"no step is seen with a power of {plan.power:g}."
    return (
        f"the weakest step seen with a power of {plan.power:g} is one of {plan.weakest:g} logits."
    )


def _same(plan: Plan) -> str:
    d, t = plan.design, plan.truth
    said = [f"{d.decades:.3g} decades", f"answers of {d.tokens} tokens"]
    said += [f"noise of {d.noise:.2g} logits between rungs"]
    said += [f"chance {d.chance:g}"] if d.chance else []
    return (
        f"In all designs: {', '.join(said)}; per-token probability from {t.first:.2g} to "
        f"{t.last:.2g} beside the step, which lies in the middle."
    )


def to_json(plan: Plan) -> str:
    body: dict[str, Any] = {
        "format": "unmirage.plan/1",
        **asdict(plan),
        "choice": asdict(plan.choice) if plan.choice else None,
        "weakest": plan.weakest,
        "sizes": list(plan.sizes),
    }
    return json.dumps(body, indent=1) + "\n"


def picture(plan: Plan) -> Any:
    """Power by items, one line a number of rungs; power by step, for the design at hand."""
    panels = []
    if plan.surface:
        points = [_point(p, p.items, f"{p.rungs} rungs") for p in plan.surface]
        title = f"step of {plan.step:g} logits"
        panels.append(_panel(title, "items", points, log=True))
    if plan.steps:
        d = plan.design
        points = [_point(p, p.step, f"{d.rungs} rungs of {d.items:,} items") for p in plan.steps]
        panels.append(
            _panel("the design at hand", "height of the step (logits)", points, log=False)
        )
    return chart("Power: share of real steps judged survives", panels, 2)


def _point(p: Power, x: float, line: str) -> Point:
    return Point(x, p.rate, line, p.low, p.high)


def _panel(title: str, x_title: str, points: Sequence[Point], log: bool) -> Panel:
    return Panel(title, "", x_title, "share judged survives", tuple(points), log_x=log)
