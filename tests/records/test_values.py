"""Cells that cannot be right, duplicates, per-item values."""

from __future__ import annotations

import math

import polars as pl
import pytest

from unmirage.errors import ColumnError, InputError, OptionError, ValueProblem
from unmirage.records import read
from unmirage.types import Records

BASE = {"model": ["a", "b"], "params": [1e8, 1e9], "task": ["t", "t"], "metric": ["acc", "acc"]}


def note(records: Records, code: str) -> tuple[str, int | None]:
    found = [n for n in records.notes if n.code == code]
    assert len(found) == 1, records.notes
    return found[0].level, found[0].count


def table(**more: object) -> pl.DataFrame:
    return pl.DataFrame({**BASE, "score": [0.1, 0.2], **more}, strict=False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_number(bad: float) -> None:
    frame = table(score=[0.1, bad])
    with pytest.raises(ValueProblem, match=r"column 'score', row 2"):
        read(frame)
    got = read(frame, skip_bad=True)
    assert got.aggregates["row"].to_list() == [1]
    assert note(got, "bad_rows") == ("warning", 1)


def test_a_score_that_is_a_word_and_one_that_says_missing() -> None:
    with pytest.raises(ValueProblem, match="'good'"):
        read(table(score=["0.1", "good"]))
    got = read(table(score=["0.1", "N/A"]))
    assert got.aggregates["score"].to_list() == [0.1]
    assert note(got, "null_score") == ("warning", 1)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(InputError, match="no usable row"):
        read(table(score=[None, None]))


def test_truth_values_and_percent_signs_are_scores() -> None:
    assert read(table(score=[True, False])).aggregates["score"].to_list() == [1.0, 0.0]
    assert read(table(score=["45%", "0.5"])).aggregates["score"].to_list() == [0.45, 0.5]


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("stderr", -0.1, "stderr_bad"),
        ("stderr", math.nan, "stderr_bad"),
        ("stderr", 0.0, "stderr_zero"),
        ("n_samples", 0, "n_samples_bad"),
        ("n_samples", -5, "n_samples_bad"),
        ("n_samples", 0.5, "n_samples_bad"),
        ("n_samples", 1e300, "n_samples_bad"),
        ("chance", math.nan, "chance_bad"),
    ],
)
def test_side_numbers_that_cannot_be_right_become_unknown(
    column: str, value: float, code: str
) -> None:
    right = 500.0 if column == "n_samples" else 0.5
    got = read(table(**{column: [right, value]}))
    assert got.aggregates[column].to_list() == [right, None]
    assert note(got, code) == ("warning", 1)
    if code != "chance_bad":
        assert "(row 2)" in next(n.message for n in got.notes if n.code == code)


@pytest.mark.parametrize("score", [1e300, -1e101])
def test_a_score_whose_square_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValueProblem, match=r"row 2.*is beyond 1e\+100"):
        read(table(metric=["loss"] * 2, score=[1.0, score]))


def test_a_standard_error_of_0_at_the_floor_is_right() -> None:
    got = read(table(score=[0.0, 1.0], stderr=[0.0, 0.0]))
    assert got.aggregates["stderr"].to_list() == [0.0, 0.0]


def test_chance_outside_the_unit_interval() -> None:
    with pytest.raises(ValueProblem, match="'chance'"):
        read(table(chance=[0.25, 25]))
    # the scores are on 0-100 as well: for the later layer to see
    got = read(table(score=[10, 20], chance=[25, 25])).aggregates
    assert got["chance"].to_list() == [25, 25]
    assert read(table(metric=["margin"] * 2, chance=[-3, -3])).aggregates["chance"][0] == -3


def test_percent_is_only_what_was_asked() -> None:
    frame = table(metric=["bleu", "acc"], score=[40, 50], stderr=[2, 1], chance=[25, 0.25])
    got = read(frame, percent=["BLEU"])
    assert got.aggregates.select("score", "stderr", "chance").rows() == [
        (0.4, 0.02, 0.25),
        (50.0, 1.0, 0.25),
    ]
    assert note(got, "percent") == ("info", 1)
    with pytest.raises(OptionError, match="did you mean 'bleu'"):
        read(frame, percent=["blue"])


