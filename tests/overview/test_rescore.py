"""Recomputed scores against reported ones: each way to differ is made on purpose."""

import math
from typing import Any

import polars as pl
import pytest

from unmirage.overview import compare
from unmirage.overview.rescore import Compared
from unmirage.records import read
from unmirage.types import Records

Row = dict[str, Any]


def records(answers: list[Row], metric: str, theirs: list[float]) -> Records:
    """Each answer in one row, the score that a harness gave it in another."""
    rows = []
    for i, (answer, score) in enumerate(zip(answers, theirs, strict=True)):
        same = {"model": "mine-1b", "task": "t", "item": f"i{i}"}
        rows += [{**same, **answer}, {**same, "metric": metric, "score": score}]
    columns = dict.fromkeys(c for row in rows for c in row)
    types = {"choice_logprobs": pl.List(pl.Float64), "targets": pl.List(pl.String)}
    types |= {"choices": pl.List(pl.String)}
    return read(
        pl.DataFrame([pl.Series(c, [r.get(c) for r in rows], dtype=types.get(c)) for c in columns])
    )


def one(answers: list[Row], metric: str, theirs: list[float]) -> Compared:
    (found,) = compare(records(answers, metric, theirs))
    return found


def choice(*logprobs: float, right: int = 0, choices: tuple[str, ...] | None = None) -> Row:
    texts = choices or tuple("abcdefgh"[: len(logprobs)])
    return {"choice_logprobs": list(logprobs), "target_index": right, "choices": list(texts)}


def text(output: str, *targets: str) -> Row:
    return {"output": output, "targets": list(targets)}


def brier(p: float) -> float:
    return 2 * (1 - p) ** 2


TWO = [choice(math.log(0.7), math.log(0.3)), choice(math.log(0.4), math.log(0.6))]


def test_equal_scores() -> None:
    found = one(TWO, "acc", [1.0, 0.0])
    assert (found.task, found.metric, found.reported_as, found.model) == (
        *("t", "accuracy", "acc"),
        "mine-1b",
    )
    assert (found.items, found.ours, found.theirs, found.differ, found.reason) == (
        *(2, 0.5, 0.5, 0),
        "",
    )


@pytest.mark.parametrize(
    ("answers", "metric", "theirs", "reason"),
    [
        (TWO, "brier", [brier(0.7) / 2, brier(0.4) / 2], "the harness halves it"),
        (TWO, "acc", [100.0, 0.0], "the harness writes it on 0-100"),
        (
            [choice(math.log(0.5), math.log(0.3), math.log(0.2)), choice(*[math.log(1 / 3)] * 3)],
            "brier",
            [0.25, 4 / 9],
            "the harness scores only the right choice",
        ),
        (
            [choice(-1.0, -1.0), choice(-1.0, -1.0, right=1), choice(-1.0, -2.0)],
            "acc",
            [1.0, 0.0, 1.0],
            "ties for the top: the harness takes the first",
        ),
        (
            [choice(-4.0, -3.0, choices=("a" * 8, "b")), choice(-1.0, -3.0)],
            "acc",
            [1.0, 1.0],
            "the harness divides the log-probabilities by the length",
        ),
        (
            [choice(-4.0, -3.0, choices=("a" * 8, "b")), choice(-1.0, -3.0)],
            "acc_norm",
            [0.0, 1.0],
            "the harness does not divide by the length",
        ),
        (
            [choice(-4.0, -3.0, choices=("éé", "bb")), choice(-1.0, -3.0)],
            "acc_norm",
            [1.0, 1.0],
            "the harness divides by bytes",
        ),
        (
            [text("Paris.", "paris"), text("x", "y")],
            "exact_match",
            [1.0, 0.0],
            "the harness ignores case, punctuation and white space",
        ),
        (
            [text("Paris is it", "Paris"), text("x", "y")],
            "exact_match",
            [1.0, 0.0],
            "the harness accepts an answer that begins with the target",
        ),
        (
            [text("so, Paris it is", "Paris"), text("x", "y")],
            "exact_match",
            [1.0, 0.0],
            "the harness accepts an answer that holds the target",
        ),
        (
            [text(" Paris", "Paris"), text("x", "y"), text("y", "y")],
            "exact_match",
            [0.0, 0.0, 1.0],
            "the harness does not strip white space",
        ),
        (
            [text("she is she", "she was"), text("y", "y")],
            "f1_score",
            [0.5, 1.0],
            "the harness counts each word once",
        ),
        (
            [text("a house on a hill", "a house by the sea"), text("x", "y")],
            "bleu_1",
            [0.4, 0.0],
            "the harness counts single words",
        ),
        (
            [text("a house on a hill", "a house by the sea"), text("x", "y")],
            "bleu_4",
            [2.2e-308, 0.0],
            "the harness does not smooth",
        ),
        (TWO, "brier", [0.1801, 0.7199], "the harness rounds"),
        ([text("a", "b"), text("b", "b")], "exact_match", [1.0, 1.0], "not known"),
        ([text("a", "b"), text("b", "b")], "em", [0.0, 0.0], "not known"),
    ],
)
def test_why(answers: list[Row], metric: str, theirs: list[float], reason: str) -> None:
    found = one(answers, metric, theirs)
    assert found.differ > 0
    assert found.reason.startswith(reason), found.reason


