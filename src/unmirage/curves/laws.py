"""Smooth laws of a score against scale, fitted to many curves at once.

A law is a link and a basis in x, the log10 of the scale brought to [-1, 1]:

* share  u in [0, 1]:  u = 1 / (1 + exp(-eta))  (logit)  or  u = exp(-exp(-eta))  (loglog).
  The second is the law of the source article, u = p^L = exp(-L (N/c)^a), as a straight line:
  -log(-log u) = -log L - a log(N/c), whatever the length L of the answer.
* positive u > 0 (cross-entropy):  u = exp(-eta)  (log): a power law is a straight line.
* any u:  u = eta  (identity).

Bases: ``line`` a + b x, ``bend`` a + b x + c x^2, ``cubic`` a + b x + c x^2 + d x^3 (which can fall
and then rise ever faster: U-shaped scaling), ``plateau`` a + b / (1 + exp(-(x - m) / w)) whose
10-90 % width is at least two typical gaps between rungs (a narrower one all but is a break).

Noise: sampling variance v, and a variance tau^2 between rungs on the scale of eta (Paule and
Mandel 1982, doi:10.6028/jres.087.022), so that large n alone rejects nothing.
Axes: B curves, M rungs, P parameters, G shapes of the plateau.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from unmirage.types import Floats

LINE, BEND, CUBIC, PLATEAU = "line", "bend", "cubic", "plateau"
_CENTRES = np.linspace(-1.05, 1.05, 8)
_WIDTHS = 3
#: laws whose criterion is within this of the best fit about as well (Burnham, Anderson 2002, 2.6)
PLAUSIBLE = 6.0
#: noise between rungs, in logits or on log(-log u); a quarter of it where a logistic is steepest
NOISY = 0.5
#: 10-90 % of a logistic takes this many of its scale parameter w
LOGISTIC_WIDTH = 2 * np.log(9.0)


@dataclass(frozen=True)
class Law:
    """A link and a basis; ``parameters`` counts what is fitted."""

    link: str
    basis: str
    #: noise between rungs that a family has at most, on the scale of eta (of a share), or as a
    #: share of the range of u (identity)
    noisy: float = NOISY
    #: may a family that fits badly have more? A loss near 0 may scatter more
    excess: bool = False

    @property
    def name(self) -> str:
        return f"{self.link} {self.basis}"

    @property
    def parameters(self) -> int:
        return {LINE: 2, BEND: 3, CUBIC: 4, PLATEAU: 4}[self.basis]

    @property
    def takes_step(self) -> bool:
        """May a step be added to it? Not to those that can all but make one of their own."""
        return self.basis in (LINE, BEND)


LAWS = {
    "share": (
        Law("loglog", LINE),
        Law("logit", LINE),
        Law("loglog", BEND),
        Law("logit", BEND),
        Law("loglog", CUBIC),
        Law("logit", CUBIC),
        Law("identity", LINE, NOISY / 4),
        Law("identity", PLATEAU, NOISY / 4),
    ),
    "positive": (
        Law("log", LINE, excess=True),
        Law("log", BEND, excess=True),
        Law("log", CUBIC, excess=True),
        Law("identity", LINE, NOISY / 4, excess=True),
        Law("identity", CUBIC, NOISY / 4, excess=True),
        Law("identity", PLATEAU, NOISY / 4, excess=True),
    ),
    "free": (
        Law("identity", LINE, NOISY / 4, excess=True),
        Law("identity", BEND, NOISY / 4, excess=True),
        Law("identity", CUBIC, NOISY / 4, excess=True),
        Law("identity", PLATEAU, NOISY / 4, excess=True),
    ),
}


@dataclass(frozen=True, eq=False)
class Data:
    """Curves of equal length and kind, in working units.

    u (B, M): shares run from 0 at the floor to 1 at the best; positive values are as measured.
    n (B, M): items where each is right or wrong, else NaN; se (B, M): sampling error of u where
    n is NaN. low, high (B,): raw score at u = 0 and at u = 1, which the binomial needs.
    least (B,): smallest slope with which noise between rungs reaches u. 0 at a floor that nothing
    can pass; above 0 at a chance level, around which the habits of models scatter.
    """

    x: Floats  # (B, M) decades
    u: Floats
    n: Floats
    se: Floats
    low: Floats
    high: Floats
    least: Floats

    def noise_slope(self, slope: Floats) -> Floats:
        """Slope by which the noise between rungs enters u, (B, M)."""
        return np.maximum(np.abs(slope), self.least[:, None])

    def variance(self, u: Floats) -> Floats:
        """Sampling variance of a score whose true value is u, (B, M); broadcasts over u."""
        span = (self.high - self.low)[:, None]
        share = np.clip(self.low[:, None] + u * span, 0.0, 1.0)
        share = (share * self.n + 0.5) / (self.n + 1.0)
        binomial = share * (1 - share) / self.n / span**2
        return np.where(np.isnan(self.n), self.se**2, binomial)

    def total(self, mean: Floats, slope: Floats, tau: Floats) -> Floats:
        """Variance of a measured score, sampling and noise between rungs tau (B,), (B, M)."""
        return self.variance(mean) + self.noise_slope(slope) ** 2 * tau[:, None] ** 2

    def take(self, rows: Floats | slice | np.ndarray) -> Data:
        return Data(
            *(getattr(self, f)[rows] for f in ("x", "u", "n", "se", "low", "high", "least"))
        )

    def rungs(self, keep: slice) -> Data:
        """Only some rungs of each curve."""
        cut = {f: getattr(self, f)[:, keep] for f in ("x", "u", "n", "se")}
        return replace(self, **cut)


@dataclass(frozen=True, eq=False)
class Fit:
    """A law on each curve. Everything on the working scale of :class:`Data`."""

    law: Law
    theta: Floats  # (B, P) coefficients of the basis, the plateau's two linear ones first
    shape: Floats  # (B, 2) centre and width of the plateau, NaN otherwise
    eta: Floats  # (B, M) the law on its own scale
    mean: Floats  # (B, M)
    slope: Floats  # (B, M) d mean / d eta
    tau: Floats  # (B,) between-rung standard deviation of eta
    sd: Floats  # (B, M) total standard deviation of u
    sampling: Floats  # (B, M) standard deviation of sampling alone
    aicc: Floats  # (B,) inf where there are too few rungs

    def take(self, rows: Floats | slice | np.ndarray) -> Fit:
        """Only some curves of the batch, repeated where a row is."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Fit(**{k: v if k == "law" else v[rows] for k, v in values.items()})


