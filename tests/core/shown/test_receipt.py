"""The receipt under a reply: what was sent, what it used, how it ended."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import (
    LIMIT_REASONS,
    LOOP,
    Reply,
    Round,
    Status,
    ToolCall,
    ToolResult,
    Usage,
)
from di_magics.core.request.body import build_body
from di_magics.core.settings.services import SERVICES, UNKNOWN_SERVICE
from di_magics.core.shown.receipt import (
    format_receipt,
    outcome_line,
    receipt_parts,
    sweep_receipts,
)

REPLY = Reply(
    text="Hi",
    status="done",
    finish_reason="stop",
    model="a/model",
    usage=Usage(1234, 51, 1285),
    cost=Decimal("0.000012"),
    request=build_body("a/model", [], {"temperature": 0, "stop": ("\n",)}),
    first_token=0.5,
    elapsed=1.5,
)
TURN = Turn("1", "Hello", model="a/model", endpoint="deepinfra", reply=REPLY)


def line(**changes: Any) -> list[str]:
    """Return the parts of the receipt of a reply that differs in this."""
    return format_receipt(replace(TURN, reply=replace(REPLY, **changes))).split(" · ")


def test_a_receipt_has_every_fact_in_order() -> None:
    """Model, parameters, tokens, cost, times and the end, in this order."""
    assert format_receipt(TURN) == (
        r'a/model · temperature=0 stop=["\n"] · 1,234 → 51 tokens · $0.000012 · '
        "first text 0.50 s · 50 tokens/s · finished"
    )


def test_parameters_are_those_that_were_sent() -> None:
    """They come from the request, not from what the turn meant to send."""
    assert line(request=None)[1] == "server's defaults"
    assert line(request=build_body("m", [], {"repetition_penalty": 2}, service=SERVICES["local"]))[
        1
    ] == ("repeat_penalty=2")


def test_another_model_than_asked_for_is_named() -> None:
    """A deprecated model is answered by its successor, and a local one by its own name."""
    assert line(model="b/model")[:2] == ["b/model", "asked for a/model"]
    assert line(model=None)[0] == "a/model"
    assert format_receipt(replace(TURN, endpoint="local", local=True)).startswith(
        "a/model · on this machine · "
    )


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"cost": None}, ["1,234 → 51 tokens", "cost —"]),
        ({"cost": None, "usage": Usage()}, ["cost —"]),
        ({"cost": None, "usage": Usage(), "status": "failed"}, []),
        ({"cost": Decimal(0)}, ["1,234 → 51 tokens", "free"]),
        ({"usage": Usage(None, 5)}, ["? → 5 tokens", "$0.000012"]),
        ({"usage": Usage(5)}, ["5 → ? tokens", "$0.000012"]),
    ],
)
def test_what_is_not_known_is_not_guessed(changes: dict[str, Any], parts: list[str]) -> None:
    """Unknown tokens are a question mark or left out, an unknown cost is a dash."""
    assert line(**changes, first_token=None)[2:-1] == parts


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"first_token": None}, []),
        ({"elapsed": None}, []),
        ({"usage": Usage(5, 1)}, ["first text 0.50 s"]),
        ({"usage": Usage(5)}, ["first text 0.50 s"]),
        ({"elapsed": 0.5}, ["first text 0.50 s"]),
        ({"elapsed": 0.5001}, ["first text 0.50 s"]),
        ({"usage": Usage(5, 5001)}, ["first text 0.50 s", "5,000 tokens/s"]),
    ],
)
def test_speed_is_shown_where_it_was_measured(changes: dict[str, Any], parts: list[str]) -> None:
    """A reply that came in one piece, or in no time, has no speed."""
    assert line(**changes)[4:-1] == parts


@pytest.mark.parametrize(
    ("status", "reason", "ending"),
    [
        ("done", "stop", "finished"),
        ("done", None, "finished"),
        *(("done", reason, "cut off by max_tokens") for reason in LIMIT_REASONS),
        ("done", "content_filter", "content_filter"),
        ("stopped", None, "stopped by you"),
        ("cut", "error", "cut: the stream broke off"),
        ("failed", None, "failed"),
        ("open", None, "not finished"),
    ],
)
def test_the_ending_is_shown(status: Status, reason: str | None, ending: str) -> None:
    """Why a whole reply ended, and how the others did."""
    assert line(status=status, finish_reason=reason)[-1] == ending


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"text": ""}, "ended without any text"),
        ({"text": "", "finish_reason": "tool_calls"}, "ended without any text"),
        ({"text": " \n", "reasoning": "hm"}, "ended without any text"),
        ({"text": "", "finish_reason": "length"}, "cut off by max_tokens before any text"),
        ({"text": "", "images": 1}, "finished"),
        ({"text": "", "tool_calls": (ToolCall("1", "f", "{}"),)}, "finished"),
        ({"text": "", "finish_reason": "content_filter"}, "content_filter"),
    ],
)
def test_a_reply_without_text_says_so(changes: dict[str, Any], ending: str) -> None:
    """A server that reports success leaves an empty output; the reasoning may be all there is."""
    assert line(**{"finish_reason": "stop", **changes})[-1] == ending


def test_calls_that_end_a_reply_were_not_run() -> None:
    """Without calls it is the server's own word."""
    calls = (ToolCall("1", "f", "{}"),)
    ending = line(finish_reason="tool_calls", tool_calls=calls)[-1]
    assert ending == "ended with calls that were not run"
    assert line(finish_reason="tool_calls")[-1] == "tool_calls"


