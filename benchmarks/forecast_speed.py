"""Seconds for a forecast of 1,000 series of 8 rungs with 200 draws.

python benchmarks/forecast_speed.py [SERIES]
"""

import sys
import time

import numpy as np
import polars as pl

import unmirage
from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.forecasting.engine import predict

count, rungs, items = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, 8, 500
rng = np.random.default_rng(0)
x = np.linspace(8, 11, rungs)
p = 1 / (1 + np.exp(-(x - rng.uniform(8, 12, (count, 1))) * rng.uniform(0.5, 3, (count, 1))))
rows = {
    "family": "F",
    "model": np.tile([f"m{i}" for i in range(rungs)], count),
    "params": np.tile(10**x, count),
    "task": np.repeat([f"t{i}" for i in range(count)], rungs),
    "metric": "exact_match",
    "score": (rng.binomial(items, p) / items).ravel(),
    "n_samples": items,
}

curves = list(build(unmirage.read(pl.DataFrame(rows)), Options()).curves)
at = [c.x[-1:] + 0.5 for c in curves]
clock, used = time.perf_counter(), time.process_time()
predict(curves, at, draws=200)
print(
    f"{len(curves)} series: {time.perf_counter() - clock:.1f} s, "
    f"{time.process_time() - used:.1f} CPU-seconds"
)
