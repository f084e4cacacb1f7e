"""What a fresh look found wrong once, each in its smallest form."""

import numpy as np
import polars as pl
import pytest

import unmirage
from tests.auditing.families import answers, scores
from unmirage.curves.units import settle, whole_multiple
from unmirage.errors import InputError, OptionError

SMOOTH = np.exp(np.linspace(1.1, -2.5, 9))


def judge(table, **more):
    return unmirage.audit(unmirage.read(table), **{"draws": 300, **more}).judgements[0]


@pytest.mark.parametrize("level", [3.0, 2.3])
def test_a_loss_that_falls_at_a_break_improves(level):
    i = np.arange(10)
    better = level - 0.03 * i - 1.2 * (i >= 5)
    worse = level - 1.2 - 0.03 * i + 1.2 * (i >= 5)
    for values, verdict in ((better, "survives"), (worse, None)):
        table = scores(values.tolist(), n=None, metric="cross_entropy", stderr=[0.01] * 10)
        j = judge(table)
        assert (j.finding("break").values["size"] > 0) == (verdict == "survives")
        assert (j.verdict == "survives") == (verdict == "survives")


@pytest.mark.parametrize("values", [[0, 0, 0, 0, 1, 1, 1, 1], [0.0] * 7 + [1.0]])
def test_a_step_from_nothing_to_all_is_no_mirage_of_resolution(values):
    j = judge(scores([float(v) for v in values], metric="exact_match"))
    assert j.verdict in ("undecided", "survives")


def test_the_step_must_last_and_be_a_new_high():
    values = [0.42, 0.42, 0.42, 0.42, 0.588, 0.584, 0.43, 0.425]
    assert judge(scores(values, n=4000)).verdict != "survives"
    values = [0.084, 0.184, 0.288, 0.312, 0.272, 0.096, 0.012, 0.172]
    assert judge(scores(values, n=4000)).verdict != "survives"


def test_one_item_shows_nothing():
    j = judge(scores([0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0], n=1))
    assert j.verdict == "undecided"
    assert j.explained_by == ("resolution",)


def test_unknown_sampling_errors_never_survive():
    values = [0.02, 0.02, 0.03, 0.03, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95]
    j = judge(scores(values, n=None))
    assert j.verdict == "undecided"
    assert "--items" in j.would_change


def test_a_reported_error_larger_than_binomial_is_kept():
    table = scores([0.2, 0.3, 0.4, 0.5, 0.6], n=1000, stderr=[0.04] * 5)
    assert judge(table).curve.stderr.tolist() == [0.04] * 5


def test_a_copy_of_the_metric_is_no_companion():
    """Answers of one character: edit distance is 1 - exact match and explains nothing."""
    table = answers(SMOOTH, items=400, tokens=1).drop("token_logprobs", "token_correct")
    j = judge(table, metric=["exact_match"])
    assert j.companion is None
    assert "metric" not in j.explained_by


def test_one_name_may_be_given_as_a_string():
    both = pl.concat(
        [scores([0.1, 0.2, 0.3]), scores([0.1, 0.2, 0.4]).with_columns(task=pl.lit("t2"))]
    )
    made = unmirage.audit(unmirage.read(both), task="t2", draws=100)
    assert [j.key.task for j in made.judgements] == ["t2"]


def test_part_of_a_name_is_enough():
    table = scores([0.1, 0.2, 0.3]).with_columns(task=pl.lit("lambada_openai"))
    assert judge(table, task=["lambada"]).key.task == "lambada_openai"


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"items": 0}, {"level": 2}, {"chance": {"t": 50}}, {"draws": 1}]
)
def test_arguments_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(OptionError):
        judge(scores([0.1, 0.2, 0.3]), **wrong)
    with pytest.raises(OptionError, match="read"):
        unmirage.audit("a.csv")


def test_right_or_wrong_under_any_name_is_scored():
    rng = np.random.default_rng(0)
    rows = [
        {"model": f"m{i}", "params": 10.0 ** (6 + i), "doc_id": s, "correct": int(rng.random() < p)}
        for i, p in enumerate((0.1, 0.2, 0.4, 0.6, 0.8))
        for s in range(60)
    ]
    j = judge(pl.DataFrame(rows))
    assert j.key.metric == "correct"
    assert len(j.curve.items.names) == 60


@pytest.mark.parametrize("answer", ["B", "(b)", "beta"])
def test_the_right_choice_may_be_a_letter_or_a_text(answer):
    frame = pl.DataFrame(
        {"model": [f"m{i}" for i in range(4) for _ in range(6)],
         "params": [10.0 ** (6 + i) for i in range(4) for _ in range(6)],
         "item": [s for _ in range(4) for s in range(6)],
         "choices": [["alpha", "beta"]] * 24,
         "choice_logprobs": [[-2.0, -1.0]] * 24,
         "target": [answer.upper() if answer.startswith("(") else answer] * 24}
    )  # fmt: skip
    assert judge(frame, metric=["accuracy"]).curve.score.tolist() == [1.0] * 4


def test_a_slip_above_one_among_shares_is_not_a_percent_scale():
    with pytest.raises(InputError, match="0-100"):
        judge(scores([2.0, 0.03, 0.05, 0.1, 0.2, 0.45, 0.7, 0.9]))


def test_units_do_not_depend_on_what_is_asked_for():
    small = scores([0.03, 0.05, 0.11, 0.3, 0.6], n=None, metric="bleu")
    large = scores([5.0, 12.0, 27.0, 38.0, 53.0], n=None, metric="bleu").with_columns(
        family=pl.lit("G")
    )
    table = pl.concat([small, large])
    alone = judge(table, family=["F"]).curve.score.max()
    assert alone == pytest.approx(0.006)


