"""Values that a tool wrote as the text of a Python object: read without running anything."""

from __future__ import annotations

import ast
import math
from typing import Any

import msgspec

MAX_TEXT = 4_000_000  # characters of one cell
_NAMES: dict[str, Any] = {"nan": math.nan, "inf": math.inf, "NaN": math.nan, "Infinity": math.inf}
_NAMES |= {"null": None, "true": True, "false": False}
_WRAPPERS = {"float16", "float32", "float64", "int32", "int64", "bool_", "bool", "str_"}
_WRAPPERS |= {"tensor", "array"}


def value_of(text: str) -> Any:
    """The value behind JSON or Python text; tuples are lists, and so are sets.

    Raises:
        ValueError: it is neither, is too long or nested too deeply.

    >>> value_of("[(-1.5, False), (-inf, True)]"), value_of("{'acc': np.float64(0.5)}")
    ([[-1.5, False], [-inf, True]], {'acc': 0.5})
    """
    if len(text) > MAX_TEXT:
        raise ValueError("too long")
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, MemoryError, RecursionError, OverflowError) as e:
        raise ValueError("neither JSON nor a Python value") from e


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, (complex, bytes)) or node.value is ...:
            raise ValueError("no plain value")
        return node.value
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(e) for e in node.elts]
    if isinstance(node, ast.Dict):
        keys = [None if k is None else _value(k) for k in node.keys]
        if not all(isinstance(k, (str, int, float)) for k in keys):
            raise ValueError("a key is no text")
        return dict(zip(map(str, keys), map(_value, node.values), strict=True))
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return _signed(node)
    if isinstance(node, ast.Call) and len(node.args) == 1:
        # how numpy and torch print a number: np.float64(0.5), tensor(0.5)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in _WRAPPERS:
            return _value(node.args[0])
    raise ValueError("no plain value")


def _signed(node: ast.UnaryOp) -> Any:
    value = _value(node.operand)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a sign before what is no number")
    return -value if isinstance(node.op, ast.USub) else value
