"""A kernel's session: its settings, its notebook, and how it asks for one turn.

`ask` has these steps:

    look up      a model or a price that is needed and not known is fetched
    plan         settings, flags and the policy become a turn and the body of its request
    write down   the turn is written to disk, and becomes the head, before it is sent
    run          turn_runner sends its requests on the loop; this thread waits, and runs its tools
    keep         the sealed outcome is added to the conversation
    close        the view displays the final output
    log          the turn is added to the teacher's log, if a policy names one
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from di_magics.core.amount import least_amount, parse_usd
from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import (
    BadRequest,
    ChatError,
    EndpointError,
    Interrupted,
    ParamError,
    TooLong,
)
from di_magics.core.money.budget import Budget
from di_magics.core.request import export
from di_magics.core.request.ask import Ask, copy_ask
from di_magics.core.request.context import image_advice, shortening_advice
from di_magics.core.request.error_body import mentions_param
from di_magics.core.request.error_rules import NO_IMAGES
from di_magics.core.request.plan import Plan, plan_turn, turn_budget
from di_magics.core.request.route import Route
from di_magics.core.request.turn_body import build_request, context_turns
from di_magics.core.settings.policy import Policy
from di_magics.core.settings.services import LOCAL
from di_magics.core.settings.settings import Settings
from di_magics.core.shown.notes import (
    logprobs_notes,
    policy_notes,
    variant_notes,
)
from di_magics.core.visible import one_line
from di_magics.endpoints.catalog import Catalog
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint, is_loopback
from di_magics.endpoints.routing import Routing, usual_model
from di_magics.runtime.interrupts import Interrupts
from di_magics.runtime.loop import Loop
from di_magics.session.exchange import Exchange
from di_magics.session.inspector import Inspector
from di_magics.session.model_list import ModelList
from di_magics.session.notebook import Notebook
from di_magics.session.turn_runner import TurnRunner
from di_magics.session.view import View
from di_magics.session.watchers import Watchers
from di_magics.storage.alias_file import AliasFile
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.policy_file import PolicyFiles

NOTHING_SENT = "Stopped before anything was sent. Run the cell again to ask."


@dataclass(frozen=True, slots=True)
class Answer:
    """A sealed and displayed turn, and the error that ended it, or None."""

    turn: Turn
    error: BaseException | None = None

    def unwrap(self) -> Turn:
        """Return the turn. Raises the error that ended it."""
        if self.error:
            raise self.error
        return self.turn


class Session:
    """The settings of a kernel, the notebook whose cell runs, and the means to ask.

    Settings are the kernel's; a conversation and its costs are a notebook's. `locate` returns the
    notebook's place and its running cell.
    """

    def __init__(
        self,
        routing: Routing,
        client: Client,
        loop: Loop,
        database: Database,
        locate: Callable[[], NotebookLocation],
        catalog: Catalog,
        policies: PolicyFiles,
        aliases: AliasFile,
        settings: Settings,
    ) -> None:
        self.routing = routing
        self.aliases = aliases
        self.policies = policies
        self.catalog = catalog
        self.loop = loop
        self.watchers = Watchers()
        self.notebook = Notebook(database, locate, self.watchers)
        self.journal = Journal(database)
        self.rejected_params: dict[tuple[str, str], dict[str, str]] = {}
        """The parameters that models rejected, with the server's message, by address and model."""
        self.models = ModelList(
            catalog,
            loop,
            self._list_endpoint,
            self.policies.current,
            lambda: self.watchers.notify("settings"),
        )
        self.exchange = Exchange(
            routing, client, self.journal, policies, self.models.find_price, self.watchers
        )
        self.inspector = Inspector(self, client)
        self._client = client
        self._settings = settings
        self._last_shown: tuple[Turn, View] | None = None
        self._lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        """The settings for the next cells."""
        return self._settings

    def update_settings(self, change: Callable[[Settings], Settings]) -> None:
        """Apply `change` to the settings, under a lock."""
        with self._lock:
            before, self._settings = self._settings, change(self._settings)
        if self._settings != before:
            self.watchers.notify("settings")

    @property
    def conversation(self) -> Conversation:
        """The notebook's conversation."""
        return self.notebook.conversation

    @property
    def notebook_budget(self) -> Decimal | None:
        """What this notebook may spend in USD: its own budget, else the environment's.

        A policy's budget for each notebook holds if it is lower. Raises ParamError if the
        environment's is not an amount.
        """
        own, common = self.notebook.ledger.budget, os.environ.get("DI_MAGICS_BUDGET", "").strip()
        if own is None and common:
            own = parse_usd(common, "DI_MAGICS_BUDGET")
        return least_amount(own, self.policies.current().budget_per_notebook)

    @notebook_budget.setter
    def notebook_budget(self, limit: Decimal | None) -> None:
        self.notebook.ledger.budget = limit
        self.watchers.notify("turns")

    @property
    def budget(self) -> Budget:
        """The limits of all requests: this notebook's, and the policy's for all notebooks."""
        notebook, policy = self.notebook_budget, self.policies.current()
        by_policy = notebook is not None and notebook == policy.budget_per_notebook
        return Budget(
            notebook=notebook,
            policies=policy.budgets,
            source=policy.source_names if by_policy else "",
            strict=bool(policy.budgets) or policy.budget_per_notebook is not None,
        )

    # Planning -----------------------------------------------------------------------------------

    def route(self, ask: Ask | None = None) -> Route:
        """Return where an ask will be sent. Raises ParamError, Refused or PolicyError."""
        policy = self.policies.current()
        endpoint, model = self._choose_model(ask)
        route = self.routing.choose(endpoint, model, policy, self.policies.key())
        policy.check_model(route.model)
        return route

    def _choose_model(self, ask: Ask | None) -> tuple[str | Endpoint | None, str | None]:
        """Return the endpoint and the model that an ask, the settings or the policy choose."""
        settings, endpoint = self.settings, ask.endpoint if ask else None
        if isinstance(endpoint, str):
            settings = settings.at_endpoint(endpoint)
        model = (ask.model if ask else None) or settings.model or self.policies.current().model
        return endpoint or settings.endpoint, model and self.aliases.resolve(model)

    def _list_endpoint(self, ask: Ask | None = None) -> Endpoint | None:
        endpoint, model = self._choose_model(ask)
        return self.routing.list_endpoint(
            endpoint, model, self.policies.current(), self.policies.key()
        )

    def ask_like(self, turn: Turn) -> Ask:
        """Return an ask that sends a turn's prompt again, to the endpoint that answered it.

        That must be the endpoint in use, or have a name: a turn of a loaded file may hold any
        address. Raises ChatError for another.
        """
        ask = copy_ask(turn, self.settings)
        now = None if turn.local else self._list_endpoint()
        if turn.local or (now and now.url == turn.url):
            return ask
        if self.routing.address(turn.endpoint) == turn.url:
            return replace(ask, endpoint=turn.endpoint)
        raise ChatError(
            f"This turn was answered at {one_line(turn.url, 120)}, but the endpoint is now "
            f"{now.name if now else LOCAL}. Switch back first, with %chat endpoint."
        )

    def look_up(self, ask: Ask | None = None) -> None:
        """Look up what an ask needs and the session does not know: a model, a price.

        Both are in the endpoint's list. Raises the errors of the route, EndpointError if a list
        that is needed cannot be fetched, and Interrupted if the user interrupted the cell.
        """
        with Interrupts() as interrupts:
            self._look_up_model(ask, interrupts)
            if ask and not interrupts.interrupted:
                self._look_up_price(ask, interrupts)
        if interrupts.interrupted:
            raise Interrupted(NOTHING_SENT)

    def _look_up_model(self, ask: Ask | None, interrupts: Interrupts) -> None:
        """Choose a model of a server on this machine, where none is set for it."""
        endpoint = self._list_endpoint(ask)
        if endpoint is None or not self._needs_model(endpoint, ask):
            return
        job = self.models.refresh(endpoint, again=True)
        if job is None:
            return
        job.wait(interrupts)
        if interrupts.interrupted:
            return
        if model := self._first_model(endpoint, job.result()):
            self.routing.first_models[endpoint.url] = model

    def _needs_model(self, endpoint: Endpoint, ask: Ask | None) -> bool:
        if endpoint.url in self.routing.first_models:
            return False
        if not endpoint.free and not is_loopback(endpoint.url):
            return False
        named, model = self._choose_model(ask)
        return not (model or usual_model(named) or endpoint.service.model)

    def _first_model(self, endpoint: Endpoint, failure: EndpointError | None) -> str | None:
        """Return the first model of a server's list, None if its user must choose.

        A server without a name may be a gateway that charges, so its model is used only if it has
        just one. Raises ParamError if one that is free has no model, and the failure to get its
        list.
        """
        if not endpoint.free:
            only = self.catalog.models(endpoint.url)
            return only[0].id if len(only) == 1 else None
        if failure and failure.status != 404:
            raise failure
        if failure:
            raise ParamError(
                f"{endpoint.name} has no list of models. Set one: -m MODEL, or %chat model MODEL."
            )
        first = self.catalog.first(endpoint.url)
        if first is None:
            fetch = endpoint.service.fetch or endpoint.service.start
            raise ParamError(f"{endpoint.name} has no model yet. Fetch one in a terminal: {fetch}")
        return first

    def _look_up_price(self, ask: Ask, interrupts: Interrupts) -> None:
        """Fetch the endpoint's prices, if a budget needs one that is not known."""
        route = self.route(ask)
        limited = replace(self.budget, cell=ask.budget).lowest is not None
        if limited and not route.free and self.catalog.price(route.url, route.model) is None:
            job = self.models.refresh(route.endpoint)
            if job:
                job.wait(interrupts)

    def plan(self, ask: Ask, messages: list[dict[str, Any]] | None = None) -> Plan:
        """Return the turn for an ask, placed and validated, and the request it will send.

        `messages` reuses those of another plan with the same turns. Nothing is sent or stored.
        Raises ParamError, ChatError, PolicyError or Refused.
        """
        route = self.route(ask)
        return plan_turn(
            ask,
            uuid.uuid4().hex,
            notebook=self.notebook.id,
            conversation=ask.history or self.conversation,
            settings=self.settings,
            policy=self.policies.current(),
            route=route,
            price=None if route.free else self.catalog.price(route.url, route.model),
            messages=messages,
        )

    def request(self, turn: Turn) -> dict[str, Any]:
        """Return the body of the request for a turn."""
        return build_request(turn, self.conversation)

    def preview(self, ask: Ask) -> str:
        """Return the body that an ask would send, as JSON."""
        self.look_up(ask)
        return export.as_json(self.plan(ask).body)

    # Asking -------------------------------------------------------------------------------------

    def ask(self, ask: Ask, view: View) -> Answer:
        """Return the answer when it is sealed and displayed; blocks, and can be interrupted.

        Raises errors that occur before the turn is sent; a later error is the answer's `error`, and
        the partial reply is in the conversation.
        """
        with Interrupts() as interrupts:
            self.look_up(ask)
            plan = self.plan(ask)
            budget = turn_budget(plan, ask, self.budget)
            self._begin(plan, ask, budget, interrupts)
            runner = TurnRunner(self.exchange, self.loop, self.journal, interrupts, view)
            outcome = runner.run(plan, ask, budget)
            error = outcome.error or runner.view_error
            turn = replace(plan.turn, reply=outcome.reply)
            self.notebook.keep(turn, remembered=not ask.once)
            if runner.view_error is None:
                try:
                    view.close(turn, self._notes(turn, ask, plan.policy))
                except Exception as failed:  # a front end may raise anything: the turn is not lost
                    error = error or failed
            self._last_shown = None if ask.once else (turn, view)
            self.watchers.notify("turns")
        error = error or self.exchange.log(plan, turn)
        if turn.reply.cost is None and not turn.reply.is_empty:
            self.models.refresh(plan.route.endpoint)  # so that the next one can be estimated
        if isinstance(error, BadRequest):
            self._note_rejected(error, turn)
        if error:
            return Answer(turn, self._explain(error, turn, ask.history or self.conversation))
        if interrupts.interrupted:
            stopped = "Stopped; the partial reply is kept. Run the cell again for a new reply."
            return Answer(turn, Interrupted(stopped))
        return Answer(turn)

    def _begin(self, plan: Plan, ask: Ask, budget: Budget, interrupts: Interrupts) -> None:
        """Write the turn and its reserve before it is sent; it becomes the head."""
        self.policies.check_log(plan.policy)
        if interrupts.interrupted:
            raise Interrupted(NOTHING_SENT)
        remembered = not ask.once
        self.exchange.write_down(plan, budget, remembered=remembered, is_turn=remembered).result()
        if remembered:
            keep = bool(ask.conversation) and not ask.new
            self.notebook.update(lambda before: before.with_turn(plan.turn, keep_current=keep))

    def _note_rejected(self, error: BadRequest, turn: Turn) -> None:
        """Keep which of the turn's parameters the server's message is about, for the panel."""
        rejected = {name: str(error) for name in turn.params if mentions_param(str(error), name)}
        self.rejected_params.setdefault((turn.url, turn.model), {}).update(rejected)

    def _explain(self, error: Exception, turn: Turn, conversation: Conversation) -> Exception:
        """Return the error with the turn's reply, and with advice on which turns to leave out."""
        if not isinstance(error, EndpointError):
            return error
        error.reply = turn.reply
        sent = context_turns(turn, conversation)
        if isinstance(error, TooLong):
            message = f"{error.server_text} {shortening_advice(error, sent, turn.prompt)}"
        elif str(error).endswith(NO_IMAGES) and (advice := image_advice(sent)):
            message = f"{error} {advice}"
        else:
            return error
        explained = type(error)(message, status=error.status, request_id=error.request_id)
        explained.reply = error.reply
        return explained

    def _notes(self, turn: Turn, ask: Ask, policy: Policy) -> list[str]:
        """Return the notes of the receipt."""
        notes = [*logprobs_notes(turn), *policy_notes(turn, policy), *self.notebook.take_notes()]
        if ask.once:
            return ["not remembered", *notes]
        return [*notes, *self._unseen_notes(), *variant_notes(self.conversation, turn)]

    def _unseen_notes(self) -> list[str]:
        """Return a note if the page was closed or reloaded before the last reply had ended."""
        turn, view = self._last_shown or (None, None)
        if turn is None or view is None or view.seen:
            return []
        numbers = {item.id: number for number, item in enumerate(self.conversation.path(), 1)}
        if turn.id not in numbers:
            return []
        number = numbers[turn.id]
        return [f"turn {number} ended while its page was closed (%chat show {number})"]

    def close(self) -> None:
        """Close the connections, stop the local servers and the loop."""
        closing = self.loop.submit(self._client.close())
        with Interrupts() as interrupts:
            closing.wait(interrupts)
        self.routing.close()
        self.loop.close()
        self.journal.close()
