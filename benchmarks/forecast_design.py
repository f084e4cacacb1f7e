"""Choose the design of the process on half of the families, judge it on the other half, then swap.

    python benchmarks/forecast_design.py [--every K] [--workers N] [--out DIR]

Every candidate is run over all sources (a family learns from itself only, so the halves do not
meet). A design is chosen by the least loss: the mean over sources of CRPS (as a share of that of
the last value) plus the mean over sources and levels of how far coverage is off; nothing else is
looked at. Printed: what either half chose, how the choice does on the half that did not choose it,
both such halves pooled, and what all families choose.
"""

import argparse
import functools
import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from forecast_series import SOURCES, group, halves, series
from unmirage.forecasting import engine
from unmirage.forecasting.backtest import hold_out
from unmirage.forecasting.series import LINKS
from unmirage.forecasting.series import OFFSETS as SHARES
from unmirage.forecasting.types import LEVELS

OFFSETS = {
    "half": ("log", "above"),
    "both": ("log", "above", "above_most"),
}
SHARES["above_most"] = 0.8
WITNESSES = (0.25, 0.5, 0.75)
STRENGTHS = (10.0, 20.0, 40.0)
curves = functools.cache(series)  # a source is read once, not for every design
DESIGNS = list(itertools.product(OFFSETS, WITNESSES, STRENGTHS))


def run(task):
    """The rows of one source under one design."""
    (offsets, witnesses, strength), source, every, folder = task
    name = f"{source}-{offsets}-{witnesses}-{strength:g}"
    path = folder / f"{name}.parquet"
    if path.exists():
        return pl.read_parquet(path)
    LINKS["positive"] = OFFSETS[offsets]
    engine.WITNESSES = witnesses
    rows, _ = hold_out(curves(source)[::every], draws=300, strength=strength)
    rows = rows.with_columns(
        source=pl.lit(source),
        offsets=pl.lit(offsets),
        witnesses=pl.lit(witnesses),
        strength=pl.lit(strength),
    )
    part = path.with_suffix(".part")
    rows.write_parquet(part)
    part.rename(path)
    return rows


def loss(rows):
    """Mean over sources of CRPS over that of the last value, and of the error of coverage."""
    inside = {v: ((pl.col("pit") - 0.5).abs() <= v / 2).mean() for v in LEVELS}
    off = pl.mean_horizontal((share - v).abs() for v, share in inside.items())
    share = pl.col("crps").mean() / pl.col("crps_last_value").mean()
    return rows.group_by("source").agg(loss=share + off)["loss"].mean()


def choose(rows):
    """The designs by their loss, best first."""
    axes = ["offsets", "witnesses", "strength"]
    found = [(loss(part), key) for key, part in rows.group_by(axes)]
    return sorted(found)


def show(name, rows):
    inside = [((rows["pit"] - 0.5).abs() <= v / 2).mean() for v in LEVELS]
    cells = " ".join(f"{100 * v:5.1f}" for v in inside)
    print(f"{name:44s} {rows.height:6d} {cells}  loss {loss(rows):.4f}")


def resampled(rows, draws=1000, seed=0):
    """95 % intervals of the shares inside, over families of one name: they share their models."""
    rng = np.random.default_rng(seed)
    named = rows.with_columns(group=pl.col("family").map_elements(group, return_dtype=pl.String))
    inside = [((pl.col("pit") - 0.5).abs() <= v / 2).sum().alias(f"{v}") for v in LEVELS]
    each = named.group_by("group").agg(*inside, n=pl.len()).sort("group")
    times = rng.multinomial(each.height, np.full(each.height, 1 / each.height), size=draws)
    total = times @ each["n"].to_numpy()
    shares = [100 * (times @ each[f"{v}"].to_numpy()) / total for v in LEVELS]
    ends = [np.quantile(s, [0.025, 0.975]) for s in shares]
    print(f"  95 % over {each.height} names of families:",
          "  ".join(f"{low:.1f} to {high:.1f}" for low, high in ends))  # fmt: skip


def of(rows, design):
    keys = dict(zip(("offsets", "witnesses", "strength"), design, strict=True))
    return rows.filter(**keys)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="each K-th series only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/design"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    sources = [s for s in SOURCES if s != "bigscience"]
    tasks = [(d, s, asked.every, asked.out) for d in DESIGNS for s in sources]
    with ProcessPoolExecutor(asked.workers) as pool:
        found = pl.concat(pool.map(run, tasks), how="diagonal")
    half = halves(found["family"].unique().to_list())
    found = found.with_columns(
        half=pl.col("family").map_elements(lambda f: half[group(f)], return_dtype=pl.Int64)
    )
    judged = []
    for mine in (0, 1):
        ranked = choose(found.filter(half=mine))
        print(f"half {'AB'[mine]} chooses", ranked[0], "; worst", ranked[-1])
        judged.append(of(found, ranked[0][1]).filter(half=1 - mine))
        show(f"  judged on half {'BA'[mine]}", judged[-1])
    both = pl.concat(judged)
    show("each half under the other's choice", both)
    resampled(both)
    for (source,), part in both.group_by("source", maintain_order=True):
        show(f"  {source}", part)
    show("  moves", both.filter("moves"))
    for total, key in choose(found):
        show(f"all: {key} {total:.4f}", of(found, key))
