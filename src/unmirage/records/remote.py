"""Tables behind ``https://``, ``http://``, ``hf://`` and ``s3://``: one named file each.

``https`` and ``hf`` (public data sets on Hugging Face) are fetched whole into a temporary file,
which is then read like any other; ``s3`` is read by polars with the credentials that polars finds.
Folders and patterns are refused: nothing is fetched that was not named.
"""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

import polars as pl

from unmirage.errors import FileProblem
from unmirage.records.sniff import KNOWN, Source, kind_of
from unmirage.records.table import Table, guard
from unmirage.records.tables import table_of
from unmirage.types import Note

_SCHEMES = ("https", "http", "hf", "s3")
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
MAX_BYTES = 4 * 2**30
TIMEOUT = 30.0  # seconds without an answer or a byte
_BLOCK = 2**20


@dataclass(frozen=True)
class Remote:
    """One file elsewhere."""

    url: str
    name: str  # shown: without user, password and query, which may hold a key
    kind: str
    zipped: bool


def is_remote(given: object) -> bool:
    """Whether a path has a scheme in front of it.

    >>> is_remote("https://example.org/a.csv"), is_remote("a.csv"), is_remote("C://a.csv")
    (True, False, False)
    """
    return isinstance(given, str) and _SCHEME.match(given) is not None


def local(given: str) -> Path | None:
    """The path behind ``file://``; None for another scheme.

    Raises:
        FileProblem: a file of another machine.

    >>> str(local("file:///data/all%20scores.csv"))
    '/data/all scores.csv'
    """
    if not given.lower().startswith("file://"):
        return None
    host, _, path = given[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost"):
        mend = "file:///path/to/it, with three slashes, or the path alone"
        raise FileProblem(f"names a file of the machine {host!r}", file=given, mend=mend)
    return Path(url2pathname("/" + path))


def remote(given: str) -> Remote:
    """What a path with a scheme names.

    Raises:
        FileProblem: a scheme that is not read, a folder, a pattern, or a file of no known kind.
    """
    try:
        parts = urlsplit(given)
    except ValueError as e:
        raise FileProblem(f"is no address ({e})", file=given.partition("?")[0]) from e
    scheme = parts.scheme.lower()
    shown = f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if scheme not in _SCHEMES:
        known = ", ".join(f"{s}://" for s in ("file", *_SCHEMES))
        mend = f"fetch it and name the file; read are: {known}"
        raise FileProblem(f"{scheme}:// is not read", file=shown, mend=mend)
    if "@" in parts.netloc:
        mend = "fetch the file with another program and name it"
        raise FileProblem("holds a user or a password", file=shown, mend=mend)
    if any(c in parts.path for c in "*[]"):
        raise FileProblem("is a pattern", file=shown, mend="name each file")
    kind = kind_of(Path(unquote(parts.path)))
    if kind is None:
        what = "is a folder, or a file of no known kind: only named files are fetched"
        raise FileProblem(what, file=shown, mend=f"name each file; known endings: {KNOWN}")
    if scheme == "hf":
        return Remote(_resolved(given, shown), shown, *kind)
    return Remote(given, shown, *kind)


def _resolved(given: str, shown: str) -> str:
    """Where Hugging Face keeps ``hf://datasets/<owner>/<name>[@revision]/<path>``."""
    found = re.fullmatch(r"hf://(datasets|spaces)/([^/]+)/([^/@]+)(?:@([^/]+))?/(.+)", given)
    if not found:
        mend = "hf://datasets/OWNER/NAME/path/in/it.parquet"
        raise FileProblem("is no path of a data set", file=shown, mend=mend)
    kind, owner, name, revision, path = found.groups()
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    # refs~convert~parquet stands for a branch with slashes in its name
    branch = quote((revision or "main").replace("~", "/"), safe="")
    return f"{host}/{kind}/{quote(owner)}/{quote(name)}/resolve/{branch}/{quote(path)}"


def fetch(one: Remote, folder: Path) -> tuple[Source, Note]:
    """Fetches one file into the folder, and a note that says so.

    Raises:
        FileProblem: it cannot be reached, is too large, or is a web page.
    """
    place = folder / (PurePosixPath(unquote(urlsplit(one.url).path)).name or "file")
    request = urllib.request.Request(one.url, headers={"User-Agent": "unmirage"})
    try:
        with _opener().open(request, timeout=TIMEOUT) as answer, place.open("wb") as out:
            if answer.headers.get_content_type() == "text/html":
                mend = "name the file itself: on GitHub the link behind 'Raw'"
                raise FileProblem("is a web page, not a table", file=one.name, mend=mend)
            size = 0
            while block := answer.read(_BLOCK):
                size += len(block)
                if size > MAX_BYTES:
                    raise FileProblem("is larger than 4 GiB", file=one.name, mend="fetch it first")
                out.write(block)
            said = answer.headers.get("Content-Length", "")
    except urllib.error.HTTPError as e:
        e.close()
        mend = "look at the address; private files must be fetched first"
        raise FileProblem(
            f"the server answered {e.code} {e.reason}", file=one.name, mend=mend
        ) from e
    except (OSError, ValueError) as e:  # URLError and time-outs are OSErrors
        reason = getattr(e, "reason", None) or e
        mend = "look at the network and the address, or fetch the file first"
        raise FileProblem(f"cannot be reached ({reason})", file=one.name, mend=mend) from e
    if said.isdigit() and int(said) != size:
        what = f"the transfer broke off after {size:,} of {int(said):,} bytes"
        raise FileProblem(what, file=one.name, mend="try again")
    note = Note("info", "fetched", f"fetched from the network: {size:,} bytes", one.name)
    return Source(place, one.name, one.kind, one.zipped), note


def _opener() -> urllib.request.OpenerDirector:
    """Speaks http and https alone: no redirect leads to a local file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def load_s3(one: Remote) -> Table:
    """The rows of one file that polars reads where it is.

    Raises:
        FileProblem: it cannot be reached or is not of its kind.
    """
    stem = PurePosixPath(urlsplit(one.url).path).name.removesuffix(".gz").rpartition(".")[0]
    with guard(one.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no region is set: polars finds it
        try:
            return _from_s3(one, stem)
        except OSError as e:
            said = [line.strip() for line in str(e).splitlines() if line.strip()]
            reason = ": ".join(dict.fromkeys([*said[:1], *said[-1:]]))
            mend = "look at the network, the bucket and the credentials, or fetch the file first"
            raise FileProblem(f"cannot be reached ({reason})", file=one.name, mend=mend) from e


def _from_s3(one: Remote, stem: str) -> Table:
    if one.kind == "parquet":
        return table_of(one.name, stem, pl.read_parquet(one.url, glob=False))
    if one.kind in ("csv", "tsv"):
        separator = "\t" if one.kind == "tsv" else ","
        lazy = pl.scan_csv(one.url, separator=separator, infer_schema=False, glob=False)
        return table_of(one.name, stem, lazy.collect(), text=True)
    if one.kind == "jsonl" and not one.zipped:
        return table_of(one.name, stem, pl.scan_ndjson(one.url).collect())
    mend = "read are .parquet, .csv, .tsv and .jsonl; fetch others first"
    raise FileProblem(f"s3:// files of kind {one.kind} are not read", file=one.name, mend=mend)
