"""Made-up audits: every verdict, every missing part, hostile names. No statistics are run here."""

from __future__ import annotations

import numpy as np

from unmirage.types import (
    Audit,
    Curve,
    Facts,
    Finding,
    Items,
    Judgement,
    Key,
    Note,
    Refusal,
    SmoothLine,
)

PYTHIA = np.array([14e6, 31e6, 70e6, 160e6, 410e6, 1e9, 1.4e9, 2.8e9, 6.9e9, 12e9])
SIZES = ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
NAMES = tuple(f"pythia-{size}" for size in SIZES)
HOSTILE = (
    "</script><script>alert(1)</script>\x1b[31mred\x00\u202egnp.exe [bold]x[/bold] \ud800 \u9577é"
)

EXACT = Facts("exact_match", "exact match", 0, 1, True, False, True, binary=True, forcing="free")
EDIT = Facts("token_edit_distance", "token edit distance", 0, np.inf, False, True, True, "tokens")
GRADE = Facts("acc", "multiple-choice grade", 0, 1, True, False, False, binary=True)
BRIER = Facts("brier", "Brier score", 0, 2, False, False, True, forcing="choice")


def logistic(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(x - middle) / width))


def curve(
    key: Key,
    facts: Facts,
    score: np.ndarray,
    n: float = 400,
    *,
    scale: np.ndarray = PYTHIA,
    scale_name: str = "params",
    floor: float = 0.0,
    ceiling: float = 1.0,
    items: bool = False,
    known: bool = True,
    notes: tuple[Note, ...] = (),
) -> Curve:
    """A curve with binomial-like intervals; known=False leaves errors and counts unknown."""
    rungs = len(scale)
    unknown = np.full(rungs, np.nan)
    top = ceiling if np.isfinite(ceiling) and ceiling > 0 else 4.0
    share = np.clip(score / top, 0, 1)
    stderr = top * np.sqrt(share * (1 - share) / n)
    names = NAMES[:rungs] if scale is PYTHIA else tuple(f"model-{i}" for i in range(rungs))
    behind = Items(("a", "b"), np.zeros((rungs, 2)), np.arange(2), 2) if items else None
    return Curve(
        key,
        facts,
        scale_name,
        scale,
        names,
        score,
        stderr if known else unknown,
        np.full(rungs, float(n)) if known else unknown,
        np.clip(score - 1.96 * stderr - top / (4 * n), 0, top) if known else unknown,
        np.clip(score + 1.96 * stderr + top / n, 0, top) if known else unknown,
        floor,
        ceiling,
        "items" if items else ("binomial" if known else "none"),
        behind,
        notes,
    )


def line(c: Curve, law: str, score: np.ndarray) -> SmoothLine:
    scale = np.geomspace(c.scale[0], c.scale[-1], 120)
    fitted = np.interp(np.log10(scale), c.x, score)
    band = 0.03 * (1 + abs(fitted))
    return SmoothLine(law, scale, fitted, fitted - band, fitted + band)


def findings(c: Curve, *, jump: bool, p: float, share: float | None = None) -> tuple[Finding, ...]:
    low, high = float(c.score.min()), float(c.score.max())
    scale = [float(s) for s in c.scale]
    middle = len(scale) // 2
    found = [
        Finding(
            "movement",
            high - low,
            f"The score moves from {low:.3g} to {high:.3g}, far beyond its sampling noise.",
            (high - low - 0.04, high - low + 0.04),
            1e-9,
            values={"rise": high - low, "lowest": low, "highest": high, "inverse": False},
        ),
        Finding(
            "emergence_score",
            27.4 if jump else 4.2,
            "Emergence score 27.4; a straight line scores 9, and a smooth curve with this noise "
            "scores above it once in 40 tries.",
            (11.0, 80.0),
            0.025,
            "Srivastava et al. 2022",
            {"per_step": 3.04, "line_score": 9},
        ),
        Finding(
            "sharpness",
            0.6 if jump else 2.3,
            "Nine tenths of the rise fall within 0.6 decades of scale; 58 % in one step.",
            (0.4, 0.9),
            values={
                "one_step_share": 0.58,
                "step_from": scale[middle],
                "step_to": scale[middle + 1],
                "steepness": 5.1,
            },
        ),
        Finding(
            "break",
            3.1,
            "A sudden step beats every smooth law only by chance."
            if p > 0.05
            else "A sudden step is left over after every smooth law.",
            None,
            p,
            values={"law": "logistic", "noise": np.float64(0.01), "size": float("nan")},
        ),
    ]
    if share is not None:
        found.append(
            Finding(
                "metric",
                share,
                f"{100 * share:.0f} % of the jump follow from the smooth companion pushed through "
                "the metric.",
                (share - 0.1, min(1.0, share + 0.06)),
                values={"companion": "token_edit_distance"},
            )
        )
    found.append(
        Finding(
            "resolution",
            None,
            "Four rungs lie at the floor; with 3,900 items they would show above it.",
            values={
                "floor_rungs": [
                    {"scale": s, "score": 0.0, "expected": 0.0004, "needed_n": 3900}
                    for s in scale[:3]
                ],
                "n": 400,
                "floor": 0.0,
                "smallest_visible": 1 / 400,
            },
        )
    )
    return (*found, Finding("brand_new_test", 1.0, "A plug-in says hello.", values={"x": [1, 2]}))


