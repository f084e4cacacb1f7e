"""What a reading found."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console

from unmirage.overview import overview
from unmirage.records import read
from unmirage.report.overview import show, to_json


def many() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for m, name in enumerate(["pythia-70m", "pythia-410m", "pythia-2.8b", "\x1b[31mevil-3b"]):
        for task in ("quiz", "other"):
            for i in range(12):
                logp = rng.normal(-3, 1, 4)
                logp[1] = -3 + 0.5 * m + rng.normal(0, 0.1)
                same = {"model": name, "task": task, "shots": 5, "item": f"i{i}"}
                right = float(logp.argmax() == 1)
                listed = [float(x) for x in np.minimum(logp, 0)]
                rows.append({**same, "choice_logprobs": listed, "target_index": 1})
                rows.append({**same, "metric": "acc", "score": right})
    return pl.DataFrame(rows, infer_schema_length=None)


def test_models_tasks_metrics() -> None:
    found = overview(read(many()))
    assert [(m.name, m.params, m.source) for m in found.models] == [
        ("pythia-70m", 70426624, "bundled table"),
        ("pythia-410m", 405334016, "bundled table"),
        ("pythia-2.8b", 2775208960, "bundled table"),
        ("\x1b[31mevil-3b", 3e9, "name"),
    ]
    quiz = next(t for t in found.tasks if t.name == "quiz")
    assert (quiz.models, quiz.items, quiz.shots, quiz.reported) == (4, 12, (5,), ("acc",))
    assert {"accuracy", "brier", "prob_choice_norm"} <= set(quiz.possible)
    assert "exact_match" not in quiz.possible
    assert len(found.compared) == 8
    assert not any(c.differ for c in found.compared)
    assert [c.key.task for c in found.chains] == ["other", "quiz"]
    assert found.warnings == sum(n.level == "warning" for n in found.notes) > 0


def test_pass_at_k_needs_k_answers() -> None:
    rows = [
        {
            "model": "gpt2",
            "task": task,
            "item": f"i{i}",
            "repeat": r,
            "output": "a",
            "targets": ["a"],
        }
        for task, repeats in (("one", 1), ("many", 12))
        for i in range(2)
        for r in range(repeats)
    ]
    found = {t.name: t for t in overview(read(pl.DataFrame(rows))).tasks}
    offered = {
        name: [m for m in task.possible if m.startswith("pass_at")] for name, task in found.items()
    }
    assert offered == {"one": ["pass_at_1"], "many": ["pass_at_1", "pass_at_10"]}


def test_the_terminal_shows_it_harmlessly() -> None:
    out = io.StringIO()
    show(overview(read(many())), Console(file=out, width=100), every=True)
    shown = out.getvalue()
    assert "\x1b" not in shown
    for words in (
        *("Models: 4", "Tasks: 2", "70.4M", "bundled table", "Recomputed against reported"),
        *("log p of the right choice", "p among the choices", "! "),
    ):
        assert words in shown, words


def test_json_is_plain_and_described() -> None:
    view = json.loads(to_json(overview(read(many()))))
    document = (Path(__file__).parents[2] / "docs" / "read.md").read_text("utf-8")
    assert view["schema"] == "unmirage.read/1"
    for key, value in view.items():
        assert f"`{key}`" in document
        for part in value[0] if isinstance(value, list) else ():
            assert f"`{part}`" in document, (key, part)
    assert view["chains"][0]["steps"][0]["name"] == "logprob_choice"
    assert "\x1b" not in to_json(overview(read(many())))


def test_a_table_without_items_or_sizes() -> None:
    got = read(pl.DataFrame({"model": ["mystery"], "acc": [0.5]}), need_scale=False)
    found = overview(got)
    assert found.models[0].source is None
    assert found.chains == ()
    assert found.warnings == 1
    assert read(pl.DataFrame({"acc": [0.5]}), need_scale=False).notes[-1].code is not None


def test_items_without_sizes_have_no_chain() -> None:
    frame = many().with_columns(model=pl.col("model").str.replace_all("[0-9]", "x"))
    found = overview(read(frame, need_scale=False))
    assert found.chains == ()
    assert "no_chain" in {n.code for n in found.notes}
