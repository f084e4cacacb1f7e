"""What of a judgement is drawn, beyond the points and lines: read from its findings' values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unmirage.report.text import number
from unmirage.report.view import View


@dataclass(frozen=True)
class Rule:
    """A horizontal dashed line with a few words at its end."""

    score: float
    text: str


def finding_of(judgement: View, test: str) -> View:
    """The finding of that name, or an empty dict."""
    return next((f for f in judgement["findings"] if f["test"] == test), {})


def value_of(judgement: View, test: str, name: str) -> Any:
    return (finding_of(judgement, test).get("values") or {}).get(name)


def real(value: object) -> float | None:
    """The value where it is a number, else None: values come from any test, also of plug-ins."""
    return float(value) if isinstance(value, (int, float)) else None


def rules(judgement: View) -> list[Rule]:
    """The chance level or worst score, and the smallest score that the items can show."""
    floor = judgement["curve"]["floor"]
    ceiling = judgement["curve"]["ceiling"]
    seen = real(value_of(judgement, "resolution", "smallest_visible"))  # distance off the floor
    drawn = []
    if floor is not None:
        worst = "floor" if floor in (0, 1) else "chance"
        drawn.append(Rule(floor, f"{worst} {number(floor)}"))
    if seen and floor is not None:
        score = floor - seen if ceiling is not None and ceiling < floor else floor + seen
        drawn.append(Rule(score, f"visible from {number(score)}"))
    return drawn


def step(judgement: View, *, companion: bool = False) -> tuple[float, float] | None:
    """The two scales of the jump: the break that survives, else the steepest step of the rise."""
    if judgement["verdict"] == "smooth":
        return None
    if companion:
        return _step(judgement, "companion_break") if judgement["verdict"] == "survives" else None
    jump = _step(judgement, "break") if judgement["verdict"] == "survives" else None
    return jump or _step(judgement, "sharpness")


def _step(judgement: View, test: str) -> tuple[float, float] | None:
    start = real(value_of(judgement, test, "step_from"))
    stop = real(value_of(judgement, test, "step_to"))
    return (start, stop) if start is not None and stop is not None and 0 < start < stop else None


def below_floor(judgement: View) -> set[float]:
    """Scales of the rungs whose score cannot be told from none."""
    rungs = value_of(judgement, "resolution", "floor_rungs")
    if not isinstance(rungs, list):
        return set()
    scales = (real(r.get("scale")) for r in rungs if isinstance(r, dict))
    return {s for s in scales if s is not None}
