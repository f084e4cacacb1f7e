"""Milliseconds a triplet takes in the audit of many, with all tests.

    python benchmarks/audit_speed.py --triplets 1000 --draws 1000

The triplets are those of the surveys of ``unmirage calibrate`` (6 to 12 rungs, three metrics of the
same outputs, without a real break or with one in ten), as reported scores. Wanted: below 50 ms on 2
cores. The time of reading the table is not in it.
"""

from __future__ import annotations

import argparse
import time

import unmirage
from unmirage.calibration.surveys import survey


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triplets", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    print("| real breaks | triplets | draws | s | ms a triplet | CPU ms a triplet |")
    print("|---|---|---|---|---|---|")
    for share in (0.0, 0.1):
        records = unmirage.read(survey(asked.triplets, share, 0)[0])
        start, busy = time.perf_counter(), time.process_time()
        made = unmirage.audit(records, draws=asked.draws)
        took, used = time.perf_counter() - start, time.process_time() - busy
        count = len(made.judgements)
        print(
            f"| {share:g} | {count} | {asked.draws} | {took:.1f} | {1000 * took / count:.1f} | "
            f"{1000 * used / count:.1f} |"
        )


if __name__ == "__main__":
    main()
