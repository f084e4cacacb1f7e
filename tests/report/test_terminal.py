"""The terminal: understood at once, in 80 columns, harmless."""

import io
import re

import pytest
from rich.console import Console

from unmirage.report import show, terminal, view


def printed(audit, width=80, every=False, encoding="utf-8"):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, errors="replace")
    show(audit, Console(file=out, width=width, highlight=False), every=every)
    out.flush()
    return raw.getvalue().decode(encoding)


def flat(lines):
    return re.sub(r"\s+", " ", lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_keeps_to_the_width_and_uses_no_colour_in_a_pipe(any_audit, width):
    lines = printed(any_audit, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def test_a_small_audit_is_told_in_full(small):
    shown = flat(printed(small, 200))
    for judgement in small.judgements:
        assert judgement.key.task in shown
    assert "Would change it" in shown
    assert "▲ survives" in shown
    assert "coverage?" in shown
    assert "add at least 2 models of other sizes" in shown


def test_control_characters_and_markup_are_shown_not_obeyed(hostile):
    shown = printed(hostile, 200)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "[bold]x[/bold]" in shown


def test_many_curves_are_forty_with_the_way_to_the_rest(many):
    shown = printed(many)
    assert shown.count("task_number_") == 40
    assert "260 more curves are not shown" in flat(shown)
    assert "--all" in shown
    every = printed(many, every=True)
    assert every.count("task_number_") == 300


def test_of_many_curves_each_verdict_but_smooth_has_its_share(many):
    chosen = [j["verdict"] for j in terminal.interesting(view(many)["audits"])]
    assert {v: chosen.count(v) for v in set(chosen)} == {
        "survives": 14,
        "mirage": 13,
        "undecided": 13,
    }


def test_thousands_of_refusals_are_a_few_lines(many):
    shown = printed(many, 200)
    tail = shown[shown.index("Not audited") : shown.index("Notes")]
    assert len(tail.strip().splitlines()) == 6
    assert "600 ×" in tail


def test_without_unicode_it_speaks_ascii(small):
    shown = printed(small, encoding="ascii")
    assert "^ survives" in shown
    assert "▲" not in shown
    assert "0.03 to 0.93" in shown


def test_an_empty_audit(empty):
    assert printed(empty).strip() == "0 curves"
