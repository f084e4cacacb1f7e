"""Readers of the formats in which the well-known sets of images are published.

    IDX          MNIST and Fashion-MNIST (yann.lecun.com/exdb/mnist), plain or gzip
    CIFAR        the binary version of CIFAR-10 and CIFAR-100 (cs.toronto.edu/~kriz/cifar.html)
    folders      one folder of pictures a class, as Omniglot (github.com/brendenlake/omniglot)
    datasets     a data set of the Hugging Face hub, through their library

Nothing is downloaded but through that library. A file that is cut short, has another magic number
or holds other sizes than it states is refused.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import ExtraMissing, FileProblem, OptionError
from unmirage.lab.vision.images import Images, Pixels, Split, joined

#: more is surely a damaged header
MOST_BYTES = 8 << 30
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_CIFAR_SIDE = 32


def refuse(path: Path, what: str, mend: str = "download it anew") -> FileProblem:
    """The error of a file of images that cannot be used."""
    return FileProblem(what, file=str(path), mend=mend)


# ---------------------------------------------------------------- IDX


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, any number of dimensions; ``.gz`` is unpacked.

    Bytes 0, 1: zero; 2: type (8 = unsigned byte); 3: number of dimensions; then each dimension as
    a big-endian 32-bit integer, then the numbers, last dimension fastest.

    Raises:
        FileProblem: cut short, another magic number, or not as long as it states.
    """
    raw = _bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise refuse(path, f"it is no IDX file: it begins with {raw[:4].hex(' ') or 'nothing'}")
    if raw[2] != 8 or not 1 <= raw[3] <= 4:
        raise refuse(
            path, f"IDX of type 0x{raw[2]:02x} with {raw[3]} dimensions", "unsigned bytes (0x08)"
        )
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise refuse(path, f"its header ends after {len(raw)} bytes, {start} are needed")
    shape = tuple(int(n) for n in np.frombuffer(raw[4:start], dtype=">u4"))
    wanted = int(np.prod(np.array(shape, dtype=object)))
    if wanted > MOST_BYTES or len(raw) - start != wanted:
        raise refuse(
            path,
            f"it states {' x '.join(map(str, shape))} = {wanted:,} numbers and holds "
            f"{len(raw) - start:,}",
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _bytes(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        return path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise refuse(path, f"it cannot be read ({error})") from error


def read_mnist(folder: Path, part: str) -> Images:
    """``part`` ("train" or "t10k") of MNIST, Fashion-MNIST and their like.

    Raises:
        FileProblem: a file is missing or damaged, or images and labels do not fit together.
    """
    places = [_idx_file(folder, f"{part}-{kind}") for kind in ("images-idx3", "labels-idx1")]
    pixels, labels = (read_idx(path) for path in places)
    if pixels.ndim != 3 or labels.ndim != 1 or len(pixels) != len(labels):
        raise refuse(
            places[0],
            f"images {pixels.shape} and labels {labels.shape} in {places[1].name} do not fit",
            "images (N, height, width) and labels (N,)",
        )
    return _images(pixels[..., None], labels, places[0])


def _idx_file(folder: Path, stem: str) -> Path:
    # two spellings are about: train-images-idx3-ubyte and train-images.idx3-ubyte
    stems = (stem, stem[: stem.rindex("-")] + "." + stem[stem.rindex("-") + 1 :])
    for name in (f"{s}-ubyte{end}" for s in stems for end in ("", ".gz")):
        if (folder / name).is_file():
            return folder / name
    raise refuse(folder, f"there is no {stem}-ubyte, plain or .gz", "put the four files there")


def _images(pixels: Pixels, labels: NDArray[Any], path: Path) -> Images:
    """Images whose classes are their numbers, 0 to the largest."""
    if not len(pixels) or 0 in pixels.shape:
        raise refuse(path, f"it holds no image: {pixels.shape}")
    classes = tuple(str(i) for i in range(int(labels.max()) + 1))
    return Images(np.ascontiguousarray(pixels), labels.astype(np.int64), classes)


# ---------------------------------------------------------------- CIFAR


def read_cifar(path: Path, fine: bool) -> Images:
    """A file of the binary version: records of label bytes and 3 x 32 x 32 pixels, red first.

    ``fine``: CIFAR-100, whose records begin with the coarse and the fine label; the fine one is
    used. Else CIFAR-10, with one label.

    Raises:
        FileProblem: not a whole number of records, or a label that cannot be.
    """
    raw = np.frombuffer(_bytes(path), dtype=np.uint8)
    head, kinds = (2, 100) if fine else (1, 10)
    size = head + 3 * _CIFAR_SIDE**2
    if not len(raw) or len(raw) % size:
        raise refuse(path, f"{len(raw):,} bytes are no whole number of records of {size:,} bytes")
    rows = raw.reshape(-1, size)
    labels = rows[:, head - 1]
    if labels.max() >= kinds:
        row = int(np.argmax(labels >= kinds))
        raise refuse(path, f"label {labels[row]} of record {row + 1} is not below {kinds}")
    pixels = rows[:, head:].reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE).transpose(0, 2, 3, 1)
    return Images(
        np.ascontiguousarray(pixels), labels.astype(np.int64), tuple(map(str, range(kinds)))
    )


def read_cifar_folder(folder: Path) -> Split:
    """CIFAR-100 (train.bin, test.bin) or CIFAR-10 (data_batch_1.bin, ..., test_batch.bin)."""
    if (folder / "train.bin").is_file():
        return Split(*(_there(folder, name, fine=True) for name in ("train.bin", "test.bin")))
    batches = sorted(folder.glob("data_batch_*.bin"))
    if not batches:
        raise refuse(folder, "there is no data_batch_1.bin", "put all files of CIFAR there")
    train = reduce(joined, [read_cifar(path, fine=False) for path in batches])
    return Split(train, _there(folder, "test_batch.bin", fine=False))


def _there(folder: Path, name: str, fine: bool) -> Images:
    if not (folder / name).is_file():
        raise refuse(folder, f"there is no {name}", "put all files of the binary version there")
    return read_cifar(folder / name, fine)


# ---------------------------------------------------------------- folders of pictures


def read_pictures(folder: Path, side: int | None = None, grey: bool = True) -> Images:
    """A tree of pictures; each folder that holds some is a class, named by its path.

    ``side``: pictures are scaled to side x side; without it all must be of one size. Dark on
    white, as Omniglot, becomes bright on black when most of the first picture is white.

    Raises:
        FileProblem: no pictures, one that cannot be read, or sizes that differ.
    """
    if not folder.is_dir():
        raise refuse(folder, "there is no such folder", "give the folder that holds the pictures")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
    if not files:
        raise refuse(folder, "it holds no pictures", f"files {', '.join(PICTURES)}")
    names = sorted({str(p.parent.relative_to(folder)) for p in files})
    place = {name: i for i, name in enumerate(names)}
    pixels = _stack(files, side, grey)
    if grey and np.median(pixels[0]) > 127:
        pixels = 255 - pixels
    labels = [place[str(p.parent.relative_to(folder))] for p in files]
    return Images(pixels, np.array(labels, dtype=np.int64), tuple(names))


def _stack(files: Sequence[Path], side: int | None, grey: bool) -> Pixels:
    found: list[NDArray[np.uint8]] = []
    for path in files:
        one = picture(path, side, grey)
        if found and one.shape != found[0].shape:
            a, b = (" x ".join(map(str, x.shape[:2])) for x in (one, found[0]))
            raise refuse(path, f"it is {a} and {files[0].name} is {b}", "pictures of one size")
        found.append(one)
    return np.stack(found)


def picture(path: Path, side: int | None, grey: bool) -> NDArray[np.uint8]:
    """One picture as (height, width, channels).

    Raises:
        FileProblem: it is broken.
        ExtraMissing: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise _extra("Pillow") from None
    try:
        with Image.open(path) as opened:
            shown = opened.convert("L" if grey else "RGB")
            if side:
                shown = shown.resize((side, side), Image.Resampling.BOX)
            found = np.asarray(shown, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise refuse(path, f"the picture is broken ({error})", "remove or replace it") from error
    return found.reshape(*found.shape[:2], -1)


def _extra(name: str) -> ExtraMissing:
    return ExtraMissing(f"{name} is not installed", mend="pip install 'unmirage[lab]'")


# ---------------------------------------------------------------- the library datasets


def read_hub(name: str, side: int | None = None) -> Split:
    """A data set of the Hugging Face hub with the splits train and test.

    Raises:
        ExtraMissing: the library datasets is not installed.
        OptionError: no such data set, no network, or a split is missing.
    """
    try:
        import datasets
    except ImportError:
        raise ExtraMissing("datasets is not installed", mend="pip install datasets") from None
    try:
        whole = datasets.load_dataset(name)
    except Exception as error:  # the library raises of every kind, and says it well
        raise OptionError(f"hub:{name} cannot be loaded ({error})", mend="or name a folder") from (
            error
        )
    missing = [part for part in ("train", "test") if part not in whole]
    if missing:
        raise OptionError(f"hub:{name} has no split {missing[0]}", mend=f"it has {list(whole)}")
    return Split(*(from_rows(whole[part], side, name) for part in ("train", "test")))


def from_rows(rows: Iterable[Any], side: int | None, name: str) -> Images:
    """Rows of the library: the first picture column is the image, ``(fine_)label`` its class.

    Raises:
        OptionError: no pictures, or no labels.
    """
    found, labels = [], []
    for row in rows:
        picture_of = [v for v in row.values() if hasattr(v, "convert") and hasattr(v, "resize")]
        label = next((row[k] for k in ("fine_label", "label", "labels") if k in row), None)
        if not picture_of or not isinstance(label, int):
            raise OptionError(
                f"hub:{name} has no images with labels: {', '.join(row)}",
                mend="a data set with a picture column and a column label",
            )
        one = picture_of[0] if picture_of[0].mode in ("L", "RGB") else picture_of[0].convert("L")
        array = np.asarray(one.resize((side, side)) if side else one, dtype=np.uint8)
        found.append(array.reshape(*array.shape[:2], -1))
        labels.append(label)
    if len({x.shape for x in found}) != 1 or min(labels) < 0:
        raise OptionError(f"hub:{name}: images of several sizes, or none", mend="one size")
    return _images(np.stack(found), np.array(labels), Path(f"hub:{name}"))