def mirage(key: Key) -> Judgement:
    """Exact match jumps; token edit distance of the same outputs is smooth."""
    x = np.log10(PYTHIA)
    per_token = 0.25 + 0.72 * logistic(x, 8.4, 0.5)
    wiggle = 1 + 0.03 * np.cos(7 * x)
    exact = np.round(np.clip(per_token**8 * wiggle, 0, 1) * 400) / 400
    main = curve(key, EXACT, exact, items=True)
    other = Key(key.family, key.task, "token_edit_distance", key.settings)
    edit = curve(other, EDIT, 4 * (1 - per_token) * wiggle, ceiling=0, floor=np.nan, items=True)
    return Judgement(
        key,
        main,
        "mirage",
        ("metric",),
        "Exact match is all or nothing over 8 tokens; under token edit distance the same outputs "
        "improve smoothly with scale, and 94 % of the jump follow from that smooth change.",
        "A break in the token edit distance itself, beyond every smooth law, at these sizes.",
        findings(main, jump=True, p=0.41, share=0.94),
        line(main, "logistic in log N", per_token**8),
        edit,
        line(edit, "power law with offset", 4 * (1 - per_token)),
        per_token**8,
    )


def survives(key: Key) -> Judgement:
    x = np.log10(PYTHIA)
    score = 0.03 + 0.9 * logistic(x, 8.93, 0.02)
    main = curve(key, EXACT, score, n=2000, items=True)
    brier = curve(
        Key(key.family, key.task, "brier", key.settings),
        BRIER,
        0.9 - 0.8 * logistic(x, 8.93, 0.03),
        floor=2.0,
        ceiling=0.0,
        n=2000,
        items=True,
    )
    return Judgement(
        key,
        main,
        "survives",
        (),
        "The jump between 410M and 1B is there under exact match and under the Brier score, with "
        "2,000 items at every size and no gap in the sizes.",
        "Models between 410M and 1B that lie on a smooth line.",
        findings(main, jump=True, p=0.0004, share=0.08),
        line(main, "broken power law", 0.03 + 0.9 * logistic(x, 8.95, 0.2)),
        brier,
        line(brier, "logistic in log N", 0.9 - 0.8 * logistic(x, 8.93, 0.2)),
        0.03 + 0.85 * logistic(x, 8.93, 0.06),
    )


def smooth(key: Key, *, known: bool = True) -> Judgement:
    score = 0.25 + 0.4 * logistic(np.log10(PYTHIA), 9.0, 0.8)
    main = curve(key, GRADE, score, known=known, floor=0.25)
    return Judgement(
        key,
        main,
        "smooth",
        (),
        "A logistic in log N fits all ten models within their noise.",
        "More items: a break smaller than 0.05 could not be seen.",
        findings(main, jump=False, p=0.6),
        line(main, "logistic in log N", score),
    )


