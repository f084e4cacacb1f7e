"""Few-shot labels of characters never seen before: the task of the family ``glyphs``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import OptionError
from unmirage.lab.incontext import Arrays
from unmirage.lab.vision import fonts, formats
from unmirage.lab.vision.images import Images, Labels, by_class, joined

#: side to which pictures of a folder are scaled
FOLDER_SIDE = 28


@dataclass(frozen=True)
class GlyphsTask:
    """Sequences of (image, label) pairs, then images to label (Schaeffer et al. 2023, Fig. 8).

    Each sequence holds ``way`` classes, which get the labels 0..way-1 at random; ``shots`` examples
    of each are shown with their labels, in random order; then ``asked`` other examples of random
    ones of these classes are to be labelled. Test sequences are of classes, and hence of images,
    that the training never saw.
    """

    name: str = "glyphs"
    data: str = "fonts"  # or a folder, one folder of pictures a class, or hub:NAME
    classes: int = 1000  # of the fonts
    drawings: int = 20  # of each class of the fonts
    noise: float = 0.1  # standard deviation, white = 1
    bend: float = 1.0  # how far drawings are moved, scaled, turned and sheared; 0 = not at all
    way: int = 5
    shots: int = 1
    asked: int = 5
    items: int = 1000  # test sequences
    unseen: float = 0.2  # share of the classes that only the test has
    seed: int = 0
    kind: Literal["glyphs"] = "glyphs"

    def __post_init__(self) -> None:
        sizes = (self.classes, self.drawings, self.shots, self.asked, self.items)
        shares = 0 <= self.noise <= 10 and 0 <= self.bend <= 2 and 0 < self.unseen < 1
        if min(sizes) < 1 or self.way < 2 or not shares:
            raise OptionError(
                f"classes {self.classes}, drawings {self.drawings}, way {self.way}, "
                f"shots {self.shots}, asked {self.asked}, items {self.items}, "
                f"noise {self.noise}, bend {self.bend}, unseen {self.unseen}",
                mend="numbers from 1 on, way from 2 on, noise from 0 to 10, bend from 0 to 2, "
                "unseen between 0 and 1",
            )
        seen, unseen = self.parts()  # refuses what cannot be
        if min(len(seen), len(unseen)) < self.way:
            raise OptionError(
                f"{len(seen)} classes to train on and {len(unseen)} to ask, {self.way} in each "
                "sequence",
                mend="more classes, or fewer in a sequence: --set way=2",
            )

    @property
    def about(self) -> str:
        return (
            f"{self.way} characters with labels, {self.shots} of each, then {self.asked} to label; "
            "those of the test were never seen in training."
        )

    @property
    def shown(self) -> int:
        return self.way * self.shots

    @property
    def images(self) -> Images:
        if self.data == "fonts":
            return fonts.drawings(
                self.classes, self.drawings, fonts.Spread(self.noise, self.bend), self.seed
            )
        return _elsewhere(self.data)

    def parts(self) -> tuple[list[Labels], list[Labels]]:
        """Places of the images of each class: those of the training, those of the test.

        Raises:
            FileProblem: a class has too few examples to show ``shots`` and ask another.
        """
        return _parts(self)

    def batch(self, step: int, size: int) -> Arrays:
        """One training step: images (size, way shots + asked, height, width, channels) 0..255,
        shown (size, way shots) and label (size, asked)."""
        return self._sequences(np.random.default_rng([self.seed, 4, step]), self.parts()[0], size)

    def test(self) -> Arrays:
        """The test sequences, of new classes; the first n do not depend on ``items``."""
        rng = np.random.default_rng([self.seed, 3])
        block = 500
        made = [
            self._sequences(rng, self.parts()[1], block) for _ in range(-(-self.items // block))
        ]
        return {k: np.concatenate([one[k] for one in made])[: self.items] for k in made[0]}

    def _sequences(self, rng: np.random.Generator, parts: list[Labels], count: int) -> Arrays:
        chosen = np.argsort(rng.random((count, len(parts))), axis=1)[:, : self.way]
        place = np.tile(np.repeat(np.arange(self.way), self.shots), (count, 1))
        shown = rng.permuted(place, axis=1)
        label = rng.integers(0, self.way, (count, self.asked))
        both = np.concatenate([shown, label], axis=1)  # which of the classes, (count, T)
        images = _examples(self, rng, parts, np.take_along_axis(chosen, both, axis=1), both)
        return {"images": self.images.pixels[images], "shown": shown, "label": label}


def _examples(
    task: GlyphsTask,
    rng: np.random.Generator,
    parts: list[Labels],
    kinds: NDArray[np.int64],
    both: NDArray[np.int64],
) -> NDArray[np.int64]:
    """An image for each place of (count, T) classes, ``both`` within the sequence; an image that is
    asked is none of those shown."""
    shots, shown = task.shots, task.shown
    sizes = np.array([len(p) for p in parts])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    size = sizes[kinds]
    # examples shown are taken in turn from a random one on; one that is asked is any of the rest
    first = rng.random((len(kinds), int(both.max()) + 1))
    begin = (np.take_along_axis(first, both, axis=1) * size).astype(np.int64)
    same = both[:, :, None] == both[:, None, :]
    turn = np.tril(same, -1).sum(axis=2)
    other = shots + (rng.random(kinds.shape) * (size - shots)).astype(np.int64)
    taken = begin + np.where(np.arange(kinds.shape[1]) < shown, turn, other)
    return np.asarray(np.concatenate(parts)[starts[kinds] + taken % size])


@cache
def _elsewhere(source: str) -> Images:
    """A folder of pictures, or all images of a data set of the hub."""
    if source.startswith("hub:"):
        split = formats.read_hub(source.removeprefix("hub:"), FOLDER_SIDE)
        return joined(split.train, split.test)
    return formats.read_pictures(Path(source).expanduser(), FOLDER_SIDE)


@cache
def _parts(task: GlyphsTask) -> tuple[list[Labels], list[Labels]]:
    parts = by_class(
        task.images,
        task.shots + 1,
        task.data,
        "some are shown and another is asked",
        "add examples, remove these classes, or show fewer: --set shots=1",
    )
    order = np.random.default_rng([task.seed, 5]).permutation(len(parts))
    n = max(1, round(len(parts) * task.unseen))
    return [parts[i] for i in order[n:]], [parts[i] for i in order[:n]]
