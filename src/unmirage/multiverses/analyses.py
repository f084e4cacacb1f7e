"""All analyses of one task, and the curve that each of them draws.

Axes: S items, M rungs, R resamples of the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmirage.curves.uncertainty import exact_interval, mean_error, stream
from unmirage.multiverses.choices import MEAN, Choices, Cut, Ints, Mask, item_sets, passes
from unmirage.multiverses.sources import Source
from unmirage.types import Curve, Facts, Floats, Items, Key


@dataclass(frozen=True, eq=False)
class Cell:
    """Analyses that share the scores of all rungs: one source, cut and set of items."""

    source: Source
    cut: Cut
    items: str
    used: Mapping[int, Mask]  # length of a list of items -> which are used

    @property
    def levels(self) -> dict[str, str]:
        return {**self.source.levels, "score": self.cut.level, "items": self.items}


@dataclass(frozen=True, eq=False)
class Analysis:
    """One choice of everything."""

    cell: int
    rungs: str
    kept: Ints
    axis: str


def cells(sources: Sequence[Source], chosen: Choices, seed: int, *names: str) -> list[Cell]:
    """Every source under every cut and set of items that leaves two items at least."""
    out = []
    for source in sources:
        items = [c.items for c in source.members if c.items is not None]
        if not items:
            out.append(Cell(source, MEAN, "all", {}))
            continue
        sets = {i.total: item_sets(i.total, chosen, seed, *names) for i in items}
        shared = [n for n in next(iter(sets.values())) if all(n in s for s in sets.values())]
        for cut in source.cuts:
            for name in shared:
                used = {total: s[name] for total, s in sets.items()}
                least = 2 * (int(cut.value) if cut.kind == "K of K" else 1)
                if all(used[i.total][i.position].sum() >= least for i in items):
                    out.append(Cell(source, cut, name, used))
    return out


def counted(cells: Sequence[Cell]) -> list[int]:
    """How many analyses each cell holds."""
    return [len(c.source.rungs) * len(c.source.axes) for c in cells]


def draw(cells: Sequence[Cell], most: int, seed: int, *names: str) -> Ints:
    """Numbers of the analyses that are looked at, in order: all, or ``most`` drawn at random."""
    total = sum(counted(cells))
    if total <= most:
        return np.arange(total)
    rng = stream(seed, "analyses", *names)
    return np.sort(rng.choice(total, most, replace=False))


def decode(cells: Sequence[Cell], numbers: Ints) -> list[Analysis]:
    """The analyses of these numbers; a cell counts its rungs before its axes."""
    ends = np.cumsum(counted(cells))
    out = []
    for number in numbers:
        cell = int(np.searchsorted(ends, number, side="right"))
        source = cells[cell].source
        axes = list(source.axes)
        within = int(number) - (int(ends[cell - 1]) if cell else 0)
        sets = list(source.rungs.items())
        rungs, kept = sets[within // len(axes)]
        out.append(Analysis(cell, rungs, kept, axes[within % len(axes)]))
    return out


# ---------------------------------------------------------------- scores of a cell


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of all rungs in one cell."""

    score: Floats  # (M,)
    stderr: Floats  # (M,) NaN = unknown
    count: Floats  # (M,) NaN = unknown
    again: Floats  # (R, M) under resampled items
    items: Items | None  # where one list of items lies behind the score
    exact: bool  # each item 0 or 1, so that the score is a count


