"""Tests and estimates of one curve, each as a Finding with its sentence."""

from __future__ import annotations

import numpy as np
from scipy import stats

from unmirage.auditing import shape
from unmirage.auditing.null import sample, simulate
from unmirage.auditing.posterior import curve_draws, law_draws
from unmirage.auditing.resolution import at_floor
from unmirage.auditing.tested import Tested
from unmirage.auditing.words import SCHAEFFER, number, p_text, two_numbers
from unmirage.curves.uncertainty import weighted_means
from unmirage.curves.working import (
    MOST_ITEMS,
    errors,
    from_working,
    is_binomial,
    kind,
    to_working,
)
from unmirage.types import Curve, Finding, Floats

SRIVASTAVA = "Srivastava et al. 2022, arXiv 2206.04615"
BENJAMINI = "Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x"
#: scatter about a law that is so many times the noise it may have is no noise
WILD = 2.0


def _interval(values: Floats) -> tuple[float, float] | None:
    values = values[~np.isnan(values)]
    if len(values) < 20 or values.min() == values.max():
        return None  # no sampling error is known
    low, high = np.quantile(values, [0.05, 0.95], method="inverted_cdf")
    return float(low), float(high)


def noise_free(
    tested: Tested,
    weights: Floats | None,
    rng: np.random.Generator,
    draws: int,
    *,
    even: bool = False,
) -> Floats:
    """What the curve without sampling noise may be, (R, M): from all laws that fit.

    ``even``: all that fit about as well count alike. Items that models share give their errors a
    correlation, told by the paired bootstrap. With too few rungs for any law: the scores with their
    sampling errors.
    """
    curve = tested.curve
    together = None
    if curve.items is not None and weights is not None:
        drawn = weighted_means(weights[:, curve.items.position], curve.items.scores)
        together = _correlation(drawn[np.isfinite(drawn).all(axis=1)])
    made = curve_draws(
        tested.members, tested.data, rng, draws, together, even=even, silent=at_floor(curve)
    )
    if made is None and not np.isfinite(curve.stderr).all():
        return np.tile(curve.score, (draws, 1))
    if made is None:
        made = sample(np.tile(tested.data.u, (draws, 1)), tested.data, 0, rng)
    return np.clip(from_working(curve, made), curve.facts.low, curve.facts.high)


def law_scores(tested: Tested, rng: np.random.Generator, draws: int) -> Floats:
    """Scores that the smooth law of the curve may expect, noise between rungs left out, (R, M)."""
    curve = tested.curve
    made = law_draws(tested.members, tested.data, rng, draws)
    if made is None:
        made = np.tile(tested.best.mean, (draws, 1))
    return np.clip(from_working(curve, made), curve.facts.low, curve.facts.high)


