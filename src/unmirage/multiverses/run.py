"""Records -> Multiverse: every reasonable analysis of the same outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl

from unmirage.curves.build import build
from unmirage.curves.options import Options, options_of, wanted
from unmirage.curves.progress import Steps, Tell
from unmirage.curves.uncertainty import stream
from unmirage.errors import OptionError
from unmirage.multiverses import shares
from unmirage.multiverses.analyses import Analysis, Cell, Scorer, cells, counted, curve_of, decode
from unmirage.multiverses.analyses import draw as draw_analyses
from unmirage.multiverses.choices import Choices
from unmirage.multiverses.judged import judge
from unmirage.multiverses.looks import look
from unmirage.multiverses.sources import Source, is_right_or_wrong, sources
from unmirage.multiverses.table import in_order, levels_of, table
from unmirage.types import Curve, Floats, Judgement, Multiverse, Note, Records, Universe

#: resamples of the items behind the intervals of the shares
RESAMPLES = 40


def multiverse(
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
    items: int | None = None,
    chance: Mapping[str, float] | None = None,
    choices: Choices | None = None,
    most: int = 2000,
    judged: int = 100,
    seed: int = 0,
    draws: int = 200,
    level: float = 0.05,
    progress: Tell | None = None,
) -> Multiverse:
    """Recompute the claim of every family and task under every reasonable analysis.

    An analysis is one choice of each: metric; mean score, share of items beyond a threshold c, or
    K of K right; average over subtasks, seeds or prompts, or one of them; every other setting that
    varies (shots, filter, ...); items; rungs; scale axis. The scores of items are computed once a
    metric; no two analyses are independent, as all are of the same outputs.

    Parameters
    ----------
    records, family, task, metric, scale, where, by, ignore, checkpoint, items, chance
        as in :func:`unmirage.audit`; so are the directions.
    choices
        which thresholds, K, items and rungs are tried.
    most
        analyses looked at, over all tasks; where there are more they are drawn at random.
    judged
        analyses judged in full by the audit, over all tasks, each as if it were the only one;
        besides, the two extremes of every task are.
    seed, draws, level
        of all random draws; draws behind a p-value; level of the tests.

    Raises
    ------
    InputError
        nothing can be analysed.
    OptionError
        a threshold that the metric cannot score, a K or a number of items larger than the test set.

    Examples
    --------
    >>> import polars as pl, unmirage
    >>> table = pl.DataFrame({
    ...     "family": "demo", "task": "toy", "metric": "acc", "n_samples": 500,
    ...     "params": [1e6, 1e7, 1e8, 1e9, 1e10, 1e11], "score": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    ... })
    >>> universe = unmirage.multiverse(unmirage.read(table), judged=0).universes[0]
    >>> universe.total, universe.whole.reporting
    (9, 0)
    """
    _check(records, seed, draws, level, most, judged)
    options = options_of(
        family=family, task=task, metric=metric, scale=scale, where=where, by=by, ignore=ignore,
        checkpoint=checkpoint, higher_is_better=higher_is_better, lower_is_better=lower_is_better,
        items=items, chance=chance,
    )  # fmt: skip
    chosen = choices or Choices()
    built = build(records, options)
    _check_asked(chosen, built.curves, options)
    tasks = _tasks(built.curves, options, records, chosen, seed)
    plan = _plan([sum(counted(t.cells)) for t in tasks], most)
    told = _plan([min(n, p) for n, p in zip((judged,) * len(tasks), plan, strict=True)], judged)
    done = Steps(sum(plan) + sum(told) + 2 * len(tasks), progress)
    how = _How(seed, draws, level, done)
    universes = [_universe(task, n, j, how) for task, n, j in zip(tasks, plan, told, strict=True)]
    done.finish()
    settings: dict[str, object] = {
        "version": version("unmirage"),
        "seed": seed,
        "draws": draws,
        "level": level,
        "most": most,
        "judged": judged,
        "resamples": RESAMPLES,
        **options.told(built, records),
        **{f"choice:{name}": value for name, value in asdict(chosen).items()},
    }
    notes = (*records.notes, *built.notes, *_notes(universes, level))
    return Multiverse(tuple(universes), built.refused, notes, settings)


def _check(records: object, seed: object, draws: int, level: float, most: int, judged: int) -> None:
    """Refuse arguments that cannot be meant, before any work."""
    if not isinstance(records, Records):
        what = f"multiverse takes Records, not {type(records).__name__}"
        raise OptionError(what, mend="unmirage.multiverse(unmirage.read(...))")
    if not isinstance(seed, int) or seed < 0:
        raise OptionError(f"a seed of {seed!r}", mend="a whole number from 0 on")
    if not 0 < level <= 0.5:
        raise OptionError(f"a level of {level!r}", mend="a share such as 0.05")
    if draws < 100 or level * (draws + 1) < 1:
        least = max(100, int(np.ceil(1 / level)))
        raise OptionError(f"{draws} draws are too few for that level", mend=f"--draws {least}")
    if most < 1 or judged < 0:
        raise OptionError(f"{most} analyses, {judged} judged", mend="from 1 and from 0 on")


# ---------------------------------------------------------------- tasks


@dataclass(frozen=True, eq=False)
class _Task:
    """One family and task: its sources, and the cells of those that are asked for."""

    family: str
    task: str
    sources: list[Source]
    cells: list[Cell]


def _tasks(
    curves: Sequence[Curve], options: Options, records: Records, chosen: Choices, seed: int
) -> list[_Task]:
    groups: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for c in curves:
        groups[c.key.family, c.key.task].append(c)
    frames = [_by_task(_sizes(f)) for f in (records.samples, records.aggregates)]
    out = []
    for (family, task), members in sorted(groups.items()):
        made = []
        for rescored, frame in zip((True, False), frames, strict=True):
            these = [c for c in members if (c.items is not None) == rescored]
            made += sources(these, _of(frame, family, task), chosen) if these else []
        mine = [s for s in made if wanted(s.levels["metric"], options)]
        if mine:
            out.append(_Task(family, task, made, cells(mine, chosen, seed, family, task)))
    return out


def _sizes(frame: pl.DataFrame) -> pl.DataFrame:
    """What tells the sizes of models, once each."""
    drop = {"item", "repeat", "metric", "score", "file", "row", "prompt", "output", "cluster"}
    flat = [c for c in frame.columns if c not in drop and not frame.schema[c].is_nested()]
    return frame.select(flat).unique() if frame.height and flat else frame.clear()


_ByTask = tuple[list[str], Mapping[Any, pl.DataFrame], pl.DataFrame]


def _by_task(frame: pl.DataFrame) -> _ByTask:
    """The rows of every family and task, by the columns that tell them."""
    columns = [c for c in frame.columns if c in ("family", "task")]
    parts = frame.partition_by(columns, as_dict=True) if columns and frame.height else {}
    return columns, parts, frame


def _of(rows: _ByTask, family: str, task: str) -> pl.DataFrame:
    """All rows where the names of the curves are no names of the table."""
    columns, parts, frame = rows
    held = {"family": family, "task": task}
    return parts.get(tuple(held[c] for c in columns), frame)


def _check_asked(chosen: Choices, curves: Sequence[Curve], options: Options) -> None:
    """Refuse a threshold, a K or a number of items that no score asked for would be cut by."""
    known: set[str] = set()
    right: set[str] = set()
    for c in (c for c in curves if c.items is not None):
        (right if is_right_or_wrong(c) else known).add(c.key.metric)
    asked = {name for name in known | right if wanted(name, options)}
    for name in chosen.at:
        if name not in known & asked:
            raise OptionError(
                f"a threshold for {name}, which {_why_none(name, known, right)}",
                mend="metrics that take a threshold: "
                + (", ".join(sorted(known & asked)) or "none of those asked for"),
            )
    why = "these records do not score item by item"
    if chosen.k_of_k and not right & asked:
        none = "no metric asked for scores items 0 or 1" if known | right else why
        raise OptionError(
            f"K of K right, but {none}",
            mend="leave --k-of-k out, or read records of answers that are right or wrong",
        )
    if chosen.subsets and not asked:
        raise OptionError(
            f"random items (--subset), but {why}",
            mend="leave --subset out, or read records with one row an answer",
        )


def _why_none(name: str, known: set[str], right: set[str]) -> str:
    if name in known:
        return "--metric leaves out"
    return "scores items 0 or 1" if name in right else "these records do not score item by item"


def _plan(available: Sequence[int], most: int) -> list[int]:
    """Shares of ``most`` for each task: evenly, what one does not need goes to the others.

    >>> _plan([5, 100, 100], 45)
    [5, 20, 20]
    """
    plan, left = [0] * len(available), most
    order = sorted(range(len(available)), key=lambda i: available[i])
    for place, i in enumerate(order):
        plan[i] = min(available[i], left // (len(order) - place))
        left -= plan[i]
    return plan


@dataclass(frozen=True)
class _How:
    seed: int
    draws: int
    level: float
    done: Steps


# ---------------------------------------------------------------- one task


def _universe(task: _Task, most: int, judged: int, how: _How) -> Universe:
    names = (task.family, task.task)
    total = sum(counted(task.cells))
    numbers = draw_analyses(task.cells, max(most, 1), how.seed, *names)
    analyses = decode(task.cells, numbers)
    scorer = Scorer(how.seed, RESAMPLES, task.task)
    curves, again = _curves(task.cells, analyses, scorer)
    looks = look(curves, again, seed=how.seed, draws=how.draws, level=how.level, progress=how.done)
    levels = levels_of(task.cells, analyses)
    choices = in_order(task.cells, levels)
    kinds = [task.cells[a.cell].cut.kind for a in analyses]
    rises = (looks.p_movement < how.level) & ~looks.inverse
    steps = np.array([len(c.scale) - 1 for c in curves], float)
    create, dissolve = shares.extremes(looks, rises, steps)
    sample = _drawn(len(analyses), judged, how.seed, names)
    rows = sorted({*sample, create, dissolve})
    verdicts = _judged(task, analyses, rows, scorer, how)
    known = all(np.isfinite(c.stderr).all() for c in curves)
    drawn = len(analyses) / total
    says = {
        way: shares.sentence(
            levels, kinds, looks.reports, total, row, create=way,
            scored=curves[row].facts.name, judged=verdicts.get(row),
        )
        for way, row in ((True, create), (False, dissolve))
    }  # fmt: skip
    return Universe(
        task.family,
        task.task,
        choices,
        total,
        table(task.cells, analyses, curves, levels, looks, verdicts),
        shares.whole(looks.reports, looks.again, known, drawn),
        shares.by_level(choices, levels, looks.reports, looks.again, known, drawn),
        verdicts,
        tuple(sample),
        shares.of_verdicts([verdicts[i].verdict for i in sample], total),
        create,
        dissolve,
        says[True],
        says[False],
    )


def _judged(
    task: _Task, analyses: Sequence[Analysis], rows: Sequence[int], scorer: Scorer, how: _How
) -> dict[int, Judgement]:
    found = judge(
        task.cells,
        [analyses[i] for i in rows],
        task.sources,
        scorer,
        seed=how.seed,
        draws=how.draws,
        level=how.level,
        progress=how.done,
    )
    return dict(zip(rows, found, strict=True))


def _curves(
    cells: Sequence[Cell], analyses: Sequence[Analysis], scorer: Scorer
) -> tuple[list[Curve], list[Floats]]:
    """The curve of every analysis, and its scores under resampled items; cells come in order."""
    curves, again, last, scored = [], [], -1, None
    for a in analyses:
        cell = cells[a.cell]
        if a.cell != last or scored is None:
            last, scored = a.cell, scorer.score(cell)
        order = a.kept[np.argsort(cell.source.axes[a.axis][a.kept], kind="stable")]
        # the scores of the items are not kept: there would be one copy an analysis
        curves.append(replace(curve_of(cell, scored, a), items=None))
        again.append(scored.again[:, order])
    return curves, again


def _drawn(n: int, judged: int, seed: int, names: Sequence[str]) -> list[int]:
    """Rows that are judged, drawn at random."""
    chosen = stream(seed, "judged", *names).choice(n, min(judged, n), replace=False)
    return sorted(chosen.tolist())


# ---------------------------------------------------------------- notes


def _notes(universes: Sequence[Universe], level: float) -> list[Note]:
    looked = sum(u.table.height for u in universes)
    judged = sum(len(u.sample) for u in universes)
    total = sum(u.total for u in universes)
    drawn = "" if looked == total else f", drawn at random from {total:,} (--most)"
    dependent = (
        "all analyses are of the same outputs, so they are dependent: their number is no sample "
        "size, and a share of them is no probability that the ability is real"
    )
    which = "all of them" if judged == looked else f"{judged:,} of them, drawn at random,"
    extremes = sum(len({u.create, u.dissolve} - {*u.sample}) for u in universes)
    besides = f" and {extremes:,} extremes besides" if extremes else ""
    counts = (
        f"{looked:,} analyses are looked at{drawn}; {which}{besides} are judged in full (--judge), "
        "each as if it were the only one; the share of a verdict is of those drawn"
    )
    reports = (
        "an analysis reports an ability where the score rises beyond sampling noise and looks "
        "sharp: twice as steep as a straight line, or nothing in the first half of the range, at "
        f"the level of {level:g} against a straight line with the same noise"
    )
    return [
        Note("info", "dependent", dependent),
        Note("info", "analyses", counts, count=looked),
        Note("info", "reports", reports),
    ]
