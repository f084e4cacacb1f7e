"""Run folders of HELM: genuine ones, and ones written here in the public schema of its files.

No genuine run asks one request for each option, has perturbations, several trials or
log-probabilities that are not 0: these are written here.
"""

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
from unmirage import metrics
from unmirage.errors import FileProblem, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.helm import is_log
from unmirage.records.formats.helm.files import Run
from unmirage.records.sniff import Source
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "helm"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine runs are not there: {REAL}")
QA = REAL / "narrative_qa-model=openai_gpt2"
JOINT = REAL / (
    "commonsense-dataset=hellaswag,method=multiple_choice_joint,model=eleutherai_pythia-1b-v0"
)
Row = dict[str, Any]
MODEL = "eleutherai/pythia-70m"

# ---------------------------------------------------------------- runs in the public schema


def instance(item: str, answers: list[str], right: list[int], **more: Any) -> Row:
    listed = [
        {"output": {"text": t}, "tags": ["correct"] if i in right else []}
        for i, t in enumerate(answers)
    ]
    asked = {"text": f"question {item}"}
    return {"input": asked, "references": listed, "split": "test", "id": item, **more}


def state(of: Row, text: str, tokens: list[tuple[str, float]], **more: Any) -> Row:
    said = [{"text": t, "logprob": v} for t, v in tokens]
    return {
        "instance": of,
        "train_trial_index": 0,
        "request": {"prompt": f"Q: {of['id']}\nA:", "temperature": 0.0},
        "result": {"success": True, "completions": [{"text": text, "tokens": said}]},
        "num_train_instances": 2,
        "num_conditioning_tokens": 0,
        **more,
    }


def option(of: Row, place: int, tokens: list[tuple[str, float]], **more: Any) -> Row:
    prompt = [("Q", 0.0), (":", -3.0)]
    return state(of, "Q: ...", prompt + tokens, reference_index=place, **more)


def stat(metric: str, mean: Any, **name: Any) -> Row:
    facts = {"count": 1, "sum": mean, "sum_squared": mean, "mean": mean}
    return {"name": {"name": metric, "split": "test", **name}, **facts}


def scores(item: str, trial: int = 0, perturbation: Row | None = None, **given: Any) -> Row:
    named = {"perturbation": perturbation} if perturbation else {}
    listed = [stat(m, v, **named) for m, v in given.items()]
    listed += [stat("num_references", 4, **named), stat("max_prob", 0.5, **named)]
    return {"instance_id": item, "train_trial_index": trial, "stats": listed, **named}


def put(
    root: Path,
    states: list[Row] | None,
    per_instance: list[Row] | None = None,
    stats: list[Row] | None = None,
    *,
    method: str = "generation",
    model: str = MODEL,
    name: str = "quiz:subject=x,method={},model={},max_train_instances=2",
) -> Path:
    """The folder of one run."""
    adapter = {"method": method, "model": model, "max_train_instances": 2}
    called = name.format(method, model.replace("/", "_"))
    folder = root / called.replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "run_spec.json": {"name": called, "scenario_spec": {}, "adapter_spec": adapter},
        "scenario.json": {"name": "quiz", "description": "d", "definition_path": "p"},
    }
    if states is not None:
        files["scenario_state.json"] = {"adapter_spec": adapter, "request_states": states}
    if per_instance is not None:
        files["per_instance_stats.json"] = per_instance
    if stats is not None:
        files["stats.json"] = stats
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))
    return folder


A = instance("id1", ["yes", "no"], [0])
B = instance("id2", ["up", "down", "Up"], [0, 2])
TWO = [state(A, " yes", [(" yes", -0.5)]), state(B, "left", [("left", -1.0)])]
SCORED = [scores("id1", exact_match=1.0, rouge_l=1.0), scores("id2", exact_match=0.0, rouge_l=0.25)]


def answers(records: Records) -> pl.DataFrame:
    return records.samples.filter(pl.col("metric").is_null())


def scored(records: Records, *columns: str) -> list[tuple[Any, ...]]:
    found = records.samples.filter(pl.col("metric").is_not_null())
    return found.select("item", "metric", "score", *columns).rows()


def codes(records: Records) -> dict[str, int | None]:
    return {n.code: n.count for n in records.notes}


# ---------------------------------------------------------------- what comes out


