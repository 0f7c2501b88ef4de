"""The commands about money: what replies cost, what they may cost, and the prices."""

from __future__ import annotations

import time
from pathlib import Path

from di_magics.core.amount import format_usd, in_money_context, parse_usd
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.money.cost import FREE, Entry, tally
from di_magics.core.money.prices import Model, format_per_million, price_sources
from di_magics.core.request.export import as_csv
from di_magics.core.settings.flags import split_line
from di_magics.core.text import one_line
from di_magics.magics.commands.answer import Words, count_noun, say, show, show_table


class Money(Words):
    """Costs, budget and prices."""

    def cost(self, rest: str) -> None:
        """cost [--all] [--csv FILE]: by conversation, day and model; --all for every notebook

        What the API told, else an estimate from tokens and prices, which is said; a dash where
        neither is known.
        """
        words = split_line(rest)
        everywhere = "--all" in words
        words = [word for word in words if word != "--all"]
        entries = self._session.entries(everywhere=everywhere)
        if words[:1] == ["--csv"] and len(words) == 2:
            self._write(entries, Path(words[1]).expanduser())
        elif words:
            raise ParamError(
                f"%chat cost takes --all and --csv FILE, not {one_line(' '.join(words), 60)!r}."
            )
        elif not tally(entries).replies:
            say("Nothing has been asked yet, so nothing has been paid.")
        else:
            from di_magics.display.final import cost_output

            show(cost_output(entries, self._session.notebook_names(), everywhere=everywhere))

    def _write(self, entries: list[Entry], path: Path) -> None:
        names = self._session.notebook_names()
        records = [
            {
                "begun": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(entry.begun)),
                "notebook": names.get(entry.notebook) or entry.notebook,
                "conversation": entry.conversation,
                "model": entry.model,
                "endpoint": entry.endpoint,
                "status": entry.status,
                "prompt_tokens": entry.usage.prompt_tokens,
                "completion_tokens": entry.usage.completion_tokens,
                "cached_tokens": entry.usage.cached_tokens,
                "reasoning_tokens": entry.usage.reasoning_tokens,
                "cost_usd": None if entry.cost is None else f"{entry.cost:f}",
                "estimate": entry.estimate,
                "turn": entry.turn,
            }
            for entry in entries
        ]
        try:
            path.write_text(as_csv(records), "utf-8", newline="")
        except OSError as error:
            raise ChatError(f"{path} cannot be written: {error.strerror}.") from None
        say(f"{len(records)} requests written to {path}")

    @in_money_context
    def budget(self, rest: str) -> None:
        """budget [USD|none]: what this notebook may spend in all; nothing beyond it is sent

        Before each request its worst case must fit: the prompt, and max_tokens (16,384 unless set).
        A smaller max_tokens makes more requests fit.
        """
        if rest:
            self._session.budget = None if rest == "none" else parse_usd(rest, "%chat budget")
        limit = self._session.budget
        total = tally(self._session.entries()).cost
        if limit is None:
            say(f"No budget; {format_usd(total)} spent. %chat budget 0.50 sets one.")
        else:
            left = max(limit - self._session.committed, FREE)
            policy = self._session.policies.current()
            by = f", as {policy.source_names} says" if policy.budget == limit else ""
            say(f"{format_usd(left)} of {format_usd(limit)}{by} left; {format_usd(total)} spent.")

    def models(self, rest: str) -> None:
        """models [FILTER …]: the models there are, their context, and their price per M tokens"""
        wanted = rest.lower().split()
        found = self._session.models.fetch()
        if not found:
            say(f"On this machine: {self._session.route().model}, free of charge.")
            say("%chat endpoint deepinfra, and %chat models lists DeepInfra's.")
            return
        shown = [model for model in found if all(word in model.id.lower() for word in wanted)]
        if not shown:
            raise ParamError(f"No model is called {one_line(rest, 60)!r}: %chat models lists all.")
        show_table([("model", "context", "in", "out", "cached"), *map(_row, shown)], head=True)
        count = count_noun(len(shown), "model")
        say(f"{count}; USD per million tokens, {price_sources(shown)}. %chat model ID.")


def _row(model: Model) -> tuple[str, ...]:
    price = model.price
    context = f"{model.context:,}" if model.context else "?"
    if price is None:
        return one_line(model.id, 120), context, "?", "?", ""
    cached = "" if price.cached is None else format_per_million(price.cached)
    return (
        one_line(model.id, 120),
        context,
        format_per_million(price.input),
        format_per_million(price.output),
        cached,
    )
