"""Values worked out by hand, or by the kept libraries on their own, with the recipe beside each."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from unmirage.metrics import score


@pytest.mark.parametrize(
    ("name", "output", "targets", "expected"),
    [
        # kitten -> sitting: substitute k, substitute e, insert g
        ("edit_distance", "kitten", ["sitting"], 3),
        ("edit_distance_norm", "kitten", ["sitting"], 3 / 7),
        # white space in the target: words; one substituted, one missing
        ("edit_distance", "the cat", ["the dog sat"], 2),
        # the nearer of two targets
        ("edit_distance", "1234", ["9999", "1235"], 1),
        ("edit_distance", "", ["abc"], 3),
        ("edit_distance", "abc", [""], 3),
        ("edit_distance_norm", "", [""], 0),
        # 12 x 34 = 408: the last two digits swapped
        ("token_accuracy_free", "480", ["408"], 1 / 3),
        ("prefix_match", "480", ["408"], 1 / 3),
        ("prefix_match", "408 is it", ["408"], 1),
        ("exact_match", "408 is it", ["408"], 0),
        ("exact_match", " 408\n", ["408"], 1),
        ("exact_match", "Paris", ["paris"], 0),
        # P = 2/3, R = 2/2
        ("f1", "the Cat, sat. Down", ["cat sat"], 0.8),
        # nothing but an article left on either side
        ("f1", "the", ["a"], 1),
        ("f1", "x x y", ["x y y"], 2 / 3),
    ],
)
def test_texts_by_hand(name: str, output: str, targets: list[str], expected: float) -> None:
    samples = pl.DataFrame({"output": [output], "targets": [targets]})
    assert score(name, samples)[0] == pytest.approx(expected, rel=1e-15)


def test_given_ids_come_before_text() -> None:
    samples = pl.DataFrame(
        {"output": ["a"], "targets": [["a"]], "output_tokens": [[1, 2, 3]],
         "target_tokens": [[1, 3]]}
    )  # fmt: skip
    assert score("edit_distance", samples)[0] == 1.0


# log-probabilities of 0.5, 0.25 and 0.25; the right one is the second
CHOICES = pl.DataFrame(
    {
        "choice_logprobs": [[math.log(0.5), math.log(0.25), math.log(0.25)]],
        "choices": [["x", "yy", "zzzzzz"]],
        "target_index": [1],
    }
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 0.0),
        # log 0.5 / 1 = -0.69; log 0.25 / 2 = -0.69 (a tie but for rounding); log 0.25 / 6 = -0.23
        ("accuracy_norm", 0.0),
        ("mc_grade", 0.0),
        ("prob_choice", 0.25),
        ("prob_choice_norm", 0.25),
        ("margin", -math.log(2)),
        ("brier", 0.5**2 + 0.75**2 + 0.25**2),
        ("brier_right", 0.75**2),
    ],
)
def test_choices_by_hand(name: str, expected: float) -> None:
    assert score(name, CHOICES)[0] == pytest.approx(expected, rel=1e-14)


def test_length_normalisation_counts_characters_not_bytes() -> None:
    # -3/3 characters = -1 against -2/1 = -2: the first wins; by bytes it is -3/6 = -0.5.
    # Against -0.8/1 the first loses by characters (-1) and would win by bytes (-0.5).
    samples = pl.DataFrame(
        {
            "choice_logprobs": [[-3.0, -2.0], [-3.0, -0.8]],
            "choices": [["ééé", "x"], ["ééé", "x"]],
            "target_index": [0, 0],
        }
    )
    assert score("accuracy_norm", samples).tolist() == [1.0, 0.0]


TOKENS = pl.DataFrame(
    {
        "token_logprobs": [[math.log(0.5), math.log(0.125)]],
        "token_correct": [[True, False]],
        "target_bytes": [8],
        "targets": [["ignored, as target_bytes is given"]],
    }
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_likelihood", -math.log(16)),
        ("cross_entropy", math.log(4)),
        ("bits_per_byte", 4 / 8),
        ("target_prob", 1 / 16),
        ("token_prob", 0.3125),
        ("token_accuracy", 0.5),
    ],
)
def test_log_probabilities_by_hand(name: str, expected: float) -> None:
    assert score(name, TOKENS)[0] == pytest.approx(expected, rel=1e-14)


def test_bits_per_byte_counts_the_bytes_of_the_first_target() -> None:
    samples = pl.DataFrame({"token_logprobs": [[math.log(0.25)]], "targets": [["é", "abcd"]]})
    assert score("bits_per_byte", samples)[0] == pytest.approx(1.0)


PAIRS = [
    ("the cat sat on the mat", ["the cat is on the mat"]),
    ("a b c", ["a b c"]),
    ("no words shared", ["entirely different text"]),
    ("It is a guide to action.\nIt ensures.", ["It is a guide.\nThat ensures it.", "guide"]),
    ("short", ["a much longer reference than the answer"]),
]


def test_bleu_is_sacrebleus_own() -> None:
    from sacrebleu import sentence_bleu  # its defaults: exp smoothing, effective order, 13a

    samples = pl.DataFrame({"output": [p[0] for p in PAIRS], "targets": [p[1] for p in PAIRS]})
    expected = [sentence_bleu(output, targets).score / 100 for output, targets in PAIRS]
    np.testing.assert_allclose(score("bleu", samples), expected, rtol=1e-14)


def test_bleu_by_hand() -> None:
    # 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, 0 of 3 quadruples (smoothed to 1/2 of one);
    # equal lengths: no brevity penalty
    samples = pl.DataFrame(
        {"output": ["the cat sat on the mat"], "targets": [["the cat is on the mat"]]}
    )
    expected = (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    assert score("bleu", samples)[0] == pytest.approx(expected, rel=1e-12)


def test_rouge_is_rouge_scores_own() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    samples = pl.DataFrame({"output": [p[0] for p in PAIRS], "targets": [p[1] for p in PAIRS]})
    scorer = RougeScorer(["rougeLsum"], use_stemmer=False)
    expected = [scorer.score_multi(t, o)["rougeLsum"].fmeasure for o, t in PAIRS]
    np.testing.assert_allclose(score("rouge_lsum", samples), expected, rtol=1e-14)


def test_rouge_by_hand() -> None:
    # longest common subsequence "the cat on the mat": 5 of 6 words on either side
    samples = pl.DataFrame(
        {"output": ["the cat sat on the mat"], "targets": [["the cat is on the mat"]]}
    )
    assert score("rouge_lsum", samples)[0] == pytest.approx(5 / 6, rel=1e-14)


def test_pass_at_k_by_hand() -> None:
    # 3 of 10 right, k = 10 takes them all; k = 1 is the share; k = 5: 1 - C(7,5)/C(10,5)
    samples = pl.DataFrame(
        {"item": ["x"] * 10, "repeat": range(10), "score": [1.0] * 3 + [0.0] * 7}
    )
    for k, expected in [(1, 0.3), (5, 1 - 21 / 252), (10, 1.0)]:
        assert score(f"pass@{k}", samples) == pytest.approx([expected] * 10, rel=1e-14)
