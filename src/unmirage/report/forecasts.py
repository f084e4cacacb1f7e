"""Forecasts and backtests -> plain values, tables and text. It computes no forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from unmirage.forecasting.types import FARTHEST, LEVELS, Backtest, Forecast, Forecasts
from unmirage.report import text
from unmirage.report.view import (
    View,
    curve_view,
    key_view,
    notes_view,
    numbers,
    plain,
    refusal_view,
)
from unmirage.types import Curve

SCHEMA = "unmirage.forecast/1"
SKILL_SCHEMA = "unmirage.backtest/1"
#: what the baselines are called
BASELINE_NAMES = {"last_value": "last", "random_walk": "walk", "logit_line": "logit"}
#: what the heads of the table of a backtest mean
HEADS = (
    "50 % ... 95 %: share of held-out scores inside the interval of that name (a tie counts by its "
    "share); CRPS: smaller is better, shares in points of 1, other metrics in ranges of their "
    "series; last, walk, logit: CRPS of the last value, a random walk and a straight line in "
    "logit; skill: how much less CRPS than the best of these"
)
#: so many groups are in a table; JSON has all
MOST_GROUPS = 30


#: 80 % intervals that hold less, in per cent, of so many scores or more, are warned of
TRUSTED, LEAST_SCORES = 65.0, 20


def view(made: Forecasts) -> View:
    """Everything as dicts, lists, strings, numbers and None; same input, same bytes."""
    return {
        "schema": SCHEMA,
        "settings": plain(made.settings),
        "notes": notes_view(made.notes),
        "forecasts": [_forecast(f) for f in made.forecasts],
        "refused": [refusal_view(r) for r in made.refused],
    }


def _forecast(f: Forecast) -> View:
    fan = f.fan
    return {
        **key_view(f.key),
        "scale_name": f.curve.scale_name,
        "at": plain(f.at),
        "place": plain(dict(f.place)),
        "distance_decades": plain(f.distance),
        "reach_decades": plain(f.reach),
        "known": f.known,
        "route": f.route,
        "status": plain(dict(f.status)),
        "dropped_draws": plain(dict(f.dropped)),
        "median": plain(f.median) if f.known else None,
        "intervals": {f"{level:g}": plain(list(f.interval(level))) for level in LEVELS},
        "intervals_without_sampling": {
            f"{level:g}": plain(list(f.interval(level, sampling=False))) for level in LEVELS
        },
        "widest": plain(list(f.widest)),
        "widest_without_sampling": plain(list(f.widest_expected)),
        "why_wide": plain(dict(f.why)),
        "links": plain(dict(f.weights)),
        "in_words": why(f),
        "curve": curve_view(f.curve),
        "fan": None
        if fan is None
        else {
            "scale": numbers(fan.scale, 6),
            "median": numbers(fan.median, 6),
            "bands": {
                f"{level:g}": [numbers(low, 6), numbers(high, 6)]
                for level, (low, high) in fan.bands.items()
            },
        },
    }


def to_json(made: Forecasts) -> str:
    body = json.dumps(view(made), ensure_ascii=False, allow_nan=False, indent=1)
    return text.json_safe(body) + "\n"


def to_frame(made: Forecasts) -> pl.DataFrame:
    """One row a forecast."""
    rows = []
    for f in made.forecasts:
        row: dict[str, Any] = {
            "family": f.key.family,
            "task": f.key.task,
            "metric": f.key.metric,
            "settings": ", ".join(f"{k}={v}" for k, v in f.key.settings),
            "scale": f.curve.scale_name,
            "at": f.at,
            **{f"at_{name}": value for name, value in f.place.items()},
            "distance_decades": f.distance,
            "known": f.known,
            "route": f.route,
            "status": ", ".join(f"{k}: {v}" for k, v in f.status.items()),
            "last_score": float(f.curve.score[-1]),
            "median": f.median if f.known else None,
        }
        for level in LEVELS:
            low, high = f.interval(level)
            row |= {f"low_{round(100 * level)}": low, f"high_{round(100 * level)}": high}
        rows.append({**row, **{k.replace(" ", "_"): v for k, v in f.why.items()}})
    return pl.DataFrame(rows, infer_schema_length=None)


def why(f: Forecast) -> str:
    """Why the interval is as wide as it is, in a sentence.

    The shares are those of the variance of the measured score.
    """
    if not f.known:
        return (
            f"not known: {f.distance:.2g} decades {_side(f)} of rungs that span "
            f"{f.reach:.2g}; the band holds every law that is still plausible{fits(f)}"
        )
    parts = sorted(f.why.items(), key=lambda p: -p[1])
    said = [f"{name} {share:.0%}" for name, share in parts if share >= 0.05]
    return (", ".join(said) or "nearly certain") + fits(f)


def fits(f: Forecast) -> str:
    """Which fits did not converge, to be added to a sentence; nothing where all did."""
    words = {"at_bound": "at a bound", "degenerate": "not determined", "unfinished": "unfinished"}
    said = [f"{law} {words[s]}" for law, s in f.status.items() if s in words]
    said += [
        f"{share:.0%} of the draws of {law} determine nothing and are left out"
        for law, share in f.dropped.items()
        if share >= 0.1
    ]
    return f"; fits: {', '.join(said)}" if said else ""


def target(f: Forecast) -> str:
    """Where a forecast is, in words: 70B, or 70B params and 1.4T tokens.

    >>> from types import SimpleNamespace as Some
    >>> target(Some(at=7e10, place={}, curve=Some(scale_name="params")))
    '70B'
    >>> target(Some(place={"params": 7e10, "tokens": 1.4e12}))
    '70B params and 1.4T tokens'
    """
    if not f.place:
        return text.scale(f.at, f.curve.scale_name)
    return " and ".join(f"{text.scale(v, name)} {name}" for name, v in f.place.items())


def beyond(f: Forecast) -> str:
    """How far the target lies, in words.

    >>> from types import SimpleNamespace as Some
    >>> made = Some(scale=[10.0, 1000.0])
    >>> where = ((1.25, 2e4), (-0.5, 1e2), (1.0, 1.0))
    >>> [beyond(Some(distance=d, at=x, place={}, curve=made)) for d, x in where]
    ['+1.2 decades', 'inside the range of the rungs', '1 decades below the rungs']
    """
    if f.distance <= 0:
        return "inside the range of the rungs"
    return f"{f.distance:.2g} decades below the rungs" if below(f) else f"{f.distance:+.2g} decades"


def _side(f: Forecast) -> str:
    return "below the smallest" if below(f) else "beyond the largest"


def below(f: Forecast) -> bool:
    """Is the target smaller than all rungs?"""
    return not f.place and f.at < f.curve.scale[0]


# ---------------------------------------------------------------- text


def to_text(made: Forecasts, every: bool = False, most: int = 40) -> Iterable[Any]:
    """What the terminal shows, piece by piece."""
    from rich.text import Text

    shown = made.forecasts if every else made.forecasts[:most]
    many = f"{len(made.forecasts):,} forecast{'s' if len(made.forecasts) > 1 else ''}"
    yield f"{many}; predictive intervals of the score, {sampled(made)}"
    before = None
    for f in shown:
        place = f"{f.key.family} / {f.key.task}"
        if place != before:
            yield Text(f"\n{text.visible(place, 120)}", style="bold")
            before = place
        yield Text("\n".join(_lines(f)))
    yield ""
    if len(shown) < len(made.forecasts):
        more = len(made.forecasts) - len(shown)
        yield f"{more:,} more: --all shows every one, --out FILE.csv writes all"
    if made.refused:
        yield f"{_curves(made)} could not be forecast: {_reasons(made)}"
    yield from _warnings(made)
    yield (
        f"decades: beyond the largest rung; farther than {farthest(made):g} times the range of "
        "the rungs the answer is: not known"
    )


def sampled(made: Forecasts) -> str:
    """Whose sampling error the intervals hold, in words."""
    if all(f.curve.scale_name == "k" for f in made.forecasts):
        return "of the same items, were each given k answers"
    said = "with the sampling error of as many items as the rungs have"
    bare = sum(not _has_error(f.curve) for f in made.forecasts)
    if not bare:
        return said
    if bare == len(made.forecasts):
        return "without sampling error: the number of items is not known"
    return f"{said}; of {bare:,} the number of items is not known: no sampling error"


def _has_error(curve: Curve) -> bool:
    """Is there an error that a forecast passes on: of the items, else that of the last rung?"""
    counted = curve.facts.binary and bool(np.isfinite(curve.count).all())
    return counted or bool(np.isfinite(curve.stderr[-1]))


def farthest(made: Forecasts) -> float:
    """How far, in ranges of the rungs, the answer is known."""
    return max((f.farthest for f in made.forecasts), default=FARTHEST)


def _lines(f: Forecast) -> list[str]:
    """One forecast in two or three lines."""
    held = ", ".join(f"{k}={v}" for k, v in f.key.settings)
    name = f"{text.visible(f.key.metric, 40)}{f' [{text.visible(held, 60)}]' if held else ''}"
    at = f"at {target(f)} ({beyond(f)}), now {text.number(_last(f))}"
    wide = text.interval(list(f.interval(0.95)))
    if not f.known:
        return [f"  {name} {at}", f"    not known; 95 %: {wide}", f"    why: {why(f)}"]
    half, most = (text.interval(list(f.interval(v))) for v in (0.5, 0.8))
    said = f"    {text.number(f.median)}   50 %: {half}   80 %: {most}   95 %: {wide}"
    return [f"  {name} {at}", said, f"    why so wide: {why(f)}"]


def _last(f: Forecast) -> float:
    return float(f.curve.score[-1])


def notes(made: Forecasts | Backtest, *levels: str) -> list[str]:
    """What must be known of the data, a sentence each, of these levels or of all."""
    said = [
        n.message + (f" ({n.count:,})" if n.count else "") + (f" ({n.file})" if n.file else "")
        for n in made.notes
        if not levels or n.level in levels
    ]
    return list(dict.fromkeys(said))


def _warnings(made: Forecasts | Backtest) -> Iterable[str]:
    return (f"! {text.visible(n, 300)}" for n in notes(made, "warning"))


def _curves(made: Forecasts | Backtest) -> str:
    return f"{len(made.refused):,} curve{'s' if len(made.refused) > 1 else ''}"


def _reasons(made: Forecasts | Backtest) -> str:
    counts: dict[str, int] = {}
    for r in made.refused:
        counts[r.reason] = counts.get(r.reason, 0) + 1
    often = sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    said = [f"{text.visible(k, 120)} ({v:,})" for k, v in often[:5]]
    more = sum(v for _, v in often[5:])
    return "; ".join([*said, f"other reasons ({more:,})"] if more else said)


# ---------------------------------------------------------------- backtests


def coverage(rows: pl.DataFrame) -> dict[str, float]:
    """Level -> share of held-out scores inside, in per cent; a tie counts by its share."""
    inside = (rows["pit"] - 0.5).abs()
    return {
        f"{level:g}": 100.0 * float((inside <= level / 2).to_numpy().mean()) for level in LEVELS
    }


def skill(rows: pl.DataFrame) -> dict[str, float]:
    """Mean CRPS of the forecast and of each baseline."""
    names = [c for c in rows.columns if c.startswith("crps")]
    return {
        c.removeprefix("crps").strip("_") or "forecast": float(rows[c].to_numpy().mean())
        for c in names
    }


class Group(NamedTuple):
    """Rows that are told together."""

    by: str  # "all", "moves", or the column whose value ``name`` is
    name: str
    rows: pl.DataFrame

    @property
    def title(self) -> str:
        ends = {"held_out": " held out", "ahead": " rungs ahead"}
        return (text.visible(self.name, 60) or "(none)") + ends.get(self.by, "")


def groups(made: Backtest, by: str = "task") -> list[Group]:
    """All rows, those of series that move, of each number held out, and of each ``by``.

    The largest of each kind come first; of ``by`` nothing where all rows are one group.
    """
    rows = made.rows
    found = [Group("all", "all", rows), Group("moves", "series that move", rows.filter("moves"))]
    for column in dict.fromkeys(("held_out", by)):
        parts = rows.partition_by(column, maintain_order=True)
        if len(parts) > 1:
            each = [Group(column, str(p[0, column]), p) for p in parts]
            if column in ("held_out", "ahead"):
                found += sorted(each, key=lambda g: int(g.name))
            else:
                found += sorted(each, key=lambda g: (-g.rows.height, g.name))
    return [g for g in found if g.rows.height]


def backtest_table(made: Backtest, by: str = "task", most: int = MOST_GROUPS) -> list[list[str]]:
    """Header and rows: forecasts, coverage, CRPS of the forecast and beside it of each baseline.

    Of the groups ``by`` the ``most`` largest.
    """
    others = [c for c in skill(made.rows) if c != "forecast"]
    head = ["", "scores", *(f"{round(100 * v)} %" for v in LEVELS), "CRPS"]
    lines = [[*head, *(BASELINE_NAMES.get(o, o) for o in others), "skill"]]
    every = groups(made, by)
    for group in every[: len(every) - left_over(made, by, most)]:
        inside, crps = coverage(group.rows), skill(group.rows)
        best = min(crps[o] for o in others)
        gain = f"{1 - crps['forecast'] / best:+.0%}" if best > 0 else "–"
        lines.append(
            [
                group.title,
                f"{group.rows.height:,}",
                *(f"{v:.0f} %" for v in inside.values()),
                text.number(crps["forecast"]),
                *(text.number(crps[o]) for o in others),
                gain,
            ]
        )
    return lines


def left_over(made: Backtest, by: str = "task", most: int = MOST_GROUPS) -> int:
    """How many groups ``by`` a table of the ``most`` largest leaves out."""
    return max(sum(g.by == by for g in groups(made, by)) - most, 0)


def more_groups(made: Backtest, by: str = "task") -> str:
    """That a table leaves groups out, in a sentence; nothing where it has all."""
    more = left_over(made, by)
    many = f"{more:,} more group{'s' if more > 1 else ''}"
    return f"{many}: --out FILE.csv has every score, --json FILE every group" if more else ""


def doubts(made: Backtest) -> list[str]:
    """Families and tasks whose 80 % intervals held far too little, the worst first."""
    found = []
    for (family, task), rows in made.rows.group_by("family", "task", maintain_order=True):
        share = coverage(rows)["0.8"]
        if rows.height >= LEAST_SCORES and share < TRUSTED:
            name = text.visible(f"{family} / {task}", 80)
            found.append((share, f"{name}: 80 % intervals hold {share:.0f} % of its scores"))
    said = [words for _, words in sorted(found)[:5]]
    if said:
        more = f"; {len(found) - 5:,} more" if len(found) > 5 else ""
        said[-1] += f"{more}: do not trust forecasts where scores break away from the smaller rungs"
    return said


def backtest_text(made: Backtest, by: str = "task") -> Iterable[Any]:
    from rich.table import Table

    held = str(made.settings["held_out"]).strip("[]")
    series = made.rows.select("family", "task", "metric", "settings").n_unique()
    rungs = "rung" if held == "1" else f"{held} rungs"
    yield (
        f"{made.rows.height:,} held-out scores of {series:,} series (the largest {rungs} held "
        "out), forecast from the smaller rungs"
    )
    head, *lines = backtest_table(made, by)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for i, name in enumerate(head):
        if i:  # numbers and heads stay whole: names fold
            whole = max(len(line[i]) for line in (head, *lines))
            table.add_column(name, justify="right", min_width=whole, no_wrap=True)
        else:
            table.add_column(name, overflow="fold", min_width=8)
    for line in lines:
        table.add_row(*line)
    yield table
    if more := more_groups(made, by):
        yield more
    if made.refused:
        yield f"{_curves(made)} left out: {_reasons(made)}"
    yield from _warnings(made)
    yield from (f"! {d}" for d in doubts(made))
    yield HEADS


def backtest_view(made: Backtest, by: str = "task") -> View:
    """Everything as dicts, lists, strings, numbers and None; ``groups`` as :func:`groups`."""
    return {
        "schema": SKILL_SCHEMA,
        "settings": plain(made.settings),
        "notes": notes_view(made.notes),
        "groups": [
            {
                "by": g.by,
                "name": g.name,
                "scores": g.rows.height,
                "coverage": plain(coverage(g.rows)),
                "crps": plain(skill(g.rows)),
            }
            for g in groups(made, by)
        ],
        "rows": plain(made.rows.to_dicts()),
        "refused": [refusal_view(r) for r in made.refused],
    }


def backtest_json(made: Backtest, by: str = "task") -> str:
    body = json.dumps(backtest_view(made, by), ensure_ascii=False, allow_nan=False, indent=1)
    return text.json_safe(body) + "\n"
