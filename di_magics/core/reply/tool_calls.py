"""Tool calls for display: one line per call, with its arguments and its result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from di_magics.core.errors import ToolError
from di_magics.core.reply.reply import Round, ToolCall, ToolResult
from di_magics.core.visible import one_line, show_exactly

F = TypeVar("F", bound=Callable[..., Any])

MAX_RESULT_CHARS = 2000
CALL_SIGN = "⚙"
SAFE = "__di_magics_safe__"
ASK = "__di_magics_ask__"
WAITING = ToolResult("waiting", seconds=None)
ASKING = ToolResult("asking you", seconds=None)
RUNNING = ToolResult("running", seconds=None)


def calls_with_results(step: Round) -> Iterator[tuple[ToolCall, ToolResult]]:
    """Yield every call of a round with its result, or WAITING if it has none yet."""
    waiting = (WAITING,) * (len(step.calls) - len(step.results))
    yield from zip(step.calls, (*step.results, *waiting), strict=True)


def call_headline(call: ToolCall, result: ToolResult) -> str:
    """Return a call on one line: name, arguments, result and time."""
    source = f"{one_line(call.name, 60)}({one_line(_format_arguments(call.arguments), 100)})"
    if result.seconds is None:
        return f"{source} · {result.content}"
    sign, time = ("✗", "") if result.failed else ("→", f" · {result.seconds:.2f} s")
    return f"{source} {sign} {one_line(result.content, 80) or '(nothing)'}{time}"


def result_text(result: ToolResult) -> str:
    """Return the text of a result, "" while the call runs."""
    return "" if result.seconds is None else result.content


def _format_arguments(arguments: str) -> str:
    """Return a JSON object as the arguments of a call in Python, any other text unchanged."""
    if len(arguments) > MAX_RESULT_CHARS:
        return f"{len(arguments):,} characters"
    return ", ".join(_split_arguments(arguments))


def _split_arguments(arguments: str) -> list[str]:
    """Return each argument of a call as `name=value`, or the whole text if it is not an object."""
    try:
        parsed = json.loads(arguments or "{}")
        if isinstance(parsed, dict):
            return [f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in parsed.items()]
    except (ValueError, RecursionError):
        pass
    return [arguments]


def round_folds(step: Round, limit: int | None = None) -> list[tuple[str, ...]]:
    """Return what a user can unfold of a round, for each call and a repair: a line, then texts.

    A text is cut at `limit` characters, except the arguments that the user is asked about.
    """
    folds: list[tuple[str, ...]] = []
    for call, result in calls_with_results(step):
        arguments = call.arguments[:limit]
        if result == ASKING:
            arguments = "\n".join(map(show_exactly, _split_arguments(call.arguments)))
        line = f"{CALL_SIGN} {call_headline(call, result)}"
        folds.append((line, arguments, result_text(result)[:limit]))
    return [*folds, ("asked again", step.objection[:limit])] if step.objection else folds


def round_text(step: Round) -> str:
    """Return a round as plain text: the model's text, and one line per call."""
    calls = calls_with_results(step)
    lines = [f"{CALL_SIGN} {call_headline(call, result)}" for call, result in calls]
    if step.objection:
        lines.append(f"(asked again: {one_line(step.objection, 200)})")
    return "\n".join(filter(None, [step.text.strip(), *lines]))


def safe(function: F) -> F:
    """Return the function, marked as one that may run without asking the user.

    Raises ToolError for what cannot be marked, such as a function of Python itself.
    """
    if getattr(function, ASK, False):
        raise ToolError(
            f"{getattr(function, '__name__', 'This tool')} cannot be marked as safe: the user is "
            "always asked. Offer a function of your own that does less."
        )
    try:
        setattr(function, SAFE, True)
    except (AttributeError, TypeError):
        raise ToolError(
            "Only a function of your own can be marked as safe. Define one that calls it."
        ) from None
    return function


def always_ask(function: F) -> F:
    """Return the function, marked as one that nobody can mark as safe."""
    setattr(function, ASK, True)
    return function


def is_safe(function: object) -> bool:
    """Return whether a function is marked as safe."""
    try:
        return getattr(function, SAFE, False) is True
    except Exception:  # a proxy object may raise anything
        return False
