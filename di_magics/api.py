"""The Python API: a thin layer on the session of the magics."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from di_magics.core.amount import parse_usd
from di_magics.core.arguments import check_arguments
from di_magics.core.conversation import conversation
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.conversation import Turn
from di_magics.core.conversation.messages import turn_messages
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.request.body import sent_params
from di_magics.core.request.plan import ROUNDS, Ask
from di_magics.core.settings.extras import PARAM_OF_FIELD, check_extra
from di_magics.core.settings.params import validate
from di_magics.core.shown.lens import SAMPLERS
from di_magics.core.sweep.difference import Part, compare_texts
from di_magics.core.sweep.measures import Measure
from di_magics.core.sweep.runs import Vary, check_measures, check_vary
from di_magics.core.text import count_noun
from di_magics.display.sweep import Sweep
from di_magics.display.views import FinalGrid, SilentView
from di_magics.endpoints.endpoint import Endpoint
from di_magics.magics.branching import branch_runs, lab_functions, lens_functions
from di_magics.magics.chat import ChatMagics, current, format_replies
from di_magics.magics.compose import new_session
from di_magics.session.inspector import BRANCH_TOKENS
from di_magics.session.session import Answer, Session
from di_magics.session.stream import ReplyStream
from di_magics.session.sweep_runner import SweepRunner
from di_magics.session.view import View

if TYPE_CHECKING:
    from di_magics.display.lens import Lens
    from di_magics.values.json_schema import JsonSchema
    from di_magics.values.reply_schema import ClassSchema
    from di_magics.values.tools import Toolbox


def _magics() -> ChatMagics | None:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell:
        format_replies(shell)
    magics = current(shell)
    if magics:
        magics.session.notebook.enter()
    return magics


def _session(magics: ChatMagics | None) -> AbstractContextManager[Session]:
    """Return the session of the loaded extension, or one that ends with the call."""
    return nullcontext(magics.session) if magics else _own_session()


@contextmanager
def _own_session() -> Iterator[Session]:
    session = new_session(policy=os.environ.get("DI_MAGICS_POLICY"))
    try:
        yield session
    finally:
        session.close()


def panel() -> Any:
    """Return the panel of the loaded extension, an ipywidgets widget to display.

    Raises ParamError if the extension is not loaded.
    """
    magics = _magics()
    if not magics:
        raise ParamError("The panel needs the extension. Run %load_ext di_magics first.")
    return magics.panel.widget


@check_arguments
def lens(reply: Reply) -> Lens:
    """Return the tokens of a reply by probability, to display in a notebook.

    The reply needs log-probabilities: `ask(prompt, logprobs=20)`. Raises ChatError without any.
    """
    from di_magics.display.lens import Lens

    magics = _magics()
    with _session(magics) as session:
        turn = _turn_of(session, reply)
        data = session.inspector.lens_data(turn)
        return Lens(data, **lens_functions(session, turn, data) if magics else {})


@check_arguments
def lab(reply: Reply, *, at: int = 0, order: str | None = None, **settings: Any) -> Lens:
    """Return what other settings make of a reply, to display in a notebook with sliders.

    `at` is the index of the token to begin with in `reply.logprobs`. `order` is the order of the
    filters: a server whose order is known, or names of filters with commas. `settings` are sampling
    parameters (`temperature=1.4`, `top_p=0.9`, …); the others are as they were sent. Raises
    ChatError without log-probabilities, ParamError for an invalid setting.
    """
    from di_magics.core.shown.lens_text import lab_values, parse_order
    from di_magics.display.lens import Lens

    values, filters = lab_values(settings), order and parse_order(order)
    magics = _magics()
    with _session(magics) as session:  # without the extension it ends with the call
        turn = _turn_of(session, reply)
        data = session.inspector.lens_data(turn)
        functions = lab_functions(magics.asking, turn, data) if magics else {}
        return Lens(data, lab=True, at=at, values=values, order=filters or None, **functions)


@check_arguments
def branch(
    reply: Reply,
    *,
    at: int,
    token: str | None = None,
    rank: int | None = None,
    n: int = 8,
    max_tokens: int = BRANCH_TOKENS,
) -> Sweep:
    """Return `n` continuations of a reply from one of its tokens, as a sweep.

    `at` is the index of the token in `reply.logprobs`. The token there is the reply's own, the one
    with this text, or the one of this rank (1: the likeliest). The current settings are used. Only
    the progress is displayed, and the conversation does not change. Raises ChatError without
    log-probabilities, ParamError where there is no such token, and EndpointError.
    """
    magics = _magics()
    with _session(magics) as session:
        turn = _turn_of(session, reply)
        ask = session.inspector.branch(turn, at, token=token, rank=rank, max_tokens=max_tokens)
        return _run_sweep(magics, session, ask, *branch_runs(ask, n), fresh=True)


def _turn_of(session: Session, reply: Reply) -> Turn:
    """Return the turn of a reply, which may not be part of the conversation."""
    turns = [*session.conversation.turns.values(), session.notebook.last_once]
    for turn in turns:
        if turn and reply.id and turn.reply.id == reply.id:
            return replace(turn, reply=reply)
    request = reply.request or {}
    texts = {m.get("role"): m.get("content") for m in request.get("messages", ())}
    prompt = texts.get("user")
    return Turn(
        "",
        prompt if isinstance(prompt, str) else "",
        system=texts.get("system"),
        model=reply.model or "",
        # A local server costs nothing, and is the one that sends ids.
        local=reply.cost == 0 and all(token.id is not None for token in reply.logprobs),
        extra={SAMPLERS: request[SAMPLERS]} if SAMPLERS in request else {},
        params={PARAM_OF_FIELD[name]: value for name, value in sent_params(request).items()},
        reply=reply,
    )


@check_arguments
def sweep(
    prompt: str,
    *,
    vary: Mapping[str, Iterable[Any]],
    n: int = 1,
    concurrency: int | None = None,
    measures: Mapping[str, Callable[[Reply], Any]] | None = None,
    fresh: bool = False,
    yes: bool = False,
    budget: float | str | Decimal | None = None,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    extra: Mapping[str, Any] | None = None,
    **params: Any,
) -> Sweep:
    """Return a sweep: `n` replies for every combination of the values in `vary`.

    `vary` has names of sampling parameters, `model` or `system`; `measures` are functions of a
    reply, by name. `concurrency` is the number of concurrent requests: 8 by default, at most 200,
    and one for a local model. `extra` are other fields of the request. Only the progress is
    displayed, and the conversation does not change. A run with a complete saved reply is not sent
    again, unless `fresh`. Raises the errors of `ask`, and BudgetError for more than 20 calls or
    $0.05 without `yes` or a `budget` in USD.
    """
    limit = None if budget is None else parse_usd(budget, "budget")
    asked = Ask(
        prompt,
        model=model,
        system=system,
        endpoint=endpoint,
        params=params,
        extra=extra or {},
        once=True,
        budget=limit,
        yes=yes,
    )
    values = check_vary(vary)
    check_measures(measures or {}, values)
    magics = _magics()
    with _session(magics) as session:
        options = {"fresh": fresh, "concurrency": concurrency}
        return _run_sweep(magics, session, asked, values, n, measures, **options)


def _run_sweep(
    magics: ChatMagics | None,
    session: Session,
    ask: Ask,
    vary: Vary,
    repeats: int,
    measures: Mapping[str, Measure] | None = None,
    **options: Any,
) -> Sweep:
    """Return a sweep, as one of the running cell if the extension is loaded."""
    if magics:
        return magics.asking.sweep_here(ask, vary, repeats, measures=measures, **options)
    result = SweepRunner(session, ask, vary, repeats).run(FinalGrid(final=False), **options)
    return Sweep.of(result, measures or {})


@check_arguments
def diff(one: str | Reply, other: str | Reply) -> list[Part]:
    """Return the parts of two texts or replies: in both, only in the first, only in the second."""
    first, second = (t.clean_text if isinstance(t, Reply) else t for t in (one, other))
    return compare_texts(first, second)


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
    the reply does not fit it. `extra` are other fields of the request, sent as they are. Raises
    ParamError for an invalid parameter, ToolError, ReplyError if
    the reply does not fit the schema, and EndpointError if there is no complete reply (`.reply` is
    the partial one).
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
    arguments and the errors are those of `ask`.
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

    The arguments are those of `ask` and hold for all its turns; the defaults are the current
    settings. Costs, budget and policy are those of `ask`. It is kept in memory only. Raises
    ParamError for an invalid parameter.
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
        """The messages with which the next request begins, as the API has them."""
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

        The arguments and the errors are those of the function `ask`.
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
        """Return the reply's text as it comes; leaving the loop stops it and keeps what came."""
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
    magics = _magics()
    if magics:
        _ = magics.session.conversation  # only the running cell tells which notebook it is

    def ask(view: View) -> Answer:
        with _session(magics) as session:
            return session.ask(replace(asked, history=history()), view)

    return ask


@check_arguments
def score(text: str, *, prompt: str | None = None, endpoint: str = "local") -> Reply:
    """Return a text as a reply with the log-probabilities that a local model gives its tokens.

    The model reads it after a prompt, or by itself; about 13 ms a token. `endpoint` is `local` or
    `local:FILE.gguf`. Raises ParamError for an empty text, or one of more than 4,000 tokens, and
    EndpointError.
    """
    with _session(_magics()) as session:
        return session.inspector.score(text, prompt, endpoint)


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
