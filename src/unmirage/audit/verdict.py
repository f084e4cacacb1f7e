"""From findings to a verdict: a pure function, readable from top to bottom.

    nothing moves                                        -> smooth (undecided where all is at floor)
    it moves, without a jump                             -> smooth
    a jump, and a break in the evidence (see below)      -> survives, if >= 5 rungs, no wide gap there
    a jump that a smooth companion makes by the metric   -> mirage: metric
    a jump out of rungs that n items cannot see          -> mirage: resolution
    a jump within a gap wider than the others            -> undecided: coverage
    a steep rise that smooth laws explain and foresee    -> smooth
    else                                                 -> undecided

The evidence is the companion (a linear or continuous metric of the same outputs) where there is one,
else the curve itself. The constants below are conventions, chosen before looking at any data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unmirage.audit.companion import primary
from unmirage.audit.findings import number, p_text
from unmirage.types import Curve, Explanation, Finding, Verdict

#: a rise looks sharp when it is this many times as steep as a straight line in log scale
SHARP = 2.5
#: the metric explains a jump when at least this share of it follows (lower 90 % bound; without
#: items, where there is no bound, the larger share)
SHARE, SHARE_LINK = 0.5, 0.75
#: a step counts as a break when it is at least this many times what the smooth part of the fit
#: changes across the same gap
CONTRAST = 1.0
#: rungs needed before a break may stand
MIN_RUNGS = 5


@dataclass(frozen=True)
class Ruling:
    verdict: Verdict
    explained_by: tuple[Explanation, ...]
    because: str
    would_change: str


@dataclass(frozen=True)
class _Case:
    """What the rules look at."""

    curve: Curve
    companion: Curve | None
    found: Mapping[str, Finding]
    level: float

    def p(self, test: str) -> float:
        f = self.found.get(test)
        return 1.0 if f is None or f.p_value is None or np.isnan(f.p_value) else f.p_value

    def value(self, test: str, name: str) -> float:
        f = self.found.get(test)
        v = f.values.get(name) if f else None
        return float(v) if isinstance(v, int | float) else np.nan

    @property
    def moves(self) -> bool:
        return self.p("movement") < self.level

    @property
    def sharp(self) -> bool:
        return self.value("sharpness", "steepness") >= SHARP and self.p("sharpness") < self.level

    def _breaks(self, test: str) -> bool:
        """A significant step at least as large as all that the smooth part does in its gap."""
        return self.p(test) < self.level and self.value(test, "contrast") >= CONTRAST

    @property
    def breaks(self) -> bool:
        return self._breaks("break")

    @property
    def evidence(self) -> str:
        return "companion_break" if self.companion is not None else "break"

    @property
    def evidence_breaks(self) -> bool:
        return self._breaks(self.evidence)

    @property
    def companion_smooth(self) -> bool:
        f = self.found.get("companion_break")
        return f is not None and f.statistic is not None and not self._breaks("companion_break")

    @property
    def metric_explains(self) -> bool:
        f = self.found.get("metric")
        if f is None or f.statistic is None or not self.companion_smooth:
            return False
        if f.interval is not None:
            return f.interval[0] >= SHARE
        return f.statistic >= SHARE_LINK

    @property
    def resolution_explains(self) -> bool:
        """Do most rungs below the jump hide below what the items can see?"""
        below = self.value("sharpness", "gap") + 1
        return self.value("resolution", "hidden") >= max(1.0, below / 2) and not self.breaks

    @property
    def coverage_limits(self) -> bool:
        own = self.found.get("coverage")
        if own is not None and own.values.get("limiting"):
            return True
        gap = self.value(self.evidence, "gap")
        if not self.evidence_breaks or np.isnan(gap):
            return False
        gaps = np.diff(self.curve.x)
        return bool(gaps[int(gap)] >= 1.5 * np.median(gaps))

    def explanations(self) -> tuple[Explanation, ...]:
        named: list[Explanation] = []
        if self.metric_explains:
            named.append("metric")
        if self.resolution_explains:
            named.append("resolution")
        if self.coverage_limits:
            named.append("coverage")
        return tuple(named)


def rule(
    curve: Curve, companion: Curve | None, found: Mapping[str, Finding], level: float
) -> Ruling:
    """The verdict on one curve."""
    case = _Case(curve, companion, found, level)
    if not case.moves:
        return _still(case)
    if not (case.sharp or case.breaks):
        return Ruling("smooth", (), _gradual(case), _more_to_see(case))
    return _stands(case) or _explained(case) or _rest(case)


def _still(case: _Case) -> Ruling:
    n, floor = len(case.curve.scale), case.value("resolution", "at_floor")
    if floor == n:
        at = f"all {n} rungs are at the floor of {number(case.curve.floor)}"
        items = number(float(np.nanmin(case.curve.count)))
        return Ruling(
            "undecided",
            ("resolution",),
            f"{at}: with {items} items nothing can be seen",
            "more items, larger models, or a metric that gives credit for parts of an answer",
        )
    if not case.found["movement"].values["errors_known"]:
        text = "no trend against scale beyond the noise between the rungs"
        return Ruling("smooth", (), text, "the number of items (--items N) or their outputs")
    return Ruling(
        "smooth",
        (),
        f"the rungs do not differ beyond sampling noise ({p_text(case.p('movement'))})",
        "more items, or rungs of other sizes",
    )


def _gradual(case: _Case) -> str:
    steep = case.value("sharpness", "steepness")
    text = f"rises gradually, {number(steep)} times as steep as a straight line in log scale"
    if case.found["movement"].values["inverse"]:
        text = "gets worse with scale, gradually"
    if not case.found["movement"].values["monotone"]:
        text += "; not monotone"
    if (f := case.found.get("break")) and f.statistic is not None:
        text += f"; smooth laws explain it without a step ({p_text(case.p('break'))})"
    return text


def _more_to_see(case: _Case) -> str:
    if len(case.curve.scale) < MIN_RUNGS:
        return f"more sizes: {len(case.curve.scale)} rungs show little of the shape"
    return "a size between or beyond these rungs whose score leaves the smooth law"


def _stands(case: _Case) -> Ruling | None:
    """survives: the break is in the evidence, and nothing of the analysis makes it."""
    share = case.found.get("metric")
    made = share is not None and share.statistic is not None and share.statistic >= 0.8
    if not case.evidence_breaks or made or len(case.curve.scale) < MIN_RUNGS:
        return None
    if case.coverage_limits or not case.value(case.evidence, "size") > 0:
        return None
    f = case.found[case.evidence]
    a, b = (
        number(case.value(case.evidence, "step_from")),
        number(case.value(case.evidence, "step_to")),
    )
    if case.companion is not None:
        text = (
            f"{case.companion.facts.title} of the same outputs leaps too: no smooth law explains it "
            f"without a step between {a} and {b} ({p_text(case.p(case.evidence))})"
        )
    elif primary(case.curve):
        text = f"no smooth law explains it without a step between {a} and {b} ({p_text(f.p_value or 0)})"
    else:
        text = (
            f"no smooth law, pushed through p^L or a logistic curve either, gives the step between "
            f"{a} and {b} ({p_text(f.p_value or 0)}); there are no items to rescore"
        )
    if not case.found["movement"].values["monotone"]:
        text += "; not monotone: it falls back beyond it"
    return Ruling(
        "survives",
        (),
        text,
        f"a rung between {a} and {b} on a smooth path, or other seeds without the step",
    )


def _explained(case: _Case) -> Ruling | None:
    """mirage: what the analysis does explains the jump."""
    named = case.explanations()
    reasons = []
    if "metric" in named:
        f = case.found["metric"]
        assert f.statistic is not None
        assert case.companion is not None
        reasons.append(
            f"{case.companion.facts.title} of the same outputs is smooth, and pushed through the "
            f"metric it makes {100 * f.statistic:.0f} % of the jump"
        )
    if "resolution" in named:
        hidden = int(case.value("resolution", "hidden"))
        items = number(case.value("resolution", "n"))
        reasons.append(f"{hidden} rungs are at the floor where {items} items cannot see them")
    if not reasons:
        return None
    if "coverage" in named:
        reasons.append("most of the rise falls into one wide gap between rungs")
    change = "a break in the companion metric with more rungs"
    if "metric" not in named:
        need = [
            r["needed_n"]
            for r in case.found["resolution"].values["floor_rungs"]
            if r["hidden"]  # type: ignore[attr-defined]
        ]
        change = (
            f"{number(min(need))} items that still show nothing at these rungs" if need else change
        )
    return Ruling("mirage", named, "; ".join(reasons), change)


def _rest(case: _Case) -> Ruling:
    n = len(case.curve.scale)
    named = case.explanations()
    add = number(case.value("coverage", "add"))
    if n < MIN_RUNGS:
        return Ruling(
            "undecided",
            named,
            f"a sharp rise on only {n} rungs: a step and a steep smooth law look the same",
            f"at least {MIN_RUNGS} sizes; the most telling one is near {add}",
        )
    if "coverage" in named:
        return Ruling(
            "undecided",
            named,
            "the rise falls into one gap wider than the others, where a jump and a "
            "smooth rise look the same",
            f"a rung near {add}",
        )
    if case.evidence_breaks and not case.value(case.evidence, "size") > 0:
        return Ruling(
            "undecided",
            named,
            "breaks from smooth laws by a sudden fall, not by a rise",
            "other seeds or checkpoints of the rungs where it falls",
        )
    if case.companion is not None:
        return _companion_rest(case, named)
    inside = case.p("predictability") >= case.level
    if not case.breaks and (primary(case.curve) or inside):
        law = case.found["break"].values["law"]
        text = f"rises steeply, but along one smooth law ({law}, {p_text(case.p('break'))})"
        if inside and "predictability" in case.found:
            text += ", and the smaller rungs foresee the largest"
        return Ruling("smooth", named, text, f"a rung near {add} that leaves the smooth law")
    what = "the outputs, to rescore them" if case.curve.items is None else "log-probabilities"
    return Ruling(
        "undecided",
        named,
        "rises sharply; smooth laws allow it, but the smaller rungs do not foresee it, and there is no "
        "linear metric of the same outputs",
        f"{what}, or a rung near {add}",
    )


def _companion_rest(case: _Case, named: tuple[Explanation, ...]) -> Ruling:
    f, companion = case.found.get("metric"), case.companion
    assert companion is not None
    title, add = companion.facts.title, number(case.value("coverage", "add"))
    if case.evidence_breaks:
        text = (
            f"{title} of the same outputs breaks as well, but the metric would make the jump anyway"
        )
    elif f is None or f.statistic is None:
        text = (
            f"{title} of the same outputs shows no break, but cannot be pushed through the metric"
        )
    else:
        text = (
            f"{title} of the same outputs shows no break, but makes only {100 * f.statistic:.0f} %"
        )
        text += " of the jump"
        if f.interval:
            text += f" (90 %: {100 * f.interval[0]:.0f} to {100 * f.interval[1]:.0f} %)"
    return Ruling("undecided", named, text, f"more rungs around the jump, first near {add}")
