"""How large each model is: as the table says, else the user's table of models, else the bundled
one, else the size that the model's name states. Each row says which in ``scale_source``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from unmirage.errors import ColumnError
from unmirage.records.cells import parse
from unmirage.records.columns import SCALE_COLUMNS, extra_columns, squeeze
from unmirage.records.models import NONE, Known, OwnModels, known
from unmirage.records.recognise import Recognised, near
from unmirage.types import Level, Note

# 1_8B may be 1.8B: no size is read off it
_SIZE = re.compile(
    r"(?<![A-Za-z0-9.])(?<!\d_)(\d{1,9})(\.\d{1,9})?([mMbB])(\d{0,9})(?![A-Za-z0-9]|\.\d)"
)
_FACTORS = {"m": 1e6, "b": 1e9}
#: the values of ``scale_source``, best first
TABLE, MODELS, BUNDLED, NAME = "table", "models file", "bundled table", "name"
#: a size in the table and a known one are of one model up to this ratio (rounding, embeddings)
_SAME = 1.15
_OTHER, _UNITS = 2.0, 1e4  # beyond: another model; beyond: another unit, which is told elsewhere


def size_in(name: str) -> float | None:
    """The number of parameters that a model's name states; None where it states none or several.

    >>> size_in("opt-125m"), size_in("bloom-7b1"), size_in("Mixtral-8x7B"), size_in("Qwen-1_8B")
    (125000000.0, 7100000000.0, None, None)
    """
    sizes = set()
    for whole, part, unit, tail in _SIZE.findall(name[:500]):
        if part and tail:
            continue
        digits = f"{whole}{part}" if part else f"{whole}.{tail or 0}"
        sizes.add(float(round(float(digits) * _FACTORS[unit.lower()])))
    return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None


@dataclass(frozen=True)
class _Size:
    """The size of one model and where it is from."""

    known: Known
    source: str


#: (level, code, text, which models it is about): the notes on sizes that are not the table's own
_ORIGINS: tuple[tuple[Level, str, str, Callable[[_Size], bool]], ...] = (
    ("info", "params_from_models", "{sizes} taken from the models file",
     lambda s: s.source == MODELS),
    ("info", "params_known", "{sizes} taken from the bundled table of known models",
     lambda s: s.source == BUNDLED),
    ("info", "params_of_base", "tuned variants (chat, instruct) are given the size of their base",
     lambda s: s.known.base_of),
    ("warning", "params_inferred", "sizes never published: taken as inferred from scores",
     lambda s: s.known.inferred),
    ("warning", "params_from_names", "{sizes} were read off the models' names",
     lambda s: s.source == NAME),
)  # fmt: skip


def look(name: str, models: OwnModels) -> _Size | None:
    """What is said of a model beside its table."""
    own, listed = models.find(name), known(name)
    if own and (own.params or own.tokens or own.flops):
        return _Size(own, MODELS)
    if listed:
        return _Size(listed, BUNDLED)
    size = size_in(name)
    return _Size(Known(name, None, size), NAME) if size else None


def with_scale(seen: Recognised, need: bool, models: OwnModels = NONE) -> Recognised:
    """The table with a scale column where one can be had, row by row.

    Without any scale column of its own every model's size must be found: no row is lost unnoticed.

    Raises:
        ColumnError: there is no scale column, and a model's size is not known.
    """
    own = _own(seen)
    if own is None:
        return seen  # cells that are no numbers are refused, with their row, when types are checked
    work = _Work(seen, own)
    if work.names is None:
        if not work.has_scale and need:
            raise _no_scale(seen, [])
        return work.tagged() if work.has_scale else work.unknown()
    sizes = {name: look(name, models) for name in work.names.drop_nulls().unique()}
    lacking = set(work.names.filter(work.lacking).unique())
    unknown = sorted(n for n in lacking - {None} if sizes[n] is None)
    found = {n: s for n, s in sizes.items() if s is not None}
    given = any(s.source == MODELS for s in found.values())
    if (unknown or None in lacking) and not work.sized.any():
        if work.stepped.any() and not given:
            return work.tagged()  # the steps of training are the scale
        if need and not work.stepped.any():
            raise _no_scale(seen, unknown)
    return work.filled(found, unknown)


def _own(seen: Recognised) -> dict[str, pl.Series] | None:
    """The table's own scale columns as numbers; None where a cell is none."""
    columns: dict[str, pl.Series] = {}
    frame = seen.table.frame
    for column in SCALE_COLUMNS:
        if column in frame.columns:
            factor = seen.factors.get(column, 1.0)
            parsed = parse(frame[column], pl.Float64, scale=True, factor=factor)
            if parsed.bad.any():
                return None
            columns[column] = parsed.values
    return columns


