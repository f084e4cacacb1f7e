"""What will a larger model score? Forecasts that know how unsure they are, and their backtest."""

from __future__ import annotations

from unmirage.forecasting.laws import LAWS, Law, add_law
from unmirage.forecasting.rates import extrapolate_pass_at_k, log_pass_rate, pass_until
from unmirage.forecasting.run import backtest, forecast
from unmirage.forecasting.two_scales import forecast_two_scales
from unmirage.forecasting.types import Backtest, Fan, Forecast, Forecasts

__all__ = [
    "LAWS",
    "Backtest",
    "Fan",
    "Forecast",
    "Forecasts",
    "Law",
    "add_law",
    "backtest",
    "extrapolate_pass_at_k",
    "forecast",
    "forecast_two_scales",
    "log_pass_rate",
    "pass_until",
]
