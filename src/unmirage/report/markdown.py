"""The audit as Markdown: a table of verdicts, then one section a curve."""

from __future__ import annotations

import re

from unmirage.report import text, words
from unmirage.report.groups import by_code
from unmirage.report.html import lead
from unmirage.report.view import View, view
from unmirage.types import Audit

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")


def to_markdown(audit: Audit) -> str:
    """The whole report as text; names cannot make markup of their own."""
    seen = view(audit)
    judged = sorted(seen["audits"], key=lambda j: (words.rank(j["verdict"]), j["label"]))
    lines = ["# unmirage audit", "", lead(seen), ""]
    if judged:
        lines += ["| verdict | family | task | metric | explained by |", "|---|---|---|---|---|"]
        lines += [_row(j) for j in judged]
    for j in judged:
        lines += _section(j)
    if seen["refused"]:
        lines += ["", "## Not audited", ""]
        lines += [_refused(g.first, len(g.members)) for g in by_code(seen["refused"])]
    if seen["notes"]:
        lines += ["", "## Notes", ""]
        lines += [f"- {safe(g.first['message'])}" for g in by_code(seen["notes"])]
    return "\n".join(lines) + "\n"


def safe(words_: object) -> str:
    """Text with Markdown's and HTML's own marks escaped."""
    return _MARKS.sub(r"\\\1", text.visible(words_))


def _row(j: View) -> str:
    symbol = words.sign(j["verdict"]).symbol
    cells = (j["family"], j["task"], j["metric"], " and ".join(j["explained_by"]))
    return f"| {symbol} {j['verdict']} | " + " | ".join(safe(c) for c in cells) + " |"


def _section(j: View) -> list[str]:
    lines = [
        "",
        f"## {safe(j['label'])}",
        "",
        f"**{j['verdict']}.** {safe(text.sentence(j['because']))}",
        "",
    ]
    if j["would_change"]:
        lines += [f"What would change this: {safe(j['would_change'])}", ""]
    for f in j["findings"]:
        lines.append(f"- **{safe(words.title_of(f['test']))}** {safe(f['evidence'])}")
    return lines


def _refused(one: View, count: int) -> str:
    return f"- {count:,} × {safe(one['reason']).rstrip('.')}. Mend: {safe(one['mend'])}"
