"""The words and signs that every report shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sign:
    """How one verdict looks: a sign that does not depend on colour, and what it means."""

    symbol: str
    ascii: str
    colour: str  # for the terminal
    paint: str  # for pictures
    meaning: str


#: In the order in which a reader wants them.
VERDICTS: Final[dict[str, Sign]] = {
    "survives": Sign(
        "▲",
        "^",
        "bold red",
        "#b8460b",
        "No smooth law makes the jump, with enough test items and model sizes, and under a linear "
        "metric of the same outputs where there is one. Treat it as real until new data says "
        "otherwise.",
    ),
    "mirage": Sign(
        "◇",
        "<>",
        "bold magenta",
        "#8a3f7d",
        "The analysis makes the jump, not the models: the metric, the number of test items or the "
        "choice of model sizes explains it.",
    ),
    "undecided": Sign(
        "?",
        "?",
        "bold yellow",
        "#8a6100",
        "The data cannot tell. The report says what would decide it.",
    ),
    "smooth": Sign(
        "~",
        "~",
        "bold blue",
        "#00609c",
        "No jump to explain: a smooth law fits the scores within their noise.",
    ),
}

EXPLANATIONS: Final[dict[str, str]] = {
    "metric": "The metric bends a smooth change in the models' outputs into a jump: under a linear "
    "or continuous metric the same outputs change smoothly.",
    "resolution": "Too few test items: a small score cannot be told from none, so the small models "
    "look wholly unable.",
    "coverage": "Too few model sizes around the rise: a smooth rise falls into one gap and looks "
    "like a step.",
}

TESTS: Final[dict[str, str]] = {
    "movement": "Does the score move?",
    "emergence_score": "Emergence score",
    "linearity": "Linearity (BIG-bench)",
    "breakthroughness": "Breakthroughness (BIG-bench)",
    "sharpness": "How sharp is the rise?",
    "predictability": "Was it foreseeable?",
    "break": "Is there a sudden break?",
    "companion_break": "A break under the companion metric?",
    "many_tests": "Does it stand among all curves tested?",
    "metric": "Does the metric explain it?",
    "resolution": "Do too few items explain it?",
    "coverage": "Do missing sizes explain it?",
    "seeds": "Do seeds explain it?",
}

SCALES: Final[dict[str, str]] = {
    "params": "parameters",
    "flops": "training compute (FLOPs)",
    "tokens": "training tokens",
    "step": "training step",
    "shots": "examples in the prompt",
    "k": "answers to an item (k)",
}


def title_of(test: str) -> str:
    """A question or a name for people; unknown tests show their own name."""
    return TESTS.get(test) or test.replace("_", " ").capitalize()


def scale_title(name: str) -> str:
    return SCALES.get(name, name)


def rank(verdict: str) -> int:
    """Sorting key: what a reader wants to see first."""
    order = list(VERDICTS)
    return order.index(verdict) if verdict in order else len(order)


def sign(verdict: str) -> Sign:
    return VERDICTS.get(verdict, Sign("·", ".", "bold", "#444444", ""))
