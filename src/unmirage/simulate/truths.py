"""What is true of a family, and what is measured of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from unmirage.errors import OptionError
from unmirage.types import Floats

#: beyond these a design is no design but a slip
MOST = {
    "rungs": 1000,
    "items": 10**12,
    "tokens": 10_000,
    "seeds": 1000,
    "decades": 100,
    "noise": 10,
}


def _power(t: Floats, first: float, last: float) -> Floats:
    """Cross-entropy is a power law of scale: log(-log p) is a line."""
    ends = np.log(-np.log([first, last]))
    return np.asarray(np.exp(-np.exp(ends[0] + (ends[1] - ends[0]) * t)))


def _logistic(t: Floats, first: float, last: float) -> Floats:
    """The logit of p is a line."""
    ends = special.logit([first, last])
    return np.asarray(special.expit(ends[0] + (ends[1] - ends[0]) * t))


def _saturating(t: Floats, first: float, last: float) -> Floats:
    """A power law on top of a loss that stays: E = 0.8 of the last loss."""
    ends = -np.log([first, last])
    rest = 0.8 * ends[1]
    ratio = (ends[1] - rest) / (ends[0] - rest)
    return np.asarray(np.exp(-(rest + (ends[0] - rest) * ratio**t)))


def _broken(t: Floats, first: float, last: float) -> Floats:
    """A power law whose exponent trebles about the middle, over a quarter of the range."""
    way = t + 2 * 0.1 * np.logaddexp(0.0, (t - 0.5) / 0.1)
    a, b = (e + 2 * 0.1 * np.logaddexp(0.0, (e - 0.5) / 0.1) for e in (0.0, 1.0))
    return _power((way - a) / (b - a), first, last)


def _inverse(t: Floats, first: float, last: float) -> Floats:
    """Inverse scaling: a power law backwards."""
    return _power(1 - t, first, last)


def _u_shaped(t: Floats, first: float, last: float) -> Floats:
    """The logit falls by half of the net rise until t = 0.4, then rises: a parabola's two arms."""
    a, b = special.logit([first, last])
    low = a - 0.5 * (b - a)
    down = low + (a - low) * ((0.4 - t) / 0.4) ** 2
    up = low + (b - low) * ((t - 0.4) / 0.6) ** 2
    return np.asarray(special.expit(np.where(t < 0.4, down, up)))


#: smooth shapes: t in [0, 1] over the range of scale, p at its ends -> p
SHAPES: dict[str, Callable[[Floats, float, float], Floats]] = {
    "power law": _power,
    "logistic": _logistic,
    "saturating": _saturating,
    "broken power law": _broken,
    "inverse": _inverse,
    "u-shaped": _u_shaped,
}


@dataclass(frozen=True)
class Truth:
    """How the per-token probability goes with scale; smooth unless one of the last three is set.

    >>> Truth("logistic", 0.1, 0.9).real, Truth("logistic", 0.3, 0.4, step=2.0).real
    (False, True)
    """

    shape: str = "power law"  # one of SHAPES
    first: float = 0.3  # p at the smallest model
    last: float = 0.95  # p at the largest, breaks aside
    step: float = 0.0  # logits, added to p above the gap in the middle of the rungs
    slope: float = 0.0  # logits a decade, added above the middle of the range
    bimodal: bool = False  # each seed has the last or the first p; the share that has it rises

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise OptionError(
                f"no shape is named {self.shape!r}", mend=f"shapes: {', '.join(SHAPES)}"
            )
        if not (0 < self.first < 1 and 0 < self.last < 1):
            raise OptionError(
                f"probabilities of {self.first} and {self.last}", mend="between 0 and 1, neither"
            )
        if not (np.isfinite(self.step) and np.isfinite(self.slope)):
            raise OptionError("a break that is not finite", mend="some logits, such as 2")

    @property
    def real(self) -> bool:
        """Is there a real break?"""
        return bool(self.step or self.slope or self.bimodal)


@dataclass(frozen=True)
class Design:
    """What is measured of a family."""

    rungs: int = 8
    decades: float = 4.0  # of scale
    uneven: bool = False  # gaps between rungs differ (log-normal, sd 0.6)
    items: int = 1000
    tokens: int = 4  # target length L
    dependence: float = 0.0  # r, correlation of the errors of two tokens of an answer
    difficulty: float = 0.5  # share of an item's luck that all models have in common
    noise: float = 0.0  # sd between rungs, in logits of p
    chance: float = 0.0  # of a guess; 1/K for K choices, one token then
    seeds: int = 1
    missing: float = 0.0  # share of the answers of each model that is not there
    hole: float = 0.0  # share of the range, about its middle, without rungs

    def __post_init__(self) -> None:
        shares = {
            "dependence": self.dependence,
            "difficulty": self.difficulty,
            "missing": self.missing,
            "hole": self.hole,
        }
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise OptionError(f"{name} {share}", mend="a share from 0 to below 1")
        counts = {"rungs": self.rungs, "items": self.items, "tokens": self.tokens}
        for name, count in {**counts, "seeds": self.seeds}.items():
            least = 1 + (name == "rungs")
            if not least <= count <= MOST[name]:
                mend = f"a number of {name} from {least} to {MOST[name]:,}"
                raise OptionError(f"{count:,} {name}", mend=mend)
        if not (0 < self.decades <= MOST["decades"] and 0 <= self.noise <= MOST["noise"]):
            raise OptionError(
                f"{self.decades:g} decades, noise {self.noise:g}",
                mend=f"above 0 up to {MOST['decades']} decades; noise from 0 to {MOST['noise']}",
            )
        if not 0 <= self.chance <= 0.5:
            raise OptionError(f"a chance level of {self.chance}", mend="from 0 to 0.5")

    @property
    def choices(self) -> int:
        """K; 0 where there are none.

        Raises
        ------
        OptionError
            no whole number of choices has this chance level.
        """
        if self.chance and abs(1 / self.chance - round(1 / self.chance)) > 1e-9:
            raise OptionError(
                f"no number of choices has a chance level of {self.chance}",
                mend="1/K, such as 0.5 or 0.25",
            )
        return round(1 / self.chance) if self.chance else 0
