"""Families of models whose truth is known: smooth, or with a real break.

A family has a per-token probability p(x) of the right token at every scale x; what is measured of
it follows a :class:`Design` (rungs, items, target length, dependence, noise). Per item the
probability is drawn from a beta distribution of mean p and intraclass correlation r,

    P ~ Beta(p (1 - r) / r, (1 - p) (1 - r) / r),

so the errors of two tokens of one answer are correlated with r, and

    E[exact match]    = prod_{t < L} (p (1 - r) + t r) / (1 - r + t r)      (p^L for r = 0),
    E[cross-entropy]  = digamma((1 - r) / r) - digamma(p (1 - r) / r).

For r = 0 every token draws a probability of its own in this way, with r = OWN in the second formula
(about -log p). A token is right with the very probability that is reported of it, so the reported
ones are calibrated: the mean probability of the targets is the expected exact match.

With a chance level c = 1/K there are K choices with scores s_k = G_k + eta [k right], G Gumbel, so

    E[accuracy] = exp(eta) / (exp(eta) + K - 1) = c + (1 - c) p.

Sources: beta-binomial: Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x; Gumbel scores:
McFadden 1974; power law in cross-entropy and p^L: Schaeffer et al. 2023, Sec. 2.

>>> import unmirage
>>> from unmirage.simulate import Design, Truth, scores
>>> table = scores(Truth("power law"), Design(rungs=6, items=200), seed=1)
>>> table.shape
(6, 7)
>>> unmirage.read(table).aggregates.height
6
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy import special

from unmirage.errors import OptionError
from unmirage.types import Floats

#: parameters of the smallest model, log10
START = 6.0
#: nats below which a log-probability is not followed
LEAST = -700.0
#: where tokens are independent, how far their probabilities lie apart, on the scale of r
OWN = 4e-4

#: beyond these a design is no design but a slip
MOST = {
    "rungs": 1000,
    "items": 10**12,
    "tokens": 10_000,
    "seeds": 1000,
    "decades": 100,
    "noise": 10,
}

Metric = Literal["exact_match", "token_accuracy", "cross_entropy", "accuracy"]
METRICS: tuple[Metric, ...] = ("exact_match", "token_accuracy", "cross_entropy", "accuracy")

# ---------------------------------------------------------------- truths


def _power(t: Floats, first: float, last: float) -> Floats:
    """Cross-entropy is a power law of scale: log(-log p) is a line."""
    ends = np.log(-np.log([first, last]))
    return np.asarray(np.exp(-np.exp(ends[0] + (ends[1] - ends[0]) * t)))


def _logistic(t: Floats, first: float, last: float) -> Floats:
    """The logit of p is a line."""
    ends = special.logit([first, last])
    return np.asarray(special.expit(ends[0] + (ends[1] - ends[0]) * t))


def _saturating(t: Floats, first: float, last: float) -> Floats:
    """A power law on top of a loss that stays: E = 0.8 of the last loss."""
    ends = -np.log([first, last])
    rest = 0.8 * ends[1]
    ratio = (ends[1] - rest) / (ends[0] - rest)
    return np.asarray(np.exp(-(rest + (ends[0] - rest) * ratio**t)))


def _broken(t: Floats, first: float, last: float) -> Floats:
    """A power law whose exponent trebles about the middle, over a quarter of the range."""
    way = t + 2 * 0.1 * np.logaddexp(0.0, (t - 0.5) / 0.1)
    a, b = (e + 2 * 0.1 * np.logaddexp(0.0, (e - 0.5) / 0.1) for e in (0.0, 1.0))
    return _power((way - a) / (b - a), first, last)


def _inverse(t: Floats, first: float, last: float) -> Floats:
    """Inverse scaling: a power law backwards."""
    return _power(1 - t, first, last)


def _u_shaped(t: Floats, first: float, last: float) -> Floats:
    """The logit falls by half of the net rise until t = 0.4, then rises: a parabola's two arms."""
    a, b = special.logit([first, last])
    low = a - 0.5 * (b - a)
    down = low + (a - low) * ((0.4 - t) / 0.4) ** 2
    up = low + (b - low) * ((t - 0.4) / 0.6) ** 2
    return np.asarray(special.expit(np.where(t < 0.4, down, up)))


#: smooth shapes: t in [0, 1] over the range of scale, p at its ends -> p
SHAPES: dict[str, Callable[[Floats, float, float], Floats]] = {
    "power law": _power,
    "logistic": _logistic,
    "saturating": _saturating,
    "broken power law": _broken,
    "inverse": _inverse,
    "u-shaped": _u_shaped,
}


