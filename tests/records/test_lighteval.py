"""Details and results of lighteval, synthetic: no genuine ones are at hand. They are written here
in the schemas that the published versions 0.3 to 0.13 and the first Open LLM Leaderboard use."""

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
from tests.records.mutate import JSONS, claims_none, few
from unmirage import metrics
from unmirage.errors import FileProblem, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.lighteval import is_log
from unmirage.records.formats.lighteval.files import task_of
from unmirage.records.formats.literal import value_of
from unmirage.records.sniff import Source
from unmirage.types import Records

DATE = "2024-11-20T10-11-12.123456"
LATER = "2025-01-01T00-00-00.000001"
Row = dict[str, Any]
SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
QUIZ, MATH, WORD = "leaderboard|arc:challenge|25", "lighteval|gsm8k|0", "lighteval|lambada|0"

# ---------------------------------------------------------------- files as lighteval writes them


def old(example: str, predictions: Any, scores: Row, shots: int = 0, **more: Any) -> Row:
    """A row of the schema before 0.11, not yet turned into text."""
    return {
        "example": example,
        "instruction": "",
        "full_prompt": f"Solved.\n{example}",
        "num_effective_few_shots": shots,
        "num_asked_few_shots": shots,
        "predictions": predictions,
        "prediction_logits": [],
        "input_tokens": [[1, 2]],
        "cont_tokens": [],
        "truncated": [0],
        "padded": [0],
        "gold": [],
        "pred_logits": [],
        "choices": [],
        "gold_index": [],
        "metrics": scores,
        "specifics": None,
        **more,
    }


def quiz(i: int, logs: list[float], right: int, acc: float, shots: int = 25) -> Row:
    pairs = [(v, False) for v in logs]
    choices = [f" {c}" for c in "abcd"[: len(logs)]]
    return old(
        f"q{i}", pairs, {"acc": acc, "acc_norm": acc}, shots, choices=choices, gold_index=[right]
    )


def math_(i: int, text: str, gold: str, em: float) -> Row:
    return old(f"sum {i}", [[text]], {"em": em}, gold=[gold], cont_tokens=[[5, 6]])


def word(i: int, target: str, log: float) -> Row:
    return old(
        f"story {i}", [(log, True)], {"target_perplexity": log}, choices=[target], gold_index=[0]
    )


def text(rows: list[Row]) -> list[Row]:
    """As 0.4 to 0.7 wrote them: every cell the text of a Python object."""
    return [{k: str(v) for k, v in row.items()} for row in rows]


def typed(rows: list[Row]) -> list[Row]:
    """As the first leaderboard and 0.8 to 0.10 wrote them, where Arrow could: lists and structs."""
    return [
        {**row, "predictions": [p[0] if isinstance(p, tuple) else p for p in row["predictions"]]}
        for row in rows
    ]


def new(rows: list[Row], task: str) -> list[Row]:
    """The same answers in the schema since 0.11."""
    out = []
    for i, row in enumerate(rows):
        logs = [p[0] for p in row["predictions"] if isinstance(p, tuple)]
        texts = [p[0] for p in row["predictions"] if isinstance(p, list)]
        doc = {
            "query": row["example"],
            "choices": row["choices"] or row["gold"],
            "gold_index": row["gold_index"] or [0],
            "instruction": None,
            "id": str(i),
            "task_name": task,
            "fewshot_samples": [{"query": "Solved."}],
            "num_samples": 1,
        }
        response = {
            "input": row["full_prompt"],
            "input_tokens": [1, 2],
            "text": texts,
            "output_tokens": row["cont_tokens"],
            "text_post_processed": None,
            "logprobs": logs,
            "argmax_logits_eq_gold": [False] * len(logs),
        }
        out.append({"doc": doc, "model_response": response, "metric": row["metrics"]})
    return out


