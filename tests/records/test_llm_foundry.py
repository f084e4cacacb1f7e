"""Evaluations of llm-foundry's form: a genuine one, and ones written here alike."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import edited
from unmirage.errors import ColumnError, FileProblem, InputError, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "llm_foundry"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine evaluation is not there: {REAL}")
HEAD = "Eval Task,Task Category,Task Type,#shots,#datapoints,Random baseline,Centered Metric?,Notes"
TASKS = (
    'quiz,knowledge,multiple choice,10,400,25,,"four options, and a comma"',
    "cloze,language,language modeling,0,200,0,,",
    "pairs,language,schema,0,100,50,,",
)


def described(folder: Path, *lines: str) -> Path:
    path = folder / "eval_metadata.csv"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((HEAD, *(lines or TASKS))) + "\n\n")
    return path


def evaluated(folder: Path, name: str, icl: Any, model: str = "m", **more: Any) -> Path:
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    about = {"name": "/x/heavy", "uuid": "0-1", "model": model, "creation_date": "2024"}
    path.write_text(json.dumps({**about, "eval_metrics": {"icl": icl, **more}}))
    return path


def codes(found: Records) -> set[str]:
    return {n.code for n in found.notes}


def of(found: Records, task: str) -> dict[str, Any]:
    return found.aggregates.filter(pl.col("task") == task).row(0, named=True)


# ---------------------------------------------------------------- genuine files


@real
def test_genuine_values() -> None:
    found = read(REAL, need_scale=False)
    assert found.aggregates.height == 46
    row = of(found, "hellaswag")
    assert (row["score"], row["shots"], row["chance"]) == (0.5109540224075317, 10, 0.25)
    assert (row["n_samples"], row["metric"]) == (10042.0, "accuracy")
    assert row["model"] == "c4_original-d=1024_l=24_h=8-16.0"
    row = of(found, "lambada_openai")
    assert (row["metric"], row["chance"], row["shots"]) == ("exact_match", 0.0, 0)


@real
def test_genuine_numbers_of_items_that_do_not_fit() -> None:
    """The CSV gives ARC-Challenge the items of ARC-Easy: 0.24573 is 288 of 1172, not of 2376."""
    found = read(REAL, need_scale=False)
    assert of(found, "arc_challenge")["n_samples"] is None
    assert of(found, "arc_easy")["n_samples"] == 2376
    assert of(found, "mmlu")["n_samples"] is None  # a mean over 57 subjects
    (note,) = (n for n in found.notes if n.code == "n_samples_misfit")
    assert note.count == 5
    assert "arc_challenge" in note.message


@real
def test_genuine_needs_sizes() -> None:
    with pytest.raises(ColumnError, match="how large"):
        read(REAL)


# ---------------------------------------------------------------- what the CSV says


def test_the_csv_is_found_above_and_beside(tmp_path: Path) -> None:
    described(tmp_path)
    path = evaluated(tmp_path / "deep" / "er", "open_lm_160m.json", {"quiz": 0.5}, "open_lm_160m")
    assert read(tmp_path).aggregates["chance"].to_list() == [0.25]
    assert read(path).aggregates["chance"].to_list() == [None]
    assert "no_metadata" in codes(read(path))
    described(path.parent, "quiz,k,multiple choice,0,400,50,,")
    assert read(path).aggregates["chance"].to_list() == [0.5]
    assert read(tmp_path).aggregates["chance"].to_list() == [0.5]


def test_tasks_without_a_description(tmp_path: Path) -> None:
    described(tmp_path)
    evaluated(tmp_path, "m-70m.json", {"quiz": 0.5, "new": 0.25}, perplexity=3.5)
    found = read(tmp_path)
    assert of(found, "new")["n_samples"] is None
    assert {"no_metadata", "not_read"} <= codes(found)


def test_one_score_that_does_not_fit_is_enough(tmp_path: Path) -> None:
    described(tmp_path)
    evaluated(tmp_path, "m-70m.json", {"quiz": 0.5, "pairs": 0.5})
    evaluated(tmp_path, "m-160m.json", {"quiz": 0.30123, "pairs": 1.0})
    found = read(tmp_path)
    assert found.aggregates.filter(task="quiz")["n_samples"].to_list() == [None, None]
    assert found.aggregates.filter(task="pairs")["n_samples"].to_list() == [100.0, 100.0]


def test_cells_that_cannot_be_right(tmp_path: Path) -> None:
    described(tmp_path, "quiz,k,multiple choice,x,400,250,,")
    evaluated(tmp_path, "m-70m.json", {"quiz": 0.5})
    with pytest.raises(ValueProblem, match=r"Random baseline.*row 1"):
        read(tmp_path, strict=True)
    found = read(tmp_path, skip_bad=True)
    assert of(found, "quiz")["chance"] is None
    assert of(found, "quiz")["shots"] is None
    assert "bad_metadata" in codes(found)


def test_only_a_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table"):
        read(described(tmp_path))


# ---------------------------------------------------------------- which model


def test_models_of_one_architecture_are_told_apart_by_their_files(tmp_path: Path) -> None:
    for times in ("0.5", "16.0"):
        evaluated(tmp_path, f"evaluation_c4-d=96-{times}_heavy.json", {"quiz": 0.25}, "d=96")
    found = read(tmp_path, need_scale=False)
    assert sorted(found.aggregates["model"]) == ["c4-d=96-0.5", "c4-d=96-16.0"]


def test_a_model_that_the_file_does_not_name(tmp_path: Path) -> None:
    evaluated(tmp_path, "heavy-1.json", {"quiz": 0.25}, "open_lm_1b")
    row = read(tmp_path).aggregates.row(0, named=True)
    assert (row["model"], row["params"]) == ("open_lm_1b", 1e9)


# ---------------------------------------------------------------- bad input


def test_no_numbers_and_cut_short(tmp_path: Path) -> None:
    described(tmp_path)
    good = evaluated(tmp_path, "m-70m.json", {"quiz": 0.5, "pairs": None, "cloze": float("nan")})
    found = read(tmp_path)
    assert found.aggregates.height == 1
    assert sum(n.count or 0 for n in found.notes if n.code == "null_score") == 2
    (tmp_path / "m-160m.json").write_text(good.read_text()[:-5])
    with pytest.raises(FileProblem, match="not JSON"):
        read(tmp_path, strict=True)
    assert read(tmp_path, skip_bad=True).aggregates.height == 1


CONTENT = json.dumps(
    {"name": "n", "uuid": "u", "model": "m", "eval_metrics": {"icl": {"quiz": 0.25, "pairs": 1.0}}}
).encode()
TABLE = "\n".join((HEAD, *TASKS)).encode()
odd = st.sampled_from([b"1e999", b"-1", b"null", b'"', b"[" * 5000, b",,\n", b"9" * 400, b"\xff"])
changes = st.tuples(st.integers(0, 200), st.integers(0, 12), odd)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, max_size=2), st.lists(changes, max_size=2), st.booleans())
def test_damaged_files_raise_nothing_else(one: list[Any], two: list[Any], skip_bad: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "m-70m.json").write_bytes(edited(CONTENT, one))
        (Path(name) / "meta.csv").write_bytes(edited(TABLE, two))
        with contextlib.suppress(UnmirageError):
            read(name, skip_bad=skip_bad)


# ---------------------------------------------------------------- the whole way


def test_audit_of_a_folder(tmp_path: Path) -> None:
    described(tmp_path)
    right = (101, 104, 110, 160, 240, 330)
    for size, k in zip((70, 160, 410, 1000, 2800, 6900), right, strict=True):
        name = f"open_lm_{size}m"
        evaluated(tmp_path, f"evaluation_{name}_heavy.json", {"quiz": k / 400}, name)
    (judged,) = unmirage.audit(read(tmp_path)).judgements
    assert judged.key.task == "quiz"
    assert judged.curve.floor == 0.25
    assert judged.curve.stderr_from == "binomial"
