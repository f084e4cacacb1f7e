"""``unmirage multiverse``: what an analyst could have made of the same outputs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmirage.cli.shared import (
    DEBUG,
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
    Many,
    chances,
    errors,
    given,
    input_files,
    make_console,
    pairs,
    progress_bar,
    refuse_inputs,
    say,
    split_commas,
)
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.multiverses import Choices
    from unmirage.types import Multiverse, Records


def multiverse(
    paths: Annotated[
        list[str],
        PATHS,
    ],
    family: Annotated[
        Many, typer.Option("--family", "-f", metavar="GLOB", help="Only these families.")
    ] = None,
    task: Annotated[
        Many, typer.Option("--task", "-t", metavar="GLOB", help="Only these tasks.")
    ] = None,
    metric: Annotated[
        Many, typer.Option("--metric", "-m", metavar="GLOB", help="Only these metrics.")
    ] = None,
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
    where: Annotated[
        Many, typer.Option("--where", metavar="COLUMN=VALUE", help="Only rows with this value.")
    ] = None,
    columns: Annotated[Many, READ_COLUMNS] = None,
    scores: Annotated[Many, READ_SCORES] = None,
    by: Annotated[
        Many, typer.Option("--by", metavar="COLUMN", help="One curve for each value of it, too.")
    ] = None,
    ignore: Annotated[
        Many, typer.Option("--ignore", metavar="COLUMN", help="Not part of a curve's identity.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="WHICH", help="Checkpoints: final, all or step=N.")
    ] = None,
    higher_is_better: Annotated[
        Many, typer.Option("--higher-is-better", metavar="METRIC", help="High scores are good.")
    ] = None,
    lower_is_better: Annotated[
        Many, typer.Option("--lower-is-better", metavar="METRIC", help="Low scores are good.")
    ] = None,
    percent: Annotated[Many, PERCENT] = None,
    items: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Items behind a score, where the table is silent."),
    ] = None,
    chance: Annotated[
        Many,
        typer.Option("--chance", metavar="[TASK=]SCORE", help="Score of a guess, for each task."),
    ] = None,
    models: Annotated[Path | None, MODELS] = None,
    skip_bad: Annotated[bool, SKIP_BAD] = False,
    strict: Annotated[bool, STRICT] = False,
    seed: Annotated[int, SEED] = 0,
    draws: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Random draws for each test.")
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, help="A smaller p-value counts as evidence."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write one row an analysis: .csv .parquet."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page that opens offline."),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write JSON (docs/json.md); - for stdout."),
    ] = None,
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
        refuse_inputs(targets, paths)
        _check_table(out)
        reading = {
            "columns": pairs(columns, "--columns", split=True),
            "scores": split_commas(scores),
            "percent": list(percent or ()),
            "skip_bad": skip_bad,
            "models": models,
            "strict": strict,
        }
        options = {
            "family": list(family or ()),
            "task": list(task or ()),
            "metric": list(metric or ()),
            "scale": scale,
            "where": pairs(where, "--where"),
            "by": list(by or ()),
            "ignore": list(ignore or ()),
            "checkpoint": checkpoint,
            "higher_is_better": list(higher_is_better or ()),
            "lower_is_better": list(lower_is_better or ()),
            "items": items,
            "chance": chances(chance),
            "choices": _choices(threshold, thresholds, k_of_k, subset),
            "most": most,
            "judged": judge,
            "seed": seed,
            "draws": draws,
            "level": level,
        }
        done = _run(paths, reading, options, targets, quiet)
        _write(done, html, json, out, pictures, quiet)
        if not quiet and json != "-":
            _show(done, create, dissolve, every)
    if not done.universes:
        raise typer.Exit(NOTHING)


def _run(
    paths: list[str],
    reading: dict[str, Any],
    options: dict[str, Any],
    targets: list[Path | str | None],
    quiet: bool,
) -> Multiverse:
    from unmirage.multiverses import multiverse as analyse
    from unmirage.records import read

    with progress_bar("reading", quiet) as progress:
        records: Records = read(given(paths), progress=progress, **reading)
    refuse_inputs(targets, input_files(records))
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
