"""All rungs of a run: one pinned process per core, largest rungs first, resumable.

This file imports no JAX: the workers do, after they are pinned to one core.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from unmirage.errors import ExtraMissing, OptionError, UnmirageError
from unmirage.lab import tasks
from unmirage.lab.folder import Folder, write_frame
from unmirage.lab.recipe import Rung

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
#: earlier steps than the last ask no more items than this of each stratum
EARLY_ITEMS = 1000
#: a seed succeeds when exact match is this share of the way from a guess to perfect
SUCCESS = 0.5


@dataclass(frozen=True)
class Finished:
    """One rung whose records are on disk."""

    rung: Rung
    path: Path
    cpu_seconds: float  # 0 where the records were there already
    resumed: bool


@dataclass(frozen=True)
class Progress:
    """How far a run is: share of the work done, from 0 to 1."""

    share: float
    line: str | None = None  # a rung that was just finished, in words


def require_lab() -> None:
    """Raise where the extra is not installed.

    Raises:
        ExtraMissing: jax, optax or safetensors cannot be imported.
    """
    needed = ("jax", "optax", "safetensors")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"the lab trains with JAX, and {' and '.join(missing)} is not installed",
            mend="pip install 'unmirage[lab]'",
        )


def train_rung(
    rung: Rung,
    folder: Folder,
    tell: Callable[[int, float], None] = lambda step, loss: None,
    stop: Callable[[], bool] = lambda: False,
    save_seconds: float | None = None,
) -> Finished:
    """Train one rung in this process and write its records."""
    from unmirage.lab import engine, rows

    begun = time.process_time()
    task = tasks.make(rung.task, rung.task_seed, dict(rung.options))
    every = engine.SAVE_SECONDS if save_seconds is None else save_seconds
    engine.train(task, rung, folder.models, folder.work, tell, every, stop)
    shape, frames = engine.shape_of(task, rung), []
    for step in rung.recipe.grid():
        params = engine.load_weights(engine.weights_path(folder.models, rung, step), shape)
        asked = task if step == rung.recipe.steps else _fewer(rung, task)
        frames.append(rows.evaluate(asked, rung, step, params))
    path = folder.records(rung)
    folder.keep(pl.concat(frames), rung)
    return Finished(rung, path, time.process_time() - begun, resumed=False)


def _fewer(rung: Rung, task: tasks.Task) -> tasks.Task:
    """The task with the first items only."""
    options = {**tasks.options(rung.task), **dict(rung.options)}
    if rung.task == "recall" or int(options["items"]) <= EARLY_ITEMS:
        return task
    return tasks.make(rung.task, rung.task_seed, {**dict(rung.options), "items": EARLY_ITEMS})


# ---------------------------------------------------------------- workers

_told: Any = None  # the queue to the parent
_ended: Any = None  # set when the run is to stop
_SAVE: float | None = None
_on_gpu = False


def _begin(cores: Any, told: Any, ended: Any, gpu: bool, save_seconds: float | None) -> None:
    """Tie this worker to one core; must come before JAX is imported, which counts cores."""
    global _told, _ended, _SAVE, _on_gpu
    _told, _ended, _SAVE, _on_gpu = told, ended, save_seconds, gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells us
    told.cancel_join_thread()  # a worker may end though nobody listens any more
    threading.Thread(target=_follow, daemon=True).start()
    if gpu:
        return
    core = cores.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    os.environ["XLA_FLAGS"] = ONE_THREAD
    os.environ["JAX_PLATFORMS"] = "cpu"


def _require_gpu() -> None:
    import jax

    if jax.default_backend() == "cpu":
        raise OptionError(
            "JAX sees no GPU", mend="--device cpu, or a GPU and pip install 'jax[cuda12]'"
        )


def _follow() -> None:
    """End when the parent was killed: a worker that waits for work would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(rung: Rung, path: Path) -> Finished | None:
    """A worker's job; None where it was asked to stop."""
    from unmirage.lab.engine import Stopped

    def stop() -> bool:
        return bool(_ended.is_set())

    def tell(step: int, loss: float) -> None:
        _told.put((rung, step))

    if stop():
        return None
    if _on_gpu:
        _require_gpu()
    try:
        with _writing(f"{rung.task} {rung.name}"):
            return train_rung(rung, Folder(path), tell, stop, _SAVE)
    except Stopped:
        return None