def _correlation(drawn: Floats) -> Floats:
    """Of the columns (R, M); a column that never moves goes with no other."""
    spread = drawn.std(axis=0)
    centred = (drawn - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    made = centred.T @ centred / max(len(drawn), 1)
    np.fill_diagonal(made, 1.0)
    return np.asarray(made)


def movement(curve: Curve) -> Finding:
    """Do the rungs differ by more than the sampling of items? Homogeneity test, chi2 on M - 1.

    Q = sum_i (y_i - ybar)^2 / v_i. Where the errors are unknown: the slope against log scale.
    The largest fall against the overall direction has a p-value too, Bonferroni over pairs.
    """
    y, m = to_working(curve), len(curve.score)
    span = float(np.ptp(curve.score))
    trend = float(np.polyfit(curve.x, y, 1)[0]) * (-1.0 if kind(curve) == "positive" else 1.0)
    last = float(curve.score[-1] - curve.score[0]) * (1 if curve.facts.higher_is_better else -1)
    inverse = trend < 0 and last < 0
    known = bool(np.isfinite(curve.stderr).all())
    variance = errors(curve) ** 2
    if known:
        if is_binomial(curve):
            n = np.minimum(curve.count, MOST_ITEMS)
            share = np.average(curve.score, weights=n)
            share = (share * n.sum() + 0.5) / (n.sum() + 1)
            spread = (curve.ceiling - curve.floor) ** 2
            variance = share * (1 - share) / n / spread
        q = float(((y - np.average(y, weights=1 / variance)) ** 2 / variance).sum())
        p = float(stats.chi2.sf(q, m - 1)) if span > 0 else 1.0
    else:
        q = span
        p = float(stats.linregress(curve.x, y).pvalue) if span > 0 else 1.0
    i, j, drop = shape.largest_drop(y)
    noise = np.sqrt(errors(curve)[i] ** 2 + errors(curve)[j] ** 2)
    p_drop = min(1.0, m * (m - 1) / 2 * float(stats.norm.sf(drop / noise))) if known else np.nan
    range_ = float(np.ptp(y))
    monotone = not (p_drop < 0.01 and drop > 0.05 * range_ if known else drop > 0.25 * range_)
    first = f"from {number(curve.score[0])} at {number(curve.scale[0])}"
    text = f"{first} to {number(curve.score[-1])} at {number(curve.scale[-1])} {curve.scale_name}"
    if known:
        text += f"; the rungs differ beyond sampling noise: {p_text(p)}"
    else:
        text += f"; sampling error unknown, trend against scale: {p_text(p)}"
    if not monotone:
        back = abs(float(curve.score[j] - curve.score[i]))
        text += (
            f"; not monotone: falls back by {number(back)} from {number(curve.scale[i])} to "
            f"{number(curve.scale[j])}" + (", more than noise" if known else "")
        )
    values = {
        "rise": span,
        "lowest": float(curve.score.min()),
        "highest": float(curve.score.max()),
        "inverse": inverse,
        "monotone": monotone,
        "largest_drop": abs(drop),
        "drop_from": float(curve.scale[i]),
        "drop_to": float(curve.scale[j]),
        "errors_known": known,
    }
    return Finding("movement", q, text, None, p, "chi-squared test of homogeneity", values)


def shape_findings(
    tested: Tested, drawn: Floats, rng: np.random.Generator, draws: int
) -> list[Finding]:
    """Emergence score, linearity, breakthroughness and sharpness.

    Intervals (90 %) of what the curve without sampling noise would score; p-values against families
    simulated under the best smooth law with the same rungs and noise. Sharpness is also held
    against a straight line with that noise.
    """
    curve = tested.curve
    better = 1.0 if curve.facts.higher_is_better else -1.0
    y, drawn = curve.score * better, drawn * better
    only = np.array([0])
    null = from_working(curve, simulate(tested.best, tested.data, only, [rng], draws)[0]) * better
    out = []
    k = len(y) - 1
    for name, score, source in (
        ("emergence_score", shape.emergence_score, f"{SRIVASTAVA}; {SCHAEFFER}, Sec. 4"),
        ("linearity", shape.linearity, SRIVASTAVA),
        ("breakthroughness", shape.emergence_score, f"{SRIVASTAVA}: same formula as the former"),
    ):
        value, under = float(score(y)), score(null)
        p = (1 + float((under >= value).sum())) / (draws + 1)
        interval = _interval(score(drawn))
        text = (
            f"{number(value)} ({number(value / k)} per step; a straight line scores {k}); "
            f"smooth families with these rungs and this noise reach it with {p_text(p)}"
        )
        values = {"per_step": value / k, "line_score": float(k)}
        out.append(Finding(name, value, text, interval, p, source, values))
    out.append(_sharpness(tested, y, drawn, rng, draws))
    return out


def _sharpness(
    tested: Tested, y: Floats, drawn: Floats, rng: np.random.Generator, draws: int
) -> Finding:
    curve, x = tested.curve, tested.curve.x
    wide, steep = float(shape.width(y, x)), float(shape.steepness(y, x))
    gap, share = shape.largest_step(y)
    line = _line_families(tested, rng, draws)
    p = (1 + float((shape.steepness(line, x) >= steep).sum())) / (draws + 1)
    late = float(shape.onset(y, x))
    p_late = (1 + float((shape.onset(line, x) >= late).sum())) / (draws + 1)
    j = int(gap)
    low, high = two_numbers(curve.scale[j], curve.scale[j + 1])
    text = (
        f"10-90 % of the rise takes {number(wide)} of {number(x[-1] - x[0])} decades, "
        f"{number(steep)} times as steep as a straight line ({p_text(p)} under a straight line); "
        f"{100 * late:.0f} % of the range passes before a tenth of it ({p_text(p_late)}); "
        f"{100 * float(share):.0f} % of the rise lies between {low} and {high}"
    )
    values = {
        "one_step_share": float(share),
        "step_from": float(curve.scale[j]),
        "step_to": float(curve.scale[j + 1]),
        "steepness": steep,
        "onset": late,
        "onset_p": p_late,
        "range_decades": float(x[-1] - x[0]),
        "gap": j,
    }
    interval = _interval(shape.width(drawn, x))
    return Finding("sharpness", wide, text, interval, p, "", values)


def _line_families(tested: Tested, rng: np.random.Generator, draws: int) -> Floats:
    """Families on the straight line through the curve, with the curve's own noise (R, M)."""
    u, x = tested.data.u[0], tested.data.x[0]
    slope, start = np.polyfit(x, u, 1)
    line = start + slope * x
    if kind(tested.curve) == "share":
        line = np.clip(line, 0.0, 1.0)
    mean = line + tested.noise * rng.standard_normal((draws, len(x)))
    sign = 1.0 if tested.curve.facts.higher_is_better else -1.0
    return from_working(tested.curve, sample(mean, tested.data, 0, rng)) * sign


def predictability(tested: Tested) -> Finding | None:
    """Are the largest rungs where the smaller ones say?"""
    if not tested.held_out:
        return None
    first = tested.held_out[0]
    held = [
        {
            "scale": float(s),
            "observed": float(o),
            "predicted": float(p),
            "low": float(a),
            "high": float(b),
            "rungs_held_out": len(h.scale),
        }
        for h in tested.held_out
        for s, o, p, a, b in zip(h.scale, h.observed, h.predicted, h.low, h.high, strict=True)
    ]
    inside = first.low[-1] <= first.observed[-1] <= first.high[-1]
    text = (
        f"from the smaller rungs a smooth law expects {number(first.predicted[-1])} "
        f"(90 %: {number(first.low[-1])} to {number(first.high[-1])}) at "
        f"{number(first.scale[-1])}; measured {number(first.observed[-1])}, "
        f"{'inside' if inside else 'outside'}"
    )
    interval = (float(first.low[-1]), float(first.high[-1]))
    return Finding(
        "predictability",
        float(first.predicted[-1]),
        text,
        interval,
        first.p_value,
        "",
        {"held_out": held, "observed": float(first.observed[-1])},
    )


def break_finding(
    tested: Tested, name: str = "break", jump: int | None = None, level: float = 0.05
) -> Finding:
    """The break test; ``jump`` is the gap at which the law's own share of the step is told."""
    curve = tested.curve
    a, b = two_numbers(curve.scale[tested.gap], curve.scale[tested.gap + 1])
    g = tested.gap
    share = abs(float(curve.score[g + 1] - curve.score[g])) / float(np.ptp(curve.score))
    decades = float(curve.x[g + 1] - curve.x[g])
    fair = max(decades / float(curve.x[-1] - curve.x[0]), 1e-12)
    what = curve.facts.title
    if not np.isfinite(tested.statistic):
        text = f"{what}: too few rungs ({len(curve.scale)}) to tell a step from a steep smooth law"
    else:
        verb = "do not explain" if tested.p_break < level else "explain"
        text = (
            f"{what}: smooth laws {verb} the curve without a step ({p_text(tested.p_break)}); "
            f"the best step lies between {a} and {b}, {number(abs(tested.size))} on the "
            f"{tested.unit} scale {'up' if tested.size > 0 else 'down'}, "
            f"{number(tested.contrast)} times what the smooth part changes there; that gap holds "
            f"{100 * share:.0f} % of the rise"
        )
    finite = np.isfinite(tested.statistic)
    sign = 1.0 if curve.facts.higher_is_better else -1.0
    j = int(shape.largest_step(sign * curve.score)[0]) if jump is None else jump
    u, mean, law = tested.data.u[0], tested.best.mean[0], tested.best.law
    step = u[j + 1] - u[j]
    made = float(np.ptp(mean))
    values = {
        "law_step_share": float(np.abs(np.diff(mean)).max() / made) if made > 0 else 0.0,
        "rise_share": share,
        "decades": decades,
        "outer_share": max(
            abs(curve.score[1] - curve.score[0]), abs(curve.score[-1] - curve.score[-2])
        )
        / float(np.ptp(curve.score)),
        "steepness": share / fair,
        "law_share": float((mean[j + 1] - mean[j]) / step) if step else None,
        "law": law.name,
        "step_from": float(curve.scale[tested.gap]),
        "step_to": float(curve.scale[tested.gap + 1]),
        "size": tested.size if finite else None,
        "contrast": tested.contrast if finite else None,
        "edge": tested.edge if np.isfinite(tested.edge) else None,
        "unit": tested.unit,
        "noise": float(tested.best.tau[0]),
        "wild": not law.excess and bool(tested.best.tau[0] > WILD * law.noisy),
        "metric": curve.key.metric,
        "gap": tested.gap,
    }
    source = "sup-LR test with parametric bootstrap; Andrews 1993, doi:10.2307/2951764"
    statistic = tested.statistic if finite else None
    return Finding(name, statistic, text, None, tested.p_break, source, values)


def many_tests(q: float, tests: int, level: float) -> Finding:
    """The p-value of the evidence, adjusted for all curves of the audit."""
    verb = "stands" if q <= level else "does not stand"
    text = (
        f"{tests} curves are tested at once, so some look broken by chance: adjusted for that, a "
        f"break {verb} at a false discovery rate of {level:g} ({p_text(q, 'q')})"
    )
    return Finding("many_tests", q, text, None, q, BENJAMINI, {"tests": tests, "level": level})


def coverage(curve: Curve, width: float) -> Finding:
    """The widest gap between rungs against the width of the transition; which size to add."""
    x = curve.x
    gaps = np.diff(x)
    sign = 1.0 if curve.facts.higher_is_better else -1.0
    gap, share = shape.largest_step(curve.score * sign)
    j, typical = int(gap), float(np.median(gaps))
    add = float(10 ** ((x[j] + x[j + 1]) / 2))
    wide = bool(gaps[j] >= 1.5 * typical)
    limiting = float(share) >= 0.5 and (wide or len(gaps) < 4)
    low, high = two_numbers(curve.scale[j], curve.scale[j + 1])
    text = (
        f"{100 * float(share):.0f} % of the rise falls into the gap from {low} to {high} "
        f"({number(gaps[j])} decades, typical gap {number(typical)})"
    )
    if limiting:
        text += f": too coarse to tell a jump from a smooth rise; add a rung near {number(add)}"
    values = {
        "gap_from": float(curve.scale[j]),
        "gap_to": float(curve.scale[j + 1]),
        "gap_decades": float(gaps[j]),
        "typical_gap": typical,
        "width": width,
        "add": add,
        "limiting": limiting,
        "rungs": len(x),
    }
    ratio = float(gaps.max() / width) if width > 0 else None
    return Finding("coverage", ratio, text, None, None, SCHAEFFER, values)
