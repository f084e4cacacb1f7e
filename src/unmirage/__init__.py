"""Is that jump real? Audits claims of emergent abilities in families of models.

>>> import unmirage
>>> sorted(set(unmirage.__all__) & {"read", "audit", "write_report"})
['audit', 'read', 'write_report']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unmirage.auditing.run import audit
    from unmirage.errors import UnmirageError
    from unmirage.forecasting.run import backtest, forecast
    from unmirage.multiverses.run import multiverse
    from unmirage.records.read import read
    from unmirage.report import write_report
    from unmirage.types import Audit, Multiverse, Records

    __version__: str

__all__ = [
    "Audit",
    "Multiverse",
    "Records",
    "UnmirageError",
    "__version__",
    "audit",
    "backtest",
    "forecast",
    "multiverse",
    "read",
    "write_report",
]

_HOME = {
    "Audit": "unmirage.types",
    "Multiverse": "unmirage.types",
    "Records": "unmirage.types",
    "UnmirageError": "unmirage.errors",
    "audit": "unmirage.auditing.run",
    "backtest": "unmirage.forecasting.run",
    "forecast": "unmirage.forecasting.run",
    "multiverse": "unmirage.multiverses.run",
    "read": "unmirage.records.read",
    "write_report": "unmirage.report",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that the command line starts at once."""
    if name == "__version__":
        from importlib.metadata import version

        return version("unmirage")
    if name not in _HOME:
        raise AttributeError(f"module 'unmirage' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
