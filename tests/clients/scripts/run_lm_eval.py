"""lm-evaluation-harness' own command line with one model more, that needs no PyTorch:

python run_lm_eval.py run --model local --model_args pretrained=smollm2 --tasks ...
"""

from __future__ import annotations

from typing import Any

import local_models
from lm_eval.__main__ import cli_evaluate
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


@register_model("local")
class Local(LM):
    def __init__(self, pretrained: str, **_: Any) -> None:
        super().__init__()
        self.model = local_models.load(pretrained)

    def get_model_info(self) -> dict[str, Any]:
        return {"model_num_parameters": self.model.params}

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        out = []
        for request in requests:
            prompt, answer = request.args
            before, whole = self.model.encode(prompt), self.model.encode(prompt + answer)
            scored = self.model.score(before, whole[len(before) :])
            out.append((sum(v for v, _ in scored), all(greedy for _, greedy in scored)))
        return out

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        out = []
        for request in requests:
            first, *rest = self.model.encode(request.args[0])
            out.append(sum(v for v, _ in self.model.score([first], rest)))
        return out

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        asked = [request.args for request in requests]
        return [
            self.model.generate(prompt, how["max_gen_toks"], list(how["until"]))
            for prompt, how in asked
        ]


if __name__ == "__main__":
    cli_evaluate()
