"""How good is a predictive distribution, given as draws? CRPS, PIT, coverage.

Axes: N forecasts, R draws.
"""

from __future__ import annotations

import numpy as np

from unmirage.types import Floats


def crps(draws: Floats, seen: Floats) -> Floats:
    """Continuous ranked probability score of draws (N, R) against what was seen (N,), (N,).

    integral (F(y) - [y >= seen])^2 dy = E|Y - seen| - E|Y - Y'| / 2, in the unit of the score
    (Gneiting and Raftery 2007, doi:10.1198/016214506000001437, Eq. 21). Smaller is better.

    >>> crps(np.array([[0.0, 1.0]]), np.array([0.0])).tolist()
    [0.25]
    """
    y = np.sort(draws, axis=1)
    r = y.shape[1]
    rank = 2 * np.arange(1, r + 1) - r - 1
    return np.asarray(np.abs(y - seen[:, None]).mean(axis=1) - (y @ rank) / r**2)


def pit(draws: Floats, seen: Floats, uniform: Floats) -> Floats:
    """Probability integral transform, (N,); uniform where the forecast is calibrated.

    Where draws tie with what was seen (counts of items), the place within the tie is drawn (Czado,
    Gneiting and Held 2009, doi:10.1111/j.1541-0420.2009.01191.x, Eq. 1); ``uniform`` (N,).
    """
    tol = 1e-9 * (1 + np.abs(seen[:, None]))
    below = (draws < seen[:, None] - tol).mean(axis=1)
    upto = (draws <= seen[:, None] + tol).mean(axis=1)
    r = draws.shape[1]
    # a continuous forecast has no ties: between two draws the place is drawn as well
    gap = np.where(upto > below, 0.0, 1.0 / (r + 1))
    shrunk = below * r / (r + 1)
    return np.asarray(shrunk + uniform * np.where(gap > 0, gap, upto - below))


def covered(pits: Floats, level: float) -> Floats:
    """Is what was seen inside the central interval of that level? (N,) of 0 and 1."""
    return np.asarray((np.abs(pits - 0.5) <= level / 2).astype(float))
