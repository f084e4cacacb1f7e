"""The command line: parse, one library call, show. Nothing is computed here.

Heavy modules are imported by the commands, so that ``unmirage --help`` answers at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmirage.cli import calibration, forecasting, lab, metrics, multiverse, planning, reading
from unmirage.cli.shared import (
    BY,
    CHANCE,
    CHECKPOINT,
    DEBUG,
    DRAWS,
    FAMILY,
    HIGHER,
    HTML,
    IGNORE,
    ITEMS,
    JSON,
    LEVEL,
    LOWER,
    MEMORY,
    METRIC,
    MODELS,
    NOTHING,
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
    WORKERS,
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

if TYPE_CHECKING:
    from unmirage.forecasting import Forecasts
    from unmirage.types import Audit, Records

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Is that jump real? Audits claims of emergent abilities in families of models.",
)


app.command()(reading.read)
app.add_typer(lab.app, name="lab")
app.add_typer(metrics.app, name="metrics")
app.command()(calibration.calibrate)
app.command()(planning.plan)
app.command()(multiverse.multiverse)
app.command()(forecasting.forecast)
app.command()(forecasting.backtest)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign gets a question mark, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()


def _version(asked: bool) -> None:
    if asked:
        from unmirage.report.view import package_version

        typer.echo(f"unmirage {package_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


# ---------------------------------------------------------------- audit

_CSV = typer.Option("--csv", metavar="FILE", help="Write a table, one row per curve.")
_PICTURES = typer.Option("--pictures", metavar="DIR", help="Write PNG and SVG of each curve.")
_ALL = typer.Option("--all", help="Show and draw every curve, however many.")


@app.command()
def audit(
    paths: Annotated[list[str], PATHS],
    family: Annotated[Many, FAMILY] = None,
    task: Annotated[Many, TASK] = None,
    metric: Annotated[Many, METRIC] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Scale axis: params, flops, tokens, step or shots."),
    ] = None,
    where: Annotated[Many, WHERE] = None,
    columns: Annotated[Many, READ_COLUMNS] = None,
    scores: Annotated[Many, READ_SCORES] = None,
    by: Annotated[Many, BY] = None,
    ignore: Annotated[Many, IGNORE] = None,
    checkpoint: Annotated[str | None, CHECKPOINT] = None,
    higher_is_better: Annotated[Many, HIGHER] = None,
    lower_is_better: Annotated[Many, LOWER] = None,
    percent: Annotated[Many, PERCENT] = None,
    items: Annotated[int | None, ITEMS] = None,
    chance: Annotated[Many, CHANCE] = None,
    models: Annotated[Path | None, MODELS] = None,
    skip_bad: Annotated[bool, SKIP_BAD] = False,
    strict: Annotated[bool, STRICT] = False,
    workers: Annotated[int | None, WORKERS] = None,
    max_memory: Annotated[float | None, MEMORY] = None,
    seed: Annotated[int, SEED] = 0,
    draws: Annotated[int | None, DRAWS] = None,
    level: Annotated[float | None, LEVEL] = None,
    fdr: Annotated[
        bool,
        typer.Option(
            "--fdr/--no-fdr", help="Control the false discovery rate over all curves, or not."
        ),
    ] = True,
    forecast: Annotated[
        str | None,
        typer.Option(metavar="SCALE=X", help="A section of forecasts in the page: params=7e10."),
    ] = None,
    html: Annotated[Path | None, HTML] = None,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[Path | None, _CSV] = None,
    pictures: Annotated[Path | None, _PICTURES] = None,
    every: Annotated[bool, _ALL] = False,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Audit files or folders of scores or answers: is each jump real?"""
    with errors(debug):
        targets = [html, None if json == "-" else json, csv]
        how = read_options(columns, scores, percent, skip_bad, models, strict)
        how |= {"workers": workers, "max_memory": max_memory}
        options = {
            **curve_options(
                family, task, metric, where, by, ignore, checkpoint, higher_is_better,
                lower_is_better, items, chance, seed,
            ),
            "scale": scale,
            "draws": draws,
            "level": level,
            "fdr": fdr,
        }  # fmt: skip
        if forecast and not html:
            raise OptionError("--forecast without --html", mend="--html report.html")
        records = load(paths, targets, quiet, how)
        done = _run(records, options, quiet)
        beside = _forecasts(records, options, forecast, quiet) if forecast else None
        _report(
            done,
            html=html,
            json=json,
            csv=csv,
            pictures=pictures,
            every=every,
            quiet=quiet,
            forecasts=beside,
        )
    if not done.judgements:
        raise typer.Exit(NOTHING)


