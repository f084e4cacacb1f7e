"""Checkpoints: what was saved comes back, and a file that was cut or changed is refused by name."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

jax = pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.small import full_disk  # noqa: E402
from unmirage.errors import FileProblem  # noqa: E402
from unmirage.lab import checkpoint  # noqa: E402

FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LEAVES = arrays.arrays(
    st.sampled_from([np.float32, np.int32, np.float64]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text("abcdef", min_size=1, max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
FACTS = st.dictionaries(st.text("abc", min_size=1), st.text(max_size=8), max_size=3)
TREE = {"token": np.arange(12, dtype=np.float32).reshape(3, 4), "layers": [{"up": np.ones(5)}]}


def refused(path: Path) -> str:
    """The text with which the file is refused."""
    with pytest.raises(FileProblem) as caught:
        checkpoint.load(path)
    text = str(caught.value)
    assert str(path) in text
    assert "damaged" in text
    assert "mend: remove this file (and the records of its rung" in text
    return text


@FEW
@given(tree=TREES, facts=FACTS)
def test_any_tree_comes_back_bit_for_bit(tree: Any, facts: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "x.safetensors"
        checkpoint.save(path, tree, facts)
        found, said = checkpoint.load(path)
        assert said == facts
        again = checkpoint.unflatten(tree, found)
        assert jax.tree.structure(again) == jax.tree.structure(tree)
        for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(tree), strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes(), "NaN and -0 too"
        assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, TREE, {"step": "100", "rung": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    checkpoint.save(path, TREE, {"step": "100"})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        refused(path)
    path.write_bytes(whole + b"\0")
    refused(path)


def test_one_flipped_bit_in_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    checkpoint.save(path, TREE, {"step": "100"})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        refused(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for body in (b"", b"\0" * 64, b"PAR1", os.urandom(300)):
        path.write_bytes(body)
        refused(path)


def test_a_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, tmp_path / "x")
    refused(tmp_path / "x")


def test_a_tree_of_another_form_is_a_key_error() -> None:
    found = checkpoint.flatten(TREE)
    for other in (
        {**TREE, "more": np.ones(1)},
        {**TREE, "token": np.ones((4, 3))},
        {**TREE, "token": np.ones(12)},
    ):
        with pytest.raises(KeyError):
            checkpoint.unflatten(other, found)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x"
    checkpoint.save(path, TREE, {})
    before = path.read_bytes()
    with full_disk(1000), pytest.raises(OSError, match="cannot be written"):
        checkpoint.save(path, {"a": np.zeros(9999)}, {})
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"a": np.zeros(9)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_killed_write_leaves_only_a_file_of_the_name_that_the_next_run_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def look(*_: object) -> None:
        seen.append({p.name for p in tmp_path.iterdir()})

    monkeypatch.setattr(os, "replace", look)
    checkpoint.save(tmp_path / "x.safetensors", TREE, {})
    assert seen == [{f".x.safetensors.{os.getpid()}.tmp"}]
