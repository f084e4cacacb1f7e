"""Training throughput of the vision families against the same nets in eager PyTorch.

python benchmarks/vision_throughput.py        # some minutes on 1 core; --quick: fewer repeats

Needs the extra lab and a CPU build of torch. One pinned process of one thread each, as the lab's
workers are; ours runs the lab's own segments of 100 steps, PyTorch one step after another with
Adam. All run in turn, so that whatever else the machine does hits all of them; the ratio is the
median over the turns of PyTorch's seconds over ours (above 1: ours is faster). ``convolution`` is
ours with jax.lax's convolution in place of patches and a matrix product.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

BATCH = 64
#: what is trained: height and width, D
CASES = {
    "autoencoder 8x8": (8, 16),
    "lenet 8x8": (8, 12),
    "lenet 28x28": (28, 6),
    "glyphs 16x16": (16, 32),
}
WAY, SHOWN, ASKED = 5, 5, 5


def images(case: str, steps: int) -> dict[str, Any]:
    """Random batches of every step."""
    import numpy as np

    side, _ = CASES[case]
    rng = np.random.default_rng(0)
    many = (SHOWN + ASKED,) if case.startswith("glyphs") else ()
    found: dict[str, Any] = {
        "images": rng.integers(0, 256, (steps, BATCH, *many, side, side, 1)).astype(np.uint8)
    }
    if case.startswith("lenet"):
        found["label"] = rng.integers(0, 10, (steps, BATCH)).astype(np.int32)
    if many:
        found["label"] = rng.integers(0, WAY, (steps, BATCH, ASKED)).astype(np.int32)
        shown = np.arange(SHOWN, dtype=np.int32)
        found["shown"] = rng.permuted(np.tile(shown, (steps, BATCH, 1)), axis=2)
    return found


# --- ours


def shape_of(case: str) -> tuple[Any, str]:
    from unmirage.lab import model
    from unmirage.lab.vision import nets

    side, d = CASES[case]
    size = (side, side, 1)
    if case.startswith("autoencoder"):
        return nets.AutoencoderShape(size, d), "images"
    if case.startswith("lenet"):
        return nets.LeNetShape(size, 10, d), "digits"
    features = nets.embedded(size, 8) + WAY
    return nets.GlyphShape(size, model.Shape(WAY, SHOWN + 1, ASKED, d, 2, 2, features)), "glyphs"


def ours(case: str, steps: int, convolution: bool) -> Callable[[], None]:
    import jax
    import jax.numpy as jnp

    from unmirage.lab import engine, objective
    from unmirage.lab.recipe import Recipe
    from unmirage.lab.vision import nets

    if convolution:

        def by_library(x: Any, weights: Any, kernel: int, stride: int = 1) -> Any:
            w = weights.reshape(kernel, kernel, x.shape[-1], -1)
            names = ("NHWC", "HWIO", "NHWC")
            return jax.lax.conv_general_dilated(
                x, w, (stride, stride), "SAME", dimension_numbers=names
            )

        nets.convolve = by_library
    shape, kind = shape_of(case)
    recipe = Recipe(steps=steps, batch=BATCH, heads=1)
    adam = engine.optimiser(recipe, shape.d_model)
    batches = images(case, steps)

    def run() -> None:
        params = objective.init(jax.random.key(0), shape)
        state = (params, adam.init(params))
        for start in range(0, steps, 100):
            part = {k: jnp.asarray(v[start : start + 100]) for k, v in batches.items()}
            state, losses = engine._segment(state, part, shape, recipe, kind)
            float(losses[-1])

    return run


# --- PyTorch


def torch_net(case: str) -> Any:
    import torch
    import torch.nn.functional as F
    from torch import nn

    side, d = CASES[case]

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Linear(side * side, d), nn.Linear(d, side * side)

        def forward(self, batch: Any) -> Any:
            x = batch["images"].float().flatten(1) / 255
            return F.mse_loss(torch.sigmoid(self.up(torch.tanh(self.down(x)))), x)

    class LeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            k = 5 if side >= 16 else 3
            self.one = nn.Conv2d(1, d, k, padding="same")
            self.two = nn.Conv2d(d, 2 * d, k, padding="same")
            self.three = nn.Linear((side // 4) ** 2 * 2 * d, d)
            self.four = nn.Linear(d, 10)

        def forward(self, batch: Any) -> Any:
            x = batch["images"].float().movedim(-1, 1) / 255
            x = F.avg_pool2d(F.relu(self.one(x)), 2)
            x = F.avg_pool2d(F.relu(self.two(x)), 2)
            x = self.four(F.relu(self.three(x.flatten(1))))
            return F.cross_entropy(x, batch["label"].long())

    return {"a": Autoencoder, "l": LeNet, "g": lambda: torch_glyphs(side, d)}[case[0]]()


def torch_glyphs(side: int, d: int) -> Any:
    import torch
    import torch.nn.functional as F
    from torch import nn

    t, features = SHOWN + ASKED, ((side + 3) // 4) ** 2 * 16

    def norm(x: Any) -> Any:
        return F.layer_norm(x, (x.shape[-1],), eps=1e-6)

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
            self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

        def forward(self, x: Any) -> Any:
            b = len(x)
            q, k, v = self.qkv(norm(x)).view(b, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(x.shape))
            return x + self.down(F.relu(self.up(norm(x))))

    class Glyphs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(1, 8, 5, stride=2, padding=2)
            self.two = nn.Conv2d(8, 16, 3, stride=2, padding=1)
            self.token = nn.Linear(features + WAY, d, bias=False)
            self.position = nn.Parameter(torch.randn(t, d) / d**0.5)
            self.layers = nn.Sequential(Layer(), Layer())
            self.unembed = nn.Linear(d, WAY, bias=False)

        def forward(self, batch: Any) -> Any:
            x = batch["images"].float().flatten(0, 1).movedim(-1, 1) / 255
            x = F.relu(self.two(F.relu(self.one(x)))).flatten(1).view(-1, t, features)
            told = F.pad(F.one_hot(batch["shown"].long(), WAY).float(), (0, 0, 0, ASKED))
            x = torch.cat([norm(x), told * features**0.5], dim=-1)
            x = norm(self.layers(self.token(x) + self.position))[:, SHOWN:]
            return F.cross_entropy(self.unembed(x).flatten(0, 1), batch["label"].long().flatten())

    return Glyphs()


def eager(case: str, steps: int) -> Callable[[], None]:
    import torch

    torch.set_num_threads(1)
    batches = {k: torch.from_numpy(v) for k, v in images(case, steps).items()}

    def run() -> None:
        torch.manual_seed(0)
        net = torch_net(case)
        adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        for i in range(steps):
            adam.zero_grad()
            net({k: v[i] for k, v in batches.items()}).backward()
            adam.step()

    return run


# --- in turn


def serve(pipe: Any, way: str, case: str, steps: int, core: int) -> None:
    """A worker: trains when it is told, and answers with the seconds that took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    go = eager(case, steps) if way == "PyTorch" else ours(case, steps, way == "convolution")
    begun = time.perf_counter()
    go()  # compiles
    pipe.send(time.perf_counter() - begun)
    while pipe.recv() != "stop":
        begun = time.process_time()  # of the processor: others on the machine do not count
        go()
        pipe.send(time.process_time() - begun)


