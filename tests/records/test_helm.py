"""Run folders of HELM. Two genuine runs are read where they are there; the others are synthetic,
written from the published classes RunSpec, RequestState, PerInstanceStats and Stat (crfm-helm)."""

from __future__ import annotations

import contextlib
import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from unmirage.errors import FileProblem, InputError, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.helm import is_log
from unmirage.records.formats.helm.tokens import logprob_of
from unmirage.records.sniff import Source
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "helm"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine runs are not there: {REAL}")
Row = dict[str, Any]
OPTIONS = ("a red fox", "a hen", "an ox")


def spec(model: str, method: str, name: str = "quiz:subject=birds", shots: int = 2) -> Row:
    """RunSpec."""
    return {
        "name": f"{name},method={method},model={model.replace('/', '_')}",
        "scenario_spec": {"class_name": "made.up", "args": {}},
        "adapter_spec": {
            "method": method,
            "max_train_instances": shots,
            "model": model,
            "model_deployment": f"made/{model}",
        },
        "metric_specs": [],
    }


def instance(item: str, right: tuple[int, ...] = (1,), perturbation: Row | None = None) -> Row:
    refs = [
        {"output": {"text": t}, "tags": ["correct"] if i in right else []}
        for i, t in enumerate(OPTIONS)
    ]
    more = {"perturbation": perturbation} if perturbation else {}
    return {"input": {"text": "Which?"}, "references": refs, "split": "test", "id": item, **more}


def tokens(*pairs: tuple[str, float | None]) -> list[Row]:
    return [{"text": t, "logprob": v} for t, v in pairs]


def request(inst: Row, given_tokens: list[Row], **more: Any) -> Row:
    """RequestState."""
    text = "".join(t["text"] for t in given_tokens)
    logs = [t["logprob"] or 0.0 for t in given_tokens]
    return {
        "instance": inst,
        "train_trial_index": 0,
        "request": {"model": "made", "prompt": "Which? ", "echo_prompt": False},
        "result": {
            "success": True,
            "completions": [{"text": text, "logprob": sum(logs), "tokens": given_tokens}],
            "request_datetime": 1_700_000_000,
        },
        "num_train_instances": 2,
        "prompt_truncated": False,
        **more,
    }


def option(inst: Row, index: int, logs: float, mode: str = "original", trial: int = 0) -> Row:
    """One request of a separate multiple choice: the answer is echoed in two tokens or more."""
    words = OPTIONS[index].split(" ")
    head = tokens(("Which", None), ("?", -3.0), ("\n", -1.5), ("Answer:", -0.5))
    answer = tokens(*((f" {w}", logs / len(words)) for w in words))
    prompt = f"Which?\nAnswer: {OPTIONS[index]}"
    return request(
        inst,
        head + answer,
        reference_index=index,
        request_mode=mode,
        train_trial_index=trial,
        request={"prompt": prompt, "echo_prompt": True, "max_tokens": 0},
    )


def stat(name: str, mean: float, perturbation: Row | None = None, split: str = "test") -> Row:
    """Stat."""
    about: Row = {"name": name, "split": split}
    if perturbation:
        about["perturbation"] = perturbation
    return {"name": about, "count": 1, "sum": mean, "mean": mean}


def entry(item: str, perturbation: Row | None = None, trial: int = 0, **scores: float) -> Row:
    """PerInstanceStats."""
    stats = [stat(k, v, perturbation) for k, v in scores.items()]
    more = {"perturbation": perturbation} if perturbation else {}
    return {"instance_id": item, "train_trial_index": trial, "stats": stats, **more}


def written(
    folder: Path,
    about: Row | None,
    states: list[Row] | None = None,
    items: list[Row] | None = None,
    means: list[Row] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    adapter = {"adapter_spec": about["adapter_spec"]} if about else {}
    parts: Row = {
        "run_spec": about,
        "scenario_state": None if states is None else {**adapter, "request_states": states},
        "per_instance_stats": items,
        "stats": means,
    }
    for name, content in parts.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content, indent=1))
    return folder


