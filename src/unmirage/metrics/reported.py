"""Scores as a harness reported them for each item: passed through, never recomputed."""

from __future__ import annotations

import numpy as np
import polars as pl

from unmirage.metrics.ragged import finite
from unmirage.types import Facts, Floats, Metric


def reported(name: str, facts: Facts) -> Metric:
    """The metric that passes ``score`` through in the rows whose ``metric`` is ``name``.

    ``name`` is compared as written in the records. Other rows, and scores that are missing or
    infinite, are NaN. For cross-checks, and for scores that cannot be recomputed.

    >>> from unmirage.metrics import facts
    >>> samples = pl.DataFrame({"metric": ["acc", "f1"], "score": [1.0, 0.5]})
    >>> reported("f1", facts("f1")).score(samples).tolist()
    [nan, 0.5]
    """

    def score(samples: pl.DataFrame) -> Floats:
        values = samples["score"].cast(pl.Float64).to_numpy()
        same = (samples["metric"] == name).fill_null(False).to_numpy()
        return finite(np.where(same, values, np.nan))

    return Metric(
        facts,
        ("metric", "score"),
        score,
        "as reported in the records",
        f"the column score where metric is {name!r}",
    )
