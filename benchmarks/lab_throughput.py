"""Training throughput of the lab against the same model in eager PyTorch: table of docs/log.md.

python benchmarks/lab_throughput.py           # about 10 minutes on 2 cores; --quick: about 3

Needs jax, optax and a CPU build of torch. Both train the same decoder-only transformer (2 layers,
prompt 6, target 4, 12 tokens) with Adam on batches of 128 sequences. Ours: one pinned process of
one thread per core, the seeds shared out, steps scanned inside jit. PyTorch: the faster of the same
arrangement and one process with a thread per core, each with the faster attention and the faster
Adam. The arrangements run in turn, so that whatever else the machine does hits all of them.

Axes: B sequences, T input positions, L asked positions, D width, V tokens, H heads.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

PROMPT, TARGET, VOCAB, LAYERS, BATCH, RATE = 6, 4, 12, 2, 128, 1e-3
WHOLE = 6000  # steps of a whole run, for the figure that includes compiling
SIZES = {6: (2, 2.0), 32: (4, 1.2), 128: (4, 1.0)}  # D: heads, wanted ratio to PyTorch
SEEDS = 4


def macs(d: int) -> int:
    """Multiply-adds of the forward pass of one sequence; the backward pass has twice as many.

    A full layer: 12 T D^2 in the weights, 2 T^2 D in the attention. The last layer asks only L
    positions: (2 T + 10 L) D^2 and 2 L T D. The unembedding: L D V. Looking up a token is free.
    """
    t, ask = PROMPT + TARGET - 1, TARGET
    full = 12 * t * d**2 + 2 * t**2 * d
    return (LAYERS - 1) * full + (2 * t + 10 * ask) * d**2 + 2 * ask * t * d + ask * d * VOCAB


def data(seed: int, steps: int) -> tuple[Any, Any]:
    """A table of sequences (N, P + L) and the order in which steps take them (steps, B)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    table = rng.integers(0, VOCAB, (4096, PROMPT + TARGET))
    return table, rng.integers(0, len(table), (steps, BATCH))


# --- ours


def shape(d: int) -> Any:
    from unmirage.lab.model import Shape

    return Shape(VOCAB, PROMPT, TARGET, d, LAYERS, SIZES[d][0])


def start(d: int, seed: int) -> Any:
    """Random parameters, with an unembedding that is not zero."""
    import jax

    from unmirage.lab import model

    one, two = jax.random.split(jax.random.key(seed))
    params = model.init(one, shape(d))
    return {**params, "unembed": 0.3 * jax.random.normal(two, params["unembed"].shape)}


def jax_loss(params: Any, sequences: Any, d: int, pick: str = "gather") -> Any:
    import jax
    import jax.numpy as jnp

    from unmirage.lab import model

    spread, true = model.log_probs(params, sequences[:, :-1], shape(d)), sequences[:, PROMPT:]
    if pick == "one-hot":
        return -jnp.mean(jnp.sum(spread * jax.nn.one_hot(true, VOCAB), axis=-1))
    return -jnp.mean(jnp.take_along_axis(spread, true[..., None], axis=-1))


def compile_steps(
    d: int, steps: int, batch: int = BATCH, optimiser: str = "adam", frozen: bool = False, **kw: str
) -> tuple[Callable[[int], float], float]:
    """A function that trains one seed for some steps and says the seconds the steps took, and the
    seconds its compiling took.

    optimiser "none" works out the loss only, "sgd" adds the gradient, "adam" is the real thing;
    ``frozen`` takes no gradient of the token embedding.
    """
    import jax
    import jax.numpy as jnp
    import optax

    adam = optax.adam(optax.linear_schedule(RATE, 0.0, WHOLE))
    method = {"adam": adam, "sgd": optax.sgd(RATE), "none": optax.identity()}[optimiser]

    def loss(params: Any, sequences: Any) -> Any:
        if frozen:
            params = {**params, "token": jax.lax.stop_gradient(params["token"])}
        return jax_loss(params, sequences, d, **kw)

    @partial(jax.jit, donate_argnums=0)
    def run(state: Any, table: Any, order: Any) -> Any:
        def step(state: Any, picked: Any) -> Any:
            params, moments = state
            if optimiser == "none":  # the last loss feeds the next step: no step can be left out
                value = loss(params, table[picked])
                return ({**params, "token": params["token"] + 1e-9 * value}, moments), value
            value, slope = jax.value_and_grad(loss)(params, table[picked])
            change, moments = method.update(slope, moments, params)
            return (optax.apply_updates(params, change), moments), value

        return jax.lax.scan(step, state, order)

    def arguments(seed: int) -> Any:
        table, order = data(seed, steps)
        params = start(d, seed)
        return (
            (params, method.init(params)),
            jnp.asarray(table, "int32"),
            jnp.asarray(order[:, :batch], "int32"),
        )

    begun = time.perf_counter()
    program = run.lower(*arguments(0)).compile()
    seconds = time.perf_counter() - begun

    def train(seed: int) -> float:
        ready = jax.block_until_ready(arguments(seed))
        begun = time.perf_counter()
        jax.block_until_ready(program(*ready))
        return time.perf_counter() - begun

    return train, seconds


