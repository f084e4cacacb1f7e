"""The JSON: valid against its schema, documented, deterministic, harmless."""

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from unmirage.report import to_frame, to_json, view
from unmirage.report.view import plain

SCHEMA = json.loads((files("unmirage.report") / "schema.json").read_text("utf-8"))
DOC = Path(__file__).parents[2] / "docs" / "json.md"


def test_every_audit_is_valid_against_the_schema(any_audit):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(to_json(any_audit)), SCHEMA)


def test_the_text_and_the_view_say_the_same(any_audit):
    assert json.loads(to_json(any_audit)) == view(any_audit)


def test_the_same_audit_gives_the_same_bytes(small):
    assert to_json(small) == to_json(small)


def _properties(node):
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from _properties(value)
    if isinstance(node, list):
        for value in node:
            yield from _properties(value)


@pytest.mark.parametrize("name", sorted(set(_properties(SCHEMA))))
def test_every_key_is_documented(name):
    assert f"`{name}`" in DOC.read_text("utf-8")


def test_no_harmful_character_is_written(hostile):
    raw = to_json(hostile)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", raw)
    raw.encode("utf-8")
    assert json.loads(raw)["audits"][0]["family"] == hostile.judgements[0].key.family


def test_unknown_numbers_are_null(small):
    undecided = next(a for a in view(small)["audits"] if a["verdict"] == "undecided")
    point = undecided["curve"]["points"][0]
    assert (point["stderr"], point["n"], undecided["curve"]["floor"]) == (None, None, None)
    assert undecided["smooth"] is None
    assert undecided["companion"] is None


def test_the_summary_counts_explanations_of_mirages_only(small):
    summary = view(small)["summary"]
    assert summary["by_verdict"] == {"smooth": 2, "mirage": 1, "survives": 1, "undecided": 1}
    assert summary["by_explanation"] == {"metric": 1, "resolution": 0, "coverage": 0}


def test_plain_values():
    given = {
        "array": np.array([1.0, np.nan]),
        "number": np.float64(0.5),
        "whole": 3.0,
        "set": {"b", "a"},
        "path": Path("x"),
        1: (True, None, float("-inf")),
        "huge": 1e300,
    }
    assert plain(given) == {
        "array": [1, None],
        "number": 0.5,
        "whole": 3,
        "set": ["a", "b"],
        "path": "x",
        "1": [True, None, None],
        "huge": 1e300,
    }


def test_the_frame_has_one_row_a_judgement(any_audit):
    frame = to_frame(any_audit)
    assert frame.height == len(any_audit.judgements)
    assert frame["verdict"].to_list() == [j.verdict for j in any_audit.judgements]


def test_the_columns_of_the_frame(small, empty):
    frame = to_frame(small)
    assert set(to_frame(empty).columns) == set(frame.columns) - {"shots"}
    row = frame.row(1, named=True)
    assert row["shots"] == "2"
    assert row["explained_by"] == "metric"
    assert row["share_explained"] == 0.94
    assert row["p_break"] == 0.41
    assert row["companion"] == "token_edit_distance"
    assert row["rungs"] == 10


def test_a_setting_named_like_a_column_keeps_both(fakes):
    from unmirage.types import Audit, Key

    judgement = fakes.mirage(Key("F", "t", "m", (("verdict", "odd"),)))
    frame = to_frame(Audit((judgement,), (), (), {}))
    assert frame["verdict"].to_list() == ["mirage"]
    assert frame["setting:verdict"].to_list() == ["odd"]
