"""Run folders of HELM: written here in the tool's layout, and the genuine ones.

No genuine run with a request for each option is at hand: those are synthetic.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from unmirage import metrics
from unmirage.errors import FileProblem, UnmirageError
from unmirage.records import read
from unmirage.records.formats.helm.run import task_in

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "helm"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine runs are not there: {REAL}")

# ---------------------------------------------------------------- runs as HELM writes them


def adapter(method: str, **more: Any) -> dict[str, Any]:
    return {"method": method, "model": "lab/tiny-1m", "max_train_instances": 2} | more


def reference(text: str, correct: bool = False) -> dict[str, Any]:
    return {"output": {"text": text}, "tags": ["correct"] if correct else []}


def state(name: str, text: str, references: list[Any], **more: Any) -> dict[str, Any]:
    instance = {"id": name, "split": "test", "input": {"text": "q"}, "references": references}
    completion = {"text": text, "logprob": -1.0, "tokens": [{"text": text, "logprob": -1.0}]}
    return {
        "instance": instance,
        "train_trial_index": 0,
        "request": {"prompt": "Q: q\nA:", "echo_prompt": False},
        "result": {"success": True, "completions": [completion]},
        "num_train_instances": 2,
    } | more


def stat(name: str, mean: float | None, **more: Any) -> dict[str, Any]:
    return {"name": {"name": name, "split": "test"} | more, "count": 1, "mean": mean}


def run(folder: Path, how: dict[str, Any], states: list[Any] | None = None, **more: Any) -> Path:
    """``more``: per_instance_stats, stats; the name of the run as ``name``."""
    folder.mkdir(parents=True, exist_ok=True)
    name = more.pop("name", f"sums:digits=2,model={how['model'].replace('/', '_')}")
    files: dict[str, Any] = {"run_spec": {"name": name, "adapter_spec": how}, "scenario": {}} | more
    if states is not None:
        files["scenario_state"] = {"adapter_spec": how, "request_states": states}
    for stem, content in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return folder


def answers(samples: pl.DataFrame) -> pl.DataFrame:
    return samples.filter(pl.col("metric").is_null())


# ---------------------------------------------------------------- what is read


def test_generated_answers_and_their_scores(tmp_path: Path) -> None:
    right = [reference("4", True), reference("four", True), reference("5")]
    states = [state("a", "4", right), state("b", " five", right)]
    scored = [
        {
            "instance_id": name,
            "train_trial_index": 0,
            "stats": [stat("exact_match", v), stat("num_bytes", 9.0), stat("logprob", -1.0)],
        }
        for name, v in (("a", 1.0), ("b", 0.0))
    ]
    run(tmp_path / "r", adapter("generation"), states, per_instance_stats=scored)
    found = read(tmp_path).samples
    rows = answers(found)
    assert rows["item"].to_list() == ["a", "b"]
    assert rows["output"].to_list() == ["4", " five"]
    assert rows["targets"].to_list() == [["4", "four"]] * 2
    assert rows["prompt"].to_list() == ["Q: q\nA:"] * 2
    assert set(rows["task"]) == {"sums:digits=2"}
    assert set(rows["shots"]) == {2}
    assert set(rows["format"]) == {"generation"}
    assert set(rows["split"]) == {"test"}
    assert set(rows["params"]) == {1e6}
    given_scores = found.filter(pl.col("metric").is_not_null())
    assert given_scores.select("item", "metric", "score").rows() == [
        ("a", "exact_match", 1.0),
        ("b", "exact_match", 0.0),
    ]
    assert given_scores["higher_is_better"].all()
    assert metrics.score("exact_match", rows).tolist() == [1.0, 0.0]


def test_letters_of_joint_choices(tmp_path: Path) -> None:
    options = [reference("cat"), reference("dog", True)]
    letters = {"A": "dog", "B": "cat"}  # HELM may shuffle them
    states = [
        state(str(i), said, options, output_mapping=letters) for i, said in enumerate((" A", " B"))
    ]
    run(tmp_path / "r", adapter("multiple_choice_joint"), states)
    rows = answers(read(tmp_path).samples)
    assert rows["choices"].to_list() == [["dog", "cat"]] * 2
    assert rows["target_index"].to_list() == [0, 0]
    assert rows["targets"].to_list() == [["A"]] * 2
    assert metrics.score("exact_match", rows).tolist() == [1.0, 0.0]
    assert rows["choice_logprobs"].null_count() == 2
    with pytest.raises(UnmirageError, match="choice_logprobs"):
        metrics.score("brier", rows)


def asked(name: str, place: int, tokens: list[tuple[str, float]], **more: Any) -> dict[str, Any]:
    """The request for one option: the prompt and the option are echoed with log-probabilities."""
    options = [reference("red fox"), reference("owl", True)]
    listed = [{"text": t, "logprob": v} for t, v in tokens]
    completion = {"text": "".join(t for t, _ in tokens), "tokens": listed}
    return state(
        name,
        "",
        options,
        reference_index=place,
        request_mode="original",
        result={"success": True, "completions": [completion]},
        **more,
    )


def test_the_requests_of_one_instance_are_one_row(tmp_path: Path) -> None:
    """A prompt ends in the option: only the tokens of the option count."""
    prompt = [("What", -9.0), (" hoots", -9.0), ("?", -9.0)]
    states = []
    for name, worse in (("x", 0.5), ("y", 3.0)):
        states += [
            asked(name, 0, [*prompt, (" red", -worse), (" fox", -0.25)]),
            asked(name, 1, [*prompt, (" o", -0.5), ("wl", -0.75)]),
            asked(name, 1, [("A", -5.0), (" owl", -5.0)]) | {"request_mode": "calibration"},
        ]
    states.append(asked("z", 0, [*prompt, (" red fox", -1.0)]))  # the other option is missing
    run(tmp_path / "r", adapter("multiple_choice_separate_calibrated"), states)
    found = read(tmp_path)
    rows = found.samples
    assert rows["item"].to_list() == ["x", "y"]
    assert rows["choice_logprobs"].to_list() == [[-0.75, -1.25], [-3.25, -1.25]]
    assert rows["target_index"].to_list() == [1, 1]
    assert rows["choices"].to_list() == [["red fox", "owl"]] * 2
    assert metrics.score("accuracy", rows).tolist() == [0.0, 1.0]
    told = {n.code: n.count for n in found.notes}
    assert told["calibration"] == 2
    assert told["options_missing"] == 1


def test_perturbed_answers_are_kept_apart(tmp_path: Path) -> None:
    right = [reference("4", True)]
    bent = state("a", "5", right)
    bent["instance"] = bent["instance"] | {"perturbation": {"name": "typos"}}
    run(tmp_path / "r", adapter("generation"), [state("a", "4", right), bent])
    rows = answers(read(tmp_path).samples)
    assert rows.sort("output").select("output", "variant").rows() == [("4", None), ("5", "typos")]


def test_trials_are_repeats(tmp_path: Path) -> None:
    right = [reference("4", True)]
    states = [state("a", "4", right, train_trial_index=t) for t in (0, 1)]
    run(tmp_path / "r", adapter("generation", num_train_trials=2), states)
    assert answers(read(tmp_path).samples)["repeat"].to_list() == [1, 2]


def test_failed_requests_and_short_prompts_are_counted(tmp_path: Path) -> None:
    right = [reference("4", True)]
    failed = state("b", "4", right, result={"success": False, "completions": []})
    short = state("a", "4", right, num_train_instances=0)
    run(tmp_path / "r", adapter("generation"), [short, failed])
    found = read(tmp_path)
    assert answers(found.samples)["item"].to_list() == ["a"]
    told = {n.code: n.count for n in found.notes if n.level == "warning"}
    assert (told["failed"], told["fewer_shots"]) == (1, 1)


def test_without_items_the_scores_of_the_run_are_read(tmp_path: Path) -> None:
    worst = {"name": "robustness", "computed_on": "worst"}
    listed = [
        stat("exact_match", 0.25),
        stat("exact_match", 0.1, perturbation=worst),
        stat("num_instances", 40.0),
        stat("inference_runtime", 3.0),
        stat("f1_score", None),
    ]
    run(tmp_path / "r", adapter("generation"), stats=listed)
    found = read(tmp_path)
    assert found.aggregates.select("metric", "score", "n_samples", "split").rows() == [
        ("exact_match", 0.25, 40.0, "test")
    ]
    told = {n.code: n.count for n in found.notes}
    assert (told["null_score"], told["perturbed"]) == (1, 1)


def test_scores_of_a_run_are_not_read_beside_its_items(tmp_path: Path) -> None:
    run(
        tmp_path / "r",
        adapter("generation"),
        [state("a", "4", [reference("4", True)])],
        stats=[stat("exact_match", 1.0)],
    )
    found = read(tmp_path)
    assert (found.samples.height, found.aggregates.height) == (1, 0)


def test_perplexity_is_a_score_only_where_text_is_predicted(tmp_path: Path) -> None:
    for method in ("generation", "language_modeling"):
        listed = [stat("bits_per_byte", 1.5), stat("exact_match", 0.5)]
        run(tmp_path / method, adapter(method), stats=listed)
    found = read(tmp_path).aggregates.select("format", "metric").rows()
    assert sorted(found) == [
        ("generation", "exact_match"),
        ("language_modeling", "bits_per_byte"),
        ("language_modeling", "exact_match"),
    ]


def test_the_task_is_the_name_of_the_run_without_its_model() -> None:
    named = "bbq:subject=all,model=openai_gpt2,max_train_instances=0"
    assert task_in(named) == "bbq:subject=all,max_train_instances=0"
    assert task_in("mmlu:model=a,model_deployment=b") == "mmlu"
    assert task_in("no_model") == "no_model"


def test_a_family_of_runs_is_audited(tmp_path: Path) -> None:
    for k, size in enumerate((1, 4, 16, 64, 256)):
        states = [
            state(str(i), "4" if i < 20 * k else "5", [reference("4", True)]) for i in range(100)
        ]
        run(tmp_path / f"{size}", adapter("generation", model=f"lab/tiny-{size}m"), states)
    found = unmirage.audit(read(tmp_path), metric=["exact_match"], draws=100).judgements
    assert [j.curve.score.tolist() for j in found] == [[0.0, 0.2, 0.4, 0.6, 0.8]]


# ---------------------------------------------------------------- what is wrong


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", adapter("generation"), [state("a", "4", [reference("4", True)])])
    path = folder / "per_instance_stats.json"
    path.write_text('[{"instance_id": "a", ')
    with pytest.raises(FileProblem, match="is not JSON") as caught:
        read(tmp_path, strict=True)
    assert caught.value.file == str(path)
    for options in ({}, {"skip_bad": True}):
        found = read(tmp_path, **options)
        assert answers(found.samples).height == 1
        assert any(n.level == "warning" and str(path) in (n.file or "") for n in found.notes)
    path.write_text("{}")
    with pytest.raises(FileProblem, match="not a list"):
        read(path)


def test_a_table_of_the_same_name_is_no_run(tmp_path: Path) -> None:
    rows = [{"model": "m-1m", "task": "t", "metric": "acc", "score": 0.5}]
    (tmp_path / "stats.json").write_text(json.dumps(rows))
    assert read(tmp_path / "stats.json").aggregates.height == 1


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_mutated_runs_give_records_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    odd = st.sampled_from([None, 1e400, [], {}, "x", [[]], -1, math.nan, [{}], True])
    method = data.draw(st.sampled_from(["generation", "multiple_choice_separate_original"]))
    states: list[Any] = [asked("x", p, [(" owl", -1.0)]) for p in (0, 1)]
    keys = ["instance", "result", "request", "train_trial_index", "reference_index"]
    states[0][data.draw(st.sampled_from(keys))] = data.draw(odd)
    stats_ = [{"instance_id": data.draw(odd), "stats": data.draw(odd)}, data.draw(odd)]
    folder = run(
        tmp_path / "r", adapter(method), states, per_instance_stats=stats_, stats=[data.draw(odd)]
    )
    path = data.draw(st.sampled_from(sorted(folder.glob("*.json"))))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))
    with contextlib.suppress(UnmirageError):
        assert read(folder, skip_bad=data.draw(st.booleans())).samples.height >= 0


# ---------------------------------------------------------------- genuine runs


@real
def test_genuine_choices() -> None:
    [folder] = REAL.glob("commonsense*")
    found = read(folder)
    rows = answers(found.samples)
    told = json.loads((folder / "scenario_state.json").read_text())["request_states"]
    assert rows["item"].to_list() == [s["instance"]["id"] for s in told]
    assert set(rows["model"]) == {"eleutherai/pythia-1b-v0"}
    assert set(rows["params"]) == {1011781632}
    listed = json.loads((folder / "stats.json").read_text())
    [theirs] = [
        s["mean"]
        for s in listed
        if s["name"]["name"] == "exact_match" and "perturbation" not in s["name"]
    ]
    assert metrics.score("exact_match", rows).mean() == pytest.approx(theirs)
    reported = found.samples.filter(pl.col("metric") == "exact_match")
    assert reported["score"].mean() == pytest.approx(theirs)


@real
def test_genuine_generation() -> None:
    [folder] = REAL.glob("narrative*")
    found = read(folder)
    rows = answers(found.samples)
    assert rows.height == 5
    assert dict(rows.group_by("split").len().rows()) == {"test": 4, "valid": 1}
    assert any(n.code == "fewer_shots" and n.count == 5 for n in found.notes)
    f1 = found.samples.filter(pl.col("metric") == "f1_score", pl.col("split") == "test")
    assert f1["score"].mean() == pytest.approx(0.17424242424242425)
