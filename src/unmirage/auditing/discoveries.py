"""Many curves tested at once: the false discovery rate of the breaks that stand.

Of the curves judged *survives* an expected share of at most ``level`` has no break: the p-values of
the evidence of all judged curves are adjusted as

    q_(i) = min over j >= i of  m p_(j) / j,    p_(1) <= ... <= p_(m)

(Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x), which holds as well
under positive dependence (Benjamini and Yekutieli 2001, doi:10.1214/aos/1013699998); that it holds
for metrics of the same outputs is measured (``unmirage calibrate --only discoveries``). A curve
that was not tested, or cannot survive for another reason, counts with p = 1. A p-value from R
simulated families cannot be below 1 / (R + 1), so the curves that this floor alone keeps back are
simulated on until ten families reach the statistic (Besag and Clifford 1991,
doi:10.1093/biomet/78.2.301) or there are m / level of them: with so many even a single curve may
stand. Of k curves that are kept back together fewer are needed, and 10 m / (k level) come first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unmirage.auditing.breaks import ENOUGH, deeper
from unmirage.auditing.tested import Tested
from unmirage.curves.uncertainty import stream
from unmirage.curves.working import kind
from unmirage.types import Floats


def q_values(p: Floats) -> Floats:
    """Benjamini-Hochberg adjusted p-values, (m,) -> (m,).

    >>> q_values(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, m + 1)
    out = np.empty(m)
    out[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return out


def control(
    evidence: Sequence[int],
    tested: dict[int, Tested],
    *,
    level: float,
    seed: int,
    draws: int,
    progress: Callable[[int], None] = lambda more: None,
) -> tuple[dict[int, Tested], Floats]:
    """Adjusted p-value of every judged curve, whose evidence is the curve of that number.

    Returns ``tested``, with more draws where they count, and q (len(evidence),). ``progress`` is
    called with 1 for each curve that got them.
    """
    tested = dict(tested)
    m = len(evidence)
    most = int(np.ceil(m / level))
    made = dict.fromkeys(evidence, draws)
    while True:
        p = np.array([tested[e].p_break if e in tested else 1.0 for e in evidence])
        q = q_values(p)
        # the floor of the p-value, not the curve, may be what keeps these back
        few = np.array(
            [
                made[e] < most and x * (made[e] + 1) < 1 + ENOUGH
                for e, x in zip(evidence, p, strict=True)
            ],
            bool,
        )
        open_ = few & (q > level)
        if not open_.any():
            return tested, q
        k = int(open_.sum())
        for e in sorted({e for e, is_open in zip(evidence, open_, strict=True) if is_open}):
            one = tested[e]
            rng = stream(seed, "deeper", one.curve.key.label(), one.curve.scale_name)
            if made[e] == draws:
                progress(1)
            wanted = int(np.ceil(ENOUGH * m / (k * level)))
            made[e] = wanted if made[e] < wanted < most else most
            found = deeper(kind(one.curve), one.data, one.statistic, one.plausible, rng, made[e])
            tested[e] = replace(one, p_break=found)
