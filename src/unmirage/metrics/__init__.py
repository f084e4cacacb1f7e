"""Metrics: pure functions of samples with declared, tested properties.

What the declared :class:`~unmirage.types.Facts` of a metric mean here, and what the tests check:

``low``, ``high``
    No score lies outside. Scores are finite or NaN (cannot be scored), never a stand-in value.
``higher_is_better``
    A perfect answer scores ``high`` (or ``low``) where that is finite, and a wrong one no better.
``linear``
    At a fixed target length the score's distance from its best value is proportional to the
    per-token quantity: halve the share of wrong tokens (scores in shares or tokens) or the
    log-probabilities (scores in nats or bits) and the distance halves. For scores of generated
    text this is meant of answers whose errors are substitutions. ``margin`` has no best value:
    it is proportional to the log-probabilities, for the same best wrong choice. False promises
    nothing.
``continuous``
    The score of one item is a continuous function of the model's probabilities: a tiny change of
    them makes a tiny change of the score. Everything taken from generated text or from the most
    likely token or choice jumps, and is not continuous, although its mean over many items may be
    smooth. So a linear metric need not be continuous (edit distance), and a continuous one need
    not be linear, or even gentle (the probability of a whole target falls geometrically with its
    length).
``binary``
    Each item scores 0 or 1, apart from exact ties for the top, which share the 1.
``chance``
    The mean score of a guesser: one who likes a random choice best for accuracies and grades, one
    who gives equal probabilities for scores of probabilities. None: a guess scores the worst
    value, or nothing is known of it.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import polars as pl

from unmirage.errors import ExtraMissing, MetricError
from unmirage.metrics import choice, logprob, overlap, passk, text, vision
from unmirage.metrics.names import facts
from unmirage.metrics.passk import pass_at
from unmirage.metrics.reported import reported
from unmirage.metrics.tokens import token_units
from unmirage.registry import Registry
from unmirage.types import Floats, Metric

__all__ = [
    "METRICS",
    "available",
    "facts",
    "get",
    "installed",
    "missing",
    "pass_at",
    "reported",
    "score",
    "smaller",
    "table",
    "token_units",
]

METRICS: Registry[Metric] = Registry(
    "metric", group="unmirage.metrics", error=MetricError, also=("pass@5", *vision.EXAMPLES)
)
for _metric in (
    *text.ALL,
    *choice.ALL,
    *logprob.ALL,
    *overlap.ALL,
    *passk.ALL,
    *vision.ALL,
):
    METRICS.add(_metric.name, _metric, aliases=_metric.aliases)

#: the modules that each optional extra brings
_EXTRAS = {"text": ("sacrebleu", "rouge_score")}


def get(name: str) -> Metric:
    """The metric of this name or alias; every k of pass@k, and those of images with their number.

    Raises MetricError, with the nearest name, where there is none.

    >>> get("acc").name, get("pass@5").name
    ('accuracy', 'pass_at_5')
    """
    many = re.fullmatch(r"pass(?:@|_at_)(\d{1,9})", name)
    if many and name not in METRICS:
        return pass_at(int(many[1]))
    if name not in METRICS and (numbered := vision.made(name)):
        return numbered
    return METRICS[name]


def smaller(metric: Metric, samples: pl.DataFrame) -> str | None:
    """The largest K below that of a metric named after its K with which some row can be scored.

    >>> smaller(get("all_right@11"), pl.DataFrame({"token_correct": [[True] * 10]}))
    'all_right@10'
    """
    numbered = re.fullmatch(r"(\w+)_at_(\d{1,6})", metric.name)
    if not numbered:
        return None
    base = numbered[1]

    def scores(k: int) -> bool:
        return not np.isnan(get(f"{base}@{k}").score(samples)).all()

    low, high = 0, int(numbered[2])  # what K can score, K - 1 can
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if scores(middle) else (low, middle)
    return f"{base}@{low}" if low else None


def installed(metric: Metric) -> bool:
    """Whether the optional extra that the metric needs is installed."""
    modules = _EXTRAS.get(metric.extra or "", ())
    return all(find_spec(module) is not None for module in modules)


def missing(metric: Metric, samples: pl.DataFrame) -> tuple[str, ...]:
    """The needed fields that no row has; "a|b" where either would do.

    Where each field is there but no row has all of them: all of them, joined by " with ".

    >>> missing(get("accuracy"), pl.DataFrame({"target_index": [0]}))
    ('choice_logprobs',)
    """
    there = {need: _there(need, samples) for need in metric.needs}
    gone = tuple(need for need, rows in there.items() if not rows.any())
    together = np.logical_and.reduce(list(there.values())) if there else np.array([True])
    if not gone and not together.any():
        return (" with ".join(metric.needs),)
    return gone


def _there(need: str, samples: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows have the field, or one of those separated by "|", (S,)."""
    rows = np.zeros(samples.height, dtype=bool)
    for column in need.split("|"):
        if column in samples.columns:
            rows |= samples[column].is_not_null().to_numpy()
    return rows


