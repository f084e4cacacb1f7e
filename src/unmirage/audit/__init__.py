"""Curves -> Audit: shape, break, metric, resolution, coverage, verdict."""

from unmirage.audit.run import audit

__all__ = ["audit"]
