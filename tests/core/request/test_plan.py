"""From what a cell asks to a turn and its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.cells_above import CellAbove, attach_cells
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.messages import round_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ParamError, PolicyError, ToolError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.money.budget import Budget
from di_magics.core.money.prices import Price
from di_magics.core.reply.json_reply import parse_json
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult, Usage
from di_magics.core.request.ask import Ask, Prefill, copy_ask
from di_magics.core.request.body import prompt_weight
from di_magics.core.request.plan import (
    Plan,
    ledger_entry,
    plan_next_request,
    plan_turn,
    turn_budget,
)
from di_magics.core.request.route import Route
from di_magics.core.request.turn_body import CONTINUE_PROMPT, build_request
from di_magics.core.settings.policy import NO_POLICY, merge_policies, parse_policy
from di_magics.core.settings.services import SERVICES
from di_magics.core.settings.settings import Settings

PRICE = Price(Decimal("1E-6"), Decimal("2E-6"), None, "a list", "2026-11-23")


REMOTE = Route("e", "m", "https://e/v1")
BUILT_IN = Route("local", "m", local=True, free=True)
OWN_FILE = replace(BUILT_IN, file="m.gguf")


@dataclass(frozen=True)
class Offered:
    """Tools of these names, of which nothing comes."""

    named: tuple[str, ...] = ("add", "look")

    @property
    def specs(self) -> Mapping[str, Mapping[str, Any]]:
        """How they are offered."""
        return {name: {"name": name, "parameters": {"type": "object"}} for name in self.named}

    def run_calls(
        self, calls: Sequence[ToolCall], interrupts: Any, came: Callable[[list[ToolResult]], None]
    ) -> list[ToolResult]:
        """Return a result for each call."""
        return [ToolResult("") for _ in calls]


@dataclass(frozen=True)
class Form:
    """A form of replies that takes any JSON."""

    name: str = "Person"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})

    def read(self, text: str) -> Any:
        """Return the object that a text is."""
        return parse_json(text)


CALLED = Round(calls=(ToolCall("1", "add", "{}"),), results=(ToolResult("x" * 100),))
OBJECTED = Round('{"a":', objection="It breaks off.")


def plan(ask: Ask, **changes: Any) -> Plan:
    """Return the plan of an ask in an empty conversation."""
    plain: dict[str, Any] = {
        "notebook": "n",
        "settings": Settings(),
        "policy": NO_POLICY,
        "conversation": Conversation(),
        "route": REMOTE,
        "price": PRICE,
    }
    return plan_turn(ask, "t", **{**plain, **changes})


def test_flags_win_over_settings_and_policy_adds_its_own() -> None:
    """Only what is set is sent."""
    settings = Settings(system="s", params={"temperature": 1, "seed": 5})
    policy = parse_policy({"system": "taught", "parameters": {"top_k": 3}}, "p")
    result = plan(Ask("hi", params={"temperature": "0"}), settings=settings, policy=policy)
    assert result.body["temperature"] == 0
    assert (result.body["seed"], result.body["top_k"]) == (5, 3)
    assert (result.turn.system, result.turn.system_is_policy) == ("s", False)
    assert plan(Ask("hi"), policy=policy).turn.system_is_policy


def test_an_empty_prompt_is_refused() -> None:
    """White space alone is no prompt."""
    with pytest.raises(ParamError, match="empty"):
        plan(Ask(" \n"))


def test_a_value_that_llama_cpp_would_misread_is_refused() -> None:
    """Only where llama.cpp answers."""
    ask = Ask("hi", params={"seed": 2**32})
    assert plan(ask).body["seed"] == 2**32
    with pytest.raises(ParamError, match="must be below"):
        plan(ask, route=OWN_FILE)


def test_the_worst_case_is_reserved() -> None:
    """The prompt, and the longest reply that is possible; None without a price."""
    assert plan(Ask("abc", params={"max_tokens": 10})).reserve == Decimal("0.000029")
    assert plan(Ask("abc", params={"max_tokens": 0})).reserve == plan(Ask("abc")).reserve
    assert plan(Ask("abc")).reserve == Decimal("0.032777")
    assert plan(Ask("abc"), price=None).reserve is None


def test_a_reply_gets_its_cost_by_the_plan() -> None:
    """By the price that was known before it was sent; free on this machine."""
    reply = Reply(text="a", status="done", usage=Usage(10, 5))
    assert plan(Ask("abc")).with_cost(reply).cost == Decimal("0.00002")
    assert plan(Ask("abc"), route=OWN_FILE).with_cost(reply).cost == 0
    assert plan(Ask("abc"), price=None).with_cost(reply).cost is None


def test_a_request_has_the_limits_of_its_cell_and_notebook() -> None:
    """The local model costs nothing, so nothing limits it."""
    ask = Ask("abc", budget=Decimal(1), yes=True)
    limits = Budget(notebook=Decimal(2), policies={"p": Decimal(3)}, source="q")
    assert turn_budget(plan(ask), ask, limits) == replace(limits, cell=Decimal(1), yes=True)
    assert turn_budget(plan(ask, route=OWN_FILE), ask, limits) == Budget()


def test_a_request_is_entered_under_every_file_of_the_policy() -> None:
    """Also under one without a budget, which it may get later."""
    outer, inner = parse_policy({"budget": 1}, "outer"), parse_policy({}, "inner")
    planned = plan(Ask("abc"), policy=merge_policies(outer, inner))
    assert ledger_entry(planned, 1.0, remembered=True).policies == ("outer", "inner")


def test_tools_are_offered_by_their_names() -> None:
    """In their order; without tool_choice the model chooses."""
    result = plan(Ask("hi", tools=Offered()))
    specs = Offered().specs
    assert result.body["tools"] == [
        {"type": "function", "function": specs["add"]},
        {"type": "function", "function": specs["look"]},
    ]
    assert result.turn.fields == {"tools": result.body["tools"]}
    assert "tool_choice" not in result.body
    assert "tools" not in plan(Ask("hi")).body


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("look", {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_a_tool_may_be_chosen(chosen: str, sent: object) -> None:
    """By its name, or by one of the API's words."""
    found = plan(Ask("hi", params={"tool_choice": chosen}, tools=Offered()))
    assert found.body["tool_choice"] == sent


