"""Where images come from: what packages ship, a local folder, or the library ``datasets``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from unmirage.errors import ExtraMissing, FileProblem, OptionError
from unmirage.lab.vision import formats
from unmirage.lab.vision.images import Images, Split, parted

SOURCES = "digits, a folder (IDX, CIFAR, or one folder of pictures a class), or hub:NAME"


@cache
def load(source: str, asked: float = 0.5, side: int | None = None, seed: int = 0) -> Split:
    """Training and test images.

    ``digits``: the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships. A folder: its
    format is told by the names of its files. ``hub:NAME``: a data set of the Hugging Face hub.
    Where the source has no test set of its own, a share ``asked`` of its images, chosen by
    ``seed``, is the test set. Pictures are scaled to ``side`` where it is given.

    Raises:
        FileProblem: a file is broken, or training and test images differ in size.
        OptionError: no such source.
        ExtraMissing: a library is not installed.
    """
    if source == "digits":
        return parted(digits(), asked, seed, "scikit-learn's digits")
    if source.startswith("hub:"):
        return _of_one_size(formats.read_hub(source.removeprefix("hub:"), side), source)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise OptionError(f"data={source}: there is no such folder", mend=f"data={SOURCES}")
    if any(folder.glob("*-ubyte*")):
        split = Split(formats.read_mnist(folder, "train"), formats.read_mnist(folder, "t10k"))
        return _of_one_size(split, source)
    if any(folder.glob("*.bin")):
        return formats.read_cifar_folder(folder)
    return parted(formats.read_pictures(folder, side), asked, seed, source)


def _of_one_size(split: Split, source: str) -> Split:
    if split.train.size == split.test.size:
        return split
    sizes = (" x ".join(map(str, part.size)) for part in (split.train, split.test))
    raise FileProblem(
        f"images to train on and to ask differ in size: {' and '.join(sizes)}",
        file=source,
        mend="images of one height, width and number of channels in both parts",
    )


def digits() -> Images:
    """The digits that scikit-learn ships (UCI optdigits, test part), 0..16 stretched to 0..255."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ExtraMissing(
            "the digits come with scikit-learn, which is not installed",
            mend="pip install 'unmirage[lab]'",
        ) from None
    found = load_digits()
    pixels = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    return Images(pixels, found.target.astype(np.int64), tuple(map(str, range(10))))
