"""Which rows make one curve: splits and refusals, never an average."""

import polars as pl
import pytest

from unmirage.curves.identity import Choice, group, where
from unmirage.curves.names import lineage, sizes
from unmirage.errors import ColumnError, OptionError, ValueProblem


def table(**columns):
    base = {
        "family": "F",
        "model": ["f-70m", "f-160m", "f-410m", "f-1b"],
        "params": [7e7, 1.6e8, 4.1e8, 1e9],
        "task": "t",
        "metric": "acc",
        "score": [0.1, 0.2, 0.3, 0.4],
    }
    return pl.DataFrame({**base, **columns})


def labels(groups):
    alive = groups.rows["_curve"].unique().sort().to_list()
    return [groups.keys[i].label() for i in alive]


def test_one_ladder_is_one_curve():
    assert labels(group(table(), Choice())) == ["F / t / acc"]


@pytest.mark.parametrize(
    ("column", "values"), [("shots", (0, 5)), ("filter", ("a", "b")), ("seed", (0, 1))]
)
def test_known_settings_split(column, values):
    both = pl.concat(table(**{column: v}) for v in values)
    assert labels(group(both, Choice())) == [f"F / t / acc [{column}={v}]" for v in values]


def test_an_undeclared_setting_splits_and_is_told():
    both = pl.concat([table(temperature=0.2), table(temperature=0.8, score=[0.0, 0.1, 0.1, 0.2])])
    groups = group(both, Choice())
    assert labels(groups) == [f"F / t / acc [temperature={v}]" for v in (0.2, 0.8)]
    assert any(n.code == "split_by" and "temperature" in n.message for n in groups.notes)
    assert "temperature" in groups.identity


def test_a_setting_that_groups_rungs_without_repeating_them_splits_too():
    """Twenty compute budgets, four multipliers: on the flops axis nothing collides."""
    flops = [1e18 * 2**i for i in range(12)]
    frame = pl.DataFrame(
        {"family": "F", "task": "t", "metric": "acc", "score": [0.1 + 0.01 * i for i in range(12)],
         "flops": flops, "multiplier": [(0.5, 1.0, 2.0)[i % 3] for i in range(12)]}
    )  # fmt: skip
    assert len(labels(group(frame, Choice(scale="flops")))) == 3
    joined = group(frame, Choice(scale="flops", ignore=["multiplier"]))
    assert labels(joined) == ["F / t / acc"]


def test_columns_that_go_with_size_do_not_split():
    frame = table(n_layers=[6, 12, 24, 24], width=[512, 768, 1024, 2048], name=["a", "b", "c", "d"])
    assert labels(group(frame, Choice())) == ["F / t / acc"]


def test_lineage_of_model_names_tells_two_ladders_apart():
    more = table(model=["f-70m-dedup", "f-160m-dedup", "f-410m-dedup", "f-1b-dedup"])
    both = pl.concat([table(), more.with_columns(score=pl.col("score") + 0.01)])
    assert set(labels(group(both, Choice()))) == {
        "F / t / acc [lineage=f-{size}-dedup]",
        "F / t / acc [lineage=f-{size}]",
    }


def test_rows_that_nothing_tells_apart_are_refused_never_averaged():
    both = pl.concat([table(), table(score=[0.5, 0.6, 0.7, 0.8])])
    groups = group(both, Choice())
    assert labels(groups) == []
    assert [r.code for r in groups.refused] == ["mixed_rows"]
    assert "2 rows at params = 7e+07" in groups.refused[0].reason


def test_a_column_that_only_names_rows_is_offered_as_the_mend():
    both = pl.concat([table(run=["a"] * 4), table(run=["b"] * 4, score=[0.5, 0.6, 0.7, 0.8])])
    groups = group(both, Choice(ignore=["run"]))
    assert groups.refused[0].code == "mixed_rows"
    assert "--by run" in groups.refused[0].mend


