"""Outputs of BIG-Bench Hard: a genuine file, and ones written here alike."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unmirage
from tests.records.mutate import edited
from unmirage.errors import FileProblem, UnmirageError, ValueProblem
from unmirage.metrics import get
from unmirage.records import read

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "bbh"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the genuine outputs are not there: {REAL}")


def written(folder: Path, name: str, outputs: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps({"canary": "none", "outputs": outputs}))
    return path


def answered(i: int, prediction: str, target: str) -> dict[str, str]:
    return {"input": f"Q: {i}?\nA:", "prediction": prediction, "target": target}


@real
def test_genuine_values() -> None:
    path = REAL / "boolean_expressions_direct.json"
    outputs = json.loads(path.read_text())["outputs"]
    right = sum(o["prediction"] == o["target"] for o in outputs)
    found = read(path, need_scale=False)
    assert found.samples.height == len(outputs) == 250
    assert found.samples["item"].n_unique() == 250
    row = found.samples.row(0, named=True)
    assert (row["task"], row["format"], row["filter"]) == ("boolean_expressions", "direct", None)
    assert (row["output"], row["targets"]) == ("False", ["False"])
    assert get("exact_match").score(found.samples).sum() == right


def test_chains_of_thought_end_in_the_answer(tmp_path: Path) -> None:
    said = "First the answer is 3. No. So the answer is (B)."
    outputs = [answered(0, said, "(B)"), answered(1, "no end", "(A)")]
    written(tmp_path / "lm-70m-outputs", "task_cot.json", outputs)
    found = read(tmp_path)
    rows = found.samples.sort("row")
    assert rows["output"].to_list() == ["(B)", "no end"]
    assert rows["filter"].unique().to_list() == ["after 'the answer is'"]
    row = rows.row(0, named=True)
    assert (row["model"], row["params"], row["format"]) == ("lm-70m", 7e7, "cot")
    assert {"answer_taken", "model_from_name"} <= {n.code for n in found.notes}


def test_bad_items(tmp_path: Path) -> None:
    outputs = [answered(0, "a", "a"), {"input": "x"}, answered(0, "b", "a")]
    path = written(tmp_path / "lm-70m", "task.json", outputs)
    with pytest.raises(ValueProblem, match=r"outputs\[1\]"):
        read(path)
    found = read(path, skip_bad=True)
    assert found.samples["row"].to_list() == [1, 3]
    assert found.samples["item"].n_unique() == 2
    path.write_text(path.read_text()[:-3])
    with pytest.raises(FileProblem, match="not JSON"):
        read(tmp_path)


RAW = json.dumps({"canary": "x", "outputs": [answered(i, "a", "a") for i in range(3)]}).encode()
odd = st.sampled_from([b"1e999", b"null", b'"x"', b"[" * 5000, b"{}", b"\xff", b"\\ud800"])
changes = st.tuples(st.integers(0, len(RAW)), st.integers(0, 12), odd)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, min_size=1, max_size=3), st.booleans())
def test_damaged_files_raise_nothing_else(edits: list[Any], skip_bad: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "m-70m.json"
        path.write_bytes(edited(RAW, edits))
        with contextlib.suppress(UnmirageError):
            read(path, skip_bad=skip_bad)


def test_audit_of_a_folder(tmp_path: Path) -> None:
    right = (2, 3, 4, 10, 25, 44)
    for size, k in zip((70, 160, 410, 1000, 2800, 6900), right, strict=True):
        outputs = [answered(i, "yes" if i < k else "no", "yes") for i in range(50)]
        written(tmp_path / f"lm-{size}m", "riddles_direct.json", outputs)
    audit = unmirage.audit(read(tmp_path))
    (exact,) = (j for j in audit.judgements if j.key.metric == "exact_match")
    assert exact.key.task == "riddles"
    assert exact.curve.score.tolist() == [k / 50 for k in right]