def results(model: str, **more: Any) -> Row:
    mean = {"higher_is_better": True, "corpus_level_fn": "mean"}
    return {
        "config_general": {
            "lighteval_sha": "?",
            "num_fewshot_seeds": 1,
            "model_name": model,
            "model_sha": "abc",
            "model_dtype": "torch.float16",
            "model_size": "476.2 MB",
            **more,
        },
        "results": {
            QUIZ: {"acc": 0.5, "acc_stderr": 0.3, "acc_norm": 0.5, "acc_norm_stderr": 0.3},
            MATH: {"em": 0.5, "em_stderr": 0.3},
            WORD: {"target_perplexity": 9.0, "target_perplexity_stderr": 1.0},
            "lighteval|bleurt|0": {"rouge1": 0.25, "rouge1_stderr": 0.0, "odd": math.nan},
            "all": {"acc": 0.5, "em": 0.5},
        },
        "versions": {MATH: 2},
        "config_tasks": {
            "leaderboard|arc:challenge": {
                "metric": [{"metric_name": "acc", **mean}, {"metric_name": "acc_norm", **mean}],
                "effective_num_docs": 2,
            },
            "lighteval|bleurt": {
                "metric": [{"metric_name": "rouge1", **mean}],
                "effective_num_docs": 40,
            },
        },
    }


TASKS: dict[str, list[Row]] = {
    QUIZ: [quiz(0, [-1.5, -2.0, -0.5, -3.0], 2, 1.0), quiz(1, [-1.5, -2.0, -0.5, -3.0], 0, 0.0)],
    MATH: [math_(0, " 18", "18", 1.0), math_(1, "I do not know", "7", 0.0)],
    WORD: [word(0, " door", -0.25), word(1, " key", -4.5)],
}
SCHEMAS = ["text", "typed", "new"]


def put(
    root: Path,
    model: str = "org/tiny-70m",
    tasks: dict[str, list[Row]] | None = None,
    schema: str = "text",
    date: str = DATE,
    said: Row | None = None,
) -> Path:
    """The folder of an ``--output-dir`` after one run."""
    folder = root / "details" / model / date
    folder.mkdir(parents=True, exist_ok=True)
    for task, rows in (TASKS if tasks is None else tasks).items():
        shaped = {"text": text, "typed": typed, "new": lambda r, t=task: new(r, t)}[schema](rows)
        pl.DataFrame(shaped, infer_schema_length=None).write_parquet(
            folder / f"details_{task}_{date}.parquet"
        )
    where = root / "results" / model
    where.mkdir(parents=True, exist_ok=True)
    (where / f"results_{date}.json").write_text(json.dumps(said or results(model)))
    return root


def answers(got: Records, task: str) -> pl.DataFrame:
    here = (pl.col("task") == task_of(task).name) & pl.col("metric").is_null()
    return got.samples.filter(here)


def reported(got: Records, task: str, metric: str) -> list[float]:
    here = (pl.col("task") == task_of(task).name) & (pl.col("metric") == metric)
    return got.samples.filter(here)["score"].to_list()


def codes(got: Records) -> set[str]:
    return {n.code for n in got.notes}


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_gives_the_same_records(tmp_path: Path, schema: str) -> None:
    got = read(put(tmp_path, schema=schema))
    quiz_ = answers(got, QUIZ)
    assert quiz_["choice_logprobs"].to_list() == [[-1.5, -2.0, -0.5, -3.0]] * 2
    assert quiz_["choices"].to_list() == [[" a", " b", " c", " d"]] * 2
    assert quiz_["target_index"].to_list() == [2, 0]
    assert set(quiz_["model"]) == {"org/tiny-70m"}
    assert set(quiz_["shots"]) == {25}
    assert quiz_["prompt"].to_list() == ["Solved.\nq0", "Solved.\nq1"]
    sums = answers(got, MATH)
    assert sums["output"].to_list() == [" 18", "I do not know"]
    assert sums["targets"].to_list() == [["18"], ["7"]]
    assert sums["output_tokens"].to_list() == [[5, 6], [5, 6]]
    assert reported(got, MATH, "em") == [1.0, 0.0]
    assert reported(got, QUIZ, "acc_norm") == [1.0, 0.0]
    assert reported(got, WORD, "log_likelihood") == [-0.25, -4.5]
    assert reported(got, WORD, "target_perplexity") == []
    assert quiz_["item"].n_unique() == 2


def test_the_schemas_name_items_alike(tmp_path: Path) -> None:
    names = [set(read(put(tmp_path / s, schema=s)).samples["item"]) for s in SCHEMAS]
    assert len(names[0]) == 6
    assert names[0] == names[1] == names[2]


