"""A trained rung as a folder that other tools run: a GPT-2 in Hugging Face's form.

    config.json, model.safetensors          GPT2LMHeadModel, float32
    tokenizer.json, tokenizer_config.json   one character, one token
    lm_eval/*.yaml, *.jsonl                 the test items as tasks of lm-evaluation-harness

The lab's transformer is a GPT-2 with ReLU and an untied output whose gains are 1 and whose biases
are 0, so that the exported model gives the same log-probabilities up to rounding.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from unmirage.errors import OptionError
from unmirage.lab import tasks
from unmirage.lab.checkpoint import Arrays, load
from unmirage.lab.engine import shape_of, weights_path
from unmirage.lab.folder import Folder, read_plan
from unmirage.lab.model import EPSILON, Shape
from unmirage.lab.recipe import Rung
from unmirage.lab.tokens import TokenTask

#: ends and fills sequences for tools that need such a token; it closes prompts, no answer holds it
END = "="


def find(run: str | Path, name: str) -> Rung:
    """The rung of a run by its name in the records, "d32 seed0".

    Raises:
        FileProblem: there is no run in the folder.
        OptionError: no rung of that name, or rungs of two tasks.
    """
    plan = read_plan(run)
    found = [r for r in plan if r.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(r.name for r in plan))
        raise OptionError(f"{run} has no model {name!r}", mend=f"models: {names}")
    if len(found) > 1:
        both = " and ".join(r.task for r in found)
        raise OptionError(f"{name!r} is a model of {both}", mend="export from a run of one family")
    return found[0]


def export(run: str | Path, name: str, out: str | Path) -> Path:
    """Write one finished rung of a run as a Hugging Face GPT-2 folder; returns the folder.

    Raises:
        FileProblem: there is no run, or its weights are damaged.
        OptionError: no such model, not finished, inputs that are no tokens, or ``out`` is taken.
    """
    rung = find(run, name)
    task = tasks.make(rung.task, rung.task_seed, dict(rung.options))
    if not isinstance(task, TokenTask):
        raise OptionError(
            f"{rung.task} reads numbers, not tokens: no language model",
            mend="export another family",
        )
    weights = weights_path(Folder(run).models, rung, rung.recipe.steps)
    if not weights.exists():
        records = Folder(run).records(rung)
        again = "run the same `unmirage lab run` again"
        mend = f"remove {records}, then {again}: it is trained anew" if records.exists() else again
        raise OptionError(f"{name} of {run} has no weights of its last step", mend=mend)
    out = Path(out).absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OptionError(f"{out} is there already", mend="name a new or an empty folder")
    arrays, _ = load(weights)
    shape = shape_of(task, rung)
    assert isinstance(shape, Shape)  # of tokens
    # written beside, then moved: a folder is there in full or not at all
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir(parents=True)
        _write_model(unfinished, arrays, shape, task.vocab.index(END))
        _write_tokenizer(unfinished, task, shape)
        _write_items(unfinished / "lm_eval", out.resolve() / "lm_eval", task)
        if out.exists():
            out.rmdir()
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def gpt2_config(shape: Shape, end: int) -> dict[str, Any]:
    """config.json. One position more than the model was trained on: tools that generate ask for
    it, and nothing reads it."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "relu",
        "vocab_size": shape.vocab,
        "n_positions": shape.length + 1,
        "n_embd": shape.d_model,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "n_inner": 4 * shape.d_model,
        "layer_norm_epsilon": EPSILON,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": False,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }


def gpt2_arrays(arrays: Arrays, shape: Shape) -> Arrays:
    """The lab's arrays under GPT-2's names, with gains 1 and biases 0."""
    d = shape.d_model
    ones, zeros = np.ones(d, np.float32), np.zeros
    found: Arrays = {
        "transformer.wte.weight": arrays["token"],
        "transformer.wpe.weight": np.vstack([arrays["position"], np.zeros((1, d), np.float32)]),
        "transformer.ln_f.weight": ones,
        "transformer.ln_f.bias": zeros(d, np.float32),
        "lm_head.weight": arrays["unembed"].T,
    }
    for i in range(shape.layers):
        here = f"transformer.h.{i}"
        for norm in ("ln_1", "ln_2"):
            found[f"{here}.{norm}.weight"] = ones
            found[f"{here}.{norm}.bias"] = zeros(d, np.float32)
        for theirs, ours in (
            ("attn.c_attn", "qkv"),
            ("attn.c_proj", "out"),
            ("mlp.c_fc", "up"),
            ("mlp.c_proj", "down"),
        ):
            matrix = arrays[f"layers/{i}/{ours}"]
            found[f"{here}.{theirs}.weight"] = matrix
            found[f"{here}.{theirs}.bias"] = zeros(matrix.shape[1], np.float32)
    return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in found.items()}


def _write_model(folder: Path, arrays: Arrays, shape: Shape, end: int) -> None:
    from safetensors.numpy import save_file

    save_file(gpt2_arrays(arrays, shape), folder / "model.safetensors", metadata={"format": "pt"})
    _json(folder / "config.json", gpt2_config(shape, end))


def _write_tokenizer(folder: Path, task: TokenTask, shape: Shape) -> None:
    end = {
        "id": task.vocab.index(END),
        "content": END,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    characters = {"Regex": "[\\s\\S]"}
    _json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [end],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Split",
                "pattern": characters,
                "behavior": "Isolated",
                "invert": False,
            },
            "post_processor": None,
            "decoder": {"type": "Fuse"},
            "model": {
                "type": "WordLevel",
                "vocab": {c: i for i, c in enumerate(task.vocab)},
                "unk_token": "<unk>",  # not in the vocabulary: other characters are an error
            },
        },
    )
    _json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": shape.length + 1,
            "bos_token": END,
            "eos_token": END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
        },
    )


def _write_items(folder: Path, final: Path, task: TokenTask) -> None:
    """For each stratum its items, and two tasks: log-probability of the target, and generation."""
    folder.mkdir()
    sequences, start = task.sequences(task.asked), 0
    for s in task.strata:
        name = "_".join(["unmirage", s.task, *(s.subtask or "").split(" ")[:1]]).rstrip("_")
        name = name.replace("-", "_")
        rows = sequences[start : start + len(s.test)]
        start += len(s.test)
        lines = [
            json.dumps(
                {
                    "item": i,
                    "prompt": task.text(row[: task.prompt]),
                    "target": task.text(row[task.prompt : task.prompt + s.length]),
                }
            )
            for i, row in enumerate(rows)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        for kind in ("loglikelihood", "generate_until"):
            body = _task(f"{name}_{kind}", kind, final / f"{name}.jsonl", s.length)
            _json(folder / f"{name}_{kind}.yaml", body)  # JSON is YAML


def _task(name: str, kind: str, items: Path, length: int) -> dict[str, Any]:
    metrics = {"loglikelihood": ["acc", "perplexity"], "generate_until": ["exact_match"]}[kind]
    found: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(items)}},
        "test_split": "test",
        "output_type": kind,
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{target}}",
        "target_delimiter": "",
        "metric_list": [
            {"metric": m, "aggregation": m if m == "perplexity" else "mean",
             "higher_is_better": m != "perplexity"}
            for m in metrics
        ],
        "metadata": {"version": 1.0},
    }  # fmt: skip
    if kind == "generate_until":
        found["generation_kwargs"] = {"until": [END], "do_sample": False, "max_gen_toks": length}
    return found


def _json(path: Path, body: dict[str, Any]) -> None:
    path.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
