"""The commands about what replies cost."""

from __future__ import annotations

from di_magics.commands.answer import Words, say, table
from di_magics.core.cost import tally


class Money(Words):
    """Costs."""

    def cost(self, rest: str) -> None:
        """cost: what this conversation cost, and this notebook"""
        entries = self._session.entries()
        name = self._session.conversation.name
        here = [entry for entry in entries if entry.conversation == name]
        rows: list[tuple[str, ...]] = [("", "replies", "tokens in", "tokens out", "cost")]
        for label, total in ((name, tally(here)), ("this notebook", tally(entries))):
            counts = (total.replies, total.prompt_tokens, total.completion_tokens)
            rows.append((label, *(f"{count:,}" for count in counts), total.shown))
        say(table(rows))
