"""Is a law usable? Said once, with its name and the mend, before a fit goes wrong in the dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unmirage.errors import OptionError
from unmirage.types import Floats

if TYPE_CHECKING:
    from unmirage.forecasting.laws import Law

#: a short series that every law is tried on: decades beyond the smallest rung, and errors
TRIAL = (np.linspace(0.0, 2.0, 5), np.linspace(0.9, 0.5, 5))
#: kinds of scores (:func:`unmirage.forecasting.series.form`) that a law may hold for
FORMS = ("share", "chance", "excess", "positive")
_SHAPES = "theta (..., P) and t (..., M) give (..., M): take parameters as theta[..., :1]"


def check_facts(law: Law) -> None:
    """Names and bounds.

    Raises
    ------
    OptionError
        they contradict each other.
    """
    if not isinstance(law.name, str) or not law.name:
        raise OptionError(f"a law named {law.name!r}", mend="a name, as text")
    count = len(law.parameters)
    if not count or len(set(law.parameters)) < count:
        raise _wrong(law, f"parameters {law.parameters!r}", "one or more names, all different")
    if count != len(law.bounds):
        what = f"{count} parameters and {len(law.bounds)} bounds"
        raise _wrong(law, what, "one pair (lowest, highest) for each parameter")
    for name, pair in zip(law.parameters, law.bounds, strict=True):
        _check_bounds(law, name, pair)
    unknown = sorted({*law.positive} - {*law.parameters})
    if unknown:
        raise _wrong(law, f"positive names {', '.join(unknown)}", "names of its parameters")
    known = isinstance(law.forms, (tuple, list, set, frozenset)) and {*map(str, law.forms)}
    if not known or not known <= {*FORMS}:
        raise _wrong(law, f"forms {law.forms!r}", f"one or more of {', '.join(FORMS)}, in a tuple")


def _check_bounds(law: Law, name: str, pair: Any) -> None:
    try:
        low, high = (float(v) for v in pair)
    except (TypeError, ValueError):
        raise _wrong(law, f"bounds {pair!r} of {name}", "two numbers (lowest, highest)") from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise _wrong(law, f"bounds {pair!r} of {name}", "finite numbers, the lowest first")
    if name in law.positive and not low > 0:
        raise _wrong(law, f"bounds {pair!r} of {name}, which is positive", "a lowest above 0")


def check(law: Law) -> None:
    """Try a law on a short series: starts, formula, and the shapes of both.

    Raises
    ------
    OptionError
        it raises, returns another shape, or numbers that are not finite.
    """
    t, error = TRIAL
    low, high = np.array(law.bounds, float).T
    theta = np.clip(starts(law, t, error), low, high)
    alone = called(law, theta[0], t)
    for lead in ((), (2,), (3, 2)):
        many = np.broadcast_to(theta[0], (*lead, len(low))).copy()
        if lead:  # the last is what the others are not
            many[:-1] = (low + high) / 2
        where = np.broadcast_to(t, (*lead[:1], *(1 for _ in lead[1:]), len(t))).copy()
        made = called(law, many, where)
        if made.shape != (*lead, len(t)):
            what = f"theta of shape {many.shape} and t of shape {where.shape} give {made.shape}"
            raise _wrong(law, what, f"{_SHAPES}; here {(*lead, len(t))}")
        if not np.allclose(made[(-1,) * len(lead)], alone, equal_nan=True):
            raise _wrong(law, "a batch gives other values than its members alone", _SHAPES)
    if not np.isfinite(called(law, theta, np.broadcast_to(t, (len(theta), len(t))))).all():
        raise _wrong(law, "it is not finite where it starts", "other starts, or narrower bounds")


def starts(law: Law, t: Floats, error: Floats) -> Floats:
    """Where fits of one series start from, (G, P).

    Raises
    ------
    OptionError
        ``start`` raises, or gives something else than P finite numbers for each start.
    """
    try:
        made = np.array(list(law.start(t, error)), float)
    except Exception as problem:
        what = f"its start raises {type(problem).__name__}: {problem}"
        raise _wrong(law, what, "start(t, error) -> a list of starts, a number a parameter") from (
            problem
        )
    if made.ndim != 2 or not len(made) or made.shape[1] != len(law.parameters):
        what = f"its starts have shape {made.shape}"
        raise _wrong(law, what, f"one start or more, {len(law.parameters)} numbers each")
    if not np.isfinite(made).all():
        raise _wrong(law, "a start that is not finite", "finite numbers, whatever the scores")
    return made


def called(law: Law, theta: Floats, t: Floats, mend: str = _SHAPES) -> Floats:
    """The formula; its values may be no numbers, without a warning.

    Raises
    ------
    OptionError
        it raises, or gives complex numbers or no numbers at all.
    """
    try:
        with np.errstate(all="ignore"):
            made = np.asarray(law.formula(theta, t))
            if np.iscomplexobj(made):
                raise _wrong(law, "its formula gives complex numbers", "real numbers only")
            return np.asarray(made, float)
    except OptionError:
        raise
    except Exception as problem:
        what = f"its formula raises {type(problem).__name__}: {problem}"
        raise _wrong(law, what, mend) from problem


def _wrong(law: Law, what: str, mend: str) -> OptionError:
    return OptionError(f"the law {law.name!r}: {what}", mend=mend)
