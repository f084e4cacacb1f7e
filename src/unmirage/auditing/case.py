"""What the rules of a verdict look at: yes or no of each question, from the findings.

The evidence is the companion (a linear or continuous metric of the same outputs) where there is
one, else the curve itself. The constants below are conventions; docs/log.md tells how they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unmirage.auditing.words import two_numbers
from unmirage.curves.laws import PLAUSIBLE as ALIKE
from unmirage.types import Curve, Explanation, Finding

#: a rise, or a step, looks sharp when it is this many times as steep as a straight line
SHARP = 2.0
#: or when this share of the range of scale passes before a tenth of the rise
LATE = 0.5
#: the metric explains a jump when at least this share of it follows (lower 90 % bound)
SHARE = 0.5
#: a change of this share of the whole span must be visible before *no change* is believed
VISIBLE = 0.2
#: a rung is believed to hide its score when so many times its items may show it (90 % interval)
PLAUSIBLE = 100
#: a step counts as a break when it is at least this many times what the smooth part of the fit
#: changes across the same gap
CONTRAST = 1.0
#: a gap is wide from this many typical (median) gaps on
WIDE = 1.5
#: a step in the law that holds this share of its rise is one in all but name
HIDES = 0.8
#: a jump can hide in a gap that is too wide and holds this share of the rise
HOLDS = 2 / 3
#: a step between rungs that are closer than so many decades is one between models of one size
ONE_SIZE = 0.01
#: rungs needed before a break may stand
MIN_RUNGS = 5


@dataclass(frozen=True)
class Case:
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

    def says(self, test: str, name: str) -> bool:
        f = self.found.get(test)
        return bool(f is not None and f.values.get(name))

    def ends(self, test: str) -> tuple[str, str]:
        """The rungs about the step of a test, as people read them."""
        return two_numbers(self.value(test, "step_from"), self.value(test, "step_to"))

    @property
    def moves(self) -> bool:
        # without sampling errors the scatter about a line is all there is: a jump counts as well
        known = self.says("movement", "errors_known")
        return self.p("movement") < self.level or (not known and (self.sharp or self.breaks))

    @property
    def steep(self) -> bool:
        return self.value("sharpness", "steepness") >= SHARP and self.p("sharpness") < self.level

    @property
    def late(self) -> bool:
        """Is nothing there in the first half of the range of scale?"""
        value, p = self.value("sharpness", "onset"), self.value("sharpness", "onset_p")
        return value >= LATE and p < self.level

    @property
    def sharp(self) -> bool:
        """Does the curve have the look: steep, or flat for long and then rising?"""
        return (self.steep or self.late) and not self.says("movement", "inverse")

    def _breaks(self, test: str) -> bool:
        """A significant step, larger than what the smooth part does there, and seen as a jump."""
        large = self.value(test, "contrast") >= CONTRAST and self.value(test, "steepness") >= SHARP
        return self.p(test) < self.level and large

    @property
    def breaks(self) -> bool:
        return self._breaks("break")

    @property
    def leans(self) -> bool:
        """Does no smooth law fit about as well as a step, be it significant or not?"""
        f = self.found.get("break")
        return bool(f and f.statistic is not None and f.statistic > ALIKE)

    @property
    def at_edge(self) -> bool:
        """Does a step that leaves the outermost rung alone fit best of all?"""
        f, edge = self.found.get("break"), self.value("break", "edge")
        within = f.statistic if f is not None and f.statistic is not None else -np.inf
        return bool(edge > max(ALIKE, within))

    @property
    def one_size(self) -> bool:
        """Is the step one between models of practically one size?"""
        return self.value(self.evidence, "decades") < ONE_SIZE

    @property
    def apart(self) -> bool:
        """Does the outermost rung hold most of the range, and fit no smooth law of the others?"""
        return self.at_edge and self.value("break", "outer_share") >= HOLDS

    @property
    def evidence(self) -> str:
        return "companion_break" if self.companion is not None else "break"

    @property
    def evidence_breaks(self) -> bool:
        return self._breaks(self.evidence)

    @property
    def discovered(self) -> bool:
        """Does the evidence stand among all curves that were tested with it?"""
        return "many_tests" not in self.found or self.p("many_tests") <= self.level

    @property
    def jumps(self) -> bool:
        """Does it look like a jump, or could one hide in a wide gap that holds the rise?"""
        if self.sharp or self.breaks or self.evidence_breaks:
            return True
        hides = self.says("coverage", "limiting") and not self.says("movement", "inverse")
        return hides and self.value("sharpness", "one_step_share") >= HOLDS

    @property
    def lasts(self) -> bool:
        """Is the step a new high, half of which is still there at the largest rung?

        The step is the break of the curve itself, else its largest one.
        """
        own = self.companion is None and self.breaks
        sign = 1.0 if self.curve.facts.higher_is_better else -1.0
        y = sign * self.curve.score
        j = int(self.value("break" if own else "sharpness", "gap"))
        step = y[j + 1] - y[j]
        new_high = y[j + 1 :].max() - y[: j + 1].max()
        return bool(step > 0 and new_high >= 0.5 * step and y[-1] - y[j] >= 0.5 * step)

    @property
    def unclear(self) -> bool:
        """Steep to the eye, most of it in one step that the smooth law misses; noise may do it."""
        steep = self.value("sharpness", "steepness") >= SHARP and not self.jumps
        one_step = self.value("sharpness", "one_step_share") >= 0.5
        missed = self.value("break", "law_share") < SHARE
        return steep and one_step and missed and not self.says("movement", "inverse")

    @property
    def companion_smooth(self) -> bool:
        """No break, and the smooth law itself makes most of the companion's step at the jump.

        A break that comes by chance among all curves tested is none.
        """
        f = self.found.get("companion_break")
        broken = self._breaks("companion_break") and self.discovered
        if f is None or f.statistic is None or broken:
            return False
        return self.value("companion_break", "law_share") >= SHARE

    @property
    def metric_explains(self) -> bool:
        f = self.found.get("metric")
        # without items the link is fitted: it would make a step out of any smooth companion
        if f is None or f.interval is None or not self.companion_smooth:
            return False
        return f.interval[0] >= SHARE

    @property
    def hidden(self) -> list[tuple[float, float]]:
        """Rungs below the jump that the items at hand cannot see: items needed, and their least."""
        f = self.found.get("resolution")
        below = self.value("sharpness", "step_from")
        rungs: list[dict[str, float]] = list(f.values["floor_rungs"]) if f else []  # type: ignore[call-overload]
        hidden = [r for r in rungs if r["hidden"] and r["scale"] <= below]
        return [(r["needed_n"], np.fmin(r["needed_low"], r["needed_n"])) for r in hidden]

    @property
    def resolution_explains(self) -> bool:
        """Do most rungs below the jump hide below what the items can see?"""
        below = self.value("sharpness", "gap") + 1
        if self.breaks or len(self.hidden) < max(1.0, below / 2):
            return False
        near = min(low for _, low in self.hidden) <= PLAUSIBLE * self.value("resolution", "n")
        return near and self.lasts and self.says("movement", "monotone")

    @property
    def coverage_limits(self) -> bool:
        """Does the step in question, or a larger one, lie in a gap wider than the others?"""
        if not self.evidence_breaks:
            # a law steeper than the rungs can show is a step in all but name
            steep = self.value("break", "law_step_share") >= HIDES
            return self.says("coverage", "limiting") or (steep and self.sharp)
        seen = self.companion or self.curve
        gaps, at = np.diff(seen.x), int(self.value(self.evidence, "gap"))
        scores = [seen.score]
        if self.found[self.evidence].values["unit"] == "log":
            scores.append(np.log(np.maximum(seen.score, 1e-300)))
        # beside a hole that holds more of the rise a step is no more than a bend of the rest
        steps = [np.abs(np.diff(y)) for y in scores]
        larger = np.any([s >= s[at] for s in steps], axis=0)
        return bool((larger & (gaps >= WIDE * np.median(gaps))).any())

    @property
    def same_place(self) -> bool:
        """Does the companion break where the score jumps, give or take one gap?"""
        if self.companion is None:
            return True
        return abs(self.value(self.evidence, "gap") - self.value("sharpness", "gap")) <= 1

    def explanations(self) -> tuple[Explanation, ...]:
        named: list[Explanation] = []
        if self.metric_explains:
            named.append("metric")
        if self.resolution_explains:
            named.append("resolution")
        if self.coverage_limits:
            named.append("coverage")
        return tuple(named)