class _Work:
    """One table whose sizes are filled."""

    def __init__(self, seen: Recognised, own: Mapping[str, pl.Series]) -> None:
        self.seen, self.own = seen, own
        frame = seen.table.frame
        self.frame = frame
        self.sized = self._any(("params", "tokens", "flops"))
        self.stepped = self._any(("step",))
        self.has_scale = bool(self.sized.any() or self.stepped.any())
        named = "model" in frame.columns and frame["model"].dtype == pl.String
        self.names = frame["model"] if named else None
        self.with_params = self._any(("params",))
        # where some rows say their params, params are the scale: the others need them as well
        self.lacking = ~(self.with_params if self.with_params.any() else self.sized)

    def _any(self, columns: Iterable[str]) -> pl.Series:
        """Rows in which one of the table's own columns says something."""
        there = pl.repeat(False, self.frame.height, dtype=pl.Boolean, eager=True)
        for column in columns:
            if column in self.own:
                there = there | self.own[column].is_not_null()
        return there

    def tagged(self) -> Recognised:
        """The table as it is, each row with the source of its scale."""
        if "scale_source" in self.frame.columns or not self.has_scale:
            return self.seen
        source = pl.when(self.sized | self.stepped).then(pl.lit(TABLE)).alias("scale_source")
        return self._with(self.frame.with_columns(source), ())

    def unknown(self) -> Recognised:
        """The table as it is, with a warning: nothing says how large its models are."""
        text = "nothing says how large the models are: curves need it"
        return self._with(self.frame, (), [Note("warning", "no_size", text, self.seen.table.name)])

    def filled(self, sizes: Mapping[str, _Size], unknown: list[str]) -> Recognised:
        joined = self._joined(sizes)
        gets = self._gets(joined)
        new: dict[str, pl.Series] = {}
        if gets.any():
            new["params"] = self._filled("params", pl.when(gets).then(joined["_params"]))
        new |= self._training(new.get("params", self.own.get("params")), joined)
        source = pl.select(
            pl.when(gets).then(joined["_source"]).otherwise(self._old_source())
        ).to_series()
        source = self._with_training(source, new, joined)
        frame = self.frame.with_columns(*new.values(), source.alias("scale_source"))
        notes = [*self._notes(sizes, source), *self._trained(new, joined)]
        notes += [*self._disagree(sizes), *_without(unknown, self)]
        return self._with(frame, new, notes)

    def _with(
        self, frame: pl.DataFrame, done: Iterable[str], notes: Iterable[Note] = ()
    ) -> Recognised:
        table = replace(self.seen.table, frame=frame)
        factors = {c: f for c, f in self.seen.factors.items() if c not in done}
        return replace(self.seen, table=table, factors=factors, notes=(*self.seen.notes, *notes))

    def _joined(self, sizes: Mapping[str, _Size]) -> pl.DataFrame:
        """What is known of each row's model beside the table: _params, _tokens, _flops, _source."""
        schema = {"model": pl.String, "_source": pl.String}
        schema |= {f"_{c}": pl.Float64 for c in ("params", "tokens", "flops")}  # type: ignore[misc]
        rows = [
            (n, s.source, s.known.params, s.known.tokens, s.known.flops) for n, s in sizes.items()
        ]
        table = pl.DataFrame(rows, schema=schema, orient="row")
        return self.frame.select("model").join(table, on="model", how="left", maintain_order="left")

    def _gets(self, joined: pl.DataFrame) -> pl.Series:
        """Rows that take their params from beside the table."""
        given = (joined["_source"] == MODELS).fill_null(False)
        return (self.lacking | given) & ~self.with_params & joined["_params"].is_not_null()

    def _filled(self, column: str, fill: pl.Expr) -> pl.Series:
        own = self.own.get(column)
        new = fill if own is None else pl.coalesce(pl.lit(own), fill)
        return pl.select(new.alias(column)).to_series()

    def _training(self, params: pl.Series | None, joined: pl.DataFrame) -> dict[str, pl.Series]:
        """Tokens and FLOPs: those of the whole training of a model of this very size."""
        columns = [c for c in ("tokens", "flops") if joined[f"_{c}"].null_count() < len(joined)]
        if not columns:
            return {}
        same = joined["_params"].is_null()
        if params is not None:
            ratio = (params / joined["_params"]).log().abs()
            same = same | (ratio < math.log(_SAME)).fill_null(False)
        whole = ~self._any(("tokens", "flops", "step")) & same
        new = {c: self._filled(c, pl.when(whole).then(joined[f"_{c}"])) for c in columns}
        return {c: s for c, s in new.items() if s.null_count() < len(s)}

    def _with_training(
        self, source: pl.Series, new: Mapping[str, pl.Series], joined: pl.DataFrame
    ) -> pl.Series:
        """The sources; where tokens or FLOPs are from elsewhere than the size, with theirs."""
        word = pl.lit(None, dtype=pl.String)
        for column, name in (("tokens", "tokens"), ("flops", "FLOPs")):
            if column in new:
                old = self.own.get(column)
                filled = new[column].is_not_null() & (True if old is None else old.is_null())
                word = pl.coalesce(word, pl.when(filled).then(pl.lit(name)))
        origin = pl.lit(joined["_source"])
        said = pl.format("{}; {}: {}", pl.lit(source), word, origin)
        other = word.is_not_null() & (pl.lit(source) != origin)
        return pl.select(pl.when(other).then(said).otherwise(pl.lit(source))).to_series()

    def _old_source(self) -> pl.Expr:
        said = pl.when(self.sized | self.stepped).then(pl.lit(TABLE))
        if "scale_source" in self.frame.columns:
            before = self.frame["scale_source"].cast(pl.String)
            return pl.coalesce(pl.lit(before), said)
        return said

    def _notes(self, sizes: Mapping[str, _Size], source: pl.Series) -> list[Note]:
        """One note for each origin of sizes, counting models."""
        assert self.names is not None
        pairs = pl.DataFrame({"model": self.names, "source": source}).unique().drop_nulls()
        filled = {m for m, s in pairs.rows() if s != TABLE and m in sizes and s == sizes[m].source}
        told = []
        for level, code, text, fits in _ORIGINS:
            count = sum(fits(sizes[m]) for m in filled)
            lead = "sizes that the table lacks" if self.has_scale else "no scale column: sizes"
            if count:
                said = text.replace("{sizes}", lead)
                told.append(Note(level, code, said, self.seen.table.name, count))
        return told

    def _trained(self, new: Mapping[str, pl.Series], joined: pl.DataFrame) -> list[Note]:
        """Says where the training tokens and FLOPs come from that the table lacks."""
        if new.keys().isdisjoint(("tokens", "flops")):
            return []
        filled = pl.repeat(False, self.frame.height, dtype=pl.Boolean, eager=True)
        for column in ("tokens", "flops"):
            if column in new:
                old = self.own.get(column)
                filled = filled | (new[column].is_not_null() & (old is None or old.is_null()))
        notes = []
        for origin in (MODELS, BUNDLED):
            rows = joined.filter(filled & (joined["_source"] == origin).fill_null(False))
            if count := rows["model"].n_unique():
                text = f"training tokens and FLOPs that the table lacks taken from the {origin}"
                notes.append(Note("info", "training_known", text, self.seen.table.name, count))
        return notes

    def _disagree(self, sizes: Mapping[str, _Size]) -> list[Note]:
        """A warning where the table's own size is not that of the model it names."""
        if "params" not in self.own or self.names is None:
            return []
        pairs = pl.DataFrame({"model": self.names, "params": self.own["params"]})
        wrong = []
        for name, params in pairs.drop_nulls().unique().sort("model", "params").rows():
            size = sizes.get(name)
            said = size.known.params if size and size.source != NAME else None
            if said and params > 0 and _OTHER < max(params / said, said / params) < _UNITS:
                wrong.append(f"{name!r} has {params:.3g}, known as {said:.3g}")
        if not wrong:
            return []
        shown = "; ".join(wrong[:3]) + ("; ..." if len(wrong) > 3 else "")
        text = f"sizes in the table (used) are not those of the models named: {shown}"
        return [Note("warning", "size_disagrees", text, self.seen.table.name, len(wrong))]


def _without(unknown: list[str], work: _Work) -> list[Note]:
    if not unknown:
        return []
    shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
    text = f"no size is known of {shown}: give it with --models"
    return [Note("warning", "models_without_size", text, work.seen.table.name, len(unknown))]


def _no_scale(seen: Recognised, unknown: list[str]) -> ColumnError:
    columns = seen.theirs
    left = extra_columns(seen.table.frame)
    words = ("param", "size", "scale", "token", "flop", "compute", "step")
    like = (c for word in words for c in left if word in squeeze(c))
    almost = (c for word in ("params", "model_size", "tokens", "flops") if (c := near(word, left)))
    guess = "N" if "N" in columns else next(like, None) or next(almost, None)
    mend = seen.table.scale_mend or f"--columns scale={guess or '<your column>'}"
    if unknown:
        mend += ", or --models models.csv with the columns model and params"
    shown = ", ".join(columns[:30]) + (", ..." if len(columns) > 30 else "")
    what = f"no column says how large a model is (params, tokens, flops, step); columns: {shown}"
    if unknown:
        names = ", ".join(repr(n[:60]) for n in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        what += f"; no size is known of {names}"
    return ColumnError(what, file=seen.table.name, mend=mend)
