"""The user's Python functions that a model may call: described, checked, confirmed and run."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from di_magics.core.errors import DiMagicsError, ParamError, ToolError
from di_magics.core.reply.reply import ToolCall, ToolResult
from di_magics.core.reply.tool_calls import ASKING, RUNNING, WAITING, is_safe
from di_magics.core.secrets import redact
from di_magics.core.text import describe_error, hide_image
from di_magics.core.tokens import PER_TOKEN
from di_magics.core.visible import one_line
from di_magics.runtime.interrupts import Interrupts
from di_magics.values.async_calls import check_loop, run_on_loop
from di_magics.values.attach import attach_value, truncate_text
from di_magics.values.call_text import ANYWAY, call_text, question
from di_magics.values.environment_secrets import (
    contains_secret,
    hide_secrets,
    without_colours,
)
from di_magics.values.json_text import NoJsonError, to_json
from di_magics.values.tool_schema import ToolArguments, tool_arguments

RESULT_TOKENS = 4000
"""A result is cut after about this many tokens."""
MAX_SECRET_CHARS = 4000
RESULT_WINDOW = 2 * PER_TOKEN * RESULT_TOKENS + MAX_SECRET_CHARS
"""Characters of a result that are read, at most."""
STOPPED = ToolResult("Stopped by the user; it may have run in part.", failed=True)
NOT_RUN = ToolResult("Stopped by the user before it was run.", failed=True)
NOT_ALLOWED = ToolResult("The user did not allow this call; it was not run.", failed=True)
# How models spell a name: with a namespace before it, or a number after it.
_SPELLING = re.compile(r"\s*(?:(?:functions?|tools?|default_api)[.:/])?(\w+?)(?:\(\))?(?::\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function under the name by which a model calls it."""

    name: str
    function: Callable[..., Any]
    arguments: ToolArguments

    @property
    def is_safe(self) -> bool:
        """Whether it may run without a question."""
        return is_safe(self.function)

    @property
    def is_async(self) -> bool:
        """Whether a call of it returns an awaitable."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 # an object with an async one
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call whose arguments fit."""

    tool: Tool
    bound: inspect.BoundArguments

    def __call__(self) -> Any:
        return self.tool.function(*self.bound.args, **self.bound.kwargs)

    def describe(self, arguments: str) -> str:
        """Return the call as text, made of the JSON `arguments`."""
        document = json.loads(arguments) if arguments.strip() else {}
        return call_text(self.tool.name, self.bound.arguments, document)


