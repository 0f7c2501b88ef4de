"""The output that is saved: a reply and its receipt, legible and harmless in any notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import di_magics.display.markdown as render
from di_magics.core.amount import exactly
from di_magics.core.conversation.attachment import in_fence
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.conversation.record import KEY, as_record
from di_magics.core.errors import one_line
from di_magics.core.money.cost import Entry, Tally, sections, tally
from di_magics.core.reply.json_reply import pretty
from di_magics.core.reply.reply import Reply, Round
from di_magics.core.reply.tool_calls import as_text as calls_as_text
from di_magics.core.reply.tool_calls import came_back, headline, pairs
from di_magics.core.shown.receipt import receipt
from di_magics.core.shown.tree import as_text
from di_magics.core.shown.tree import rows as rows_of
from di_magics.core.sweep.difference import Part, counted, parting
from di_magics.core.sweep.result import SweepResult


def final(turn: Turn, notes: list[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the MIME bundle of a turn's reply with its receipt, and the output's metadata."""
    line = receipt(turn, notes)
    reply = turn.reply
    before = [calls_as_text(told) for told in reply.rounds]
    form = turn.format
    shown = in_fence(reply.shown, form) if form in ("text", "json") else reply.shown
    texts = [render.to_markdown(text) for text in (*before, shown)]
    bundle = {
        "text/html": _html(reply, line, form),
        "text/markdown": "\n\n".join(filter(None, [*texts, f"*{render.escape_markdown(line)}*"])),
        "text/plain": render.strip_controls(
            "\n\n".join(filter(None, [*before, reply.shown, line]))
        ),
    }
    return bundle, {KEY: as_record(turn)}


