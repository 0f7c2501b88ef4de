"""The output that is saved: a reply and its receipt, legible and harmless in any notebook."""

from __future__ import annotations

from typing import Any

import di_magics.render as render
from di_magics.core.chat import Turn
from di_magics.core.receipt import receipt
from di_magics.core.record import KEY, as_record
from di_magics.core.reply import Reply


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
    return bundle, {KEY: as_record(turn)}


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