class Toolbox:
    """The functions that a model may call in a turn.

    `allow` asks the user whether a call, given as text, may run: for functions that are not marked
    as safe, and with `confirm` for all. Raises ToolError for a function that cannot be offered or
    run here.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        allow: Callable[[str], bool],
        *,
        confirm: bool = False,
    ) -> None:
        self._tools = {
            name: Tool(name, function, tool_arguments(function, name))
            for name, function in functions.items()
        }
        self._allow = allow
        self.confirm = confirm
        if contains_secret(json.dumps([*self.specs.values()], ensure_ascii=False)):
            raise ToolError(
                "A description or a default of these tools holds a key or a password of your "
                "environment. Read it inside the function instead."
            )
        if any(tool.is_async for tool in self._tools.values()):
            check_loop()

    @property
    def specs(self) -> dict[str, Mapping[str, Any]]:
        """How the functions are offered, by name."""
        return {name: tool.arguments.spec for name, tool in self._tools.items()}

    @property
    def asks(self) -> bool:
        """Whether the user will be asked before some function runs."""
        return any(map(self._asks_for, self._tools.values()))

    def run_calls(
        self,
        calls: Sequence[ToolCall],
        interrupts: Interrupts,
        on_results: Callable[[list[ToolResult]], None],
    ) -> list[ToolResult]:
        """Return the results of these calls, one per call, also after an error or an interrupt.

        First the user is asked; then the async calls run concurrently, then the others one after
        another, in this thread. `on_results` is called with the results so far, also WAITING and
        RUNNING ones.
        """
        results = [WAITING] * len(calls)

        def settle(at: int, result: ToolResult) -> None:
            results[at] = result
            on_results(list(results))

        on_results(list(results))
        ready: dict[int, _Call] = {}
        try:
            for at, call in enumerate(calls):
                checked = self._check_call(call)
                if isinstance(checked, _Call) and self._asks_for(checked.tool):
                    settle(at, ASKING)
                    with interrupts.raise_in_user_code():
                        allowed = self._allow(checked.describe(call.arguments))
                        checked = checked if allowed else NOT_ALLOWED
                if isinstance(checked, ToolResult):
                    settle(at, checked)
                else:
                    settle(at, WAITING)
                    ready[at] = checked
            together = {at: accepted for at, accepted in ready.items() if accepted.tool.is_async}
            if together:
                for at in together:
                    settle(at, RUNNING)
                _run_together(together, interrupts, settle)
            for at, accepted in ready.items():
                if interrupts.stopping:
                    break
                if at not in together:
                    settle(at, RUNNING)
                    settle(at, _run(accepted, interrupts))
        except KeyboardInterrupt:  # the started calls have their results
            interrupts.note_interrupt()
        for at, result in enumerate(results):
            if result.seconds is None:
                settle(at, STOPPED if result is RUNNING else NOT_RUN)
        return results

    def _check_call(self, call: ToolCall) -> _Call | ToolResult:
        """Return the call if its arguments fit, otherwise a result that says why not."""
        tool = self._find(call.name)
        if tool is None:
            name, names = one_line(call.name, 60), ", ".join(self._tools)
            return ToolResult(
                f"There is no tool {name}. The tools are {names}; nothing was run.", failed=True
            )
        try:
            return _Call(tool, tool.arguments.parse(call.arguments))
        except ToolError as mismatch:
            return ToolResult(str(mismatch), failed=True)

    def _find(self, name: str) -> Tool | None:
        """Return the tool of a name; `functions.add`, `add()` and ` add` are spellings of add."""
        match = _SPELLING.fullmatch(name)
        return self._tools.get(name) or (self._tools.get(match[1]) if match else None)

    def _asks_for(self, tool: Tool) -> bool:
        return self.confirm or not tool.is_safe


def make_toolbox(
    functions: Iterable[Callable[..., Any]],
    allow: Callable[[str], bool],
    *,
    confirm: bool = False,
) -> Toolbox:
    """Return the toolbox of these functions, by their own names. Raises ToolError."""
    named: dict[str, Callable[..., Any]] = {}
    for function in functions:
        name = getattr(function, "__name__", "")
        if not callable(function) or not name.isidentifier():
            raise ToolError(
                f"{type(function).__name__} is not a function with a name. Define it with def."
            )
        if name in named:
            raise ToolError(f"There are two tools called {name}. Give one of them another name.")
        named[name] = function
    return Toolbox(named, allow, confirm=confirm)


def ask_user(call: str) -> bool:
    """Return whether the user allows a call; False if nobody can be asked."""
    text, is_whole = question(call)
    try:
        answer = input(text)
    except (EOFError, NotImplementedError):
        return False
    return answer.strip().lower() in (("y", "yes") if is_whole else (ANYWAY,))


# Running ------------------------------------------------------------------------------------


def _run(call: _Call, interrupts: Interrupts) -> ToolResult:
    """Return the result of a call. An interrupt ends the call and is noted."""
    start = time.perf_counter()
    try:
        with interrupts.raise_in_user_code():
            value = call()
            if inspect.isawaitable(value):
                value = run_on_loop(value, interrupts)
            return _result(value, start, interrupts)
    except KeyboardInterrupt:
        interrupts.note_interrupt()
        return STOPPED
    except BaseException as error:
        return _failure(error, start)


def _run_together(
    calls: Mapping[int, _Call], interrupts: Interrupts, settle: Callable[[int, ToolResult], None]
) -> None:
    """Run async functions at the same time, on the loop that belongs to this thread."""
    interrupted: list[int] = []

    async def one(at: int, call: _Call) -> None:
        start = time.perf_counter()
        try:
            result = _result(await call(), start, interrupts)
        except KeyboardInterrupt:  # raised in a task it would end the kernel
            interrupted.append(at)
            result = STOPPED
        except asyncio.CancelledError as error:
            if interrupts.stopping:
                settle(at, STOPPED)
                raise
            result = _failure(error, start)
        except (Exception, SystemExit) as error:
            result = _failure(error, start)
        settle(at, result)

    async def run_all() -> None:
        await asyncio.gather(*(one(at, call) for at, call in calls.items()))

    try:
        run_on_loop(run_all(), interrupts)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if interrupted:
        raise KeyboardInterrupt


def _result(value: object, start: float, interrupts: Interrupts) -> ToolResult:
    """Return a function's value as text for the model: a text itself, else JSON or its `str`."""
    try:
        text, failed = _result_text(value, interrupts), False
    except DiMagicsError as error:
        text, failed = f"It ran, but its result has no text: {error}", True
    return ToolResult(text, failed, time.perf_counter() - start)


def _result_text(value: Any, interrupts: Interrupts) -> str:
    if isinstance(value, str):
        return _bounded(hide_image(str.__str__(value)))
    try:
        # On the loop a first ■ is noted and raises nothing, so it is looked for.
        return _bounded(*to_json(value, RESULT_WINDOW, _inner_text, lambda: interrupts.stopping))
    except NoJsonError:
        return _object_text(value)


def _object_text(value: object) -> str:
    """Return the text of an object without a form in JSON."""
    attached = attach_value(value, type(value).__name__, tokens=RESULT_TOKENS)
    if attached.kind == "image":
        return f"It returned an image ({attached.note}), which is not sent."
    return f"({attached.note})\n{attached.content}"


def _inner_text(value: object) -> str:
    """Return the text of an object within a list or an object."""
    try:
        return _object_text(value)
    except ParamError:
        return f"({one_line(type(value).__name__, 60)} without a text)"


def _bounded(text: str, whole: bool = True) -> str:
    """Return a text without secrets, cut after RESULT_TOKENS; `whole` is whether it is complete."""
    length = len(text) if whole else None
    whole = whole and len(text) <= RESULT_WINDOW
    start = redact(hide_secrets(without_colours(text[:RESULT_WINDOW])))
    if not whole:
        start = start[:-MAX_SECRET_CHARS]  # a secret cut by the window is not hidden
    cut, note = truncate_text(start, RESULT_TOKENS, whole=whole, length=length)
    return f"({note})\n{cut}" if note else cut


def _failure(error: BaseException, start: float) -> ToolResult:
    """Return an exception as the model and the user see it."""
    try:
        text = describe_error(error)
    except KeyboardInterrupt:  # raised by the exception itself: ■ is only noted here
        text = type(error).__name__
    return ToolResult(_bounded(text), True, time.perf_counter() - start)
