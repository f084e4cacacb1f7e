"""One log of Inspect: what it says of the run, and its samples one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from unmirage.errors import FileProblem
from unmirage.records.formats.inspect.archive import opened
from unmirage.records.formats.jsonfile import content_of
from unmirage.records.formats.lm_eval.results import part, real
from unmirage.records.jsonlines import Decoder
from unmirage.records.sniff import Source
from unmirage.types import Note

_MEND = "repair or remove it, or leave such samples out with skip_bad (--skip-bad)"
_SHOTS = ("fewshot", "num_fewshot", "n_fewshot", "shots", "fewshots")
_PLACE = re.compile(r"samples/(.+)_epoch_(\d+)\.json$", re.DOTALL)


class Sample(msgspec.Struct):
    """What is read of a sample; its messages, events and store are skipped."""

    id: Any = None
    epoch: Any = None
    input: Any = None
    choices: Any = None
    target: Any = None
    output: Any = None
    scores: Any = None
    score: Any = None  # logs of 2024 before several scorers
    error: Any = None
    attachments: Any = None


_DECODER = msgspec.json.Decoder(Sample)


@dataclass(frozen=True, eq=False)
class Log:
    """The head of one log; ``content`` holds the samples of a JSON log."""

    source: Source
    head: Mapping[str, Any]
    samples: int  # how many it holds
    content: tuple[Any, ...] = ()

    @property
    def model(self) -> str:
        return str(part(self.head, "eval").get("model"))

    @property
    def task(self) -> str:
        return str(part(self.head, "eval").get("task"))

    @property
    def status(self) -> str:
        return str(self.head.get("status"))

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for the files of one evaluation and for its later tries."""
        told = part(self.head, "eval")
        name = told.get("task_id")
        named = isinstance(name, str) and name
        return name if named else self.source.name, self.model, self.task

    @property
    def worth(self) -> tuple[Any, ...]:
        """The file of an evaluation to read: done, with most samples, the newest."""
        created = str(part(self.head, "eval").get("created"))
        packed = self.source.kind == "eval"
        return self.status == "success", self.samples, created, packed, self.source.name

    @property
    def epochs(self) -> int:
        number = real(part(self.head, "eval", "config").get("epochs"))
        return int(number) if number and 1 <= number < 1e6 else 1

    def settings(self) -> dict[str, Any]:
        """Columns that are the same in all rows of the log."""
        told = part(self.head, "eval")
        args = dict(part(told, "task_args"))
        shots = next((s for k in _SHOTS if (s := real(args.pop(k, None))) is not None), None)
        words = [f"{k}={v}" for k, v in sorted(args.items()) if isinstance(v, (str, int, float))]
        version = told.get("task_version")
        return {
            "model": self.model,
            "task": self.task,
            "task_version": str(version) if version not in (None, 0, "") else None,
            "shots": int(shots) if shots is not None and 0 <= shots < 1e6 else None,
            "variant": ", ".join(words)[:300] or None,
            "format": told["solver"] if isinstance(told.get("solver"), str) else None,
        }


def head_of_log(source: Source) -> Log:
    """The head of one file.

    Raises:
        FileProblem: it is damaged, or no log.
    """
    if source.kind != "eval":
        content = content_of(source)
        listed = content.get("samples")
        samples = tuple(listed) if isinstance(listed, list) else ()
        head = {k: v for k, v in content.items() if k != "samples"}
        return Log(source, _checked(head, source), len(samples), samples)
    with opened(source.path, source.name) as archive:
        raw = archive.read("header.json") or archive.read("_journal/start.json")
        if raw is None:
            raise FileProblem("holds no header.json: no log of Inspect", file=source.name)
        try:
            head = Decoder()(raw)
        except ValueError as e:
            what = f"its header is not JSON ({str(e)[:120]})"
            raise FileProblem(what, file=source.name) from e
        count = len(archive.names("samples/"))
    if isinstance(head, dict):
        head.setdefault("status", "started")  # a journal: the run did not come to its end
    return Log(source, _checked(head, source), count)


def _checked(head: Any, source: Source) -> Mapping[str, Any]:
    told = head.get("eval") if isinstance(head, dict) else None
    if not isinstance(told, dict) or not (told.get("task") and told.get("model")):
        raise FileProblem("names no task and model: no log of Inspect", file=source.name)
    return dict(head)


def samples_of(log: Log, skip_bad: bool, notes: list[Note]) -> Iterator[tuple[int, Sample]]:
    """(place from 1 on, sample) of every sample.

    Raises:
        FileProblem: a sample that is no JSON object (skip_bad: left out and counted).
    """
    bad = 0
    for place, raw in enumerate(_raw(log), 1):
        try:
            yield place, _sample(raw)
        except ValueError as e:
            if not skip_bad:
                what = f"the sample cannot be read ({str(e)[:120]})"
                where = f"sample {place}"
                raise FileProblem(what, file=log.source.name, where=where, mend=_MEND) from e
            bad += 1
    if bad:
        text = "samples that cannot be read left out"
        notes.append(Note("warning", "bad_rows", text, log.source.name, bad))


def _raw(log: Log) -> Iterator[Any]:
    if log.source.kind != "eval":
        yield from log.content
        return
    with opened(log.source.path, log.source.name) as archive:
        for name in sorted(archive.names("samples/"), key=_order):
            yield archive.read(name)


def _order(name: str) -> tuple[Any, ...]:
    """Samples in the order of their ids, numbers as numbers, then of their epochs."""
    found = _PLACE.match(name)
    if not found:
        return 2, 0, name, 0
    number = int(found[1]) if found[1].isdecimal() and len(found[1]) < 19 else None
    return (0, number, "", int(found[2][:9])) if number is not None else (1, 0, *found.groups())


def _sample(raw: Any) -> Sample:
    if isinstance(raw, bytes):
        try:
            return _DECODER.decode(raw)
        except (ValueError, RecursionError):
            raw = Decoder()(raw)  # NaN, which JSON forbids and Python writes
    if not isinstance(raw, dict):
        raise ValueError("no object")
    return Sample(**{k: v for k, v in raw.items() if k in Sample.__struct_fields__})
