"""What is said under a reply: what was really sent, what it used, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from di_magics.core.amount import format_usd
from di_magics.core.conversation.conversation import Turn
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


def format_receipt(turn: Turn, notes: Sequence[str] = ()) -> str:
    """Return the line under a turn's reply, read off the request that was sent."""
    reply = turn.reply
    parts = [one_line(reply.model or turn.model, 120)]
    if reply.model and reply.model != turn.model:
        parts.append(f"asked for {one_line(turn.model, 120)}")
    if turn.endpoint == "local":
        parts.append("on this machine")
    sent = sent_params(reply.request or {})
    if reply.rounds and "tool_choice" in sent:  # what the first request had, not the last
        sent["tool_choice"] = turn.params["tool_choice"]
    parts.append(
        " ".join(one_line(format_param(name, value), 80) for name, value in sent.items())
        or "server's defaults"
    )
    if turn.system and not turn.system_is_policy:
        parts.append("with a system prompt")
    if turn.context is not None:
        parts.append(
            f"with the last {turn.context} turns" if turn.context else "with no turn before it"
        )
    parts += [
        *_sent_along(turn),
        *_left_out(reply),
        *_usage_parts(reply),
        *_timing_parts(reply),
        _ending(reply),
        *notes,
    ]
    return " · ".join(parts)


def _sent_along(turn: Turn) -> list[str]:
    """Return what went along: attachments, tools, the form of the reply."""
    attached = ((one_line(each.name, 60), one_line(each.note, 160)) for each in turn.attachments)
    along = [f"with {name}: {note}" for name, note in attached]
    names = [spec["function"]["name"] for spec in turn.fields.get("tools", ())]
    if names:
        along.append(f"tools: {one_line(', '.join(map(str, names)), 120)}")
    form = turn.fields.get("response_format", {})
    if form.get("type") == "json_schema":
        along.append(f"as JSON: {one_line(form['json_schema']['name'], 60)}")
    elif form:
        along.append("as JSON")
    if turn.reply.rounds:
        last = bool(turn.reply.clean_text or turn.reply.tool_calls or turn.reply.complete)
        count = len(turn.reply.rounds) + last
        along += [f"{count} requests"] * (count > 1)
    return along


def _left_out(reply: Reply) -> list[str]:
    """Return what came and is not shown."""
    images = f"{reply.images} image{'s' * (reply.images > 1)} not shown"
    choices = f"1 of {reply.choices} choices"
    return [images] * bool(reply.images) + [choices] * (reply.choices > 1)


def _usage_parts(reply: Reply) -> list[str]:
    usage = reply.usage
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        used = []
    else:
        sent = _format_count(usage.prompt_tokens, usage.cached_tokens, "cached")
        written = _format_count(usage.completion_tokens, usage.reasoning_tokens, "reasoning")
        used = [f"{sent} → {written} tokens"]
    if reply.estimate:
        used.append(f"about {format_usd(reply.cost)} (estimate: {one_line(reply.estimate, 160)})")
    elif reply.cost is not None:
        used.append("free" if not reply.cost else format_usd(reply.cost))
    elif reply.status != "failed":
        used.append("cost —")
    return used


def _format_count(tokens: int | None, part: int | None, name: str) -> str:
    count = "?" if tokens is None else f"{tokens:,}"
    return f"{count} ({part:,} {name})" if part else count


def _timing_parts(reply: Reply) -> list[str]:
    if reply.first_token is None or reply.elapsed is None:
        return []
    timed = [f"first text {reply.first_token:.2f} s"]
    if reply.tokens_per_second is not None:
        timed.append(f"{reply.tokens_per_second:,.0f} tokens/s")
    return timed


def _ending(reply: Reply) -> str:
    if reply.status != "done":
        return ENDINGS[reply.status]
    if reply.finish_reason == "length":
        return "ran into max_tokens"
    reason = reply.finish_reason
    if reason == "tool_calls" and reply.tool_calls:
        return "ended in calls that were not run"
    return "finished" if reason is None or reason == "stop" else one_line(reason, 40)
