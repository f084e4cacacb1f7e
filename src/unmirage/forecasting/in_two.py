"""Forecasts in parameters and tokens at once: ``--to params=7e10,tokens=1.4e13``.

    L(N, D) = E + A (N / N0)^-a + B (D / D0)^-b

(Hoffmann et al. 2022, arXiv 2203.15556, Eq. 2): of a loss, or of -log of a share above chance, or
of the companion of a metric, which is then pushed through the metric. Every model stands at its
own (N, D); curves are ordered by 6 N D, the FLOPs of training. Axes: M rungs, T targets; the last
of a place holds decades of N and of D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from unmirage.curves.build import build
from unmirage.curves.options import Built, Options, pick, wanted
from unmirage.errors import ColumnError, InputError, OptionError
from unmirage.forecasting import companions, single
from unmirage.forecasting import draws as make
from unmirage.forecasting.series import batch
from unmirage.forecasting.two_scales import LEAST, TWO_SCALES, TWO_SCALES_SHARE
from unmirage.forecasting.types import FARTHEST, Fan, Forecast, Prediction, beyond
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.types import Curve, Floats, Note, Records, Refusal

AXES = ("params", "tokens")
ROUTES = ("two_scales", "metric", "two_step")
_FAN = 40
#: columns that may only repeat what the two scales say
_NAMES = ("run", "variant")


@dataclass(frozen=True, eq=False)
class Surface:
    """A curve and where its rungs stand."""

    curve: Curve  # scale: 6 N D
    place: Floats  # (M, 2) log10 of N and D


def forecast_in_two(
    records: Records, options: Options, targets: Mapping[str, Sequence[float]], *, route: str,
    seed: int, draws: int, fan: bool,
) -> tuple[list[Forecast], list[Refusal], Built]:  # fmt: skip
    """One forecast for each family, task, metric and target.

    Raises
    ------
    OptionError
        another route, or not one number of tokens for each number of parameters.
    InputError
        no ladder varies both.
    """
    route = "two_scales" if route == "process" else route
    if route not in ROUTES:
        what = f"the route {route!r} knows one scale"
        raise OptionError(what, mend=f"one of {', '.join(ROUTES)}, or one scale in --to")
    if len({len(v) for v in targets.values()}) > 1:
        mend = "as many tokens as params: --to params=7e10,1e11 --to tokens=1e12,2e12"
        raise OptionError("targets of two scales that do not pair", mend=mend)
    at = np.log10(np.array([targets[a] for a in AXES], float)).T  # (T, 2)
    found, refused, built = surfaces(records, options)
    asked = [i for i, s in enumerate(found) if wanted(s.curve.key.metric, options)]
    refused = [r for r in refused if wanted(r.key.metric, options)]
    if not asked:
        raise _nothing(refused)
    paths = [_path(s, at) for s in found]
    every = [np.concatenate([at, p]) if fan else at for p in paths]
    made = predict(found, asked, every, route=route, seed=seed, draws=draws)
    forecasts = []
    for i in asked:
        if i in made:
            forecasts += _forecasts(found[i], made[i], at, paths[i] if fan else None, route)
        else:
            reason = f"the route {route!r} does not lead to it"
            refused.append(Refusal(found[i].curve.key, "no_route", reason, "--route two_scales"))
    if not forecasts:
        raise _nothing(refused)
    return forecasts, refused, built


def _nothing(refused: Sequence[Refusal]) -> InputError:
    if refused:
        first = refused[0]
        return InputError(f"{first.key.label()}: {first.reason}", mend=first.mend)
    return InputError("no curve has that metric", mend="see `unmirage read` for what there is")


# ---------------------------------------------------------------- ladders


def surfaces(records: Records, options: Options) -> tuple[list[Surface], list[Refusal], Built]:
    """The curves of the records over both scales, and what cannot be one."""
    asked = [pick(f, options) if f.height else f for f in (records.samples, records.aggregates)]
    frames = [_usable(f) for f in asked]
    if not any(f.height for f in frames):
        raise ColumnError(
            "no row has both params and tokens",
            mend="--models models.csv with columns model, params, tokens; or one scale in --to",
        )
    places = pl.concat([f.select(AXES) for f in frames if f.height]).unique()
    places = places.sort(pl.col("params") * pl.col("tokens"), "params")
    # every (N, D) is a rung of its own: numbered, as two may take the same compute
    numbered = places.with_row_index("flops", offset=1).with_columns(
        pl.col("flops").cast(pl.Float64)
    )
    joined = [
        f.drop("flops", strict=False).join(numbered, on=AXES, how="left", maintain_order="left")
        for f in frames
    ]
    lost = sum(f.height for f in asked) - sum(f.height for f in frames)
    names = [n for n in _repeated(joined) if n not in options.choice.by]
    choice = replace(options.choice, scale="flops", ignore=[*options.choice.ignore, *names])
    one_scale = replace(records, samples=joined[0], aggregates=joined[1])
    built = build(one_scale, replace(options, choice=choice))
    notes = [n for n in built.notes if n.code not in ("scale", "small_scale")]
    notes.append(Note("info", "scale", "scale axes: params and tokens (log10, decades)"))
    if names:
        said = "taken to name how long a model was trained (--by NAME keeps them apart)"
        text = f"{', '.join(names)}: {said}"
        notes.append(Note("info", "training_names", text))
    if lost:
        text = f"{lost} rows lack params or tokens and are left out"
        notes.append(Note("warning", "no_scale", text, count=lost))
    where = np.log10(places.to_numpy())
    each = [_surface(c, where) for c in built.curves]
    found = [s for s in each if isinstance(s, Surface)]
    refused = [*built.refused, *(r for r in each if isinstance(r, Refusal))]
    return found, refused, replace(built, notes=tuple(notes))


def _usable(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with both scales, above 0."""
    if not {*AXES} <= {*frame.columns}:
        return frame.clear().with_columns(pl.lit(None, pl.Float64).alias(a) for a in AXES)
    good = [pl.col(a).is_finite() & (pl.col(a) > 0) for a in AXES]
    return frame.filter(pl.all_horizontal(good).fill_null(False))


