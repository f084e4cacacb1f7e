"""What stands behind a value of a JSON log: a number written as text, a part that may miss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def real(value: Any) -> float | None:
    """The number behind a JSON value; the harness writes many of them as text.

    >>> real("-1.5"), real("True"), real("N/A"), real([0.5])
    (-1.5, 1.0, None, None)
    """
    if type(value) is float:
        return value
    if isinstance(value, str):
        try:
            return float(value) if "_" not in value else None
        except ValueError:
            return {"True": 1.0, "False": 0.0}.get(value.strip())
    if not isinstance(value, (bool, int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole(value: Any) -> int | None:
    """The whole number behind a JSON value; None for anything else."""
    number = real(value)
    if isinstance(value, bool) or number is None or not math.isfinite(number):
        return None
    return int(number) if number == round(number) and abs(number) < 2**62 else None


def part(content: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The object below some keys; empty where there is none."""
    found: Any = content
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
