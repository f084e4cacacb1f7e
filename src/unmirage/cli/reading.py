"""``unmirage read``: what is there, and one store or Parquet file of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmirage.cli.shared import (
    DEBUG,
    MEMORY,
    MODELS,
    NOTHING,
    PATHS,
    PERCENT,
    QUIET,
    READ_COLUMNS,
    READ_SCORES,
    SKIP_BAD,
    STRICT,
    WORKERS,
    Many,
    errors,
    load,
    make_console,
    read_options,
    say,
)
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.types import Records


def read(
    paths: Annotated[list[str], PATHS],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PATH", help="Write all records: one .parquet, or a folder."
        ),
    ] = None,
    models: Annotated[Path | None, MODELS] = None,
    columns: Annotated[Many, READ_COLUMNS] = None,
    scores: Annotated[Many, READ_SCORES] = None,
    percent: Annotated[Many, PERCENT] = None,
    skip_bad: Annotated[bool, SKIP_BAD] = False,
    strict: Annotated[bool, STRICT] = False,
    workers: Annotated[int | None, WORKERS] = None,
    max_memory: Annotated[float | None, MEMORY] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 where there is a warning (for CI).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every row of the tables.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Show what files and logs hold, and write it as one store or Parquet file."""
    with errors(debug):
        from unmirage.overview import overview
        from unmirage.report import overview as shown

        how = read_options(columns, scores, percent, skip_bad, models, strict)
        how |= {"workers": workers, "max_memory": max_memory}
        found = load(paths, [out], quiet, {**how, "need_scale": False})
        seen = overview(found)
        if out is not None:
            _write(found, out)
        if json:
            typer.echo(shown.to_json(seen), nl=False)
        elif not quiet:
            shown.show(seen, make_console(), every=every)
        if out is not None:
            say(quiet, f"wrote {out}")
        if check and seen.warnings:
            say(quiet, f"{seen.warnings} warnings (--check)")
            raise typer.Exit(NOTHING)


def _write(records: Records, out: Path) -> None:
    """A store in a folder, or one Parquet file where the records are of one kind."""
    from unmirage.records import write_parquet, write_store

    if out.suffix.lower() in (".parquet", ".pq"):
        write_parquet(records, out)
    elif out.suffix and not out.is_dir():
        mend = "end the name in .parquet for one file, or name a folder"
        raise OptionError(f"--out {out}: {out.suffix} is not written", mend=mend)
    else:
        write_store(records, out)
