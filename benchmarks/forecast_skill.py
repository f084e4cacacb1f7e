"""The rolling-origin backtest on real families, with every baseline run side by side.

    python benchmarks/forecast_skill.py [--every K] [--source NAME ...] [--quick] [--route NAME]

Every series of ../shared/data with 6 rungs or more; the largest 1, 2 and 3 rungs are held out.
Printed: coverage and mean CRPS, pooled, by source and by half of the families.
"""

import argparse
import sys
import time
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from forecast_baselines import SLOW
from forecast_series import SOURCES, group, halves, series
from unmirage.forecasting.backtest import add_scores, hold_out
from unmirage.forecasting.types import LEVELS


def judge(sources, every, quick, route):
    frames = []
    for source in sources:
        curves = series(source)[::every]
        begin = time.process_time()
        rows, _ = hold_out(curves, draws=400, route=route)
        if not quick:
            rows = add_scores(rows, curves, SLOW)
        seconds = time.process_time() - begin
        print(f"{source}: {len(curves)} series, {rows.height} scores, {seconds:.0f} s", flush=True)
        frames.append(rows.with_columns(source=pl.lit(source)))
    rows = pl.concat(frames, how="diagonal")
    half = halves(rows["family"].unique().to_list())
    known = pl.col("family").map_elements(lambda f: half[group(f)], return_dtype=pl.Int64)
    return rows.with_columns(half=known)


def line(name, rows):
    crps = {c: rows[c].mean() for c in rows.columns if c.startswith("crps")}
    inside = [((rows["pit"] - 0.5).abs() <= v / 2).mean() for v in LEVELS]
    mine = crps.pop("crps")
    best = min(v for k, v in crps.items() if k != "crps_random_walk")
    cells = [f"{100 * v:.1f}" for v in inside]
    cells += [f"{1000 * v:.1f}" for v in (mine, *crps.values())]
    return f"| {name} | {rows.height:,} | " + " | ".join([*cells, f"{1 - mine / best:+.0%}"]) + " |"


def show(rows):
    names = [c.removeprefix("crps_") for c in rows.columns if c.startswith("crps_")]
    head = ["", "scores", *(f"in {round(100 * v)} %" for v in LEVELS), "ours", *names, "skill"]
    print("\nCRPS in thousandths; skill against the best baseline but random_walk\n")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for what, part in (("all", rows), ("moves", rows.filter("moves"))):
        print(line(what, part))
        for h in (0, 1):
            if part.filter(half=h).height:
                print(line(f"{what}, half {'AB'[h]}", part.filter(half=h)))
        for (source,), some in part.group_by("source", maintain_order=True):
            print(line(f"{what}, {source}", some))
        for (form,), some in part.group_by("form", maintain_order=True):
            print(line(f"{what}, {form}", some))
        for (held,), some in part.group_by("held_out", maintain_order=True):
            print(line(f"{what}, {held} held out", some))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="each K-th series only")
    parser.add_argument("--source", nargs="*", default=list(SOURCES))
    parser.add_argument("--quick", action="store_true", help="the quick baselines only")
    parser.add_argument("--route", default="process", help="another route than the process")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = judge(asked.source, asked.every, asked.quick, asked.route)
    if asked.out:
        found.write_parquet(asked.out)
    show(found)
