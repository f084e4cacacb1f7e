"""Images from files in the genuine formats, and what is said of files that are not right."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmirage.errors import ExtraMissing, FileProblem, OptionError
from unmirage.lab import tasks
from unmirage.lab.vision import AutoencoderTask, DigitsTask, GlyphsTask, formats
from unmirage.lab.vision.data import load
from unmirage.lab.vision.images import moved

RNG = np.random.default_rng(0)


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def mnist(folder: Path, n: int = 40, side: int = 9, packed: bool = False) -> dict[str, np.ndarray]:
    """The four files of MNIST, in small."""
    folder.mkdir(exist_ok=True)
    found = {}
    for part, count in (("train", n), ("t10k", n // 2)):
        pixels = RNG.integers(0, 256, (count, side, side)).astype(np.uint8)
        labels = np.arange(count) % 10
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            raw, name = idx(array), f"{part}-{kind}-ubyte"
            if packed:
                raw, name = gzip.compress(raw), f"{name}.gz"
            (folder / name).write_bytes(raw)
        found[part] = pixels
        found[f"{part} labels"] = labels
    return found


def cifar(path: Path, n: int, fine: bool, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pixels = RNG.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8)
    labels = (np.arange(n) + first) % (100 if fine else 10)
    rows = [
        bytes(([0] if fine else []) + [int(label)]) + p.tobytes()
        for p, label in zip(pixels, labels, strict=True)
    ]
    path.write_bytes(b"".join(rows))
    return pixels, labels


def omniglot(root: Path, characters: int = 12, each: int = 3, side: int = 105) -> None:
    """Folders as Omniglot's: alphabet/character/picture.png, black on white, one bit a pixel."""
    image = pytest.importorskip("PIL.Image")
    for i in range(characters):
        folder = root / f"Alphabet_{i % 2}" / f"character{i:02d}"
        folder.mkdir(parents=True)
        for j in range(each):
            pixels = np.full((side, side), 255, dtype=np.uint8)
            pixels[10 + 5 * i : 20 + 5 * i, 20 + j : 60 + j] = 0
            image.fromarray(pixels).convert("1").save(folder / f"{i:04d}_{j:02d}.png")


# ---------------------------------------------------------------- IDX


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_as_it_was_written(tmp_path: Path, packed: bool) -> None:
    wrote = mnist(tmp_path, packed=packed)
    split = load(str(tmp_path))
    np.testing.assert_array_equal(split.train.pixels[..., 0], wrote["train"])
    np.testing.assert_array_equal(split.test.labels, wrote["t10k labels"])
    assert split.train.classes == tuple("0123456789")


def test_the_other_spelling_of_the_names_is_known(tmp_path: Path) -> None:
    wrote = mnist(tmp_path)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    np.testing.assert_array_equal(load(str(tmp_path)).test.pixels[..., 0], wrote["t10k"])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_an_idx_file_of_any_shape_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], seed: int
) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(formats.read_idx(path), array)


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "it is no IDX file"),
        (b"\x89PNG\r\n", "it is no IDX file: it begins with 89 50 4e 47"),
        (GOOD[:9], "its header ends after 9 bytes, 16 are needed"),
        (GOOD[:-1], "2 x 3 x 4 = 24 numbers and holds 23"),
        (GOOD + b"\0", "2 x 3 x 4 = 24 numbers and holds 25"),
        (idx(np.arange(4), kind=0x0D), "IDX of type 0x0d"),
        (b"\0\0\x08\x09" + GOOD[4:], "with 9 dimensions"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "holds 0"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(raw)
    with pytest.raises(FileProblem, match=said) as error:
        formats.read_idx(path)
    assert "train-images-idx3-ubyte" in str(error.value)
    assert "mend" in str(error.value)


@pytest.mark.parametrize("cut", [0, 5, 30, -1])
def test_a_packed_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(GOOD)[:cut])
    with pytest.raises(FileProblem):
        formats.read_idx(path)


def test_images_and_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(39)))
    with pytest.raises(FileProblem, match="do not fit"):
        load(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileProblem, match="there is no train-labels-idx1-ubyte"):
        formats.read_mnist(tmp_path, "train")


# ---------------------------------------------------------------- CIFAR


