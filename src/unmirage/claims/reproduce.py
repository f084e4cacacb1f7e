"""Train, judge, write: the table of claims, its pictures and its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.auditing import audit
from unmirage.claims import analyses, incontext, length, metric, resolution, vision
from unmirage.claims.claim import Cell, Claim, last_step, number
from unmirage.claims.runs import RUNS
from unmirage.errors import FileProblem, OptionError
from unmirage.lab import ladder, tasks
from unmirage.multiverses import multiverse
from unmirage.records import read
from unmirage.report.files import write
from unmirage.report.panels import chart, save
from unmirage.types import Audit, Multiverse

#: which runs each claim needs
NEEDS: dict[str, tuple[str, ...]] = {
    "P1": ("multiplication", "addition", "recall"),
    "P2": ("multiplication", "addition", "addition-4"),
    "P3": ("recall", "addition-2-6"),
    "P7": ("autoencoder",),
    "P8": ("glyphs",),
    "P9": ("digits",),
    "P10": ("multiplication", "addition", "recall"),
    "P11": ("icl",),
}

_VISION = {"P7": vision.autoencoder, "P8": vision.glyphs, "P9": vision.digits}

#: tokens from which on an answer counts as long (the article's leaps are of 4 and 5)
LONG = 4


@dataclass(frozen=True)
class Settings:
    """Of the audits behind the claims."""

    draws: int = 300
    seed: int = 0


def reproduce(
    out: str | Path,
    claims: Sequence[str] = (),
    *,
    quick: bool = False,
    workers: int | None = None,
    device: str = "auto",
    tell: Callable[[str, ladder.Progress], None] = lambda run, progress: None,
    settings: Settings | None = None,
) -> list[Claim]:
    """Train what is missing in ``out``/runs and write science.md, claims.json and the pictures.

    Interrupted, the same call goes on where it stopped.

    Raises:
        OptionError: a claim nobody knows.
        and all that :func:`unmirage.lab.ladder.run` raises.
    """
    wanted = list(dict.fromkeys(claims)) or list(NEEDS)
    for name in wanted:
        if name not in NEEDS:
            raise OptionError(f"no claim is named {name!r}", mend=f"claims: {', '.join(NEEDS)}")
    out, chosen = Path(out), settings or Settings()
    needed = [run for run in RUNS if any(run in NEEDS[c] for c in wanted)]
    frames, learnt = {}, {}
    for run in needed:
        done = ladder.run(
            RUNS[run].rungs(quick),
            out / "runs" / run,
            workers=workers,
            device=device,
            tell=lambda progress, run=run: tell(run, progress),  # type: ignore[misc]
        )
        frames[run] = pl.concat([pl.read_parquet(d.path) for d in done], how="diagonal")
        learnt[run] = list(
            dict.fromkeys((d.rung.task, d.rung.task_seed, d.rung.options) for d in done)
        )
    found = [_judge(name, frames, learnt, chosen) for name in wanted]
    _write(out, found, quick, [] if set(wanted) == set(NEEDS) else _others(out, wanted))
    return found


def _judge(
    name: str, frames: dict[str, pl.DataFrame], learnt: dict[str, list[Any]], settings: Settings
) -> Claim:
    mine = [frames[run] for run in NEEDS[name]]
    if name == "P1":
        long = [f.filter(pl.col("targets").list.first().str.len_chars() >= LONG) for f in mine]
        return metric.judge(
            {
                "params": [_audit(last_step(f), metric.METRICS, settings) for f in long],
                "step": [_audit(_largest(f), metric.METRICS, settings, "step") for f in long],
            }
        )
    if name == "P2":
        return resolution.judge(mine)
    if name == "P3":
        return length.judge(mine)
    if name == "P10":
        return analyses.judge([_multiverse(last_step(f), settings) for f in mine])
    if name in _VISION:

        def ask(frame: pl.DataFrame, metrics: Sequence[str]) -> Audit:
            return _audit(frame, metrics, settings)

        return _VISION[name](mine[0], ask)
    made = [tasks.make(task, seed, dict(options)) for task, seed, options in learnt["icl"]]
    by_step = _longest_context(mine[0])
    audits = {
        "params": _audit(last_step(mine[0]), incontext.METRICS, settings),
        "shots": _audit(last_step(mine[0]), incontext.METRICS, settings, scale="shots"),
        "step": _audit(by_step, incontext.METRICS, settings, scale="step"),
    }
    return incontext.judge(audits, mine[0], made)


def _audit(
    frame: pl.DataFrame, metrics: Sequence[str], settings: Settings, scale: str | None = None
) -> Audit:
    frame = frame.select(c for c in frame.columns if frame[c].null_count() < len(frame))
    return audit(read(frame), metric=metrics, scale=scale, draws=settings.draws, seed=settings.seed)


def _multiverse(frame: pl.DataFrame, settings: Settings) -> Multiverse:
    frame = frame.select(c for c in frame.columns if frame[c].null_count() < len(frame))
    return multiverse(read(frame), metric=analyses.METRICS, judged=200, seed=settings.seed)


def _largest(frame: pl.DataFrame) -> pl.DataFrame:
    """The largest size, at every recorded step; of the items that every step was asked."""
    mine = frame.filter(pl.col("params") == pl.col("params").max())
    steps = pl.col("step").n_unique()
    asked = steps.over("model", "task", "subtask", "item") == steps.over("model")
    return mine.filter(asked)


def _longest_context(frame: pl.DataFrame) -> pl.DataFrame:
    """Regression with the most examples; labels with one shown, as trained, and with none."""
    if "subtask" not in frame.columns:
        return frame.filter(pl.col("shots") == pl.col("shots").max().over("task"))
    most = pl.col("shots").max().over("task", "subtask")
    labels = pl.col("subtask").is_not_null()
    return frame.filter(pl.col("shots") == pl.when(labels).then(most.clip(0, 1)).otherwise(most))


# ---------------------------------------------------------------- writing


def _others(out: Path, made: Sequence[str]) -> list[Claim]:
    """Claims judged before in this folder that are not made anew; their pictures stay."""
    path = out / "claims.json"
    if not path.exists():
        return []
    try:
        old = [Claim(**body, panels=()) for body in json.loads(path.read_text("utf-8"))]
    except (ValueError, TypeError) as error:
        raise FileProblem(
            f"it holds no claims ({error})", file=str(path), mend="remove it, or use another --out"
        ) from None
    return [c for c in old if c.id in NEEDS and c.id not in made]


def _write(out: Path, new: Sequence[Claim], quick: bool, old: Sequence[Claim]) -> None:
    for claim in new:
        drawn = chart(f"{claim.id}: {claim.title}", claim.panels, claim.columns)
        for suffix in (".svg", ".png"):
            write(out / "pictures" / f"{claim.id}{suffix}", save(drawn, suffix))
    claims = sorted([*new, *old], key=lambda c: list(NEEDS).index(c.id))
    body = [
        {
            "id": c.id,
            "title": c.title,
            "article": c.article,
            "answer": c.answer,
            "ours": c.ours,
            "differs": c.differs,
            "table": [dict(row) for row in c.table],
        }
        for c in claims
    ]
    write(out / "claims.json", json.dumps(body, indent=1) + "\n")
    write(out / "science.md", to_markdown(claims, quick))


_HEAD = """# The claims of the source article, on our own families