@pytest.mark.parametrize("chosen", ["lok", "AUTO", "a\x1b[31m\nb", "x" * 999])
def test_a_tool_choice_that_is_not_a_tool_is_refused(chosen: str) -> None:
    """The error lists the tools, in one printable line."""
    with pytest.raises(ParamError, match=r"auto, none, required, .*\(add, look\)") as error:
        plan(Ask("hi", params={"tool_choice": chosen}, tools=Offered()))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200


def test_the_built_in_model_is_offered_no_tools() -> None:
    """The error names another way; without tools it answers."""
    place = BUILT_IN
    with pytest.raises(ToolError, match=r"built-in model \(m\) cannot call tools"):
        plan(Ask("hi", tools=Offered()), route=place)
    assert plan(Ask("hi"), route=place).body["messages"]


@pytest.mark.parametrize(
    ("params", "policy", "sent", "ends_loops"),
    [
        ({}, {}, 512, True),
        ({"max_tokens": 2000}, {}, 2000, False),
        ({"max_tokens": 0}, {}, 0, False),
        ({}, {"parameters": {"max_tokens": {"max": 100}}}, 100, True),
        ({}, {"parameters": {"max_tokens": {"max": 3000}}}, 512, True),
        ({}, {"parameters": {"max_tokens": 700}}, 700, False),
    ],
)
def test_the_built_in_model_is_sent_a_limit(
    params: dict[str, Any], policy: dict[str, Any], sent: int, ends_loops: bool
) -> None:
    """512 tokens unless one is set; then a reply that repeats itself is not ended either."""
    policies = parse_policy(policy, "class.toml")
    for built_in in (True, False):
        place = BUILT_IN if built_in else OWN_FILE
        planned = plan(Ask("hi", params=params), route=place, policy=policies)
        assert planned.ends_loops == (built_in and ends_loops)
        if built_in:
            assert planned.body["max_tokens"] == sent