class Scorer:
    """Scores of cells; resamples of a list of items are drawn once and serve all of them."""

    def __init__(self, seed: int, resamples: int, task: str) -> None:
        self._seed, self._resamples, self._task = seed, resamples, task
        self._weights: dict[tuple[int, bool], Floats] = {}
        self._orders: dict[int, Ints] = {}

    def score(self, cell: Cell, cut: Cut | None = None) -> Scored:
        """``cut`` None: the cell's own. Groups of K are averaged under MEAN, for a companion."""
        source = cell.source
        if any(c.items is None for c in source.members):
            return self._reported(source)
        blocks = [self._block(c, cell, cut or cell.cut) for c in source.members]
        if source.micro:
            weights = np.concatenate([b[1] for b in blocks], axis=1)
            return _scored([(_joined([b[0] for b in blocks]), weights)])
        same = all(np.array_equal(b[0].position, blocks[0][0].position) for b in blocks)
        if len(blocks) > 1 and same:
            mean = np.mean([b[0].scores for b in blocks], axis=0)
            return _scored([(replace(blocks[0][0], scores=mean), blocks[0][1])])
        return _scored(blocks)

    def _block(self, curve: Curve, cell: Cell, cut: Cut) -> tuple[Items, Floats]:
        """The items of one curve after the cut, and their weights in every resample (R, S)."""
        assert curve.items is not None
        items = curve.items
        columns = np.flatnonzero(cell.used[items.total][items.position])
        position, y = items.position[columns], items.scores[:, columns]
        if cell.cut.kind == "K of K":
            groups = self._groups(items, columns, cell)
            best = curve.facts.higher_is_better
            all_right = np.min if best else np.max
            join = all_right if cut.kind == "K of K" else np.mean
            # a group is known by its first item
            y, position = join(items.scores[:, groups], axis=-1), items.position[groups[:, 0]]
        elif cut.kind == "threshold":
            y = passes(curve.facts, y, cut.value)
        made = replace(items, names=(), scores=y, position=position)
        return made, self._drawn(items)[:, position]

    def _groups(self, items: Items, columns: Ints, cell: Cell) -> Ints:
        """(G, K) columns of the items that are right together; what is over is left out."""
        k = int(cell.cut.value)
        if id(items) not in self._orders:
            self._orders[id(items)] = np.argsort(_natural(items.names))
        order = columns[np.argsort(self._orders[id(items)][columns])]
        if cell.cut.order == "at random":
            rng = stream(self._seed, "groups", self._task, cell.cut.level, cell.items)
            order = rng.permutation(order)
        return order[: len(order) // k * k].reshape(-1, k)

    def _drawn(self, items: Items) -> Floats:
        key = (items.total, items.clusters is not None)
        if key not in self._weights:
            rng = stream(self._seed, "resamples", self._task, str(key))
            clusters = items.clusters
            code = np.arange(items.total)
            if clusters is not None:
                code = np.unique(clusters, return_inverse=True)[1]
            n = int(code.max()) + 1
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=self._resamples)
            self._weights[key] = drawn.astype(float)[:, code]
        return self._weights[key]

    def _reported(self, source: Source) -> Scored:
        """Averages of reported scores; they are resampled with their standard errors."""
        members = source.members
        share = np.ones((len(members), len(source.first.scale)))
        if source.micro:
            share = np.stack([c.count for c in members])
        share = share / share.sum(axis=0)
        score = np.sum([w * c.score for w, c in zip(share, members, strict=True)], axis=0)
        variance = np.sum(
            [(w * c.stderr) ** 2 for w, c in zip(share, members, strict=True)], axis=0
        )
        count = np.sum([c.count for c in members], axis=0)
        rng = stream(self._seed, "reported", *(c.key.label() for c in members))
        z = rng.standard_normal((self._resamples, len(score)))
        error = np.sqrt(variance)
        exact = len(members) == 1 and source.first.stderr_from == "binomial"
        return Scored(score, error, count, score + np.nan_to_num(error) * z, None, exact)


def _natural(names: Sequence[str]) -> Ints:
    """The order in which people read names: numbers by their size."""

    def key(i: int) -> tuple[object, ...]:
        digits = "".join(c for c in names[i] if c.isdecimal() and c.isascii())
        return (int(digits) if 0 < len(digits) <= 18 else -1, names[i])

    return np.array(sorted(range(len(names)), key=key), dtype=np.int64)


