"""Names and numbers made short, and harmless to show."""

from __future__ import annotations

import math
import re

# Control characters, bidirectional overrides, invisible marks and lone surrogates: each can change
# how the text around it is shown (or break the encoder), so each is shown as a sign of its own.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹U+{code:04X}›"


def visible(text: object, limit: int = 2000) -> str:
    """The text with every harmful character replaced by a sign that shows it.

    >>> visible("a\\x1b[31mb")
    'a␛[31mb'
    """
    clean = _HARMFUL.sub(_shown, str(text))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def json_safe(text: str) -> str:
    """JSON text whose harmful characters are written as escapes (line feeds of the layout stay)."""

    def escape(match: re.Match[str]) -> str:
        char = match.group()
        if char == "\n":
            return char
        pair = char.encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{pair[i : i + 4]}" for i in range(0, len(pair), 4))

    return _HARMFUL.sub(escape, text)


def sentence(text: object, limit: int = 2000) -> str:
    """The text as a sentence: a capital first, a full stop last.

    >>> sentence("rises gradually (p = 1)")
    'Rises gradually (p = 1).'
    """
    clean = visible(text, limit).strip()
    if not clean:
        return ""
    return clean[0].upper() + clean[1:] + ("" if clean[-1] in ".!?…" else ".")


def shorten(text: object, width: int) -> str:
    """The text in at most ``width`` characters, cut in the middle: both ends tell names apart.

    >>> shorten("a_very_long_task_name", 11)
    'a_ver…_name'
    """
    clean = visible(text)
    if len(clean) <= width:
        return clean
    tail = (width - 1) // 2
    return clean[: width - 1 - tail] + "…" + (clean[-tail:] if tail else "")


def number(value: float | None, digits: int = 3) -> str:
    """A number for people.

    >>> number(0.123456), number(12345.6), number(2.3e-7), number(None)
    ('0.123', '12,346', '2.3e-7', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e6 or size < 1e-3:
        mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.{digits}g}"


def probability(p: float | None) -> str:
    """A p-value for people.

    >>> probability(0.0002), probability(0.04)
    ('< 0.001', '0.04')
    """
    if p is not None and p < 0.001:
        return "< 0.001"
    return number(p, 2)


def interval(pair: object) -> str:
    """``[0.1, 0.2]`` as ``0.1 to 0.2``."""
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return "–"
    return f"{number(pair[0])} to {number(pair[1])}"


def power(value: float) -> str:
    """A positive number as a power of ten.

    >>> power(1e21), power(3.2e-4)
    ('10²¹', '3.2×10⁻⁴')
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    mantissa = mantissa.removesuffix(".0")
    return raised if mantissa == "1" else f"{mantissa}×{raised}"


def scale(value: float | None, name: str = "params") -> str:
    """A model's scale: 70M, 1.4B; compute as a power of ten.

    >>> scale(70e6), scale(1.4e9), scale(3e11, "tokens"), scale(1e21, "flops"), scale(512, "step")
    ('70M', '1.4B', '300B', '10²¹', '512')
    """
    if value is None or not value > 0 or math.isinf(value):
        return "–"
    if name == "flops" or value >= 1e15 or value < 0.01:
        return power(value)
    unit, sign = next(((u, s) for u, s in _UNITS if value >= 0.9995 * u), (1.0, ""))
    return f"{value / unit:.3g}{sign}"


_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
