"""Real tools, run offline in an environment of their own: `make test` builds it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import tasks

#: these run in the clients' environment
collect_ignore = ["scripts"]

SCRIPTS = Path(__file__).parent / "scripts"
ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("UNMIRAGE_CLIENTS", ROOT / ".venv-clients")) / "bin" / "python"
WIDTHS = (4, 8, 16, 32)
LAB_TASK = "unmirage_multiplication"


def run(script: str, *words: object) -> None:
    """One script in the clients' environment, without a network."""
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(Path(str(words[-1])).parent / "hf"),
        "INSPECT_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }
    # away from the sources: the tools write what they find of a repository into their logs
    done = subprocess.run(
        [str(PYTHON), str(SCRIPTS / script), *map(str, words)],
        env={**os.environ, **offline},
        cwd=Path(str(words[-1])).parent,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.fixture(scope="session")
def clients() -> None:
    if not PYTHON.exists():
        pytest.skip("needs lm-eval and inspect-ai in their environment: make clients")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that is filled by one of the processes that run the tests, for all of them."""
    base = tmp_path_factory.getbasetemp()
    top = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, fill: Callable[[Path], None]) -> Path:
        folder = top / f"clients-{name}"
        folder.mkdir(exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".done").exists():
                fill(folder)
                (folder / ".done").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def rungs(once: Callable[[str, Callable[[Path], None]], Path], clients: None) -> Path:
    """A small family of our own: its records in ``run``, its exported models in ``models``."""
    pytest.importorskip("jax", reason="the lab needs the extra: pip install unmirage[lab]")
    return once("rungs", _train)


def _train(folder: Path) -> None:
    from unmirage.lab import export, ladder
    from unmirage.lab.folder import Folder
    from unmirage.lab.recipe import Recipe, Rung

    recipe = Recipe(steps=400, batch=64, layers=2)
    family = [Rung("multiplication", d, 0, recipe, (("items", 60),)) for d in WIDTHS]
    made = Folder(folder / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of programs compiled by another process
        with made.locked():
            made.plan(family)
        for rung in family:
            ladder.train_rung(rung, made)
            export.export(made.path, rung.name, folder / "models" / rung.name.replace(" ", "-"))


@pytest.fixture(scope="session")
def lm_eval_logs(once: Callable[[str, Callable[[Path], None]], Path], clients: None) -> Path:
    """What lm-evaluation-harness wrote of SmolLM2 on three kinds of tasks."""

    def fill(folder: Path) -> None:
        names = tasks.write_lm_eval(folder / "tasks")
        lm_eval("smollm2", folder / "tasks", names, folder / "log")

    return once("lm-eval", fill) / "log"


@pytest.fixture(scope="session")
def lm_eval_rungs(once: Callable[[str, Callable[[Path], None]], Path], rungs: Path) -> Path:
    """What lm-evaluation-harness wrote of our family on its own items."""

    def fill(folder: Path) -> None:
        names = [f"{LAB_TASK}_loglikelihood", f"{LAB_TASK}_generate_until"]
        for model in sorted((rungs / "models").iterdir()):
            lm_eval(str(model), model / "lm_eval", names, folder / "log")

    return once("lm-eval-rungs", fill) / "log"


def lm_eval(model: str, tasks: Path, names: list[str], out: Path) -> None:
    run(
        "run_lm_eval.py", "run", "--model", "local", "--model_args", f"pretrained={model}",
        "--include_path", tasks, "--tasks", ",".join(names), "--log_samples", "--output_path", out,
    )  # fmt: skip


@pytest.fixture(scope="session")
def inspect_logs(once: Callable[[str, Callable[[Path], None]], Path], clients: None) -> Path:
    """What Inspect wrote of SmolLM2: .eval files."""

    def fill(folder: Path) -> None:
        asked = tasks.write_inspect(folder / "asked.json")
        run("run_inspect.py", "eval", asked, "smollm2", folder / "log")

    return once("inspect", fill) / "log"


@pytest.fixture(scope="session")
def inspect_rungs(once: Callable[[str, Callable[[Path], None]], Path], rungs: Path) -> Path:
    """What Inspect wrote of our family on its own items: JSON files."""

    def fill(folder: Path) -> None:
        models = sorted((rungs / "models").iterdir())
        items = models[0] / "lm_eval" / f"{LAB_TASK}.jsonl"
        asked = tasks.write_rung_items(items, folder / "asked.json")
        run("run_inspect.py", "json", asked, *models, folder / "log")

    return once("inspect-rungs", fill) / "log"
