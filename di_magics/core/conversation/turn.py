"""A turn: a prompt, what was sent with it and where to, and the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import LOOP, Reply
from di_magics.core.settings.params import Value
from di_magics.core.settings.services import LOCAL, SERVICES, UNKNOWN_SERVICE, Service

MAIN = "main"
NOTHING = Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What is sent with a turn's prompt, and where to.

    `system` is the system prompt; `system_is_policy` is whether it comes from a policy;
    then it is not exported. `endpoint` is the endpoint's name and `url` its address, empty where
    llama.cpp answers on this machine (`local`). `dialect` is the row of the table of services by
    which the request is made. `context` is how many turns before this one are sent, None for all.
    `fields` are the request's fields besides messages and parameters (tools, response_format),
    `extra` those that the user has added. `format` is the format of the reply, empty for Markdown.
    `beginning` is the text that the reply continues, and `continued_by` how that was asked for (a
    value of PREFILL in services.py, or ASK_TO_CONTINUE).
    """

    system: str | None = None
    system_is_policy: bool = False
    model: str = ""
    endpoint: str = ""
    url: str = ""
    local: bool = False
    dialect: str = ""
    stream: bool = True
    context: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    attachments: tuple[Attachment, ...] = ()
    beginning: str = ""
    continued_by: str = ""

    @property
    def service(self) -> Service:
        """What is known of its endpoint."""
        return SERVICES.get(self.dialect or (LOCAL if self.local else ""), UNKNOWN_SERVICE)


@dataclass(frozen=True, slots=True)
class Turn(Sent):
    """A prompt and its reply.

    `parent` is the turn that it follows, and `parent_cell` the id of the cell where that was asked.
    `replaces` is the id of its first variant, where there is no cell id (a retry in a terminal).
    """

    id: str
    prompt: str
    parent: str | None = None
    cell: Cell | None = None
    replaces: str | None = None
    conversation: str = MAIN
    notebook: str = ""
    parent_cell: str = ""
    reply: Reply = NOTHING


def check_continuable(turn: Turn) -> None:
    """Raise ChatError if a turn's reply was not cut off, or has no text that can be continued."""
    reply = turn.reply
    if reply.rounds:
        raise ChatError(
            "A reply after tool calls cannot be continued. Ask again with a higher --max-tokens."
        )
    if not reply.clean_text.strip():
        raise ChatError("The last reply has no text to continue. %chat retry asks again.")
    if reply.complete and not (reply.hit_max_tokens or reply.finish_reason == LOOP):
        raise ChatError("The last reply is complete. Ask for more in a %%chat cell.")
