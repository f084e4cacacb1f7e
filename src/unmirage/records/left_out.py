"""Bad files: one that was named is an error, one that was found in a folder is left out and told.

A folder of 500 logs in which one was cut short is still worth reading; a file that somebody named
is the one they want. With ``strict`` the first bad file stops the reading, however it was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from unmirage.errors import InputError, TooLarge
from unmirage.records.notes import merge
from unmirage.records.sniff import Source
from unmirage.records.tables import absolute
from unmirage.types import Note


@dataclass
class LeftOut:
    """The files that are left out, and why."""

    strict: bool = False
    found: set[str] = field(default_factory=set)  # names of files that no one named
    errors: list[InputError] = field(default_factory=list)

    def take(self, error: InputError, name: str) -> None:
        """Leaves the file of this name out, or raises its error."""
        if self.strict or isinstance(error, TooLarge) or name not in self.found:
            raise error
        self.errors.append(error.bare())

    def of_many(self, error: InputError, sources: list[Source]) -> list[Source]:
        """The sources without those that the error and its ``also`` name, or the error."""
        for one in (error, *error.also):
            name = one.file or ""
            bad = next((s for s in sources if name in (s.name, str(absolute(s.path)))), None)
            if bad is None:
                raise one
            self.take(one, bad.name)
            sources = [s for s in sources if s is not bad]
        return sources

    def notes(self) -> list[Note]:
        """One warning for each way of being bad, with the number of files."""
        return list(merge(self._note(e) for e in self.errors))

    @staticmethod
    def _note(error: InputError) -> Note:
        where = f" ({error.where})" if error.where else ""
        return Note("warning", "file_left_out", f"left out: {error.what}{where}", error.file, 1)