def ours(d: int, steps: int, seeds: list[int]) -> tuple[Callable[[], None], str, float]:
    """Trains the seeds one after another with the lab's own segments, data fed from the host."""
    import jax
    import jax.numpy as jnp

    from unmirage.lab import engine
    from unmirage.lab.recipe import SEGMENT, Recipe

    recipe = Recipe(steps=WHOLE, batch=BATCH, rate=RATE, layers=LAYERS, heads=SIZES[d][0])
    adam = engine.optimiser(recipe, d)

    def train(seed: int, steps: int) -> None:
        table, order = data(seed, steps)
        params = start(d, seed)
        state = (params, adam.init(params))
        for i in range(0, steps, SEGMENT):
            rows = table[order[i : i + SEGMENT]].astype("int32")
            batch = {"sequences": jnp.asarray(rows)}
            state, losses = engine._segment(state, batch, shape(d), recipe, "tokens")
            float(losses[-1])
        jax.block_until_ready(state)

    begun = time.perf_counter()
    train(0, SEGMENT)  # compiles, and takes one segment
    seconds = time.perf_counter() - begun

    def run() -> None:
        for seed in seeds:
            train(seed, steps)

    return run, "", seconds


def jax_peak() -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    a = jnp.ones((PEAK, PEAK))
    product = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(product(a, a))


PEAK = 1536  # rows of the square product that measures the peak


# --- PyTorch