Made by `unmirage lab reproduce --out DIR`: it trains the ladders, asks them, audits the records and
writes this page, the pictures and `claims.json`. The article is *Are Emergent Abilities of Large
Language Models a Mirage?* (Schaeffer, Miranda and Koyejo 2023, arXiv 2304.15004).

Accuracy here is exact match; a curve *looks like a jump* when it is at least twice as steep as a
straight line in log scale, or when nothing is there in the first half of the range (both at the 5 %
level against a straight line with the same noise). The audit begins by this rule and takes up
curves in which a break stands out as well, so verdicts can outnumber looks. Curves of one model at
several target lengths, and metrics of the same outputs, are not independent.
"""


def to_markdown(claims: Sequence[Claim], quick: bool = False) -> str:
    """The page: one table of all claims, then a section each."""
    parts = [_HEAD]
    if quick:
        parts.append("**A quick run, to try the command: too few steps for any of the figures.**\n")
    parts.append("| claim | the article | our families | |\n|---|---|---|---|")
    for c in claims:
        parts.append(f"| {c.id} | {c.title} | {c.ours} | **{c.answer}** |")
    for c in claims:
        parts += [
            f"\n## {c.id}. {c.title}\n",
            f"*The article.* {c.article}\n",
            f"*Here: {c.answer}.* {c.ours}\n",
        ]
        if c.differs:
            parts.append(f"*Where it differs.* {c.differs}\n")
        parts += [f"![{c.id}: {c.title}](pictures/{c.id}.svg)\n", _table(c)]
    return "\n".join(parts) + "\n"


def _table(claim: Claim) -> str:
    if not claim.table:
        return ""
    names = list(claim.table[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in claim.table:
        lines.append("| " + " | ".join(_cell(row.get(name)) for name in names) + " |")
    return "\n".join(lines)


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) else value
