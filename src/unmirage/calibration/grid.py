"""The cells of the grid: a truth, a design, what is reported of it, and what must hold there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Literal

from unmirage.simulate import SHAPES, Design, Metric, Truth

Asks = Literal[
    "smooth", "power", "mirage", "resolution", "coverage", "turns", "degenerate", "discoveries"
]
Size = Literal["quick", "full"]

#: what each question counts, in a sentence
COUNTS: dict[Asks, str] = {
    "smooth": "smooth truth: share judged survives",
    "power": "a real break: share judged survives",
    "mirage": "smooth truth that looks emergent: share judged mirage, metric named",
    "resolution": "smooth truth, too few items, looks emergent: share with resolution named",
    "coverage": "smooth truth, no rungs about the rise: share undecided or mirage, coverage named",
    "turns": "truth that falls, or falls and rises: share whose report says so",
    "degenerate": "nothing to see in the scores: share judged survives",
    "discoveries": "many curves at once: share of the families judged survives that have no break",
}
#: the bound on the rate, and whether it is a least or a most; the power of other cells is reported
MOST: dict[Asks, float] = {"smooth": 0.05, "degenerate": 0.0, "discoveries": 0.05}
LEAST: dict[Asks, float] = {"mirage": 0.90, "resolution": 0.90, "coverage": 0.90, "turns": 0.90}
#: the upper 95 % bound of a rate that may be 5 % at most
MOST_BOUND = 0.07
#: the lower 95 % bound of a rate that must reach some share may fall so far below it
LEAST_SLACK = 0.05


@dataclass(frozen=True)
class Cell:
    """One cell; its name says all that differs from the defaults."""

    asks: Asks
    truth: Truth
    design: Design
    metric: Metric | Literal["every"] = "exact_match"
    items: bool = False  # answers item by item, not reported scores
    least: float | None = None  # of a power: what must be reached

    @property
    def name(self) -> str:
        parts = [self.asks, _differs(self.truth, Truth()) or self.truth.shape]
        parts += [_differs(self.design, Design()) or "default design"]
        parts += [self.metric.replace("_", " "), "answers" if self.items else "scores"]
        return " | ".join(parts)


@dataclass(frozen=True)
class Survey:
    """Audits of many curves at once, a ``share`` of which has a real break."""

    share: float
    triplets: int = 1000
    alone: bool = False  # long exact match without another metric
    asks: Asks = "discoveries"

    @property
    def name(self) -> str:
        what = "exact matches alone" if self.alone else "triplets"
        return f"{self.asks} | surveys of {self.triplets:,} {what}, a real break in {self.share:g}"


def _differs(value: object, usual: object) -> str:
    said = []
    for f in fields(value):  # type: ignore[arg-type]
        mine = getattr(value, f.name)
        if mine != getattr(usual, f.name):
            said.append(f"{f.name} {mine}" if mine is not True else f.name)
    return ", ".join(said)


def cells(size: Size) -> list[Cell | Survey]:
    """The grid; no two cells have one name."""
    made: list[Cell | Survey] = [Survey(share) for share in (0.0, 0.02, 0.1)]
    made += [Survey(share, 400, alone=True) for share in (0.0, 0.1)]
    made += [
        *_smooth(size),
        *_corners(size),
        *_power(size),
        *_explained(size),
        *_turns(),
        *_degenerate(),
    ]
    found: dict[str, Cell | Survey] = {}
    for cell in made:  # the first of a name: it may state a bound
        found.setdefault(cell.name, cell)
    return list(found.values())


#: p of the first and the last rung: a whole rise, one that begins late, one that ends early
_BOTH: tuple[Metric, ...] = ("exact_match", "cross_entropy")
RANGES = ((0.3, 0.95), (0.05, 0.9), (0.2, 0.7))


def _smooth(size: Size) -> Iterator[Cell]:
    full = size == "full"
    ranges = RANGES if full else RANGES[:1]
    designs = [
        Design(rungs=rungs, noise=noise)
        for rungs, noise in product((5, 6, 8, 12, 16) if full else (5, 8, 16), (0.0, 0.2))
    ]
    designs += [Design(uneven=True), Design(noise=0.3), Design(missing=0.1), Design(seeds=3)]
    designs += [Design(dependence=0.5), Design(tokens=20), Design(tokens=1)]
    if full:
        designs += [Design(decades=d) for d in (1.0, 2.0, 5.0)]
        designs += [Design(items=n) for n in (100, 10_000, 100_000)]
        designs += [Design(noise=0.1), Design(uneven=True, noise=0.2)]
    for shape, (first, last), design in product(SHAPES, ranges, designs):
        truth = Truth(shape, first, last)
        yield Cell("smooth", truth, design)
        yield Cell("smooth", truth, design, "cross_entropy")
        if design in designs[:4] or full:
            yield Cell("smooth", truth, design, "token_accuracy")
    for shape, chance in product(SHAPES, (0.25, 0.5)):
        for noise in (0.0, 0.2):
            yield Cell(
                "smooth", Truth(shape, 0.02, 0.9), Design(chance=chance, noise=noise), "accuracy"
            )
    answers = [Design(items=300, dependence=0.3), Design(items=300, noise=0.2)]
    for shape in SHAPES if full else ("power law", "logistic", "u-shaped"):
        for design in answers:
            yield Cell("smooth", Truth(shape, 0.1, 0.95), design, "every", True)
        choices = Design(items=300, chance=0.25)
        yield Cell("smooth", Truth(shape, 0.02, 0.9), choices, "every", True)


def _corners(size: Size) -> Iterator[Cell]:
    """Several factors at once: exact match that is 0 at most rungs, in much noise."""
    full = size == "full"
    shapes = list(SHAPES) if full else ["power law", "logistic", "broken power law"]
    places = ((12, 12), (16, 20), (8, 12)) if full else ((12, 12), (16, 20))
    for shape, (rungs, tokens), (first, last), noise in product(
        shapes, places, ((0.01, 0.9), (0.05, 0.9)), (0.2, 0.3)
    ):
        if full or (noise == 0.3) == (first == 0.01):
            design = Design(rungs=rungs, items=10_000, tokens=tokens, noise=noise)
            yield Cell("smooth", Truth(shape, first, last), design)
            if full:
                few = replace(design, items=1000, missing=0.2)
                yield Cell("smooth", Truth(shape, first, last), few)
    for shape in ("logistic", "u-shaped"):
        truth, noisy = Truth(shape, 0.05, 0.9), Design(rungs=6, noise=0.3, items=10_000)
        yield Cell("smooth", truth, noisy)
        yield Cell("smooth", truth, noisy, "cross_entropy")
        for noise in (0.0, 0.2):
            choices = Design(items=300, chance=0.5, noise=noise)
            yield Cell("smooth", Truth(shape, 0.02, 0.9), choices, "every", True)


def _power(size: Size) -> Iterator[Cell]:
    """Breaks on top of a gentle rise (p from 0.4 to 0.6)."""
    gentle = ("logistic", 0.4, 0.6)
    yield Cell("power", Truth(*gentle, step=2.0), Design(), least=0.95)
    yield Cell("power", Truth(*gentle, step=3.0), Design(rungs=6), least=0.90)
    yield Cell("power", Truth(*gentle, step=2.0), Design(), "cross_entropy")
    yield Cell("power", Truth(*gentle, step=2.0), Design(items=300), items=True)
    steps = (0.5, 1.0, 2.0, 3.0, 4.0)
    rungs = (5, 6, 8, 12, 16) if size == "full" else (6, 8, 12)
    for step, count, noise in product(steps, rungs, (0.0, 0.2)):
        yield Cell("power", Truth(*gentle, step=step), Design(rungs=count, noise=noise))
    yield Cell("power", Truth(*gentle, slope=2.0), Design())
    yield Cell("power", Truth("logistic", 0.2, 0.9, bimodal=True), Design())


def _explained(size: Size) -> Iterator[Cell]:
    full = size == "full"
    shapes = ("power law", "logistic", "saturating", "broken power law")
    # dependent tokens of p = 0.001 would have a mean loss of hundreds of nats
    ranges = ((0.001, 0.97, 0.0), (0.05, 0.9, 0.0), (0.05, 0.9, 0.3))
    lengths = (4, 6, 8, 12) if full else (4, 8)
    for shape, (first, last, together), tokens in product(
        shapes if full else shapes[:2], ranges, lengths
    ):
        design = Design(items=400, tokens=tokens, dependence=together)
        yield Cell("mirage", Truth(shape, first, last), design, items=True)
    for n in (50, 100):
        yield Cell("resolution", Truth("power law", 0.001, 0.9), Design(items=n, tokens=8))
    for (first, last), share, noise in product(
        ((0.0001, 0.9999), (0.001, 0.999)), (0.4, 0.5), (0.0, 0.2)
    ):
        truth = Truth("logistic", first, last)
        hole = Design(rungs=14, decades=5.0, hole=share, noise=noise)
        for metric in ("exact_match", "token_accuracy"):
            yield Cell("coverage", truth, hole, metric)
            yield Cell("smooth", truth, hole, metric)
        yield Cell("smooth", truth, hole, "cross_entropy")
        yield Cell("coverage", truth, replace(hole, rungs=8))
        yield Cell("smooth", truth, replace(hole, rungs=8))


def _turns() -> Iterator[Cell]:
    for shape, metric in product(("inverse", "u-shaped"), _BOTH):
        yield Cell("turns", Truth(shape, 0.4, 0.95), Design(tokens=1), metric)


def _degenerate() -> Iterator[Cell]:
    for p in (1e-9, 1 - 1e-9, 0.5):
        yield Cell("degenerate", Truth("logistic", p, p), Design())
    rise = Truth("logistic", 0.3, 0.95)
    yield Cell("degenerate", rise, Design(items=1))
    for rungs in (3, 4):  # a step on so few rungs may be anything
        yield Cell("degenerate", rise, Design(rungs=rungs))
    # models that answer every item alike
    alike = Design(items=200, difficulty=0.999999)
    yield Cell("degenerate", Truth("logistic", 0.5, 0.5), alike, "every", True)
    alike = Design(items=200, difficulty=0.999999, chance=0.25)
    yield Cell("degenerate", Truth("logistic", 0.5, 0.5), alike, "every", True)
