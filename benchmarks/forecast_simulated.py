"""Do intervals cover as stated in every cell of smooth truth of the simulator?

    python benchmarks/forecast_simulated.py [FAMILIES]

The cells are those of ``unmirage calibrate --quick`` that ask for smooth truth; the largest rung of
each family is held out and forecast from the others. A family is one series: nothing is shared.
"""

import sys

import numpy as np
import polars as pl

import unmirage
from unmirage.calibration.grid import Cell, cells
from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.forecasting.backtest import hold_out
from unmirage.forecasting.types import LEVELS
from unmirage.simulate import scores

families = int(sys.argv[1]) if len(sys.argv) > 1 else 60
rows = []
asked = [c for c in cells("quick") if isinstance(c, Cell) and c.asks == "smooth" and not c.items]
for number, cell in enumerate(asked):
    table = scores(cell.truth, cell.design, families=families, metrics=(cell.metric,), seed=number)
    curves = [c for c in build(unmirage.read(table), Options()).curves if len(c.scale) >= 4]
    made, _ = hold_out(curves, (1,), draws=400, baselines=False)
    inside = [((made["pit"] - 0.5).abs() <= v / 2).mean() for v in LEVELS]
    rows.append((cell.name, made.height, *inside))
names = [f"in {round(100 * v)}" for v in LEVELS]
found = pl.DataFrame(rows, schema=["cell", "n", *names], orient="row")
pooled = [100 * (found[n] * found["n"]).sum() / found["n"].sum() for n in names]
print(
    f"{found.height} cells, {found['n'].sum():,} forecasts; pooled", [round(p, 1) for p in pooled]
)
for name, level in zip(names, LEVELS, strict=True):
    error = np.sqrt(level * (1 - level) / found["n"].to_numpy())
    low = found[name].to_numpy() < level - 0.03 - 2.5 * error
    high = found[name].to_numpy() > level + 0.03 + 2.5 * error
    print(f"{name} %: {low.sum()} cells cover too little, {high.sum()} too much")
    for row in found.filter(pl.Series(low)).iter_rows():
        print("   too little:", row[0], row[1], [round(100 * v) for v in row[2:]])
