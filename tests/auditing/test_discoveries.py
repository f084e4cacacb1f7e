"""Many curves at once: adjusted p-values, more draws where they count, and the verdict."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmirage
from tests.auditing.test_breaks import family, line
from unmirage.auditing.breaks import ENOUGH, deeper, find_breaks
from unmirage.auditing.discoveries import control, q_values
from unmirage.auditing.tested import examine
from unmirage.curves.laws import PLAUSIBLE
from unmirage.report import to_json
from unmirage.simulate import Design, Metric, Truth, scores

p_lists = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40)


def slow_q(p):
    """Of each curve the smallest level at which step-up rejects it, tried one by one."""
    out = []
    for mine in p:
        tried = []
        for bound in p:
            if bound >= mine:  # reject all p <= bound
                tried.append(len(p) * bound / sum(x <= bound for x in p))
        out.append(min(1.0, *tried))
    return np.array(out)


@given(p_lists)
def test_q_values_agree_with_trying_every_bound(p):
    np.testing.assert_allclose(q_values(np.array(p)), slow_q(p), rtol=1e-12, atol=1e-15)


@given(p_lists, st.randoms(use_true_random=False))
def test_q_values_do_not_depend_on_the_order_and_are_no_smaller_than_p(p, random):
    q = q_values(np.array(p))
    assert (q >= np.array(p) - 1e-15).all()
    assert (q <= 1).all()
    order = list(range(len(p)))
    random.shuffle(order)
    np.testing.assert_array_equal(q_values(np.array(p)[order]), q[order])


@given(p_lists, st.floats(0.001, 0.5))
def test_what_is_rejected_is_the_step_up_set(p, level):
    kept = sorted(p)
    k = max((i for i in range(1, len(p) + 1) if len(p) * kept[i - 1] / i <= level), default=0)
    assert (q_values(np.array(p)) <= level).sum() >= k


def survey(smooth, broken, seed=0):
    """Families of exact match; the broken ones have a step of 3 logits on 12 rungs."""
    design = Design(rungs=12)
    frames = []
    for name, truth, count in (
        ("smooth", Truth("logistic", 0.4, 0.9), smooth),
        ("broken", Truth("logistic", 0.4, 0.6, step=3.0), broken),
    ):
        if count:
            made = scores(truth, design, families=count, seed=seed)
            frames.append(made.with_columns(family=name + pl.col("family")))
    return pl.concat(frames)


def test_more_draws_than_the_floor_of_the_p_value_are_made_where_they_count():
    """1 of 60 curves: with 100 draws p is 0.0099 at least, so q could never be below 0.59."""
    made = unmirage.audit(unmirage.read(survey(59, 1)), draws=100)
    broken = next(j for j in made.judgements if j.key.family.startswith("broken"))
    assert broken.verdict == "survives"
    assert broken.finding("break").p_value < 1 / 101
    many = broken.finding("many_tests")
    assert many.p_value <= 0.05
    assert many.values == {"tests": 60, "level": 0.05}
    others = [j for j in made.judgements if j is not broken]
    assert all(j.verdict != "survives" for j in others)
    again = unmirage.audit(unmirage.read(survey(59, 1)), draws=100)
    assert [j.findings for j in again.judgements] == [j.findings for j in made.judgements]


def test_what_does_not_stand_among_many_is_undecided_and_stands_alone():
    """A step whose p-value is about 0.01, among 60 curves and by itself."""
    weak = scores(Truth("logistic", 0.4, 0.6, step=1.4), Design(noise=0.15), families=8, seed=3)
    alone = unmirage.audit(unmirage.read(weak), draws=200, fdr=False)
    assert all(j.finding("many_tests") is None for j in alone.judgements)
    assert alone.settings["fdr"] is False
    standing = [j for j in alone.judgements if j.verdict == "survives"]
    assert standing
    name = standing[-1].key.family
    frame = pl.concat([survey(80, 0), weak.filter(pl.col("family") == name)])
    made = unmirage.audit(unmirage.read(frame), draws=200)
    mine = next(j for j in made.judgements if j.key.family == name)
    assert mine.finding("many_tests").p_value > 0.05
    assert mine.verdict == "undecided"
    assert "by chance among 81 curves" in mine.because


def test_one_curve_is_not_adjusted():
    made = unmirage.audit(unmirage.read(survey(1, 1).head(12)), draws=100)
    assert len(made.judgements) == 1
    assert made.judgements[0].finding("many_tests") is None
    assert not any(n.code == "many_tests" for n in made.notes)


def test_control_leaves_alone_what_no_number_of_draws_could_save():
    frame = survey(40, 0)
    curves = [j.curve for j in unmirage.audit(unmirage.read(frame), draws=100).judgements]
    tested = examine(curves, 0, 100)
    after, q = control(range(len(curves)), tested, level=0.05, seed=0, draws=100)
    assert {k: t.p_break for k, t in after.items()} == {k: t.p_break for k, t in tested.items()}
    assert (q > 0.05).all()


def test_a_curve_that_was_not_tested_counts():
    curves = [j.curve for j in unmirage.audit(unmirage.read(survey(2, 0)), draws=100).judgements]
    tested = examine(curves, 0, 100)
    _, q = control([0, 1, 99], tested, level=0.05, seed=0, draws=100)
    p = [tested[0].p_break, tested[1].p_break, 1.0]
    np.testing.assert_allclose(q, q_values(np.array(p)))


@pytest.mark.parametrize("seed", range(3))
def test_the_sequential_p_value_agrees_with_a_fixed_number_of_families(seed):
    d = family(line(1, 8), 500, seed=seed)
    found = find_breaks("share", d, [np.random.default_rng(0)], 100)
    t = float(found.statistic[0])
    t = t if t > 0 else 1.0
    smooth = found.smooth[:, 0]
    laws = [found.fits[i] for i in np.flatnonzero(smooth <= smooth.min() + PLAUSIBLE)]
    one, two = (deeper("share", d, t, laws, np.random.default_rng(i), 4000) for i in (1, 2))
    # stopped at 10 families that reach it: a relative error of about a third each
    assert one == pytest.approx(two, rel=1.5, abs=2e-3)
    assert one >= ENOUGH / 4000 or one == pytest.approx(1 / 4001, rel=10)


def test_the_same_findings_however_many_threads(monkeypatch) -> None:
    kinds: list[Metric] = ["exact_match", "token_accuracy", "cross_entropy"]
    frames = [scores(Truth(), Design(rungs=r), metrics=kinds, families=4, seed=r) for r in (6, 8)]
    tables = [f.with_columns(task=pl.lit(f"t{i}")) for i, f in enumerate(frames)]
    records = unmirage.read(pl.concat(tables, how="diagonal"))
    made = {}
    for threads in (1, 4):
        monkeypatch.setattr("unmirage.auditing.tested._THREADS", threads)
        made[threads] = to_json(unmirage.audit(records, draws=100))
    assert made[1] == made[4]


def test_progress_ends_at_its_total_also_where_more_draws_were_needed() -> None:
    truth = Truth("logistic", 0.4, 0.6, step=4.0)
    frames = [
        scores(t, Design(rungs=12), families=4, seed=i).with_columns(task=pl.lit(f"t{i}"))
        for i, t in enumerate([truth, Truth(), Truth("logistic", 1e-9, 1e-9)])
    ]
    seen: list[tuple[int, int]] = []
    records = unmirage.read(pl.concat(frames))
    made = unmirage.audit(records, draws=100, progress=lambda a, b: seen.append((a, b)))
    assert any(j.verdict == "survives" for j in made.judgements)
    assert [a for a, _ in seen] == sorted(a for a, _ in seen)
    assert seen[-1][0] == seen[-1][1] > 24
