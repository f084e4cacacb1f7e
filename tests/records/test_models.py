"""The bundled table of models: what it holds is sourced, and a name finds its own model only."""

import csv
import math
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.records.models import bundled, known, parse_name

ROWS = list(
    csv.DictReader(
        files("unmirage.records.models").joinpath("known.csv").read_text("utf-8").splitlines()
    )
)


def test_every_number_has_a_source() -> None:
    for row in ROWS:
        assert row["source"].startswith("params"), row["names"]
        assert float(row["params"]) > 1e6
        for column in ("tokens", "flops"):
            if row[column]:
                assert float(row[column]) > 1e9
                assert column in row["source"], (row["names"], column)
        assert row["flops_source"] in ("reported", "6ND", "none")
        assert bool(row["flops"]) == (row["flops_source"] == "reported")
        assert row["flops_source"] != "6ND" or row["tokens"]
        assert row["certainty"] in ("published", "inferred")
        if row["non_embedding"]:
            assert float(row["non_embedding"]) < float(row["params"])


def test_no_name_stands_for_two_models() -> None:
    keys = [parse_name(name).key for row in ROWS for name in row["names"].split("|")]
    assert len(keys) == len(set(keys)) == len(bundled())


def test_sizes_are_those_that_the_names_spell() -> None:
    """A slip of a factor of 1,000 shows."""
    from unmirage.records.scale import size_in

    for row in ROWS:
        for name in row["names"].split("|"):
            said = size_in(name)
            if said is not None and name != "pythia-19m":  # named without its embeddings
                assert abs(math.log10(said / float(row["params"]))) < 0.15, name


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("EleutherAI/pythia-1.4b-deduped", 1414647808),
        ("eleutherai_pythia-1b-v0", 1011781632),
        ("EleutherAI__pythia-12b", 11846072320),
        ("pythia_70m", 70426624),
        ("pythia-350m", 405334016),  # its name before January 2023
        ("openai/gpt2", 124439808),
        ("GPT-2 XL", 1557611200),
        ("facebook/opt-350m", 350e6),
        ("bigscience/bloom", 176247271424),
        ("bigscience/bloom-7b1", 7069016064),
        ("meta-llama/Llama-2-7b-hf", 7e9),
        ("meta-llama/Meta-Llama-3.1-8B", 8e9),
        ("huggyllama/llama-30b", 32.5e9),
        ("Qwen/Qwen-1_8B", 1.8e9),
        ("Qwen/Qwen2.5-0.5B", 0.49e9),
        ("google/gemma-2-2b", 2614636800),
        ("google/gemma-2b", 2506434560),
        ("allenai/OLMo-2-1124-13B", 13e9),
        ("mistralai/Mistral-7B-v0.1", 7.24e9),
        ("gpt3 175b", 174.6e9),
    ],
)
def test_spellings(name: str, params: float) -> None:
    found = known(name)
    assert found is not None
    assert found.params == params
    assert not found.base_of


@pytest.mark.parametrize(
    "name",
    [
        "llama-7b-chat-finetune-x",
        "Qwen2.5-Coder-7B",
        "DeepSeek-R1-Distill-Qwen-7B",
        "bloomz-7b1",
        "opt-iml-1.3b",
        "Yi-34B-200K",
        "llama-27b",
        "pythia-1.4",
        "text-davinci-003",
        "Mixtral-8x7B",
        "my-gpt2",
        "pythia",
        "",
        "/",
        "- -",
        "gemma-22b",
    ],
)
def test_no_false_match(name: str) -> None:
    assert known(name) is None


def test_variants_and_checkpoints_have_the_size_alone() -> None:
    tuned = known("meta-llama/Llama-2-70b-chat-hf")
    assert tuned is not None
    assert (tuned.params, tuned.tokens, tuned.flops) == (70e9, None, None)
    assert (tuned.base_of, tuned.family) == (True, "Llama 2 (tuned)")
    for name in (
        "pythia-70m-step3000",
        "EleutherAI/pythia-70m@step3000",
        "pythia-70m/global_step1",
    ):
        early = known(name)
        assert early is not None, name
        assert (early.params, early.tokens, early.checkpoint) == (70426624, None, True)
    deduped = known("pythia-70m-deduped")
    assert deduped is not None
    assert deduped.family == "Pythia deduped"


def test_flops_by_hand() -> None:
    found = known("pythia-1b")
    assert found is not None
    assert found.flops == 6 * 1011781632 * 299892736000
    reported = known("gpt-3-13b")
    assert reported is not None
    assert (reported.flops, reported.flops_source) == (2.31e22, "reported")
    api = known("davinci")
    assert api is not None
    assert api.inferred


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_borne(name: str) -> None:
    known(name)
    assert known("zz" + name) is None
