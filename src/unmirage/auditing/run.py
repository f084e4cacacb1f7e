"""Records -> Audit: the one way through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from unmirage.auditing import findings as find
from unmirage.auditing.companion import companion as companion_of
from unmirage.auditing.discoveries import control
from unmirage.auditing.judge import Judge, Weights, siblings_of
from unmirage.auditing.tested import examine
from unmirage.curves.build import build
from unmirage.curves.options import options_of, wanted
from unmirage.curves.progress import Steps, Tell
from unmirage.errors import OptionError
from unmirage.types import Audit, Curve, Finding, Judgement, Key, Note, Records


def audit(
    records: Records,
    *,
    family: Sequence[str] = (),
    task: Sequence[str] = (),
    metric: Sequence[str] = (),
    scale: str | None = None,
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
    ignore: Sequence[str] = (),
    checkpoint: str = "final",
    higher_is_better: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
    percent: Sequence[str] = (),
    items: int | None = None,
    chance: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.05,
    fdr: bool = True,
    progress: Tell | None = None,
) -> Audit:
    """Audit every (family, task, metric) of the records for a claim of emergence.

    Parameters
    ----------
    records
        from :func:`unmirage.read`.
    family, task, metric
        shell patterns (``"arithmetic_*"``); empty means all.
    scale
        "params", "flops", "tokens", "step" or "shots"; None picks per family (never shots).
    where
        column -> value that rows must have; ``{"run!": "x"}`` means *other than x*.
    by, ignore
        columns to split curves by, or to leave out of what identifies a curve.
    checkpoint
        "final", "all" or "step=N".
    higher_is_better, lower_is_better, percent, items, chance
        what a table does not say: direction of a metric, scores on 0-100, items behind each score,
        chance level by task ("*" for all).
    seed, draws
        of all resampling: the same seed gives the same audit.
    level
        level of the tests behind a verdict.
    fdr
        control the false discovery rate over all curves at that level; False judges each curve as
        if it were the only one.

    Raises
    ------
    InputError
        nothing can be audited; the text names the reason and the mend.

    Examples
    --------
    >>> import polars as pl, unmirage
    >>> table = pl.DataFrame({
    ...     "family": "demo", "task": "toy", "metric": "acc", "n_samples": 500,
    ...     "params": [1e6, 1e7, 1e8, 1e9, 1e10, 1e11], "score": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    ... })
    >>> unmirage.audit(unmirage.read(table), draws=200).judgements[0].verdict
    'smooth'
    """
    _check(records, seed, draws, level)
    options = options_of(
        family=family, task=task, metric=metric, scale=scale, where=where, by=by, ignore=ignore,
        checkpoint=checkpoint, higher_is_better=higher_is_better, lower_is_better=lower_is_better,
        percent=percent, items=items, chance=chance,
    )  # fmt: skip
    built = build(records, options)
    total = len(built.curves)
    done = Steps(2 * total, progress)
    tested = examine(built.curves, seed, draws, done)
    groups: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
    for c in built.curves:
        groups[_group(c.key)].append(c)
    place = {id(c): i for i, c in enumerate(built.curves)}
    weights = Weights(seed, draws)
    siblings = siblings_of(built.curves)
    chosen = [n for n, c in enumerate(built.curves) if wanted(c.key.metric, options)]
    others = {n: companion_of(built.curves[n], groups[_group(built.curves[n].key)]) for n in chosen}
    evidence = {}
    for number in chosen:
        other = others[number]
        second = place[id(other)] if other is not None else number
        evidence[number] = second if second in tested else number

    def judge(number: int, many: Finding | None = None) -> Judgement:
        curve, other = built.curves[number], others[number]
        second = tested.get(place[id(other)]) if other is not None else None
        one = Judge(curve, tested.get(number), other, second, groups[_group(curve.key)])
        return one.run(weights, seed, draws, level, siblings, many)

    judged = {}
    for number in chosen:
        judged[number] = judge(number)
        done(1)
    together = fdr and len(chosen) > 1
    standing = [n for n in chosen if judged[n].verdict == "survives"]
    if together and standing:
        # what cannot survive for another reason may not make room for others: it counts with p = 1
        asked = [evidence[n] if n in standing else -1 for n in chosen]
        done.also(2 * len(standing))
        tested, q = control(asked, tested, level=level, seed=seed, draws=draws, progress=done)
        for number, adjusted in zip(chosen, q, strict=True):
            if number in standing:
                many = find.many_tests(float(adjusted), len(chosen), level)
                judged[number] = judge(number, many)
                done(1)
    done.finish()
    identity = (
        f"a curve is one {', '.join(built.identity)}: rows that differ in these are kept apart"
    )
    notes = [*records.notes, Note("info", "identity", identity), *built.notes]
    if together:
        text = (
            f"{len(judged)} curves are tested at once: of those that survive an expected share of "
            f"at most {level:g} has no break (false discovery rate; Benjamini and Hochberg 1995)"
        )
        notes.append(Note("info", "many_tests", text, count=len(judged)))
    settings = {
        "version": version("unmirage"),
        "seed": seed,
        "draws": draws,
        "level": level,
        "fdr": fdr,
        **options.told(built, records),
    }
    return Audit(tuple(judged.values()), built.refused, tuple(notes), settings)


def _check(records: object, seed: object, draws: int, level: float) -> None:
    """Refuse arguments that cannot be meant, before any work."""
    if not isinstance(records, Records):
        what = f"audit takes Records, not {type(records).__name__}"
        raise OptionError(what, mend="unmirage.audit(unmirage.read(...))")
    if not isinstance(seed, int) or seed < 0:
        raise OptionError(f"a seed of {seed!r}", mend="a whole number from 0 on")
    if draws < 100:
        raise OptionError(f"{draws} draws are too few for a p-value", mend="--draws 1000")
    if not 0 < level <= 0.5:
        raise OptionError(f"a level of {level!r}", mend="a share such as 0.05")
    if level * (draws + 1) < 1:
        raise OptionError(
            f"{draws} draws cannot show a p-value below {level:g}",
            mend=f"--draws {int(np.ceil(1 / level))}, or a larger --level",
        )


def _group(key: Key) -> tuple[object, ...]:
    return (key.family, key.task, key.settings)