def test_notes_come_last() -> None:
    """What the session has to add."""
    assert format_receipt(TURN, ["variant 2 of 2", "x"]).endswith(
        " · finished · variant 2 of 2 · x"
    )


def test_foreign_names_cannot_repaint_the_line() -> None:
    """The model's name comes from the server, and is one printable line."""
    assert line(model="a\x1b[31m\nb")[0] == "a b"


ROUND = Round(calls=(ToolCall("1", "f", "{}"),), results=(ToolResult("2"),))
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]


def along(**changes: Any) -> list[str]:
    """Return what the receipt of a turn that differs in this has more than the plain one."""
    plain = format_receipt(TURN).split(" · ")
    return [
        part for part in format_receipt(replace(TURN, **changes)).split(" · ") if part not in plain
    ]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"attachments": (Attachment("image", "a.png", "2 × 2"),)}, ["with a.png: 2 × 2"]),
        (
            {"attachments": (Attachment("text", "a", "b"), Attachment("text", "c", "d", "e"))},
            ["with a: b", "with c: d"],
        ),
        ({"fields": {"tools": TOOLS}}, ["tools: f, g"]),
        ({"fields": {"tools": []}}, []),
        ({"fields": {"response_format": {"type": "json_object"}}}, ["as JSON"]),
        (
            {
                "fields": {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "Person", "schema": {}},
                    }
                }
            },
            ["as JSON: Person"],
        ),
        ({"reply": replace(REPLY, rounds=(ROUND,))}, ["2 requests"]),
        ({"reply": replace(REPLY, rounds=(ROUND, ROUND))}, ["3 requests"]),
        (
            {"reply": replace(REPLY, text="", rounds=(ROUND,))},
            ["2 requests", "ended without any text"],
        ),
        (
            {"reply": replace(REPLY, text="", status="failed", rounds=(ROUND, ROUND))},
            ["2 requests", "failed"],
        ),
        ({"reply": replace(REPLY, text="", status="failed", rounds=(ROUND,))}, ["failed"]),
        (
            {
                "reply": replace(
                    REPLY, text="", status="cut", tool_calls=ROUND.calls, rounds=(ROUND,)
                )
            },
            ["2 requests", "cut: the stream broke off"],
        ),
        ({"dialect": "ollama", "params": {"top_k": 3, "seed": 1}}, ["Ollama ignores top_k"]),
        ({"dialect": "xai", "params": {"stop": ("a",)}}, []),
        ({"context": 2}, ["with the last 2 turns"]),
        ({"context": 1}, ["with the last turn"]),
        ({"context": 0}, ["without earlier turns"]),
        ({"system": "Be brief."}, ["with a system prompt"]),
        ({"system": "Be brief.", "system_is_policy": True}, []),
    ],
)
def test_what_was_sent_with_the_prompt_is_shown(changes: dict[str, Any], parts: list[str]) -> None:
    """Attachments, tools, the form of the reply, what had no effect, and how many requests."""
    assert along(**changes) == parts