def test_generated_text(tmp_path: Path) -> None:
    means = [stat("exact_match", 0.5), stat("rouge_l", 0.625)]
    got = read(put(tmp_path, TWO, SCORED, means))
    columns = ["model", "params", "task", "format", "shots", "split", "item", "output", "targets"]
    same = (MODEL, 7e7, "quiz:subject=x", "generation", 2, "test")
    assert answers(got).select(columns).rows() == [
        (*same, "id1", " yes", ["yes"]),
        (*same, "id2", "left", ["up", "Up"]),
    ]
    assert answers(got)["prompt"][0] == "Q: id1\nA:"
    assert scored(got, "split") == [
        ("id1", "exact_match", 1.0, "test"),
        ("id1", "rouge_l", 1.0, "test"),
        ("id2", "exact_match", 0.0, "test"),
        ("id2", "rouge_l", 0.25, "test"),
    ]
    assert metrics.score("exact_match", answers(got)).tolist() == [1.0, 0.0]
    # log-probabilities of what the model wrote are none of the targets
    assert got.samples["token_logprobs"].null_count() == got.samples.height
    assert set(codes(got)) == {"params_from_names"}


def test_options_under_letters(tmp_path: Path) -> None:
    letters = {"A": "yes", "B": "no"}
    tops = [{" A": -0.1, " B": -2.5}, {" A": -0.1, "?": -9.0}]
    rows = []
    for item, top in zip(("id1", "id2"), tops, strict=True):
        row = state(
            instance(item, ["yes", "no"], [1]), " B", [(" B", -0.2)], output_mapping=letters
        )
        row["result"]["completions"][0]["tokens"][0]["top_logprobs"] = top
        rows.append(row)
    got = answers(read(put(tmp_path, rows, method="multiple_choice_joint")))
    assert got["output"].to_list() == [" B", " B"]
    assert got["targets"].to_list() == [["B"], ["B"]]
    assert got["choices"].to_list() == [["yes", "no"]] * 2
    assert got["target_index"].to_list() == [1, 1]
    # only where each letter is among the most likely tokens
    assert got["choice_logprobs"].to_list() == [[-0.1, -2.5], None]


def separate(**more: Any) -> list[Row]:
    def rows(of: Row, ends: list[list[tuple[str, float]]]) -> list[Row]:
        return [option(of, i, end, **more) for i, end in enumerate(ends)]

    one = instance("id1", ["a dog", "cat"], [0])
    two = instance("id2", ["a dog", "cat"], [1])
    first = rows(one, [[(" a", -1.0), (" dog", -0.5)], [(" cat", -2.0)]])
    return first + rows(two, [[(" a", -1.0), (" dog", -0.25)], [(" ca", -1.0), ("t", -2.0)]])


def test_one_request_for_each_option_is_one_row(tmp_path: Path) -> None:
    states = separate(request_mode="original")
    states += [option(instance("id1", ["a dog", "cat"], [0]), 0, [], request_mode="calibration")]
    stated = [scores("id1", exact_match=1.0), scores("id2", exact_match=0.0)]
    got = read(put(tmp_path, states, stated, method="multiple_choice_separate_original"))
    rows = answers(got)
    assert rows["item"].to_list() == ["id1", "id2"]
    assert rows["choice_logprobs"].to_list() == [[-1.5, -2.0], [-1.25, -3.0]]
    assert rows["choices"].to_list() == [["a dog", "cat"]] * 2
    assert rows["target_index"].to_list() == [0, 1]
    assert rows["token_logprobs"].to_list() == [[-1.0, -0.5], [-1.0, -2.0]]
    assert rows["target_bytes"].to_list() == [5, 3]
    assert metrics.score("accuracy", rows).tolist() == [1.0, 0.0]
    share = math.exp(-1.5) / (math.exp(-1.5) + math.exp(-2.0))
    assert metrics.score("brier", rows)[0] == pytest.approx(2 * (1 - share) ** 2)
    assert scored(got) == [("id1", "exact_match", 1.0), ("id2", "exact_match", 0.0)]


def test_options_whose_tokens_do_not_end_the_request_are_counted(tmp_path: Path) -> None:
    states = separate()
    states[0]["result"]["completions"][0]["tokens"][-1]["text"] = " cow"
    states[3]["result"]["completions"][0]["tokens"][-1]["logprob"] = None
    stated = [scores("id1", exact_match=1.0), scores("id2", exact_match=0.0)]
    got = read(put(tmp_path, states, stated, method="multiple_choice_separate_original"))
    assert answers(got).is_empty()
    assert len(scored(got)) == 2
    assert codes(got)["no_answer"] == 2


