"""Records -> Audit: the one way through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from unmirage.auditing import findings as find
from unmirage.auditing.companion import companion as companion_of
from unmirage.auditing.discoveries import control
from unmirage.auditing.push import Push, push
from unmirage.auditing.tested import Tested, examine, smooth_line
from unmirage.auditing.verdict import rule
from unmirage.curves.build import build
from unmirage.curves.identity import Choice
from unmirage.curves.options import Options, listed, wanted
from unmirage.curves.uncertainty import bootstrap_weights, stream, weighted_means
from unmirage.curves.working import from_working
from unmirage.errors import OptionError
from unmirage.types import Audit, Curve, Finding, Floats, Judgement, Key, Note, Records


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
    progress: Callable[[int, int], None] | None = None,
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
    _check(records, seed, draws, level, items, chance or {})
    lists = {
        "family": listed(family),
        "task": listed(task),
        "metric": listed(metric),
        "higher_is_better": listed(higher_is_better),
        "lower_is_better": listed(lower_is_better),
        "percent": listed(percent),
    }
    choice = Choice(scale, listed(by), listed(ignore), checkpoint)
    options = Options(**lists, where=where or {}, choice=choice, items=items, chance=chance or {})
    built = build(records, options)
    total = len(built.curves)
    done = _Counter(total, progress)
    tested = examine(built.curves, seed, draws, done)
    groups: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
    for c in built.curves:
        groups[_group(c.key)].append(c)
    place = {id(c): i for i, c in enumerate(built.curves)}
    weights = _Weights(seed, draws)
    siblings = _siblings(built.curves)
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
        one = _Judge(curve, tested.get(number), other, second, groups[_group(curve.key)])
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
        "scale": scale or "chosen per family",
        "checkpoint": checkpoint,
        "identity": list(built.identity),
        "by": list(choice.by),
        "ignore": list(choice.ignore),
        **{name: list(value) for name, value in lists.items()},
        "items": items,
        "chance": dict(chance or {}),
        "files": _files(records),
        "where": dict(where or {}),
    }
    return Audit(tuple(judged.values()), built.refused, tuple(notes), settings)


def _check(
    records: object,
    seed: object,
    draws: int,
    level: float,
    items: int | None,
    chance: object,
) -> None:
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
    if items is not None and items < 1:
        raise OptionError(f"{items} items behind each score", mend="--items 500")
    if not isinstance(chance, Mapping) or not all(0 <= c < 1 for c in chance.values()):
        raise OptionError(
            f"chance level {chance!r}", mend="a share of 1 by task: --chance mmlu=0.25"
        )


def _files(records: Records) -> list[str]:
    frames = [f for f in (records.samples, records.aggregates) if "file" in f.columns]
    return sorted({n for f in frames for n in f["file"].drop_nulls().unique().to_list()})


class _Counter:
    """Progress over both halves of the work, as (done, total)."""

    def __init__(self, curves: int, report: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._report = 0, 2 * curves, report

    def also(self, more: int) -> None:
        """There is more to do than was known."""
        self._total += more

    def finish(self) -> None:
        """Nothing is left, whatever was expected."""
        self(self._total - self._done)

    def __call__(self, more: int) -> None:
        self._done += more
        if self._report:
            self._report(self._done, self._total)


def _group(key: Key) -> tuple[object, ...]:
    return (key.family, key.task, key.settings)


class _Weights:
    """Bootstrap weights, one set for all curves over the same items."""

    def __init__(self, seed: int, draws: int) -> None:
        self._seed, self._draws = seed, draws
        self._last: tuple[tuple[object, ...], object, Floats] | None = None

    def of(self, curve: Curve) -> Floats | None:
        if curve.items is None:
            return None
        # the task and its list of items name the stream: models and metrics share it
        clusters = curve.items.clusters
        name = (curve.key.task, curve.items.total, clusters is not None)
        if self._last is None or self._last[0] != name or self._last[1] is not clusters:
            rng = stream(self._seed, "items", *map(str, name))
            self._last = (name, clusters, bootstrap_weights(curve.items, self._draws, rng))
        return self._last[2]


class _Judge:
    """All findings on one curve, then the rule."""

    def __init__(
        self,
        curve: Curve,
        tested: Tested | None,
        companion: Curve | None,
        second: Tested | None,
        group: Iterable[Curve],
    ) -> None:
        self.curve, self.tested, self.second = curve, tested, second
        self.companion = companion if second is not None else None
        self.named = {c.facts.name: c for c in group}

    def run(
        self,
        weights: _Weights,
        seed: int,
        draws: int,
        level: float,
        siblings: Mapping[tuple[object, ...], list[Curve]],
        many: Finding | None = None,
    ) -> Judgement:
        curve, tested = self.curve, self.tested
        rng = stream(seed, "shape", curve.key.label(), curve.scale_name)
        found = [find.movement(curve)]
        pushed: Push | None = None
        drawn: Floats | None = None
        if tested is not None:
            drawn = find.noise_free(tested, weights.of(curve), rng, draws)
            found += find.shape_findings(tested, drawn, rng, draws)
            found += [
                f
                for f in (find.predictability(tested), find.break_finding(tested, level=level))
                if f
            ]
            sharp = next(f for f in found if f.test == "sharpness")
            jump = int(sharp.values["gap"])  # type: ignore[call-overload]
            pushed = self._push(weights, found, jump, level, drawn, rng)
            found.append(find.coverage(curve, float(sharp.statistic or np.nan)))
            if many is not None:
                found.append(many)
        found += self._resolution(pushed, weights, rng, draws)
        found += _seeds(curve, siblings)
        ruling = rule(curve, self.companion, {f.test: f for f in found}, level)
        return Judgement(
            curve.key,
            curve,
            ruling.verdict,
            ruling.explained_by,
            ruling.because,
            ruling.would_change,
            tuple(found),
            smooth_line(tested) if tested else None,
            self.companion,
            smooth_line(self.second) if self.second and self.companion is not None else None,
            pushed.pushed if pushed else None,
            curve.notes,
        )

    def _push(
        self,
        weights: _Weights,
        found: list[Finding],
        jump: int,
        level: float,
        drawn: Floats,
        rng: np.random.Generator,
    ) -> Push | None:
        if self.companion is None or self.second is None:
            return None
        found.append(find.break_finding(self.second, "companion_break", jump, level))
        law = find.law_scores(self.second, rng, len(drawn))
        weight = weights.of(self.curve)
        made = push(self.curve, self.companion, self.second.best, law, drawn, weight, jump)
        if made is None:
            return None
        apart = None
        if self.curve.facts.name == "exact_match" and {"cross_entropy", "log_likelihood"} <= {
            *self.named
        }:
            apart = find.dependence(
                self.curve, self.named["cross_entropy"], self.named["log_likelihood"]
            )
        found.append(find.metric_finding(self.curve, self.companion, made, apart))
        return made

    def _resolution(
        self, pushed: Push | None, weights: _Weights, rng: np.random.Generator, draws: int
    ) -> list[Finding]:
        drawn = None
        told = self.named.get("target_prob")
        exact = self.curve.facts.name == "exact_match"
        if exact and told is not None and told.models == self.curve.models:
            expected, source = told.score, "the log-probability of the targets"
            w = weights.of(told)
            if told.items is not None and w is not None:
                drawn = weighted_means(w[:, told.items.position], told.items.scores)
        elif pushed is not None and pushed.way == "items":
            expected, source, drawn = pushed.pushed, "the smooth companion", pushed.drawn
        elif self.tested is not None:
            expected, source = from_working(self.curve, self.tested.best.mean[0]), "the smooth law"
            drawn = find.noise_free(self.tested, weights.of(self.curve), rng, draws, even=True)
        else:
            expected, source = self.curve.score, "the curve"
        made = find.resolution(self.curve, expected, source, drawn)
        return [made] if made else []


def judge_each(
    cases: Sequence[tuple[Curve, Curve | None, Sequence[Curve]]],
    *,
    seed: int,
    draws: int,
    level: float,
    progress: Callable[[int], None] = lambda more: None,
) -> list[Judgement]:
    """Judge curves that were made elsewhere, each as if it were the only one.

    A case is a curve, its companion, and all curves of the same outputs.
    """
    every = {id(c): c for case in cases for c in case[:2] if c is not None}
    place = {name: i for i, name in enumerate(every)}
    tested = examine(list(every.values()), seed, draws)
    weights = _Weights(seed, draws)
    out = []
    for curve, other, group in cases:
        first = tested.get(place[id(curve)])
        second = tested.get(place[id(other)]) if other is not None else None
        alone: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
        judge = _Judge(curve, first, other, second, group)
        out.append(judge.run(weights, seed, draws, level, alone))
        progress(1)
    return out


def _siblings(curves: Sequence[Curve]) -> dict[tuple[object, ...], list[Curve]]:
    """Curves that differ in nothing but the seed."""
    out: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
    for c in curves:
        out[_but_seed(c.key)].append(c)
    return out


def _but_seed(key: Key) -> tuple[object, ...]:
    rest = tuple(s for s in key.settings if s[0] != "seed")
    return (key.family, key.task, key.metric, rest)


def _seeds(curve: Curve, siblings: Mapping[tuple[object, ...], list[Curve]]) -> list[Finding]:
    """How far seeds lie apart at one rung, against the rise of the whole curve."""
    same = [c for c in siblings[_but_seed(curve.key)] if c is not curve]
    same = [c for c in same if len(c.scale) == len(curve.scale) and (c.scale == curve.scale).all()]
    if not same or np.ptp(curve.score) == 0:
        return []
    scores = np.stack([curve.score, *(c.score for c in same)])
    spread = np.ptp(scores, axis=0)
    i = int(spread.argmax())
    share = float(spread[i] / np.ptp(scores))
    text = (
        f"{len(scores)} seeds differ most at {find.number(curve.scale[i])}: "
        f"{find.number(scores[:, i].min())} to {find.number(scores[:, i].max())}, "
        f"{100 * share:.0f} % of the whole rise"
    )
    if share >= 0.5:
        text += "; the outcome is bimodal over seeds there"
    values = {
        "scale": float(curve.scale[i]),
        "share": share,
        "seeds": len(scores),
        "bimodal": share >= 0.5,
        "scores": [float(s) for s in scores[:, i]],
    }
    return [Finding("seeds", share, text, None, None, "Zhao et al. 2025", values)]
