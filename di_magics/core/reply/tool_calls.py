"""Tool calls as a reader sees them: a line for each, and what was passed and came back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from di_magics.core.reply.reply import Round, ToolCall, ToolResult
from di_magics.core.text import one_line

F = TypeVar("F", bound=Callable[..., Any])

LONGEST = 2000
SAFE = "__di_magics_safe__"
WAITING = ToolResult("waiting", seconds=None)
ASKING = ToolResult("asking you", seconds=None)
RUNNING = ToolResult("running", seconds=None)


def calls_with_results(told: Round) -> Iterator[tuple[ToolCall, ToolResult]]:
    """Yield the calls of a round with what came of them, as far as it has."""
    waiting = (WAITING,) * (len(told.calls) - len(told.results))
    yield from zip(told.calls, (*told.results, *waiting), strict=True)


def call_headline(call: ToolCall, result: ToolResult) -> str:
    """Return a call on one line: name, arguments, result and time."""
    called = f"{one_line(call.name, 60)}({one_line(_format_arguments(call.arguments), 100)})"
    if result.seconds is None:
        return f"{called} · {result.content}"
    sign, time = ("✗", "") if result.failed else ("→", f" · {result.seconds:.2f} s")
    return f"{called} {sign} {one_line(result.content, 80) or '(nothing)'}{time}"


def result_text(result: ToolResult) -> str:
    """Return what came of a call, as far as it has ended."""
    return "" if result.seconds is None else result.content


def _format_arguments(arguments: str) -> str:
    """Return arguments as a call in Python has them; what is no JSON object as it came."""
    if len(arguments) > LONGEST:
        return arguments[:LONGEST]
    try:
        found = json.loads(arguments or "{}")
        if isinstance(found, dict):
            return ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in found.items())
    except (ValueError, RecursionError):
        pass
    return arguments


def round_text(told: Round) -> str:
    """Return a round as plain text: what was said, and a line for each call."""
    lines = [f"⚙ {call_headline(call, result)}" for call, result in calls_with_results(told)]
    if told.objection:
        lines.append(f"(asked again: {one_line(told.objection, 200)})")
    return "\n".join(filter(None, [told.text.strip(), *lines]))


def safe(function: F) -> F:
    """Return the function, marked as one that a model may have run without asking the reader."""
    setattr(function, SAFE, True)
    return function


def is_safe(function: object) -> bool:
    """Return whether a function is marked as safe."""
    try:
        return getattr(function, SAFE, False) is True
    except Exception:  # an object that stands for another may raise anything
        return False