def test_an_option_that_is_missing_or_asked_twice(tmp_path: Path) -> None:
    method = "multiple_choice_separate_original"
    got = read(put(tmp_path / "a", separate()[1:], method=method))
    assert answers(got)["item"].to_list() == ["id2"]
    twice = put(tmp_path / "b", [*separate(), separate()[0]], method=method)
    with pytest.raises(ValueProblem, match="asked twice"):
        read(twice)
    assert answers(read(twice, skip_bad=True))["item"].to_list() == ["id2"]


def test_perturbed_instances_are_kept_apart(tmp_path: Path) -> None:
    typos = {"name": "typos", "robustness": True, "fairness": False, "prob": 0.1}
    changed = instance("id1", ["yes", "no"], [0], perturbation=typos)
    same = instance("id2", ["up"], [0], perturbation={"name": "identity"})
    states = [TWO[0], state(changed, "no", [("no", -1.0)]), state(same, "up", [("up", -1.0)])]
    stated = [scores("id1", exact_match=1.0), scores("id1", perturbation=typos, exact_match=0.0)]
    means = [stat("exact_match", 1.0)]
    means += [stat("exact_match", 0.0, perturbation=typos | {"computed_on": "worst"})]
    got = read(put(tmp_path, states, stated, means))
    assert answers(got).select("item", "variant", "output").rows() == [
        ("id1", None, " yes"),
        ("id1", "typos(prob=0.1)", "no"),
        ("id2", None, "up"),
    ]
    assert scored(got, "variant") == [
        ("id1", "exact_match", 1.0, None),
        ("id1", "exact_match", 0.0, "typos(prob=0.1)"),
    ]
    assert "stated_otherwise" not in codes(got)


def test_trials_are_repeats(tmp_path: Path) -> None:
    states = [{**row, "train_trial_index": t} for t in (0, 1) for row in TWO]
    stated = [scores("id1", t, exact_match=1.0 - t) for t in (0, 1)]
    got = read(put(tmp_path, states, stated, [stat("exact_match", 0.5)]))
    assert answers(got).select("item", "repeat").rows() == [
        ("id1", 1),
        ("id2", 1),
        ("id1", 2),
        ("id2", 2),
    ]
    assert scored(got, "repeat") == [("id1", "exact_match", 1.0, 1), ("id1", "exact_match", 0.0, 2)]
    assert "stated_otherwise" not in codes(got)


def test_splits_are_kept_apart(tmp_path: Path) -> None:
    valid = instance("id2", ["up"], [0], split="valid", sub_split="easy")
    got = read(put(tmp_path, [TWO[0], state(valid, "up", [])], SCORED))
    assert answers(got).select("split", "subtask").rows() == [("test", None), ("valid", "easy")]
    assert set(got.samples.filter(pl.col("item") == "id2")["split"]) == {"valid"}


def test_texts_to_be_predicted(tmp_path: Path) -> None:
    of = instance("id1", [], [])
    windows = [
        state(of, "", [("a", 0.0), ("b", -1.0)], num_conditioning_tokens=1),
        state(of, "", [("b", -9.0), ("c", -2.0)], num_conditioning_tokens=1),
    ]
    stated = [scores("id1", logprob=-3.0, perplexity=2.0)]
    got = read(put(tmp_path, windows, stated, method="language_modeling"))
    assert answers(got)["token_logprobs"].to_list() == [[-1.0, -2.0]]
    assert scored(got) == [("id1", "logprob", -3.0), ("id1", "perplexity", 2.0)]


def test_log_probabilities_that_are_all_0_are_none(tmp_path: Path) -> None:
    states = separate()
    for row in states:
        for token in row["result"]["completions"][0]["tokens"]:
            token["logprob"] = 0.0
    got = read(put(tmp_path, states, SCORED, method="multiple_choice_separate_original"))
    assert got.samples["choice_logprobs"].null_count() == got.samples.height
    assert codes(got)["no_logprobs"] == 2


