"""The output that is saved: a reply and its receipt, legible and harmless in any notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import di_magics.render as render
from di_magics.core.chat import Conversation, Turn
from di_magics.core.cost import Entry, Tally, sections, tally
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


BAR = 16


def account(
    entries: Sequence[Entry], names: Mapping[str, str], *, everywhere: bool
) -> dict[str, str]:
    """Return the MIME bundle of what these entries have cost, with a bar for each share of it."""
    found = sections(entries, names, everywhere=everywhere)
    paid = any(entry.cost for entry in entries)
    share = "share of the cost" if paid else "share of the tokens out"
    head = ("", "replies", "tokens in", "cached", "out", "reasoning", "cost", share)
    rows: list[tuple[str, ...]] = []
    for title, groups in {**found, "in all": {"": tally(entries)}}.items():
        weights = [total.cost if paid else total.completion_tokens for total in groups.values()]
        for (name, total), weight in zip(groups.items(), weights, strict=True):
            label = f"{title} {render.plain(name)}".strip()
            full = round(BAR * weight / sum(weights)) if any(weights) else 0
            bar = "" if len(groups) < 2 else "█" * full + "░" * (BAR - full)
            rows.append((label, *_counts(total), total.shown, bar))
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    aligned = [str.ljust, *[str.rjust] * (len(head) - 3), str.ljust, str.ljust]
    lines = []
    for row in (head, *rows):
        cells = zip(aligned, row, widths, strict=True)
        lines.append("  ".join(align(cell, width) for align, cell, width in cells).rstrip())
    sides = ["left", *["right"] * (len(head) - 3), "left", "left"]

    def line(tag: str, row: Sequence[str]) -> str:
        cells = zip(sides, row, strict=True)
        return "".join(
            f'<{tag} style="text-align: {side}">{render.escape(cell)}</{tag}>'
            for side, cell in cells
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"
    html = f'<div class="{render.MATH_OFF}">{table}</div>'
    return {"text/html": html, "text/plain": "\n".join(lines)}


def _counts(total: Tally) -> list[str]:
    counts = (
        total.replies,
        total.prompt_tokens,
        total.cached_tokens,
        total.completion_tokens,
        total.reasoning_tokens,
    )
    return [f"{count:,}" for count in counts]


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
