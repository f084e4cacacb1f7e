"""Rates -> calibration.md, calibration.json and the picture of the power."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unmirage.calibration.grid import COUNTS, LEAST, MOST, Asks
from unmirage.calibration.run import Rate
from unmirage.report.files import write
from unmirage.report.panels import Panel, Point, chart, save

#: cells shown of each question, the worst first; calibration.json holds all
SHOWN = 12

_HEAD = """# How often a verdict is wrong

Made by `unmirage calibrate --{size}`. Families of known truth (`unmirage.simulate`) are judged by
the audit itself, at its defaults but {draws} draws; a cell is one truth, one design, one metric.
Intervals of rates are exact, 95 %. A rate that may be 5 % at most *holds* where its one-sided upper
95 % bound is at most 7 % too, *fails* where its lower bound is above 5 %, and is *open* where these
families are too few to tell; of a rate that must reach some share the same holds the other way
round, with a lower bound at most 0.05 below. Power of other cells is reported.
"""


def write_page(out: str | Path, rates: Sequence[Rate], size: str, draws: int) -> Path:
    """Write the page, all rates as JSON, and the picture; the page's path."""
    out = Path(out)
    body = [
        {**asdict(r), "rate": _finite(r.rate), "interval": r.interval, "status": r.status}
        for r in rates
    ]
    write(out / "calibration.json", json.dumps(body, indent=1) + "\n")
    panels = _panels(rates)
    if panels:
        drawn = chart("Power: share of real breaks judged survives", panels, 2)
        for suffix in (".svg", ".png"):
            write(out / f"power{suffix}", save(drawn, suffix))
    return write(out / "calibration.md", to_markdown(rates, size, draws, bool(panels)))


def _finite(value: float) -> float | None:
    return value if value == value else None


def to_markdown(rates: Sequence[Rate], size: str, draws: int, picture: bool = True) -> str:
    """The page: one table of the questions, the coverage of intervals, the worst cells."""
    groups: dict[Asks, list[Rate]] = defaultdict(list)
    for rate in rates:
        groups[rate.asks].append(rate)
    parts = [_HEAD.format(size=size, draws=draws)]
    parts.append("| question | must hold | cells | curves asked | rate over all | worst cell | |")
    parts.append("|---|---|---|---|---|---|---|")
    for asks, group in groups.items():
        hits, asked = sum(r.hits for r in group), sum(r.asked for r in group)
        told = Counter(r.status for r in group)
        status = ", ".join(f"{n} {s}" for s, n in sorted(told.items()))
        worst = next((r for r in _worst(group) if r.asked), None)
        share = f"{hits / asked:.3f}" if asked else "–"
        parts.append(
            f"| {COUNTS[asks]} | {_bound(asks)} | {len(group)} | {asked:,} | {share} | "
            f"{_rate(worst) if worst else '–'} | {status} |"
        )
    if picture:
        parts.append("\n![share of real breaks judged survives](power.svg)")
    parts += _weakest(rates)
    parts += _proportions(rates)
    parts += ["\n## Intervals\n", *_coverage(rates)]
    for asks, group in groups.items():
        parts += [f"\n## {COUNTS[asks][0].upper()}{COUNTS[asks][1:]}\n"]
        more = "" if len(group) <= SHOWN else f" The {SHOWN} worst of {len(group)} cells."
        parts.append(f"Must hold: {_bound(asks)}.{more}\n")
        parts.append("| cell | curves asked | rate (95 % interval) | verdicts | named | |")
        parts.append("|---|---|---|---|---|---|")
        for r in _worst(group)[:SHOWN]:
            cell = " · ".join(r.name.split(" | ")[1:])
            parts.append(
                f"| {cell} | {r.asked} of {r.curves} | {_rate(r)} | {_counts(r.verdicts)} | "
                f"{_counts(r.named)} | {r.status} |"
            )
    return "\n".join(parts) + "\n"


def _proportions(rates: Sequence[Rate]) -> list[str]:
    """The false discovery rate as it is defined: the mean false proportion of a survey."""
    surveys = [r for r in rates if r.proportions]
    if not surveys:
        return []
    lines = ["\n## False discovery proportion of a survey, in curves\n"]
    lines += ["| surveys | number | mean | standard error | largest |", "|---|---|---|---|---|"]
    for r in surveys:
        told = np.array(r.proportions)
        error = told.std(ddof=1) / np.sqrt(len(told)) if len(told) > 1 else np.nan
        lines.append(
            f"| {r.name.split(' | ')[1]} | {len(told)} | {told.mean():.4f} | {error:.4f} | "
            f"{told.max():.4f} |"
        )
    return lines


