"""Damaged logs of every format: the same mutations for all, of the synthetic files and, where they
are there, of the genuine ones. Only an UnmirageError may come out."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.records import ladders, test_inspect, test_properties
from unmirage.errors import UnmirageError
from unmirage.records import read
from unmirage.records.formats.inspect_ai.archive import Archive

SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
GENUINE = ["lm_eval_v04", "lm_eval_v0", "lm_eval_v0_small", "helm", "inspect"]
GENUINE += ["llm_foundry", "bigbench_tasks", "bbh"]
LARGEST = 100_000  # bytes of a genuine file that is tried
#: JSON that may stand where another value stood
VALUES = [
    *(b"null", b"true", b"0", b"-1", b"0.5", b"1e999", b"-1e999", b"NaN", b"-Infinity", b"1e-999"),
    *(
        b"9" * 400,
        b"1e308",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"18446744073709551616",
    ),
    *(b'""', b'"x"', b'"\\ud800"', b'"\\u0000"', b'"nan"', b'"1e999"', b'"' + b"9" * 400 + b'"'),
    *(b"[]", b"{}", b"[[]]", b"[null]", b'[{"a": 1}]', b'{"": null}', b'[["x", "True"]]'),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"[" * 2000 + b"]" * 2000),
]


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """The bytes cut, changed, put in or twice, or with a JSON value in another's place."""
    how = rng.choice(
        ["cut", "bytes", "insert", "twice", "line", "value", "value", "value", "value"]
    )
    at = rng.randrange(len(raw) + 1)
    if how == "cut":
        return raw[:at]
    if how == "bytes":
        out = bytearray(raw)
        for _ in range(rng.randint(1, 4)):
            if out:
                out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)
    if how == "insert":
        return raw[:at] + rng.choice([rng.randbytes(rng.randint(1, 8)), *VALUES]) + raw[at:]
    if how == "twice":
        return raw + raw[at:]
    if how == "line":
        lines = raw.splitlines(keepends=True)
        rng.shuffle(lines)
        return b"".join(lines[: rng.randint(0, len(lines))])
    return another_value(raw, rng)


def another_value(raw: bytes, rng: random.Random) -> bytes:
    """The JSON with one value, or all of one name, replaced; other text as it is."""
    lines = raw.splitlines(keepends=True)
    try:
        whole = [json.loads(raw)]
        lines = []
    except ValueError:
        try:
            whole = [json.loads(line) for line in lines]
        except ValueError:
            return raw.replace(rng.choice([b",", b"1", b"e", b"0."]), rng.choice(VALUES), 1)
    hole = '"\\u0001hole"'
    places = list(parts(whole))[1:]
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    if isinstance(key, str) and rng.random() < 0.3:
        for other, name in places:
            if name == key:
                other[name] = "\1hole"
    elif rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = "\1hole"
    text = "\n".join(json.dumps(one) for one in whole).encode()
    return text.replace(hole.encode(), rng.choice(VALUES))


def parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value in a value."""
    found = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(found):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from parts(inner)


def damaged_file(path: Path, raw: bytes, rng: random.Random) -> bytes:
    """A damaged file, or one that is whole but holds what is damaged."""
    if path.suffix == ".eval" and rng.random() < 0.8:
        return damaged_zip(path, rng)
    if path.suffix == ".parquet":
        return damaged_parquet(raw, rng)
    return damaged(raw, rng)


def damaged_zip(path: Path, rng: random.Random) -> bytes:
    """A whole archive of which one member is damaged."""
    with Archive(path) as whole:
        held = {name: whole.read(name) for name in whole.members}
    bad = rng.choice(list(held))
    held[bad] = damaged(held[bad], rng)
    return test_inspect.packed(list(held.items()))


def damaged_parquet(raw: bytes, rng: random.Random) -> bytes:
    """A whole Parquet file with other cells."""
    rows = pl.read_parquet(io.BytesIO(raw)).to_dicts()
    text = another_value(json.dumps(rows).encode(), rng)
    made = io.BytesIO()
    try:
        pl.DataFrame(json.loads(text), infer_schema_length=None).write_parquet(made)
    except Exception:
        return raw
    return made.getvalue()


def attempt(path: Path, rng: random.Random) -> None:
    """Reads; anything but a result or an UnmirageError fails the test."""
    strict, skip_bad = rng.choice([(True, False), (False, False), (True, True)])
    try:
        got = read(path, strict=strict, skip_bad=skip_bad, need_scale=rng.random() < 0.5)
    except UnmirageError:
        return
    assert got.samples.height + got.aggregates.height > 0


def attack(root: Path, rounds: int, seed: int) -> None:
    """Damages one file of a folder after another, reads, and mends it again."""
    rng = random.Random(seed)
    files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.stat().st_size < LARGEST]
    for _ in range(rounds):
        path = rng.choice(files)
        raw = path.read_bytes()
        path.write_bytes(damaged_file(path, raw, rng))
        attempt(path if rng.random() < 0.2 else root, rng)
        path.write_bytes(raw)


@pytest.mark.parametrize("name", ladders.WRITERS)
def test_damaged_logs(tmp_path: Path, name: str) -> None:
    for size in ladders.SIZES[:2]:
        ladders.one(name, tmp_path, size, items=3)
    attack(tmp_path, 25, 0)


@pytest.mark.parametrize("folder", GENUINE)
def test_damaged_genuine_logs(tmp_path: Path, folder: str) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the genuine logs are not there: {SHARED / folder}")
    for path in sorted((SHARED / folder).rglob("*")):
        if path.is_file():
            here = tmp_path / path.relative_to(SHARED / folder)
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_bytes(path.read_bytes())
    attack(tmp_path, 8, 1)


def test_damaged_parquet_of_lighteval(tmp_path: Path) -> None:
    """In a process of its own, which a length that became absurd may end (see test_properties)."""
    rng, tries = random.Random(2), 40
    for i in range(tries):
        root = tmp_path / f"{i}"
        ladders.one("lighteval", root, ladders.SIZES[i % 3], items=2)
        (details,) = root.rglob("*.parquet")
        details.write_bytes(test_properties.damaged(details.read_bytes(), rng))
    start = 0
    while start < tries:
        command = [sys.executable, "-c", test_properties.CHILD, str(tmp_path), str(start)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            break
        assert "memory allocation" in done.stderr, done.stderr[-2000:]
        start = int(done.stdout.split()[-1]) + 1
