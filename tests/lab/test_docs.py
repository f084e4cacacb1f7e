"""The examples in the lab's docstrings; pytest does not gather them itself, as they need JAX."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

import unmirage.lab

ROOT = Path(unmirage.lab.__path__[0])
MODULES = sorted(p.stem for p in ROOT.glob("*.py"))
VISION = sorted(f"vision.{p.stem}" for p in (ROOT / "vision").glob("*.py"))


@pytest.mark.parametrize("name", [m for m in (*MODULES, *VISION) if "__init__" not in m])
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"unmirage.lab.{name}")
    assert doctest.testmod(module).failed == 0
    assert module.__doc__


def test_the_overview_names_every_module() -> None:
    assert unmirage.lab.__doc__ is not None
    missing = [m for m in MODULES if m != "__init__" and m not in unmirage.lab.__doc__]
    assert not missing
    from unmirage.lab import vision

    assert vision.__doc__ is not None
    assert not [m for m in VISION if m.split(".")[1] not in (vision.__doc__ + "__init__")]
