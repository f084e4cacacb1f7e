"""Is there a sudden break that no smooth law explains?

Two classes of explanation compete for a curve: the smooth laws of :mod:`unmirage.curves.laws`, and
a smooth law (line or bend) plus one step at an unknown gap between two rungs. Each member gets

    D = min over tau of  sum_i log(v_i + g_i^2 tau^2) + (u_i - mu_i)^2 / (v_i + g_i^2 tau^2)  + c,

v_i the sampling variance, tau the noise between rungs on the scale of the law, g_i the slope of its
link, and c = 2k for k fitted numbers (Akaike 1974, doi:10.1109/TAC.1974.1100705). The statistic is

    T = min over smooth laws of D  -  min over (law, gap) of D,

so a step counts only if it beats the best smooth law with its own noise, and by more than what
laws that fit about as well differ by (T > 6; else p = 1). A step leaves two rungs or more on either
side: one rung that lies apart says nothing of what is beyond it (trimming as in the sup-F test,
Andrews 1993, doi:10.2307/2951764). The distribution of T comes from families simulated under the
smooth law with the same rungs, items and noise (parametric bootstrap), in which the gap is chosen
anew each time: the place may be chosen after looking. Where several smooth laws fit about as well,
the one that gives the largest p-value counts. With too few rungs for a step and noise both, T =
-inf and p = 1: there a steep smooth curve and a step are one and the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unmirage.auditing.null import simulate, statistics
from unmirage.auditing.search import MEMORY, BestStep, Ints, Members, search
from unmirage.curves.laws import LAWS, PLAUSIBLE, Data, Fit, Law, fit
from unmirage.types import Floats

#: a first look with few draws; curves far from significant stop there
_FIRST, _STOP = 80, 0.2
#: a p-value needs no more than so many families that reach the statistic; families at a time
ENOUGH, _CHUNK = 10, 2000
#: members whose criterion is so far above the best of their curve weigh below 0.25 % of it
NEAR = 12.0


@dataclass(frozen=True, eq=False)
class Breaks:
    """One row a curve; axes B curves, M rungs, W laws."""

    p_value: Floats  # (B,) 1 where there are too few rungs
    statistic: Floats  # (B,) T; -inf where there are too few rungs
    edge: Floats  # (B,) T of a step that leaves fewer than SIDE rungs on one side
    gap: Ints  # (B,) the best step lies between rungs gap and gap + 1
    size: Floats  # (B,) its height on the scale of the law, towards better
    contrast: Floats  # (B,) that height over what the smooth part changes across the same gap
    noise: Floats  # (B, M) between rungs, in u, under the better of the two classes
    unit: tuple[str, ...]  # (B,) that scale: the link of the law with the step
    smooth: Floats  # (W, B) D of each smooth law
    best: Ints  # (B,) number of the best of them
    fits: tuple[Fit, ...]  # (W,) each smooth law on all curves
    members: tuple[Members, ...]  # all that come within NEAR of the best of their curve


def find_breaks(
    kind: str, data: Data, streams: Sequence[np.random.Generator], draws: int
) -> Breaks:
    """Test every curve for a break; ``streams`` holds one random generator a curve."""
    laws = LAWS[kind]
    fits = tuple(fit(law, data) for law in laws)
    smooth, best_step, edge, members = search(laws, fits, data)
    size = best_step.size
    if kind == "positive":
        # a loss on its own scale gets better downwards; its logarithm is turned already
        size = np.where([link == "identity" for link in best_step.link], -size, size)
    least, best = smooth.min(axis=0), smooth.argmin(axis=0)
    t, noise = _statistic_and_noise(fits, data, smooth, best_step)
    # where a smooth law fits about as well a step is no evidence, however rare it is
    p_value = np.where(t > PLAUSIBLE, 0.0, 1.0)
    for number in range(len(laws)):
        asked = (t > PLAUSIBLE) & (smooth[number] <= least + PLAUSIBLE)
        rows = np.flatnonzero(asked)
        p = _p_values(laws, number, fits, data, t, rows, streams, _FIRST)
        again = rows[p <= _STOP]
        deep = _p_values(laws, number, fits, data, t, again, streams, draws)
        p[p <= _STOP] = deep
        p_value[rows] = np.maximum(p_value[rows], p)
    limit = np.minimum(least, best_step.criterion) + NEAR
    near = tuple(found.take(found.criterion <= limit[found.curve]) for found in members)
    return Breaks(
        p_value,
        t,
        _gained(least, edge.criterion),
        best_step.gap,
        size,
        best_step.contrast,
        noise,
        tuple(best_step.link),
        smooth,
        best,
        fits,
        tuple(found for found in near if len(found.curve)),
    )


def _gained(least: Floats, criterion: Floats) -> Floats:
    """T: what a step gains on the best smooth law, (B,); -inf where either cannot be fitted."""
    few = ~(np.isfinite(least) & np.isfinite(criterion))
    return np.asarray(np.where(few, -np.inf, least - np.where(few, 0.0, criterion)))


def noise_between(kind: str, data: Data) -> Floats:
    """Noise between rungs in the working unit, (B, M), with the step where it fits better."""
    fits = tuple(fit(law, data) for law in LAWS[kind])
    smooth, best_step, *_ = search(LAWS[kind], fits, data)
    return _statistic_and_noise(fits, data, smooth, best_step)[1]


def _statistic_and_noise(
    fits: Sequence[Fit], data: Data, smooth: Floats, best_step: BestStep
) -> tuple[Floats, Floats]:
    """T of every curve (B,), and its noise between rungs (B, M)."""
    least, best = smooth.min(axis=0), smooth.argmin(axis=0)
    t = _gained(least, best_step.criterion)
    rows = np.arange(len(best))
    at_best = np.stack([data.noise_slope(f.slope) * f.tau[:, None] for f in fits])[best, rows]
    return t, np.where((t > 0)[:, None], best_step.noise, at_best)


def deeper(
    kind: str,
    data: Data,
    statistic: float,
    plausible: Sequence[Fit],
    rng: np.random.Generator,
    most: int,
) -> float:
    """The p-value of one curve from up to ``most`` families of each plausible law.

    A law is done when ENOUGH of its families reach the statistic: p = ENOUGH / families then, else
    (1 + reached) / (1 + families) (Besag and Clifford 1991, doi:10.1093/biomet/78.2.301).
    """
    worst, only = 0.0, np.array([0])
    for law in plausible:
        reached = made = 0
        while made < most and reached < ENOUGH:
            families = simulate(law, data, only, [rng], min(_CHUNK, most - made))
            null = statistics(LAWS[kind], law, data, only, families)[0]
            hits = np.flatnonzero(null >= statistic)
            if reached + len(hits) >= ENOUGH:
                made += int(hits[ENOUGH - reached - 1]) + 1
                reached = ENOUGH
            else:
                made, reached = made + len(null), reached + len(hits)
        p = reached / made if reached >= ENOUGH else (1 + reached) / (1 + made)
        worst = max(worst, p)
    return worst


def _p_values(
    laws: Sequence[Law],
    number: int,
    fits: Sequence[Fit],
    data: Data,
    t: Floats,
    rows: Ints,
    streams: Sequence[np.random.Generator],
    draws: int,
) -> Floats:
    """Share of families simulated under one smooth law that reach T, (len(rows),)."""
    out = np.ones(len(rows))
    m = data.u.shape[1]
    size = max(1, MEMORY // (draws * m * 21))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        made = simulate(fits[number], data, part, streams, draws)
        null = statistics(laws, fits[number], data.take(part), part, made)
        out[start : start + size] = (1 + (null >= t[part, None]).sum(axis=1)) / (draws + 1)
    return out
