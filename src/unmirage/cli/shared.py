"""What the commands share: options, parsing, errors, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unmirage.errors import OptionError, UnmirageError

if TYPE_CHECKING:
    from rich.console import Console

    from unmirage.types import Records

#: Exit status: an error that has a mend, and a run in which nothing could be judged.
ERROR, NOTHING = 2, 1
#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

Many = list[str] | None
QUIET = typer.Option("--quiet", "-q", help="Print no report and no progress.")
DEBUG = typer.Option("--debug", help="Show the traceback of an error.")
MODELS = typer.Option(
    "--models", metavar="FILE", help="Sizes of your models: model, params, tokens, flops, family."
)
SKIP_BAD = typer.Option("--skip-bad", help="Leave impossible rows out, and count them.")
STRICT = typer.Option(
    "--strict", help="Stop at the first bad file; else one found in a folder is left out."
)
WORKERS = typer.Option(
    "--workers", metavar="N", min=1, help="Processes that read large folders; default: as cores."
)
MEMORY = typer.Option(
    "--max-memory",
    metavar="GB",
    help="Stop before reading holds more; default: 80 % of the free.",
)
READ_COLUMNS = typer.Option(
    "--columns", metavar="NAME=COLUMN,...", help="Which column holds what: params=size."
)
READ_SCORES = typer.Option(
    "--scores", metavar="COLUMN,...", help="The score columns of a wide table, each a task."
)
PERCENT = typer.Option("--percent", metavar="METRIC", help="Its scores are on 0-100.")
PATHS = typer.Argument(metavar="PATH", help="Files, folders of logs or tables, stores; or example.")
SEED = typer.Option("--seed", help="Seed of every random draw.", show_default=True)
FAMILY = typer.Option("--family", "-f", metavar="GLOB", help="Only these families.")
TASK = typer.Option("--task", "-t", metavar="GLOB", help="Only these tasks.")
METRIC = typer.Option("--metric", "-m", metavar="GLOB", help="Only these metrics.")
WHERE = typer.Option("--where", metavar="COLUMN=VALUE", help="Only rows with this value.")
BY = typer.Option("--by", metavar="COLUMN", help="One curve for each value of it, too.")
IGNORE = typer.Option("--ignore", metavar="COLUMN", help="Not part of a curve's identity.")
CHECKPOINT = typer.Option(metavar="WHICH", help="Checkpoints: final, all or step=N.")
HIGHER = typer.Option("--higher-is-better", metavar="METRIC", help="High scores are good.")
LOWER = typer.Option("--lower-is-better", metavar="METRIC", help="Low scores are good.")
ITEMS = typer.Option(metavar="N", min=1, help="Items behind a score, where the table is silent.")
CHANCE = typer.Option("--chance", metavar="[TASK=]SCORE", help="Score of a guess, for each task.")
DRAWS = typer.Option(metavar="N", min=1, help="Random draws for each test.")
LEVEL = typer.Option(metavar="P", min=0.0, max=1.0, help="A smaller p-value counts as evidence.")
HTML = typer.Option("--html", metavar="FILE", help="Write one page that opens offline.")
JSON = typer.Option("--json", metavar="FILE", help="Write JSON (docs/json.md); - for stdout.")

# ---------------------------------------------------------------- parsing


def split_commas(values: Many) -> list[str]:
    return [part for value in values or () for part in value.split(",") if part]


def pairs(values: Many, option: str, *, split: bool = False) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in split_commas(values) if split else values or ():
        name, equals, rest = value.partition("=")
        if not (name and equals):
            raise OptionError(f"{option} {value!r} is no NAME=VALUE", mend=f"{option} shots=5")
        if name in pairs and pairs[name] != rest:
            both = f"{pairs[name]!r} and {rest!r}"
            raise OptionError(f"{option} gives {name} twice: {both}", mend="give it once")
        pairs[name] = rest
    return pairs


def chances(values: Many) -> dict[str, float]:
    """Chance levels by task, "*" for all."""
    found: dict[str, float] = {}
    for value in values or ():
        task, equals, number = value.rpartition("=")
        try:
            found[task if equals else "*"] = float(number)
        except ValueError:
            mend = "--chance 0.25, or --chance TASK=0.25"
            raise OptionError(f"--chance {value!r} holds no number", mend=mend) from None
    return found


def given(paths: Sequence[str | Path]) -> list[str | Path]:
    """The paths; the word ``example``, where nothing has that name, means the bundled ladders."""
    from unmirage import examples

    if [str(p) for p in paths] == ["example"] and not Path("example").exists():
        return [examples.path(name) for name in examples.names()]
    return list(paths)


def read_options(
    columns: Many, scores: Many, percent: Many, skip_bad: bool, models: Path | None, strict: bool
) -> dict[str, Any]:
    """How paths are read, as ``unmirage.read`` takes it."""
    return {
        "columns": pairs(columns, "--columns", split=True),
        "scores": split_commas(scores),
        "percent": list(percent or ()),
        "skip_bad": skip_bad,
        "models": models,
        "strict": strict,
    }


def load(
    paths: Sequence[str | Path],
    targets: Sequence[Path | str | None],
    quiet: bool,
    how: dict[str, Any],
) -> Records:
    """The records behind the paths; what is read may not be written over."""
    from unmirage.curves.options import files_of
    from unmirage.records import read

    found = given(paths)
    refuse_inputs(targets, found)
    with progress_bar("reading", quiet) as progress:
        records: Records = read(found, progress=progress, **how)
    refuse_inputs(targets, files_of(records))
    return records


def curve_options(
    family: Many, task: Many, metric: Many, where: Many, by: Many, ignore: Many,
    checkpoint: str | None, higher: Many, lower: Many, items: int | None, chance: Many, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Which rows make which curves, as the library takes it."""
    return {
        "family": list(family or ()),
        "task": list(task or ()),
        "metric": list(metric or ()),
        "where": pairs(where, "--where"),
        "by": list(by or ()),
        "ignore": list(ignore or ()),
        "checkpoint": checkpoint,
        "higher_is_better": list(higher or ()),
        "lower_is_better": list(lower or ()),
        "items": items,
        "chance": chances(chance),
        "seed": seed,
    }


