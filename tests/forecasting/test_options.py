"""What is asked of a forecast or backtest and makes no sense is refused, with the mend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unmirage
from unmirage.errors import OptionError
from unmirage.forecasting import forecast_two_scales

from .made import logistic, table

TO = {"params": 1e10}


@pytest.fixture(scope="module")
def records():
    return unmirage.read(table(logistic(7)))


def refused(call, *args, **options):
    with pytest.raises(OptionError) as seen:
        call(*args, **options)
    assert seen.value.mend


@pytest.mark.parametrize("draws", [50.5, "a", None, True, 49, 100_001, np.nan, [60]])
def test_draws_are_a_whole_number(records, draws):
    refused(unmirage.forecast, records, to=TO, draws=draws)
    refused(unmirage.backtest, records, draws=draws)


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True, np.bool_(True)])
def test_a_seed_is_a_whole_number(records, seed):
    refused(unmirage.forecast, records, to=TO, seed=seed)
    refused(unmirage.backtest, records, seed=seed)


@pytest.mark.parametrize(
    "to",
    [
        {"params": "big"}, {"params": [[1e9, 1e10]]}, {"params": []}, {"params": None},
        {"params": np.nan}, {"params": 1e300}, {"params": 10**400}, {"params": -1},
        {"params": [1e9, [1e10]]}, {"params": 1e9, "tokens": 1e300}, {"width": 3}, {}, "params=1",
        {"params": 1j},
    ],
)  # fmt: skip
def test_a_target_is_a_number_of_a_model(records, to):
    refused(unmirage.forecast, records, to=to)


@pytest.mark.parametrize("held_out", [0, -1, 1.0, True, "2", (), (1, 2.5), (1, 0), None])
def test_rungs_held_out_are_whole_numbers(records, held_out):
    refused(unmirage.backtest, records, held_out=held_out)


def test_whole_numbers_of_any_kind_are_taken(records):
    one = unmirage.forecast(records, to=TO, seed=3, draws=60)
    same = unmirage.forecast(records, to=TO, seed=np.int64(3), draws=np.int32(60))
    assert one.to_json() == same.to_json()
    held = unmirage.backtest(records, held_out=np.int64(1), draws=60)
    assert held.settings["held_out"] == [1]
    assert held.rows.equals(unmirage.backtest(records, held_out=[1, 1], draws=60).rows)


def test_a_target_at_the_end_of_what_is_taken_is_drawn(records):
    from unmirage.report.forecast_page import to_html

    made = unmirage.forecast(records, to={"params": 1e100}, draws=60, fan=True)
    assert not made.forecasts[0].known
    assert "not known" in to_html(made)


N, D = (v.ravel() for v in np.meshgrid([1e8, 3e8, 1e9], [2e9, 8e9, 3e10]))
LOSS = 1.7 + (N / 1e8) ** -0.3


@pytest.mark.parametrize(
    "to",
    [(np.nan, 1e11), (1e9,), 0, (0, 1e11), (1e9, -1), "a", None, (1e9, 1e10, 1), (1e9, np.inf)],
)
def test_a_target_of_two_scales_is_a_pair(to):
    refused(forecast_two_scales, N, D, LOSS, to=to)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0, 1, 2]), st.sampled_from([0.0, -1.0, np.nan, np.inf, None]))
def test_columns_of_two_scales_are_of_one_length_and_above_0(which, bad):
    columns = [N.copy(), D.copy(), LOSS.copy()]
    if bad is None:
        columns[which] = columns[which][:-1]
    else:
        columns[which][3] = bad
    refused(forecast_two_scales, *columns, to=(3e9, 1e11))
    refused(forecast_two_scales, N, D, LOSS, to=(3e9, 1e11), stderr=np.ones(4))
