"""Audit -> view -> terminal, JSON, HTML, Markdown, tables and pictures. It computes no statistics.

Heavy parts (Altair, Jinja, Rich) are imported by the function that needs them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmirage.errors import OptionError
from unmirage.report.files import table_bytes, write
from unmirage.report.view import SCHEMA, to_frame, to_json, view
from unmirage.types import Audit, Judgement

if TYPE_CHECKING:
    from rich.console import Console

    from unmirage.forecasting.types import Forecasts

__all__ = [
    "SCHEMA",
    "chart",
    "save_picture",
    "save_pictures",
    "show",
    "to_frame",
    "to_html",
    "to_json",
    "to_markdown",
    "view",
    "write_report",
]

#: What ``write_report`` can write.
SUFFIXES = (".html", ".json", ".md", ".csv", ".parquet", ".png", ".svg")


def write_report(audit: Audit, path: str | os.PathLike[str]) -> Path:
    """Write the audit in the format of the suffix: .html .json .md .csv .parquet (.png .svg).

    The file is there in full or not at all; parent folders are made.

    Raises:
        OptionError: an unknown suffix, or a picture of an audit with not exactly one curve.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".png", ".svg"):
        return save_picture(audit, path)
    if suffix == ".html":
        return write(path, to_html(audit))
    if suffix == ".json":
        return write(path, to_json(audit))
    if suffix == ".md":
        return write(path, to_markdown(audit))
    if suffix in (".csv", ".parquet"):
        return write(path, table_bytes(to_frame(audit), suffix))
    raise OptionError(
        f"cannot tell the format of the report from {suffix!r}",
        where=str(path),
        mend=f"use one of {', '.join(SUFFIXES)}",
    )


def to_html(audit: Audit, forecasts: Forecasts | None = None) -> str:
    """One self-contained page that opens offline; ``forecasts`` get a section of their own."""
    from unmirage.report import html

    if forecasts is None:
        return html.to_html(audit)
    from unmirage.report.forecast_page import section

    return html.to_html(audit, section(forecasts))


def to_markdown(audit: Audit) -> str:
    """A table of verdicts, then one section a curve."""
    from unmirage.report import markdown

    return markdown.to_markdown(audit)


def show(audit: Audit, console: Console | None = None, *, every: bool = False) -> None:
    """Print the audit in the terminal; ``every`` shows all curves of a large audit."""
    from unmirage.report import terminal

    terminal.show(audit, console, every=every)


def chart(judgement: Judgement | dict[str, Any]) -> Any:
    """An Altair chart of one curve and, beside it, the same outputs under its companion."""
    from unmirage.report import pictures

    return pictures.chart(judgement)


def save_picture(
    what: Judgement | Audit | dict[str, Any], path: str | os.PathLike[str], *, scale: float = 2.0
) -> Path:
    """Write one curve as .png or .svg."""
    from unmirage.report import pictures

    return pictures.save_picture(what, path, scale=scale)


def save_pictures(
    audit: Audit, folder: str | os.PathLike[str], *, most: int | None = 200, progress: Any = None
) -> list[Path]:
    """Write PNG and SVG of every curve (at most ``most``) into a folder."""
    from unmirage.report import pictures

    return pictures.save_pictures(audit, folder, most=most, progress=progress)
