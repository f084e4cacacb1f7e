"""JSON of which only some keys are kept: what is skipped takes no memory."""

from __future__ import annotations

from typing import Any

import msgspec

from unmirage.records import memory
from unmirage.records.jsonlines import Decoder

MAX_PLAIN = 256 * 2**20  # bytes of JSON that may be decoded as a whole


def skim(raw: bytes, shape: Any, decode: Decoder) -> Any:
    """The value in ``raw``: of a msgspec struct (or a list of them) as a dictionary of its keys.

    What does not fit ``shape``, or is no strict JSON (NaN), is decoded as a whole.

    Raises:
        ValueError: no JSON, or too large to be decoded as a whole.
    """
    memory.check(len(raw))
    try:
        return _plain(msgspec.json.decode(raw, type=shape))
    except (ValueError, RecursionError):
        return whole(raw, decode)


def whole(raw: bytes, decode: Decoder) -> Any:
    """The value in ``raw`` with all its keys.

    Raises:
        ValueError: no JSON, or too large.
    """
    if len(raw) > MAX_PLAIN:
        raise ValueError("too large, and no strict JSON of the known form")
    return decode(raw)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {k: _plain(getattr(value, k)) for k in value.__struct_fields__}
    if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        return [_plain(v) for v in value]
    return value
