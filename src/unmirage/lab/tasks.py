"""Tasks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache

from unmirage.errors import OptionError
from unmirage.lab.arithmetic import addition, multiplication, recall
from unmirage.lab.incontext import LabelTask, RegressionTask
from unmirage.lab.mixture import mixture, parity
from unmirage.lab.tokens import TokenTask
from unmirage.lab.vision import AutoencoderTask, DigitsTask, GlyphsTask, VisionTask
from unmirage.registry import Registry

Task = TokenTask | RegressionTask | LabelTask | VisionTask
Maker = Callable[..., Task]

#: every task the lab can learn; its keyword arguments are its options
TASKS: Registry[Maker] = Registry("lab task", error=OptionError)
_MAKERS: dict[str, Maker] = {
    "recall": recall,
    "addition": addition,
    "multiplication": multiplication,
    "icl-regression": RegressionTask,
    "icl-labels": LabelTask,
    "mixture": mixture,
    "parity": parity,
    "autoencoder": AutoencoderTask,
    "glyphs": GlyphsTask,
    "digits": DigitsTask,
}
for _name, _maker in _MAKERS.items():
    TASKS.add(_name, _maker)


def options(name: str) -> dict[str, int | str | float]:
    """The options of a task and their defaults.

    >>> options("addition")
    {'items': 1000, 'digits': '3', 'shots': 0, 'choices': 0}
    """
    found = inspect.signature(TASKS[name]).parameters
    return {k: p.default for k, p in found.items() if k not in ("seed", "name", "kind")}


def make(name: str, seed: int = 0, chosen: Mapping[str, int | str | float] | None = None) -> Task:
    """The task of that name with these options.

    Raises:
        OptionError: no task or no option of that name, or a value that cannot be.
    """
    return _make(name, seed, tuple(sorted((chosen or {}).items())))


@cache
def _make(name: str, seed: int, chosen: tuple[tuple[str, int | str | float], ...]) -> Task:
    known = options(name)
    for key, _ in chosen:
        if key not in known:
            raise OptionError(
                f"{name} has no option {key!r}", mend=f"its options: {', '.join(known)}"
            )
    return TASKS[name](seed=seed, **dict(chosen))
