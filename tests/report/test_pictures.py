"""PNG and SVG of any curve."""

import xml.etree.ElementTree as ET

import pytest

from unmirage.errors import OptionError
from unmirage.report import chart, save_picture, save_pictures, view, write_report
from unmirage.report.pictures import file_name
from unmirage.types import Audit


def words(path):
    """Each line of text in an SVG file."""
    space = "{http://www.w3.org/2000/svg}"
    lines = [e for e in ET.parse(path).iter() if e.tag in (space + "text", space + "tspan")]
    return [e.text for e in lines if e.text]


def test_a_png_is_a_png(small, tmp_path):
    path = save_picture(small.judgements[1], tmp_path / "new" / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_picture_says_what_it_shows(small, tmp_path):
    said = words(save_picture(small.judgements[1], tmp_path / "a.svg"))
    for expected in ("addition_4_digit under exact_match", "mirage, explained by metric", "1B"):
        assert expected in said
    assert "token edit distance (tokens)" in said


def test_ticks_show_their_value_in_full(fakes, tmp_path):
    from unmirage.types import Key

    narrow = fakes.smooth(Key("F", "t", "acc"))
    said = words(save_picture(narrow, tmp_path / "a.svg"))
    assert {"0.3", "0.4", "0.5", "0.6"} <= set(said)


@pytest.mark.parametrize("number", range(5))
def test_every_kind_of_judgement_is_drawn(small, number, tmp_path):
    ET.parse(save_picture(small.judgements[number], tmp_path / "a.svg"))


def test_a_hostile_name_is_text(hostile, tmp_path):
    said = words(save_picture(hostile, tmp_path / "a.svg"))
    assert any("<script>" in text for text in said)
    save_picture(hostile, tmp_path / "a.png")


def test_a_chart_of_an_entry_of_the_json(small):
    assert chart(view(small)["audits"][0]).to_dict()["hconcat"]


def test_a_picture_shows_one_curve(small, tmp_path):
    with pytest.raises(OptionError, match="holds 5"):
        save_picture(small, tmp_path / "a.png")
    one = Audit(small.judgements[:1], (), (), {})
    assert write_report(one, tmp_path / "b.svg").exists()
    with pytest.raises(OptionError, match="change the suffix"):
        save_picture(one, tmp_path / "b.gif")


def test_at_most_so_many_pictures(small, tmp_path):
    seen = []
    paths = save_pictures(small, tmp_path, most=1, progress=lambda *at: seen.append(at))
    assert [p.suffix for p in paths] == [".png", ".svg"]
    assert "word-unscrambling" in paths[0].name
    assert seen == [(1, 1)]


def test_file_names_are_safe_and_differ(many, hostile):
    names = [file_name(j) for j in (*many.judgements, *hostile.judgements)]
    assert len(set(names)) == len(names)
    assert all(n.isascii() and len(n) < 100 and not set(n) & set("/\\:<>\x00") for n in names)
