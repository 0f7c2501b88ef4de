"""Answers of commands as tables: HTML for a notebook and the same as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import di_magics.display.markdown as render
from di_magics.core.amount import in_money_context
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.money.tally import Entry, cost_sections, tally
from di_magics.core.shown.tree import tree_rows, tree_text
from di_magics.core.sweep.difference import Part, count_texts, first_difference
from di_magics.core.text import align_columns
from di_magics.core.visible import one_line, strip_controls
from di_magics.display.long_text import join_blocks

PRE_LEFT = f"{render.PRE}; text-align: left"


def _html_table(
    rows: Sequence[Sequence[str]],
    head: Sequence[str] = (),
    align: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> str:
    """Return a table of cells that are HTML already.

    `align` has the side of every column (left by default), `styles` additional CSS of every row.
    """
    sides = align or ["left"] * max(map(len, [*rows, head]), default=0)

    def row_html(tag: str, cells: Sequence[str], style: str = "") -> str:
        columns = zip(cells, sides, strict=True)
        css = "text-align: {}; vertical-align: top" + style
        return "".join(
            f'<{tag} style="{css.format(side)}">{cell}</{tag}>' for cell, side in columns
        )

    top = f"<thead><tr>{row_html('th', head)}</tr></thead>" if head else ""
    body = "".join(
        f"<tr>{row_html('td', cells, styles[at] if styles else '')}</tr>"
        for at, cells in enumerate(rows)
    )
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _bundle(html: str, plain: str) -> render.Bundle:
    html = f'<div class="{render.MATH_OFF}">{html}</div>'
    return {"text/html": html, "text/plain": strip_controls(plain)}


def table_output(rows: Sequence[Sequence[str]], *, head: bool = False) -> render.Bundle:
    """Return rows of text as a table; the first may be its head."""
    cells = [[render.escape_html(cell) for cell in row] for row in rows]
    table = _html_table(cells[1:], cells[0]) if head else _html_table(cells)
    return _bundle(table, align_columns(rows))


def tree_output(conversation: Conversation) -> render.Bundle:
    """Return a conversation's tree; the turns of the next request are bold."""
    rows, styles = [], []
    for row in tree_rows(conversation):
        strokes = f'<span style="font-family: monospace; white-space: pre">{row.strokes}</span>'
        prompt, reply = render.escape_html(row.prompt), render.escape_html(row.reply)
        prompt = f"<b>{prompt}</b>" if row.is_sent else prompt
        heads = "".join(f" <b>◂ {render.escape_html(name)}</b>" for name in row.heads)
        rows.append((f"{row.number or ''}", strokes + prompt, reply + heads))
        styles.append("" if row.is_sent else "; opacity: 0.6")
    table = _html_table(rows, ("", "asked", "reply"), styles=styles)
    return _bundle(table, tree_text(conversation))


_TAGS = {"same": "span", "gone": "del", "new": "ins"}
_STYLES = {
    "same": "",
    "gone": "background: #e5393540; text-decoration: line-through",
    "new": "background: #43a04740",
}
_SIGNS = {"same": ("", ""), "gone": ("[-", "-]"), "new": ("{+", "+}")}


def comparison_output(parts: Sequence[Part], names: tuple[str, str]) -> render.Bundle:
    """Return a comparison of two texts: the parts only in the first, and only in the second."""
    marked = join_blocks(
        (
            part.text,
            f'<{_TAGS[part.kind]} style="{_STYLES[part.kind]}">{render.escape_html(part.text)}'
            f"</{_TAGS[part.kind]}>",
        )
        for part in parts
    )
    legend = f"only in {names[0]}: struck out; only in {names[1]}: underlined"
    note = f'<div style="{render.NOTE}">{render.escape_html(legend)}</div>'
    plain = "".join(part.text.join(_SIGNS[part.kind]) for part in parts)
    return _bundle(f'<pre style="{PRE_LEFT}">{marked}</pre>{note}', f"{plain}\n\n{legend}")


def repeats_output(texts: Sequence[str], verdict: str) -> render.Bundle:
    """Return the replies to one repeated request, marked from the first difference."""
    at = first_difference(texts)
    rows, plain = [], [verdict]
    for text, count in count_texts(texts):
        begin, rest = (text, "") if at is None else (text[:at], text[at:])
        marked = render.escape_html(begin)
        marked += f'<b style="background: #ffb30050">{render.escape_html(rest)}</b>'
        rows.append((f"{count}×", f'<pre style="{PRE_LEFT}">{marked}</pre>'))
        plain.append(f"{count}× {begin}{'>>> ' if rest else ''}{rest}")
    html = f"<div>{render.escape_html(verdict)}</div>{_html_table(rows)}"
    return _bundle(html, "\n\n".join(plain))


BAR = 8  # the table fits between JupyterLab's sidebars at 1280 pixels
_COUNTS = ("replies", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")


@in_money_context
def cost_output(
    entries: Sequence[Entry], names: Mapping[str, str], *, everywhere: bool
) -> render.Bundle:
    """Return the costs of these entries, with a bar for the share of every group."""
    sections = {
        **cost_sections(entries, names, everywhere=everywhere),
        "in all": {"": tally(entries)},
    }
    paid = any(entry.cost for entry in entries)
    share = "share of the cost" if paid else "share of the tokens out"
    head = ("", "replies", "tokens in", "cached", "out", "reasoning", "cost", share)
    rows: list[tuple[str, ...]] = []
    for title, groups in sections.items():
        weights = [total.cost if paid else total.completion_tokens for total in groups.values()]
        for (name, total), weight in zip(groups.items(), weights, strict=True):
            filled = round(BAR * weight / sum(weights)) if any(weights) else 0
            bar = "" if len(groups) < 2 else "█" * filled + "░" * (BAR - filled)
            label = f"{title} {one_line(name, 80)}".strip()
            counts = (f"{getattr(total, name):,}" for name in _COUNTS)
            rows.append((label, *counts, total.text, bar))
    align = ["left", *["right"] * len(_COUNTS), "left", "left"]
    cells = [[render.escape_html(cell) for cell in row] for row in (head, *rows)]
    return _bundle(_html_table(cells[1:], cells[0], align), align_columns([head, *rows], align))
