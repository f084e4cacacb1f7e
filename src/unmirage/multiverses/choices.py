"""What an analyst may choose about the same outputs: thresholds, K of K, items, rungs.

Axes: S items, M rungs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unmirage.auditing.words import number
from unmirage.curves.uncertainty import stream
from unmirage.errors import OptionError
from unmirage.types import Facts, Floats

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: thresholds of a metric that are tried where none is given: that many shares of answers pass
THRESHOLDS = 5
#: K of K right, and random items, that are tried where none is given and the items allow it
K_OF_K, SUBSETS = (2, 3, 5), (200, 50)
#: groups of K that a K of its own accord must leave
_GROUPS = 10
#: rungs that a subset keeps
KEPT = 4


@dataclass(frozen=True)
class Choices:
    """Which choices are open, beyond the metrics and settings that the records hold.

    Raises OptionError where a number cannot be meant.
    """

    thresholds: int = THRESHOLDS  # c's a metric, by the share of answers that pass; 0 = none
    at: Mapping[str, Sequence[float]] = field(default_factory=dict)  # metric -> c's of your own
    k_of_k: Sequence[int] | None = None  # K of K right; None = those the items allow
    subsets: Sequence[int] | None = None  # numbers of random items; None = those there are
    halves: bool = True  # the two random halves of the items
    rungs: bool = True  # subsets of the rungs

    def __post_init__(self) -> None:
        if not 0 <= self.thresholds <= 100:
            raise OptionError(f"{self.thresholds} thresholds a metric", mend="0 to 100")
        for name, values, least in (("K", self.k_of_k, 2), ("items", self.subsets, 2)):
            bad = [v for v in values or () if v < least]
            if bad:
                raise OptionError(f"{name} = {bad[0]}", mend=f"whole numbers from {least} on")


@dataclass(frozen=True)
class Cut:
    """How the scores of items become a score of a model."""

    kind: str  # "mean", "threshold" or "K of K"
    level: str  # as it is told among the levels of the choice
    value: float = np.nan  # c, or K
    order: str = ""  # of the groups of K: "in order" or "at random"
    rank: float = 0.0  # place among the levels of its kind: the stricter the later


MEAN = Cut("mean", "mean score")
KINDS = ("mean", "threshold", "K of K")


def threshold_cuts(name: str, facts: Facts, scores: Floats, chosen: Choices) -> list[Cut]:
    """Shares of items whose score reaches c, for c at quantiles of all scores, or as given.

    c is one of the scores; those that every answer or none passes are left out.

    Raises
    ------
    OptionError
        a c that the metric cannot score.
    """
    given = chosen.at.get(name)
    if given is not None:
        for c in given:
            if not (np.isfinite(c) and facts.low <= c <= facts.high):
                raise OptionError(
                    f"a threshold of {c:g} for {name}, which lies in "
                    f"{facts.low:g} to {facts.high:g}",
                    mend=f"--threshold {name}=C with a C in that range",
                )
        way = 1.0 if facts.higher_is_better else -1.0
        return [
            Cut("threshold", f"c = {c:g}", float(c), rank=way * c) for c in dict.fromkeys(given)
        ]
    shares = (np.arange(chosen.thresholds) + 0.5)[::-1] / max(chosen.thresholds, 1)
    cuts: dict[float, Cut] = {}
    for share in shares:
        q = 1 - share if facts.higher_is_better else share
        c = float(np.quantile(scores, q, method="inverted_cdf"))
        passed = passes(facts, scores, c)
        if 0 < passed.mean() < 1 and c not in cuts:
            cuts[c] = Cut("threshold", f"passed by about {100 * share:.0f} %", c, rank=-share)
    return list(cuts.values())


def passes(facts: Facts, scores: Floats, c: float) -> Floats:
    """1 where a score is c or better, else 0."""
    return np.asarray(scores >= c if facts.higher_is_better else scores <= c, dtype=float)


def k_of_k_cuts(name: str, items: int, chosen: Choices) -> list[Cut]:
    """K of K right, in groups as the items come and in random ones.

    Raises
    ------
    OptionError
        a K of which the items do not make two groups.
    """
    for k in chosen.k_of_k or ():
        if items // k < 2:
            raise OptionError(
                f"K = {k} with the {items} items of {name}: fewer than two groups",
                mend=f"--k-of-k with a K of at most {max(items // 2, 2)}",
            )
    asked = chosen.k_of_k
    ks = [k for k in K_OF_K if items // k >= _GROUPS] if asked is None else list(asked)
    orders = ("in order", "at random")
    return [Cut("K of K", f"{k} of {k} {o}", float(k), o, float(k)) for k in ks for o in orders]


def item_sets(total: int, chosen: Choices, seed: int, *names: str) -> dict[str, Mask]:
    """Name -> which of the list of items are used, (S,) each; the same for every metric.

    Raises
    ------
    OptionError
        more random items than there are.
    """
    rng = stream(seed, "subsets", str(total), *names)
    sets = {"all": np.ones(total, bool)}
    if chosen.halves and total >= 4:
        sets["half A"] = rng.permutation(total) < total // 2
        sets["half B"] = ~sets["half A"]
    for n in chosen.subsets or ():
        if n > total:
            mend = f"--subset with a number of at most {total}"
            raise OptionError(f"{n} random items of {total}", mend=mend)
    for n in SUBSETS if chosen.subsets is None else chosen.subsets:
        if n < total:
            sets[f"{n} at random"] = rng.permutation(total) < n
    return sets


def rung_sets(scale: Floats, chosen: Choices) -> dict[str, Ints]:
    """Name -> rungs kept, (M',) each: all, without one, every second, without two at an end."""
    m = len(scale)
    every = np.arange(m)
    sets = {"all": every}
    if not chosen.rungs:
        return sets
    if m - 1 >= KEPT:
        names = [number(float(s)) for s in scale]
        if len(set(names)) < m:
            names = [f"rung {i + 1}" for i in range(m)]
        sets |= {f"without {name}": np.delete(every, i) for i, name in enumerate(names)}
    for start, which in ((0, "first"), (1, "second")):
        if len(every[start::2]) >= KEPT:
            sets[f"every second from the {which}"] = every[start::2]
    if m - 2 >= KEPT:
        sets |= {"without the two smallest": every[2:], "without the two largest": every[:-2]}
    return sets
