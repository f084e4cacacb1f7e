"""Inspect on a model that runs offline: python run_inspect.py FORM ASKED MODEL... LOGS

FORM is "eval" or "json", ASKED a JSON file of items, LOGS a folder. A MODEL is "smollm2", called
through Inspect's own OpenAI-style provider, or the folder of an exported rung, called through a
provider of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import local_models
from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    get_model,
    modelapi,
)
from inspect_ai.scorer import choice, includes, match
from inspect_ai.solver import generate, multiple_choice

#: a model this small follows examples, not a description of the form
TEMPLATE = "{question}\n{choices}\nAnswer with one of {letters}."
CHOOSE = [
    (
        "What is the capital of Belgium?\nA) Brussels\nB) Prague\nAnswer with one of A,B.",
        "ANSWER: A",
    ),
    (
        "What is the capital of Sweden?\nA) Minsk\nB) Stockholm\nAnswer with one of A,B.",
        "ANSWER: B",
    ),
]
ANSWER = [("What is 9 + 9?", "18"), ("What is 2 + 1?", "3")]


def asked(row: dict[str, Any], examples: list[tuple[str, str]]) -> Sample:
    """An item after worked examples, as a conversation."""
    before = [[ChatMessageUser(content=q), ChatMessageAssistant(content=a)] for q, a in examples]
    question = ChatMessageUser(content=row["input"])
    return Sample(**{**row, "input": [*(m for pair in before for m in pair), question]})


@modelapi(name="rung")
def rung() -> type[ModelAPI]:
    class Rung(ModelAPI):
        def __init__(self, model_name: str, folder: str, **given: Any) -> None:
            super().__init__(model_name)
            self.model = local_models.Rung(folder)

        async def generate(
            self, input: Any, tools: Any, tool_choice: Any, config: GenerateConfig
        ) -> ModelOutput:
            text = self.model.generate(input[-1].text, config.max_tokens or 1, ["="])
            return ModelOutput.from_content(self.model_name, text)

    return Rung


def tasks(data: dict[str, Any]) -> list[Task]:
    """What ASKED holds: "choices" with two answers to each, and "answers"."""
    found = []
    if rows := data.get("choices"):
        samples = [asked({"id": i, **row}, CHOOSE) for i, row in enumerate(rows, 1)]
        solver, warm = multiple_choice(template=TEMPLATE), GenerateConfig(temperature=1.0)
        found.append(
            Task(
                dataset=samples,
                solver=solver,
                scorer=choice(),
                name="choices",
                epochs=Epochs(2),
                config=warm,
            )
        )
    for name, rows in data.get("answers", {}).items():
        shown = ANSWER if data.get("chat") else []
        samples = [asked({"id": i, **row}, shown) for i, row in enumerate(rows, 1)]
        greedy = GenerateConfig(temperature=0.0)
        scorers = [match(location="exact"), includes()]
        found.append(
            Task(dataset=samples, solver=generate(), scorer=scorers, name=name, config=greedy)
        )
    return found


def model_of(name: str) -> tuple[Model, Any]:
    """The model behind a name, and what must be kept while it is used."""
    if name != "smollm2":
        return get_model(f"rung/{Path(name).name}", folder=name), None
    local = local_models.load(name)  # a server without an owner stops
    model = get_model(
        f"openai-api/local/{local.name}", base_url=f"{local.address}/v1", api_key="none"
    )
    return model, local


def main(form: str, asked_for: str, *models_and_logs: str) -> None:
    *names, logs = models_and_logs
    models = [model_of(name) for name in names]
    config = json.loads(Path(asked_for).read_text("utf-8"))
    done = eval(
        tasks(config),
        model=[model for model, _ in models],
        log_dir=logs,
        log_format=form,
        max_connections=1,
        max_tokens=config.get("max_tokens", 8),
        display="none",
        log_realtime=False,  # else each event is written to a database
    )
    bad = [
        log.error.message if log.error else log.status for log in done if log.status != "success"
    ]
    if bad:
        raise SystemExit(f"Inspect failed: {bad}")


if __name__ == "__main__":
    main(*sys.argv[1:])