def undecided(key: Key) -> Judgement:
    """Four models, a gap, no companion, no errors, no line."""
    scale = np.array([350e6, 1.3e9, 6.7e9, 175e9])
    score = np.array([0.01, 0.02, 0.03, 0.71])
    notes = (Note("warning", "no_stderr", "No sampling error is known.", "a.csv", 4),)
    main = curve(key, GRADE, score, known=False, scale=scale, floor=np.nan, notes=notes)
    return Judgement(
        key,
        main,
        "undecided",
        ("coverage", "resolution"),
        "There is no model between 6.7B and 175B, where 97 % of the rise fall.",
        "Two models near 20B and 60B, or the per-item outputs.",
        (
            *findings(main, jump=True, p=0.03)[:2],
            Finding(
                "coverage",
                1.42,
                "The gap between 6.7B and 175B is 1.4 decades wide.",
                values={"gap_from": 6.7e9, "gap_to": 1.75e11, "gap_decades": 1.42, "add": [2e10]},
            ),
        ),
    )


SETTINGS = {
    "scale": "params",
    "seed": 0,
    "draws": 2000,
    "level": 0.9,
    "identity": ["shots", "filter"],
    "checkpoint": "final",
    "version": "0.1.0",
}


def small() -> Audit:
    """Five triplets and two refusals: what a person sees on the first day."""
    judgements = (
        smooth(Key("Pythia", "arc_easy", "acc", (("shots", "0"),))),
        mirage(Key("Pythia", "addition_4_digit", "exact_match", (("shots", "2"),))),
        survives(Key("Pythia", "word_unscrambling", "exact_match", (("shots", "2"),))),
        undecided(Key("GPT-3", "multiplication_2_digit", "acc")),
        smooth(Key("GPT-3", "hellaswag", "acc"), known=False),
    )
    refused = (
        Refusal(
            Key("GPT-3", "squad", "f1"),
            "too_few_rungs",
            "only 2 models",
            "add at least 2 models of other sizes",
        ),
        Refusal(
            Key("Falcon", "arc_easy", "acc"),
            "no_scale",
            "the parameters of 3 models are unknown",
            "add a column params",
        ),
    )
    notes = (Note("warning", "assumed_percent", "scores.csv: scores read as percent.", None, 40),)
    return Audit(judgements, refused, notes, SETTINGS)


def hostile() -> Audit:
    """Names and texts that try to break out of every report."""
    j = mirage(Key(HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),)))
    main = j.curve
    texts = Facts(HOSTILE, HOSTILE, 0, 1, True, False, True, HOSTILE)
    bad_curve = Curve(**{**vars(main), "models": (HOSTILE,) * len(main.models), "facts": texts})
    found = (*j.findings, Finding(HOSTILE, 1.0, HOSTILE, None, 0.5, HOSTILE, {HOSTILE: HOSTILE}))
    bad = Judgement(
        **{
            **vars(j),
            "curve": bad_curve,
            "because": HOSTILE,
            "would_change": HOSTILE,
            "findings": found,
            "notes": (Note("warning", HOSTILE, HOSTILE, HOSTILE),),
        }
    )
    refused = (Refusal(j.key, HOSTILE, HOSTILE, HOSTILE),)
    return Audit((bad,), refused, (Note("info", HOSTILE, HOSTILE),), {HOSTILE: HOSTILE})


def many(count: int = 300, refused: int = 3000) -> Audit:
    kinds = (smooth, smooth, smooth, mirage, undecided, smooth, survives, smooth)
    families = ("Pythia", "OLMo", "GPT-3", "Llama", "BLOOM")
    judgements = tuple(
        kinds[i % 8](Key(families[i % 5], f"task_number_{i:04d}", "exact_match"))
        for i in range(count)
    )
    codes = ("too_few_rungs", "no_scale", "one_score", "mixed", "constant")
    refusals = tuple(
        Refusal(
            Key(families[i % 5], f"refused_{i}", "acc"),
            codes[i % 5],
            f"only {i % 3} models",
            "add models of other sizes",
        )
        for i in range(refused)
    )
    notes = tuple(Note("info", "split_by", f"split by shots ({i})") for i in range(50))
    return Audit(judgements, refusals, notes, SETTINGS)


def empty() -> Audit:
    return Audit((), (), (), {})


ALL = {"small": small, "hostile": hostile, "many": many, "empty": empty}