def _repeated(frames: Sequence[pl.DataFrame]) -> list[str]:
    """Columns that only name how much a model was trained: a path, a multiple of Chinchilla."""
    found: dict[str, None] = {}
    for frame in (f for f in frames if f.height):
        known = CANONICAL_SAMPLES if "item" in frame.columns else CANONICAL_AGGREGATES
        runs = [k for k in ("family", "model", "params", *_NAMES) if k in frame.columns]
        last = frame.filter(pl.col("tokens") == pl.col("tokens").max().over(runs))
        for c in frame.columns:
            plain = c in _NAMES or (c not in known and not c.startswith("_"))
            if plain and not frame.schema[c].is_nested() and _names_training(last, c):
                found[c] = None
    return list(found)


def _names_training(last: pl.DataFrame, column: str) -> bool:
    """One value at each (N, D), and each value a place of its own, or a range of N, D or D / N."""
    family = [k for k in ("family",) if k in last.columns]
    if last[column].n_unique() < 2 or last[column].null_count():
        return False
    each = last.group_by([*family, *AXES]).agg(pl.col(column).n_unique().alias("k"))
    if each["k"].max() != 1:
        return False
    ratio = pl.col("tokens") / pl.col("params")
    ends = [
        last.group_by([*family, column]).agg(low=by.min(), high=by.max()).sort([*family, "low"])
        for by in (pl.col("tokens"), pl.col("params"), ratio)
    ]
    one = pl.struct(AXES).n_unique().alias("k")
    alone = last.group_by([*family, column]).agg(one)["k"].max() == 1
    return alone or any(not _overlap(e, family) for e in ends)


def _overlap(ends: pl.DataFrame, family: Sequence[str]) -> bool:
    before = pl.col("high").shift()
    low = pl.col("low") <= (before.over(family) if family else before)
    return bool(ends.select(low.any()).item())


