"""All rungs of a ladder: one pinned process per core, largest rungs first, resumable.

This file imports no JAX: the workers do, after they are pinned to one core.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import polars as pl

from unmirage.errors import ExtraMissing
from unmirage.lab.recipe import Recipe, Rung

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Finished:
    """One rung whose records are on disk."""

    rung: Rung
    path: Path
    cpu_seconds: float  # 0 where the records were there already
    resumed: bool


def require_lab() -> None:
    """Raise where the extra is not installed.

    Raises:
        ExtraMissing: jax or optax cannot be imported.
    """
    missing = [name for name in ("jax", "optax") if importlib.util.find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"the lab trains with JAX, and {' and '.join(missing)} is not installed",
            mend="pip install unmirage[lab]",
        )


def rungs(
    task: str,
    sizes: Sequence[int],
    seeds: Sequence[int],
    recipe: Recipe,
    items: int | None = None,
) -> list[Rung]:
    """Every size with every seed, by size then seed."""
    return [Rung(task, d, s, recipe, items=items) for d in sizes for s in seeds]


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write Parquet under a temporary name, then move it: a killed run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        frame.write_parquet(unfinished, compression="zstd", compression_level=22)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def run_rung(rung: Rung, folder: Path) -> Finished:
    """Train one rung in this process and write its records."""
    from unmirage.lab import tasks, train

    begun = time.process_time()
    task = tasks.make(rung.task, rung.task_seed, rung.items)
    path = folder / rung.file_name()
    write(train.run(task, rung), path)
    return Finished(rung, path, time.process_time() - begun, resumed=False)


def _pin(cores: Queue[int]) -> None:
    """Tie this worker to one core; must come before JAX is imported, which counts cores."""
    core = cores.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    os.environ["XLA_FLAGS"] = ONE_THREAD
    os.environ["JAX_PLATFORMS"] = "cpu"


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def run(
    plan: Iterable[Rung],
    folder: Path,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> list[Finished]:
    """Train every rung of the plan that has no records in ``folder`` yet.

    Workers are spawned, one per core unless ``workers`` says fewer; a script that calls this needs
    the usual ``if __name__ == "__main__"``. Returns the rungs in the order of the plan.

    Raises:
        ExtraMissing: jax or optax is not installed.
    """
    plan = list(plan)
    done = {
        rung: Finished(rung, folder / rung.file_name(), 0.0, resumed=True)
        for rung in plan
        if (folder / rung.file_name()).exists()
    }
    waiting = sorted((rung for rung in plan if rung not in done), key=Rung.cost, reverse=True)
    if done:
        say(f"{len(done)} of {len(plan)} rungs are there already")
    if not waiting:
        return [done[rung] for rung in plan]
    require_lab()
    context = multiprocessing.get_context("spawn")
    cores = _cores()[: max(workers or len(_cores()), 1)][: len(waiting)]
    free = context.Queue()
    for core in cores:
        free.put(core)
    with ProcessPoolExecutor(len(cores), context, _pin, (free,)) as pool:
        jobs = [pool.submit(run_rung, rung, folder) for rung in waiting]
        try:
            for job in as_completed(jobs):
                one = job.result()
                done[one.rung] = one
                say(_progress(one, len(done), len(plan)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [done[rung] for rung in plan]


def _progress(one: Finished, count: int, total: int) -> str:
    frame = pl.read_parquet(one.path)
    right = frame["token_correct"].list
    cross_entropy = -frame["token_logprobs"].explode().mean()  # type: ignore[operator]
    return (
        f"[{count}/{total}] {one.rung.task} d{one.rung.d_model} seed{one.rung.seed}: "
        f"{frame['params'][0]:,.0f} parameters, teacher-forced cross-entropy "
        f"{cross_entropy:.3f} nats, token accuracy {right.explode().mean():.3f}, "
        f"free-running exact match {summary_exact(frame):.4f}, {one.cpu_seconds:.1f} CPU s"
    )


def summary_exact(frame: pl.DataFrame) -> float:
    """Share of items whose generated text is the target."""
    return float((frame["output"] == frame["targets"].list.first()).mean())  # type: ignore[arg-type]


def gather(finished: Sequence[Finished]) -> pl.DataFrame:
    """The records of all rungs in one frame, sorted by size, seed and item."""
    frames = [pl.read_parquet(one.path) for one in finished]
    return pl.concat(frames).sort("params", "seed", "item", maintain_order=True)
