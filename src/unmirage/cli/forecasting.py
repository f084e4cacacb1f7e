"""``unmirage forecast`` and ``unmirage backtest``: what a larger model will score, and how well
that is foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unmirage.cli.shared import (
    BY,
    CHANCE,
    CHECKPOINT,
    DEBUG,
    FAMILY,
    HIGHER,
    HTML,
    IGNORE,
    ITEMS,
    LOWER,
    METRIC,
    MODELS,
    PATHS,
    PERCENT,
    QUIET,
    READ_COLUMNS,
    READ_SCORES,
    SEED,
    SKIP_BAD,
    STRICT,
    TASK,
    WHERE,
    Many,
    curve_options,
    errors,
    load,
    make_console,
    progress_bar,
    read_options,
    say,
)
from unmirage.errors import OptionError

_JSON = typer.Option("--json", metavar="FILE", help="Write JSON (docs/json.md); - for stdout.")
_ROUTE = typer.Option(
    metavar="NAME", help="process, metric, two_step, combined, or a law (docs/forecasting.md)."
)
_OUT = typer.Option("--out", "-o", metavar="FILE", help="Write a table: .csv or .parquet.")
_PICTURES = typer.Option("--pictures", metavar="DIR", help="Write a PNG and an SVG of each fan.")


def forecast(
    paths: Annotated[list[str], PATHS],
    to: Annotated[
        list[str],
        typer.Option(
            "--to",
            metavar="SCALE=X",
            help="The target: params=7e10, or params=7e10,tokens=1e12, or k=1000.",
        ),
    ],
    family: Annotated[Many, FAMILY] = None,
    task: Annotated[Many, TASK] = None,
    metric: Annotated[Many, METRIC] = None,
    route: Annotated[str, _ROUTE] = "process",
    where: Annotated[Many, WHERE] = None,
    columns: Annotated[Many, READ_COLUMNS] = None,
    scores: Annotated[Many, READ_SCORES] = None,
    by: Annotated[Many, BY] = None,
    ignore: Annotated[Many, IGNORE] = None,
    checkpoint: Annotated[str, CHECKPOINT] = "final",
    higher_is_better: Annotated[Many, HIGHER] = None,
    lower_is_better: Annotated[Many, LOWER] = None,
    percent: Annotated[Many, PERCENT] = None,
    items: Annotated[int | None, ITEMS] = None,
    chance: Annotated[Many, CHANCE] = None,
    models: Annotated[Path | None, MODELS] = None,
    skip_bad: Annotated[bool, SKIP_BAD] = False,
    strict: Annotated[bool, STRICT] = False,
    seed: Annotated[int, SEED] = 0,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of each forecast.")] = 1000,
    html: Annotated[Path | None, HTML] = None,
    json: Annotated[str | None, _JSON] = None,
    out: Annotated[Path | None, _OUT] = None,
    pictures: Annotated[Path | None, _PICTURES] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show every forecast, however many.")
    ] = False,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Forecast the scores of a larger model, with intervals that hold."""
    with errors(debug):
        from unmirage.forecasting import forecast as make
        from unmirage.report import forecasts as report

        aim = target(to)
        targets = _outputs(html, json, out)
        how = read_options(columns, scores, percent, skip_bad, models, strict)
        records = load(paths, targets, quiet, how)
        options = curve_options(
            family, task, metric, where, by, ignore, checkpoint, higher_is_better,
            lower_is_better, items, chance, seed,
        )  # fmt: skip
        with progress_bar("forecasting", quiet) as progress:
            made = make(
                records, to=aim, route=route, draws=draws, fan=bool(html or pictures or json),
                progress=progress, **options,
            )  # fmt: skip
        if json == "-":
            typer.echo(report.to_json(made), nl=False)
        elif not quiet:
            _show(report.to_text(made, every))
        if html:
            from unmirage.report.forecast_page import to_html

            _write(html, to_html(made), quiet)
        if json and json != "-":
            _write(json, report.to_json(made), quiet)
        if out:
            _write(out, _table(report.to_frame(made), out), quiet)
        if pictures:
            _draw(made, pictures, quiet)


