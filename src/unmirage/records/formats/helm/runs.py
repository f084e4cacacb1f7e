"""One run as tables: its answers, HELM's scores of them, and means that no item bears."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.metrics.names import facts
from unmirage.records.formats.agreement import Part, not_finite
from unmirage.records.formats.helm.files import ITEMS, STATE, TOTALS, Run
from unmirage.records.formats.helm.metric import OF_TEXT
from unmirage.records.formats.helm.place import Place, Repeats
from unmirage.records.formats.helm.states import States, read_states
from unmirage.records.formats.helm.stats import Scores, item_scores, totals
from unmirage.records.formats.made import made_table
from unmirage.records.sniff import Source
from unmirage.records.table import Table
from unmirage.types import Note

_NO_SIZE = "name the models and their sizes in a table: --models models.csv"
#: metrics of texts that this package makes of outputs and targets itself
_REMADE = ("exact_match", "f1")


@dataclass(frozen=True, eq=False)
class Read:
    """What was read of one run."""

    name: str
    key: tuple[Any, ...]
    age: tuple[bool, float, str]  # has items, the time of its last request, its name
    part: Part | None  # the answers
    others: list[Table]
    notes: list[Note]


def read_run(run: Run, contents: Mapping[str, Any], skip_bad: bool) -> Read:
    """The tables of one run.

    Raises:
        FileProblem: nothing says which model ran, or a file is not of its kind.
        ValueProblem: a request or statistic that cannot be read.
    """
    state = contents.get(STATE, {})
    head = run.head(state)
    states, of_text = States(), head["format"] == "language_modeling"
    if STATE in contents:
        states = read_states(run.sources[STATE], state, head, skip_bad)
    hidden = states.placeholders
    scores, means = Scores(), Scores()
    separate = str(head["format"]).startswith("multiple_choice_separate")
    useless = hidden and (separate or of_text)  # every score is made of the placeholders
    if ITEMS in contents and not useless:
        content = contents[ITEMS]
        scores = item_scores(run.sources[ITEMS], content, of_text, hidden, skip_bad)
    if TOTALS in contents and not useless:
        content, known = contents[TOTALS], scores.kept() | _remade(states, contents[TOTALS])
        means = totals(run.sources[TOTALS], content, known, of_text, hidden, skip_bad)
    places = dict.fromkeys([*states.rows, *(p for p, _, _ in scores.rows if p is not None)])
    repeats = Repeats(places)
    others = []
    if scores.rows:
        others.append(_items(run.sources[ITEMS], head, scores, states, repeats))
    if means.rows:
        others.append(_means(run.sources[TOTALS], head, means))
    notes = _lost(run, scores, means)
    if not states.rows and STATE in contents:
        notes = [*notes, *states.notes(run.sources[STATE].name)]
    part = _answers(run, head, states, scores, repeats) if states.rows else None
    age = (bool(places), states.date, run.name)
    return Read(run.name, tuple(head.values()), age, part, others, notes)


def _answers(
    run: Run, head: Mapping[str, Any], states: States, scores: Scores, repeats: Repeats
) -> Part:
    rows, numbers = [], []
    for place, answers in states.rows.items():
        rows += [{**_named(place, repeats), **fields} for fields in answers]
        numbers += states.numbers[place]
    source = run.sources[STATE]
    notes = states.notes(source.name)
    if count := sum(p.variant is not None for p in states.rows):
        text = "perturbed versions of items: kept apart by the column variant"
        notes.append(Note("info", "perturbed", text, source.name, count))
    made = made_table(source, head, rows, numbers, notes, scale_mend=_NO_SIZE)
    return Part(head["task"], made, {(head["task"], None): _verdicts(states, scores)})


def _named(place: Place, repeats: Repeats) -> dict[str, Any]:
    return {"item": place.item, "variant": place.variant, "repeat": repeats.of(place)}


def _verdicts(states: States, scores: Scores) -> Counter[str]:
    """How HELM's exact match compares with ours."""
    count: Counter[str] = Counter()
    for place, _, fields in scores.rows:
        if place is None or fields["metric"] != "exact_match":
            continue
        ours, theirs = states.ours(place), fields["score"]
        if ours is None:
            continue
        if abs(ours - theirs) >= 1e-6:
            count["ours" if ours > theirs else "theirs"] += 1
        elif ours > 0:
            count["both"] += 1
    return count


def _items(
    source: Source, head: Mapping[str, Any], scores: Scores, states: States, repeats: Repeats
) -> Table:
    rows, numbers = [], []
    for place, number, fields in scores.rows:
        if place is None:
            continue
        known = states.rows.get(place)
        same = {k: known[0].get(k) for k in ("split", "subtask")} if known else {}
        rows.append({**fields, **same, **_named(place, repeats)})
        numbers.append(number)
    return made_table(source, head, rows, numbers, scale_mend=_NO_SIZE)


def _means(source: Source, head: Mapping[str, Any], means: Scores) -> Table:
    rows = [fields for _, _, fields in means.rows]
    numbers = [number for _, number, _ in means.rows]
    return made_table(source, head, rows, numbers, scale_mend=_NO_SIZE)


def _remade(states: States, content: list[Any]) -> set[tuple[Any, ...]]:
    """Means that will be made of the answers again."""
    rows = [(p, f) for p, found in states.rows.items() for f in found]
    names: set[str] = set()
    for one in content:
        name = one.get("name") if isinstance(one, dict) else None
        metric = name.get("name") if isinstance(name, dict) else None
        names |= {metric} if isinstance(metric, str) else set()
    written = {n for n in names if (f := facts(n)) is not None and f.name in _REMADE}
    found = set()
    for place, fields in rows:
        remade = written if fields.get("targets") else set[str]()
        remade = set(OF_TEXT) if fields.get("token_logprobs") else remade
        where = (fields.get("split"), fields.get("subtask"), place.variant)
        found |= {(*where, metric) for metric in remade}
    return found


def _lost(run: Run, scores: Scores, means: Scores) -> list[Note]:
    notes = []
    for file, found in ((ITEMS, scores), (TOTALS, means)):
        if found.lost:
            notes.append(not_finite(run.sources[file].name, found.lost))
        if found.bad:
            text = "statistics that cannot be read left out"
            notes.append(Note("warning", "bad_rows", text, run.sources[file].name, found.bad))
        if found.mixed:
            text = "means over several versions of an item (worst, original) left out"
            notes.append(Note("info", "mixed_versions", text, run.sources[file].name, found.mixed))
    return notes
