"""ROUGE and BLEU through the libraries whose numbers the field compares (extra ``text``).

Axes: S items.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from unmirage.metrics.tokens import text_pairs
from unmirage.types import Facts, Floats, Metric

#: rouge-score fills a table of answer words x target words in Python; above this many cells
#: (about 2000 words each) one item would take seconds and hundreds of megabytes: not scored
ROUGE_CELLS = 4_000_000


def rouge_lsum(samples: pl.DataFrame) -> Floats:
    """ROUGE-L-Sum: F-measure of the summary-level longest common subsequence.

    Lines are the sentences; no stemming; the largest over the targets; by rouge-score. Its tokens
    are runs of a-z and 0-9 in lower case, so a target in another script has none: such a target is
    not scored, and neither is a pair of more than 4 million words x words. Returns (S,) in [0, 1].

    >>> samples = pl.DataFrame({"output": ["a b"], "targets": [["a b c d e f"]]})
    >>> rouge_lsum(samples).tolist()
    [0.5]
    """
    from rouge_score import rouge_scorer, tokenize

    scorer = rouge_scorer.RougeScorer(["rougeLsum"])
    out = np.full(samples.height, np.nan)
    for row, answer, target in text_pairs(samples).iter_rows():
        words = len(tokenize.tokenize(target, None))
        if words == 0 or words * len(tokenize.tokenize(answer, None)) > ROUGE_CELLS:
            continue
        score = scorer.score(target, answer)["rougeLsum"].fmeasure
        out[row] = np.fmax(out[row], min(score, 1.0))
    return out


def bleu(samples: pl.DataFrame) -> Floats:
    """Sentence BLEU of each item, on 0..1, by sacrebleu.

    Up to 4-grams, tokenizer 13a, case kept, exponential smoothing and effective order, so that a
    right answer of fewer than 4 tokens scores 1; all targets are references at once. The mean
    over items is not corpus BLEU. An empty target is not scored. Returns (S,).

    >>> bleu(pl.DataFrame({"output": ["a b c"], "targets": [["a b c"]]})).tolist()
    [1.0]
    """
    from sacrebleu.metrics.bleu import BLEU

    scorer = BLEU(effective_order=True)
    pairs = text_pairs(samples).filter(pl.col("target").str.len_bytes() > 0)
    items = pairs.group_by("row", maintain_order=True).agg(pl.col("output").first(), "target")
    out = np.full(samples.height, np.nan)
    for row, answer, targets in items.iter_rows():
        out[row] = min(scorer.sentence_score(answer, targets).score / 100.0, 1.0)
    return out


def _facts(name: str, title: str) -> Facts:
    return Facts(name, title, 0.0, 1.0, True, linear=False, continuous=False, forcing="free")


ALL: tuple[Metric, ...] = (
    Metric(
        _facts("rouge_lsum", "ROUGE-L-Sum"),
        ("output", "targets"),
        rouge_lsum,
        "Lin 2004 (aclanthology W04-1013), by rouge-score",
        "F-measure, no stemming, lines are sentences, tokens are runs of a-z and 0-9, largest over "
        "the targets; a target without such tokens is not scored",
        extra="text",
        aliases=("rougeLsum", "rougeLSum"),
    ),
    Metric(
        _facts("bleu", "sentence BLEU"),
        ("output", "targets"),
        bleu,
        "Papineni et al. 2002 (doi 10.3115/1073083.1073135), by sacrebleu",
        "0..1, 13a, exponential smoothing, effective order (orders without any n-gram left out); "
        "the mean over items is not corpus BLEU",
        extra="text",
        aliases=("sentence_bleu",),
    ),
)
