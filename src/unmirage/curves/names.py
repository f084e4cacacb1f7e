"""What a model's name says: its size, its training step, and what is left (the lineage)."""

from __future__ import annotations

import re

_UNIT = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
# 1.4b, 350M, 8x7B, 7b1 (BLOOM); not the 0.5M of "0.5MtokBS"
_SIZE = re.compile(
    r"(?<![A-Za-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([kmbt])(\d)?(?![A-Za-z0-9])", re.IGNORECASE
)
_STEP = re.compile(r"(?:[-_/](?:global)?)?[-_]?(?:step|ckpt|checkpoint)[-_]?(\d+)", re.IGNORECASE)


def sizes(name: str) -> list[float]:
    """The parameter counts that a name spells out.

    >>> sizes("EleutherAI/pythia-1.4b-deduped"), sizes("bloom-7b1"), sizes("pythia-160m-0.5MtokBS")
    ([1400000000.0], [7100000000.0], [160000000.0])
    """
    found = []
    for times, number, unit, tail in _SIZE.findall(name):
        value = float(f"{number}.{tail}" if tail and "." not in number else number)
        found.append(value * _UNIT[unit.lower()] * (int(times) if times else 1))
    return found


def lineage(name: str) -> str:
    """The name without size and step: equal for all rungs of one ladder.

    >>> lineage("pythia-v1/pythia-160m-deduped/zero-shot")
    'pythia-v1/pythia-{size}-deduped/zero-shot'
    >>> lineage("160m-deduped-5shot_step143000")
    '{size}-deduped-5shot'
    >>> lineage("meta-llama/Llama-2-7b-hf"), lineage("gpt2")
    ('meta-llama/Llama-2-{size}-hf', 'gpt2')
    """
    return _SIZE.sub("{size}", _STEP.sub("", name))
