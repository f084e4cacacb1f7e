"""Is that jump real? Audits claims of emergent abilities in families of models.

>>> import unmirage
>>> sorted(set(unmirage.__all__) & {"read", "audit", "write_report"})
['audit', 'read', 'write_report']
"""

from importlib.metadata import version

from unmirage.audit import audit
from unmirage.errors import UnmirageError
from unmirage.records import read
from unmirage.report import write_report
from unmirage.types import Audit, Records

__version__ = version("unmirage")

__all__ = ["Audit", "Records", "UnmirageError", "__version__", "audit", "read", "write_report"]