def test_the_best_of_several_answers(tmp_path: Path) -> None:
    stated = [scores("id1", **{"exact_match@5": 1.0, "exact_match": 1.0})]
    assert scored(read(put(tmp_path / "a", TWO, stated)), "higher_is_better") == [
        ("id1", "exact_match", 1.0, None)
    ]
    many = json.loads(json.dumps(TWO))
    many[0]["result"]["completions"] *= 5
    got = read(put(tmp_path / "b", many, stated))
    assert ("id1", "exact_match@5", 1.0, True) in scored(got, "higher_is_better")
    assert answers(got)["item"].to_list() == ["id1", "id2"]


def test_what_failed_or_is_not_scored_is_counted(tmp_path: Path) -> None:
    failed = state(B, "left", [])
    failed["result"] = {"success": False, "completions": [], "error": "too long"}
    stated = [SCORED[0], scores("id2", exact_match=math.nan, rouge_l=None)]
    got = read(put(tmp_path, [TWO[0], failed], stated))
    assert answers(got)["item"].to_list() == ["id1"]
    assert {s[0] for s in scored(got)} == {"id1"}
    assert codes(got)["no_answer"] == 1
    assert codes(got)["unscored"] == 2


def test_other_rules_of_exact_match_leave_the_targets_out(tmp_path: Path) -> None:
    stated = [scores("id1", exact_match=0.0), scores("id2", exact_match=1.0)]
    got = read(put(tmp_path, TWO, stated))
    assert answers(got)["targets"].null_count() == 2
    assert "own_scoring" in codes(got)


def test_what_the_run_states_is_compared(tmp_path: Path) -> None:
    short = [{**row, "num_train_instances": 0} for row in TWO]
    got = read(put(tmp_path, short, SCORED, [stat("exact_match", 0.75)]))
    assert codes(got)["stated_otherwise"] == 1
    assert codes(got)["fewer_shots"] == 2


# ---------------------------------------------------------------- parts of runs


def test_scores_without_requests(tmp_path: Path) -> None:
    got = read(put(tmp_path, None, SCORED, [stat("exact_match", 0.5)]))
    assert scored(got, "split")[0] == ("id1", "exact_match", 1.0, "test")
    assert answers(got).is_empty()
    assert got.aggregates.is_empty()
    assert set(got.samples["model"]) == {MODEL}


def test_scores_of_the_whole_run_where_there_is_nothing_else(tmp_path: Path) -> None:
    worst = {"name": "robustness", "computed_on": "worst"}
    means = [stat("exact_match", 0.25), stat("num_instances", 40), stat("batch_size", 1)]
    means += [stat("exact_match", 0.125, perturbation=worst), stat("math_equiv", 0.5)]
    got = read(put(tmp_path, None, None, means))
    columns = ["task", "split", "metric", "score", "n_samples", "stderr", "higher_is_better"]
    assert got.aggregates.select(columns).rows() == [
        ("quiz:subject=x", "test", "exact_match", 0.25, 40.0, None, None),
        ("quiz:subject=x", "test", "math_equiv", 0.5, 40.0, None, True),
    ]
    assert codes(got)["perturbed"] == 1


def test_one_file_stands_for_its_run(tmp_path: Path) -> None:
    folder = put(tmp_path, TWO, SCORED, [stat("exact_match", 0.5)])
    whole = read(folder).samples.drop("file")
    for name in ("scenario_state.json", "stats.json", "run_spec.json"):
        assert read(folder / name).samples.drop("file").equals(whole)
    assert read([folder / "stats.json", folder / "scenario_state.json"]).samples.height == 6


def test_copies_for_the_pages_are_not_read_again(tmp_path: Path) -> None:
    folder = put(tmp_path, TWO, SCORED)
    whole = read(folder).samples
    for name in ("instances.json", "display_predictions.json", "display_requests.json"):
        listed = [{"instance_id": "id1", "model": "x", "params": 1, "score": 0.5}]
        (folder / name).write_text(json.dumps(listed))
    assert read(folder).samples.equals(whole)


def test_one_run_in_two_suites_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "v1", TWO, SCORED[:1])
    put(tmp_path / "v2", TWO, SCORED)
    got = read(tmp_path)
    assert len(scored(got)) == 4
    assert codes(got)["older_run"] == 1


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("narrative_qa:model=openai_gpt2", "narrative_qa"),
        ("mmlu:subject=anatomy,method=multiple_choice_joint,model=a_b", "mmlu:subject=anatomy"),
        ("x:model=a_b,prompt=one, two,k=3", "x:prompt=one, two,k=3"),
        ("plain", "plain"),
    ],
)
def test_names_of_tasks(name: str, task: str) -> None:
    run = Run(Source(Path("f/x.json"), "x.json", "json"), name, {})
    assert run.task == task
    assert Run(run.source, "q:model=a_b-1b", {}).model == "a/b-1b"