@dataclass(frozen=True)
class Truth:
    """How the per-token probability goes with scale; smooth unless one of the last three is set.

    >>> Truth("logistic", 0.1, 0.9).real, Truth("logistic", 0.3, 0.4, step=2.0).real
    (False, True)
    """

    shape: str = "power law"  # one of SHAPES
    first: float = 0.3  # p at the smallest model
    last: float = 0.95  # p at the largest, breaks aside
    step: float = 0.0  # logits, added to p above the gap in the middle of the rungs
    slope: float = 0.0  # logits a decade, added above the middle of the range
    bimodal: bool = False  # each seed has the last or the first p; the share that has it rises

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise OptionError(
                f"no shape is named {self.shape!r}", mend=f"shapes: {', '.join(SHAPES)}"
            )
        if not (0 < self.first < 1 and 0 < self.last < 1):
            raise OptionError(
                f"probabilities of {self.first} and {self.last}", mend="between 0 and 1, neither"
            )
        if not (np.isfinite(self.step) and np.isfinite(self.slope)):
            raise OptionError("a break that is not finite", mend="some logits, such as 2")

    @property
    def real(self) -> bool:
        """Is there a real break?"""
        return bool(self.step or self.slope or self.bimodal)


@dataclass(frozen=True)
class Design:
    """What is measured of a family."""

    rungs: int = 8
    decades: float = 4.0  # of scale
    uneven: bool = False  # gaps between rungs differ (log-normal, sd 0.6)
    items: int = 1000
    tokens: int = 4  # target length L
    dependence: float = 0.0  # r, correlation of the errors of two tokens of an answer
    difficulty: float = 0.5  # share of an item's luck that all models have in common
    noise: float = 0.0  # sd between rungs, in logits of p
    chance: float = 0.0  # of a guess; 1/K for K choices, one token then
    seeds: int = 1
    missing: float = 0.0  # share of the answers of each model that is not there
    hole: float = 0.0  # share of the range, about its middle, without rungs

    def __post_init__(self) -> None:
        shares = {
            "dependence": self.dependence,
            "difficulty": self.difficulty,
            "missing": self.missing,
            "hole": self.hole,
        }
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise OptionError(f"{name} {share}", mend="a share from 0 to below 1")
        counts = {"rungs": self.rungs, "items": self.items, "tokens": self.tokens}
        for name, count in {**counts, "seeds": self.seeds}.items():
            if not 1 + (name == "rungs") <= count <= MOST[name]:
                mend = f"1 to {MOST[name]:,}; at least 2 rungs"
                raise OptionError(f"{count} {name}", mend=mend)
        if not (0 < self.decades <= MOST["decades"] and 0 <= self.noise <= MOST["noise"]):
            raise OptionError(
                f"{self.decades:g} decades, noise {self.noise:g}",
                mend=f"above 0 up to {MOST['decades']} decades; noise from 0 to {MOST['noise']}",
            )
        if not 0 <= self.chance <= 0.5:
            raise OptionError(f"a chance level of {self.chance}", mend="from 0 to 0.5")

    @property
    def choices(self) -> int:
        """K; 0 where there are none.

        Raises
        ------
        OptionError
            no whole number of choices has this chance level.
        """
        if self.chance and abs(1 / self.chance - round(1 / self.chance)) > 1e-9:
            raise OptionError(
                f"no number of choices has a chance level of {self.chance}",
                mend="1/K, such as 0.5 or 0.25",
            )
        return round(1 / self.chance) if self.chance else 0


# ---------------------------------------------------------------- what is expected


@dataclass(frozen=True, eq=False)
class Family:
    """The truth about one simulated family; axes K seeds, M rungs."""

    scale: Floats  # (M,) parameters
    p: Floats  # (K, M) per-token probability, noise between rungs included


