"""Python functions of the reader's that a model may call: offered, checked, asked about and run.

The only importer of nest_asyncio.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import di_magics.values.environment_secrets as keys
from di_magics.core.errors import DiMagicsError, ToolError
from di_magics.core.reply.reply import ToolCall, ToolResult
from di_magics.core.reply.tool_calls import ASKING, RUNNING, WAITING, is_safe
from di_magics.core.text import describe_error, make_visible, one_line
from di_magics.runtime.interrupts import SLICE_SECONDS, Interrupts
from di_magics.values.attach import attach_value, truncate_text
from di_magics.values.schema import ToolArguments, as_json, tool_arguments

RESULT_TOKENS = 4000
"""What a function returns is cut off after about so many tokens."""
MOST_CALLS = 64
"""A model that has lost its way asks for hundreds of calls at a time."""
TOO_MANY = ToolResult(f"Not run: of one reply at most {MOST_CALLS} calls are run.", failed=True)
STOPPED = ToolResult("Stopped by the reader; it may have run in part.", failed=True)
NOT_RUN = ToolResult("Stopped by the reader before it was run.", failed=True)
NOT_ALLOWED = ToolResult("The reader did not allow this call; it was not run.", failed=True)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function under the name by which a model calls it."""

    name: str
    function: Callable[..., Any]
    arguments: ToolArguments

    @property
    def is_safe(self) -> bool:
        """Whether it may run unasked."""
        return is_safe(self.function)

    @property
    def is_async(self) -> bool:
        """Whether calling it gives something to await."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 # an object with an async one
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call whose arguments fit."""

    tool: Tool
    bound: inspect.BoundArguments

    def __call__(self) -> Any:
        return self.tool.function(*self.bound.args, **self.bound.kwargs)


class Toolbox:
    """The functions that a model may call in a turn.

    `allow` asks the reader whether a call may run, for functions that are not marked as safe, and
    with `confirm` for all. Raises ToolError for a function that cannot be offered or run here.
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
        self._confirm = confirm
        if keys.contains_secret(json.dumps([*self.specs.values()], ensure_ascii=False)):
            raise ToolError(
                "A description or a default of these tools holds a key or a password of your "
                "environment. Look it up within the function instead."
            )
        if any(tool.is_async for tool in self._tools.values()):
            _check_loop()

    @property
    def specs(self) -> dict[str, Mapping[str, Any]]:
        """How they are offered, by name."""
        return {name: tool.arguments.spec for name, tool in self._tools.items()}

    @property
    def asks(self) -> bool:
        """Whether the reader will be asked before some function runs."""
        return any(map(self._asks_for, self._tools.values()))

    def run_calls(
        self,
        calls: Sequence[ToolCall],
        interrupts: Interrupts,
        came: Callable[[list[ToolResult]], None],
    ) -> list[ToolResult]:
        """Return what came of these calls, one result for each, whatever happens.

        The reader is asked first; then the async ones run together, then the others one after
        another, in this thread. `came` gets the results so far, those that still run among them.
        """
        results = [WAITING] * min(len(calls), MOST_CALLS)
        results += [TOO_MANY] * (len(calls) - len(results))

        def settle(at: int, result: ToolResult) -> None:
            results[at] = result
            came(list(results))

        came(list(results))
        ready: dict[int, _Call] = {}
        try:
            for at, call in enumerate(calls[:MOST_CALLS]):
                found = self._check_call(call)
                if isinstance(found, _Call) and self._asks_for(found.tool):
                    settle(at, ASKING)
                    with interrupts.raise_in_user_code():
                        found = found if self._allow(_shown(call)) else NOT_ALLOWED
                if isinstance(found, ToolResult):
                    settle(at, found)
                else:
                    settle(at, WAITING)
                    ready[at] = found
            together = {at: each for at, each in ready.items() if each.tool.is_async}
            if together:
                for at in together:
                    settle(at, RUNNING)
                _run_together(together, interrupts, settle)
            for at, each in ready.items():
                if interrupts.stopping:
                    break
                if at not in together:
                    settle(at, RUNNING)
                    settle(at, _run(each, interrupts))
        except KeyboardInterrupt:  # what had begun has its result; the rest was not run
            interrupts.note_interrupt()
        for at, result in enumerate(results):
            if result.seconds is None:
                settle(at, STOPPED if result is RUNNING else NOT_RUN)
        return results

    def _check_call(self, call: ToolCall) -> _Call | ToolResult:
        """Return the call if it fits, else what the model is told."""
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools)
            return ToolResult(
                f"There is no tool {one_line(call.name, 60)}; there are: {names}. Nothing was run.",
                failed=True,
            )
        try:
            return _Call(tool, tool.arguments.parse(call.arguments))
        except ToolError as unfit:
            return ToolResult(str(unfit), failed=True)

    def _asks_for(self, tool: Tool) -> bool:
        return self._confirm or not tool.is_safe


LONGEST_SHOWN = 2000


def _shown(call: ToolCall) -> str:
    """Return a call as the reader is asked about it."""
    said = make_visible(call.arguments[:LONGEST_SHOWN])
    more = len(call.arguments) - LONGEST_SHOWN
    rest = f" and {more:,} characters more, which stand in the output above" if more > 0 else ""
    return f"{make_visible(call.name, 80)}({said}){rest}"


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
            raise ToolError(f"{one_line(repr(function), 80)} is no function with a name.")
        if name in named:
            raise ToolError(f"There are two tools called {name}: give one of them another name.")
        named[name] = function
    return Toolbox(named, allow, confirm=confirm)


def ask_user(call: str) -> bool:
    """Return whether the reader lets a call run; nobody there to ask is a no."""
    try:
        said = input(f"May the model run {call}? [y/N] ")
    except (EOFError, NotImplementedError):
        return False
    return said.strip().lower() in ("y", "yes")


# Running ------------------------------------------------------------------------------------


def _run(call: _Call, interrupts: Interrupts) -> ToolResult:
    """Return what a function returned or raised. An interrupt ends it and is noted."""
    begun = time.perf_counter()
    try:
        with interrupts.raise_in_user_code():
            value = call()
            if inspect.isawaitable(value):
                value = _on_loop(_as_coroutine(value), interrupts)
            return _result(value, begun)
    except KeyboardInterrupt:
        interrupts.note_interrupt()
        return STOPPED
    except BaseException as error:
        return _failure(error, begun)


def _run_together(
    calls: Mapping[int, _Call], interrupts: Interrupts, settle: Callable[[int, ToolResult], None]
) -> None:
    """Run async functions at the same time, on the loop that belongs to this thread."""

    broken: list[int] = []

    async def one(at: int, call: _Call) -> None:
        begun = time.perf_counter()
        try:
            result = _result(await call(), begun)
        except KeyboardInterrupt:  # let out of here it would end the kernel
            broken.append(at)
            result = STOPPED
        except asyncio.CancelledError as error:
            if interrupts.stopping:
                settle(at, STOPPED)
                raise
            result = _failure(error, begun)
        except (Exception, SystemExit) as error:
            result = _failure(error, begun)
        settle(at, result)

    async def every() -> None:
        await asyncio.gather(*(one(at, call) for at, call in calls.items()))

    try:
        _on_loop(every(), interrupts)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if broken:
        raise KeyboardInterrupt


async def _as_coroutine(found: Awaitable[Any]) -> Any:
    return await found


def _result(value: Any, begun: float) -> ToolResult:
    """Return what goes back to the model: a text as it is, else JSON, else an object's own text."""
    seconds = time.perf_counter() - begun
    text = value if isinstance(value, str) else as_json(value)
    if text is None:
        try:
            found = attach_value(value, type(value).__name__, tokens=RESULT_TOKENS)
        except DiMagicsError as error:
            return ToolResult(f"It ran, but its result has no text: {error}", True, seconds)
        if found.kind == "image":
            return ToolResult(
                f"It returned an image ({found.note}), which is not sent.", seconds=seconds
            )
        return ToolResult(f"({found.note})\n{found.content}", False, seconds)
    cut, left = truncate_text(keys.hide_secrets(str.__str__(text)), RESULT_TOKENS)
    return ToolResult(f"({left})\n{cut}" if left else cut, False, seconds)


