"""A multiverse on the terminal, as JSON and as a table; it computes no statistics."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unmirage.errors import OptionError
from unmirage.report import files, text, words
from unmirage.report.terminal import bare_table, note_lines
from unmirage.report.view import (
    View,
    judgement_view,
    notes_view,
    package_version,
    plain,
    refusal_view,
)
from unmirage.types import Audit, Multiverse, Share, Universe

SCHEMA = "unmirage.multiverse/1"
#: tasks told in full, and rows of the table of tasks
FULL, SHOWN = 3, 40
#: levels of a choice that are told, the most telling first
LEVELS = 8


def view(found: Multiverse) -> View:
    """Everything as plain values; NaN and infinities are None."""
    return {
        "schema": SCHEMA,
        "version": package_version(),
        "settings": plain(found.settings),
        "notes": notes_view(found.notes),
        "universes": [_universe_view(u) for u in found.universes],
        "refused": [refusal_view(r) for r in found.refused],
    }


def to_json(found: Multiverse) -> str:
    written = json.dumps(view(found), ensure_ascii=False, allow_nan=False, indent=1)
    return text.json_safe(written) + "\n"


def _universe_view(u: Universe) -> View:
    return {
        "family": u.family,
        "task": u.task,
        "choices": {name: list(levels) for name, levels in u.choices.items()},
        "total": u.total,
        "analyses": u.table.height,
        "distinct_curves": u.table["curve"].n_unique(),
        "whole": _share_view(u.whole),
        "shares": [_share_view(s) for s in u.shares],
        "judged": len(u.judged),
        "sample": len(u.sample),
        "verdicts": {s.level: s.reporting for s in u.verdicts},
        "verdict_shares": [_share_view(s) for s in u.verdicts],
        "create": _extreme_view(u, u.create, u.create_says),
        "dissolve": _extreme_view(u, u.dissolve, u.dissolve_says),
        "table": [plain(row) for row in u.table.iter_rows(named=True)],
    }


def _share_view(share: Share) -> View:
    values = plain(dataclasses.asdict(share))
    return {**values, "share": plain(share.share), "word": share.word}


def _extreme_view(u: Universe, row: int, says: str) -> View:
    judged = u.judged.get(row)
    return {
        "row": row,
        "says": says,
        "analysis": plain(u.table.row(row, named=True)),
        "audit": judgement_view(judged) if judged is not None else None,
    }


def to_frame(found: Multiverse) -> pl.DataFrame:
    """One row an analysis; a choice that a task does not have is null."""
    frames = []
    for u in found.universes:
        frames.append(
            u.table.select(pl.lit(u.family).alias("family"), pl.lit(u.task).alias("task"), pl.all())
        )
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def table_bytes(found: Multiverse, suffix: str) -> bytes:
    """The table as ``.csv`` or ``.parquet``.

    Raises OptionError where the suffix is another.
    """
    if suffix not in (".csv", ".parquet"):
        raise OptionError(f"a table is no {suffix!r} file", mend="-o NAME.csv or -o NAME.parquet")
    return files.table_bytes(to_frame(found), suffix)


# ---------------------------------------------------------------- terminal


def show(found: Multiverse, console: Console, *, every: bool = False) -> None:
    """Print the multiverse; ``every`` tells all tasks in full."""
    plain_signs = console.options.ascii_only
    for part in parts(found, every=every, plain=plain_signs):
        console.print(part, width=min(console.width, 110))


def show_extreme(found: Multiverse, which: str, console: Console) -> None:
    """Print the analysis of every task that looks most ("create") or least ("dissolve") so."""
    from unmirage.report import terminal

    for u in found.universes:
        row, says = (
            (u.create, u.create_says) if which == "create" else (u.dissolve, u.dissolve_says)
        )
        title = f"{which.capitalize()}: {text.shorten(u.family, 40)} / {text.shorten(u.task, 60)}"
        console.print(Text(title, style="bold underline"))
        console.print(Text(text.visible(says)), width=min(console.width, 110))
        console.print(Text(_numbers(u, row), style="dim"))
        if row in u.judged:
            terminal.show(Audit((u.judged[row],), (), (), {}), console)
        console.print()


def _numbers(u: Universe, row: int) -> str:
    r = u.table.row(row, named=True)
    return (
        f"emergence score {text.number(r['emergence_score'])} ({text.number(r['per_step'])} per "
        f"step), {text.number(r['steepness'])} times as steep as a straight line, "
        f"{'reports' if r['reports'] else 'does not report'} an ability"
    )


def parts(found: Multiverse, *, every: bool, plain: bool) -> Iterable[RenderableType]:
    """What ``show`` prints, piece by piece."""
    universes = found.universes
    yield Text(_headline(universes), style="bold")
    full = universes if every or len(universes) <= FULL else ()
    if not full:
        yield Text()
        yield from _tasks(universes, plain)
    for u in full:
        yield Text()
        yield Group(*_told(u, plain))
    yield from note_lines(notes_view(found.notes))


def _headline(universes: Sequence[Universe]) -> str:
    looked = sum(u.whole.analyses for u in universes)
    reporting = sum(u.whole.reporting for u in universes)
    tasks = "1 task" if len(universes) == 1 else f"{len(universes):,} tasks"
    return (
        f"{looked:,} analyses of the same outputs, {tasks}: {reporting:,} "
        f"({_percent(reporting / max(looked, 1))}) would report an ability"
    )


def _tasks(universes: Sequence[Universe], plain: bool) -> Iterable[RenderableType]:
    table = bare_table(plain)
    for name in ("task", "analyses", "report an ability", "creates most", "dissolves most"):
        table.add_column(name, overflow="fold")
    ordered = sorted(universes, key=lambda u: (-u.whole.share, u.family, u.task))
    for u in ordered[:SHOWN]:
        table.add_row(
            Text(f"{text.shorten(u.family, 24)} / {text.shorten(u.task, 34)}"),
            f"{u.whole.analyses:,}",
            _share(u.whole),
            Text(_most(u, 1)),
            Text(_most(u, -1)),
        )
    yield table
    left = len(universes) - SHOWN
    if left > 0:
        yield Text(f"{left:,} more tasks: --all, or --task NAME for one in full", style="dim")


def _most(u: Universe, sign: int) -> str:
    """The level with the largest effect, where its interval excludes 0 (or is unknown)."""
    told = [s for s in u.shares if sign * s.effect > 0 and s.analyses > 1]
    sure = [s for s in told if s.word]
    best = max(sure, key=lambda s: sign * s.effect, default=None)
    return f"{best.choice} {text.shorten(best.level, 30)}" if best else "–"


def _told(u: Universe, plain: bool) -> Iterable[RenderableType]:
    name = f"{text.shorten(u.family, 40)} / {text.shorten(u.task, 60)}"
    yield Text(name, style="bold underline")
    looked = f"{u.whole.analyses:,} analyses"
    if u.total > u.whole.analyses:
        looked += f" drawn from {u.total:,}"
    counts = ", ".join(f"{len(v)} {text.visible(c, 30)}" for c, v in u.choices.items())
    yield Text(
        f"{looked} ({u.table['curve'].n_unique():,} different curves); levels: {counts}", "dim"
    )
    yield Text(f"Would report an ability: {_share(u.whole)}")
    yield _verdict_line(u, plain)
    for sign, says in (("Create", u.create_says), ("Dissolve", u.dissolve_says)):
        line = Text(f"{sign}: ", style="bold")
        line.append(text.visible(says), style="not bold")
        yield line
    yield Text()
    yield _levels(u, plain)


def _verdict_line(u: Universe, plain: bool) -> Text:
    n = len(u.sample)
    which = "all" if n == u.total else f"{n:,} drawn at random"
    line = Text(f"Judged in full ({which}):" if n else "None but the two extremes is judged")
    for share in u.verdicts:
        sign = words.sign(share.level)
        line.append("  ")
        said = f"{sign.ascii if plain else sign.symbol} {share.level} {_share(share)}"
        line.append(said, sign.colour)
    return line


def _levels(u: Universe, plain: bool) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in range(3):
        table.add_column(no_wrap=True)
    for choice in dict.fromkeys(s.choice for s in u.shares):
        mine = [s for s in u.shares if s.choice == choice]
        shown = sorted(mine, key=lambda s: -abs(s.effect))[:LEVELS] if len(mine) > LEVELS else mine
        table.add_row(Text(text.visible(choice, 40), style="bold"), "", "", "")
        for s in mine:
            if s in shown:
                style = {"creates": "bold red", "dissolves": "bold blue"}.get(s.word, "")
                table.add_row(
                    Text("  " + text.shorten(s.level, 44)),
                    _bar(s.share, plain),
                    _share(s),
                    Text(s.word, style=style),
                )
        if len(shown) < len(mine):
            table.add_row(Text(f"  {len(mine) - len(shown)} more: --html, --json", "dim"), "", "")
    return Padding(table, (0, 0, 0, 0), expand=False)


def _bar(share: float, plain: bool, width: int = 12) -> str:
    full = round(width * share) if share == share else 0
    return ("#" if plain else "█") * full + ("." if plain else "·") * (width - full)


def _share(s: Share) -> str:
    words_ = f"{_percent(s.share)} ({s.reporting:,} of {s.analyses:,})"
    if s.low != s.low:
        return words_
    return f"{words_}, 90 %: {_percent(s.low)} to {_percent(s.high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
