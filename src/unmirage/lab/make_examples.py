"""Remake the bundled example records: ``python -m unmirage.lab.make_examples``.

Trains the default ladders of three families (some twenty CPU-minutes in all), as ``unmirage lab
run`` does, and writes the last step of each into one Parquet file in ``unmirage/examples``.
Finished rungs are kept in ``--work`` and are not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import unmirage.examples
from unmirage.errors import UnmirageError
from unmirage.lab import ladder
from unmirage.lab.families import default_rungs
from unmirage.lab.folder import write_frame

NAMES = unmirage.examples.names()


def make(names: Sequence[str], out: Path, work: Path, workers: int | None = None) -> None:
    """Train what is missing and write ``out/<name>.parquet`` for each name."""
    seconds = 0.0
    for name in names:
        plan = default_rungs(name)
        done = ladder.run(plan, work / name, workers=workers, device="cpu", tell=_tell)
        path = out / f"{name}.parquet"
        write_frame(example(done), path)
        seconds += sum(one.cpu_seconds for one in done)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    print(f"{seconds / 60:.1f} CPU-minutes of training in this run")


def example(done: Sequence[ladder.Finished]) -> pl.DataFrame:
    """The last step of every rung, without columns that hold nothing."""
    frame = ladder.gather(done)
    return frame.select(c for c in frame.columns if frame[c].null_count() < len(frame))


def _tell(progress: ladder.Progress) -> None:
    if progress.line:
        print(progress.line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m unmirage.lab.make_examples")
    parser.add_argument("names", nargs="*", help=f"which files (default: {' '.join(NAMES)})")
    parser.add_argument("--out", type=Path, default=unmirage.examples.folder())
    parser.add_argument("--work", type=Path, default=Path("runs"), help="finished rungs")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(NAMES))
    if unknown:
        parser.error(f"no example named {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    try:
        make(chosen.names or NAMES, chosen.out, chosen.work, chosen.workers)
    except UnmirageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