def test_other_files_of_these_names_are_no_runs(tmp_path: Path) -> None:
    table = tmp_path / "stats.json"
    rows = [{"model": "m", "params": 1e9, "task": "t", "score": 0.5, "count": 9}]
    for name in ("stats.json", "instances.json", "scenario.json"):
        table = tmp_path / name
        table.write_text(json.dumps(rows))
        assert not is_log(Source(table, str(table), "json"))
    assert read(tmp_path / "stats.json").aggregates.height == 1


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", ["scenario_state.json", "per_instance_stats.json", "stats.json"])
def test_a_truncated_file_is_told(tmp_path: Path, name: str) -> None:
    folder = put(tmp_path, TWO, SCORED, [stat("exact_match", 0.5)])
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileProblem, match="cut short") as e:
        read(tmp_path)
    assert name in str(e.value)
    got = read(tmp_path, skip_bad=True)
    assert codes(got)["bad_log"] == 1
    assert got.samples.height in (2, 4, 6)


def test_a_bad_entry_is_told_with_its_place(tmp_path: Path) -> None:
    nameless = [TWO[0], {**TWO[1], "instance": {"id": None}}]
    folder = put(tmp_path / "a", nameless, SCORED)
    with pytest.raises(ValueProblem, match="request 2") as e:
        read(folder)
    assert "scenario_state.json" in str(e.value)
    assert "skip_bad" in str(e.value)
    got = read(folder, skip_bad=True)
    assert answers(got)["item"].to_list() == ["id1"]
    assert codes(got)["bad_rows"] == 1
    with pytest.raises(ValueProblem, match="entry 1"):
        read(put(tmp_path / "b", TWO, [{"instance_id": [], "stats": []}]))
    with pytest.raises(ValueProblem, match="asked 2 times"):
        read(put(tmp_path / "c", [*TWO, TWO[0]]))
    with pytest.raises(ValueProblem, match="appears 2 times"):
        read(put(tmp_path / "d", TWO, [SCORED[0], scores("id1", exact_match=0.0)]))


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
    max_leaves=6,
)
FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
METHODS = ["generation", "multiple_choice_joint", "multiple_choice_separate_original"]
METHODS += ["language_modeling", "ranking_binary"]


def only_our_errors(path: Path) -> None:
    for skip_bad in (False, True):
        with contextlib.suppress(UnmirageError):
            read(path, need_scale=False, skip_bad=skip_bad)


