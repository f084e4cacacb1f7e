"""The ladders behind the table of claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unmirage.lab.families import FAMILIES, changed, rungs
from unmirage.lab.recipe import Rung


@dataclass(frozen=True)
class Run:
    """One folder of trained models: a family, with settings where not its own."""

    family: str
    settings: Mapping[str, str] = field(default_factory=dict)
    seeds: int | None = None

    def rungs(self, quick: bool = False) -> list[Rung]:
        """What is trained; ``quick``: five sizes, two seeds, a tenth of the steps."""
        found = []
        for member in FAMILIES[self.family]:
            steps = {"steps": str(max(member.recipe.steps // 10, 100))} if quick else {}
            one = changed(member, {**self.settings, **steps})
            seeds = 2 if quick else self.seeds or one.seeds
            found += rungs(one, one.widths(5 if quick else one.sizes), range(seeds))
        return found


RUNS: dict[str, Run] = {
    "multiplication": Run("multiplication", {"items": "1620"}),
    "addition": Run("addition", {"items": "10000"}),
    "addition-4": Run("addition", {"digits": "4", "items": "10000"}, seeds=3),
    "addition-2-6": Run("addition", {"digits": "2-6"}, seeds=2),
    "recall": Run("recall", {"length": "1-8"}, seeds=2),
    "autoencoder": Run("autoencoder"),
    "glyphs": Run("glyphs"),
    "digits": Run("digits"),
    "icl": Run("icl"),
}
