"""What a run of HELM says of itself: the model, the task, how it was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmirage.records.formats.lm_eval.results import part, whole
from unmirage.records.sniff import Source
from unmirage.records.tables import absolute

_MODEL = re.compile(r"(?:(?<=:)|,)(?:model|model_deployment)=[^,]*")


@dataclass(frozen=True)
class Run:
    """One run; ``source`` is one of its files, for notes."""

    source: Source
    model: str
    task: str
    method: str
    shots: int | None
    trials: int

    @property
    def separate(self) -> bool:
        """Is every option of a choice a request of its own?"""
        return self.method.startswith("multiple_choice_separate")

    def settings(self) -> dict[str, Any]:
        """Columns that are the same in all rows."""
        return {
            "model": self.model,
            "task": self.task,
            "shots": self.shots,
            "format": self.method or None,
        }


def run_of(source: Source, spec: Any, state: Mapping[str, Any]) -> Run | None:
    """The run behind some files; None where none of them names a model."""
    spec = spec if isinstance(spec, dict) else {}
    adapter = part(spec, "adapter_spec") or part(state, "adapter_spec")
    model = adapter.get("model") or adapter.get("model_deployment")
    if not isinstance(model, str) or not model:
        return None
    name = spec.get("name")
    name = name if isinstance(name, str) and name else absolute(source.path).parent.name
    shots = whole(adapter.get("max_train_instances"))
    trials = whole(adapter.get("num_train_trials"))
    return Run(
        source,
        model,
        task_in(name),
        str(adapter.get("method") or ""),
        shots if shots is not None and 0 <= shots < 10**6 else None,
        trials or 1,
    )


def task_in(name: str) -> str:
    """The name of a run without its model.

    >>> task_in("mmlu:subject=anatomy,method=multiple_choice_joint,model=openai_gpt2")
    'mmlu:subject=anatomy,method=multiple_choice_joint'
    >>> task_in("narrative_qa:model=openai_gpt2"), task_in("narrative_qa-model=openai_gpt2")
    ('narrative_qa', 'narrative_qa')
    """
    name = re.sub(r"-(?=model=)", ":", name)
    return _MODEL.sub("", name).replace(":,", ":").strip(",:") or name
