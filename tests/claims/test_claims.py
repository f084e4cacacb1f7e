"""The judges of the claims, on records whose truth is known, and the page they make."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import unmirage
from unmirage.claims import incontext, length, metric, resolution
from unmirage.claims.claim import Claim, item_number, last_step
from unmirage.report.panels import Panel, Point, chart, save

WIDTHS = (1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6)


def answers(
    rates: dict[float, float],
    lengths: tuple[int, ...] = (4,),
    items: int = 500,
    seed: int = 0,
    family: str = "lab-sums",
) -> pl.DataFrame:
    """Records in which every token is right with the rate of its model, independently."""
    rng = np.random.default_rng(seed)
    frames = []
    for params, rate in rates.items():
        for size in lengths:
            right = rng.random((items, size)) < rate
            digits = np.random.default_rng(size).integers(0, 10, (items, size))
            given = np.where(right, digits, (digits + 1) % 10)
            spell = lambda rows: ["".join(map(str, row)) for row in rows]  # noqa: E731
            frames.append(
                pl.DataFrame(
                    {
                        "family": family,
                        "model": f"d{params:g} seed0",
                        "params": params,
                        "step": 100.0,
                        "seed": 0,
                        "task": "sums",
                        "subtask": f"{size} digits",
                        "item": [f"sums-{size}-{i:05d}" for i in range(items)],
                        "output": spell(given),
                        "targets": [[t] for t in spell(digits)],
                        "token_logprobs": np.where(
                            right, np.log(rate), np.log((1 - rate) / 9)
                        ).tolist(),
                        "token_correct": right.tolist(),
                    }
                )
            )
    return pl.concat(frames)


def smooth(slope: float = 0.35) -> dict[float, float]:
    """A per-token rate that rises smoothly: exp(-(N / N0)^-slope)."""
    return {n: float(np.exp(-((n / 3e4) ** -slope))) for n in WIDTHS}


def _audit(frame: pl.DataFrame) -> unmirage.Audit:
    return unmirage.audit(unmirage.read(frame), metric=metric.METRICS, draws=200)


def test_a_model_that_solves_only_the_shortest_answers_is_fitted() -> None:
    frames = []
    for size, rate in ((1, 0.99), (2, 0.7), (3, 0.5), (4, 0.35)):
        exact = dict.fromkeys((10000.0, 100000.0), rate ** (1 / size))
        frames.append(answers(exact, lengths=(size,), items=2000))
    claim = length.judge([pl.concat(frames)])
    assert all(r["lengths fitted"] == 4 for r in claim.table)
    assert all(r["R2 geometric"] is not None for r in claim.table)


def test_independent_errors_fall_geometrically_and_their_rate_is_found() -> None:
    rates = {1e4: 0.6, 1e5: 0.8, 1e6: 0.95}
    claim = length.judge([answers(rates, lengths=(1, 2, 3, 4, 5, 6), items=2000)])
    assert claim.answer == "as the article says"
    for row, rate in zip(claim.table, rates.values(), strict=True):
        assert row["p per token"] == pytest.approx(rate, abs=0.02)
        assert row["edit distance per token"] == pytest.approx(1 - rate, abs=0.04)
        assert row["exact over independent"] == pytest.approx(1.0, abs=0.1)
        assert float(row["R2 geometric"] or 0) > 0.95


def test_errors_that_come_together_are_told() -> None:
    frame = answers({1e5: 0.8}, lengths=(2, 4, 6), items=2000)
    rng = np.random.default_rng(0)
    good = rng.random(frame.height) < 0.5  # half of the answers wholly right, half wholly wrong
    flags = [[bool(g)] * len(t) for g, t in zip(good, frame["token_correct"], strict=True)]
    output = [t[0] if g else "x" * len(t[0]) for g, t in zip(good, frame["targets"], strict=True)]
    frame = frame.with_columns(
        pl.Series("token_correct", flags), pl.Series("output", output, dtype=pl.String)
    )
    [row] = length.judge([frame]).table
    # 0.5 against 0.5^L: 2, 8 and 32 times as often, median 8
    assert row["exact over independent"] == pytest.approx(8, rel=0.25)


def test_lengths_of_different_difficulty_are_no_geometric_fall() -> None:
    rates = {1: 0.3, 2: 0.9, 3: 0.5, 4: 0.95}
    parts = [answers({1e5: p}, lengths=(n,), items=2000) for n, p in rates.items()]
    claim = length.judge([pl.concat(parts)])
    assert claim.answer != "as the article says"
    assert "sums" in claim.differs


def test_answers_known_to_the_end_are_said_to_level_off() -> None:
    rng = np.random.default_rng(0)
    frame = answers({1e5: 0.5}, lengths=(2, 4, 6, 8), items=2000)
    first = rng.random(frame.height) < 0.4  # the first token decides, the rest follows
    flags = [
        [bool(f)] + [True] * (len(t[0]) - 1) for f, t in zip(first, frame["targets"], strict=True)
    ]
    output = [t[0] if f else "x" + t[0][1:] for f, t in zip(first, frame["targets"], strict=True)]
    frame = frame.with_columns(
        pl.Series("token_correct", flags), pl.Series("output", output, dtype=pl.String)
    )
    claim = length.judge([frame])
    [row] = claim.table
    assert row["first token right"] == pytest.approx(0.4, abs=0.05)
    assert row["last token right"] == 1.0
    assert row["exact over independent"] == pytest.approx(1.0, abs=0.05)
    assert "levels off" in claim.differs


def test_a_smooth_family_leaps_under_exact_match_alone() -> None:
    frame = answers(smooth(), lengths=(8,), items=1000)
    claim = metric.judge({"params": [_audit(frame)]})
    by = {row["metric"]: row for row in claim.table}
    assert by["exact match"]["looks like a jump"] == 1
    assert by["cross-entropy (nats per token)"]["looks like a jump"] == 0
    assert claim.answer == "as the article says"
    assert "1 exact-match curves are judged a mirage" in claim.ours
    assert {p.title for p in claim.panels} == {"sums 8 digits"}


def test_a_step_of_the_loss_is_said_to_survive() -> None:
    rates = {n: 0.2 if n < 2e4 else 0.97 for n in WIDTHS}
    frame = answers(rates, lengths=(4,), items=1000)
    claim = metric.judge({"params": [_audit(frame)]})
    assert claim.answer != "as the article says"
    assert "sums 4 digits, seed 0" in claim.differs


def sampled(rates: dict[float, float], length: int, items: int) -> pl.DataFrame:
    """Outputs drawn from the model: the probability of every target token is the rate."""
    frame = answers(rates, lengths=(length,), items=items)
    logs = pl.col("params").replace_strict({p: float(np.log(r)) for p, r in rates.items()})
    return frame.with_columns(token_logprobs=pl.concat_list([logs] * length))


def test_more_items_lift_the_floor_and_the_number_was_named_before() -> None:
    rates = smooth(0.45)
    claim = resolution.judge([sampled(rates, 6, 10_000)])
    rows = list(claim.table)
    assert [r["right of 100"] for r in rows] == sorted(int(r["right of 100"] or 0) for r in rows)
    floor = [r for r in rows if r["right of 100"] == 0]
    lifted = [r for r in floor if r["above chance"] == "yes"]
    assert len(floor) >= 2
    assert lifted
    for r in rows:
        p = rates[float(r["parameters"] or 0)] ** 6
        assert r["items needed, predicted"] == np.ceil(np.log(0.05) / np.log1p(-p))
        assert stats.binomtest(int(r["right of all"] or 0), 10_000, p).pvalue > 1e-3
    for r in rows:
        k, n = int(r["right of all"] or 0), 10_000
        assert r["asked"] == n
        if k:
            assert r["items needed, measured"] == np.ceil(np.log(0.05) / np.log1p(-k / n))


def test_a_model_that_guesses_is_above_no_chance() -> None:
    rates = {**dict.fromkeys(WIDTHS[:4], 0.1), **dict.fromkeys(WIDTHS[4:], 0.9)}
    claim = resolution.judge([answers(rates, lengths=(5,), items=3000)])
    said = [r["above chance"] for r in claim.table]
    assert said[4:] == ["yes"] * 4
    assert said.count("no") >= 3
    assert claim.answer != "as the article says"


def test_the_answer_on_in_context_learning_counts_what_the_audit_says() -> None:
    rates = {n: 0.2 if n < 2e4 else 0.97 for n in WIDTHS}
    frame = answers(rates, lengths=(1,), items=800, family="lab-icl").with_columns(
        subtask=pl.lit("in context"), shots=pl.lit(1, pl.Int64)
    )
    audit = unmirage.audit(unmirage.read(frame), metric=["cross_entropy"], draws=200)
    claim = incontext.judge({"params": audit}, frame, [])
    [row] = claim.table
    assert row["survives"] == 1
    assert row["along"] == "scale"
    assert claim.answer == "yes, here"
    flat = answers(dict.fromkeys(WIDTHS, 0.5), lengths=(1,), items=800, family="lab-icl")
    flat = flat.with_columns(subtask=pl.lit("in context"), shots=pl.lit(1, pl.Int64))
    audit = unmirage.audit(unmirage.read(flat), metric=["cross_entropy"], draws=200)
    assert [j.verdict for j in audit.judgements] == ["undecided"]
    assert incontext.judge({"params": audit}, flat, []).answer == "undecided here"
    slow = answers(smooth(), lengths=(1,), items=800, family="lab-icl")
    slow = slow.with_columns(subtask=pl.lit("in context"), shots=pl.lit(1, pl.Int64))
    audit = unmirage.audit(unmirage.read(slow), metric=["cross_entropy"], draws=200)
    assert [j.verdict for j in audit.judgements] == ["smooth"]
    assert incontext.judge({"params": audit}, slow, []).answer == "no sign of it here"


def test_the_last_step_of_each_model_and_the_number_of_an_item() -> None:
    columns = {"family": ["f"] * 3, "model": ["a", "a", "b"], "step": [1.0, 2.0, 1.0]}
    frame = pl.DataFrame({**columns, "item": ["x-2x3-00007"] * 3})
    assert last_step(frame)["step"].to_list() == [2.0, 1.0]
    assert frame.select(item_number())["item"].to_list() == [7, 7, 7]


def test_pictures_of_many_lines_are_drawn() -> None:
    points = (Point(1, 0.5, "a", 0.4, 0.6), Point(10, 0.7, "a"), Point(10, 0.0, "b", 0.0, 0.1))
    panels = [
        Panel("one <b>", "", "x", "y", points, dashed=("b",)),
        Panel("two", "log", "x", "y", points, log_y=True),
        Panel("three", "linear", "x", "y", points, log_x=False),
    ]
    svg = save(chart("title", panels, 2), ".svg").decode()
    assert svg.startswith("<svg")
    assert "one <b>" not in svg
    assert save(chart("title", panels), ".png")[:4] == b"\x89PNG"


def test_the_command_trains_judges_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax", reason="the lab needs the extra: pip install unmirage[lab]")
    from unmirage.claims import reproduce, runs
    from unmirage.errors import FileProblem, OptionError

    small = {"length": "1-3", "items": "60", "steps": "120", "batch": "16"}
    monkeypatch.setattr(runs.Run, "rungs", lambda self, quick=False: _few(self.family, small))
    monkeypatch.setitem(reproduce.NEEDS, "P3", ("recall",))
    with pytest.raises(OptionError, match="P1, P2, P3, P7, P8, P9, P11"):
        reproduce.reproduce(tmp_path, ["P4"])
    found = reproduce.reproduce(tmp_path, ["P3"], settings=reproduce.Settings(draws=100))
    assert [c.id for c in found] == ["P3"]
    assert json.loads((tmp_path / "claims.json").read_text())[0]["id"] == "P3"
    page = (tmp_path / "science.md").read_text()
    assert "| P3 |" in page
    assert "pictures/P3.svg" in page
    assert (tmp_path / "pictures" / "P3.png").stat().st_size > 1000
    other = {**json.loads((tmp_path / "claims.json").read_text())[0], "id": "P1", "title": "kept"}
    (tmp_path / "claims.json").write_text(json.dumps([other]))
    reproduce.reproduce(tmp_path, ["P3"], settings=reproduce.Settings(draws=100))
    assert [c["id"] for c in json.loads((tmp_path / "claims.json").read_text())] == ["P1", "P3"]
    assert "| P1 | kept |" in (tmp_path / "science.md").read_text()
    (tmp_path / "claims.json").write_text("{")
    with pytest.raises(FileProblem, match="holds no claims"):
        reproduce.reproduce(tmp_path, ["P3"], settings=reproduce.Settings(draws=100))


def _few(family: str, settings: dict[str, str]) -> object:
    from unmirage.lab.families import FAMILIES, changed, rungs

    one = changed(FAMILIES[family][0], settings)
    return rungs(one, (4, 8, 12), (0, 1))


def test_the_page_escapes_nothing_it_did_not_make() -> None:
    from unmirage.claims.reproduce import to_markdown

    claim = Claim("P9", "t", "a", "in part", "o", "", [{"a": None, "b": 1234, "c": 0.123456}])
    page = to_markdown([claim], quick=True)
    assert "| – | 1,234 | 0.123 |" in page
    assert "quick run" in page