def _run(records: Records, options: dict[str, Any], quiet: bool) -> Audit:
    from unmirage.auditing import audit as judge

    asked = {name: value for name, value in options.items() if value is not None}
    with progress_bar("auditing", quiet) as progress:
        found: Audit = judge(records, progress=progress, **asked)
    return found


def _forecasts(records: Records, options: dict[str, Any], target: str, quiet: bool) -> Forecasts:
    """The same curves, forecast for the section of the page."""
    from unmirage.forecasting import forecast as make

    dropped = ("scale", "draws", "level", "fdr")
    asked = {k: v for k, v in options.items() if v is not None and k not in dropped}
    to = forecasting.target([target])
    with progress_bar("forecasting", quiet) as progress:
        made: Forecasts = make(records, to=to, fan=True, progress=progress, **asked)
    return made


def _report(
    done: Audit,
    *,
    forecasts: Forecasts | None = None,
    html: Path | None = None,
    json: str | None = None,
    csv: Path | None = None,
    pictures: Path | None = None,
    every: bool = False,
    shown: bool = False,
    quiet: bool = False,
) -> None:
    """Write what was asked for, and print the report where it was not ``shown`` already."""
    from unmirage import report
    from unmirage.report.files import csv_text, write

    if json == "-":
        typer.echo(report.to_json(done), nl=False)
    elif not (quiet or shown):
        report.show(done, every=every)
    written = [write(html, report.to_html(done, forecasts))] if html else []
    written += [write(json, report.to_json(done))] if json and json != "-" else []
    if csv:
        written.append(write(csv, csv_text(report.to_frame(done))))
    if pictures:
        with progress_bar("drawing", quiet) as progress:
            most = None if every else 200
            drawn = report.save_pictures(done, pictures, most=most, progress=progress)
        say(quiet, f"wrote {len(drawn)} pictures to {pictures}")
        left = len(done.judgements) - len(drawn) // 2
        if left:
            say(quiet, f"{left} curves were not drawn; --all draws every one")
    for path in written:
        say(quiet, f"wrote {path}")


# ---------------------------------------------------------------- demo

#: The two metrics that the demo tells of; the files that it writes hold all.
_TOLD = ("exact_match", "cross_entropy")


@app.command()
def demo(
    html: Annotated[Path | None, HTML] = None,
    json: Annotated[str | None, JSON] = None,
    pictures: Annotated[Path | None, _PICTURES] = None,
    every: Annotated[bool, _ALL] = False,
    seed: Annotated[int, SEED] = 0,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Audit the bundled example; nothing to prepare."""
    with errors(debug):
        from unmirage import examples, report
        from unmirage.report.story import story

        files = [examples.path(name) for name in examples.names()]
        records = load(files, [html, None if json == "-" else json], quiet, {})
        done = _run(records, {"seed": seed}, quiet)
        if not quiet and json != "-":
            told = [j for j in done.judgements if j.key.metric in _TOLD]
            part = done if every or not told else replace(done, judgements=tuple(told))
            report.show(part, every=every)
            console = make_console()
            console.print("\nWhat this shows", style="bold")
            for paragraph in story(report.view(part)):
                console.print(f"\n{paragraph}", markup=False, width=min(console.width, 88))
            more = f"\nAll {len(done.judgements)} curves, drawn: unmirage demo --html demo.html"
            console.print(f"{more}\nYour own: unmirage audit results/", style="dim", markup=False)
        _report(done, html=html, json=json, pictures=pictures, every=every, shown=True, quiet=quiet)
