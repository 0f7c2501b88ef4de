"""The commands about money: what replies cost, what they may cost, and the prices."""

from __future__ import annotations

import time
from pathlib import Path

from di_magics.core.amount import format_usd, in_money_context, parse_usd
from di_magics.core.errors import ParamError
from di_magics.core.money.prices import matches_filter, model_columns, price_sources
from di_magics.core.money.tally import Entry, tally
from di_magics.core.request.export import as_csv
from di_magics.core.settings.flags import split_line
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line
from di_magics.display.views import show
from di_magics.magics.commands.command import (
    Context,
    command,
    say,
    show_table,
    take_option,
    take_switch,
    write_file,
)

MAX_ROWS = 200
"""How many models a table has at most."""


@command(
    "cost [--all] [--csv FILE [--overwrite]]",
    "the costs by conversation, day and model; --all for every notebook",
)
def show_cost(context: Context, rest: str) -> None:
    """The API's own cost, or an estimate from tokens and prices, marked as one; a dash if neither
    is known.
    """
    arguments = split_line(rest)
    everywhere = take_switch(arguments, "--all")
    overwrite = take_switch(arguments, "--overwrite")
    file = take_option(arguments, "--csv", "cost --csv costs.csv")
    entries = context.session.notebook.ledger.entries(everywhere=everywhere)
    if arguments:
        raise ParamError(
            f"%chat cost has no {one_line(' '.join(arguments), 60)!r}. It has only --all and "
            "--csv FILE."
        )
    if file is not None:
        _write_csv(context, entries, Path(file).expanduser(), overwrite=overwrite)
    elif not tally(entries).replies:
        say("No requests yet; $0 spent.")
    else:
        from di_magics.display.tables import cost_output

        show(cost_output(entries, context.session.notebook.ledger.names(), everywhere=everywhere))


def _write_csv(context: Context, entries: list[Entry], path: Path, *, overwrite: bool) -> None:
    names = context.session.notebook.ledger.names()
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
    write_file(path, as_csv(records), overwrite=overwrite)
    say(f"{len(records)} requests written to {one_line(path, 160)}")


@command(
    "budget [USD|none]",
    "the most that this notebook may spend; a request that may cost more is not sent",
)
@in_money_context
def set_budget(context: Context, rest: str) -> None:
    """The worst case of a request must fit: its prompt, and max_tokens (16,384 unless set). A
    smaller max_tokens allows more requests.
    """
    if rest:
        context.session.notebook_budget = (
            None if rest == "none" else parse_usd(rest, "%chat budget")
        )
    budget, ledger = context.session.budget, context.session.notebook.ledger
    total = tally(ledger.entries()).cost
    limits = budget.limits(ledger.committed(budget.policies))
    if not limits:
        say(f"No budget; {format_usd(total)} spent. %chat budget 0.50 sets one.")
        return
    say(f"{'; '.join(limit.text for limit in limits)}; {format_usd(total)} spent in this notebook.")


@command("models [FILTER …]", "the models: context window, prices per million tokens, abilities")
def list_models(context: Context, rest: str) -> None:
    """%chat models qwen tools     models with these words in their name or abilities
    %chat panel                 the same as a list to choose from, by mouse or keyboard

    The newest come first. The list is the endpoint's own: what it does not say is left empty.
    """
    filters = rest.lower().split()
    known, endpoint = context.session.models.fetch(), context.session.models.endpoint
    if not known and endpoint:
        fetch = endpoint.service.fetch
        step = f"Fetch one in a terminal: {fetch}" if fetch else "Name one: %chat model MODEL."
        say(f"{endpoint.name} lists no model that may be used. {step}")
        return
    if not known:
        say(f"The local model is {context.session.route().model}, free of charge.")
        say("Set %chat endpoint deepinfra to list the models of DeepInfra.")
        return
    listed = [model for model in known if matches_filter(model, filters)]
    if not listed:
        raise ParamError(f"No model matches {one_line(rest, 60)!r}. %chat models lists all models.")
    rows = [
        {"model": one_line(model.id, 120), **model_columns(model)} for model in listed[:MAX_ROWS]
    ]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    show_table([columns, *([row[name] for name in columns] for row in rows)], head=True)
    count = count_noun(len(listed), "model")
    if len(listed) > MAX_ROWS:
        count += f", of which {MAX_ROWS} are shown (%chat models FILTER)"
    say(f"{count}; USD per million tokens, {price_sources(listed)}. %chat model ID chooses one.")
