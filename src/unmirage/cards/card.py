"""A metric's card: what is declared of it, and what a simulation measures.

Sharpness is told twice. Along the error: how many times as steep the score's rise from worst to
best is as a straight line, 0.8 * range / width, the width from 10 to 90 % of the rise. Along scale:
the same for a family whose per-token cross-entropy is a power law over FAMILY decades, as in the
source article (Schaeffer et al. 2023, arXiv 2304.15004, Sec. 2 and App. A).
Axes: E errors, S items, B resamples of the items.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unmirage import metrics
from unmirage.auditing import shape
from unmirage.cards.answers import CHOICES, answers, guesses
from unmirage.errors import MetricError
from unmirage.types import Floats, Metric

LENGTHS = (1, 2, 4, 8, 16)
ITEMS, RESAMPLES = 200, 100
#: errors: closer together near 0, where long answers change
ERRORS: Floats = np.linspace(0.0, 1.0, 41) ** 1.5
#: probability of a right token of the smallest and the largest model, and the decades between
FAMILY = (0.3, 0.97, 4.0)
#: item by item: how far the error is moved, and between which errors
_STEP, _INNER = 1e-3, (0.05, 0.95)
#: the longest target that is simulated
_LONGEST = 1000
#: rows of repeated answers that are enough
_ROWS = 1000


def dial(metric: Metric) -> tuple[str, str]:
    """What the simulation turns, and of what an answer consists, in words."""
    if "squared_error" in metric.needs:
        return "expected squared error", "value"
    return "per-token error", "token"


@dataclass(frozen=True, eq=False)
class Response:
    """What a metric makes of the per-token error, for one target length."""

    tokens: int
    error: Floats  # (E,)
    score: Floats  # (E,) NaN where it cannot be scored
    stderr: Floats  # (E,)
    steepness: float  # along the error
    interval: tuple[float, float]  # 90 %, over resamples of the items
    along_scale: float  # steepness of the family
    family: Floats  # (E,) score of the family at evenly spaced log scales
    scale: Floats  # (E,) those scales, from the smallest


@dataclass(frozen=True, eq=False)
class Card:
    """One metric."""

    metric: Metric
    definition: str  # its docstring, examples left out
    installed: bool
    responses: tuple[Response, ...]  # empty where the extra is not installed
    seen: tuple[float, float]  # smallest and largest score of an item
    chance: float | None  # declared, of four choices
    guess: float | None  # what a simulated guesser scores
    bend: float  # largest distance from a straight line in the per-token quantity, of the range
    quantity: str  # that quantity
    jump: float  # largest change of one item for a change of the error by 0.001, of its range


def card(name: str, *, items: int = ITEMS, seed: int = 0) -> Card:
    """Measure one metric.

    Raises MetricError where no metric is named so, or where it needs answers too long to simulate.

    >>> made = card("exact_match", items=50)
    >>> made.responses[0].tokens, made.jump
    (1, 1.0)
    """
    metric = metrics.get(name)
    ready = metrics.installed(metric)
    declared = float(metric.chance(guesses(metric, 4))[0]) if metric.chance else None
    if not ready:
        nan = float("nan")
        ends = (nan, nan)
        return Card(metric, _definition(metric), False, (), ends, declared, None, nan, "", nan)
    few, lengths = _enough(metric, items), _lengths(metric)
    matrices = [_scores(metric, ERRORS, t, few, seed) for t in lengths]
    responses = tuple(_response(metric, t, y, seed) for t, y in zip(lengths, matrices, strict=True))
    guess = None
    if metric.chance:
        guess = float(np.nanmean(metrics.score(metric, guesses(metric, 20_000, seed))))
    finite = [m[np.isfinite(m)] for m in matrices]
    bend, quantity = _bend(metric, responses)
    return Card(
        metric,
        _definition(metric),
        True,
        responses,
        (min(float(f.min()) for f in finite), max(float(f.max()) for f in finite)),
        declared,
        guess,
        bend,
        quantity,
        _jump(metric, seed, max(4, lengths[0])),
    )


def _lengths(metric: Metric) -> tuple[int, ...]:
    """Target lengths that are tried: none shorter than the metric needs."""
    kind, _, least = metric.name.rpartition("_at_")
    if kind not in ("subset_accuracy", "all_right"):
        return LENGTHS
    if int(least) > _LONGEST:
        raise MetricError(
            f"{metric.name}: answers of {int(least):,} labels are not simulated",
            mend=f"a number of at most {_LONGEST:,}",
        )
    return (int(least), *(t for t in LENGTHS if t > int(least)))


def _enough(metric: Metric, items: int) -> int:
    """Items that are asked: fewer where each has many answers."""
    if not metric.pooled:
        return items
    return max(10, min(items, _ROWS // int(metric.name.rpartition("_")[2])))


def cards(
    names: Sequence[str] = (), *, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Card]:
    """The cards of all registered metrics, or of those named."""
    chosen = list(names) or list(metrics.METRICS)
    made = []
    for name in chosen:
        made.append(card(name))
        progress(len(made), len(chosen))
    return made


def _definition(metric: Metric) -> str:
    """The docstring of the score without its examples; the note where there is none."""
    doc = inspect.getdoc(metric.score) or ""
    parts = [p for p in doc.split("\n\n") if not p.lstrip().startswith((">>>", "Raises"))]
    return "\n\n".join(" ".join(p.split()) for p in parts) or metric.note


# ---------------------------------------------------------------- measured


def _scores(metric: Metric, error: Floats, tokens: int, items: int, seed: int) -> Floats:
    """(E, S); repeats of an item have one score."""
    scored = metrics.score(metric, answers(metric, error, tokens, items, seed))
    return scored.reshape(len(error), items, -1)[:, :, 0] + 0.0  # no -0


def _response(metric: Metric, tokens: int, scores: Floats, seed: int) -> Response:
    rng = np.random.default_rng([seed, tokens])
    items = scores.shape[1]
    score = _mean(scores, np.ones((1, items)))[0]
    weights = rng.multinomial(items, np.full(items, 1 / items), RESAMPLES).astype(float)
    drawn = _mean(scores, weights)
    sign = 1.0 if metric.facts.higher_is_better else -1.0
    steep = float(_along_error(sign * score))
    low, high = np.quantile([_along_error(sign * row) for row in drawn], [0.05, 0.95])
    scale = np.linspace(0.0, FAMILY[2], len(ERRORS))
    family = _family(score, scale)
    known = np.isfinite(family)
    along = float(shape.steepness(sign * family[known], scale[known])) if known.any() else np.nan
    error = (
        np.nanstd(scores, axis=1) / np.sqrt(items) if np.isfinite(score).all() else _spread(scores)
    )
    return Response(
        tokens,
        ERRORS,
        score,
        error,
        steep,
        (float(low), float(high)),
        along,
        family,
        10.0**scale,
    )


def _mean(scores: Floats, weights: Floats) -> Floats:
    """(B, E) weighted means over the items that can be scored; NaN where there is none."""
    there = np.isfinite(scores).astype(float)
    total = weights @ there.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(weights @ np.where(there > 0, scores, 0.0).T / total)


def _spread(scores: Floats) -> Floats:
    """Standard error of the mean over the items that can be scored, (E,)."""
    out = np.full(len(scores), np.nan)
    rows = np.isfinite(scores).any(axis=1)
    count = np.isfinite(scores[rows]).sum(axis=1)
    out[rows] = np.nanstd(scores[rows], axis=1) / np.sqrt(count)
    return out


def _along_error(better: Floats) -> Floats:
    """Steepness of the rise as the error falls from 1 to 0."""
    known = np.isfinite(better)
    return shape.steepness(better[known][::-1], (1 - ERRORS[known])[::-1])


def _family(score: Floats, scale: Floats) -> Floats:
    """Scores at log scales of models whose cross-entropy is a power law of scale."""
    first, last = (np.log(-np.log(p)) for p in FAMILY[:2])
    loss = np.exp(first + (last - first) * scale / scale[-1])
    known = np.isfinite(score)
    return np.asarray(np.interp(-np.expm1(-loss), ERRORS[known], score[known]))


def _bend(metric: Metric, responses: Sequence[Response]) -> tuple[float, str]:
    """How far the longest response lies from a straight line in its per-token quantity."""
    last = responses[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric.facts.forcing == "choice" and metric.facts.unit == "nats":
            x, name = np.log((1 - last.error) * (CHOICES - 1) / last.error), "log-odds of a token"
        elif metric.facts.unit in ("nats", "bits"):
            x, name = np.log1p(-last.error), "log-probability of a token"
        else:
            x, name = last.error, dial(metric)[0]
    known = np.isfinite(x) & np.isfinite(last.score)
    x, y = x[known], last.score[known]
    line = np.polyval(np.polyfit(x, y, 1), x)
    # below a millionth it is rounding
    return round(float(np.abs(y - line).max() / np.ptp(y)), 6), name


def _jump(metric: Metric, seed: int, tokens: int) -> float:
    """Largest change of one item's score for a small change of the error, of its range."""
    items = 2 if metric.pooled else 5
    # of a long answer that must be right in every token, items are right where errors are rare;
    # a threshold of a squared error may lie at any small one
    values = dial(metric)[1] == "value"
    error = np.arange(_STEP if values else min(_INNER[0], 0.2 / tokens), _INNER[1], _STEP)
    scores = _scores(metric, error, tokens, items, seed)
    return float(
        np.nanmax(np.abs(np.diff(scores, axis=0))) / (np.nanmax(scores) - np.nanmin(scores))
    )
