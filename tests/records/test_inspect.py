"""Logs of Inspect: written here in the layout of the tool, and the genuine ones."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from unmirage import metrics
from unmirage.errors import FileProblem, UnmirageError
from unmirage.records import read
from unmirage.records.formats.inspect import archive
from unmirage.records.formats.inspect.rows import grade

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "inspect"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine logs are not there: {REAL}")

# ---------------------------------------------------------------- logs as Inspect writes them


def head(model: str = "lab/tiny-1m", task: str = "sums", **more: Any) -> dict[str, Any]:
    told = {"eval_id": "e", "run_id": "r", "task": task, "task_id": f"{task} {model}"}
    told |= {"model": model, "created": "2026-01-01T00:00:00+00:00", "task_args": {}}
    return {
        "version": 2,
        "status": "success",
        "eval": told | {"config": {}, "task_version": 0} | more,
        "results": {"scores": [scorer("match", 0.5)], "completed_samples": 4},
    }


def scorer(name: str, accuracy: Any, stderr: Any = 0.1) -> dict[str, Any]:
    values = {"accuracy": {"value": accuracy}, "stderr": {"value": stderr}}
    return {"name": name, "scorer": name, "metrics": values}


def sample(number: Any, value: Any, output: str = "7", epoch: int = 1, **more: Any) -> Any:
    message = {"role": "assistant", "content": output}
    return {
        "id": number,
        "epoch": epoch,
        "input": f"what is {number}?",
        "target": "7",
        "output": {"model": "m", "choices": [{"message": message}]},
        "scores": {"match": {"value": value, "answer": output}},
        "events": [{"event": "model", "nested": {"deep": [1, 2]}}],
    } | more


def as_json(path: Path, top: Mapping[str, Any], samples: Sequence[Any] | None) -> Path:
    path.write_text(json.dumps({**top, "samples": samples} if samples is not None else top))
    return path


def as_eval(path: Path, top: Any, samples: Sequence[Any], *, packed: bool = False) -> Path:
    members = {
        f"samples/{s['id']}_epoch_{s['epoch']}.json": json.dumps(s).encode() for s in samples
    }
    members["summaries.json"] = b"[]"
    members["header.json"] = json.dumps(top).encode()
    if packed:
        path.write_bytes(zstandard_zip(members))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, raw in members.items():
            made.writestr(name, raw)
    return path


def zstandard_zip(members: Mapping[str, bytes]) -> bytes:
    """A zip with method 93, byte by byte after the published layout of the format."""
    body, directory = b"", b""
    for name, raw in members.items():
        data, label = zstandard.compress(raw), name.encode()
        sizes = struct.pack("<LLL", zlib.crc32(raw), len(data), len(raw))
        common = struct.pack("<HHHHH", 63, 0, 93, 0, 33) + sizes + struct.pack("<HH", len(label), 0)
        rest = struct.pack("<HHHLL", 0, 0, 0, 0, len(body))
        directory += b"PK\x01\x02" + struct.pack("<H", 63) + common + rest + label
        body += b"PK\x03\x04" + common + label + data
    counts = struct.pack("<HHHHLLH", 0, 0, *[len(members)] * 2, len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + counts


def answers(samples: pl.DataFrame) -> pl.DataFrame:
    return samples.filter(pl.col("metric").is_null())


def reported(samples: pl.DataFrame, name: str) -> list[float]:
    return samples.filter(pl.col("metric") == name).sort("item", "repeat")["score"].to_list()


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("kind", ["json", "eval", "zstandard"])
def test_samples_are_read_whatever_the_file(tmp_path: Path, kind: str) -> None:
    made = [sample(1, "C"), sample(2, "I", "8"), sample(10, "P", ""), sample("x", True)]
    if kind == "json":
        as_json(tmp_path / "log.json", head(), made)
    else:
        as_eval(tmp_path / "log.eval", head(), made, packed=kind == "zstandard")
    found = read(tmp_path).samples
    rows = answers(found)
    assert rows["item"].to_list() == ["1", "2", "10", "x"]
    assert rows["output"].to_list() == ["7", "8", "", "7"]
    assert rows["targets"].to_list() == [["7"]] * 4
    assert rows["prompt"][0] == "what is 1?"
    assert rows["repeat"].null_count() == 4
    assert set(rows["model"]) == {"lab/tiny-1m"}
    assert set(rows["params"]) == {1e6}
    assert reported(found, "match") == [1.0, 0.5, 0.0, 1.0]
    assert found.filter(pl.col("metric") == "match")["higher_is_better"].all()
    assert metrics.score("exact_match", rows).tolist() == [1, 0, 0, 1]


def test_epochs_are_repeats(tmp_path: Path) -> None:
    made = [sample(i, "C", epoch=e) for i in (1, 2) for e in (1, 2, 3)]
    as_eval(tmp_path / "log.eval", head(config={"epochs": 3}), made)
    rows = answers(read(tmp_path).samples)
    assert rows.group_by("item").agg(pl.col("repeat").sort())["repeat"].to_list() == [[1, 2, 3]] * 2


def test_letters_name_the_choice_and_no_log_probability_is_made_up(tmp_path: Path) -> None:
    made = [
        sample(i, "C", "ANSWER: B\n\nsince it is so", choices=["one", "two"], target="B")
        | {"scores": {"choice": {"value": "C", "answer": "B"}}}
        for i in (1, 2)
    ]
    as_json(tmp_path / "log.json", head(), made)
    rows = answers(read(tmp_path).samples)
    assert rows["target_index"].to_list() == [1, 1]
    assert rows["choices"].to_list() == [["one", "two"]] * 2
    assert rows["output"].to_list() == ["B", "B"]
    assert set(rows["filter"]) == {"answer read by choice"}
    assert rows["choice_logprobs"].null_count() == 2
    with pytest.raises(UnmirageError, match="choice_logprobs"):
        metrics.score("brier", rows)


def test_what_is_not_scored_is_counted_and_never_0(tmp_path: Path) -> None:
    made = [sample(1, float("nan")), sample(2, None), sample(3, "great"), sample(4, "C")]
    made += [sample(5, "I") | {"error": {"message": "it broke"}}]
    as_eval(tmp_path / "log.eval", head(), made)
    found = read(tmp_path)
    assert reported(found.samples, "match") == [1.0]
    assert answers(found.samples)["item"].to_list() == ["1", "2", "3", "4"]
    told = {n.message.split(":")[0]: n.count for n in found.notes if n.level == "warning"}
    assert told["scores that are NaN or empty"] == 2
    assert told["scores that are neither a grade nor a number left out"] == 1
    assert told["samples that ended in an error left out"] == 1


def test_several_scorers_and_scores_with_parts_are_metrics_of_their_own(tmp_path: Path) -> None:
    given_scores = {
        "match": {"value": "I", "answer": "7"},
        "judge": {"value": {"tone": 0.25, "sense": 1}},
    }
    as_json(tmp_path / "log.json", head(), [sample(1, "C") | {"scores": given_scores}])
    found = read(tmp_path).samples
    assert reported(found, "match") == [0.0]
    assert (reported(found, "judge/tone"), reported(found, "judge/sense")) == ([0.25], [1.0])


def test_texts_are_found_in_messages_and_attachments(tmp_path: Path) -> None:
    one = sample(1, "C", "attachment://abc") | {"attachments": {"abc": "long answer"}}
    one["scores"] = {"match": {"value": "C"}}
    one["input"] = [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "what?"}, {"type": "image"}]},
    ]
    as_json(tmp_path / "log.json", head(), [one])
    rows = answers(read(tmp_path).samples)
    assert rows["prompt"].to_list() == ["be short\nwhat?"]
    assert rows["output"].to_list() == ["long answer"]


def test_without_samples_the_results_are_scores(tmp_path: Path) -> None:
    top = head(config={"epochs": 2})
    results = {"completed_samples": 200, "scores": [scorer("match", 0.25, 0.0306)]}
    results["scores"].append(scorer("f1", float("nan")))
    as_json(tmp_path / "log.json", top | {"results": results}, None)
    found = read(tmp_path)
    one = found.aggregates.select("metric", "score", "stderr", "n_samples", "higher_is_better")
    assert one.rows() == [("match", 0.25, 0.0306, 100.0, True)]
    assert any(n.code == "null_score" and n.count == 1 for n in found.notes)


def test_what_the_log_states_is_held_against_its_samples(tmp_path: Path) -> None:
    made = [sample(1, "C"), sample(2, "I"), sample(3, "C"), sample(4, "C")]
    for name, stated, done, code in (
        ("agrees", 0.75, 4, None),
        ("differs", 0.5, 4, "stated_otherwise"),
        ("part", 0.5, 90, "samples_missing"),
    ):
        results = {"completed_samples": done, "scores": [scorer("match", stated)]}
        path = as_eval(tmp_path / f"{name}.eval", head() | {"results": results}, made)
        told = {n.code for n in read(path).notes} & {"stated_otherwise", "samples_missing"}
        assert told == ({code} if code else set())


def test_settings_keep_runs_apart(tmp_path: Path) -> None:
    for i, args in enumerate(({"fewshot": 5}, {"fewshot": 0, "cot": True})):
        as_json(tmp_path / f"{i}.json", head(task_args=args, task_id=str(i)), [sample(1, "C")])
    rows = answers(read(tmp_path).samples).sort("shots")
    assert rows["shots"].to_list() == [0, 5]
    assert rows["variant"].to_list() == ["cot=True", None]


def test_one_evaluation_in_two_files_and_a_try_before_are_read_once(tmp_path: Path) -> None:
    made = [sample(1, "C"), sample(2, "I")]
    as_json(tmp_path / "a.json", head(), made)
    as_eval(tmp_path / "a.eval", head(), made)
    tried = head(created="2025-01-01T00:00:00+00:00") | {"status": "error"}
    as_eval(tmp_path / "first.eval", tried, made[:1])
    found = read(tmp_path)
    assert answers(found.samples).height == 2
    assert set(found.samples["file"]) == {str(tmp_path / "a.eval")}
    assert next(n.count for n in found.notes if n.code == "same_run") == 2


def test_a_run_that_did_not_end_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(
            "_journal/start.json", json.dumps({k: head()[k] for k in ("version", "eval")})
        )
        made.writestr("samples/1_epoch_1.json", json.dumps(sample(1, "C")))
    found = read(path)
    assert answers(found.samples).height == 1
    assert any(n.code == "status" and "started" in n.message for n in found.notes)


def test_a_family_of_logs_is_audited(tmp_path: Path) -> None:
    for k, size in enumerate((1, 4, 16, 64, 256)):
        made = [sample(i, "C" if i < 20 * k else "I") for i in range(100)]
        as_eval(tmp_path / f"{size}.eval", head(f"lab/tiny-{size}m"), made)
    found = unmirage.audit(read(tmp_path), metric=["match"], draws=100).judgements
    assert [j.curve.score.tolist() for j in found] == [[0.0, 0.2, 0.4, 0.6, 0.8]]


@pytest.mark.parametrize(
    ("value", "worth"),
    [("C", 1.0), ("N", 0.0), ("yes", 1.0), (False, 0.0), ("0.5", 0.5), (3, 3.0), ([1], None)],
)
def test_grades(value: Any, worth: float | None) -> None:
    assert grade(value) == worth


# ---------------------------------------------------------------- what is wrong


def test_damaged_samples_are_told_and_with_skip_bad_left_out(tmp_path: Path) -> None:
    path = as_eval(tmp_path / "log.eval", head(), [sample(1, "C"), sample(2, "I")])
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("samples/3_epoch_1.json", b'{"id": 3, "epo')
    with pytest.raises(FileProblem, match="sample 3") as caught:
        read(path)
    assert caught.value.file == str(path)
    found = read(path, skip_bad=True)
    assert answers(found.samples).height == 2
    assert any(n.code == "bad_rows" and n.count == 1 for n in found.notes)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER", 10_000)
    big = sample(1, "C", "x" * 20_000)
    for packed in (False, True):
        path = as_eval(tmp_path / f"{packed}.eval", head(), [big], packed=packed)
        with pytest.raises(FileProblem, match="unpacks to more than may be read"):
            read(path)


def test_names_of_members_are_never_paths(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with zipfile.ZipFile(inside / "log.eval", "w") as made:
        made.writestr("header.json", json.dumps(head()))
        made.writestr("samples/../../../out_epoch_1.json", json.dumps(sample(1, "C")))
    assert answers(read(inside).samples).height == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"no zip at all", b"\x00" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "log.eval"
    path.write_bytes(raw)
    with pytest.raises(FileProblem, match="is no zip"):
        read(path)


def test_one_damaged_log_in_a_folder_is_left_out_and_told(tmp_path: Path) -> None:
    as_eval(tmp_path / "good.eval", head(), [sample(1, "C")])
    (tmp_path / "bad.eval").write_bytes((tmp_path / "good.eval").read_bytes()[:200])
    found = read(tmp_path)
    assert answers(found.samples).height == 1
    assert any("bad.eval" in (n.file or "") and n.level == "warning" for n in found.notes)
    with pytest.raises(FileProblem):
        read(tmp_path, strict=True)


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_mutated_logs_give_records_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["json", "eval", "zstandard"]))
    made = [sample(1, "C"), sample(2, data.draw(st.sampled_from([1e400, "[" * 3000, {}, [[]]])))]
    path = tmp_path / ("log.json" if kind == "json" else "log.eval")
    if kind == "json":
        as_json(path, head(), made)
    else:
        as_eval(path, head(), made, packed=kind == "zstandard")
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]
    path.write_bytes(bytes(raw))
    with contextlib.suppress(UnmirageError):
        assert read(path, skip_bad=data.draw(st.booleans())).samples.height >= 0


# ---------------------------------------------------------------- genuine logs


@real
def test_genuine_logs() -> None:
    found = read(REAL, need_scale=False)
    rows = answers(found.samples)
    arc = rows.filter(pl.col("task") == "inspect_evals/arc_easy")
    told = json.loads((REAL / "data_arc_qwen.json").read_text())
    assert arc.height == len(told["samples"]) == 3
    assert arc["targets"].to_list() == [[s["target"]] for s in told["samples"]]
    given_answers = [s["scores"]["choice"]["answer"] for s in told["samples"]]
    assert arc["output"].to_list() == given_answers
    theirs = told["results"]["scores"][0]["metrics"]["accuracy"]["value"]
    assert metrics.score("exact_match", arc).mean() == pytest.approx(theirs)
    graded = found.samples.filter(pl.col("metric") == "vul_exploit_scorer")
    assert graded["score"].to_list() == [0.65]
    only = found.aggregates.filter(pl.col("task") == "testtaskname")
    assert only.select("metric", "n_samples").rows() == [("match", 3.0)]
    assert only["score"][0] == pytest.approx(2 / 3)


@real
@pytest.mark.parametrize("name", ["log_formats", "log_read_sample"])
def test_genuine_logs_are_the_same_as_archive_and_as_json(name: str) -> None:
    both = [
        read(REAL / f"{name}.{kind}", need_scale=False).samples.drop("file", "row")
        for kind in ("eval", "json")
    ]
    shared_columns = ["model", "task", "item", "output", "targets", "metric", "score", "prompt"]
    assert both[0].select(shared_columns).equals(both[1].select(shared_columns))


@pytest.mark.parametrize("name", [None, "", 7, ["a"], {"a": 1}])
def test_a_task_id_that_is_no_text(tmp_path: Path, name: Any) -> None:
    for i in (1, 2):
        as_json(tmp_path / f"{i}.json", head(f"lab/tiny-{i}m", task_id=name), [sample(1, "C")])
    assert read(tmp_path).samples["model"].n_unique() == 2
