"""The same made-up family of models in every format, each written as its tool writes it.

``write(name, folder)`` makes one folder of logs of six models, ``one(name, folder, size)`` those of
one model. What the models know grows smoothly with the logarithm of their size.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tests.records import test_bbh as bbh
from tests.records import test_bigbench as bigbench
from tests.records import test_completions as completions
from tests.records import test_every_eval_ever as every
from tests.records import test_inspect as inspect
from tests.records import test_lighteval as lighteval
from tests.records import test_llm_foundry as foundry
from tests.records import test_lm_eval as lm_eval
from tests.records import test_lm_eval_v0 as lm_eval_v0

SIZES = (70, 160, 410, 1000, 2800, 6900)
#: files that all models share
SHARED = {"eval_metadata.csv", "task.json"}
Writer = Callable[[Path, int, int, int], None]  # folder, millions of params, right answers, items


def model(size: int) -> str:
    return f"org/tiny-{size}m"


def _lm_eval(root: Path, size: int, right: int, items: int) -> None:
    rows = []
    for i in range(items):
        logs = [-3.0, -3.5, -4.0, -4.5]
        top = max(v for j, v in enumerate(logs) if j != i % 4)
        logs[i % 4] = top + 0.05 * (right - i) - 0.01
        rows.append(lm_eval.chosen(i, i % 4, logs, float(logs[i % 4] == max(logs))))
    said = lm_eval.results(model(size), size * 1_000_000)
    for listed in (said["results"], said["group_subtasks"]):
        for other in ("wiki", "group", "math", "cloze"):
            listed.pop(other, None)
    lm_eval.put(root, model(size), {"quiz": rows}, said)


def _lm_eval_v0(root: Path, size: int, right: int, items: int) -> None:
    args = f"pretrained={model(size)}"
    results = {"old_quiz": lm_eval_v0.share(right, items)}
    lm_eval_v0.written(root, f"tiny-{size}m.json", results, model_args=args, num_fewshot=0)


def _foundry(root: Path, size: int, right: int, items: int) -> None:
    path = root / "eval_metadata.csv"
    if not path.exists():
        foundry.described(root, f"foundry_quiz,knowledge,multiple choice,10,{items},25,,")
    name = f"tiny-{size}m"
    foundry.evaluated(root, f"evaluation_{name}_heavy.json", {"foundry_quiz": right / items}, name)


def _bigbench(root: Path, size: int, right: int, items: int) -> None:
    if not (root / "big_quiz" / "task.json").exists():
        bigbench.described(root / "big_quiz", bigbench.options(items), "big_quiz")
    scores = [bigbench.graded(right / items, about="big_quiz")]
    bigbench.written(root, scores, bigbench.model(f"tiny-{size}m", size * 1e6), task="big_quiz")


def _bbh(root: Path, size: int, right: int, items: int) -> None:
    outputs = [bbh.answered(i, "yes" if i < right else "no", "yes") for i in range(items)]
    bbh.written(root / f"tiny-{size}m", "riddles_direct.json", outputs)


def _inspect(root: Path, size: int, right: int, items: int) -> None:
    made = [inspect.sample(i, "CI"[i >= right], "45"[i >= right]) for i in range(items)]
    stated = inspect.results(right / items, items)
    whole = inspect.log(made, f"hf/{model(size)}", eval_id=f"e{size}", results=stated)
    inspect.put(root / f"{size}.{'eval' if size % 3 else 'json'}", whole)


def _helm(root: Path, size: int, right: int, items: int) -> None:
    adapter = {"method": "generation", "model": model(size), "max_train_instances": 0}
    name = {"name": "exact_match", "split": "test"}
    states, scores = [], []
    for i in range(items):
        reference = {"output": {"text": f"{i}"}, "tags": ["correct"]}
        instance = {"input": {"text": f"q{i}"}, "references": [reference]}
        text = f"{i if i < right else i + 1}"
        states.append(
            {
                "instance": instance | {"split": "test", "id": f"id{i}"},
                "train_trial_index": 0,
                "num_train_instances": 0,
                "request": {"model": model(size), "prompt": f"q{i}"},
                "result": {"success": True, "completions": [{"text": text, "tokens": []}]},
            }
        )
        stat = {"name": name, "count": 1, "mean": float(i < right)}
        scores.append({"instance_id": f"id{i}", "train_trial_index": 0, "stats": [stat]})
    folder = root / f"helm_quiz-model=org_tiny-{size}m"
    folder.mkdir(parents=True)
    spec = {"name": f"helm_quiz:model={model(size)}", "adapter_spec": adapter}
    held: dict[str, Any] = {
        "run_spec": spec,
        "scenario_state": {"adapter_spec": adapter, "request_states": states},
        "per_instance_stats": scores,
        "stats": [{"name": name, "count": 1, "mean": right / items}],
    }
    for stem, content in held.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))


def _lighteval(root: Path, size: int, right: int, items: int) -> None:
    said = lighteval.results(model(size))
    said["results"] = {lighteval.MATH: said["results"][lighteval.MATH]}
    rows = [
        lighteval.math_(i, f"{i if i < right else i + 1}", f"{i}", float(i < right))
        for i in range(items)
    ]
    schema = lighteval.SCHEMAS[SIZES.index(size) % 3]
    lighteval.put(root, model(size), {lighteval.MATH: rows}, schema, said=said)


def _every(root: Path, size: int, right: int, items: int) -> None:
    name, task = model(size), "every_quiz"
    rows = [
        every.line(name, task, i, f"{i if i < right else i + 1}", f"{i}", float(i < right))
        for i in range(items)
    ]
    more = {"num_parameters": f"{size}e6"}
    info = {"name": name, "id": name, "additional_details": more}
    results = [every.result(task, "exact_match", right / items)]
    every.put(root, f"m{size}", every.record(name, results, items, model_info=info), rows)


def _completions(root: Path, size: int, right: int, items: int) -> None:
    rows = []
    for i in range(items):
        body = completions.completion(f"{i if i < right else i + 1}") | {"model": model(size)}
        told = {"target": f"{i}", "task": "sums_of_batches"}
        rows.append(completions.answered(f"q{i}", body, metadata=told))
    completions.put(root, rows, f"batch_{size}_output.jsonl")


def _csv(root: Path, size: int, right: int, items: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    row = {"model": model(size), "task": "listed", "accuracy": right / items, "n_samples": items}
    pl.DataFrame([row]).write_csv(root / f"scores_{size}.csv")


#: by the names that :data:`unmirage.records.formats.FORMATS` gives them
WRITERS: dict[str, Writer] = {
    "lm-evaluation-harness 0.4": _lm_eval,
    "lm-evaluation-harness 0.3": _lm_eval_v0,
    "llm-foundry": _foundry,
    "BIG-bench": _bigbench,
    "BIG-Bench Hard outputs": _bbh,
    "Inspect": _inspect,
    "HELM": _helm,
    "lighteval": _lighteval,
    "every-eval-ever": _every,
    "completions": _completions,
}
TABLES: dict[str, Writer] = {"csv": _csv}


def one(name: str, root: Path, size: int, items: int = 40) -> list[Path]:
    """The logs of one model; returns its files, without those that all models share."""
    before = set(root.rglob("*"))
    right = items * (SIZES.index(size) + 1) // 8
    (WRITERS | TABLES)[name](root, size, right, items)
    shared = {"eval_metadata.csv", "task.json"}
    return [
        p for p in sorted(set(root.rglob("*")) - before) if p.is_file() and p.name not in shared
    ]


def write(name: str, root: Path, items: int = 40) -> Path:
    """The logs of all models."""
    for size in SIZES:
        one(name, root, size, items)
    return root
