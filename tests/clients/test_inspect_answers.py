"""What Inspect itself writes here and now, with a model that answers from a list.

The package's own mock model counts tokens with a file from the network unless each answer states
its usage, as here.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from tests.clients.conftest import run
from unmirage.records import read

SCRIPT = """
import sys
from inspect_ai import Epochs, Task, eval, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, choice, exact, mean, scorer
from inspect_ai.solver import generate, multiple_choice

def answers(*texts):
    outputs = [ModelOutput.from_content("mockllm/model", t) for t in texts]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/pythia-70m", custom_outputs=outputs)

@scorer(metrics=[mean()])
def half():
    async def score(state, target):
        return Score.unscored() if state.sample_id == 1 else Score(value=0.5)
    return score

@task
def sums(fewshot: int = 2):
    asked = [Sample(input="1+1?", target="2"), Sample(input="2+2?", target=["4", "four"])]
    return Task(asked, solver=generate(), scorer=[exact(), half()], epochs=Epochs(2))

@task
def pick():
    asked = [
        Sample(input="one", choices=["x", "y", "z"], target="B"),
        Sample(input="two", choices=["x", "y", "z"], target=["A", "C"]),
        Sample(input="three", choices=["x", "y", "z"], target="A"),
    ]
    return Task(asked, solver=multiple_choice(multiple_correct=True), scorer=choice())

for form in ("eval", "json"):
    same = {"log_dir": sys.argv[1] + "/" + form, "log_format": form, "display": "none"}
    eval(sums(), model=answers("2", "four", "3", "4"), max_connections=1, **same)
    given = answers("ANSWER: B", "ANSWER: A,C", "ANSWER: C")
    eval(pick(), model=given, max_connections=1, **same)
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, clients: None) -> Path:
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "answers.py").write_text(SCRIPT)
    run(str(folder / "answers.py"), folder / "logs")
    return folder / "logs"


def test_both_forms_hold_the_same(logs: Path) -> None:
    both = [read(logs / form).samples.drop("file", "row") for form in ("eval", "json")]
    order = ["task", "item", "repeat", "filter", "metric"]
    assert both[0].sort(order).equals(both[1].sort(order))


def test_archives_are_packed_with_zstandard(logs: Path) -> None:
    for path in (logs / "eval").glob("*.eval"):
        assert {m.compress_type for m in zipfile.ZipFile(path).infolist()} <= {8, 93}


@pytest.mark.parametrize("form", ["eval", "json"])
def test_scores_are_those_that_the_logs_state(logs: Path, form: str) -> None:
    got = read(logs / form)
    assert "stated_otherwise" not in {n.code for n in got.notes}
    means = got.samples.group_by("task", "filter", "metric").agg(pl.col("score").mean())
    found = {tuple(r[:3]): r[3] for r in means.drop_nulls("metric").rows()}
    assert found == {
        ("sums", "exact", "accuracy"): 0.75,
        ("sums", "half", "half"): 0.5,
        ("pick", None, "accuracy"): pytest.approx(2 / 3),
    }
    unscored = [n.count for n in got.notes if n.code == "unscored"]
    assert unscored == [2]
    picked = got.samples.filter(pl.col("task") == "pick", pl.col("metric").is_null()).sort("item")
    assert picked["output"].to_list() == ["B", "A, C", "C"]
    assert picked["targets"].to_list() == [["B"], ["A, C"], ["A"]]