def summary(rates: Sequence[Rate]) -> str:
    """A line a question, for the terminal."""
    lines = []
    for asks, text in COUNTS.items():
        group = [r for r in rates if r.asks == asks]
        if group:
            hits, asked = sum(r.hits for r in group), sum(r.asked for r in group)
            told = Counter(r.status for r in group)
            share = f"{hits / asked:.3f}" if asked else "nothing asked"
            status = ", ".join(f"{n} {s}" for s, n in sorted(told.items()))
            lines.append(f"{text}: {share} of {asked:,} ({_bound(asks)}); cells: {status}")
    return "\n".join(lines)


def _bound(asks: Asks) -> str:
    if asks in MOST:
        return f"at most {MOST[asks]:g}"
    return f"at least {LEAST[asks]:g}" if asks in LEAST else "where a cell states it"


def _worst(group: Sequence[Rate]) -> list[Rate]:
    """Cells that state a bound first, then from the worst on; cells that asked nothing last."""
    sign = -1 if group[0].asks in MOST else 1
    return sorted(
        group,
        key=lambda r: (
            not r.asked,
            r.status == "reported",
            sign * (r.rate if r.asked else 0.0),
            r.name,
        ),
    )


def _rate(r: Rate) -> str:
    if not r.asked:
        return "–"
    low, high = r.interval
    return f"{r.rate:.3f} ({low:.3f} to {high:.3f})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {k}" for k, n in counts.items()) or "–"


def _coverage(rates: Sequence[Rate]) -> list[str]:
    """Share of intervals that hold the truth, over smooth cells and over real breaks."""
    sums: dict[tuple[str, bool], list[tuple[float, int, int, str]]] = defaultdict(list)
    for r in rates:
        for name, (hits, asked) in (r.covered or {}).items():
            sums[name, r.asks == "power"].append((hits / asked, hits, asked, r.name))
    if not sums:
        return ["None was asked."]
    lines = ["| interval of | truth | intervals | hold the truth | least of a cell | most |"]
    lines.append("|---|---|---|---|---|---|")
    for (name, real), found in sorted(sums.items()):
        hits, asked = sum(h for _, h, _, _ in found), sum(n for _, _, n, _ in found)
        lines.append(
            f"| {name} | {'real break' if real else 'smooth'} | {asked:,} | {hits / asked:.3f} | "
            f"{min(found)[0]:.3f} | {max(found)[0]:.3f} |"
        )
    return lines


_SURFACE = re.compile(
    r"^power \| shape logistic, first 0.4, last 0.6, step ([\d.]+) \| ([^|]*) \| exact match"
)


#: power with which the weakest break must be seen
SEEN = 0.9


def _surface(rates: Sequence[Rate]) -> dict[float, list[tuple[int, float, Rate]]]:
    """Cells of the power surface by the noise between rungs: (rungs, step, rate)."""
    found: dict[float, list[tuple[int, float, Rate]]] = defaultdict(list)
    for r in rates:
        told = _SURFACE.match(r.name)
        if not told or not r.asked or r.name.endswith("answers"):
            continue
        design = dict(part.rsplit(" ", 1) for part in told[2].split(", ") if part[-1].isdigit())
        place = int(design.get("rungs", "8")), float(told[1]), r
        found[float(design.get("noise", 0))].append(place)
    return {noise: sorted(mine, key=lambda p: p[:2]) for noise, mine in sorted(found.items())}


def _weakest(rates: Sequence[Rate]) -> list[str]:
    """The lowest step from which on every step is seen, by noise and number of rungs."""
    surface = _surface(rates)
    if not surface:
        return []
    lines = [
        f"\n## The weakest break that is seen in {SEEN:.0%} of families\n",
        "1,000 items of 4 tokens, exact match.\n",
        "| noise between rungs (logit) | rungs | weakest step (logit) |",
        "|---|---|---|",
    ]
    for noise, mine in surface.items():
        for rungs in sorted({p[0] for p in mine}):
            least = "none up to " + f"{max(p[1] for p in mine):g}"
            for _, step, rate in reversed([p for p in mine if p[0] == rungs]):
                if rate.rate < SEEN:
                    break
                least = f"{step:g}"
            lines.append(f"| {noise:g} | {rungs} | {least} |")
    return lines


def _panels(rates: Sequence[Rate]) -> list[Panel]:
    """One panel a noise between rungs, one line a number of rungs."""
    return [
        Panel(
            f"noise of {noise:g} logit between rungs",
            "1,000 items of 4 tokens, exact match; step in the middle",
            "height of the step (logits)",
            "share judged survives",
            tuple(Point(step, r.rate, f"{rungs} rungs", *r.interval) for rungs, step, r in mine),
            log_x=False,
        )
        for noise, mine in _surface(rates).items()
    ]
