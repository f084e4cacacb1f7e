"""What an analyst could have made of the same outputs: all metrics, thresholds, rungs, items, ..."""

from unmirage.multiverse.choices import Choices
from unmirage.multiverse.run import multiverse

__all__ = ["Choices", "multiverse"]
