"""P7, P8, P9: sharp abilities of image models, made by the choice of metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unmirage.auditing import shape
from unmirage.auditing.verdict import looks_sharp
from unmirage.claims.claim import Answer, Cell, Claim, item_number, last_step, number, steepness
from unmirage.errors import InputError
from unmirage.report.panels import Panel, Point
from unmirage.types import Audit, Floats, Judgement

#: records and the metrics to judge them under -> the audit
Ask = Callable[[pl.DataFrame, Sequence[str]], Audit]

#: thresholds shown beside the one that makes the largest jump, as multiples of it
AROUND = (0.25, 0.5, 1.0, 2.0, 4.0)
TRIED = 60  # thresholds among which that one is looked for
MOST = 5  # L and K of the article's figures
BEYOND = 10  # K
EVERY = 3  # of the sizes, where few are kept
SMOOTH = ("cross_entropy", "token_accuracy")
TITLES = {
    "mse": "squared error",
    "cross_entropy": "cross-entropy (nats an image)",
    "token_accuracy": "accuracy of one image",
}


# ---------------------------------------------------------------- P7


def threshold(params: Floats, errors: NDArray[np.float64]) -> float:
    """The c for which the share of images with an error below c rises most in one step.

    params (M,) rising and errors (M, S): of sizes and images. Of ``TRIED`` thresholds, evenly
    spaced in log c between the 1 % and the 99 % quantile of all errors, the one with the largest
    rise between two neighbouring sizes; rounded to two digits.
    """
    assert (np.diff(params) > 0).all()
    low, high = np.quantile(np.maximum(errors, 1e-9), [0.01, 0.99])
    tried = np.geomspace(low, high, TRIED)
    shares = (errors[None] < tried[:, None, None]).mean(axis=2)  # (C, M)
    best = int(np.argmax(np.diff(shares, axis=1).max(axis=1)))
    return float(f"{tried[best]:.1e}")


def autoencoder(frame: pl.DataFrame, ask: Ask) -> Claim:
    """From records with ``squared_error``: the threshold is chosen on every second image, and
    judged on the others.

    Raises:
        InputError: fewer than two sizes.
    """
    frame = last_step(frame)
    if frame["params"].n_unique() < 2:
        raise InputError("one size makes no jump", mend="at least 2 sizes of autoencoders")
    even = item_number() % 2 == 0
    chosen_on, judged_on = frame.filter(even), frame.filter(~even)
    sizes = chosen_on.group_by("params").agg("squared_error").sort("params")
    errors = [np.array(e) for e in sizes["squared_error"].to_list()]
    least = min(map(len, errors))
    c = threshold(sizes["params"].to_numpy(), np.stack([e[:least] for e in errors]))
    around = {f"reconstruction@{a * c:g}": a for a in AROUND}
    audit = ask(judged_on, ("mse", *around))
    names = ["mse", *(f"reconstruction_at_{a * c:g}" for a in AROUND)]
    chosen = f"reconstruction_at_{c:g}"
    titles = {n: f"share with error below {n.split('_at_')[1]}" for n in names[1:]} | TITLES
    smooth, sharp = _of(audit, "mse"), _of(audit, chosen)
    first = _first_seed(audit)
    return Claim(
        "P7",
        "Autoencoders: squared error falls smoothly, the share of images below a threshold leaps",
        "Fig. 7: shallow autoencoders on CIFAR-100: smooth under mean squared error, sharp under "
        "the share of images whose error is below a chosen c.",
        _answer(smooth, sharp),
        f"Squared error {_ends(smooth)} looks like a jump in {_sharp(smooth)}; the share of images "
        f"with an error below {c:g} {_ends(sharp)} in {_sharp(sharp)} curves, of which "
        f"{_mirages(sharp)} are judged a mirage of the metric. The threshold makes the largest "
        f"step of {TRIED} that were tried on every second image; judged are the others.",
        _by_threshold(audit, names[1:], titles),
        _table(audit, names, titles),
        [
            _panel("squared error", "one line a seed", _lines(smooth), TITLES["mse"]),
            _panel(f"share below {c:g}", "the same images, one line a seed", _lines(sharp),
                   f"share with error below {c:g}"),
            _panel("other thresholds", f"the same images; {first}",
                   _steps(audit, names[1:], first, {n: n.split("_at_")[1] for n in names[1:]}),
                   "share with error below c"),
        ],
    )  # fmt: skip


def _by_threshold(audit: Audit, names: Sequence[str], titles: dict[str, str]) -> str:
    said = [f"{titles[n]}: {_sharp(_of(audit, n))}" for n in names]
    return f"What looks like a jump hangs on the threshold: {'; '.join(said)}."


# ---------------------------------------------------------------- P8, P9


def glyphs(frame: pl.DataFrame, ask: Ask) -> Claim:
    """From records of sequences of labels."""
    frame = last_step(frame)
    names = [f"subset_accuracy_at_{n}" for n in range(1, MOST + 1)]
    titles = {n: f"first {i} all right" for i, n in enumerate(names, 1)} | TITLES
    audit = ask(frame, (*SMOOTH, *(n.replace("_at_", "@") for n in names)))
    first = _first_seed(audit)
    return Claim(
        "P8",
        "Few-shot labels of new characters: the more images must be right, the sharper",
        "Fig. 8: transformers on few-shot Omniglot: sharp where all L images of a sequence must be "
        "right, L = 1 to 5.",
        _answer(_of(audit, "cross_entropy"), _of(audit, names[-1])),
        _said(audit, names[-1], titles),
        _steeper(audit, names, titles),
        _table(audit, [*SMOOTH, *names], titles),
        [
            _panel("cross-entropy", "one line a seed", _lines(_of(audit, "cross_entropy")),
                   TITLES["cross_entropy"]),
            _panel("all of L images right", f"the same answers; {first}",
                   _steps(audit, names, first, _numbered("L", names)), "subset accuracy"),
            _panel(f"all of {MOST} right", "one line a seed", _lines(_of(audit, names[-1])),
                   f"first {MOST} all right"),
        ],
    )  # fmt: skip


def digits(frame: pl.DataFrame, ask: Ask) -> Claim:
    """From records of bundles of images."""
    frame = last_step(frame)
    counts = (*range(1, MOST + 1), BEYOND)
    names = [f"all_right_at_{n}" for n in counts]
    titles = {n: f"{i} of {i} right" for i, n in zip(counts, names, strict=True)} | TITLES
    lines = {n: f"K = {i}" for i, n in zip(counts, names, strict=True)}
    last = names[MOST - 1]
    asked = (*SMOOTH, *(n.replace("_at_", "@") for n in names))
    audit = ask(frame, asked)
    sizes = frame["params"].unique().sort()
    few = ask(frame.filter(pl.col("params").is_in(sizes.gather_every(EVERY).to_list())), asked)
    first = _first_seed(audit)
    sparse, beyond = _of(few, last), _of(audit, names[-1])
    return Claim(
        "P9",
        "LeNets on handwritten digits: the more images must be right at once, the sharper",
        "Fig. 11: LeNets on MNIST, few sizes: sharp where K of K images must be right, K = 1 to 5.",
        _answer(_of(audit, "cross_entropy"), _of(audit, last)),
        f"{_said(audit, last, titles)} Of every third size alone, {MOST} of {MOST} right "
        f"looks like a jump in {_sharp(sparse)} curves. Beyond the article, {BEYOND} of {BEYOND} "
        f"right {_ends(beyond)} looks like a jump in {_sharp(beyond)}, of which "
        f"{_mirages(beyond)} are judged a mirage of the metric.",
        _steeper(audit, names, titles),
        _table(audit, [*SMOOTH, *names], titles),
        [
            _panel("cross-entropy", "one line a seed", _lines(_of(audit, "cross_entropy")),
                   TITLES["cross_entropy"]),
            _panel("K of K right", f"the same answers; {first}",
                   _steps(audit, names, first, lines), "share right"),
            _panel("K of K right, few sizes", f"every third size; {first}",
                   _steps(few, names, first, lines), "share right"),
        ],
    )  # fmt: skip


def _numbered(letter: str, names: Sequence[str]) -> dict[str, str]:
    return {n: f"{letter} = {i}" for i, n in enumerate(names, 1)}


def _said(audit: Audit, sharpest: str, titles: dict[str, str]) -> str:
    smooth, single, sharp = (_of(audit, n) for n in (*SMOOTH, sharpest))
    return (
        f"Cross-entropy {_ends(smooth)} looks like a jump in {_sharp(smooth)} curves, accuracy of "
        f"one image {_ends(single)} in {_sharp(single)}, {titles[sharpest]} {_ends(sharp)} in "
        f"{_sharp(sharp)}, of which {_mirages(sharp)} are judged a mirage of the metric."
    )


def _steeper(audit: Audit, names: Sequence[str], titles: dict[str, str]) -> str:
    """How the look changes with L or K."""
    found = [f"{titles[n]}: {number(_steepness(_of(audit, n)))}" for n in names]
    single = _of(audit, "token_accuracy")
    ends = [float(np.mean([j.curve.score[i] for j in single])) for i in (0, -1)] if single else []
    straight = ""
    if ends:
        all_right = number(straight_line(ends[0], ends[1], MOST))
        straight = (
            f" Were the accuracy of one image a straight line from {number(ends[0])} to "
            f"{number(ends[1])}, {MOST} independent images would be {all_right} times as steep."
        )
    return (
        "Times as steep as a straight line in log scale, median of the seeds: "
        f"{', '.join(found)}; cross-entropy {number(_steepness(_of(audit, 'cross_entropy')))}."
        f"{straight}"
    )


def straight_line(first: float, last: float, together: int) -> float:
    """Steepness of p^K where p, the accuracy of one image, is a straight line in log scale.

    >>> round(straight_line(0.0, 1.0, 1), 3)
    1.0
    """
    x = np.linspace(0.0, 1.0, 1001)
    return float(shape.steepness((first + (last - first) * x) ** together, x))


# ---------------------------------------------------------------- shared


def _of(audit: Audit, metric: str) -> list[Judgement]:
    return [j for j in audit.judgements if j.key.metric == metric]


def _seed(j: Judgement) -> str:
    return f"seed {dict(j.key.settings).get('seed', '?')}"


def _first_seed(audit: Audit) -> str:
    return min((_seed(j) for j in audit.judgements), default="")


def _sharp(judged: Sequence[Judgement]) -> str:
    return f"{sum(map(looks_sharp, judged))} of {len(judged)}"


def _mirages(judged: Sequence[Judgement]) -> int:
    return sum(j.verdict == "mirage" and "metric" in j.explained_by for j in judged)


def _steepness(judged: Sequence[Judgement]) -> float:
    found = np.array([steepness(j) for j in judged])
    found = found[np.isfinite(found)]
    return float(np.median(found)) if len(found) else float("nan")


def _ends(judged: Sequence[Judgement]) -> str:
    """The mean over seeds of the smallest and the largest size."""
    if not judged:
        return "(no curve)"
    a, b = (float(np.mean([j.curve.score[i] for j in judged])) for i in (0, -1))
    return f"({number(a)} to {number(b)})"


def _answer(smooth: Sequence[Judgement], sharp: Sequence[Judgement]) -> Answer:
    """As the article says where most sharp curves look like a jump and few smooth ones; in part
    where the sharp metric is the steeper one."""
    if not smooth or not sharp:
        return "undecided here"
    leaps = [np.mean([looks_sharp(j) for j in group]) for group in (smooth, sharp)]
    if leaps[1] >= 0.5 and leaps[0] <= 0.25:
        return "as the article says"
    return "in part" if _steepness(sharp) > _steepness(smooth) else "not here"


def _table(audit: Audit, names: Sequence[str], titles: dict[str, str]) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for name in names:
        group = _of(audit, name)
        if not group:
            continue
        verdicts = Counter(j.verdict for j in group)
        ends = [float(np.mean([j.curve.score[i] for j in group])) for i in (0, -1)]
        rows.append(
            {
                "metric": titles[name],
                "curves": len(group),
                "smallest size": ends[0],
                "largest size": ends[1],
                "looks like a jump": sum(map(looks_sharp, group)),
                "median steepness": round(_steepness(group), 2),
                "verdicts": ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items())),
            }
        )
    return rows


def _lines(judged: Sequence[Judgement]) -> list[Point]:
    """One line a seed, with intervals."""
    return [
        Point(float(x), float(y), _seed(j), float(a), float(b))
        for j in judged
        for x, y, a, b in zip(j.curve.scale, j.curve.score, j.curve.low, j.curve.high, strict=True)
    ]


def _steps(audit: Audit, names: Sequence[str], seed: str, titles: dict[str, str]) -> list[Point]:
    """One line a metric, of one seed."""
    return [
        Point(float(x), float(y), titles[name])
        for name in names
        for j in _of(audit, name)
        if _seed(j) == seed
        for x, y in zip(j.curve.scale, j.curve.score, strict=True)
    ]


def _panel(title: str, subtitle: str, points: Sequence[Point], y_title: str) -> Panel:
    return Panel(title, subtitle, "parameters", y_title, tuple(points))
