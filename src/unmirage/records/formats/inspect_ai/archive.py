"""Members of a zip archive, unpacked in bounded memory.

The standard library reads the directory of an archive whose members are packed with Zstandard
(method 93), but before Python 3.14 it cannot unpack them. Names of members are only compared:
nothing is written, so that a name with ``..`` in it can do no harm.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import zstandard

MAX_MEMBER = 256 * 2**20  # bytes of one member, unpacked
MAX_RATIO = 200  # all members together may be so many times as large as the file, or
MAX_TOTAL = 2 * 2**30  # bytes, if that is more
_MAX_WINDOW = 128 * 2**20  # bytes that Zstandard may ask to look back
_HEAD = 30  # bytes of the header before each member, without the name
_ZSTANDARD = (93, 20)


class BadArchive(ValueError):
    """The archive, or one of its members, cannot be read."""


class Archive:
    """An open archive; of two members with one name the last counts, as in any zip."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BadArchive: no directory of members, or members that lie on each other.
        """
        self._file: BinaryIO = path.open("rb")
        try:
            self._size = path.stat().st_size
            listed = _directory(self._file)
            _refuse_overlap(listed)
        except BaseException:
            self._file.close()
            raise
        self.members: Mapping[str, zipfile.ZipInfo] = {m.filename: m for m in listed}
        self._left = max(MAX_TOTAL, MAX_RATIO * self._size)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, name: str) -> bytes:
        """One member, unpacked and checked.

        Raises:
            BadArchive: it is damaged, encrypted, packed in a way not known, or far too large.
        """
        info = self.members[name]
        limit = min(MAX_MEMBER, self._left)
        if info.flag_bits & 1:
            raise BadArchive("is encrypted")
        if max(info.file_size, info.compress_size) > limit:
            raise BadArchive("is too large unpacked")
        raw = unpack(self._packed(info), info.compress_type, limit)
        self._left -= len(raw)
        if len(raw) != info.file_size or zlib.crc32(raw) != info.CRC:
            raise BadArchive("does not have the length or the checksum that the archive states")
        return raw

    def _packed(self, info: zipfile.ZipInfo) -> bytes:
        self._file.seek(info.header_offset)
        head = self._file.read(_HEAD)
        if len(head) != _HEAD or head[:4] != b"PK\x03\x04":
            raise BadArchive("has no header")
        skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        self._file.seek(skip, 1)
        raw = self._file.read(info.compress_size)
        if len(raw) != info.compress_size:
            raise BadArchive("is cut short")
        return raw


def _directory(file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except Exception as e:  # damaged directories raise many kinds
        raise BadArchive(f"is no zip archive, or is cut short ({str(e)[:80]})") from e


def _refuse_overlap(members: list[zipfile.ZipInfo]) -> None:
    """Members that share bytes let a small file unpack to any size."""
    end = 0
    for info in sorted(members, key=lambda m: m.header_offset):
        if info.header_offset < end:
            raise BadArchive("holds members that lie on each other")
        end = info.header_offset + _HEAD + info.compress_size


def unpack(packed: bytes, method: int, limit: int) -> bytes:
    """The bytes of a member.

    Raises:
        BadArchive: they are damaged, more than ``limit``, or of a method not known.
    """
    try:
        if method == zipfile.ZIP_STORED:
            raw = packed
        elif method == zipfile.ZIP_DEFLATED:
            stream = zlib.decompressobj(-15)
            raw = stream.decompress(packed, limit + 1)
        elif method in _ZSTANDARD:
            unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
            with unpacker.stream_reader(packed, read_across_frames=True) as reader:
                raw = reader.read(limit + 1)
        else:
            raise BadArchive(f"is packed by a method that is not known ({method})")
    except (zlib.error, zstandard.ZstdError) as e:
        raise BadArchive(f"is damaged ({str(e)[:80]})") from e
    if len(raw) > limit:
        raise BadArchive("is too large unpacked")
    return raw
