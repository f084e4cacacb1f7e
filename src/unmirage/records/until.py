"""Pass rates from tries: items that were tried until they passed, or a set number of times.

A table of ``tries`` and ``passes`` (one row a model and item) becomes two scores an item,
``pass_until`` and ``log_pass_rate``. Items tried until the r-th pass see rates far below 1/n (Hu et
al. 2023, arXiv 2310.03262): r is the largest number of passes under one setting. An item with fewer
passes ran into the model's budget of tries. Where that cannot be (each model tried all its items
equally often, or one with fewer passes was tried less often than another), tries were set
beforehand.

With s passes in K tries:

* until the r-th pass (r >= 2): rate (r - 1) / (K - 1), unbiased (Haldane 1945,
  doi:10.1093/biomet/33.3.222); -log rate = psi(K) - psi(r) = sum_{j=r}^{K-1} 1/j, unbiased for
  every r (de Groot 1959, doi:10.1214/aoms/1177706361; van Opheusden et al. 2020, arXiv 2001.03985);
* else: rate s / K, unbiased, at a budget too (Girshick, Mosteller and Savage 1946,
  doi:10.1214/aoms/1177731018); -log rate = psi(K + 1) - psi(s + 1), unbiased to first order in 1/s.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from unmirage.records.columns import IDENTITY, SETTINGS
from unmirage.types import Floats

RATE, LOG_RATE = "pass_until", "log_pass_rate"


def rates(tries: Floats, passes: Floats, until: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Rate and -log rate of each item (S,), ``until``: stopped by its last pass; NaN where none is.

    >>> rates(np.array([1001.0, 10.0]), np.array([2.0, 0.0]), np.array([True, False]))[0].tolist()
    [0.001, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        stopped = np.where(passes > 1, (passes - 1) / (tries - 1), np.nan)
        rate = np.where(until, stopped, passes / tries)
        rate = np.where(until & (passes == tries) & (passes > 1), 1.0, rate)
        shown = np.where(until, special.psi(tries) - special.psi(passes), np.nan)
        counted = special.psi(tries + 1) - special.psi(passes + 1)
    return rate, np.where(until, shown, np.where(passes > 0, counted, np.nan))


def until_passed(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows were tried until their last pass, (S,)."""
    setting = [c for c in SETTINGS if c in frame.columns]
    model = [c for c in (*IDENTITY, *SETTINGS) if c in frame.columns]
    most = pl.col("passes").max()
    goal = most.over(setting) if setting else most
    short, budget = pl.col("passes") < goal, pl.col("tries").max().over(model)
    told = ~(short & (pl.col("tries") < budget)).any().over(model)
    # a number of tries for each model is no sign of stopping, unless each has but one item
    several = (pl.len() > 1).over(model)
    varied = (several & (pl.col("tries").n_unique() > 1).over(model)).any()
    single = ~several.any() & (pl.col("tries").n_unique() > 1)
    varies = (varied | single).over(setting) if setting else varied | single
    return np.asarray(frame.select(told & varies & ~short & (goal > 0)).to_series().to_numpy())


def unfold(frame: pl.DataFrame) -> pl.DataFrame:
    """Two rows for each row of tries, with metric and score; null: what cannot be told."""
    tries, passes = (frame[c].cast(pl.Float64).to_numpy() for c in ("tries", "passes"))
    rate, nats = rates(tries, passes, until_passed(frame))
    parts = [
        frame.with_columns(
            pl.lit(name).alias("metric"),
            pl.Series("score", values).fill_nan(None),
            pl.lit(name == RATE).alias("higher_is_better"),
        )
        for name, values in ((RATE, rate), (LOG_RATE, nats))
    ]
    return pl.concat(parts)