def family(truth: Truth, design: Design, rng: np.random.Generator) -> Family:
    """Draw one family: its rungs, and the per-token probability at each."""
    t = _places(design, rng)
    m, shape = len(t), (design.seeds, len(t))
    eta = special.logit(SHAPES[truth.shape](t, truth.first, truth.last))
    eta = eta + truth.step * (np.arange(m) >= m // 2)
    eta = eta + truth.slope * design.decades * np.maximum(t - 0.5, 0.0)
    eta = np.broadcast_to(eta, shape)
    if truth.bimodal:
        ends = special.logit([truth.first, truth.last])
        has = rng.random(shape) < special.expit(8 * (t - 0.5))
        eta = np.where(has, ends[1], ends[0])
    eta = eta + design.noise * rng.standard_normal(shape)
    return Family(10 ** (START + design.decades * t), np.asarray(special.expit(eta)))


def _places(design: Design, rng: np.random.Generator) -> Floats:
    """Places of the rungs in the range of scale, from 0 to 1."""
    gaps = np.ones(design.rungs - 1)
    if design.uneven:
        gaps = np.exp(0.6 * rng.standard_normal(design.rungs - 1))
    t = np.concatenate([[0.0], np.cumsum(gaps) / gaps.sum()])
    return np.asarray(t[np.abs(t - 0.5) >= design.hole / 2] if design.hole else t)


def expected(p: Floats, design: Design, metric: Metric) -> Floats:
    """What infinitely many items would score; same shape as ``p``.

    >>> expected(np.array([0.5]), Design(tokens=3), "exact_match").tolist()
    [0.125]
    """
    r = design.dependence
    if metric == "accuracy":
        return np.asarray(design.chance + (1 - design.chance) * p)
    if metric == "token_accuracy":
        return np.asarray(p)
    if metric == "exact_match":
        t = np.arange(design.tokens)[:, None]
        flat = (p.reshape(1, -1) * (1 - r) + t * r) / (1 - r + t * r)
        return np.asarray(flat.prod(axis=0).reshape(p.shape))
    total = _total(r)
    return np.asarray(special.digamma(total) - special.digamma(p * total))


def _total(r: float) -> float:
    """Sum of the two parameters of the beta distribution of an item, or of a token for r = 0."""
    r = r or OWN
    return (1 - r) / r


# ---------------------------------------------------------------- scores


def scores(
    truth: Truth,
    design: Design,
    *,
    families: int = 1,
    metrics: Sequence[Metric] = ("exact_match",),
    seed: int = 0,
) -> pl.DataFrame:
    """A table of reported scores, one row a (family, seed, rung, metric): aggregates.

    Shares carry ``n_samples``, cross-entropy its ``stderr``. Rungs are independent: what models
    have in common in the luck of their items is in :func:`samples` only.
    """
    _refuse(design, metrics, families)
    frames = []
    for number in range(families):
        rng = np.random.default_rng([seed, number])
        drawn = family(truth, design, rng)
        n = rng.binomial(design.items, 1 - design.missing, drawn.p.shape).clip(1)
        for metric in metrics:
            mean = expected(drawn.p, design, metric)
            if metric == "cross_entropy":
                sd = np.sqrt(_variance(drawn.p, design) / n)
                made = np.maximum(mean + sd * rng.standard_normal(mean.shape), 1e-9)
                more: dict[str, Floats] = {"stderr": sd.ravel()}
            elif metric == "token_accuracy":
                made, sd = _token_accuracy(drawn.p, design, n, rng)
                more = {"stderr": sd.ravel()}
            else:
                made = rng.binomial(n, np.clip(mean, 0, 1)) / n
                more = {"n_samples": n.ravel().astype(float)}
            frames.append(_table(number, drawn, design, metric, made, more))
    return pl.concat(frames, how="diagonal")


def _variance(p: Floats, design: Design) -> Floats:
    """Variance of one item's mean token loss: between items, or between independent tokens."""
    total = _total(design.dependence)
    each = special.polygamma(1, p * total) - special.polygamma(1, total)
    return np.asarray(each if design.dependence else each / design.tokens)


def _token_accuracy(
    p: Floats, design: Design, n: Any, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Mean share of right tokens: normal, with the variance of correlated tokens."""
    size, r = design.tokens, design.dependence
    sd = np.sqrt(p * (1 - p) * (1 + (size - 1) * r) / (size * n))
    return np.clip(p + sd * rng.standard_normal(p.shape), 0, 1), sd


def _table(
    number: int,
    drawn: Family,
    design: Design,
    metric: Metric,
    made: Floats,
    more: dict[str, Floats],
) -> pl.DataFrame:
    seeds, rungs = drawn.p.shape
    columns: dict[str, Any] = {
        "family": [f"F{number}"] * made.size,
        "model": [f"m{i} s{k}" for k in range(seeds) for i in range(rungs)],
        "params": np.tile(drawn.scale, seeds),
        "task": ["simulated"] * made.size,
        "metric": [metric] * made.size,
        "score": made.ravel(),
        **more,
    }
    if design.chance and metric == "accuracy":
        columns["chance"] = [design.chance] * made.size
    if seeds > 1:
        columns["seed"] = np.repeat(np.arange(seeds), rungs)
    return pl.DataFrame(columns)


# ---------------------------------------------------------------- samples


def samples(truth: Truth, design: Design, *, families: int = 1, seed: int = 0) -> pl.DataFrame:
    """Answers item by item, as ``unmirage.read`` takes them.

    Text (no chance level): ``output`` drawn token by token, ``targets``, ``token_logprobs`` and
    ``token_correct``. Choices (a chance level): ``choices``, ``choice_logprobs``, ``target_index``.
    """
    _refuse(design, (), families)
    frames = []
    for number in range(families):
        rng = np.random.default_rng([seed, number])
        drawn = family(truth, design, rng)
        parts = 1 + design.choices
        shared = rng.standard_normal((parts, design.items))
        targets = rng.integers(0, 10, (design.items, design.tokens))
        for k, row in enumerate(drawn.p):
            for i, p in enumerate(row):
                luck = rng.standard_normal((parts, design.items))
                luck = np.sqrt(design.difficulty) * shared + np.sqrt(1 - design.difficulty) * luck
                made = (
                    _choices(p, design, luck[1:], rng)
                    if design.choices
                    else _answers(p, design, luck[0], targets, rng)
                )
                head: dict[str, Any] = {
                    "family": f"F{number}",
                    "model": f"m{i} s{k}",
                    "params": float(drawn.scale[i]),
                    "task": "simulated",
                    **({"seed": k} if design.seeds > 1 else {}),
                }
                frame = pl.DataFrame({"item": [f"q{s}" for s in range(design.items)], **made})
                if design.missing:
                    kept = rng.random(design.items) >= design.missing
                    frame = frame.filter(pl.Series(kept))
                frames.append(frame.with_columns(**{n: pl.lit(v) for n, v in head.items()}))
    return pl.concat(frames)


def _answers(
    p: float, design: Design, luck: Floats, targets: Any, rng: np.random.Generator
) -> dict[str, Any]:
    """Outputs of one model; the luck of an item is its place in the beta distribution."""
    shape, r = (design.items, design.tokens), design.dependence
    total = _total(r)
    shapes = p * total, (1 - p) * total
    if r:
        mine = special.betaincinv(*shapes, special.ndtr(luck))
        each = np.broadcast_to(mine[:, None], shape)
    else:
        each = rng.beta(*shapes, shape)
    right = rng.random(shape) < each
    wrong = (targets + rng.integers(1, 10, shape)) % 10
    with np.errstate(divide="ignore"):
        nats = np.log(each)
    return {
        "output": _spell(np.where(right, targets, wrong)),
        "targets": [[t] for t in _spell(targets)],
        "token_logprobs": pl.Series(np.clip(nats, LEAST, 0.0)).cast(pl.List(pl.Float64)),
        "token_correct": pl.Series(right).cast(pl.List(pl.Boolean)),
    }


def _spell(digits: Any) -> list[str]:
    return ["".join(map(str, row)) for row in digits.tolist()]


def _choices(p: float, design: Design, luck: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Log-probabilities of K choices whose best is right with c + (1 - c) p."""
    k = design.choices
    share = design.chance + (1 - design.chance) * p
    eta = np.log(share * (k - 1) / (1 - share))
    made = -np.log(-np.log(special.ndtr(luck.T).clip(1e-300, 1 - 1e-16)))  # (items, K) Gumbel
    index = rng.integers(0, k, design.items)
    made[np.arange(design.items), index] += eta
    made = made - special.logsumexp(made, axis=1, keepdims=True)
    return {
        "choices": [[f"choice {j}" for j in range(k)]] * design.items,
        "choice_logprobs": pl.Series(np.maximum(made, LEAST)).cast(pl.List(pl.Float64)),
        "target_index": index,
    }


def _refuse(design: Design, metrics: Sequence[str], families: int) -> None:
    if families < 1:
        raise OptionError(f"{families} families", mend="1 or more")
    for metric in metrics:
        if metric not in METRICS:
            raise OptionError(
                f"no simulated metric is named {metric!r}", mend=f"metrics: {', '.join(METRICS)}"
            )
        if (metric == "accuracy") != bool(design.chance):
            raise OptionError(
                f"{metric} with a chance level of {design.chance}",
                mend="accuracy needs a chance level, the other metrics have none",
            )
