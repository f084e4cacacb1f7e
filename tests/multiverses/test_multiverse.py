"""The multiverse: what is counted, that batches say what single audits say, and what it refuses."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import unmirage
from unmirage import examples
from unmirage.auditing import findings as find
from unmirage.auditing.verdict import looks_sharp
from unmirage.curves.build import build
from unmirage.curves.options import Options
from unmirage.errors import OptionError
from unmirage.multiverses import Choices, shares
from unmirage.multiverses.analyses import Scorer, cells, counted, curve_of, decode, draw
from unmirage.multiverses.choices import item_sets, rung_sets, threshold_cuts
from unmirage.multiverses.run import _plan
from unmirage.multiverses.sources import sources
from unmirage.simulate import Design, Truth, samples, scores
from unmirage.types import Facts

QUICK = {"most": 80, "judged": 0}


@pytest.fixture(scope="module")
def answers():
    """A smooth family whose exact match of eight tokens looks like a jump."""
    truth = Truth("power law", 0.35, 0.97)
    return unmirage.read(samples(truth, Design(rungs=8, items=240, tokens=8), seed=1))


@pytest.fixture(scope="module")
def found(answers):
    return unmirage.multiverse(answers, most=300, judged=60, seed=3)


# ---------------------------------------------------------------- what is counted


def test_every_analysis_is_counted_once(answers):
    only = Choices(thresholds=0, k_of_k=[2], subsets=[], halves=False, rungs=False)
    done = unmirage.multiverse(
        answers, metric=["exact_match", "cross_entropy"], choices=only, judged=0
    )
    table = done.universes[0].table
    assert done.universes[0].total == table.height == 4
    assert sorted(zip(table["metric"], table["score"], strict=True)) == [
        ("cross_entropy", "mean score"),
        ("exact_match", "2 of 2 at random"),
        ("exact_match", "2 of 2 in order"),
        ("exact_match", "mean score"),
    ]


def test_the_whole_is_the_product_of_the_choices(answers):
    only = Choices(thresholds=3, k_of_k=[], subsets=[50], halves=True, rungs=True)
    done = unmirage.multiverse(answers, metric=["cross_entropy"], choices=only, judged=0)
    universe = done.universes[0]
    sizes = [len(v) for v in universe.choices.values()]
    assert universe.choices["score"][0] == "mean score"
    # 8 rungs: all, without one (8), every second (2), without two at an end (2)
    assert sizes == [1, 4, 4, 13, 1]
    assert universe.total == universe.table.height == np.prod(sizes)
    assert not universe.table.select(list(universe.choices)).is_duplicated().any()


def test_the_draw_is_without_replacement_and_decodes_to_its_numbers(answers):
    curves = build(answers, Options(metric=["exact_match"])).curves
    chosen = Choices()
    made = sources(curves, answers.samples, chosen)
    every = cells(made, chosen, 0)
    total = sum(counted(every))
    numbers = draw(every, 100, 5)
    assert len(set(numbers.tolist())) == 100
    assert numbers.max() < total
    whole = decode(every, np.arange(total))
    assert len({(a.cell, a.rungs, a.axis) for a in whole}) == total
    picked = [(a.cell, a.rungs, a.axis) for a in decode(every, numbers)]
    assert picked == [(whole[i].cell, whole[i].rungs, whole[i].axis) for i in numbers]
    assert np.array_equal(draw(every, total, 5), np.arange(total))


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 14), st.integers(0, 100))
def test_subsets_of_rungs_keep_order_and_enough(m, seed):
    scale = np.sort(10 ** np.random.default_rng(seed).uniform(6, 10, m))
    sets = rung_sets(scale, Choices())
    assert next(iter(sets)) == "all"
    for kept in sets.values():
        assert len(kept) >= min(4, m)
        assert (np.diff(kept) > 0).all()
    assert len({tuple(k) for k in sets.values()}) == len(sets)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 400), st.integers(0, 10))
def test_subsets_of_items_are_of_the_size_they_say(total, seed):
    sets = item_sets(total, Choices(), seed)
    assert sets["all"].all()
    if total >= 4:
        assert (sets["half A"] ^ sets["half B"]).all()
    for n in (200, 50):
        assert (f"{n} at random" in sets) == (n < total)
        assert n >= total or sets[f"{n} at random"].sum() == n


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 5), min_size=2, max_size=40), st.booleans(), st.integers(1, 9))
def test_thresholds_split_the_answers(values, up, count):
    facts = Facts("x", "x", 0, np.inf, up, False, True)
    values = np.array(values)
    cuts = threshold_cuts("x", facts, values, Choices(thresholds=count))
    shares = [((values >= c.value) if up else (values <= c.value)).mean() for c in cuts]
    assert all(0 < s < 1 for s in shares)
    assert shares == sorted(shares, reverse=True)
    assert all(c.value in values for c in cuts)
    assert len(cuts) <= count


def test_what_a_task_does_not_need_goes_to_the_others():
    assert _plan([5, 100, 100], 45) == [5, 20, 20]
    assert _plan([5, 6], 100) == [5, 6]
    assert sum(_plan([50] * 7, 30)) <= 30


# ---------------------------------------------------------------- slow twins


def test_scores_are_those_of_an_obvious_loop(answers):
    curves = build(answers, Options(metric=["exact_match", "cross_entropy"])).curves
    chosen = Choices(thresholds=2, k_of_k=[3])
    made = sources(curves, answers.samples, chosen)
    every = cells(made, chosen, 0)
    scorer = Scorer(0, 5, "t")
    seen = set()
    for number, cell in enumerate(every):
        curve = cell.source.first
        y = curve.items.scores
        used = [
            s for s in range(y.shape[1]) if cell.used[curve.items.total][curve.items.position[s]]
        ]
        if cell.cut.order == "at random":
            continue
        if cell.cut.kind == "K of K":
            used.sort(key=lambda s: int(curve.items.names[s].removeprefix("q")))
            k = int(cell.cut.value)
            groups = [used[i : i + k] for i in range(0, len(used) - k + 1, k)]
            twin = [np.mean([min(row[s] for s in g) for g in groups]) for row in y]
        elif cell.cut.kind == "threshold":
            c, up = cell.cut.value, curve.facts.higher_is_better
            twin = [np.mean([(row[s] >= c) if up else (row[s] <= c) for s in used]) for row in y]
        else:
            twin = [np.mean([row[s] for s in used]) for row in y]
        scored = scorer.score(cell)
        analysis = decode(every, np.array([sum(counted(every)[:number])]))[0]
        assert curve_of(cell, scored, analysis).score.tolist() == pytest.approx(twin)
        seen.add((cell.cut.kind, cell.items))
    assert {kind for kind, _ in seen} == {"mean", "threshold", "K of K"}
    assert {items for _, items in seen} == {
        "all",
        "half A",
        "half B",
        "200 at random",
        "50 at random",
    }


def test_an_analysis_of_everything_is_the_curve_of_the_audit(answers):
    done = unmirage.multiverse(answers, judged=0, most=10_000, choices=Choices(rungs=False))
    audit = unmirage.audit(answers, draws=100)
    table = done.universes[0].table.filter(score="mean score", items="all", rungs="all")
    curves = {j.key.metric: j for j in audit.judgements}
    assert set(table["metric"]) == set(curves)
    for row in table.iter_rows(named=True):
        j = curves[row["metric"]]
        assert row["highest"] == pytest.approx(j.curve.score.max())
        score = j.finding("emergence_score").statistic
        assert row["emergence_score"] == pytest.approx(score)
        assert row["steepness"] == pytest.approx(j.finding("sharpness").values["steepness"])
        assert row["onset"] == pytest.approx(j.finding("sharpness").values["onset"])
        assert row["width_decades"] == pytest.approx(j.finding("sharpness").statistic)


def test_looks_are_those_of_the_audit_but_for_the_luck_of_the_draws(found):
    """Batched against one by one: the same conventions; p-values of 200 draws differ by luck."""
    universe, different = found.universes[0], 0
    for row, j in universe.judged.items():
        told = universe.table.row(row, named=True)
        movement = j.finding("movement")
        assert told["p_movement"] == pytest.approx(movement.p_value, abs=1e-9)
        assert told["inverse"] == movement.values["inverse"]
        sharp = j.finding("sharpness")
        if sharp is None:
            assert not told["sharp"]
            continue
        for name, mine, p in (
            ("steepness", "steepness", "p_steep"),
            ("onset", "onset", "p_late"),
        ):
            assert told[mine] == pytest.approx(sharp.values[name], nan_ok=True)
            theirs = sharp.p_value if p == "p_steep" else sharp.values["onset_p"]
            if told[p] < 1:  # else it was not asked
                error = np.sqrt(2 * max(theirs, 0.005) * (1 - theirs) / 200)
                assert abs(told[p] - theirs) < 5 * error + 0.01
        different += told["sharp"] != looks_sharp(j)
    assert len(universe.judged) >= 60
    assert different <= 0.1 * len(universe.judged)


def test_movement_is_that_of_the_audit_where_errors_are_unknown():
    table = scores(Truth(), Design(rungs=6), metrics=["cross_entropy"]).drop("stderr")
    records = unmirage.read(table)
    row = unmirage.multiverse(records, judged=0).universes[0].table.filter(rungs="all")
    curve = build(records, Options()).curves[0]
    assert row["p_movement"][0] == pytest.approx(find.movement(curve).p_value)


# ---------------------------------------------------------------- pooling


def test_macro_and_micro_means_of_subtasks():
    made = pl.concat(
        samples(
            Truth("logistic", 0.2, 0.9), Design(rungs=5, items=n, tokens=1), seed=n
        ).with_columns(pl.lit(f"part {n}").alias("subtask"), pl.col("item") + f" {n}")
        for n in (20, 60)
    )
    records = unmirage.read(made)
    done = unmirage.multiverse(
        records, metric=["exact_match"], judged=0, choices=Choices(rungs=False, halves=False)
    )
    table = done.universes[0].table.filter(score="mean score", items="all")
    top = dict(table.select("subtask", "highest").iter_rows())
    curves = build(records, Options(metric=["exact_match"])).curves
    parts = {c.key: c.items.scores for c in curves if c.key.metric == "exact_match"}
    assert set(top) == {"part 20", "part 60", "macro mean", "micro mean"}
    macro = np.mean([p.mean(axis=1) for p in parts.values()], axis=0)
    micro = np.concatenate(list(parts.values()), axis=1).mean(axis=1)
    assert top["macro mean"] == pytest.approx(macro.max())
    assert top["micro mean"] == pytest.approx(micro.max())


def test_seeds_are_averaged_and_told_apart():
    records = unmirage.read(samples(Truth(), Design(rungs=5, items=40, tokens=2, seeds=2)))
    done = unmirage.multiverse(records, metric=["exact_match"], **QUICK)
    assert done.universes[0].choices["seed"] == ("0", "1", "mean")


def test_an_axis_is_a_choice_only_where_it_spaces_the_rungs_otherwise():
    table = scores(Truth(), Design(rungs=6)).with_columns(
        flops=pl.col("params") * 6e9, tokens=pl.col("params").sqrt() * pl.Series([1, 2, 1, 3, 1, 2])
    )
    done = unmirage.multiverse(unmirage.read(table), judged=0)
    # flops of a fixed number of tokens are spaced as parameters are
    assert set(done.universes[0].choices["scale"]) == {"params", "tokens"}


# ---------------------------------------------------------------- what is said


def test_a_threshold_makes_an_ability_and_a_mean_does_not(answers):
    """The point of the source article: the same outputs, sharp or smooth by choice."""
    done = unmirage.multiverse(answers, metric=["cross_entropy", "exact_match"], judged=0)
    universe = done.universes[0]
    table = universe.table.filter(items="all", rungs="all")
    mean = table.filter(metric="cross_entropy", score="mean score")
    strict = table.filter(metric="cross_entropy", score="passed by about 10 %")
    assert not mean["reports"][0]
    assert strict["reports"][0]
    levels = {(s.choice, s.level): s for s in universe.shares}
    assert levels["score", "mean score"].effect < 0
    assert universe.table["reports"][universe.create]
    assert not universe.table["reports"][universe.dissolve]
    assert f"under {universe.whole.reporting} of {universe.whole.analyses} analyses" in (
        universe.create_says
    )


def test_the_sentence_names_the_threshold_and_what_the_audit_says(answers):
    only = Choices(at={"cross_entropy": [0.125]}, halves=False, subsets=[], rungs=False)
    done = unmirage.multiverse(answers, metric=["cross_entropy"], choices=only, judged=0)
    universe = done.universes[0]
    kinds = universe.table["kind"]
    for row, says in (
        (universe.create, universe.create_says),
        (universe.dissolve, universe.dissolve_says),
    ):
        assert ("cross_entropy <= 0.125" in says) == (kinds[row] == "threshold")
        assert f"The audit of this one says {universe.judged[row].verdict}" in says
    assert "threshold" in kinds.to_list()


@pytest.mark.parametrize(
    ("reports", "verdict", "words"),
    [
        (True, "smooth", "sharp to the eye, but along a smooth law"),
        (False, "survives", "not sharp to the eye, but there is a break"),
        (True, "mirage", "says mirage (metric)."),
    ],
)
def test_where_the_eye_and_the_audit_disagree_it_is_said(found, reports, verdict, words):
    why = ("metric",) if verdict == "mirage" else ()
    one = replace(found.universes[0].judged[found.universes[0].create], verdict=verdict,
                  explained_by=why)  # fmt: skip
    mask = np.array([reports, not reports])
    said = shares.sentence({}, ["mean", "mean"], mask, 2, 0, create=reports, judged=one)
    assert words in said


def test_a_straight_line_reports_nothing():
    table = pl.DataFrame(
        {
            "family": "f",
            "task": "t",
            "metric": "acc",
            "n_samples": 500,
            "params": 10.0 ** np.arange(6, 12),
            "score": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        }
    )
    universe = unmirage.multiverse(unmirage.read(table), judged=0).universes[0]
    assert universe.whole.reporting == 0
    assert "appears under 0 of 9 analyses" in universe.create_says
    assert "does not appear under 9 of 9 analyses" in universe.dissolve_says


def test_shares_are_of_the_table(found):
    universe = found.universes[0]
    assert universe.whole.reporting == universe.table["reports"].sum()
    for share in universe.shares:
        rows = universe.table.filter(pl.col(share.choice) == share.level)
        assert (share.analyses, share.reporting) == (rows.height, rows["reports"].sum())
        assert share.low <= share.share <= share.high
        others = universe.table.filter(pl.col(share.choice) != share.level)["reports"].mean()
        assert share.effect == pytest.approx(share.share - others)


def test_intervals_are_unknown_where_errors_are():
    table = scores(Truth(), Design(rungs=6), metrics=["cross_entropy"]).drop("stderr")
    universe = unmirage.multiverse(unmirage.read(table), judged=0).universes[0]
    assert np.isnan([universe.whole.low, universe.whole.high]).all()
    assert json.loads(unmirage.multiverse(unmirage.read(table), judged=0).to_json())["universes"][
        0
    ]["whole"]["low"] is None  # fmt: skip


def test_that_analyses_are_dependent_is_said(found):
    assert any(n.code == "dependent" for n in found.notes)
    counts = next(n for n in found.notes if n.code == "analyses")
    assert counts.count == 300
    universe = found.universes[0]
    extremes = {universe.create, universe.dissolve} - {*universe.sample}
    assert "60 of them, drawn at random," in counts.message
    assert f" and {len(extremes)} extremes besides" in counts.message or not extremes


def test_the_share_of_a_verdict_is_of_those_drawn_at_random(found, answers):
    universe = found.universes[0]
    drawn = [universe.judged[i].verdict for i in universe.sample]
    assert len(drawn) == 60
    assert {*universe.judged} == {*universe.sample, universe.create, universe.dissolve}
    assert {s.level: s.reporting for s in universe.verdicts} == dict(Counter(drawn))
    few = Choices(halves=False, subsets=[], k_of_k=[2])
    every = unmirage.multiverse(answers, metric=["exact_match"], choices=few, seed=3)
    assert every.universes[0].table["verdict"].null_count() == 0
    assert all(s.low == s.share == s.high for s in every.universes[0].verdicts)


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 500))
def test_the_interval_of_a_verdict_holds_its_share(n, k, more):
    k = min(k, n)
    drawn = ["mirage"] * k + ["smooth"] * (n - k)
    found = shares.of_verdicts(drawn, n + more)
    assert sum(s.reporting for s in found) == n
    for s in found:
        assert 0 <= s.low <= s.share <= s.high <= 1
        assert (s.low == s.high) == (more == 0)


def test_verdict_intervals_cover_the_true_share():
    """Slow twin: all draws of 10 out of 60 analyses of which 18 are mirages."""
    low_high = {
        k: next(
            (s.low, s.high)
            for s in shares.of_verdicts(["m"] * k + ["s"] * (10 - k), 60)
            if s.level == "m"
        )
        for k in range(1, 11)
    }
    chance = {k: stats.hypergeom(60, 18, 10).pmf(k) for k in range(1, 11)}
    covered = sum(p for k, p in chance.items() if low_high[k][0] <= 0.3 <= low_high[k][1])
    assert covered > 0.85


def test_the_extremes_are_judged(found):
    universe = found.universes[0]
    assert {universe.create, universe.dissolve} <= set(universe.judged)
    named = universe.table.filter(pl.col("verdict").is_not_null())
    assert named.height == len(universe.judged)
    for row, j in universe.judged.items():
        assert universe.table["verdict"][row] == j.verdict


def test_a_companion_of_the_same_outputs_stands_beside_the_metric(found):
    universe = found.universes[0]
    beside = {
        j.companion.facts.name
        for row, j in universe.judged.items()
        if universe.table["metric"][row] == "exact_match" and j.companion is not None
    }
    assert beside == {"cross_entropy"}
    for j in universe.judged.values():
        if j.companion is not None:
            assert j.companion.models == j.curve.models
            assert np.array_equal(j.companion.scale, j.curve.scale)


def test_same_seed_same_bytes(answers):
    once, again = (
        unmirage.multiverse(answers, metric=["exact_match"], most=60, judged=5, seed=2).to_json()
        for _ in range(2)
    )
    other = unmirage.multiverse(answers, metric=["exact_match"], most=60, judged=5, seed=3)
    assert once == again
    assert once != other.to_json()


def test_progress_comes_to_an_end(answers):
    seen = []
    unmirage.multiverse(
        answers, metric=["exact_match"], progress=lambda d, t: seen.append((d, t)), **QUICK
    )
    assert seen[-1][0] == seen[-1][1]
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"at": {"token_prob": [1.5]}}, "a threshold of 1.5 for token_prob, which lies in 0 to 1"),
        ({"at": {"mse": [0.1]}}, "a threshold for mse, which these records do not score"),
        ({"at": {"cross_entropy": [float("nan")]}}, "a threshold of nan"),
        ({"at": {"cross_entropy": [float("inf")]}}, "a threshold of inf"),
        ({"at": {"exact_match": [5.0]}}, "a threshold for exact_match, which scores items 0 or 1"),
        ({"k_of_k": [500]}, "K = 500 with the 240 items of exact_match"),
        ({"k_of_k": [121]}, "fewer than two groups"),
        ({"subsets": [241]}, "241 random items of 240"),
    ],
)
def test_a_choice_that_the_records_do_not_allow_is_an_error(answers, choices, words):
    with pytest.raises(OptionError, match=words) as error:
        unmirage.multiverse(answers, choices=Choices(**choices), **QUICK)
    assert "mend: " in str(error.value)


@pytest.mark.parametrize(
    "bad", [{"thresholds": -1}, {"k_of_k": [1]}, {"subsets": [0]}, {"thresholds": 101}]
)
def test_a_choice_that_cannot_be_meant_is_an_error(bad):
    with pytest.raises(OptionError, match="mend: "):
        Choices(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": -1},
        {"draws": 50},
        {"level": 0.0},
        {"most": 0},
        {"judged": -1},
        {"draws": 100, "level": 0.001},
    ],
)
def test_an_argument_that_cannot_be_meant_is_an_error(answers, bad):
    with pytest.raises(OptionError, match="mend: "):
        unmirage.multiverse(answers, **bad)


def test_a_threshold_for_a_metric_that_is_left_out_is_an_error(answers):
    only = Choices(at={"cross_entropy": [0.5]})
    with pytest.raises(OptionError, match="a threshold for cross_entropy, which --metric leaves"):
        unmirage.multiverse(answers, metric=["exact_match"], choices=only, **QUICK)
    only = Choices(k_of_k=[2])
    with pytest.raises(OptionError, match="no metric asked for scores items 0 or 1"):
        unmirage.multiverse(answers, metric=["cross_entropy"], choices=only, **QUICK)


def test_k_of_k_without_scores_of_items_is_an_error():
    table = pl.DataFrame({"params": [1e6, 1e7, 1e8, 1e9], "score": [0.1, 0.2, 0.3, 0.4]})
    read = unmirage.read(table.with_columns(family=pl.lit("f"), task=pl.lit("t"),
                                            metric=pl.lit("acc"), n_samples=100))  # fmt: skip
    with pytest.raises(OptionError, match="these records do not score item by item"):
        unmirage.multiverse(read, choices=Choices(k_of_k=[2]), **QUICK)
    with pytest.raises(OptionError, match=r"random items \(--subset\), but these records"):
        unmirage.multiverse(read, choices=Choices(subsets=[50]), **QUICK)


def test_only_records_are_taken():
    with pytest.raises(OptionError, match="takes Records"):
        unmirage.multiverse(pl.DataFrame())


def test_a_threshold_of_your_own_replaces_the_others(answers):
    done = unmirage.multiverse(
        answers, metric=["cross_entropy"], choices=Choices(at={"cross_entropy": [0.5, 1]}), **QUICK
    )
    assert done.universes[0].choices["score"] == ("mean score", "c = 1", "c = 0.5")


# ---------------------------------------------------------------- the bundled examples


@pytest.mark.parametrize("name", examples.names())
def test_the_bundled_examples_have_their_multiverse(name):
    records = unmirage.read(examples.path(name))
    quick = replace(records, samples=records.samples.filter(pl.col("seed") < 2))
    done = unmirage.multiverse(
        quick, metric=["exact_match", "edit_distance", "cross_entropy"], most=200, judged=3
    )
    universe = done.universes[0]
    assert universe.table.height == 200
    assert 0 < universe.whole.reporting < 200
    assert universe.table["verdict"].drop_nulls().len() >= 3


def test_resampled_scores_are_means_over_items_drawn_again(answers):
    curves = build(answers, Options(metric=["exact_match"])).curves
    chosen = Choices(halves=True, subsets=[], k_of_k=[2])
    made = [
        s for s in sources(curves, answers.samples, chosen) if s.levels["metric"] == "exact_match"
    ]
    scorer = Scorer(4, 6, "t")
    for cell in cells(made, chosen, 0):
        if cell.cut.kind != "mean":
            continue
        items = cell.source.first.items
        used = cell.used[items.total][items.position]
        scored = scorer.score(cell)
        weights = scorer._drawn(items).astype(int)
        for r in range(6):
            drawn = [s for s in np.flatnonzero(used) for _ in range(weights[r, items.position[s]])]
            twin = [np.mean([row[s] for s in drawn]) for row in items.scores]
            assert scored.again[r].tolist() == pytest.approx(twin)
    spread = Scorer(4, 2000, "t").score(cells(made, chosen, 0)[0])
    assert spread.again.std(axis=0) == pytest.approx(spread.stderr, rel=0.12)
