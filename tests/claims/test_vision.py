"""The judges of P7, P8 and P9, on records whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

import unmirage
from unmirage.claims import vision
from unmirage.errors import UnmirageError
from unmirage.types import Audit

SIZES = (1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5)


def ask(frame: pl.DataFrame, metrics: Sequence[str]) -> Audit:
    return unmirage.audit(unmirage.read(frame), metric=metrics, draws=200)


def images(law: float = 0.4, items: int = 600) -> pl.DataFrame:
    """Errors that fall as a power of the size, each image with a factor of its own."""
    frames = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        factor = np.exp(rng.normal(0, 0.3, items))
        for params in SIZES:
            noise = np.exp(rng.normal(0, 0.05, items))
            frames.append(
                _frame("autoencoder", params, seed, items).with_columns(
                    squared_error=pl.Series(0.1 * factor * noise * (params / 1e2) ** -law)
                )
            )
    return pl.concat(frames)


def labels(items: int = 300, sharp: float = 1.2, name: str = "digits") -> pl.DataFrame:
    """Labels, each right with a probability that rises smoothly with the size."""
    frames = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        for i, params in enumerate(SIZES):
            p = 1 / (1 + np.exp(-sharp * (i - 3)))
            own = np.clip(p + rng.normal(0, 0.02, (items, labels_of(name))), 0.01, 0.99)
            right = rng.random((items, labels_of(name))) < own
            frames.append(
                _frame(name, params, seed, items).with_columns(
                    token_correct=pl.Series(right.tolist()),
                    token_logprobs=pl.Series(np.log(own).tolist()),
                )
            )
    return pl.concat(frames)


def labels_of(name: str) -> int:
    return vision.BEYOND if name == "digits" else vision.MOST


def _frame(name: str, params: float, seed: int, items: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "family": f"lab-{name}",
            "model": f"d{params:g} seed{seed}",
            "params": params,
            "step": 100.0,
            "seed": seed,
            "task": name,
            "item": [f"{name}-{i:05d}" for i in range(items)],
        }
    )


def test_the_threshold_that_makes_the_largest_step_is_found() -> None:
    errors = np.array([[0.5, 0.4, 0.3, 0.2], [0.05, 0.04, 0.03, 0.02], [0.01, 0.02, 0.01, 0.02]])
    c = vision.threshold(np.array([1.0, 2.0, 3.0]), errors)
    assert 0.05 < c <= 0.2, "all four images fall below it in one step"
    rises = [np.diff((errors < t).mean(axis=1)).max() for t in np.geomspace(0.01, 0.5, 400)]
    assert np.diff((errors < c).mean(axis=1)).max() == max(rises)


def test_a_threshold_on_a_smooth_error_makes_a_mirage() -> None:
    claim = vision.autoencoder(images(), ask)
    assert claim.id == "P7"
    rows = {str(r["metric"]): r for r in claim.table}
    assert rows["squared error"]["looks like a jump"] == 0
    assert claim.answer in ("as the article says", "in part")
    assert len(claim.table) == 1 + len(vision.AROUND)
    assert len(claim.panels) == 3
    assert all(p.points for p in claim.panels)


def test_the_threshold_is_not_judged_on_the_images_that_chose_it() -> None:
    asked: list[pl.DataFrame] = []

    def spy(frame: pl.DataFrame, metrics: Sequence[str]) -> Audit:
        asked.append(frame)
        return ask(frame, metrics)

    frame = images()
    first = vision.autoencoder(frame, spy)
    numbers = asked[0]["item"].str.extract(r"(\d+)$").cast(pl.Int64)
    assert (numbers % 2 == 1).all()
    # what the judged images say has no part in the choice
    even = pl.col("item").str.extract(r"(\d+)$").cast(pl.Int64) % 2 == 0
    worse = frame.with_columns(
        squared_error=pl.when(even).then("squared_error").otherwise(pl.col("squared_error") * 9)
    )
    second = vision.autoencoder(worse, spy)
    assert [r["metric"] for r in first.table] == [r["metric"] for r in second.table]


@pytest.mark.parametrize(("judge", "id"), [(vision.glyphs, "P8"), (vision.digits, "P9")])
def test_more_labels_to_be_right_make_a_steeper_curve(judge: object, id: str) -> None:
    claim = judge(labels(), ask)  # type: ignore[operator]
    assert claim.id == id
    steep = [float(r["median steepness"]) for r in claim.table[2:]]
    assert len(steep) == vision.MOST + (id == "P9")
    assert steep[vision.MOST - 1] > steep[0]
    last = [float(r["largest size"]) for r in claim.table[2:]]
    assert last == sorted(last, reverse=True)
    assert all(p.points for p in claim.panels)


@pytest.mark.parametrize(("first", "last", "k"), [(0.1, 1.0, 5), (0.2, 0.95, 5), (0.0, 1.0, 3)])
def test_what_a_straight_line_makes_of_many_images_is_that_of_its_formula(
    first: float, last: float, k: int
) -> None:
    # p^k has risen by a share s where p = (first^k + s (last^k - first^k))^(1/k)
    low, high = ((first**k + s * (last**k - first**k)) ** (1 / k) for s in (0.1, 0.9))
    assert vision.straight_line(first, last, k) == pytest.approx(
        0.8 * (last - first) / (high - low), rel=1e-3
    )


def test_one_size_makes_no_claim() -> None:
    with pytest.raises(UnmirageError, match="at least 2 sizes"):
        vision.autoencoder(images().filter(pl.col("params") == SIZES[0]), ask)
