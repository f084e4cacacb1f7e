"""Tasks of prompts and targets: true, never trained on what is asked, fixed by their seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.errors import OptionError
from unmirage.lab import arithmetic, mixture, tasks
from unmirage.lab.tokens import BETWEEN, BLOCK, FILLER, Stratum, TokenTask, distinct, table

#: small versions of every task on tokens, with strata that differ in length where they can
SMALL: dict[str, dict[str, int | str]] = {
    "recall": {"items": 60, "length": "1-3"},
    "addition": {"items": 40, "digits": "1-3"},
    "multiplication": {"items": 50, "digits": "1x2,2x1,2x2"},
    "mixture": {"items": 30},
    "parity": {"items": 20, "bits": 8, "quanta": 4, "choices": 0},
}
#: where everything that is asked was trained on
BY_HEART = ("recall", "mixture-lookup")
NAMES = list(SMALL)


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, pool, reserve in ((arithmetic, 3000, 700), (mixture, 600, 120)):
        monkeypatch.setattr(module, "POOL", pool)
        monkeypatch.setattr(module, "RESERVE", reserve)


def make(name: str, seed: int = 0, **options: int | str) -> TokenTask:
    """A small task; not the cached one, whose tables are large."""
    task = tasks.TASKS[name](seed=seed, **{**SMALL[name], **options})
    assert isinstance(task, TokenTask)
    return task


def prompts(task: TokenTask, rows: np.ndarray) -> list[str]:
    return [task.text(row) for row in task.prompts[rows]]


def target(task: TokenTask, row: int) -> str:
    return task.text(task.targets[row][: task.lengths[row]])


def same(one: TokenTask, other: TokenTask) -> bool:
    parts = [(one.prompts, other.prompts), (one.targets, other.targets)]
    for a, b in zip(one.strata, other.strata, strict=True):
        parts += [(a.train, b.train), (a.test, b.test)]
    return all(np.array_equal(a, b) for a, b in parts)


# ---------------------------------------------------------------- seeds


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_the_same_for_the_same_seed_and_another_for_another(name: str) -> None:
    one, again, other = make(name, 3), make(name, 3), make(name, 4)
    assert same(one, again)
    assert not same(one, other)
    assert np.array_equal(one.batches(7, 5), again.batches(7, 5))
    assert not np.array_equal(one.batches(7, 5), other.batches(7, 5))


# ---------------------------------------------------------------- truth


def most_common(text: str) -> str:
    return sorted(set(text), key=lambda c: (-text.count(c), c))[0]


#: the answers of the mixture, told anew
ANSWERS: dict[str, Callable[[str], str]] = {
    "copy": lambda t: t,
    "reverse": lambda t: "".join(reversed(t)),
    "sort": lambda t: "".join(sorted(t)),
    "shift": lambda t: t.translate(str.maketrans("abcdefghij", "bcdefghija")),
    "largest": lambda t: str(max(int(c) for c in t)),
    "most_common": most_common,
    "count": lambda t: str(len(t.replace("b", ""))),
    "xor": lambda t: f"{int(t[:5], 2) ^ int(t[5:], 2):05b}",
    "add2": lambda t: f"{sum(map(int, t.split('+'))):03d}",
    "add3": lambda t: f"{sum(map(int, t.split('+'))):04d}",
    "subtract": lambda t: f"{int(t[:2]) - int(t[3:]):02d}",
    "times": lambda t: f"{int(t[:2]) * int(t[3:]):03d}",
    "modulo7": lambda t: str(int(t) % 7),
    "double": lambda t: f"{int(t) + int(t):05d}",
    "next": lambda t: str(int(t) + 1).zfill(6),
}


@pytest.mark.parametrize("name", [n for n in mixture.KINDS if n != "lookup"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_answers_of_the_mixture_are_true_and_of_one_length(name: str, seed: int) -> None:
    kind = mixture.KINDS[name]
    text = kind.draw(np.random.default_rng(seed))
    assert kind.answer(text) == ANSWERS[name](text)
    assert len(kind.answer(text)) == kind.length


def test_the_table_of_lookup_is_the_same_for_ever_and_not_one_value() -> None:
    answer = mixture.KINDS["lookup"].answer
    assert answer("007") == answer("007")
    assert len({answer(f"{i:03d}") for i in range(50)}) > 30


def test_the_strata_of_the_mixture_hold_the_true_answers() -> None:
    task = make("mixture")
    assert [s.task for s in task.strata] == [f"mixture-{name}" for name in mixture.KINDS]
    for s in task.strata:
        kind = mixture.KINDS[s.task.removeprefix("mixture-")]
        for row in [*s.test[:5], *s.train[:5]]:
            text = task.text(task.prompts[row]).lstrip(FILLER)
            assert text[0] == kind.sign
            assert text[-1] == "="
            assert target(task, row) == kind.answer(text[1:-1])


@settings(max_examples=15, deadline=None)
@given(low=st.integers(1, 8), more=st.integers(0, 3), seed=st.integers(0, 9))
def test_sums_are_true_with_leading_zeros(low: int, more: int, seed: int) -> None:
    high = min(low + more, 8)
    task = make("addition", seed, digits=f"{low}-{high}", items=15)
    assert [s.length for s in task.strata] == [n + 1 for n in range(low, high + 1)]
    for n, s in zip(range(low, high + 1), task.strata, strict=True):
        for row in [*s.test, *s.train[:10]]:
            left, right = prompts(task, [row])[0].removesuffix("=").split("+")
            a, b = left.lstrip(FILLER), right.lstrip(FILLER)
            assert len(a) == len(b) == n
            assert len(left) == len(right) == high
            assert n == 1 or "0" not in (a[0], b[0])
            assert target(task, row) == str(int(a) + int(b)).zfill(n + 1)


@settings(max_examples=15, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, unique=True),
    seed=st.integers(0, 9),
)
def test_products_are_true_with_leading_zeros(shapes: list[tuple[int, int]], seed: int) -> None:
    digits = ",".join(f"{m}x{n}" for m, n in shapes)
    task = make("multiplication", seed, digits=digits, items=15)
    for (m, n), s in zip(shapes, task.strata, strict=True):
        assert s.subtask == (f"{m}x{n} digits" if len(shapes) > 1 else None)
        for row in [*s.test, *s.train[:10]]:
            left, right = prompts(task, [row])[0].removesuffix("=").split("*")
            a, b = left.lstrip(FILLER), right.lstrip(FILLER)
            assert (len(a), len(b)) == (m, n)
            assert target(task, row) == str(int(a) * int(b)).zfill(m + n)


def test_recall_has_distinct_keys_and_values_of_the_length_of_their_stratum() -> None:
    task = make("recall")
    assert [s.length for s in task.strata] == [1, 2, 3]
    assert [len(s.test) for s in task.strata] == [20, 20, 20]
    everyone = prompts(task, task.test)
    assert len(set(everyone)) == 60
    assert all(len(p) == 4 and p.endswith("=") for p in everyone)
    for s in task.strata:
        assert all(target(task, row).isdecimal() for row in s.test)
        assert len({target(task, row) for row in s.test}) > 5
        assert {len(target(task, row)) for row in s.test} == {s.length}


def test_parity_is_that_of_bits_that_are_fixed_for_each_quantum() -> None:
    bits, order = 8, 2
    task = make("parity", bits=bits, order=order, quanta=5)
    chosen = []
    for s in task.strata:
        texts = prompts(task, np.concatenate([s.train, s.test]))
        assert len({t[0] for t in texts}) == 1
        values = np.array([[int(c) for c in t[1:-1]] for t in texts])
        right = np.array([int(target(task, row)) for row in [*s.train, *s.test]])
        # exactly one pair of bits has this parity everywhere
        found = [
            (i, j)
            for i in range(bits)
            for j in range(i)
            if ((values[:, i] + values[:, j]) % 2 == right).all()
        ]
        assert len(found) == 1
        chosen += found
    assert len(set(chosen)) > 1


def test_the_shares_of_parity_fall_as_a_power() -> None:
    task = make("parity", power="2.0", quanta=3)
    assert [s.weight for s in task.strata] == [1.0, 0.25, pytest.approx(1 / 9)]
    order = task.batches(100, 90)
    counts = [np.isin(order, s.train).sum() for s in task.strata]
    shares = np.array([1, 1 / 4, 1 / 9]) / (1 + 1 / 4 + 1 / 9)
    np.testing.assert_allclose(np.array(counts) / 9000, shares, atol=0.02)


# ---------------------------------------------------------------- who is asked


@pytest.mark.parametrize("name", NAMES)
def test_no_prompt_that_is_asked_is_trained_on_and_none_is_there_twice(name: str) -> None:
    task = make(name)
    trained = {text for s in task.strata for text in prompts(task, s.train)}
    for s in task.strata:
        asked = prompts(task, s.test)
        assert len(set(asked)) == len(asked) > 0
        assert len(set(prompts(task, s.train))) == len(s.train)
        if s.task in BY_HEART:
            assert set(asked) <= trained
        else:
            assert not set(asked) & trained
    everyone = prompts(task, np.arange(len(task.prompts)))
    assert len(set(everyone)) == len(everyone)


def test_the_default_tables_hold_no_prompt_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in ("addition", "multiplication"):
        task = tasks.make(name)
        assert isinstance(task, TokenTask)
        assert len(task.test) == 1000
        assert len(np.unique(task.prompts, axis=0)) == len(task.prompts)
        assert not set(task.strata[0].test) & set(task.strata[0].train)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "recall"])
def test_fewer_items_are_the_first_of_more_and_training_does_not_notice(name: str) -> None:
    few, more = make(name, items=7), make(name, items=23)
    assert np.array_equal(few.prompts, more.prompts)
    assert few.vocab == more.vocab
    for a, b in zip(few.strata, more.strata, strict=True):
        assert len(a.test) == 7
        assert len(b.test) == min(23, len(b.test))
        assert np.array_equal(a.test, b.test[:7])
        assert np.array_equal(a.train, b.train)
    assert np.array_equal(few.batches(9, 4), more.batches(9, 4))


def test_a_small_stratum_asks_all_that_it_holds_out() -> None:
    task = make("addition", digits="1-2", items=60)
    assert [len(s.test) for s in task.strata] == [20, 60]
    assert len(task.strata[0].train) == 80


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("name", ["recall", "mixture"])
def test_every_pass_of_a_stratum_is_a_permutation_of_its_rows(name: str) -> None:
    task = make(name)
    order = task.batches(steps=1500, batch=16)
    assert order.shape == (1500, 16)
    assert sum(np.isin(order, s.train).sum() for s in task.strata) == order.size
    several = 0
    for s in task.strata:
        mine = order[np.isin(order, s.train)]
        n = len(s.train)
        whole = [mine[i : i + n] for i in range(0, len(mine) - n + 1, n)]
        assert all(np.array_equal(np.sort(one), np.sort(s.train)) for one in whole)
        rest = mine[len(whole) * n :]
        assert len(set(rest)) == len(rest)
        several += len(whole) > 1 and not np.array_equal(whole[0], whole[1])
    assert several


def test_strata_without_weights_come_equally_often() -> None:
    task = make("multiplication")
    order = task.batches(300, 30)
    shares = [np.isin(order, s.train).mean() for s in task.strata]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 9), steps=st.integers(1, 12), batch=st.integers(1, 7))
def test_rows_come_equally_often_up_to_one(n: int, steps: int, batch: int) -> None:
    everything = np.arange(n)
    stratum = Stratum("t", None, everything, everything[:1], 1)
    task = table("t", "ab", [(stratum, ["a"] * n, ["b"] * n)], 0, "")
    counts = Counter(dict.fromkeys(range(n), 0))
    counts.update(task.batches(steps, batch).ravel().tolist())
    assert max(counts.values()) - min(counts.values()) <= 1


# ---------------------------------------------------------------- few-shot prompts


@pytest.mark.parametrize("name", NAMES)
def test_a_few_shot_prompt_is_true_solved_examples_and_then_the_question(name: str) -> None:
    shots = 3
    plain, task = make(name), make(name, shots=shots)
    own, long = plain.prompts.shape[1], plain.targets.shape[1]
    assert task.prompt == shots * (own + long + 1) + own
    assert (task.target, task.vocab) == (long, plain.vocab + BETWEEN)
    sequences = task.sequences(task.asked)
    assert sequences.shape == (len(task.test), task.prompt + task.target)
    start = 0
    for s in task.strata:
        solved = {
            task.text(task.prompts[row]) + task.text(task.targets[row]): row for row in s.train
        }
        for row, sequence in zip(s.test, sequences[start : start + len(s.test)], strict=True):
            *examples, question = task.text(sequence).split(BETWEEN)
            assert len(examples) == shots
            assert all(example in solved for example in examples)
            assert question == task.text(task.prompts[row]) + task.text(task.targets[row])
        start += len(s.test)


def test_training_prompts_have_examples_of_the_stratum_of_their_question() -> None:
    plain, task = make("multiplication"), make("multiplication", shots=2)
    order = task.batches(20, 6)
    assert order.shape == (20, 6, 3)
    assert np.array_equal(order[..., -1], plain.batches(20, 6)), "the questions stay the same"
    for group in order.reshape(-1, 3):
        assert sum(np.isin(group, s.train).all() for s in task.strata) == 1
    texts = [task.text(row) for row in task.sequences(order)[0]]
    assert all(text.count(BETWEEN) == 2 for text in texts)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "recall"])
def test_the_examples_of_an_item_do_not_depend_on_how_many_are_asked(name: str) -> None:
    few, more = make(name, items=5, shots=3), make(name, items=18, shots=3)
    at = np.cumsum([0, *(len(s.test) for s in more.strata)])[:-1]
    for i, start in enumerate(at):
        assert np.array_equal(few.asked[5 * i : 5 * i + 5], more.asked[start : start + 5])


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("name", "choices"),
    [("recall", 4), ("addition", 4), ("multiplication", 4), ("mixture", 3), ("parity", 2)],
)
def test_the_options_are_different_and_the_right_one_is_where_it_is_said(
    name: str, choices: int
) -> None:
    task = make(name, choices=choices)
    options, place = task.options()
    assert options.shape == (len(task.test), choices, task.target)
    assert np.array_equal(options[np.arange(len(place)), place], task.targets[task.test])
    assert all(len(np.unique(each, axis=0)) == choices for each in options)
    start = 0
    for s in task.strata:
        there = {bytes(t) for t in task.targets[s.train]}
        for each, row in zip(options[start : start + len(s.test)], s.test, strict=True):
            assert {bytes(o) for o in each} - {bytes(task.targets[row])} <= there
        start += len(s.test)
    assert set(place) == set(range(choices)), "the right one is anywhere"


def test_the_right_option_is_everywhere_about_equally_often() -> None:
    task = make("addition", digits="3", items=700, choices=4)
    counts = np.bincount(task.options()[1], minlength=4)
    assert (abs(counts - 175) < 60).all()


def test_options_do_not_depend_on_how_many_items_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("unmirage.lab.tokens.BLOCK", 8)
    for choices in (3, 60):  # few of many, and nearly all
        few = make("addition", digits="2", items=13, choices=choices)
        more = make("addition", digits="2", items=90, choices=choices)
        for a, b in zip(few.options(), more.options(), strict=True):
            assert np.array_equal(a, b[:13])
        assert not np.array_equal(more.options()[1][:8], more.options()[1][8:16])


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 12), size=st.integers(1, 8), more=st.integers(0, 80))
def test_distinct_numbers_are_distinct(count: int, size: int, more: int) -> None:
    found = distinct(np.random.default_rng(0), count, size, size + more)
    assert found.shape == (count, size)
    assert all(len(set(row)) == size for row in found.tolist())
    assert found.size == 0 or (found.min() >= 0 and found.max() < size + more)


# ---------------------------------------------------------------- spelling


def test_fillers_stand_before_prompts_and_after_targets() -> None:
    parts = [
        (Stratum("a", None, np.array([0]), np.array([1]), 2), ["x=", "y="], ["00", "01"]),
        (Stratum("b", None, np.array([0]), np.array([1]), 1), ["xyx=", "x="], ["1", "0"]),
    ]
    task = table("t", "01xy=", parts, 0, "")
    assert task.vocab == "01xy=_"
    assert [task.text(p) for p in task.prompts] == ["__x=", "__y=", "xyx=", "__x="]
    assert [task.text(t) for t in task.targets] == ["00", "01", "1_", "0_"]
    assert task.lengths.tolist() == [2, 2, 1, 1]
    assert not task.one_length
    assert [s.test.tolist() for s in task.strata] == [[1], [3]]


@pytest.mark.parametrize("name", NAMES)
def test_each_character_of_the_vocabulary_is_there_once_and_fillers_where_needed(
    name: str,
) -> None:
    task = make(name)
    assert len(set(task.vocab)) == len(task.vocab)
    used = set(np.unique(task.prompts)) | set(np.unique(task.targets))
    assert max(used) < len(task.vocab)
    assert (FILLER in task.vocab) == (task.vocab.find(FILLER) in used)
    assert len(used) == len(task.vocab)


def test_a_task_of_one_length_needs_no_filler() -> None:
    task = make("addition", digits="2")
    assert task.vocab == "0123456789+="
    assert task.one_length
    assert BLOCK >= 1000, "a change gives other options to the same items"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        *((n, {"shots": -1}, "shots from 0 on") for n in NAMES),
        *((n, {"choices": 1}, "choices 0 or from 2 on") for n in NAMES),
        *((n, {"choices": -2}, "choices 0 or from 2 on") for n in NAMES),
        *((n, {"items": 0}, "ask for") for n in NAMES),
        *((n, {"items": 10**6}, "mend: ") for n in NAMES),
        *(("addition", {"digits": d}, "within 1-8") for d in ("", "x", "0", "9", "3-2", "-3", "²")),
        *(("recall", {"length": d}, "within 1-18") for d in ("0", "19", "2-1", "a-b", "-")),
        *(
            ("multiplication", {"digits": d}, "strata like 2x2")
            for d in ("", "2", "2x", "x2", "0x2", "2x5", "2x2,", "2x2;3x3", "²x2")
        ),
        ("multiplication", {"digits": "2x2,2x2"}, "name each once"),
        ("multiplication", {"choices": 500, "digits": "1x1", "items": 5}, "at most"),
        ("parity", {"choices": 3}, "at most 2 choices"),
        ("parity", {"order": 9}, "order <= bits"),
        ("parity", {"order": 0}, "order <= bits"),
        ("parity", {"bits": 2, "order": 1}, "bits from 3"),
        ("parity", {"quanta": 53}, "quanta from 1 to 52"),
        *(("parity", {"power": d}, "power=1.2") for d in ("fast", "nan", "inf", "-1e9", "")),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_a_mend(
    name: str, options: dict[str, int | str], words: str
) -> None:
    with pytest.raises(OptionError) as caught:
        make(name, **options)
    assert "mend: " in str(caught.value)
    assert words in str(caught.value)


def test_an_unknown_task_or_option_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(OptionError, match="recall, addition, multiplication"):
        tasks.make("division")
    with pytest.raises(OptionError, match="items, digits, shots, choices"):
        tasks.make("addition", 0, {"length": "3"})


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_among_its_own_examples(name: str) -> None:
    task = make(name, shots=3)
    for rows in (task.asked, task.batches(40, 16).reshape(-1, 4)):
        assert not (rows[:, :-1] == rows[:, -1:]).any()
