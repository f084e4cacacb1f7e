"""Which files are logs of Inspect, and what one of them holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from unmirage.errors import FileProblem, ValueProblem
from unmirage.records.formats.inspect_ai.archive import Archive, BadArchive
from unmirage.records.formats.inspect_ai.rows import BadSample, Sample, sample_of
from unmirage.records.formats.jsonfile import head_of
from unmirage.records.formats.skim import skim, whole
from unmirage.records.jsonlines import MAX_LIST, Decoder
from unmirage.records.sniff import Source
from unmirage.records.table import guard, show
from unmirage.types import Note

_HEAD = 4096  # bytes of a .json file in which a log shows itself
_EVAL = re.compile(rb'"eval"\s*:\s*\{')
_BESIDE = re.compile(rb'"(status|run_id|eval_id|task_id)"\s*:')
_SAMPLE = re.compile(r"^samples/.*_epoch_\d+(\.json|/sample\.json)$", re.DOTALL)
_MEND = "repair it, write the log again, or leave such samples out with skip_bad (--skip-bad)"
#: where a log says how it went, the best first; older versions had other names
_HEADERS = ("header.json", "_journal/start.json", "start.json")
_RESULTS = "results.json"


class _Sample(msgspec.Struct):
    """The keys of a sample that are read: skipping the others (events) saves memory."""

    id: Any = None
    epoch: Any = 1
    input: Any = None
    choices: Any = None
    target: Any = None
    output: Any = None
    scores: Any = None
    error: Any = None
    invalidation: Any = None
    attachments: Any = None
    transcript: Any = None


class _Head(msgspec.Struct):
    """The keys of a log that are read."""

    version: Any = None
    status: Any = None
    eval: Any = None
    plan: Any = None
    results: Any = None
    reductions: Any = None
    invalidated: Any = None


class _Whole(_Head):
    samples: list[_Sample] | None = None


@dataclass(frozen=True, eq=False)
class Log:
    """One run of one task by one model."""

    source: Source
    head: Mapping[str, Any]
    samples: tuple[Sample, ...] = ()
    notes: tuple[Note, ...] = ()


def is_log(source: Source) -> bool:
    """Whether a file is an Inspect log: by its name (.eval) or by how its JSON begins."""
    if source.kind == "eval":
        return True
    if source.kind != "json":
        return False
    head = head_of(source, _HEAD)
    return head.startswith(b"{") and bool(_EVAL.search(head) and _BESIDE.search(head))


def read_log(source: Source, skip_bad: bool) -> Log:
    """What a log holds.

    Raises:
        FileProblem: it is no log, damaged or cut short.
        ValueProblem: a sample that cannot be read (skip_bad: left out and counted).
    """
    reader = _Reader(source, skip_bad)
    with guard(source.name):
        return reader.archive() if source.kind == "eval" else reader.json()


class _Reader:
    """Reads one log; counts what is left out."""

    def __init__(self, source: Source, skip_bad: bool) -> None:
        self.source, self.skip_bad = source, skip_bad
        self.bad = 0
        self.decode = Decoder()

    def json(self) -> Log:
        if self.source.path.stat().st_size > MAX_LIST:
            raise self._problem("is larger than 1 GiB", "save it as .eval: inspect log convert")
        raw = self.source.path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        try:
            found = self._skim(raw, _Whole)
        except ValueError as e:
            what = f"is not JSON ({str(e)[:120]})"
            raise self._problem(what, "it may be cut short: write the log again") from e
        rows = found.pop("samples", None)
        rows = rows if isinstance(rows, list) else []
        samples = self._samples((i, lambda row=row: row) for i, row in enumerate(rows, 1))
        return self._log(found, samples)

    def archive(self) -> Log:
        try:
            with Archive(self.source.path) as packed:
                head = self._header(packed)
                names = sorted(n for n in packed.members if _SAMPLE.match(n))
                found = self._samples(
                    (i, lambda name=name: self._skim(packed.read(name), _Sample))
                    for i, name in enumerate(names, 1)
                )
                found = found or self._samples(
                    (i, lambda row=row: row) for i, row in enumerate(self._summaries(packed), 1)
                )
        except BadArchive as e:
            raise self._problem(str(e), "copy the file again, or write the log again") from e
        return self._log(head, found)

    def _header(self, packed: Archive) -> dict[str, Any]:
        """The header; of a run that did not end, what was written at its start."""
        names = [n for n in _HEADERS if n in packed.members]
        if not names:
            what = "holds no header.json: it is no log of Inspect"
            raise self._problem(what, "give a .eval file as Inspect writes it")
        head: dict[str, Any] = self._member(packed, names[0], _Head)
        if _RESULTS in packed.members:
            later = self._member(packed, _RESULTS, _Head)
            head |= {k: v for k, v in later.items() if v is not None}
        if head.get("reductions") is None and "reductions.json" in packed.members:
            head["reductions"] = self._member(packed, "reductions.json", None)
        return head

    def _summaries(self, packed: Archive) -> list[Any]:
        """Short forms of the samples, for a log in which they themselves are not."""
        joined = [n for n in ("summaries.json", "summary.json") if n in packed.members]
        parts = sorted(
            n for n in packed.members if re.match(r"(_journal/)?summaries/\d+\.json$", n)
        )
        found: list[Any] = []
        for name in joined[:1] or parts:
            rows = self._member(packed, name, None)
            found += rows if isinstance(rows, list) else []
        return found

    def _member(self, packed: Archive, name: str, shape: type[msgspec.Struct] | None) -> Any:
        try:
            raw = packed.read(name)
            return self._skim(raw, shape) if shape else whole(raw, self.decode)
        except (ValueError, BadArchive) as e:
            what = f"cannot be read ({str(e)[:120]})"
            raise FileProblem(
                what, file=self.source.name, where=name, mend="write the log again"
            ) from e

    def _skim(self, raw: bytes, shape: type[msgspec.Struct]) -> dict[str, Any]:
        """The keys of ``shape``.

        Raises:
            ValueError: no JSON object.
        """
        found = skim(raw, shape, self.decode)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return found

    def _samples(self, rows: Iterable[tuple[int, Any]]) -> list[Sample]:
        return list(self._each(rows))

    def _each(self, rows: Iterable[tuple[int, Any]]) -> Iterator[Sample]:
        for place, get in rows:
            try:
                row = get()
                if not isinstance(row, dict):
                    raise BadSample("samples", "is no sample", row)
                yield sample_of(row, place)
            except ValueError as e:
                if not self.skip_bad:
                    raise self._bad(place, e) from e
                self.bad += 1

    def _bad(self, place: int, error: ValueError) -> ValueProblem:
        what, key = str(error)[:120], ""
        if isinstance(error, BadSample):
            key = f"key {error.key!r}, "
            what += f": {show(error.value)}" if error.value is not None else ""
        return ValueProblem(what, file=self.source.name, where=f"{key}sample {place}", mend=_MEND)

    def _log(self, head: dict[str, Any], samples: list[Sample]) -> Log:
        if not isinstance(head.get("eval"), dict):
            raise self._problem("does not say what was run: it is no log of Inspect", None)
        notes = []
        if self.bad:
            text = "samples that cannot be read left out"
            notes.append(Note("warning", "bad_rows", text, self.source.name, self.bad))
        if self.decode.replaced:
            text = "records held bytes or escapes that are no text; read as U+FFFD"
            notes.append(Note("warning", "bad_text", text, self.source.name, self.decode.replaced))
        return Log(self.source, head, tuple(samples), tuple(notes))

    def _problem(self, what: str, mend: str | None) -> FileProblem:
        return FileProblem(what, file=self.source.name, mend=mend)
