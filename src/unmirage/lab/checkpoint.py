"""Parameters and optimiser states on disk: safetensors with settings and a checksum, atomically.

The checksum covers every byte of every array and the settings, so that a file that was cut or
changed is refused and never trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from unmirage.errors import FileProblem

Arrays = dict[str, NDArray[Any]]
FORMAT = "unmirage-lab"


def flatten(tree: Any) -> Arrays:
    """A tree of arrays by the path of each leaf.

    >>> flatten({"a": [np.zeros(2)], "b": np.ones(1)})
    {'a/0': array([0., 0.]), 'b': array([1.])}
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(p, simple=True, separator="/"): np.asarray(x) for p, x in leaves}


def unflatten(like: Any, arrays: Arrays) -> Any:
    """The tree of the form of ``like`` with the arrays as its leaves.

    Raises:
        KeyError: an array is missing or of another shape.
    """
    wanted = flatten(like)
    for name, leaf in wanted.items():
        if arrays[name].shape != leaf.shape:
            raise KeyError(name)
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])


def _checksum(arrays: Arrays, facts: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def save(path: Path, tree: Any, facts: Mapping[str, str]) -> None:
    """Write under a temporary name, then move it: a killed run leaves the old file or the new."""
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in flatten(tree).items()}
    # one entry: safetensors writes several in random order
    told = json.dumps({"facts": dict(facts), "sha256": _checksum(arrays, facts)}, sort_keys=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # not its save_file, whose own temporary files a killed run would leave behind
        unfinished.write_bytes(to_bytes(arrays, metadata={FORMAT: told}))
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> tuple[Arrays, dict[str, str]]:
    """The arrays by name, and the facts that were saved with them.

    Raises:
        FileProblem: the file is cut short or changed.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            told = json.loads((file.metadata() or {})[FORMAT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts: dict[str, str] = told["facts"]
        fits = told["sha256"] == _checksum(arrays, facts)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, str(error)) from error
    if not fits:
        raise damaged(path, "its checksum does not fit")
    return arrays, facts


def damaged(path: Path, why: str) -> FileProblem:
    """The error of a file that cannot be trusted."""
    return FileProblem(
        f"the checkpoint is damaged ({why})",
        file=str(path),
        mend="remove this file (and the records of its rung, if it has some) and run the same "
        "`unmirage lab run` again: this rung starts anew, all else that is finished is kept",
    )
