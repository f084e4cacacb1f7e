"""``unmirage multiverse``: what an analyst could have made of the same outputs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    Many,
    curve_options,
    errors,
    load,
    make_console,
    progress_bar,
    read_options,
    say,
    split_commas,
)
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.multiverses import Choices
    from unmirage.types import Multiverse, Records


def multiverse(
    paths: Annotated[list[str], PATHS],
    family: Annotated[Many, FAMILY] = None,
    task: Annotated[Many, TASK] = None,
    metric: Annotated[Many, METRIC] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Show the analysis that looks most emergent.")
    ] = False,
    dissolve: Annotated[
        bool, typer.Option("--dissolve", help="Show the analysis that looks least emergent.")
    ] = False,
    threshold: Annotated[
        Many,
        typer.Option("--threshold", metavar="METRIC=C", help="Share of items beyond C; repeat."),
    ] = None,
    thresholds: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Thresholds a metric, if none is given.")
    ] = None,
    k_of_k: Annotated[
        str | None, typer.Option(metavar="K,K,...", help="K of K items right.")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Numbers of random items.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Analyses looked at, over all tasks.")
    ] = None,
    judge: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Analyses judged in full.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Scale axis of the rungs: params, flops, tokens, step."),
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
    seed: Annotated[int, SEED] = 0,
    draws: Annotated[int | None, DRAWS] = None,
    level: Annotated[float | None, LEVEL] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write one row an analysis: .csv .parquet."
        ),
    ] = None,
    html: Annotated[Path | None, HTML] = None,
    json: Annotated[str | None, JSON] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="Write PNG and SVG of each task."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Tell every task in full.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Recompute a claim under every reasonable analysis of the same outputs."""
    with errors(debug):
        targets = [html, None if json == "-" else json, out]
        _check_table(out)
        how = read_options(columns, scores, percent, skip_bad, models, strict)
        options = {
            **curve_options(
                family, task, metric, where, by, ignore, checkpoint, higher_is_better,
                lower_is_better, items, chance, seed,
            ),
            "scale": scale,
            "choices": _choices(threshold, thresholds, k_of_k, subset),
            "most": most,
            "judged": judge,
            "draws": draws,
            "level": level,
        }  # fmt: skip
        done = _run(load(paths, targets, quiet, how), options, quiet)
        _write(done, html, json, out, pictures, quiet)
        if not quiet and json != "-":
            _show(done, create, dissolve, every)
    if not done.universes:
        raise typer.Exit(NOTHING)


def _run(records: Records, options: dict[str, Any], quiet: bool) -> Multiverse:
    from unmirage.multiverses import multiverse as analyse

    asked = {name: value for name, value in options.items() if value is not None}
    with progress_bar("analyses", quiet) as progress:
        found: Multiverse = analyse(records, progress=progress, **asked)
    return found


def _write(
    done: Multiverse,
    html: Path | None,
    json: str | None,
    out: Path | None,
    pictures: Path | None,
    quiet: bool,
) -> None:
    from unmirage.report import multiverse as report
    from unmirage.report.files import write

    written = []
    if json == "-":
        typer.echo(report.to_json(done), nl=False)
    elif json:
        written.append(write(json, report.to_json(done)))
    if html:
        from unmirage.report.multiverse_page import to_html

        written.append(write(html, to_html(done)))
    if out:
        written.append(write(out, report.table_bytes(done, out.suffix.lower())))
    if pictures:
        from unmirage.report.speccurve import save_all

        with progress_bar("drawing", quiet) as progress:
            drawn = save_all(done, pictures, progress=progress)
        say(quiet, f"wrote {len(drawn)} pictures to {pictures}")
    for path in written:
        say(quiet, f"wrote {path}")


def _show(done: Multiverse, create: bool, dissolve: bool, every: bool) -> None:
    from unmirage.report import multiverse as report

    console = make_console()
    if not (create or dissolve):
        report.show(done, console, every=every)
        return
    for asked, which in ((create, "create"), (dissolve, "dissolve")):
        if asked:
            report.show_extreme(done, which, console)


def _choices(
    threshold: Many, thresholds: int | None, k_of_k: str | None, subset: str | None
) -> Choices:
    from unmirage.multiverses import Choices

    at: dict[str, list[float]] = defaultdict(list)
    for value in threshold or ():
        name, equals, number = value.partition("=")
        try:
            at[name].append(float(number))
        except ValueError:
            equals = ""
        if not (name and equals):
            mend = "--threshold METRIC=C, such as --threshold mse=0.005"
            raise OptionError(f"--threshold {value!r} is no METRIC=C", mend=mend)
    return Choices(
        Choices.thresholds if thresholds is None else thresholds,
        dict(at),
        _numbers(k_of_k, "--k-of-k"),
        _numbers(subset, "--subset"),
    )


def _numbers(given: str | None, option: str) -> list[int] | None:
    if given is None:
        return None
    parts = [p.strip() for p in split_commas([given])]
    for part in parts:
        if not (part.isascii() and part.isdecimal()):
            raise OptionError(f"{option} {part!r}", mend=f"whole numbers: {option} 2,5")
    return [int(p) for p in parts]


def _check_table(out: Path | None) -> None:
    if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
        raise OptionError(
            f"--out {out}: {out.suffix or 'no suffix'} is not written",
            mend="end the name in .csv or .parquet",
        )