def codes(records: Records) -> dict[str, int | None]:
    return {n.code: n.count for n in records.notes}


def answers(records: Records) -> pl.DataFrame:
    return records.samples.filter(pl.col("metric").is_null())


SEPARATE = "multiple_choice_separate_original"
CALIBRATED = "multiple_choice_separate_calibrated"
JOINT = "multiple_choice_joint"
LETTERS = dict(zip("ABC", OPTIONS, strict=True))
TYPOS = {"name": "typos", "robustness": True, "fairness": False, "prob": 0.1}


# ---------------------------------------------------------------- genuine runs


@real
def test_a_genuine_joint_multiple_choice():
    (folder,) = REAL.glob("commonsense*")
    found = read(folder)
    assert dict(found.formats) == {"HELM": 5}
    said = answers(found)
    assert said["model"].unique().to_list() == ["eleutherai/pythia-1b-v0"]
    assert said["task"].unique().to_list() == ["commonsense:dataset=hellaswag"]
    assert said["format"].unique().to_list() == ["multiple_choice_joint"]
    assert said["shots"].unique().to_list() == [5]
    assert said["split"].unique().to_list() == ["valid"]
    first = said.row(0, named=True)
    assert (first["item"], first["output"], first["targets"]) == ("id44874", " B", ["C"])
    assert first["target_index"] == 2
    assert len(first["choices"]) == 4
    assert said["choice_logprobs"].null_count() == 10
    assert codes(found)["zero_logprobs"] == 10
    raw = json.loads((folder / "per_instance_stats.json").read_text())
    wanted = {
        e["instance_id"]: s["mean"]
        for e in raw
        for s in e["stats"]
        if s["name"]["name"] == "quasi_exact_match"
    }
    theirs = found.samples.filter(pl.col("metric") == "quasi_exact_match")
    assert dict(theirs.select("item", "score").rows()) == wanted
    right = [o.strip() in t for o, t in said.select("output", "targets").rows()]
    assert sum(right) == 3  # exact_match of stats.json is 0.3
    # whatever is not about the answer is no score
    names = set(found.samples["metric"].drop_nulls())
    assert not names & {"num_bytes", "inference_runtime", "logprob", "max_prob", "perplexity"}
    assert found.aggregates.height == 0


@real
def test_a_genuine_generation_with_two_references():
    (folder,) = REAL.glob("narrative_qa*")
    found = read(folder)
    said = answers(found)
    assert said.height == 5
    assert said["task"].unique().to_list() == ["narrative_qa"]
    assert said["split"].value_counts(sort=True).height == 2
    raw = json.loads((folder / "scenario_state.json").read_text())["request_states"][0]
    first = said.filter(pl.col("item") == raw["instance"]["id"]).row(0, named=True)
    assert first["targets"] == [r["output"]["text"] for r in raw["instance"]["references"]]
    assert first["output"] == raw["result"]["completions"][0]["text"]
    assert codes(found)["fewer_shots"] == 5  # 5 were asked for, none fitted
    assert said["token_logprobs"].null_count() == 5  # those of the output are not of the target


