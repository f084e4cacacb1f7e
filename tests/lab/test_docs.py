"""The examples in the lab's docstrings; pytest does not gather them itself, as they need JAX."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

import unmirage.lab

MODULES = sorted(p.stem for p in Path(unmirage.lab.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("name", [m for m in MODULES if m != "__init__"])
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"unmirage.lab.{name}")
    assert doctest.testmod(module).failed == 0
    assert module.__doc__


def test_the_overview_names_every_module() -> None:
    assert unmirage.lab.__doc__ is not None
    missing = [m for m in MODULES if m != "__init__" and m not in unmirage.lab.__doc__]
    assert not missing
