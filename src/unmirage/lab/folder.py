"""The folder of a run: what it holds, whose it is, and that one run at a time writes in it.

    run.json                    the family and its settings
    records/<rung>.parquet      one file a rung, finished or not there
    records/success.parquet     the share of seeds that succeeded, by size
    .lab/models/...             weights of every recorded step
    .lab/sums/...               SHA-256 of each file of records
    .lab/work/...               the state of a rung in training
    .lab/lock                   held while a run is at work; freed by the system when it dies

Names that begin with a dot are not read by ``unmirage audit``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.errors import FileProblem, OptionError
from unmirage.lab.recipe import VERSION, Recipe, Rung, asked_only

FORMAT = "unmirage-lab"
_ASKED = "unmirage_lab_rung"
#: what a killed run leaves half written
_UNFINISHED = (
    ".run.json.*.tmp",
    "records/.*.parquet.*.tmp",
    ".lab/models/*/.*.safetensors.*.tmp",
    ".lab/work/.*.safetensors.*.tmp",
)


class Folder:
    """Paths of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = self.path / "run.json"
        self.models = self.path / ".lab" / "models"
        self.work = self.path / ".lab" / "work"
        self.sums = self.path / ".lab" / "sums"
        self.success = self.path / "records" / "success.parquet"

    def records(self, rung: Rung) -> Path:
        """Where the records of a rung lie."""
        return self.path / "records" / f"{rung.stem()}.parquet"

    def finished(self, rung: Rung) -> bool:
        """Whether the records of the rung, asked just this, are there."""
        path = self.records(rung)
        if not path.exists():
            return False
        try:
            if pl.read_parquet_metadata(path).get(_ASKED) != rung.asked():
                return False
            there = self.sums / path.name
            if there.exists() and there.read_text() != _sum(path):
                raise OSError("they are not the bytes that were written")
            if not there.exists():
                pl.read_parquet(path)
            return True
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise FileProblem(
                f"the records are damaged ({error})",
                file=str(path),
                mend="remove this file and run the same command again",
            ) from error

    def keep(self, frame: pl.DataFrame, rung: Rung) -> None:
        """Write the records of a rung, and their sum before they have their name."""
        write_frame(frame, self.records(rung), rung, self.sums)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out.

        Raises:
            OptionError: another run is at work in the folder.
            FileProblem: the folder cannot be made.
        """
        self._refuse_foreign()
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lab" / "lock", "a")  # noqa: SIM115
        except OSError as error:
            raise FileProblem(
                f"the folder cannot be used ({error})", file=str(self.path)
            ) from error
        with lock:
            if not _take(lock.fileno()):
                raise OptionError(
                    f"another run is at work in {self.path}",
                    mend="wait for it, or use another --out",
                )
            for pattern in _UNFINISHED:
                for left in self.path.glob(pattern):
                    left.unlink(missing_ok=True)
            yield

    def _refuse_foreign(self) -> None:
        """Before anything is written or swept: the folder is new, empty or a run's."""
        if self.manifest.exists():
            _read(self.manifest)
            return
        if not self.path.is_dir():
            return
        ours = {".lab"}
        if (self.path / ".lab" / "lock").exists():
            ours.add("records")  # a run whose damaged run.json was removed
        # a run that was killed at its start has left no more than this
        if any(p.name not in ours and not p.match(_UNFINISHED[0]) for p in self.path.iterdir()):
            raise OptionError(
                f"{self.path} holds other things and no run of the lab",
                mend="use a new or an empty folder",
            )

    def plan(self, wanted: Sequence[Rung], replace: bool = False) -> list[Rung]:
        """The rungs wanted and those that the folder holds already, asked the same.

        More sizes and more seeds extend a run; other numbers of items or choices ask its trained
        models anew. Writes run.json.

        Raises:
            OptionError: the folder holds a run with other settings, or other things.
            FileProblem: its run.json is damaged.
        """
        new = _settings(wanted)
        if not self.manifest.exists():
            rungs = list(wanted)
        else:
            old = _read(self.manifest)
            differ = _differences(old, new)
            if differ and not replace:
                raise OptionError(
                    f"{self.path} holds a run with other settings: {differ}",
                    mend="use another --out (or, of lab run, --replace to give that run up)",
                )
            if differ:
                mine = [f"{task}-d*-seed*.parquet" for task in old["tasks"]]
                for pattern in (*mine, self.success.name):
                    for path in (self.path / "records").glob(pattern):
                        path.unlink()
                rungs = list(wanted)
            else:
                rungs = _extend(old, wanted)
        body = {**new, "rungs": [[r.task, r.d_model, r.seed] for r in rungs]}
        write_text(self.manifest, json.dumps(body, indent=1) + "\n")
        return rungs


