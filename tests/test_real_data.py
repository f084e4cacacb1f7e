"""The traps of real tables (their README lists them) are reported, not fallen into."""

from functools import cache
from pathlib import Path

import polars as pl
import pytest

import unmirage

DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


@cache
def audited(name, **more):
    more = {k: dict(v) if k == "where" else v for k, v in more.items()}
    return unmirage.audit(unmirage.read(DATA / f"{name}.parquet"), draws=100, **more)


def codes(audit):
    return {n.code for n in audit.notes}


def test_zero_shot_results_in_five_shot_folders_are_told_and_kept_apart():
    audit = audited("pythia_evals", task=("lambada_openai",), metric=("acc",))
    assert "shots_disagree" in codes(audit)
    for j in audit.judgements:
        settings = dict(j.key.settings)
        if "five-shot" in settings.get("variant", "") and "pythia-v0" in settings["variant"]:
            # the three models whose folder lies make no curve with those that tell the truth
            assert len(j.curve.scale) == (3 if settings["shots"] == "0" else 5)


def test_checkpoints_are_compared_at_the_end_of_training():
    """Steps of v0 models are 4 M tokens for some sizes and 2 M for others."""
    audit = audited("pythia_evals", task=("lambada_openai",), metric=("acc",))
    assert "final_checkpoint" in codes(audit)
    ladder = next(
        j for j in audit.judgements
        if dict(j.key.settings).get("variant") == "pythia-v0/pythia-{size}/zero-shot"
    )  # fmt: skip
    assert len(ladder.curve.scale) == 8
    table = pl.read_parquet(DATA / "pythia_evals.parquet").filter(
        pl.col("variant").str.starts_with("pythia-v0/pythia-")
        & pl.col("variant").str.ends_with("/zero-shot")
        & ~pl.col("variant").str.contains("deduped")
        & (pl.col("task") == "lambada_openai")
        & (pl.col("metric") == "acc")
    )
    last = table.sort("tokens").group_by("params").last().sort("params")
    assert ladder.curve.score.tolist() == pytest.approx(last["score"].to_list())


def test_exact_match_at_the_floor_while_bleu_rises():
    audit = audited("obsscaling", family=("Pythia",), task=("ipa_transliterate",))
    found = {j.key.metric: j for j in audit.judgements}
    assert found["exact_match"].verdict == "undecided"
    assert found["exact_match"].curve.score.max() == 0
    assert found["bleu"].curve.score[[0, -1]] == pytest.approx([0.0003, 0.0058], abs=1e-4)
    assert "assumed_percent" in codes(audit)


def test_a_jump_that_is_sharp_and_not_monotone_is_not_smoothed_away():
    audit = audited("obsscaling", family=("Pythia",), task=("arithmetic_2da",))
    (j,) = audit.judgements
    assert j.verdict in ("undecided", "survives")
    assert "not monotone" in j.because
    assert j.finding("sharpness").values["step_to"] == 2.8e9
    assert "items_inferred" in codes(audit)
    assert set(j.curve.count) == {2000}


def test_overtrained_ladders_are_kept_apart():
    audit = audited("gadre_overtraining", task=("hellaswag",))
    assert "split_by" in codes(audit)
    assert all("chinchilla_mult" in dict(j.key.settings) for j in audit.judgements)
    assert all(len(j.curve.scale) <= 6 for j in audit.judgements)


def test_runs_are_kept_apart_and_may_be_joined_on_purpose():
    audit = audited("olmo_ladder", task=("arc_easy",), metric=("acc_len_norm",))
    assert all("run" in dict(j.key.settings) for j in audit.judgements)
    with pytest.raises(unmirage.UnmirageError, match="they differ in run") as caught:
        audited("olmo_ladder", family=("OLMo-ladder",), task=("arc_easy",),
                metric=("acc_len_norm",), scale="flops", ignore=("run",))  # fmt: skip
    assert "--where" in str(caught.value)
    joined = audited(
        "olmo_ladder", family=("OLMo-ladder",), task=("arc_easy",), metric=("acc_len_norm",),
        scale="flops", ignore=("run",), where=(("run!", "1xC-rerun"),),
    )  # fmt: skip
    assert max(len(j.curve.scale) for j in joined.judgements) >= 20


def test_prompts_are_kept_apart():
    audit = audited("bigscience", family=("BLOOM",), task=("axb",))
    assert (
        all("prompt_name" in dict(j.key.settings) for j in audit.judgements) or not audit.judgements
    )


def test_metrics_of_unknown_direction_are_refused_with_the_mend():
    with pytest.raises(unmirage.UnmirageError, match="good or bad") as caught:
        audited("pythia_evals", task=("crows_pairs_english",))
    assert "--higher-is-better likelihood_difference" in str(caught.value)
    audit = audited("pythia_evals", task=("crows_pairs_english",), lower_is_better=("pct_*",))
    assert audit.judgements
    assert {r.code for r in audit.refused} >= {"unknown_direction"}


def test_the_multiverse_of_the_olmo_ladder():
    """Scores without items: metrics, runs, rungs and axes are what an analyst may choose."""
    records = unmirage.read(DATA / "olmo_ladder.parquet")
    done = unmirage.multiverse(
        records, family=("OLMo-ladder",), task=("arc_*", "hellaswag"), most=120, judged=2
    )
    assert {u.task for u in done.universes} >= {"arc_challenge", "arc_easy", "hellaswag"}
    for universe in done.universes:
        assert universe.choices["score"] == ("mean score",)
        assert len(universe.choices["metric"]) >= 3
        assert set(universe.choices["scale"]) <= {"params", "flops", "tokens"}
        assert universe.table.height < universe.total
    # nothing tells how many items are behind a score: the interval of a share is unknown
    assert all(u.whole.low != u.whole.low for u in done.universes)
    assert any(n.code == "dependent" for n in done.notes)