def test_cifar_100_is_read_with_its_fine_labels(tmp_path: Path) -> None:
    pixels, labels = cifar(tmp_path / "train.bin", 7, fine=True, first=42)
    cifar(tmp_path / "test.bin", 5, fine=True)
    split = load(str(tmp_path))
    np.testing.assert_array_equal(split.train.pixels, pixels.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(split.train.labels, labels)
    assert (len(split.test), len(split.test.classes)) == (5, 100)


def test_cifar_10_is_read_from_its_batches_in_order(tmp_path: Path) -> None:
    parts = [cifar(tmp_path / f"data_batch_{i}.bin", 3, fine=False, first=i) for i in (1, 2)]
    cifar(tmp_path / "test_batch.bin", 2, fine=False)
    split = load(str(tmp_path))
    np.testing.assert_array_equal(split.train.labels, np.concatenate([p[1] for p in parts]))
    np.testing.assert_array_equal(split.train.pixels[4, :, :, 1], parts[1][0][1, 1])


def test_a_folder_with_the_test_batch_alone_is_refused(tmp_path: Path) -> None:
    cifar(tmp_path / "test_batch.bin", 2, fine=False)
    with pytest.raises(FileProblem, match="there is no data_batch_1"):
        load(str(tmp_path))


def test_a_damaged_cifar_file_is_refused(tmp_path: Path) -> None:
    cifar(tmp_path / "train.bin", 3, fine=True)
    with pytest.raises(FileProblem, match=r"there is no test\.bin"):
        load(str(tmp_path))
    raw = (tmp_path / "train.bin").read_bytes()
    (tmp_path / "test.bin").write_bytes(raw[:-1])
    with pytest.raises(FileProblem, match=r"no whole number of records of 3,074 bytes"):
        formats.read_cifar(tmp_path / "test.bin", fine=True)
    (tmp_path / "test.bin").write_bytes(b"")
    with pytest.raises(FileProblem, match="no whole number of records"):
        formats.read_cifar(tmp_path / "test.bin", fine=True)
    (tmp_path / "test.bin").write_bytes(raw[:3075] + b"\xc8" + raw[3076:])
    with pytest.raises(FileProblem, match="label 200 of record 2"):
        formats.read_cifar(tmp_path / "test.bin", fine=True)


# ---------------------------------------------------------------- folders of pictures


def test_omniglot_is_read_class_by_class_and_becomes_bright_on_black(tmp_path: Path) -> None:
    omniglot(tmp_path)
    found = formats.read_pictures(tmp_path, side=28)
    assert found.pixels.shape == (36, 28, 28, 1)
    assert found.classes[0] == "Alphabet_0/character00"
    assert np.bincount(found.labels).tolist() == [3] * 12
    assert np.median(found.pixels) == 0
    assert found.pixels.max() == 255
    plain = formats.read_pictures(tmp_path)
    assert (plain.pixels[0, 10:20, 20:60, 0] == 255).all()


@pytest.mark.parametrize("broken", [b"", b"no picture", "cut"])
def test_a_broken_picture_is_named(tmp_path: Path, broken: bytes | str) -> None:
    omniglot(tmp_path)
    path = tmp_path / "Alphabet_1" / "character03" / "0003_01.png"
    path.write_bytes(path.read_bytes()[:60] if isinstance(broken, str) else broken)
    with pytest.raises(FileProblem, match="the picture is broken") as error:
        GlyphsTask(data=str(tmp_path))
    assert "0003_01.png" in str(error.value)


def test_pictures_of_two_sizes_are_refused_unless_they_are_scaled(tmp_path: Path) -> None:
    omniglot(tmp_path, characters=2)
    image = pytest.importorskip("PIL.Image")
    image.new("L", (50, 40)).save(tmp_path / "Alphabet_0" / "character00" / "z.png")
    with pytest.raises(FileProblem, match="it is 40 x 50 and"):
        formats.read_pictures(tmp_path)
    assert len(formats.read_pictures(tmp_path, side=20)) == 7


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="it holds no pictures"):
        formats.read_pictures(tmp_path)
    with pytest.raises(FileProblem, match="there is no such folder"):
        formats.read_pictures(tmp_path / "gone")
    with pytest.raises(OptionError, match="there is no such folder"):
        load(str(tmp_path / "gone"))


def test_a_class_with_one_example_cannot_be_shown_and_asked(tmp_path: Path) -> None:
    omniglot(tmp_path)
    for path in sorted((tmp_path / "Alphabet_0" / "character02").iterdir())[1:]:
        path.unlink()
    with pytest.raises(FileProblem, match=r"1 of 12 classes have fewer than 2 .*character02"):
        GlyphsTask(data=str(tmp_path), way=2)
    with pytest.raises(FileProblem, match="12 of 12 classes have fewer than 4"):
        GlyphsTask(data=str(tmp_path), way=2, shots=3)


