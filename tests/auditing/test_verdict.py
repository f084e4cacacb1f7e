"""Verdicts on families whose truth is known, and on input that must not fool the auditor."""

import json

import numpy as np
import polars as pl
import pytest

import unmirage
from tests.auditing.families import answers, scores
from unmirage.errors import InputError, MetricError, OptionError, UnmirageError

SMOOTH = np.exp(np.linspace(1.1, -1.9, 9))
BROKEN = np.r_[np.full(5, 2.2), np.full(5, 0.03)] * np.exp(-0.03 * np.arange(10))


def audit(table, **more):
    return unmirage.audit(unmirage.read(table), **{"draws": 300, **more})


def verdicts(table, **more):
    return {j.key.metric: j for j in audit(table, **more).judgements}


def test_smooth_truth_through_exact_match_is_a_mirage_of_the_metric():
    long = answers(np.exp(np.linspace(1.1, -2.5, 9)), items=1500, tokens=20, dependence=0.2)
    j = verdicts(long, metric=["exact_match"])["exact_match"]
    assert j.verdict == "mirage"
    assert "metric" in j.explained_by
    assert "per-token cross-entropy" in j.because


def test_its_linear_metrics_are_smooth():
    found = verdicts(answers(SMOOTH, items=1500, tokens=8))
    assert found["cross_entropy"].verdict == "smooth"
    assert found["token_accuracy"].verdict == "smooth"


def test_a_real_break_survives_under_every_metric():
    found = verdicts(answers(BROKEN, items=1500))
    for name in ("exact_match", "cross_entropy", "token_accuracy"):
        assert found[name].verdict == "survives", found[name].because


def test_rungs_removed_around_the_transition_name_coverage():
    eta = np.linspace(-6, 5, 12)
    values = (1 / (1 + np.exp(-eta))) ** 3
    keep = [0, 1, 2, 3, 9, 10, 11]
    scale = [10.0 ** (6 + 0.4 * i) for i in keep]
    j = verdicts(scores([float(values[i]) for i in keep], scale=scale))["acc"]
    assert j.verdict in ("undecided", "mirage")
    assert "coverage" in j.explained_by


def test_too_few_items_name_resolution():
    x = np.arange(9)
    p = np.exp(-12 * np.exp(-0.42 * x))
    rng = np.random.default_rng(0)
    few = rng.binomial(60, p) / 60
    j = verdicts(scores(few.tolist(), n=60, metric="exact_match"))["exact_match"]
    found = j.finding("resolution")
    assert found.values["hidden"] >= 2
    assert all(r["needed_n"] > 60 for r in found.values["floor_rungs"] if r["hidden"])
    assert j.verdict in ("mirage", "smooth")
    if j.verdict == "mirage":
        assert "resolution" in j.explained_by


