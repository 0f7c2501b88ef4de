"""Replies and texts token by token, with a model on this machine.

The methods of Inspector start the local server if it does not run, block until the model has
answered, and can be interrupted. They raise ChatError, ParamError, PolicyError, EndpointError and
Interrupted. The exceptions are:

* `lens_data` and `branch` need no model for a turn of another endpoint.
* `lens_data` returns what is kept if the model fails. It raises ChatError only for a reply without
  log-probabilities.
* `normalizer_reader` returns at once; the function that it returns needs the model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError, EndpointError, ParamError, PolicyError
from di_magics.core.logprobs import TokenProbability, choose_token, own_bytes
from di_magics.core.money.cost import FREE
from di_magics.core.packed_tokens import LensData
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.request.ask import Ask, Prefill
from di_magics.core.request.route import Route
from di_magics.core.settings.settings import Settings
from di_magics.core.shown.lens import build_lens_data, build_text_lens
from di_magics.core.visible import one_line
from di_magics.endpoints.client import Client
from di_magics.endpoints.llama import WINDOW, Llama, LogNormalizers
from di_magics.endpoints.routing import Routing
from di_magics.runtime.loop import Loop
from di_magics.session.notebook import Notebook
from di_magics.storage.policy_file import PolicyFiles

T = TypeVar("T")
Report = Callable[[int, int], None]
"""Is called on the loop's thread with how many tokens of how many have been read."""

MAX_ALTERNATIVES = 20
MAX_TEXT_TOKENS = 4000
"""Tokens of a text that is scored: at 13 ms each, almost a minute."""
BRANCH_TOKENS = 20
READ_AGAIN = "The reply was scored again later: the numbers may differ slightly."


def ignore_progress(done: int, total: int) -> None:
    """Do nothing."""


class Source(Protocol):
    """What an inspector needs of a session."""

    routing: Routing
    policies: PolicyFiles
    loop: Loop
    notebook: Notebook

    @property
    def settings(self) -> Settings: ...
    @property
    def conversation(self) -> Conversation: ...
    def request(self, turn: Turn) -> dict[str, Any]: ...
    def ask_like(self, turn: Turn) -> Ask: ...