def torch_model(d: int, fused_attention: bool = True) -> Any:
    """The same transformer as one writes it in PyTorch; its last layer too asks L positions."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    heads = SIZES[d][0]

    def norm(x: Any) -> Any:
        return F.layer_norm(x, (d,), eps=1e-6)

    class Layer(nn.Module):
        def __init__(self, first: int) -> None:
            super().__init__()
            t = PROMPT + TARGET - 1
            self.first = first
            self.q, self.kv = nn.Linear(d, d, bias=False), nn.Linear(d, 2 * d, bias=False)
            self.out = nn.Linear(d, d, bias=False)
            self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)
            seen = torch.ones(t, t, dtype=torch.bool).tril()[first:]
            self.register_buffer("mask", torch.zeros(t - first, t).masked_fill(~seen, -math.inf))

        def forward(self, x: Any) -> Any:
            b, t, _ = x.shape
            y, x = norm(x), x[:, self.first :]
            q = self.q(y[:, self.first :]).view(b, -1, heads, d // heads).transpose(1, 2)
            k, v = self.kv(y).view(b, t, 2, heads, d // heads).permute(2, 0, 3, 1, 4)
            if fused_attention and not self.first:
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            elif fused_attention:
                mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
            else:
                scores = q @ k.transpose(-1, -2) / math.sqrt(d // heads) + self.mask
                mixed = scores.softmax(-1) @ v
            x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
            return x + self.down(torch.relu(self.up(norm(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(VOCAB, d)
            self.position = nn.Parameter(torch.randn(PROMPT + TARGET - 1, d) / math.sqrt(d))
            self.layers = nn.Sequential(*(Layer(0) for _ in range(LAYERS - 1)), Layer(PROMPT - 1))
            self.unembed = nn.Linear(d, VOCAB, bias=False)

        def forward(self, tokens: Any) -> Any:
            return self.unembed(norm(self.layers(self.token(tokens) + self.position)))

    return Model()


def torch_loss(model: Any, sequences: Any) -> Any:
    import torch.nn.functional as F

    return F.cross_entropy(
        model(sequences[:, :-1]).reshape(-1, VOCAB), sequences[:, PROMPT:].reshape(-1)
    )


def eager(d: int, steps: int, seeds: list[int]) -> tuple[Callable[[], None], str, float]:
    import torch

    def train(attention: bool, fused: bool, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        model = torch_model(d, attention)
        adam = torch.optim.Adam(model.parameters(), RATE, fused=fused)
        fall = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, WHOLE)
        table, order = map(torch.from_numpy, data(seed, steps))
        for picked in order:
            adam.zero_grad()
            torch_loss(model, table[picked]).backward()
            adam.step()
            fall.step()

    trials: dict[tuple[bool, bool], float] = {}
    for _ in range(3):
        for way in ((True, True), (True, False), (False, True), (False, False)):
            begun = time.perf_counter()
            train(*way, 0, max(steps // 10, 3))
            trials[way] = min(trials.get(way, math.inf), time.perf_counter() - begun)
    best = min(trials, key=lambda way: trials[way])

    def go() -> None:
        for seed in seeds:
            train(*best, seed, steps)

    said = ("sdpa" if best[0] else "plain attention") + (", fused Adam" if best[1] else ", Adam")
    return go, said, 0.0


def torch_peak() -> Callable[[], Any]:
    import torch

    a = torch.ones(PEAK, PEAK)
    return lambda: torch.mm(a, a)


# --- processes


def pin(cores: list[int]) -> None:
    """Before jax or torch is imported."""
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(len(cores))
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def serve(pipe: Any, kind: str, cores: list[int], d: int, steps: int, seeds: list[int]) -> None:
    """A worker: does what it is told, and answers with the seconds that took."""
    pin(cores)
    if kind == "ours":
        (go, said, compiling), peak = ours(d, steps, seeds), jax_peak()
    else:
        (go, said, compiling), peak = eager(d, steps, seeds), torch_peak()
    peak()
    pipe.send((said, compiling))
    while (order := pipe.recv()) != "stop":
        begun = time.perf_counter()
        (peak if order == "peak" else go)()
        pipe.send(time.perf_counter() - begun)


class Team:
    """The workers of one arrangement."""

    def __init__(self, kind: str, groups: list[list[int]], d: int, steps: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipes = []
        for i, cores in enumerate(groups):
            here, there = spawn.Pipe()
            seeds = list(range(SEEDS))[i :: len(groups)]
            spawn.Process(
                target=serve, args=(there, kind, cores, d, steps, seeds), daemon=True
            ).start()
            self.pipes.append(here)
        ready = [pipe.recv() for pipe in self.pipes]
        self.said, self.compiling = ready[0][0], max(one[1] for one in ready)

    def ask(self, order: str) -> float:
        """Seconds until all workers have done it."""
        for pipe in self.pipes:
            pipe.send(order)
        return max(pipe.recv() for pipe in self.pipes)

    def stop(self) -> None:
        for pipe in self.pipes:
            pipe.send("stop")


def compare(d: int, steps: int, repeats: int) -> dict[str, float]:
    """Run the three arrangements in turn and print one row of the table."""
    cores = sorted(os.sched_getaffinity(0))
    single = [[core] for core in cores]
    teams = {"ours": Team("ours", single, d, steps)}
    teams["apart"] = Team("eager", single, d, steps)
    teams["threads"] = Team("eager", [cores], d, steps)
    took: dict[str, list[float]] = {name: [] for name in teams}
    peaks = []
    for _ in range(repeats):
        for name, team in teams.items():
            took[name].append(team.ask("train"))
        both = min(teams[name].ask("peak") for name in ("ours", "apart") for _ in range(2))
        peaks.append(2 * PEAK**3 / both)
    for team in teams.values():
        team.stop()
    mid = {name: statistics.median(times) for name, times in took.items()}
    rate = {name: SEEDS * steps * BATCH / seconds for name, seconds in mid.items()}
    rival = max(("apart", "threads"), key=lambda name: rate[name])
    ratio = statistics.median(them / us for us, them in zip(took["ours"], took[rival], strict=True))
    whole = {name: seconds * WHOLE / steps for name, seconds in mid.items()}
    compiling = teams["ours"].compiling
    share = statistics.median(
        3 * 2 * macs(d) * SEEDS * steps * BATCH / us / (peak * len(cores))
        for us, peak in zip(took["ours"], peaks, strict=True)
    )
    from unmirage.lab import model

    print(
        f"| {model.count_params(shape(d)):,} | {d} | {rate['ours']:,.0f} | {rate['apart']:,.0f} "
        f"| {rate['threads']:,.0f} | {ratio:.2f} | {SIZES[d][1]} | {compiling:.1f} "
        f"| {whole[rival] / (whole['ours'] + compiling):.2f} | {peaks and max(peaks) / 1e9:.0f} "
        f"| {share:.1%} | {teams[rival].said} |",
        flush=True,
    )
    return {"ratio": ratio}


def agree(d: int) -> None:
    """The two models are one: the same loss to 1e-5, the same gradients to 1e-4."""
    import jax
    import numpy as np
    import torch

    params = start(d, 0)
    table, order = data(0, 1)
    sequences = table[order[0]]
    value, slope = jax.value_and_grad(partial(jax_loss, d=d))(params, sequences)
    for attention in (True, False):
        model = torch_model(d, attention)
        pairs = [
            (model.token.weight, lambda tree: tree["token"]),
            (model.position, lambda tree: tree["position"]),
            (model.unembed.weight, lambda tree: tree["unembed"].T),
        ]
        for i, layer in enumerate(model.layers):
            pairs += [
                (layer.q.weight, lambda tree, i=i: tree["layers"][i]["qkv"][:, :d].T),
                (layer.kv.weight, lambda tree, i=i: tree["layers"][i]["qkv"][:, d:].T),
                *(
                    (getattr(layer, name).weight, lambda tree, i=i, n=name: tree["layers"][i][n].T)
                    for name in ("out", "up", "down")
                ),
            ]
        assert sum(p.numel() for p in model.parameters()) == sum(
            leaf.size for leaf in jax.tree.leaves(params)
        )
        with torch.no_grad():
            for weight, part in pairs:
                weight.copy_(torch.tensor(np.asarray(part(params))))
        other = torch_loss(model, torch.from_numpy(sequences))
        other.backward()
        assert abs(float(value) - other.item()) < 1e-5, (float(value), other.item())
        for weight, part in pairs:
            np.testing.assert_allclose(weight.grad.numpy(), np.asarray(part(slope)), atol=1e-4)


# --- where the time goes


def ablate(d: int, steps: int, repeats: int) -> None:
    """Milliseconds of a step with one part left out, in turn with the whole step; one core."""
    from unittest import mock

    from unmirage.lab import model

    def no_attention(layer: Any, x: Any, heads: int, first: int) -> Any:
        """All products with the weights, but no scores, softmax or mixing."""
        q = model.times(x[:, first:], layer["qkv"][:, :d])
        kv = model.times(x, layer["qkv"][:, d:])[:, first:]
        return model.times(q + kv[..., :d] + kv[..., d:], layer["out"])

    def no_norm(x: Any) -> Any:
        return x

    build = partial(compile_steps, d, steps)
    programs = {"whole step": build()[0]}
    programs["forward pass only"] = build(optimiser="none")[0]
    programs["no Adam (plain SGD)"] = build(optimiser="sgd")[0]
    programs["no embedding gradient (scatter)"] = build(frozen=True)[0]
    programs["one-hot instead of gather in the loss"] = build(pick="one-hot")[0]
    programs["one sequence: cost per operation"] = build(batch=1)[0]
    with mock.patch.object(model, "attend", no_attention):
        programs["no attention core"] = build()[0]
        with mock.patch.object(model, "normalise", no_norm):
            programs["products with the weights alone"] = build(
                optimiser="sgd", frozen=True, pick="one-hot"
            )[0]
    with mock.patch.object(model, "normalise", no_norm):
        programs["no norms"] = build()[0]
    took: dict[str, list[float]] = {name: [] for name in programs}
    for repeat in range(repeats + 1):
        for name, program in programs.items():
            seconds = program(0)
            if repeat:  # the first warms up
                took[name].append(seconds / steps * 1e3)
    whole = took["whole step"]
    for name, times in took.items():
        share = statistics.median(b / a for a, b in zip(whole, times, strict=True))
        print(f"| {d} | {name} | {statistics.median(times):.3f} | {share:.0%} |", flush=True)


def ablate_all(quick: bool) -> None:
    pin(sorted(os.sched_getaffinity(0))[:1])
    for d in SIZES:
        ablate(d, {6: 200, 32: 60}.get(d, 12), 3 if quick else 9)


def agree_all() -> None:
    pin(sorted(os.sched_getaffinity(0))[:1])
    for d in SIZES:
        agree(d)


def apart(task: Callable[..., None], *args: Any) -> None:
    """Run in a process of its own, which pins itself before it imports anything."""
    process = multiprocessing.get_context("spawn").Process(target=task, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    quick = parser.parse_args().quick
    apart(agree_all)
    print("the two models agree: loss to 1e-5, gradients to 1e-4\n")
    print(
        "| parameters | D | ours, sequences/s | PyTorch, process per core | PyTorch, threads "
        "| ratio | wanted | compile and 1st segment, s | whole run | peak of a core, GFLOP/s "
        "| share of peak | PyTorch's way |\n|" + "---|" * 12
    )
    for d in SIZES:
        compare(d, 300 if d == 6 else 100, 3 if quick else 7)
    print("\n| D | step with a part left out | ms | of the whole step |\n|" + "---|" * 4)
    apart(ablate_all, quick)


if __name__ == "__main__":
    main()
