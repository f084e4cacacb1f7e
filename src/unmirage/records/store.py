"""Keeps Records on disk: a folder of two Parquet files and a manifest, replaced as one.

The manifest is written last and by renaming, so that a reader sees the old store or the new one
and never a half of each; the Parquet files of the store that it replaces are removed afterwards.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import msgspec
import polars as pl

from unmirage.errors import FileProblem, OptionError
from unmirage.records import memory
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.records.sniff import MANIFEST
from unmirage.records.table import guard
from unmirage.types import Note, Records

FORMAT = "unmirage-records"
VERSION = 1
_METADATA = "unmirage_records_version"


class _Manifest(msgspec.Struct):
    format: str
    version: int
    samples: str  # file names within the folder
    aggregates: str
    rows: dict[str, int]
    notes: tuple[Note, ...]


def write_store(records: Records, path: str | Path) -> None:
    """Writes the records to the folder ``path``; a store that is there is replaced as a whole.

    Raises:
        FileProblem: the place cannot be written, or holds something that is no store.

    >>> import tempfile
    >>> from unmirage.records import read
    >>> found = read(pl.DataFrame({"params": [1e6, 1e9], "score": [0.1, 0.6]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_store(found, folder + "/store")
    ...     read_store(folder + "/store").aggregates.equals(found.aggregates)
    True
    """
    folder = Path(path)
    name = str(path)
    with guard(name):
        if folder.exists() and not folder.is_dir():
            raise FileProblem("is a file; a store is a folder", file=name)
        if folder.is_dir() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
            mend = "name a new or empty folder, or an older store"
            raise FileProblem("the folder holds other things", file=name, mend=mend)
        check_schema(records.samples, samples=True, name=name)
        check_schema(records.aggregates, samples=False, name=name)
        folder.mkdir(parents=True, exist_ok=True)
        token = uuid.uuid4().hex[:12]
        files = {
            "samples": f"samples-{token}.parquet",
            "aggregates": f"aggregates-{token}.parquet",
        }
        _put(records.samples, folder / files["samples"])
        _put(records.aggregates, folder / files["aggregates"])
        manifest = _Manifest(
            FORMAT,
            VERSION,
            files["samples"],
            files["aggregates"],
            {"samples": records.samples.height, "aggregates": records.aggregates.height},
            records.notes,
        )
        temporary = folder / f".{token}.tmp"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        os.replace(temporary, folder / MANIFEST)
        _sweep(folder, keep=set(files.values()))


def write_parquet(records: Records, path: str | Path) -> None:
    """Writes records of one kind as one Parquet file, whole or not at all; notes are not kept.

    Raises:
        OptionError: there are both answers and scores without items.
        FileProblem: the place cannot be written.

    >>> import tempfile
    >>> from unmirage.records import read
    >>> found = read(pl.DataFrame({"params": [1e6, 1e9], "score": [0.1, 0.6]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(found, folder + "/all.parquet")
    ...     read(folder + "/all.parquet").aggregates["score"].to_list()
    [0.1, 0.6]
    """
    target, name = Path(path), str(path)
    frames = [f for f in (records.samples, records.aggregates) if f.height]
    if len(frames) != 1:
        what = f"{name}: one Parquet file holds answers or scores without items, not both"
        raise OptionError(what, mend="name a folder: a store holds both")
    frame = frames[0].select(s for s in frames[0].get_columns() if s.null_count() < len(s))
    with guard(name):
        if target.is_dir():
            raise FileProblem(
                "is a folder", file=name, mend="name a file, or a folder without .parquet"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        _put(frame, target)


def _put(frame: pl.DataFrame, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        frame.write_parquet(temporary, metadata={_METADATA: str(VERSION)})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path, keep: set[str]) -> None:
    """Removes the data files of older stores, and nothing else."""
    for kind in ("samples", "aggregates"):
        for old in folder.glob(f"{kind}-{'[0-9a-f]' * 12}.parquet"):
            if old.name not in keep:
                old.unlink(missing_ok=True)


def read_store(path: str | Path) -> Records:
    """The records that :func:`write_store` wrote.

    Raises:
        FileProblem: no store, an unknown version, a missing or truncated file, another schema.
    """
    folder = Path(path)
    if folder.name == MANIFEST:
        folder = folder.parent
    name = str(path)
    with guard(name):
        manifest = _manifest(folder, name)
        samples = _get(folder, manifest.samples, name, manifest.rows.get("samples"))
        aggregates = _get(folder, manifest.aggregates, name, manifest.rows.get("aggregates"))
        check_schema(samples, samples=True, name=name)
        check_schema(aggregates, samples=False, name=name)
    return Records(samples, aggregates, manifest.notes)


def _manifest(folder: Path, name: str) -> _Manifest:
    if not (folder / MANIFEST).is_file():
        raise FileProblem(f"is no store: it has no {MANIFEST}", file=name)
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
    if manifest.format != FORMAT or manifest.version > VERSION:
        what = f"is a store of version {manifest.version}; this program reads up to {VERSION}"
        raise FileProblem(what, file=name, mend="use a newer unmirage")
    return manifest


def _get(folder: Path, file: str, name: str, rows: int | None) -> pl.DataFrame:
    # a manifest may come from anywhere: it must not name files elsewhere
    if Path(file).name != file:
        raise FileProblem(f"the manifest names {file!r}, which is not in the store", file=name)
    memory.check(memory.of_parquet(folder / file))
    frame = pl.read_parquet(folder / file, glob=False, hive_partitioning=False)
    if rows is not None and frame.height != rows:
        raise FileProblem(f"{file} holds {frame.height} rows, not {rows}", file=name)
    return frame


def check_schema(frame: pl.DataFrame, *, samples: bool, name: str) -> None:
    """Raises FileProblem where a canonical column has another type than the canonical one."""
    known = CANONICAL_SAMPLES if samples else CANONICAL_AGGREGATES
    for column, dtype in frame.schema.items():
        if column in known and dtype != known[column]:
            what = f"the column {column!r} is {dtype}, not {known[column]}"
            raise FileProblem(what, file=name)
    needed = ("item", "file", "row") if samples else ("score", "file", "row")
    for column in needed:
        if column not in frame.columns:
            raise FileProblem(f"the records have no column {column!r}", file=name)