def test_a_class_that_no_training_image_has_is_told_of_as_that(tmp_path: Path) -> None:
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.minimum(np.arange(40) % 10, 8)))
    with pytest.raises(
        FileProblem, match=r"1 of 10 classes .* 1 example \(9\): .* learnt"
    ) as error:
        DigitsTask(data=str(tmp_path), items=20)
    assert "shots" not in str(error.value)


def test_training_and_test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 8, 9))))
    with pytest.raises(FileProblem, match="differ in size: 9 x 9 x 1 and 8 x 9 x 1"):
        DigitsTask(data=str(tmp_path), items=20)


# ---------------------------------------------------------------- the library datasets


def _rows(n: int, mode: str = "L") -> list[dict[str, object]]:
    image = pytest.importorskip("PIL.Image")
    return [{"img": image.new(mode, (4, 4), i if mode == "L" else (i, 0, 0)), "fine_label": i % 4}
            for i in range(n)]  # fmt: skip


def test_a_data_set_of_the_library_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"train": _rows(6, "RGB"), "test": _rows(4, "RGB")}
    fake = SimpleNamespace(load_dataset=lambda name: {"cifar100": whole}[name])
    monkeypatch.setitem(sys.modules, "datasets", fake)
    split = load("hub:cifar100")
    assert split.train.pixels[:, 0, 0, 0].tolist() == list(range(6))
    assert split.test.size == (4, 4, 3)
    assert split.train.labels.tolist() == [0, 1, 2, 3, 0, 1]
    task = GlyphsTask(data="hub:cifar100", way=2, unseen=0.5)
    assert task.images.size == (28, 28, 3)
    assert sum(map(len, task.parts()[0] + task.parts()[1])) == 10
    with pytest.raises(OptionError, match="hub:nothing cannot be loaded"):
        load("hub:nothing")
    with pytest.raises(OptionError, match="has no images with labels: text"):
        formats.from_rows([{"text": "x"}], None, "texts")


def test_real_rows_of_the_library_are_read() -> None:
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    rows = _rows(5)
    table = datasets.Dataset.from_dict(
        {"img": [r["img"] for r in rows], "fine_label": [r["fine_label"] for r in rows]},
        features=datasets.Features(
            {"img": datasets.Image(), "fine_label": datasets.ClassLabel(num_classes=4)}
        ),
    )
    found = formats.from_rows(table, None, "made")
    assert found.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_without_the_library_the_mend_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ExtraMissing, match="pip install datasets"):
        load("hub:without")


# ---------------------------------------------------------------- tasks


def test_glyph_classes_of_the_test_are_never_seen_in_training() -> None:
    pytest.importorskip("matplotlib", reason="pip install 'unmirage[lab]'")
    task = GlyphsTask(classes=40, drawings=4, items=300)
    whole = {p.tobytes(): int(label) for p, label in zip(task.images.pixels, task.images.labels,
                                                         strict=True)}  # fmt: skip
    assert len(whole) == len(task.images), "every drawing is one of its own"
    used: list[set[int]] = []
    for arrays in (task.batch(3, 300), task.test()):
        images = arrays["images"].reshape(-1, 16, 16, 1)
        used.append({whole[one.tobytes()] for one in images})
    assert len(used[0]) == 32
    assert len(used[1]) == 8
    assert not used[0] & used[1]


def test_labels_of_a_sequence_are_of_its_own_and_no_asked_image_was_shown() -> None:
    pytest.importorskip("matplotlib", reason="pip install 'unmirage[lab]'")
    task = GlyphsTask(classes=20, drawings=3, way=3, shots=2, asked=4, items=200)
    whole = {p.tobytes(): int(label) for p, label in zip(task.images.pixels, task.images.labels,
                                                         strict=True)}  # fmt: skip
    arrays = task.test()
    for images, shown, label in zip(*(arrays[k] for k in ("images", "shown", "label")),
                                    strict=True):  # fmt: skip
        kinds = [whole[one.tobytes()] for one in images]
        named = dict(zip(shown.tolist(), kinds, strict=False))
        assert len(set(named.values())) == 3
        assert sorted(shown.tolist()) == [0, 0, 1, 1, 2, 2]
        assert kinds[:6] == [named[i] for i in shown.tolist()]
        assert kinds[6:] == [named[i] for i in label.tolist()]
        given = [one.tobytes() for one in images]
        assert len(set(given[:6])) == 6, "an example is shown once"
        assert not set(given[:6]) & set(given[6:])


