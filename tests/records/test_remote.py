"""Files behind http://, hf:// and s3://, from a server in the test itself."""

import gzip
import io
import json
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from unmirage.errors import FileProblem
from unmirage.records import read
from unmirage.records import remote as module

TABLE = pl.DataFrame({"model": ["pythia-70m", "pythia-160m"], "task": "t", "score": [0.25, 0.5]})


def parquet() -> bytes:
    out = io.BytesIO()
    TABLE.write_parquet(out)
    return out.getvalue()


LINES = "\n".join(json.dumps(r) for r in TABLE.to_dicts()).encode()
FILES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/a.csv": (200, {}, TABLE.write_csv().encode()),
    "/a.parquet": (200, {}, parquet()),
    "/a.jsonl.gz": (200, {}, gzip.compress(LINES)),
    "/with%20space/a.csv": (200, {}, TABLE.write_csv().encode()),
    "/page.csv": (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>a,b</html>"),
    "/private.csv": (401, {}, b""),
    "/moved.csv": (302, {"Location": "/a.csv"}, b""),
    "/to-a-file.csv": (302, {"Location": "file:///etc/passwd"}, b""),
    "/round.csv": (302, {"Location": "/round.csv"}, b""),
    "/short.csv": (200, {"Content-Length": "100000"}, b"model,score\n"),
    "/empty.csv": (200, {}, b""),
    "/bad.csv": (200, {}, b"model,score\npythia-70m,high\n"),
    "/datasets/o/n/resolve/main/x/a.csv": (200, {}, TABLE.write_csv().encode()),
    "/datasets/o/n/resolve/refs%2Fconvert%2Fparquet/a.parquet": (200, {}, parquet()),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = FILES.get(self.path.split("?")[0], (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize(
    "path",
    ["/a.csv", "/a.parquet", "/a.jsonl.gz", "/with%20space/a.csv", "/moved.csv", "/a.csv?key=5"],
)
def test_one_file(server: str, path: str) -> None:
    got = read(server + path)
    assert got.aggregates["score"].to_list() == [0.25, 0.5]
    assert got.aggregates["params"].to_list() == [70426624, 162322944]
    # a query may hold a key: it is shown nowhere
    assert set(got.aggregates["file"]) == {server + path.split("?")[0]}
    note = next(n for n in got.notes if n.code == "fetched")
    assert "from the network" in note.message
    assert "key=5" not in str(got.notes)


def test_beside_other_files(server: str, tmp_path: Path) -> None:
    TABLE.with_columns(task=pl.lit("u")).write_csv(tmp_path / "b.csv")
    got = read([server + "/a.csv", tmp_path / "b.csv", TABLE.with_columns(task=pl.lit("v"))])
    assert sorted(set(got.aggregates["task"])) == ["t", "u", "v"]
    assert dict(got.formats) == {"csv": 2, "data frame": 1}


def test_hugging_face(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    for path in ("o/n/x/a.csv", "o/n@main/x/a.csv", "o/n@~parquet/a.parquet"):
        path = path.replace("~parquet", "refs~convert~parquet")
        got = read(f"hf://datasets/{path}")
        assert got.aggregates["score"].to_list() == [0.25, 0.5]
        assert set(got.aggregates["file"]) <= {f"hf://datasets/{path}", f"hf://datasets/{path}"}
    with pytest.raises(FileProblem, match="404"):
        read("hf://datasets/o/n/other.csv")
    with pytest.raises(FileProblem, match="no path of a data set"):
        read("hf://models/o/n.csv")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nothing.csv", "404"),
        ("/private.csv", "401"),
        ("/page.csv", "is a web page"),
        ("/to-a-file.csv", "the server answered 302|cannot be reached"),
        ("/round.csv", "30[12]"),
        ("/short.csv", "broke off after 12 of 100,000 bytes|cannot be reached"),
        ("/empty.csv", "is empty"),
        ("/bad.csv", "row 1"),
        ("/folder/", "only named files are fetched"),
        ("", "only named files are fetched"),
        ("/*.csv", "is a pattern"),
        ("/model.safetensors", "only named files are fetched"),
    ],
)
def test_what_is_refused(server: str, path: str, words: str) -> None:
    with pytest.raises(Exception, match=words) as e:
        read(server + path)
    assert type(e.value).__module__ == "unmirage.errors"
    assert server in str(e.value)


@pytest.mark.parametrize(
    "path", ["ftp://h/a.csv", "gs://b/a.csv", "file:///etc/a.csv", "zip://a.csv", "https://[/a.csv"]
)
def test_schemes_that_are_not_read(path: str) -> None:
    with pytest.raises(FileProblem):
        read(path)


@pytest.mark.parametrize("host", ["", "localhost"])
def test_local_files_by_their_address(tmp_path: Path, host: str) -> None:
    TABLE.write_csv(tmp_path / "all scores.csv")
    address = f"file://{host}{tmp_path.as_uri().removeprefix('file://')}/all%20scores.csv"
    got = read(address)
    assert got.aggregates["score"].to_list() == TABLE["score"].to_list()
    assert "fetched" not in {n.code for n in got.notes}
    assert read(tmp_path.as_uri()).aggregates.height == TABLE.height
    with pytest.raises(FileProblem, match="of the machine 'other'"):
        read("file://other/a.csv")


def test_s3_out_of_reach(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    """polars says in several lines, and a warning, what one line says."""

    def fails(url: str, **_: object) -> pl.DataFrame:
        warnings.warn("no region", stacklevel=1)
        raise OSError("error sending request\n\nCaused by:\n  0: dns error\n  1: unknown name")

    monkeypatch.setattr(pl, "read_parquet", fails)
    with pytest.raises(FileProblem) as e:
        read("s3://bucket/a.parquet")
    assert e.value.what == "cannot be reached (error sending request: 1: unknown name)"
    assert e.value.file == "s3://bucket/a.parquet"
    assert not list(recwarn)


def test_out_of_reach() -> None:
    with pytest.raises(FileProblem, match="cannot be reached"):
        read("http://127.0.0.1:9/a.csv")


def test_passwords_and_keys_are_not_shown() -> None:
    for path, words in (
        ("https://user:secret@127.0.0.1:9/a.csv", "password"),
        ("https://127.0.0.1:9/a.csv?token=secret", "cannot be reached"),
        ("https://[/a.csv?token=secret", "is no address"),
    ):
        with pytest.raises(FileProblem, match=words) as e:
            read(path)
        assert "secret" not in str(e.value)


def test_too_large(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(FileProblem, match="larger than"):
        read(server + "/a.csv")


def test_nothing_is_left_behind(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read(server + "/a.parquet")
    with pytest.raises(Exception, match="row 1"):
        read(server + "/bad.csv")
    assert list(tmp_path.iterdir()) == []


def test_s3_is_read_by_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bucket is at hand: only what is asked of polars is seen here."""
    asked = []

    def parquet(url: str, **_: object) -> pl.DataFrame:
        asked.append(url)
        return TABLE

    monkeypatch.setattr(pl, "read_parquet", parquet)
    monkeypatch.setattr(
        pl, "scan_csv", lambda url, **_: asked.append(url) or TABLE.cast(pl.String).lazy()
    )
    monkeypatch.setattr(pl, "scan_ndjson", lambda url: asked.append(url) or TABLE.lazy())
    for name in ("a.parquet", "b.csv", "c.jsonl"):
        got = read(f"s3://bucket/{name}")
        assert got.aggregates["score"].to_list() == [0.25, 0.5]
        assert got.formats == (("s3", 1),)
    assert asked == [f"s3://bucket/{n}" for n in ("a.parquet", "b.csv", "c.jsonl")]
    with pytest.raises(FileProblem, match="not read"):
        read("s3://bucket/a.json")

    def out_of_reach(url: str, **_: object) -> pl.DataFrame:
        raise OSError("no such bucket")

    monkeypatch.setattr(pl, "read_parquet", out_of_reach)
    with pytest.raises(FileProblem, match=r"cannot be reached \(no such bucket\)"):
        read("s3://bucket/a.parquet")
