"""What the statistic of the break test does where nothing breaks: families under a smooth law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unmirage.auditing.search import LEVELS, SIDE, Ints, penalty_of, typical_noise
from unmirage.curves.laws import (
    PLATEAU,
    Data,
    Fit,
    Law,
    design,
    fit,
    inverse_link,
    plateau_columns,
    unit,
)
from unmirage.types import Floats


def simulate(
    fitted: Fit, data: Data, rows: Ints, streams: Sequence[np.random.Generator], draws: int
) -> Floats:
    """Scores of the same rungs and items under the fitted law, (B, R, M).

    Few rungs say little of the noise between them, so that each family has its own,

        tau_r^2 = (tau^2 + s^2) F - s^2,    F = k / chi2_k,

    s the typical sampling error, k the rungs that tell of the law less its parameters. A law that
    fits badly shows its misfit as noise, and in so much noise a step on few rungs is nothing rare:
    the noise ends at the most that the law has, or at tau where it may have more.
    """
    out = np.empty((len(rows), draws, data.u.shape[1]))
    part, at = data.take(rows), fitted.take(rows)
    most = _most_noise(at, part)
    sampling, spare = typical_noise(at), np.maximum(_telling(at) - fitted.law.parameters, 2.0)
    for k, row in enumerate(rows):
        rng = streams[row]
        noise = rng.standard_normal((draws, out.shape[2]))
        least = sampling[k] ** 2
        more = (at.tau[k] ** 2 + least) * spare[k] / rng.chisquare(spare[k], draws)
        tau = np.minimum(np.sqrt(np.maximum(more - least, 0.0)), most[k])[:, None]
        mean, slope = inverse_link(fitted.law.link, at.eta[k] + tau * noise)
        if part.least[k] > 0:
            missing = np.sqrt(np.maximum(part.least[k] ** 2 - slope**2, 0.0))
            mean = mean + missing * tau * rng.standard_normal(mean.shape)
        out[k] = sample(mean, part, k, rng)
    return out


def _most_noise(fitted: Fit, data: Data) -> Floats:
    """The most noise that a simulated family has, on the scale of eta, (B,)."""
    law, tau = fitted.law, fitted.tau
    if not law.excess:
        return np.full(len(tau), law.noisy)
    span = np.ptp(data.u, axis=1) if law.link == "identity" else 1.0
    return np.asarray(np.maximum(tau, law.noisy * span))


def _telling(fitted: Fit) -> Floats:
    """How many rungs tell of the law: (sum w)^2 / sum w^2, w their weights (Kish 1965), (B,)."""
    weight = (fitted.slope / fitted.sd) ** 2
    weight = weight / np.maximum(weight.max(axis=1, keepdims=True), 1e-300)
    return np.asarray(weight.sum(axis=1) ** 2 / np.maximum((weight**2).sum(axis=1), 1e-300))


def sample(mean: Floats, data: Data, curve: int, rng: np.random.Generator) -> Floats:
    """Measured scores of one curve whose true values are ``mean`` (R, M)."""
    n = data.n[curve]
    if np.isnan(n).any():
        return np.asarray(mean + data.se[curve] * rng.standard_normal(mean.shape))
    span = data.high[curve] - data.low[curve]
    share = np.clip(data.low[curve] + mean * span, 0.0, 1.0)
    return np.asarray((rng.binomial(n.astype(np.int64), share) / n - data.low[curve]) / span)


def statistics(laws: Sequence[Law], truth: Fit, data: Data, rows: Ints, made: Floats) -> Floats:
    """T of simulated families, (B, R).

    Each law is made linear about its fit to the truth: under a smooth truth a fitted step is small,
    so this agrees with refitting (tests/auditing/test_breaks.py holds the slow twin).
    """
    m = data.u.shape[1]
    smooth = np.full(made.shape[:2], np.inf)
    stepped = np.full(made.shape[:2], np.inf)
    centre = replace(data, u=truth.mean[rows])
    tau = truth.tau[rows]
    for law in laws:
        penalty = penalty_of(law, m, step=False)
        if not np.isfinite(penalty):
            continue
        fitted = fit(law, centre)
        d0, d1 = _law_criteria(law, fitted, data, made, tau)
        smooth = np.minimum(smooth, d0 + penalty)
        if law.takes_step:
            stepped = np.minimum(stepped, d1 + penalty_of(law, m, step=True))
    return np.asarray(smooth - stepped)


def _law_criteria(
    law: Law, fitted: Fit, data: Data, made: Floats, tau: Floats
) -> tuple[Floats, Floats]:
    """min over tau of D without and with the best step, (B, R) each, penalties aside."""
    t, _, _ = unit(data.x)
    m = t.shape[1]
    columns = plateau_columns(t) if law.basis == PLATEAU else design(law, t)[:, None]
    residual = made - fitted.mean[:, None]
    inner = slice(SIDE - 1, m - SIDE)
    jump = np.tril(np.ones((m, m)), -1)[:, inner]  # a column a gap: 1 above it
    smooth = np.full(made.shape[:2], np.inf)
    stepped = smooth.copy()
    for level in np.maximum(tau, typical_noise(fitted))[None] * LEVELS[:, None]:
        sd = np.sqrt(data.total(fitted.mean, fitted.slope, level))
        pull = (fitted.slope / sd)[:, None, :, None]
        basis, _ = np.linalg.qr(columns * pull)
        r = (residual / sd[:, None])[:, None]  # (B, 1, R, M)
        q = (r**2).sum(-1) - ((r @ basis) ** 2).sum(-1)  # (B, G, R)
        base = 2 * np.log(sd).sum(axis=1)[:, None]
        smooth = np.minimum(smooth, base + q.min(axis=1))
        if not law.takes_step:
            continue
        raw = pull * jump
        off = raw - basis @ (np.swapaxes(basis, -1, -2) @ raw)
        norm = np.linalg.norm(off, axis=2, keepdims=True)
        real = norm > 1e-6 * np.linalg.norm(raw, axis=2, keepdims=True)
        steps = np.where(real, off / np.where(real, norm, 1.0), 0.0)
        gain = ((r @ steps) ** 2).max(axis=-1)  # (B, 1, R)
        stepped = np.minimum(stepped, base + (q - gain)[:, 0])
    return smooth, stepped