def test_scores_without_items_are_read_from_the_results(tmp_path: Path) -> None:
    got = read(put(tmp_path))
    assert got.aggregates.select("task", "metric", "score", "n_samples").sort("task").rows() == [
        ("lighteval|bleurt", "rouge1", 0.25, 40.0),
        ("lighteval|lambada", "target_perplexity", 9.0, None),
    ]
    assert got.aggregates["stderr"].to_list().count(None) == 1  # 0.0 is no standard error
    assert {"stderr_zero", "null_score"} <= codes(got)
    assert set(got.aggregates["model"]) == {"org/tiny-70m"}


def test_the_size_of_memory_is_no_number_of_parameters(tmp_path: Path) -> None:
    got = read(put(tmp_path, "org/tiny-70m"))
    assert set(got.samples["params"]) == {7e7}  # from the name
    with pytest.raises(UnmirageError, match="params"):
        read(put(tmp_path / "unknown", "org/tiny"))


def test_what_can_be_scored_anew(tmp_path: Path) -> None:
    got = read(put(tmp_path))
    rows = answers(got, QUIZ)
    assert metrics.get("accuracy").score(rows).tolist() == [1.0, 0.0]
    chances = [math.exp(v) for v in (-1.5, -2.0, -0.5, -3.0)]
    wanted = [chances[2] / sum(chances), chances[0] / sum(chances)]
    assert metrics.get("prob_choice_norm").score(rows).tolist() == pytest.approx(wanted)
    assert metrics.get("exact_match").score(answers(got, MATH)).tolist() == [1.0, 0.0]


def test_the_layout_of_the_hub(tmp_path: Path) -> None:
    """``details_org__model/<date>/`` with the results beside the folder, twice."""
    put(tmp_path / "x")
    home = tmp_path / "details_org__tiny-70m"
    (home / DATE).mkdir(parents=True)
    for path in (tmp_path / "x").rglob("*.parquet"):
        path.rename(home / DATE / path.name)
    said = results("org/tiny-70m")
    (home / f"results_{DATE}.json").write_text(json.dumps(said))
    cells = {k: [json.dumps(v)] for k, v in said.items()}
    pl.DataFrame(cells).write_parquet(home / f"results_{DATE}.parquet")
    both = read(home)
    assert set(both.samples["model"]) == {"org/tiny-70m"}
    assert both.aggregates.height == 2
    (home / f"results_{DATE}.json").unlink()
    only = read(home)
    assert only.aggregates.drop("file", "row").equals(both.aggregates.drop("file", "row"))


@pytest.mark.parametrize("name", ["details/org/tiny-70m", "details_org__tiny-70m"])
def test_without_results_the_folder_names_the_model(tmp_path: Path, name: str) -> None:
    put(tmp_path / "x")
    folder = tmp_path / name / DATE
    folder.parent.mkdir(parents=True)
    (tmp_path / "x/details/org/tiny-70m" / DATE).rename(folder)
    got = read(tmp_path / name)
    assert set(got.samples["model"]) == {"org/tiny-70m"}
    assert "no_results" in codes(got)


def test_a_file_of_details_alone_finds_its_results(tmp_path: Path) -> None:
    put(tmp_path, "org/tiny-70m", said=results("org/renamed-70m"))
    path = next(tmp_path.rglob("details_*gsm8k*.parquet"))
    got = read(path)
    assert set(got.samples["model"]) == {"org/renamed-70m"}


# ---------------------------------------------------------------- traps


def test_one_row_for_each_kind_of_request_is_one_item(tmp_path: Path) -> None:
    """A task with two kinds of metrics writes each document twice."""
    shown = {"choices": [" a", " b"], "gold_index": [1], "gold": [" b"]}
    rows = [
        old("q", [["b"]], {"em": 1.0}, **shown),
        old("q", [(-2.0, False), (-1.0, True)], {"acc": 1}, **shown),
    ]
    got = read(put(tmp_path, tasks={MATH: rows}))
    assert answers(got, MATH).select("output", "choice_logprobs", "target_index").rows() == [
        ("b", [-2.0, -1.0], 1)
    ]
    assert reported(got, MATH, "em") == reported(got, MATH, "acc") == [1.0]