def unit(x: Floats) -> tuple[Floats, Floats, Floats]:
    """x brought to [-1, 1] for each curve, with the centre and the half range."""
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-12)
    return (x - centre) / half, centre, half


def design(law: Law, t: Floats, shape: Floats | None = None) -> Floats:
    """Columns of the basis at t in [-1, 1]: (B, M) -> (B, M, P)."""
    one = np.ones_like(t)
    if law.basis == LINE:
        return np.stack([one, t], axis=-1)
    if law.basis == BEND:
        return np.stack([one, t, t**2], axis=-1)
    if law.basis == CUBIC:
        return np.stack([one, t, t**2, t**3], axis=-1)
    assert shape is not None
    return np.stack([one, _logistic((t - shape[:, :1]) / shape[:, 1:])], axis=-1)


def _logistic(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def inverse_link(link: str, eta: Floats) -> tuple[Floats, Floats]:
    """The mean and its derivative at eta."""
    if link == "identity":
        return eta, np.ones_like(eta)
    eta = np.clip(eta, -30.0, 30.0)
    if link == "logit":
        p = _logistic(eta)
        return p, p * (1 - p)
    inner = np.exp(-eta)
    if link == "log":
        return inner, -inner
    p = np.exp(-inner)
    return p, p * inner


def _forward(link: str, u: Floats, edge: Floats) -> Floats:
    """A start on the scale of eta: u kept off its bounds by about one sampling error."""
    if link == "identity":
        return u
    if link == "log":
        return np.asarray(-np.log(np.maximum(u, edge)))
    u = np.clip(u, edge, 1 - edge)
    return np.asarray(np.log(u / (1 - u)) if link == "logit" else -np.log(-np.log(u)))


def fit(law: Law, data: Data) -> Fit:
    """Fit one law to every curve by iterated weighted least squares.

    Minimises sum_i (u_i - mu_i)^2 / (v(mu_i) + mu'_i^2 tau^2), with tau from its moment equation
    sum = M - P. Curves with fewer than P + 1 rungs get aicc = inf.
    """
    return _fit_plateau(law, data) if law.basis == PLATEAU else _fit_linked(law, data)


def solve(columns: Floats, weight: Floats, target: Floats) -> Floats:
    """Weighted least squares, batched: (..., M, P), (..., M), (..., M) -> (..., P)."""
    weighted = columns * weight[..., None]
    gram = np.einsum("...mp,...mq->...pq", weighted, columns)
    ridge = 1e-10 * np.trace(gram, axis1=-2, axis2=-1)[..., None, None] + 1e-300
    gram = gram + ridge * np.eye(gram.shape[-1])
    right = np.einsum("...mp,...m->...p", weighted, target)
    return np.asarray(np.linalg.solve(gram, right[..., None])[..., 0])


def _fit_linked(law: Law, data: Data) -> Fit:
    t, _, _ = unit(data.x)
    columns = design(law, t)
    b = data.u.shape[0]
    edge = np.clip(np.sqrt(data.variance(data.u)) / 2, 1e-4, 0.2)
    if law.link == "log":
        edge = np.maximum(edge, 1e-3 * np.abs(data.u).max(axis=1, keepdims=True) + 1e-300)
    eta = _forward(law.link, data.u, edge)
    theta = solve(columns, np.ones_like(eta), eta)
    tau = np.zeros(b)
    for _ in range(5):
        theta = _iterate(law.link, data, columns, theta, tau, 8)
        mean, slope = inverse_link(law.link, np.einsum("bmp,bp->bm", columns, theta))
        noisy = data.noise_slope(slope)
        tau = _tau(data.u - mean, data.variance(mean), noisy, law.parameters)
    return _finish(law, data, columns, theta, np.full((b, 2), np.nan), tau)


def _iterate(
    link: str, data: Data, columns: Floats, theta: Floats, tau: Floats, times: int
) -> Floats:
    """Weighted least squares on the working response, repeated, at given noise."""
    for _ in range(times):
        eta = np.einsum("bmp,bp->bm", columns, theta)
        mean, slope = inverse_link(link, eta)
        total = data.total(mean, slope, tau)
        # a rung may not pull eta further than this in one step: keeps far starts stable
        pull = np.clip((data.u - mean) / _away_from_zero(slope), -6.0, 6.0)
        theta = solve(columns, slope**2 / total, eta + pull)
    return theta


def weighted_fit(
    law: Law, data: Data, start: Fit, tau: Floats, *, extra: Floats | None = None
) -> Fit:
    """Refit a line or bend at given noise tau (B,), with one column (M,) more."""
    t, _, _ = unit(data.x)
    columns = design(law, t)
    theta = start.theta
    if extra is not None:
        more = np.broadcast_to(extra, columns.shape[:2])[..., None]
        columns = np.concatenate([columns, more], axis=-1)
        theta = np.concatenate([theta, np.zeros((len(theta), 1))], axis=-1)
    theta = _iterate(law.link, data, columns, theta, tau, 1 if law.link == "identity" else 8)
    return _finish(law, data, columns, theta, start.shape, tau)


def _away_from_zero(slope: Floats) -> Floats:
    return np.where(np.abs(slope) < 1e-9, np.where(slope < 0, -1e-9, 1e-9), slope)


def _tau(residual: Floats, variance: Floats, slope: Floats, parameters: int) -> Floats:
    """Solve sum r^2 / (v + s^2 tau^2) = M - P for tau >= 0 by bisection, per curve."""
    m = residual.shape[1]
    goal = max(m - parameters, 0)
    if goal == 0:
        return np.zeros(residual.shape[0])
    safe = np.maximum(np.abs(slope), 1e-9)
    high = np.sqrt((residual**2 / safe**2).max(axis=1) * m) + 1e-12
    low = np.zeros_like(high)
    excess = (residual**2 / variance).sum(axis=1) > goal
    for _ in range(40):
        middle = (low + high) / 2
        q = (residual**2 / (variance + slope**2 * middle[:, None] ** 2)).sum(axis=1)
        low, high = np.where(q > goal, middle, low), np.where(q > goal, high, middle)
    return np.where(excess, (low + high) / 2, 0.0)


def shapes(t: Floats) -> tuple[Floats, Floats]:
    """Centres and widths tried for the plateau, (B, G) each.

    The narrowest 10-90 % width is two median gaps between rungs.
    """
    gap = np.median(np.diff(t, axis=1), axis=1)
    narrow = np.clip(2 * gap / LOGISTIC_WIDTH, 1e-3, 1.0)
    steps = np.linspace(0, 1, _WIDTHS)
    widths = narrow[:, None] ** (1 - steps) * 1.0**steps
    centre = np.repeat(_CENTRES, _WIDTHS)
    return np.broadcast_to(centre, (len(t), len(centre))), np.tile(widths, (1, len(_CENTRES)))


def _fit_plateau(law: Law, data: Data) -> Fit:
    t, _, _ = unit(data.x)
    centre, width = shapes(t)
    columns = plateau_columns(t)
    target = np.broadcast_to(data.u[:, None], columns.shape[:-1])
    b = np.arange(len(t))
    tau = np.zeros(len(t))
    mean = data.u
    for _ in range(4):
        variance = data.variance(mean)
        weight = 1 / (variance + tau[:, None] ** 2)
        theta = solve(columns, np.broadcast_to(weight[:, None], columns.shape[:-1]), target)
        fitted = np.einsum("bgmp,bgp->bgm", columns, theta)
        best = (weight[:, None] * (target - fitted) ** 2).sum(axis=2).argmin(axis=1)
        mean = fitted[b, best]
        tau = _tau(data.u - mean, variance, np.ones_like(mean), law.parameters)
    shape = np.stack([centre[b, best], width[b, best]], axis=1)
    return _finish(law, data, columns[b, best], theta[b, best], shape, tau)


def plateau_columns(t: Floats) -> Floats:
    """Every shape of the plateau tried, (B, M) -> (B, G, M, 2)."""
    centre, width = shapes(t)
    bump = _logistic((t[:, None] - centre[..., None]) / width[..., None])
    return np.stack([np.ones_like(bump), bump], axis=-1)


def _finish(
    law: Law, data: Data, columns: Floats, theta: Floats, shape: Floats, tau: Floats
) -> Fit:
    eta = np.einsum("bmp,bp->bm", columns, theta)
    mean, slope = inverse_link(law.link, eta)
    sampling, total = data.variance(mean), data.total(mean, slope, tau)
    m, k = data.u.shape[1], law.parameters + 1
    deviance = minus_two_log(data.u - mean, total)
    # with no rung to spare AICc has no meaning; BIC-like penalty keeps the order of laws defined
    spare = m - k - 1
    aicc = deviance + (2 * k + 2 * k * (k + 1) / spare if spare > 0 else 2.0 * k * m)
    if m <= law.parameters:
        aicc = np.full_like(deviance, np.inf)
    aicc = np.where(np.isfinite(aicc), aicc, np.inf)
    return Fit(law, theta, shape, eta, mean, slope, tau, np.sqrt(total), np.sqrt(sampling), aicc)


def minus_two_log(residual: Floats, total: Floats) -> Floats:
    """-2 log likelihood of normal residuals (B, M) up to a constant, (B,)."""
    return np.asarray((np.log(total) + residual**2 / total).sum(axis=1))


def predict(fitted: Fit, data: Data, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, slope and standard error of the fitted mean (not of a new rung) at x, (B, K) each."""
    t_seen, centre, half = unit(data.x)
    t = (x - centre) / half
    columns = design(fitted.law, t, fitted.shape)
    eta = np.einsum("bkp,bp->bk", columns, fitted.theta)
    mean, slope = inverse_link(fitted.law.link, eta)
    seen = design(fitted.law, t_seen, fitted.shape)
    weighted = seen * (fitted.slope / fitted.sd)[..., None]
    gram = np.einsum("bmp,bmq->bpq", weighted, weighted)
    gram = gram + 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[-1])
    cover = np.linalg.inv(gram + 1e-300 * np.eye(gram.shape[-1]))
    error = np.sqrt(np.maximum(np.einsum("bkp,bpq,bkq->bk", columns, cover, columns), 0.0))
    return mean, slope, np.abs(slope) * error
