"""Audit -> plain values: what every report and every program reads (docs/json.md)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import numpy as np
import polars as pl

from unmirage.report.text import json_safe
from unmirage.types import (
    Audit,
    Curve,
    Explanation,
    Finding,
    Floats,
    Judgement,
    Key,
    Note,
    Refusal,
    SmoothLine,
    Verdict,
)

#: Name and version of the JSON; a change that breaks a reader raises the number.
SCHEMA = "unmirage.audit/1"
View = dict[str, Any]


def view(audit: Audit) -> View:
    """Everything in the audit as dicts, lists, strings, numbers, booleans and None.

    NaN and infinities become None. The same audit gives the same bytes.
    """
    return {
        "schema": SCHEMA,
        "version": package_version(),
        "settings": plain(audit.settings),
        "notes": notes_view(audit.notes),
        "summary": summary(audit),
        "audits": [judgement_view(j) for j in audit.judgements],
        "refused": [refusal_view(r) for r in audit.refused],
    }


def to_json(audit: Audit) -> str:
    """The view as JSON text; control characters in names stay escaped."""
    text = json.dumps(view(audit), ensure_ascii=False, allow_nan=False, indent=1)
    return json_safe(text) + "\n"


def package_version() -> str:
    try:
        return version("unmirage")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


# ---------------------------------------------------------------- parts


def summary(audit: Audit) -> View:
    verdicts = Counter(j.verdict for j in audit.judgements)
    mirages = [j for j in audit.judgements if j.verdict == "mirage"]
    causes = Counter(e for j in mirages for e in j.explained_by)
    return {
        "judged": len(audit.judgements),
        "refused": len(audit.refused),
        "by_verdict": {v: verdicts[v] for v in get_args(Verdict)},
        "by_explanation": {e: causes[e] for e in get_args(Explanation)},
    }


def judgement_view(judgement: Judgement) -> View:
    """One entry of ``audits``."""
    j = judgement
    return {
        **key_view(j.key),
        "scale_name": j.curve.scale_name,
        "verdict": j.verdict,
        "explained_by": list(j.explained_by),
        "because": j.because,
        "would_change": j.would_change,
        "findings": [finding_view(f) for f in j.findings],
        "curve": curve_view(j.curve),
        "smooth": smooth_view(j.smooth),
        "companion": None if j.companion is None else curve_view(j.companion),
        "companion_smooth": smooth_view(j.companion_smooth),
        "pushed": None if j.pushed is None else numbers(j.pushed),
        "notes": notes_view((*j.notes, *j.curve.notes)),
    }


def key_view(key: Key) -> View:
    return {
        "family": key.family,
        "task": key.task,
        "metric": key.metric,
        "settings": dict(key.settings),
        "label": key.label(),
    }


def refusal_view(refusal: Refusal) -> View:
    r = refusal
    return {**key_view(r.key), "code": r.code, "reason": r.reason, "mend": r.mend}


def notes_view(notes: Iterable[Note]) -> list[View]:
    return [
        {"level": n.level, "code": n.code, "message": n.message, "file": n.file, "count": n.count}
        for n in notes
    ]


def finding_view(finding: Finding) -> View:
    f = finding
    return {
        "test": f.test,
        "statistic": plain(f.statistic),
        "interval": None if f.interval is None else [plain(f.interval[0]), plain(f.interval[1])],
        "p_value": plain(f.p_value),
        "evidence": f.evidence,
        "reference": f.reference,
        "values": plain(f.values),
    }


def curve_view(curve: Curve) -> View:
    c, facts = curve, curve.facts
    columns = zip(c.models, c.scale, c.score, c.stderr, c.low, c.high, c.count, strict=True)
    return {
        "metric": facts.name,
        "title": facts.title,
        "unit": facts.unit,
        "linear": facts.linear,
        "continuous": facts.continuous,
        "higher_is_better": facts.higher_is_better,
        "floor": plain(c.floor),
        "ceiling": plain(c.ceiling),
        "points": [
            {
                "model": model,
                "scale": plain(scale),
                "score": plain(score),
                "stderr": plain(stderr),
                "low": plain(low),
                "high": plain(high),
                "n": plain(n),
            }
            for model, scale, score, stderr, low, high, n in columns
        ],
        "stderr_from": c.stderr_from,
        "rescored": c.items is not None,
    }


def smooth_view(line: SmoothLine | None) -> View | None:
    if line is None:
        return None
    return {
        "law": line.law,
        "scale": numbers(line.scale, digits=6),
        "score": numbers(line.score, digits=6),
        "low": numbers(line.low, digits=6),
        "high": numbers(line.high, digits=6),
    }


# ---------------------------------------------------------------- values


def numbers(values: Floats, digits: int | None = None) -> list[float | int | None]:
    """An array as a list; ``digits`` significant digits are enough for a line to be drawn."""
    short = (float(f"{v:.{digits}g}") if digits else float(v) for v in values)
    return [plain(v) for v in short]


def plain(value: Any) -> Any:
    """The value in JSON's own types; whole floats as integers, NaN and infinities as None."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v) for v in value), key=str)
    return str(value)


