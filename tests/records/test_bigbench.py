"""BIG-bench results. Genuine files of scores are not at hand: those here are synthetic, written
from the published classes ScoreData, ModelData and ResultsFileData (bigbench 1.0.0). The
descriptions of tasks are genuine where the test says so."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import edited
from unmirage.errors import FileProblem, InputError, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.bigbench.task import facts_of
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "bigbench_tasks"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine tasks are not there: {REAL}")
Row = dict[str, Any]


def entry(scores: Row, preferred: str, shots: int, about: str, low: float, high: float) -> Row:
    """ScoreData."""
    return {
        "score_dict": scores,
        "preferred_score": preferred,
        "number_of_shots": shots,
        "low_score": low,
        "high_score": high,
        "subtask_description": about,
    }


def graded(grade: float, shots: int = 0, about: str = "quiz", low: float = 0.25) -> Row:
    scores = {"multiple_choice_grade": grade, "calibration_multiple_choice_brier_score": 0.125}
    return entry(scores, "multiple_choice_grade", shots, about, low, 1.0)


def model(name: str = "1b", params: float = 1e9, **more: Any) -> Row:
    """ModelData."""
    return {
        "model_family": "BIG-G T=0",
        "model_name": name,
        "total_params": 2 * params,
        "non_embedding_params": 1.5 * params,
        "flop_matched_non_embedding_params": params,
        "training_batch_size": 256,
        "training_steps": 1000,
        "description": "made up",
        "decoding_params": {},
        **more,
    }


def written(
    folder: Path, scores: list[Row], who: Row | None = None, queries: Any = None, task: str = "quiz"
) -> Path:
    """ResultsFileData, in the folder and under the name that BIG-bench gives it."""
    who = who or model()
    kind = "full-log" if queries else "scores"
    path = folder / task / "results" / f"{kind}_BIG-G_T=0_{who['model_name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"scores": scores, "task": {"task_name": task}, "model": who, "queries": queries}
    path.write_text(json.dumps(content))
    return path


def described(folder: Path, examples: list[Row] | None, name: str = "quiz") -> Path:
    path = folder / "task.json"
    folder.mkdir(parents=True, exist_ok=True)
    content: Row = {"canary": "none", "name": name, "description": "", "keywords": []}
    if examples is not None:
        metrics = ["multiple_choice_grade"]
        content |= {"examples": examples, "metrics": metrics, "preferred_score": metrics[0]}
    path.write_text(json.dumps(content))
    return path


def options(n: int, k: int = 4) -> list[Row]:
    """n questions of k options, one of them right."""
    values = {f"option {i}": int(i == 0) for i in range(k)}
    return [{"input": f"q{i}", "target_scores": values} for i in range(n)]


def codes(found: Records) -> set[str]:
    return {n.code for n in found.notes}


def only(frame: pl.DataFrame, **where: Any) -> Row:
    conditions = [pl.col(c) == v for c, v in where.items()]
    return frame.filter(*conditions).row(0, named=True)


# ---------------------------------------------------------------- genuine descriptions


@real
def test_genuine_descriptions() -> None:
    movie = facts_of(json.loads((REAL / "emoji_movie" / "task.json").read_text()))
    assert movie is not None
    assert (movie.n, movie.whole) == (100, True)  # 100 times one of 5 films
    assert movie.chance == pytest.approx(0.2, abs=1e-12)
    sums = json.loads((REAL / "two_digit_multiplication_control" / "task.json").read_text())
    facts = facts_of(sums)
    assert facts is not None
    assert facts.n == len({json.dumps(e) for e in sums["examples"]})
    assert facts.chance is None


@real
def test_genuine_description_beside_synthetic_scores(tmp_path: Path) -> None:
    shutil.copytree(REAL / "emoji_movie", tmp_path / "emoji_movie")
    scores = {"multiple_choice_grade": 0.34, "exact_str_match": 0.0, "bleu": 1.5, "rouge1": 12.5}
    said = entry(scores, "multiple_choice_grade", 2, "emoji_movie", 0.2, 1.0)
    written(tmp_path, [said], task="emoji_movie")
    found = read(tmp_path)
    row = only(found.aggregates, metric="multiple_choice_grade")
    assert (row["score"], row["chance"], row["n_samples"], row["shots"]) == (0.34, 0.2, 100, 2)
    share = 34.5 / 101
    assert row["stderr"] == pytest.approx(math.sqrt(share * (1 - share) / 100))
    assert only(found.aggregates, metric="bleu")["score"] == 0.015
    assert only(found.aggregates, metric="rouge1")["score"] == 0.125
    assert only(found.aggregates, metric="exact_str_match")["n_samples"] == 100


@real
def test_a_genuine_description_alone_holds_no_score() -> None:
    with pytest.raises(InputError, match="no table"):
        read(REAL / "emoji_movie" / "task.json")


# ---------------------------------------------------------------- scores


def test_the_model_and_its_settings(tmp_path: Path) -> None:
    written(tmp_path, [graded(0.5, 0), graded(0.625, 3), graded(0.25, -1)])
    found = read(tmp_path)
    rows = found.aggregates.filter(metric="multiple_choice_grade").sort("row")
    assert rows["shots"].to_list() == [0, 3, None]
    assert rows["chance"].to_list() == [0.25] * 3
    row = rows.row(0, named=True)
    assert (row["family"], row["model"], row["params"]) == ("BIG-G T=0", "BIG-G T=0 1b", 1e9)
    assert (row["task"], row["subtask"], row["n_samples"]) == ("quiz", None, None)
    brier = only(found.aggregates, metric="calibration_multiple_choice_brier_score")
    assert (brier["higher_is_better"], brier["chance"]) == (False, None)
    assert "params_kind" in codes(found)


def test_counts_of_parameters_of_0_are_not_known(tmp_path: Path) -> None:
    zero = {"flop_matched_non_embedding_params": 0, "non_embedding_params": 0}
    written(tmp_path, [graded(0.5)], model("a", 1e9, **zero))
    written(tmp_path, [graded(0.5)], model("b", 3e9))
    found = read(tmp_path)
    assert sorted(found.aggregates["params"].unique()) == [2e9, 3e9]
    assert "params_differ" in codes(found)


def test_subtasks_and_their_mean(tmp_path: Path) -> None:
    described(tmp_path / "quiz", None)
    described(tmp_path / "quiz" / "one", options(8), "one")
    described(tmp_path / "quiz" / "two", options(4, 2), "two")
    mean = {"multiple_choice_grade": 0.5, "normalized_aggregate_score": 25.0}
    written(
        tmp_path,
        [
            graded(0.25, about="quiz:one"),
            graded(0.75, about="quiz:two", low=0.5),
            entry(mean, "multiple_choice_grade", 0, "quiz", 0.375, 1.0),
        ],
    )
    rows = read(tmp_path).aggregates.filter(metric="multiple_choice_grade").sort("row")
    assert rows["subtask"].to_list() == ["one", "two", None]
    assert rows["n_samples"].to_list() == [8, 4, None]
    assert rows["chance"].to_list() == [0.25, 0.5, 0.375]
    whole = only(read(tmp_path).aggregates, metric="normalized_aggregate_score")
    assert whole["score"] == 0.25


def test_trials_are_told_apart(tmp_path: Path) -> None:
    written(tmp_path, [graded(0.5), graded(0.75)])
    rows = read(tmp_path).aggregates.filter(metric="multiple_choice_grade")
    assert rows["run"].to_list() == ["trial 1", "trial 2"]


# ---------------------------------------------------------------- scales


def test_a_file_that_says_100_is_best(tmp_path: Path) -> None:
    said = entry({"exact_str_match": 0.5, "bleu": 30.0}, "exact_str_match", 0, "quiz", 0.0, 100.0)
    written(tmp_path, [said])
    found = read(tmp_path)
    assert only(found.aggregates, metric="exact_str_match")["score"] == 0.005
    assert only(found.aggregates, metric="bleu")["score"] == 0.3
    assert "percent" in codes(found)


def test_a_score_whose_scale_nobody_declares(tmp_path: Path) -> None:
    written(tmp_path, [entry({"exact_str_match": 50.0, "f": 0.5}, "f", 0, "quiz", 0.0, 1.0)])
    with pytest.raises(ValueProblem, match="outside its range") as e:
        read(tmp_path)
    assert "scores[0]" in str(e.value)
    found = read(tmp_path, skip_bad=True)
    assert found.aggregates["metric"].to_list() == ["f"]


def test_scores_of_single_tasks_keep_their_unit(tmp_path: Path) -> None:
    scores = {"moves": 63.0, "luck": -2.0}
    written(tmp_path, [entry(scores, "moves", 0, "quiz", 0.0, 100.0)])
    found = read(tmp_path)
    row = only(found.aggregates, metric="moves")
    assert (row["score"], row["higher_is_better"], row["chance"]) == (63.0, True, 0.0)
    assert only(found.aggregates, metric="luck")["higher_is_better"] is None


def test_log_likelihood_has_no_chance(tmp_path: Path) -> None:
    said = entry({"log_likelihood": -3.5}, "log_likelihood", 0, "quiz", -10.0, 0.0)
    written(tmp_path, [said])
    assert read(tmp_path).aggregates["chance"].to_list() == [None]


# ---------------------------------------------------------------- what the task says


def test_repeated_examples_count_once(tmp_path: Path) -> None:
    described(tmp_path / "quiz", [*options(8), *options(4)])
    written(tmp_path, [graded(0.125)])
    assert only(read(tmp_path).aggregates, metric="multiple_choice_grade")["n_samples"] == 8


def test_runs_on_a_part_of_the_examples(tmp_path: Path) -> None:
    described(tmp_path / "quiz", options(300))
    written(tmp_path, [graded(301 / 1024), graded(0.5, 1)])
    found = read(tmp_path)
    assert found.aggregates["n_samples"].null_count() == found.aggregates.height
    assert "n_samples_misfit" in codes(found)


def test_scores_of_three_decimals_fit(tmp_path: Path) -> None:
    described(tmp_path / "quiz", options(300))
    written(tmp_path, [graded(round(100 / 300, 3))])
    assert only(read(tmp_path).aggregates, metric="multiple_choice_grade")["n_samples"] == 300


def test_chance_levels_that_differ(tmp_path: Path) -> None:
    described(tmp_path / "quiz", options(8, 5))
    written(tmp_path, [graded(0.5)])
    found = read(tmp_path)
    assert only(found.aggregates, metric="multiple_choice_grade")["chance"] == 0.25
    assert "chance_differs" in codes(found)


def test_a_task_named_elsewhere(tmp_path: Path) -> None:
    here = described(tmp_path / "tasks", options(8))
    there = written(tmp_path / "runs", [graded(0.5)])
    found = read([here, there])
    assert only(found.aggregates, metric="multiple_choice_grade")["n_samples"] == 8


# ---------------------------------------------------------------- full logs


def chosen(i: int, logs: list[float] | None, best: int) -> Row:
    targets = ["yes", "no"]
    return {
        "input": f"Q{i}",
        "targets": targets,
        "scores": [-0.5, -1.0],
        "target_values": {"yes": 1, "no": 0},
        "correct": float(best == 0),
        "absolute_scores": logs,
        "normalized_scores": [-0.5, -1.0],
        "metrics": {},
    }


def full_log() -> list[Row]:
    answers = [chosen(0, [-4.0, -5.0], 0), chosen(0, [-4.0, -5.0], 0), chosen(1, [-3.0, -2.5], 1)]
    texts = [
        {
            "input": "2+2=",
            "output": "4",
            "targets": {
                "4": {"exact_str_match": 1.0, "bleu": None},
                "four": {"exact_str_match": 0},
            },
            "raw_output": "4\n",
            "metrics": {},
        }
    ]
    same = {"shots": 2, "task": "quiz"}
    return [
        {
            "function": "cond_log_prob",
            "absolute_normalization": False,
            "samples": answers,
            **same,
        },
        {
            "function": "generate_text",
            "max_length": 9,
            "stop_string": None,
            "output_regex": None,
            "samples": texts,
            **same,
        },
    ]


def test_items_of_a_full_log(tmp_path: Path) -> None:
    scores = [graded(2 / 3, 2), graded(0.5, 0)]
    written(tmp_path, scores)
    written(tmp_path, scores, queries=full_log())
    found = read(tmp_path)
    answers = found.samples.filter(pl.col("metric").is_null())
    assert answers.height == 4
    first = answers.row(0, named=True)
    assert first["choice_logprobs"] == [-4.0, -5.0]
    assert (first["choices"], first["choice_credit"]) == (["yes", "no"], [1.0, 0.0])
    assert (first["target_index"], first["shots"], first["prompt"]) == (0, 2, "Q0")
    assert answers["item"].n_unique() == 4  # the question that is there twice is two items
    written_ = only(answers, format="generate_text")
    assert (written_["output"], written_["targets"]) == ("4", ["4", "four"])
    told = found.samples.filter(pl.col("metric").is_not_null())
    grades = told.filter(metric="multiple_choice_grade")["score"].to_list()
    assert grades == [1.0, 1.0, 0.0]
    assert told.filter(metric="exact_str_match")["score"].to_list() == [1.0]
    # the scores that the items have are not read again, and the copy of all scores is not either
    left = found.aggregates.filter(metric="multiple_choice_grade")
    assert left["shots"].to_list() == [0]
    assert {"scored_items", "copy_left_out"} <= codes(found)


def test_normalised_log_probabilities_are_none_of_the_answer(tmp_path: Path) -> None:
    queries = full_log()[:1]
    for sample in queries[0]["samples"]:
        sample["absolute_scores"] = None
    written(tmp_path, [graded(0.5, 2)], queries=queries)
    found = read(tmp_path)
    assert found.samples["choice_logprobs"].null_count() == found.samples.height
    assert "no_logprobs" in codes(found)


# ---------------------------------------------------------------- bad input


def test_a_grade_below_0_is_no_share_of_the_items(tmp_path: Path) -> None:
    described(tmp_path / "quiz", options(8))
    written(tmp_path, [graded(-1.0)])
    row = only(read(tmp_path).aggregates, metric="multiple_choice_grade")
    assert (row["score"], row["n_samples"], row["stderr"]) == (-1.0, None, None)


def test_cut_short(tmp_path: Path) -> None:
    path = written(tmp_path, [graded(0.5)])
    written(tmp_path, [graded(0.5)], model("2b", 2e9))
    path.write_text(path.read_text()[:-9])
    with pytest.raises(FileProblem, match="not JSON"):
        read(tmp_path, strict=True)
    found = read(tmp_path, skip_bad=True)
    assert found.aggregates["model"].unique().to_list() == ["BIG-G T=0 2b"]
    assert "bad_results" in codes(found)


def test_a_description_cut_short(tmp_path: Path) -> None:
    written(tmp_path, [graded(0.5)])
    path = described(tmp_path / "quiz", options(8))
    path.write_text(path.read_text()[:-9])
    with pytest.raises(FileProblem, match="not JSON"):
        read(tmp_path, strict=True)
    found = read(tmp_path, skip_bad=True)
    assert found.aggregates["n_samples"].null_count() == found.aggregates.height
    assert "bad_task" in codes(found)


def test_no_number(tmp_path: Path) -> None:
    path = written(tmp_path, [entry({"bleu": math.nan}, "bleu", 0, "quiz", 0, 100)])
    with pytest.raises(FileProblem, match="no score"):
        read(path)


with tempfile.TemporaryDirectory() as made:
    CONTENT = written(Path(made), [graded(0.5, 2)], queries=full_log()).read_bytes()
    TASK = described(Path(made), options(2)).read_bytes()
odd = st.sampled_from([b"1e999", b"-1", b"null", b'"x"', b"[" * 5000, b"{}", b"9" * 400, b"\xff"])
changes = st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 12), odd)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, min_size=1, max_size=3), st.lists(changes, max_size=1), st.booleans())
def test_damaged_files_raise_nothing_else(one: list[Any], two: list[Any], skip_bad: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "scores_m.json").write_bytes(edited(CONTENT, one))
        (Path(name) / "task.json").write_bytes(edited(TASK, two))
        with contextlib.suppress(UnmirageError):
            read(name, skip_bad=skip_bad)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["scores", "task", "model", "queries"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
    st.integers(0, 2),
)
def test_other_shapes_raise_nothing_else(key: str, value: Any, depth: int) -> None:
    content = json.loads(CONTENT)
    inside = content[key]
    if depth and isinstance(inside, list):
        inside[0] = value if depth == 1 else dict.fromkeys(inside[0], value)
    elif depth:
        content[key] = dict.fromkeys(inside, value)
    else:
        content[key] = value
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scores_m.json"
        path.write_text(json.dumps(content))
        with contextlib.suppress(UnmirageError):
            read(path)


# ---------------------------------------------------------------- the whole way


def test_audit_of_a_folder(tmp_path: Path) -> None:
    described(tmp_path / "quiz", options(400))
    right = (98, 104, 101, 110, 160, 240, 330)
    for i, k in enumerate(right):
        written(tmp_path, [graded(k / 400)], model(f"{2**i}m", 1e6 * 4**i))
    audit = unmirage.audit(read(tmp_path))
    judged = {j.key.metric: j for j in audit.judgements}
    grade = judged["multiple_choice_grade"].curve
    assert grade.key.family == "BIG-G T=0"
    assert (grade.floor, grade.scale_name, len(grade.scale)) == (0.25, "params", 7)
    assert grade.stderr_from == "reported"