@contextmanager
def _writing(what: str) -> Iterator[None]:
    """A full disk and its like as an error with a mend."""
    try:
        yield
    except OSError as error:
        raise UnmirageError(
            f"{what} could not be written: {error}",
            mend="make room and run the same command again: what is finished is kept",
        ) from error


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def has_gpu() -> bool:
    """Whether JAX sees a GPU; asked in a process of its own, and only where a plug-in is there."""
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm60_plugin", "jax_rocm7_plugin")
    if os.environ.get("JAX_PLATFORMS") == "cpu" or not any(map(importlib.util.find_spec, plugins)):
        return False
    code = "import jax; print(jax.default_backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() not in ("", "cpu")


# ---------------------------------------------------------------- the run


def run(
    wanted: Sequence[Rung],
    out: str | Path,
    *,
    workers: int | None = None,
    device: str = "auto",
    replace_run: bool = False,
    tell: Callable[[Progress], None] = lambda progress: None,
    save_seconds: float | None = None,
) -> list[Finished]:
    """Train and ask every rung that has no records in the folder ``out`` yet.

    ``workers`` processes are spawned (default: one per core; on a GPU one in all), so a script
    that calls this needs the usual ``if __name__ == "__main__"``. Interrupted, also by kill -9,
    the same call goes on from the last checkpoints and ends in the same records. Returns the
    rungs of the run by size and seed.

    Raises:
        ExtraMissing: jax, optax or safetensors is not installed.
        OptionError: the folder is another run's, or a run is at work in it.
        FileProblem: a checkpoint is damaged.
        UnmirageError: a worker died, or nothing could be written; what was finished is kept.
        KeyboardInterrupt: passed on when all states are saved.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise OptionError(f"device {device!r}", mend="auto, cpu or gpu")
    if workers is not None and workers < 1:
        raise OptionError(f"{workers} workers", mend="at least 1")
    gpu = device == "gpu" or (device == "auto" and has_gpu())
    folder = Folder(out)
    with folder.locked():
        with _writing("run.json"):
            plan = folder.plan(wanted, replace_run)
        done = {
            rung: Finished(rung, folder.records(rung), 0.0, resumed=True)
            for rung in plan
            if folder.finished(rung)
        }
        waiting = sorted((r for r in plan if r not in done), key=Rung.cost, reverse=True)
        if done:
            share = 1 - sum(r.cost() for r in waiting) / sum(r.cost() for r in plan)
            tell(Progress(share, f"{len(done)} of {len(plan)} rungs are there already"))
        if waiting:
            require_lab()
            cores = _cores()[: 1 if gpu else workers]
            for one in _share_out(waiting, plan, folder, cores, gpu, tell, save_seconds):
                done[one.rung] = one
        with _writing("success.parquet"):
            write_success(plan, folder)
    return [done[rung] for rung in plan]


def _share_out(
    waiting: Sequence[Rung],
    plan: Sequence[Rung],
    folder: Folder,
    cores: Sequence[int],
    gpu: bool,
    tell: Callable[[Progress], None],
    save_seconds: float | None,
) -> Iterator[Finished]:
    """Give the rungs to one worker per core, in order; yield each as it is finished."""
    context = multiprocessing.get_context("spawn")
    cores = cores[: len(waiting)]
    free, told, ended = context.Queue(), context.Queue(), context.Event()
    for core in cores:
        free.put(core)
    arguments = (free, told, ended, gpu, save_seconds)
    pool = ProcessPoolExecutor(len(cores), context, initializer=_begin, initargs=arguments)
    at = dict.fromkeys(waiting, 0.0)  # share of each rung that is done
    whole = sum(r.cost() for r in plan)
    before = whole - sum(r.cost() for r in waiting)

    def share() -> float:
        return (before + sum(r.cost() * s for r, s in at.items())) / whole

    jobs: set[Future[Finished | None]] = set()
    finished = len(plan) - len(waiting)
    try:
        with _deaf():  # workers start so, and never hear a Ctrl-C that is the parent's
            jobs = {pool.submit(_work, rung, folder.path) for rung in waiting}
        while jobs:
            ready, jobs = wait(jobs, timeout=0.3, return_when=FIRST_COMPLETED)
            for rung, step in _drain(told):
                at[rung] = 0.98 * step / rung.recipe.steps
            tell(Progress(share()))
            for job in ready:
                one = job.result()
                assert one is not None  # nobody asked for a stop
                at[one.rung] = 1.0
                finished += 1
                tell(Progress(share(), f"[{finished}/{len(plan)}] {describe(one)}"))
                yield one
    except BrokenProcessPool as error:
        raise UnmirageError(
            "a worker process of the lab died",
            mend="run the same command again, all is kept (out of memory? --workers 1)",
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UnmirageError(
            f"a rung needs more memory than there is ({error})",
            mend="smaller sizes, a smaller --set batch=..., fewer --workers",
        ) from error
    finally:
        ended.set()  # whoever still trains saves its state and stops
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C is not heard meanwhile, and not by processes that are started meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _drain(told: Any) -> Iterator[tuple[Rung, int]]:
    while True:
        try:
            yield told.get_nowait()
        except queue.Empty:
            return


# ---------------------------------------------------------------- what came out


def last_step(frame: pl.DataFrame) -> pl.DataFrame:
    """The records after the last step."""
    return frame.filter(pl.col("step") == frame["step"].max())


def describe(one: Finished) -> str:
    """A line of progress."""
    rung, frame = one.rung, last_step(pl.read_parquet(one.path))
    said = f"{rung.task} {rung.name}: {frame['params'][0]:,.0f} parameters"
    if "token_logprobs" in frame.columns:
        loss = frame.select(-pl.col("token_logprobs").explode().mean()).item()
        exact = frame.select((pl.col("output") == pl.col("targets").list.first()).mean()).item()
        said += f", cross-entropy {loss:.3f} nats, exact match {exact:.3f}"
    elif "squared_error" in frame.columns:
        mean = frame.select(pl.col("squared_error").mean()).item()
        said += f", squared error {mean:.4f}"
    elif "score" in frame.columns:
        most = frame.filter(pl.col("shots") == pl.col("shots").max())
        error = most.filter(pl.col("metric") == "squared_error")
        score = error.select(pl.col("score").mean()).item()
        said += f", squared error {score:.3f} after {most['shots'][0]} examples"
    return f"{said}, {one.cpu_seconds:.0f} CPU s"


def write_success(plan: Sequence[Rung], folder: Folder) -> None:
    """The share of seeds that succeed, by size: a curve of its own.

    A seed succeeds when exact match is at least half-way from a guess (1 over the number of
    different targets) to perfect. Written where two seeds or more gave answers.
    """
    asked = [r for r in plan if r.task not in ("icl-regression", "autoencoder")]
    if len({r.seed for r in asked}) < 2:
        folder.success.unlink(missing_ok=True)
        return
    same = ["family", "params", "params_nonemb", "tokens", "flops", "step"]
    same += ["task", "subtask", "shots"]
    target = pl.col("targets").list.first()
    success = pl.col("exact") >= pl.col("guess") + SUCCESS * (1 - pl.col("guess"))
    found = (
        pl.concat([pl.scan_parquet(folder.records(r)) for r in asked], how="diagonal")
        .filter(pl.col("step") == pl.col("step").max().over("family", "params", "seed"))
        .group_by(*same, "seed")
        .agg(exact=(pl.col("output") == target).mean(), guess=1 / target.n_unique())
        .group_by(*same)
        .agg(score=success.mean(), n_samples=pl.len().cast(pl.Float64))
        .with_columns(
            model=pl.lit("all seeds"), metric=pl.lit("seed_success"), higher_is_better=True
        )
        .sort(*same, nulls_last=True)
        .collect()
    )
    write_frame(found, folder.success)


def gather(finished: Sequence[Finished]) -> pl.DataFrame:
    """The records of all rungs after their last step, sorted by size, seed and item."""
    frames = [last_step(pl.read_parquet(one.path)) for one in finished]
    return pl.concat(frames).sort("params", "seed", "item", maintain_order=True)
