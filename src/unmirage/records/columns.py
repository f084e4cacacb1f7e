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
    "metric": pl.String,  # with score: per-item scores as the harness reported them
    "score": pl.Float64,
    "higher_is_better": pl.Boolean,
    "chance": pl.Float64,
}
PROVENANCE: dict[str, pl.DataType | type[pl.DataType]] = {"file": pl.String, "row": pl.Int64}
