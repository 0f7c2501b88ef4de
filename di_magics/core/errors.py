"""The errors, split by what the reader can do next.

DiMagicsError
  ParamError (ValueError)  a flag or a setting is wrong          -> fix the cell
  ChatError                no such turn, nothing to undo         -> fix the cell
  BudgetError              the worst case does not fit           -> raise the budget
  PolicyError              a teacher's file forbids it           -> ask the teacher
  ToolError                a tool cannot be offered or run       -> fix the function
  ReplyError (ValueError)  not the JSON asked for; .reply        -> ask again, or --repair
  StoreError               what is kept on disk cannot be used   -> see the line
  EndpointError            .status .request_id
    Unreachable            no connection, or no answer in time   -> check the address (retried)
    Refused                401 402 403                           -> fix the key or the account
    BadRequest             400 404 405 413 422                   -> fix the model or the prompt
      TooLong              .asked .limit                         -> send fewer turns
    Busy                   408 409 429 5xx                       -> wait (retried)
    StreamBroken           the reply broke off; .reply           -> run the cell again
Interrupted (KeyboardInterrupt)  the reader pressed the stop square
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Terminal escapes and other control characters, and the marks that reorder or hide text: a
# server's words must not be able to repaint the line they are quoted in.
_UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]+"
)


def one_line(text: object, limit: int = 400) -> str:
    """Return foreign text as one printable line of at most `limit` characters."""
    line = " ".join(_UNPRINTABLE.sub(" ", str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """Return foreign code as it looks: without what reorders, hides or erases a part of it."""
    return "".join(
        sign
        for sign in text.replace("\r\n", "\n").replace("\r", "\n")
        if sign in "\n\t" or unicodedata.category(sign) not in _HIDDEN
    )


def described(error: BaseException) -> str:
    """Return an exception's type and text; its own `str` may raise whatever it likes."""
    name = type(error).__name__
    try:
        return f"{name}: {error}".removesuffix(": ")
    except BaseException:
        return name


def _rendered(error: BaseException) -> list[str]:
    return [f"\x1b[31m{type(error).__name__}\x1b[0m: {error}"]


class DiMagicsError(Exception):
    """The root of everything this package raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """Return the one line IPython shows in place of a traceback."""
        return _rendered(self)


class ParamError(DiMagicsError, ValueError):
    """A flag, a setting or a command is wrong."""


class ChatError(DiMagicsError):
    """The conversation has no such turn."""


class BudgetError(DiMagicsError):
    """The worst case of a request does not fit the budget."""


class PolicyError(DiMagicsError):
    """A policy does not allow it."""


class ToolError(DiMagicsError):
    """A tool cannot be offered or run."""


class ReplyError(DiMagicsError, ValueError):
    """The reply is not the JSON that was asked for; `.reply` is what there is of it."""

    reply: Any = None


class StoreError(DiMagicsError):
    """What is kept on disk cannot be used."""


class EndpointError(DiMagicsError):
    """A request did not lead to a whole reply."""

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
    """There was no connection, or no answer in time."""


class Refused(EndpointError):
    """The key is missing or wrong, or the account cannot pay."""


class BadRequest(EndpointError):
    """The server does not take this request."""


class TooLong(BadRequest):
    """The conversation does not fit the model: `asked` tokens where `limit` fit, if it is said.

    `said` is the message without a next step.
    """

    said: str = ""
    asked: int | None = None
    limit: int | None = None


class Busy(EndpointError):
    """The server cannot answer now."""


class StreamBroken(EndpointError):
    """The reply broke off; `.reply` is what had come."""

    reply: Any = None


class Interrupted(KeyboardInterrupt):
    """The reader interrupted the cell; the partial reply is kept."""

    def _render_traceback_(self) -> list[str]:
        """Return the one line IPython shows in place of a traceback."""
        return _rendered(self)
