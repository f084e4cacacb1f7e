"""The nouns of forecasts. Axes: T targets, R draws, Q levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from unmirage.types import Curve, Floats, Key, Note, Refusal

#: ways from scale to score beside the laws (:mod:`unmirage.forecasting.routes`)
ROUTES = ("process", "combined", "metric", "two_step")
#: central predictive intervals that are told
LEVELS = (0.5, 0.8, 0.9, 0.95)
#: a target farther beyond the largest rung than this many times the range of the rungs is not known
FARTHEST = 1.0


def beyond(at: Floats, rungs: Floats) -> Floats:
    """Decades beyond the largest rung or below the smallest; negative between them. Log10 scales.

    >>> beyond(np.array([3.0, 1.5, 0.75]), np.array([1.0, 2.0])).tolist()
    [1.0, -0.5, 0.25]
    """
    return np.asarray(np.maximum(at - rungs.max(), rungs.min() - at))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictive distributions of one series at T targets, as draws."""

    measured: Floats  # (T, R) scores as they would be measured on as many items
    expected: Floats  # (T, R) the same without the sampling error of the target
    weights: Mapping[str, float]  # what they are made of: link -> share
    why: tuple[Mapping[str, float], ...]  # for each target: source of width -> share of variance
    widest: Floats  # (T, 2) hull of the 95 % intervals of every plausible part, of ``expected``
    #: law -> how its fit ended, one of :data:`unmirage.forecasting.fitting.STATUS`
    status: Mapping[str, str] = field(default_factory=dict)
    #: law -> share of its draws that determine nothing and were left out
    dropped: Mapping[str, float] = field(default_factory=dict)
    aic: float = np.nan  # of a law, of the scores in its working unit


@dataclass(frozen=True, eq=False)
class Forecast:
    """The score that a model of a given scale is expected to get."""

    key: Key
    curve: Curve  # what it is made from
    at: float  # scale of the target
    #: decades beyond the largest rung, or below the smallest; negative inside the range
    distance: float
    reach: float  # decades that the rungs span
    route: str  # "process", a law, or a route such as "metric"
    draws: Floats  # (R,) sorted; of the measured score
    expected: Floats  # (R,) sorted; without the sampling error of the target
    widest: tuple[float, float]  # widest plausible 95 % band of the measured score
    widest_expected: tuple[float, float]  # the same without the sampling error of the target
    weights: Mapping[str, float] = field(default_factory=dict)
    why: Mapping[str, float] = field(default_factory=dict)  # share of the variance
    fan: Fan | None = None
    notes: tuple[Note, ...] = ()
    #: law -> how its fit ended: converged, at_bound, degenerate or unfinished; none for the process
    status: Mapping[str, str] = field(default_factory=dict)
    #: law -> share of its draws that determine nothing and were left out
    dropped: Mapping[str, float] = field(default_factory=dict)
    #: of a target of two scales: params and tokens; ``at`` is then 6 N D, and ``distance`` and
    #: ``reach`` are of the axis on which the target is farther for what the rungs span
    place: Mapping[str, float] = field(default_factory=dict)
    farthest: float = FARTHEST  # known no farther beyond the rungs than this many times ``reach``

    @property
    def known(self) -> bool:
        """Is the target near enough that a median means something?"""
        return self.distance <= self.farthest * self.reach

    @property
    def median(self) -> float:
        return float(np.median(self.draws))

    def interval(self, level: float, *, sampling: bool = True) -> tuple[float, float]:
        """Central predictive interval; ``sampling``: of the measured score, else of the expected.

        A target that is not known gets the widest plausible band at 0.95, and NaN below.
        """
        if not self.known:
            wide = self.widest if sampling else self.widest_expected
            return wide if level >= 0.95 else (float("nan"), float("nan"))
        made = self.draws if sampling else self.expected
        low, high = np.quantile(made, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Fan:
    """A forecast over a range of scale, to be drawn; (G,) each."""

    scale: Floats
    median: Floats
    bands: Mapping[float, tuple[Floats, Floats]]  # level -> low, high; NaN where it is not known


@dataclass(frozen=True, eq=False)
class Forecasts:
    """All forecasts of one run, with what was refused and noticed."""

    forecasts: tuple[Forecast, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    settings: Mapping[str, object]

    def to_frame(self) -> pl.DataFrame:
        """One row a forecast."""
        from unmirage.report.forecasts import to_frame

        return to_frame(self)

    def to_json(self) -> str:
        from unmirage.report.forecasts import to_json

        return to_json(self)


@dataclass(frozen=True, eq=False)
class Backtest:
    """Held-out scores against what was forecast from the smaller rungs; one row each.

    rows: family, task, metric, settings, form, held_out (rungs held out), ahead (1 = the first
    of them), train (rungs), scale, distance, reach, observed, stderr, unit (1 for shares, else the
    range of the series), moves (beyond 3 standard errors), pit, median, low_50 ... high_95, crps
    (in units), and crps_<baseline>.
    """

    rows: pl.DataFrame
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    settings: Mapping[str, object]
    examples: tuple[tuple[Forecast, Curve], ...] = ()  # farthest forecasts and the whole curves
