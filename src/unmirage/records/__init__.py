"""Files -> Records."""

from unmirage.records.columns import extra_columns
from unmirage.records.read import read
from unmirage.records.store import read_store, write_parquet, write_store

__all__ = ["extra_columns", "read", "read_store", "write_parquet", "write_store"]
