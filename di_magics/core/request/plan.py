"""Turns a question of a cell into a turn and its request. Nothing is sent or stored here.

Flags take precedence over settings; a policy's locks and bounds are applied last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal, Protocol

from di_magics.core.conversation import cells_above
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.conversation.messages import request_messages, round_messages
from di_magics.core.errors import ParamError, ToolError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import with_cost
from di_magics.core.money.prices import Price, request_cost
from di_magics.core.money.tally import Entry
from di_magics.core.reply.json_reply import ReplySchema, response_format
from di_magics.core.reply.reply import UNCOUNTED, Reply, Round, ToolCall, ToolResult
from di_magics.core.request.body import build_body, prompt_weight
from di_magics.core.request.route import Route
from di_magics.core.settings.extras import check_extra
from di_magics.core.settings.params import (
    BUILT_IN_MAX_TOKENS,
    TOOL_CHOICES,
    Value,
    validate,
)
from di_magics.core.settings.policy import Policy
from di_magics.core.settings.services import ASK_TO_CONTINUE, FINAL, PREFIX
from di_magics.core.settings.settings import Settings
from di_magics.core.tokens import text_weight
from di_magics.core.visible import one_line


class Tools(Protocol):
    """Functions that a model may call; `specs` are their descriptions for the API, by name."""

    @property
    def specs(self) -> Mapping[str, Mapping[str, Any]]: ...
    def run_calls(
        self,
        calls: Sequence[ToolCall],
        interrupts: Any,
        on_results: Callable[[list[ToolResult]], None],
    ) -> list[ToolResult]: ...


CONTINUE_PROMPT = (
    "Your reply was cut off. Continue it exactly where it ends, even in the middle of a word: "
    "begin with the next character, repeat nothing, and explain nothing."
)
ROUNDS = 8
"""How many times a model may call tools before it answers."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """The beginning of a reply that is continued: its text and its tokens.

    `ids`, only for our own server, are the token ids of the prompt and of `tokens`, which its cache
    slot `slot` holds up to the last one. Without ids the reply is continued from its text, in the
    way `method` (a value of PREFILL in services.py, or ASK_TO_CONTINUE).
    """

    text: str
    tokens: tuple[TokenProbability, ...]
    ids: tuple[int, ...] = ()
    slot: int = 0
    method: str = FINAL
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a cell asks: the prompt, where it belongs, and what its flags change.

    None and "" mean not given.

    extra       other fields of the request, as they are sent
    new         start another conversation
    once        not a part of the notebook's conversation: its turns are not sent, this one not kept
    history     with `once`: another conversation, whose turns are sent
    append      add a turn instead of a variant
    context     how many turns are sent with it
    replaces    the turn of which this one is a variant
    budget      what it may cost in USD
    yes         send a request of unknown price as well
    rounds      how often the model may call `tools`
    repair      ask the model once more if the reply does not fit the `schema`
    prefill     what the reply begins with, if it continues one
    """

    prompt: str
    cell: Cell | None = None
    model: str | None = None
    endpoint: Any = None
    system: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    conversation: str | None = None
    new: bool = False
    once: bool = False
    history: Conversation | None = None
    append: bool = False
    stream: bool = True
    context: int | Literal["all"] | None = None
    replaces: Turn | None = None
    budget: Decimal | None = None
    yes: bool = False
    attachments: tuple[Attachment, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    tools: Tools | None = None
    rounds: int = ROUNDS
    schema: ReplySchema | None = None
    repair: bool = False
    format: str = ""
    prefill: Prefill | None = None


def ask_like(turn: Turn, settings: Settings) -> Ask:
    """Return an ask that sends a turn's prompt again, as a variant of the turn.

    A turn of a local model goes to the local model in use, any other to the endpoint in use.
    """
    return Ask(
        turn.prompt,
        replaces=turn,
        model=None if turn.local else turn.model,
        endpoint=settings.local_endpoint if turn.local else settings.endpoint,
        system=turn.system,
        params=turn.params,
        context="all" if turn.context is None else turn.context,
        attachments=turn.attachments,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """A turn that is ready to be sent, its route, and the body of its request.

    `size` is the weight of the text in the body (core/tokens.py), `price` the model's price if it
    is known, `reserve` the worst case of the cost in USD, and `policy` the policy at the time of
    planning. With `ends_loops` a reply that repeats itself is ended. `prefill` is what the reply
    begins with, if it continues one.
    """

    turn: Turn
    route: Route
    body: Mapping[str, Any]
    size: int
    price: Price | None
    reserve: Decimal | None
    policy: Policy
    ends_loops: bool = False
    prefill: Prefill | None = None

    def with_cost(self, reply: Reply) -> Reply:
        """Return the reply with its cost."""
        return with_cost(reply, self.size, self.price, free=self.route.free)


def plan_turn(
    ask: Ask,
    turn: str,
    *,
    notebook: str,
    settings: Settings,
    policy: Policy,
    conversation: Conversation,
    route: Route,
    price: Price | None,
    messages: list[dict[str, Any]] | None = None,
) -> Plan:
    """Return the plan of an ask: a turn with this id in its place, and a valid request.

    `messages` are the messages of another plan, to use them again where they are the same. Raises
    ParamError, ToolError or PolicyError.
    """
    if not ask.prompt.strip():
        raise ParamError("The prompt is empty. Write a question, in a cell below the %%chat line.")
    values: dict[str, Value] = dict(settings.params)
    for name, value in ask.params.items():
        values[name] = validate(name, value)
    params = policy.apply_to(values)
    if any(attachment.name == cells_above.NAME for attachment in ask.attachments):
        policy.check_above()
    ends_loops = route.built_in and "max_tokens" not in {**values, **policy.locks}
    if ends_loops:
        bound = params.get("max_tokens")
        most = min(bound, BUILT_IN_MAX_TOKENS) if isinstance(bound, int) else BUILT_IN_MAX_TOKENS
        params["max_tokens"] = most
    route.service.check(params)
    cell = ask.replaces.cell if ask.replaces else ask.cell
    name, parent = conversation.place_turn(
        cell,
        ask.conversation,
        append=ask.append,
        new=ask.new,
        once=ask.once and ask.history is None,
        replaces=ask.replaces,
    )
    if route.built_in:
        _check_built_in(ask, route.model)
    above = conversation.turns[parent].cell if parent else None
    system = ask.system or settings.system
    planned = Turn(
        id=turn,
        prompt=ask.prompt,
        parent=parent,
        parent_cell=above.id if above else "",
        cell=cell,
        replaces=(ask.replaces.replaces or ask.replaces.id) if ask.replaces else None,
        conversation=name,
        notebook=notebook,
        system=system or policy.system,
        model=route.model,
        endpoint=route.name,
        url=route.url,
        local=route.local,
        dialect=route.service.like,
        stream=ask.stream,
        context=_context(ask, settings),
        system_is_policy=not system and policy.system is not None,
        params=params,
        fields=_fields(ask, params.get("tool_choice")),
        extra=policy.apply_to_extra({**settings.extra, **_extra(ask)}),
        format=ask.format,
        attachments=ask.attachments,
        beginning=ask.prefill.text if ask.prefill and not ask.prefill.ids else "",
        continued_by=ask.prefill.method if ask.prefill and not ask.prefill.ids else "",
    )
    body = _build_base(planned, conversation, messages)
    plan = Plan(planned, route, body, 0, price, None, policy, ends_loops, ask.prefill)
    plan = _with_size(plan)
    return replace(plan, body=continue_body(body, ask.prefill)) if ask.prefill else plan


def _check_built_in(ask: Ask, model: str) -> None:
    """Raise ToolError or ParamError for what the built-in model cannot do."""
    other = "Choose another model: -m MODEL, or %chat endpoint local:FILE.gguf for your own file."
    if ask.tools is not None:
        raise ToolError(f"The built-in model ({model}) cannot call tools. {other}")
    if any(attachment.kind == "image" for attachment in ask.attachments):
        raise ParamError(f"The built-in model ({model}) cannot read images. {other}")


def _with_size(planned: Plan) -> Plan:
    size, most = prompt_weight(planned.body), planned.turn.params.get("max_tokens")
    longest = most if isinstance(most, int) and most else None  # servers read 0 as no limit
    # A reply that is continued is read again, but counts as the reply in the cost.
    read = size + (text_weight(planned.prefill.text) if planned.prefill else 0)
    reserve = request_cost(read, longest, planned.price) if planned.price else None
    return replace(planned, size=size, reserve=reserve)


def plan_next_request(planned: Plan, number: int, step: Round) -> Plan:
    """Return the plan of a turn's next request, the `number`th, after this round.

    Its id has the number at its end, because it has a ledger entry of its own.
    """
    body = {
        **planned.body,
        "messages": [*planned.body["messages"], *round_messages(step, with_reasoning=True)],
    }
    body = _relax_tool_choice(body) if step.calls else body
    turn = replace(planned.turn, id=f"{planned.turn.id.partition('.')[0]}.{number}")
    return _with_size(replace(planned, turn=turn, body=body))


def _fields(ask: Ask, chosen: object) -> dict[str, Any]:
    """Return the request's other fields. Raises ParamError for a tool_choice that is not a tool."""
    fields = dict(ask.fields)
    if ask.tools is not None:
        specs = ask.tools.specs
        if chosen is not None and chosen not in (*TOOL_CHOICES, *specs):
            raise ParamError(
                "tool_choice must be auto, none, required, or one of the tools "
                f"({', '.join(specs)}), not {one_line(chosen, 60)}."
            )
        fields["tools"] = [{"type": "function", "function": dict(s)} for s in specs.values()]
    if ask.schema is not None or (ask.format == "json" and "response_format" not in fields):
        fields["response_format"] = response_format(ask.schema)
    return fields


def _extra(ask: Ask) -> dict[str, Any]:
    return {name: check_extra(name, value) for name, value in ask.extra.items()}


def _context(ask: Ask, settings: Settings) -> int | None:
    if ask.context is None:
        return settings.context
    return None if ask.context == "all" else ask.context


def build_request(turn: Turn, conversation: Conversation) -> dict[str, Any]:
    """Return the body of the request for a turn, built from the turns that it follows."""
    body = _build_base(turn, conversation)
    for name in turn.reply.refused_fields:
        body.pop(name, None)
    if not turn.continued_by:
        return body
    return continue_body(body, Prefill(turn.beginning, (), method=turn.continued_by))


def _build_base(
    turn: Turn, conversation: Conversation, messages: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the same without the beginning of a reply that is continued."""
    if messages is None:
        messages = request_messages(context_turns(turn, conversation).values(), turn)
    body = build_body(
        turn.model,
        messages,
        turn.params,
        stream=turn.stream,
        service=turn.service,
        fields=turn.fields,
        extra=turn.extra,
    )
    return _relax_tool_choice(body) if any(step.calls for step in turn.reply.rounds) else body


def continue_body(body: Mapping[str, Any], prefill: Prefill) -> dict[str, Any]:
    """Return the body of a request that continues a reply.

    With ids it is a request for completions. Without them the reply is the last message, or is
    followed by a request to go on.
    """
    if not prefill.ids:
        message: dict[str, Any] = {"role": "assistant", "content": prefill.text}
        added = [message]
        fields: dict[str, Any] = {}
        if prefill.method == FINAL:
            fields = {"continue_final_message": True, "add_generation_prompt": False}
        elif prefill.method == PREFIX:
            message["prefix"] = True
        elif prefill.method == ASK_TO_CONTINUE:
            added.append({"role": "user", "content": CONTINUE_PROMPT})
        return {**body, "messages": [*body["messages"], *added], **fields}
    sent = {name: value for name, value in body.items() if name not in ("messages", "top_logprobs")}
    if "top_logprobs" in body:
        sent["logprobs"] = body["top_logprobs"]
    where = {"prompt": list(prefill.ids), "id_slot": prefill.slot, "cache_prompt": True}
    return {**sent, **where}


def _relax_tool_choice(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body without a forced tool call, which would repeat without end."""
    chosen = body.get("tool_choice")
    return body if chosen in (None, "none", "auto") else {**body, "tool_choice": "auto"}


def context_turns(turn: Turn, conversation: Conversation) -> dict[int, Turn]:
    """Return the turns that are sent before this one, by their numbers in the history."""
    path = conversation.path(turn.parent) if turn.parent else ()
    sent = [(n, earlier) for n, earlier in enumerate(path, 1) if not earlier.reply.is_empty]
    return dict(sent if turn.context is None else sent[max(0, len(sent) - turn.context) :])


def ledger_entry(planned: Plan, begun: float, *, remembered: bool) -> Entry:
    """Return the ledger entry for a request that is about to be sent.

    `begun` is in POSIX seconds. One that is not `remembered` belongs to no conversation.
    """
    turn, price = planned.turn, planned.price
    return Entry(
        turn=turn.id,
        notebook=turn.notebook,
        conversation=turn.conversation if remembered else "",
        model=turn.model,
        endpoint=turn.endpoint,
        begun=begun,
        day="",
        status="open",
        usage=UNCOUNTED,
        cost=request_cost(planned.size, 0, price) if price else None,
        estimate="the prompt alone" if price else "",
        reserve=planned.reserve,
        policies=planned.policy.sources,
    )


def turn_budget(planned: Plan, ask: Ask, limits: Budget) -> Budget:
    """Return the budget of a request: the `limits` for all requests, and those of the ask."""
    if planned.route.free:
        return Budget()
    return replace(limits, cell=ask.budget, yes=ask.yes)
