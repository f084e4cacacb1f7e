"""Small records of ladders trained by the lab, to try every command on.

- ``recall``: a table of 2,048 random keys with 5-digit values, all of it trained on. Exact match
  rises sharply, the teacher-forced cross-entropy of the same answers smoothly.
- ``multiplication``: products of two 2-digit numbers, all pairs trained on. Graded either way.
- ``addition``: sums of two 3-digit numbers, test pairs held out of training. A genuine break: the
  loss of whole digit positions falls from ln 10 to about 0 from one size (or seed) to the next.

One row per (model, test item), 2 seeds a size; ``unmirage.lab.tasks`` describes the tasks. They are
remade by ``python -m unmirage.lab.make_examples`` (extra ``lab``).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from unmirage.errors import OptionError

_NAMES = ("recall", "multiplication", "addition")


def names() -> tuple[str, ...]:
    """The bundled examples.

    >>> names()
    ('recall', 'multiplication', 'addition')
    """
    return _NAMES


def folder() -> Path:
    """Where the bundled files lie."""
    return Path(str(resources.files(__name__)))


def path(name: str) -> Path:
    """The Parquet file of one example.

    >>> path("recall").name
    'recall.parquet'

    Raises:
        OptionError: there is no example of that name.
    """
    if name not in _NAMES:
        raise OptionError(f"no example named {name!r}", mend=f"use one of: {', '.join(_NAMES)}")
    return folder() / f"{name}.parquet"