def _failure(error: BaseException, begun: float) -> ToolResult:
    """Return an exception as the model and the reader see it."""
    return ToolResult(
        truncate_text(keys.hide_secrets(describe_error(error)), RESULT_TOKENS)[0],
        True,
        time.perf_counter() - begun,
    )


# The loop of the reader's async functions ---------------------------------------------------


def _check_loop() -> None:
    """Raise ToolError where async functions cannot run on the kernel's loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    _nest_asyncio()
    if not isinstance(loop, asyncio.BaseEventLoop):
        kind = type(loop).__module__.partition(".")[0]
        raise ToolError(
            f"Async tools cannot run here: the kernel's event loop is one of {kind}, which cannot "
            "be entered twice. Use functions that are not async."
        )


def _nest_asyncio() -> Any:
    """Return the library that lets a loop run within itself."""
    try:
        import nest_asyncio2 as nesting
    except ImportError:
        if sys.version_info >= (3, 14):  # it breaks asyncio.current_task there
            raise ToolError(
                "Async tools need nest_asyncio2 on this Python: pip install nest-asyncio2. "
                "Functions that are not async work without it."
            ) from None
        import nest_asyncio as nesting
    return nesting


def _on_loop(work: Any, interrupts: Interrupts) -> Any:
    """Return what a coroutine returns, run on the loop that belongs to this thread.

    In a kernel that loop runs already, and waits for this very cell; objects that are bound to it
    can only be used there, so it runs within itself. An interrupt cancels the coroutine, a second
    one breaks into it. Raises CancelledError then.
    """
    try:
        loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
    except RuntimeError:
        from IPython.core.async_helpers import get_asyncio_loop

        loop = get_asyncio_loop()  # type: ignore[no-untyped-call]
    else:
        _nest_asyncio().apply(loop)
    task = loop.create_task(work)
    beat = _Beat(loop)
    try:
        with interrupts.call_first(lambda: loop.call_soon_threadsafe(task.cancel)):
            return loop.run_until_complete(task)
    finally:
        beat.end()
        task.cancel()  # where it was broken into, the loop ends it later


class _Beat:
    """Wakes a loop now and then: a signal that comes just before it waits would wait as well."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._again()

    def _again(self) -> None:
        self._next = self._loop.call_later(SLICE_SECONDS, self._again)

    def end(self) -> None:
        """Leave the loop alone."""
        self._next.cancel()