def test_exact_repeats_count_once():
    groups = group(pl.concat([table(), table()]), Choice())
    assert groups.rows.height == 4
    assert any(n.code == "repeated_scores" and n.count == 4 for n in groups.notes)


def test_the_last_checkpoint_of_each_model_is_used_and_told():
    early = table(step=[10.0] * 4, score=[0.0] * 4)
    groups = group(pl.concat([early, table(step=[100.0] * 4)]), Choice())
    assert groups.rows["score"].to_list() == [0.1, 0.2, 0.3, 0.4]
    assert any(n.code == "final_checkpoint" for n in groups.notes)


def test_names_that_hold_the_step_are_one_training_run():
    early = table(step=[10.0] * 4, model=[f"f-{s}_step10" for s in ("70m", "160m", "410m", "1b")])
    late = table(step=[90.0] * 4, model=[f"f-{s}_step90" for s in ("70m", "160m", "410m", "1b")])
    assert group(pl.concat([early, late]), Choice()).rows["step"].unique().to_list() == [90.0]


def test_one_size_in_training_is_a_curve_over_tokens():
    frame = pl.DataFrame(
        {"family": "F", "params": 1e9, "tokens": [1e9, 2e9, 4e9, 8e9], "task": "t",
         "metric": "acc", "score": [0.1, 0.2, 0.3, 0.4]}
    )  # fmt: skip
    groups = group(frame, Choice())
    assert groups.scale_names == ["tokens"]
    assert labels(groups) == ["F / t / acc [params=1000000000]"]


def test_a_scale_of_zero_is_named_with_its_row():
    frame = table(tokens=[0.0, 1e9, 2e9, 4e9], file="a.csv", row=[1, 2, 3, 4])
    with pytest.raises(ValueProblem, match=r"a\.csv, row 1, column tokens.*no logarithm") as caught:
        group(frame, Choice(scale="tokens"))
    assert "--where tokens!=0" in str(caught.value)


def test_an_absent_scale_is_an_error_with_the_mend():
    with pytest.raises(ColumnError, match="scale 'flops' is not in the data") as caught:
        group(table(), Choice(scale="flops"))
    assert "--scale params" in str(caught.value)


def test_one_model_is_refused():
    groups = group(table().head(1), Choice())
    assert [r.code for r in groups.refused] == ["too_few_rungs"]
    assert "one model" in groups.refused[0].reason


def test_families_from_model_names():
    names = ["a-70m", "a-160m", "a-410m", "b-1b", "b-2b", "b-4b"]
    frame = pl.DataFrame(
        {"model": names, "params": [7e7, 1.6e8, 4.1e8, 1e9, 2e9, 4e9], "metric": "acc",
         "task": "t", "score": [0.1 * i for i in range(6)]}
    )  # fmt: skip
    groups = group(frame, Choice())
    assert {k.family for k in groups.keys} == {"a-{size}", "b-{size}"}
    assert any(n.code == "family_assumed" for n in groups.notes)


def test_where():
    frame = table(shots=[0, 0, 5, 5])
    assert where(frame, {"shots": "5"}).height == 2
    assert where(frame, {"shots!": "5", "model": "f-70m"}).height == 1
    with pytest.raises(ColumnError, match="'shot'"):
        where(frame, {"shot": "5"})
    with pytest.raises(OptionError, match="holds numbers"):
        where(frame, {"shots": "five"})


@pytest.mark.parametrize(
    ("name", "size"),
    [("opt-125m", 125e6), ("bloom-7b1", 7.1e9), ("Mixtral-8x7B", 56e9), ("Qwen1.5-0.5B", 0.5e9)],
)
def test_sizes_in_names(name, size):
    assert sizes(name) == [size]


def test_lineage_leaves_other_numbers_alone():
    assert lineage("pythia-1.4b-1MtokBS_step143000") == "pythia-{size}-1MtokBS"
    assert lineage("llama-2-chat") == "llama-2-chat"
