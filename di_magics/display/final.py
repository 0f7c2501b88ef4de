"""The saved output: a reply and its receipt, readable and harmless in any notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

import di_magics.display.markdown as render
from di_magics.core.conversation.attachment import fence_block
from di_magics.core.conversation.record import METADATA_KEY, notebook_record
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.json_reply import format_json
from di_magics.core.reply.reply import MAX_SHOWN_CHARS, Reply, Round
from di_magics.core.reply.sources import Source, list_sources
from di_magics.core.reply.tool_calls import round_folds, round_text
from di_magics.core.shown.receipt import (
    SEPARATOR,
    Receipt,
    format_receipt,
    receipt_parts,
    sweep_receipts,
)
from di_magics.core.sweep.result import SweepResult
from di_magics.core.visible import one_line, show_direction, strip_controls

Part = TypeVar("Part", Reply, Round)

IN_ADDRESS = "/:?#@!&*+,;=%-._~"
"""Characters that `quote` leaves as they are, because they are safe in the target of a link."""
FOLDED = f"{render.PRE}; margin: 4px 0 6px 4px; padding-left: 10px; border-left: 2px solid #8886"


def final_output(turn: Turn, notes: list[str]) -> tuple[render.Bundle, dict[str, Any]]:
    """Return a turn's reply with its receipt, and the metadata of the output."""
    metadata = {METADATA_KEY: notebook_record(turn)}
    turn, notes = _shorten(turn, notes)
    receipt = format_receipt(turn, notes)
    parts = receipt_parts(turn, notes)
    reply, text = turn.reply, turn.reply.clean_text
    rounds = [round_text(finished) for finished in reply.rounds]
    source = fence_block(text, turn.format) if turn.format in ("text", "json") else text
    markdown = [render.to_markdown(part) for part in (*rounds, source)]
    markdown.append(_sources_markdown(reply.sources))
    listed = list_sources(reply.sources).rstrip()
    bundle = {
        "text/html": _reply_html(reply, parts, turn.format),
        "text/markdown": _join(*markdown, f"*{render.escape_markdown(receipt)}*"),
        "text/plain": show_direction(_join(*rounds, text, listed, receipt)),
    }
    return bundle, metadata


def _shorten(turn: Turn, notes: list[str]) -> tuple[Turn, list[str]]:
    """Return a turn with as much of its texts as is displayed, and the notes with one on that."""
    parts: tuple[Reply | Round, ...] = (turn.reply, *turn.reply.rounds)
    longest = max(len(text) for part in parts for text in (part.text, part.reasoning))
    if longest <= MAX_SHOWN_CHARS:
        return turn, notes
    reply = _cut(replace(turn.reply, rounds=tuple(map(_cut, turn.reply.rounds))))
    note = f"{MAX_SHOWN_CHARS:,} of {longest:,} characters are displayed"
    return replace(turn, reply=reply), [*notes, note]


def _cut(part: Part) -> Part:
    text, reasoning = part.text[:MAX_SHOWN_CHARS], part.reasoning[:MAX_SHOWN_CHARS]
    return replace(part, text=text, reasoning=reasoning)


def reply_output(reply: Reply) -> render.Bundle:
    """Return a reply as the value of a cell: as below the cell that asked, but not as a turn."""
    request = reply.request or {}
    form = "json" if "response_format" in request else ""
    return final_output(Turn("", "", model=request.get("model", ""), format=form, reply=reply), [])[
        0
    ]


def line_output(text: str) -> render.Bundle:
    """Return a line of text."""
    return {"text/plain": strip_controls(text)}


# A sweep's replies side by side ---------------------------------------------------------------

PER_ROW = 3
CELL = "vertical-align: top; text-align: left; width: 33%; border: 1px solid #8886"
MAX_SHOWN = 12
SAMPLE = 6


def grid_output(sweep: SweepResult) -> render.Bundle:
    """Return a sweep's replies with their receipts, or a sample if there are many.

    What the receipts share is below the replies, once.
    """
    runs = [
        (run, *_shorten(turn, []))
        for run, turn in zip(sweep.runs, sweep.turns, strict=True)
        if turn
    ]
    common, receipts = sweep_receipts([turn for _, turn, _ in runs])
    common = Receipt(("every run", *common.line), common.details)
    shown, summary = list(range(len(runs))), f"{sweep.summary}."
    if len(runs) > MAX_SHOWN:
        shown = [int(at * len(runs) / SAMPLE) for at in range(SAMPLE)]
        summary += (
            f" {len(runs) - SAMPLE} of {len(runs)} replies are not displayed: they are in "
            "_sweep.records, and %chat plot draws them."
        )
    cells, markdown, plain = [], [], []
    for at in shown:
        run, turn, notes = runs[at]
        label, text = run.label, turn.reply.clean_text
        known = {*run.varied_texts}
        line = [f for f in receipts[at].line if known.isdisjoint((f, f"model={f}"))] + notes
        if error := one_line(sweep.errors.get(run.index, "")):
            line.append(error)
        receipt = Receipt(tuple(line), receipts[at].details)
        reply_html = _reply_html(turn.reply, receipt)
        cells.append(f'<td style="{CELL}"><b>{render.escape_html(label)}</b>{reply_html}</td>')
        below = receipt.text and f"*{render.escape_markdown(receipt.text)}*"
        markdown += [f"**{render.escape_markdown(label)}**", render.to_markdown(text), below]
        plain.append("\n".join([label, text, receipt.text]))
    rows = (cells[at : at + PER_ROW] for at in range(0, len(cells), PER_ROW))
    table = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    ends = (summary, common.text)
    return {
        "text/html": f'<div class="{render.MATH_OFF}"><table><tbody>{table}</tbody></table>'
        f'<div style="{render.NOTE}">{render.escape_html(summary)}</div></div>'
        f"{_receipt_html(common)}",
        "text/markdown": _join(*markdown, *map(render.escape_markdown, ends)),
        "text/plain": show_direction(_join(*plain, *ends)),
    }