def tree(chat: Conversation) -> dict[str, str]:
    """Return the MIME bundle of a conversation's tree; what the next request sends is bold."""
    rows = []
    for row in rows_of(chat):
        number = f"{row.number}" if row.number else ""
        strokes = f'<span style="font-family: monospace; white-space: pre">{row.strokes}</span>'
        prompt = (
            f"<b>{render.escape_html(row.prompt)}</b>"
            if row.used
            else render.escape_html(row.prompt)
        )
        heads = "".join(f" <b>◂ {render.escape_html(name)}</b>" for name in row.heads)
        faint = "" if row.used else "; opacity: 0.6"
        cells = (number, strokes + prompt, render.escape_html(row.reply) + heads)
        style = f"text-align: left; vertical-align: top{faint}"
        rows.append("<tr>" + "".join(f'<td style="{style}">{each}</td>' for each in cells))
    head = "".join(f'<th style="text-align: left">{each}</th>' for each in ("", "asked", "reply"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    html = f'<div class="{render.MATH_OFF}">{table}</div>'
    return {"text/html": html, "text/plain": render.strip_controls(as_text(chat))}


def tabular(rows: Sequence[Sequence[str]], *, head: bool) -> dict[str, str]:
    """Return rows of text as an HTML table, by MIME type."""
    lines = []
    for number, row in enumerate(rows):
        tag = "th" if head and not number else "td"
        cells = "".join(
            f'<{tag} style="text-align: left; vertical-align: top">'
            f"{render.escape_html(cell)}</{tag}>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    table = f"<table><tbody>{''.join(lines)}</tbody></table>"
    return {"text/html": f'<div class="{render.MATH_OFF}">{table}</div>'}


PER_ROW = 3
CELL = "vertical-align: top; text-align: left; width: 33%; border: 1px solid #8886"
MOST_SHOWN = 12
SAMPLE = 6


def grid(sweep: SweepResult) -> dict[str, str]:
    """Return the MIME bundle of a grid's replies with their receipts, or of a sample of many."""
    every = [(run, turn) for run, turn in zip(sweep.runs, sweep.turns, strict=True) if turn]
    shown, note = every, ""
    if len(every) > MOST_SHOWN:
        step = len(every) / SAMPLE
        shown = [every[int(i * step)] for i in range(SAMPLE)]
        note = (
            f"{len(every) - SAMPLE} of {len(every)} replies are left out here: _sweep.records has "
            "them, and %chat plot draws them."
        )
    cells, markdown, plain = [], [], []
    for run, turn in shown:
        error = one_line(sweep.errors.get(run.index, ""))
        below = " · ".join(filter(None, [receipt(turn), error]))
        cells.append(
            f'<td style="{CELL}"><b>{render.escape_html(run.label)}</b>'
            f"{_html(turn.reply, below)}</td>"
        )
        name, line_below = render.escape_markdown(run.label), render.escape_markdown(below)
        markdown.append(f"**{name}**\n\n{render.to_markdown(turn.reply.shown)}\n\n*{line_below}*")
        plain.append("\n".join([run.label, turn.reply.shown, below]))
    rows = (cells[at : at + PER_ROW] for at in range(0, len(cells), PER_ROW))
    table = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    whole = " ".join(filter(None, [sweep.summary + ".", note]))
    html = (
        f'<div class="{render.MATH_OFF}"><table><tbody>{table}</tbody></table>'
        f'<div style="opacity: 0.7; font-size: 85%">{render.escape_html(whole)}</div></div>'
    )
    return {
        "text/html": html,
        "text/markdown": "\n\n".join([*markdown, render.escape_markdown(whole)]),
        "text/plain": render.strip_controls("\n\n".join([*plain, whole])),
    }


def grid_metadata(sweep: SweepResult) -> dict[str, Any]:
    """Return the metadata of a grid's output: which notebook it is of, and that it is no turn."""
    notebook = next((turn.notebook for turn in sweep.turns if turn), "")
    return {KEY: {"notebook": notebook, "grid": len(sweep)}}


def line(words: str) -> dict[str, str]:
    """Return the MIME bundle of a line of text."""
    return {"text/plain": render.strip_controls(words)}


_STYLES = {
    "same": "",
    "gone": "background: #e5393540; text-decoration: line-through",
    "new": "background: #43a04740",
}
_SIGNS = {"same": ("", ""), "gone": ("[-", "-]"), "new": ("{+", "+}")}


def compared(parts: Sequence[Part], names: tuple[str, str]) -> dict[str, str]:
    """Return the MIME bundle of a comparison: what only the first has, and only the second."""
    tags = {"same": "span", "gone": "del", "new": "ins"}
    marked = "".join(
        f'<{tags[part.kind]} style="{_STYLES[part.kind]}">{render.escape_html(part.text)}'
        f"</{tags[part.kind]}>"
        for part in parts
    )
    legend = f"only in {names[0]}: struck out; only in {names[1]}: underlined"
    html = (
        f'<div class="{render.MATH_OFF}"><pre style="white-space: pre-wrap">{marked}</pre>'
        f'<div style="opacity: 0.7; font-size: 85%">{render.escape_html(legend)}</div></div>'
    )
    plain = "".join(part.text.join(_SIGNS[part.kind]) for part in parts)
    return {"text/html": html, "text/plain": render.strip_controls(f"{plain}\n\n{legend}")}


def repeated(texts: Sequence[str], verdict: str) -> dict[str, str]:
    """Return the MIME bundle of what the same request gave each time, and where it parts."""
    at = parting(texts)
    rows, plain = [], [verdict]
    for text, count in counted(texts):
        begin, rest = (text, "") if at is None else (text[:at], text[at:])
        marked = render.escape_html(begin)
        marked += f'<b style="background: #ffb30050">{render.escape_html(rest)}</b>'
        cell = f'<pre style="white-space: pre-wrap; text-align: left">{marked}</pre>'
        rows.append(
            f'<tr><td style="vertical-align: top">{count}×</td>'
            f'<td style="text-align: left">{cell}</td></tr>'
        )
        plain.append(f"{count}× {begin}{'>>> ' if rest else ''}{rest}")
    html = (
        f'<div class="{render.MATH_OFF}"><div>{render.escape_html(verdict)}</div>'
        f"<table><tbody>{''.join(rows)}</tbody></table></div>"
    )
    return {"text/html": html, "text/plain": render.strip_controls("\n\n".join(plain))}


BAR = 16


@exactly
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
            label = f"{title} {one_line(name, 80)}".strip()
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
            f'<{tag} style="text-align: {side}">{render.escape_html(cell)}</{tag}>'
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


def _html(reply: Reply, line: str, form: str = "") -> str:
    parts = [_round(told) for told in reply.rounds]
    parts.append(_thought(reply.reasoning))
    if reply.shown.strip():
        parts.append(_said(reply.shown, form))
    for call in reply.tool_calls:
        asked = render.escape_html(f"{call.name}({call.arguments})")
        parts.append(f"<div>asks for <code>{asked}</code>, which was not run</div>")
    parts.append(
        f'<div class="{render.MATH_OFF}" '
        f'style="opacity: 0.7; font-size: 85%; margin-top: 4px">{render.escape_html(line)}</div>'
    )
    return "".join(parts)


def _said(text: str, form: str) -> str:
    """Return a reply's text in the form that was asked for."""
    if form == "json":
        return render.to_html(in_fence(pretty(text), "json"))
    if form == "text":
        return f'<pre class="{render.MATH_OFF}" style="{PRE}">{render.escape_html(text)}</pre>'
    return render.to_html(text)


PRE = "white-space: pre-wrap"
FOLDED = f"{PRE}; margin: 4px 0 6px 4px; padding-left: 10px; border-left: 2px solid #8886"


def _thought(reasoning: str) -> str:
    return _details("Reasoning", reasoning) if reasoning else ""


def _details(summary: str, *texts: str) -> str:
    """Return texts that a reader unfolds."""
    shown = "".join(f'<pre style="{FOLDED}">{render.escape_html(text)}</pre>' for text in texts)
    head = render.escape_html(summary)
    return f'<details class="{render.MATH_OFF}"><summary>{head}</summary>{shown}</details>'


def _round(told: Round) -> str:
    """Return what a model said before its reply proper, and what it was told."""
    parts = [_thought(told.reasoning)]
    if told.text.strip():
        parts.append(render.to_html(told.text))
    parts += [
        _details(f"⚙ {headline(call, result)}", call.arguments, came_back(result))
        for call, result in pairs(told)
    ]
    if told.objection:
        parts.append(_details("asked again", told.objection))
    return "".join(parts)