def test_several_samples_are_repeats(tmp_path: Path) -> None:
    rows = [old("q", [["7", "8", "7"]], {"maj@3": 1.0}, gold=["7"])]
    got = read(put(tmp_path, tasks={MATH: rows}))
    assert answers(got, MATH).select("repeat", "output").rows() == [(1, "7"), (2, "8"), (3, "7")]
    assert reported(got, MATH, "maj@3") == [1.0]


def test_two_documents_of_one_text_are_two_items(tmp_path: Path) -> None:
    got = read(put(tmp_path, tasks={MATH: [math_(0, "1", "1", 1.0), math_(0, "2", "1", 0.0)]}))
    assert answers(got, MATH)["item"].n_unique() == 2
    assert answers(got, MATH)["output"].to_list() == ["1", "2"]


def test_likelihoods_without_the_question_are_no_choices(tmp_path: Path) -> None:
    """For PMI each choice is asked once more."""
    rows = [quiz(0, [-1.0, -2.0, -3.0, -4.0], 0, 1.0)]
    rows[0]["choices"] = rows[0]["choices"][:2]
    got = read(put(tmp_path, tasks={QUIZ: rows}))
    assert answers(got, QUIZ)["choice_logprobs"].to_list() == [[-1.0, -2.0]]


def test_choices_asked_in_one_request(tmp_path: Path) -> None:
    rows = [quiz(0, [-1.0, -2.0, -3.0, -4.0], 0, 1.0) | {"predictions": [[-1.0, -2.0, -3.0, -4.0]]}]
    got = read(put(tmp_path, tasks={QUIZ: rows}))
    assert answers(got, QUIZ)["choice_logprobs"].to_list() == [[-1.0, -2.0, -3.0, -4.0]]


def test_a_target_that_is_a_worked_solution_is_not_compared(tmp_path: Path) -> None:
    rows = [
        old(f"s{i}", [[f"so {i}"]], {"extractive_match": 1.0}, gold=[f"{i} + 0 = {i}"])
        for i in range(4)
    ]
    got = read(put(tmp_path, tasks={MATH: rows}))
    assert answers(got, MATH)["targets"].null_count() == 4
    assert "own_scoring" in codes(got)
    assert reported(got, MATH, "extractive_match") == [1.0] * 4


def test_names_that_lie_about_shots(tmp_path: Path) -> None:
    rows = [quiz(i, [-1.0, -2.0], 0, 1.0, shots=0) for i in range(3)]
    got = read(put(tmp_path, tasks={QUIZ: rows}))
    assert set(answers(got, QUIZ)["shots"]) == {0}
    assert "shots_disagree" in codes(got)


def test_prompts_with_fewer_examples_than_asked_are_counted(tmp_path: Path) -> None:
    rows = [quiz(0, [-1.0, -2.0], 0, 1.0), quiz(1, [-1.0, -2.0], 0, 1.0)]
    rows[1]["num_effective_few_shots"] = 3
    got = read(put(tmp_path, tasks={QUIZ: rows}))
    assert [n.count for n in got.notes if n.code == "fewer_shots"] == [1]


def test_log_probabilities_of_a_generated_text_are_not_those_of_choices(tmp_path: Path) -> None:
    rows = new([math_(0, "7", "7", 1.0)], MATH)
    rows[0]["model_response"] |= {"logprobs": [-0.1], "argmax_logits_eq_gold": []}
    put(tmp_path, tasks={})
    path = tmp_path / "details/org/tiny-70m" / DATE / f"details_{MATH}_{DATE}.parquet"
    pl.DataFrame(rows).write_parquet(path)
    got = answers(read(tmp_path), MATH)
    assert got["output"].to_list() == ["7"]
    assert got["choice_logprobs"].null_count() == got["token_logprobs"].null_count() == 1


def test_the_newest_run_is_kept(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, tasks={MATH: [math_(0, "19", "18", 0.0)]}, date=LATER)
    got = read(tmp_path)
    assert answers(got, MATH)["output"].to_list() == ["19"]
    assert answers(got, QUIZ).height == 2
    assert "older_run" in codes(got)
    assert got.aggregates.height == 2


def test_checkpoints(tmp_path: Path) -> None:
    put(tmp_path, said=results("org/tiny-70m", model_config={"revision": "step3000"}))
    assert set(read(tmp_path).samples["step"]) == {3000.0}


