"""Small records of ladders trained by the lab, to try every command on.

- ``recall``: a table of 2,048 random keys with 5-digit values, all of it trained on. Exact match
  rises sharply (0.004, 0.05, 0.25, 0.67, 0.97 at widths 16, 32, 48, 64, 96), the teacher-forced
  cross-entropy of the same models gradually (1.90, 1.29, 0.69, 0.22, 0.03 nats; seed 0).
  Free-running token accuracy is sharper than the teacher-forced one (width 40: 0.28 against 0.68),
  since an early error spoils what follows; an edit distance of the output is free-running too.
- ``multiplication``: products of two 2-digit numbers, all pairs trained on. Graded either way.
- ``addition``: sums of two 3-digit numbers, test pairs held out of training. A genuine break: the
  loss of a digit position falls from ln 10 = 2.30 to 0.1 nats from one size to the next; from
  which size on differs between the two seeds.

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
