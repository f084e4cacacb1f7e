"""What an analyst could have made of the same outputs: every metric, threshold, rung, item."""

from unmirage.multiverses.choices import Choices
from unmirage.multiverses.run import multiverse

__all__ = ["Choices", "multiverse"]
