"""Asking for a metric: what is there, what is missing, and what the refusal says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import unmirage.metrics as metrics
from unmirage.errors import ExtraMissing, MetricError
from unmirage.metrics import METRICS, available, facts, get, missing, reported, score, table

TEXT = pl.DataFrame({"output": ["4"], "targets": [["4"]]})


def test_the_public_names() -> None:
    expected = {"METRICS", "available", "facts", "get", "installed", "missing", "pass_at"}
    assert set(metrics.__all__) == expected | {
        *("reported", "score", "smaller", "table", "token_units")
    }
    assert sorted(metrics.__all__) == list(metrics.__all__)


def test_available_lists_what_texts_allow() -> None:
    assert [m.name for m in available(TEXT)] == [
        *("exact_match", "edit_distance", "edit_distance_norm", "token_accuracy_free"),
        *("prefix_match", "f1", "rouge_lsum", "bleu"),
    ]


def test_the_refusal_says_which_column_is_missing_and_what_can_be_done_instead() -> None:
    with pytest.raises(MetricError) as caught:
        score("accuracy", TEXT.with_columns(target_index=pl.lit(None, dtype=pl.Int64)))
    text = str(caught.value)
    assert "accuracy cannot be scored: there is no column choice_logprobs" in text
    assert "no row has a value of target_index" in text
    assert "allow: exact_match, edit_distance" in text


def test_either_of_two_fields_will_do() -> None:
    samples = pl.DataFrame({"token_logprobs": [[-1.0]]})
    assert missing(get("bits_per_byte"), samples) == ("target_bytes|targets",)
    with pytest.raises(MetricError, match="there is no column target_bytes or targets"):
        score("bits_per_byte", samples)


def test_fields_that_are_never_together_are_missing() -> None:
    samples = pl.DataFrame({"output": ["4", None], "targets": [None, ["4"]]})
    assert missing(get("exact_match"), samples) == ("output with targets",)
    with pytest.raises(MetricError, match="no row has output with targets together"):
        score("exact_match", samples)


def test_an_answer_in_text_and_a_target_in_ids_do_not_make_a_distance() -> None:
    samples = pl.DataFrame({"output": ["4"], "target_tokens": [[4]]})
    assert missing(get("edit_distance"), samples) == ("targets|output_tokens",)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(MetricError, match="did you mean 'exact_match'"):
        get("exact_mach")
    with pytest.raises(MetricError, match="pass@0 is not defined"):
        get("pass@0")


def test_a_metric_whose_library_is_not_there_is_refused_and_not_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(metrics._EXTRAS, "text", ("no_such_module_at_all",))
    assert "bleu" not in {m.name for m in available(TEXT)}
    with pytest.raises(ExtraMissing, match=r"unmirage\[text\]"):
        score("bleu", TEXT)


def test_the_table_has_every_metric_and_its_facts() -> None:
    rows = table()
    assert rows["name"].to_list() == list(METRICS)
    row = rows.row(by_predicate=pl.col("name") == "accuracy", named=True)
    assert (row["chance_of_4"], row["linear"], row["direction"]) == (0.25, False, "higher")
    assert rows.null_count().drop("chance_of_4", "extra").sum_horizontal().item() == 0


def test_reported_scores_pass_through_where_the_name_is_theirs() -> None:
    known = facts("acc")
    assert known is not None
    samples = pl.DataFrame(
        {"metric": ["acc", "f1", None, "acc", "acc"], "score": [0.5, 0.1, 0.2, None, np.inf]}
    )
    found = score(reported("acc", known), samples)
    np.testing.assert_array_equal(found, [0.5, np.nan, np.nan, np.nan, np.nan])


def test_a_reported_metric_names_what_is_missing() -> None:
    known = facts("acc")
    assert known is not None
    with pytest.raises(MetricError, match="there is no column metric; there is no column score"):
        score(reported("acc", known), TEXT)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1.0, 0.0, None], [0.5, 0.5, 0.5]), ([1.0, 0.3, 0.0], [0.0, 0.0, 0.0])],
)
def test_pass_at_k_trusts_a_reported_score_only_where_all_are_0_or_1(
    scores: list[float | None], expected: list[float]
) -> None:
    samples = pl.DataFrame(
        {
            "item": ["x"] * 3,
            "repeat": [0, 1, 2],
            "output": ["wrong"] * 3,
            "targets": [["4"]] * 3,
            "metric": ["unit tests"] * 3,
            "score": scores,
        }
    )
    if None in scores:  # the row without a score falls back on exact match
        expected = [1 / 3] * 3
    np.testing.assert_allclose(score("pass@1", samples), expected)


def test_pass_at_k_does_not_take_an_error_for_a_success() -> None:
    samples = pl.DataFrame({"item": ["x"], "repeat": [0], "score": [1.0]})
    for up, expected in [(True, 1.0), (None, 1.0), (False, np.nan)]:
        told = samples.with_columns(higher_is_better=pl.lit(up, dtype=pl.Boolean))
        np.testing.assert_array_equal(score("pass@1", told), [expected])
