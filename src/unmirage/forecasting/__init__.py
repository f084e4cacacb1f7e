"""What will a larger model score? Forecasts that know how unsure they are, and their backtest."""

from __future__ import annotations

from unmirage.forecasting.run import backtest, forecast
from unmirage.forecasting.types import Backtest, Fan, Forecast, Forecasts

__all__ = ["Backtest", "Fan", "Forecast", "Forecasts", "backtest", "forecast"]
