"""Labelled images as arrays, and what they must be to train on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import FileProblem, OptionError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """N images of one size with a class each.

    pixels (N, height, width, channels) from 0 to 255; labels (N,) places in ``classes``.
    """

    pixels: Pixels
    labels: Labels
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        _, h, w, c = self.pixels.shape
        return h, w, c

    def take(self, chosen: NDArray[np.integer]) -> Images:
        """Some of the images, by place, in that order."""
        return replace(self, pixels=self.pixels[chosen], labels=self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Split:
    """Images to train on and images to ask; of the glyphs the two share no class."""

    train: Images
    test: Images


def parted(images: Images, asked: float, seed: int, source: str) -> Split:
    """A random part of the images is asked, the rest trains.

    Raises:
        FileProblem: there are fewer than 2 images.
    """
    n = round(len(images) * asked)
    if not 0 < n < len(images):
        raise FileProblem(
            f"{len(images)} images cannot be parted into training and test",
            file=source,
            mend="give at least 2 images, better some hundreds",
        )
    order = np.random.default_rng([seed, 11]).permutation(len(images))
    return Split(images.take(order[n:]), images.take(order[:n]))


def by_class(
    images: Images, least: int, source: str, why: str, mend: str
) -> list[NDArray[np.int64]]:
    """The places of the images of every class; ``why`` and ``mend`` end what is said of few.

    Raises:
        FileProblem: a class has fewer than ``least`` examples.
    """
    order = np.argsort(images.labels, kind="stable")
    counts = np.bincount(images.labels, minlength=len(images.classes))
    few = [i for i, count in enumerate(counts) if count < least]
    if few:
        names = ", ".join(images.classes[i] for i in few[:3])
        raise FileProblem(
            f"{len(few)} of {len(counts)} classes have fewer than {least} "
            f"example{'s' if least > 1 else ''} ({names}{', ...' if len(few) > 3 else ''}): {why}",
            file=source,
            mend=mend,
        )
    return np.split(order, np.cumsum(counts)[:-1])


def moved(pixels: Pixels, frame: int, corner: NDArray[np.int64]) -> Pixels:
    """Images (N, h, w, C) in a frame of empty pixels: (N, h + 2 frame, w + 2 frame, C).

    corner (2, N): the row and the column at which each begins, frame for the middle.
    """
    if not frame:
        return pixels
    n, h, w, c = pixels.shape
    found = np.zeros((n, h + 2 * frame, w + 2 * frame, c), dtype=np.uint8)
    rows, columns = corner[0][:, None] + np.arange(h), corner[1][:, None] + np.arange(w)
    found[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]] = pixels
    return found


def joined(one: Images, other: Images) -> Images:
    """Both sets as one; classes are the same numbers in both."""
    longer = max(one.classes, other.classes, key=len)
    pixels = np.concatenate([one.pixels, other.pixels])
    return Images(pixels, np.concatenate([one.labels, other.labels]), longer)


def some(images: Images, count: int, what: str) -> Images:
    """The first ``count`` images.

    Raises:
        OptionError: there are not so many.
    """
    if count > len(images):
        raise OptionError(
            f"{what} {count:,}, but the test set has {len(images):,} images",
            mend=f"at most {len(images):,}",
        )
    return images.take(np.arange(count))