def test_the_built_in_model_is_sent_no_images() -> None:
    """It cannot read them, and the user would wait for an answer about nothing."""
    image = Attachment("image", "a.png", "PNG image", "data:image/png;base64,AA==")
    with pytest.raises(ParamError, match=r"built-in model \(m\) cannot read images"):
        plan(Ask("hi", attachments=(image,)), route=BUILT_IN)


@pytest.mark.parametrize(
    ("ask", "form"),
    [
        (Ask("hi"), None),
        (Ask("hi", format="code"), None),
        (Ask("hi", format="json"), {"type": "json_object"}),
        (
            Ask("hi", schema=Form()),
            {
                "type": "json_schema",
                "json_schema": {"name": "Person", "schema": {"type": "object"}},
            },
        ),
        (
            Ask("hi", format="json", fields={"response_format": {"type": "text"}}),
            {"type": "text"},
        ),
    ],
)
def test_json_is_asked_for(ask: Ask, form: object) -> None:
    """By a schema or by the format; a turn that is asked again keeps its own response format."""
    result = plan(ask)
    assert result.body.get("response_format") == form
    assert result.turn.format == ask.format
    assert prompt_weight(result.body) == result.size


def test_a_turn_that_is_asked_again_keeps_its_place() -> None:
    """Its cell, its conversation and what it follows, not those of the cell that asks."""
    first = plan(Ask("a", cell=Cell("one", 0))).turn
    second = replace(first, id="u", cell=Cell("two", 0), conversation="x", parent="t")
    ask = Ask("b", cell=Cell("three", 0), replaces=second)
    again = plan(ask, conversation=Conversation().with_turn(first).with_turn(second)).turn
    assert (again.cell, again.conversation, again.parent) == (second.cell, "x", "t")
    assert again.replaces == "u"


def test_a_turn_names_the_cell_of_the_turn_before_it() -> None:
    """So a page can tell whether that cell has another turn now."""
    first = plan(Ask("a", cell=Cell("one", 0))).turn
    assert (first.parent, first.parent_cell) == (None, "")
    second = plan(Ask("b", cell=Cell("two", 0)), conversation=Conversation().with_turn(first)).turn
    assert (second.parent, second.parent_cell) == (first.id, "one")


@pytest.mark.parametrize(("asked", "kept"), [(None, 3), (0, 0), (5, 5), ("all", None)])
def test_the_context_of_a_cell_wins_over_the_setting(asked: Any, kept: int | None) -> None:
    """`all` is every turn before it."""
    assert plan(Ask("a", context=asked), settings=Settings(context=3)).turn.context == kept


def test_messages_of_another_plan_are_sent_as_they_are() -> None:
    """The runs of a sweep share them."""
    messages = [{"role": "user", "content": "shared"}]
    assert plan(Ask("a"), messages=messages).body["messages"] == messages


def test_a_policy_can_forbid_cells_above() -> None:
    """Checked last, as its other rules; other attachments are allowed."""
    forbids = parse_policy({"above": False}, "p.toml")
    plan(Ask("a", attachments=(Attachment("text", "x.csv", "", "1"),)), policy=forbids)
    above = Ask("a", attachments=(attach_cells([CellAbove("Cell [1]", "x = 1")], "that have run"),))
    plan(above)
    with pytest.raises(PolicyError, match="Leave out --above"):
        plan(above, policy=forbids)


def test_attachments_are_sent_and_kept() -> None:
    """In the turn and in its message."""
    attached = (Attachment("text", "a", "b", "c"),)
    found = plan(Ask("hi", attachments=attached))
    assert found.turn.attachments == attached
    assert found.body["messages"][-1]["content"] == "a (b):\n\n```\nc\n```\n\nhi"


def test_a_later_request_has_the_rounds_before_it() -> None:
    """It has its own ledger entry and a larger worst case; the rest of the body is the same."""
    first = plan(Ask("hi", tools=Offered(), params={"temperature": 0}))
    second = plan_next_request(first, 2, CALLED)
    third = plan_next_request(second, 3, OBJECTED)
    assert [item.turn.id for item in (first, second, third)] == ["t", "t.2", "t.3"]
    messages = [*first.body["messages"], *round_messages(CALLED), *round_messages(OBJECTED)]
    assert third.body == {**first.body, "messages": messages}
    assert first.size < second.size < third.size
    assert first.reserve is not None
    assert third.reserve is not None
    assert first.reserve < third.reserve
    assert ledger_entry(third, 0.0, remembered=True).turn == "t.3"


