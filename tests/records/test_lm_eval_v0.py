"""Results of lm-evaluation-harness 0.3 and older: genuine files, and ones written here alike."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import edited
from unmirage.errors import ColumnError, FileProblem, UnmirageError
from unmirage.records import read
from unmirage.records.formats.lm_eval_v0 import items_behind
from unmirage.types import Records

SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
BIG, SMALL = SHARED / "lm_eval_v0", SHARED / "lm_eval_v0_small"
real = pytest.mark.skipif(not BIG.is_dir(), reason=f"the genuine results are not there: {BIG}")
small = pytest.mark.skipif(not SMALL.is_dir(), reason=f"the genuine ones are not there: {SMALL}")


def written(folder: Path, name: str, results: Any, **config: Any) -> Path:
    """A file of results as 0.3 wrote it; without ``config`` it holds none."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"results": results, "versions": dict.fromkeys(results, 0)}
    if config:
        content["config"] = {"model": "hf-causal", "limit": None, **config}
    path.write_text(json.dumps(content))
    return path


def share(right: int, n: int, name: str = "acc") -> dict[str, float]:
    """A share as the harness reports it, with its standard error."""
    p = right / n
    return {name: p, f"{name}_stderr": math.sqrt(p * (1 - p) / (n - 1))}


def codes(found: Records) -> set[str]:
    return {n.code for n in found.notes}


def only(found: Records, **where: Any) -> dict[str, Any]:
    conditions = [pl.col(c) == v for c, v in where.items()]
    return found.aggregates.filter(*conditions).row(0, named=True)


# ---------------------------------------------------------------- genuine files


@real
def test_genuine_values() -> None:
    found = read(BIG)
    assert found.samples.is_empty()
    assert found.aggregates.height == 256
    row = only(found, model="EleutherAI/pythia-v1.1-1.4b", task="lambada_openai", metric="ppl")
    assert (row["score"], row["stderr"]) == (7.192377992633134, 0.18593520670209732)
    assert (row["shots"], row["step"], row["params"]) == (5, 143000.0, 1.4e9)
    assert row["n_samples"] == 5153  # LAMBADA's test set: 0.5783 is 2980 of 5153
    bloom = only(found, model="bigscience/bloom-560m", task="arc_challenge", metric="acc_norm")
    assert bloom["score"] == 0.24061433447098976
    assert bloom["n_samples"] == 1172
    assert bloom["shots"] == 0
    assert bloom["step"] is None
    assert bloom["params"] == 559214592.0  # from the table of known models


@real
def test_genuine_numbers_of_items_are_those_of_the_tests() -> None:
    found = read(BIG)
    for task, n in (("business_ethics", 100), ("anatomy", 135), ("astronomy", 152)):
        rows = found.aggregates.filter(task=f"hendrycksTest-{task}")
        assert set(rows["n_samples"]) == {n}
        assert rows.height == 4


@small
def test_genuine_without_config() -> None:
    found = read(SMALL, need_scale=False)
    row = only(found, task="arc_easy", metric="acc_norm")
    assert (row["score"], row["n_samples"]) == (0.24074074074074073, 2376.0)
    assert row["model"] == "arc_easy"
    assert row["shots"] is None
    assert row["params"] is None
    zero = only(found, task="arithmetic_1dc", metric="acc")
    assert zero["score"] == 0.0
    assert zero["stderr"] is None
    assert zero["n_samples"] is None
    wiki = found.aggregates.filter(task="wikitext", metric="bits_per_byte").sort("task_version")
    assert wiki["task_version"].to_list() == ["0", "1"]
    assert {"model_from_name", "stderr_zero", "files_not_read"} <= codes(found)


@small
def test_a_file_that_names_no_model_needs_a_size() -> None:
    with pytest.raises(ColumnError, match="how large") as e:
        read(SMALL / "arc_easy-v0-res.json")
    assert "model_args" in str(e.value)


# ---------------------------------------------------------------- traps


def test_the_config_says_the_shots_not_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pythia-160m" / "five-shot"
    args = "pretrained=EleutherAI/pythia-160m,revision=step3000"
    written(folder, "160m-5shot_step3000.json", {"quiz": share(3, 12)}, model_args=args)
    path = folder / "160m-5shot_step3000.json"
    content = json.loads(path.read_text())
    content["config"]["num_fewshot"] = 0
    path.write_text(json.dumps(content))
    found = read(tmp_path)
    assert found.aggregates["shots"].to_list() == [0]
    assert "shots_disagree" in codes(found)


def test_without_a_config_the_name_is_all(tmp_path: Path) -> None:
    written(tmp_path, "pythia-160m-5shot-global_step3000_eval_results_1-2.json", {"q": share(3, 9)})
    found = read(tmp_path)
    row = found.aggregates.row(0, named=True)
    assert (row["model"], row["shots"], row["step"]) == ("pythia-160m", 5, 3000.0)
    assert {"model_from_name", "shots_from_name", "step_from_name"} <= codes(found)


def test_steps_that_disagree(tmp_path: Path) -> None:
    args = "pretrained=a/b-70m,revision=step1000"
    written(tmp_path, "b-70m_step2000.json", {"q": share(3, 9)}, model_args=args)
    found = read(tmp_path)
    assert found.aggregates["step"].to_list() == [1000.0]
    assert "step_disagrees" in codes(found)


