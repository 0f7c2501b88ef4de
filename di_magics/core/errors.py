"""The errors, split by what the user can do next.

DiMagicsError
  ParamError (ValueError)  a flag or a setting is wrong          -> fix the cell
  ChatError                cannot be done now: no such turn, …   -> see its message
  BudgetError              the worst case does not fit           -> raise the budget
  PolicyError              a teacher's file forbids it           -> ask the teacher
  ToolError                a tool cannot be offered or run       -> fix the function
  ReplyError (ValueError)  not the requested JSON; .reply        -> ask again, or --repair
  StoreError               the files on disk cannot be used      -> see its message
  EndpointError            .status .request_id .reply
    Unreachable            no connection, or it broke off early  -> check the address (retried)
    Refused                401 402 403                           -> fix the key or the account
    BadRequest             400 404 405 413 422                   -> fix the model or the prompt
      TooLong              .asked .limit                         -> send fewer turns
    Busy                   408 409 429 5xx                       -> wait (retried)
    StreamBroken           no complete reply, or not in time     -> run the cell again
Interrupted (KeyboardInterrupt)  the user pressed the stop square

"Retried" is only what fails before the reply has begun, and not at a local model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal


def _render_error(error: BaseException) -> list[str]:
    return [f"\x1b[31m{type(error).__name__}\x1b[0m: {error}"]


class DiMagicsError(Exception):
    """The root of everything this package raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """Return the one line IPython shows in place of a traceback."""
        return _render_error(self)


class ParamError(DiMagicsError, ValueError):
    """A flag, a setting or a command is wrong."""


class ChatError(DiMagicsError):
    """This cannot be done now: no such turn, no sweep, nobody to ask, or a reply is awaited."""


class BudgetError(DiMagicsError):
    """A request may cost more than its budget allows.

    All amounts are in USD, None if unknown: `reserve` is the most that the request may cost,
    `limit` the budget, `left` what is left of it, and `needed` the smallest budget that allows the
    request. `option` is the flag or the command that sets this budget, `source` the policy's file
    that has it.
    """

    reserve: Decimal | None = None
    limit: Decimal | None = None
    left: Decimal | None = None
    needed: Decimal | None = None
    option: str = ""
    source: str = ""


class PolicyError(DiMagicsError):
    """A policy does not allow it."""


class ToolError(DiMagicsError):
    """A tool cannot be offered or run."""


class ReplyError(DiMagicsError, ValueError):
    """The reply is not the requested JSON; `.reply` is the reply as it is."""

    reply: Any = None


class StoreError(DiMagicsError):
    """The files on disk cannot be used."""


class EndpointError(DiMagicsError):
    """A request has no complete reply; `.reply` is the partial reply, or None."""

    reply: Any = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class Unreachable(EndpointError):
    """No connection, or one that ended before an answer; or a local model that cannot be had.

    A server that accepts the connection and then is silent for too long is a StreamBroken.
    """


class Refused(EndpointError):
    """The key, the proxy or the certificate is missing or wrong, or the account cannot pay."""


class BadRequest(EndpointError):
    """The server does not accept this request."""


class TooLong(BadRequest):
    """The conversation does not fit the model: `asked` tokens where `limit` fit, if known.

    `server_text` is the message without a next step.
    """

    server_text: str = ""
    asked: int | None = None
    limit: int | None = None


class Busy(EndpointError):
    """The server cannot answer now."""


class StreamBroken(EndpointError):
    """The reply broke off, did not come in time, was too large, or was not a reply."""


class Interrupted(KeyboardInterrupt):
    """The user interrupted the cell; the partial reply is kept."""

    def _render_traceback_(self) -> list[str]:
        """Return the one line IPython shows in place of a traceback."""
        return _render_error(self)