def test_a_reason_of_some_items_says_of_how_many() -> None:
    answers = [text("Paris.", "paris"), text("a", "b"), text("b", "b")]
    found = one(answers, "exact_match", [1.0, 1.0, 1.0])
    assert found.reason.endswith("(1 of 2; the rest is not known)")


def test_scores_of_log_probabilities_in_bits() -> None:
    frame = pl.DataFrame(
        {"model": "mine-1b", "item": ["a", "b"], "token_logprobs": [[-1.0, -2.0], [-0.5]]}
    )
    scored = frame.with_columns(metric=pl.lit("loglikelihood"), score=pl.lit(None, pl.Float64))
    scored = scored.with_columns(score=pl.Series([-3.0 / math.log(2), -0.5 / math.log(2)]))
    (found,) = compare(read(scored))
    assert found.reason == "the harness counts in bits, not nats"


def test_accuracy_of_written_answers_is_exact_match() -> None:
    """Inspect calls it so, and has no log-probabilities of choices."""
    found = one([text("B", "B"), text("A", "B"), text("B.", "B")], "accuracy", [1.0, 0.0, 1.0])
    assert (found.metric, found.reported_as, found.items) == ("exact_match", "accuracy", 3)
    assert (found.ours, found.differ) == (pytest.approx(1 / 3), 1)
    assert found.reason == "the harness ignores case, punctuation and white space"
    answered = [{**choice(-0.1, -3.0), **text("b", "a")}]
    assert one(answered, "accuracy", [1.0]).metric == "accuracy"


def test_what_cannot_be_paired_is_not_compared() -> None:
    assert compare(read(pl.DataFrame({"params": [1e9], "score": [0.5]}))) == ()
    only = records([text("a", "a")], "judged", [1.0])
    assert compare(only) == ()
    no_fields = records([{"output": "a"}], "acc", [1.0])
    assert compare(no_fields) == ()


def test_an_answer_in_the_row_of_each_of_its_scores() -> None:
    rows = [
        {"model": "mine-1b", "item": i, "output": o, "targets": "y", "metric": m, "score": s}
        for i, o in (("a", "y"), ("b", "n"))
        for m, s in (("exact_match", float(o == "y")), ("f1", 0.0))
    ]
    found = {c.metric: c for c in compare(read(pl.DataFrame(rows)))}
    assert (found["exact_match"].items, found["exact_match"].differ) == (2, 0)
    assert (found["f1"].items, found["f1"].differ) == (2, 1)


def test_the_mean_that_was_reported_beside_the_items() -> None:
    samples = pl.DataFrame(
        {"model": "mine-1b", "task": "t", "item": ["a", "b"], "output": ["x", "y"], "targets": "x"}
    )

    def said(score: float, n: float | None) -> str:
        means = pl.DataFrame(
            {"model": ["mine-1b"], "task": "t", "metric": "em", "score": score, "n_samples": n},
            schema_overrides={"n_samples": pl.Float64},
        )
        (found,) = compare(read([samples, means]))
        assert (found.reported_as, found.items, found.ours) == ("em (of all items)", 2, 0.5)
        return found.reason

    assert said(0.5, 2) == ""
    assert said(0.25, 4) == "the harness scored 4 items, 2 answers are here"
    assert said(50.0, None) == "the harness writes it on 0-100"
    assert said(0.3, None) == "not known"
