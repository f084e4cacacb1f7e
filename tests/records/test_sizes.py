"""Where the size of a model comes from: its table, the user's, the bundled one, or its name."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unmirage
from unmirage.errors import ColumnError, FileProblem, UnmirageError, ValueProblem
from unmirage.overview import overview
from unmirage.records import read, write_store
from unmirage.records.scale import size_in
from unmirage.records.store import read_store
from unmirage.types import Note, Records

PYTHIAS = ["EleutherAI/pythia-70m", "EleutherAI/pythia-160m", "EleutherAI/pythia-410m"]


def table(models: list[str | None], **more: Any) -> pl.DataFrame:
    n = len(models)
    return pl.DataFrame({"model": models, "task": "t", "score": [i / n for i in range(n)], **more})


def note(got: Records, code: str) -> Note:
    return next(n for n in got.notes if n.code == code)


def codes(got: Records) -> set[str]:
    return {n.code for n in got.notes}


def columns(got: Records, *names: str) -> list[tuple[Any, ...]]:
    return got.aggregates.select(names).rows()


def test_well_known_models_need_no_column() -> None:
    got = read(table(PYTHIAS))
    assert columns(got, "params", "tokens", "flops", "family", "scale_source") == [
        (n, 299892736000.0, 6 * n * 299892736000.0, "Pythia", "bundled table")
        for n in (70426624.0, 162322944.0, 405334016.0)
    ]
    assert (note(got, "params_known").count, note(got, "families_known").count) == (3, 3)
    assert {n.level for n in got.notes} == {"info"}


def test_each_row_has_its_own_origin(tmp_path: Path) -> None:
    own = tmp_path / "models.csv"
    own.write_text("Model,Model Size (B),family\nmine-small,0.012,mine\nlab/Pythia-160m,0.2,\n")
    names = ["pythia-70m", "pythia-160m", "x/mine_small", "other-3b", "whole"]
    got = read(table(names, params=["7e7", None, None, None, "1.5B"]), models=own)
    assert columns(got, "params", "scale_source", "family") == [
        (7e7, "table; tokens: bundled table", None),
        (0.2e9, "models file", None),
        (0.012e9, "models file", "mine"),
        (3e9, "name", None),
        (1.5e9, "table", None),
    ]
    assert note(got, "params_from_models").count == 2
    assert (note(got, "params_from_names").level, note(got, "params_from_names").count) == (
        "warning",
        1,
    )


def test_a_model_without_size_beside_others() -> None:
    got = read(table(["pythia-70m", "mystery"], params=[7e7, None]))
    assert columns(got, "params", "scale_source") == [
        (7e7, "table; tokens: bundled table"),
        (None, None),
    ]
    assert note(got, "models_without_size").level == "warning"
    assert "'mystery'" in note(got, "models_without_size").message


def test_no_size_is_known_of_one_model_of_a_table_without_sizes() -> None:
    with pytest.raises(ColumnError, match=r"no size is known of 'mystery'.*\n.*--models"):
        read(table([*PYTHIAS, "mystery"]))
    with pytest.raises(ColumnError, match="no column says"):
        read(table([*PYTHIAS, None]))
    got = read(table([*PYTHIAS, "mystery"]), need_scale=False)
    assert got.aggregates["params"].null_count() == 1
    got = read(
        table([*PYTHIAS, "mystery"]), models=pl.DataFrame({"model": ["mystery"], "params": 5})
    )
    assert got.aggregates["params"][-1] == 5


def test_tuned_variants_and_guesses_are_said() -> None:
    got = read(table(["tiiuae/falcon-7b-instruct", "tiiuae/falcon-40b-instruct", "davinci"]))
    assert columns(got, "params", "tokens") == [(7e9, None), (40e9, None), (175e9, None)]
    assert note(got, "params_of_base").count == 2
    assert (note(got, "params_inferred").level, note(got, "params_inferred").count) == (
        "warning",
        1,
    )


def test_tokens_of_a_whole_training_are_not_those_of_a_checkpoint() -> None:
    """Pythia at step 1,000 has not seen 299.9e9 tokens."""
    got = read(table(["pythia-70m", "pythia-160m"], step=[1000, None]))
    assert columns(got, "params", "tokens") == [(70426624.0, None), (162322944.0, 299892736000.0)]
    got = read(table(["pythia-70m-step1000", "pythia-160m"]))
    assert got.aggregates["tokens"].to_list() == [None, 299892736000.0]
    # nor of another size under the same name
    got = read(table(["pythia-70m", "pythia-160m"], params=[70e6, 85e6]))
    assert got.aggregates["tokens"].to_list() == [299892736000.0, None]
    assert note(got, "training_known").count == 1
    assert "training_known" not in codes(read(table(["pythia-70m"], params=[85e6])))
    # what the table says stays
    got = read(table(["pythia-70m", "pythia-160m"], params=[70e6, 160e6], tokens=[1e9, None]))
    assert columns(got, "tokens", "flops") == [
        (1e9, None),
        (299892736000.0, 6 * 162322944.0 * 299892736000.0),
    ]


def test_a_size_that_is_not_that_of_the_model_named() -> None:
    got = read(table(["pythia-70m", "pythia-160m"], params=[70e6, 1.6e9]))
    assert got.aggregates["params"].to_list() == [70e6, 1.6e9]
    found = note(got, "size_disagrees")
    assert (found.level, found.count) == ("warning", 1)
    assert "'pythia-160m' has 1.6e+09, known as 1.62e+08" in found.message
    assert "size_disagrees" not in codes(read(table(["pythia-70m", "gpt2"], params=[0.07, 0.124])))


def test_steps_alone_stay_the_scale_of_unknown_models() -> None:
    got = read(table(["mine", "mine"], step=[1, 2]))
    assert got.aggregates["params"].null_count() == 2
    assert set(got.aggregates["scale_source"]) == {"table"}


def test_tokens_alone_stay_the_scale() -> None:
    got = read(table(["pythia-70m", "pythia-70m"], tokens=["1B", "2B"]))
    assert columns(got, "params", "tokens") == [(None, 1e9), (None, 2e9)]


def test_tokens_from_elsewhere_than_the_size_say_so() -> None:
    both = "table; tokens: bundled table"
    got = read(table(["pythia-70m", "pythia-160m", "mine"], params=[70e6, None, 1e9]))
    assert got.aggregates["scale_source"].to_list() == [both, "bundled table", "table"]
    assert [m.source for m in overview(got).models] == [both, "bundled table", "table"]
    again = read(got.aggregates)
    assert again.aggregates["scale_source"].to_list() == [both, "bundled table", "table"]


@pytest.mark.parametrize(
    ("column", "source"), [("step", None), ("tokens", "table (tokens)"), ("flops", "table (FLOPs)")]
)
def test_a_model_of_unknown_size_says_so(column: str, source: str | None) -> None:
    got = read(table(["mine", "mine"], **{column: [10, 20]}))
    assert [m.source for m in overview(got).models] == [source]


def test_families_are_filled_only_for_whole_ladders() -> None:
    assert "families_known" not in codes(read(table([*PYTHIAS, "mine-1b"])))
    assert "families_known" not in codes(read(table(["gpt2", "pythia-70m", "opt-125m"])))
    got = read(table([*PYTHIAS, "mine-1b"], family=[None, "other", None, "mine"]))
    assert got.aggregates["family"].to_list() == [None, "other", None, "mine"]
    got = read([table(PYTHIAS[:2]), table(PYTHIAS[2:])])
    assert set(got.aggregates["family"]) == {"Pythia"}


def test_units_in_the_header_are_kept() -> None:
    got = read(table(["pythia-70m", "x"], **{"Model Size (B)": [None, 1.5]}))
    assert got.aggregates["params"].to_list() == [70426624.0, 1.5e9]
    got = read(table(["pythia-70m", "x"], **{"Model Size (B)": ["0.07", "1.5"]}))
    assert got.aggregates["params"].to_list() == [7e7, 1.5e9]


def test_a_bad_size_is_still_refused_with_its_row() -> None:
    with pytest.raises(ValueProblem, match="row 2"):
        read(table(["pythia-70m", "gpt2"], params=["70m", "large"]))


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("name,size\na,1\n", ColumnError, "no table of models"),
        ("model\na\n", ColumnError, "no table of models"),
        ("model,params\na,big\n", ValueProblem, "row 1"),
        ("model,params\na,1\nb,-5\n", ValueProblem, "row 2"),
        ("model,params\na,0\n", ValueProblem, "no number above 0"),
        ("model,params\n,5\n", ValueProblem, "is empty"),
        ("model,params\na,5\nA,6\n", ValueProblem, "given twice"),
        ("", FileProblem, "is empty"),
    ],
)
def test_bad_tables_of_models(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "models.csv"
    path.write_text(text)
    with pytest.raises(error, match=words):
        read(table(["a"]), models=path)
    with pytest.raises(FileProblem, match="no table of models"):
        read(table(["a"]), models=tmp_path)


def test_names_in_the_table_of_models() -> None:
    own = pl.DataFrame({"model": ["a/x-1", "b/x-1", "b/y"], "params": [1.0, 2.0, 3.0]})
    got = read(table(["A/x-1", "b/x-1", "c/Y"]), models=own)
    assert got.aggregates["params"].to_list() == [1.0, 2.0, 3.0]
    with pytest.raises(ColumnError, match="'c/x-1'"):  # of which of the two?
        read(table(["c/x-1"]), models=own)
    with pytest.raises(ColumnError, match="'y-chat'"):
        read(table(["y-chat"]), models=own)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_table_of_models_is_read_or_refused(data: st.DataObject) -> None:
    cell = st.one_of(
        st.sampled_from(["", "12M", "1e9", "-1", "nan", "1e999", "1,5", "gpt2", "\x00", '"']),
        st.text(max_size=12),
    )
    head = data.draw(
        st.sampled_from(["model,params", "model,Size (B),family", "Model,tokens,flops"])
    )
    width = head.count(",") + 1
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=5))
    text = head + "\n" + "\n".join(",".join(row) for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.csv"
        path.write_text(text, encoding="utf-8", errors="replace")
        with contextlib.suppress(UnmirageError):
            got = read(table(["gpt2", "mine"], params=[None, 1e9]), models=path)
            assert got.aggregates["params"].drop_nulls().is_between(0, 1e300, closed="right").all()


def test_origins_survive_a_store_and_a_parquet_file(tmp_path: Path) -> None:
    mixed = table([*PYTHIAS, "pythia-1.1b-mine"], params=[None, None, 4e8, None])
    got = read(mixed)
    write_store(got, tmp_path / "store")
    again = read_store(tmp_path / "store")
    assert again.aggregates.equals(got.aggregates)
    got.aggregates.write_parquet(tmp_path / "one.parquet")
    again = read(tmp_path / "one.parquet")
    said = ["bundled table", "bundled table", "table; tokens: bundled table", "name"]
    assert again.aggregates["scale_source"].to_list() == said
    for records in (got, again):
        keys = {j.key.settings for j in unmirage.audit(records, seed=1, draws=100).judgements}
        assert keys == {()}


@pytest.mark.parametrize(
    "name", ["9" * 400 + "b", "1." + "9" * 400 + "b", "a/" + "9" * 309 + "b-70m"]
)
def test_numbers_in_names_that_are_no_sizes(name: str) -> None:
    assert size_in(name) in (None, 7e7)
