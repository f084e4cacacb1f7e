"""Records of the every-eval-ever schema (0.2), synthetic: written here from the published schema,
whose required and allowed fields are checked below."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import JSONS, changed, claims_none, few, paths
from unmirage.errors import FileProblem, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.every_eval_ever import is_log
from unmirage.records.formats.every_eval_ever.aggregate import task_of
from unmirage.records.sniff import Source
from unmirage.types import Records

Row = dict[str, Any]
SHARED = Path(__file__).parents[2].parent / "shared" / "formats"

# ---------------------------------------------------------------- the published schema

RECORD = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata"}
RECORD |= {"model_info", "eval_library", "evaluation_results"}
RECORD_MORE = {"evaluation_timestamp", "detailed_evaluation_results"}
RESULT = {"evaluation_name", "source_data", "metric_config", "score_details"}
RESULT_MORE = {"evaluation_result_id", "evaluation_timestamp", "generation_config"}
METRIC_MORE = {"evaluation_description", "metric_id", "metric_name", "metric_kind", "metric_unit"}
METRIC_MORE |= {"metric_parameters", "score_type", "level_names", "has_unknown_level"}
METRIC_MORE |= {"min_score", "max_score", "additional_details", "level_metadata", "llm_scoring"}
LINE = {"schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id"}
LINE |= {"interaction_type", "input", "answer_attribution", "evaluation"}
LINE_MORE = {"evaluation_result_id", "sample_hash", "output", "messages", "token_usage"}
LINE_MORE |= {"performance", "error", "metadata"}


def result(name: str, metric: str, score: float, **more: Any) -> Row:
    config = {"metric_id": metric, "lower_is_better": False, "score_type": "continuous"}
    return {
        "evaluation_name": name,
        "evaluation_result_id": f"{name}#{metric}",
        "source_data": {"dataset_name": name, "source_type": "other"},
        "metric_config": {**config, "min_score": 0.0, "max_score": 1.0} | more.pop("config", {}),
        "score_details": {
            "score": score,
            "uncertainty": {
                "standard_error": {"value": 0.1, "method": "bootstrap"},
                "num_samples": 20,
            },
        }
        | more.pop("details", {}),
        "generation_config": {
            "generation_args": {"temperature": 0.0},
            "additional_details": {"num_fewshot": "5"},
        },
        **more,
    }


def record(model: str, results: list[Row], rows: int = 0, **more: Any) -> Row:
    found = {
        "schema_version": "0.2.2",
        "evaluation_id": f"run/{model}/1000",
        "retrieved_timestamp": "1000.5",
        "evaluation_timestamp": "900",
        "source_metadata": {
            "source_type": "evaluation_run",
            "source_organization_name": "Lab",
            "evaluator_relationship": "third_party",
        },
        "model_info": {
            "name": model,
            "id": model,
            "additional_details": {"num_parameters": "70000000", "revision": "main"},
        },
        "eval_library": {"name": "lm_eval", "version": "0.4.9"},
        "evaluation_results": results,
        **more,
    }
    if rows:
        found["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": "data/x_samples.jsonl",
            "total_rows": rows,
        }
    return found


def line(model: str, name: str, i: int, said: str, target: str, score: float, **more: Any) -> Row:
    return {
        "schema_version": "0.2.2",
        "evaluation_id": f"run/{model}/1000",
        "model_id": model,
        "evaluation_name": name,
        "sample_id": f"{name}_{i}",
        "sample_hash": f"{i:064x}",
        "interaction_type": "single_turn",
        "input": {"raw": f"Q{i}", "formatted": None, "reference": [target], "choices": None},
        "output": {"raw": [f"I say {said}"], "reasoning_trace": []},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": said,
                "extraction_method": "regex",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": score, "is_correct": score == 1.0},
        "error": None,
        "metadata": None,
        **more,
    }


M = "org/tiny-70m"
RESULTS = [result("gsm8k", "exact_match", 0.5), result("mmlu", "accuracy", 0.25)]
LINES = [line(M, "gsm8k", 0, "18", "18", 1.0), line(M, "gsm8k", 1, "8", "7", 0.0)]


def put(
    root: Path, name: str = "a", said: Row | None = None, lines: list[Row] | None = None
) -> Path:
    folder = root / "data" / "lab" / "org" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    if said is not None:
        (folder / f"{name}.json").write_text(json.dumps(said, indent=4))
    if lines is not None:
        text = "".join(json.dumps(row) + "\n" for row in lines)
        (folder / f"{name}_samples.jsonl").write_text(text)
    return root


def answers(got: Records) -> pl.DataFrame:
    return got.samples.filter(pl.col("metric").is_null())


def reported(got: Records) -> list[tuple[Any, ...]]:
    scored = got.samples.filter(pl.col("metric").is_not_null())
    return scored.select("task", "item", "metric", "score").rows()


def codes(got: Records) -> set[str]:
    return {n.code for n in got.notes}


def test_the_files_written_here_follow_the_published_schema() -> None:
    said = record(M, RESULTS, rows=2)
    assert RECORD <= said.keys() <= RECORD | RECORD_MORE
    for one in said["evaluation_results"]:
        assert RESULT <= one.keys() <= RESULT | RESULT_MORE
        assert (
            {"lower_is_better"} <= one["metric_config"].keys() <= METRIC_MORE | {"lower_is_better"}
        )
    for row in LINES:
        assert LINE <= row.keys() <= LINE | LINE_MORE


# ---------------------------------------------------------------- what is read


def test_a_record_with_its_samples(tmp_path: Path) -> None:
    got = read(put(tmp_path, said=record(M, RESULTS, rows=2), lines=LINES))
    rows = answers(got)
    assert rows.select("model", "params", "task", "shots", "item", "output", "prompt").rows() == [
        (M, 7e7, "gsm8k", 5, "gsm8k_0", "18", "Q0"),
        (M, 7e7, "gsm8k", 5, "gsm8k_1", "8", "Q1"),
    ]
    assert rows["targets"].to_list() == [["18"], ["7"]]
    assert set(rows["variant"]) == {"Lab / lm_eval"}
    assert reported(got) == [
        ("gsm8k", "gsm8k_0", "exact_match", 1.0),
        ("gsm8k", "gsm8k_1", "exact_match", 0.0),
    ]
    columns = ("task", "metric", "score", "stderr", "n_samples", "higher_is_better", "shots")
    assert got.aggregates.select(columns).rows() == [("mmlu", "accuracy", 0.25, 0.1, 20.0, True, 5)]
    assert not [n for n in got.notes if n.level == "warning"]


def test_a_record_alone(tmp_path: Path) -> None:
    got = read(put(tmp_path, said=record(M, RESULTS)))
    assert got.aggregates.select("task", "score").rows() == [("gsm8k", 0.5), ("mmlu", 0.25)]


def test_samples_alone(tmp_path: Path) -> None:
    got = read(put(tmp_path, lines=LINES))
    assert set(got.samples["params"]) == {7e7}  # off the name
    assert [r[2:] for r in reported(got)] == [("score", 1.0), ("score", 0.0)]


def test_sizes_in_billions_and_checkpoints(tmp_path: Path) -> None:
    info = {"name": "x", "id": "org/x"}
    details = {"params_billions": "1.4", "revision": "step3000"}
    said = record(M, RESULTS, model_info={**info, "additional_details": details})
    got = read(put(tmp_path, said=said))
    assert set(got.aggregates["params"]) == {1.4e9}
    assert set(got.aggregates["step"]) == {3000.0}


def test_percent_is_divided_only_where_the_record_says_so(tmp_path: Path) -> None:
    percent = {"metric_unit": "percent", "max_score": 100.0}
    results = [
        result("a", "accuracy", 45.0, config=percent),
        result("b", "elo", 1200.0, config={"metric_unit": "points", "max_score": 4000}),
    ]
    got = read(put(tmp_path, said=record(M, results)))
    assert got.aggregates.select("score", "stderr").rows() == [(0.45, 0.001), (1200.0, 0.1)]
    assert "percent" in codes(got)


def test_converted_logs_of_lm_eval(tmp_path: Path) -> None:
    """Metric and filter stand in the description; all scores of an item in the metadata."""

    def described(metric: str) -> Row:
        said = {"metric_id": None, "evaluation_description": f"{metric} (filter: strict)"}
        found = result("gsm8k/strict", metric, 0.5, config=said)
        del found["evaluation_result_id"]
        return {**found, "source_data": {"dataset_name": "gsm8k", "source_type": "other"}}

    results = [described("exact_match"), described("f1"), described("perplexity")]
    scores = json.dumps({"exact_match": 1.0, "f1": 0.5, "perplexity": -3.5, "pair": [1, 2]})
    told = {"filter": "strict", "lm_eval_metrics": scores}
    rows = [line(M, "gsm8k/strict", 0, "18", "18", 1.0, metadata=told)]
    got = read(put(tmp_path, said=record(M, results), lines=rows))
    assert answers(got).select("task", "filter").rows() == [("gsm8k", "strict")]
    assert [r[2:] for r in reported(got)] == [("exact_match", 1.0), ("f1", 0.5)]
    assert got.aggregates.select("task", "filter", "metric").rows() == [
        ("gsm8k", "strict", "perplexity")
    ]


def test_names_of_scorers_are_no_tasks() -> None:
    assert task_of("choice", None, "mmlu") == "mmlu/choice"
    assert task_of("MMLU-Pro", None, "mmlu_pro") == "MMLU-Pro"


# ---------------------------------------------------------------- traps


def test_a_sample_scored_by_two_metrics_is_answered_once(tmp_path: Path) -> None:
    results = [result("gsm8k", "exact_match", 0.5), result("gsm8k", "f1", 0.6)]
    rows = [
        {**row, "evaluation_result_id": f"gsm8k#{metric}", "evaluation": {"score": score}}
        for row in LINES
        for metric, score in (("exact_match", row["evaluation"]["score"]), ("f1", 0.6))
    ]
    got = read(put(tmp_path, said=record(M, results), lines=rows))
    assert answers(got).height == 2
    assert [r[2:] for r in reported(got)] == [
        ("exact_match", 1.0),
        ("f1", 0.6),
        ("exact_match", 0.0),
        ("f1", 0.6),
    ]
    assert got.aggregates.height == 0


def test_the_same_line_twice_is_one_item(tmp_path: Path) -> None:
    got = read(put(tmp_path, said=record(M, RESULTS), lines=[*LINES, LINES[0]]))
    assert answers(got).height == 2
    assert answers(got)["repeat"].null_count() == 2
    assert "identical_rows" in codes(got)


def test_epochs_are_repeats(tmp_path: Path) -> None:
    again = [line(M, "gsm8k", 0, "17", "18", 0.0), line(M, "gsm8k", 1, "7", "7", 1.0)]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=[*LINES, *again]))
    assert answers(got).sort("item", "repeat").select("item", "repeat", "output").rows() == [
        ("gsm8k_0", 1, "18"),
        ("gsm8k_0", 2, "17"),
        ("gsm8k_1", 1, "8"),
        ("gsm8k_1", 2, "7"),
    ]


def test_several_responses_are_repeats(tmp_path: Path) -> None:
    rows = [{**LINES[0], "output": {"raw": ["18", "19"]}}]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=rows))
    assert answers(got).select("repeat", "output").rows() == [(1, "18"), (2, "19")]


def test_ids_that_stand_for_several_texts(tmp_path: Path) -> None:
    rows = [{**row, "sample_id": "0"} for row in LINES]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=rows))
    assert answers(got)["item"].n_unique() == 2


def test_errors_are_missing_and_not_wrong(tmp_path: Path) -> None:
    failed = {"error": "timeout", "output": {"raw": []}, "answer_attribution": []}
    rows = [LINES[0], {**LINES[1], **failed}]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=rows))
    assert answers(got)["item"].to_list() == ["gsm8k_0"]
    assert len(reported(got)) == 1
    assert [n.count for n in got.notes if n.code == "errors"] == [1]


def test_an_item_without_answer_and_score_is_left_out(tmp_path: Path) -> None:
    change = {"output": {"raw": []}, "answer_attribution": [], "evaluation": {}}
    put(tmp_path, said=record(M, RESULTS), lines=[{**row, **change} for row in LINES])
    got = read(tmp_path)
    assert got.samples.height == 0
    assert got.aggregates.height == 2
    assert [n.count for n in got.notes if n.code == "no_answer"] == [2]


def test_an_unknown_level_is_missing(tmp_path: Path) -> None:
    levels = {"score_type": "levels", "level_names": ["low"], "has_unknown_level": True}
    results = [result("gsm8k", "grade", -1, config=levels), result("mmlu", "accuracy", 0.5)]
    rows = [{**row, "evaluation": {"score": -1, "is_correct": False}} for row in LINES]
    got = read(put(tmp_path, said=record(M, results), lines=rows))
    assert reported(got) == []
    assert got.aggregates["task"].to_list() == ["mmlu"]
    assert sum(n.count or 0 for n in got.notes if n.code == "null_score") == 3


def test_the_size_of_the_data_set_is_not_the_number_of_items(tmp_path: Path) -> None:
    data = {"dataset_name": "arc", "source_type": "hf_dataset", "hf_repo": "a/b"}
    data |= {"samples_number": 2376, "sample_ids": ["1", "2", "3"]}
    results = [result("arc", "accuracy", 0.5, source_data=data, details={"uncertainty": None})]
    got = read(put(tmp_path, said=record(M, results)))
    assert got.aggregates["n_samples"].to_list() == [3.0]
    assert got.aggregates["stderr"].to_list() == [None]


def test_answers_as_letters_beside_references_as_texts(tmp_path: Path) -> None:
    rows = [line(M, "gsm8k", i, "B", "the second", 1.0) for i in range(3)]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=rows))
    assert answers(got)["targets"].null_count() == 3
    assert "own_scoring" in codes(got)
    assert [r[3] for r in reported(got)] == [1.0] * 3


def test_scores_between_0_and_1_are_no_verdicts(tmp_path: Path) -> None:
    rows = [line(M, "gsm8k", i, "the house", "a house", 0.5) for i in range(3)]
    got = read(put(tmp_path, said=record(M, [result("gsm8k", "f1", 0.5)]), lines=rows))
    assert answers(got)["targets"].to_list() == [["a house"]] * 3


def test_conversations_have_scores_and_no_output(tmp_path: Path) -> None:
    change = {"interaction_type": "agentic", "output": None, "answer_attribution": []}
    change["messages"] = [{"turn_idx": 0, "role": "user", "content": "hello"}]
    rows = [{**row, **change} for row in LINES]
    got = read(put(tmp_path, said=record(M, RESULTS), lines=rows))
    assert answers(got).height == 0
    assert len(reported(got)) == 2


def test_of_two_runs_the_newest_is_kept(tmp_path: Path) -> None:
    put(tmp_path, "a", record(M, RESULTS), LINES)
    said = record(M, RESULTS[:1], evaluation_id="later", evaluation_timestamp="2000")
    rows = [{**LINES[0], "evaluation_id": "later", "sample_id": "other"}]
    got = read(put(tmp_path, "b", said, rows))
    assert answers(got)["item"].to_list() == ["other"]
    assert "older_run" in codes(got)
    assert got.aggregates["task"].to_list() == ["mmlu"]


def test_two_sources_are_two_curves(tmp_path: Path) -> None:
    put(tmp_path, "a", record(M, RESULTS))
    meta = {"source_organization_name": "Other"}
    got = read(put(tmp_path, "b", record(M, RESULTS, evaluation_id="x", source_metadata=meta)))
    assert set(got.aggregates["variant"]) == {"Lab / lm_eval", "Other / lm_eval"}
    assert got.aggregates.height == 4


# ---------------------------------------------------------------- bad input


def test_truncated_files(tmp_path: Path) -> None:
    put(tmp_path, said=record(M, RESULTS, rows=2), lines=LINES)
    path = next(tmp_path.rglob("*_samples.jsonl"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(FileProblem, match="line 2"):
        read(tmp_path, strict=True)
    got = read(tmp_path, skip_bad=True)
    assert answers(got).height == 1
    assert {"bad_lines", "rows_missing"} <= codes(got)
    path.write_bytes(whole)
    said = next(tmp_path.rglob("a.json"))
    said.write_bytes(said.read_bytes()[:-30])
    with pytest.raises(FileProblem, match="cut short"):
        read(tmp_path, strict=True)
    assert "bad_file" in codes(read(tmp_path, skip_bad=True))


@pytest.mark.parametrize(
    "change",
    [
        {"sample_id": None},
        {"sample_id": {}},
        {"model_id": 3},
        {"evaluation": {"score": "good", "is_correct": True}},
        {"metadata": {"lm_eval_metrics": "{"}},
    ],
)
def test_a_bad_cell_is_told_with_its_line(tmp_path: Path, change: Row) -> None:
    put(tmp_path, said=record(M, RESULTS), lines=[LINES[0], {**LINES[1], **change}])
    with pytest.raises(ValueProblem, match="line 2") as e:
        read(tmp_path, strict=True)
    assert "a_samples.jsonl" in str(e.value)
    got = read(tmp_path, skip_bad=True)
    assert answers(got).height == 1
    assert "bad_rows" in codes(got)


@pytest.mark.parametrize("change", [{"model_info": {}}, {"evaluation_results": {}}])
def test_a_record_that_lacks_what_the_schema_asks_for(tmp_path: Path, change: Row) -> None:
    put(tmp_path, said=record(M, RESULTS) | change)
    with pytest.raises(FileProblem, match="names no model"):
        read(tmp_path, strict=True)


def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"sample_id": "a", "output": "b"}\n')
    assert not is_log(Source(path, str(path), "jsonl"))
    path = tmp_path / "x.json"
    path.write_text('{"schema_version": 1}')
    assert not is_log(Source(path, str(path), "json"))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the genuine logs are not there: {SHARED}")
def test_genuine_files_of_other_tools_are_none_of_ours() -> None:
    claims_none(is_log, SHARED)


FEW = few(30)


@FEW
@given(st.sampled_from(paths(record(M, RESULTS, 2))[1:]), JSONS, st.booleans())
def test_any_value_in_a_record_is_read_or_refused(path: Any, value: Any, skip: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        said = changed(record(M, RESULTS, 2), path, value)
        put(Path(name), said=said, lines=LINES)
        with contextlib.suppress(UnmirageError):
            read(name, skip_bad=skip)


@FEW
@given(st.sampled_from(paths(LINES[0])[1:]), JSONS, st.booleans())
def test_any_value_in_a_line_is_read_or_refused(path: Any, value: Any, skip: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        lines = [changed(LINES[0], path, value), LINES[1]]
        put(Path(name), said=record(M, RESULTS), lines=lines)
        with contextlib.suppress(UnmirageError):
            assert read(name, skip_bad=skip).samples["item"].null_count() == 0


@FEW
@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["*.json", "*.jsonl"]))
def test_flipped_bytes_are_read_or_refused(at: int, byte: int, which: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), said=record(M, RESULTS), lines=LINES)
        path = next(Path(name).rglob(which))
        raw = bytearray(path.read_bytes())
        raw[at % len(raw)] = byte
        path.write_bytes(bytes(raw))
        for skip in (False, True):
            with contextlib.suppress(UnmirageError):
                read(name, skip_bad=skip)


@pytest.mark.parametrize("value", ["[" * 50_000, "1" + "0" * 400, "-1e999"])
def test_deep_nesting_and_huge_numbers(tmp_path: Path, value: str) -> None:
    put(tmp_path, said=record(M, RESULTS), lines=LINES)
    for path in list(tmp_path.rglob("*.json*")):
        whole = path.read_text()
        path.write_text(
            whole.replace("0.5", value, 1).replace('"score": 1.0', f'"score": {value}', 1)
        )
        for skip in (False, True):
            with contextlib.suppress(UnmirageError):
                got = read(tmp_path, skip_bad=skip)
                assert all(math.isfinite(r[3]) for r in reported(got))
        path.write_text(whole)


# ---------------------------------------------------------------- audits


def test_a_folder_of_six_models_is_audited(tmp_path: Path) -> None:
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        model, rows = f"org/tiny-{size}m", []
        for i in range(40):
            right = ((i * 37) % 40 + 0.5) / 40 < (rung + 1) / 8
            rows.append(line(model, "gsm8k", i, str(i if right else i + 1), str(i), float(right)))
        info = {"name": model, "id": model, "additional_details": {"num_parameters": f"{size}e6"}}
        results = [RESULTS[0], result("mmlu", "accuracy", 0.2 + rung / 10)]
        put(tmp_path, f"m{rung}", record(model, results, 40, model_info=info), rows)
    audit = unmirage.audit(unmirage.read(tmp_path), draws=100)
    found = {(j.key.task, j.key.metric): j.curve for j in audit.judgements}
    assert found["gsm8k", "exact_match"].score.tolist() == [(r + 1) / 8 for r in range(6)]
    assert found["mmlu", "accuracy"].score.tolist() == [0.2 + r / 10 for r in range(6)]
