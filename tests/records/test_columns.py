"""Column names, units, wide tables and scales."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from unmirage.errors import ColumnError, OptionError, ValueProblem
from unmirage.records import extra_columns, read
from unmirage.records.columns import AGGREGATE_ALIASES, SAMPLE_ALIASES, squeeze
from unmirage.types import Records

BASE = {"model": ["a", "b"], "params": [1e8, 1e9], "task": ["t", "t"], "score": [0.1, 0.2]}


def codes(records: Records) -> set[str]:
    return {n.code for n in records.notes}


def note(records: Records, code: str) -> str:
    return next(n.message for n in records.notes if n.code == code)


def table(**more: object) -> pl.DataFrame:
    return pl.DataFrame({**BASE, **more}, strict=False)


def without(*names: str, **more: object) -> pl.DataFrame:
    kept = {k: v for k, v in BASE.items() if k not in names}
    return pl.DataFrame({**kept, **more}, strict=False)


@pytest.mark.parametrize(
    ("canonical", "alias"),
    [(c, a) for c, names in AGGREGATE_ALIASES.items() for a in names],
)
def test_every_alias_of_a_table_of_scores_is_read(canonical: str, alias: str) -> None:
    value = {"shots": 3, "higher_is_better": True, "seed": 1, "n_samples": 50}.get(canonical, 0.5)
    if canonical in ("family", "model", "task", "subtask", "prompt_name", "filter", "run"):
        value = "x"
    if canonical == "metric":
        value = "acc"
    frame = without(*({canonical} & BASE.keys()), **{alias: [value, value]})
    if canonical in ("model", "score"):
        frame = frame.with_columns(pl.Series(alias, BASE[canonical]))
    if canonical == "params":
        frame = frame.with_columns(pl.Series(alias, [1e8, 1e9]))
    got = read(frame).aggregates
    assert got[canonical].null_count() == 0
    assert alias not in extra_columns(got)


def test_no_alias_means_two_columns() -> None:
    for aliases in (AGGREGATE_ALIASES, SAMPLE_ALIASES):
        every = [squeeze(a) for c, names in aliases.items() for a in (c, *names)]
        assert len(every) == len(set(every))


@pytest.mark.parametrize("name", ["N_Params", "num-params", "Model Size", "n.params", "#Params"])
def test_case_and_punctuation_do_not_matter(name: str) -> None:
    got = read(table().rename({"params": name}))
    assert got.aggregates["params"].to_list() == [1e8, 1e9]
    assert repr(name) in note(got, "columns")


@pytest.mark.parametrize(
    ("name", "canonical", "factor"),
    [
        ("Model Size (B)", "params", 1e9),
        ("params [M]", "params", 1e6),
        ("#Params (B)", "params", 1e9),
        ("params_b", "params", 1e9),
        ("size_millions", "params", 1e6),
        ("Pretraining Data Size (T)", "tokens", 1e12),
        ("FLOPs (1E21)", "flops", 1e21),
    ],
)
def test_units_in_the_name_multiply(name: str, canonical: str, factor: float) -> None:
    got = read(without("params", **{name: [1.5, 7]})).aggregates
    assert got[canonical].to_list() == [1.5 * factor, 7 * factor]


def test_a_unit_in_the_cell_wins_over_the_one_in_the_name() -> None:
    got = read(without("params", **{"size (B)": ["350M", "7"]})).aggregates
    assert got["params"].to_list() == [350e6, 7e9]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *(("1.4B", 1.4e9), ("350M", 350e6), ("70m", 70e6), ("7e10", 7e10), ("2 T", 2e12)),
        *(("1,300,000", 1.3e6), ("125k", 125e3), ("6.7bn", 6.7e9)),
    ],
)
def test_sizes_written_as_text(cell: str, value: float) -> None:
    got = read(without("params", params=["1B", cell]))
    assert got.aggregates["params"][1] == value
    assert "units_read" in codes(got)


@pytest.mark.parametrize("cell", ["large", "8x7B", "7B2", "inf", "nan", "-1", "0", "-70M", "1.2.3"])
def test_words_and_numbers_that_are_no_size_are_refused_with_their_row(
    tmp_path: Path, cell: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'model,params,score\n"a\nb",1e9,0.5\n\nc,{cell},0.6\n')
    with pytest.raises(ValueProblem) as e:
        read(path)
    assert "t.csv" in str(e.value)
    assert "'params'" in str(e.value)
    assert "row 3 (line 5)" in str(e.value) or "row 2 (line 5)" in str(e.value)
    assert "mend:" in str(e.value)


@pytest.mark.parametrize("column", ["tokens", "flops", "step"])
def test_zero_is_legal_where_training_starts(column: str) -> None:
    got = read(table(**{column: [0, 10]})).aggregates
    assert got[column].to_list() == [0, 10]
    with pytest.raises(ValueProblem, match="below 0"):
        read(table(**{column: [-1, 10]}))


def test_missing_sizes_are_kept_and_counted() -> None:
    got = read(without("params", params=[None, 1e9]))
    assert got.aggregates["params"].to_list() == [None, 1e9]
    assert next(n for n in got.notes if n.code == "scale_missing").count == 1


def test_no_scale_names_the_columns_and_a_guess() -> None:
    frame = table(model_siz=[1e8, 1e9]).drop("params")
    with pytest.raises(ColumnError, match=r"scale=model_siz"):
        read(frame)
    with pytest.raises(ColumnError, match=r"scale=N\b"):
        read(without("params", N=[1e8, 1e9]))
    with pytest.raises(ColumnError, match=r"scale=<your column>"):
        read(frame.select("task", "score"))
    assert read(frame, need_scale=False).aggregates["params"].null_count() == 2
    assert read(frame, columns={"scale": "model_siz"}).aggregates["params"][0] == 1e8


def test_sizes_are_read_off_names_only_if_all_have_one() -> None:
    names = ["mine-1.4b", "mine-125m", "ours-7b1", "lab/theirs-70m-v2"]
    frame = pl.DataFrame({"model": names, "task": "t", "score": [0.1, 0.2, 0.3, 0.4]})
    got = read(frame)
    assert got.aggregates["params"].to_list() == [1.4e9, 125e6, 7.1e9, 70e6]
    found = next(n for n in got.notes if n.code == "params_from_names")
    assert (found.level, found.count) == ("warning", 4)
    for odd in ("gpt-4", "Mixtral-8x7B", "llama-7b-distilled-1b", None):
        with pytest.raises(ColumnError, match="no column says how large"):
            read(frame.with_columns(model=pl.Series([*names[:3], odd])))


def test_explicit_mapping() -> None:
    frame = table().rename({"params": "N"}).with_columns(doc=pl.Series(["x", "y"]))
    got = read(frame, columns={"params": "N"}).aggregates
    assert got["params"].to_list() == [1e8, 1e9]
    with pytest.raises(ColumnError, match="did you mean 'N'"):
        read(frame, columns={"params": "n"})
    with pytest.raises(OptionError, match="did you mean 'params'"):
        read(frame, columns={"parms": "N"})
    with pytest.raises(OptionError):
        read(frame, columns={"file": "N"})


@pytest.mark.parametrize(
    "columns", [{"params": "N", "tokens": "N"}, {"params": "N", "scale": "score"}]
)
def test_an_explicit_mapping_says_each_thing_once(columns: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="as two"):
        read(table(N=[1, 2]), columns=columns)


def test_an_empty_scale_column_is_no_scale_column() -> None:
    frame = table(params=[None, None], model=["x-1b", "x-7b"])
    assert read(frame).aggregates["params"].to_list() == [1e9, 7e9]
    with pytest.raises(ColumnError, match="how large"):
        read(frame.with_columns(model=pl.lit("x")))


def test_an_explicit_mapping_beats_the_canonical_name_which_is_kept() -> None:
    got = read(table(real=[3e8, 3e9]), columns={"params": "real"}).aggregates
    assert got["params"].to_list() == [3e8, 3e9]
    assert got["params_in_table"].to_list() == [1e8, 1e9]


def test_the_exact_name_wins_and_two_aliases_are_refused() -> None:
    got = read(table(n_params=[1.0, 2.0], dataset=["x", "y"])).aggregates
    assert got["params"].to_list() == [1e8, 1e9]
    assert extra_columns(got) == ["dataset", "n_params"]
    with pytest.raises(ColumnError, match="--columns task="):
        read(without("task", dataset=["x", "y"], benchmark=["x", "y"]))


def test_an_alias_of_the_wrong_type_is_left_alone() -> None:
    got = read(table(count=["many", "few"], value=["good", "bad"])).aggregates
    assert extra_columns(got) == ["count", "value"]


def test_label_and_response_alone_do_not_make_samples() -> None:
    assert read(table(label=["A", "B"], idx=[0, 1])).samples.height == 0
    assert read(table(item=["q", "r"])).samples.height == 2


def test_extra_columns_are_kept_and_named() -> None:
    got = read(table(temperature=[0.0, 1.0], deep=[{"a": 1}, {"a": 2}])).aggregates
    assert extra_columns(got) == ["deep", "temperature"]
    assert got["deep"].to_list() == ['{"a":1}', '{"a":2}']


def test_a_table_with_its_own_file_and_row_columns_keeps_them() -> None:
    got = read(table(file=["x", "y"], row=[7, 8])).aggregates
    assert got["row"].to_list() == [1, 2]
    assert got["file_in_table"].to_list() == ["x", "y"]


def test_the_index_that_pandas_writes_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",model,params,score\n0,a,1e8,0.1\n1,b,1e9,0.2\n")
    assert extra_columns(read(path).aggregates) == []


# ---------------------------------------------------------------- wide tables

WIDE = {"Model": ["a", "b"], "Model Size (B)": [1, 7], "MMLU": [0.25, 0.5], "ARC-C": [0.3, None]}


def test_wide_tables_need_scores_named() -> None:
    frame = pl.DataFrame(WIDE)
    with pytest.raises(ColumnError, match=r"--scores MMLU,ARC-C"):
        read(frame)
    got = read(frame, scores=["MMLU", "ARC-C"])
    rows = got.aggregates.select("model", "params", "task", "metric", "score", "row").rows()
    assert sorted(rows) == [
        ("a", 1e9, "ARC-C", "score", 0.3, 1),
        ("a", 1e9, "MMLU", "score", 0.25, 1),
        ("b", 7e9, "MMLU", "score", 0.5, 2),
    ]
    assert "null_score" in codes(got)


PLAIN: dict[str, list[object]] = {
    "Model": ["a", "b", "c", "d", "e"],
    "Model Size (B)": [1, 2, 3, 7, 13],
    "License": ["mit"] * 5,
    "MMLU": [0.25, 0.31, 0.4, 0.5, 0.6],
    "ARC-C": [22.5, 25.5, 31.5, 40.25, 55.0],
}


@pytest.mark.parametrize("text", [False, True])
def test_a_wide_table_of_plain_scores_is_read_with_a_warning(tmp_path: Path, text: bool) -> None:
    frame = pl.DataFrame(PLAIN, strict=False)
    frame.insert_column(4, pl.Series("BLEU_x", [1.5, 2.5, 3.5, 4.5, 60.0]))
    if text:
        frame.write_csv(tmp_path / "t.csv")
    got = read(tmp_path / "t.csv" if text else frame)
    assert sorted(got.aggregates["task"].unique()) == ["ARC-C", "BLEU_x", "MMLU"]
    assert got.aggregates.height == 15
    (told,) = (n for n in got.notes if n.code == "guessed_scores")
    assert (told.level, told.count) == ("warning", 3)
    assert "--scores" in told.message
    named = read(tmp_path / "t.csv" if text else frame, scores=["MMLU", "BLEU_x", "ARC-C"])
    assert named.aggregates.sort("task", "model").equals(got.aggregates.sort("task", "model"))
    assert "guessed_scores" not in codes(named)


OTHER: dict[str, dict[str, list[object]]] = {
    "no model": {"Model": [None] * 5},
    "a model twice": {"Model": ["a", "a", "c", "d", "e"], "Model Size (B)": [1, 1, 3, 7, 13]},
    "whole numbers": {"Layers_": [12, 24, 32, 40, 48]},
    "one value": {"Temp": [0.7] * 5},
    "a setting": {"learningRate": [0.1, 0.2, 0.3, 0.4, 0.5]},
    "a cost": {"CO2 cost (kg)": [0.5, 1.5, 2.5, 3.5, 4.5]},
    "a mean": {"Average ⬆️": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "a loss": {"wiki_ppl": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "above 100": {"X": [20.5, 21.5, 22.5, 23.5, 240.5]},
    "below 0": {"X": [-20.5, 21.5, 22.5, 23.5, 24.5]},
    "infinite": {"X": [20.5, 21.5, 22.5, 23.5, float("inf")]},
    "one column": {"ARC-C": [None] * 5},
    "an error with a sign": {"MMLU ±": [0.012, 0.013, 0.014, 0.015, 0.016]},
    "an error by its size": {"MMLU_x": [0.012, 0.013, 0.014, 0.015, None]},
    "an error before its score": {"d MMLU": [0.012, 0.013, 0.014, 0.015, 0.016]},
    "standard errors": {"MMLU SEM": [0.12, 0.13, 0.14, 0.15, 0.16]},
    "a price": {"$/1M": [0.5, 1.5, 2.5, 3.5, 4.5]},
    "memory": {"VRAM": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "a perplexity by its text": {"WikiText2": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "a perplexity of C4": {"c4": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "less is better": {"Toxicity": [0.1, 0.2, 0.3, 0.4, 0.5]},
    "a median": {"Median": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "a mean in another language": {"平均": [20.5, 21.5, 22.5, 23.5, 24.5]},
    "parameters at work": {"Active (B)": [0.5, 1.5, 2.5, 3.5, 4.5]},
}


@pytest.mark.parametrize("kind", OTHER)
def test_a_wide_table_that_may_hold_other_numbers_is_asked_about(kind: str) -> None:
    frame = pl.DataFrame(PLAIN | OTHER[kind], strict=False)
    with pytest.raises(ColumnError, match="could hold scores"):
        read(frame)


GENUINE = Path(__file__).parents[2].parent / "shared" / "formats" / "tabular"


@pytest.mark.skipif(not GENUINE.is_dir(), reason=f"the genuine tables are not there: {GENUINE}")
def test_genuine_wide_tables() -> None:
    """Two hold one row a model; the third, of one training, also its learning rates."""
    for name, tasks in (("base_llm_benchmark_eval", 8), ("base_llm_emergent_capability_eval", 8)):
        found = read(GENUINE / f"{name}.csv", need_scale=False)
        assert found.aggregates["task"].n_unique() == tasks
        assert "guessed_scores" in codes(found)
    with pytest.raises(ColumnError, match="could hold scores"):
        read(GENUINE / "190M-1xC.csv")


def test_scores_may_be_patterns_and_must_exist() -> None:
    frame = pl.DataFrame({"step": [1, 2], "eval/x": [0.1, 0.2], "eval/y": [0.3, 0.4]})
    assert read(frame, scores=["eval/*"]).aggregates["task"].unique().sort().to_list() == [
        "eval/x",
        "eval/y",
    ]
    with pytest.raises(ColumnError, match="did you mean 'eval/x'"):
        read(frame, scores=["eval/x", "evalx"])


def test_known_metrics_of_a_wide_table_are_read_by_themselves() -> None:
    frame = without("score", acc=[0.1, 0.2], acc_stderr=[0.01, 0.02], bleu=[3.0, 9.0])
    got = read(frame)
    assert "wide_scores" in codes(got)
    assert got.aggregates.select("metric", "score", "stderr").sort("metric", "score").rows() == [
        ("acc", 0.1, 0.01),
        ("acc", 0.2, 0.02),
        ("bleu", 3.0, None),
        ("bleu", 9.0, None),
    ]


def test_one_known_metric_beside_other_scores_is_no_secret() -> None:
    frame = pl.DataFrame(PLAIN | {"ECE": [0.1, 0.2, 0.3, 0.41, 0.5]}, strict=False)
    got = read(frame)
    assert got.aggregates["metric"].unique().to_list() == ["ECE"]
    (told,) = (n for n in got.notes if n.code == "spare_scores")
    assert (told.level, told.count) == ("warning", 2)
    assert "MMLU, ARC-C" in told.message
    assert "--scores" in told.message
    (told,) = (n for n in read(frame, scores=["ECE"]).notes if n.code == "spare_scores")
    assert told.level == "info"


def test_a_score_column_beside_other_scores_is_no_secret() -> None:
    frame = pl.DataFrame(PLAIN | {"Score": [0.1, 0.2, 0.3, 0.41, 0.5]}, strict=False)
    got = read(frame)
    assert got.aggregates.height == 5
    (told,) = (n for n in got.notes if n.code == "spare_scores")
    assert (told.level, told.count) == ("warning", 2)
    assert told.message.startswith("only 'Score' is read")
    both = read(frame, scores=["MMLU", "ARC-C"]).aggregates
    assert sorted(both["task"].unique()) == ["ARC-C", "MMLU"]
    assert both.filter(task="MMLU")["score"].to_list() == PLAIN["MMLU"]
    alone = read(frame, scores=["Score"])
    assert "spare_scores" not in codes(alone)
    assert alone.aggregates["score"].to_list() == got.aggregates["score"].to_list()


def test_a_wide_metric_column_without_tasks_takes_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "arc.csv").write_text("params,accuracy\n1e8,0.2\n1e9,0.4\n")
    got = read(tmp_path / "arc.csv").aggregates
    assert got.select("task", "metric").unique().rows() == [("arc", "accuracy")]


def test_a_cell_of_a_wide_table_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("params,X,Y\n1e8,0.2,0.1\n1e9,oops,0.2\n")
    with pytest.raises(ValueProblem, match=r"'X', row 2 \(line 3\): is no number: 'oops'"):
        read(tmp_path / "w.csv", scores=["X", "Y"])


def test_a_missing_cell_in_a_wide_column_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("params,acc,remark\n1e8,0.2,n/a\n1e9,n/a,x\n")
    got = read(tmp_path / "w.csv").aggregates
    assert got["score"].to_list() == [0.2]
    assert got["remark"].to_list() == ["n/a"]


def test_no_score_and_no_candidate() -> None:
    with pytest.raises(ColumnError, match="has no score column"):
        read(without("score"))


def test_defaults() -> None:
    got = read(pl.DataFrame({"params": [1e8, 1e9], "score": [0.1, 0.2]}))
    assert got.aggregates.select("task", "metric", "family", "model").unique().rows() == [
        ("frame", "score", None, None)
    ]
    assert {"default_task", "default_metric"} <= codes(got)
