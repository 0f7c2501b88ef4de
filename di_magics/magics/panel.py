"""The panel: model, parameters and money of a session, in as many views as are open.

A view sends its changes to the session; all views then get the new state.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

from di_magics.core.amount import format_usd, in_money_context, parse_usd
from di_magics.core.errors import DiMagicsError, ParamError
from di_magics.core.money.budget import Limit
from di_magics.core.money.prices import ListedModel, describe_model, model_columns
from di_magics.core.money.tally import Tally, tally
from di_magics.core.request import export
from di_magics.core.request.ask import Ask
from di_magics.core.request.context import context_tokens
from di_magics.core.settings.flags import decode_escapes
from di_magics.core.settings.services import DEEPINFRA, ENDPOINTS, SERVICES
from di_magics.core.settings.settings import TEXT_SETTINGS
from di_magics.core.shown.controls import (
    PRESETS,
    apply_preset,
    control_states,
    preset_states,
    setting_warnings,
)
from di_magics.core.visible import one_line
from di_magics.display.widgets import PanelWidget
from di_magics.session.session import Session
from di_magics.session.watchers import Changed, Debouncer

BARS = 40
VIEWS = 8
MAX_NAME_CHARS = 100
MAX_VALUE_CHARS = 1_000_000
PROMPT = "Your prompt"
MODEL_COLUMNS = ("context", "in", "out", "can", "since")


class Panel:
    """Draws a session into a widget, and applies the changes of its views."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._answered: tuple[dict[str, int], dict[str, str]] = {}, {}
        """The number of the last message by view, and the errors of the last one."""
        self._money: dict[str, Any] = {}
        self._opened = False
        self._listed: list[ListedModel] = []
        self._lock = threading.Lock()
        self._draw_soon = Debouncer(session.loop, self._draw_changes)
        self.widget = PanelWidget(self._on_message)
        # At once, because only the running cell tells which notebook this is.
        self._draw({"turns"})
        session.watchers.add(self._draw_soon)
        with suppress(DiMagicsError):
            session.models.refresh()

    def close(self) -> None:
        """Close the panel's views."""
        self.widget.close()

    def _on_message(self, message: Mapping[str, Any]) -> None:
        what, name, view = (_read_name(message.get(key)) for key in ("type", "name", "view"))
        number = message.get("n")
        errors = {}
        try:
            self._do(what, name, _read_value(message.get("value")))
        except DiMagicsError as error:
            errors = {name: one_line(error, 300)}
        with self._lock:  # after the change, so that no answer is drawn without its change
            heard = {
                **self._answered[0],
                view: number if type(number) is int and abs(number) < 2**53 else 0,
            }
            self._answered = dict([*heard.items()][-VIEWS:]), errors
        self._draw_soon("settings")

    def _do(self, what: str, name: str, value: str) -> None:
        session = self._session
        match what:
            case "set" if name == "budget":
                session.notebook_budget = parse_usd(value, "The budget") if value else None
            case "set" if not value:
                session.update_settings(lambda now: now.without_value(name))
            case "set" if name == "stop":
                texts = [decode_escapes(line) for line in value.splitlines() if line]
                session.update_settings(
                    lambda now: (
                        now.with_value("stop", texts) if texts else now.without_value("stop")
                    )
                )
            case "set":
                if name == "endpoint":
                    value, _ = session.routing.resolve(value)
                session.update_settings(lambda now: now.with_value(name, value))
            case "preset" if name in PRESETS:
                policy = session.policies.current()
                session.update_settings(lambda now: apply_preset(now, name, policy))
            case "reset":
                session.update_settings(lambda now: replace(now, params={}))
            case "open":
                self._opened = True
                session.models.refresh()

    def _draw_changes(self, changed: set[Changed]) -> None:
        if changed != {"requests"} and self.widget.comm is not None:  # None once it is closed
            self._draw(changed)

    @in_money_context
    def _draw(self, changed: set[Changed]) -> None:
        """Draw the current state of the session; costs only if turns have changed."""
        session, answered = self._session, self._answered
        try:
            policy = session.policies.current()
        except DiMagicsError as error:
            self.widget.state = {"broken": one_line(error, 400)}
            return
        settings = session.settings
        failed, route = "", None
        try:
            route = session.route()
        except DiMagicsError as error:
            failed = one_line(error, 400)
        known = session.catalog.find(route.url, route.model) if route else None
        local, built_in = bool(route and route.local), bool(route and route.built_in)
        about = describe_model(known) if known else "context and price not known"
        about = "on this machine, free of charge" if local else about
        if "turns" in changed:
            self._money = self._tallies()
        rejected = session.rejected_params.get((route.url, route.model), {}) if route else {}
        service = route.service if route else SERVICES[DEEPINFRA]
        warnings = setting_warnings(settings, known, service, rejected)
        self.widget.state = {
            "heard": answered[0],
            "errors": answered[1],
            "endpoints": self._endpoint_names(),
            "texts": {name: getattr(settings, name) or "" for name in TEXT_SETTINGS},
            "hints": {
                "endpoint": route.name if route else "none",
                "model": one_line(route.model, 120) if route else "none",
                "system": policy.system or "none",
            },
            "about": failed or about,
            "failed": bool(failed),
            "warnings": warnings,
            "controls": control_states(settings, policy, service, built_in=built_in),
            "presets": preset_states(settings, policy),
            "money": self._money,
            **self._next_message(known),
        }
        self._list()

    def _endpoint_names(self) -> list[str]:
        try:
            return list(self._session.routing.services())
        except DiMagicsError:  # one of the user's own is wrong
            return list(ENDPOINTS)

    def _list(self) -> None:
        """Send the list of models, once it has been opened in a view and whenever it changes."""
        try:
            known = self._session.models.cached() if self._opened else []
        except DiMagicsError:
            known = []
        if known != self._listed:
            self._listed = known
            self.widget.models = [_model_row(model) for model in known]

    def _tallies(self) -> dict[str, Any]:
        entries = self._session.notebook.ledger.entries()
        name = self._session.conversation.name
        midnight = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
        today = self._session.notebook.ledger.entries(everywhere=True, since=midnight)
        here = [entry for entry in entries if entry.conversation == name]
        last = entries[-BARS:]
        paid = any(entry.cost for entry in last)
        bars = [
            {
                "value": float(entry.cost or 0) if paid else (entry.usage.completion_tokens or 0),
                "words": f"{one_line(entry.model, 60)}: {format_usd(entry.cost)}",
                "estimate": bool(entry.estimate),
            }
            for entry in last
        ]
        return {
            "rows": [
                [f"this conversation ({one_line(name, 40)})", *_row(tally(here))],
                ["this notebook", *_row(tally(entries))],
                ["today, all notebooks", *_row(tally(today))],
            ],
            "bars": bars,
            "unit": "cost by request" if paid else "tokens written by request",
            "budget": self._budget(tally(entries).cost),
        }

    def _budget(self, spent: Decimal) -> dict[str, Any]:
        try:
            budget = self._session.budget
        except DiMagicsError as error:
            return {"words": one_line(error, 200), "share": 0, "value": ""}
        limits = budget.limits(self._session.notebook.ledger.committed(budget.policies))
        return {
            "words": "; ".join(_describe(limit, spent) for limit in limits) or "no budget set",
            "share": float(max((limit.share for limit in limits), default=0)),
            "value": "" if budget.notebook is None else f"{budget.notebook:f}",
        }

    def _next_message(self, model: ListedModel | None) -> dict[str, Any]:
        """Return the next message as the panel shows it: context window, cost, code to copy."""
        session = self._session
        try:
            planned = session.plan(Ask(PROMPT, once=True))
        except DiMagicsError:
            return {"gauge": None, "next": "", "copies": {}, "left_out": []}
        conversation = session.conversation
        tokens = context_tokens(replace(planned.turn, parent=conversation.head), conversation)
        gauge: dict[str, Any] = {"words": f"context: {tokens:,} tokens", "share": None}
        if model and model.context:
            share = min(1.0, tokens / model.context)
            text = f"context: {tokens:,} of {model.context:,} tokens"
            gauge = {"words": text, "share": share}
        price = planned.price
        if planned.route.free:
            least = "The next message is free."
        elif price is None:
            least = "The cost of the next message is not known."
        else:
            rate = price.input if price.cached is None else price.cached
            least = f"The next message costs at least {format_usd(tokens * rate)}."
        to = session.routing.destination(planned.turn.url, planned.turn.endpoint)
        cell, left_out = export.as_magic(session.settings, PROMPT)
        copies = {
            "%%chat": cell,
            "curl": export.as_curl(planned.body, to),
            "Python": export.as_python(planned.body, to),
        }
        return {"gauge": gauge, "next": least, "copies": copies, "left_out": left_out}


