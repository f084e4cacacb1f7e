"""``unmirage read``."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from unmirage import cli
from unmirage.records import read, read_store


def run(*arguments: object):
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli.app, ["read", *map(str, arguments)])


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    for i, name in enumerate(["pythia-70m", "pythia-160m", "pythia-410m"]):
        frame = pl.DataFrame(
            {"model": [name], "task": "t", "metric": "acc", "score": [0.1 + i / 5]}
        )
        frame.write_csv(folder / f"{name}.csv")
    return folder


def test_what_is_there_is_shown(logs: Path) -> None:
    done = run(logs)
    assert done.exit_code == 0, done.output
    for words in ("3 files", "Models: 3", "pythia-160m", "bundled table", "405M", "Tasks: 1"):
        assert words in done.stdout, words


def test_json(logs: Path) -> None:
    view = json.loads(run(logs, "--json").stdout)
    assert [m["params"] for m in view["models"]] == [70426624, 162322944, 405334016]
    assert view["formats"] == [{"name": "csv", "files": 3}]


@pytest.mark.parametrize("name", ["all.parquet", "new/all.parquet", "store"])
def test_it_is_written_and_read_again(logs: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out" / name
    done = run(logs, "-o", out, "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    again = read(out)
    assert again.aggregates["score"].to_list() == read(logs).aggregates["score"].to_list()
    assert set(again.aggregates["scale_source"]) == {"bundled table"}
    assert not [p for p in out.parent.rglob("*") if p.name.endswith(".tmp")]
    shown = CliRunner().invoke(cli.app, ["audit", str(out), "--json", "-"])
    assert json.loads(shown.stdout)["audits"][0]["family"] == "Pythia"


def test_answers_and_scores_need_a_store(logs: Path, tmp_path: Path) -> None:
    pl.DataFrame(
        {"model": "pythia-70m", "task": "u", "item": ["a", "b"], "output": "x", "targets": "x"}
    ).write_parquet(logs / "answers.parquet")
    done = run(logs, "-o", tmp_path / "all.parquet")
    assert done.exit_code == 2
    assert "name a folder" in done.stderr
    assert not (tmp_path / "all.parquet").exists()
    assert run(logs, "-o", tmp_path / "store").exit_code == 0
    assert read_store(tmp_path / "store").samples.height == 2


def test_check_fails_on_warnings(logs: Path) -> None:
    assert run(logs, "--check").exit_code == 0
    (logs / "bad.parquet").write_bytes(b"PAR1")
    done = run(logs)
    assert done.exit_code == 0
    assert "! left out: " in done.stdout
    done = run(logs, "--check", "--quiet")
    assert (done.exit_code, done.output) == (1, "")
    done = run(logs, "--strict")
    assert done.exit_code == 2
    assert "bad.parquet" in done.stderr


def test_sizes_of_ones_own(logs: Path, tmp_path: Path) -> None:
    pl.DataFrame({"model": ["mine"], "task": "t", "score": [0.5]}).write_csv(logs / "mine.csv")
    done = run(logs, "--check")
    assert done.exit_code == 1
    assert "no size is known of 'mine'" in done.stdout
    (tmp_path / "models.csv").write_text("model,params\nmine,12M\n")
    done = run(logs, "--models", tmp_path / "models.csv", "--check")
    assert done.exit_code == 0, done.output
    assert "models file" in done.stdout


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("logs/pythia-70m.csv", "is an input"),
        ("scores.xlsx", ".xlsx is not written"),
        ("logs", "is an input"),
        ("folder.parquet", "is a folder"),
    ],
)
def test_places_that_are_refused(logs: Path, out: str, words: str) -> None:
    (logs.parent / "folder.parquet").mkdir()
    before = {p: p.read_bytes() for p in logs.iterdir()}
    done = run(logs, "-o", logs.parent / out)
    assert done.exit_code == 2
    assert words in done.stderr
    assert {p: p.read_bytes() for p in logs.iterdir()} == before


def test_an_audit_reads_what_is_good_and_says_what_is_not(logs: Path) -> None:
    (logs / "bad.jsonl").write_text("{")
    audit = CliRunner().invoke(cli.app, ["audit", str(logs), "--json", "-"])
    assert audit.exit_code == 0, audit.output
    said = json.loads(audit.stdout)["notes"]
    assert [n["file"] for n in said if n["code"] == "file_left_out"] == [str(logs / "bad.jsonl")]
    assert {"params_known", "families_known"} <= {n["code"] for n in said}
    audit = CliRunner().invoke(cli.app, ["audit", str(logs), "--strict"])
    assert audit.exit_code == 2