def test_items_are_read_off_only_where_that_is_telling():
    even = np.array([0.04, 0.06, 0.08, 0.12, 0.18, 0.3, 0.46, 0.62, 0.74, 0.82])
    assert whole_multiple(even) is None
    rng = np.random.default_rng(0)
    of_250 = np.unique(rng.integers(1, 250, 40)) / 250
    assert whole_multiple(of_250) == 250
    # one model run on 500 of the items
    assert whole_multiple(np.append(of_250, 0.014)) is None
    frame, notes = settle(scores(of_250[:30].tolist(), n=None), infer_items=True)
    assert set(frame["n_samples"]) == {250.0}
    assert notes[0].code == "items_inferred"


def test_losses_in_the_columns_of_a_wide_table_have_their_direction():
    frame = pl.DataFrame(
        {"model": ["a", "b", "c"], "params": [1e6, 1e7, 1e8],
         "eval/c4/CrossEntropyLoss": [5.0, 4.0, 3.0], "mmlu": [0.2, 0.3, 0.4]}
    )  # fmt: skip
    made = unmirage.audit(unmirage.read(frame, scores=["eval/*", "mmlu"]), draws=100)
    better = {j.key.task: j.curve.facts.higher_is_better for j in made.judgements}
    assert better.get("mmlu") is True
    assert better.get("eval/c4/CrossEntropyLoss") is not True


def test_items_of_no_cluster_are_clusters_of_their_own():
    table = answers(SMOOTH, items=60, cluster=10)
    some = table.with_columns(
        cluster=pl.when(pl.col("item").is_in([f"q{i}" for i in range(20)])).then("cluster")
    )
    curve = judge(some, metric=["exact_match"]).curve
    assert len(np.unique(curve.items.cluster)) == 2 + 40


def test_many_tests_are_told():
    table = pl.concat(
        scores([0.1, 0.2, 0.3, 0.4]).with_columns(task=pl.lit(f"t{i}")) for i in range(25)
    )
    made = unmirage.audit(unmirage.read(table), draws=100)
    assert any(n.code == "many_tests" for n in made.notes)


def test_needed_items_come_from_the_log_probabilities_of_the_targets():
    """A smooth law that reaches 0 names no number: 29 items were named where 2,722 were needed."""
    from unmirage.simulate import Design, Truth, samples

    frame = samples(Truth("power law", 0.02, 0.9), Design(items=60, tokens=8), seed=3)
    judged = unmirage.audit(unmirage.read(frame), draws=100).judgements
    exact, told = (
        next(j for j in judged if j.key.metric == m) for m in ("exact_match", "target_prob")
    )
    rungs = exact.finding("resolution").values["floor_rungs"]
    assert rungs
    by_scale = dict(zip(told.curve.scale, told.curve.score, strict=True))
    for rung in rungs:
        p = by_scale[rung["scale"]]
        assert rung["expected"] == p
        assert rung["needed_n"] == pytest.approx(np.log(0.05) / np.log1p(-p), rel=0.1, abs=1)


def test_a_law_without_slope_does_not_take_all_the_weight():
    """Near chance the weights of all other laws were 0: the draw of needed items crashed."""
    table = pl.DataFrame(
        {
            "family": "f",
            "task": "t",
            "metric": "accuracy",
            "params": 10.0 ** (6 + np.arange(6) * 0.5),
            "score": [0.26, 0.224, 0.204, 0.244, 0.242, 0.236],
            "n_samples": 500.0,
            "chance": 0.25,
        }
    )
    made = unmirage.audit(unmirage.read(table))
    assert made.judgements[0].verdict != "survives"
    huge = table.with_columns(
        n_samples=pl.lit(1e20), score=pl.Series([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    )
    assert unmirage.audit(unmirage.read(huge), draws=100).judgements[0].verdict != "survives"


def test_falls_do_not_make_room_for_false_breaks():
    """Sudden falls have small p-values but never survive: they are no part of the discoveries."""
    from unmirage.simulate import Design, Truth, scores

    falls = scores(Truth("logistic", 0.6, 0.8, step=-4.0), Design(), families=12, seed=1)
    nulls = scores(Truth("logistic"), Design(noise=0.2), families=12, seed=2)
    named = [falls.with_columns(family="fall" + pl.col("family")), nulls]
    made = unmirage.audit(unmirage.read(pl.concat(named)), draws=200)
    fallen = [j for j in made.judgements if j.key.family.startswith("fall")]
    assert all(j.verdict != "survives" and j.finding("many_tests") is None for j in fallen)


def test_a_level_that_the_draws_cannot_reach_is_refused():
    from unmirage.simulate import Design, Truth, scores

    records = unmirage.read(scores(Truth(), Design()))
    with pytest.raises(OptionError, match="--draws 2000"):
        unmirage.audit(records, draws=1000, level=0.0005)


@pytest.mark.parametrize("error", [1e300, 1e-300])
def test_standard_errors_beyond_all_numbers_are_unknown(error):
    frame = pl.DataFrame(
        {
            "params": [1e6, 1e7, 1e8, 1e9, 1e10, 1e11],
            "metric": "exact_match",
            "score": [0.2, 0.2, 0.3, 0.4, 0.5, 0.7],
            "stderr": error,
        }
    )
    records = unmirage.read(frame)
    assert records.aggregates["stderr"].null_count() == 6
    assert any(n.code == "stderr_bad" and n.count == 6 for n in records.notes)
    [found] = unmirage.audit(records, draws=100).judgements
    assert found.verdict != "survives"
