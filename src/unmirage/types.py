"""Every noun that crosses a layer. Read this file first.

Axes: S items, M rungs (models of a family, sorted by scale), G points of a drawn line.
Missing numbers are NaN plus a count, never 0. Scores are in the metric's own unit; a score that a
table gives on 0-100 is divided by 100 when it is read. Log-probabilities are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Verdict = Literal["smooth", "mirage", "survives", "undecided"]
Explanation = Literal["metric", "resolution", "coverage"]
Level = Literal["info", "warning"]

#: The scale axes, in the order in which one is chosen where the user does not say.
SCALES = ("params", "flops", "tokens", "step")
#: Scale axes that are drawn only where the user asks for them: examples in the prompt.
ASKED_SCALES = ("shots",)

# ---------------------------------------------------------------- records


@dataclass(frozen=True)
class Note:
    """Something the reader must know: a guess, a split, rows left out."""

    level: Level
    code: str  # short, stable, for programs: "assumed_percent", "split_by", ...
    message: str  # one sentence, for people
    file: str | None = None
    count: int | None = None  # how many rows or items it concerns


@dataclass(frozen=True, eq=False)
class Records:
    """What was measured, in canonical columns (see :mod:`unmirage.records.columns`).

    samples: one row per (model, setting, item, repeat): outputs and log-probabilities, re-scorable.
    aggregates: one row per reported score without items: can be audited, not re-scored.
    Either frame may have no rows. Both carry ``file`` and ``row`` (1-based) where they were read.
    formats: (format, number of files of it that were read).
    """

    samples: pl.DataFrame
    aggregates: pl.DataFrame
    notes: tuple[Note, ...] = ()
    formats: tuple[tuple[str, int], ...] = ()


# ---------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Facts:
    """What is known of a metric by its name alone."""

    name: str  # canonical name
    title: str  # for people: "exact match"
    low: float  # smallest possible score (may be -inf)
    high: float  # largest possible score (may be inf)
    higher_is_better: bool
    linear: bool  # linear in the per-token quantity at fixed length
    continuous: bool  # continuous in the model's probabilities
    unit: str = ""  # "nats", "bits", "" for shares
    binary: bool = False  # each item scores 0 or 1
    #: teacher: from log-probabilities of the given target; free: from generated text;
    #: choice: from log-probabilities of given options; reported: as a table reports it
    forcing: Literal["teacher", "free", "choice", "reported"] = "reported"


@dataclass(frozen=True)
class Metric:
    """One pure function of samples plus its declared facts; each declared property is tested."""

    facts: Facts
    needs: tuple[str, ...]  # sample fields; "a|b" means either
    score: Callable[[pl.DataFrame], Floats]  # samples (S rows) -> (S,), NaN = cannot be scored
    reference: str  # the paper or the tool whose definition this is
    note: str = ""  # which definition, in one line
    chance: Callable[[pl.DataFrame], Floats] | None = None  # -> (S,) expected score of a guess
    extra: str | None = None  # the optional extra it needs, e.g. "text"
    pooled: bool = False  # True: rows of one item (repeats) are scored together (pass@k)
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.facts.name


# ---------------------------------------------------------------- curves


@dataclass(frozen=True)
class Key:
    """What identifies a curve. ``settings`` holds every other column that was held fixed."""

    family: str
    task: str
    metric: str
    settings: tuple[tuple[str, str], ...] = ()  # (column, value), sorted by column

    def label(self) -> str:
        more = ", ".join(f"{k}={v}" for k, v in self.settings)
        return f"{self.family} / {self.task} / {self.metric}" + (f" [{more}]" if more else "")


@dataclass(frozen=True, eq=False)
class Items:
    """Per-item scores behind a curve; column s is the same item in every rung."""

    names: tuple[str, ...]  # (S,)
    scores: Floats  # (M, S), repeats averaged, none NaN
    position: NDArray[np.int64]  # (S,) place in the list of items that all metrics share
    total: int  # length of that list: one bootstrap weight each, for every model and metric
    clusters: NDArray[np.int64] | None = None  # (total,) cluster of each place; None = independent
    dropped: int = 0  # items left out because not every rung has them, or scores them

    @property
    def cluster(self) -> NDArray[np.int64] | None:
        """(S,) cluster of each item."""
        return None if self.clusters is None else self.clusters[self.position]


@dataclass(frozen=True, eq=False)
class Curve:
    """The scores of one family on one task under one metric, sorted by scale; axis M."""

    key: Key
    facts: Facts
    scale_name: str  # "params", "flops", "tokens", "step", "shots"
    scale: Floats  # (M,) > 0
    models: tuple[str, ...]  # (M,)
    score: Floats  # (M,) no NaN
    stderr: Floats  # (M,) sampling error of the score; NaN = unknown
    count: Floats  # (M,) number of items; NaN = unknown
    low: Floats  # (M,) 95 % interval, exact near the floor; NaN = unknown
    high: Floats  # (M,)
    floor: float  # chance level or the metric's worst value; NaN = unknown
    ceiling: float  # best value; NaN = unbounded
    stderr_from: str  # "items", "clusters", "reported", "binomial", "none"
    items: Items | None = None
    notes: tuple[Note, ...] = ()

    @property
    def x(self) -> Floats:
        """log10 of the scale (decades), (M,)."""
        return np.log10(self.scale)


# ---------------------------------------------------------------- audit


@dataclass(frozen=True)
class Finding:
    """One test or estimate. ``evidence`` says it in a sentence; ``values`` holds the rest."""

    test: str  # "emergence_score", "sharpness", "break", "metric", "resolution", "coverage", ...
    statistic: float | None
    evidence: str
    interval: tuple[float, float] | None = None  # 90 %
    p_value: float | None = None
    reference: str = ""
    values: Mapping[str, object] = field(default_factory=dict)  # JSON-able


@dataclass(frozen=True, eq=False)
class SmoothLine:
    """A fitted smooth law on a grid, to be drawn."""

    law: str
    scale: Floats  # (G,)
    score: Floats  # (G,)
    low: Floats  # (G,) 90 % band of the fitted mean
    high: Floats  # (G,)


@dataclass(frozen=True, eq=False)
class Judgement:
    """The verdict on one triplet, and why."""

    key: Key
    curve: Curve
    verdict: Verdict
    explained_by: tuple[Explanation, ...]
    because: str  # one or two sentences
    would_change: str  # what would change the verdict
    findings: tuple[Finding, ...]
    smooth: SmoothLine | None = None
    companion: Curve | None = None  # the same outputs under a linear or continuous metric
    companion_smooth: SmoothLine | None = None
    pushed: Floats | None = None  # (M,) score that the smooth companion predicts
    notes: tuple[Note, ...] = ()

    def finding(self, test: str) -> Finding | None:
        return next((f for f in self.findings if f.test == test), None)


@dataclass(frozen=True)
class Refusal:
    """A curve that could not be audited, and the mend."""

    key: Key
    code: str
    reason: str
    mend: str


@dataclass(frozen=True, eq=False)
class Audit:
    """All judgements of one run, with what was refused and noticed."""

    judgements: tuple[Judgement, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    settings: Mapping[str, object]  # seed, draws, scale, level, identity columns, ...

    def to_frame(self) -> pl.DataFrame:
        """One row per judgement."""
        from unmirage.report.view import to_frame

        return to_frame(self)

    def to_json(self) -> str:
        """The documented, versioned JSON (docs/json.md)."""
        from unmirage.report.view import to_json

        return to_json(self)


# ---------------------------------------------------------------- multiverse


@dataclass(frozen=True)
class Share:
    """How many analyses report an ability: of a level of a choice, or of all.

    Its 90 % interval speaks of other test items of the same kind, and of the analyses that were not
    drawn; NaN where the sampling error of a score is unknown. ``effect`` is the share less that of
    the analyses with another level of the same choice, with an interval of its own.
    """

    choice: str  # "metric", "rungs", ...; "" for all analyses
    level: str
    analyses: int
    reporting: int
    low: float
    high: float
    effect: float = np.nan
    effect_low: float = np.nan
    effect_high: float = np.nan

    @property
    def share(self) -> float:
        return self.reporting / self.analyses if self.analyses else np.nan

    @property
    def word(self) -> str:
        """ "creates" or "dissolves" where the interval of the effect excludes 0, else ""."""
        if self.effect_low > 0:
            return "creates"
        return "dissolves" if self.effect_high < 0 else ""


@dataclass(frozen=True, eq=False)
class Universe:
    """Every analysis of one family on one task that was drawn, one row of ``table`` each.

    ``table``: the choices, then n, rungs, rise, emergence_score, per_step, width, steepness, onset,
    p-values, moves, sharp, reports, curve (analyses with one number draw the same curve), verdict
    and explained_by (null where it was not judged).
    """

    family: str
    task: str
    choices: Mapping[str, tuple[str, ...]]  # choice -> its levels
    total: int  # analyses there are; table.height of them were drawn
    table: pl.DataFrame
    whole: Share
    shares: tuple[Share, ...]  # of each level of each choice that has several
    judged: Mapping[int, Judgement]  # row of the table -> its judgement
    sample: tuple[int, ...]  # the rows among them that were drawn at random
    verdicts: tuple[Share, ...]  # of each verdict in that sample, the most frequent first
    create: int  # row that looks most emergent; judged besides the sample where any is
    dissolve: int  # row that looks least so
    create_says: str
    dissolve_says: str


@dataclass(frozen=True, eq=False)
class Multiverse:
    """What an analyst could have made of the same outputs."""

    universes: tuple[Universe, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    settings: Mapping[str, object]

    def to_frame(self) -> pl.DataFrame:
        """One row an analysis."""
        from unmirage.report.multiverse import to_frame

        return to_frame(self)

    def to_json(self) -> str:
        """The documented, versioned JSON (docs/json.md)."""
        from unmirage.report.multiverse import to_json

        return to_json(self)
