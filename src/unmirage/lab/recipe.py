"""How a rung is trained: plain settings, readable without JAX."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

#: raise it whenever a change of the lab's code changes the numbers it writes
VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """The same for all rungs of a ladder."""

    steps: int = 5000
    batch: int = 128
    rate: float = 0.01  # peak learning rate at D = 16 and below
    rate_power: float = 1.0  # above, the peak falls as (16 / D)^rate_power
    warmup: int = 100  # steps
    layers: int = 1
    heads: int = 4


@dataclass(frozen=True)
class Rung:
    """One model of a ladder."""

    task: str
    d_model: int
    seed: int  # of the model's first parameters; the data are the task's
    recipe: Recipe
    task_seed: int = 0
    items: int | None = None  # test items, None = all the task has

    def fingerprint(self) -> str:
        """Changes with any setting, and with the lab's version: 12 hexadecimal digits."""
        settings = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:12]

    def file_name(self) -> str:
        """Where its records lie; a changed setting is another file."""
        return f"{self.task}-d{self.d_model:03d}-seed{self.seed}-{self.fingerprint()}.parquet"

    def cost(self) -> float:
        """What training costs, in arbitrary units: enough to start the largest first."""
        return float(self.recipe.steps * self.recipe.batch * self.recipe.layers * self.d_model**2)
