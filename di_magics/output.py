"""The output that is saved: a reply and its receipt, legible and harmless in any notebook."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import di_magics.render as render
from di_magics.core.chat import Turn
from di_magics.core.receipt import receipt
from di_magics.core.reply import Reply
from di_magics.core.wire import sent_params

METADATA_LIMIT = 64_000


def final(turn: Turn, notes: list[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the MIME bundle of a turn's reply with its receipt, and the output's metadata."""
    line = receipt(turn, notes)
    reply = turn.reply
    bundle = {
        "text/html": _html(reply, line),
        "text/markdown": "\n\n".join(
            filter(None, [render.markdown(reply.shown), f"*{render.markdown(line)}*"])
        ),
        "text/plain": render.plain("\n\n".join(filter(None, [reply.shown, line]))),
    }
    return bundle, {"di_magics": record(turn)}


def _html(reply: Reply, line: str) -> str:
    parts = []
    if reply.reasoning:
        parts.append(
            "<details><summary>Reasoning</summary>"
            f'<pre style="white-space: pre-wrap">{render.escape(reply.reasoning)}</pre></details>'
        )
    if not reply.empty:
        parts.append(render.html(reply.shown))
    for call in reply.tool_calls:
        asked = render.escape(f"{call.name}({call.arguments})")
        parts.append(f"<div>asks for the tool <code>{asked}</code></div>")
    parts.append(
        '<div class="mathjax_ignore tex2jax_ignore" '
        f'style="opacity: 0.7; font-size: 85%; margin-top: 4px">{render.escape(line)}</div>'
    )
    return "".join(parts)


def record(turn: Turn) -> dict[str, Any]:
    """Return what this turn added, as the saved notebook carries it; at most 64 kB."""
    reply = turn.reply
    fits = len(turn.prompt) + len(reply.text) + len(reply.reasoning) < METADATA_LIMIT // 4
    return {
        "turn": turn.id,
        "parent": turn.parent,
        "conversation": turn.conversation,
        "cell": list(turn.cell) if turn.cell else None,
        "prompt": turn.prompt if fits else None,
        "reply": reply.text if fits else None,
        "model": reply.model or turn.model,
        "params": sent_params(reply.request or {}),
        "status": reply.status,
        "finish_reason": reply.finish_reason,
        "usage": {
            name: getattr(reply.usage, name)
            for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        },
        "cost": str(reply.cost) if isinstance(reply.cost, Decimal) else None,
    }
