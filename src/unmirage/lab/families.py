"""The families that ``unmirage lab run`` knows: a task, its dial and its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from unmirage.errors import OptionError
from unmirage.lab import tasks
from unmirage.lab.recipe import MOST, Recipe, Rung
from unmirage.registry import Registry

Value = int | float | str


@dataclass(frozen=True)
class Family:
    """One ladder: everything but the width D and the seed is the same in all its rungs."""

    task: str
    about: str
    smallest: int  # D
    largest: int
    recipe: Recipe
    options: tuple[tuple[str, Value], ...] = ()  # of the task, where not its own default
    sizes: int = 8  # rungs of the default ladder
    seeds: int = 3
    transformer: bool = True  # else the recipe's layers and heads mean nothing

    def settings(self) -> tuple[str, ...]:
        """The names of the recipe's settings that mean something."""
        names = [f.name for f in fields(Recipe)]
        return tuple(n for n in names if self.transformer or n not in ("layers", "heads"))

    def widths(self, count: int) -> tuple[int, ...]:
        """``count`` widths from the smallest to the largest, about evenly spaced in log D.

        Each is a multiple of the heads. Raises OptionError where they do not fit.
        """
        heads = self.recipe.heads
        if not 1 <= count <= MOST["sizes"]:
            raise OptionError(f"{count} sizes", mend=f"from 1 to {MOST['sizes']:,}")
        found: list[int] = []
        for i in range(count):
            share = i / (count - 1) if count > 1 else 1.0
            exact = self.smallest * (self.largest / self.smallest) ** share
            nearest = round(exact / heads) * heads
            found.append(max(nearest, found[-1] + heads if found else heads))
        if found[-1] > self.largest:
            most = (self.largest - self.smallest) // heads + 1
            raise OptionError(
                f"{count} sizes of {self.task} do not fit between widths {self.smallest} and "
                f"{self.largest}",
                mend=f"at most {most}, or name the widths: --sizes 4,8,16",
            )
        return tuple(found)


FAMILIES: Registry[tuple[Family, ...]] = Registry("lab family", error=OptionError)


def changed(family: Family, settings: Mapping[str, str]) -> Family:
    """The family with settings of its recipe or options of its task replaced.

    Raises:
        OptionError: a setting nobody knows, or a value of the wrong kind.
    """
    recipe = {f.name: getattr(family.recipe, f.name) for f in fields(Recipe)}
    known = family.settings()
    options = {**tasks.options(family.task), **dict(family.options)}
    chosen = dict(family.options)
    for name, text in settings.items():
        if name in known:
            recipe[name] = _like(name, text, recipe[name])
        elif name in options:
            chosen[name] = _like(name, text, options[name])
        else:
            listed = ", ".join([*options, *known])
            raise OptionError(f"{family.task} has no setting {name!r}", mend=f"known: {listed}")
    return replace(family, recipe=Recipe(**recipe), options=tuple(sorted(chosen.items())))


def _like(name: str, text: str, default: Value) -> Value:
    """The text as a value of the default's type."""
    try:
        if isinstance(default, int):
            number = float(text)
            if not number.is_integer():
                raise ValueError(text)
            return int(number)
        return type(default)(text)
    except (ValueError, OverflowError):
        kind = {int: "a whole number", float: "a number"}.get(type(default), "text")
        raise OptionError(f"{name}={text}: {kind} is needed", mend=f"{name}={default}") from None


def rungs(family: Family, widths: Sequence[int], seeds: Sequence[int]) -> list[Rung]:
    """Every width with every seed, by width then seed.

    Raises:
        OptionError: widths that do not increase, or that the heads do not divide; no seed.
    """
    if not widths or not seeds:
        raise OptionError("no size or no seed", mend="at least one of each")
    if any(b <= a for a, b in pairwise(widths)):
        raise OptionError(
            f"the sizes {','.join(map(str, widths))} do not increase", mend="smallest first"
        )
    if widths[-1] > MOST["width"] or len(seeds) > MOST["seeds"]:
        raise OptionError(
            f"a width of {widths[-1]:,} and {len(seeds):,} seeds",
            mend=f"widths up to {MOST['width']:,}, seeds up to {MOST['seeds']:,}",
        )
    heads = family.recipe.heads
    wrong = [d for d in widths if d < 1 or d % heads]
    if wrong:
        raise OptionError(
            f"width {wrong[0]} is no multiple of {heads} heads", mend="choose another size"
        )
    tasks.make(family.task, 0, dict(family.options))  # refuses what cannot be
    return [Rung(family.task, d, s, family.recipe, family.options) for d in widths for s in seeds]


