"""Long foreign text in a `<pre>`, cut into blocks.

A browser lays out a block in quadratic time where it mixes directions or piles up marks: Chromium
needs a minute for 160,000 characters of it, at every opening of the notebook. In blocks the time is
linear. They end at line ends where there are some, and the text itself stays the same.
display/static/dom.js does so while a reply streams.
"""

from __future__ import annotations

import html
import re

MAX_BLOCK_CHARS = 2000
_BLOCK = re.compile(rf"(?s).{{1,{MAX_BLOCK_CHARS - 1}}}\n|.{{1,{MAX_BLOCK_CHARS}}}")


def escape_long_text(text: str) -> str:
    """Return text without control characters as HTML for a `<pre>` or a `<code>` in one."""
    if text.isascii() or len(text) <= MAX_BLOCK_CHARS:
        return html.escape(text)
    return "".join(f"<div>{html.escape(block)}</div>" for block in _BLOCK.findall(text))
