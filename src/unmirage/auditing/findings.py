"""Tests and estimates of one curve, each as a Finding with its sentence."""

from __future__ import annotations

import numpy as np
from scipy import stats

from unmirage.auditing import shape
from unmirage.auditing.breaks import sample, simulate
from unmirage.auditing.posterior import curve_draws, law_draws
from unmirage.auditing.push import Push
from unmirage.auditing.tested import Tested
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
SCHAEFFER = "Schaeffer et al. 2023, arXiv 2304.15004"


def number(value: float, digits: int = 3) -> str:
    """A number as people read it: 1.4B, 0.0013, 12.3."""
    if not np.isfinite(value):
        return "unbounded" if value > 0 else "unknown"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if 1e15 > abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}"
    return f"{value:.{digits}g}" if abs(value) < 1e15 else f"{value:.{digits - 1}e}"


def two_numbers(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart.

    >>> two_numbers(1.0e6, 1.001e6)
    ('1M', '1.001M')
    """
    digits = next((d for d in range(3, 12) if number(a, d) != number(b, d)), 3)
    return number(a, digits), number(b, digits)


def p_text(p: float, name: str = "p") -> str:
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.2g}"


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


def metric_finding(
    curve: Curve, companion: Curve, push: Push, dependence: dict[str, object] | None
) -> Finding:
    j = push.gap
    jump = " to ".join(two_numbers(curve.scale[j], curve.scale[j + 1]))
    if push.way == "items":
        how = f"the smooth law of {companion.facts.title}, pushed item by item through the metric,"
    else:
        how = (
            f"the smooth law of {companion.facts.title}, through a fitted logistic link (there are "
            "no items to rescore),"
        )
    share = f"{100 * push.share:.0f} %" if push.share > 0 else "none"
    text = f"{how} makes {share} of the jump from {jump}"
    if push.interval:
        text += f" (90 %: {100 * push.interval[0]:.0f} to {100 * push.interval[1]:.0f} %)"
    if dependence:
        text += f"; {dependence['text']}"
    values: dict[str, object] = {
        "companion": companion.key.metric,
        "way": push.way,
        "step_from": float(curve.scale[j]),
        "step_to": float(curve.scale[j + 1]),
        "pushed": [float(v) for v in push.pushed],
    }
    if dependence:
        values.update({k: v for k, v in dependence.items() if k != "text"})
    return Finding("metric", push.share, text, push.interval, None, SCHAEFFER, values)


def dependence(exact: Curve, per_token: Curve, total: Curve) -> dict[str, object] | None:
    """How dependent are the errors within an answer?

    With independent errors exact match is p^L, p = exp(-cross-entropy), L tokens. The effective
    length log(exact match) / log(p) is L then, and shorter where errors come together. Median over
    rungs with exact match between 0.02 and 0.98.
    """
    if total.items is None or per_token.items is None or exact.models != per_token.models:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = -total.items.scores / per_token.items.scores
        length = float(np.nanmedian(lengths))
        p = np.exp(-per_token.score)
        effective = np.log(exact.score) / np.log(p)
    use = (exact.score > 0.02) & (exact.score < 0.98) & np.isfinite(effective)
    if not use.any() or not np.isfinite(length):
        return None
    found = float(np.median(effective[use]))
    text = (
        f"answers of {number(length)} tokens count like {number(found)} independent ones "
        f"(independent errors would give p^{number(length)})"
    )
    independent = [float(v) for v in p**length]
    return {
        "text": text,
        "length": length,
        "effective_length": found,
        "independent": independent,
    }


def resolution(
    curve: Curve, expected: Floats, source: str, drawn: Floats | None = None
) -> Finding | None:
    """Which rungs sit at the floor, what is expected there, and how many items would show it.

    A rung is at the floor when its 95 % interval reaches it. Above a floor c > 0 an expected score
    p needs n = ((1.645 sqrt(c (1-c)) + 1.645 sqrt(p (1-p))) / (p - c))^2 items, above 0
    n = log(0.05) / log(1 - p): seen with probability 0.95. Scores that are not right or wrong need
    n = (3.29 sd / distance)^2, sd that of one item. ``drawn`` (R, M), what may be expected, gives
    the number its 90 % interval: from 5 % to 95 % of the draws, from 10 % on where it has no upper
    end.
    """
    if kind(curve) != "share" or not np.isfinite(curve.count).all():
        return None
    if not is_binomial(curve) and not np.isfinite(curve.stderr).any():
        return None  # nothing says how far the scores of single items differ
    sign = np.sign(curve.ceiling - curve.floor)
    n = curve.count
    needed = items_needed(curve, expected)
    ends = np.full((2, len(n)), np.nan)
    if drawn is not None and len(drawn) >= 20:
        # the less is expected, the more items are needed
        low, less, high = (
            items_needed(curve, sign * q)
            for q in np.quantile(sign * drawn, [0.95, 0.9, 0.05], axis=0, method="inverted_cdf")
        )
        # an interval without an upper end has all that it may miss below
        ends = np.stack([np.where(np.isinf(high), less, low), high])
    silent = at_floor(curve)
    hidden = silent & (needed > n)
    rungs = [
        {
            "scale": float(curve.scale[i]),
            "score": float(curve.score[i]),
            "hidden": bool(hidden[i]),
            "expected": float(expected[i]),
            "needed_n": float(needed[i]),
            "needed_low": float(ends[0, i]),
            "needed_high": float(ends[1, i]),
        }
        for i in np.flatnonzero(silent)
    ]
    visible = float(_visible(curve))
    count = int(hidden.sum())
    text = f"{int(n.min())} items show a score {number(visible)} off the floor at best"
    if rungs:
        text += f"; {len(rungs)} of {len(n)} rungs sit at the floor"
    else:
        text += "; no rung sits at the floor"
    if count:
        worst = int(np.flatnonzero(hidden)[np.argmin(needed[hidden])])
        text += (
            f", in {count} of them {source} expects less than that: at "
            f"{number(curve.scale[worst])} it expects {number(expected[worst])}, for which "
            f"{number(needed[worst])} items are needed"
        )
        if np.isfinite(ends[:, worst]).any():
            text += f" (90 %: {number(ends[0, worst])} to {number(ends[1, worst])})"
    values = {
        "floor_rungs": rungs,
        "n": float(n.min()),
        "floor": float(curve.floor),
        "smallest_visible": visible,
        "hidden": count,
        "at_floor": len(rungs),
    }
    return Finding("resolution", float(count), text, None, None, SCHAEFFER, values)


def at_floor(curve: Curve) -> np.ndarray:
    """Rungs whose 95 % interval reaches the floor, (M,)."""
    return np.asarray((curve.low <= curve.floor + 1e-12) & (curve.high >= curve.floor - 1e-12))


def items_needed(curve: Curve, expected: Floats) -> Floats:
    """Items that show an expected score off the floor, (M,) -> (M,)."""
    sign = np.sign(curve.ceiling - curve.floor)
    above = np.maximum(sign * (expected - curve.floor), 1e-15)
    if is_binomial(curve):
        return np.array([_needed(curve.floor, a, sign) for a in above])
    sd = curve.stderr * np.sqrt(curve.count)  # of one item
    return np.asarray(np.ceil((3.29 * np.nanmax(sd) / above) ** 2))


def _visible(curve: Curve) -> float:
    """Smallest distance from the floor that the items at hand show."""
    n = float(curve.count.min())
    if not is_binomial(curve):
        return 3.29 * float(np.nanmax(curve.stderr))
    if curve.floor in (0.0, 1.0):
        return 3.0 / n
    return 3.29 * float(np.sqrt(curve.floor * (1 - curve.floor) / n))


def _needed(floor: float, above: float, sign: float) -> float:
    p = float(np.clip(floor + sign * above, 0.0, 1.0))
    if floor in (0.0, 1.0):
        rate = min(max(above, 1e-300), 1.0 - 1e-12)
        return float(np.ceil(np.log(0.05) / np.log1p(-rate))) if rate > 1e-15 else np.inf
    spread = 1.645 * (np.sqrt(floor * (1 - floor)) + np.sqrt(max(p * (1 - p), 0.0)))
    return float(np.ceil((spread / above) ** 2)) if above > 1e-12 else np.inf


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
