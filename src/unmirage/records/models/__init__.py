"""How large well-known models are: the bundled table, and a table of the user's own.

``known.csv`` names the source of every number. What no source backs is empty there: training
tokens that were never published, and FLOPs of mixtures and distilled models. ``flops_source`` is
"reported", "6ND" (6 x params x tokens, worked out when read) or "none"; ``certainty`` is
"published" or "inferred" (sizes behind an API that others worked out from scores).
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

#: written beside a name and saying nothing of size or training
_PLAIN = {"hf", "base", "pretrained", "pt", "v0", "fp16", "bf16", "fp32"}
_PLAIN |= {"float16", "bfloat16", "float32"}
#: the same model, trained further to follow instructions
_TUNED = {"instruct", "chat", "it", "sft", "dpo", "rlhf"}
_DEDUPED = "deduped"
_ORGANISATIONS = (
    *("eleutherai", "facebook", "meta-llama", "bigscience", "openai-community", "openai"),
    *("huggyllama", "qwen", "allenai", "google", "mistralai", "cerebras", "tiiuae", "mosaicml"),
    *("stabilityai", "huggingfacetb", "microsoft", "01-ai", "deepseek-ai", "meta"),
)
# pythia-70m-step3000, pythia-70m@revision=step512, OLMo-2@stage1-step721901-tokens6056B
_STEP = re.compile(
    r"[-_@:/ ]+(?:revision=)?(?:stage\d+[-_])?(?:global[-_]?)?step[-_]?\d+(?:[-_]tokens\d+b)?$"
)
_SEPARATORS = re.compile(r"[-_ ]+")
LONGEST = 300  # characters of a name that is looked at


@dataclass(frozen=True)
class Known:
    """What is known of one model; None where no source says."""

    name: str
    family: str | None
    params: float | None
    tokens: float | None = None
    flops: float | None = None
    flops_source: str = "none"  # "reported", "6ND" or "none"
    inferred: bool = False  # the size was worked out by others, not published
    source: str = ""
    base_of: bool = False  # the name asked for is a tuned variant of this model
    checkpoint: bool = False  # the name asked for is a checkpoint before the end of training


@dataclass(frozen=True)
class _Parsed:
    key: str
    tuned: bool
    deduped: bool
    checkpoint: bool


def parse_name(name: str) -> _Parsed:
    """A model's name without organisation, separators and words that say nothing of its size.

    A separator between two digits is kept: "llama-2-7b" is not "llama-27b".

    >>> parse_name("meta-llama/Llama-2-7b-chat-hf").key, parse_name("EleutherAI__Pythia_1.4B").key
    ('llama2-7b', 'pythia1.4b')
    """
    text = name[:LONGEST].casefold().strip()
    text, steps = _STEP.subn("", text)
    text = text.replace("__", "/").rstrip("/").rsplit("/", 1)[-1]
    for organisation in _ORGANISATIONS:
        if text.startswith(f"{organisation}_"):
            text = text.removeprefix(f"{organisation}_")
            break
    first, *words = [w for w in _SEPARATORS.split(text) if w] or [""]
    left = [w for w in words if w not in _PLAIN and w not in _TUNED and w != _DEDUPED]
    key = first
    for word in left:
        key += f"-{word}" if key[-1:].isdigit() and word[0].isdigit() else word
    return _Parsed(key, bool(_TUNED & set(words)), _DEDUPED in words, steps > 0)


@functools.cache
def bundled() -> dict[str, Known]:
    """The table that the package ships: key of each name -> what is known."""
    text = files(__package__).joinpath("known.csv").read_text("utf-8")
    table: dict[str, Known] = {}
    for row in csv.DictReader(text.splitlines()):
        names = row["names"].split("|")
        params, tokens = _number(row["params"]), _number(row["tokens"])
        flops = _number(row["flops"])
        if row["flops_source"] == "6ND" and params and tokens:
            flops = 6 * params * tokens
        known = Known(
            names[0],
            row["family"],
            params,
            tokens,
            flops,
            row["flops_source"],
            row["certainty"] == "inferred",
            row["source"],
        )
        table.update({parse_name(name).key: known for name in names})
    return table


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def known(name: str) -> Known | None:
    """What the bundled table knows of a model; None for a name that it does not hold as a whole.

    A tuned variant has the size of its base and a family of its own, and its tokens and FLOPs are
    not said; nor are those of a checkpoint.

    >>> known("EleutherAI/pythia-70m-deduped").params, known("llama-7b-chat-finetune-x")
    (70426624.0, None)
    >>> found = known("tiiuae/falcon-7b-instruct")
    >>> found.params, found.tokens, found.base_of
    (7000000000.0, None, True)
    """
    parsed = parse_name(name)
    found = bundled().get(parsed.key)
    if found is None:
        return None
    family = found.family
    if parsed.deduped:
        family = f"{family} deduped"
    if parsed.tuned:
        family = f"{family} (tuned)"
    found = replace(found, family=family, base_of=parsed.tuned, checkpoint=parsed.checkpoint)
    if parsed.tuned or parsed.checkpoint:
        found = replace(found, tokens=None, flops=None, flops_source="none")
    return found


@dataclass(frozen=True)
class OwnModels:
    """What the user said of models, by name as written and by name without its organisation."""

    by_name: Mapping[str, Known] = field(default_factory=dict)
    by_key: Mapping[str, Known] = field(default_factory=dict)

    def find(self, name: str) -> Known | None:
        """The row of a model; a tuned variant or a checkpoint must be named itself."""
        if exact := self.by_name.get(name.casefold()):
            return exact
        parsed = parse_name(name)
        return None if parsed.tuned or parsed.checkpoint else self.by_key.get(parsed.key)


NONE = OwnModels()
