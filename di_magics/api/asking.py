"""Questions from Python, each alone or in a conversation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from di_magics.api.loaded import loaded_magics, open_session
from di_magics.core.arguments import check_arguments
from di_magics.core.conversation import conversation
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.messages import turn_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import Reply
from di_magics.core.request.ask import ROUNDS, Ask
from di_magics.core.settings.extras import check_extra
from di_magics.core.settings.params import validate
from di_magics.core.text import count_noun
from di_magics.display.views import SilentView
from di_magics.endpoints.endpoint import Endpoint
from di_magics.session.session import Answer
from di_magics.session.stream import ReplyStream
from di_magics.session.view import View

if TYPE_CHECKING:
    from di_magics.values.json_schema import JsonSchema
    from di_magics.values.reply_schema import ClassSchema
    from di_magics.values.tools import Toolbox


@check_arguments
def ask(
    prompt: str,
    *,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    attach: Any = (),
    tools: Callable[..., Any] | Iterable[Callable[..., Any]] = (),
    confirm: bool = False,
    rounds: int = ROUNDS,
    schema: Any = None,
    repair: bool = False,
    extra: Mapping[str, Any] | None = None,
    **params: Any,
) -> Reply:
    """Return the model's reply; displays nothing, and does not change the conversation.

    Its cost is in `%chat cost`. `params` are sampling parameters (`temperature=0.2`, `seed=1`, …);
    the defaults are the current settings (`%chat set`). `attach` is an image, a table, a text or
    the path (`Path`) of a file, or a list of them. The model may call `tools`; the user is asked
    before a call of one that is not marked `@safe`, and with `confirm` before every call. `schema`
    is the class or the JSON Schema of `reply.json()`; with `repair` the model is asked once more if
    the reply does not fit it. `extra` are other fields of the request, sent as they are.

    Raises ParamError for an invalid argument, BudgetError if the request may cost more than a
    budget allows, PolicyError if a policy forbids it, ToolError if a tool cannot be offered or run,
    ReplyError if the reply does not fit the schema, EndpointError if there is no complete reply
    (`.reply` is the partial one), StoreError if the files on disk cannot be used, and Interrupted.
    """
    template = Ask("", model=model, system=system, endpoint=endpoint, once=True)
    asked = _fill_ask(template, prompt, params, extra, attach, schema, repair=repair)
    asked = replace(asked, tools=_toolbox(tools, confirm=confirm), rounds=rounds)
    return _asker(asked)(SilentView()).unwrap().reply


@check_arguments
def stream(
    prompt: str,
    *,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    attach: Any = (),
    extra: Mapping[str, Any] | None = None,
    **params: Any,
) -> ReplyStream:
    """Return the reply's text as it comes, to iterate over with `for` or `async for`.

    Leaving the loop stops the reply; its cost counts. `.reply` is the reply after the loop. The
    arguments are those of `ask`, without tools and `schema`. The loop raises the errors of `ask`,
    and ChatError if it is the second one over the same stream.
    """
    template = Ask("", model=model, system=system, endpoint=endpoint, once=True)
    return ReplyStream(_asker(_fill_ask(template, prompt, params, extra, attach)))


@check_arguments
async def aask(
    prompt: str,
    *,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    attach: Any = (),
    schema: Any = None,
    repair: bool = False,
    extra: Mapping[str, Any] | None = None,
    **params: Any,
) -> Reply:
    """Return the model's reply, without blocking the event loop; several can be asked at once.

    Cancelling it stops the reply. The arguments and the errors are those of `ask`, without tools.
    """
    template = Ask("", model=model, system=system, endpoint=endpoint, once=True)
    asked = _fill_ask(template, prompt, params, extra, attach, schema, repair=repair)
    return await _read_to_end(ReplyStream(_asker(asked)))


class Conversation:
    """A conversation of your own, apart from the notebook's: every `ask` sends the turns before it.

    `model`, `system`, `endpoint`, `extra` and the sampling parameters are those of `ask`, and hold
    for all its turns; the defaults are the current settings. Costs, budget and policy are those of
    `ask`. It is kept in memory only. Raises ParamError for an invalid parameter.
    """

    @check_arguments
    def __init__(
        self,
        *,
        model: str | None = None,
        system: str | None = None,
        endpoint: str | Endpoint | None = None,
        extra: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> None:
        self._template = Ask(
            "",
            model=model,
            system=system,
            endpoint=endpoint,
            extra={name: check_extra(name, value) for name, value in (extra or {}).items()},
            params={name: validate(name, value) for name, value in params.items()},
            once=True,
        )
        self._record = conversation.Conversation()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<di_magics.Conversation of {count_noun(len(self.turns), 'turn')}>"

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, oldest first; each has a `prompt` and a `reply`."""
        return self._record.path()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The turns so far as messages of the API, after the conversation's own system prompt.

        The next request begins with them, with two exceptions: if the conversation has no `system`,
        the system prompt of the settings or of a policy is sent; and with `%chat set context=N`
        only the last N turns are sent.
        """
        system = self._template.system
        first = [{"role": "system", "content": system}] if system else []
        return [*first, *(message for turn in self.turns for message in turn_messages(turn))]

    @check_arguments
    def ask(
        self,
        prompt: str,
        *,
        attach: Any = (),
        tools: Callable[..., Any] | Iterable[Callable[..., Any]] = (),
        confirm: bool = False,
        rounds: int = ROUNDS,
        schema: Any = None,
        repair: bool = False,
        extra: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Reply:
        """Return the model's reply, and add the turn to the conversation; a partial one, too.

        The arguments are those of the function `ask`, without `model`, `system` and `endpoint`.
        Raises its errors, and ChatError while the conversation waits for another reply.
        """
        asked = _fill_ask(self._template, prompt, params, extra, attach, schema, repair=repair)
        asked = replace(asked, tools=_toolbox(tools, confirm=confirm), rounds=rounds)
        return self._asker(asked)(SilentView()).unwrap().reply

    @check_arguments
    def stream(
        self,
        prompt: str,
        *,
        attach: Any = (),
        extra: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> ReplyStream:
        """Return the reply's text as it comes.

        Leaving the loop stops the reply and keeps the part that came. The loop raises the errors
        of `ask`.
        """
        return ReplyStream(self._asker(_fill_ask(self._template, prompt, params, extra, attach)))

    @check_arguments
    async def aask(
        self,
        prompt: str,
        *,
        attach: Any = (),
        schema: Any = None,
        repair: bool = False,
        extra: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Reply:
        """Return the same as `ask` without blocking the event loop, and without tools."""
        asked = _fill_ask(self._template, prompt, params, extra, attach, schema, repair=repair)
        return await _read_to_end(ReplyStream(self._asker(asked)))

    def _asker(self, asked: Ask) -> Callable[[View], Answer]:
        """Return a function that asks and adds the turn, on any thread, one at a time."""
        ask = _asker(asked, lambda: self._record)

        def ask_next(view: View) -> Answer:
            if not self._lock.acquire(blocking=False):
                raise ChatError("This conversation waits for a reply. Ask again after that one.")
            try:
                answer = ask(view)
                turn = answer.turn
                if not turn.reply.is_empty:
                    # Each request holds the messages before it: the reply that is returned has it.
                    turn = replace(turn, reply=replace(turn.reply, request=None))
                    self._record = self._record.with_turn(turn)
                return answer
            finally:
                self._lock.release()

        return ask_next


async def _read_to_end(pieces: ReplyStream) -> Reply:
    async for _ in pieces:
        pass
    assert pieces.reply is not None  # else it has raised
    return pieces.reply


def _fill_ask(
    template: Ask,
    prompt: str,
    params: Mapping[str, Any],
    extra: Mapping[str, Any] | None,
    attach: Any,
    schema: Any = None,
    *,
    repair: bool = False,
) -> Ask:
    """Return the template with a prompt; its own parameters and extras are kept, unless given."""
    values = attach if isinstance(attach, list | tuple) else [attach]
    shape = None if schema is None else _reply_schema(schema)
    return replace(
        template,
        prompt=prompt,
        params={**template.params, **params},
        extra={**template.extra, **(extra or {})},
        attachments=tuple(_make_attachment(value, n) for n, value in enumerate(values, 1)),
        schema=shape,
        repair=repair,
        format="json" if shape else "",
    )


def _asker(
    asked: Ask, history: Callable[[], conversation.Conversation | None] = lambda: None
) -> Callable[[View], Answer]:
    """Return a function that asks, perhaps on another thread; this one knows which cell runs."""
    magics = loaded_magics()
    if magics:
        _ = magics.session.conversation  # only the running cell tells which notebook it is

    def ask(view: View) -> Answer:
        with open_session(magics) as session:
            return session.ask(replace(asked, history=history()), view)

    return ask


def _toolbox(
    tools: Callable[..., Any] | Iterable[Callable[..., Any]], *, confirm: bool
) -> Toolbox | None:
    functions = [tools] if callable(tools) else list(tools)
    if not functions:
        return None
    from di_magics.values.tools import ask_user, make_toolbox

    return make_toolbox(functions, ask_user, confirm=confirm)


def _reply_schema(schema: object) -> ClassSchema | JsonSchema:
    from di_magics.values.reply_schema import reply_schema

    return reply_schema(schema, getattr(schema, "__name__", "schema"))


def _make_attachment(value: object, number: int) -> Attachment:
    from di_magics.values.attach import attach, attach_value

    if isinstance(value, Path):
        return attach(str(value), {}, Path.cwd())
    return attach_value(value, getattr(value, "name", None) or f"attachment {number}")
