"""``unmirage calibrate``: how often a verdict is wrong, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmirage.cli.shared import (
    DEBUG,
    QUIET,
    SEED,
    Many,
    errors,
    progress_bar,
    say,
    split_commas,
    stoppable,
)
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.calibration.grid import Size
    from unmirage.calibration.run import Rate


def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="Some 350 cells, half an hour.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Some 1,700 cells, hours.")] = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the rates and the page.")
    ] = Path("calibration"),
    families: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Families a cell (answers: a fifth; surveys: a twentieth)."
        ),
    ] = None,
    only: Annotated[
        Many,
        typer.Option(
            metavar="NAME",
            help="smooth, power, mirage, resolution, coverage, turns, degenerate, discoveries; "
            "comma-separated.",
        ),
    ] = None,
    seed: Annotated[int, SEED] = 0,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; one per core if not given.")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Measure how often verdicts are wrong, on simulated families of known truth."""
    with errors(debug), stoppable(quiet):
        if quick and full:
            raise OptionError("--quick and --full at once", mend="one of the two; --quick is usual")
        if only and not split_commas(only):
            raise OptionError("--only names no question", mend="--only smooth,power")
        from unmirage.calibration import calibrate as measure
        from unmirage.calibration.page import write_page
        from unmirage.calibration.run import DRAWS

        size: Size = "full" if full else "quick"
        with progress_bar("cells", quiet) as bar:

            def tell(done: int, total: int, rate: Rate) -> None:
                if bar:
                    bar(done, total)
                else:
                    say(quiet, f"[{done}/{total}] {rate.hits} of {rate.asked}  {rate.name}")

            rates = measure(
                out,
                size,
                seed=seed,
                families=families,
                workers=workers,
                only=split_commas(only),
                tell=tell,
            )
        path = write_page(out, rates, size, DRAWS)
        if not quiet:
            from unmirage.calibration.page import summary

            typer.echo(summary(rates))
        say(quiet, f"wrote {path}")
