"""One thread as in the lab's workers, and one folder of compiled programs for all processes.

Compiling is most of what a tiny model costs: a program that one process compiled is read by the
others and by the next run of the tests (JAX finds it by a hash of all that it is made from).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.small import LADDER
from unmirage.lab import ladder

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = ladder.ONE_THREAD
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = Path(__file__).parents[2] / ".pytest_cache" / "lab-programs"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A program that cannot be read, since its writer was killed, is compiled again."""
    mark = pytest.mark.filterwarnings("ignore:Error .* persistent compilation cache:UserWarning")
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(mark)


@dataclass(frozen=True)
class Whole:
    """A run of four rungs that nobody disturbed."""

    path: Path
    done: list[ladder.Finished]
    told: list[ladder.Progress]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path, told = tmp_path_factory.mktemp("whole") / "run", []
    done = ladder.run(LADDER, path, tell=told.append)
    return Whole(path, done, told)
