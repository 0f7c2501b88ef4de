"""The output that is saved: a reply and its receipt, legible and harmless in any notebook."""

from __future__ import annotations

from typing import Any

import di_magics.render as render
from di_magics.core.chat import Conversation, Turn
from di_magics.core.receipt import receipt
from di_magics.core.record import KEY, as_record
from di_magics.core.reply import Reply
from di_magics.core.tree import as_text
from di_magics.core.tree import rows as rows_of


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


def tree(chat: Conversation) -> dict[str, str]:
    """Return the MIME bundle of a conversation's tree; what the next request sends is bold."""
    rows = []
    for row in rows_of(chat):
        number = f"{row.number}" if row.number else ""
        strokes = f'<span style="font-family: monospace; white-space: pre">{row.strokes}</span>'
        prompt = f"<b>{render.escape(row.prompt)}</b>" if row.used else render.escape(row.prompt)
        heads = "".join(f" <b>◂ {render.escape(name)}</b>" for name in row.heads)
        faint = "" if row.used else "; opacity: 0.6"
        cells = (number, strokes + prompt, render.escape(row.reply) + heads)
        style = f"text-align: left; vertical-align: top{faint}"
        rows.append("<tr>" + "".join(f'<td style="{style}">{each}</td>' for each in cells))
    head = "".join(f'<th style="text-align: left">{each}</th>' for each in ("", "asked", "reply"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    html = f'<div class="{render.MATH_OFF}">{table}</div>'
    return {"text/html": html, "text/plain": render.plain(as_text(chat))}


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