def grid_metadata(sweep: SweepResult) -> dict[str, Any]:
    """Return the metadata of a sweep's output: its notebook, and that it is not a turn."""
    notebook = next((turn.notebook for turn in sweep.turns if turn), "")
    return {METADATA_KEY: {"notebook": notebook, "grid": len(sweep)}}


# A reply as HTML ------------------------------------------------------------------------------


def _reply_html(reply: Reply, receipt: Receipt, form: str = "") -> str:
    parts = [_round_html(finished) for finished in reply.rounds]
    parts.append(_reasoning_html(reply.reasoning))
    if reply.clean_text.strip():
        parts.append(_text_html(reply.clean_text, form))
    parts.append(_sources_html(reply.sources))
    for call in reply.tool_calls:
        code = render.escape_html(f"{call.name}({call.arguments[:MAX_SHOWN_CHARS]})")
        parts.append(f"<div>asks for <code>{code}</code>, which was not run</div>")
    return "".join([*parts, _receipt_html(receipt)])


def _sources_html(sources: Sequence[Source]) -> str:
    """Return the sources of a reply as a numbered list."""
    items = []
    for url, title in sources:
        shown, href = render.escape_html(title), render.escape_html(quote(url, safe=IN_ADDRESS))
        link = f'<a href="{href}" rel="noopener noreferrer nofollow" target="_blank">{shown}</a>'
        items.append(f"<li>{link if url else shown}</li>")
    style = f'class="{render.MATH_OFF}" style="{render.NOTE}"'
    return f"<div {style}>Sources<ol>{''.join(items)}</ol></div>" if items else ""


def _sources_markdown(sources: Sequence[Source]) -> str:
    """Return the same in Markdown."""
    lines = []
    for number, (url, title) in enumerate(sources, 1):
        shown = render.escape_markdown(title)
        address = quote(url, safe=IN_ADDRESS).replace("&", "&amp;")
        lines.append(f"{number}. [{shown}]({address})" if url else f"{number}. {shown}")
    return "\n".join(["Sources:\n", *lines]) if lines else ""


def _receipt_html(receipt: Receipt) -> str:
    """Return a receipt as a line that unfolds to its details."""
    line, rest = receipt.summary or "more", SEPARATOR.join(receipt.details)
    attributes = f'class="{render.MATH_OFF}" style="{render.NOTE}; margin-top: 4px"'
    head, details = render.escape_html(line), render.escape_html(rest)
    if not rest:
        return f"<div {attributes}>{head}</div>"
    return f"<details {attributes}><summary>{head}</summary>{details}</details>"


def _text_html(text: str, form: str) -> str:
    """Return a reply's text in the requested form."""
    if form == "json":
        return render.to_html(fence_block(format_json(text), "json"))
    if form == "text":
        shown = render.escape_html(text)
        return f'<pre class="{render.MATH_OFF}" style="{render.PRE}">{shown}</pre>'
    return render.to_html(text)


def _round_html(finished: Round) -> str:
    """Return a round of tool calls or a repair, which is before the reply itself."""
    parts = [_reasoning_html(finished.reasoning)]
    if finished.text.strip():
        parts.append(render.to_html(finished.text))
    parts += [_fold_html(*fold) for fold in round_folds(finished, MAX_SHOWN_CHARS)]
    return "".join(parts)


def _reasoning_html(reasoning: str) -> str:
    return _fold_html("Reasoning", reasoning) if reasoning else ""


def _fold_html(summary: str, *texts: str) -> str:
    """Return texts that the user can unfold."""
    shown = map(render.escape_html, texts)
    body = "".join(f'<pre style="{FOLDED}">{text}</pre>' for text in shown)
    head = render.escape_html(summary)
    return f'<details class="{render.MATH_OFF}"><summary>{head}</summary>{body}</details>'


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
