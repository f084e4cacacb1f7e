"""Two scales against one: the models of most compute held out, forecast from all others.

    python benchmarks/two_scales.py [--hold-out K]

Every series of two ladders that vary parameters and tokens (Gadre: 104 models of three corpora;
OLMo: 190M to 3B, 0.5 to 10 times Chinchilla). Printed for each route: coverage of the held-out
scores and mean CRPS, beside the process along 6 N D (all models joined) on the same scores.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
import unmirage
from forecast_series import DATA, LOWER, SOURCES
from unmirage.curves.options import options_of
from unmirage.forecasting import engine, in_two
from unmirage.forecasting.scoring import crps, pit
from unmirage.forecasting.types import LEVELS

LADDERS = {"gadre_overtraining": {}, "olmo_ladder": SOURCES["olmo_ladder"]}


def ladders(source):
    asked = LADDERS[source]
    options = options_of(
        lower_is_better=LOWER, where=asked.get("where"), family=asked.get("family", ())
    )
    found, _, _ = in_two.surfaces(unmirage.read(DATA / f"{source}.parquet"), options)
    return [s for s in found if len(s.place) >= 10]


def cut(surface, held):
    return in_two.Surface(engine.cut(surface.curve, -held), surface.place[:-held])


def judge(source, held):
    whole = ladders(source)
    train = [cut(s, held) for s in whole]
    ahead = [s.place[-held:] for s in whole]
    everyone = range(len(whole))
    made = {
        route: in_two.predict(train, everyone, ahead, route=route, seed=0, draws=400)
        for route in in_two.ROUTES
    }
    curves = [s.curve for s in train]
    along = [s.curve.x[-held:] for s in whole]
    made["process along 6 N D"] = dict(enumerate(engine.predict(curves, along, draws=400)))
    made["last value"] = {}
    rows = []
    for i, s in enumerate(whole):
        every = s.curve.score
        unit = 1.0 if s.curve.facts.high == 1.0 else float(np.ptp(every)) or 1.0
        for t, y in enumerate(every[-held:]):
            for route, found in made.items():
                draws = found[i].measured[t] if i in found else None
                if route == "last value":
                    draws = np.full(400, every[-held - 1])
                if draws is not None:
                    seen = np.array([y])
                    place = float(pit(draws[None], seen, np.array([0.5]))[0])
                    error = float(crps(draws[None], seen)[0]) / unit
                    rows.append((source, s.curve.key.metric, i, t, route, place, error))
    names = ("source", "metric", "series", "ahead", "route", "pit", "crps")
    return pl.DataFrame(rows, schema=names, orient="row")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hold-out", type=int, default=3)
    asked = parser.parse_args()
    rows = pl.concat([judge(s, asked.hold_out) for s in LADDERS])
    for (source, route), part in rows.group_by("source", "route", maintain_order=True):
        inside = [((part["pit"] - 0.5).abs() <= v / 2).mean() for v in LEVELS]
        beside = rows.filter(source=source, route="process along 6 N D").join(
            part.select("series", "ahead"), on=("series", "ahead"), how="semi"
        )
        print(
            f"| {source} | {route} | {part.height} | "
            + " | ".join(f"{100 * v:.1f}" for v in inside)
            + f" | {1000 * part['crps'].mean():.1f} | {1000 * beside['crps'].mean():.1f} |"
        )
