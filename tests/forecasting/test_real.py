"""Held-out rungs of real families: coverage and skill of the kind that docs/forecasting.md tells.

The families are those of a source on which nothing was fitted; see benchmarks/forecast_skill.py.
"""

from pathlib import Path

import pytest

import unmirage
from unmirage.forecasting.types import LEVELS

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


@pytest.fixture(scope="module")
def rows():
    records = unmirage.read(DATA / "gadre_overtraining.parquet")
    made = unmirage.backtest(records, held_out=(1, 2), draws=300, examples=0, where=ONE)
    return made.rows


#: the Chinchilla-optimal ladder: six sizes for each corpus
ONE = {"chinchilla_mult": "1"}


def test_intervals_cover(rows):
    assert rows.height > 400
    inside = (rows["pit"] - 0.5).abs()
    for level in LEVELS:
        assert (inside <= level / 2).mean() == pytest.approx(level, abs=0.1)


def test_forecasts_beat_the_quick_baselines(rows):
    moving = rows.filter("moves")
    for name in ("last_value", "random_walk", "logit_line"):
        assert moving["crps"].mean() < 0.9 * moving[f"crps_{name}"].mean()