def available(samples: pl.DataFrame) -> tuple[Metric, ...]:
    """The metrics that at least one row has all fields for and whose extras are installed.

    The values are not looked at: all scores of a listed metric may still be NaN, for example
    those of pass@100 where no item has 100 repeats.

    >>> [m.name for m in available(pl.DataFrame({"token_correct": [[True]]}))]
    ['token_accuracy']
    """
    metrics = (METRICS[name] for name in METRICS)
    return tuple(m for m in metrics if not missing(m, samples) and installed(m))


def score(metric: Metric | str, samples: pl.DataFrame) -> Floats:
    """The score of each row, (S,) float64; NaN where the row lacks what the metric needs.

    Raises MetricError where the name is unknown, where fields are missing from all rows (the
    text tells which), or where a column is of the wrong type; ExtraMissing where the metric's
    library is not installed.

    >>> score("exact_match", pl.DataFrame({"output": ["4"], "targets": [["4", "four"]]})).tolist()
    [1.0]
    """
    chosen = get(metric) if isinstance(metric, str) else metric
    gone = missing(chosen, samples)
    if gone:
        raise _refusal(chosen, gone, samples)
    if not installed(chosen):
        raise ExtraMissing(
            f"{chosen.name} needs the extra {chosen.extra!r}, which is not installed",
            mend=f"pip install 'unmirage[{chosen.extra}]'",
        )
    try:
        found = chosen.score(samples)
    except pl.exceptions.PolarsError as problem:
        types = ", ".join(
            f"{c} is {samples[c].dtype}"
            for need in chosen.needs
            for c in need.split("|")
            if c in samples.columns
        )
        raise MetricError(
            f"{chosen.name} cannot read the columns it needs: {str(problem).splitlines()[0]}",
            mend=f"give them the canonical types; now {types}",
        ) from problem
    return np.asarray(found, dtype=np.float64)


def _refusal(metric: Metric, gone: tuple[str, ...], samples: pl.DataFrame) -> MetricError:
    def state(need: str) -> str:
        if " with " in need:
            return f"no row has {need} together"
        names = need.split("|")
        empty = [n for n in names if n in samples.columns]
        why = "no row has a value of" if empty else "there is no column"
        return f"{why} {' or '.join(empty or names)}"

    others = ", ".join(m.name for m in available(samples)) or "none"
    return MetricError(
        f"{metric.name} cannot be scored: " + "; ".join(state(n) for n in gone),
        mend=f"give records that have it; metrics that these records allow: {others}",
    )


_FOUR = pl.DataFrame(
    {"choice_logprobs": [[-1.0] * 4], "choices": [["a"] * 4], "target_index": [0]},
    schema_overrides={"target_index": pl.Int64},
)


def table() -> pl.DataFrame:
    """Every registered metric, one a row, with its declared facts.

    ``chance_of_4`` is the chance level of an item with four choices, null where there is none.

    >>> table().filter(name="brier").select("low", "high", "chance_of_4").row(0)
    (0.0, 2.0, 0.75)
    """
    return pl.DataFrame([_row(METRICS[name]) for name in METRICS], infer_schema_length=None)


def _row(metric: Metric) -> dict[str, object]:
    fact = metric.facts
    return {
        "name": fact.name,
        "title": fact.title,
        "aliases": ", ".join(metric.aliases),
        "needs": ", ".join(metric.needs),
        "low": float(fact.low),
        "high": float(fact.high),
        "unit": fact.unit,
        "direction": "higher" if fact.higher_is_better else "lower",
        "chance_of_4": float(metric.chance(_FOUR)[0]) if metric.chance else None,
        "linear": fact.linear,
        "continuous": fact.continuous,
        "binary": fact.binary,
        "forcing": fact.forcing,
        "pooled": metric.pooled,
        "extra": metric.extra,
        "installed": installed(metric),
        "note": metric.note,
        "reference": metric.reference,
    }
