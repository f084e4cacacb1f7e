"""Everything unmirage raises on purpose.

UnmirageError
├── InputError        the input cannot be used as it is: names file, row or column and the mend
│   ├── ColumnError   a column is missing, ambiguous or of the wrong type
│   ├── ValueProblem  a cell holds a value that cannot be right (scale 0, score NaN, ...)
│   ├── FileProblem   a file is empty, truncated, too long in one line, or of no known format
│   ├── TooLarge      reading it takes more memory than is allowed
│   └── MixError      rows of two settings, or two scales of score, would share one curve
├── MetricError       an unknown metric, or one whose fields are missing
├── OptionError       an option that contradicts the data or another option
└── ExtraMissing      the command needs an optional extra that is not installed
"""

from __future__ import annotations


class UnmirageError(Exception):
    """Base of all errors; its text is the help: what, where, and the mend."""

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        where: str | None = None,
        mend: str | None = None,
    ) -> None:
        self.what, self.file, self.where, self.mend = what, file, where, mend
        place = ", ".join(p for p in (file, where) if p)
        text = f"{place}: {what}" if place else what
        super().__init__(f"{text}\n  mend: {mend}" if mend else text)


class InputError(UnmirageError):
    """The input cannot be used as it is."""

    #: errors of further files that were read with this one
    also: tuple[InputError, ...] = ()

    def bare(self) -> InputError:
        """Itself without what it holds in memory: the calls that it came from, and their data."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class ColumnError(InputError):
    """A column is missing, ambiguous or of the wrong type."""


class ValueProblem(InputError):
    """A cell holds a value that cannot be right."""


class FileProblem(InputError):
    """A file is empty, truncated, too long in one line, or of no known format."""


class TooLarge(InputError):
    """Reading takes more memory than is allowed."""


class MixError(InputError):
    """Rows of two settings, or two scales of score, would share one curve."""


class MetricError(UnmirageError):
    """An unknown metric, or one whose fields are missing."""


class OptionError(UnmirageError):
    """An option that contradicts the data or another option."""


class ExtraMissing(UnmirageError):
    """The command needs an optional extra that is not installed."""
