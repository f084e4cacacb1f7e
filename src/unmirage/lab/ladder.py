"""All rungs of a ladder: one pinned process per core, largest rungs first, resumable.

This file imports no JAX: the workers do, after they are pinned to one core.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path

import polars as pl

from unmirage.errors import ExtraMissing, UnmirageError
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

    ``workers`` processes are spawned (default: one per core), so a script that calls this needs
    the usual ``if __name__ == "__main__"``. Returns the rungs in the order of the plan.

    Raises:
        ExtraMissing: jax or optax is not installed.
        UnmirageError: a worker died; what it had finished is kept.
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
    if waiting:
        require_lab()
        for one in _train_all(waiting, folder, _cores()[:workers]):
            done[one.rung] = one
            say(f"[{len(done)}/{len(plan)}] {describe(one)}")
    return [done[rung] for rung in plan]


def _train_all(waiting: Sequence[Rung], folder: Path, cores: Sequence[int]) -> Iterator[Finished]:
    """Share the rungs out to one worker per core, in order; yield each as it is finished."""
    context = multiprocessing.get_context("spawn")
    cores = cores[: len(waiting)]
    free: Queue[int] = context.Queue()
    for core in cores:
        free.put(core)
    pool = ProcessPoolExecutor(len(cores), context, initializer=_pin, initargs=(free,))
    try:
        for job in as_completed([pool.submit(run_rung, rung, folder) for rung in waiting]):
            yield job.result()
    except BrokenProcessPool as error:
        raise UnmirageError(
            "a worker process of the lab died",
            mend="run the same command again: finished rungs are kept (out of memory? one worker)",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Summary:
    """One rung's scores, named by how the model was asked."""

    params: float
    cross_entropy_teacher: float  # nats per target token
    token_accuracy_teacher: float
    exact_match_free: float


def summary(frame: pl.DataFrame) -> Summary:
    """Scores of the records of one rung."""
    numbers = frame.select(
        params=pl.col("params").first(),
        cross_entropy_teacher=-pl.col("token_logprobs").explode().mean(),
        token_accuracy_teacher=pl.col("token_correct").explode().mean(),
        exact_match_free=(pl.col("output") == pl.col("targets").list.first()).mean(),
    )
    return Summary(**numbers.row(0, named=True))


def describe(one: Finished) -> str:
    """A line of progress."""
    s, rung = summary(pl.read_parquet(one.path)), one.rung
    return (
        f"{rung.task} d{rung.d_model} seed{rung.seed}: {s.params:,.0f} parameters, teacher-forced "
        f"cross-entropy {s.cross_entropy_teacher:.3f} nats and token accuracy "
        f"{s.token_accuracy_teacher:.3f}, free-running exact match {s.exact_match_free:.4f}, "
        f"{one.cpu_seconds:.1f} CPU s"
    )


def gather(finished: Sequence[Finished]) -> pl.DataFrame:
    """The records of all rungs in one frame, sorted by size, seed and item."""
    frames = [pl.read_parquet(one.path) for one in finished]
    return pl.concat(frames).sort("params", "seed", "item", maintain_order=True)
