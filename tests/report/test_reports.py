"""write_report: the suffix picks the format; a file is there in full or not at all."""

import json

import polars as pl
import pytest

from unmirage.errors import OptionError
from unmirage.report import files, to_frame, to_markdown, view, write_report
from unmirage.report.story import story


def test_the_suffix_picks_the_format(small, tmp_path):
    for name in ("a.html", "a.json", "a.md", "a.csv", "a.parquet"):
        write_report(small, tmp_path / "deep" / name)
    deep = tmp_path / "deep"
    assert (deep / "a.html").read_text("utf-8").startswith("<!doctype html>")
    assert json.loads((deep / "a.json").read_text("utf-8"))["schema"] == "unmirage.audit/1"
    assert pl.read_parquet(deep / "a.parquet").equals(to_frame(small))
    assert pl.read_csv(deep / "a.csv").height == 5
    assert not list(deep.glob(".*"))


def test_an_unknown_suffix_is_refused(small, tmp_path):
    with pytest.raises(OptionError, match=r"use one of \.html"):
        write_report(small, tmp_path / "a.pdf")


def test_hostile_audits_are_written_in_every_format(hostile, tmp_path):
    for name in ("a.html", "a.json", "a.md", "a.csv", "a.parquet"):
        write_report(hostile, tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    files.write(target, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OptionError, match="disk full"):
        files.write(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_markdown_escapes_marks(hostile, small):
    shown = to_markdown(hostile)
    assert "<script>" not in shown.replace("\\<", "")
    table = [line for line in to_markdown(small).splitlines() if line.startswith("| ")]
    assert len(table) == 1 + 5


def test_the_story_names_a_mirage_and_a_real_jump(small, empty):
    told = story(view(small))
    assert len(told) == 2
    assert "addition_4_digit" in told[0]
    assert "94 %" in told[0]
    assert "word_unscrambling" in told[1]
    assert story(view(empty)) == []
