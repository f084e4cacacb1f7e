"""Logs of Inspect: genuine ones, and ones written here in the public schema of its logs.

The genuine .eval files are packed with deflate only; Zstandard members are written here by hand.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from unmirage import metrics
from unmirage.errors import FileProblem, UnmirageError, ValueProblem
from unmirage.records import read
from unmirage.records.formats.inspect_ai import archive, is_log
from unmirage.records.formats.inspect_ai.rows import letter_of, points
from unmirage.records.sniff import Source
from unmirage.types import Records

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "inspect"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine logs are not there: {REAL}")
Row = dict[str, Any]

# ---------------------------------------------------------------- logs in the public schema


def sample(item: Any, value: Any, answer: str | None = "4", epoch: int = 1, **more: Any) -> Row:
    score = {"value": value} | ({"answer": answer} if answer is not None else {})
    return {
        "id": item,
        "epoch": epoch,
        "input": f"question {item}",
        "target": "4",
        "messages": [{"role": "user", "content": "x"}],
        "output": {
            "model": "m",
            "choices": [{"message": {"role": "assistant", "content": f"It is {answer}"}}],
            "completion": f"It is {answer}",
        },
        "scores": {"match": score},
        "events": [{"event": "model", "deep": {"a": [1, 2]}}],
        **more,
    }


def log(samples: list[Row] | None, model: str = "hf/org/pythia-70m", **more: Any) -> Row:
    """A log; ``more`` replaces parts of ``eval``, or whole keys of the log."""
    said = {
        "eval_id": f"eval of {model}",
        "run_id": "run",
        "task_id": "task",
        "created": "2025-05-12T20:28:13+00:00",
        "task": "sums",
        "task_version": 0,
        "task_args": {"fewshot": 3},
        "model": model,
        "model_args": {},
        "config": {"epochs": 1},
    }
    whole = {
        "version": 2,
        "status": "success",
        "eval": said | {k: v for k, v in more.items() if k in said},
        "plan": {"config": {"temperature": 0.0}},
        "results": results(),
    }
    whole |= {k: v for k, v in more.items() if k not in said}
    return whole | ({"samples": samples} if samples is not None else {})


def results(value: float = 0.5, count: int = 2, metric: str = "accuracy", **more: Any) -> Row:
    stated = {metric: {"name": metric, "value": value}, "stderr": {"name": "stderr", "value": 0.0}}
    one = {"name": "match", "scorer": "match", "metrics": stated, **more}
    return {"total_samples": count, "completed_samples": count, "scores": [one]}


def packed(members: list[tuple[str, bytes]], method: int = 93) -> bytes:
    """A zip archive; the standard library cannot write Zstandard members yet."""
    body, directory = io.BytesIO(), b""
    for name, raw in members:
        data = raw
        if method == 93:
            data = zstandard.compress(raw)
        elif method == 8:
            squeeze = zlib.compressobj(wbits=-15)
            data = squeeze.compress(raw) + squeeze.flush()
        coded = name.encode()
        facts = (20, 0, method, 0, 0, zlib.crc32(raw), len(data), len(raw), len(coded))
        head = struct.pack("<HHHHHIIIHH", *facts, 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + head
        directory += struct.pack("<HHHII", 0, 0, 0, 0, body.tell()) + coded
        body.write(b"PK\x03\x04" + head + coded + data)
    start = body.tell()
    end = (0, 0, len(members), len(members), len(directory), start, 0)
    return body.getvalue() + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", *end)


def members(whole: Row) -> list[tuple[str, Any]]:
    """What Inspect puts into a .eval file."""
    head = {k: v for k, v in whole.items() if k not in ("samples", "reductions")}
    start = {k: whole[k] for k in ("version", "eval", "plan")}
    listed: list[tuple[str, Any]] = [("_journal/start.json", start)]
    for row in whole.get("samples") or []:
        listed.append((f"samples/{row['id']}_epoch_{row['epoch']}.json", row))
    short = [{k: v for k, v in r.items() if k != "output"} for r in whole.get("samples") or []]
    listed += [("_journal/summaries/1.json", short), ("summaries.json", short)]
    if "reductions" in whole:
        listed.append(("reductions.json", whole["reductions"]))
    return [*listed, ("header.json", head)]


def as_eval(whole: Row, method: int = 93, without: tuple[str, ...] = ()) -> bytes:
    kept = [m for m in members(whole) if not m[0].startswith(without or ("\x00",))]
    return packed([(n, json.dumps(v).encode()) for n, v in kept], method)


def put(path: Path, whole: Row) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".eval":
        path.write_bytes(as_eval(whole))
    else:
        path.write_text(json.dumps(whole))
    return path


def answers(records: Records) -> pl.DataFrame:
    return records.samples.filter(pl.col("metric").is_null())


def scored(records: Records, *columns: str) -> list[tuple[Any, ...]]:
    found = records.samples.filter(pl.col("metric").is_not_null())
    return found.select("item", "metric", "score", *columns).rows()


def codes(records: Records) -> dict[str, int | None]:
    return {n.code: n.count for n in records.notes}


TWO = [sample(1, "C"), sample(2, "I", "5")]

# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize("method", [0, 8, 93])
def test_both_forms_of_a_log_give_the_same(tmp_path: Path, method: int) -> None:
    plain = read(put(tmp_path / "a.json", log(TWO))).samples
    (tmp_path / "b.eval").write_bytes(as_eval(log(TWO), method))
    assert read(tmp_path / "b.eval").samples.drop("file").equals(plain.drop("file"))


def test_an_item_has_its_answer_and_its_score(tmp_path: Path) -> None:
    got = read(put(tmp_path / "a.eval", log(TWO)))
    columns = ["model", "params", "task", "shots", "item", "prompt", "output", "targets"]
    assert answers(got).select(columns).rows() == [
        ("org/pythia-70m", 70426624.0, "sums", 3, "1", "question 1", "4", ["4"]),
        ("org/pythia-70m", 70426624.0, "sums", 3, "2", "question 2", "5", ["4"]),
    ]
    assert scored(got, "higher_is_better") == [
        ("1", "accuracy", 1.0, True),
        ("2", "accuracy", 0.0, True),
    ]
    assert metrics.score("exact_match", answers(got)).tolist() == [1.0, 0.0]
    assert got.samples["repeat"].null_count() == 4
    assert set(codes(got)) == {"params_known", "training_known"}


def test_choices_and_no_log_probabilities_of_them(tmp_path: Path) -> None:
    four = {"choices": ["w", "x", "y", "z"]}
    rows = [
        sample(1, "C", "B", target="B", **four),
        sample(2, "I", "A", target="D", **four),
        sample(3, "C", "A, C", target=["A", "C"], **four),
    ]
    got = read(put(tmp_path / "a.json", log(rows, results=results(2 / 3, 3))))
    found = answers(got).sort("item")
    assert found["choices"].to_list() == [["w", "x", "y", "z"]] * 3
    assert found["target_index"].to_list() == [1, 3, None]
    # of several right choices all must be named
    assert found["targets"].to_list() == [["B"], ["D"], ["A, C"]]
    assert metrics.score("exact_match", found).tolist() == [1.0, 0.0, 1.0]
    assert scored(got, "chance") == [
        ("1", "accuracy", 1.0, 0.25),
        ("2", "accuracy", 0.0, 0.25),
        ("3", "accuracy", 1.0, None),
    ]
    assert found["choice_logprobs"].null_count() == 3
    with pytest.raises(UnmirageError, match="choice_logprobs"):
        metrics.score("brier", found)


def test_letters_and_numbers() -> None:
    values = [
        "C",
        "I",
        "P",
        "N",
        True,
        "yes",
        "No",
        3,
        "0.5",
        math.nan,
        None,
        "maybe",
        [1],
        "1e999",
    ]
    found = [points(v) for v in values]
    assert found == [1.0, 0.0, 0.5, 0.0, 1.0, 1.0, 0.0, 3.0, 0.5, None, None, None, None, None]
    assert [letter_of(i) for i in (0, 25, 26, 30)] == ["A", "Z", "1", "5"]


def test_epochs_are_repeats(tmp_path: Path) -> None:
    rows = [sample(i, v, epoch=e) for e, v in ((1, "C"), (2, "I")) for i in (1, 2)]
    stated = results(0.5, 4)
    got = read(put(tmp_path / "a.eval", log(rows, results=stated, config={"epochs": 2})))
    assert sorted(scored(got, "repeat")) == [
        ("1", "accuracy", 0.0, 2),
        ("1", "accuracy", 1.0, 1),
        ("2", "accuracy", 0.0, 2),
        ("2", "accuracy", 1.0, 1),
    ]
    assert "stated_otherwise" not in codes(got)


def test_what_is_not_scored_is_counted_and_no_zero(tmp_path: Path) -> None:
    rows = [
        sample(1, "C"),
        sample(2, math.nan),
        sample(3, None),
        sample(4, "C") | {"scores": None},
        sample(5, "C") | {"scores": {}, "error": {"message": "boom", "traceback": "x"}},
        sample(6, "C", invalidation={"author": "me"}) | {"scores": {}},
    ]
    got = read(put(tmp_path / "a.eval", log(rows, results=results(1.0, 6))))
    assert scored(got) == [("1", "accuracy", 1.0)]
    assert codes(got)["unscored"] == 3
    assert codes(got)["failed_samples"] == 2
    assert "stated_otherwise" not in codes(got)


def test_several_scorers_are_several_metrics(tmp_path: Path) -> None:
    def both(item: int, value: Any, graded: Any) -> Row:
        row = sample(item, value)
        row["scores"]["grader"] = {"value": {"tone": graded, "length": None}, "answer": "It is"}
        return row

    rows = [both(1, "C", 0.2), both(2, "C", 0.6)]
    got = read(put(tmp_path / "a.json", log(rows, results=results(1.0))))
    assert sorted(scored(got, "filter", "higher_is_better")) == [
        ("1", "accuracy", 1.0, "match", True),
        ("1", "tone", 0.2, "grader", None),
        ("2", "accuracy", 1.0, "match", True),
        ("2", "tone", 0.6, "grader", None),
    ]
    assert sorted(answers(got).select("item", "filter", "output").rows()) == [
        ("1", "grader", "It is"),
        ("1", "match", "4"),
        ("2", "grader", "It is"),
        ("2", "match", "4"),
    ]
    assert codes(got)["unscored"] == 2


def test_a_number_that_is_no_accuracy_keeps_the_name_of_its_scorer(tmp_path: Path) -> None:
    rows = [sample(1, 0.5, None), sample(2, 2, None)]
    stated = results(1.25, metric="mean", scorer="length", name="length")
    for row in rows:
        row["scores"] = {"length": row["scores"]["match"]}
    got = read(put(tmp_path / "a.json", log(rows, results=stated)))
    assert scored(got, "higher_is_better") == [
        ("1", "length", 0.5, None),
        ("2", "length", 2.0, None),
    ]
    # no scorer found an answer in it: the output as it is
    assert answers(got)["output"].to_list() == ["It is None"] * 2


def test_graders_of_free_text_have_targets_of_their_own(tmp_path: Path) -> None:
    rows = [sample(i, "C", "a long answer", target="a criterion") for i in range(4)]
    got = read(put(tmp_path / "a.json", log(rows, results=results(1.0, 4))))
    assert answers(got)["targets"].null_count() == 4
    assert "own_scoring" in codes(got)


def test_texts_that_stand_apart(tmp_path: Path) -> None:
    long = sample(1, "C", None, input="attachment://abc", attachments={"abc": "the question"})
    older = sample(2, "C", None, input="tc://abc", transcript={"content": {"abc": "the older"}})
    lost = sample(3, "C", None, input="attachment://abc")
    del long["output"]["completion"]
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "4"}]
    long["output"]["choices"][0]["message"]["content"] = parts
    got = answers(read(put(tmp_path / "a.json", log([long, older, lost]))))
    assert got["prompt"].to_list() == ["the question", "the older", None]
    assert got["output"][0] == "4"


# ---------------------------------------------------------------- logs without samples


def test_the_short_forms_of_samples_do_where_they_are_all_there_is(tmp_path: Path) -> None:
    for name, without in (("a", ("samples/",)), ("b", ("samples/", "summaries.json"))):
        (tmp_path / f"{name}.eval").write_bytes(as_eval(log(TWO), without=without))
        got = read(tmp_path / f"{name}.eval")
        assert scored(got) == [("1", "accuracy", 1.0), ("2", "accuracy", 0.0)]
        assert answers(got)["output"].to_list() == ["4", "5"]


@pytest.mark.parametrize("form", ["json", "eval"])
def test_scores_of_items_over_epochs(tmp_path: Path, form: str) -> None:
    rows = [{"sample_id": 1, "value": 0.75}, {"sample_id": 2, "value": math.nan}]
    reduced = [{"scorer": "match", "samples": rows}]
    got = read(put(tmp_path / f"a.{form}", log([], reductions=reduced)))
    assert scored(got) == [("1", "accuracy", 0.75)]
    assert codes(got)["unscored"] == 1


def test_scores_of_a_run_without_items(tmp_path: Path) -> None:
    stated = results(0.25, 8, scored_samples=8)
    stated["scores"][0]["metrics"]["stderr"]["value"] = 0.125
    pass_2 = {"accuracy": {"value": 0.5}}
    stated["scores"].append(
        {"name": "match", "scorer": "match", "reducer": "pass_at_2", "metrics": pass_2}
    )
    got = read(put(tmp_path / "a.eval", log(None, results=stated, config={"epochs": 2})))
    columns = ["metric", "score", "stderr", "n_samples", "higher_is_better"]
    assert got.aggregates.select(columns).rows() == [
        ("accuracy", 0.25, 0.125, 4.0, True),
        ("accuracy/pass_at_2", 0.5, None, 4.0, True),
    ]
    assert got.samples.is_empty()


def test_a_run_without_any_score_is_told(tmp_path: Path) -> None:
    empty = put(tmp_path / "a.json", log(None, results=None))
    with pytest.raises(FileProblem, match="neither samples"):
        read(empty)
    put(tmp_path / "b.json", log(TWO, eval_id="b", task="other"))
    got = read(tmp_path)
    assert len(scored(got)) == 2
    assert codes(got)["no_scores"] == 1


def test_a_run_that_did_not_end_is_read_with_a_warning(tmp_path: Path) -> None:
    whole = log(TWO, status="error")
    (tmp_path / "a.eval").write_bytes(as_eval(whole, without=("header.json", "summaries.json")))
    got = read(tmp_path / "a.eval")
    assert len(scored(got)) == 2
    assert codes(got)["run_not_finished"] == 1


def test_older_archives_have_other_names(tmp_path: Path) -> None:
    old = {"status": "success", "results": results()}
    start = {"version": 1, "eval": log(None)["eval"]}
    files = [("start.json", start), ("results.json", old), ("samples/1_epoch_1.json", TWO[0])]
    raw = packed([(n, json.dumps(v).encode()) for n, v in files])
    (tmp_path / "a.eval").write_bytes(raw)
    got = read(tmp_path / "a.eval")
    assert scored(got) == [("1", "accuracy", 1.0)]
    assert "run_not_finished" not in codes(got)


def test_what_the_log_states_is_compared(tmp_path: Path) -> None:
    got = read(put(tmp_path / "a.json", log(TWO, results=results(0.9, 5))))
    assert codes(got)["samples_missing"] == 3
    assert codes(got)["stated_otherwise"] == 1


# ---------------------------------------------------------------- read once


def test_one_run_in_two_forms_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "a.eval", log(TWO))
    put(tmp_path / "copy.json", log(TWO))
    got = read(tmp_path)
    assert len(scored(got)) == 2
    assert codes(got)["same_run"] == 1
    old = {"eval_id": None}  # before there were such ids
    put(tmp_path / "old" / "a.eval", log(TWO, **old))
    put(tmp_path / "old" / "b.json", log([], **old))
    assert len(answers(read(tmp_path / "old"))) == 2


def test_a_run_that_was_repeated_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "a.eval", log(TWO, eval_id="2", created="2025-06-01"))
    put(tmp_path / "b.eval", log(TWO[:1], eval_id="3", created="2025-07-01", status="error"))
    got = read(tmp_path)
    assert len(scored(got)) == 2
    assert codes(got)["older_run"] == 1


def test_two_halves_of_a_run_are_both_read(tmp_path: Path) -> None:
    put(tmp_path / "a.eval", log(TWO[:1], eval_id="2", results=None))
    put(tmp_path / "b.eval", log(TWO[1:], eval_id="3", results=None))
    assert scored(read(tmp_path)) == [("1", "accuracy", 1.0), ("2", "accuracy", 0.0)]


def test_arguments_that_differ_are_settings(tmp_path: Path) -> None:
    for name, cot in (("a", True), ("b", False)):
        args = {"fewshot": 3, "cot": cot, "same": 1}
        put(tmp_path / f"{name}.eval", log(TWO, eval_id=name, task_args=args))
    got = read(tmp_path)
    assert set(got.samples["variant"]) == {"cot=true", "cot=false"}
    hot = log(TWO, eval_id="c", task_args={"cot": True}, plan={"config": {"temperature": 1}})
    put(tmp_path / "c.eval", hot)
    found = set(read(tmp_path).samples["variant"].drop_nulls())
    assert "cot=true, temperature=1" in found


@pytest.mark.parametrize(
    ("name", "args", "model", "step"),
    [
        ("openai/gpt-4o", {}, "openai/gpt-4o", None),
        ("ollama/qwen2.5:0.5b", {}, "ollama/qwen2.5:0.5b", None),
        ("vllm/org/m-1b", {"revision": "main"}, "org/m-1b", None),
        ("hf/org/m-1b", {"revision": "step1000"}, "org/m-1b", 1000.0),
        ("hf/org/m-1b", {"revision": "v2"}, "org/m-1b@v2", None),
        ("hf/local", {"model_path": "/runs/m-1b/"}, "m-1b", None),
    ],
)
def test_names_of_models(
    tmp_path: Path, name: str, args: Row, model: str, step: float | None
) -> None:
    got = read(put(tmp_path / "a.json", log(TWO, name, model_args=args)), need_scale=False)
    assert got.samples.select("model", "step").unique().rows() == [(model, step)]


# ---------------------------------------------------------------- bad input


def broken_archives() -> dict[str, bytes]:
    whole = as_eval(log(TWO))
    flipped = bytearray(whole)
    at = whole.index(b"samples/1_epoch_1.json") + 60
    flipped[at] ^= 0xFF
    bomb = packed([("header.json", b" " * (archive.MAX_MEMBER + 1))])
    twice = packed([("header.json", json.dumps(log(None)).encode()), ("samples/1.json", b"{}")], 0)
    second = twice.rindex(b"PK\x01\x02") + 42
    twice = twice[:second] + struct.pack("<I", 0) + twice[second + 4 :]
    deep = b"[" * 200_000 + b"]" * 200_000
    head = json.dumps(log(None)).encode()
    return {
        "empty": b"",
        "text": b"no archive at all",
        "cut": whole[: len(whole) // 2],
        "no directory": whole[:-30],
        "flipped": bytes(flipped),
        "bomb": bomb,
        "overlap": twice,
        "other": packed([("readme.txt", b"hello")]),
        "method": packed([("header.json", b"{}")], 97),
        "deep": packed([("header.json", b'{"eval":' + deep + b"}")]),
        "deep sample": packed([("header.json", head), ("samples/1_epoch_1.json", deep)]),
        "no eval": packed([("header.json", b'{"version": 2}')]),
    }


@pytest.mark.parametrize("kind", broken_archives())
def test_broken_archives_are_refused_and_left_out(tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad.eval"
    bad.write_bytes(broken_archives()[kind])
    with pytest.raises(UnmirageError, match=r"bad\.eval") as e:
        read(bad)
    assert isinstance(e.value, FileProblem | ValueProblem)
    put(tmp_path / "good.eval", log(TWO, eval_id="good", task="other"))
    got = read(tmp_path, skip_bad=True)
    assert len(got.samples.filter(pl.col("task") == "other")) == 4
    assert {"bad_log", "bad_rows"} & set(codes(got))


def test_a_bomb_of_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 10_000)
    monkeypatch.setattr(archive, "MAX_RATIO", 1)
    rows = [sample(i, "C", pad=" " * 5000) for i in range(20)]
    with pytest.raises(ValueProblem, match="too large"):
        read(put(tmp_path / "a.eval", log(rows)))


def test_an_encrypted_member_is_told(tmp_path: Path) -> None:
    raw = bytearray(packed([("header.json", b"{}")]))
    for at in (raw.index(b"PK\x03\x04") + 6, raw.index(b"PK\x01\x02") + 8):
        raw[at] |= 1
    (tmp_path / "a.eval").write_bytes(bytes(raw))
    with pytest.raises(FileProblem, match="encrypted"):
        read(tmp_path / "a.eval")


def test_names_of_members_lead_nowhere(tmp_path: Path) -> None:
    """Items may be named after paths; no file is written."""
    rows = [sample("../../evil", "C"), sample("/etc/x", "I", "5"), sample("..\\w", "C")]
    inner = tmp_path / "in"
    got = read(put(inner / "a.eval", log(rows, results=None)))
    assert {r[0] for r in scored(got)} == {"../../evil", "/etc/x", "..\\w"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.eval", "in"]


@pytest.mark.parametrize("name", ["../../x", "/etc/x.json", "samples/../../x.json", "..\\x"])
def test_members_that_are_no_part_of_a_log_are_left_alone(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "in" / "deep" / "a.eval", log(TWO, results=None))
    before = scored(read(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, '{"a": 1}')
    assert scored(read(path)) == before
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.eval", "deep", "in"]


def test_a_bad_sample_is_told_with_its_place(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", log([TWO[0], {"id": None, "epoch": 1}, TWO[1]]))
    with pytest.raises(ValueProblem, match="sample 2") as e:
        read(path)
    assert "a.json" in str(e.value)
    assert "skip_bad" in str(e.value)
    got = read(path, skip_bad=True)
    assert len(scored(got)) == 2
    assert codes(got)["bad_rows"] == 1


def test_a_truncated_json_log(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", log(TWO))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileProblem, match="cut short"):
        read(path)


def test_other_json_is_not_taken_for_a_log(tmp_path: Path) -> None:
    for text in ('{"eval": 1, "status": "x"}', '[{"eval": {}, "run_id": ""}]', '{"a": {"b": 1}}'):
        path = tmp_path / "a.json"
        path.write_text(text)
        assert not is_log(Source(path, str(path), "json"))


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


def only_our_errors(path: Path) -> None:
    for skip_bad in (False, True):
        with contextlib.suppress(UnmirageError):
            read(path, need_scale=False, skip_bad=skip_bad)


@FEW
@given(st.sampled_from([*sorted(TWO[0]), "choices", "error"]), JSONS)
def test_any_value_in_a_sample_is_read_or_refused(key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        only_our_errors(put(Path(name) / "a.eval", log([TWO[0] | {key: value}, TWO[1]])))


@FEW
@given(st.sampled_from([*log(None), *log(None)["eval"], "reductions"]), JSONS)
def test_any_value_in_the_header_is_read_or_refused(key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        for samples in (TWO, []):
            only_our_errors(put(Path(name) / "a.json", log(samples, **{key: value})))


@FEW
@given(JSONS, JSONS)
def test_any_value_in_the_results_is_read_or_refused(one: Any, other: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        stated = results() | {"completed_samples": one}
        stated["scores"].append({"name": "x", "metrics": {"accuracy": other, "more": one}})
        reduced = [{"scorer": "match", "samples": [{"sample_id": 1, "value": other}, one]}]
        only_our_errors(put(Path(name) / "a.json", log([], results=stated, reductions=reduced)))


@real
@FEW
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans(), st.integers(0, 3))
def test_flipped_bytes_of_genuine_files(at: int, byte: int, cut: bool, which: int) -> None:
    paths = [*sorted(REAL.glob("*.eval"))[:2], *sorted(REAL.glob("log_*.json"))]
    raw = bytearray(paths[which].read_bytes())
    raw[at % len(raw)] = byte
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / paths[which].name
        path.write_bytes(bytes(raw[: at % len(raw)] if cut else raw))
        only_our_errors(path)


# ---------------------------------------------------------------- genuine files


@real
def test_the_genuine_archives() -> None:
    got = read([REAL / "mmlu-summary-choices.eval"], need_scale=False)
    with zipfile.ZipFile(REAL / "mmlu-summary-choices.eval") as z:
        raw = json.loads(z.read("samples/1_epoch_1.json"))
    row = answers(got).row(0, named=True)
    assert (row["model"], row["task"], row["item"]) == (
        "openai/gpt-4o",
        "inspect_evals/mmlu_0_shot",
        "1",
    )
    assert row["output"] == raw["scores"]["choice"]["answer"] == "C"
    assert row["targets"] == ["A"]
    assert row["choices"] == raw["choices"]
    assert row["target_index"] == 0
    assert row["prompt"] == raw["input"]
    assert scored(got, "chance") == [("1", "accuracy", 0.0, 0.25)]


@real
def test_the_genuine_json_logs() -> None:
    got = read(REAL / "data_arc_qwen.json")
    assert scored(got) == [("1", "accuracy", 1.0), ("2", "accuracy", 0.0), ("3", "accuracy", 0.0)]
    assert answers(got).select("output", "target_index").rows() == [("A", 0), ("D", 1), ("A", 3)]
    assert set(got.samples["params"]) == {5e8}
    med = read(REAL / "data_pubmedqa_gpt4o_mini.json", need_scale=False)
    assert [r[:3] for r in scored(med)] == [
        ("12377809", "accuracy", 1.0),
        ("26163474", "accuracy", 1.0),
    ]


@real
def test_a_genuine_log_that_was_cut_down_says_so() -> None:
    got = read(REAL / "data_cyse2_vuln_exploit_challenges.json", need_scale=False)
    assert scored(got) == [("1", "accuracy", 0.65)]
    assert codes(got)["samples_missing"] == 2339
    assert codes(got)["stated_otherwise"] == 1
    assert codes(got)["own_scoring"] == 1


@real
def test_genuine_logs_of_runs_that_were_cancelled() -> None:
    got = read(REAL / "2025-05-12T20-28-13-04-00_no-samples.json", need_scale=False)
    assert scored(got) == [("1", "accuracy", 1.0), ("2", "accuracy", 1.0), ("3", "accuracy", 0.0)]
    assert codes(got)["run_not_finished"] == 1
    got = read(REAL / "2025-05-12T20-28-13-04-00_popularity.json", need_scale=False)
    assert answers(got)["output"].to_list() == ["Yes", "No", "No"]
    assert answers(got)["targets"].to_list() == [[" Yes"], [" No"], [" Yes"]]


@real
def test_the_genuine_pair_of_one_run_is_read_once() -> None:
    got = read([REAL / "log_formats.eval", REAL / "log_formats.json"], need_scale=False)
    assert scored(got) == [("1", "accuracy", 0.0)]
    assert answers(got)["output"].to_list() == ["No"]
    assert codes(got)["same_run"] == 1


# ---------------------------------------------------------------- audits


def test_a_folder_of_six_models_is_audited_as_it_is(tmp_path: Path) -> None:
    four = {"choices": ["w", "x", "y", "z"], "target": "B"}
    for rung, size in enumerate((70, 160, 410, 1000, 2800, 6900)):
        right = 10 * (rung + 1)
        rows = [sample(i, "CI"[i >= right], "BA"[i >= right], **four) for i in range(80)]
        whole = log(rows, f"hf/org/pythia-{size}m", results=results(right / 80, 80))
        put(tmp_path / f"{size}.{'json' if rung % 2 else 'eval'}", whole)
    audit = unmirage.audit(read(tmp_path), draws=100)
    found = {(j.key.task, j.key.metric): j for j in audit.judgements}
    curve = found["sums", "accuracy"].curve
    assert curve.score.tolist() == pytest.approx([(r + 1) / 8 for r in range(6)])
    assert curve.count.tolist() == [80.0] * 6
    assert found["sums", "exact_match"].curve.score.tolist() == pytest.approx(curve.score.tolist())
    # the choices have no log-probabilities: nothing that needs them is made up
    made_up = {"brier", "prob_correct", "logprob_correct", "margin"}
    assert not {metric for _, metric in found} & made_up
