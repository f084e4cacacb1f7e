"""Items tried until they pass: unbiased rates far below 1/n, read from a table of tries."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from unmirage.errors import ValueProblem
from unmirage.records.until import rates, until_passed


def tried(rng, rate, goal, budget):
    """Tries and passes of items tried until ``goal`` passes, at most ``budget`` times."""
    hits = rng.random((len(rate), budget)) < rate[:, None]
    count = hits.cumsum(axis=1)
    reached = (count == goal).any(axis=1)
    tries = np.where(reached, (count == goal).argmax(axis=1) + 1, budget)
    return tries, np.where(reached, goal, count[:, -1])


@pytest.mark.parametrize("goal", [2, 5])
@pytest.mark.parametrize("rate", [0.5, 0.05, 0.004])
def test_the_rate_is_unbiased_with_a_budget_too(goal, rate):
    rng = np.random.default_rng(0)
    tries, passes = tried(rng, np.full(40_000, rate), goal, 100)
    found, _ = rates(tries.astype(float), passes.astype(float), passes == goal)
    assert found.mean() == pytest.approx(rate, abs=4 * found.std() / 200)


@pytest.mark.parametrize("goal", [1, 2, 5])
@pytest.mark.parametrize("rate", [0.5, 0.01, 1e-4])
def test_the_log_rate_is_unbiased(goal, rate):
    tries = goal + np.random.default_rng(1).negative_binomial(goal, rate, 200_000)
    _, nats = rates(
        tries.astype(float), np.full(len(tries), float(goal)), np.ones(len(tries), bool)
    )
    assert nats.mean() == pytest.approx(-np.log(rate), abs=0.02)


@given(st.integers(1, 400), st.data())
def test_the_log_rate_is_a_sum_of_inverse_tries(tries, data):
    passes = data.draw(st.integers(1, tries))
    one, goal = np.array([float(tries)]), np.array([float(passes)])
    (rate,), (nats,) = rates(one, goal, np.array([True]))
    assert nats == pytest.approx(sum(1 / j for j in range(passes, tries)), abs=1e-9)
    if passes == 1:
        assert np.isnan(rate)
    else:
        assert 0 < rate <= 1


def table(tries, passes, **more):
    count = len(tries)
    items = [str(i) for i in range(count)]
    return pl.DataFrame({"item": items, "tries": tries, "passes": passes, "task": "t", **more})


def test_where_tries_were_set_beforehand_nothing_was_stopped():
    assert not until_passed(table([10, 10, 10], [3, 1, 0])).any()
    # the second was given up before the first: no budget does that
    assert not until_passed(table([10, 7, 9], [3, 1, 3])).any()
    assert until_passed(table([4, 7, 20], [2, 2, 1])).tolist() == [True, True, False]


def test_a_number_of_tries_for_each_model_is_set_beforehand():
    made = pl.concat(
        [table([10] * 3, [0, 1, 2], model="a"), table([20] * 4, [0, 1, 2, 2], model="b")]
    )
    assert not until_passed(made).any()
    records = unmirage.read(made, need_scale=False)
    rate = records.samples.filter(pl.col("metric") == "pass_until")
    assert rate["score"].to_list() == [0.0, 0.1, 0.2, 0.0, 0.05, 0.1, 0.1]
    # one item a model: only models tell that tries vary
    assert until_passed(pl.concat([table([4], [2], model="a"), table([9], [2], model="b")])).all()
    # an easy model whose items all pass at once, beside one whose items do not
    made = pl.concat([table([2, 2], [2, 2], model="a"), table([9, 4], [2, 2], model="b")])
    assert until_passed(made).all()


def test_a_table_of_tries_is_read_as_pass_rates():
    made = table([3, 11, 1001, 5000], [2, 2, 2, 0], family="F", model="m", params=1e9)
    records = unmirage.read(made)
    told = {(r["metric"], r["item"]): r["score"] for r in records.samples.to_dicts()}
    assert [told["pass_until", str(i)] for i in range(4)] == [0.5, 0.1, 0.001, 0.0]
    assert told["log_pass_rate", "0"] == pytest.approx(1 / 2)
    assert ("log_pass_rate", "3") not in told
    (note,) = (n for n in records.notes if n.code == "no_rate")
    assert note.count == 1
    assert "too low (m: 1 of 4 items)" in note.message
    assert sorted(records.samples["row"].unique()) == [1, 2, 3, 4]


def test_the_first_pass_tells_the_log_rate_only():
    records = unmirage.read(table([3, 11, 40], [1, 1, 1], model="m", params=1e9))
    assert records.samples["metric"].unique().to_list() == ["log_pass_rate"]


@pytest.mark.parametrize(
    ("tries", "passes", "what"),
    [([3, 0], [1, 0], "below 1"), ([3, 2], [1, -1], "below 0"), ([3, 2], [1, 3], "above tries"),
     ([3, None], [1, 1], "empty")],
)  # fmt: skip
def test_tries_that_cannot_be_are_refused_with_their_row(tries, passes, what):
    with pytest.raises(ValueProblem, match=what) as problem:
        unmirage.read(table(tries, passes, model="m", params=1e9))
    assert "row 2" in str(problem.value)
    kept = unmirage.read(table(tries, passes, model="m", params=1e9), skip_bad=True)
    assert kept.samples["row"].unique().to_list() == [1]


def test_a_power_law_of_the_log_rate_is_found_far_below_one_in_n():
    """-log rate = 12 C^-0.25: at the smallest model one try in 160,000 passes."""
    rng = np.random.default_rng(3)
    parts = []
    for m in range(8):
        nats = 12 * 10 ** (-0.25 * m / 2) * rng.uniform(0.9, 1.1, 80)
        tries = 2 + rng.negative_binomial(2, np.exp(-nats))
        size = {"family": "F", "model": f"m{m}", "params": 10 ** (7 + m / 2)}
        parts.append(table(tries, [2] * 80, **size))
    records = unmirage.read(pl.concat(parts))
    (f,) = unmirage.forecast(
        records, to={"params": 10**11.5}, metric="log_pass_rate", route="power_law"
    ).forecasts
    assert f.curve.score[0] > 10
    low, high = f.interval(0.95, sampling=False)
    assert low < 12 * 10 ** (-0.25 * 4.5) < high
