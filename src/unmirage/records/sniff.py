"""Which files to read, and of which kind each is, by name alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unmirage.errors import FileProblem
from unmirage.types import Note

KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".eval": "eval",
}
ZIPPED = {"csv", "tsv", "jsonl"}  # also read with .gz after the name
KNOWN = ".parquet, .csv, .tsv, .jsonl, .ndjson, .json, .arrow, .feather, .eval, .csv.gz, .jsonl.gz"
MANIFEST = "unmirage-records.json"


@dataclass(frozen=True)
class Source:
    """One file to read."""

    path: Path
    name: str  # as given: the name in messages and in the column ``file``
    kind: str  # a value of KINDS, or "store"
    zipped: bool = False
    found: bool = False  # found in a folder, not named by the user

    @property
    def stem(self) -> str:
        """The file's name without its endings; the task of a table that names none."""
        name = self.path.name.removesuffix(".gz")
        return Path(name).stem or name


def kind_of(path: Path) -> tuple[str, bool] | None:
    """(kind, zipped) by the name's ending; None where it says nothing."""
    name = path.name.lower()
    zipped = name.endswith(".gz")
    kind = KINDS.get(os.path.splitext(name.removesuffix(".gz"))[1])
    if kind is None or (zipped and kind not in ZIPPED):
        return None
    return kind, zipped


def is_store(path: Path) -> bool:
    """Whether the folder was written by :func:`unmirage.records.write_store`."""
    return (path / MANIFEST).is_file()


def find(path: Path) -> tuple[list[Source], list[Note]]:
    """The files behind one path: itself, or everything readable below a folder, sorted.

    Raises:
        FileProblem: the path does not exist, is of no known kind, or holds nothing readable.
    """
    name = str(path)
    try:
        if path.is_dir():
            return _find_in_folder(path)
        if not path.exists():
            raise FileProblem("there is no such file or folder", file=name)
        regular = path.is_file()
    except (OSError, ValueError) as e:  # ValueError: a NUL in the name
        raise FileProblem(f"cannot be opened ({e})", file=name) from e
    if path.name == MANIFEST:
        return [Source(path.parent, name, "store")], []
    kind = kind_of(path)
    if kind is None or not regular:
        raise FileProblem("is of no known kind", file=name, mend=f"known endings: {KNOWN}")
    return [Source(path, name, *kind)], []


def _find_in_folder(folder: Path) -> tuple[list[Source], list[Note]]:
    sources: list[Source] = []
    others: list[str] = []
    for path in _walk(folder):
        if path.is_dir():
            sources.append(Source(path, str(path), "store"))
            continue
        kind = kind_of(path)
        if kind is None or not path.is_file():
            others.append(str(path))
        else:
            sources.append(Source(path, str(path), *kind, found=True))
    if not sources:
        what = f"the folder holds no table ({len(others)} other files)"
        raise FileProblem(what, file=str(folder), mend=f"known endings: {KNOWN}")
    return sources, [unread(others)] if others else []


def unread(names: list[str]) -> Note:
    """The note on files of a folder that were not read."""
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return Note("info", "files_not_read", f"files that hold no table: {shown}", count=len(names))


def _walk(folder: Path) -> Iterator[Path]:
    """Files below the folder and stores as a whole, sorted; links to folders are not followed."""
    if is_store(folder):
        yield folder
        return
    for top, folders, files in os.walk(folder):
        here = Path(top)
        stores = [f for f in folders if is_store(here / f)]
        folders[:] = sorted(f for f in folders if f not in stores and not f.startswith("."))
        yield from (here / f for f in sorted([*stores, *files]) if not f.startswith("."))
