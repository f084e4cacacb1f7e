"""The measuring of error rates: cells, counts, what must hold, the page."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from unmirage.calibration import Rate, calibrate
from unmirage.calibration.grid import COUNTS, Cell, Survey, cells
from unmirage.calibration.page import to_markdown
from unmirage.calibration.run import judge, worst_metric
from unmirage.calibration.surveys import METRICS, survey
from unmirage.cli import app
from unmirage.errors import InputError, OptionError
from unmirage.simulate import Design, Truth


def rate(asks: str, hits: int, asked: int, least: float | None = None) -> Rate:
    return Rate(f"{asks} | truth | design", asks, hits, asked, {}, {}, 0, asked, least)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_question_is_asked_and_no_two_cells_have_one_name(size) -> None:
    made = cells(size)
    assert {c.asks for c in made} == set(COUNTS)
    assert len({c.name for c in made}) == len(made)
    for c in made:
        if isinstance(c, Survey):
            assert c.asks == "discoveries"
        else:
            assert c.truth.real == (c.asks == "power"), c.name


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (rate("smooth", 0, 100), "holds"),
        (rate("smooth", 0, 20), "open"),  # the upper bound of 0 of 20 is 14 %
        (rate("smooth", 2, 100), "holds"),
        (rate("smooth", 3, 100), "open"),
        (rate("smooth", 12, 100), "fails"),
        (rate("degenerate", 0, 3), "holds"),
        (rate("degenerate", 1, 100), "fails"),
        (rate("mirage", 95, 100), "holds"),
        (rate("mirage", 1, 1), "open"),
        (rate("mirage", 88, 100), "open"),
        (rate("mirage", 70, 100), "fails"),
        (rate("mirage", 0, 0), "reported"),
        (rate("power", 10, 100), "reported"),
        (rate("power", 97, 100, 0.95), "holds"),
        (rate("power", 10, 100, 0.95), "fails"),
    ],
)
def test_what_must_hold_is_judged_with_its_bounds(one: Rate, status: str) -> None:
    assert one.status == status


def test_bounds_are_those_of_the_binomial_distribution() -> None:
    from scipy import stats

    low, high = rate("smooth", 3, 50).bounds
    assert stats.binom.sf(2, 50, low) == pytest.approx(0.05)
    assert stats.binom.cdf(3, 50, high) == pytest.approx(0.05)
    assert rate("smooth", 0, 5).bounds[0] == 0.0
    assert rate("smooth", 5, 5).bounds[1] == 1.0


def test_smooth_truth_does_not_survive_and_a_break_does() -> None:
    truth = Truth("logistic", 0.4, 0.6)
    smooth = judge(Cell("smooth", Truth(), Design()), 20, 0)
    assert (smooth.hits, smooth.asked) == (0, 20)
    broken = judge(Cell("power", Truth(truth.shape, 0.4, 0.6, step=3.0), Design()), 20, 0)
    assert broken.hits >= 18
    assert broken.verdicts.get("survives") == broken.hits


def test_a_step_of_three_logits_is_seen_on_six_rungs() -> None:
    """The misfit of smooth laws is not taken for noise: it would hide the step (0.43 of 100)."""
    found = judge(Cell("power", Truth("logistic", 0.4, 0.6, step=3.0), Design(rungs=6)), 20, 0)
    assert found.hits >= 18


@pytest.mark.parametrize("metric", ["exact_match", "token_accuracy", "cross_entropy"])
def test_no_step_beside_a_hole_that_holds_more_of_the_rise_survives(metric: str) -> None:
    """Laws that bridge a hole bend too little: 12 of 40 such losses were once judged survives."""
    truth = Truth("logistic", 0.0001, 0.9999)
    design = Design(rungs=14, decades=5.0, hole=0.4, noise=0.2)
    found = judge(Cell("smooth", truth, design, metric), 30, 3)  # type: ignore[arg-type]
    assert (found.hits, found.asked) == (0, 30)
    if metric != "cross_entropy":
        named = judge(Cell("coverage", truth, design, metric), 30, 3)  # type: ignore[arg-type]
        assert named.hits == 30


def test_a_mirage_is_asked_only_of_what_looks_emergent() -> None:
    design = Design(items=300, tokens=8)
    found = judge(Cell("mirage", Truth("power law", 0.001, 0.97), design, items=True), 3, 1)
    assert found.asked == found.sharp == 3
    assert found.hits == 3
    assert found.named["metric"] == 3
    plain = judge(Cell("mirage", Truth("power law", 0.5, 0.9), Design(items=200), items=True), 2, 1)
    assert (plain.asked, plain.curves) == (0, 2)
    assert plain.rate != plain.rate


def test_a_survey_has_the_share_of_breaks_it_says_and_metrics_of_the_same_outputs() -> None:
    frame, real = survey(300, 0.3, 0)
    families = frame["family"].unique()
    assert len(families) == 100
    assert len(frame.select("family", "metric").unique()) == 300
    assert 15 < len(real) < 45  # of 100, each with probability 0.3
    assert real <= set(families)
    same = frame.filter(pl.col("family") == "S0").group_by("metric").agg("params")
    assert set(same["metric"]) == set(METRICS)
    assert len({tuple(p) for p in same["params"]}) == 1
    again, _ = survey(300, 0.3, 0)
    assert again.equals(frame)
    assert survey(300, 0.0, 0)[1] == set()


def test_false_discoveries_are_counted_of_those_that_survive() -> None:
    found = judge(Survey(0.5, 60), 1, 0)
    assert found.curves == 60
    assert 0 < found.asked <= found.verdicts["survives"] <= 3 * found.asked  # families, curves
    assert found.proportions is not None
    assert len(found.proportions) == 1
    assert found.hits <= 2
    none = judge(Survey(0.0, 60), 2, 0)
    assert (none.asked, none.curves) == (2, 120)
    assert none.hits == 0
    assert "survives" not in none.verdicts


def test_of_every_metric_the_worst_counts() -> None:
    cell = Cell("smooth", Truth("logistic", 0.1, 0.95), Design(items=100), "every", True)
    found = judge(cell, 2, 0)
    assert found.asked == 2
    assert found.curves > 20
    assert found.covered is not None


@pytest.mark.parametrize("shape", ["inverse", "u-shaped"])
def test_what_falls_is_said_to_fall(shape: str) -> None:
    found = judge(Cell("turns", Truth(shape, 0.4, 0.95), Design(tokens=1)), 10, 0)
    assert found.hits == 10
    rises = judge(Cell("turns", Truth("power law", 0.4, 0.95), Design()), 10, 0)
    assert rises.hits == 0


def test_intervals_are_counted_against_the_truth() -> None:
    found = judge(Cell("smooth", Truth(), Design(items=500)), 30, 0)
    assert found.covered is not None
    hits, asked = found.covered["score (95 %)"]
    assert asked == 30 * 8
    assert 0.9 < hits / asked <= 1.0
    hits, asked = found.covered["emergence score (90 %)"]
    assert asked == 30


def test_the_same_rates_however_many_workers_and_after_a_stop(tmp_path: Path) -> None:
    kept = {"seed": 3, "families": 2, "only": ["degenerate"]}
    one = calibrate(tmp_path / "one", workers=1, **kept)  # type: ignore[arg-type]
    two = calibrate(tmp_path / "two", workers=2, **kept)  # type: ignore[arg-type]
    assert one == two
    files = sorted(p.name for p in (tmp_path / "one" / "cells").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "two" / "cells").iterdir())
    first = tmp_path / "one" / "cells" / files[0]
    before, stamps = (
        first.read_bytes(),
        [(tmp_path / "one/cells" / f).stat().st_mtime_ns for f in files[1:]],
    )
    first.unlink()
    told: list[tuple[int, int]] = []
    again = calibrate(
        tmp_path / "one", workers=1, tell=lambda done, total, r: told.append((done, total)), **kept
    )  # type: ignore[arg-type]
    assert again == one
    assert first.read_bytes() == before
    assert [(tmp_path / "one/cells" / f).stat().st_mtime_ns for f in files[1:]] == stamps
    assert told == [(len(files), len(files))]


def test_rates_of_another_program_are_not_taken_for_its_own(tmp_path: Path, monkeypatch) -> None:
    calibrate(tmp_path, families=1, only=["degenerate"], workers=1)
    before = set((tmp_path / "cells").iterdir())
    monkeypatch.setattr("unmirage.calibration.run._code", lambda: "changed")
    calibrate(tmp_path, families=1, only=["degenerate"], workers=1)
    assert len(set((tmp_path / "cells").iterdir()) - before) == len(before)


def test_a_damaged_cell_is_named_with_its_mend(tmp_path: Path) -> None:
    calibrate(tmp_path, families=1, only=["degenerate"], workers=1)
    file = next((tmp_path / "cells").iterdir())
    file.write_text(file.read_text()[:40])
    with pytest.raises(InputError, match=f"{file.name}.*(?s:.*)remove it"):
        calibrate(tmp_path, families=1, only=["degenerate"], workers=1)
    file.write_text("[]")
    with pytest.raises(InputError, match=file.name):
        calibrate(tmp_path, families=1, only=["degenerate"], workers=1)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"size": "huge"}, "no grid of size 'huge'"),
        ({"families": 0}, "0 families"),
        ({"only": ["smoth"]}, "no question is named 'smoth'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        calibrate(tmp_path, **options)


def test_the_page_shows_the_worst_cell_first_and_never_a_rate_of_nothing() -> None:
    found = [rate("smooth", k, 100) for k in (1, 9, 0)] + [rate("mirage", 0, 0)]
    page = to_markdown(found, "quick", 200, picture=False)
    table = page.split("## Smooth truth: share")[1]
    assert table.index("0.090") < table.index("0.010") < table.index("0.000 (")
    assert "nan" not in page
    assert "power.svg" not in page


def test_the_command_measures_writes_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "rates"
    asked = ["calibrate", "--quick", "--only", "degenerate,turns", "--families", "2"]
    done = CliRunner().invoke(app, [*asked, "--workers", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "nothing to see in the scores" in done.output
    page = (out / "calibration.md").read_text()
    assert "How often a verdict is wrong" in page
    body = json.loads((out / "calibration.json").read_text())
    assert {r["asks"] for r in body} == {"degenerate", "turns"}
    assert all(r["status"] in ("holds", "fails", "open", "reported") for r in body)
    both = CliRunner().invoke(app, ["calibrate", "--quick", "--full", "--out", str(out)])
    assert both.exit_code == 2
    assert "one of the two" in both.output


def test_the_worst_metric_has_hits_and_count_of_its_own():
    def made(counts):
        return [SimpleNamespace(key=SimpleNamespace(metric=m)) for m, n in counts.items()
                for _ in range(n)]  # fmt: skip

    hit, asked = made({"a": 4, "b": 3}), made({"a": 40, "b": 5, "c": 100})
    assert worst_metric(hit, asked, least=False) == (3, 5)
    assert worst_metric(hit, asked, least=True) == (0, 100)
    assert worst_metric([], [], least=True) == (0, 0)
