"""Which class is it? The task of the family ``digits``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import OptionError
from unmirage.lab.incontext import Arrays
from unmirage.lab.vision.data import load
from unmirage.lab.vision.images import Images, Split, by_class, moved, some

MOST_SHIFT = 64


@dataclass(frozen=True)
class DigitsTask:
    """Name the class of each image (Schaeffer et al. 2023, Fig. 11).

    Test images are asked in bundles of ``together``, each in one bundle, so that K of K right is
    counted on images that no other item holds. With ``shift`` images lie in a frame of that many
    empty pixels: those of the test in its middle, those of the training moved at random in it.
    """

    name: str = "digits"
    data: str = "digits"  # what unmirage.lab.vision.data.load knows
    side: int = 0  # pictures of a folder are scaled to this side; 0 = as they are
    items: int = 890  # test images
    together: int = 10  # images in one item
    shift: int = 0  # pixels that a training image is moved at most, up, down and across
    seed: int = 0
    kind: Literal["digits"] = "digits"

    def __post_init__(self) -> None:
        if self.items < 1 or self.side < 0 or not 1 <= self.together <= self.items:
            raise OptionError(
                f"items {self.items}, together {self.together}, side {self.side}",
                mend="items from 1 on, together from 1 to items: no more images can be right",
            )
        if not 0 <= self.shift <= MOST_SHIFT:
            raise OptionError(f"shift {self.shift}", mend=f"from 0 to {MOST_SHIFT} pixels")
        if len(self.classes) < 2:
            raise OptionError(f"data={self.data} has one class", mend="at least 2 classes")
        train = replace(self.images.train, classes=self.classes)
        by_class(train, 1, self.data, "none of them can be learnt", "add examples")
        self.test()  # refuses what cannot be

    @property
    def about(self) -> str:
        return f"The class of images of {self.data}, asked {self.together} at a time."

    @property
    def images(self) -> Split:
        return load(self.data, side=self.side or None, seed=self.seed)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the training and of the test: the longer list."""
        return max(self.images.train.classes, self.images.test.classes, key=len)

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels of what the net is shown."""
        h, w, c = self.images.train.size
        return h + 2 * self.shift, w + 2 * self.shift, c

    def batch(self, step: int, size: int) -> Arrays:
        """One training step: images (size, height, width, channels) 0..255, label (size,)."""
        train = self.images.train
        rng = np.random.default_rng([self.seed, 4, step])
        chosen = rng.integers(0, len(train), size)
        images = moved(train.pixels[chosen], self.shift, self._corner(rng, size))
        return {"images": images, "label": train.labels[chosen]}

    def _corner(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Where in their frames images begin: rows and columns, (2, size)."""
        return rng.integers(0, 2 * self.shift + 1, (2, size))

    def test(self) -> Images:
        """The images that are asked, a whole number of bundles."""
        asked = some(self.images.test, self.items, "items")
        whole = asked.take(np.arange(len(asked) // self.together * self.together))
        middle = np.full((2, len(whole)), self.shift)
        return replace(whole, pixels=moved(whole.pixels, self.shift, middle))
