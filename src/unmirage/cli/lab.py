"""``unmirage lab``: train ladders of small models, ask them, export them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmirage.cli.shared import DEBUG, QUIET, Many, errors, make_console, pairs, say, stoppable
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.lab.families import Family
    from unmirage.lab.ladder import Progress

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train families of small models and write records (extra: lab).",
)

_OUT = typer.Option("--out", "-o", metavar="DIR", help="The folder of the run.")
_WORKERS = typer.Option(metavar="N", min=1, help="Processes; one per core if not given.")
_DEVICE = typer.Option(metavar="NAME", help="auto, cpu or gpu.")


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """List the families: what is learnt, sizes, steps, options."""
    with errors(debug):
        from unmirage.lab.families import table

        rows = table()
        if json:
            import json as text

            typer.echo(text.dumps(rows, indent=1))
            return
        console = make_console()
        for row in rows:
            console.print(f"{row['family']}", style="bold", markup=False, end="  ")
            console.print(str(row["about"]), markup=False)
            if "sizes" not in row:
                continue
            params = f" ({row['params']} parameters without embeddings)" if row["params"] else ""
            facts = (
                f"{row['sizes']} sizes, widths {row['widths']}{params}; "
                f"{row['seeds']} seeds; {row['steps']} steps of {row['batch']}; "
                f"options: {row['options']}; recipe: {row['recipe']}, peak rate = "
                "rate min(1, (16 / width)^rate_power)"
            )
            console.print(f"  {facts}", style="dim", markup=False)
        console.print("\nunmirage lab run FAMILY --out DIR", style="dim", markup=False)


@app.command()
def run(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="A name of `lab list`.")],
    out: Annotated[Path, _OUT],
    sizes: Annotated[
        str | None, typer.Option(metavar="N|W,W,...", help="How many sizes, or the widths.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Models of each size, from seed 0 on.")
    ] = None,
    items: Annotated[int | None, typer.Option(metavar="N", min=1, help="Test items.")] = None,
    shots: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Solved examples in each prompt.")
    ] = None,
    choices: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Options of a multiple-choice version.")
    ] = None,
    settings: Annotated[
        Many, typer.Option("--set", metavar="NAME=VALUE", help="Any setting of `lab list`.")
    ] = None,
    workers: Annotated[int | None, _WORKERS] = None,
    device: Annotated[str, _DEVICE] = "auto",
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up a run with other settings in the folder.")
    ] = False,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Train a family and write its records; the same command again goes on where it stopped."""
    with errors(debug):
        from unmirage.lab import ladder
        from unmirage.lab.families import FAMILIES, changed, rungs

        asked = pairs(settings, "--set")
        for name, value in (("items", items), ("shots", shots), ("choices", choices)):
            if value is not None:
                if name in asked:
                    raise OptionError(f"{name} is given twice", mend=f"--{name} or --set, not both")
                asked[name] = str(value)
        ladder.require_lab()
        plan = []
        for member in FAMILIES[family]:
            one = changed(member, asked)
            plan += rungs(one, _widths(one, sizes), range(seeds or one.seeds))
        with stoppable(quiet), _watched(f"lab run {family}", quiet) as tell:
            done = ladder.run(
                plan, out, workers=workers, device=device, replace_run=replace, tell=tell
            )
        seconds = sum(one.cpu_seconds for one in done)
        say(quiet, f"{len(done)} rungs in {out}, {seconds / 60:.1f} CPU-minutes in this run")
        say(quiet, f"next: unmirage audit {shlex.quote(str(out))} --html report.html")


def _widths(family: Family, sizes: str | None) -> Sequence[int]:
    if sizes is None:
        return family.widths(family.sizes)
    parts = sizes.split(",")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        raise OptionError(f"--sizes {sizes!r}", mend="--sizes 8, or --sizes 4,8,16,32") from None
    if len(numbers) > 1:
        return numbers
    if numbers[0] < 1:
        raise OptionError(f"--sizes {sizes}", mend="at least 1")
    return family.widths(numbers[0])


@contextmanager
def _watched(what: str, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show lines and, where a person can see it, a bar with the time that remains."""
    if quiet or not sys.stderr.isatty():
        yield lambda progress: say(quiet, progress.line) if progress.line else None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.progress import TimeRemainingColumn as Remaining

    parts = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Remaining())
    with Bar(*parts, console=make_console(stderr=True), transient=True) as bar:
        job = bar.add_task(what, total=1.0)

        def tell(progress: Progress) -> None:
            bar.update(job, completed=progress.share)
            if progress.line:
                bar.console.print(progress.line, markup=False, highlight=False)

        yield tell


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a finished run.")],
    model: Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="'d32 seed0'.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A new folder.")],
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Write one model as a Hugging Face GPT-2 folder, with its items for lm-eval."""
    with errors(debug):
        from unmirage.lab.ladder import require_lab

        require_lab()
        from unmirage.lab import export as exporting

        written = exporting.export(run, model, out)
        say(quiet, f"wrote {written}")
        say(
            quiet,
            f"next: lm_eval --model hf --model_args {shlex.quote(f'pretrained={written}')} "
            f"--include_path {shlex.quote(f'{written}/lm_eval')} --tasks 'unmirage_*' "
            f"--log_samples --output_path {shlex.quote(f'{written}/log')}",
        )


@app.command()
def reproduce(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Runs, table, pictures.")],
    claims: Annotated[
        str | None, typer.Option(metavar="P1,P2,...", help="Only these claims.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the training, to try the command.")
    ] = False,
    workers: Annotated[int | None, _WORKERS] = None,
    device: Annotated[str, _DEVICE] = "auto",
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Train the families behind docs/science.md and make its table of claims anew."""
    with errors(debug):
        from unmirage.lab.ladder import require_lab

        require_lab()
        from unmirage.claims.reproduce import reproduce as made

        asked = [c.strip().upper() for c in (claims or "").split(",") if c.strip()]
        with stoppable(quiet), _watched("lab reproduce", quiet) as tell:
            found = made(
                out,
                asked,
                quick=quick,
                workers=workers,
                device=device,
                tell=lambda run, progress: tell(progress),
            )
        for claim in found:
            say(quiet, f"{claim.id} {claim.answer}: {claim.title}")
        say(quiet, f"wrote {out / 'science.md'}")