def _settings(rungs: Sequence[Rung]) -> dict[str, Any]:
    """What all rungs of a task share, by task."""
    tasks = {}
    for r in rungs:
        tasks[r.task] = {
            "recipe": asdict(r.recipe),
            "options": dict(r.options),
            "seed": r.task_seed,
        }
    return {"format": FORMAT, "version": VERSION, "tasks": tasks}


def _read(path: Path) -> dict[str, Any]:
    """What run.json holds.

    Raises:
        FileProblem: it is not what the lab writes.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["format"] != FORMAT or type(found["version"]) is not int:
            raise KeyError("format")
        if found["version"] == VERSION:
            _rungs(found)
    except (ValueError, KeyError, TypeError, AttributeError, OptionError) as error:
        raise FileProblem(
            f"it is no run of the lab, or damaged ({type(error).__name__}: {error})",
            file=str(path),
            mend="use another --out; if it was a run of the lab, remove this file and run the same "
            "command again: finished rungs are kept",
        ) from error
    return dict(found)


def _rungs(found: dict[str, Any]) -> list[Rung]:
    """The rungs that run.json names."""
    shared = {
        task: (Recipe(**s["recipe"]), tuple(sorted(s["options"].items())), s["seed"])
        for task, s in found["tasks"].items()
    }
    rungs = []
    for task, width, seed in found["rungs"]:
        one = Rung(task, width, seed, *shared[task])
        if not all(type(number) is int for number in (width, seed, one.task_seed)):
            raise TypeError("a width or a seed is no whole number")
        rungs.append(one)
    return rungs


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """In words, the settings of the training in which two runs differ."""
    if old["version"] != new["version"]:
        return f"lab version {old['version']} there, {new['version']} now"
    said = []
    if set(old["tasks"]) != set(new["tasks"]):
        said.append(f"{', '.join(old['tasks'])} there, {', '.join(new['tasks'])} now")
    for task in sorted(set(old["tasks"]) & set(new["tasks"])):
        a, b = (_flat(side["tasks"][task]) for side in (old, new))
        for name in sorted(set(a) | set(b)):
            if a.get(name) != b.get(name) and name not in asked_only(task):
                was, now = a.get(name, "the default"), b.get(name, "the default")
                said.append(f"{task}: {name} {was} there, {now} now")
    return "; ".join(said)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings["recipe"], **settings["options"], "task seed": settings["seed"]}


def _extend(old: dict[str, Any], wanted: Sequence[Rung]) -> list[Rung]:
    like = {r.task: r for r in wanted}
    there = [
        Rung(task, width, seed, like[task].recipe, like[task].options, like[task].task_seed)
        for task, width, seed in old["rungs"]
    ]
    order = {r.task: i for i, r in reversed(list(enumerate(wanted)))}
    both = list(dict.fromkeys([*there, *wanted]))
    return sorted(both, key=lambda r: (order[r.task], r.d_model, r.seed))


def read_plan(path: str | Path) -> list[Rung]:
    """The rungs of a run's folder.

    Raises:
        FileProblem: there is no run, or its run.json is damaged.
    """
    folder = Folder(path)
    if not folder.manifest.exists():
        raise FileProblem(
            "there is no run of the lab", file=str(path), mend="make one: unmirage lab run"
        )
    found = _read(folder.manifest)
    if found["version"] != VERSION:
        raise FileProblem(
            f"the run is of lab version {found['version']}, this is {VERSION}",
            file=str(folder.manifest),
            mend="train it anew: unmirage lab run --replace",
        )
    return _rungs(found)


def _take(descriptor: int) -> bool:
    """Lock a file without waiting; the system frees it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_frame(
    frame: pl.DataFrame, path: Path, rung: Rung | None = None, sums: Path | None = None
) -> None:
    """Write Parquet under a temporary name, then move it: a killed run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    facts = {_ASKED: rung.asked()} if rung else None
    try:
        frame.write_parquet(unfinished, compression="zstd", compression_level=22, metadata=facts)
        if sums is not None:
            sums.mkdir(parents=True, exist_ok=True)
            write_text(sums / path.name, _sum(unfinished))
        os.replace(unfinished, path)
    except pl.exceptions.PolarsError as error:  # how polars tells of a full disk
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """The same for a text."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, "utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