def refuse_inputs(targets: Sequence[Path | str | None], inputs: Sequence[str | Path]) -> None:
    """An output never replaces what it was made from."""
    read = {Path(path).resolve() for path in inputs}
    for target in targets:
        if target is not None and Path(target).resolve() in read:
            raise OptionError(f"{target} is an input", mend="write the output to another file")


# ---------------------------------------------------------------- showing


def make_console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(quiet: bool, line: str) -> None:
    if not quiet:
        from unmirage.report.text import visible

        typer.echo(visible(line), err=True)


@contextmanager
def errors(debug: bool) -> Iterator[None]:
    """Errors raised on purpose, and those of the file system, in one clear block."""
    try:
        yield
    except (UnmirageError, OSError) as error:
        if debug or isinstance(error, BrokenPipeError):
            raise
        from unmirage.report.text import visible

        for i, line in enumerate(str(error).split("\n")):
            typer.echo(("error: " if i == 0 else "") + visible(line), err=True)
        raise typer.Exit(ERROR) from None


@contextmanager
def stoppable(quiet: bool) -> Iterator[None]:
    """Ctrl-C ends work that goes on where it stopped."""
    try:
        yield
    except KeyboardInterrupt:
        say(quiet, "stopped; what is done is saved: the same command goes on from here")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*parts, console=console, transient=True) as bar:
        job = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(job, completed=done, total=total)


def progress_bar(what: str, quiet: bool) -> Any:
    """A bar on stderr where a person can see it, else nothing."""
    if quiet or not sys.stderr.isatty():
        return nullcontext(None)
    return _bar(make_console(stderr=True), what)
