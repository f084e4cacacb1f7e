"""The canonical columns and the names under which tables in the field write them."""

from __future__ import annotations

import polars as pl

TEXTS = pl.List(pl.String)
REALS = pl.List(pl.Float64)
INTS = pl.List(pl.Int64)

#: which model and how large
IDENTITY: dict[str, pl.DataType | type[pl.DataType]] = {
    "family": pl.String,
    "model": pl.String,
    "params": pl.Float64,
    "tokens": pl.Float64,
    "flops": pl.Float64,
    "step": pl.Float64,
    "seed": pl.Int64,
}
#: what was held fixed: part of a curve's identity wherever present
SETTINGS: dict[str, pl.DataType | type[pl.DataType]] = {
    "task": pl.String,
    "subtask": pl.String,
    "shots": pl.Int64,
    "prompt_name": pl.String,
    "filter": pl.String,
    "split": pl.String,
    "format": pl.String,
    "variant": pl.String,
    "run": pl.String,
}
#: a score without items
AGGREGATE: dict[str, pl.DataType | type[pl.DataType]] = {
    "metric": pl.String,
    "score": pl.Float64,
    "stderr": pl.Float64,
    "n_samples": pl.Float64,
    "chance": pl.Float64,
    "higher_is_better": pl.Boolean,
}
#: one model's answer to one item
SAMPLE: dict[str, pl.DataType | type[pl.DataType]] = {
    "item": pl.String,
    "repeat": pl.Int64,
    "cluster": pl.String,
    "prompt": pl.String,
    "output": pl.String,
    "targets": TEXTS,  # any of them is right
    "output_tokens": INTS,  # ids of the generated answer (free-running)
    "target_tokens": INTS,  # ids of the first target
    "token_logprobs": REALS,  # nats, of each target token given the true ones before it
    "token_correct": pl.List(pl.Boolean),  # was that target token the most likely one?
    "target_bytes": pl.Int64,  # UTF-8 length of the first target
    "choices": TEXTS,
    "choice_logprobs": REALS,  # nats, summed over the tokens of each option
    "choice_credit": REALS,  # credit of each option (BIG-bench target_scores)
    "target_index": pl.Int64,  # index of the right option
    "squared_error": pl.Float64,  # of an answer of numbers (an image), mean over its values
    "tries": pl.Int64,  # with passes: how often the item was tried, and passed
    "passes": pl.Int64,
    "metric": pl.String,  # with score: per-item scores as the harness reported them
    "score": pl.Float64,
    "higher_is_better": pl.Boolean,
    "chance": pl.Float64,
}
PROVENANCE: dict[str, pl.DataType | type[pl.DataType]] = {
    "file": pl.String,
    "row": pl.Int64,
    # "table", "models file", "bundled table" or "name"; "table; tokens: bundled table"
    "scale_source": pl.String,
}

#: column name -> every canonical column of one kind of table
CANONICAL_SAMPLES = {**IDENTITY, **SETTINGS, **SAMPLE, **PROVENANCE}
CANONICAL_AGGREGATES = {**IDENTITY, **SETTINGS, **AGGREGATE, **PROVENANCE}

_COMMON_ALIASES: dict[str, tuple[str, ...]] = {
    "family": ("model_family",),
    "model": ("model_name", "model_id"),
    "params": (
        "n_params",
        "num_params",
        "param_count",
        "parameters",
        "n_parameters",
        "num_parameters",
        "model_size",
        "size",
    ),
    "tokens": (
        "n_tokens",
        "num_tokens",
        "train_tokens",
        "training_tokens",
        "tokens_seen",
        "pretraining_tokens",
        "pretraining_data_size",
        "training_data_size",
    ),
    "flops": ("compute", "train_flops", "training_flops", "training_compute"),
    "step": ("steps", "checkpoint_step", "global_step", "train_step", "training_step"),
    "seed": ("random_seed",),
    "task": ("task_name", "dataset", "benchmark"),
    "subtask": ("subtask_name",),
    "shots": ("num_fewshot", "n_fewshot", "n_shot", "n_shots", "num_shots", "fewshot"),
    "prompt_name": ("prompt_id", "template", "template_name"),
    "filter": ("filter_name",),
    "split": (),
    "format": (),
    "variant": (),
    "run": ("run_id", "run_name"),
    "metric": ("metric_name",),
    "score": ("value", "metric_value", "result"),
    "chance": ("random_baseline", "baseline_random", "chance_level"),
    "higher_is_better": (),
}
#: other names of each column in a table of scores; case, spaces, "-", "_", "." and "#" are ignored
AGGREGATE_ALIASES: dict[str, tuple[str, ...]] = {
    **_COMMON_ALIASES,
    "prompt_name": (*_COMMON_ALIASES["prompt_name"], "prompt"),
    "stderr": ("se", "standard_error"),
    "n_samples": (
        "n",
        "num_samples",
        "n_items",
        "num_items",
        "count",
        "num_examples",
        "n_examples",
    ),
}
#: other names of each column in a table of per-item answers
SAMPLE_ALIASES: dict[str, tuple[str, ...]] = {
    **_COMMON_ALIASES,
    "item": (
        "item_id",
        "doc_id",
        "sample_id",
        "sample_idx",
        "example_id",
        "instance_id",
        "question_id",
    ),
    "repeat": ("epoch", "sample_n", "trial"),
    "cluster": ("cluster_id", "group_id"),
    "prompt": (),
    "output": ("prediction", "pred", "response", "generation", "completion", "model_output"),
    "targets": ("target", "gold", "reference", "references", "answer", "answers", "label"),
    "output_tokens": (),
    "target_tokens": (),
    "token_logprobs": ("logprobs", "target_logprobs"),
    "token_correct": (),
    "target_bytes": (),
    "choices": ("options",),
    "choice_logprobs": ("choices_logprobs", "option_logprobs"),
    "choice_credit": ("target_scores",),
    "target_index": ("gold_index", "answer_index", "label_index"),
    "tries": ("n_tries", "num_tries", "attempts", "n_attempts"),
    "passes": ("n_passes", "num_passes", "successes", "n_successes"),
}
#: names that mean an item only in a table that holds outputs or targets, and no better name
WEAK_ITEM = ("idx", "id", "index")
#: columns that must parse in full, or a column of another name is left as it is
SCALE_COLUMNS = ("params", "tokens", "flops", "step")


def squeeze(name: str) -> str:
    """The name as compared: lower case, without spaces, ``-``, ``_``, ``.`` and ``#``.

    >>> squeeze("Model Size")
    'modelsize'
    """
    return "".join(c for c in name.casefold() if c not in " -_.#\t\n\r")


def is_samples(frame: pl.DataFrame) -> bool:
    """Whether a canonical frame holds per-item answers (it has an ``item`` column)."""
    return "item" in frame.columns


def extra_columns(frame: pl.DataFrame) -> list[str]:
    """The columns of a canonical frame that unmirage gives no meaning, in the frame's order.

    >>> extra_columns(pl.DataFrame({"task": ["a"], "score": [0.5], "temperature": [0.0]}))
    ['temperature']
    """
    known = CANONICAL_SAMPLES if is_samples(frame) else CANONICAL_AGGREGATES
    return [c for c in frame.columns if c not in known]
