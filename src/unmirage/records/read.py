"""read(): files -> Records, one way through:
find -> load -> recognise -> long -> with_scale -> validate -> join -> duplicates."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from unmirage.errors import ColumnError, FileProblem, InputError, OptionError, TooLarge
from unmirage.records import memory
from unmirage.records.cells import boolean, number
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.records.duplicates import check_items, drop_identical, shots_disagree
from unmirage.records.formats import FORMATS, Format, Loaded, format_of
from unmirage.records.left_out import LeftOut
from unmirage.records.models import NONE
from unmirage.records.models.families import with_families
from unmirage.records.models.own import read_models
from unmirage.records.notes import merge
from unmirage.records.progress import Progress, counted
from unmirage.records.recognise import Recognised, check_left_sides, near, recognise
from unmirage.records.remote import fetch, is_remote, load_s3, local, remote
from unmirage.records.scale import with_scale
from unmirage.records.shape import long
from unmirage.records.sniff import Source, find, unread
from unmirage.records.store import read_store
from unmirage.records.table import Options, Table
from unmirage.records.tables import (
    FRAME_NAME,
    absolute,
    from_frame,
    is_frame,
    load,
    looks_like_records,
)
from unmirage.records.validate import complete, validate
from unmirage.records.workers import few_collections, processes
from unmirage.types import Note, Records

Given = str | Path | pl.DataFrame
A = TypeVar("A", Table, Recognised)
B = TypeVar("B")
ROW = 150  # bytes that checking the cells of a row takes, about


def read(
    paths: Given | Sequence[Given],
    *,
    columns: Mapping[str, str] | None = None,
    scores: Sequence[str] = (),
    percent: Sequence[str] = (),
    skip_bad: bool = False,
    need_scale: bool = True,
    models: str | Path | pl.DataFrame | None = None,
    strict: bool = False,
    workers: int | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> Records:
    """Everything measured in some files, folders, stores or data frames, in canonical columns.

    paths: Parquet, CSV, TSV, JSON lines, JSON lists and Arrow files (CSV, TSV and JSON lines also
        as .gz), folders of such (read with all folders below), stores, polars or pandas frames
        (an index with a name is a column), Arrow tables.
        Logs as their tools wrote them, of several tools in one folder: lm-evaluation-harness 0.4
        and older, Inspect (.eval, .json), HELM, lighteval and the first Open LLM Leaderboard,
        llm-foundry (DCLM), BIG-bench, outputs of BIG-Bench Hard, every-eval-ever, responses of
        completions and chats (OpenAI, Together, vLLM).
        Single files behind https://, http://, hf://datasets/... and s3://.
    columns: canonical name -> the name in the files; "scale" stands for "params".
    scores: the columns of wide tables that hold scores; ``*`` and ``?`` match names.
    percent: metrics whose scores are written on 0-100.
    skip_bad: leave rows with impossible cells out, counted in a note, instead of raising.
    need_scale: raise where a table says nowhere how large its models are, and neither ``models``,
        the bundled table of well-known models nor the models' names do.
    models: a table of the caller's own models: columns model, params, tokens, flops, family.
    strict: stop at the first bad file. Otherwise one that was found in a folder is left out with
        a warning, as long as another can be read; a file that was named is always an error.
    workers: how many processes read large folders of logs; 1: this one alone. By default one a
        core where there are more than 50 MB to read. The result is the same.
    max_memory: GB (1e9 bytes) that this process may hold; by default what it holds when it begins
        and 80 % of the memory that is free then (of the machine, or of its control group).
    progress: called with the number of files opened so far and the number of all.

    Raises:
        FileProblem: a file that cannot be read.
        ColumnError: a column that is missing, ambiguous or of the wrong type.
        ValueProblem: a cell that cannot be right.
        OptionError: an option that names what is not there.
        TooLarge: reading takes more memory than is allowed; nothing is left out to fit.

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
    with memory.limited(max_memory), processes(workers):
        return _read(_as_list(paths), options, LeftOut(strict), progress)


