"""Small records of ladders trained by the lab, to try every command on.

They are the default ladders of ``unmirage lab run``, after their last step:

- ``recall``: a table of 2,048 random keys with 5-digit values, known by heart; 8 sizes, 3 seeds.
  Exact match rises late and sharply (0.003, 0.01, 0.15, 0.68, 0.83 at widths 16, 24, 40, 60, 96 of
  seed 0), the teacher-forced cross-entropy of the same models gradually (1.92, 1.65, 0.96, 0.23,
  0.11 nats): a mirage of the metric.
- ``multiplication``: products of two 2-digit numbers, test pairs held out; 8 sizes, 3 seeds.
  Gradual under either metric.
- ``addition``: sums of two 3-digit numbers, test pairs held out; 12 sizes, 6 seeds. A digit place
  is learnt between two sizes or not at all, and which size it is differs between the seeds: at
  width 8 exact match is 0.02, 0.11, 0.65, 0.89, 0.93 and 0.95. Real breaks, bimodal over seeds.

One row per (model, test item). They are remade by ``python -m unmirage.lab.make_examples`` (extra
``lab``).
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