def _plain_float(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


# ---------------------------------------------------------------- frame

#: Columns of ``to_frame`` after the key: (name, finding's test, field or a key of its values).
_FROM_FINDINGS = (
    ("p_movement", "movement", "p_value"),
    ("width_decades", "sharpness", "statistic"),
    ("one_step_share", "sharpness", "one_step_share"),
    ("share_explained", "metric", "statistic"),
    ("emergence_score", "emergence_score", "statistic"),
    ("linearity", "linearity", "statistic"),
    ("breakthroughness", "breakthroughness", "statistic"),
    ("p_break", "break", "p_value"),
    ("p_companion_break", "companion_break", "p_value"),
)


def to_frame(audit: Audit) -> pl.DataFrame:
    """One row per judgement: its key, the verdict, and the numbers that people sort by."""
    settings = sorted({name for j in audit.judgements for name, _ in j.key.settings})
    fixed = _frame_schema([])
    named = {s: _storable(f"setting:{s}" if s in fixed else s) for s in settings}
    rows = [_row(j, named) for j in audit.judgements]
    return pl.DataFrame(rows, schema=_frame_schema(list(named.values())), orient="row")


def _frame_schema(settings: list[str]) -> dict[str, Any]:
    text, real = pl.String(), pl.Float64()
    return {
        **dict.fromkeys(("family", "task", "metric"), text),
        **dict.fromkeys(settings, text),
        **dict.fromkeys(("scale", "verdict", "explained_by", "because", "would_change"), text),
        "rungs": pl.Int64(),
        **dict.fromkeys(("items", "lowest", "highest", "rise"), real),
        **{name: real for name, _, _ in _FROM_FINDINGS},
        **dict.fromkeys(("companion", "law"), text),
    }


def _row(j: Judgement, settings: Mapping[str, str]) -> list[Any]:
    held, score = dict(j.key.settings), j.curve.score
    move = j.finding("movement")
    rise = None if move is None else _real(move.values.get("rise"))
    known = j.curve.count[~np.isnan(j.curve.count)]
    lowest, highest = (float(score.min()), float(score.max())) if score.size else (None, None)
    values: list[Any] = [
        *(j.key.family, j.key.task, j.key.metric),
        *(held.get(s) for s in settings),
        *(j.curve.scale_name, j.verdict, ", ".join(j.explained_by), j.because, j.would_change),
        len(j.curve.models),
        *(float(known.min()) if known.size else None, lowest, highest, rise),
        *(_from_finding(j.finding(test), name) for _, test, name in _FROM_FINDINGS),
        None if j.companion is None else j.companion.key.metric,
        None if j.smooth is None else j.smooth.law,
    ]
    return [_storable(v) if isinstance(v, str) else v for v in values]


def _storable(name: str) -> str:
    """Lone surrogates cannot be stored as UTF-8; they are written as their escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _from_finding(finding: Finding | None, name: str) -> float | None:
    if finding is None:
        return None
    return _real(getattr(finding, name) if hasattr(finding, name) else finding.values.get(name))


def _real(value: object) -> float | None:
    real = isinstance(value, (int, float, np.number)) and math.isfinite(value)
    return float(value) if real else None  # type: ignore[arg-type]