def _read(given: list[Any], options: Options, left: LeftOut, progress: Progress | None) -> Records:
    with _place(given) as folder:
        given, fetched = _fetched(given, Path(folder))
        with few_collections():
            tables, stores, notes, formats = _load_all(given, options.skip_bad, left, progress)
    notes.extend(fetched)
    recognised = _each(tables, lambda t: _recognised(t, options), left)
    used_columns: set[str] = set().union(*(r.used for r in recognised))
    seen_columns: set[str] = set().union(*(r.theirs for r in recognised))
    _refuse_unused("--columns", set(options.columns.values()) - used_columns, seen_columns)
    checked = _each(recognised, lambda seen: _checked(seen, options), left)
    if left.errors and not checked and not stores:
        raise left.errors[0]
    notes.extend(note for one in checked for note in one.notes)
    notes.extend(left.notes())
    used_scores: set[str] = set().union(*(one.scores for one in checked))
    _refuse_unused("--scores", set(options.scores) - used_scores, seen_columns)
    _refuse_large(checked, stores)
    joined = _join([(one.frame, one.samples) for one in checked], stores, notes, options)
    return replace(joined, formats=tuple(sorted(formats.items())))


@dataclass(frozen=True, eq=False)
class _Checked:
    """One table in canonical columns, its cells checked."""

    name: str
    frame: pl.DataFrame
    samples: bool
    notes: tuple[Note, ...]
    scores: frozenset[str]  # entries of the option that it used


def _recognised(table: Table, options: Options) -> Recognised:
    return recognise(_guess_types(table) if table.text else table, options.columns, options.scores)


def _checked(seen: Recognised, options: Options) -> _Checked:
    seen, used = long(seen, options)
    memory.check(ROW * seen.table.frame.height, file=seen.table.name)
    seen = with_scale(seen, options.need_scale, options.models)
    frame, notes = validate(seen, options)
    return _Checked(seen.table.name, frame, seen.samples, notes, used)


def _each(ones: list[A], do: Callable[[A], B], left: LeftOut) -> list[B]:
    """``do`` for every table, each let go when it is done; those of bad files are left out."""
    done: list[B] = []
    while ones:
        one = ones.pop(0)
        name = _frame(one)[0]
        try:
            _check_memory([one, *ones, *done])
            done.append(do(one))
        except InputError as error:
            left.take(error, name)
    return done


def _frame(one: Table | Recognised | _Checked) -> tuple[str, pl.DataFrame]:
    """The file's name and its rows."""
    table = one.table if isinstance(one, Recognised) else one
    return table.name, table.frame


def _check_memory(held: Sequence[Any]) -> None:
    """When tables are checked all files were read: the largest of them is at fault."""
    try:
        memory.check()
    except TooLarge as e:
        file = max(map(_frame, held), key=lambda one: one[1].estimated_size())[0]
        raise TooLarge(e.what, file=file, mend=e.mend) from e


def _refuse_large(checked: list[_Checked], stores: list[Records]) -> None:
    """All rows side by side take as much again, and comparing them half of that."""
    frames = [one.frame for one in checked]
    frames += [frame for store in stores for frame in (store.samples, store.aggregates)]
    largest = max(checked, key=lambda one: one.frame.estimated_size(), default=None)
    name = largest.name if largest else None
    memory.check(1.5 * sum(frame.estimated_size() for frame in frames), file=name)


def _as_list(paths: Any) -> list[Any]:
    """What was given, one by one.

    Raises:
        OptionError: nothing, an empty path, or what is neither a path nor a data frame.
    """
    alone = _is_given(paths) or isinstance(paths, (bytes, bytearray, Mapping))
    given = [paths] if alone or not isinstance(paths, Iterable) else list(paths)
    if not given:
        raise OptionError("nothing to read", mend="give at least one file or folder")
    for one in given:
        if not _is_given(one):
            what = f"{type(one).__name__} is neither a path nor a data frame"
            raise OptionError(what, mend="give files, folders or data frames")
        if isinstance(one, str) and not one.strip():
            # the name in a variable that is not set would be the folder one happens to be in
            raise OptionError("a path is empty", mend="name a file or folder; . is this folder")
    return given


def _is_given(one: Any) -> bool:
    return isinstance(one, (str, Path)) or is_frame(one)


def _place(given: list[Any]) -> AbstractContextManager[str]:
    """A folder for what is fetched, gone when all is read; none where nothing is."""
    if not any(is_remote(one) for one in given):
        return nullcontext("")
    return tempfile.TemporaryDirectory(prefix="unmirage-", ignore_cleanup_errors=True)


def _fetched(given: list[Any], folder: Path) -> tuple[list[Any], list[Note]]:
    """What was given, with files from the network as Sources or Tables, and notes on them."""
    done: list[Any] = []
    notes: list[Note] = []
    for i, one in enumerate(given):
        if not is_remote(one):
            done.append(one)
            continue
        if path := local(one):
            done.append(path)
            continue
        place = remote(one)
        if place.url.startswith("s3:"):
            done.append(load_s3(place))
            continue
        (folder / str(i)).mkdir()
        source, note = fetch(place, folder / str(i))
        done.append(source)
        notes.append(note)
    return done, notes