def default_rungs(name: str) -> list[Rung]:
    """What ``unmirage lab run NAME`` trains without options."""
    return [rung for f in FAMILIES[name] for rung in rungs(f, f.widths(f.sizes), range(f.seeds))]


def table() -> list[dict[str, str | int]]:
    """Every family in words, one row each, for `lab list`."""
    rows: list[dict[str, str | int]] = []
    for name in FAMILIES:
        for family in FAMILIES[name]:
            if len(FAMILIES[name]) > 1:
                continue
            widths = family.widths(family.sizes)
            r = family.recipe
            options = {**tasks.options(family.task), **dict(family.options)}
            rows.append(
                {
                    "family": name,
                    "about": family.about,
                    "sizes": family.sizes,
                    "widths": f"{widths[0]} to {widths[-1]}",
                    "params": " to ".join(
                        f"{12 * r.layers * d * d:,}" for d in (widths[0], widths[-1])
                    )
                    if family.transformer
                    else "",
                    "seeds": family.seeds,
                    "steps": r.steps,
                    "batch": r.batch,
                    "options": ", ".join(f"{k}={v}" for k, v in options.items()),
                    "recipe": ", ".join(
                        f"{name}={getattr(r, name)}"
                        for name in family.settings()
                        if name not in ("steps", "batch")
                    ),
                }
            )
        if len(FAMILIES[name]) > 1:
            names = " and ".join(f.task for f in FAMILIES[name])
            rows.append({"family": name, "about": f"{names} together"})
    return rows


_TWO_LAYERS = Recipe(steps=6000, layers=2)

for _name, _family in {
    "recall": Family(
        "recall",
        "keys with random five-digit values, known by heart",
        4,
        96,
        Recipe(steps=5000),
    ),
    "addition": Family(
        "addition",
        "sums; digits learnt one after another: real breaks, bimodal over seeds",
        4,
        32,
        Recipe(steps=4000, heads=2),
        sizes=12,
        seeds=6,
    ),
    "multiplication": Family(
        "multiplication",
        "products of two numbers, test pairs held out",
        4,
        64,
        Recipe(steps=6000, layers=2, decay=1.0),
    ),
    "mixture": Family(
        "mixture",
        "sixteen tasks on strings and numbers in one corpus: many curves",
        4,
        64,
        _TWO_LAYERS,
        seeds=2,
    ),
    "parity": Family(
        "parity",
        "multitask sparse parity: many quanta, each learnt or not",
        4,
        48,
        Recipe(steps=5000, layers=2, rate=0.003, clip=1.0),
        seeds=2,
    ),
    "icl-regression": Family(
        "icl-regression",
        "linear regression from examples in the prompt",
        4,
        48,
        Recipe(steps=6000, layers=2, batch=64, rate=0.003, clip=1.0, checkpoints=2),
        seeds=2,
    ),
    "autoencoder": Family(
        "autoencoder",
        "images through a bottleneck and back; its width is the dial",
        1,
        32,
        Recipe(steps=2000, batch=64, rate=0.003, rate_power=0.5, heads=1),
        sizes=10,
        seeds=2,
        transformer=False,
    ),
    "glyphs": Family(
        "glyphs",
        "few-shot labels of characters never seen, by a transformer over images",
        4,
        54,
        Recipe(steps=400, batch=64, layers=2, heads=2, rate=0.002, rate_power=0.0, clip=1.0),
        (("bend", 0.5), ("classes", 1300), ("noise", 0.0)),
        sizes=10,
        seeds=2,
    ),
    "digits": Family(
        "digits",
        "handwritten digits, by LeNets; ten at a time",
        1,
        160,
        Recipe(steps=400, batch=64, rate=0.0015, rate_power=0.0, heads=1),
        (("shift", 2),),
        sizes=12,
        seeds=2,
        transformer=False,
    ),
    "icl-labels": Family(
        "icl-labels",
        "labels of classes never seen before, from examples in the prompt",
        4,
        32,
        Recipe(steps=5000, layers=2, heads=2, rate=0.003, clip=1.0, checkpoints=2),
        seeds=2,
    ),
}.items():
    FAMILIES.add(_name, (_family,))
FAMILIES.add("icl", (*FAMILIES["icl-regression"], *FAMILIES["icl-labels"]))
