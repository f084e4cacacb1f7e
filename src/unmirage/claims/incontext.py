"""P11: is few-shot learning the real exception? Our in-context families, audited on three axes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from unmirage.auditing.verdict import looks_sharp
from unmirage.claims.claim import Answer, Cell, Claim, last_step, number
from unmirage.lab.incontext import RegressionTask, least_squares, shots_asked
from unmirage.report.panels import Panel, Point
from unmirage.types import Audit, Judgement, Verdict

IN_WEIGHTS = "labels in weights"
AXES = {"params": "scale", "shots": "number of examples", "step": "training step"}
#: the linear or continuous metric of each outcome, which decides, and accuracy for the look of it
METRICS = ("accuracy", "cross_entropy", "mse")
DECIDE = ("cross_entropy", "mse")
VERDICTS: tuple[Verdict, ...] = ("survives", "mirage", "undecided", "smooth")
YARDSTICKS = ("least squares", "best possible")


def judge(audits: Mapping[str, Audit], frame: pl.DataFrame, tasks: Sequence[object]) -> Claim:
    """``audits``: scale axis -> audit of the icl families along it; ``frame``: their samples."""
    groups: dict[tuple[str, str, str], list[Judgement]] = defaultdict(list)
    for axis, found in audits.items():
        for j in found.judgements:
            if j.key.metric in METRICS:
                groups[axis, _what(j), j.key.metric].append(j)
    table: list[dict[str, Cell]] = []
    for (axis, what, metric), group in sorted(groups.items()):
        verdicts = Counter(j.verdict for j in group)
        table.append(
            {
                "along": AXES[axis],
                "what": what,
                "metric": metric.replace("_", " "),
                "curves": len(group),
                "looks like a jump": sum(map(looks_sharp, group)),
                **{v: verdicts.get(v, 0) for v in VERDICTS},
            }
        )
    learnt = {
        axis: [
            j
            for (a, what, metric), group in groups.items()
            if a == axis and metric in DECIDE and what != IN_WEIGHTS
            for j in group
        ]
        for axis in audits
    }
    every = [j for group in learnt.values() for j in group]
    return Claim(
        "P11",
        "Is few-shot learning the real exception?",
        "Left open in the article: in-context learning may be a candidate for real emergence.",
        _answer(every),
        " ".join(_said(AXES[axis], group) for axis, group in learnt.items()),
        _differs(groups, every),
        table,
        _panels(frame, tasks),
        columns=3,
    )


def _answer(judged: list[Judgement]) -> Answer:
    """Yes where most curves of a continuous metric survive; where none does, no, unless half of
    the curves of what is learnt are undecided."""
    survive = sum(j.verdict == "survives" for j in judged)
    if not judged or not survive:
        by: dict[str, list[bool]] = defaultdict(list)
        for j in judged:
            by[_what(j)].append(j.verdict == "undecided")
        open_ = any(2 * sum(found) >= len(found) for found in by.values())
        return "undecided here" if open_ else "no sign of it here"
    return "yes, here" if survive >= len(judged) / 2 else "in part"


def _said(axis: str, judged: list[Judgement]) -> str:
    """One axis in a sentence, by what is learnt."""
    if not judged:
        return f"Along {axis}: no curve has three rungs or more."
    parts = []
    for what in sorted({_what(j) for j in judged}):
        mine = [j for j in judged if _what(j) == what]
        verdicts = Counter(j.verdict for j in mine)
        told = ", ".join(f"{verdicts[v]} {v}" for v in VERDICTS if verdicts[v])
        parts.append(
            f"{what}: {sum(map(looks_sharp, mine))} of {len(mine)} look like a jump ({told})"
        )
    return f"Along {axis}, under cross-entropy and squared error, {'; '.join(parts)}."


def _differs(
    groups: Mapping[tuple[str, str, str], list[Judgement]], judged: list[Judgement]
) -> str:
    """Which curves survive, and what accuracy alone would have claimed."""
    said = []
    if any(axis == "step" and what != "regression" for axis, what, _ in groups):
        said.append("Along training step labels are asked with one example shown, as trained.")
    survive = [j for j in judged if j.verdict == "survives"]
    if survive:
        where = sorted({f"{_what(j)} along {AXES[j.curve.scale_name]}" for j in survive})
        said.append(f"Breaks that no smooth law makes are found in: {'; '.join(where)}.")
    accuracy = [
        j for (_, what, m), g in groups.items() if m == "accuracy" and what != IN_WEIGHTS for j in g
    ]
    if accuracy:
        said.append(
            f"Under accuracy {sum(map(looks_sharp, accuracy))} of {len(accuracy)} in-context "
            f"curves look like a jump; {sum(j.verdict == 'mirage' for j in accuracy)} are judged a "
            "mirage."
        )
    return " ".join(said)


def _what(j: Judgement) -> str:
    settings = dict(j.key.settings)
    part = settings.get("subtask")
    return f"labels {part}" if part else "regression"


def _panels(frame: pl.DataFrame, tasks: Sequence[object]) -> list[Panel]:
    """Three panels of the regression and three of the labels, of the first seed."""
    panels = []
    if "metric" in frame.columns:
        numbers = frame.filter(pl.col("metric") == "squared_error")
        panels += _number_panels(numbers.filter(pl.col("seed") == pl.col("seed").min()), tasks)
    if "subtask" in frame.columns:
        labels = frame.filter(pl.col("subtask").is_not_null())
        panels += _label_panels(labels.filter(pl.col("seed") == pl.col("seed").min()))
    return panels


_MODELS = "one line a model, by parameters; first seed"


def _number_panels(frame: pl.DataFrame, tasks: Sequence[object]) -> list[Panel]:
    by = _mean(last_step(frame), ["params", "shots"], "score")
    most = int(by.select(pl.col("shots").max()).item())
    along = _mean(frame.filter(pl.col("shots") == most), ["params", "step"], "score")
    points = [Point(k + 1, s, number(p)) for p, k, s in by.iter_rows()]
    for name, errors in _yardsticks(tasks).items():
        points += [Point(k + 1, s, name) for k, s in errors.items()]
    few = (1, 4, most)
    scaled = [Point(p, s, f"{k} examples") for p, k, s in by.iter_rows() if k in few]
    stepped = [Point(t, s, number(p)) for p, t, s in along.iter_rows()]

    def panel(title: str, subtitle: str, x_title: str, points: list[Point]) -> Panel:
        return Panel(
            f"regression: {title}",
            subtitle,
            x_title,
            "squared error",
            tuple(points),
            log_y=True,
            dashed=YARDSTICKS,
        )

    return [
        panel("error by examples", _MODELS, "examples in the prompt + 1", points),
        panel("error by scale", "after the last step; first seed", "parameters", scaled),
        panel(f"error by step, {most} examples", _MODELS, "training step", stepped),
    ]


def _label_panels(frame: pl.DataFrame) -> list[Panel]:
    right = pl.col("output") == pl.col("targets").list.first()
    frame = frame.with_columns(right=right.cast(pl.Float64))
    by = _mean(last_step(frame), ["params", "subtask", "shots"], "right")
    scaled = [Point(p, s, f"{what}, {k} shown") for p, what, k, s in by.iter_rows()]
    subtitle = "after the last step; first seed"
    panels = [Panel("labels: by scale", subtitle, "parameters", "accuracy", tuple(scaled))]
    for what, shots in (("in context", 1), ("in weights", 0)):
        part = frame.filter((pl.col("subtask") == what) & (pl.col("shots") == shots))
        along = _mean(part, ["params", "step"], "right")
        points = tuple(Point(t, s, number(p)) for p, t, s in along.iter_rows())
        panels.append(
            Panel(f"labels: {what}, by step", _MODELS, "training step", "accuracy", points)
        )
    return panels


def _mean(frame: pl.DataFrame, by: list[str], column: str) -> pl.DataFrame:
    return frame.group_by(by).agg(pl.col(column).mean()).sort(by)


def _yardsticks(tasks: Sequence[object]) -> dict[str, dict[int, float]]:
    """Squared error on the test sequences, by number of examples: least squares, which fails
    where examples are as many as dimensions, and ridge regression that knows the noise."""
    task = next((t for t in tasks if isinstance(t, RegressionTask)), None)
    if task is None:
        return {}
    arrays = task.test()
    inputs = np.asarray(arrays["inputs"], dtype=np.float32)
    true = np.asarray(arrays["values"], dtype=np.float64)
    found = {}
    for name, ridge in zip(YARDSTICKS, (0.0, task.noise**2 * task.dim), strict=True):
        error = ((least_squares(inputs, ridge) - true) ** 2).mean(axis=0)
        found[name] = {k: float(error[k]) for k in shots_asked(task.shots)}
    return found