def _joined(blocks: Sequence[Items]) -> Items:
    """The items of all blocks as one list; clusters of two blocks are never the same."""
    scores = np.concatenate([b.scores for b in blocks], axis=1)
    s = scores.shape[1]
    codes = [b.cluster for b in blocks if b.cluster is not None]
    clusters = None
    if len(codes) == len(blocks):
        sizes = np.cumsum([0, *(int(c.max()) + 1 for c in codes)])
        clusters = np.concatenate([c + n for c, n in zip(codes, sizes[:-1], strict=True)])
    return Items((), scores, np.arange(s), s, clusters)


def _scored(blocks: Sequence[tuple[Items, Floats]]) -> Scored:
    """Blocks of items weigh alike."""
    k = len(blocks)
    means, errors, agains = [], [], []
    for items, weights in blocks:
        means.append(items.scores.mean(axis=1))
        errors.append(mean_error(items.scores, items.cluster))
        total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        agains.append(weights @ items.scores.T / total)
    error = np.sqrt(np.sum(np.square(errors), axis=0)) / k
    one = blocks[0][0] if k == 1 else None
    binary = one is not None and one.clusters is None and np.isin(one.scores, (0.0, 1.0)).all()
    m = len(means[0])
    n = float(sum(items.scores.shape[1] for items, _ in blocks))
    return Scored(
        np.mean(means, axis=0),
        error,
        np.full(m, n),
        np.mean(agains, axis=0),
        one,
        bool(binary),
    )


# ---------------------------------------------------------------- curves


def curve_of(cell: Cell, scored: Scored, analysis: Analysis, cut: Cut | None = None) -> Curve:
    """The curve that an analysis draws; ``cut`` MEAN makes that of the scores before the cut."""
    source, cut = cell.source, cut or cell.cut
    scale = source.axes[analysis.axis]
    order = analysis.kept[np.argsort(scale[analysis.kept], kind="stable")]
    facts, floor = _facts(source.first, cut, scored.exact)
    score, error, count = scored.score[order], scored.stderr[order], scored.count[order]
    low, high = score - 1.96 * error, score + 1.96 * error
    if scored.exact:
        low, high = exact_interval(np.round(score * count), count)
    items = scored.items
    if items is not None:
        items = replace(items, scores=items.scores[order])
    return Curve(
        _key(source, cell, analysis, facts),
        facts,
        analysis.axis,
        scale[order],
        tuple(source.first.models[i] for i in order),
        score,
        error,
        count,
        np.clip(low, facts.low, facts.high),
        np.clip(high, facts.low, facts.high),
        floor,
        1.0 if cut.kind == "threshold" else source.first.ceiling,
        _source_of_error(scored, source),
        items,
    )


def _source_of_error(scored: Scored, source: Source) -> str:
    if source.first.items is None:
        return source.first.stderr_from if len(source.members) == 1 else "reported"
    if scored.items is not None and scored.items.clusters is not None:
        return "clusters"
    return "items"


def _facts(curve: Curve, cut: Cut, exact: bool) -> tuple[Facts, float]:
    """What is known of the score after the cut, and its floor."""
    facts = curve.facts
    if cut.kind == "threshold":
        sign = ">=" if facts.higher_is_better else "<="
        name = f"{facts.name} {sign} {cut.value:.4g}"
        title = f"share of items with {facts.title} {sign} {cut.value:.4g}"
        return Facts(name, title, 0.0, 1.0, True, False, False, "", True, facts.forcing), 0.0
    if cut.kind == "K of K":
        k = int(cut.value)
        made = replace(facts, name=f"{facts.name} {k} of {k}", title=f"{facts.title}, {k} of {k}")
        floor = curve.floor**k if facts.higher_is_better else 1 - (1 - curve.floor) ** k
        return replace(made, linear=False, binary=True), floor
    return replace(facts, binary=exact), curve.floor


def _key(source: Source, cell: Cell, analysis: Analysis, facts: Facts) -> Key:
    key = source.first.key
    more = {k: v for k, v in source.levels.items() if k != "metric"}
    more |= {"items": cell.items, "rungs": analysis.rungs}
    if cell.cut.order:
        more["groups"] = cell.cut.order
    held = {**dict(key.settings), **more}
    return Key(key.family, key.task, facts.name, tuple(sorted(held.items())))
