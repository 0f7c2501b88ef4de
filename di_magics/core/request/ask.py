"""What a cell asks, before settings, policy and endpoint make a turn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.json_reply import ReplySchema
from di_magics.core.reply.reply import ToolCall, ToolResult
from di_magics.core.settings.services import FINAL
from di_magics.core.settings.settings import Settings

ROUNDS = 8
"""How many times a model may call tools before it answers."""


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


@dataclass(frozen=True, slots=True)
class Prefill:
    """The beginning of a reply that is continued: its text and its tokens.

    `ids`, only for our own server, are the token ids of the prompt and of `tokens`. Its cache slot
    `slot` holds all of them but the last one. Without ids the reply is continued from its text, as
    `method` says (a value of PREFILL in services.py, or ASK_TO_CONTINUE).
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


def copy_ask(turn: Turn, settings: Settings) -> Ask:
    """Return an ask with a turn's prompt and settings, for a variant of the turn.

    It is for the endpoint in use; for a turn of a local model, for the local model in use.
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
