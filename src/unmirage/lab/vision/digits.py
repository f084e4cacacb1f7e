"""Which class is it? The task of the family ``digits``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unmirage.errors import OptionError
from unmirage.lab.incontext import Arrays
from unmirage.lab.vision.data import load
from unmirage.lab.vision.images import Images, Split, by_class, some


@dataclass(frozen=True)
class DigitsTask:
    """Name the class of each image (Schaeffer et al. 2023, Fig. 11).

    Test images are asked in bundles of ``together``, each in one bundle, so that K of K right is
    counted on images that no other item holds.
    """

    name: str = "digits"
    data: str = "digits"  # what unmirage.lab.vision.data.load knows
    side: int = 0  # pictures of a folder are scaled to this side; 0 = as they are
    items: int = 890  # test images
    together: int = 10  # images in one item
    seed: int = 0
    kind: Literal["digits"] = "digits"

    def __post_init__(self) -> None:
        if self.items < 1 or self.side < 0 or not 1 <= self.together <= self.items:
            raise OptionError(
                f"items {self.items}, together {self.together}, side {self.side}",
                mend="items from 1 on, together from 1 to items: no more images can be right",
            )
        if len(self.classes) < 2:
            raise OptionError(f"data={self.data} has one class", mend="at least 2 classes")
        by_class(self.images.train, 1, self.data)
        self.test()  # refuses what cannot be

    @property
    def about(self) -> str:
        return f"The class of images of {self.data}, asked {self.together} at a time."

    @property
    def images(self) -> Split:
        return load(self.data, side=self.side or None, seed=self.seed)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.images.train.classes

    def batch(self, step: int, size: int) -> Arrays:
        """One training step: images (size, height, width, channels) 0..255, label (size,)."""
        train = self.images.train
        chosen = np.random.default_rng([self.seed, 4, step]).integers(0, len(train), size)
        return {"images": train.pixels[chosen], "label": train.labels[chosen]}

    def test(self) -> Images:
        """The images that are asked, a whole number of bundles."""
        asked = some(self.images.test, self.items, "items")
        return asked.take(np.arange(len(asked) // self.together * self.together))
