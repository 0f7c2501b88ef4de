"""The receipt under a reply: what was sent, what it used, and how it ended.

A receipt is a list of facts. `format_receipt` returns all of them on one line, `receipt_parts` a
short line and the details to unfold, and `common_facts` the facts that the runs of a sweep share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from di_magics.core.amount import format_usd
from di_magics.core.conversation.conversation import Turn
from di_magics.core.logprobs import Basis, basis_of
from di_magics.core.reply.reply import Reply
from di_magics.core.request.body import sent_params
from di_magics.core.settings.params import format_param
from di_magics.core.text import one_line

ENDINGS = {
    "stopped": "stopped by you",
    "cut": "cut: the stream broke off",
    "failed": "failed",
    "open": "not finished",
}
BASES: Mapping[Basis, str] = {
    "raw": "raw",
    "processed": "after the settings",
    "unknown": "raw or after the settings: not known",
}
"""Whether log-probabilities are the model's own."""
FINISHED = "finished"
LONGEST_PARAMS = 60
"""Characters: longer parameters are only counted on the short line."""


class Receipt(NamedTuple):
    """A receipt in two parts: a short line, and the facts that are not on it."""

    summary: str
    details: tuple[str, ...]


class _Fact(NamedTuple):
    """One fact: all of it, and its parts for the short line and for the details."""

    text: str
    summary: str = ""
    detail: str = ""


def format_receipt(turn: Turn, notes: Sequence[str] = ()) -> str:
    """Return the receipt of a turn as one line, from the request that was sent."""
    return " · ".join(fact.text for fact in _facts(turn, notes))


def receipt_parts(turn: Turn, notes: Sequence[str] = ()) -> Receipt:
    """Return the facts of a receipt as a short line and details.

    The short line has model, parameters, usage, cost, notes, and an unusual ending.
    """
    facts = list(_facts(turn, notes))
    return Receipt(
        " · ".join(fact.summary for fact in facts if fact.summary),
        tuple(fact.detail for fact in facts if fact.detail),
    )


def common_facts(turns: Sequence[Turn]) -> tuple[list[str], list[list[str]]]:
    """Return the facts that all receipts of a sweep share, and the other facts of each receipt.

    Every parameter is a separate fact, so that only the varied ones are repeated.
    """
    facts = [
        [
            *_model_names(turn),
            *_param_texts(turn),
            *(fact.text for fact in _other_facts(turn)),
        ]
        for turn in turns
    ]
    shared = set(facts[0]).intersection(*facts[1:]) if facts else set[str]()
    common = [fact for fact in facts[0] if fact in shared] if facts else []
    return common, [[fact for fact in own if fact not in shared] for own in facts]


def _facts(turn: Turn, notes: Sequence[str]) -> Iterator[_Fact]:
    yield from (_Fact(name, name) for name in _model_names(turn))
    params = _param_texts(turn)
    text = " ".join(params)
    if len(text) > LONGEST_PARAMS:
        yield _Fact(text, f"{len(params)} parameters", text)
    else:
        yield _Fact(text, text)
    yield from _other_facts(turn)
    yield from (_Fact(note, note) for note in notes)


def _model_names(turn: Turn) -> list[str]:
    reply = turn.reply
    names = [one_line(reply.model or turn.model, 120)]
    if reply.model and reply.model != turn.model:
        names.append(f"asked for {one_line(turn.model, 120)}")
    if turn.endpoint == "local":
        names.append("on this machine")
    return names


def _param_texts(turn: Turn) -> list[str]:
    sent = sent_params(turn.reply.request or {})
    if turn.reply.rounds and "tool_choice" in sent:  # that of the first request, not of the last
        sent["tool_choice"] = turn.params["tool_choice"]
    texts = [one_line(format_param(name, value), 80) for name, value in sent.items()]
    return texts or ["server's defaults"]


