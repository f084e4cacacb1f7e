"""Files that are there in full or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import polars as pl

from unmirage.errors import OptionError

#: what a spreadsheet takes for the beginning of a formula
_FORMULA = "^[=+\\-@\t\r]"


def write(path: str | os.PathLike[str], data: str | bytes) -> Path:
    """Write to a temporary name beside the target, then rename; parent folders are made.

    What is there and no regular file, such as a pipe or a device, is written to and stays.

    Raises
    ------
    OptionError
        it cannot be written; the text names it and the mend.
    """
    target = Path(path)
    body = data if isinstance(data, bytes) else data.encode("utf-8")
    try:
        if target.is_dir():
            raise OptionError(f"{target} is a folder", mend="name a file in it")
        if target.exists() and not target.is_file():
            with open(target, "wb", buffering=0) as out:
                _all(out, body)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, body)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        why = getattr(error, "strerror", None) or str(error)
        mend = "another place, which you may write to and which has room"
        raise OptionError(f"{target} cannot be written: {why}", mend=mend) from error
    return target


def _all(out: io.RawIOBase, body: bytes) -> None:
    """A pipe may take a part at a time."""
    left = memoryview(body)
    while left:
        left = left[out.write(left) or 0 :]


def _replace(target: Path, body: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".unmirage-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def csv_text(frame: pl.DataFrame) -> str:
    """A table as CSV in which no text is a formula: such cells begin with an apostrophe.

    Names of models and tasks come from anyone, and spreadsheets run what begins with = + - @.
    Numbers stay as they are; ``.parquet`` holds every text unchanged.

    >>> print(csv_text(pl.DataFrame({"task": ["=1+1", "-1", "sums"], "score": [-1, 0, 1]})), end="")
    task,score
    '=1+1,-1
    '-1,0
    sums,1
    """
    formula = pl.col(pl.String).str.contains(_FORMULA)
    safe = pl.when(formula).then("'" + pl.col(pl.String)).otherwise(pl.col(pl.String))
    heads = {c: f"'{c}" for c in frame.columns if c[:1] in "=+-@\t\r" and c}
    return str(frame.with_columns(safe.name.keep()).rename(heads).write_csv())


def table_bytes(frame: pl.DataFrame, suffix: str) -> bytes:
    """The table as ``.csv`` or ``.parquet``."""
    if suffix == ".csv":
        return csv_text(frame).encode("utf-8")
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
