"""Simulate every cell, audit it, count: rates with their exact intervals."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

import unmirage
from unmirage.auditing import audit, shape
from unmirage.auditing.resolution import items_needed
from unmirage.auditing.verdict import looks_sharp
from unmirage.calibration.grid import (
    LEAST,
    LEAST_SLACK,
    MOST,
    MOST_BOUND,
    Asks,
    Cell,
    Size,
    Survey,
    cells,
)
from unmirage.calibration.surveys import survey
from unmirage.curves.uncertainty import exact_interval
from unmirage.errors import InputError, OptionError
from unmirage.records import read
from unmirage.report.files import write
from unmirage.simulate import METRICS, expected, family, samples, scores
from unmirage.types import Floats, Judgement

#: families a cell: of reported scores, of answers (a hundred times as slow); surveys a cell
FAMILIES: dict[Size, tuple[int, int, int]] = {"quick": (100, 45, 5), "full": (600, 200, 60)}
DRAWS = 200

Status = Literal["holds", "fails", "open", "reported"]


@dataclass(frozen=True)
class Rate:
    """What came out of one cell: ``hits`` of ``asked`` curves.

    ``covered`` of ``intervals``: intervals (90 %, of the score 95 %) that hold the truth, by
    estimate.
    """

    name: str
    asks: Asks
    hits: int
    asked: int
    verdicts: dict[str, int]
    named: dict[str, int]  # explanations
    sharp: int  # curves that look like a jump
    curves: int
    least: float | None = None
    covered: dict[str, tuple[int, int]] | None = None
    proportions: list[float] | None = None  # of false ones among the survivors of each survey

    @property
    def rate(self) -> float:
        return self.hits / self.asked if self.asked else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the rate (Clopper and Pearson 1934)."""
        if not self.asked:
            return (0.0, 1.0)
        low, high = exact_interval(np.array([self.hits], float), np.array([self.asked], float))
        return float(low[0]), float(high[0])

    @property
    def bounds(self) -> tuple[float, float]:
        """One-sided 95 % bounds of the rate, lower and upper (Clopper and Pearson 1934)."""
        k, n = self.hits, self.asked
        low = float(stats.beta.ppf(0.05, k, n - k + 1)) if k else 0.0
        return low, float(stats.beta.ppf(0.95, k + 1, n - k)) if k < n else 1.0

    @property
    def status(self) -> Status:
        """Is what must hold met? *open*: these families cannot tell; *reported*: nothing must.

        At most: holds where the rate is, and its upper bound at most MOST_BOUND; fails where its
        lower bound is above. At least: holds where the rate is, and its lower bound no further
        below than LEAST_SLACK; fails where the upper bound is below.
        """
        if self.asks in MOST:
            most = MOST[self.asks]
            if self.bounds[0] > most:
                return "fails"
            met = self.rate <= most and self.bounds[1] <= max(most, MOST_BOUND)
            return "holds" if met or (self.asked and most == 0.0) else "open"
        least = LEAST.get(self.asks, self.least)
        if least is None:
            return "reported"
        if not self.asked:
            return "reported"  # no curve of these looks like a jump
        if self.bounds[1] < least:
            return "fails"
        met = self.rate >= least and self.bounds[0] >= least - LEAST_SLACK
        return "holds" if met else "open"


def calibrate(
    out: str | Path,
    size: Size = "quick",
    *,
    seed: int = 0,
    families: int | None = None,
    workers: int | None = None,
    only: Sequence[str] = (),
    tell: Callable[[int, int, Rate], None] = lambda done, total, rate: None,
) -> list[Rate]:
    """Judge every cell of the grid and write its rates below ``out``.

    What is there is kept, unless the program that made it has changed.

    The same seed gives the same rates, however many workers. Interrupted, the same call goes on.

    Parameters
    ----------
    out
        folder; ``out/cells`` holds one small JSON file a cell.
    families
        a cell, of reported scores; cells of answers have a fifth, cells of surveys a twentieth.
        None: as the size says.
    only
        questions of :data:`unmirage.calibration.grid.COUNTS`; empty means all.

    Raises
    ------
    OptionError
        an unknown question or size, fewer than 1 family.
    InputError
        a file of a cell that is no such file.
    """
    if size not in FAMILIES:
        raise OptionError(f"no grid of size {size!r}", mend="quick or full")
    check_seed(seed)
    if families is not None and families < 1:
        raise OptionError(f"{families} families a cell", mend="1 or more")
    every = cells(size)
    known = sorted({c.asks for c in every})
    for name in only:
        if name not in known:
            raise OptionError(
                f"no question is named {name!r}", mend=f"questions: {', '.join(known)}"
            )
    wanted = [c for c in every if not only or c.asks in only]
    folder = Path(out) / "cells"
    found: dict[str, Rate] = {}
    todo = []
    for cell in wanted:
        number = _families(cell, size, families)
        path = folder / _file(cell, number, seed)
        if path.exists():
            found[cell.name] = _load(path)
        else:
            todo.append((cell, number, seed, path))
    for _, rate in spread(_work, todo, workers):
        found[rate.name] = rate
        tell(len(found), len(wanted), rate)
    return [found[c.name] for c in wanted]


