"""Tasks still at chance: the metric route against the direct one on the OLMo ladder.

    python benchmarks/metric_route.py

For each task whose accuracy is paired with a probability or log-probability on the same items: the
rungs before accuracy first leaves chance for good (two standard errors; 0.015 where the number of
items is unknown) are the training rungs, all larger ones are forecast. Printed: CRPS (thousandths)
of the direct route, of the metric route and of two steps, over the held-out rungs, and coverage.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from forecast_series import series
from unmirage.forecasting import companions, scoring
from unmirage.forecasting.engine import cut, predict

curves = series("olmo_ladder")
LEAST, UNKNOWN, MOST = 5, 0.015, 8


def leaves(curve):
    """How many rungs lie before accuracy leaves chance for good."""
    error = np.where(np.isnan(curve.stderr), UNKNOWN, curve.stderr)
    above = curve.score > curve.floor + 2 * error
    back = np.flatnonzero(~above)
    return int(back[-1]) + 1 if len(back) else 0


asked = [
    i
    for i, c in enumerate(curves)
    if c.key.metric.startswith("acc") and LEAST <= leaves(c) <= len(c.scale) - 3
]
print(
    "| task | at chance | forecast | direct | metric | two steps | metric in 80 % |\n|" + "---|" * 7
)
sums = []
rng = np.random.default_rng(0)
for i in asked:
    c, rungs = curves[i], leaves(curves[i])
    trains = [cut(k, rungs) for k in curves]
    ahead = c.x[rungs : rungs + MOST]
    at = [ahead] * len(curves)
    direct = predict(trains, at, draws=500)[i]
    routes = {
        r: companions.run(r, trains, [i], at, seed=0, draws=500)[i] for r in ("metric", "two_step")
    }
    seen = c.score[rungs : rungs + MOST]
    made = [p.measured for p in (direct, *routes.values())]
    crps = [1000 * scoring.crps(m, seen).mean() for m in made]
    pit = scoring.pit(made[1], seen, rng.random(len(seen)))
    sums.append([*crps, scoring.covered(pit, 0.8).mean()])
    name = f"{c.key.task} ({dict(c.key.settings).get('split', '')})"
    cells = " | ".join(f"{v:.1f}" for v in crps)
    print(f"| {name} | {rungs} | {len(seen)} | {cells} | {100 * sums[-1][-1]:.0f} % |", flush=True)
mean = np.mean(sums, axis=0)
better = np.mean([s[1] < s[0] for s in sums])
print(
    f"| mean of {len(sums)} | | | "
    + " | ".join(f"{v:.1f}" for v in mean[:3])
    + f" | {100 * mean[3]:.0f} % |"
)
print(f"\nthe metric route is better in {better:.0%} of the tasks")
