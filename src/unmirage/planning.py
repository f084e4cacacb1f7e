"""Which sizes and how many items would settle the question? The power of designs, by simulation.

Every design is asked of the simulator (:mod:`unmirage.simulate`) and judged by the audit itself, so
a plan agrees with the rates of :mod:`unmirage.calibration` by construction. The power is the share
of families with a real step of the given height that are judged *survives*.

>>> from unmirage.planning import plan
>>> made = plan(rungs=(8,), items=(1000,), steps=(), families=10, workers=1)
>>> made.surface[0].rungs, made.surface[0].items, made.surface[0].rate > 0.5
(8, 1000, True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from unmirage.calibration.grid import Cell
from unmirage.calibration.run import check_seed, judge, spread
from unmirage.errors import InputError, OptionError
from unmirage.simulate import Design, Metric, Truth
from unmirage.types import Judgement

RUNGS, ITEMS = (5, 6, 8, 12), (100, 1000, 10_000)
STEPS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
#: the gentle rise beside the step: per-token probability at the first and the last rung
GENTLE = Truth("logistic", 0.4, 0.6)


@dataclass(frozen=True)
class Power:
    """The power of one design against one step."""

    rungs: int
    items: int
    step: float  # logits of the per-token probability
    rate: float  # share judged survives
    low: float  # exact 95 % interval of the rate
    high: float
    families: int


@dataclass(frozen=True)
class Plan:
    """The power of designs, and what follows from it."""

    step: float
    power: float  # what is wanted
    truth: Truth
    design: Design  # what is at hand, or the usual
    surface: tuple[Power, ...]  # rungs x items, at ``step``
    steps: tuple[Power, ...]  # heights of the step, at ``design``
    range: tuple[float, float]  # of scale: smallest and largest model

    @property
    def choice(self) -> Power | None:
        """The design with the fewest rungs, then items, whose power is reached; None: no design.

        Reached where the rate is at least ``power``: look at its interval for how sure that is.
        """
        found = [p for p in self.surface if p.rate >= self.power]
        return min(found, key=lambda p: (p.rungs, p.items), default=None)

    @property
    def weakest(self) -> float | None:
        """The lowest step from which on every step is seen at hand with the wanted power."""
        seen = None
        for p in sorted(self.steps, key=lambda p: -p.step):
            if p.rate < self.power:
                break
            seen = p.step
        return seen

    @property
    def sizes(self) -> tuple[float, ...]:
        """Sizes of the chosen design, evenly spaced in log scale."""
        if self.choice is None:
            return ()
        low, high = np.log10(self.range)
        return tuple(float(s) for s in np.logspace(low, high, self.choice.rungs))


def plan(
    *,
    step: float = 2.0,
    power: float = 0.9,
    rungs: Sequence[int] = RUNGS,
    items: Sequence[int] = ITEMS,
    steps: Sequence[float] = STEPS,
    truth: Truth = GENTLE,
    design: Design | None = None,
    scale: tuple[float, float] | None = None,
    families: int = 100,
    seed: int = 0,
    workers: int | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Simulate the power of every (rungs, items) at ``step``, and of every step at ``design``.

    Parameters
    ----------
    step
        height of the break that matters, in logits of the per-token probability.
    power
        share of such breaks that must be found.
    truth, design
        the smooth part beside the step, and what stays the same in all designs (decades, target
        length, dependence, noise, ...); :func:`at_hand` takes both from a curve.
    scale
        smallest and largest size, for :attr:`Plan.sizes`.

    The same seed gives the same plan, however many workers.

    Raises
    ------
    OptionError
        a power outside (0, 1), a step that is not above 0, no families, or an impossible design.
    """
    if not 0 < power < 1:
        raise OptionError(f"a power of {power}", mend="a share between 0 and 1, such as 0.9")
    if not all(np.isfinite(s) and s > 0 for s in (step, *steps)):
        raise OptionError("a step that is not above 0", mend="logits, such as 2")
    if families < 1:
        raise OptionError(f"{families} families", mend="1 or more")
    check_seed(seed)
    design = design or Design()
    low, high = scale or (1e6, 1e6 * 10**design.decades)
    grid = [(r, n, step) for r in sorted(set(rungs)) for n in sorted(set(items))]
    asked = [*grid, *((design.rungs, design.items, s) for s in sorted(set(steps)))]
    metric: Metric = "accuracy" if design.chance else "exact_match"
    jobs = {
        (r, n, s): Cell("power", replace(truth, step=s), replace(design, rungs=r, items=n), metric)
        for r, n, s in asked
    }
    found: dict[tuple[int, int, float], Power] = {}
    keys = list(jobs)
    for place, rate in spread(judge, [(jobs[k], families, seed) for k in keys], workers):
        key = keys[place]
        found[key] = Power(*key, rate.rate, *rate.interval, rate.asked)
        tell(len(found), len(jobs))
    return Plan(
        step,
        power,
        truth,
        design,
        tuple(found[k] for k in grid),
        tuple(found[k] for k in asked[len(grid) :]),
        (low, high),
    )