@FEW
@given(st.sampled_from([*TWO[0], "reference_index"]), JSONS, st.sampled_from(METHODS))
def test_any_value_in_a_request_is_read_or_refused(key: str, value: Any, method: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        states = [*separate(), {**TWO[0], key: value}]
        only_our_errors(put(Path(name), states, SCORED, method=method))


@FEW
@given(st.sampled_from([*A, "references", "tags"]), JSONS, st.sampled_from(METHODS))
def test_any_value_in_an_instance_is_read_or_refused(key: str, value: Any, method: str) -> None:
    of = {**A, key: value}
    if key == "tags":
        of = {**A, "references": [{"output": value, "tags": value}, value]}
    with tempfile.TemporaryDirectory() as name:
        states = [option(of, 0, [("yes", -1.0)]), option(of, 1, [("no", -1.0)]), *TWO]
        only_our_errors(put(Path(name), states, SCORED, method=method))


@FEW
@given(JSONS, JSONS, st.sampled_from(["per_instance_stats.json", "stats.json", "run_spec.json"]))
def test_any_value_in_the_other_files_is_read_or_refused(one: Any, other: Any, file: str) -> None:
    listed = [stat("exact_match", one), {"name": one, "mean": other}, other]
    contents: dict[str, Any] = {
        "per_instance_stats.json": [{"instance_id": "id1", "stats": listed}, {"stats": one}, other],
        "stats.json": [*listed, stat("num_instances", other)],
        "run_spec.json": {"name": one, "scenario_spec": 1, "adapter_spec": other},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = put(Path(name), TWO, SCORED, [stat("exact_match", 0.5)])
        (folder / file).write_text(json.dumps(contents[file]))
        only_our_errors(folder)


@real
@FEW
@given(
    st.integers(0, 10**6),
    st.integers(0, 255),
    st.booleans(),
    st.sampled_from(["scenario_state.json", "per_instance_stats.json", "stats.json"]),
)
def test_flipped_bytes_of_genuine_files(at: int, byte: int, cut: bool, file: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(QA, folder, copy_function=shutil.copyfile)
        folder.chmod(0o755)
        raw = bytearray((folder / file).read_bytes())
        raw[at % len(raw)] = byte
        (folder / file).write_bytes(bytes(raw[: at % len(raw)] if cut else raw))
        only_our_errors(folder)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path, TWO, SCORED)
    deep = "[" * 200_000 + "]" * 200_000
    (folder / "scenario_state.json").write_text('{"adapter_spec": ' + deep + "}")
    with pytest.raises(FileProblem, match="scenario_state"):
        read(folder)
    assert len(scored(read(folder, skip_bad=True))) == 4


# ---------------------------------------------------------------- genuine files


@real
def test_the_genuine_run_with_options_under_letters() -> None:
    got = read(JOINT)
    rows = answers(got)
    assert rows.height == 10
    assert set(rows["task"]) == {"commonsense:dataset=hellaswag"}
    assert set(rows["model"]) == {"eleutherai/pythia-1b-v0"}
    assert set(rows["params"]) == {1e9}
    assert set(rows["shots"]) == {5}
    assert set(rows["split"]) == {"valid"}
    assert rows["output"].to_list() == [f" {c}" for c in "BBBDDDBADB"]
    assert rows["targets"].to_list() == [[c] for c in "CDBDBAABBB"]
    assert rows["target_index"].to_list() == ["ABCD".index(c) for c in "CDBDBAABBB"]
    # the client that asked wrote 0 for every log-probability
    assert rows["choice_logprobs"].null_count() == 10
    right = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert [s for _, m, s in scored(got) if m == "exact_match"] == right
    assert metrics.score("exact_match", rows).tolist() == right
    assert {m for _, m, _ in scored(got)} == {
        *("exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match")
    }
    assert "stated_otherwise" not in codes(got)


@real
def test_the_genuine_run_with_generated_text() -> None:
    got = read(QA, need_scale=False)
    rows = answers(got)
    assert rows["item"].to_list() == ["id1413", "id1332", "id1123", "id1514", "id1340"]
    assert rows["split"].to_list() == ["test", "test", "valid", "test", "test"]
    raw = json.loads((QA / "scenario_state.json").read_text())["request_states"]
    texts = [r["result"]["completions"][0]["text"] for r in raw]
    assert rows["output"].to_list() == texts
    assert rows["targets"][3].to_list() == ["John Barton", "John Barton"]
    f1 = {i: s for i, m, s in scored(got) if m == "f1_score"}
    assert f1 == pytest.approx(
        {"id1413": 0, "id1332": 1 / 3, "id1123": 0, "id1514": 0, "id1340": 4 / 11}
    )
    # asked for five examples, the prompts hold one or none
    assert codes(got) == {"fewer_shots": 5}


# ---------------------------------------------------------------- audits


def test_a_folder_of_six_models_is_audited_as_it_is(tmp_path: Path) -> None:
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        states, stated = [], []
        for i in range(80):
            right = i < 10 * (rung + 1)
            of = instance(f"id{i}", ["yes", "no"], [0])
            gap = (10 * (rung + 1) - i - 0.5) / 20
            states += [option(of, 0, [(" yes", -5.0)]), option(of, 1, [(" no", -5.0 - gap)])]
            stated.append(scores(f"id{i}", exact_match=float(right)))
        model = f"eleutherai/pythia-{size}m"
        put(tmp_path, states, stated, model=model, method="multiple_choice_separate_original")
    audit = unmirage.audit(read(tmp_path), draws=100)
    found = {j.key.metric: j for j in audit.judgements}
    want = pytest.approx([(r + 1) / 8 for r in range(6)])
    assert found["accuracy"].curve.score.tolist() == want
    assert found["exact_match"].curve.score.tolist() == want
    assert found["brier"].curve.count.tolist() == [80.0] * 6
