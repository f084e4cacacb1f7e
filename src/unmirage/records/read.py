"""read(): files -> Records, one way through:
find -> load -> recognise -> long -> with_scale -> validate -> join -> duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.errors import ColumnError, FileProblem, InputError, OptionError
from unmirage.records.cells import boolean, number
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.records.duplicates import check_items, drop_identical, shots_disagree
from unmirage.records.formats import FORMATS, format_of
from unmirage.records.models import NONE
from unmirage.records.models.families import with_families
from unmirage.records.models.own import read_models
from unmirage.records.notes import merge
from unmirage.records.recognise import check_left_sides, near, recognise
from unmirage.records.scale import with_scale
from unmirage.records.shape import long
from unmirage.records.sniff import Source, find, unread
from unmirage.records.store import read_store
from unmirage.records.table import Options, Table
from unmirage.records.tables import FRAME_NAME, absolute, from_frame, load, looks_like_records
from unmirage.records.validate import complete, validate
from unmirage.types import Note, Records

Given = str | Path | pl.DataFrame


def read(
    paths: Given | Sequence[Given],
    *,
    columns: Mapping[str, str] | None = None,
    scores: Sequence[str] = (),
    percent: Sequence[str] = (),
    skip_bad: bool = False,
    need_scale: bool = True,
    models: str | Path | pl.DataFrame | None = None,
) -> Records:
    """Everything measured in some files, folders, stores or data frames, in canonical columns.

    paths: Parquet, CSV, TSV, JSON lines, JSON lists and Arrow files (CSV, TSV and JSON lines also
        as .gz), folders of such (read with all folders below), stores, polars or pandas frames.
        Folders of logs that lm-evaluation-harness 0.4 wrote (samples and results) as they are.
    columns: canonical name -> the name in the files; "scale" stands for "params".
    scores: the columns of wide tables that hold scores; ``*`` and ``?`` match names.
    percent: metrics whose scores are written on 0-100.
    skip_bad: leave rows with impossible cells out, counted in a note, instead of raising.
    need_scale: raise where a table says nowhere how large its models are, and neither ``models``,
        the bundled table of well-known models nor the models' names do.
    models: a table of the caller's own models: columns model, params, tokens, flops, family.

    Raises:
        FileProblem: a file that cannot be read.
        ColumnError: a column that is missing, ambiguous or of the wrong type.
        ValueProblem: a cell that cannot be right.
        OptionError: an option that names what is not there.

    >>> table = pl.DataFrame({"model": ["a", "b"], "params": ["70M", "1B"], "score": [0.1, 0.6]})
    >>> found = read(table)
    >>> found.aggregates.select("model", "params", "metric", "score").rows()
    [('a', 70000000.0, 'score', 0.1), ('b', 1000000000.0, 'score', 0.6)]
    """
    options = Options(
        check_left_sides(columns or {}),
        tuple(scores),
        tuple(percent),
        skip_bad,
        need_scale,
        NONE if models is None else read_models(models),
    )
    tables, stores, notes, found = _load_all(_as_list(paths), skip_bad)
    parts: list[tuple[pl.DataFrame, bool]] = []
    tables = [_guess_types(t) if t.text else t for t in tables]
    recognised = [recognise(t, options.columns) for t in tables]
    used_columns: set[str] = set().union(*(r.used for r in recognised))
    seen_columns: set[str] = set().union(*(r.theirs for r in recognised))
    _refuse_unused("--columns", set(options.columns.values()) - used_columns, seen_columns)
    used_scores: set[str] = set()
    left_out: list[ColumnError] = []
    for seen in recognised:
        try:
            seen, used = long(seen, options)
            sized = with_scale(seen, need_scale, options.models)
        except ColumnError as error:
            # a folder may hold tables of other things; a table that was named must be one of scores
            if seen.table.name not in found:
                raise
            left_out.append(error)
            continue
        used_scores |= used
        frame, told = validate(sized, options)
        parts.append((frame, seen.samples))
        notes.extend(told)
    if left_out and not parts and not stores:
        raise left_out[0]
    notes.extend(Note("warning", "file_left_out", f"left out: {e.what}", e.file) for e in left_out)
    _refuse_unused("--scores", set(options.scores) - used_scores, seen_columns)
    return _join(parts, stores, notes, options)


def _as_list(paths: Any) -> list[Any]:
    if isinstance(paths, (str, Path, pl.LazyFrame)) or hasattr(paths, "columns"):
        return [paths]
    if isinstance(paths, (bytes, bytearray)) or not isinstance(paths, Iterable):
        what = f"{type(paths).__name__} is neither a path nor a data frame"
        raise OptionError(what, mend="give files, folders or data frames")
    given = list(paths)
    if not given:
        raise OptionError("nothing to read", mend="give at least one file or folder")
    return given


def _load_all(
    given: list[Any], skip_bad: bool
) -> tuple[list[Table], list[Records], list[Note], set[str]]:
    """Tables, stores, notes, and the names of tables that were found in a folder, not named."""
    tables: list[Table] = []
    stores: list[Records] = []
    notes: list[Note] = []
    done: set[Path] = set()
    in_folders: set[str] = set()
    logs: dict[str, list[Source]] = {f.name: [] for f in FORMATS}
    for one in given:
        if not isinstance(one, (str, Path)):
            name = FRAME_NAME if len(given) == 1 else f"(frame {len(tables) + 1})"
            tables.append(from_frame(one, name))
            continue
        sources, more = find(Path(one))
        notes.extend(more)
        ours = {s: f.name for s in sources if (f := format_of(s))}
        others = [s for s in sources if s.found and s not in ours and not looks_like_records(s)]
        if others:
            notes.append(unread([s.name for s in others]))
        for source in [s for s in sources if s not in others]:
            where = absolute(source.path)
            if where in done:
                continue  # named twice
            done.add(where)
            in_folders |= {source.name} if source.found else set()
            if source in ours:
                logs[ours[source]].append(source)
            elif source.kind == "store":
                stores.append(read_store(source.path))
            else:
                tables.append(load(source, skip_bad))
    for kind in FORMATS:
        of_logs, told = kind.load(logs[kind.name], skip_bad)
        tables += of_logs
        notes += told
    if not tables and not stores:
        raise FileProblem("holds no table", file=str(given[0]))
    return tables, stores, notes, in_folders


def _guess_types(table: Table) -> Table:
    """Types for the columns of a CSV that have no canonical name: whole numbers, numbers, truth
    values, else text."""
    known = {*CANONICAL_AGGREGATES, *CANONICAL_SAMPLES}
    changed = [_guess(s) for s in table.frame.get_columns() if s.name not in known]
    return replace(table, frame=table.frame.with_columns(changed))


def _guess(s: pl.Series) -> pl.Series:
    seen = s.drop_nulls()
    if seen.is_empty() or not seen.head(1).str.contains(r"^\s*[-+.\dnNiItTfF]").item():
        return s
    # 007 is a name, not the number 7
    if seen.str.contains(r"^\s*[-+]?0\d").any():
        return s
    if seen.str.contains(r"^-?\d{1,18}$").all():
        return s.cast(pl.Int64)
    parsed = number(s)
    if not parsed.bad.any() and not parsed.guessed and parsed.values.null_count() == s.null_count():
        return parsed.values
    if seen.str.to_lowercase().is_in(["true", "false"]).all():
        return boolean(s).values
    return s


def _refuse_unused(option: str, unused: set[str], seen: set[str]) -> None:
    for name in sorted(unused):
        guess = near(name, sorted(seen))
        shown = ", ".join(sorted(seen)[:30])
        mend = f"did you mean {guess!r}? columns: {shown}" if guess else f"columns: {shown}"
        raise ColumnError(f"{option}: no table has a column {name!r}", mend=mend)


def _join(
    parts: list[tuple[pl.DataFrame, bool]],
    stores: list[Records],
    notes: list[Note],
    options: Options,
) -> Records:
    samples = [f for f, is_samples in parts if is_samples] + [s.samples for s in stores]
    aggregates = [f for f, is_samples in parts if not is_samples] + [s.aggregates for s in stores]
    for store in stores:
        notes.extend(store.notes)
    _refuse_unknown_percent(options.percent, [f for f, _ in parts])
    for fresh in ([f for f, s in parts if s], [f for f, s in parts if not s]):
        notes.extend(shots_disagree(unify(fresh)) if fresh else [])
    whole = [
        complete(unify(group), known) for group, known in ((samples, True), (aggregates, False))
    ]
    whole, found = with_families(whole, options.models)
    notes.extend(found)
    both = []
    for frame in whole:
        frame, found = drop_identical(frame)
        notes.extend(found)
        both.append(frame)
    both[0], found = check_items(both[0], options.skip_bad)
    notes.extend(found)
    if both[0].height == 0 and both[1].height == 0:
        said = "; ".join(n.message for n in notes if n.level == "warning")
        raise InputError(f"no usable row is left ({said})" if said else "no usable row is left")
    return Records(both[0], both[1], merge(notes))


def _refuse_unknown_percent(percent: Sequence[str], frames: list[pl.DataFrame]) -> None:
    """A metric that is not there may be a slip, and its scores would stay on 0-100."""
    metrics = sorted({str(m) for f in frames for m in f["metric"].drop_nulls().unique()})
    tasks = sorted({str(t) for f in frames for t in f["task"].drop_nulls().unique()})
    known = {n.casefold(): n for n in (*tasks, *metrics)}
    for name in percent:
        if name.casefold() not in known:
            guess = near(name, known.values())
            mend = f"did you mean {guess!r}?" if guess else "metrics: " + ", ".join(metrics[:30])
            raise OptionError(f"--percent: no metric is named {name!r}", mend=mend)


def unify(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame; a column of different types becomes a number if all are, else text."""
    frames = [f for f in frames if f.height]
    types: dict[str, set[Any]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).add(dtype)
    common: dict[str, Any] = {
        name: pl.Float64 if all(t.is_numeric() for t in kinds) else pl.String
        for name, kinds in types.items()
        if len(kinds) > 1
    }
    cast = [f.cast({c: t for c, t in common.items() if c in f.columns}) for f in frames]
    return pl.concat(cast, how="diagonal") if cast else pl.DataFrame()
