"""One curve: all findings on it, then the rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from unmirage.auditing import findings as find
from unmirage.auditing.metric import dependence, metric_finding
from unmirage.auditing.push import Push, push
from unmirage.auditing.resolution import resolution
from unmirage.auditing.tested import Tested, examine, smooth_line
from unmirage.auditing.verdict import rule
from unmirage.auditing.words import number
from unmirage.curves.uncertainty import bootstrap_weights, stream, weighted_means
from unmirage.curves.working import from_working
from unmirage.types import Curve, Finding, Floats, Judgement, Key


class Weights:
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


class Judge:
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
        weights: Weights,
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
        weights: Weights,
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
            apart = dependence(
                self.curve, self.named["cross_entropy"], self.named["log_likelihood"]
            )
        found.append(metric_finding(self.curve, self.companion, made, apart))
        return made

    def _resolution(
        self, pushed: Push | None, weights: Weights, rng: np.random.Generator, draws: int
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
        made = resolution(self.curve, expected, source, drawn)
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
    weights = Weights(seed, draws)
    out = []
    for curve, other, group in cases:
        first = tested.get(place[id(curve)])
        second = tested.get(place[id(other)]) if other is not None else None
        alone: dict[tuple[object, ...], list[Curve]] = defaultdict(list)
        judge = Judge(curve, first, other, second, group)
        out.append(judge.run(weights, seed, draws, level, alone))
        progress(1)
    return out


def siblings_of(curves: Sequence[Curve]) -> dict[tuple[object, ...], list[Curve]]:
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
        f"{len(scores)} seeds differ most at {number(curve.scale[i])}: "
        f"{number(scores[:, i].min())} to {number(scores[:, i].max())}, "
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
