"""The multiverse as page, picture, JSON and table: whole, harmless, and the same as its numbers."""

import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from tests.report.test_html import Page

import unmirage
from unmirage.multiverses import Choices
from unmirage.report import multiverse as report
from unmirage.report import speccurve
from unmirage.report.multiverse_page import to_html
from unmirage.simulate import Design, Truth, samples

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def found():
    """Two tasks, one of them with names that mean harm."""
    frame = samples(Truth(), Design(rungs=6, items=40, tokens=4))
    evil = frame.with_columns(
        task=pl.lit(EVIL), prompt_name=pl.lit("p" + EVIL), model=pl.col("model") + EVIL
    )
    other = evil.with_columns(prompt_name=pl.lit("q"))
    records = unmirage.read(pl.concat([frame, evil, other], how="diagonal"))
    return unmirage.multiverse(
        records,
        metric=["exact_match", "cross_entropy"],
        choices=Choices(k_of_k=[2], subsets=[]),
        most=160,
        judged=10,
    )


def test_the_page_is_well_formed_and_needs_nothing_else(found):
    page = Page(to_html(found))
    assert page.open == []
    assert page.count("link") == page.count("img") == page.count("iframe") == 0
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    addresses = [v for _, a in page.elements for k, v in a.items() if k in ("src", "href")]
    assert all(a.startswith("#") and a[1:] in ids for a in addresses)
    names = {name for _, attributes in page.elements for name in attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


def test_hostile_text_stays_text(found):
    source = to_html(found)
    assert "<script>alert" not in source
    assert Page(source).count("script") == 2
    for made in (source, *(speccurve.draw(u, alone=True) for u in found.universes)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", made)
    assert not re.search("[\x1b\u202e]", found.to_json())
    console = Console(width=100, record=True, file=io.StringIO())
    report.show(found, console, every=True)
    for which in ("create", "dissolve"):
        report.show_extreme(found, which, console)
    assert not re.search("\x1b\\[31m\u202e", console.export_text())


def test_the_data_of_the_page_is_the_json_without_its_tables(found):
    data = json.loads(Page(to_html(found)).scripts[0])
    whole = json.loads(found.to_json())
    for u in whole["universes"]:
        del u["table"]
    assert data == whole


def test_the_picture_shows_each_analysis_and_what_it_chose(found):
    for universe in found.universes:
        drawn = speccurve.marks(universe)
        root = ET.fromstring(speccurve.draw(universe, alone=True))
        classes = [e.get("class") or "" for e in root.iter()]
        ticks = [c for c in classes if re.fullmatch(r"v-\w+", c)]
        assert len(ticks) == len(drawn) * len(speccurve.shown_choices(universe))
        assert [m.per_step for m in drawn] == sorted(m.per_step for m in drawn)


def test_a_long_table_is_drawn_with_those_judged_and_evenly(found):
    universe = found.universes[0]
    assert universe.table.height <= speccurve.MOST
    assert len(speccurve.marks(universe)) == universe.table.height
    records = unmirage.read(samples(Truth(), Design(rungs=8, items=60, tokens=4)))
    more = unmirage.multiverse(records, most=400, judged=20).universes[0]
    drawn = speccurve.marks(more)
    assert set(more.judged) < {m.row for m in drawn}
    assert len(drawn) == speccurve.MOST
    assert [m.per_step for m in drawn] == sorted(m.per_step for m in drawn)
    assert {m.row for m in drawn if m.verdict} == set(more.judged)
    ranks = {r: i for i, r in enumerate(more.table.with_row_index("row").sort(
        "per_step", "steepness", "row")["row"])}  # fmt: skip
    at = sorted(ranks[m.row] for m in drawn)
    assert np.diff(at).max() <= 2 * more.table.height / speccurve.MOST + 1
    assert f"drawn are {speccurve.MOST} of {more.total:,}" in speccurve.draw(more, alone=True)


def test_pictures_are_written(found, tmp_path):
    written = speccurve.save_all(found, tmp_path)
    assert len({p.name for p in written}) == 4
    for path in written:
        start = path.read_bytes()[:4]
        assert start in (b"<svg", b"\x89PNG")


def test_the_table_has_one_row_an_analysis(found, tmp_path):
    frame = found.to_frame()
    assert frame.height == sum(u.table.height for u in found.universes)
    for suffix, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet)):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(report.table_bytes(found, suffix))
        assert read(path).height == frame.height


def test_many_tasks_are_a_table(found):
    console = Console(width=110, record=True, file=io.StringIO())
    many = unmirage.multiverse(
        unmirage.read(
            pl.concat(
                samples(Truth(), Design(rungs=5, items=20, tokens=2)).with_columns(
                    task=pl.lit(f"task {i}")
                )
                for i in range(5)
            )
        ),
        metric=["exact_match"],
        most=60,
        judged=0,
    )
    report.show(many, console)
    text = console.export_text()
    assert "60 analyses of the same outputs, 5 tasks" in text
    assert text.count("F0 / task") == 5
    assert len(found.universes) == 2
