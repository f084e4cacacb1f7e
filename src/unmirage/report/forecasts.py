"""Forecasts and backtests -> plain values, tables and text. It computes no forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

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

SCHEMA = "unmirage.forecast/1"
SKILL_SCHEMA = "unmirage.backtest/1"
#: what the baselines are called
BASELINE_NAMES = {
    "last_value": "last value",
    "random_walk": "random walk",
    "logit_line": "line in logit",
}
_SAMPLING = "sampling of items"


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
            f"not known: {f.distance:.2g} decades beyond the largest of rungs that span "
            f"{f.reach:.2g}; the band holds every law that is still plausible{fits(f)}"
        )
    parts = sorted(f.why.items(), key=lambda p: -p[1])
    said = [f"{name} {share:.0%}" for name, share in parts if share >= 0.05]
    return (", ".join(said) or "nearly certain") + fits(f)


def fits(f: Forecast) -> str:
    """Which fits did not converge, to be added to a sentence; nothing where all did."""
    words = {"at_bound": "at a bound", "degenerate": "not determined", "unfinished": "unfinished"}
    said = [f"{law} {words[s]}" for law, s in f.status.items() if s in words]
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
    >>> beyond(Some(distance=1.25)), beyond(Some(distance=-0.5))
    ('+1.2 decades', 'inside the range of the rungs')
    """
    return "inside the range of the rungs" if f.distance <= 0 else f"{f.distance:+.2g} decades"


# ---------------------------------------------------------------- text


def to_text(made: Forecasts, every: bool = False, most: int = 40) -> Iterable[Any]:
    """What the terminal shows, piece by piece."""
    from rich.text import Text

    shown = made.forecasts if every else made.forecasts[:most]
    many = f"{len(made.forecasts):,} forecast{'s' if len(made.forecasts) > 1 else ''}"
    yield f"{many}; predictive intervals of the score, {measured(made)}"
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
        curves = f"{len(made.refused):,} curve{'s' if len(made.refused) > 1 else ''}"
        yield f"{curves} could not be forecast: {_reasons(made)}"
    yield from _warnings(made)
    yield (
        f"decades: beyond the largest rung; farther than {farthest(made):g} times the range of "
        "the rungs the answer is: not known"
    )


def measured(made: Forecasts) -> str:
    """What a measured score is."""
    if all(f.curve.scale_name == "k" for f in made.forecasts):
        return "of the same items, were each given k answers"
    return "with the sampling error of as many items as the rungs have"


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


def _reasons(made: Forecasts | Backtest) -> str:
    counts: dict[str, int] = {}
    for r in made.refused:
        counts[r.reason] = counts.get(r.reason, 0) + 1
    return "; ".join(f"{text.visible(k, 120)} ({v:,})" for k, v in sorted(counts.items())[:5])


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


def groups(made: Backtest, by: str = "task", most: int = 30) -> list[tuple[str, pl.DataFrame]]:
    """All rows, those of series that move, and those of each task (the largest groups)."""
    rows = made.rows
    found = [("all", rows), ("series that move", rows.filter("moves"))]
    found += [
        (f"{held} held out", rows.filter(pl.col("held_out") == held))
        for held in sorted(rows["held_out"].unique().to_list())
        if rows["held_out"].n_unique() > 1
    ]
    parts = rows.partition_by(by, maintain_order=True) if rows[by].n_unique() > 1 else []
    largest = sorted(parts, key=lambda p: (-p.height, str(p[0, by])))[:most]
    return [*(g for g in found if g[1].height), *((str(p[0, by]), p) for p in largest)]


def backtest_table(made: Backtest, by: str = "task", most: int = 30) -> list[list[str]]:
    """Header and rows: forecasts, coverage, CRPS of the forecast and beside it of each baseline."""
    others = [c for c in skill(made.rows) if c != "forecast"]
    head = ["", "scores", *(f"in {round(100 * v)} %" for v in LEVELS), "CRPS"]
    lines = [[*head, *(BASELINE_NAMES.get(o, o) for o in others), "skill"]]
    for name, rows in groups(made, by, most):
        inside, crps = coverage(rows), skill(rows)
        best = min(crps[o] for o in others)
        gain = f"{1 - crps['forecast'] / best:+.0%}" if best > 0 else "–"
        lines.append(
            [
                text.visible(name, 60),
                f"{rows.height:,}",
                *(f"{v:.0f} %" for v in inside.values()),
                text.number(crps["forecast"]),
                *(text.number(crps[o]) for o in others),
                gain,
            ]
        )
    return lines


def backtest_text(made: Backtest, by: str = "task") -> Iterable[Any]:
    from rich.table import Table

    held = str(made.settings["held_out"]).strip("[]")
    series = made.rows.select("family", "task", "metric", "settings").n_unique()
    yield (
        f"{made.rows.height:,} held-out scores of {series:,} series (the largest "
        f"{held} rungs held out), forecast from the smaller rungs"
    )
    head, *lines = backtest_table(made, by)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for i, name in enumerate(head):
        if i:  # numbers stay whole, headings may wrap
            whole = max(len(line[i]) for line in lines)
            table.add_column(name, justify="right", min_width=whole)
        else:
            table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*line)
    yield table
    yield from _warnings(made)
    yield (
        "in 50 %: held-out scores inside the 50 % interval (a tie counts by its share); "
        "CRPS: smaller is better, shares in points of 1, other metrics in ranges of their series; "
        "skill: CRPS less than that of the best baseline"
    )


def backtest_json(made: Backtest) -> str:
    body = {
        "schema": SKILL_SCHEMA,
        "settings": plain(made.settings),
        "notes": notes_view(made.notes),
        "coverage": {n: coverage(r) for n, r in groups(made)},
        "crps": {n: skill(r) for n, r in groups(made)},
        "rows": plain(made.rows.to_dicts()),
        "refused": [refusal_view(r) for r in made.refused],
    }
    return text.json_safe(json.dumps(body, ensure_ascii=False, allow_nan=False, indent=1)) + "\n"
