"""The audit in a terminal: the verdicts first, then why, in 80 columns or more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unmirage.report import axes, marks, text, words
from unmirage.report.groups import by_code, message
from unmirage.report.view import View, view
from unmirage.types import Audit

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.,-=+*#"
#: Up to this many curves are told in full.
FULL = 12
#: Of more curves, this many of the most interesting are shown.
MOST = 40
#: Lines longer than this tire the eye, however wide the terminal.
_WIDEST = 110


def show(audit: Audit, console: Console | None = None, *, every: bool = False) -> None:
    """Print the audit; ``every`` shows all curves instead of the most interesting."""
    console = console or Console(highlight=False)
    width = min(console.width, _WIDEST)
    plain = console.options.ascii_only
    for part in parts(view(audit), every=every, plain=plain):
        console.print(part, width=width)


def parts(audit: View, *, every: bool = False, plain: bool = False) -> Iterable[RenderableType]:
    """What ``show`` prints, piece by piece; ``plain`` keeps to ASCII signs."""
    yield headline(audit, plain)
    judged = audit["audits"]
    full = len(judged) <= FULL
    shown = judged if every or full else interesting(judged)
    best: dict[str, int] = {}
    for j in shown:
        rank = 0 if full else words.rank(j["verdict"])
        best[j["family"]] = min(rank, best.get(j["family"], rank))
    for i, family in enumerate(sorted(best, key=lambda name: (best[name], name))):
        members = [j for j in shown if j["family"] == family]
        yield Text()
        yield _family(family, members, full=full, plain=plain, header=i == 0)
    if len(shown) < len(judged):
        yield Text()
        yield _unshown(len(judged) - len(shown), judged)
    if judged:
        yield Text()
        yield _key(judged, plain)
    yield from _refusals(audit["refused"])
    yield from _notes(audit)


def interesting(judged: list[View]) -> list[View]:
    """The curves to look at first: the sharpest of each verdict in turn; never smooth ones."""
    places: Counter[str] = Counter()
    turns = []
    for j in sorted(judged, key=lambda j: -_sharpness(j)):
        if j["verdict"] != "smooth":
            turns.append((places[j["verdict"]], words.rank(j["verdict"]), j))
            places[j["verdict"]] += 1
    return [j for *_, j in sorted(turns, key=lambda turn: turn[:2])[:MOST]]


def _sharpness(j: View) -> float:
    share = marks.real(marks.value_of(j, "sharpness", "one_step_share"))
    return share if share is not None else 0.0


def spark(curve: View, most: int = 12, plain: bool = False) -> str:
    """The curve in at most ``most`` characters, one for each model where they fit."""
    scores = [p["score"] for p in curve["points"] if p["score"] is not None]
    if len(scores) > most:
        scores = [scores[round(i * (len(scores) - 1) / (most - 1))] for i in range(most)]
    low, high = axes.score_range(curve)
    signs = _ASCII if plain else _BLOCKS
    tops = [int((s - low) / (high - low) * len(signs)) for s in scores]
    return "".join(signs[min(max(t, 0), len(signs) - 1)] for t in tops)


# ---------------------------------------------------------------- pieces


def headline(audit: View, plain: bool = False) -> Text:
    """Counts by verdict, in one or two lines."""
    summary = audit["summary"]
    judged, refused = summary["judged"], summary["refused"]
    line = Text()
    line.append(f"{judged:,} {'curve' if judged == 1 else 'curves'}", style="bold")
    for verdict, sign in words.VERDICTS.items():
        count = summary["by_verdict"].get(verdict, 0)
        if count:
            line.append("  ")
            line.append(f"{sign.ascii if plain else sign.symbol} {count:,} {verdict}", sign.colour)
    if refused:
        line.append(f"  ({refused:,} not audited)", style="dim")
    causes = {k: v for k, v in summary["by_explanation"].items() if v}
    if causes:
        line.append("\nmirages explained by: " + ", ".join(f"{k} {v:,}" for k, v in causes.items()))
    return line


def _family(
    family: str, members: list[View], *, full: bool, plain: bool, header: bool
) -> RenderableType:
    table = Table(
        box=None,
        show_header=header,
        header_style="dim",
        show_edge=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        expand=True,
    )
    table.add_column("verdict", no_wrap=True, width=13)
    table.add_column("curve", no_wrap=True, width=13)
    table.add_column("task under metric, and why", ratio=1, overflow="fold")
    for i, j in enumerate(sorted(members, key=lambda j: (words.rank(j["verdict"]), j["label"]))):
        if i and full:
            table.add_row()
        table.add_row(_verdict(j, plain), _curve(j, plain), _why(j, full))
    heading = Text(text.shorten(family, 70), style="bold underline")
    heading.append(_sizes(members), style="not underline dim")
    return Group(heading, table)


def _sizes(members: list[View]) -> str:
    points = [p for j in members for p in j["curve"]["points"] if p["scale"]]
    if not points or len({j["scale_name"] for j in members}) > 1:
        return ""
    name = members[0]["scale_name"]
    ends = [text.scale(f(p["scale"] for p in points), name) for f in (min, max)]
    models = len({p["model"] for p in points})
    return f"  {models:,} models, {ends[0]} to {ends[1]} {words.scale_title(name)}"


def _verdict(j: View, plain: bool) -> Text:
    sign = words.sign(j["verdict"])
    cell = Text(f"{sign.ascii if plain else sign.symbol} {j['verdict']}", style=sign.colour)
    if j["explained_by"]:
        doubt = "?" if j["verdict"] == "undecided" else ""
        lines = "\n".join(f"  {text.visible(e)}{doubt}" for e in j["explained_by"])
        cell.append("\n" + lines, style="not bold default")
    return cell


def _curve(j: View, plain: bool) -> Text:
    scores = [p["score"] for p in j["curve"]["points"] if p["score"] is not None]
    cell = Text(spark(j["curve"], plain=plain))
    if scores:
        arrow = "to" if plain else "→"
        ends = f"{text.number(scores[0], 2)} {arrow} {text.number(scores[-1], 2)}"
        cell.append("\n" + ends, style="dim")
    return cell


def _why(j: View, full: bool) -> Text:
    cell = Text(text.shorten(j["task"], 60), style="bold")
    cell.append(" under ", style="not bold dim")
    cell.append(text.shorten(j["metric"], 40))
    if j["settings"]:
        held = ", ".join(f"{k}={v}" for k, v in j["settings"].items())
        cell.append("  " + text.shorten(held, 60), style="not bold dim")
    because = text.sentence(j["because"], 1000 if full else 240)
    cell.append("\n" + because, style="not bold")
    if full and j["would_change"]:
        cell.append("\nWould change it: " + text.visible(j["would_change"], 1000), "not bold dim")
    return cell


def _unshown(count: int, judged: list[View]) -> Text:
    smooth = sum(j["verdict"] == "smooth" for j in judged)
    line = Text(f"{count:,} more {'curve is' if count == 1 else 'curves are'} not shown here")
    if smooth:
        line.append(f" ({smooth:,} of them smooth)" if smooth < count else " (smooth)")
    line.append(": --all prints every one, --html FILE draws them, --json FILE holds the numbers.")
    return line


def _key(judged: list[View], plain: bool) -> RenderableType:
    """One line for each verdict that occurs."""
    present = {j["verdict"] for j in judged}
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, width=13)
    table.add_column(ratio=1)
    for verdict, sign in words.VERDICTS.items():
        if verdict in present:
            symbol = sign.ascii if plain else sign.symbol
            meaning = Text(sign.meaning, style="dim")
            table.add_row(Text(f"{symbol} {verdict}", style=sign.colour), meaning)
    return table


def _refusals(refused: list[View]) -> Iterable[RenderableType]:
    if not refused:
        return
    yield Text()
    yield Text("Not audited", style="bold")
    for group in by_code(refused):
        one = group.first
        line = Text(f"{len(group.members):,} × {text.visible(group.title, 60)}: ")
        line.append(text.visible(one["reason"], 200).rstrip("."))
        line.append(f" ({text.shorten(one['label'], 60)}). ", style="dim")
        line.append("Mend: " + text.visible(one["mend"], 300))
        yield Padding(line, (0, 0, 0, 2), expand=False)


def _notes(audit: View) -> Iterable[RenderableType]:
    own = [n for j in audit["audits"] for n in j["notes"]]
    return note_lines([*audit["notes"], *own])


def note_lines(notes: Sequence[View]) -> Iterable[RenderableType]:
    """A line for each kind of note."""
    groups = by_code(notes)
    if not groups:
        return
    yield Text()
    yield Text("Notes", style="bold")
    for group in groups:
        one = group.first
        line = Text("! " if one["level"] == "warning" else "- ")
        line.append(text.visible(message(one), 300))
        if one["file"]:
            line.append(f" ({text.shorten(one['file'], 60)})", style="dim")
        if len(group.members) > 1:
            line.append(f"  and {len(group.members) - 1:,} more like it", style="dim")
        yield Padding(line, (0, 0, 0, 2), expand=False)


def bare_table(plain: bool) -> Table:
    """A table without edges; ``plain`` for a console that knows ASCII alone."""
    return Table(
        box=box.ASCII2 if plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )


# ---------------------------------------------------------------- metrics


def metric_table(
    rows: list[dict[str, Any]], *, width: int = 80, plain: bool = False
) -> RenderableType:
    """The registered metrics, as ``unmirage.metrics.table`` describes them."""
    table = bare_table(plain)
    stacked = width < _WIDEST  # then the needs go below the name
    headings = ("metric", "range", "chance", "better", "linear", "contin.")
    for heading in headings if stacked else (*headings, "needs"):
        table.add_column(heading, overflow="fold", no_wrap=heading not in ("metric", "needs"))
    for row in rows:
        name, needs = Text(text.visible(row["name"]), style="bold"), Text(_needs(row))
        if stacked:
            name.append("\n  " + needs.plain.replace(", ", ",\n  "), style="not bold dim")
        table.add_row(
            name,
            _range(row),
            "" if row["chance_of_4"] is None else text.number(row["chance_of_4"]),
            row["direction"],
            "yes" if row["linear"] else "-",
            "yes" if row["continuous"] else "-",
            *([] if stacked else [needs]),
        )
    foot = Text("chance: of an item with four choices. ", style="dim")
    foot.append("linear: in the per-token quantity at fixed length. ")
    foot.append("contin.: continuous in the model's probabilities.")
    return Group(table, Text(), foot)


def _range(row: dict[str, Any]) -> str:
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{text.number(row['low'])} to {text.number(row['high'])}{unit}"


def _needs(row: dict[str, Any]) -> str:
    """Fields that occur again behind an "or" of their own are named once."""
    seen: set[str] = set()
    needs = []
    for need in str(row["needs"]).split(", "):
        fields = need.split("|")
        if not seen.issuperset(fields):  # else it only says which of the former go together
            needs.append(" or ".join(fields))
        seen.update(fields)
    missing = (
        f" (install unmirage[{row['extra']}])" if row["extra"] and not row["installed"] else ""
    )
    return text.visible(", ".join(needs)) + missing