def at_hand(judgement: Judgement) -> tuple[Truth, Design, tuple[float, float]]:
    """The smooth part, the design and the range of scale that a curve shows.

    The score itself is taken as the probability of one token (length 1). Noise between rungs is
    what scatters about the smooth law beyond sampling, in logits:
    tau^2 = max(0, mean(r^2) M / (M - 2) - mean(sampling variance)), over rungs within 2 % and 98 %;
    a real step in the curve makes it too large. The smooth part beside the step is taken as a fifth
    of the whole rise, about its middle, the rise being what the items can show.

    Raises
    ------
    InputError
        the curve has no known number of items, is no share of right answers, or has a chance level
        above 0.5.
    """
    curve = judgement.curve
    if not (curve.facts.low == 0 and curve.facts.high == 1 and np.isfinite(curve.count).all()):
        raise InputError(
            f"{curve.key.label()}: a plan needs a share of right answers with a number of items",
            mend="another metric (exact_match, accuracy), or --items N",
        )
    floor = curve.floor if np.isfinite(curve.floor) else 0.0
    chance = floor if floor > 0 else 0.0
    if chance > 0.5:
        raise InputError(
            f"{curve.key.label()}: a chance level of {chance:g}; a plan knows levels up to 0.5",
            mend="another metric, such as exact_match",
        )
    n = curve.count
    # a base that these items cannot show would hide every step
    least = 3 / n + 3.29 * np.sqrt(chance * (1 - chance) / n) / (1 - chance)
    kept = (curve.score - chance) / (1 - chance)
    kept = np.clip(kept, np.minimum(least, 0.5), np.maximum(1 - 0.5 / n, 0.5))
    noise = 0.0
    if judgement.smooth is not None:
        line = np.interp(curve.x, np.log10(judgement.smooth.scale), judgement.smooth.score)
        line = (line - chance) / (1 - chance)
        use = (kept > 0.02) & (kept < 0.98) & (line > 0.02) & (line < 0.98)
        if use.sum() > 2:
            r = logit(kept[use]) - logit(line[use])
            own = (1 / (n * kept * (1 - kept)))[use]
            m = int(use.sum())
            noise = float(np.sqrt(max(0.0, (r**2).mean() * m / (m - 2) - own.mean())))
    first, last = float(kept[0]), float(kept[-1])
    ends = np.log([first / (1 - first), last / (1 - last)])
    middle, half = ends.mean(), 0.1 * np.ptp(ends)
    gentle = 1 / (1 + np.exp(-np.array([middle - half, middle + half])))
    design = Design(
        rungs=len(curve.scale),
        decades=float(max(np.ptp(curve.x), 0.1)),
        items=int(np.median(n)),
        tokens=1,
        noise=min(noise, 1.0),
        chance=chance,
    )
    return (
        Truth("logistic", float(gentle[0]), float(gentle[1])),
        design,
        (float(curve.scale[0]), float(curve.scale[-1])),
    )
