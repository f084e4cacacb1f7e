"""One line of responses in canonical fields: OpenAI's batch output, plain responses of completions
and chats (also Together's and vLLM's), and vLLM's offline outputs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from unmirage.records.cells import whole_list
from unmirage.records.formats.cells import BadCell
from unmirage.records.formats.completions.tokens import (
    Forced,
    Token,
    before,
    forced,
    of_choices,
    prompt_tokens,
    target_part,
    tokens_of,
)
from unmirage.records.formats.values import real, whole
from unmirage.records.jsonlines import json_text

Row = Mapping[str, Any]
TARGETS = ("targets", "target", "references", "reference", "answers", "answer", "gold", "expected")
_ITEMS = ("item", "item_id", "doc_id", "sample_id", "example_id", "question_id")
_TASKS = ("task", "task_name", "dataset", "benchmark")
_SHOTS = ("shots", "num_fewshot", "n_shots", "num_shots")
_RIGHT = ("target_index", "answer_index", "gold_index")


@dataclass(frozen=True)
class Answer:
    """What one line says."""

    item: str
    model: str | None
    task: str | None
    fields: Mapping[str, Any]  # canonical columns that all its answers share
    rows: tuple[Mapping[str, Any], ...] = ()  # one an answer
    failed: bool = False
    cut: int = 0  # answers that ended at the limit of tokens
    unaligned: bool = False  # the prompt held the target, but no tokens spell it
    unknown: bool = False  # a token of the target has no log-probability
    empty: int = 0  # choices without any text


@dataclass(frozen=True)
class _Asked:
    """The request behind a line, and what stands beside it."""

    prompt: str | None
    echo: bool
    targets: list[str]
    choices: list[str]
    told: Row  # task, item, shots, ... : the line's own fields, then the metadata's
    body: Row = field(default_factory=dict)


@dataclass(frozen=True)
class _Target:
    """What the prompt says of the target that it ends with."""

    given: bool = False  # the prompt ends with the target, which was to be scored
    fields: Mapping[str, Any] = field(default_factory=dict)
    unaligned: bool = False
    unknown: bool = False


def is_response(row: Any) -> bool:
    """Whether a line holds a response."""
    if not isinstance(row, dict):
        return False
    if "custom_id" in row and ("response" in row or "error" in row):
        return True
    outputs = row.get("outputs")
    if isinstance(outputs, list) and outputs and isinstance(outputs[0], dict):
        return "text" in outputs[0] and bool({"prompt", "prompt_token_ids"} & row.keys())
    return _choices_of(_body(row)) is not None


def is_request(row: Any) -> bool:
    """Whether a line holds a request of a batch, or the target that belongs to one."""
    if not isinstance(row, dict) or "custom_id" not in row or is_response(row):
        return False
    answered = {"output", "prediction", "completion", "generation"} & row.keys()
    return isinstance(row.get("body"), dict) or bool(set(TARGETS) & row.keys() and not answered)


def _body(row: Row) -> Row:
    """The response in a line."""
    found = row.get("response")
    found = found if isinstance(found, dict) else row
    inner = found.get("body")
    return inner if isinstance(inner, dict) else found


def _choices_of(body: Row) -> list[Row] | None:
    """The choices of a response: a table may have a column of this name."""
    listed = body.get("choices")
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        return None
    keys = listed[0].keys()
    ours = "message" in keys or ("text" in keys and {"finish_reason", "logprobs"} & keys)
    return [c for c in listed if isinstance(c, dict)] if ours else None


def model_of(name: str) -> str:
    """The model that a server names; local ones give the path of a file or a folder, whose other
    parts say nothing of the model.

    >>> model_of("/srv/70b/tiny-135M.Q4_1.gguf"), model_of("org/tiny-70m")
    ('tiny-135M.Q4_1', 'org/tiny-70m')
    >>> model_of("/cache/models--org--tiny-70m/snapshots/0f3a")
    'org/tiny-70m'
    """
    parts = [p for p in re.split(r"[/\\\\]", name) if p]
    cached = [p for p in parts if p.startswith("models--")]
    if cached:
        return cached[-1].removeprefix("models--").replace("--", "/")
    local = name.startswith((".", "/", "\\")) or re.match(r"^[A-Za-z]:", name) or len(parts) > 2
    return parts[-1].removesuffix(".gguf") if local and parts else name.removesuffix(".gguf")


# ---------------------------------------------------------------- one line


def answer_of(row: Row, request: Row | None) -> Answer:
    """One line as an answer; ``request`` is the line of the same custom_id in a file of requests.

    Raises:
        BadCell: a cell that cannot be read, or nothing that names the item.
    """
    body = _body(row)
    asked = _asked(row, body, request)
    named = (body.get("model"), asked.body.get("model"), asked.told.get("model"))
    model = next((model_of(t) for m in named if (t := _text(m))), None)
    shots = next((n for k in _SHOTS if (n := whole(asked.told.get(k))) is not None), None)
    fields: dict[str, Any] = {
        "prompt": asked.prompt,
        "targets": asked.targets or None,
        "shots": shots if shots is not None and shots >= 0 else None,
    }
    task = next((t for k in _TASKS if (t := _text(asked.told.get(k)))), None)
    blank = Answer(_item(row, asked), model, task, fields)
    status = whole(_dict(row.get("response")).get("status_code"))
    if "outputs" in row:
        return _offline(row, asked, blank)
    listed = _choices_of(body)
    if listed is None or (status is not None and status != 200):
        failed = row.get("error") or body.get("error") or row.get("response") is None
        if failed or status not in (None, 200):
            return replace(blank, failed=True)
        raise BadCell("choices", "holds no text and no message", body.get("choices"))
    return _online(body, listed, asked, blank)


def _asked(row: Row, body: Row, request: Row | None) -> _Asked:
    sent = _dict(_dict(request).get("body")) or _dict(row.get("request")) or _dict(row.get("body"))
    beside = [row, _dict(request)]
    metadata = [_dict(m.get("metadata")) for m in (row, _dict(request), sent, body)]
    told: dict[str, Any] = {}
    for one in reversed([*beside, *metadata]):
        told.update({k: v for k, v in one.items() if v is not None and k not in ("choices", "id")})
    options = next((m["choices"] for m in [*metadata, _dict(request)] if m.get("choices")), None)
    prompt = _prompt(sent) or _prompt({"prompt": told.get("prompt")}) or _prompt(told)
    targets = next((told[k] for k in TARGETS if told.get(k) is not None), None)
    echo = sent.get("echo") is True or told.get("echo") is True
    return _Asked(prompt, echo, _texts(targets), _texts(options), told, sent)


def _prompt(sent: Row) -> str | None:
    """The text of a request: its prompt, or the messages of a chat."""
    found = sent.get("prompt")
    if isinstance(found, list) and found and all(isinstance(p, str) for p in found):
        if len(found) > 1:
            raise BadCell("prompt", "is a list of several prompts in one request")
        found = found[0]
    if isinstance(found, str):
        return found or None
    messages = sent.get("messages")
    if not isinstance(messages, list):
        return None
    texts = [m.get("content") for m in messages if isinstance(m, dict)]
    return "\n\n".join(t for t in texts if isinstance(t, str)) or None


def _item(row: Row, asked: _Asked) -> str:
    """The item's own name, else the request's, else a hash of the prompt."""
    for found in (*(asked.told.get(k) for k in _ITEMS), row.get("custom_id")):
        if isinstance(found, (str, int)) and not isinstance(found, bool) and str(found).strip():
            return str(found)
    if asked.prompt is None:
        raise BadCell("custom_id", "is empty, and neither an item nor a prompt is given")
    text = asked.prompt.encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


# ---------------------------------------------------------------- answers


def _online(body: Row, listed: list[Row], asked: _Asked, blank: Answer) -> Answer:
    """Responses of a server."""
    chat = any("message" in c for c in listed)
    echoed = not chat and (asked.echo or _begins_with_null(listed[0]))
    wrote = _wrote(body, asked)
    if echoed and wrote == 0 and (text := _said(listed[0])) is not None:
        asked = replace(asked, prompt=text)  # all of it was given
    target = _forced(_prompt_part(body, listed[0], asked, echoed), echoed, wrote, asked)
    rows: list[Mapping[str, Any]] = []
    for choice in listed if not target.given else ():
        text, tokens = _said(choice), tokens_of(choice.get("logprobs"))
        if echoed:
            text, tokens = _after(text, tokens, asked)
        rows.append(_answered(text, tokens, asked))
    cut = sum(c.get("finish_reason") == "length" for c in listed)
    return _filled(blank, rows, target, cut, "chat" if chat else None)


def _offline(row: Row, asked: _Asked, blank: Answer) -> Answer:
    """Outputs of vLLM's own generate."""
    listed = [o for o in row["outputs"] if isinstance(o, dict)]
    tokens = prompt_tokens(row.get("prompt_logprobs"), row.get("prompt_token_ids"))
    rows: list[Mapping[str, Any]] = []
    wrote = 0
    for one in listed:
        ids = one.get("token_ids")
        plain = isinstance(ids, list) and all(type(i) is int and abs(i) < 2**62 for i in ids)
        wrote = max(wrote, len(ids) if isinstance(ids, list) else 2)
        rows.append({"output": _text_of(one.get("text")), "output_tokens": ids if plain else None})
    cut = sum(o.get("finish_reason") == "length" for o in listed)
    return _filled(blank, rows, _forced(tokens or None, False, wrote, asked), cut, None)