def test_the_tool_choice_is_that_of_the_first_request() -> None:
    """Later ones are eased, or the model would have to call tools for ever."""
    fields = {"tools": TOOLS}
    params = {"tool_choice": "f"}
    first = build_body("a/model", [], params, fields=fields)
    turn = replace(TURN, params=params, fields=fields, reply=replace(REPLY, request=first))
    assert "tool_choice=f" in format_receipt(turn).split(" · ")
    last = replace(REPLY, request={**first, "tool_choice": "auto"}, rounds=(ROUND,))
    assert "tool_choice=f" in format_receipt(replace(turn, reply=last)).split(" · ")


@pytest.mark.parametrize("foreign", ["a\x1b[31m\nb", "a\r\nb", "\u202eab", "a\u2028b"])
def test_nothing_foreign_can_repaint_the_line(foreign: str) -> None:
    """Names and notes of attachments, tools, forms and ends come from files of others' too."""
    form = {"type": "json_schema", "json_schema": {"name": foreign, "schema": {}}}
    turn = replace(
        TURN,
        model=foreign,
        fields={
            "tools": [{"type": "function", "function": {"name": foreign}}],
            "response_format": form,
        },
        attachments=(Attachment("text", foreign, "x"),),
        reply=replace(REPLY, estimate=foreign),
    )
    assert format_receipt(turn).isprintable()
    assert format_receipt(
        replace(turn, attachments=(Attachment("text", "x", foreign),))
    ).isprintable()


@pytest.mark.parametrize("foreign", ["a\x1b[31m\nb", "a\r\nb", "\u202eab"])
def test_a_foreign_finish_reason_cannot_repaint_the_line(foreign: str) -> None:
    """A file of others' may name any reason to end."""
    assert format_receipt(replace(TURN, reply=replace(REPLY, finish_reason=foreign))).isprintable()


def test_a_long_note_is_cut() -> None:
    """A file of others' may say anything of what was attached."""
    assert (
        len(format_receipt(replace(TURN, attachments=(Attachment("text", "a", "x" * 9999),)))) < 500
    )


LONG = {"temperature": 0.25, "top_p": 0.75, "top_k": 40, "presence_penalty": 0.5, "seed": 12345}


def test_short_line_has_model_parameters_usage_cost_and_notes() -> None:
    """The rest is in the details."""
    turn = replace(TURN, system="Be brief.", context=2)
    receipt = receipt_parts(turn, ["variant 2 of 2"])
    assert receipt.summary == (
        r'a/model · temperature=0 stop=["\n"] · 1,234 → 51 tokens · $0.000012 · variant 2 of 2'
    )
    assert receipt.details == (
        "with a system prompt",
        "with the last 2 turns",
        "first text 0.50 s",
        "50 tokens/s",
        "finished",
    )


@pytest.mark.parametrize(
    ("changes", "on_line", "in_details"),
    [
        ({"status": "stopped"}, "stopped by you", None),
        ({"finish_reason": "length"}, "cut off by max_tokens", None),
        ({"estimate": "by hand", "cost": Decimal("0.5")}, "about $0.50", "cost estimated: by hand"),
        ({"request": build_body("m", [], LONG)}, "5 parameters", "temperature=0.25 top_p=0.75"),
        ({"service_tier": "flex"}, "service tier flex", None),
        ({"service_tier": "default"}, "$0.000012", "service tier default"),
    ],
)
def test_what_is_unusual_is_on_the_short_line(
    changes: dict[str, Any], on_line: str, in_details: str | None
) -> None:
    """An unusual ending, that a cost is an estimate, and how many parameters were sent."""
    receipt = receipt_parts(replace(TURN, reply=replace(REPLY, **changes)))
    assert on_line in receipt.line
    assert in_details is None or any(fact.startswith(in_details) for fact in receipt.details)
    assert len(receipt.summary) < 120