def _model_row(model: ListedModel) -> list[str]:
    """Return a model's id, the same for display, and its facts: what model_list.js shows."""
    columns = model_columns(model)
    return [model.id, one_line(model.id, 120), *(columns[name] for name in MODEL_COLUMNS)]


def _read_name(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_CHARS else ""


def _read_value(value: object) -> str:
    """Return what a control was set to, "" for nothing. Raises ParamError for no such value."""
    text = "" if value is None else str(value) if isinstance(value, int | float) else value
    if not isinstance(text, str) or len(text) > MAX_VALUE_CHARS:
        raise ParamError(f"A value must be a text of at most {MAX_VALUE_CHARS:,} characters.")
    return text


def _describe(limit: Limit, spent: Decimal) -> str:
    """Return a limit in words; `spent` is what the notebook has spent in USD."""
    if limit.everywhere:
        return limit.text
    reserved = limit.committed - spent
    flight = f", {format_usd(reserved)} reserved for replies in flight" if reserved > 0 else ""
    return f"{format_usd(spent)} of {format_usd(limit.amount)} spent{flight}"


def _row(total: Tally) -> list[str]:
    cached = f" ({total.cached_tokens:,} cached)" if total.cached_tokens else ""
    thought = f" ({total.reasoning_tokens:,} reasoning)" if total.reasoning_tokens else ""
    replies = f"{total.replies:,} {'reply' if total.replies == 1 else 'replies'}"
    sent = f"{replies} · {total.prompt_tokens:,} tokens in{cached}"
    return [total.text, f"{sent} · {total.completion_tokens:,} out{thought}"]