def _filled(
    blank: Answer, rows: list[Mapping[str, Any]], target: _Target, cut: int, form: str | None
) -> Answer:
    """The answer with its rows; what follows a target that was given is no answer to it."""
    fields = {**blank.fields, **target.fields, "format": form}
    if target.given:
        lost, none = target.unaligned, target.unknown
        kept: tuple[Row, ...] = () if lost or none else ({},)
        return replace(blank, fields=fields, rows=kept, unaligned=lost, unknown=none)
    many = len(rows) > 1
    numbered = [{**row, "repeat": i if many else None} for i, row in enumerate(rows, 1)]
    full = [r for r in numbered if r.get("output") is not None or r.get("choice_logprobs")]
    empty = len(rows) - len(full)
    return replace(blank, fields=fields, rows=tuple(full), cut=cut, empty=empty)


def _said(choice: Row) -> str | None:
    """The text of a choice; a refusal is an answer."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return _text_of(choice.get("text"))
    return (
        _text_of(message.get("content"))
        or _text_of(message.get("refusal"))
        or ("" if message.get("content") == "" else None)
    )


def _answered(text: str | None, tokens: list[Token], asked: _Asked) -> dict[str, Any]:
    ids = [t.id for t in tokens if t.id is not None]
    row: dict[str, Any] = {"output": text}
    if ids and len(ids) == len(tokens):
        row["output_tokens"] = ids
    if asked.choices and tokens and (logs := of_choices(tokens[0], asked.choices)):
        row |= {"choices": asked.choices, "choice_logprobs": logs, **_right(asked)}
    return row


def _right(asked: _Asked) -> dict[str, Any]:
    index = next((n for k in _RIGHT if (n := whole(asked.told.get(k))) is not None), None)
    if index is None and len(asked.targets) == 1:
        same = [i for i, c in enumerate(asked.choices) if c.strip() == asked.targets[0].strip()]
        index = same[0] if len(same) == 1 else None
    return {"target_index": index} if index is not None and 0 <= index < len(asked.choices) else {}


# ---------------------------------------------------------------- prompts and targets


def _prompt_part(body: Row, choice: Row, asked: _Asked, echoed: bool) -> list[Token] | None:
    """The tokens of the prompt, where a response tells them."""
    listed = choice.get("prompt_logprobs") or body.get("prompt_logprobs")
    ids = choice.get("prompt_token_ids") or body.get("prompt_token_ids")
    if found := prompt_tokens(listed, ids):
        return found
    own = body.get("prompt")  # Together echoes it beside the choices
    if isinstance(own, list) and own and isinstance(own[0], dict):
        return tokens_of(own[0].get("logprobs")) or None
    if not echoed or asked.prompt is None:
        return None
    return before(tokens_of(choice.get("logprobs")), asked.prompt)


def _begins_with_null(choice: Row) -> bool:
    """Whether the first token has no log-probability: it is the first of the prompt, for a token
    that was written has one."""
    values = _dict(choice.get("logprobs")).get("token_logprobs")
    return isinstance(values, list) and bool(values) and values[0] is None


def _wrote(body: Row, asked: _Asked) -> int | None:
    """How many tokens were written at most; None where nothing says."""
    told = _dict(body.get("usage")).get("completion_tokens")
    limits = (asked.body.get("max_tokens"), asked.body.get("max_completion_tokens"))
    return next((n for v in (told, *limits) if (n := whole(v)) is not None and n >= 0), None)


def _after(text: str | None, tokens: list[Token], asked: _Asked) -> tuple[str | None, list[Token]]:
    """What follows an echoed prompt; nothing where it is not known how long that is."""
    if text is None or asked.prompt is None or not text.startswith(asked.prompt):
        return None, []
    head = before(tokens, asked.prompt)
    return text[len(asked.prompt) :] or None, tokens[len(head) :] if head is not None else []


def _forced(tokens: list[Token] | None, echoed: bool, wrote: int | None, asked: _Asked) -> _Target:
    """The target, where it was the end of a prompt that was to be scored, not continued: a question
    may end with its answer by chance."""
    target = asked.targets[0] if len(asked.targets) == 1 else ""
    if not target.strip() or asked.prompt is None or not asked.prompt.endswith(target):
        return _Target()
    if wrote is None or wrote > 1 or (tokens is None and not echoed):
        return _Target()
    part = target_part(tokens, target) if tokens else None
    if part is None:
        return _Target(given=True, unaligned=True)
    told: Forced | None = forced(part)
    if told is None:
        return _Target(given=True, unknown=True)
    fields = {
        "prompt": asked.prompt[: -len(target)],
        "token_logprobs": told.logprobs,
        "target_tokens": told.ids,
        "token_correct": told.correct,
        "target_bytes": len(target.encode("utf-8", "replace")),
    }
    return _Target(given=True, fields=fields)


# ---------------------------------------------------------------- cells


def _dict(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _text_of(value: Any) -> str | None:
    """A text; newer chats give a list of parts."""
    if isinstance(value, list):
        parts = [p.get("text") for p in value if isinstance(p, dict)]
        value = "".join(p for p in parts if isinstance(p, str)) or None
    return value if isinstance(value, str) else None


def _texts(value: Any) -> list[str]:
    """Texts; the metadata of OpenAI holds texts only, a list of them as JSON."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = whole_list(value)
        except ValueError:
            return [value]
    return list(_each(value))


def _each(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        number = real(one) if isinstance(one, float) else None
        if number is not None and number == int(number or 0):
            yield str(int(number))
        elif one is not None and (text := json_text(one)) is not None:
            yield text
