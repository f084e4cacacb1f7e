"""Numbers and p-values as people read them, and the source of most findings."""

from __future__ import annotations

import numpy as np

SCHAEFFER = "Schaeffer et al. 2023, arXiv 2304.15004"


def number(value: float, digits: int = 3) -> str:
    """A number as people read it: 1.4B, 0.0013, 12.3."""
    if not np.isfinite(value):
        return "unbounded" if value > 0 else "unknown"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if 1e15 > abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}"
    return f"{value:.{digits}g}" if abs(value) < 1e15 else f"{value:.{digits - 1}e}"


def two_numbers(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart.

    >>> two_numbers(1.0e6, 1.001e6)
    ('1M', '1.001M')
    """
    digits = next((d for d in range(3, 12) if number(a, d) != number(b, d)), 3)
    return number(a, digits), number(b, digits)


def p_text(p: float, name: str = "p") -> str:
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.2g}"