@pytest.mark.parametrize(
    "kept", [{"acc": True, "acc_norm": False}, {"acc": 1, "acc_norm": float("nan")}]
)
def test_the_first_leaderboard_had_a_column_a_metric(tmp_path: Path, kept: Row) -> None:
    rows = [quiz(0, [-1.5, -2.0, -0.5, -3.0], 2, 1.0)]
    rows = [{k: v for k, v in r.items() if k != "metrics"} | kept for r in typed(rows)]
    put(tmp_path, tasks={})
    path = tmp_path / "details/org/tiny-70m" / DATE / f"details_{QUIZ}_{DATE}.parquet"
    pl.DataFrame(rows).write_parquet(path)
    got = read(tmp_path)
    assert reported(got, QUIZ, "acc") == [1.0]
    assert len(reported(got, QUIZ, "acc_norm")) == (kept["acc_norm"] is False)


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("[(-1.5, True), (-inf, False)]", [[-1.5, True], [-math.inf, False]]),
        ("{'em': np.float64(0.5), 'n': np.int64(3)}", {"em": 0.5, "n": 3}),
        ("['it\\'s', \"two\"]", ["it's", "two"]),
        ('["json", null]', ["json", None]),
        ("[]", []),
        ("[tensor(-2.)]", [-2.0]),
        ("{1: 'x'}", {"1": "x"}),
    ],
)
def test_cells_of_python_text(cell: str, value: Any) -> None:
    assert value_of(cell) == value


@pytest.mark.parametrize(
    "cell",
    [
        "__import__('os').system('touch /tmp/hacked')",
        "[open('/etc/passwd').read()]",
        "(lambda: 1)()",
        "[x for x in range(10**9)]",
        "9**9**9**9",
        "[" * 100_000,
        "[-" * 3000 + "1",
        "'a' * 10**10",
        "f'{1}'",
        "{**{}}",
        "[1j]",
        "-'a'",
        "9" * 5_000_001,
        "np.float64(1, 2)",
        "1 if True else 2",
    ],
)
def test_cells_that_hold_no_plain_value_are_refused_and_never_run(cell: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        value_of(cell)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": "[(-1.0, False"},
        {"predictions": [("x", 1), (-1.0, True)]},
        {"predictions": [(-1.0, True)] * 3},
        {"predictions": [None, True]},
        {"predictions": [(math.nan, True)] * 4},
        {"metrics": "[1]"},
        {"example": "", "full_prompt": ""},
        {"predictions": "__import__('os').getcwd()"},
    ],
)
def test_a_bad_cell_is_told_with_its_row(tmp_path: Path, change: Row) -> None:
    rows = [TASKS[QUIZ][0], {**TASKS[QUIZ][1], **change}]
    put(tmp_path, tasks={QUIZ: rows})
    if change.get("predictions") == "__import__('os').getcwd()":
        got = read(tmp_path)  # only text, and no choice
        assert answers(got, QUIZ)["output"].to_list() == [None, "__import__('os').getcwd()"]
        return
    with pytest.raises(ValueProblem, match="row 2") as e:
        read(tmp_path, strict=True)
    assert "arc:challenge" in str(e.value)
    assert "mend" in str(e.value)
    got = read(tmp_path, skip_bad=True)
    assert answers(got, QUIZ).height == 1
    assert "bad_rows" in codes(got)


def test_truncated_files(tmp_path: Path) -> None:
    put(tmp_path)
    path = next(tmp_path.rglob("details_*gsm8k*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(FileProblem, match="gsm8k"):
        read(tmp_path, strict=True)
    path.write_bytes(whole)
    said = next(tmp_path.rglob("results_*.json"))
    said.write_bytes(said.read_bytes()[:-30])
    with pytest.raises(FileProblem, match="cut short"):
        read(tmp_path, strict=True)
    assert {"bad_results", "no_results"} <= codes(read(tmp_path, skip_bad=True))
    got = read(tmp_path)
    assert {"file_left_out", "no_results"} <= codes(got)
    assert answers(got, QUIZ).height == 2


def test_details_without_anything_to_score(tmp_path: Path) -> None:
    put(tmp_path, tasks={QUIZ: [old("q", [], {})], MATH: TASKS[MATH]})
    with pytest.raises(FileProblem, match="neither an answer nor a score"):
        read(tmp_path, strict=True)
    assert "bad_file" in codes(read(tmp_path, skip_bad=True))


def test_other_tables_are_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"item": ["a"], "predictions": ["b"], "choices": ["c"]}).write_parquet(path)
    assert not is_log(Source(path, str(path), "parquet"))
    path = tmp_path / "results_x.json"
    path.write_text('{"results": {}, "configs": {}}')
    assert not is_log(Source(path, str(path), "json"))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the genuine logs are not there: {SHARED}")
def test_genuine_files_of_other_tools_are_none_of_ours() -> None:
    claims_none(is_log, SHARED)


FEW = few(25)


@FEW
@given(st.sampled_from(sorted(TASKS[QUIZ][0])), JSONS, st.sampled_from(sorted(TASKS)))
def test_any_value_in_a_cell_is_read_or_refused(key: str, value: Any, task: str) -> None:
    rows = [{**row, key: value} for row in TASKS[task]]
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), tasks={task: rows})
        with contextlib.suppress(UnmirageError):
            assert read(name).samples["item"].null_count() == 0


