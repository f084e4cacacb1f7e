"""What holds for every format of logs: who claims a file, one bad file among many, one report of
several formats."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage
from tests.records import ladders
from unmirage import cli
from unmirage.errors import UnmirageError
from unmirage.records import read
from unmirage.records.formats import FORMATS, Loaded, format_of, inspect_ai, jsonfile
from unmirage.records.sniff import Source, find
from unmirage.types import Records

SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
NAMES = [f.name for f in FORMATS]
GENUINE = {
    "lm_eval_v04": "lm-evaluation-harness 0.4",
    "lm_eval_v0": "lm-evaluation-harness 0.3",
    "lm_eval_v0_small": "lm-evaluation-harness 0.3",
    "helm": "HELM",
    "inspect": "Inspect",
    "llm_foundry": "llm-foundry",
    "bigbench_tasks": "BIG-bench",
    "bbh": "BIG-Bench Hard outputs",
    "tabular": None,
}


def claims(source: Source) -> list[str]:
    return [f.name for f in FORMATS if f.claims(source)]


def test_every_format_has_a_writer_here() -> None:
    assert list(ladders.WRITERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_format_itself_claims_its_files(tmp_path: Path, name: str) -> None:
    sources, _ = find(ladders.write(name, tmp_path, items=3))
    assert {s.name: claims(s) for s in sources} == {s.name: [name] for s in sources}


#: names that logs bear as well
LIKE = ["results.json", "stats.json", "scenario_state.json", "task.json", "scores_a.json"]
LIKE += ["samples_t.jsonl", "batch_output.jsonl", "eval_metadata.csv", "details_t.parquet"]


@pytest.mark.parametrize("name", LIKE)
def test_a_table_under_the_name_of_a_log_is_a_table(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"model": ["m"], "params": [1e9], "score": [0.5], "count": [9]})
    path = tmp_path / name
    {
        ".csv": frame.write_csv,
        ".json": frame.write_json,
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
    }[path.suffix](path)
    ((source,), _) = find(path)
    assert claims(source) == []
    assert read(tmp_path).aggregates["score"].to_list() == [0.5]


@pytest.mark.parametrize("folder", GENUINE)
def test_no_genuine_file_is_claimed_by_two_formats(folder: str) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the genuine files are not there: {SHARED / folder}")
    sources, _ = find(SHARED / folder)
    own = GENUINE[folder]
    claimed = {s.name: claims(s) for s in sources}
    assert set(map(tuple, claimed.values())) <= {(), (own,)}
    assert own is None or [own] in claimed.values()


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_read_whole(tmp_path: Path, name: str) -> None:
    got = read(ladders.write(name, tmp_path, items=8))
    assert [f for f, _ in got.formats] == [name]
    held = got.samples if got.aggregates.is_empty() else got.aggregates
    assert sorted(held["params"].unique()) == [s * 1e6 for s in ladders.SIZES]


# ---------------------------------------------------------------- one bad file among many


def rows_of(got: Records) -> dict[str, list[str]]:
    """The rows of each model, without their places."""
    return {
        name: sorted(
            repr(sorted((c, v) for c, v in row.items() if v is not None))
            for frame in (got.samples, got.aggregates)
            for row in frame.filter(model=name).drop("file", "row", strict=False).to_dicts()
        )
        for name in {*got.samples["model"], *got.aggregates["model"]}
    }


DAMAGE = {
    "cut short": lambda raw: raw[: len(raw) * 2 // 3 + 5],
    "empty": lambda raw: b"",
    "overwritten": lambda raw: raw[: len(raw) // 2] + b"\xff\0" * (len(raw) // 4),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", NAMES)
def test_one_bad_file_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    """The other models are read as ever and the file is spoken of, whatever is wrong with it."""
    monkeypatch.chdir(tmp_path)
    root = Path("logs")
    bad = 410
    for size in ladders.SIZES:
        files = ladders.one(name, root, size, items=6)
        if size == bad:
            damaged = files
    whole = rows_of(read(root))
    for path in damaged:
        raw = path.read_bytes()
        path.write_bytes(DAMAGE[kind](raw))
        got = read(root)
        found = rows_of(got)
        good = {n: r for n, r in whole.items() if f"-{bad}m" not in n}
        assert {n: r for n, r in found.items() if n in good} == good, path
        told = [n for n in got.notes if str(path) in f"{n.file} {n.message}"]
        assert told, path
        for strict in (True, False):
            with contextlib.suppress(UnmirageError):
                read(path, strict=strict)
        path.write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("llm-foundry", b",8,25,", b",eight,25,"), ("BIG-bench", b'"name":', b'"name"')],
)
def test_a_bad_description_of_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: bytes, new: bytes
) -> None:
    """Scores are read without what a file that all models share would have said of them."""
    monkeypatch.chdir(tmp_path)
    root = ladders.write(name, Path("logs"), items=8)
    (shared,) = (p for p in root.rglob("*") if p.name in ladders.SHARED)
    shared.write_bytes(shared.read_bytes().replace(old, new))
    got = read(root)
    assert sorted(got.aggregates["params"].unique()) == [s * 1e6 for s in ladders.SIZES]
    assert [n for n in got.notes if str(shared) in f"{n.file} {n.message}"]
    with pytest.raises(UnmirageError):
        read(root, strict=True)


def test_many_bad_files_are_not_as_many_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = ladders.write("Inspect", tmp_path, items=3)
    for i in range(20):
        (root / f"bad{i}.eval").write_bytes(b"PK")
    calls = []

    def load(sources: list[Source], skip_bad: bool) -> Loaded:
        calls.append(len(sources))
        return inspect_ai.load(sources, skip_bad)

    counted = (replace(f, load=load) if f.name == "Inspect" else f for f in FORMATS)
    monkeypatch.setattr(import_module("unmirage.records.read"), "FORMATS", tuple(counted))
    got = read(root)
    assert got.samples["model"].n_unique() == 6
    assert [n.count for n in got.notes if n.code == "file_left_out"] == [20]
    assert sum(calls) < 4 * 26


# ---------------------------------------------------------------- several formats in one folder

#: a task and a metric of each, and the score of the smallest model at 40 items
MIXED = {
    "lm-evaluation-harness 0.4": ("quiz", "accuracy", 0.125),
    "Inspect": ("sums", "accuracy", 0.125),
    "HELM": ("helm_quiz", "exact_match", 0.125),
    "BIG-bench": ("big_quiz", "multiple_choice_grade", 0.125),
    "csv": ("listed", "accuracy", 0.125),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    for name in MIXED:
        ladders.write(name, root)
    return root


def test_one_folder_of_several_formats_is_one_audit(mixed: Path) -> None:
    audit = unmirage.audit(read(mixed), draws=100)
    found = {(j.key.task, j.key.metric): j.curve for j in audit.judgements}
    for task, metric, score in MIXED.values():
        curve = found[task, metric]
        assert curve.scale.tolist() == [s * 1e6 for s in ladders.SIZES]
        assert curve.score[0] == pytest.approx(score)
        assert (curve.score[1:] > curve.score[:-1]).all()


def test_one_folder_of_several_formats_is_one_report(mixed: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "audit.json", tmp_path / "audit.html"
    options = ["--json", str(out), "--html", str(page), "--draws", "100"]
    done = CliRunner().invoke(cli.app, ["audit", str(mixed), *options])
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text())
    tasks = {one["task"] for one in told["audits"]}
    assert {task for task, _, _ in MIXED.values()} <= tasks
    text = page.read_text()
    assert all(task in text for task in tasks)


def test_formats_side_by_side_are_read_as_each_alone(tmp_path: Path) -> None:
    alone: dict[str, list[str]] = {}
    for name in (*NAMES, "csv"):
        for model, rows in rows_of(read(ladders.write(name, tmp_path / name, items=6))).items():
            alone.setdefault(model, []).extend(rows)
        ladders.write(name, tmp_path / "all", items=6)
    got = read(tmp_path / "all")
    assert {n for n, _ in got.formats} == {*NAMES, "csv"}
    found = rows_of(got)
    assert found.keys() == alone.keys()
    for model, rows in found.items():
        assert rows == sorted(alone[model])


def test_every_page_is_in_the_list_of_formats() -> None:
    pages = Path(__file__).parents[2] / "docs" / "formats"
    listed = set(re.findall(r"\]\(([\w.-]+\.md)\)", (pages / "README.md").read_text()))
    assert listed == {p.name for p in pages.glob("*.md")} - {"README.md"}


def test_a_file_is_looked_at_once_for_all_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head is read once and its value decoded once, whichever formats ask; the next look sees
    what it holds then."""
    decoded: list[int] = []
    plain = jsonfile.Decoder.__call__

    def counted(self: jsonfile.Decoder, raw: bytes) -> object:
        decoded.append(len(raw))
        return plain(self, raw)

    monkeypatch.setattr(jsonfile.Decoder, "__call__", counted)
    path = tmp_path / "results.json"
    source = Source(path, str(path), "json")
    older = {"results": {"t": {"acc": 0.5}}, "versions": {"t": 0}, "config": {"model": "hf"}}
    path.write_text(json.dumps(older))
    with jsonfile.one_look():
        assert [f.name for f in FORMATS if f.claims(source)] == ["lm-evaluation-harness 0.3"]
    assert len(decoded) == 1
    path.write_text("[]")
    assert format_of(source) is None