def backtest(
    paths: Annotated[list[str], PATHS],
    hold_out: Annotated[
        str, typer.Option("--hold-out", metavar="N,...", help="Largest rungs to hold out.")
    ] = "1,2,3",
    scale: Annotated[
        str | None, typer.Option(metavar="NAME", help="Scale axis: params, flops, tokens or step.")
    ] = None,
    family: Annotated[Many, FAMILY] = None,
    task: Annotated[Many, TASK] = None,
    metric: Annotated[Many, METRIC] = None,
    group: Annotated[
        str, typer.Option("--group", metavar="COLUMN", help="A row of the table for each: task.")
    ] = "task",
    route: Annotated[str, _ROUTE] = "process",
    where: Annotated[Many, WHERE] = None,
    columns: Annotated[Many, READ_COLUMNS] = None,
    scores: Annotated[Many, READ_SCORES] = None,
    by: Annotated[Many, BY] = None,
    ignore: Annotated[Many, IGNORE] = None,
    checkpoint: Annotated[str, CHECKPOINT] = "final",
    higher_is_better: Annotated[Many, HIGHER] = None,
    lower_is_better: Annotated[Many, LOWER] = None,
    percent: Annotated[Many, PERCENT] = None,
    items: Annotated[int | None, ITEMS] = None,
    chance: Annotated[Many, CHANCE] = None,
    models: Annotated[Path | None, MODELS] = None,
    skip_bad: Annotated[bool, SKIP_BAD] = False,
    strict: Annotated[bool, STRICT] = False,
    seed: Annotated[int, SEED] = 0,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of each forecast.")] = 500,
    html: Annotated[Path | None, HTML] = None,
    json: Annotated[str | None, _JSON] = None,
    out: Annotated[Path | None, _OUT] = None,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Hold the largest rungs out and forecast them: skill and coverage, beside baselines."""
    with errors(debug):
        from unmirage.forecasting import backtest as make
        from unmirage.report import forecasts as report

        targets = _outputs(html, json, out)
        held = _held(hold_out)
        groups = ("family", "task", "metric", "settings", "form", "held_out", "ahead")
        if group not in groups:
            raise OptionError(f"no group {group!r}", mend=f"one of {', '.join(groups)}")
        how = read_options(columns, scores, percent, skip_bad, models, strict)
        records = load(paths, targets, quiet, how)
        options = curve_options(
            family, task, metric, where, by, ignore, checkpoint, higher_is_better,
            lower_is_better, items, chance, seed,
        )  # fmt: skip
        with progress_bar("backtest", quiet) as progress:
            made = make(
                records, held_out=held, scale=scale, route=route, draws=draws, progress=progress,
                **options,
            )  # fmt: skip
        if json == "-":
            typer.echo(report.backtest_json(made, group), nl=False)
        elif not quiet:
            _show(report.backtest_text(made, group))
        if html:
            from unmirage.report.forecast_page import backtest_html

            _write(html, backtest_html(made, group), quiet)
        if json and json != "-":
            _write(json, report.backtest_json(made, group), quiet)
        if out:
            _write(out, _table(made.rows, out), quiet)


# ---------------------------------------------------------------- parts


def target(values: Sequence[str]) -> dict[str, list[float]]:
    """``params=7e10,1.4e11``, or ``params=7e10,tokens=1.4e12``, or one --to for each scale."""
    found: dict[str, list[float]] = {}
    mend = "--to params=7e10, or --to params=7e10,tokens=1.4e12"
    for value in values:
        name = ""
        for part in value.split(","):
            start, sign, rest = part.partition("=")
            name, number = (start.strip(), rest) if sign else (name, part)
            try:
                found.setdefault(name, []).append(float(number))
            except ValueError:
                raise OptionError(f"--to {value!r} is no SCALE=X", mend=mend) from None
            if not name:
                raise OptionError(f"--to {value!r} names no scale", mend=mend)
    return found


def _held(value: str) -> list[int]:
    """An empty place between commas is refused, as in a target."""
    parts = [p.strip() for p in value.split(",")]
    if not all(len(p) < 10 and p.isascii() and p.isdecimal() and int(p) > 0 for p in parts):
        raise OptionError(f"--hold-out {value!r}", mend="numbers from 1 on: --hold-out 1,2,3")
    return [int(p) for p in parts]


def _outputs(html: Path | None, json: str | None, out: Path | None) -> list[Path | str | None]:
    """The files to be written, each another; a table is .csv or .parquet. Before all work."""
    targets: list[Path | str | None] = [html, None if json == "-" else json, out]
    places = [Path(t).resolve() for t in targets if t]
    twice = next((p for i, p in enumerate(places) if p in places[:i]), None)
    if twice is not None and (twice.is_file() or not twice.exists()):
        raise OptionError(f"{twice} would be written twice", mend="a file for each output")
    if out:
        _table_suffix(out)
    return targets


def _show(parts: Any) -> None:
    console = make_console()
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def _table_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        what = f"a table is .csv or .parquet, not {path.suffix or path.name!r}"
        raise OptionError(what, mend="--out scores.csv")
    return suffix


def _table(frame: Any, path: Path) -> bytes:
    from unmirage.report.files import table_bytes

    return table_bytes(frame, _table_suffix(path))


def _write(path: Path | str, content: str | bytes, quiet: bool) -> None:
    from unmirage.report.files import write

    say(quiet, f"wrote {write(path, content)}")


def _draw(made: Any, folder: Path, quiet: bool) -> None:
    from unmirage.report import fans
    from unmirage.report.forecast_page import MOST
    from unmirage.report.pictures import file_name, render, themed

    drawn = [f for f in made.forecasts if f.fan is not None][:MOST]
    for f in drawn:
        chart = themed(fans.fan(f))
        for suffix in (".png", ".svg"):
            _write(folder / (file_name(f) + suffix), render(chart, suffix, 2.0), True)
    say(quiet, f"wrote {2 * len(drawn)} pictures to {folder}")