@pytest.mark.parametrize("price", [PRICE, None])
@pytest.mark.parametrize("rounds", [(CALLED,), (OBJECTED,), (CALLED, OBJECTED, CALLED)])
@pytest.mark.parametrize("chosen", [None, "auto", "none", "required", "add"])
def test_a_later_request_can_be_derived_from_its_turn(
    chosen: str | None, rounds: tuple[Round, ...], price: Price | None
) -> None:
    """So `%chat show --request` shows what was sent."""
    params = {"tool_choice": chosen} if chosen else {}
    result = plan(Ask("hi", tools=Offered(), schema=Form(), params=params), price=price)
    turn = replace(result.turn, reply=Reply(rounds=rounds))
    for number, step in enumerate(rounds, 2):
        result = plan_next_request(result, number, step)
    assert build_request(turn, Conversation()) == result.body


@pytest.mark.parametrize(
    ("chosen", "step", "sent"),
    [
        (None, CALLED, None),
        ("auto", CALLED, "auto"),
        ("none", CALLED, "none"),
        ("required", CALLED, "auto"),
        ("add", CALLED, "auto"),
        ("required", OBJECTED, "required"),
    ],
)
def test_no_tool_has_to_be_called_twice(chosen: str | None, step: Round, sent: str | None) -> None:
    """Otherwise the model could never answer; an objection is no call."""
    params = {"tool_choice": chosen} if chosen else {}
    first = plan(Ask("hi", tools=Offered(), params=params))
    assert plan_next_request(first, 2, step).body.get("tool_choice") == sent
    turn = replace(first.turn, reply=Reply(rounds=(step,)))
    assert build_request(turn, Conversation()).get("tool_choice") == sent
    assert first.turn.params == params


def test_a_turn_with_tool_calls_is_sent_along_whole() -> None:
    """Even where it ended without a text."""
    before = Turn("a", "A", reply=Reply(rounds=(CALLED,), status="stopped"))
    found = plan(Ask("hi"), conversation=Conversation().with_turn(before))
    assert found.body["messages"] == [
        {"role": "user", "content": "A"},
        *round_messages(CALLED),
        {"role": "user", "content": "hi"},
    ]


PIECE = TokenProbability("Hi", -0.5, (), None, 7)


def test_a_reply_is_continued_from_its_text() -> None:
    """It is the last message, and the server is told not to begin another one."""
    result = plan(Ask("hi", params={"logprobs": 5}, prefill=Prefill("Hi", (PIECE,))))
    assert result.body["messages"][-1] == {"role": "assistant", "content": "Hi"}
    assert (result.body["continue_final_message"], result.body["top_logprobs"]) == (True, 5)
    assert result.prefill == Prefill("Hi", (PIECE,))
    assert result.size == plan(Ask("hi")).size


def test_the_worst_case_counts_what_a_continued_reply_begins_with() -> None:
    """The model reads it again; a long one may cost more than all that follows."""
    asked = Ask("hi", params={"max_tokens": 10})
    continued = replace(asked, prefill=Prefill("word " * 10_000, (PIECE,)))
    once, again = plan(asked).reserve, plan(continued).reserve
    assert once is not None
    assert again is not None
    assert again > 100 * once


@pytest.mark.parametrize("params", [{}, {"logprobs": 5}])
def test_a_reply_is_continued_by_ids(params: dict[str, int]) -> None:
    """It is a request for a completion, of the slot that holds them."""
    prefill = Prefill("Hi", (PIECE,), (1, 2, 7), 3)
    body = plan(Ask("hi", params=params, prefill=prefill), route=BUILT_IN).body
    assert (body["prompt"], body["id_slot"], body["cache_prompt"]) == ([1, 2, 7], 3, True)
    assert "messages" not in body
    assert "top_logprobs" not in body
    assert body.get("logprobs") == params.get("logprobs")


