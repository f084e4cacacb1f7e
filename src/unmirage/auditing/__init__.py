"""Curves -> Audit: shape, break, metric, resolution, coverage, verdict."""

from unmirage.auditing.run import audit

__all__ = ["audit"]