@pytest.mark.parametrize("k", [3, 4])
def test_fewer_than_five_rungs_never_survive(k):
    values = np.where(np.arange(k) < k // 2, 0.01, 0.95)
    assert verdicts(scores(values.tolist(), n=10_000))["acc"].verdict == "undecided"
    few = answers(np.where(np.arange(k) < k // 2, 2.2, 0.02), items=800)
    assert verdicts(few)["exact_match"].verdict != "survives"


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_scores_never_survive(value):
    j = verdicts(scores([value] * 8))["acc"]
    assert j.verdict in ("smooth", "undecided")
    json.loads(audit(scores([value] * 8)).to_json())


def test_all_at_the_floor_is_undecided_and_says_what_is_missing():
    j = verdicts(scores([0.0] * 8, metric="exact_match"))["exact_match"]
    assert j.verdict == "undecided"
    assert j.explained_by == ("resolution",)


def test_noise_at_chance_is_no_ability():
    rng = np.random.default_rng(3)
    values = (rng.binomial(1000, 0.25, 10) / 1000).tolist()
    j = verdicts(scores(values, chance=[0.25] * 10))["acc"]
    assert j.verdict in ("smooth", "undecided")
    assert j.finding("movement").p_value > 0.01


def test_inverse_scaling_is_called_what_it_is():
    j = verdicts(scores(np.linspace(0.8, 0.3, 9).tolist()))["acc"]
    assert j.verdict == "smooth"
    assert "worse" in j.because
    assert j.finding("movement").values["inverse"]


def test_u_shaped_curves_are_not_forced_into_a_rise():
    x = np.linspace(-1, 1, 9)
    j = verdicts(scores((0.3 + 0.5 * x**2).tolist(), n=2000))["acc"]
    assert not j.finding("movement").values["monotone"]
    assert j.verdict != "survives"


def test_sharp_and_not_monotone_is_not_smoothed_away():
    values = [0.009, 0.005, 0.009, 0.0165, 0.067, 0.795, 0.486, 0.446]
    j = verdicts(scores(values, n=2000))["acc"]
    assert j.verdict in ("undecided", "survives")
    assert "not monotone" in j.because


def test_two_seeds_are_two_curves_and_their_distance_is_told():
    a = answers(BROKEN, items=300).with_columns(seed=0)
    late = np.r_[np.full(7, 2.2), np.full(3, 0.03)]
    b = answers(late, items=300, seed=1).with_columns(seed=1)
    found = audit(pl.concat([a, b]), metric=["exact_match"]).judgements
    assert [dict(j.key.settings)["seed"] for j in found] == ["0", "1"]
    assert found[0].finding("seeds").values["bimodal"]
    assert "bimodal" in found[0].because


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    table = answers(SMOOTH, items=200)
    one, two = audit(table).to_json(), audit(table).to_json()
    assert one == two
    assert audit(table, seed=1).to_json() != one


def test_rows_in_another_order_give_the_same_bytes():
    table = answers(SMOOTH, items=120)
    mixed = table.sample(fraction=1.0, shuffle=True, seed=3)

    def without_place(frame):
        return audit(frame, metric=["exact_match"]).to_json()

    assert without_place(table) == without_place(mixed)


def test_items_that_differ_between_models_are_paired_or_refused():
    table = answers(SMOOTH, items=200)
    some = table.filter(
        (pl.col("model") != "m3") | ~pl.col("item").is_in([f"q{i}" for i in range(40)])
    )
    j = audit(some, metric=["exact_match"]).judgements[0]
    assert j.curve.items.dropped == 40
    assert any(n.code == "items_dropped" and n.count == 40 for n in j.notes)
    few = table.filter(
        (pl.col("model") != "m3") | pl.col("item").is_in([f"q{i}" for i in range(40)])
    )
    with pytest.raises(InputError, match="only 40 of 200 items"):
        audit(few, metric=["exact_match"])


def test_clusters_widen_the_errors():
    plain = audit(answers(SMOOTH, items=300), metric=["exact_match"]).judgements[0].curve
    grouped = audit(answers(SMOOTH, items=300, cluster=10), metric=["exact_match"])
    assert grouped.judgements[0].curve.stderr_from == "clusters"
    np.testing.assert_array_equal(plain.score, grouped.judgements[0].curve.score)


def test_percent_and_share_in_one_curve_are_refused_with_the_mend():
    with pytest.raises(InputError, match="0-100") as caught:
        audit(scores([0.2, 0.3, 0.4, 55.0, 60.0, 70.0]))
    assert "--percent acc" in str(caught.value)


def test_a_table_in_percent_is_read_as_such_and_told():
    made = audit(scores([20.0, 30.0, 41.0, 52.0, 63.0]))
    assert made.judgements[0].curve.score.max() == pytest.approx(0.63)
    assert any(n.code == "assumed_percent" for n in made.notes)


def test_unknown_direction_is_asked_for():
    table = scores([1.0, 2.0, 3.0, 4.0, 5.0], metric="wibble")
    with pytest.raises(InputError, match="good or bad") as caught:
        audit(table)
    assert "--higher-is-better wibble" in str(caught.value)
    assert audit(table, higher_is_better=["wibble"]).judgements[0].verdict == "smooth"


def test_one_model_is_an_error():
    with pytest.raises(InputError, match="one model"):
        audit(scores([0.5]))


def test_nothing_matches_lists_what_is_there():
    with pytest.raises(InputError, match="nothing matches --task zzz") as caught:
        audit(scores([0.1, 0.2, 0.3]), task=["zzz"])
    assert "task: t" in str(caught.value)


def test_a_metric_without_its_fields_is_refused():
    with pytest.raises(MetricError, match="choice_logprobs"):
        audit(answers(SMOOTH, items=50), metric=["brier"])


def test_too_few_draws_are_refused():
    with pytest.raises(OptionError, match="draws"):
        audit(scores([0.1, 0.2, 0.3]), draws=10)


def test_aggregates_say_that_nothing_was_rescored():
    values = [0.02, 0.02, 0.03, 0.03, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95]
    j = verdicts(scores(values, n=5000))["acc"]
    assert j.verdict == "survives"
    assert "no items to rescore" in j.because


def test_every_error_is_ours():
    rng = np.random.default_rng(0)
    for _ in range(30):
        k = int(rng.integers(1, 9))
        values = rng.choice([0.0, 1.0, 0.5, 1e-9, 100.0, -1.0, 0.3], k).tolist()
        try:
            made = audit(scores(values, n=int(rng.integers(1, 50))), draws=100)
            json.loads(made.to_json())
            assert all(j.verdict != "survives" or k >= 5 for j in made.judgements)
        except UnmirageError:
            pass


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0.0, 1.0] * 4, "falls back by 100 %"),
        ([0.1, 0.9] * 4, "more noise between the rungs than models have"),
        ([0.9] * 7 + [0.1], "stands apart"),
        ([0.9] + [0.1] * 7, "stands apart"),
        ([0.9] * 4 + [0.1] * 4, "by a sudden fall"),
        ([0.0] * 7 + [0.9], "one gap between rungs"),
    ],
)
def test_what_no_smooth_law_makes_need_not_be_an_ability(values, why):
    j = verdicts(scores(values, n=1000))["acc"]
    assert j.verdict == "undecided"
    assert why in j.because


def test_a_step_between_models_of_one_size_is_no_matter_of_scale():
    for second in (np.nextafter(1e9, 2e9), 1e9 * (1 + 1e-12)):
        scale = [1e6, 1e7, 1e8, 1e9, float(second), 1e10, 1e11, 1e12]
        j = verdicts(scores([0.1] * 4 + [0.9] * 4, n=1000, scale=scale))["acc"]
        assert j.verdict == "undecided"
        assert "one size" in j.because


def test_exact_match_that_is_0_at_most_rungs_does_not_survive_for_its_last_rungs():
    j = verdicts(scores([0.0] * 10 + [0.029, 0.129], n=1000, metric="exact_match"))["exact_match"]
    assert j.verdict != "survives"
    assert "resolution" in j.explained_by
