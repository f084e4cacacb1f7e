"""Fake audits as fixtures (see fakes.py)."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("fakes", Path(__file__).parent / "fakes.py")
assert _SPEC is not None
assert _SPEC.loader is not None
fakes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)


@pytest.fixture(scope="session", params=list(fakes.ALL))
def any_audit(request):
    return fakes.ALL[request.param]()


@pytest.fixture(scope="session")
def small():
    return fakes.small()


@pytest.fixture(scope="session")
def hostile():
    return fakes.hostile()


@pytest.fixture(scope="session")
def many():
    return fakes.many()


@pytest.fixture(scope="session")
def empty():
    return fakes.empty()


@pytest.fixture(scope="session", name="fakes")
def made_up():
    """The module of fakes itself."""
    return fakes