def test_only_a_local_model_sends_more_than_20_alternatives() -> None:
    """Others refuse them, each in its own way."""
    with pytest.raises(ParamError, match="at most 20 for this endpoint, not 21"):
        plan(Ask("hi", params={"logprobs": 21}))
    assert plan(Ask("hi", params={"logprobs": 20})).body["top_logprobs"] == 20
    assert plan(Ask("hi", params={"logprobs": 21}), route=BUILT_IN).body["top_logprobs"] == 21


def test_llama_sends_nothing_for_no_alternatives() -> None:
    """So one is asked for."""
    assert plan(Ask("hi", params={"logprobs": 0})).body["top_logprobs"] == 0
    body = plan(Ask("hi", params={"logprobs": 0}), route=BUILT_IN).body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)


def test_a_policy_locks_the_log_probabilities() -> None:
    """As it locks every other parameter."""
    policy = parse_policy({"parameters": {"logprobs": 3}}, "p")
    assert plan(Ask("hi"), policy=policy).body["top_logprobs"] == 3
    with pytest.raises(PolicyError, match="locks it"):
        plan(Ask("hi", params={"logprobs": 5}), policy=policy)


def test_a_plan_has_the_names_of_its_endpoint() -> None:
    """And its turn says by which row of the table, so that the request can be built again."""

    class Openai:
        """An endpoint that is like OpenAI."""

        service = SERVICES["openai"]

    route = Route("gate", "m", "https://gate/v1", endpoint=Openai())
    planned = plan(Ask("hi", params={"max_tokens": 5}), route=route)
    assert planned.body["max_completion_tokens"] == 5
    assert planned.turn.dialect == "openai"
    assert build_request(planned.turn, Conversation()) == planned.body
    assert plan(Ask("hi")).turn.dialect == ""
    assert Turn("t", "hi", local=True).service is SERVICES["local"]


@pytest.mark.parametrize(
    ("how", "message", "fields"),
    [
        ("last message", {}, {}),
        ("prefix", {"prefix": True}, {}),
        (
            "continue_final_message",
            {},
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
    ],
)
def test_a_reply_is_continued_as_its_endpoint_does_it(
    how: str, message: dict[str, Any], fields: dict[str, Any]
) -> None:
    """The request can be built again from the turn."""
    plain = plan(Ask("hi"))
    prefill = Prefill("One, t", (), method=how)
    result = plan(Ask("hi", prefill=prefill))
    last = {"role": "assistant", "content": "One, t", **message}
    assert result.body == {**plain.body, "messages": [*plain.body["messages"], last], **fields}
    assert build_request(result.turn, Conversation()) == result.body
    assert (result.turn.beginning, result.turn.continued_by) == ("One, t", how)


def test_an_endpoint_that_is_not_known_to_continue_is_asked_to_go_on() -> None:
    """After the reply so far."""
    result = plan(Ask("hi", prefill=Prefill("One, t", (), method="go on")))
    assert result.body["messages"][-2:] == [
        {"role": "assistant", "content": "One, t"},
        {"role": "user", "content": CONTINUE_PROMPT},
    ]
    assert build_request(result.turn, Conversation()) == result.body


def test_a_request_is_shown_without_what_the_server_refused() -> None:
    """So `%chat show --request` shows what was sent, after a restart as well."""
    turn = plan(Ask("hi")).turn
    turn = replace(turn, reply=Reply(refused_fields=("stream_options",)))
    assert "stream_options" not in build_request(turn, Conversation())


@pytest.mark.parametrize("local", [False, True])
def test_a_copied_ask_goes_to_the_endpoint_in_use(local: bool) -> None:
    """One of a local model goes to the local model in use, without a model's name."""
    turn = Turn("t", "hi", model="m", params={"top_k": 3}, local=local)
    ask = copy_ask(turn, Settings(endpoint="local:x" if local else "e"))
    assert (ask.prompt, ask.replaces, ask.context) == ("hi", turn, "all")
    assert ask.params == {"top_k": 3}
    assert (ask.model, ask.endpoint) == ((None, "local:x") if local else ("m", "e"))
