"""Analyses a second in a multiverse: looked at in one batch, against the audit one by one.

    python benchmarks/multiverse_speed.py --analyses 2000 --judged 50

The records are the bundled ladder ``recall`` without the metrics that need an extra. Scoring the
answers, once a metric, is told by itself. Both sides answer whether the curve looks sharp; the
audit gives its verdict as well, which is what takes it so long.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import unmirage
from unmirage import examples
from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.multiverses import multiverse

METRICS = ["exact_match", "edit_distance_norm", "prefix_match", "token_prob", "cross_entropy"]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=2000)
    parser.add_argument("--judged", type=int, default=50)
    asked = parser.parse_args()
    records = unmirage.read(examples.path("recall"))
    n, j = asked.analyses, asked.judged

    def run(most: int, judged: int) -> Callable[[], object]:
        return lambda: multiverse(records, metric=METRICS, most=most, judged=judged)

    scoring = timed(lambda: build(records, Options(metric=METRICS)))
    few, many, judged = timed(run(1, 0)), timed(run(n, 0)), timed(run(n, j))
    print("| what | s | CPU s | analyses a CPU second |")
    print("|---|---|---|---|")
    print(f"| scoring the answers | {scoring[0]:.1f} | {scoring[1]:.1f} | |")
    batch = [a - b for a, b in zip(many, few, strict=True)]
    alone = [a - b for a, b in zip(judged, many, strict=True)]
    print(f"| {n} analyses in a batch | {batch[0]:.1f} | {batch[1]:.1f} | {n / batch[1]:.0f} |")
    print(f"| {j} audits | {alone[0]:.1f} | {alone[1]:.1f} | {j / alone[1]:.1f} |")
    print(f"\nThe batch is {n / batch[1] / (j / alone[1]):.0f} times as fast.")


if __name__ == "__main__":
    main()