def check_seed(seed: int) -> None:
    """Refuse what is no seed.

    Raises
    ------
    OptionError
        not a whole number from 0 on.
    """
    if not isinstance(seed, int) or seed < 0:
        raise OptionError(f"a seed of {seed!r}", mend="a whole number from 0 on")


def _families(cell: Cell | Survey, size: Size, families: int | None) -> int:
    usual, answers, surveys = FAMILIES[size]
    if families is not None:
        usual, answers, surveys = families, max(1, families // 5), max(1, families // 20)
    if isinstance(cell, Survey):
        return surveys
    return answers if cell.items else usual


def _file(cell: Cell | Survey, families: int, seed: int) -> str:
    """A name that changes with all that the rates depend on, the program's own text too."""
    said = json.dumps([cell.name, families, seed, DRAWS, _code()])
    return f"{cell.asks}-{hashlib.sha256(said.encode()).hexdigest()[:16]}.json"


@cache
def _code() -> str:
    """One hash over the modules that make a verdict."""
    home, found = Path(unmirage.__file__).parent, hashlib.sha256()
    for part in ("records", "metrics", "curves", "auditing", "calibration", "simulate"):
        for path in sorted((home / part).rglob("*.py")):
            found.update(path.read_bytes())
    for name in ("registry.py", "types.py"):
        found.update((home / name).read_bytes())
    return found.hexdigest()


def spread(
    work: Callable[..., Rate], jobs: Sequence[tuple[Any, ...]], workers: int | None
) -> Iterator[tuple[int, Rate]]:
    """``work(*job)`` of every job over processes: (place of the job, rate) as each is done."""
    if workers == 1 or len(jobs) <= 1:
        for place, job in enumerate(jobs):
            yield place, work(*job)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = {pool.submit(work, *job): place for place, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _work(cell: Cell | Survey, families: int, seed: int, path: Path) -> Rate:
    rate = judge(cell, families, seed)
    write(path, json.dumps(asdict(rate), indent=1) + "\n")
    return rate


def _load(path: Path) -> Rate:
    try:
        body = json.loads(path.read_text())
        told = body.pop("covered")
        covered = told and {k: (int(a), int(b)) for k, (a, b) in told.items()}
        return Rate(**body, covered=covered)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: not the rates of a cell ({error})", mend="remove it; it is made anew"
        ) from None


def judge(cell: Cell | Survey, families: int, seed: int) -> Rate:
    """Simulate and audit one cell."""
    own = int(hashlib.sha256(cell.name.encode()).hexdigest()[:8], 16)
    start = seed * 2**32 + own
    if isinstance(cell, Survey):
        return _judge_surveys(cell, families, start)
    if cell.items:
        frame = samples(cell.truth, cell.design, families=families, seed=start)
    else:
        assert cell.metric != "every"
        frame = scores(
            cell.truth, cell.design, families=families, metrics=[cell.metric], seed=start
        )
    wanted = () if cell.metric == "every" else [cell.metric]
    # each family by itself, as a user has it; many at once are a question of their own
    judged = audit(read(frame), metric=wanted, draws=DRAWS, seed=seed, fdr=False).judgements
    asked = [j for j in judged if looks_sharp(j)] if cell.asks in _IF_SHARP else list(judged)
    hit = [j for j in asked if _hit(cell, j)]
    hits, count = len(hit), len(asked)
    if cell.metric == "every":
        hits, count = worst_metric(hit, asked, least=cell.asks not in MOST)
    return Rate(
        cell.name,
        cell.asks,
        hits,
        count,
        *_told(judged),
        cell.least,
        None if cell.asks == "degenerate" else _coverage(cell, judged, start),
    )


def worst_metric(
    hit: Sequence[Judgement], asked: Sequence[Judgement], *, least: bool
) -> tuple[int, int]:
    """Hits and curves asked of the one metric whose rate is worst; ``least``: the lowest is."""
    hits, counts = (Counter(j.key.metric for j in js) for js in (hit, asked))
    if not counts:
        return 0, 0
    sign = 1 if least else -1
    name = min(counts, key=lambda m: (sign * hits[m] / counts[m], -counts[m], m))
    return hits[name], counts[name]


def _told(judged: Sequence[Judgement]) -> tuple[dict[str, int], dict[str, int], int, int]:
    """Verdicts, explanations, curves that look like a jump, and curves."""
    return (
        dict(sorted(Counter(j.verdict for j in judged).items())),
        dict(sorted(Counter(e for j in judged for e in j.explained_by).items())),
        sum(map(looks_sharp, judged)),
        len(judged),
    )


def _judge_surveys(cell: Survey, surveys: int, seed: int) -> Rate:
    """False ones of all that survive; without any real break, surveys with a survivor.

    Counted in families, since the metrics of one family stand or fall together; the false
    proportion of each survey is one of curves.
    """
    every: list[Judgement] = []
    hits = asked = 0
    proportions = []
    for number in range(surveys):
        frame, real = survey(cell.triplets, cell.share, seed + number, alone=cell.alone)
        judged = audit(read(frame), draws=DRAWS, seed=seed).judgements
        survive = [j.key.family for j in judged if j.verdict == "survives"]
        false = [f for f in survive if f not in real]
        proportions.append(len(false) / max(len(survive), 1))
        if cell.share:
            hits, asked = hits + len(set(false)), asked + len(set(survive))
        else:
            hits, asked = hits + bool(false), asked + 1
        every += judged
    return Rate(cell.name, cell.asks, hits, asked, *_told(every), proportions=proportions)


#: questions about curves that look like a jump
_IF_SHARP = ("mirage", "resolution")


def _hit(cell: Cell, j: Judgement) -> bool:
    if cell.asks == "mirage":
        return j.verdict == "mirage" and "metric" in j.explained_by
    if cell.asks == "resolution":
        return "resolution" in j.explained_by
    if cell.asks == "coverage":
        return j.verdict in ("undecided", "mirage") and "coverage" in j.explained_by
    if cell.asks == "turns":
        found = j.finding("movement")
        if found is None:
            return False
        inverse, monotone = bool(found.values["inverse"]), bool(found.values["monotone"])
        return inverse if cell.truth.shape == "inverse" else not monotone
    return j.verdict == "survives"


def _coverage(cell: Cell, judged: Sequence[Judgement], seed: int) -> dict[str, tuple[int, int]]:
    """How many intervals hold the truth, by estimate; a score's is one of 95 %, others of 90 %."""
    hits: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for j in judged:
        metric = next((m for m in METRICS if m == j.key.metric), None)
        if metric is None:
            continue
        place = int(dict(j.key.settings).get("seed", "0"))
        numbers = [seed, int(j.key.family[1:])]
        drawn = family(cell.truth, cell.design, np.random.default_rng(numbers))
        truth = expected(drawn.p, cell.design, metric)[place]
        # answers that not every rung has are left out, so rungs stay as they are
        if len(truth) != len(j.curve.score):
            continue
        quiet = family(cell.truth, replace(cell.design, noise=0.0), np.random.default_rng(numbers))
        smooth = expected(quiet.p, cell.design, metric)[place]
        for name, inside in _inside(j, truth, None if cell.truth.real else smooth):
            asked[name] += 1
            hits[name] += inside
    return {k: (hits[k], n) for k, n in sorted(asked.items())}


def _inside(j: Judgement, truth: Floats, smooth: Floats | None) -> Iterator[tuple[str, bool]]:
    """Every interval of one judgement: does it hold the truth (M,)?

    ``smooth`` (M,) is the truth without the noise between rungs; None where it has a real break.
    """
    for low, high, at in zip(j.curve.low, j.curve.high, truth, strict=True):
        if np.isfinite(low):
            yield "score (95 %)", bool(low - 1e-12 <= at <= high + 1e-12)
    better = 1.0 if j.curve.facts.higher_is_better else -1.0
    if np.ptp(truth) < 1e-9:
        return
    shapes = {
        "emergence_score": shape.emergence_score(better * truth),
        "linearity": shape.linearity(better * truth),
        "sharpness": shape.width(better * truth, j.curve.x),
    }
    for test, at in shapes.items():
        found = j.finding(test)
        # a median step of 0 has no score
        if found and found.interval and abs(at) < 1e9:
            low, high = found.interval
            name = {"sharpness": "transition width"}.get(test, test.replace("_", " "))
            yield f"{name} (90 %)", bool(low - 1e-9 <= at <= high + 1e-9)
    found = j.finding("metric")
    if found and found.interval and smooth is not None:
        gap = int(np.searchsorted(j.curve.scale, found.values["step_from"]))  # type: ignore[call-overload]
        share = (smooth[gap + 1] - smooth[gap]) / (truth[gap + 1] - truth[gap])
        low, high = found.interval
        yield "share explained (90 %)", bool(low - 1e-9 <= share <= high + 1e-9)
    found = j.finding("resolution")
    rungs: list[dict[str, float]] = list(found.values["floor_rungs"]) if found else []  # type: ignore[call-overload]
    needed = items_needed(j.curve, truth) if rungs else truth
    for rung in rungs:
        if rung["hidden"] and not np.isnan(rung["needed_low"]):
            i = int(np.searchsorted(j.curve.scale, rung["scale"]))
            inside = rung["needed_low"] <= needed[i] <= rung["needed_high"]
            yield "needed items (90 %)", bool(inside)
