"""Characters of many scripts, drawn from the fonts that matplotlib ships.

A stand-in for Omniglot (Lake et al. 2015) that needs no download: each class is a letter of a
script, each example that letter in one of several faces, moved, scaled, turned, sheared and
covered with noise. Letters that look alike (the Latin, Greek and Cyrillic o) are one class.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmirage.errors import ExtraMissing, OptionError
from unmirage.lab.vision.images import Images

SIDE = 16
#: side of the square in which a letter is drawn before it is moved and made small
_CANVAS = 48
_BOX = 36  # its longer side there
#: letters whose pictures correlate more are one class
_ALIKE = 0.9
#: faces a letter must be in
_LEAST_FACES = 4
_FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
)
Reals = NDArray[np.float32]


@cache
def alphabet() -> tuple[tuple[str, ...], tuple[NDArray[np.uint8], ...]]:
    """The letters, and for each its pictures in the faces that have it, (faces, 48, 48).

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    fonts = _fonts()
    letters, drawn = [], []
    for code in range(0x21, 0x10000):
        char = chr(code)
        if unicodedata.category(char)[0] != "L" or len(unicodedata.normalize("NFKD", char)) > 1:
            continue
        faces = [face for face, known in fonts if code in known]
        if len(faces) >= _LEAST_FACES:
            pictures = [p for p in (_draw(face, code) for face in faces) if p is not None]
            if len(pictures) >= _LEAST_FACES:
                letters.append(char)
                drawn.append(np.stack(pictures))
    kept = _unlike(np.stack([d[0] for d in drawn]))
    return tuple(letters[i] for i in kept), tuple(drawn[i] for i in kept)


def _fonts() -> list[tuple[Any, frozenset[int]]]:
    """Each face with the code points it has."""
    try:
        import matplotlib
        from matplotlib.ft2font import FT2Font
    except ImportError:
        raise ExtraMissing(
            "glyphs are drawn from the fonts of matplotlib, which is not installed",
            mend="pip install 'unmirage[lab]'",
        ) from None
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = []
    for name in _FACES:
        face = FT2Font(str(folder / f"{name}.ttf"))
        face.set_size(40, 72)
        found.append((face, frozenset(face.get_charmap())))
    return found


def _draw(face: Any, code: int) -> NDArray[np.uint8] | None:
    """A letter in the middle of the canvas, its longer side 36 pixels; None where it is blank."""
    face.set_text(chr(code), 0.0)
    face.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(face.get_image())
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = max(ink.shape) / _BOX
    at = (np.arange(_CANVAS, dtype=np.float32) - (_CANVAS - 1) / 2) * np.float32(scale)
    y, x = at + (ink.shape[0] - 1) / 2, at + (ink.shape[1] - 1) / 2
    here = np.broadcast_arrays(y[:, None], x[None, :])
    drawn = bilinear(ink[None], here[0][None], here[1][None])[0]
    return np.asarray(drawn.round(), dtype=np.uint8)


def bilinear(pictures: Reals, y: Reals, x: Reals) -> Reals:
    """Pictures (N, h, w) read at places (N, ...); outside they are 0."""
    n, h, w = pictures.shape
    padded = np.pad(pictures, ((0, 0), (1, 2), (1, 2)))
    y, x = np.clip(y, -1, h) + 1, np.clip(x, -1, w) + 1
    top, left = y.astype(np.int64), x.astype(np.int64)
    down, right = y - top, x - left
    flat = padded.reshape(-1)
    first = (np.arange(n) * (h + 3)).reshape(-1, *([1] * (y.ndim - 1)))
    at = (first + top) * (w + 3) + left
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + w + 3] * (1 - right) + flat[at + w + 4] * right
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)


def _unlike(pictures: NDArray[np.uint8]) -> list[int]:
    """Places of the pictures that are not nearly the same as an earlier one that is kept."""
    small = pictures.reshape(len(pictures), SIDE, 3, SIDE, 3).mean(axis=(2, 4))
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    alike = flat @ flat.T > _ALIKE
    kept: list[int] = []
    for i in range(len(flat)):
        if not alike[i, kept].any():
            kept.append(i)
    return kept


@dataclass(frozen=True)
class Spread:
    """How much the drawings of a letter differ."""

    noise: float = 0.1  # standard deviation of what is added to every pixel, white = 1
    bend: float = 1.0  # share of the largest shifts, scales, turns and shears


@cache
def drawings(classes: int, each: int, spread: Spread, seed: int) -> Images:
    """``each`` drawings of each of ``classes`` letters chosen at random, side by side by class.

    With a bend of 1: shifts of up to 1.5 pixels, scales of 0.8 to 1.1, turns of up to 15 degrees, a
    shear of up to 0.2.

    Raises:
        OptionError: the fonts do not hold so many letters.
    """
    letters, faces = alphabet()
    if classes > len(letters):
        raise OptionError(
            f"classes {classes:,}, but the fonts hold {len(letters):,} letters that differ",
            mend=f"at most {len(letters):,}",
        )
    rng = np.random.default_rng([seed, 12])
    chosen = rng.permutation(len(letters))[:classes]
    found = np.empty((len(chosen), each, SIDE, SIDE), dtype=np.uint8)
    for row, i in enumerate(chosen.tolist()):
        face = faces[i][rng.integers(0, len(faces[i]), each)]
        found[row] = _moved(rng, face.astype(np.float32), spread)
    labels = np.repeat(np.arange(len(chosen)), each)
    pixels = found.reshape(-1, SIDE, SIDE, 1)
    return Images(pixels, labels, tuple(letters[i] for i in chosen))


def _moved(rng: np.random.Generator, pictures: Reals, spread: Spread) -> NDArray[np.uint8]:
    """(N, 48, 48) -> (N, 16, 16): each picture moved by an affine map of its own."""
    n, bend = len(pictures), spread.bend
    turn = bend * rng.uniform(-np.pi / 12, np.pi / 12, n)
    size = 1 + bend * rng.uniform(-0.2, 0.1, n)
    shear = bend * rng.uniform(-0.2, 0.2, n)
    shift = bend * rng.uniform(-1.5, 1.5, (2, n)) * _CANVAS / SIDE
    c, s = np.cos(turn) / size, np.sin(turn) / size
    # twice as fine as the picture that is made, then the mean of each 2 x 2
    at = ((np.arange(2 * SIDE) + 0.5) / (2 * SIDE) - 0.5) * _CANVAS
    y, x = np.meshgrid(at, at, indexing="ij")
    middle = (_CANVAS - 1) / 2

    def each(row: NDArray[np.float64]) -> NDArray[np.float64]:
        return row[:, None, None]

    up, across = y - each(shift[0]), x - each(shift[1])
    from_y = each(c) * up + each(s) * across + middle
    from_x = each(c) * across - each(s) * up + each(shear) * up + middle
    fine = bilinear(pictures, from_y.astype(np.float32), from_x.astype(np.float32))
    small = fine.reshape(n, SIDE, 2, SIDE, 2).mean(axis=(2, 4))
    small += rng.normal(0.0, 255 * spread.noise, small.shape) if spread.noise else 0.0
    return np.asarray(np.clip(np.round(small), 0, 255), dtype=np.uint8)
