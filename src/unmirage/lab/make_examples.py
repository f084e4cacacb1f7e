"""Remake the bundled example records: ``python -m unmirage.lab.make_examples``.

Trains the three ladders below (some sixteen CPU-minutes in all) and writes one Parquet file each
into ``unmirage/examples``. Finished rungs are kept in ``--work`` and are not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import unmirage.examples
from unmirage.errors import UnmirageError
from unmirage.lab import ladder
from unmirage.lab.recipe import Recipe, Rung


@dataclass(frozen=True)
class Plan:
    """The sizes, seeds and recipe of one ladder."""

    sizes: tuple[int, ...]  # d_model
    recipe: Recipe
    seeds: tuple[int, ...] = (0, 1)


PLANS: dict[str, Plan] = {
    "recall": Plan((4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128), Recipe(steps=5000)),
    "multiplication": Plan(
        (4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80), Recipe(steps=6000, layers=2)
    ),
    "addition": Plan((2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48), Recipe(steps=4000, heads=2)),
}


def rungs(name: str) -> list[Rung]:
    """The rungs behind one example file."""
    plan = PLANS[name]
    return ladder.rungs(name, plan.sizes, plan.seeds, plan.recipe)


def make(names: Sequence[str], out: Path, work: Path, workers: int | None = None) -> None:
    """Train what is missing and write ``out/<name>.parquet`` for each name."""
    finished = ladder.run([rung for name in names for rung in rungs(name)], work, workers)
    for name in names:
        path = out / f"{name}.parquet"
        ladder.write(ladder.gather([f for f in finished if f.rung.task == name]), path)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    print(f"{sum(f.cpu_seconds for f in finished) / 60:.1f} CPU-minutes of training in this run")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m unmirage.lab.make_examples")
    parser.add_argument("names", nargs="*", help=f"which files (default: {' '.join(PLANS)})")
    parser.add_argument("--out", type=Path, default=unmirage.examples.folder())
    parser.add_argument("--work", type=Path, default=Path("runs/lab"), help="finished rungs")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    chosen = parser.parse_args(arguments)
    if chosen.workers is not None and chosen.workers < 1:
        parser.error("--workers must be at least 1")
    unknown = sorted(set(chosen.names) - set(PLANS))
    if unknown:
        parser.error(f"no example named {', '.join(unknown)}; there are: {', '.join(PLANS)}")
    try:
        make(chosen.names or list(PLANS), chosen.out, chosen.work, chosen.workers)
    except UnmirageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