ANY_TURN = [
    TURN,
    replace(TURN, endpoint="local", system="x", context=0, fields={"tools": TOOLS}),
    replace(TURN, reply=replace(REPLY, cost=None, usage=Usage(), first_token=None)),
    replace(TURN, reply=replace(REPLY, model="b/model", request=build_body("m", [], LONG))),
]


@pytest.mark.parametrize("turn", ANY_TURN)
def test_line_and_details_are_the_whole_receipt(turn: Turn) -> None:
    """No fact is lost, and none is in both, but parameters that are counted on the line."""
    line, details = receipt_parts(turn, ["a note"])
    parts = [part for part in line if not part.endswith(" parameters")]
    assert sorted([*parts, *details]) == sorted(format_receipt(turn, ["a note"]).split(" · "))


def varied(temperature: float, **changes: Any) -> Turn:
    """Return a turn of a sweep."""
    request = build_body("a/model", [], {"temperature": temperature, "seed": 1})
    return replace(TURN, reply=replace(REPLY, request=request, **changes))


def test_runs_of_a_sweep_share_their_common_facts() -> None:
    """What was not varied, and what came out alike, comes once, in the receipt's order."""
    common, others = sweep_receipts([varied(0), varied(1, cost=Decimal("0.000020"))])
    assert common == (
        ("a/model", "seed=1", "1,234 → 51 tokens"),
        ("finished",),
    )
    assert others == [
        (("temperature=0", "$0.000012"), ("first text 0.50 s", "50 tokens/s")),
        (("temperature=1", "$0.000020"), ("first text 0.50 s", "50 tokens/s")),
    ]


@pytest.mark.parametrize("turns", [[], ANY_TURN[:1], ANY_TURN, [varied(t / 10) for t in range(9)]])
def test_common_and_other_facts_are_the_whole_receipt(turns: list[Turn]) -> None:
    """Of each run, whatever the runs are."""
    common, others = sweep_receipts(turns)
    assert len(others) == len(turns)
    for turn, own in zip(turns, others, strict=True):
        words = f"{common.text} {own.text}".replace(" · ", " ").split()
        assert sorted(words) == sorted(format_receipt(turn).replace(" · ", " ").split())


def test_the_outcome_is_what_was_not_known_before() -> None:
    """For a run whose label names its parameters."""
    assert outcome_line(TURN) == "1,234 → 51 tokens · $0.000012"
    assert outcome_line(replace(TURN, reply=Reply(status="failed"))) == "failed"


def test_what_came_and_is_not_shown_is_counted() -> None:
    """Images, and the choices after the first."""
    assert "1 image not shown" in line(images=1)
    assert {"2 images not shown", "1 of 3 choices"} <= set(line(images=2, choices=3))
    assert not {part for part in line() if "choice" in part or "image" in part}


@pytest.mark.parametrize(
    ("most", "local", "text"),
    [
        (20, True, "20 log-probabilities a token, raw"),
        (1, True, "1 log-probability a token, raw"),
        (0, False, "log-probabilities of the tokens alone, raw or processed: not known"),
    ],
)
def test_log_probabilities_are_named_with_their_basis(most: int, local: bool, text: str) -> None:
    """llama.cpp's are the model's own; of other servers that is not known."""
    request = build_body(
        "m", [], {"logprobs": most}, service=SERVICES["local"] if local else UNKNOWN_SERVICE
    )
    turn = replace(TURN, local=local, reply=replace(REPLY, request=request))
    assert text in format_receipt(turn).split(" · ")
    assert "logprobs" not in format_receipt(turn)


def test_a_continued_reply_says_how() -> None:
    """By token ids, or from the text."""
    ids = {"model": "m", "prompt": [1, 2, 3], "logprobs": 5}
    assert {
        "continued from 3 token ids",
        "5 log-probabilities a token, raw or processed: not known",
    } <= {*line(request=ids)}
    for how, text in (
        ("prefix", "continued from the text (prefix)"),
        ("go on", "continued by a request to go on"),
    ):
        assert text in format_receipt(replace(TURN, continued_by=how)).split(" · ")


def test_a_reply_that_was_ended_in_a_loop_says_so() -> None:
    """And how to let it go on."""
    ending = "ended because it repeated itself (set max_tokens to let it go on)"
    assert line(finish_reason=LOOP)[-1] == ending