def test_letters_that_look_alike_are_one_class() -> None:
    pytest.importorskip("matplotlib", reason="pip install 'unmirage[lab]'")
    from unmirage.lab.vision.fonts import alphabet

    letters = alphabet()[0]
    assert len(letters) > 1000
    assert sum(o in letters for o in "oOοОо") <= 1
    assert len(set(letters)) == len(letters)


def test_training_data_depend_on_the_step_alone(tmp_path: Path) -> None:
    mnist(tmp_path)
    for task in (AutoencoderTask(data=str(tmp_path), items=20), DigitsTask(
        data=str(tmp_path), items=20)):  # fmt: skip
        one, two, other = task.batch(7, 8), task.batch(7, 8), task.batch(8, 8)
        assert all((one[k] == two[k]).all() for k in one)
        assert not (one["images"] == other["images"]).all()


@given(
    frame=st.integers(0, 4), shape=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 2**32)
)
@settings(max_examples=30)
def test_moved_images_are_the_same_images_elsewhere(
    frame: int, shape: tuple[int, int, int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    corner = rng.integers(0, 2 * frame + 1, (2, len(pixels)))
    found = moved(pixels, frame, corner)
    for one, image, y, x in zip(found, pixels, *corner.tolist(), strict=True):
        twin = np.zeros((shape[1] + 2 * frame, shape[2] + 2 * frame, shape[3]), np.uint8)
        twin[y : y + shape[1], x : x + shape[2]] = image
        np.testing.assert_array_equal(one, twin)


def test_digits_are_moved_in_training_and_lie_in_the_middle_of_the_test() -> None:
    pytest.importorskip("sklearn", reason="pip install 'unmirage[lab]'")
    still, task = DigitsTask(items=100), DigitsTask(items=100, shift=2)
    assert task.size == (12, 12, 1)
    np.testing.assert_array_equal(task.test().pixels[:, 2:-2, 2:-2], still.test().pixels)
    assert not task.test().pixels[:, :2].any()
    images, like = task.batch(3, 200)["images"], still.batch(3, 200)["images"]
    assert images.shape == (200, 12, 12, 1)
    np.testing.assert_array_equal(images.sum(axis=(1, 2, 3)), like.sum(axis=(1, 2, 3)))
    assert images[:, 0].any()
    assert images[:, -1].any()


def test_letters_that_are_not_bent_differ_by_their_face_alone() -> None:
    pytest.importorskip("matplotlib", reason="pip install 'unmirage[lab]'")
    straight, bent = (
        GlyphsTask(classes=20, drawings=30, noise=0.0, way=2, bend=bend).images.pixels
        for bend in (0.0, 0.5)
    )
    faces = [len(np.unique(p, axis=0)) for p in straight.reshape(20, 30, -1)]
    assert max(faces) <= 15
    assert [len(np.unique(p, axis=0)) for p in bent.reshape(20, 30, -1)] == [30] * 20


def test_digits_ask_every_image_once_and_train_on_none_of_them() -> None:
    pytest.importorskip("sklearn", reason="pip install 'unmirage[lab]'")
    task = DigitsTask(items=203, together=5)
    assert len(task.test()) == 200
    split = task.images
    assert len(split.train) + len(split.test) == 1797
    train = {p.tobytes() for p in split.train.pixels}
    # few of the digits are alike in every pixel
    assert sum(p.tobytes() in train for p in split.test.pixels) <= 5


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("digits", {"items": 4, "together": 5}, "no more images can be right"),
        ("digits", {"items": 899}, "the test set has 898 images"),
        ("autoencoder", {"items": 10_000}, "the test set has 898 images"),
        ("autoencoder", {"data": "/nowhere/at/all"}, "there is no such folder"),
        ("glyphs", {"way": 1}, "way from 2 on"),
        ("glyphs", {"noise": -1.0}, "noise from 0 to 10"),
        ("glyphs", {"classes": 6}, "1 to ask, 5 in each sequence"),
        ("glyphs", {"bend": 2.5}, "bend from 0 to 2"),
        ("digits", {"shift": -1}, "shift -1"),
        ("digits", {"shift": 65}, "from 0 to 64 pixels"),
    ],
)
def test_what_cannot_be_is_refused(task: str, settings: dict[str, object], said: str) -> None:
    pytest.importorskip("sklearn", reason="pip install 'unmirage[lab]'")
    pytest.importorskip("matplotlib", reason="pip install 'unmirage[lab]'")
    with pytest.raises(OptionError, match=said):
        tasks.make(task, 0, settings)  # type: ignore[arg-type]


def test_more_letters_than_the_fonts_hold_are_refused():
    with pytest.raises(OptionError, match="letters that differ"):
        GlyphsTask(classes=100_000)
