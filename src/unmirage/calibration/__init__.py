"""How often is a verdict wrong? Simulated families of known truth, judged by the audit itself."""

from unmirage.calibration.run import Rate, calibrate

__all__ = ["Rate", "calibrate"]
