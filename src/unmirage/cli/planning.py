"""``unmirage plan``: which sizes and how many items would settle the question."""

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
    given,
    progress_bar,
    say,
    split_commas,
    stoppable,
)
from unmirage.errors import OptionError

if TYPE_CHECKING:
    from unmirage.types import Judgement

Paths = list[Path] | None


def plan(
    paths: Annotated[
        Paths, typer.Argument(metavar="[PATH]...", help="Records so far; none is needed.")
    ] = None,
    family: Annotated[Many, typer.Option(metavar="NAME", help="The curve to plan for.")] = None,
    task: Annotated[Many, typer.Option(metavar="NAME", help="The curve to plan for.")] = None,
    metric: Annotated[Many, typer.Option(metavar="NAME", help="The curve to plan for.")] = None,
    where: Annotated[
        Many, typer.Option(metavar="COLUMN=VALUE", help="The curve to plan for.")
    ] = None,
    step: Annotated[float, typer.Option(metavar="X", help="Height of the step, logits.")] = 2.0,
    power: Annotated[float, typer.Option(metavar="P", help="Share of breaks to find.")] = 0.9,
    rungs: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of sizes.")] = "5,6,8,12",
    items: Annotated[
        str, typer.Option(metavar="N,N,...", help="Numbers of test items.")
    ] = "100,1000,10000",
    tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Target length, without records.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=0, help="Sd between rungs, logits; 0.1, or as the records show."
        ),
    ] = None,
    decades: Annotated[
        float | None, typer.Option(metavar="X", min=0.1, help="Range of scale, without records.")
    ] = None,
    families: Annotated[
        int, typer.Option(metavar="N", min=1, help="Simulated families a design.")
    ] = 100,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write plan.md, plan.json, power.svg."),
    ] = None,
    seed: Annotated[int, SEED] = 0,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; one per core if not given.")
    ] = None,
    quiet: Annotated[bool, QUIET] = False,
    debug: Annotated[bool, DEBUG] = False,
) -> None:
    """Plan which sizes and how many items would show a real break."""
    with errors(debug), stoppable(quiet):
        from dataclasses import replace

        from unmirage.planning import GENTLE, at_hand
        from unmirage.planning import plan as make
        from unmirage.report import plans
        from unmirage.report.files import write
        from unmirage.report.panels import save
        from unmirage.simulate import Design

        if paths:
            if tokens is not None or decades is not None:
                said = "--tokens" if tokens is not None else "--decades"
                raise OptionError(f"{said} beside records", mend="the records say it: leave it out")
            truth, design, scale = at_hand(_curve(paths, family, task, metric, where, seed))
        else:
            named = {"--family": family, "--task": task, "--metric": metric, "--where": where}
            for said in (k for k, v in named.items() if v):
                raise OptionError(f"{said} without records", mend="give the PATH of the records")
            truth, scale = GENTLE, None
            usual = Design(noise=0.1)  # no real ladder is without noise
            design = replace(usual, tokens=tokens or usual.tokens, decades=decades or usual.decades)
        if noise is not None:
            design = replace(design, noise=noise)
        with progress_bar("designs", quiet) as bar:
            made = make(
                step=step,
                power=power,
                rungs=_numbers(rungs, "--rungs", 3),
                items=_numbers(items, "--items", 1),
                truth=truth,
                design=design,
                scale=scale,
                families=families,
                seed=seed,
                workers=workers,
                tell=bar or (lambda done, total: None),
            )
        text = plans.to_text(made)
        if not quiet:
            typer.echo(text)
        if out is not None:
            write(out / "plan.json", plans.to_json(made))
            drawn = plans.picture(made)
            for suffix in (".svg", ".png"):
                write(out / f"power{suffix}", save(drawn, suffix))
            head = "# The power of designs\n\nMade by `unmirage plan`.\n\n"
            write(out / "plan.md", f"{head}{text}\n\n![power](power.svg)\n")
            say(quiet, f"wrote {out / 'plan.md'}")


def _numbers(text: str, option: str, least: int) -> list[int]:
    example = f"{option} {_EXAMPLES[option]}"
    found = []
    for part in split_commas([text]):
        if not part.strip().isdecimal() or int(part) < least:
            mend = f"whole numbers from {least} on: {example}"
            raise OptionError(f"{option} {part!r}", mend=mend)
        found.append(int(part))
    if not found:
        raise OptionError(f"{option} names none", mend=example)
    return found


_EXAMPLES = {"--rungs": "6,8,12", "--items": "500,2000"}


def _curve(
    paths: list[Path], family: Many, task: Many, metric: Many, where: Many, seed: int
) -> Judgement:
    """The one curve that the options name."""
    from unmirage.auditing import audit
    from unmirage.cli.shared import pairs
    from unmirage.records import read

    found = audit(
        read(given(paths)),
        family=split_commas(family),
        task=split_commas(task),
        metric=split_commas(metric),
        where=pairs(where, "--where"),
        seed=seed,
        draws=200,
    ).judgements
    if len(found) == 1:
        return found[0]
    names = "; ".join(j.key.label() for j in found[:6])
    more = f"; and {len(found) - 6} more" if len(found) > 6 else ""
    raise OptionError(
        f"{len(found)} curves: {names}{more}",
        mend="name one of them with --family, --task, --metric and --where COLUMN=VALUE",
    )
