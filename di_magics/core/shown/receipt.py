"""The receipt under a reply: what was sent, what it used, and how it ended.

A receipt is a list of facts. `format_receipt` returns all of them on one line, `receipt_parts` a
short line and the details to unfold. `sweep_receipts` splits the receipts of a sweep into what they
share, which is shown once, and the rest of each run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from di_magics.core.amount import format_usd
from di_magics.core.conversation.turn import Turn
from di_magics.core.logprobs import Basis
from di_magics.core.money.cost import USUAL_TIERS
from di_magics.core.reply.reply import LOOP, Reply
from di_magics.core.request.body import sent_params
from di_magics.core.settings.extras import format_extra
from di_magics.core.settings.params import format_param
from di_magics.core.settings.services import ASK_TO_CONTINUE
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line

ENDINGS = {
    "stopped": "stopped by you",
    "cut": "cut: the stream broke off",
    "failed": "failed",
    "open": "not finished",
}
BASES: Mapping[Basis, str] = {
    "raw": "raw",
    "unknown": "raw or processed: not known",
}
"""Whether log-probabilities are the model's own."""
FINISHED = "finished"
SEPARATOR = " · "
MAX_PARAMS_CHARS = 60
"""Characters: longer parameters are only counted on the short line."""


class Receipt(NamedTuple):
    """A receipt in two parts: the facts of the short line, and the others."""

    line: tuple[str, ...]
    details: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The short line."""
        return SEPARATOR.join(self.line)

    @property
    def text(self) -> str:
        """All facts on one line."""
        return SEPARATOR.join((*self.line, *self.details))


class _Fact(NamedTuple):
    """One fact, and whether it is on the short line."""

    text: str
    short: bool


def format_receipt(turn: Turn, notes: Sequence[str] = ()) -> str:
    """Return the receipt of a turn as one line, from the request that was sent."""
    others = (fact.text for fact in _other_facts(turn))
    return SEPARATOR.join([*_model_names(turn), " ".join(_param_texts(turn)), *others, *notes])


def receipt_parts(turn: Turn, notes: Sequence[str] = ()) -> Receipt:
    """Return the facts of a receipt as a short line and details.

    The short line has model, parameters, usage, cost, notes, and an unusual ending.
    """
    params = _param_texts(turn)
    text = " ".join(params)
    is_long = len(text) > MAX_PARAMS_CHARS
    others = _receipt(_other_facts(turn))
    shown = f"{len(params)} parameters" if is_long else text
    return Receipt(
        (*_model_names(turn), shown, *others.line, *notes), (*[text] * is_long, *others.details)
    )


def outcome_line(turn: Turn) -> str:
    """Return the short line of a receipt without what was known before the reply."""
    return _receipt(_other_facts(turn)).summary


def sweep_receipts(turns: Sequence[Turn]) -> tuple[Receipt, list[Receipt]]:
    """Return the facts that all turns of a sweep share, and the other facts of each turn.

    Every parameter is a separate fact, so that only the varied ones are repeated. A time belongs to
    its turn, even if all happen to be equal.
    """
    facts = [
        [
            *(_Fact(text, True) for text in (*_model_names(turn), *_param_texts(turn))),
            *_other_facts(turn),
        ]
        for turn in turns
    ]
    times = {_Fact(text, False) for turn in turns for text in _timing_texts(turn.reply)}
    shared = set(facts[0]).intersection(*facts[1:]) - times if facts else set[_Fact]()
    common = [fact for fact in facts[0] if fact in shared] if facts else []
    return _receipt(common), [_receipt(fact for fact in own if fact not in shared) for own in facts]


def _receipt(facts: Iterable[_Fact]) -> Receipt:
    parts = list(facts)
    return Receipt(
        tuple(fact.text for fact in parts if fact.short),
        tuple(fact.text for fact in parts if not fact.short),
    )


def _model_names(turn: Turn) -> list[str]:
    reply = turn.reply
    names = [one_line(reply.model or turn.model, 120)]
    if reply.model and reply.model != turn.model:
        names.append(f"asked for {one_line(turn.model, 120)}")
    if turn.local:
        names.append("on this machine")
    return names


def _param_texts(turn: Turn) -> list[str]:
    sent = sent_params(turn.reply.request or {})
    if turn.reply.rounds and "tool_choice" in sent:  # that of the first request, not of the last
        sent["tool_choice"] = turn.params.get("tool_choice", sent["tool_choice"])
    texts = [one_line(format_param(name, value), 80) for name, value in sent.items()]
    extra = ((name, value) for name, value in turn.extra.items() if name not in sent)
    texts += [one_line(format_extra(name, value), 80) for name, value in extra]
    return texts or ["server's defaults"]


def _other_facts(turn: Turn) -> Iterator[_Fact]:
    """Yield what was sent besides the parameters, then usage, times and the ending."""
    for text in _content_texts(turn):
        yield _Fact(text, False)
    if text := _logprobs_text(turn):
        yield _Fact(text, False)
    ignored = [name for name in turn.params if turn.service.fact(name).ignored]
    for line in turn.service.warnings(ignored):
        yield _Fact(line.rstrip("."), True)
    for text in _left_out_texts(turn.reply):
        yield _Fact(text, True)
    if (tier := turn.reply.service_tier) and tier != turn.extra.get("service_tier"):
        yield _Fact(f"service tier {one_line(tier, 40)}", tier not in USUAL_TIERS)
    yield from _usage_facts(turn.reply)
    for text in _timing_texts(turn.reply):
        yield _Fact(text, False)
    ending = _ending(turn.reply)
    yield _Fact(ending, ending != FINISHED)


def _content_texts(turn: Turn) -> Iterator[str]:
    """Yield what was sent with the prompt: system prompt, turns, attachments, tools, JSON form."""
    request = turn.reply.request or {}
    if turn.system and not turn.system_is_policy:
        yield "with a system prompt"
    if "prompt" in request:
        yield f"continued from {len(request['prompt']):,} token ids"
    elif turn.continued_by == ASK_TO_CONTINUE:
        yield "continued by a request to go on"
    elif turn.continued_by:
        yield f"continued from the text ({turn.continued_by})"
    if turn.context is not None:
        turns = "turn" if turn.context == 1 else f"{turn.context:,} turns"
        yield f"with the last {turns}" if turn.context else "without earlier turns"
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
    asked = request.get("logprobs")
    if asked is None or asked is False:
        return ""
    most = (request.get("top_logprobs") or 0) if asked is True else asked
    basis = BASES[turn.service.fact("logprobs").basis]
    if not most:
        return f"log-probabilities of the tokens alone, {basis}"
    return f"{most:,} log-probabilit{'y' if most == 1 else 'ies'} a token, {basis}"


def _left_out_texts(reply: Reply) -> Iterator[str]:
    """Yield what the server sent and the reply does not show."""
    if reply.images:
        yield f"{count_noun(reply.images, 'image')} not shown"
    if reply.choices > 1:
        yield f"1 of {reply.choices} choices"


def _usage_facts(reply: Reply) -> Iterator[_Fact]:
    usage = reply.usage
    if usage.prompt_tokens is not None or usage.completion_tokens is not None:
        sent = _format_count(usage.prompt_tokens, usage.cached_tokens, "cached")
        written = _format_count(usage.completion_tokens, usage.reasoning_tokens, "reasoning")
        yield _Fact(f"{sent} → {written} tokens", True)
    if reply.estimate:
        yield _Fact(f"about {format_usd(reply.cost)}", True)
        yield _Fact(f"cost estimated: {one_line(reply.estimate, 160)}", False)
    elif reply.cost is not None:
        yield _Fact(format_usd(reply.cost) if reply.cost else "free", True)
    elif reply.status != "failed":
        yield _Fact("cost —", True)


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
    has_text = bool(reply.clean_text.strip() or reply.tool_calls or reply.images)
    if reply.hit_max_tokens:
        return "cut off by max_tokens" if has_text else "cut off by max_tokens before any text"
    if reply.finish_reason == LOOP:
        return "ended because it repeated itself (set max_tokens to let it go on)"
    reason = reply.finish_reason
    if reason == "tool_calls" and reply.tool_calls:
        return "ended with calls that were not run"
    if not has_text and reason in (None, "stop", "tool_calls"):
        return "ended without any text"
    return FINISHED if reason in (None, "stop") else one_line(reason, 40)
