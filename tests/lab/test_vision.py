"""The vision families: nets against slow twins, records that can be scored anew, whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")
pytest.importorskip("sklearn", reason="the lab needs the extra: pip install 'unmirage[lab]'")
pytest.importorskip("matplotlib", reason="the lab needs the extra: pip install 'unmirage[lab]'")

import jax
import jax.numpy as jnp

import unmirage
from unmirage.errors import OptionError
from unmirage.lab import engine, export, families, ladder, tasks
from unmirage.lab.folder import Folder
from unmirage.lab.objective import init
from unmirage.lab.recipe import Recipe, Rung
from unmirage.lab.vision import nets, rows
from unmirage.lab.vision.nets import AutoencoderShape, LeNetShape

RECIPE = Recipe(steps=300, batch=16, warmup=20, layers=1, heads=2, rate=0.005)
OPTIONS = {
    "autoencoder": {"items": 90},
    "digits": {"items": 90, "together": 3},
    "glyphs": {"classes": 30, "drawings": 4, "way": 3, "asked": 2, "items": 70},
}
NAMES = tuple(OPTIONS)


def rung(name: str, d: int = 4, seed: int = 0) -> Rung:
    return Rung(name, d, seed, RECIPE, tuple(sorted(OPTIONS[name].items())))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ladder.Finished]]:
    """One small rung of each family, trained without a stop."""
    found = {}
    for name in NAMES:
        path = tmp_path_factory.mktemp(name)
        found[name] = (path, ladder.train_rung(rung(name), Folder(path)))
    return found


# ---------------------------------------------------------------- nets


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (16, 15)])
def test_patches_and_a_product_are_a_convolution(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *size, 3)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(kernel * kernel * 3, 4)), jnp.float32)
    h, v = size
    before = (kernel - 1) // 2
    pads = [(before, stride * (-(-n // stride) - 1) + kernel - before - n) for n in (h, v)]

    def twin(x: jax.Array, w: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x, w.reshape(kernel, kernel, 3, 4), (stride, stride), pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    ours = nets.convolve(x, w, kernel, stride)
    np.testing.assert_allclose(ours, twin(x, w), atol=1e-4)
    slopes = [
        jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w))), argnums=(0, 1))(x, w)
        for f in (lambda x, w: nets.convolve(x, w, kernel, stride), twin)
    ]
    for a, b in zip(*slopes, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_an_autoencoder_is_what_its_equation_says() -> None:
    shape = AutoencoderShape((3, 2, 1), 2)
    params = {k: np.asarray(v, np.float64) for k, v in init(jax.random.key(0), shape).items()}
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 1)).astype(np.uint8)
    x = images.reshape(5, 6) / 255
    out = 1 / (1 + np.exp(-(np.tanh(x @ params["in"]) @ params["out"])))
    found = nets.squared_error(jax.tree.map(jnp.asarray, params), jnp.asarray(images), shape)
    np.testing.assert_allclose(found, ((out - x) ** 2).mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds_are_counted(name: str) -> None:
    task = tasks.make(name, 0, OPTIONS[name])
    small, large = (engine.shape_of(task, rung(name, d)) for d in (4, 8))
    params = init(jax.random.key(0), small)
    assert nets.count_params(small) == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert nets.macs(large) > nets.macs(small) > 0


def test_the_multiply_adds_of_a_lenet_are_those_of_its_products() -> None:
    # 8 x 8 of 1: 64 places x 9 x D; 4 x 4: 16 places x 9 D x 2 D; 2 x 2 x 2 D x D; D x 10
    assert nets.macs(LeNetShape((8, 8, 1), 10, 3)) == 64 * 27 + 16 * 27 * 6 + 24 * 3 + 30


def test_answers_of_a_sequence_do_not_see_one_another(done: dict[str, tuple[Path, object]]) -> None:
    task = tasks.make("glyphs", 0, OPTIONS["glyphs"])
    shape = engine.shape_of(task, rung("glyphs"))
    arrays = {k: v[:20].copy() for k, v in task.test().items()}
    params = init(jax.random.key(1), shape)
    params["unembed"] = jax.random.normal(jax.random.key(2), params["unembed"].shape)
    before = nets.label_log_probs(params, arrays, shape)
    arrays["label"][:] = 0  # no label of an image that is asked is an input
    np.testing.assert_array_equal(before, nets.label_log_probs(params, arrays, shape))
    arrays["images"][:, -1] = 255 - arrays["images"][:, -1]
    after = nets.label_log_probs(params, arrays, shape)
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert np.abs(before[:, -1] - after[:, -1]).max() > 0.01
    arrays["shown"][:] = (arrays["shown"] + 1) % 3
    assert np.abs(after - nets.label_log_probs(params, arrays, shape)).max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss(name: str, done: dict[str, tuple[Path, ladder.Finished]]) -> None:
    frame = pl.read_parquet(done[name][1].path)
    if name == "autoencoder":
        by = frame.group_by("step").agg(pl.col("squared_error").mean()).sort("step")
        assert by["squared_error"].to_list()[-1] < 0.9 * by["squared_error"].to_list()[0]
    else:
        loss = -pl.col("token_logprobs").list.mean()
        by = frame.group_by("step").agg(loss.mean().alias("loss")).sort("step")
        assert by["loss"].to_list()[-1] < np.log(10 if name == "digits" else 3) + 0.02
        if name == "digits":
            assert by["loss"].to_list()[-1] < 0.9 * by["loss"].to_list()[0]


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("name", NAMES)
def test_records_can_be_scored_anew(
    name: str, done: dict[str, tuple[Path, ladder.Finished]]
) -> None:
    path, one = done[name]
    frame = ladder.last_step(pl.read_parquet(one.path))
    task = tasks.make(name, 0, OPTIONS[name])
    shape = engine.shape_of(task, one.rung)
    params = engine.load_weights(engine.weights_path(Folder(path).models, one.rung, 300), shape)
    if name == "autoencoder":
        again = nets.squared_error(params, jnp.asarray(task.test().pixels), shape)
        np.testing.assert_allclose(frame["squared_error"], again, atol=1e-6)
        return
    labels = task.test().labels if name == "digits" else task.test()["label"]
    wanted = np.array(frame["target_tokens"].to_list())
    given = np.array(frame["output_tokens"].to_list())
    np.testing.assert_array_equal(wanted.ravel(), labels.ravel())
    np.testing.assert_array_equal(np.array(frame["token_correct"].to_list()), wanted == given)
    assert frame["targets"].list.first().to_list() == [" ".join(map(str, r)) for r in wanted]
    assert frame["output"].to_list() == [" ".join(map(str, r)) for r in given]
    logs = np.array(frame["token_logprobs"].to_list())
    # what is likelier than all others together is the answer
    assert (wanted == given)[logs > np.log(0.5) + 1e-3].all()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_read_and_audited(name: str, tmp_path: Path) -> None:
    plan = [rung(name, d) for d in (2, 4, 6)]
    for one in plan:
        ladder.train_rung(one, Folder(tmp_path))
    metrics = {"autoencoder": ["mse", "reconstruction@0.05"], "digits": ["all_right@3"],
               "glyphs": ["subset_accuracy@2"]}[name]  # fmt: skip
    found = unmirage.audit(unmirage.read(tmp_path / "records"), metric=metrics, draws=100)
    assert len(found.judgements) + len(found.refused) == len(metrics)
    assert found.judgements
    assert {j.curve.models for j in found.judgements} == {("d2 seed0", "d4 seed0", "d6 seed0")}


def test_the_first_items_do_not_depend_on_how_many_are_asked() -> None:
    for name, count in (("glyphs", "items"), ("digits", "items"), ("autoencoder", "items")):
        few, many = (tasks.make(name, 0, {**OPTIONS[name], count: n}).test() for n in (30, 60))
        a, b = (x["images"] if name == "glyphs" else x.pixels for x in (few, many))
        assert len(a) == 30
        np.testing.assert_array_equal(a, b[:30])


# ---------------------------------------------------------------- resume


@pytest.mark.parametrize("name", NAMES)
def test_training_that_was_stopped_ends_in_the_same_bytes(
    name: str, tmp_path: Path, done: dict[str, tuple[Path, ladder.Finished]]
) -> None:
    folder, calls = Folder(tmp_path), []

    def stop() -> bool:
        calls.append(1)
        return True

    with pytest.raises(engine.Stopped):
        ladder.train_rung(rung(name), folder, stop=stop)
    assert len(calls) == 1
    assert not folder.finished(rung(name))
    again = ladder.train_rung(rung(name), folder)
    assert again.path.read_bytes() == done[name][1].path.read_bytes()
    assert folder.finished(rung(name))


# ---------------------------------------------------------------- as families


@pytest.mark.parametrize("name", NAMES)
def test_the_default_ladder_is_of_the_promised_size(name: str) -> None:
    plan = families.default_rungs(name)
    assert 8 <= len({r.d_model for r in plan}) <= 12
    assert {r.seed for r in plan} == {0, 1}


def test_settings_come_through_the_command_line_as_for_any_family() -> None:
    [one] = families.FAMILIES["digits"]
    changed = families.changed(one, {"together": "3", "steps": "500", "data": "digits"})
    assert dict(changed.options)["together"] == 3
    assert changed.recipe.steps == 500
    with pytest.raises(OptionError, match="the test set has 898 images"):
        families.rungs(families.changed(one, {"items": "5000"}), (1, 2), (0,))


def test_settings_that_mean_nothing_to_a_net_are_refused() -> None:
    for name in ("digits", "autoencoder"):
        [one] = families.FAMILIES[name]
        with pytest.raises(OptionError, match=f"{name} has no setting 'layers'"):
            families.changed(one, {"layers": "2"})
    [glyphs] = families.FAMILIES["glyphs"]
    assert families.changed(glyphs, {"layers": "1"}).recipe.layers == 1


def test_what_is_asked_may_change_after_training() -> None:
    one = rung("digits")
    other = Rung(one.task, one.d_model, one.seed, one.recipe,
                 tuple(sorted({**OPTIONS["digits"], "together": 9}.items())))  # fmt: skip
    assert one.trained() == other.trained()
    assert one.asked() != other.asked()


def test_a_net_of_images_is_no_language_model(
    tmp_path: Path, done: dict[str, tuple[Path, ladder.Finished]]
) -> None:
    path = tmp_path / "run"
    Folder(path)
    with Folder(path).locked():
        Folder(path).plan([rung("digits")])
    with pytest.raises(OptionError, match="no language model"):
        export.export(path, "d4 seed0", tmp_path / "out")


def test_rows_are_asked_in_chunks_of_one_size() -> None:
    task = tasks.make("digits", 0, {"items": 210, "together": 2})
    shape = engine.shape_of(task, rung("digits"))
    params = init(jax.random.key(0), shape)
    params["w3"] = jax.random.normal(jax.random.key(1), params["w3"].shape)
    frame = rows.items(task, params, shape)
    whole = nets.class_log_probs(params, jnp.asarray(task.test().pixels), shape)
    best = np.asarray(whole).argmax(axis=1).reshape(-1, 2)
    np.testing.assert_array_equal(np.array(frame["output_tokens"].to_list()), best)
