"""``unmirage metrics``: the table of metrics, the card of one, the page of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmirage.cli.shared import DEBUG, QUIET, errors, make_console, progress_bar, say
from unmirage.errors import OptionError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def metrics(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """List the metrics: needs, range, chance, linear or not; show the card of one."""
    if context.invoked_subcommand is not None:
        return
    with errors(debug):
        from unmirage.metrics import table

        rows = table().to_dicts()
        if json:
            import json as text

            from unmirage.report.view import plain

            typer.echo(text.dumps(plain(rows), indent=1, allow_nan=False))
            return
        from unmirage.report.terminal import metric_table

        console = make_console()
        plain_signs = console.options.ascii_only
        console.print(metric_table(rows, width=console.width, plain=plain_signs))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A metric, such as brier.")],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw its response: .svg or .png."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Show the card of a metric: definition, declared and measured properties."""
    with errors(debug):
        suffix = picture.suffix.lower() if picture else ""
        if picture is not None and suffix not in (".svg", ".png"):
            raise OptionError(
                f"pictures are .png or .svg, not {suffix!r}", mend="change the suffix"
            )
        from unmirage.cards import card
        from unmirage.report import cards as report
        from unmirage.report.files import write

        made = card(name)
        typer.echo(report.to_json(made) if json else report.to_text(made), nl=not json)
        if picture is not None:
            say(False, f"wrote {write(picture, report.render(made, suffix))}")


@app.command()
def cards(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the page and pictures.")
    ] = Path("metrics"),
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Write the cards of all metrics as one page with pictures."""
    with errors(debug):
        from unmirage.cards import cards as make
        from unmirage.report.cards import save_page

        with progress_bar("metrics", quiet) as bar:
            made = make(progress=bar or (lambda done, total: None))
        written = save_page(made, out)
        say(quiet, f"wrote {written[-1]} and {len(written) - 1} pictures")
