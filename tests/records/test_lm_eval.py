"""Logs of lm-evaluation-harness 0.4, written here in the genuine schema, and the genuine ones."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from unmirage import metrics
from unmirage.errors import ColumnError, FileProblem, UnmirageError, ValueProblem
from unmirage.records import read, read_store, write_store
from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.lm_eval.results import leaves, run_of, task_facts
from unmirage.records.formats.lm_eval.rows import item_of
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "lm_eval_v04"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine logs are not there: {REAL}")
DATE = "2026-01-21T03-44-18.458309"
LATER = "2026-02-01T00-00-00.000000"
Row = dict[str, Any]

# ---------------------------------------------------------------- logs as the harness writes them


def line(doc: int, filter_: str, target: Any, requests: list[tuple[Any, ...]], **more: Any) -> Row:
    """One line: ``requests`` are (arguments..., response)."""
    arguments = {
        f"gen_args_{i}": {f"arg_{j}": a for j, a in enumerate(r[:-1])}
        for i, r in enumerate(requests)
    }
    return {
        "doc_id": doc,
        "doc": {"question": f"q{doc}"},
        "target": str(target),
        "arguments": arguments,
        "resps": [[r[-1]] for r in requests],
        "filtered_resps": [r[-1] for r in requests],
        "filter": filter_,
        "metrics": list(more),
        "doc_hash": f"hash{doc}",
        "prompt_hash": "p",
        "target_hash": "t",
        **more,
    }


def generated(doc: int, filter_: str, target: Any, output: str, score: Any) -> Row:
    asked = (f"Q{doc}\nA:", {"until": ["\n"], "do_sample": False}, output)
    return line(doc, filter_, target, [asked], exact_match=score)


def chosen(doc: int, target: Any, logs: list[float], acc: float, choices: str = "abcd") -> Row:
    asked = [
        (f"Q{doc}\nA:", f" {c}", [str(v), "False"]) for c, v in zip(choices, logs, strict=False)
    ]
    return line(doc, "none", target, asked, acc=acc, acc_norm=acc)


def likely(doc: int, target: str, log: Any, greedy: bool) -> Row:
    asked = (f"Q{doc}", target, [str(log), str(greedy)])
    return line(doc, "none", target, [asked], perplexity=log, acc=int(greedy))


KINDS = {"math": "generate_until", "quiz": "multiple_choice", "cloze": "loglikelihood"}


def results(model: str, params: Any = 70_000_000, **more: Any) -> Row:
    """The results of the three tasks, and of two without samples."""
    listed = {
        "math": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "quiz": [{"metric": "acc", "aggregation": "mean"}, {"metric": "acc_norm"}],
        "cloze": [{"metric": "perplexity", "aggregation": "perplexity"}, {"metric": "acc"}],
    }
    return {
        "results": {
            "math": {"alias": "math", "exact_match,strict": 0.5, "exact_match_stderr,strict": 0.1},
            "quiz": {"alias": "quiz", "acc,none": 0.5, "acc_stderr,none": 0.1},
            "cloze": {"alias": "cloze", "perplexity,none": 3.0, "acc,none": 0.5},
            "wiki": {
                "alias": "wiki",
                "word_perplexity,none": 21.5,
                "word_perplexity_stderr,none": "N/A",
            },
            "group": {
                "alias": "group",
                "acc,none": "0.25",
                "acc_stderr,none": 0.02,
                "sample_len": 9,
            },
        },
        "group_subtasks": {"group": ["quiz", "cloze"], "math": [], "wiki": []},
        "configs": {
            t: {"task": t, "output_type": k, "metric_list": listed[t], "target_delimiter": " "}
            for t, k in KINDS.items()
        },
        "versions": {"math": 2.0, "quiz": 1, "cloze": 1, "wiki": 2},
        "n-shot": {"math": 5, "quiz": 0, "cloze": 0, "wiki": 0},
        "higher_is_better": {
            "math": {"exact_match": True},
            "quiz": {"acc": True, "acc_norm": True},
            "cloze": {"perplexity": False, "acc": True},
            "wiki": {"word_perplexity": False},
            "group": {"acc": True},
        },
        "n-samples": {t: {"original": 99, "effective": 2} for t in KINDS},
        "config": {
            "model": "hf",
            "model_args": f"pretrained={model},dtype=float32",
            "model_num_parameters": params,
            "model_revision": "main",
        },
        "model_name": model,
        **more,
    }


TASKS: dict[str, list[Row]] = {
    "math": [
        generated(0, "strict", "18", " 18", 1.0),
        generated(1, "strict", "7", "[invalid]", 0.0),
        generated(0, "flexible", "18", "18", 1.0),
        generated(1, "flexible", "7", "7", 1.0),
    ],
    "quiz": [
        chosen(0, 2, [-1.5, -2.0, -0.5, -3.0], 1.0),
        chosen(1, 0, [-1.5, -2.0, -0.5, -3.0], 0.0),
    ],
    "cloze": [likely(0, " word", -0.25, True), likely(1, " other", -4.5, False)],
}


def put(
    root: Path,
    model: str = "org/pythia-70m",
    tasks: Mapping[str, list[Row]] = TASKS,
    said: Row | None = None,
    date: str = DATE,
) -> Path:
    """The folder of one run."""
    folder = root / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    said = results(model) if said is None else said
    (folder / f"results_{date}.json").write_text(json.dumps(said, indent=2))
    for task, rows in tasks.items():
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        (folder / f"samples_{task}_{date}.jsonl").write_text(text, encoding="utf-8")
    return folder


def answers(records: Records, task: str) -> pl.DataFrame:
    """The rows that hold what the model answered."""
    found = records.samples.filter(pl.col("task") == task)
    return found.filter(pl.col("metric").is_null() | (pl.col("metric") == "log_likelihood"))


def reported(records: Records, task: str) -> list[tuple[Any, ...]]:
    found = records.samples.filter(pl.col("task") == task, pl.col("metric").is_not_null())
    found = found.filter(pl.col("metric") != "log_likelihood")
    return found.select("filter", "item", "metric", "score", "higher_is_better").rows()


def codes(records: Records) -> set[str]:
    return {n.code for n in records.notes}


# ---------------------------------------------------------------- what comes out


def test_generated_text_has_one_row_an_item_and_filter(tmp_path: Path) -> None:
    put(tmp_path)
    got = read(tmp_path)
    rows = answers(got, "math")
    columns = ["filter", "item", "output", "targets", "shots", "prompt"]
    assert rows.select(columns).rows() == [
        ("strict", "hash0", " 18", ["18"], 5, "Q0\nA:"),
        ("strict", "hash1", "[invalid]", ["7"], 5, "Q1\nA:"),
        ("flexible", "hash0", "18", ["18"], 5, "Q0\nA:"),
        ("flexible", "hash1", "7", ["7"], 5, "Q1\nA:"),
    ]
    assert reported(got, "math") == [
        ("strict", "hash0", "exact_match", 1.0, True),
        ("strict", "hash1", "exact_match", 0.0, True),
        ("flexible", "hash0", "exact_match", 1.0, True),
        ("flexible", "hash1", "exact_match", 1.0, True),
    ]
    assert rows["row"].to_list() == [1, 2, 3, 4]
    assert set(rows["task_version"]) == {"2.0"}
    math_rows = got.samples.filter(pl.col("task") == "math")
    assert math_rows.filter(pl.col("metric").is_not_null())["output"].null_count() == 4


def test_choices_keep_their_log_probabilities(tmp_path: Path) -> None:
    put(tmp_path)
    got = read(tmp_path)
    rows = answers(got, "quiz")
    assert rows["choices"].to_list() == [["a", "b", "c", "d"]] * 2
    assert rows["choice_logprobs"].to_list() == [[-1.5, -2.0, -0.5, -3.0]] * 2
    assert rows["target_index"].to_list() == [2, 0]
    assert metrics.score("accuracy", rows).tolist() == [1.0, 0.0]
    assert {(m, s) for _, _, m, s, _ in reported(got, "quiz")} >= {("acc", 1.0), ("acc_norm", 0.0)}
    assert rows["output"].null_count() == 2


def test_a_likelihood_is_reported_in_nats_and_no_perplexity(tmp_path: Path) -> None:
    put(tmp_path)
    got = read(tmp_path)
    rows = answers(got, "cloze")
    assert rows.select("metric", "score", "targets").rows() == [
        ("log_likelihood", -0.25, [" word"]),
        ("log_likelihood", -4.5, [" other"]),
    ]
    # the harness keeps a log-likelihood under "perplexity" for each item
    assert {m for _, _, m, _, _ in reported(got, "cloze")} == {"acc"}
    assert rows["token_logprobs"].null_count() == 2


def test_the_model_is_the_one_that_the_results_name(tmp_path: Path) -> None:
    put(tmp_path, "org/pythia-70m")
    put(tmp_path, "org/pythia-1b", said=results("org/pythia-1b", "1011781632"))
    got = read(tmp_path).samples
    assert sorted(got.select("model", "params").unique().rows()) == [
        ("org/pythia-1b", 1011781632.0),
        ("org/pythia-70m", 70e6),
    ]
    assert got.height == 2 * read(tmp_path / "org__pythia-70m").samples.height


def test_scores_without_samples_are_read_and_no_others(tmp_path: Path) -> None:
    put(tmp_path)
    got = read(tmp_path).aggregates
    columns = ["task", "metric", "filter", "score", "stderr", "n_samples", "higher_is_better"]
    assert got.select(columns).rows() == [
        ("wiki", "word_perplexity", "none", 21.5, None, None, False),
        ("group", "acc", "none", 0.25, 0.02, 4.0, True),
    ]
    only = put(tmp_path / "b", tasks={})
    assert set(read(only).aggregates["task"]) == {"math", "quiz", "cloze", "wiki", "group"}


def test_one_file_alone_finds_its_results(tmp_path: Path) -> None:
    folder = put(tmp_path)
    got = read(folder / f"samples_quiz_{DATE}.jsonl")
    assert set(got.samples["model"]) == {"org/pythia-70m"}
    assert got.aggregates.is_empty()
    named = [folder / f"samples_quiz_{DATE}.jsonl", folder / f"results_{DATE}.json"]
    assert set(read(named).aggregates["task"]) == {"math", "cloze", "wiki", "group"}


def test_other_tables_in_the_folder_are_read_as_ever(tmp_path: Path) -> None:
    put(tmp_path)
    table = pl.DataFrame({"model": ["x"], "params": [1e9], "task": ["t"], "score": [0.5]})
    table.write_csv(tmp_path / "scores.csv")
    (tmp_path / "config.json").write_text('{"results": 1, "configs": 2}')
    got = read(tmp_path)
    assert "t" in set(got.aggregates["task"])
    assert "files_not_read" in codes(got)


def test_a_store_gives_them_back(tmp_path: Path) -> None:
    put(tmp_path / "logs")
    got = read(tmp_path / "logs")
    write_store(got, tmp_path / "store")
    assert read_store(tmp_path / "store").samples.equals(got.samples)


def test_zipped_samples(tmp_path: Path) -> None:
    plain = read(put(tmp_path / "a")).samples.drop("file")
    folder = put(tmp_path / "b")
    for path in folder.glob("*.jsonl"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read(folder).samples.drop("file").equals(plain)


# ---------------------------------------------------------------- who the model is


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ("pretrained=a/b-70m,dtype=auto", "a/b-70m"),
        ({"pretrained": "a/b-70m", "dtype": "auto"}, "a/b-70m"),
        ("pretrained=a/b-70m,peft=me/adapter", "me/adapter"),
        ("model=gpt-x,base_url=http://h/v1", "gpt-x"),
        ("", "said/in-file"),
        (None, "said/in-file"),
    ],
)
def test_names_of_models(args: Any, name: str) -> None:
    content = {"config": {"model_args": args}, "model_name": "said/in-file"}
    assert run_of(content, "folder").model == name


def test_a_model_without_a_name_is_named_after_its_folder() -> None:
    assert run_of({}, "org__m-70m").model == "org/m-70m"


@pytest.mark.parametrize("params", [-1, None, "n/a", 0, math.nan, [1]])
def test_unknown_sizes_are_read_off_the_name(tmp_path: Path, params: Any) -> None:
    for name, size, code in (
        ("org/pythia-70m", 70426624.0, "params_known"),
        ("org/mine-70m", 70e6, "params_from_names"),
    ):
        put(tmp_path / size.hex(), name, said=results(name, params))
        got = read(tmp_path / size.hex())
        assert set(got.samples["params"]) == {size}
        assert set(got.aggregates["params"]) == {size}
        assert code in codes(got)


def test_no_size_at_all_tells_the_mend(tmp_path: Path) -> None:
    put(tmp_path, "org/mystery", said=results("org/mystery", -1))
    with pytest.raises(ColumnError, match=r"results_<date>\.json"):
        read(tmp_path)
    assert read(tmp_path, need_scale=False).samples.height
    put(tmp_path)
    got = read(tmp_path)
    assert set(got.samples["model"]) == {"org/pythia-70m"}
    assert "file_left_out" in codes(got)


def test_revisions_are_steps_or_other_models(tmp_path: Path) -> None:
    said = results("org/pythia-70m")
    for i, revision in enumerate(["step1000", "step143000", "v2"]):
        said["config"]["model_revision"] = revision
        put(tmp_path, tasks={"quiz": TASKS["quiz"]}, said=said, date=f"2026-01-0{i + 1}T00-00-00.0")
    got = read(tmp_path)
    assert sorted(got.samples.select("model", "step").unique().rows(), key=str) == [
        ("org/pythia-70m", 1000.0),
        ("org/pythia-70m", 143000.0),
        ("org/pythia-70m@v2", None),
    ]
    assert "older_run" not in codes(got)


def test_samples_without_results(tmp_path: Path) -> None:
    folder = put(tmp_path)
    whole = read(tmp_path)
    (folder / f"results_{DATE}.json").unlink()
    got = read(tmp_path)
    assert {"no_results", "params_known"} <= codes(got)
    assert set(got.samples["model"]) == {"org/pythia-70m"}
    assert set(got.samples["params"]) == {70426624}
    assert got.samples["shots"].null_count() == got.samples.height
    same = ["task", "filter", "item", "output", "targets", "choices", "choice_logprobs"]
    same += ["target_index", "metric", "score"]
    assert got.samples.select(same).equals(whole.samples.select(same))


# ---------------------------------------------------------------- several runs


def test_the_newest_run_is_kept(tmp_path: Path) -> None:
    put(tmp_path)
    newer = [chosen(0, 2, [-9.0, -8.0, -7.5, -7.0], 0.0)]
    put(tmp_path, tasks={"quiz": newer}, date=LATER)
    got = read(tmp_path)
    assert answers(got, "quiz")["choice_logprobs"].to_list() == [[-9.0, -8.0, -7.5, -7.0]]
    assert answers(got, "math").height == 4
    assert sorted(got.aggregates["task"]) == ["group", "wiki"]
    (note,) = [n for n in got.notes if n.code == "older_run" and "newest is kept" in n.message]
    assert note.file is not None
    assert DATE in note.file


def test_runs_of_other_shots_are_both_kept(tmp_path: Path) -> None:
    put(tmp_path, tasks={"quiz": TASKS["quiz"]})
    said = results("org/pythia-70m")
    said["n-shot"]["quiz"] = 5
    put(tmp_path, tasks={"quiz": TASKS["quiz"]}, said=said, date=LATER)
    assert sorted(answers(read(tmp_path), "quiz")["shots"]) == [0, 0, 5, 5]


def test_a_chat_template_is_another_setting(tmp_path: Path) -> None:
    put(tmp_path, tasks={"quiz": TASKS["quiz"]})
    said = results("org/pythia-70m", chat_template="{{ messages }}", chat_template_sha="ab")
    put(tmp_path, tasks={"quiz": TASKS["quiz"]}, said=said, date=LATER)
    got = answers(read(tmp_path), "quiz")
    assert sorted(got["format"].fill_null("")) == ["", "", "chat", "chat"]


# ---------------------------------------------------------------- traps of the format


def test_older_logs_without_a_filter(tmp_path: Path) -> None:
    rows = [{k: v for k, v in r.items() if k not in ("filter", "metrics")} for r in TASKS["math"]]
    said = results("org/pythia-70m")
    said["configs"]["math"]["filter_list"] = [{"name": "strict"}, {"name": "flexible"}]
    got = read(put(tmp_path / "a", tasks={"math": rows}, said=said))
    whole = read(put(tmp_path / "b", tasks={"math": TASKS["math"]}))
    assert got.samples.drop("file").equals(whole.samples.drop("file"))
    unnamed = read(put(tmp_path / "c", tasks={"math": rows}))
    assert set(unnamed.samples["filter"]) == {"filter 1", "filter 2"}


def test_two_documents_of_one_text_are_two_items(tmp_path: Path) -> None:
    rows = [dict(r, doc_hash="same") for r in TASKS["quiz"]]
    got = answers(read(put(tmp_path, tasks={"quiz": rows})), "quiz")
    assert got["item"].to_list() == ["same", "same#2"]


def test_a_line_written_twice_counts_once(tmp_path: Path) -> None:
    got = read(put(tmp_path, tasks={"quiz": TASKS["quiz"] * 2}))
    assert answers(got, "quiz")["item"].to_list() == ["hash0", "hash1"]
    assert "identical_rows" in codes(got)
    clash = [*TASKS["quiz"], chosen(0, 2, [-9.0, -1.0, -1.0, -1.0], 0.0)]
    with pytest.raises(ValueProblem, match="appears 2 times"):
        read(put(tmp_path, tasks={"quiz": clash}))


def test_targets_that_only_the_harness_can_compare(tmp_path: Path) -> None:
    """gsm8k: the target is the whole worked solution."""
    rows = [generated(i, "strict", f"Long way. #### {i}", f"{i}", float(i < 4)) for i in range(5)]
    got = read(put(tmp_path, tasks={"math": rows}))
    assert answers(got, "math")["targets"].null_count() == 5
    assert [s for _, _, _, s, _ in reported(got, "math")] == [1.0] * 4 + [0.0]
    assert "own_scoring" in codes(got)
    # case aside, most agree: both stay
    near = [generated(i, "strict", "a", "a" if i else "A", 1.0) for i in range(5)]
    got = read(put(tmp_path, tasks={"math": near}))
    assert answers(got, "math")["targets"].null_count() == 0
    (note,) = [n for n in got.notes if n.code == "scored_otherwise"]
    assert note.count == 1


def test_targets_go_for_one_filter_alone(tmp_path: Path) -> None:
    rows = [generated(i, "strict", f"so {i}", f"{i}", 1.0) for i in range(3)]
    rows += [generated(i, "all", f"so {i}", f"so {i}", 1.0) for i in range(3)]
    put(tmp_path, "org/m-70m", {"math": rows})
    put(tmp_path, "org/m-1b", {"math": rows[:1]}, results("org/m-1b", 1e9))
    got = answers(read(tmp_path), "math")
    by = got.group_by("filter").agg(pl.col("targets").is_null().sum(), pl.len().alias("n"))
    assert sorted(by.rows()) == [("all", 0, 3), ("strict", 4, 4)]


def test_truthfulqa_mc2_is_scored_by_the_harness_alone(tmp_path: Path) -> None:
    rows = [chosen(i, 0, [-1.0, -2.0, -3.0], 0.37) for i in range(4)]
    got = read(put(tmp_path, tasks={"quiz": rows}))
    assert answers(got, "quiz")["target_index"].null_count() == 4
    assert "own_scoring" in codes(got)


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        (1, {"target_index": 1}),
        ("1", {"target_index": 1}),
        ("b", {"target_index": 1}),
        ([1], {"target_index": 1}),
        ("[0, 2]", {"choice_credit": [1.0, 0.0, 1.0]}),
        ("-100", {}),
        ("3", {}),
        ("[0, 'x']", {}),
        ("__import__('os')", {}),
        ("[__import__('os').getcwd()]", {}),
        (None, {}),
        ("[" * 5000, {}),
    ],
)
def test_right_choices(target: Any, columns: Row) -> None:
    row = chosen(0, 0, [-1.0, -2.0, -3.0], 1.0) | {"target": target}
    found = item_of(row, task_facts(results("m"), "quiz")).fields
    right = {k: v for k, v in found.items() if k in ("target_index", "choice_credit")}
    assert right == columns


def test_choices_in_the_prompt() -> None:
    """winogrande: two prompts, one ending; the target is that ending."""
    asked = [("He", " ran.", ["-3.0", "False"]), ("She", " ran.", ["-2.0", "False"])]
    for acc, right in ((1.0, 1), (0.0, 0)):
        row = line(0, "none", "ran.", asked, acc=acc)
        found = item_of(row, task_facts(results("m"), "quiz")).fields
        assert found["target_index"] == right
        assert found["choices"] is None


def test_unconditional_requests_are_no_choices() -> None:
    asked = [("Q", f" {c}", [str(-i), "False"]) for i, c in enumerate("ab", 1)]
    asked += [("", f" {c}", ["-9.0", "False"]) for c in "ab"]
    row = line(0, "none", 1, asked, acc=0.0, acc_mutual_info=1.0)
    found = item_of(row, task_facts(results("m"), "quiz"))
    assert found.fields["choice_logprobs"] == [-1.0, -2.0]
    assert found.fields["choices"] == ["a", "b"]
    assert found.scores == {"acc": 0.0, "acc_mutual_info": 1.0}


@pytest.mark.parametrize(
    ("target", "targets"),
    [
        ("18", ["18"]),
        (18, ["18"]),
        (["a", "b"], ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("[1, 2]", ["[1, 2]"]),
        ("[not a list", ["[not a list"]),
        (" 18 ", [" 18 "]),
        ("", [""]),
    ],
)
def test_targets(target: Any, targets: list[str]) -> None:
    row = generated(0, "none", 0, "x", 0.0) | {"target": target}
    assert item_of(row, task_facts(results("m"), "math")).fields["targets"] == targets


def test_numbers_are_read_from_text_and_others_left_out() -> None:
    row = line(
        *(0, "none", "x", [("Q", {"until": []}, "x")]),
        exact_match="1.0",
        flag="True",
        bleu=["x", "y"],
        note="fine",
        broken=math.nan,
        big="inf",
    )
    found = item_of(row, task_facts({}, "t"))
    assert found.scores == {"exact_match": 1.0, "flag": 1.0}
    assert found.lost == 2


def test_scores_that_are_not_finite_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [generated(0, "none", "1", "1", math.nan), generated(1, "none", "1", "1", "NaN")]
    tasks = {"math": rows, "cloze": [likely(0, "x", "-inf", False), likely(1, "y", -2.0, False)]}
    said = results("org/pythia-70m")
    said["results"]["wiki"]["word_perplexity,none"] = math.inf
    got = read(put(tmp_path, tasks=tasks, said=said))
    assert reported(got, "math") == []
    assert answers(got, "math").height == 2
    assert answers(got, "cloze")["score"].to_list() == [-2.0]
    assert sorted(got.aggregates["task"]) == ["group", "quiz"]
    assert sum(n.count or 0 for n in got.notes if "not finite" in n.message) == 4


def test_only_the_first_of_several_answers_is_read(tmp_path: Path) -> None:
    row = generated(0, "none", "1", "1", 1.0) | {"filtered_resps": [["1", "2", "3"]]}
    got = read(put(tmp_path, tasks={"math": [row]}))
    assert answers(got, "math")["output"].to_list() == ["1"]
    (note,) = [n for n in got.notes if n.code == "further_answers"]
    assert note.count == 2


def test_responses_stand_in_where_no_filter_ran() -> None:
    row = chosen(0, 0, [-1.0, -2.0], 1.0) | {"filtered_resps": []}
    found = item_of(row, task_facts(results("m"), "quiz")).fields
    assert found["choice_logprobs"] == [-1.0, -2.0]
    with pytest.raises(BadCell):
        item_of(row | {"resps": []}, task_facts(results("m"), "quiz"))


def test_a_rolling_likelihood() -> None:
    row = line(0, "none", "text", [("text", "-40.5")], word_perplexity=[-40.5, 7])
    found = item_of(row, task_facts({}, "wiki"))
    assert found.fields["metric"] == "log_likelihood"
    assert found.fields["score"] == -40.5
    assert found.scores == {}


def test_groups_within_groups_even_in_a_circle() -> None:
    circle = {"group_subtasks": {"a": ["b", "c"], "b": ["a", "d"]}}
    assert leaves(circle, "a") == ["d", "c"]


def test_tasks_whose_names_no_file_can_bear(tmp_path: Path) -> None:
    said = json.loads(json.dumps(results("org/pythia-70m")).replace('"quiz"', '"leader/quiz"'))
    got = read(put(tmp_path, tasks={"leader_quiz": TASKS["quiz"]}, said=said))
    assert set(got.samples["task"]) == {"leader/quiz"}
    assert "leader/quiz" not in set(got.aggregates["task"])


# ---------------------------------------------------------------- bad input


def test_a_truncated_last_line(tmp_path: Path) -> None:
    folder = put(tmp_path)
    path = folder / f"samples_quiz_{DATE}.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileProblem, match="line 2") as e:
        read(tmp_path, strict=True)
    assert "skip_bad" in str(e.value)
    assert path.name in str(e.value)
    got = read(tmp_path, skip_bad=True)
    assert answers(got, "quiz")["item"].to_list() == ["hash0"]
    assert "bad_lines" in codes(got)


def test_truncated_results(tmp_path: Path) -> None:
    folder = put(tmp_path)
    path = folder / f"results_{DATE}.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileProblem, match="cut short") as e:
        read(tmp_path, strict=True)
    assert path.name in str(e.value)
    assert {"bad_results", "no_results"} <= codes(read(tmp_path, skip_bad=True))
    got = read(tmp_path)
    assert {"file_left_out", "no_results"} <= codes(got)
    assert set(got.samples["model"]) == {"org/pythia-70m"}  # by the folder


def broken(**change: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, **change}


@pytest.mark.parametrize(
    "change",
    [
        broken(filtered_resps=[["word", "False"]] * 4),
        broken(filtered_resps=None, resps=None),
        broken(filtered_resps="x", resps=3),
        broken(filtered_resps=[["0.5", "False"]] * 4),
        broken(doc_id=None, doc_hash=None),
        broken(doc_id=None, doc_hash=[1]),
    ],
)
def test_a_bad_cell_is_told_with_its_line(tmp_path: Path, change: Callable[[Row], Row]) -> None:
    rows = [TASKS["quiz"][0], change(TASKS["quiz"][1])]
    put(tmp_path, tasks={"quiz": rows})
    with pytest.raises(ValueProblem, match="line 2") as e:
        read(tmp_path, strict=True)
    assert f"samples_quiz_{DATE}.jsonl" in str(e.value)
    assert "mend" in str(e.value)
    assert answers(read(tmp_path, skip_bad=True), "quiz")["item"].to_list() == ["hash0"]


HOSTILE = ["__import__('os').system('x')", "{{7*7}}", "\x00\x1b[31m", "</script>", "=1+1", "[[[["]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(tmp_path: Path, text: str) -> None:
    rows = [generated(0, text, text, text, 1.0) | {"doc_hash": text}]
    said = results(text)
    said["config"]["model_num_parameters"] = 7e7
    folder = put(tmp_path, "x", tasks={"math": rows}, said=said)
    got = answers(read(folder), "math")
    assert got.select("model", "filter", "item", "output", "targets").rows() == [
        (text, text, text, text, [text])
    ]


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
    max_leaves=6,
)
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(st.sampled_from(sorted(TASKS["quiz"][0])), JSONS, st.sampled_from(sorted(TASKS)))
def test_any_value_in_a_line_is_read_or_refused(key: str, value: Any, task: str) -> None:
    rows = [r | ({key: value} if key in r else {}) for r in TASKS[task]]
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), tasks={task: rows})
        with contextlib.suppress(UnmirageError):
            assert read(name).samples["item"].null_count() == 0


PARTS = ["results", "configs", "versions", "n-shot", "higher_is_better", "n-samples"]
PARTS += ["group_subtasks", "config", "model_name", "chat_template"]


@FEW
@given(st.sampled_from(PARTS), JSONS, st.booleans())
def test_any_value_in_the_results_is_read_or_refused(part: str, value: Any, deep: bool) -> None:
    said = results("org/pythia-70m")
    if deep and isinstance(said.get(part), dict):
        said[part] = dict.fromkeys([*said[part], "math"], value)
    else:
        said[part] = value
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), said=said)
        with contextlib.suppress(UnmirageError):
            read(name)


# ---------------------------------------------------------------- properties


@st.composite
def rewritten(draw: st.DrawFn) -> tuple[list[Row], list[str], str]:
    """Lines, and the same lines with other white space, escapes and order of keys."""
    kind = draw(st.sampled_from(["math", "quiz", "cloze"]))
    words = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    logs = st.floats(-50, 0)
    rows = []
    for i in range(draw(st.integers(1, 5))):
        if kind == "math":
            rows.append(
                generated(i, "none", draw(words), draw(words), draw(st.sampled_from([0, 1])))
            )
        elif kind == "quiz":
            four = draw(st.lists(logs, min_size=4, max_size=4))
            rows.append(chosen(i, draw(st.integers(0, 3)), four, draw(st.floats(0, 1))))
        else:
            rows.append(likely(i, draw(words), draw(logs), draw(st.booleans())))
    again = []
    for row in rows:
        keys = draw(st.permutations(list(row)))
        space = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :  ")]))
        again.append(
            json.dumps(
                {k: row[k] for k in keys}, separators=space, ensure_ascii=draw(st.booleans())
            )
        )
    return rows, again, kind


@settings(parent=FEW, max_examples=40)
@given(rewritten(), st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_rewriting_the_same_content_gives_the_same_records(
    case: tuple[list[Row], list[str], str], sort: bool, end: str
) -> None:
    rows, again, kind = case
    with tempfile.TemporaryDirectory() as name:
        folder = put(Path(name), tasks={kind: rows})
        first = read(folder)
        said = results("org/pythia-70m")
        (folder / f"results_{DATE}.json").write_text(json.dumps(said, sort_keys=sort))
        raw = end.join(again) + end
        (folder / f"samples_{kind}_{DATE}.jsonl").write_bytes(raw.encode())
        second = read(folder)
    assert second.samples.drop("row").equals(first.samples.drop("row"))
    columns = ["task", "metric", "score"]
    assert sorted(second.aggregates.select(columns).rows()) == sorted(
        first.aggregates.select(columns).rows()
    )
    assert [(n.code, n.count) for n in second.notes] == [(n.code, n.count) for n in first.notes]


# ---------------------------------------------------------------- audits


def ladder(root: Path, items: int = 60) -> Path:
    """Six models; what they know grows smoothly with the logarithm of their size."""
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        model, share = f"org/pythia-{size}m", (rung + 1) / 8
        tasks: dict[str, list[Row]] = {t: [] for t in TASKS}
        for i in range(items):
            hard = ((i * 37) % items + 0.5) / items
            right = hard < share
            for kept in ("strict", "flexible"):
                fine = right if kept == "strict" else hard < share + 0.1
                text = f"{i + 100}" if fine else f"{i + 101}"
                tasks["math"].append(generated(i, kept, i + 100, text, float(fine)))
            gap = 4 * (share - hard)
            logs = [-3.0, -3.5, -4.0, -4.5]
            logs[i % 4] = max(logs[j] for j in range(4) if j != i % 4) + gap - 0.01
            tasks["quiz"].append(chosen(i, i % 4, logs, float(logs[i % 4] == max(logs))))
            tasks["cloze"].append(likely(i, " w", -4 * (1 - share) - hard, right))
        put(root, model, tasks, results(model, size * 1_000_000))
    return root


def test_a_folder_of_six_models_is_audited_as_it_is(tmp_path: Path) -> None:
    audit = unmirage.audit(unmirage.read(ladder(tmp_path)), draws=100)
    found = {
        (j.key.task, j.key.metric, dict(j.key.settings).get("filter")): j for j in audit.judgements
    }
    assert {
        ("math", "exact_match", "strict"),
        ("math", "exact_match", "flexible"),
        ("quiz", "accuracy", "none"),
        ("quiz", "margin", "none"),
        ("cloze", "log_likelihood", "none"),
        ("wiki", "word_perplexity", "none"),
        ("group", "acc", "none"),
    } <= found.keys()
    exact = found["math", "exact_match", "strict"].curve
    assert exact.count.tolist() == [60.0] * 6
    assert exact.models[0] == "org/pythia-70m"
    assert exact.score.tolist() == pytest.approx(
        [round(60 * (r + 1) / 8 - 0.01) / 60 for r in range(6)], abs=0.02
    )
    assert exact.items is not None
    assert exact.items.total == 60
    likelihood = found["cloze", "log_likelihood", "none"].curve
    assert likelihood.score.tolist() == pytest.approx(
        [-4 * (1 - (r + 1) / 8) - 0.5 for r in range(6)]
    )


# ---------------------------------------------------------------- genuine files


@real
def test_the_genuine_logs() -> None:
    got = read(REAL)
    said = json.loads(next(REAL.glob("results_*.json")).read_text())
    rows = answers(got, "math_perturbed_full")
    lines = next(REAL.glob("samples_*.jsonl")).read_text().splitlines()
    first = json.loads(lines[0])
    assert rows.height == len(lines)
    assert rows["item"][0] == first["doc_hash"]
    assert rows["output"][0] == first["filtered_resps"][0]
    assert rows["prompt"][0] == first["arguments"]["gen_args_0"]["arg_0"]
    assert rows["targets"].to_list() == [[json.loads(x)["target"]] for x in lines]
    assert set(rows["params"]) == {float(said["config"]["model_num_parameters"])}
    assert set(rows["model"]) == {said["model_name"]}
    assert set(rows["shots"]) == {0}
    assert [s for _, _, _, s, _ in reported(got, "math_perturbed_full")] == [0.0] * len(lines)
    assert got.aggregates.select("task", "metric", "score", "n_samples").rows() == [
        ("math_rephrased_full", "exact_match", 0.0004, 5000.0)
    ]
    assert not got.notes


@real
def test_genuine_results_of_older_versions_are_no_logs_of_this_one() -> None:
    from unmirage.records.formats.lm_eval import is_log
    from unmirage.records.sniff import Source

    for path in (REAL.parent / "lm_eval_v0").glob("*.json"):
        assert not is_log(Source(path, str(path), "json"))