@FEW
@given(st.sampled_from(["doc", "model_response", "metric"]), JSONS, st.data())
def test_any_value_in_a_nested_cell_is_read_or_refused(
    column: str, value: Any, data: st.DataObject
) -> None:
    rows = new(TASKS[QUIZ], QUIZ)
    key = data.draw(st.sampled_from(sorted(rows[0][column])))
    for row in rows:
        row[column] = {**row[column], key: value}
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), tasks={})
        path = Path(name) / "details/org/tiny-70m" / DATE / f"details_{QUIZ}_{DATE}.parquet"
        try:
            pl.DataFrame(rows).write_parquet(path)
        except Exception:  # Parquet cannot hold it
            return
        with contextlib.suppress(UnmirageError):
            read(name)


@FEW
@given(st.sampled_from(sorted(results("x"))), JSONS, st.booleans())
def test_any_value_in_the_results_is_read_or_refused(part: str, value: Any, deep: bool) -> None:
    said = results("org/tiny-70m")
    said[part] = dict.fromkeys(said[part], value) if deep else value
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), said=said)
        with contextlib.suppress(UnmirageError):
            read(name)


@FEW
@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from(["details", "results"]))
def test_flipped_bytes_are_read_or_refused(at: int, mask: int, which: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), tasks={QUIZ: TASKS[QUIZ]})
        path = next(Path(name).rglob(f"{which}_*"))
        raw = bytearray(path.read_bytes())
        raw[at % len(raw)] ^= mask
        path.write_bytes(bytes(raw))
        for skip in (False, True):
            with contextlib.suppress(UnmirageError):
                read(name, skip_bad=skip)


# ---------------------------------------------------------------- audits


def ladder(root: Path, items: int = 40) -> Path:
    """Six models; what they know grows smoothly with the logarithm of their size."""
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        share = (rung + 1) / 8
        tasks: dict[str, list[Row]] = {QUIZ: [], MATH: []}
        for i in range(items):
            hard = ((i * 37) % items + 0.5) / items
            logs = [-3.0, -3.5, -4.0, -4.5]
            top = max(v for j, v in enumerate(logs) if j != i % 4)
            logs[i % 4] = top + 4 * (share - hard) - 0.01
            tasks[QUIZ].append(quiz(i, logs, i % 4, float(logs[i % 4] == max(logs))))
            right = hard < share
            tasks[MATH].append(math_(i, f"{i if right else i + 1}", f"{i}", float(right)))
        said = results(f"org/tiny-{size}m")
        del said["results"]["lighteval|bleurt|0"]
        put(root, f"org/tiny-{size}m", tasks, SCHEMAS[rung % 3], said=said)
    return root


def test_a_folder_of_six_models_in_three_schemas_is_audited(tmp_path: Path) -> None:
    audit = unmirage.audit(unmirage.read(ladder(tmp_path)), draws=100)
    found = {(j.key.task, j.key.metric): j for j in audit.judgements}
    exact = found["lighteval|gsm8k", "exact_match"].curve
    assert exact.count.tolist() == [40.0] * 6
    assert exact.score.tolist() == [(40 * (r + 1) / 8) / 40 for r in range(6)]
    assert {("leaderboard|arc:challenge", m) for m in ("accuracy", "margin")} <= found.keys()
