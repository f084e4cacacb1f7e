"""A run that is killed at any moment goes on from there, and ends in the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("jax", reason="the lab needs the extra: pip install 'unmirage[lab]'")

from tests.lab.conftest import Whole
from tests.lab.small import COMMAND, LADDER
from unmirage.errors import FileProblem
from unmirage.lab import checkpoint, engine
from unmirage.lab.folder import Folder

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a process group")

KILLS = 20
SCRIPT = """
import sys
from tests.lab.small import LADDER
from unmirage.lab import ladder

if __name__ == "__main__":
    ladder.run(LADDER, sys.argv[1], workers=1, save_seconds=0)
"""


def start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    """A process of a session of its own, which is killed with all that it starts."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=root,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


def wait_for(what: Callable[[], object], job: subprocess.Popen[bytes], seconds: float = 90) -> bool:
    """Whether it came about before the process ended."""
    deadline = time.monotonic() + seconds
    while not what():
        if job.poll() is not None:
            return False
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.003)
    return True


def end(job: subprocess.Popen[bytes]) -> None:
    """Wait until nobody of its session is left."""
    job.wait(timeout=120)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(job.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    pytest.fail("a worker outlived the run")


def workers(job: subprocess.Popen[bytes]) -> list[int]:
    """The processes that train, where the system tells."""
    try:
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        told = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    except OSError:
        return []
    return [pid for pid, command in told.items() if b"spawn_main" in command]


def steps(folder: Folder) -> dict[str, int]:
    """How far each rung is: the step of its state, or the last one where nothing is left to train.

    Every file that has its name is whole.
    """
    found = {}
    for one in LADDER:
        path, saved = folder.records(one), engine.state_path(folder.work, one)
        if path.exists():
            pl.read_parquet(path)
            found[one.name] = one.recipe.steps
        elif saved.exists():
            found[one.name] = int(checkpoint.load(saved)[1]["step"])
        for step in one.recipe.grid():
            weights = engine.weights_path(folder.models, one, step)
            if weights.exists():
                checkpoint.load(weights)
                if step == one.recipe.steps:
                    found[one.name] = step
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "lock"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_a_run_killed_twenty_times_ends_in_the_same_bytes(whole: Whole, tmp_path: Path) -> None:
    script, out, log = tmp_path / "run.py", tmp_path / "out", tmp_path / "log"
    script.write_text(SCRIPT)
    folder, rng = Folder(out), random.Random(0)
    before: dict[str, int] = {}
    with_state = advanced = orphaned = bereft = 0
    for kill in range(KILLS):
        job = start(log, str(script), str(out))
        if kill % 2 == 0:  # at any moment, while it starts too
            time.sleep(rng.uniform(0.1, 2.5))
        else:  # when it has gone on from where the last one stopped
            for _ in range(rng.randint(1, 3)):
                now = changed(folder)
                assert wait_for(lambda now=now: changed(folder) != now, job), log.read_text()
            time.sleep(rng.uniform(0, 0.03))
        worker = workers(job) if kill % 5 == 1 else []
        if worker:  # the run sees that its worker is dead
            os.kill(worker[0], signal.SIGKILL)
            job.wait(timeout=60)
            assert job.returncode == 1
            assert "a worker process of the lab died" in log.read_text()
            bereft += 1
        elif kill % 5 == 4:  # the workers see that the run is dead
            job.kill()
            orphaned += 1
        else:
            os.killpg(job.pid, signal.SIGKILL)
        end(job)
        after = steps(folder)
        assert all(after[name] >= step for name, step in before.items()), "nothing is lost"
        with_state += any(0 < step < 4000 for step in after.values())
        advanced += after != before
        before = after
    assert with_state >= 8
    assert advanced >= 6
    assert orphaned == 4
    assert bereft >= 2 or not Path("/proc").exists()
    assert len(before) < len(LADDER) or min(before.values()) < 4000, "there was something left"

    job = start(log, str(script), str(out))
    end(job)
    assert job.returncode == 0, log.read_text()
    assert contents(out) == contents(whole.path)


def changed(folder: Folder) -> list[tuple[str, int]]:
    """When each state and each records file was written."""
    found = []
    for path in [*folder.work.glob("*.safetensors"), *folder.path.glob("records/*.parquet")]:
        try:
            found.append((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:  # a rung was just finished
            continue
    return sorted(found)


def test_ctrl_c_saves_all_states_and_the_same_command_goes_on(whole: Whole, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    folder = Folder(out)
    command = ("-m", "unmirage.cli", *COMMAND, "--out", str(out), "--workers", "2")
    job = start(log, *command)
    assert wait_for(lambda: list(folder.models.glob("*/step-*.safetensors")), job)
    os.killpg(job.pid, signal.SIGINT)  # a terminal tells the workers too
    end(job)
    said = log.read_text()
    assert job.returncode == 130, said
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    far = steps(folder)
    assert far
    assert all(step >= 100 for step in far.values())
    assert min(far.values()) < 4000

    job = start(log, *command)
    end(job)
    assert job.returncode == 0, log.read_text()
    assert f"next: unmirage audit {out}" in log.read_text()
    assert contents(out) == contents(whole.path)


def test_a_damaged_state_stops_the_run_and_its_removal_goes_on(
    whole: Whole, tmp_path: Path
) -> None:
    """The mend that the error names, in a whole run."""
    from unmirage.lab import ladder

    out = Folder(tmp_path / "out")
    done = LADDER[1:]
    with out.locked():
        out.plan(LADDER)
    for one in done:
        out.records(one).parent.mkdir(exist_ok=True)
        out.records(one).write_bytes(Folder(whole.path).records(one).read_bytes())
    saved = engine.state_path(out.work, LADDER[0])
    saved.write_bytes(b"half")
    with pytest.raises(FileProblem, match="damaged") as caught:
        ladder.run(LADDER, out.path)
    assert str(saved) in str(caught.value)
    assert all(out.records(one).exists() for one in done)
    saved.unlink()
    ladder.run(LADDER, out.path)
    assert out.records(LADDER[0]).read_bytes() == Folder(whole.path).records(LADDER[0]).read_bytes()
