"""Forecasts to beat that are too slow to stand beside every backtest.

Each takes training curves and targets (log10 scale) and gives draws (T, R) of the measured score
for each curve. Where a fit fails, or has too few rungs, the last value stands in.
"""

import warnings

import numpy as np
from scipy.optimize import curve_fit

from unmirage.forecasting import companions, single
from unmirage.forecasting.baselines import BASELINES, NORMAL, last_value
from unmirage.forecasting.laws import LAWS
from unmirage.forecasting.series import backward, batch, form, forward


def _scipy(name):
    """A law by scipy's bounded curve_fit, normal errors from its covariance and the residuals."""
    law = LAWS[name]

    def run(curves, at):
        made = last_value(curves, at)
        for i, (c, x) in enumerate(zip(curves, at, strict=True)):
            if form(c) == "free" or len(c.scale) < len(law.parameters):
                continue
            e, v, a, b = single.to_error(c)
            t, ahead = c.x - c.x[0], x - c.x[0]
            try:
                drawn = a + b * _fit(law, t, e, v, ahead)
            except (RuntimeError, ValueError, np.linalg.LinAlgError):
                continue
            if np.isfinite(drawn).all():
                made[i] = np.clip(drawn, c.facts.low, c.facts.high)
        return made

    return run


def _fit(law, t, e, v, ahead):
    def f(t, *theta):
        return law.formula(np.array(theta), t)

    sigma = np.sqrt(v) if (v > 0).all() else None
    bounds = tuple(zip(*law.bounds, strict=True))
    low, high = map(np.array, bounds)
    best = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in law.start(t, e)[:3]:
            start = np.clip(start, low + 1e-6, high - 1e-6)
            theta, cover = curve_fit(f, t, e, start, sigma=sigma, bounds=bounds, max_nfev=400)
            cost = ((e - f(t, *theta)) ** 2).sum()
            if best is None or cost < best[0]:
                best = cost, theta, cover
    cost, theta, cover = best
    if not np.isfinite(cover).all():
        raise ValueError
    size = 1e-5 * np.maximum(np.abs(theta), 1e-3)
    slopes = np.stack(
        [
            (f(ahead, *(theta + s)) - f(ahead, *theta)) / d
            for s, d in zip(np.diag(size), size, strict=True)
        ]
    )
    spare = max(len(t) - len(theta), 1)
    variance = np.einsum("pt,pq,qt->t", slopes, cover, slopes) + cost / spare
    return f(ahead, *theta)[:, None] + np.sqrt(np.minimum(variance, 1.0))[:, None] * NORMAL


def _ours(name):
    """M4 and the broken law, with bootstrapped errors."""

    def run(curves, at):
        made = last_value(curves, at)
        for start in range(0, len(curves), 200):
            part = slice(start, start + 200)
            found = single.predict(LAWS[name], curves[part], at[part], draws=64)
            for i, f in enumerate(found):
                if f is not None:
                    made[start + i] = f.measured
        return made

    return run


def two_step(curves, at):
    """Scale -> loss -> logistic; only where the same outputs have a loss."""
    made = last_value(curves, at)
    found = companions.run("two_step", curves, range(len(curves)), at, seed=0, draws=200)
    for i, f in found.items():
        made[i] = f.measured
    return made


def pca(curves, at, components=3):
    """Observational scaling: principal components of all tasks of the rungs, straight in log scale.

    Tasks are regressed on the components (Ruan et al. 2024, arXiv 2405.10938); components of the
    held-out rungs come from their scale alone, as a forecast must.
    """
    made = last_value(curves, at)
    ladders = {}
    for i, c in enumerate(curves):
        ladders.setdefault((c.key.family, c.models, len(at[i])), []).append(i)
    for places in ladders.values():
        if len(places) < 5:
            continue
        data = [batch([curves[i]]) for i in places]
        links = [{"positive": "log", "free": "identity"}.get(d.kind, "logit") for d in data]
        z = np.stack([forward(k, d)[0][0] for k, d in zip(links, data, strict=True)], axis=1)
        centre, size = z.mean(axis=0), np.maximum(z.std(axis=0), 1e-3)
        x = curves[places[0]].x
        left, s, _ = np.linalg.svd((z - centre) / size, full_matrices=False)
        k = min(components, len(x) - 2)
        pcs = left[:, :k] * s[:k]
        columns = np.stack([np.ones_like(x), x - x[-1]], axis=1)
        ahead = np.stack([np.ones_like(at[places[0]]), at[places[0]] - x[-1]], axis=1)
        line, *_ = np.linalg.lstsq(columns, pcs, rcond=None)
        noise = ((pcs - columns @ line) ** 2).sum(axis=0) / max(len(x) - 2, 1)
        inflate = 1 + np.einsum("tp,pq,tq->t", ahead, np.linalg.inv(columns.T @ columns), ahead)
        gram = pcs.T @ pcs + 1e-3 * np.eye(k)
        load = np.linalg.solve(gram, pcs.T @ ((z - centre) / size))
        rest = ((z - centre) / size - pcs @ load).var(axis=0) * len(x) / max(len(x) - k - 1, 1)
        mean = (ahead @ line) @ load
        sd = np.sqrt(inflate[:, None] * (noise @ load**2)[None] + rest)
        for n, i in enumerate(places):
            drawn = centre[n] + size[n] * (mean[:, n, None] + sd[:, n, None] * NORMAL)
            made[i] = backward(links[n], drawn[None], data[n])[0]
    return made


SLOW = {
    "scipy_power_law": _scipy("power_law"),
    "scipy_logistic": _scipy("logistic"),
    "m4": _ours("m4"),
    "broken": _ours("broken"),
    "two_step": two_step,
    "pca": pca,
}
ALL = {**BASELINES, **SLOW}
