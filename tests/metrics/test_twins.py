"""The array code equals a slow, obvious twin, to 1e-12, on random input."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from unmirage.metrics import METRICS, pass_at, score, token_units
from unmirage.metrics.passk import estimate
from unmirage.metrics.tokens import Pairs, _coded, edit_distances, token_pairs
from unmirage.records.columns import SAMPLE

Row = dict[str, object]
Twin = Callable[[Row], float]
NAN = math.nan

# ---------------------------------------------------------------- random rows


def random_rows(seed: int, count: int = 400) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [random_row(rng, i) for i in range(count)]


def random_row(rng: np.random.Generator, i: int) -> Row:
    def text(alphabet: str, most: int) -> str:
        return "".join(rng.choice(list(alphabet), rng.integers(0, most)))

    def logprobs(count: int) -> list[float | None]:
        values: list[float | None] = (-rng.exponential(2.0, count)).round(1).tolist()
        if rng.random() < 0.1 and values:
            values[0] = rng.choice([None, NAN, -math.inf, 0.5, 1e-9])
        return values

    alphabet = str(rng.choice(["ab", "ab ", "0123456789", "a😀é \t", "The a.cat,"]))
    count, choices = int(rng.integers(0, 6)), int(rng.integers(0, 5))
    row: Row = {
        "output": text(alphabet, 9),
        "targets": [text(alphabet, 9) for _ in range(rng.integers(0, 4))],
        "output_tokens": rng.integers(-2, 4, rng.integers(0, 6)).tolist(),
        "target_tokens": rng.integers(-2, 4, count).tolist(),
        "token_logprobs": logprobs(max(count + int(rng.choice([0] * 18 + [-1, 1])), 0)),
        "token_correct": (rng.random(count) < 0.5).tolist(),
        "target_bytes": int(rng.integers(0, 9)),
        "choices": [text("abcé", 6) for _ in range(choices)],
        "choice_logprobs": logprobs(max(choices + int(rng.choice([0] * 18 + [-1, 1])), 0)),
        "choice_credit": rng.choice([0.0, 0.5, 1.0], choices).tolist(),
        "target_index": int(rng.integers(-1, 5)),
        "squared_error": float(rng.choice([0.5, 0.0, 2.0, -0.1, NAN, math.inf])),
    }
    for column in row:
        if rng.random() < 0.05:
            row[column] = None
    if rng.random() < 0.6:
        row["output_tokens"] = None
    return row


TYPES = {
    name: SAMPLE[name]
    for name in (
        "output",
        "targets",
        "output_tokens",
        "target_tokens",
        "token_logprobs",
        "token_correct",
        "target_bytes",
        "choices",
        "choice_logprobs",
        "choice_credit",
        "target_index",
        "squared_error",
    )
}

# ---------------------------------------------------------------- text


def pairs_of(row: Row) -> list[tuple[list[object], list[object]]]:
    """The answer's and each target's tokens."""
    if row["output_tokens"] is not None and row["target_tokens"] is not None:
        return [(list(row["output_tokens"]), list(row["target_tokens"]))]
    if row["output"] is None or row["targets"] is None:
        return []
    targets = [t.strip() for t in row["targets"]]
    words = any(any(c.isspace() for c in t) for t in targets)
    cut = (lambda t: t.split()) if words else list
    return [(cut(row["output"].strip()), cut(t)) for t in targets]


def texts_of(row: Row) -> list[tuple[str, str]]:
    if row["output"] is None or row["targets"] is None:
        return []
    return [(row["output"].strip(), t.strip()) for t in row["targets"]]


def levenshtein(a: list[object], b: list[object]) -> int:
    line = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, line[0] = line[0], i
        for j, y in enumerate(b, 1):
            last, line[j] = line[j], min(line[j] + 1, line[j - 1] + 1, last + (x != y))
    return line[-1]


def exact_match(row: Row) -> float:
    return max((float(a == b) for a, b in texts_of(row)), default=NAN)


def edit_distance(row: Row) -> float:
    return min((float(levenshtein(a, b)) for a, b in pairs_of(row)), default=NAN)


def edit_distance_norm(row: Row) -> float:
    found = [levenshtein(a, b) / max(len(a), len(b), 1) for a, b in pairs_of(row)]
    return min(found, default=NAN)


def token_accuracy_free(row: Row) -> float:
    found = [
        sum(x == y for x, y in zip(a, b, strict=False)) / len(b) for a, b in pairs_of(row) if b
    ]
    return max(found, default=NAN)


def prefix_match(row: Row) -> float:
    def right(a: list[object], b: list[object]) -> int:
        return max(t for t in range(len(b) + 1) if a[:t] == b[:t])

    return max((right(a, b) / len(b) for a, b in pairs_of(row) if b), default=NAN)


# ---------------------------------------------------------------- log-probabilities


def tokens(row: Row, column: str) -> list[float] | None:
    values, ids = row[column], row["target_tokens"]
    if not values or (ids is not None and len(ids) != len(values)):
        return None
    return clean(values)


def clean(values: list[float | None]) -> list[float] | None:
    if any(v is None or math.isnan(v) or v > 1e-6 for v in values):
        return None
    return [min(v, 0.0) for v in values]


def total(row: Row) -> float:
    found = tokens(row, "token_logprobs")
    return NAN if found is None else math.fsum(found) if -math.inf not in found else -math.inf


def finite(x: float) -> float:
    return x if math.isfinite(x) else NAN


def cross_entropy(row: Row) -> float:
    found = tokens(row, "token_logprobs")
    return NAN if found is None else finite(-total(row) / len(found))


def bits_per_byte(row: Row) -> float:
    size = row["target_bytes"]
    if size is None and row["targets"]:
        size = len(row["targets"][0].encode())
    return finite(-total(row) / math.log(2) / size) if size else NAN


def token_prob(row: Row) -> float:
    found = tokens(row, "token_logprobs")
    return NAN if found is None else math.fsum(map(math.exp, found)) / len(found)


def token_accuracy(row: Row) -> float:
    values, ids = row["token_correct"], row["target_tokens"]
    if not values or (ids is not None and len(ids) != len(values)):
        return NAN
    return sum(values) / len(values)


# ---------------------------------------------------------------- choices


def options(row: Row) -> list[float] | None:
    values, texts = row["choice_logprobs"], row["choices"]
    if values is None or len(values) < 2 or (texts is not None and len(texts) != len(values)):
        return None
    return clean(values)


def right_choice(row: Row) -> tuple[list[float], int] | None:
    found, index = options(row), row["target_index"]
    return None if found is None or index not in range(len(found)) else (found, index)


def top(values: list[float], credit: list[float]) -> float:
    tied = [c for v, c in zip(values, credit, strict=True) if v == max(values)]
    return sum(tied) / len(tied)


def accuracy(row: Row) -> float:
    found = right_choice(row)
    return top(found[0], [float(k == found[1]) for k in range(len(found[0]))]) if found else NAN


def accuracy_norm(row: Row) -> float:
    found = right_choice(row)
    if not found or row["choices"] is None or "" in row["choices"]:
        return NAN
    values = [v / len(c) for v, c in zip(found[0], row["choices"], strict=True)]
    return top(values, [float(k == found[1]) for k in range(len(values))])


def mc_grade(row: Row) -> float:
    found, credit = options(row), row["choice_credit"]
    if not credit:
        return accuracy(row)
    return top(found, credit) if found and len(found) == len(credit) else NAN


def softmax(values: list[float]) -> list[float]:
    if max(values) == -math.inf:
        return [NAN] * len(values)
    weights = [math.exp(v - max(values)) for v in values]
    return [w / math.fsum(weights) for w in weights]


def prob_choice(row: Row) -> float:
    found = right_choice(row)
    return math.exp(found[0][found[1]]) if found else NAN


def prob_choice_norm(row: Row) -> float:
    found = right_choice(row)
    return softmax(found[0])[found[1]] if found else NAN


def margin(row: Row) -> float:
    found = right_choice(row)
    if not found:
        return NAN
    wrong = max(v for k, v in enumerate(found[0]) if k != found[1])
    return finite(found[0][found[1]] - wrong)


def brier(row: Row) -> float:
    found = right_choice(row)
    if not found:
        return NAN
    return sum((p - (k == found[1])) ** 2 for k, p in enumerate(softmax(found[0])))


def mse(row: Row) -> float:
    error = row["squared_error"]
    return error if error is not None and 0 <= error < math.inf else NAN


TWINS: dict[str, Twin] = {
    "exact_match": exact_match,
    "edit_distance": edit_distance,
    "edit_distance_norm": edit_distance_norm,
    "token_accuracy_free": token_accuracy_free,
    "prefix_match": prefix_match,
    "log_likelihood": lambda row: finite(total(row)),
    "cross_entropy": cross_entropy,
    "bits_per_byte": bits_per_byte,
    "target_prob": lambda row: math.exp(total(row)),
    "token_prob": token_prob,
    "token_accuracy": token_accuracy,
    "accuracy": accuracy,
    "accuracy_norm": accuracy_norm,
    "mc_grade": mc_grade,
    "prob_choice": prob_choice,
    "prob_choice_norm": prob_choice_norm,
    "margin": margin,
    "brier": brier,
    "brier_right": lambda row: (1 - prob_choice_norm(row)) ** 2,
    "mse": mse,
}


def test_every_metric_of_arrays_has_a_twin() -> None:
    loops = {"f1", "rouge_lsum", "bleu"}  # loops themselves; see tests/reference
    rest = {n for n in METRICS if not METRICS[n].pooled} - loops
    assert rest == set(TWINS)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("seed", range(3))
def test_fast_equals_slow(name: str, seed: int) -> None:
    rows = random_rows(seed)
    found = score(name, pl.DataFrame(rows, schema=TYPES))
    expected = np.array([TWINS[name](row) for row in rows])
    assert 0 < np.isnan(expected).sum() < len(rows)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_token_units_are_those_of_the_twin() -> None:
    rows = random_rows(5)
    found = token_units(pl.DataFrame(rows, schema=TYPES)).to_list()
    for row, unit in zip(rows, found, strict=True):
        kinds = {type(t) for pair in pairs_of(row) for side in pair for t in side}
        assert (unit is None) == (pairs_of(row) == [])
        assert (unit == "ids") == (row["output_tokens"] is not None and
                                   row["target_tokens"] is not None)  # fmt: skip
        assert kinds <= ({int} if unit == "ids" else {str})


# ---------------------------------------------------------------- pass@k


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_pass_at_k_equals_the_ratio_of_binomials(k: int) -> None:
    cases = [(n, c) for n in range(1, 25) for c in range(n + 1)]
    count, right = np.array(cases).T
    expected = [
        float(1 - Fraction(math.comb(n - c, k), math.comb(n, k))) if n >= k else NAN
        for n, c in cases
    ]
    np.testing.assert_allclose(estimate(count, right, k), expected, rtol=1e-13, atol=0)


def test_pass_at_k_is_unbiased() -> None:
    rng, p, n, k = np.random.default_rng(0), 0.07, 12, 5
    right = rng.binomial(n, p, 200_000)
    found = estimate(np.full(len(right), n), right, k)
    error = found.std() / math.sqrt(len(right))
    assert found.mean() == pytest.approx(1 - (1 - p) ** k, abs=5 * error)


def test_pass_at_k_keeps_the_digits_of_rare_success() -> None:
    n = 1_000_000
    assert estimate(np.array([n]), np.array([1]), 1)[0] == pytest.approx(1e-6, rel=1e-12)


def test_the_rows_of_an_item_share_its_pass_at_k() -> None:
    samples = pl.DataFrame(
        {
            "model": ["s"] * 4 + ["l"] * 4,
            "item": ["x", "x", "x", "y"] * 2,
            "repeat": [0, 1, 2, 0] * 2,
            "output": ["1", "2", "2", "1", "1", "1", None, "2"],
            "targets": [["1"]] * 8,
        }
    )
    found = score(pass_at(2), samples)
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, NAN, 1, 1, NAN, NAN], rtol=1e-15)


# ---------------------------------------------------------------- the alphabet


def test_tokens_above_the_surrogates_keep_apart() -> None:
    ids = list(range(70_000))
    output, target = pl.Series([ids]), pl.Series([[0, *ids[2:]]])
    pairs = _coded(np.array([0]), output, target)
    assert edit_distances(pairs).tolist() == [1.0]


def test_more_kinds_of_tokens_than_characters_are_compared_as_numbers() -> None:
    pairs = next(
        iter(
            token_pairs(pl.DataFrame({"output_tokens": [[1, 2, 3]], "target_tokens": [[1, 3, 4]]}))
        )
    )
    shifted = Pairs(pairs.row, *(type(r)(r.flat + 2_000_000, r.length) for r in
                                 (pairs.output, pairs.target)))  # fmt: skip
    assert edit_distances(shifted).tolist() == edit_distances(pairs).tolist() == [2.0]


def test_chunks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pl.DataFrame(random_rows(9, 101), schema=TYPES)
    whole = score("edit_distance", samples)
    monkeypatch.setattr("unmirage.metrics.tokens._CHUNK", 7)
    np.testing.assert_array_equal(score("edit_distance", samples), whole)
