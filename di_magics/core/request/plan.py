"""Turns a question of a cell into a turn and its request. Nothing is sent or stored here.

Flags take precedence over settings; a policy's locks and bounds are applied last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from di_magics.core.conversation import cells_above
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.messages import round_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ParamError, ToolError
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import with_cost
from di_magics.core.money.prices import Price, request_cost
from di_magics.core.money.tally import Entry
from di_magics.core.reply.json_reply import response_format
from di_magics.core.reply.reply import UNCOUNTED, Reply, Round
from di_magics.core.request.ask import Ask, Prefill
from di_magics.core.request.body import prompt_weight
from di_magics.core.request.route import Route
from di_magics.core.request.turn_body import build_base, continue_body, relax_tool_choice
from di_magics.core.settings.extras import check_extra
from di_magics.core.settings.params import (
    BUILT_IN_MAX_TOKENS,
    TOOL_CHOICES,
    Value,
    validate,
)
from di_magics.core.settings.policy import Policy
from di_magics.core.settings.settings import Settings
from di_magics.core.tokens import text_weight
from di_magics.core.visible import one_line


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
    turn_id: str,
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
    if any(attachment.name == cells_above.NAME for attachment in ask.attachments):
        policy.check_above()
    params, ends_loops = _choose_params(ask, settings, policy, route)
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
        id=turn_id,
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
    body = build_base(planned, conversation, messages)
    plan = Plan(planned, route, body, 0, price, None, policy, ends_loops, ask.prefill)
    plan = _with_size(plan)
    return replace(plan, body=continue_body(body, ask.prefill)) if ask.prefill else plan


def _choose_params(
    ask: Ask, settings: Settings, policy: Policy, route: Route
) -> tuple[dict[str, Value], bool]:
    """Return the parameters, and whether a reply that repeats itself is ended.

    The built-in model gets a limit where none is set, because it may repeat itself without end.
    """
    values: dict[str, Value] = dict(settings.params)
    for name, value in ask.params.items():
        values[name] = validate(name, value)
    params = policy.apply_to(values)
    if not route.built_in or "max_tokens" in {**values, **policy.locks}:
        return params, False
    bound = params.get("max_tokens")
    most = min(bound, BUILT_IN_MAX_TOKENS) if isinstance(bound, int) else BUILT_IN_MAX_TOKENS
    return {**params, "max_tokens": most}, True


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
    body = relax_tool_choice(body) if step.calls else body
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