def compare(case: str, steps: int, repeats: int) -> None:
    """Print a row of the table."""
    ways = ["ours", "PyTorch"] + ([] if case.startswith("autoencoder") else ["convolution"])
    spawn = multiprocessing.get_context("spawn")
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    pipes = {}
    for way in ways:
        pipes[way], there = spawn.Pipe()
        spawn.Process(target=serve, args=(there, way, case, steps, core), daemon=True).start()
    first = {way: pipe.recv() for way, pipe in pipes.items()}
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, pipe in pipes.items():
            pipe.send("train")
            took[way].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send("stop")
    ratios = {
        way: statistics.median(b / a for a, b in zip(took["ours"], took[way], strict=True))
        for way in ways
    }
    rates = {way: steps / statistics.median(times) for way, times in took.items()}
    slow = f"{ratios['convolution']:.1f}" if "convolution" in ratios else "–"
    print(
        f"| {case} | {CASES[case][1]} | {rates['ours']:,.0f} | {rates['PyTorch']:,.0f} "
        f"| {ratios['PyTorch']:.2f} | {slow} | {first['ours']:.1f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    quick = parser.parse_args().quick
    print(
        "| net | D | ours, steps/s | PyTorch, steps/s | PyTorch's time over ours | convolution's "
        "time over ours | with compiling, first run, s |\n|" + "---|" * 7
    )
    for case in CASES:
        compare(case, 100 if quick else 300, 3 if quick else 7)


if __name__ == "__main__":
    main()
