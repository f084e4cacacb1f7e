"""Records x metrics -> curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unmirage.curves.aggregates import from_aggregates
from unmirage.curves.options import Built, Options, pick
from unmirage.curves.samples import from_samples
from unmirage.curves.units import settle
from unmirage.errors import InputError
from unmirage.types import Records, Refusal


def build(records: Records, options: Options) -> Built:
    """All curves of the records, rescored from items where there are items.

    Raises
    ------
    InputError
        nothing is left to audit; the text says why and what to change.
    """
    parts = []
    if records.samples.height:
        other = (
            records.aggregates["metric"].drop_nulls().unique() if records.aggregates.height else ()
        )
        parts.append(from_samples(pick(records.samples, options), options, list(other)))
    if records.aggregates.height:
        settled, told = settle(records.aggregates, infer_items=options.items is None)
        found = from_aggregates(pick(settled, options), options)
        parts.append(replace(found, notes=(*told, *found.notes)))
    curves = tuple(c for p in parts for c in p.curves)
    refused = tuple(r for p in parts for r in p.refused)
    notes = tuple(n for p in parts for n in p.notes)
    identity = tuple(dict.fromkeys(c for p in parts for c in p.identity))
    if not curves:
        raise _nothing_left(records, options, refused)
    return Built(curves, refused, notes, identity)


def _nothing_left(records: Records, options: Options, refused: Sequence[Refusal]) -> InputError:
    rows = records.samples.height + records.aggregates.height
    file = next(
        (f["file"][0] for f in (records.samples, records.aggregates) if f.height and "file" in f),
        None,
    )
    if refused:
        reasons: dict[str, Refusal] = {}
        for r in refused:
            reasons.setdefault(r.code, r)
        what = "; ".join(f"{r.key.label()}: {r.reason}" for r in reasons.values())
        mend = "; ".join(dict.fromkeys(r.mend for r in reasons.values()))
        return InputError(f"no curve can be made: {what}", file=file, mend=mend)
    asked = {
        "--family": options.family,
        "--task": options.task,
        "--metric": options.metric,
        "--where": options.where,
    }
    if rows and any(asked.values()):
        given = " ".join(f"{k} {' '.join(v)}" for k, v in asked.items() if v)
        known = _known(records)
        return InputError(f"nothing matches {given}", mend=known)
    return InputError("no rows with a score", file=file, mend="see `unmirage audit --help`")


def _known(records: Records) -> str:
    said = []
    for column in ("family", "task", "metric"):
        seen: set[str] = set()
        for frame in (records.samples, records.aggregates):
            if column in frame.columns:
                seen.update(frame[column].drop_nulls().unique().to_list())
        few = sorted(seen)[:8]
        if few:
            said.append(f"{column}: {', '.join(few)}{' ...' if len(seen) > 8 else ''}")
    return "in the data: " + "; ".join(said)


__all__ = ["Built", "Options", "build"]
