"""HELM's own scores: those of each item, and the means of which no item bears any."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.helm.metric import higher_is_better, is_score
from unmirage.records.formats.helm.place import Place, place_of, variant_of
from unmirage.records.formats.helm.states import bad_cell
from unmirage.records.formats.values import part, real, whole
from unmirage.records.sniff import Source

Fields = dict[str, Any]
Kept = tuple[str | None, str | None, str | None, str]  # split, subtask, variant, metric


@dataclass(eq=False)
class Scores:
    """The scores in one file."""

    rows: list[tuple[Place | None, int, Fields]] = field(default_factory=list)
    lost: int = 0  # not finite
    bad: int = 0
    mixed: int = 0  # over several versions of an item

    def kept(self) -> set[Kept]:
        """What there is a score of."""
        names = ("split", "subtask", "variant", "metric")
        return {tuple(f.get(n) for n in names) for _, _, f in self.rows}  # type: ignore[misc]


def item_scores(
    source: Source, content: list[Any], of_text: bool, placeholders: bool, skip_bad: bool
) -> Scores:
    """The scores of each item.

    Raises:
        ValueProblem: an entry that cannot be read (skip_bad: left out and counted).
    """
    found = Scores()
    seen: set[tuple[Place, str]] = set()
    for number, entry in enumerate(content, 1):
        try:
            place = _entry(entry)
            for fields in _stats(entry.get("stats"), of_text, placeholders, found):
                key = (place, fields["metric"])
                if key not in seen and fields.pop("computed_on") in (None, "perturbed"):
                    seen.add(key)  # several metrics of HELM write the same statistic
                    found.rows.append((place, number, {**fields, "variant": place.variant}))
        except BadCell as e:
            if not skip_bad:
                raise bad_cell(source, number, e) from e
            found.bad += 1
    return found


def _entry(entry: Any) -> Place:
    if not isinstance(entry, dict):
        raise BadCell("stats", "is no entry of an instance", entry)
    return place_of(
        entry.get("instance_id"), entry.get("perturbation"), entry.get("train_trial_index")
    )


def _stats(given: Any, of_text: bool, placeholders: bool, found: Scores) -> Iterator[Fields]:
    """Scores in a list of statistics."""
    if not isinstance(given, list):
        raise BadCell("stats", "is no list of statistics", given)
    for one in given:
        name = part(one, "name") if isinstance(one, dict) else {}
        metric = name.get("name")
        if not isinstance(metric, str) or not metric:
            raise BadCell("stats", "holds a statistic without a name", one)
        if not is_score(metric, of_text, placeholders):
            continue
        value = _mean(one)
        if value is None:
            continue
        if not math.isfinite(value):
            found.lost += 1
            continue
        perturbation = name.get("perturbation")
        yield {
            "metric": metric,
            "score": value,
            "higher_is_better": higher_is_better(metric),
            "split": _word(name.get("split")),
            "subtask": _word(name.get("sub_split")),
            "variant": variant_of(perturbation)[0],
            "computed_on": part(name, "perturbation").get("computed_on"),
        }


def _mean(one: Mapping[str, Any]) -> float | None:
    """The value of a statistic; None where nothing was counted."""
    count, mean, total = real(one.get("count")), real(one.get("mean")), real(one.get("sum"))
    if count == 0:
        return None
    if mean is None and total is not None and count is not None and count > 0:
        return total / count
    return mean


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def totals(
    source: Source,
    content: list[Any],
    known: Collection[Kept],
    of_text: bool,
    placeholders: bool,
    skip_bad: bool,
) -> Scores:
    """The scores of which no item is known. Those over several versions of each item (the worst,
    or the unperturbed of those that were perturbed) are left out.

    Raises:
        ValueProblem: an entry that cannot be read (skip_bad: left out and counted).
    """
    found = Scores()
    sizes = _sizes(content)
    seen: set[Kept] = set(known)
    for number, one in enumerate(content, 1):
        try:
            for fields in _stats([one], of_text, placeholders, found):
                if fields.pop("computed_on") not in (None, "perturbed"):
                    found.mixed += 1
                    continue
                context = (fields["split"], fields["subtask"], fields["variant"])
                key = (*context, fields["metric"])
                if key not in seen:
                    seen.add(key)
                    found.rows.append((None, number, {**fields, "n_samples": sizes.get(context)}))
        except BadCell as e:
            if not skip_bad:
                raise bad_cell(source, number, e) from e
            found.bad += 1
    return found


def _sizes(content: list[Any]) -> dict[tuple[str | None, str | None, str | None], float]:
    """The number of items of each split and variant: ``count`` of a statistic counts trials."""
    sizes = {}
    for one in content:
        name = part(one, "name") if isinstance(one, dict) else {}
        perturbation = part(name, "perturbation")
        if name.get("name") != "num_instances" or perturbation.get("computed_on", "perturbed") != (
            "perturbed"
        ):
            continue
        count = whole(one.get("mean"))
        if count is not None and count > 0:
            try:
                variant = variant_of(name.get("perturbation"))[0]
            except BadCell:
                continue
            context = (_word(name.get("split")), _word(name.get("sub_split")), variant)
            sizes[context] = float(count)
    return sizes