class Inspector:
    """Looks at the tokens of a session's turns."""

    def __init__(self, session: Source, client: Client) -> None:
        self._session = session
        self._client = client

    def lens_data(self, turn: Turn) -> LensData:
        """Return what a lens shows of a turn; the built-in model fills in what was not reported."""
        kept = turn.reply.logprobs or self._session.notebook.turns.logprobs(turn.id)
        data = build_lens_data(turn, kept)
        try:
            route = self._route(turn) if turn.local else None
            return self._run(route, lambda m: self._complete(m, turn, data)) if route else data
        except (ChatError, EndpointError, ParamError, PolicyError):  # what is kept can be shown
            return data

    def score_turn(self, turn: Turn, report: Report = ignore_progress) -> LensData:
        """Return what a lens shows of a turn whose reply the model reads again."""
        route, text = self._route(turn), turn.reply.clean_text

        async def work(model: Llama) -> LensData:
            prompt = await model.prompt_ids(self._messages(turn))
            tokens = await _score(model, prompt, text, report)
            data = replace(build_lens_data(turn, tokens), note=READ_AGAIN, unreported=0)
            return replace(data, vocabulary=await model.vocabulary(), prompt=_window(prompt))

        return self._run(route, work)

    def score(
        self,
        text: str,
        prompt: str | None = None,
        endpoint: str = "local",
        report: Report = ignore_progress,
    ) -> Reply:
        """Return a text as a reply with log-probabilities, after a prompt or by itself."""
        if not text:
            raise ParamError("The text is empty. Write at least a word.")
        route = self._route(None, endpoint)
        messages = [] if prompt is None else [{"role": "user", "content": prompt}]

        async def work(model: Llama) -> Reply:
            ids = await model.prompt_ids(messages) if messages else [await model.end_token()]
            tokens = await _score(model, ids, text, report)
            return Reply(
                text=text,
                status="done",
                model=route.model,
                usage=Usage(len(ids), len(tokens), len(ids) + len(tokens)),
                cost=FREE,
                logprobs=tuple(tokens),
            )

        return self._run(route, work)

    def lens_of_text(self, reply: Reply) -> LensData:
        """Return what a lens shows of a text that was scored."""

        async def work(model: Llama) -> LensData:
            return replace(build_text_lens(reply), vocabulary=await model.vocabulary())

        return self._run(self._route(None), work)

    def normalizer_reader(
        self, turn: Turn, data: LensData
    ) -> Callable[[Sequence[int]], list[float | None]]:
        """Return a function that returns logit - log-probability at positions of a turn's lens.

        It is None where it cannot be found. A repetition penalty needs it.
        """
        zeros: LogNormalizers | None = None

        def read(positions: Sequence[int]) -> list[float | None]:
            async def work(model: Llama) -> list[float | None]:
                nonlocal zeros
                zeros = zeros or LogNormalizers(
                    await model.prompt_ids(self._messages(turn)), data.tokens
                )
                return await zeros.read(model, positions)

            return self._run(self._route(turn), work)

        return read

    def branch(
        self,
        turn: Turn,
        position: int,
        *,
        token: str | None = None,
        rank: int | None = None,
        max_tokens: int = BRANCH_TOKENS,
    ) -> Ask:
        """Return an ask that continues a turn's reply from a position.

        The token at that position is the one with this text or rank (1: the likeliest), by default
        the one that was drawn. A local model continues the token ids, another one the text.
        """
        data = self.lens_data(turn)
        if not 0 <= position < len(data.tokens):
            raise ParamError(
                f"The reply has no token {position + 1}. Tokens are numbered 1 to "
                f"{len(data.tokens)}."
            )
        chosen = choose_token(data.tokens[position], token, rank)
        kept = (*data.tokens[:position], chosen)
        try:
            text = b"".join(piece.data for piece in kept).decode()
        except UnicodeDecodeError:
            raise ParamError(
                "A reply cannot be continued within a character. Choose a token that is not a "
                "piece of one."
            ) from None
        prefill = Prefill(text, kept)
        if turn.local and None not in (ids := [piece.id for piece in kept]):
            known = [id_ for id_ in ids if id_ is not None]

            async def work(model: Llama) -> Prefill:
                prompt = await model.prompt_ids(self._messages(turn))
                slot = await model.hold(prompt, known[:-1])
                return replace(prefill, ids=(*prompt, *known), slot=slot)

            prefill = self._run(self._route(turn), work)
        elif turn.id not in self._session.conversation.turns and _follows_turns(turn):
            raise ChatError(
                "This reply belongs to a di.Conversation, which only a local model can branch. "
                "Branch a turn of the notebook, or a reply of di.ask."
            )
        settings = self._session.settings
        fixed = {"max_tokens": max_tokens, "logprobs": max(1, data.most)}
        return replace(
            self._session.ask_like(turn),
            cell=turn.cell,
            params={**turn.params, **settings.params, **fixed},
            prefill=prefill,
        )

    # The server -----------------------------------------------------------------------------------

    def _route(self, turn: Turn | None, endpoint: str | None = None) -> Route:
        """Return the route of the local model that answered a turn."""
        session = self._session
        named = endpoint or session.settings.local_endpoint
        policy = session.policies.current()
        route = session.routing.choose(named, None, policy, session.policies.key())
        if not route.local:
            raise ParamError(
                f"{one_line(route.name, 80)} cannot score a text. Use the built-in model: "
                "endpoint local."
            )
        policy.check_model(route.model)
        if turn and turn.model != route.model:
            raise ChatError(
                f"This turn was answered by {one_line(turn.model, 80)}, but the local model is now "
                f"{one_line(route.model, 80)}. Switch back first, with %chat endpoint."
            )
        return route

    def _run(self, route: Route, work: Callable[[Llama], Awaitable[T]]) -> T:
        async def run() -> T:
            endpoint = await self._session.routing.open(route, lambda line: None)
            async with endpoint.turn():
                return await work(Llama(self._client, endpoint))

        return self._session.loop.run(run(), "Stopped. Run the cell again to start over.")

    def _messages(self, turn: Turn) -> list[dict[str, Any]]:
        """Return the messages that were sent. Raises ChatError where they are not known."""
        messages: list[dict[str, Any]] = (turn.reply.request or {}).get("messages", [])
        if not messages and turn.id in self._session.conversation.turns:
            messages = self._session.request(turn)["messages"]
        if not messages:
            raise ChatError(
                "What was sent before this reply is not known. Ask again with %%chat --logprobs."
            )
        return messages

    async def _complete(self, model: Llama, turn: Turn, data: LensData) -> LensData:
        """Return the data with what else the server knows: prompt, vocabulary, pieces, end."""
        prompt = await model.prompt_ids(self._messages(turn))
        data = replace(data, vocabulary=await model.vocabulary(), prompt=_window(prompt))
        if not data.unreported:
            return data
        known = await _place_pieces(model, data.tokens)
        total = len(data.tokens) + data.unreported
        if turn.reply.finish_reason == "stop" and len(known) + 1 == total:
            known.append((await model.end_token(), None))
        if len(known) > total:
            return data
        ids, tokens = [id_ for id_, _ in known], [token for _, token in known]
        # Backwards, because reading a position removes what follows it from the slot.
        for at in reversed(range(len(ids))):
            if tokens[at] is None:
                tokens[at] = await model.force([*prompt, *ids[:at]], ids[at], data.most)
        own = own_bytes([token for token in tokens if token])
        return replace(data, tokens=own, unreported=total - len(own))


async def _place_pieces(
    model: Llama, tokens: Sequence[TokenProbability]
) -> list[tuple[int, TokenProbability | None]]:
    """Return the ids of a reply with their tokens, None for a piece that was not reported.

    A token with the bytes of a whole character may be its last piece; the tokenizer knows the
    pieces before it.
    """
    placed: list[tuple[int, TokenProbability | None]] = []
    pieces: dict[bytes, list[int]] = {}
    for token in tokens:
        if token.id is None:
            break
        if not token.data.isascii() and token.data not in pieces:
            pieces[token.data] = await model.tokenize(token.text)
        ids = pieces.get(token.data, [token.id])
        if ids[-1:] != [token.id]:
            ids = [token.id]
        placed += [(id_, None) for id_ in ids[:-1]]
        placed.append((token.id, token))
    return placed


async def _score(
    model: Llama, prompt: Sequence[int], text: str, report: Report
) -> list[TokenProbability]:
    ids = await model.tokenize(text)
    if len(ids) > MAX_TEXT_TOKENS:
        raise ParamError(
            f"The text has {len(ids):,} tokens; at most {MAX_TEXT_TOKENS:,} are scored. Shorten it."
        )
    return await model.score(prompt, ids, MAX_ALTERNATIVES, lambda done: report(done, len(ids)))


def _follows_turns(turn: Turn) -> bool:
    sent = (turn.reply.request or {}).get("messages", ())
    return any(message.get("role") == "assistant" for message in sent)


def _window(prompt: Sequence[int]) -> tuple[int, ...]:
    return tuple(prompt[-WINDOW:])
