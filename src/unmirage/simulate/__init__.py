"""Families of models whose truth is known: smooth, or with a real break.

A family has a per-token probability p(x) of the right token at every scale x; what is measured of
it follows a :class:`Design` (rungs, items, target length, dependence, noise). Per item the
probability is drawn from a beta distribution of mean p and intraclass correlation r,

    P ~ Beta(p (1 - r) / r, (1 - p) (1 - r) / r),

so the errors of two tokens of one answer are correlated with r, and

    E[exact match]    = prod_{t < L} (p (1 - r) + t r) / (1 - r + t r)      (p^L for r = 0),
    E[cross-entropy]  = digamma((1 - r) / r) - digamma(p (1 - r) / r).

For r = 0 every token draws a probability of its own in this way, with r = OWN in the second formula
(about -log p). A token is right with the very probability that is reported of it, so the reported
ones are calibrated: the mean probability of the targets is the expected exact match.

With a chance level c = 1/K there are K choices with scores s_k = G_k + eta [k right], G Gumbel, so

    E[accuracy] = exp(eta) / (exp(eta) + K - 1) = c + (1 - c) p.

Sources: beta-binomial: Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x; Gumbel scores:
McFadden 1974; power law in cross-entropy and p^L: Schaeffer et al. 2023, Sec. 2.

>>> import unmirage
>>> from unmirage.simulate import Design, Truth, scores
>>> table = scores(Truth("power law"), Design(rungs=6, items=200), seed=1)
>>> table.shape
(6, 7)
>>> unmirage.read(table).aggregates.height
6
"""

from unmirage.simulate.answers import samples
from unmirage.simulate.families import METRICS, Family, Metric, expected, family
from unmirage.simulate.reported import scores
from unmirage.simulate.truths import SHAPES, Design, Truth

__all__ = [
    "METRICS",
    "SHAPES",
    "Design",
    "Family",
    "Metric",
    "Truth",
    "expected",
    "family",
    "samples",
    "scores",
]