def test_arguments_as_a_dictionary_without_a_model(tmp_path: Path) -> None:
    args = {"num_layers": 6, "load": "/x", "vocab_size": 50304}
    written(tmp_path, "ours-70m.json", {"q": share(3, 9)}, model_args=args, num_fewshot=0)
    assert read(tmp_path).aggregates["model"].to_list() == ["ours-70m"]


def test_what_is_no_score_is_left_out_and_counted(tmp_path: Path) -> None:
    results = {"q": {"acc": None, "f1": math.nan, "em": 0.5, "em_stderr": None, "x": {"y": 1}}}
    written(tmp_path, "m-70m.json", results, num_fewshot=0)
    found = read(tmp_path)
    assert found.aggregates["metric"].to_list() == ["em"]
    assert found.aggregates["stderr"].to_list() == [None]
    counts = [n.count for n in found.notes if n.code == "null_score"]
    assert sorted(c or 0 for c in counts) == [1, 2]


def test_a_limited_run_is_told(tmp_path: Path) -> None:
    written(tmp_path, "m-70m.json", {"q": share(3, 10)}, num_fewshot=0, limit=10)
    found = read(tmp_path)
    assert "limited" in codes(found)
    assert found.aggregates["n_samples"].to_list() == [10.0]


def test_directions(tmp_path: Path) -> None:
    results = {"t": {"bleu_diff": -1.5, "ppl": 9.5, "likelihood_difference": 2.5}}
    written(tmp_path, "m-70m.json", results, num_fewshot=0)
    found = read(tmp_path)
    said = dict(found.aggregates.select("metric", "higher_is_better").rows())
    assert said == {"bleu_diff": True, "ppl": None, "likelihood_difference": None}


def test_items_behind_an_error() -> None:
    for n in (2, 7, 100, 14042):
        for right in {1, n // 2, n - 1} - {0, n}:
            s = share(right, n)
            assert items_behind(s["acc"], s["acc_stderr"]) == n
    assert items_behind(0.5, 0.05) is None  # rounded
    assert items_behind(0.0, 0.0) is None
    assert items_behind(0.5, 1e-9) is None


def test_metrics_that_disagree_on_the_items_say_nothing(tmp_path: Path) -> None:
    written(tmp_path, "m-70m.json", {"q": {**share(3, 10), **share(3, 20, "acc_norm")}}, limit=None)
    assert read(tmp_path).aggregates["n_samples"].to_list() == [None, None]


# ---------------------------------------------------------------- bad input


def test_cut_short(tmp_path: Path) -> None:
    good = written(tmp_path, "a-70m.json", {"q": share(3, 9)}, num_fewshot=0)
    (tmp_path / "b-160m.json").write_text(good.read_text()[:-9])
    with pytest.raises(FileProblem, match="not JSON") as e:
        read(tmp_path, strict=True)
    assert "b-160m.json" in str(e.value)
    found = read(tmp_path, skip_bad=True)
    assert found.aggregates.height == 1
    assert "bad_results" in codes(found)


def test_no_score_at_all(tmp_path: Path) -> None:
    path = written(tmp_path, "a-70m.json", {"q": {"acc": None}}, num_fewshot=0)
    with pytest.raises(FileProblem, match="no score"):
        read(path)
    written(tmp_path, "b-70m.json", {"q": share(1, 2)}, num_fewshot=0)
    assert read(tmp_path, skip_bad=True).aggregates.height == 1


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"results": [1, 2], "config": {}}')
    (tmp_path / "eval.json").write_text('{"results": {"a": 1}, "versions": {}}')
    written(tmp_path, "m-70m.json", {"q": share(1, 2)}, num_fewshot=0)
    found = read(tmp_path)
    assert found.aggregates.height == 1
    assert "files_not_read" in codes(found)


CONTENT = json.dumps(
    {
        "results": {"q": {**share(3, 9), "ppl": 4.5}},
        "versions": {"q": 1},
        "config": {"model_args": "pretrained=a/b-70m,revision=step3", "num_fewshot": 5},
    }
).encode()
odd = st.sampled_from([b"1e999", b"-1", b"null", b'"x"', b"[" * 5000, b"{}", b"9" * 400, b"\xff"])
changes = st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 12), odd)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, min_size=1, max_size=3), st.booleans())
def test_damaged_files_raise_nothing_else(edits: list[Any], skip_bad: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "b-70m.json"
        path.write_bytes(edited(CONTENT, edits))
        with contextlib.suppress(UnmirageError):
            read(path, skip_bad=skip_bad)


# ---------------------------------------------------------------- the whole way


def test_audit_of_a_folder(tmp_path: Path) -> None:
    right = (105, 110, 130, 190, 290, 350)
    for size, k in zip((70, 160, 410, 1000, 2800, 6900), right, strict=True):
        args = f"pretrained=lab/m-{size}m,revision=step9"
        results = {"quiz": {**share(k, 400), "ppl": 1e3 / size}}
        written(tmp_path, f"m{size}.json", results, model_args=args, num_fewshot=0)
    audit = unmirage.audit(read(tmp_path))
    assert {j.key.metric for j in audit.judgements} == {"acc", "ppl"}
    (quiz,) = (j for j in audit.judgements if j.key.metric == "acc")
    assert quiz.curve.stderr_from == "binomial"
    assert set(quiz.curve.count) == {400.0}
