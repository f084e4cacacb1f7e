"""Images through a bottleneck and back: the task of the family ``autoencoder``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unmirage.errors import OptionError
from unmirage.lab.incontext import Arrays
from unmirage.lab.vision.data import load
from unmirage.lab.vision.images import Images, Split, some


@dataclass(frozen=True)
class AutoencoderTask:
    """Give each image back from D numbers (Schaeffer et al. 2023, Fig. 7)."""

    name: str = "autoencoder"
    data: str = "digits"  # what unmirage.lab.vision.data.load knows
    side: int = 0  # pictures of a folder are scaled to this side; 0 = as they are
    items: int = 800  # test images
    seed: int = 0
    kind: Literal["images"] = "images"

    def __post_init__(self) -> None:
        if self.items < 1 or self.side < 0:
            raise OptionError(f"items {self.items}, side {self.side}", mend="items from 1 on")
        self.test()  # refuses what cannot be

    @property
    def about(self) -> str:
        return f"Images of {self.data} through a bottleneck and back."

    @property
    def images(self) -> Split:
        return load(self.data, side=self.side or None, seed=self.seed)

    def batch(self, step: int, size: int) -> Arrays:
        """The training images of one step: images (size, height, width, channels), 0..255."""
        train = self.images.train
        rng = np.random.default_rng([self.seed, 4, step])
        return {"images": train.pixels[rng.integers(0, len(train), size)]}

    def test(self) -> Images:
        """The images that are asked."""
        return some(self.images.test, self.items, "items")
