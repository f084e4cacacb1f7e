"""Which choices create an ability and which dissolve it: shares of analyses, and a sentence.

Analyses of the same outputs are dependent, so their number is no sample size. The variance of a
share, or of the difference between two, is that over resamples of the items (the same resample for
all analyses), and, where not all analyses were drawn, that of the drawing:

    s^2 = var_r(share_r) + p (1 - p) / n (1 - n / N),    p = (k + 1/2) / (n + 1).

Axes: A analyses, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unmirage.multiverses.looks import Looks
from unmirage.types import Floats, Judgement, Share

Mask = NDArray[np.bool_]
_REACH = 1.645  # of a 90 % interval
#: kinds of score as a sentence names them
_KINDS = {"mean": "mean scores", "threshold": "thresholds", "K of K": "K-of-K scores"}


def whole(reports: Mask, again: Mask, known: bool, drawn: float) -> Share:
    """The share of all analyses; ``drawn`` is the part of all there are that was looked at."""
    low, high = _interval(reports.mean(), _variance(reports, again, drawn), known)
    return Share("", "all", len(reports), int(reports.sum()), low, high)


def by_level(
    choices: Mapping[str, Sequence[str]],
    levels: Mapping[str, Sequence[str]],
    reports: Mask,
    again: Mask,
    known: bool,
    drawn: float,
) -> tuple[Share, ...]:
    """The share at every level of every choice with several; ``levels``: that of each analysis."""
    out = []
    for choice, names in choices.items():
        values = np.array(levels[choice], dtype=object)
        for name in names if len(names) > 1 else ():
            out.append(_level(choice, name, values == name, reports, again, known, drawn))
    return tuple(out)


def of_verdicts(drawn: Sequence[str], total: int) -> tuple[Share, ...]:
    """The share of each verdict among analyses drawn at random out of ``total``.

    The 90 % interval is Wilson's (1927, doi:10.1080/01621459.1927.10502953), n (N - 1) / (N - n) in
    the place of n, as none is drawn twice; it speaks of the drawing, not of other items.

    >>> (share,) = of_verdicts(["smooth"] * 5, 5)
    >>> share.level, share.share, share.low
    ('smooth', 1.0, 1.0)
    """
    n = len(drawn)
    out = []
    for verdict, k in sorted(Counter(drawn).items(), key=lambda pair: (-pair[1], pair[0])):
        share = low = high = k / n
        if n < total:
            low, high = _wilson(share, n * (total - 1) / (total - n))
        out.append(Share("verdict", verdict, n, k, low, high))
    return tuple(out)


def _wilson(share: float, n: float) -> tuple[float, float]:
    z2 = _REACH**2 / n
    centre = (share + z2 / 2) / (1 + z2)
    reach = float(np.sqrt(z2 * (share * (1 - share) + z2 / 4))) / (1 + z2)
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))


def _level(
    choice: str, name: str, here: Mask, reports: Mask, again: Mask, known: bool, drawn: float
) -> Share:
    mine, others = reports[here], reports[~here]
    variance = _variance(mine, again[here], drawn)
    low, high = _interval(mine.mean(), variance, known)
    effect = float(mine.mean() - others.mean())
    apart = again[here].mean(axis=0) - again[~here].mean(axis=0)
    spread = float(np.var(apart)) + sum(_drawing(r, drawn) for r in (mine, others))
    reach = _REACH * float(np.sqrt(spread)) if known else np.nan
    return Share(
        choice,
        name,
        len(mine),
        int(mine.sum()),
        low,
        high,
        effect,
        effect - reach,
        effect + reach,
    )


def _variance(reports: Mask, again: Mask, drawn: float) -> float:
    return float(np.var(again.mean(axis=0))) + _drawing(reports, drawn)


def _drawing(reports: Mask, drawn: float) -> float:
    """Variance of a share for not all analyses were drawn."""
    n = len(reports)
    p = (float(reports.sum()) + 0.5) / (n + 1)
    return p * (1 - p) / n * (1 - drawn)


def _interval(share: float, variance: float, known: bool) -> tuple[float, float]:
    if not known:
        return np.nan, np.nan
    reach = _REACH * float(np.sqrt(variance))
    return max(0.0, float(share) - reach), min(1.0, float(share) + reach)


# ---------------------------------------------------------------- the two extremes


def extremes(looks: Looks, rises: Mask, steps: Floats) -> tuple[int, int]:
    """Rows of the analyses that look most and least emergent; ties go to the first.

    Most: reports an ability, then the largest emergence score, then the least p-value, then the
    steepest. Least: reports none although it rises, then the emergence score per step nearest 1,
    which is that of a straight line. ``steps`` (A,): gaps between rungs.
    """
    steep = np.nan_to_num(looks.steepness, nan=0.0, posinf=1e300)
    score = np.nan_to_num(looks.emergence, nan=0.0, posinf=1e300, neginf=-1e300)
    p = np.minimum(looks.p_steep, looks.p_late)
    most = np.lexsort((-steep, p, -score, ~looks.reports))
    least = np.lexsort((np.abs(score / steps - 1), ~rises, looks.reports))
    return int(most[0]), int(least[0])


def sentence(
    levels: Mapping[str, Sequence[str]],
    kinds: Sequence[str],
    reports: Mask,
    total: int,
    row: int,
    *,
    create: bool,
    scored: str = "",
    judged: Judgement | None = None,
) -> str:
    """The sentence that an honest paper would need beside the analysis in ``row``.

    ``scored`` names its threshold or K; ``judged`` is what the audit says of it.

    >>> reports = np.array([True, False, False])
    >>> kinds = ["threshold", "mean", "mean"]
    >>> levels = {"metric": ["mse"] * 3}
    >>> sentence(levels, kinds, reports, 3, 0, create=True, scored="mse <= 0.005")
    'The ability appears under 1 of 3 analyses of these outputs, all of them thresholds. This one: \
mse <= 0.005.'
    """
    mask = reports if create else ~reports
    n, k = len(reports), int(mask.sum())
    verb = "appears" if create else "does not appear"
    drawn = "" if n == total else f" (drawn from {total:,})"
    text = f"The ability {verb} under {k:,} of {n:,} analyses of these outputs{drawn}"
    if 0 < k < n:
        text += _common(levels, kinds, mask)
    if not mask[row]:
        return f"{text}."
    chosen = [f"{c} {v[row]}" for c, v in levels.items() if len(set(v)) > 1]
    if kinds[row] != "mean" and scored:
        chosen.append(scored)
    text += f". This one: {'; '.join(chosen)}." if chosen else "."
    return text if judged is None else f"{text} {_audit_says(judged, bool(reports[row]))}"


def _audit_says(judged: Judgement, reports: bool) -> str:
    """The verdict beside the look, and a word where they seem to disagree."""
    why = f" ({', '.join(judged.explained_by)})" if judged.explained_by else ""
    text = f"The audit of this one says {judged.verdict}{why}"
    if reports and judged.verdict == "smooth":
        return f"{text}: sharp to the eye, but along a smooth law."
    if not reports and judged.verdict == "survives":
        return f"{text}: not sharp to the eye, but there is a break."
    return f"{text}."


def _common(levels: Mapping[str, Sequence[str]], kinds: Sequence[str], mask: Mask) -> str:
    """What all of them share and others do not; else the level that has it most often."""
    rows = np.flatnonzero(mask).tolist()
    mine = {kinds[i] for i in rows}
    if len(mine) == 1 and len(set(kinds)) > 1:
        return f", all of them {_KINDS[mine.pop()]}"
    for choice, column in levels.items():
        mine = {column[i] for i in rows}
        if len(mine) == 1 and len(set(column)) > 1:
            return f", all of them with {choice} {mine.pop()}"
    best = max(_rates(levels, mask), default=None)
    if best is None:
        return ""
    rate, _, choice, level = best
    return f", most often with {choice} {level} ({100 * rate:.0f} %)"


def _rates(levels: Mapping[str, Sequence[str]], mask: Mask) -> list[tuple[float, int, str, str]]:
    """Share within each level of a choice with several; of ties the level with most analyses."""
    found = []
    for choice, column in levels.items():
        values = np.array(column, dtype=object)
        for name in dict.fromkeys(column):
            here = values == name
            if here.sum() < len(values):
                found.append((float(mask[here].mean()), int(here.sum()), choice, name))
    return found
