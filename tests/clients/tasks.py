"""Small tasks of our own making, as lm-evaluation-harness and Inspect take them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

#: some that a small model knows, some that it does not
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Egypt": "Cairo",
    "Peru": "Lima", "Norway": "Oslo", "Bhutan": "Thimphu", "Chad": "N'Djamena", "Fiji": "Suva",
    "Burkina Faso": "Ouagadougou", "Myanmar": "Naypyidaw", "Palau": "Ngerulmud", "Togo": "Lomé",
    "Kiribati": "Tarawa", "Tuvalu": "Funafuti", "Gabon": "Libreville", "Malawi": "Lilongwe",
    "Moldova": "Chişinău", "Nauru": "Yaren",
}  # fmt: skip
CHOICES = 4


def sums(count: int) -> list[dict[str, str]]:
    """Sums of two digits, the first few as examples for the prompt."""
    pairs = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    random.Random(1).shuffle(pairs)
    return [{"question": f"{a} + {b}", "answer": str(a + b)} for a, b in pairs[:count]]


def capitals() -> list[dict[str, Any]]:
    """One right capital among others, in changing places; some in more than ASCII."""
    rng, rows = random.Random(2), []
    for country, right in CAPITALS.items():
        wrong = rng.sample([c for c in CAPITALS.values() if c != right], CHOICES - 1)
        place = rng.randrange(CHOICES)
        options = [*wrong[:place], right, *wrong[place:]]
        rows.append({"country": country, "choices": options, "right": place})
    return rows


def write_lm_eval(folder: Path) -> list[str]:
    """Three tasks, one for each kind of request; returns their names. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("sums", sums(24)), ("capitals", capitals())):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    tasks = [_sums(folder), _capitals(folder), _endings(folder)]
    for task in tasks:
        (folder / f"{task['task']}.yaml").write_text(json.dumps(task, indent=1), "utf-8")
    return [task["task"] for task in tasks]


def _task(name: str, kind: str, folder: Path, data: str) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / f"{data}.jsonl")}},
        "test_split": "test",
        "output_type": kind,
        "metadata": {"version": 1.0},
    }


def _metrics(*names: str) -> list[dict[str, Any]]:
    down = ("perplexity", "brier_score")
    return [{"metric": m, "higher_is_better": m not in down} for m in names]


def _sums(folder: Path) -> dict[str, Any]:
    """Generation under two filters: the first line as it is, and the first number in it."""
    number = {"function": "regex", "regex_pattern": "(-?[0-9]+)"}
    first = {"function": "take_first"}
    return {
        **_task("local_sums", "generate_until", folder, "sums"),
        "fewshot_split": "test",
        "num_fewshot": 2,
        "doc_to_text": "{{question}} =",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 6},
        "filter_list": [
            {"name": "line", "filter": [{"function": "remove_whitespace"}, first]},
            {"name": "number", "filter": [number, first]},
        ],
        "metric_list": _metrics("exact_match"),
    }


def _capitals(folder: Path) -> dict[str, Any]:
    return {
        **_task("local_capitals", "multiple_choice", folder, "capitals"),
        "doc_to_text": "{{country}}'s seat of government:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{right}}",
        "metric_list": _metrics("acc", "acc_norm", "brier_score"),
    }


def _endings(folder: Path) -> dict[str, Any]:
    return {
        **_task("local_endings", "loglikelihood", folder, "capitals"),
        "doc_to_text": "The capital of {{country}} is",
        "doc_to_target": " {{choices[right]}}",
        "metric_list": _metrics("perplexity", "acc"),
    }


def write_inspect(path: Path) -> Path:
    """Choices, each asked twice, and sums, for a model that chats."""
    choices = [
        {
            "input": f"What is the capital of {row['country']}?",
            "choices": row["choices"],
            "target": "ABCD"[row["right"]],
        }
        for row in capitals()[:12]
    ]
    rows = [{"input": f"What is {r['question']}?", "target": r["answer"]} for r in sums(20)]
    body = {"chat": True, "choices": choices, "answers": {"sums": rows}}
    path.write_text(json.dumps(body), "utf-8")
    return path


def write_rung_items(items: Path, path: Path) -> Path:
    """The items that a rung was exported with, for Inspect."""
    found = [json.loads(line) for line in items.read_text("utf-8").splitlines()]
    rows = [{"input": row["prompt"], "target": row["target"]} for row in found]
    body = {"answers": {"multiplication": rows}, "max_tokens": len(rows[0]["target"])}
    path.write_text(json.dumps(body), "utf-8")
    return path