def test_identical_rows_are_one_row_but_extras_tell_apart() -> None:
    twice = pl.concat([table(), table()])
    got = read(twice)
    assert got.aggregates.height == 2
    assert note(got, "identical_rows") == ("info", 2)
    # 0.0 under two temperatures is two measurements, not one
    other = twice.with_columns(temperature=pl.Series([0, 0, 1, 1]))
    assert read(other).aggregates.height == 4
    # where a row came from does not make it another measurement
    assert read(twice.with_columns(path=pl.Series(list("abcd")))).aggregates.height == 2


def test_whole_numbers() -> None:
    got = read(table(shots=["five-shot", "0"], seed=[1.0, None])).aggregates
    assert got["shots"].to_list() == [5, 0]
    assert got["seed"].to_list() == [1, None]
    with pytest.raises(ValueProblem, match="'shots'"):
        read(table(shots=["few", "0"]))
    with pytest.raises(ValueProblem, match="'seed'"):
        read(table(seed=[1.5, 2]))


def test_shots_that_disagree_with_a_name() -> None:
    frame = table(shots=[0, 5], path=["v0/five-shot/a.json", "v0/five-shot/b.json"])
    got = read(frame)
    assert note(got, "shots_disagree") == ("warning", 1)
    assert "five-shot/a.json" in next(n.message for n in got.notes if n.code == "shots_disagree")
    agree = read(table(shots=[0, 5], path=["zero-shot/a", "5shot/b"]))
    assert not [n for n in agree.notes if n.code == "shots_disagree"]


# ---------------------------------------------------------------- samples

ITEMS = {
    "model": ["a", "a", "b", "b"],
    "params": [1e8, 1e8, 1e9, 1e9],
    "doc_id": [1, 2, 1, 2],
    "prediction": ["x", "y", "x", "z"],
    "target": ["x", "z", "x", "z"],
}


def items(**more: object) -> pl.DataFrame:
    return pl.DataFrame({**ITEMS, **more}, strict=False)


def test_samples_are_recognised() -> None:
    got = read(items())
    assert got.aggregates.height == 0
    assert got.samples.select("item", "output", "targets").rows()[1] == ("2", "y", ["z"])
    assert got.samples["item"].dtype == pl.String
    assert got.samples["score"].null_count() == 4


@pytest.mark.parametrize(
    ("cell", "want"),
    [
        ("[-1.2, -3]", [-1.2, -3.0]),
        ("[-1.2 -3.]", [-1.2, -3.0]),
        ("['-1.2', '-3']", [-1.2, -3.0]),
        ('["-1.2", "-3"]', [-1.2, -3.0]),
        ("[-inf, -3]", [-math.inf, -3.0]),
        ("[-1, None]", [-1.0, None]),
        ("[]", []),
    ],
)
def test_log_probabilities_written_as_text(cell: str, want: list[float]) -> None:
    got = read(items(choice_logprobs=[cell] * 4)).samples
    assert got["choice_logprobs"].to_list() == [want] * 4


def test_log_probabilities_as_lists_of_text() -> None:
    got = read(items(logprobs=[["-1.5", "-2"]] * 4)).samples
    assert got["token_logprobs"].to_list() == [[-1.5, -2.0]] * 4


def test_log_probabilities_that_cannot_be_right() -> None:
    with pytest.raises(ValueProblem, match="log-probability above 0"):
        read(items(token_logprobs=[[-1.0], [0.5], [-1.0], [-1.0]]))
    with pytest.raises(ValueProblem, match="'choice_logprobs', row 2"):
        read(items(choice_logprobs=["[-1]", "minus one", "[-1]", "[-1]"]))
    with pytest.raises(ValueProblem, match="another length"):
        read(items(choice_logprobs=[[-1.0]] * 4, choices=[["a", "b"]] * 4))
    with pytest.raises(ValueProblem, match="no index"):
        read(items(choice_logprobs=[[-1.0, -2.0]] * 4, target_index=[0, 1, 2, 0]))