def _other_facts(turn: Turn) -> Iterator[_Fact]:
    """Yield what was sent besides the parameters, then usage, times and the ending."""
    for text in _content_texts(turn):
        yield _Fact(text, detail=text)
    if text := _logprobs_text(turn):
        yield _Fact(text, detail=text)
    for text in _left_out_texts(turn.reply):
        yield _Fact(text, text)
    yield from _usage_facts(turn.reply)
    for text in _timing_texts(turn.reply):
        yield _Fact(text, detail=text)
    ending = _ending(turn.reply)
    yield _Fact(ending, detail=ending) if ending == FINISHED else _Fact(ending, ending)


def _content_texts(turn: Turn) -> Iterator[str]:
    """Yield what was sent with the prompt: system prompt, turns, attachments, tools, JSON form."""
    if turn.system and not turn.system_is_policy:
        yield "with a system prompt"
    if turn.context is not None:
        yield f"with the last {turn.context} turns" if turn.context else "without earlier turns"
    for attachment in turn.attachments:
        yield f"with {one_line(attachment.name, 60)}: {one_line(attachment.note, 160)}"
    names = [spec["function"]["name"] for spec in turn.fields.get("tools", ())]
    if names:
        yield f"tools: {one_line(', '.join(map(str, names)), 120)}"
    form = turn.fields.get("response_format", {})
    if form.get("type") == "json_schema":
        yield f"as JSON: {one_line(form['json_schema']['name'], 60)}"
    elif form:
        yield "as JSON"
    if turn.reply.rounds:
        last = bool(turn.reply.clean_text or turn.reply.tool_calls or turn.reply.complete)
        count = len(turn.reply.rounds) + last
        if count > 1:
            yield f"{count} requests"


def _logprobs_text(turn: Turn) -> str:
    """Return how many log-probabilities were asked for, and whether they are the model's own."""
    request = turn.reply.request or {}
    if request.get("logprobs") is not True:
        return ""
    most = request.get("top_logprobs") or 0
    basis = BASES[basis_of(turn.local)]
    if not most:
        return f"log-probabilities of the tokens alone, {basis}"
    return f"{most:,} log-probabilit{'y' if most == 1 else 'ies'} a token, {basis}"


def _left_out_texts(reply: Reply) -> Iterator[str]:
    """Yield what the server sent and the reply does not show."""
    if reply.images:
        yield f"{reply.images} image{'s' * (reply.images > 1)} not shown"
    if reply.choices > 1:
        yield f"1 of {reply.choices} choices"


def _usage_facts(reply: Reply) -> Iterator[_Fact]:
    usage = reply.usage
    if usage.prompt_tokens is not None or usage.completion_tokens is not None:
        sent = _format_count(usage.prompt_tokens, usage.cached_tokens, "cached")
        written = _format_count(usage.completion_tokens, usage.reasoning_tokens, "reasoning")
        tokens = f"{sent} → {written} tokens"
        yield _Fact(tokens, tokens)
    if reply.estimate:
        about, estimate = f"about {format_usd(reply.cost)}", one_line(reply.estimate, 160)
        yield _Fact(f"{about} (estimate: {estimate})", about, f"cost estimated: {estimate}")
    elif reply.cost is not None:
        cost = format_usd(reply.cost) if reply.cost else "free"
        yield _Fact(cost, cost)
    elif reply.status != "failed":
        yield _Fact("cost —", "cost —")


def _format_count(tokens: int | None, part: int | None, name: str) -> str:
    count = "?" if tokens is None else f"{tokens:,}"
    return f"{count} ({part:,} {name})" if part else count


def _timing_texts(reply: Reply) -> Iterator[str]:
    if reply.first_token is None or reply.elapsed is None:
        return
    yield f"first text {reply.first_token:.2f} s"
    if reply.tokens_per_second is not None:
        yield f"{reply.tokens_per_second:,.0f} tokens/s"


def _ending(reply: Reply) -> str:
    if reply.status != "done":
        return ENDINGS[reply.status]
    if reply.finish_reason == "length":
        return "ran into max_tokens"
    reason = reply.finish_reason
    if reason == "tool_calls" and reply.tool_calls:
        return "ended with calls that were not run"
    return FINISHED if reason is None or reason == "stop" else one_line(reason, 40)
