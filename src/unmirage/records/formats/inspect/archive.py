"""Members of an ``.eval`` file: a zip whose members may be compressed with Zstandard, which the
zip reader of Python 3.11 does not know. Nothing is ever unpacked to disk, and what a member may
hold is bounded, so that neither its name nor its size can do harm."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zstandard

from unmirage.errors import FileProblem
from unmirage.records.table import guard

MAX_MEMBER = 256 * 2**20  # bytes of one member
MAX_TOTAL = 16 * 2**30  # bytes of all members that are read
MAX_MEMBERS = 1_000_000
ZSTANDARD = 93  # the number of the method in a zip
_LOCAL = struct.Struct("<4s22xHH")  # signature, lengths of name and of extra field
_MEND = "it may be cut short: repair or remove it"


class Archive:
    """The members of one file, by name."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self.name, self._read = file, name, 0
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as e:
            raise FileProblem(f"is no zip ({str(e)[:120]})", file=name, mend=_MEND) from e
        self._members = {i.filename: i for i in self._zip.infolist()}
        if len(self._members) > MAX_MEMBERS:
            raise FileProblem(f"holds more than {MAX_MEMBERS:,} members", file=name)

    def names(self, start: str) -> list[str]:
        """Members whose names begin so, in the order in which they were written."""
        return [n for n in self._members if n.startswith(start)]

    def read(self, member: str) -> bytes | None:
        """What a member holds; None where there is no such member.

        Raises:
            FileProblem: it is damaged, too large or of an unknown compression.
        """
        info = self._members.get(member)
        if info is None:
            return None
        with guard(self.name):
            try:
                raw = (
                    self._zstandard(info) if info.compress_type == ZSTANDARD else self._usual(info)
                )
            except (zipfile.BadZipFile, zstandard.ZstdError, zlib.error, EOFError) as e:
                raise self._problem(member, f"is damaged ({str(e)[:120]})") from e
            except (NotImplementedError, RuntimeError) as e:  # another method, or a password
                raise self._problem(member, f"cannot be unpacked ({str(e)[:120]})") from e
        self._read += len(raw)
        if len(raw) > MAX_MEMBER or self._read > MAX_TOTAL:
            raise self._problem(member, "unpacks to more than may be read")
        return raw

    def _usual(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as stream:
            return stream.read(MAX_MEMBER + 1)

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        self._file.seek(info.header_offset)
        head = self._file.read(30)
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no header where the directory says")
        _, name, extra = _LOCAL.unpack(head)
        self._file.seek(name + extra, 1)
        packed = self._file.read(min(info.compress_size, MAX_MEMBER))
        unpacker = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        raw = unpacker.read(MAX_MEMBER + 1)
        if len(raw) <= MAX_MEMBER and zlib.crc32(raw) != info.CRC:
            raise zipfile.BadZipFile("the checksum does not fit")
        return raw

    def _problem(self, member: str, what: str) -> FileProblem:
        return FileProblem(what, file=self.name, where=f"member {member[:100]!r}", mend=_MEND)


@contextmanager
def opened(path: Path, name: str) -> Iterator[Archive]:
    """The archive in a file.

    Raises:
        FileProblem: it is no zip or cannot be opened.
    """
    with guard(name), path.open("rb") as file:
        yield Archive(file, name)
