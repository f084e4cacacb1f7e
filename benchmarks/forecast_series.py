"""The series of ../shared/data that forecasts are judged on: all with 6 rungs or more.

Final checkpoints, except along training runs of one size (BigScience); of the OLMo ladder all runs
joined over compute (190M to 3B, 0.5 to 10 times Chinchilla), the rerun left out. Nothing else is
picked. Halves: families are grouped by the first word of their name, the groups ordered by the
SHA-256 of that word, and dealt out in turn.
"""

import hashlib
import re
from pathlib import Path

import unmirage
from unmirage.curves.build import build
from unmirage.curves.identity import Choice
from unmirage.curves.options import Options

DATA = Path(__file__).parents[1].parent / "shared" / "data"
LOWER = ["likelihood_difference", "pct_*", "parity"]
LADDER = {
    "choice": Choice("flops", (), ("run", "path"), "final"),
    "where": {"run!": "1xC-rerun"},
    "family": ["OLMo-ladder"],
}
SOURCES = {
    "pythia_evals": {},
    "obsscaling": {},
    "gadre_overtraining": {},
    "olmo_ladder": LADDER,
    "bigscience": {},
}
LEAST = 6


def series(source):
    """The curves of one source."""
    records = unmirage.read(DATA / f"{source}.parquet")
    made = build(records, Options(lower_is_better=LOWER, **SOURCES[source]))
    return [c for c in made.curves if len(c.scale) >= LEAST]


def group(family):
    return re.split(r"[-0-9]", family)[0].casefold()


def halves(families):
    """Group -> 0 or 1."""
    names = {group(f) for f in families}
    ordered = sorted(names, key=lambda g: hashlib.sha256(g.encode()).hexdigest())
    return {g: i % 2 for i, g in enumerate(ordered)}