def _surface(curve: Curve, where: Floats) -> Surface | Refusal:
    place = where[curve.scale.astype(int) - 1]
    sizes, tokens = (len(np.unique(place[:, k])) for k in (0, 1))
    if len(place) < LEAST or min(sizes, tokens) < 2:
        reason = f"{len(place)} models, {sizes} sizes, {tokens} numbers of tokens"
        mend = f"{LEAST} models that differ in both (--checkpoint all: each checkpoint is one)"
        return Refusal(curve.key, "one_scale", reason, mend)
    return Surface(replace(curve, scale=6.0 * 10.0 ** place.sum(axis=1)), place)


# ---------------------------------------------------------------- forecasts


def predict(
    surfaces: Sequence[Surface], asked: Sequence[int], at: Sequence[Floats], *, route: str,
    seed: int, draws: int,
) -> dict[int, Prediction]:  # fmt: skip
    """Place of the curve -> its prediction at its targets (T, 2), log10; what cannot be is out."""
    curves = [s.curve for s in surfaces]

    def law(places: Sequence[int], mine: Sequence[Curve]) -> Sequence[Prediction | None]:
        start = [surfaces[i].place.min(axis=0) for i in places]
        rungs = [surfaces[i].place - s for i, s in zip(places, start, strict=True)]
        ahead = [at[i] - s for i, s in zip(places, start, strict=True)]
        made: list[Prediction | None] = [None] * len(mine)
        for of in (TWO_SCALES, TWO_SCALES_SHARE):
            one = single.predict_at(of, mine, rungs, ahead, seed=seed, draws=draws)
            made = [new if new is not None else old for old, new in zip(made, one, strict=True)]
        return made

    if route != "two_scales":
        return companions.push(route, curves, asked, law, seed=seed)
    made = law(asked, [curves[i] for i in asked])
    return {i: one for i, one in zip(asked, made, strict=True) if one is not None}


def _path(s: Surface, at: Floats) -> Floats:
    """From the model of most compute straight to the farthest target, (G, 2)."""
    far = at[at.sum(axis=1).argmax()]
    return np.linspace(s.place[-1], far, _FAN)


def _forecasts(
    s: Surface, made: Prediction, at: Floats, path: Floats | None, route: str
) -> list[Forecast]:
    far = int(at.sum(axis=1).argmax())
    shown: Fan | None = None
    if path is not None:
        scale = 6.0 * 10.0 ** path.sum(axis=1)
        rest = slice(len(at), None)
        known = np.array([_beyond(s, p)[2] for p in path])
        widest = make.band_as_measured(made.widest[rest], batch([s.curve]))
        shown = make.fan(scale, made.measured[rest], widest, known)
    found = []
    for t, place in enumerate(at):
        distance, reach, _ = _beyond(s, place)
        measured = make.band_as_measured(made.widest[t : t + 1], batch([s.curve]))[0]
        found.append(
            Forecast(
                s.curve.key, s.curve, float(6.0 * 10.0 ** place.sum()), distance, reach, route,
                np.sort(made.measured[t]), np.sort(made.expected[t]),
                (float(measured[0]), float(measured[1])),
                (float(made.widest[t, 0]), float(made.widest[t, 1])),
                made.weights, made.why[t], shown if t == far else None, status=made.status,
                dropped=made.dropped,
                place=dict(zip(AXES, map(float, 10.0**place), strict=True)),
            )
        )  # fmt: skip
    return found


def _beyond(s: Surface, place: Floats) -> tuple[float, float, bool]:
    """Decades beyond the rungs and their span, on the axis on which it is farther for its span."""
    distance = np.array([beyond(place[k], s.place[:, k]) for k in range(2)])
    reach = np.ptp(s.place, axis=0)
    worst = int((distance / reach).argmax())
    return float(distance[worst]), float(reach[worst]), bool((distance <= FARTHEST * reach).all())
