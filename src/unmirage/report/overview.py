"""What a reading found, on the terminal and as JSON (``unmirage.read/1``)."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from unmirage.overview import Chain, Compared, ModelSeen, Overview, TaskSeen
from unmirage.report import text
from unmirage.report.terminal import bare_table, note_lines
from unmirage.report.view import notes_view, package_version, plain

SCHEMA = "unmirage.read/1"
#: rows of a table that are shown where not all are asked for
SHOWN = 20


def to_json(found: Overview) -> str:
    """Everything in the overview; NaN is null."""
    view = {
        "schema": SCHEMA,
        "version": package_version(),
        "formats": [{"name": name, "files": n} for name, n in found.formats],
        "files": found.files,
        "answers": found.answers,
        "scores": found.scores,
        "models": [dataclasses.asdict(m) for m in found.models],
        "tasks": [dataclasses.asdict(t) for t in found.tasks],
        "compared": [dataclasses.asdict(c) for c in found.compared],
        "chains": [_chain_view(c) for c in found.chains],
        "notes": notes_view(found.notes),
        "warnings": found.warnings,
    }
    written = json.dumps(plain(view), ensure_ascii=False, allow_nan=False, indent=1)
    return text.json_safe(written) + "\n"


def _chain_view(chain: Chain) -> dict[str, Any]:
    key = chain.key
    return {
        "family": key.family,
        "task": key.task,
        "settings": dict(key.settings),
        "scale_name": chain.scale_name,
        "scale": chain.scale.tolist(),
        "models": list(chain.models),
        "items": chain.items,
        "steps": [
            {
                "name": s.name,
                "title": s.title,
                "score": s.score.tolist(),
                "spearman": dataclasses.asdict(s.spearman),
                "pearson": dataclasses.asdict(s.pearson),
            }
            for s in chain.steps
        ],
    }


def show(found: Overview, console: Console, *, every: bool = False) -> None:
    """Print the overview."""
    limit = None if every else SHOWN
    ascii_only = console.options.ascii_only
    console.print(Group(*_parts(found, limit, ascii_only)))


def _parts(found: Overview, limit: int | None, ascii_only: bool) -> Iterable[RenderableType]:
    formats = ", ".join(f"{n:,} x {text.visible(name)}" for name, n in found.formats)
    counts = ((found.files, "file"), (found.answers, "row of answers"), (found.scores, "score"))
    what = [_count(n, one) for n, one in counts if n]
    yield Text(f"Read: {', '.join(what)}" + (f"  ({formats})" if formats else ""), style="bold")
    yield Text()
    yield _table("Models", _MODELS, [_model(m) for m in found.models], limit, ascii_only)
    yield Text()
    yield _table("Tasks", _TASKS, [_task(t) for t in found.tasks], limit, ascii_only)
    if found.compared:
        yield Text()
        rows = _by_task(found.compared)
        yield _table("Recomputed against reported", _COMPARED, rows, limit, ascii_only)
    if found.chains:
        yield Text()
        yield Text("How single items follow scale, step by step", style="bold")
        yield Text(
            "mean over items of Pearson's correlation between score and log scale; in brackets the "
            "share of items whose score is not the same in every model",
            style="dim",
        )
        for chain in found.chains[:limit]:
            yield Padding(_chain(chain, ascii_only), (0, 0, 0, 2), expand=False)
        if limit is not None and len(found.chains) > limit:
            yield Text(f"  {len(found.chains) - limit:,} more: --all", style="dim")
    if limit is not None:
        yield from note_lines(notes_view(found.notes))
    elif found.notes:
        yield Text()
        yield Text("Notes", style="bold")
        for n in found.notes:
            line = Text(f"{'!' if n.level == 'warning' else '-'} {text.visible(n.message, 300)}")
            line.append(f" ({n.count:,})" if n.count is not None else "", style="dim")
            line.append(f" {text.shorten(n.file, 60)}" if n.file else "", style="dim")
            yield Padding(line, (0, 0, 0, 2), expand=False)


def _count(n: int, one: str) -> str:
    """One or several.

    >>> _count(2, "row of answers")
    '2 rows of answers'
    """
    first, space, rest = one.partition(" ")
    return f"{n:,} {first}{'' if n == 1 else 's'}{space}{rest}"


_MODELS = ("model", "family", "params", "tokens", "size from", "rows")
_TASKS = ("task", "models", "items", "shots", "can be computed", "reported")
_COMPARED = ("task", "metric", "models", "ours", "reported", "differ", "why")


def _table(
    title: str,
    headings: tuple[str, ...],
    rows: list[tuple[str, ...]],
    limit: int | None,
    ascii_only: bool,
) -> RenderableType:
    table = bare_table(ascii_only)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows[:limit]:
        table.add_row(*(Text(cell) for cell in row))
    parts: list[RenderableType] = [Text(f"{title}: {len(rows):,}", style="bold"), table]
    if limit is not None and len(rows) > limit:
        parts.append(Text(f"{len(rows) - limit:,} more: --all", style="dim"))
    return Group(*parts)


def _model(m: ModelSeen) -> tuple[str, ...]:
    steps = f" ({m.checkpoints:,} checkpoints)" if m.checkpoints > 1 else ""
    return (
        text.shorten(m.name, 50) + steps,
        text.shorten(m.family or "-", 24),
        text.scale(m.params),
        text.scale(m.tokens, "tokens"),
        text.visible(m.source or "unknown"),
        f"{m.rows:,}",
    )


def _task(t: TaskSeen) -> tuple[str, ...]:
    return (
        text.shorten(t.name, 40),
        f"{t.models:,}",
        f"{t.items:,}" if t.items else "-",
        ", ".join(map(str, t.shots)) or "-",
        ", ".join(t.possible) or "-",
        text.visible(", ".join(t.reported), 80) or "-",
    )


def _by_task(compared: tuple[Compared, ...]) -> list[tuple[str, ...]]:
    """One row for each task and metric; the reasons of its models together."""
    groups: dict[tuple[str, str, str], list[Compared]] = defaultdict(list)
    for c in compared:
        groups[(c.task, c.metric, c.reported_as)].append(c)
    rows: list[tuple[str, ...]] = []
    for (task, metric, told), ones in groups.items():
        weights = [c.items for c in ones]
        ours = float(np.average([c.ours for c in ones], weights=weights))
        theirs = float(np.average([c.theirs for c in ones], weights=weights))
        differ, total = sum(c.differ for c in ones), sum(weights)
        whole = told.endswith("(of all items)")
        unit = f"{differ:,} of {len(ones):,} means" if whole else f"{differ:,} of {total:,}"
        name = metric if metric == told else f"{metric} (as {text.shorten(told, 30)})"
        why = "; ".join(dict.fromkeys(c.reason for c in ones if c.reason))
        rows.append(
            (
                text.shorten(task, 40),
                name,
                f"{len(ones):,}",
                text.number(ours, 4),
                text.number(theirs, 4),
                unit if differ else "none",
                text.visible(why, 200),
            )
        )
    return rows


def _chain(chain: Chain, ascii_only: bool) -> Text:
    arrow = " -> " if ascii_only else " → "
    key = chain.key
    line = Text(text.shorten(key.task, 40), style="bold")
    held = "".join(f", {k}={v}" for k, v in key.settings)
    models = f"{len(chain.models)} models, {chain.items:,} items"
    line.append(f"  {text.shorten(key.family, 30)}, {models}{text.shorten(held, 60)}\n", "dim")
    steps = []
    for s in chain.steps:
        share = f" [{100 * s.pearson.defined:.0f} %]" if s.pearson.defined < 1 else ""
        steps.append(f"{s.title} {text.number(s.pearson.mean, 2)}{share}")
    line.append(arrow.join(steps), style="not bold")
    return line
