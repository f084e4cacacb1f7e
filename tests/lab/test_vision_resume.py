"""Image models that are killed while they train end in the same bytes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")
pytest.importorskip("sklearn", reason="the lab needs the extra: pip install 'unmirage[lab]'")
pytest.importorskip("matplotlib", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.test_resume import contents, end, start, wait_for
from unmirage.lab import checkpoint, engine, ladder
from unmirage.lab.folder import Folder
from unmirage.lab.recipe import Recipe, Rung

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a process group")

RECIPE = Recipe(steps=1000, batch=8, warmup=20, layers=1, heads=2, rate=0.005)
OPTIONS: dict[str, tuple[tuple[str, int | float], ...]] = {
    "digits": (("items", 60), ("shift", 1), ("together", 3)),
    "glyphs": (("asked", 2), ("classes", 30), ("drawings", 4), ("items", 40), ("way", 3)),
}
KILLS = 2
SCRIPT = """
import sys
from tests.lab.test_vision_resume import ladder_of
from unmirage.lab import ladder

if __name__ == "__main__":
    ladder.run(ladder_of(sys.argv[1]), sys.argv[2], workers=1, save_seconds=0)
"""


def ladder_of(name: str) -> list[Rung]:
    return [Rung(name, 4, 0, RECIPE, OPTIONS[name])]


def step(folder: Folder, one: Rung) -> int:
    """How far the state on the disk is; 0 where there is none."""
    saved = engine.state_path(folder.work, one)
    return int(checkpoint.load(saved)[1]["step"]) if saved.exists() else 0


@pytest.mark.parametrize("name", tuple(OPTIONS))
def test_an_image_model_killed_again_and_again_ends_in_the_same_bytes(
    name: str, tmp_path: Path
) -> None:
    [one] = ladder_of(name)
    ladder.run([one], tmp_path / "whole", workers=1)
    script, out, log = tmp_path / "run.py", tmp_path / "out", tmp_path / "log"
    script.write_text(SCRIPT)
    folder, reached = Folder(out), [0]
    for _ in range(KILLS):
        job = start(log, str(script), name, str(out))
        assert wait_for(lambda: step(folder, one) > reached[-1], job), log.read_text()
        os.killpg(job.pid, signal.SIGKILL)
        end(job)
        reached.append(step(folder, one))
    assert 0 < reached[1] < reached[2] < RECIPE.steps, "killed on the way, each time"
    job = start(log, str(script), name, str(out))
    end(job)
    assert job.returncode == 0, log.read_text()
    assert contents(out) == contents(tmp_path / "whole")
