"""The batched part of an audit: laws, breaks and held-out predictions for many curves at once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import stats

from unmirage.auditing.breaks import Breaks, find_breaks
from unmirage.auditing.search import Members
from unmirage.curves.laws import LAWS, PLAUSIBLE, Data, Fit, fit, predict
from unmirage.curves.uncertainty import stream
from unmirage.curves.working import from_working, kind, stack
from unmirage.types import Curve, Floats, SmoothLine

_BATCH = 256
_THREADS = 8  # each has its own large temporary arrays


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The largest rungs predicted from the smaller ones; axis H of held-out rungs."""

    scale: Floats
    observed: Floats
    predicted: Floats
    low: Floats  # 90 % predictive interval: law, noise between rungs and sampling
    high: Floats
    p_value: float  # of the largest rung, two-sided


@dataclass(frozen=True, eq=False)
class Tested:
    """What the batch found out about one curve. Fits are of this curve alone (B = 1)."""

    curve: Curve
    data: Data
    best: Fit  # the smooth law with the best criterion
    plausible: tuple[Fit, ...]  # the smooth laws that fit about as well, itself among them
    members: tuple[Members, ...]  # all laws, with and without a step, that fit about as well
    p_break: float
    statistic: float
    edge: float  # the statistic of a step to or from the outermost rung
    gap: int
    size: float
    contrast: float
    noise: Floats  # (M,) between rungs, in the working unit, with the step where it fits better
    unit: str
    held_out: tuple[HeldOut, ...]  # one rung held out, then two


def examine(
    curves: Sequence[Curve], seed: int, draws: int, progress: Callable[[int], None] | None = None
) -> dict[int, Tested]:
    """Test every curve that moves; the key is its place in ``curves``."""
    buckets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, curve in enumerate(curves):
        if np.ptp(curve.score) > 0:
            buckets[kind(curve), len(curve.scale)].append(number)
    parts = [
        (form, members[start : start + _BATCH])
        for (form, _), members in sorted(buckets.items())
        for start in range(0, len(members), _BATCH)
    ]
    done: dict[int, Tested] = {}
    # threads: nearly all the work is in array operations, which leave the interpreter free
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        found = pool.map(lambda p: _examine(p[0], [curves[i] for i in p[1]], seed, draws), parts)
        for (_, part), tested in zip(parts, found, strict=True):
            done.update(zip(part, tested, strict=True))
            if progress:
                progress(len(part))
    return done


def _examine(form: str, curves: Sequence[Curve], seed: int, draws: int) -> list[Tested]:
    data = stack(curves)
    streams = [stream(seed, "break", c.key.label(), c.scale_name) for c in curves]
    found = find_breaks(form, data, streams, draws)
    members = _by_curve(found.members, len(curves))
    held = [_hold_out(form, curves, data, h) for h in (1, 2)]
    return [
        Tested(
            curve,
            data.take(np.array([i])),
            found.fits[found.best[i]].take(slice(i, i + 1)),
            _plausible(found, i),
            members[i],
            float(found.p_value[i]),
            float(found.statistic[i]),
            float(found.edge[i]),
            int(found.gap[i]),
            float(found.size[i]),
            float(found.contrast[i]),
            found.noise[i],
            found.unit[i],
            tuple(h[i] for h in held if h is not None),
        )
        for i, curve in enumerate(curves)
    ]


def _plausible(found: Breaks, i: int) -> tuple[Fit, ...]:
    near = found.smooth[:, i] <= found.smooth[:, i].min() + PLAUSIBLE
    return tuple(found.fits[law].take(slice(i, i + 1)) for law in np.flatnonzero(near))


def _by_curve(members: Sequence[Members], count: int) -> list[tuple[Members, ...]]:
    out: list[list[Members]] = [[] for _ in range(count)]
    for group in members:
        for i in np.unique(group.curve):
            out[i].append(group.take(group.curve == i))
    return [tuple(mine) for mine in out]


def _hold_out(form: str, curves: Sequence[Curve], data: Data, h: int) -> list[HeldOut] | None:
    """Fit every law to all but the h largest rungs and predict those with the best."""
    m = data.u.shape[1]
    if m - h < 4:
        return None
    seen, later = data.rungs(slice(0, m - h)), data.rungs(slice(m - h, m))
    made = []
    for law in LAWS[form]:
        fitted = fit(law, seen)
        mean, slope, error = predict(fitted, seen, later.x)
        noise = later.noise_slope(slope) * fitted.tau[:, None]
        sd = np.sqrt(error**2 + noise**2 + later.variance(mean))
        spare = max(1, m - h - law.parameters)
        made.append((fitted.aicc, mean, sd, np.full(len(curves), spare)))
    aicc = np.stack([a for a, *_ in made])
    best = aicc.argmin(axis=0)
    # no law is known to hold: the interval spans those that fit about as well
    near = aicc <= aicc.min(axis=0) + PLAUSIBLE
    out = []
    for i, curve in enumerate(curves):
        ends, p_value = [], 0.0
        for k in np.flatnonzero(near[:, i]):
            _, mean, sd, spare = made[int(k)]
            t = stats.t(int(spare[i]))
            reach = float(t.ppf(0.95)) * sd[i]
            ends += [from_working(curve, mean[i] - reach), from_working(curve, mean[i] + reach)]
            z = float((later.u[i, -1] - mean[i, -1]) / sd[i, -1])
            p_value = max(p_value, float(2 * t.sf(abs(z))))
        bounds = np.clip([np.min(ends, 0), np.max(ends, 0)], curve.facts.low, curve.facts.high)
        expected = from_working(curve, made[best[i]][1][i])
        expected = np.clip(expected, curve.facts.low, curve.facts.high)
        scale, seen_score = curve.scale[m - h :], curve.score[m - h :]
        out.append(HeldOut(scale, seen_score, expected, bounds[0], bounds[1], p_value))
    return out


def smooth_line(tested: Tested, points: int = 60) -> SmoothLine:
    """The best smooth law on a grid over the rungs, with the 90 % band of its mean."""
    x = np.linspace(tested.data.x[0, 0], tested.data.x[0, -1], points)[None]
    mean, _, error = predict(tested.best, tested.data, x)
    curve = tested.curve
    band = np.stack([mean[0] - 1.645 * error[0], mean[0] + 1.645 * error[0]])
    ends = np.clip(np.sort(from_working(curve, band), axis=0), curve.facts.low, curve.facts.high)
    score = np.clip(from_working(curve, mean[0]), curve.facts.low, curve.facts.high)
    return SmoothLine(tested.best.law.name, 10.0 ** x[0], score, ends[0], ends[1])
