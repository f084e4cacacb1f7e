"""How a rung is trained: plain settings, readable without JAX."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from unmirage.errors import OptionError

#: raise it whenever a change of the lab's code changes the numbers it writes
VERSION = 2
#: steps of one compiled loop; recorded steps are multiples of it
SEGMENT = 100

#: what is surely a slip, and would end in hours of waiting or no memory
MOST = {
    "steps": 100_000_000,
    "batch": 1_000_000,
    "layers": 1_000,
    "heads": 1_000,
    "checkpoints": 100,
    "sizes": 1_000,
    "seeds": 10_000,
    "width": 65_536,
}


def asked_only(task: str) -> tuple[str, ...]:
    """Options of a task that change what is asked of a trained model, and not its training."""
    # recall asks what it trains on
    return ("choices",) if task == "recall" else ("items", "choices", "together")


@dataclass(frozen=True)
class Recipe:
    """The same for all rungs of a ladder; layers and heads do not grow with the width D."""

    steps: int = 5000
    batch: int = 128
    rate: float = 0.01  # peak learning rate at D = 16 and below
    rate_power: float = 1.0  # above, the peak falls as (16 / D)^rate_power
    warmup: int = 100  # steps
    layers: int = 1
    heads: int = 4
    clip: float = 0.0  # largest norm of a gradient; 0 = no limit
    decay: float = 0.0  # of the weights, AdamW's: each step takes off rate * decay of them
    checkpoints: int = 1  # recorded for each doubling of the steps, the last step always

    def __post_init__(self) -> None:
        whole = ("steps", "batch", "layers", "heads", "checkpoints")
        for name in whole:
            if not 1 <= getattr(self, name) <= MOST[name]:
                what = f"{name} is {getattr(self, name)}"
                raise OptionError(what, mend=f"from 1 to {MOST[name]:,}")
        numbers = ("rate", "rate_power", "clip", "decay")
        if not all(math.isfinite(getattr(self, name)) for name in numbers):
            raise OptionError("a rate, clip or decay that is no finite number", mend="rate=0.01")
        if abs(self.rate_power) > 10:
            raise OptionError(f"rate_power is {self.rate_power}", mend="from -10 to 10")
        if not self.rate > 0 or self.warmup < 0 or min(self.clip, self.decay) < 0:
            what = f"rate {self.rate}, warmup {self.warmup}, clip {self.clip}, decay {self.decay}"
            raise OptionError(what, mend="a rate above 0, the others from 0 on")

    def grid(self) -> tuple[int, ...]:
        """The steps that are recorded: a log grid and the last step.

        >>> Recipe(steps=1000).grid()
        (100, 200, 400, 1000)
        """
        found, i = {self.steps}, 0
        # a checkpoint close to the last one tells nothing
        most = self.steps / 2 ** (0.5 / self.checkpoints)
        while (step := round(2 ** (i / self.checkpoints)) * SEGMENT) <= most:
            found.add(step)
            i += 1
        return tuple(sorted(found))


@dataclass(frozen=True)
class Rung:
    """One model of a ladder, and what it is asked."""

    task: str
    d_model: int
    seed: int  # of the model's first parameters; the data are the task's
    recipe: Recipe
    options: tuple[tuple[str, int | float | str], ...] = ()  # of the task, sorted by name
    task_seed: int = 0

    @property
    def name(self) -> str:
        """Its name in the records: the width and the seed."""
        return f"d{self.d_model} seed{self.seed}"

    def trained(self) -> str:
        """Changes with all that training depends on: 12 hexadecimal digits."""
        kept = tuple((k, v) for k, v in self.options if k not in asked_only(self.task))
        return _hash({**asdict(self), "options": kept})

    def asked(self) -> str:
        """Changes with any setting, and with the lab's version: 12 hexadecimal digits."""
        return _hash(asdict(self))

    def stem(self) -> str:
        """The start of the names of its files."""
        return f"{self.task}-d{self.d_model:03d}-seed{self.seed}"

    def cost(self) -> float:
        """What training costs, in arbitrary units: enough to start the largest first."""
        r = self.recipe
        return float(r.steps * r.batch * r.layers * (self.d_model + 16) * (self.d_model + 4))


def _hash(settings: Mapping[str, object]) -> str:
    text = json.dumps({"version": VERSION, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
