"""A few sentences that lead a newcomer through an audit: one mirage, one jump that is real."""

from __future__ import annotations

from unmirage.report import marks, text, words
from unmirage.report.view import View


def story(audit: View) -> list[str]:
    """Paragraphs; each names a curve of the audit. Empty where there is nothing to tell."""
    judged = audit["audits"]
    mirages = [j for j in judged if j["verdict"] == "mirage" and "metric" in j["explained_by"]]
    real = [j for j in judged if j["verdict"] == "survives"]
    told, same = [], set()
    if mirages:
        clearest = max(mirages, key=_clear)
        told.append(_mirage(clearest))
        same = {clearest["metric"]}  # a fair comparison changes the task alone
    if real:
        told.append(_real(max(real, key=lambda j: (j["metric"] in same, *_clear(j)))))
    return told


def _clear(j: View) -> tuple[float, float, str]:
    """The clearest case first: a large rise, most of it in one step."""
    scores = [p["score"] for p in j["curve"]["points"] if p["score"] is not None] or [0.0]
    share = marks.real(marks.value_of(j, "sharpness", "one_step_share")) or 0.0
    bounded = j["curve"]["ceiling"] is not None and j["curve"]["rescored"]
    return float(bounded), (max(scores) - min(scores)) * share, j["label"]


def _jump(j: View) -> str:
    share = marks.real(marks.value_of(j, "sharpness", "one_step_share"))
    start, stop = (marks.value_of(j, "sharpness", name) for name in ("step_from", "step_to"))
    if share is None or marks.real(start) is None or marks.real(stop) is None:
        return ""
    ends = [text.scale(s, j["scale_name"]) for s in (start, stop)]
    return f", {100 * share:.0f} % of it between {ends[0]} and {ends[1]}"


def _ends(curve: View) -> str:
    scores = [text.number(p["score"], 2) for p in curve["points"]]
    return f"from {scores[0]} to {scores[-1]}" if scores else "nowhere"


def _mirage(j: View) -> str:
    lines = (
        f"{text.shorten(j['task'], 60)}: under {text.visible(j['curve']['title'], 60)} the score "
        f"goes {_ends(j['curve'])} with {words.scale_title(j['scale_name'])}{_jump(j)}. "
        "That looks like an ability that emerges. "
    )
    if j["companion"] is not None:
        lines += (
            f"But the same outputs under {text.visible(j['companion']['title'], 60)} go smoothly "
            f"{_ends(j['companion'])}"
        )
        share = marks.real(marks.finding_of(j, "metric").get("statistic"))
        if share is not None:
            lines += f", and that smooth change alone makes {100 * share:.0f} % of the jump"
        lines += ". "
    return lines + "Verdict: a mirage of the metric."


def _real(j: View) -> str:
    title = text.visible(j["curve"]["title"], 60)
    return (
        f"Not every jump is one. {text.shorten(j['task'], 60)}: under {title} the score goes "
        f"{_ends(j['curve'])}{_jump(j)}. {text.sentence(j['because'])} Verdict: it survives."
    )