@real
def test_only_the_means_of_a_genuine_run(tmp_path):
    (folder,) = REAL.glob("commonsense*")
    for name in ("run_spec.json", "stats.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    found = read(tmp_path)
    assert found.samples.height == 0
    rows = {r["metric"]: r for r in found.aggregates.iter_rows(named=True)}
    assert rows["exact_match"]["score"] == 0.3
    assert rows["exact_match"]["n_samples"] == 10
    assert rows["exact_match"]["higher_is_better"]
    assert rows["exact_match"]["stderr"] is None
    assert "num_output_tokens" not in rows
    assert found.aggregates["variant"].null_count() == found.aggregates.height


# ---------------------------------------------------------------- one request an option


def separate(folder: Path, model: str = "made/m-1b", method: str = SEPARATE, **more: Any) -> Path:
    logs = {"q1": (-6.0, -2.0, -4.0), "q2": (-6.0, -8.0, -4.0)}
    states = []
    for item, values in logs.items():
        for i, value in enumerate(values):
            states.append(option(instance(item), i, value))
            if method == CALIBRATED:
                states.append(option(instance(item), i, -1.0 - i, "calibration"))
    items = [entry("q1", exact_match=1.0, num_bytes=9.0), entry("q2", exact_match=0.0)]
    return written(folder, spec(model, method), states, items, **more)


@pytest.mark.parametrize("method", [SEPARATE, CALIBRATED])
def test_requests_about_options_are_one_item(tmp_path, method):
    found = read(separate(tmp_path, method=method))
    said = answers(found)
    assert said.height == 2
    first = said.row(0, named=True)
    assert first["choice_logprobs"] == pytest.approx([-6.0, -2.0, -4.0])
    assert first["choices"] == list(OPTIONS)
    assert first["target_index"] == 1
    assert first["prompt"] == "Which?\nAnswer:"
    assert first["output"] is None
    assert first["task"] == "quiz:subject=birds"
    assert first["format"] == method
    assert codes(found).get("calibration") == (6 if method == CALIBRATED else None)
    theirs = found.samples.filter(pl.col("metric").is_not_null())
    assert theirs.select("item", "metric", "score").rows() == [
        ("q1", "exact_match", 1.0),
        ("q2", "exact_match", 0.0),
    ]


def test_the_order_of_requests_does_not_count(tmp_path):
    one = read(separate(tmp_path / "a"))
    path = tmp_path / "a" / "scenario_state.json"
    content = json.loads(path.read_text())
    random.Random(1).shuffle(content["request_states"])
    path.write_text(json.dumps(content))
    same = ("item", "choices", "choice_logprobs", "target_index")
    a, b = (answers(r).select(same).sort("item") for r in (one, read(tmp_path / "a")))
    assert a.equals(b)


def test_an_item_without_all_options_is_left_out(tmp_path):
    folder = separate(tmp_path)
    path = folder / "scenario_state.json"
    content = json.loads(path.read_text())
    del content["request_states"][4]
    path.write_text(json.dumps(content))
    found = read(folder)
    assert answers(found)["item"].to_list() == ["q1"]
    assert codes(found)["no_logprobs"] == 1


def test_one_option_asked_about_twice_is_refused(tmp_path):
    inst = instance("q1")
    states = [option(inst, i, -1.0) for i in (0, 1, 2, 2)]
    with pytest.raises(ValueProblem, match="asked about twice"):
        read(written(tmp_path, spec("made/m-1b", SEPARATE), states) / "scenario_state.json")


def test_several_right_options_have_credit(tmp_path):
    states = [option(instance("q1", (0, 2)), i, -2.0) for i in range(3)]
    found = answers(read(written(tmp_path, spec("made/m-1b", SEPARATE), states)))
    assert found["choice_credit"].to_list() == [[1.0, 0.0, 1.0]]
    assert found["target_index"].to_list() == [None]


def test_trials_are_repeats(tmp_path):
    states = [option(instance("q1"), i, -2.0 - t, trial=t) for t in range(2) for i in range(3)]
    items = [entry("q1", trial=t, exact_match=float(t)) for t in range(2)]
    found = read(written(tmp_path, spec("made/m-1b", SEPARATE), states, items))
    assert answers(found).select("item", "repeat").rows() == [("q1", 0), ("q1", 1)]
    theirs = found.samples.filter(pl.col("metric") == "exact_match")
    assert theirs.select("repeat", "score").rows() == [(0, 0.0), (1, 1.0)]


@pytest.mark.parametrize(
    ("pairs", "answer", "want"),
    [
        ([("Q", -9.0), (" red", -1.0), (" fox", -2.0)], "red fox", -3.0),
        ([("Q", -9.0), (" ", -0.5), ("fox", -2.0), ("\n", -7.0)], "fox", -2.5),
        ([("Q", -9.0), ("\u2581caf", -1.0), ("bytes:\\xc3", -1.0), ("bytes:\\xa9", -1.0)],
         "café", -3.0),
        ([("Q", -9.0), (" redf", -1.0), ("ox", -2.0)], "fox", None),  # no token begins there
        ([("Q", -9.0), (" fox", None)], "fox", None),
        ([("Q", -9.0), (" fox", math.nan)], "fox", None),
        ([(" ", -1.0)] * 500, "fox", None),
        ([], "fox", None),
        ([("Q", -9.0)], "", None),
    ],
)  # fmt: skip
def test_the_tokens_of_an_option(pairs, answer, want):
    assert logprob_of(tokens(*pairs), answer) == want


def test_placeholders_are_no_log_probabilities(tmp_path):
    states = [option(instance("q1"), i, 0.0) for i in range(3)]
    for state in states:
        for token in state["result"]["completions"][0]["tokens"]:
            token["logprob"] = 0.0
    items = [entry("q1", exact_match=1 / 3)]
    joint = [request(instance("q1"), tokens((" B", -0.5)), output_mapping=LETTERS)]
    written(tmp_path / "a", spec("made/m-1b", SEPARATE), states, items)
    written(tmp_path / "b", spec("made/m-1b", JOINT), joint)
    found = read(tmp_path)
    assert codes(found)["zero_logprobs"] == 3
    assert found.samples["format"].unique().to_list() == [JOINT]


# ---------------------------------------------------------------- letters and texts


def test_joint_letters_and_their_log_probabilities(tmp_path):
    top = {" A": -2.0, " B": -0.5, "B": -4.0, " C": -3.0, " the": -5.0}
    token = {"text": " B", "logprob": -0.5, "top_logprobs": top}
    states = [request(instance(q), [token], output_mapping=LETTERS) for q in ("q1", "q2")]
    found = answers(read(written(tmp_path / "a", spec("made/m-1b", JOINT), states)))
    first = found.row(0, named=True)
    assert first["choice_logprobs"] == [-2.0, -0.5, -3.0]
    assert first["target_index"] == 1
    assert first["targets"] == ["B"]
    assert first["choices"] == list(OPTIONS)
    del top[" C"]  # where one item lacks a letter, the others are no fair sample
    states[1] = request(instance("q2"), [{**token, "top_logprobs": {}}], output_mapping=LETTERS)
    found = read(written(tmp_path / "b", spec("made/m-1b", JOINT), states))
    assert answers(found)["choice_logprobs"].null_count() == 2


def test_a_chain_of_thought_has_no_letter_to_equal(tmp_path):
    method = "multiple_choice_joint_chain_of_thought"
    states = [request(instance("q1"), tokens(("So B.", -0.5)), output_mapping=LETTERS)]
    found = answers(read(written(tmp_path, spec("made/m-1b", method), states)))
    assert found["targets"].to_list() == [None]
    assert found["output"].to_list() == ["So B."]


def test_the_likeliest_answer_is_the_answer(tmp_path):
    state = request(instance("q1", (0, 1)), tokens(("no", -5.0)))
    state["result"]["completions"].append({"text": "a hen", "logprob": -1.0, "tokens": []})
    found = read(written(tmp_path, spec("made/m-1b", "generation"), [state]))
    assert answers(found)["output"].to_list() == ["a hen"]
    assert answers(found)["targets"].to_list() == [["a red fox", "a hen"]]
    assert codes(found)["further_answers"] == 1


def test_failed_requests_are_missing_not_wrong(tmp_path):
    states = [request(instance(f"q{i}"), tokens(("a hen", -1.0))) for i in range(4)]
    states[1]["result"] = None
    states[2]["result"] = {"success": False, "completions": [], "error": "no"}
    found = read(written(tmp_path, spec("made/m-1b", "generation"), states))
    assert answers(found)["item"].to_list() == ["q0", "q3"]
    assert codes(found)["no_result"] == 2


def test_an_echoed_prompt_is_no_output(tmp_path):
    state = request(instance("q1"), tokens(("Which? ", -1.0), ("a hen", -1.0)))
    state["request"]["echo_prompt"] = True
    found = read(written(tmp_path, spec("made/m-1b", "generation"), [state]))
    assert answers(found)["output"].to_list() == ["a hen"]


def test_a_given_text_has_token_log_probabilities(tmp_path):
    inst = {**instance("d1"), "references": []}
    parts = [
        tokens(("<s>", 0.0), ("It", -2.0), (" is", -1.0)),
        tokens((" is", -0.1), (" so", -4.0)),
    ]
    states = [request(inst, p, num_conditioning_tokens=1, num_train_instances=0) for p in parts]
    means = [stat("bits_per_byte", 1.0), stat("perplexity", 10.0), stat("num_bytes", 8.0)]
    about = spec("made/m-1b", "language_modeling", shots=0)
    found = read(written(tmp_path, about, states, None, means))
    assert answers(found)["token_logprobs"].to_list() == [[-2.0, -1.0, -4.0]]
    assert answers(found)["target_bytes"].to_list() == [8]
    assert found.aggregates.height == 0


# ---------------------------------------------------------------- perturbations, aggregates


def test_perturbed_answers_are_kept_apart(tmp_path):
    states = [
        request(instance("q1", perturbation=p), tokens((text, -1.0)))
        for p, text in ((None, "a hen"), (TYPOS, "hm"))
    ]
    items = [entry("q1", exact_match=1.0), entry("q1", TYPOS, exact_match=0.0)]
    worst = {**TYPOS, "computed_on": "worst"}
    means = [
        stat("exact_match", 1.0),
        stat("exact_match", 0.0, {**TYPOS, "computed_on": "perturbed"}),
        stat("exact_match", 0.0, worst),
        stat("classification_macro_f1", 0.25),
        stat("classification_macro_f1", 0.125, TYPOS),
        stat("num_instances", 1.0),
    ]
    found = read(written(tmp_path, spec("made/m-1b", "generation"), states, items, means))
    assert answers(found).select("variant", "output").rows() == [
        (None, "a hen"),
        ("typos(prob=0.1)", "hm"),
    ]
    assert codes(found)["perturbed"] == 1
    assert codes(found)["mixed_versions"] == 1
    rows = found.aggregates.select("metric", "variant", "score", "n_samples").rows()
    assert rows == [
        ("classification_macro_f1", None, 0.25, 1.0),
        ("classification_macro_f1", "typos(prob=0.1)", 0.125, None),
    ]


def test_seeds_of_a_perturbation_are_repeats(tmp_path):
    states = [
        request(instance("q1", perturbation={**TYPOS, "seed": s}), tokens(("hm", -1.0)))
        for s in (7, 9)
    ]
    found = answers(read(written(tmp_path, spec("made/m-1b", "generation"), states)))
    assert found["repeat"].to_list() == [0, 1]
    assert found["variant"].n_unique() == 1


def test_scores_without_states(tmp_path):
    items = [entry("q1", exact_match=1.0, predicted_index=2.0, ece_10_bin=0.5)]
    items[0]["stats"].append({"name": {"name": "f1_score", "split": "test"}, "count": 0, "sum": 0})
    items.append(entry("q1", exact_match=1.0))  # another metric of HELM wrote it again
    found = read(written(tmp_path, spec("made/m-1b", "generation"), None, items))
    rows = found.samples.select("metric", "score", "split", "higher_is_better").rows()
    assert rows == [("exact_match", 1.0, "test", True), ("ece_10_bin", 0.5, "test", False)]


def test_scores_that_are_not_finite_are_counted(tmp_path):
    items = [entry("q1", exact_match=1.0, f1_score=math.nan), entry("q2", exact_match=0.0)]
    found = read(written(tmp_path, spec("made/m-1b", "generation"), None, items))
    assert found.samples.height == 2
    assert codes(found)["null_score"] == 1


def test_means_that_answers_give_again_are_not_read_twice(tmp_path):
    states = [request(instance("q1"), tokens(("a hen", -1.0)))]
    means = [stat("exact_match", 1.0), stat("quasi_exact_match", 1.0)]
    found = read(written(tmp_path, spec("made/m-1b", "generation"), states, None, means))
    assert found.aggregates["metric"].to_list() == ["quasi_exact_match"]


# ---------------------------------------------------------------- which files, which model


def test_a_state_alone_names_its_model(tmp_path):
    folder = separate(tmp_path / "quiz:subject=birds,model=made_m-1b")
    for name in ("run_spec.json", "per_instance_stats.json"):
        (folder / name).unlink()
    found = read(folder / "scenario_state.json")
    assert found.samples["model"].unique().to_list() == ["made/m-1b"]
    assert found.samples["task"].unique().to_list() == ["quiz:subject=birds"]


def test_means_without_any_model_are_refused(tmp_path):
    with pytest.raises(FileProblem, match="which model"):
        read(written(tmp_path, None, means=[stat("exact_match", 1.0)]) / "stats.json")
    named = written(tmp_path / "quiz:model=made_m-1b", None, means=[stat("exact_match", 1.0)])
    assert read(named).aggregates["model"].to_list() == ["made/m-1b"]


def test_a_scenario_alone_is_no_log(tmp_path):
    (tmp_path / "scenario.json").write_text('{"name": "quiz", "definition_path": "x"}')
    with pytest.raises(InputError):
        read(tmp_path)
    path = tmp_path / "scenario.json"
    assert not is_log(Source(path, str(path), "json"))


def test_copies_of_the_answers_are_not_read_again(tmp_path):
    folder = separate(tmp_path)
    shown = [{"instance_id": "q1", "predicted_text": "x", "stats": {"exact_match": 1.0}}]
    (folder / "display_predictions.json").write_text(json.dumps(shown))
    (folder / "instances.json").write_text(json.dumps([instance("q1")]))
    (folder / "scenario.json").write_text('{"name": "quiz", "definition_path": "x"}')
    assert read(folder).samples.height == 4


def test_of_two_runs_the_newest_is_read(tmp_path):
    about = spec("made/m-1b", "generation")
    for suite, text, date in (("v1", "an ox", 1e9), ("v2", "a hen", 2e9)):
        state = request(instance("q1"), tokens((text, -1.0)))
        state["result"]["request_datetime"] = date
        written(tmp_path / suite / "quiz", about, [state])
    written(tmp_path / "v3" / "quiz", about, means=[stat("exact_match", 1.0)])
    found = read(tmp_path)
    assert found.samples["output"].to_list() == ["a hen"]
    assert found.aggregates.height == 0
    assert codes(found)["older_run"] == 2


# ---------------------------------------------------------------- bad input


def test_a_file_cut_short_is_named(tmp_path):
    folder = separate(tmp_path)
    path = folder / "scenario_state.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileProblem, match="not JSON") as caught:
        read(path)
    assert caught.value.file == str(path)
    found = read(folder)  # found in a folder: the scores are still read
    assert found.samples.height == 2
    assert codes(found)["file_left_out"] == 1
    assert codes(read(folder, skip_bad=True))["bad_file"] == 1


def test_a_broken_specification_is_done_without(tmp_path):
    folder = separate(tmp_path / "quiz:subject=birds,model=made_m-1b")
    (folder / "run_spec.json").write_text('{"name": "quiz')
    for found in (read(folder), read(folder, skip_bad=True)):
        assert found.samples["model"].unique().to_list() == ["made/m-1b"]
    with pytest.raises(FileProblem):
        read(folder, strict=True)


@pytest.mark.parametrize(
    ("path", "value", "column"),
    [
        (("instance", "id"), None, "id"),
        (("train_trial_index",), -1, "train_trial_index"),
        (("reference_index",), 99, "reference_index"),
        (("instance", "references"), [{"tags": []}], "references"),
        (("instance", "perturbation"), "typos", "perturbation"),
        (("result", "completions"), "none", "result"),
        (("result", "completions"), [{"tokens": []}], "completions"),
    ],
)
def test_a_bad_request_is_named_or_left_out(tmp_path, path, value, column):
    folder = separate(tmp_path)
    file = folder / "scenario_state.json"
    content = json.loads(file.read_text())
    at = content["request_states"][3]  # the first of q2
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    file.write_text(json.dumps(content))
    with pytest.raises(ValueProblem, match=column) as caught:
        read(file)
    assert "row 4" in str(caught.value)
    found = read(file, skip_bad=True)
    assert answers(found)["item"].to_list() == ["q1"]
    assert codes(found)["bad_rows"] == 1


def _mutated(raw: bytes, kind: int, at: int, value: int) -> bytes:
    at %= max(len(raw), 1)
    if kind == 0:
        return raw[:at]
    if kind == 1:
        return raw[:at] + bytes([raw[at] ^ (value % 255 + 1)]) + raw[at + 1 :]
    if kind == 2:
        return raw.replace(b"1.0", b"1e999", 1 + at % 5).replace(b'": 0', b'": ' + b"9" * 400)
    if kind == 3:
        return raw.replace(b"null", b"[" * 5000 + b"]" * 5000, 1)
    words = (b"null", b"[]", b"{}", b'""', b"-1", b"NaN", b"true", b"[null]", b'{"name": 3}')
    parts = raw.split(b": ")
    place = 1 + at % (len(parts) - 1)
    tail = parts[place]
    end = min((i for c in b",\n" if (i := tail.find(bytes([c]))) >= 0), default=len(tail))
    parts[place] = words[value % len(words)] + tail[end:]
    return b": ".join(parts)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(
    st.sampled_from(["run_spec", "scenario_state", "per_instance_stats", "stats"]),
    st.integers(0, 8),
    st.integers(0, 20_000),
    st.integers(0, 255),
    st.sampled_from([SEPARATE, JOINT]),
    st.booleans(),
)
def test_no_file_crashes_the_reader(file, kind, at, value, method, skip_bad):
    with tempfile.TemporaryDirectory() as place:
        means = [stat("exact_match", 1.0), stat("classification_macro_f1", 0.5, TYPOS)]
        folder = separate(Path(place), method=method, means=means)
        if method == JOINT:
            states = [request(instance("q1"), tokens((" B", -1.0)), output_mapping=LETTERS)]
            written(folder, spec("made/m-1b", JOINT), states)
        path = folder / f"{file}.json"
        path.write_bytes(_mutated(path.read_bytes(), kind, at, value))
        for given_path in (folder, path):
            with contextlib.suppress(UnmirageError):
                read(given_path, skip_bad=skip_bad)


# ---------------------------------------------------------------- an audit


def test_an_audit_of_a_suite(tmp_path):
    """Five models whose probability of the right option rises smoothly."""
    rng = random.Random(3)
    for rank, size in enumerate(("70m", "160m", "410m", "1b", "2.8b")):
        states, items = [], []
        for q in range(40):
            right = rng.randrange(3)
            inst = instance(f"q{q}", (right,))
            logs = [-4.0 + rng.gauss(0, 1) + (0.6 * rank if i == right else 0) for i in range(3)]
            states += [option(inst, i, min(v, -0.01)) for i, v in enumerate(logs)]
            items.append(entry(f"q{q}", exact_match=float(logs.index(max(logs)) == right)))
        about = spec(f"made/m-{size}", SEPARATE)
        written(tmp_path / "runs" / "v1" / f"quiz,model={size}", about, states, items)
    found = read(tmp_path)
    assert answers(found).height == 200
    audit = unmirage.audit(found)
    by_metric = {j.key.metric: j for j in audit.judgements}
    assert {"accuracy", "exact_match"} <= by_metric.keys()
    assert by_metric["accuracy"].curve.models == tuple(
        f"made/m-{s}" for s in ("70m", "160m", "410m", "1b", "2.8b")
    )