def test_targets_and_choices_as_json_or_python_text() -> None:
    got = read(items(target=['["4", "four"]', "['a', 'b']", "[not a list", "5"])).samples
    assert got["targets"].to_list() == [["4", "four"], ["a", "b"], ["[not a list"], ["5"]]


def test_a_number_as_target_beside_choices_is_an_index() -> None:
    frame = items(choices=[["p", "q"]] * 4, answer=[0, 1, 0, 1]).drop("target")
    assert read(frame).samples["target_index"].to_list() == [0, 1, 0, 1]


def test_a_letter_as_index_is_left_as_it_is() -> None:
    got = read(items(target_index=list("ABCA"), choice_logprobs=[[-1.0, -2.0]] * 4))
    assert got.samples["target_index"].null_count() == 4
    assert got.samples["target_index_text"].to_list() == list("ABCA")


def test_correct_is_the_score_of_a_table_that_has_no_other() -> None:
    got = read(items(correct=[True, False, True, True])).samples
    assert got["score"].to_list() == [1, 0, 1, 1]
    assert got["metric"].unique().to_list() == ["correct"]


def test_items_with_nothing_to_score() -> None:
    with pytest.raises(ColumnError):
        read(items().drop("prediction", "target"))


def test_several_scores_beside_outputs_would_count_outputs_twice() -> None:
    frame = items(acc=[1, 0, 1, 1], f1=[1.0, 0.5, 1.0, 1.0])
    with pytest.raises(OptionError, match="count twice"):
        read(frame, scores=["acc", "f1"])
    assert read(frame, scores=["acc"]).samples["metric"].unique().to_list() == ["acc"]
    alone = read(frame.drop("prediction", "target")).samples
    assert alone["metric"].unique().sort().to_list() == ["acc", "f1"]


def test_an_item_without_a_name() -> None:
    with pytest.raises(ValueProblem, match="'doc_id', row 2"):
        read(items(doc_id=[1, None, 1, 2]))


def test_no_item_column() -> None:
    got = read(items().drop("doc_id").rename({"prediction": "output"}))
    assert got.samples["item"].to_list() == ["1", "2", "1", "2"]
    assert note(got, "items_numbered") == ("warning", 4)


def test_identical_answers_are_dropped_and_counted() -> None:
    got = read(pl.concat([items(), items()]))
    assert got.samples.height == 4
    assert note(got, "identical_rows") == ("info", 4)


def test_an_item_answered_twice_is_refused_with_its_rows() -> None:
    frame = items(doc_id=[1, 1, 1, 2])
    with pytest.raises(ValueProblem, match=r"rows 1, 2: item '1' appears 2 times for model 'a'"):
        read(frame)
    got = read(frame, skip_bad=True)
    assert got.samples.height == 3
    assert note(got, "repeated_items") == ("warning", 1)
    numbered = read(frame.with_columns(trial=pl.Series([0, 1, 0, 0]))).samples
    assert numbered["repeat"].to_list() == [0, 1, 0, 0]
    assert read(frame.with_columns(filter=pl.Series(list("pqpp")))).samples.height == 4


def test_an_extra_column_that_tells_repeated_items_apart() -> None:
    frame = items(doc_id=[1, 1, 1, 1], mode=["cot", "direct"] * 2)
    got = read(frame)
    assert note(got, "setting_from_extra") == ("warning", 2)
    assert "'mode'" in next(n.message for n in got.notes if n.code == "setting_from_extra")


@pytest.mark.parametrize(
    "extra",
    [["t1", "t2", "t3", "t4"], [0.1, 0.2, 0.1, 0.2], [True, False, True, False]],
    ids=["all different", "floats", "right and wrong"],
)
def test_a_column_that_tells_any_rows_apart_says_nothing(extra: list[object]) -> None:
    with pytest.raises(ValueProblem, match="appears 2 times"):
        read(items(doc_id=[1, 1, 1, 1], prediction=list("wxyz"), other=extra))


def test_samples_and_aggregates_may_be_mixed() -> None:
    got = read([items(), table()])
    assert (got.samples.height, got.aggregates.height) == (4, 2)
    assert set(got.samples["file"]) | set(got.aggregates["file"]) == {"(frame 1)", "(frame 2)"}
