"""What names one answer of a run: item, perturbation, trial and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.values import whole

_FLAGS = {"name", "robustness", "fairness", "computed_on", "seed"}
_LONGEST = 200  # characters of the name of a variant


@dataclass(frozen=True)
class Place:
    """One item under one perturbation in one trial."""

    item: str
    variant: str | None
    trial: int
    seed: int | None


def place_of(item: Any, perturbation: Any, trial: Any) -> Place:
    """The place that an item's name, its perturbation and a trial say.

    Raises:
        BadCell: the item has no name, or one of the others is malformed.
    """
    if isinstance(item, bool) or not isinstance(item, (str, int)) or item == "":
        raise BadCell("id", "is no name of an instance", item)
    number = 0 if trial is None else whole(trial)
    if number is None or not 0 <= number < 1_000_000:
        raise BadCell("train_trial_index", "is no number of a trial", trial)
    variant, seed = variant_of(perturbation)
    return Place(str(item), variant, number, seed)


def variant_of(perturbation: Any) -> tuple[str | None, int | None]:
    """(name with its settings, seed) of a perturbation; (None, None) for what is not perturbed.

    >>> variant_of({"name": "typos", "robustness": True, "prob": 0.1, "seed": 3})
    ('typos(prob=0.1)', 3)
    """
    if perturbation is None:
        return None, None
    if not isinstance(perturbation, dict) or not isinstance(perturbation.get("name"), str):
        raise BadCell("perturbation", "has no name", perturbation)
    more = ",".join(
        f"{k}={v}"
        for k, v in sorted(perturbation.items())
        if k not in _FLAGS and isinstance(v, (str, bool, int, float))
    )
    name = perturbation["name"] + (f"({more})" if more else "")
    return name[:_LONGEST], whole(perturbation.get("seed"))


class Repeats:
    """Numbers the trials and seeds of a run."""

    def __init__(self, places: Mapping[Place, Any]) -> None:
        both = sorted({(p.trial, -1 if p.seed is None else p.seed) for p in places})
        seeds = sorted({seed for _, seed in both if seed >= 0})
        self.count = max(len(seeds), 1)
        self.seed = {s: i for i, s in enumerate(seeds)}

    def of(self, place: Place) -> int:
        """The number of the repetition that a place belongs to."""
        return place.trial * self.count + self.seed.get(place.seed or 0, 0)
