"""From findings to a verdict: a pure function, readable from top to bottom.

    nothing moves                                     smooth (undecided where all is at the floor)
    it moves, without a jump                          smooth (undecided where it scatters wildly)
    a jump, and a break in the evidence that stands
        among all curves tested with it               survives (*)
    a jump that a smooth companion makes              mirage: metric
    a jump out of rungs that n items cannot see       mirage: resolution
    a jump within a gap wider than the others, or
        which even the law makes within one gap       undecided: coverage
    a step that fits better, but noise may make it    undecided
    a rung that stands apart from all others          undecided
    a steep rise that smooth laws explain, foresee    smooth
    else                                              undecided

(*) five rungs, known sampling errors, the step upwards, large against the smooth part, at the place
of the jump, a new high that lasts, no wide gap there that holds more of the rise, and the metric
does not make the jump.

The evidence is the companion (a linear or continuous metric of the same outputs) where there is
one, else the curve itself. The constants below are conventions; docs/log.md tells how they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unmirage.auditing.companion import primary
from unmirage.auditing.findings import number, p_text, two_numbers
from unmirage.curves.laws import PLAUSIBLE as ALIKE
from unmirage.types import Curve, Explanation, Finding, Judgement, Verdict

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


def looks_sharp(judgement: Judgement, level: float = 0.05) -> bool:
    """Does the curve have the look of a claim: steep, or flat for long and then rising?

    The two conventions that the verdict begins with, whichever way the curve goes.
    """
    found = judgement.finding("sharpness")
    if found is None:
        return False
    values = {k: v for k, v in found.values.items() if isinstance(v, int | float)}
    steep = values["steepness"] >= SHARP and (found.p_value or 0.0) < level
    late = values["onset"] >= LATE and values["onset_p"] < level
    return bool(steep or late)


def rule(
    curve: Curve, companion: Curve | None, found: Mapping[str, Finding], level: float
) -> Ruling:
    """The verdict on one curve."""
    case = _Case(curve, companion, found, level)
    made = _decide(case)
    if made.verdict in ("survives", "undecided") and case.says("seeds", "bimodal"):
        where = number(case.value("seeds", "scale"))
        made = replace(
            made, because=f"{made.because}; over seeds the outcome is bimodal at {where}"
        )
    return made


def _decide(case: _Case) -> Ruling:
    if not case.moves:
        return _still(case)
    if case.unclear:
        return _unclear(case)
    if not case.jumps and case.apart:
        return _leans(case, ())
    if not case.jumps and case.says("break", "wild"):
        text = f"{_gradual(case)}, but only with more noise between the rungs than models have"
        return Ruling("undecided", (), text, "seeds or checkpoints of the same rungs")
    if not case.jumps:
        return Ruling("smooth", (), _gradual(case), _more_to_see(case))
    return _stands(case) or _explained(case) or _rest(case)


def _still(case: _Case) -> Ruling:
    curve, n = case.curve, len(case.curve.scale)
    if case.value("resolution", "at_floor") == n or (curve.score == curve.floor).all():
        known = np.isfinite(curve.count).any()
        items = f"{number(float(np.nanmin(curve.count)))} items" if known else "these items"
        at = f"all {n} rungs are at the floor of {number(curve.floor)}"
        return Ruling(
            "undecided",
            ("resolution",),
            f"{at}: {items} cannot show what is below",
            "more items, larger models, or a metric that gives credit for parts of an answer",
        )
    if n < MIN_RUNGS and not case.says("movement", "errors_known"):
        text = f"{n} rungs of unknown sampling error are too few to tell a trend from scatter"
        return Ruling("undecided", (), text, "more sizes, or the number of items (--items N)")
    span = abs(curve.ceiling - curve.floor)
    if case.says("movement", "errors_known") and 3.29 * _error(curve) > VISIBLE * span:
        times = (3.29 * _error(curve) / (VISIBLE * span)) ** 2
        text = f"no change is seen, but none below {number(3.29 * _error(curve))} could be"
        return Ruling("undecided", ("resolution",), text, f"{number(times)} times as many items")
    if not case.says("movement", "errors_known"):
        text = "no trend beyond the scatter of the rungs, whose sampling error is unknown"
        change = "the number of items (--items N), a stderr column, or the outputs"
        return Ruling("undecided", (), text, change)
    return Ruling(
        "smooth",
        (),
        f"the rungs do not differ beyond sampling noise ({p_text(case.p('movement'))})",
        "more items, or rungs of other sizes",
    )


def _error(curve: Curve) -> float:
    """Largest sampling error the score can have with these items."""
    if curve.facts.binary and np.isfinite(curve.count).any():
        return 0.5 / float(np.sqrt(np.nanmin(curve.count)))
    return float(np.nanmax(curve.stderr))


def _gradual(case: _Case) -> str:
    steep = case.value("sharpness", "steepness")
    text = f"improves gradually, {number(steep)} times as steep as a straight line in log scale"
    if steep >= SHARP:
        text = f"no sharper than noise makes a straight line ({p_text(case.p('sharpness'))})"
    if case.says("movement", "inverse"):
        text = "gets worse with scale"
    if not case.says("movement", "monotone"):
        back = case.value("movement", "largest_drop") / case.value("movement", "rise")
        text = f"rises and falls back by {100 * back:.0f} % of its range: not monotone"
    f, p = case.found.get("break"), case.p("break")
    if f is None or f.statistic is None:
        return text
    if p < case.level:
        share = 100 * case.value("break", "rise_share")
        return f"{text}; a step would fit better ({p_text(p)}), but too small a one: {share:.0f} %"
    if not case.leans:
        return f"{text}; no step with rungs on either side fits much better than smooth laws"
    return f"{text}; smooth laws explain it without a step ({p_text(p)})"


def _more_to_see(case: _Case) -> str:
    if len(case.curve.scale) < MIN_RUNGS:
        return f"more sizes: {len(case.curve.scale)} rungs show little of the shape"
    return "a size between or beyond these rungs whose score leaves the smooth law"


def _alone(case: _Case) -> str:
    if case.curve.items is None:
        return "there are no items to rescore"
    return "no linear metric of these outputs is at hand"


def _unclear(case: _Case) -> Ruling:
    share = 100 * case.value("sharpness", "one_step_share")
    text = (
        f"{share:.0f} % of the rise lies in one step that no smooth law makes, but with this noise "
        f"between the rungs a straight line looks as sharp with {p_text(case.p('sharpness'))}"
    )
    add = number(case.value("coverage", "add"))
    return Ruling(
        "undecided", (), text, f"seeds or checkpoints of the same rungs, a rung near {add}"
    )


def _stands(case: _Case) -> Ruling | None:
    """survives: the break is in the evidence, and nothing of the analysis makes it."""
    share = case.found.get("metric")
    made = share is not None and share.statistic is not None and share.statistic >= 0.8
    if not case.evidence_breaks or made or len(case.curve.scale) < MIN_RUNGS:
        return None
    if not case.says("movement", "errors_known"):
        return None  # too few items cannot be ruled out
    if not case.discovered:
        return None
    if case.coverage_limits or not case.same_place or not case.lasts or case.one_size:
        return None
    if not case.value(case.evidence, "size") > 0:
        return None
    a, b = case.ends(case.evidence)
    if case.companion is not None:
        text = (
            f"{case.companion.facts.title} of the same outputs leaps too: no smooth law explains "
            f"it without a step between {a} and {b} ({p_text(case.p(case.evidence))})"
        )
    elif primary(case.curve):
        p = p_text(case.p("break"))
        text = f"no smooth law explains it without a step between {a} and {b} ({p})"
    else:
        text = (
            f"no smooth law, pushed through p^L or a logistic curve either, gives the step between "
            f"{a} and {b} ({p_text(case.p('break'))}); {_alone(case)}"
        )
    if not case.says("movement", "monotone"):
        text += "; not monotone: it falls back elsewhere"
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
        items = number(case.value("resolution", "n"))
        reasons.append(
            f"{len(case.hidden)} rungs are at the floor where {items} items cannot see them"
        )
    if case.curve.facts.forcing == "free" and case.curve.facts.linear and "metric" in named:
        reasons.append("it is free-running: an early error spoils the tokens after it")
    if not reasons:
        return None
    if "metric" not in named and (len(case.hidden) < 2 or case.leans or "coverage" in named):
        return None
    if "coverage" in named:
        reasons.append("most of the rise falls into one gap between rungs")
    change = "a break in the companion metric with more rungs"
    if "metric" not in named:
        change = f"{number(min(case.hidden)[0])} items that still show nothing at these rungs"
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
            "the rise falls into one gap between rungs, where a jump and a steep smooth "
            "rise look the same",
            f"a rung near {add}",
        )
    if case.evidence_breaks and case.one_size:
        a, _ = case.ends(case.evidence)
        text = f"two models of practically one size ({a}) differ: that is no matter of scale"
        return Ruling("undecided", named, text, "seeds or checkpoints of that size")
    if case.evidence_breaks and not case.value(case.evidence, "size") > 0:
        return Ruling(
            "undecided",
            named,
            "breaks from smooth laws by a sudden fall, not by a rise",
            "other seeds or checkpoints of the rungs where it falls",
        )
    if case.breaks and case.companion is None and not case.lasts:
        a, b = case.ends("break")
        text = f"a step between {a} and {b} fits better than smooth laws, but it does not last"
        text += " or makes no new high"
        return Ruling("undecided", named, text, "other seeds or checkpoints of these rungs")
    if case.evidence_breaks and not case.discovered:
        a, b = case.ends(case.evidence)
        text = (
            f"a step between {a} and {b} fits better than smooth laws "
            f"({p_text(case.p(case.evidence))}), but such steps come by chance among "
            f"{case.value('many_tests', 'tests'):.0f} curves tested at once "
            f"({p_text(case.p('many_tests'), 'q')})"
        )
        change = "the same break in other seeds, or more rungs; an audit of a claim made beforehand"
        return Ruling("undecided", named, text, change)
    if case.companion is not None:
        return _companion_rest(case, named)
    if case.breaks and not case.says("movement", "errors_known"):
        a, b = case.ends("break")
        text = (
            f"a step between {a} and {b} fits better than smooth laws, but the sampling error of "
            "the scores is unknown"
        )
        change = "the number of items (--items N), a stderr column, or the outputs"
        return Ruling("undecided", named, text, change)
    if not case.breaks and (case.at_edge or case.leans):
        return _leans(case, named)
    inside = case.p("predictability") >= case.level
    share = case.value("break", "law_share")
    follows = share >= SHARE and case.says("movement", "monotone")
    if not case.breaks and follows and (primary(case.curve) or inside):
        law = case.found["break"].values["law"]
        how = "steeply" if case.steep else "late"
        text = f"improves {how}, but along one smooth law ({law}, {p_text(case.p('break'))})"
        if inside and "predictability" in case.found:
            text += ", and the smaller rungs foresee the largest"
        return Ruling("smooth", named, text, f"a rung near {add} that leaves the smooth law")
    what = "seeds or checkpoints of the same rungs"
    if not primary(case.curve):
        none = case.curve.items is None
        what = "the outputs, to rescore them" if none else "log-probabilities of the answers"
    if not case.breaks and share < SHARE:
        text = (
            f"a sharp rise of which the best smooth law makes only {100 * share:.0f} %; the rest "
            f"could be noise between the rungs ({p_text(case.p('break'))})"
        )
        if not case.says("movement", "monotone"):
            text += "; not monotone"
        return Ruling("undecided", named, text, f"{what}, or a rung near {add}")
    text = "improves sharply; smooth laws allow it"
    if not case.says("movement", "monotone"):
        text = "improves sharply and falls back: not monotone; smooth laws with noise allow it"
    elif not inside:
        text += ", but the smaller rungs do not foresee it"
    if not primary(case.curve):
        text += ", and no linear metric of the same outputs is there"
    return Ruling("undecided", named, text, f"{what}, or a rung near {add}")


def _leans(case: _Case, named: tuple[Explanation, ...]) -> Ruling:
    """A step fits better than any smooth law, but cannot stand."""
    x, y = case.curve.scale, case.curve.score
    if case.at_edge:
        first = abs(y[1] - y[0]) > abs(y[-1] - y[-2])
        alone = number(x[0] if first else x[-1])
        text = (
            f"the rung at {alone} stands apart from the smooth law of the others, and one rung "
            "does not tell a jump from a smooth law that goes on as steeply"
        )
        return Ruling("undecided", named, text, f"a rung {'below' if first else 'beyond'} {alone}")
    a, b = case.ends("break")
    text = (
        f"a step between {a} and {b} fits better than any smooth law, but the noise between the "
        f"rungs may make such a step ({p_text(case.p('break'))})"
    )
    if case.hidden:
        items = number(case.value("resolution", "n"))
        text += f"; {len(case.hidden)} rungs are at the floor where {items} items cannot see them"
    add = number(case.value("coverage", "add"))
    change = f"seeds or checkpoints of the same rungs, or a rung near {add}"
    return Ruling("undecided", named, text, change)


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
