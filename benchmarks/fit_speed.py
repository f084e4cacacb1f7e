"""Fits a second of a 3-parameter law on 8 points: ours, all at once, against scipy's, one by one.

    python benchmarks/fit_speed.py [FITS]

Both fit the same noisy power laws with offset within the same bounds, from the same start, on one
core; printed are CPU seconds, the ratio, and how often the offset runs to 0 or a fit is degenerate.
"""

import sys
import time
import warnings
from collections import Counter

import numpy as np
from scipy.optimize import curve_fit

from unmirage.forecasting.fitting import minimise
from unmirage.forecasting.laws import LAWS

law = LAWS["power_law"]
fits = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
rng = np.random.default_rng(0)
t = np.linspace(0, 2.5, 8)
truth = np.array([0.2, 0.7, 0.4])
mean = law.formula(truth, t)
y = mean * (1 + 0.1 * rng.standard_normal((fits, 8)))
weight = np.broadcast_to(1 / (0.1 * mean) ** 2, y.shape)
start = np.tile([0.1, 0.8, 0.3], (fits, 1))

begin = time.process_time()
theta, cost, status = minimise(law, np.broadcast_to(t, y.shape), y, weight, start)
ours = fits / (time.process_time() - begin)


def one(t, e, a, b):
    return e + a * 10 ** (-b * t)


low, high = zip(*law.bounds, strict=True)
few = min(fits, 1000)
begin = time.process_time()
slow, failed = [], 0
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for row in y[:few]:
        try:
            slow.append(curve_fit(one, t, row, start[0], sigma=0.1 * mean, bounds=(low, high))[0])
        except RuntimeError:
            failed += 1
            slow.append(np.full(3, np.nan))
theirs = few / (time.process_time() - begin)
cost_slow = (weight[:few] * (y[:few] - law.formula(np.array(slow), t)) ** 2).sum(axis=1)
close = np.nanmean(cost[:few] <= cost_slow * (1 + 1e-4) + 1e-9)
print(f"ours {ours:,.0f}, scipy curve_fit {theirs:,.0f} fits/s: {ours / theirs:.0f} times")
print(f"as good as scipy's or better: {close:.1%}; scipy failed: {failed} of {few}")
print("status:", dict(Counter(status.tolist())), f"offset at 0: {(theta[:, 0] < 1e-6).mean():.1%}")