def _load_all(
    given: list[Any], skip_bad: bool, left: LeftOut, progress: Progress | None
) -> tuple[list[Table], list[Records], list[Note], Counter[str]]:
    """Tables, stores and notes of all that was given, and how many files of each format."""
    frames = [one for one in given if not isinstance(one, (str, Path, Source, Table))]
    alone = len(given) == 1
    names = [FRAME_NAME if alone else f"(frame {i + 1})" for i in range(len(frames))]
    tables = [from_frame(one, name) for one, name in zip(frames, names, strict=True)]
    formats = Counter({"data frame": len(frames)} if frames else {})
    elsewhere = [one for one in given if isinstance(one, Table)]
    tables += elsewhere
    formats.update({"s3": len(elsewhere)} if elsewhere else {})
    groups = [find(Path(one)) for one in given if isinstance(one, (str, Path))]
    fetched = [one for one in given if isinstance(one, Source)]
    plain, logs, notes = _sorted([*groups, (fetched, [])], left)
    stores: list[Records] = []
    with counted(progress, len(plain) + sum(map(len, logs.values()))):
        for source in plain:
            try:
                if source.kind == "store":
                    memory.check(file=source.name)
                    stores.append(read_store(source.path))
                else:
                    tables.append(load(source, skip_bad))
                formats[source.kind] += 1
            except InputError as error:
                left.take(error, source.name)
        for kind in FORMATS:
            of_logs, told = _load_logs(kind, logs[kind.name], skip_bad, left, formats)
            tables += of_logs
            notes += told
    if not tables and not stores:
        raise left.errors[0] if left.errors else _nothing(given, notes)
    return tables, stores, notes, formats


def _nothing(given: list[Any], notes: list[Note]) -> FileProblem:
    said = "; ".join(note.message for note in notes)
    return FileProblem(f"holds no table ({said})" if said else "holds no table", file=str(given[0]))


def _sorted(
    groups: list[tuple[list[Source], list[Note]]], left: LeftOut
) -> tuple[list[Source], dict[str, list[Source]], list[Note]]:
    """Plain tables and stores, logs by format, and notes; each file once."""
    named = {absolute(s.path) for sources, _ in groups for s in sources if not s.found}
    plain: list[Source] = []
    logs: dict[str, list[Source]] = {f.name: [] for f in FORMATS}
    notes: list[Note] = []
    done: set[Path] = set()
    for sources, told in groups:
        notes += told
        left.found |= {s.name for s in sources if s.found and absolute(s.path) not in named}
        others = []
        for source, kind, records in _kinds(sources, left):
            if not records:
                others.append(source.name)
            elif (where := absolute(source.path)) not in done:  # else named twice
                done.add(where)
                (plain if kind is None else logs[kind.name]).append(source)
        if others:
            notes.append(unread(others))
    return plain, logs, notes


def _kinds(sources: list[Source], left: LeftOut) -> Iterator[tuple[Source, Format | None, bool]]:
    """Each file that can be opened, with the format that claims it, and whether it holds records
    at all; one that was named is taken at its word."""
    for source in sources:
        try:
            kind = format_of(source)
            records = kind is not None or not source.found or looks_like_records(source)
        except InputError as error:
            left.take(error, source.name)
        else:
            yield source, kind, records


def _load_logs(
    kind: Format, sources: list[Source], skip_bad: bool, left: LeftOut, formats: Counter[str]
) -> Loaded:
    """The tables of one format; again without a file that turns out to be bad."""
    failed = 0
    while sources:
        try:
            tables, notes = kind.load(sources, skip_bad)
        except InputError as error:
            sources = left.of_many(error, sources)
            failed += 1
            if failed == 2:  # each of many bad files would be a reading of all
                sources = [s for s in sources if _is_good(kind, s, skip_bad, left)]
        else:
            formats[kind.name] = len(sources)
            return tables, notes
    return [], []


def _is_good(kind: Format, source: Source, skip_bad: bool, left: LeftOut) -> bool:
    """Whether a file that was found can be read by itself; else it is left out."""
    if source.name not in left.found:
        return True
    try:
        kind.load([source], skip_bad)
    except InputError as error:
        return bool(left.of_many(error, [source])) if error.file == source.name else True
    return True


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
    if not percent:
        return
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
