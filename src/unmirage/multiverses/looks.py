"""How every analysis looks, for all of them at once: the conventions that a verdict begins with.

A curve *reports an ability* when it rises beyond sampling noise and looks sharp: at least SHARP
times as steep as a straight line, or nothing in the first LATE of the range, each at ``level``
against a straight line with the noise that the curve shows
(:mod:`unmirage.auditing.verdict`). Analyses are curves of unequal length: they are taken together
by the kind of score and the number of rungs.
Axes: A analyses, R resamples of the items, D draws of the straight line, M rungs.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unmirage.auditing import shape
from unmirage.auditing.breaks import noise_between
from unmirage.auditing.case import LATE, SHARP
from unmirage.auditing.null import sample
from unmirage.curves.laws import Data
from unmirage.curves.uncertainty import stream
from unmirage.curves.working import is_binomial, kind, stack
from unmirage.types import Curve, Floats

Mask = NDArray[np.bool_]
_BATCH = 128
_THREADS = 8  # each has its own large temporary arrays


@dataclass(frozen=True, eq=False)
class Looks:
    """One row an analysis."""

    emergence: Floats  # (A,)
    width: Floats  # (A,) decades
    steepness: Floats  # (A,)
    onset: Floats  # (A,)
    p_steep: Floats  # (A,) 1 where it is not steep: not simulated
    p_late: Floats  # (A,)
    p_movement: Floats  # (A,)
    inverse: Mask  # (A,)
    sharp: Mask  # (A,)
    reports: Mask  # (A,)
    again: Mask  # (A, R) whether it reports an ability with other items


def look(
    curves: Sequence[Curve],
    again: Sequence[Floats],
    *,
    seed: int,
    draws: int,
    level: float,
    progress: Callable[[int], None] = lambda more: None,
) -> Looks:
    """Look at every curve, and at its scores (R, M) under resampled items."""
    total, resamples = len(curves), len(again[0]) if again else 0
    out = _empty(total, resamples)
    buckets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, curve in enumerate(curves):
        buckets[kind(curve), len(curve.scale)].append(number)
    parts = [
        (form, np.array(members[start : start + _BATCH]))
        for (form, _), members in sorted(buckets.items())
        for start in range(0, len(members), _BATCH)
    ]

    def work(part: tuple[str, NDArray[np.int64]]) -> int:
        form, rows = part
        mine = rows.tolist()
        chosen = [curves[i] for i in mine], [again[i] for i in mine]
        _look(out, rows, *chosen, form, seed, draws, level)  # every part has rows of its own
        return len(rows)

    # threads: nearly all the work is in array operations, which leave the interpreter free
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        for count in pool.map(work, parts):
            progress(count)
    return out


def _empty(total: int, resamples: int) -> Looks:
    a, b, c, d, e, f, g = np.full((7, total), np.nan)
    inverse, sharp, reports = np.zeros((3, total), bool)
    again = np.zeros((total, resamples), bool)
    return Looks(a, b, c, d, e, f, g, inverse, sharp, reports, again)


def _look(
    out: Looks,
    rows: NDArray[np.int64],
    curves: Sequence[Curve],
    again: Sequence[Floats],
    form: str,
    seed: int,
    draws: int,
    level: float,
) -> None:
    data = stack(curves)
    better = np.array([1.0 if c.facts.higher_is_better else -1.0 for c in curves])
    y = np.stack([c.score for c in curves]) * better[:, None]
    every = np.concatenate([y[:, None], np.stack(again) * better[:, None, None]], axis=1)
    steep, late = shape.steepness_and_onset(every, data.x[:, None])  # (A, 1 + R)
    moves, out.p_movement[rows] = _movement(curves, data, y, level)
    rising = ~_inverse(curves, data, y)
    p_steep, p_late = np.ones(steep.shape), np.ones(late.shape)
    asked = np.flatnonzero(((steep >= SHARP) | (late >= LATE)).any(axis=1))
    labels = [curves[i].key.label() for i in asked.tolist()]
    line = _line_families(form, data.take(asked), labels, seed, draws)
    for k, i in enumerate(asked):
        x = data.x[i]
        flat = shape.steepness_and_onset(line[k], x)
        p_steep[i], p_late[i] = (
            _p_value(v[i], f) for v, f in zip((steep, late), flat, strict=True)
        )
    sharp = (steep >= SHARP) & (p_steep < level) | (late >= LATE) & (p_late < level)
    known = np.array([np.isfinite(c.stderr).all() for c in curves])
    reports = sharp & rising[:, None] & (moves | ~known)[:, None]
    out.emergence[rows] = shape.emergence_score(y)
    out.steepness[rows], out.onset[rows] = steep[:, 0], late[:, 0]
    out.width[rows] = 0.8 * np.ptp(data.x, axis=1) / steep[:, 0]
    out.p_steep[rows] = np.where(steep[:, 0] >= SHARP, p_steep[:, 0], 1.0)
    out.p_late[rows] = np.where(late[:, 0] >= LATE, p_late[:, 0], 1.0)
    out.inverse[rows], out.sharp[rows] = ~rising, sharp[:, 0]
    out.reports[rows], out.again[rows] = reports[:, 0], reports[:, 1:]


def _p_value(values: Floats, null: Floats) -> Floats:
    """(1 + draws that reach the value) / (1 + draws); NaN never reaches anything."""
    finite = np.sort(null[~np.isnan(null)])
    reach = len(finite) - np.searchsorted(finite, values, side="left")
    return np.where(np.isnan(values), 1.0, (1 + reach) / (len(null) + 1))


def _movement(curves: Sequence[Curve], data: Data, y: Floats, level: float) -> tuple[Mask, Floats]:
    """Do the rungs differ beyond sampling noise? As :func:`unmirage.auditing.findings.movement`."""
    m = y.shape[1]
    known = np.array([np.isfinite(c.stderr).all() for c in curves])
    exact = np.array([is_binomial(c) for c in curves])
    variance = np.where(exact[:, None], _pooled_variance(data), data.se**2)
    weight = 1 / variance
    centre = (data.u * weight).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    p = stats.chi2.sf(((data.u - centre) ** 2 * weight).sum(axis=1), m - 1)
    for i in np.flatnonzero(~known & (np.ptp(data.u, axis=1) > 0)):
        p[i] = stats.linregress(data.x[i], data.u[i]).pvalue
    p = np.where(np.ptp(y, axis=1) > 0, p, 1.0)
    return p < level, p


def _pooled_variance(data: Data) -> Floats:
    """Of a count out of n under one share for all rungs, in the working unit, (A, M)."""
    n = np.where(np.isnan(data.n), 1.0, data.n)
    span = (data.high - data.low)[:, None]
    right = (data.low[:, None] + data.u * span) * n
    total = n.sum(axis=1, keepdims=True)
    share = (right.sum(axis=1, keepdims=True) + 0.5) / (total + 1)
    return np.asarray(share * (1 - share) / n / span**2)


def _inverse(curves: Sequence[Curve], data: Data, y: Floats) -> Mask:
    """Does the score get worse with scale: by its trend, and from the first rung to the last?"""
    sign = np.array([-1.0 if kind(c) == "positive" else 1.0 for c in curves])
    x = data.x - data.x.mean(axis=1, keepdims=True)
    slope = (x * data.u).sum(axis=1) * sign
    return np.asarray((slope < 0) & (y[:, -1] < y[:, 0]))


def _line_families(form: str, data: Data, labels: Sequence[str], seed: int, draws: int) -> Floats:
    """Families on the straight line through each curve, with its noise, oriented, (A, D, M)."""
    if not labels:
        return np.empty((0, draws, data.u.shape[1]))
    noise = noise_between(form, data)
    x = data.x - data.x.mean(axis=1, keepdims=True)
    slope = (x * data.u).sum(axis=1, keepdims=True) / (x * x).sum(axis=1, keepdims=True)
    line = data.u.mean(axis=1, keepdims=True) + slope * x
    if form == "share":
        line = np.clip(line, 0.0, 1.0)
    made = np.empty((len(labels), draws, line.shape[1]))
    for k, label in enumerate(labels):
        rng = stream(seed, "line", label)
        made[k] = line[k] + noise[k] * rng.standard_normal((draws, line.shape[1]))
        made[k] = sample(made[k], data, k, rng)
    return -made if form == "positive" else made
