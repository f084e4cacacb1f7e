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

What the words mean exactly is told in :mod:`unmirage.auditing.case`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unmirage.auditing.case import LATE, MIN_RUNGS, SHARE, SHARP, VISIBLE, Case
from unmirage.auditing.companion import primary
from unmirage.auditing.words import number, p_text
from unmirage.types import Curve, Explanation, Finding, Judgement, Verdict


@dataclass(frozen=True)
class Ruling:
    verdict: Verdict
    explained_by: tuple[Explanation, ...]
    because: str
    would_change: str


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
    case = Case(curve, companion, found, level)
    made = _decide(case)
    if made.verdict in ("survives", "undecided") and case.says("seeds", "bimodal"):
        where = number(case.value("seeds", "scale"))
        made = replace(
            made, because=f"{made.because}; over seeds the outcome is bimodal at {where}"
        )
    return made


def _decide(case: Case) -> Ruling:
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


def _still(case: Case) -> Ruling:
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


def _gradual(case: Case) -> str:
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


def _more_to_see(case: Case) -> str:
    if len(case.curve.scale) < MIN_RUNGS:
        return f"more sizes: {len(case.curve.scale)} rungs show little of the shape"
    return "a size between or beyond these rungs whose score leaves the smooth law"


def _alone(case: Case) -> str:
    if case.curve.items is None:
        return "there are no items to rescore"
    return "no linear metric of these outputs is at hand"


def _unclear(case: Case) -> Ruling:
    share = 100 * case.value("sharpness", "one_step_share")
    text = (
        f"{share:.0f} % of the rise lies in one step that no smooth law makes, but with this noise "
        f"between the rungs a straight line looks as sharp with {p_text(case.p('sharpness'))}"
    )
    add = number(case.value("coverage", "add"))
    return Ruling(
        "undecided", (), text, f"seeds or checkpoints of the same rungs, a rung near {add}"
    )


def _stands(case: Case) -> Ruling | None:
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


def _explained(case: Case) -> Ruling | None:
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


def _rest(case: Case) -> Ruling:
    named = case.explanations()
    cannot = _too_coarse(case, named) or _no_rise(case, named) or _by_chance(case, named)
    if cannot is not None:
        return cannot
    return _companion_rest(case, named) if case.companion is not None else _own_rest(case, named)


def _too_coarse(case: Case, named: tuple[Explanation, ...]) -> Ruling | None:
    """Too few rungs, or none where they are needed."""
    n, add = len(case.curve.scale), number(case.value("coverage", "add"))
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
    return None


def _no_rise(case: Case, named: tuple[Explanation, ...]) -> Ruling | None:
    """A break, but not one by which larger models are better."""
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
    return None


def _by_chance(case: Case, named: tuple[Explanation, ...]) -> Ruling | None:
    """A break such as comes by chance among so many curves."""
    if not case.evidence_breaks or case.discovered:
        return None
    a, b = case.ends(case.evidence)
    text = (
        f"a step between {a} and {b} fits better than smooth laws "
        f"({p_text(case.p(case.evidence))}), but such steps come by chance among "
        f"{case.value('many_tests', 'tests'):.0f} curves tested at once "
        f"({p_text(case.p('many_tests'), 'q')})"
    )
    change = "the same break in other seeds, or more rungs; an audit of a claim made beforehand"
    return Ruling("undecided", named, text, change)


def _own_rest(case: Case, named: tuple[Explanation, ...]) -> Ruling:
    """What the curve says where no companion stands beside it."""
    add, share = number(case.value("coverage", "add")), case.value("break", "law_share")
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
    monotone = case.says("movement", "monotone")
    follows = share >= SHARE and monotone
    if not case.breaks and follows and (primary(case.curve) or inside):
        law = case.found["break"].values["law"]
        how = "steeply" if case.steep else "late"
        text = f"improves {how}, but along one smooth law ({law}, {p_text(case.p('break'))})"
        if inside and "predictability" in case.found:
            text += ", and the smaller rungs foresee the largest"
        return Ruling("smooth", named, text, f"a rung near {add} that leaves the smooth law")
    change = f"{_needed(case)}, or a rung near {add}"
    if not case.breaks and share < SHARE:
        text = (
            f"a sharp rise of which the best smooth law makes only {100 * share:.0f} %; the rest "
            f"could be noise between the rungs ({p_text(case.p('break'))})"
        )
        return Ruling("undecided", named, text + ("" if monotone else "; not monotone"), change)
    text = "improves sharply; smooth laws allow it"
    if not monotone:
        text = "improves sharply and falls back: not monotone; smooth laws with noise allow it"
    elif not inside:
        text += ", but the smaller rungs do not foresee it"
    if not primary(case.curve):
        text += ", and no linear metric of the same outputs is there"
    return Ruling("undecided", named, text, change)


def _needed(case: Case) -> str:
    """What would tell more of the evidence."""
    if primary(case.curve):
        return "seeds or checkpoints of the same rungs"
    none = case.curve.items is None
    return "the outputs, to rescore them" if none else "log-probabilities of the answers"


def _leans(case: Case, named: tuple[Explanation, ...]) -> Ruling:
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


def _companion_rest(case: Case, named: tuple[Explanation, ...]) -> Ruling:
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
