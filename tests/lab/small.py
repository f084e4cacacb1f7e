"""Rungs small enough for a test; of few sizes, because each is compiled by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from unmirage.lab.recipe import Recipe, Rung

#: three segments, recorded at 100, 200 and 300 steps
RECIPE = Recipe(steps=300, batch=16, warmup=20, heads=2)
#: one of each kind: tokens, labels, numbers
OPTIONS: dict[str, dict[str, int | float | str]] = {
    "recall": {"items": 16, "length": "2"},
    "icl-labels": {"dim": 6, "classes": 12, "labels": 4, "pairs": 2, "burst": 1, "items": 60},
    "icl-regression": {"dim": 2, "shots": 5, "items": 60},
}


def rung(
    task: str = "recall", d: int = 16, seed: int = 0, recipe: Recipe = RECIPE,
    **options: int | float | str,
) -> Rung:  # fmt: skip
    """A rung with some options of its task changed."""
    return Rung(task, d, seed, recipe, tuple(sorted({**OPTIONS[task], **options}.items())))


#: the run of whole ladders: forty segments a rung
LADDER = [
    Rung(
        "multiplication",
        d,
        0,
        Recipe(steps=4000, batch=64, warmup=50, heads=2),
        (("choices", 3), ("digits", "1x2,2x2"), ("items", 60)),
    )
    for d in (2, 4, 6, 8)
]
#: the same as a command, whatever the recipe of the family
COMMAND = [
    *("lab", "run", "multiplication", "--sizes", "2,4,6,8", "--seeds", "1"),
    *("--items", "60", "--choices", "3", "--set", "digits=1x2,2x2"),
    *(f"--set={name}={value}" for name, value in asdict(LADDER[0].recipe).items()),
]


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond that many bytes: the error of a real system, not a made-up one."""
    resource = pytest.importorskip("resource", reason="needs limits of file sizes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
