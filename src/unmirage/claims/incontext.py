"""P11: is few-shot learning the real exception? Our in-context families, audited on three axes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from unmirage.claims.claim import Answer, Cell, Claim, last_step, looks_sharp, number
from unmirage.lab.incontext import RegressionTask, least_squares, shots_asked
from unmirage.report.panels import Panel, Point
from unmirage.types import Audit, Judgement

AXES = {"params": "scale", "shots": "number of examples", "step": "training step"}
METRICS = ("accuracy", "cross_entropy", "squared_error")
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
                **{v: verdicts.get(v, 0) for v in ("survives", "mirage", "undecided", "smooth")},
            }
        )
    said = []
    any_survives, any_smooth = False, False
    for axis, name in AXES.items():
        learnt = [
            j
            for (a, what, _), g in groups.items()
            if a == axis and "weights" not in what
            for j in g
        ]
        if not learnt:
            continue
        verdicts = Counter(j.verdict for j in learnt)
        any_survives |= verdicts["survives"] > 0
        any_smooth |= verdicts["survives"] < len(learnt) / 2
        parts = ", ".join(
            f"{verdicts[v]} {v}" for v in ("survives", "mirage", "undecided", "smooth")
        )
        said.append(f"along {name}, {len(learnt)} curves: {parts}")
    answer: Answer = (
        "not here" if not any_survives else ("in part" if any_smooth else "as the article says")
    )
    return Claim(
        "P11",
        "Is few-shot learning the real exception?",
        "Left open in the article: in-context learning may be a candidate for real emergence.",
        answer,
        "In-context learning, audited: " + "; ".join(said) + ".",
        "",
        table,
        _panels(frame, tasks),
        columns=3,
    )


def _what(j: Judgement) -> str:
    settings = dict(j.key.settings)
    part = settings.get("subtask")
    return "labels, " + part if part else "regression"


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
