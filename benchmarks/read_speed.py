"""MB/s and peak memory of reading a folder of lm-evaluation-harness logs, and where the time goes.

    python benchmarks/read_speed.py --megabytes 2000 --profile

Made here: eight models on three tasks as the harness writes them with ``--log_samples``, each task
a third of the bytes: five-shot worked answers under two filters (lines of 5 kB), five-shot
questions with four choices (11 kB), and short endings without examples (3 kB). Wanted: 150 MB/s on
2 cores, peak memory below 1.5 GB, and JSON decoding, not our Python, as what takes the time:
``--profile`` adds the processor seconds of each part where one process reads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import random
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

MODELS = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
DATE = "2026-01-21T03-44-18.458309"
_WORDS = random.Random(0)
VOCABULARY = ["".join(_WORDS.choices("etaoinshrdlu", k=_WORDS.randint(2, 9))) for _ in range(2000)]


def text(rng: random.Random, size: int) -> str:
    """About so many characters of words, with the marks and lines of a prompt."""
    words = rng.choices(VOCABULARY, k=max(1, size // 7))
    return ". ".join(" ".join(words[i : i + 12]) for i in range(0, len(words), 12)) + "\n"


def hashed(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def line(
    i: int, doc: Any, target: str, calls: list[Any], resps: Any, kept: str, **scores: Any
) -> str:
    names = {f"gen_args_{k}": {f"arg_{j}": a for j, a in enumerate(c)} for k, c in enumerate(calls)}
    row = {
        "doc_id": i, "doc": doc, "target": target, "arguments": names,
        "resps": [[r] for r in resps], "filtered_resps": resps, "filter": kept,
        "metrics": list(scores), "doc_hash": hashed(json.dumps(doc)),
        "prompt_hash": hashed(calls[0][0]), "target_hash": hashed(target), **scores,
    }  # fmt: skip
    return json.dumps(row, ensure_ascii=False) + "\n"


def worked(i: int, rng: random.Random, model: random.Random) -> Iterator[str]:
    """A worked answer under two filters."""
    doc = {"question": text(rng, 250), "answer": text(rng, 300)}
    prompt = text(rng, 3500) + f"Question: {doc['question']}Answer:"
    answer, said = str(rng.randrange(1000)), text(model, 500) + "#### "
    call = [prompt, {"until": ["Question:", "</s>"], "do_sample": False, "temperature": 0.0}]
    for kept in ("strict-match", "flexible-extract"):
        got = answer if model.random() < 0.4 else str(model.randrange(1000))
        row = line(i, doc, answer, [call], [said + got], kept, exact_match=float(got == answer))
        yield row.replace(
            json.dumps([said + got], ensure_ascii=False) + ', "filter"', f'["{got}"], "filter"'
        )


def chosen(i: int, rng: random.Random, model: random.Random, size: int) -> Iterator[str]:
    """Four choices with their log-likelihoods after one prompt."""
    choices = [text(rng, 40 if size > 1000 else 90) for _ in range(4)]
    doc = {"question": text(rng, 200), "choices": choices, "answer": rng.randrange(4)}
    prompt = text(rng, size) + doc["question"]
    logs = [round(-20 * model.random(), 6) for _ in choices]
    weights = [math.exp(v - max(logs)) for v in logs]
    top = float(logs.index(max(logs)) == doc["answer"])
    shares = " ".join(f"{w / sum(weights):.8e}" for w in weights)
    calls = [[prompt, f" {c}"] for c in choices]
    yield line(
        i, doc, str(doc["answer"]), calls, [[str(v), "False"] for v in logs], "none",
        acc=top, acc_norm=top, brier_score=[doc["answer"], f"[{shares}]"],
    )  # fmt: skip


def make(folder: Path, megabytes: float) -> int:
    """The logs; returns their bytes."""
    each, total = megabytes * 1e6 / len(MODELS) / 3, 0
    tasks = {"worked": "generate_until", "exam": "multiple_choice", "endings": "multiple_choice"}
    for m, size in enumerate(MODELS):
        here = folder / f"family__family-{size}"
        here.mkdir(parents=True)
        configs = {t: {"task": t, "output_type": kind} for t, kind in tasks.items()}
        results = {
            "results": {t: {"alias": t} for t in tasks}, "configs": configs,
            "n-shot": {"worked": 5, "exam": 5, "endings": 0},
            "config": {"model_args": f"pretrained=family/family-{size}"},
        }  # fmt: skip
        (here / f"results_{DATE}.json").write_text(json.dumps(results))
        for task in tasks:
            rng, model, done = random.Random(task), random.Random(f"{m} {task}"), 0
            with (here / f"samples_{task}_{DATE}.jsonl").open("w", encoding="utf-8") as f:
                for i in range(10**9):
                    if done >= each:
                        break
                    if task == "worked":
                        rows = worked(i, rng, model)
                    else:
                        rows = chosen(i, rng, model, 2500 if task == "exam" else 50)
                    done += sum(f.write(row) for row in rows)
            total += done
    return total


def tree(pid: int) -> list[int]:
    """A process and those that it started, by /proc."""
    found = [pid]
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [p for child in place.read_text().split() for p in tree(int(child))]
    return found


def resident(pid: int) -> float:
    """MB that a process and its children hold; libraries that they share count in each."""
    total = 0
    for one in tree(pid):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # it has just ended
    return total * resource.getpagesize() / 1e6


def seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


class Parts:
    """Processor seconds of the parts of reading, each without the parts within it.

    What is timed is called once a block of lines or once a file, so that watching costs nothing:
    a profiler that watches every call would make our Python look three times as slow.
    """

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self.within = ["checking and joining the tables"]
        self.since = time.process_time()

    def _switch(self) -> None:
        now = time.process_time()
        self.found[self.within[-1]] = self.found.get(self.within[-1], 0) + now - self.since
        self.since = now

    def __call__(self, part: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            self._switch()
            self.within.append(part)
            try:
                return do(*args, **more)
            finally:
                self._switch()
                self.within.pop()

        return timed

    def show(self) -> None:
        self._switch()
        total = sum(self.found.values())
        print("\n| part | processor s | share |\n|---|---|---|")
        for part, took in sorted(self.found.items(), key=lambda one: -one[1]):
            print(f"| {part} | {took:.2f} | {took / total:.0%} |")
        print(flush=True)


def watched() -> Parts:
    """Puts timers around the parts of reading samples, in this process."""
    from unmirage.records.formats.lm_eval import batches, gathered, samples

    parts = Parts()
    blocks = samples.blocks

    def timed(*args: Any) -> Iterator[Any]:
        following = parts("reading the file, cutting lines", partial(next, blocks(*args), None))
        while (block := following()) is not None:
            yield block

    samples.blocks = timed  # type: ignore[assignment]
    batches.typed = parts("decoding JSON", batches.typed)
    for name in ("_chosen", "_generated", "_values"):
        setattr(batches, name, parts("numbers, lists and verdicts", getattr(batches, name)))
    for name in ("_answers", "_long"):
        setattr(batches, name, parts("frames of a block", getattr(batches, name)))
    samples.of_lines = parts("what else a block needs", samples.of_lines)
    samples.item_of = parts("odd lines one by one", samples.item_of)
    gathered.Prompts.digests = parts("hashing prompts", gathered.Prompts.digests)  # type: ignore[method-assign]
    gathered.Gathered.frame = parts("rows of a file", gathered.Gathered.frame)  # type: ignore[method-assign]
    return parts


def read(folder: str, workers: int, profile: bool) -> None:
    """Reads the folder in this process and prints the figures."""
    import unmirage  # here: the program that makes the logs must not count

    peaks, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peaks.append(resident(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    parts = watched() if profile and workers == 1 else None
    own, start = seconds(resource.RUSAGE_SELF), time.perf_counter()
    found = unmirage.read(folder, workers=workers)
    took, own = time.perf_counter() - start, seconds(resource.RUSAGE_SELF) - own
    over.set()
    watcher.join()
    size = sum(p.stat().st_size for p in Path(folder).rglob("*.jsonl")) / 1e6
    print(
        f"| {workers} | {size:.0f} | {found.samples.height} | {took:.1f} | {size / took:.0f} "
        f"| {own:.1f} | {seconds(resource.RUSAGE_CHILDREN):.1f} | {max(peaks):.0f} "
        f"| {os.getloadavg()[0]:.1f} |",
        flush=True,
    )
    if parts:
        parts.show()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2000)
    parser.add_argument("--profile", action="store_true", help="where the time goes (1 worker)")
    parser.add_argument("--folder", help="read this folder; made there where it is not")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(asked.folder or spare) / "logs"
        if not folder.exists():
            make(folder, asked.megabytes)
        print("| workers | MB | rows | s | MB/s | processor s | of workers | peak MB | load |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        fresh = multiprocessing.get_context("spawn")
        for workers in asked.workers:
            process = fresh.Process(target=read, args=(str(folder), workers, asked.profile))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
