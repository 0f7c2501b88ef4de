"""The types of the arguments of a public function, checked before it runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

from di_magics.core.errors import ParamError

P = ParamSpec("P")
R = TypeVar("R")

MAX_WHOLE_NUMBER = 2**63
"""The size of a whole number: Python does not print one of thousands of digits."""
_NOUNS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "Mapping": "a dict",
    "Iterable": "a list",
    "Callable": "a function",
    "Endpoint": "an Endpoint",
}
_BUILT_IN: dict[str, type] = {"str": str, "int": Integral, "float": Real, "bool": bool}


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function; it raises ParamError for an argument that its annotation excludes.

    An annotation is a type or several with `|` between; what is within brackets is not checked, nor
    what is annotated as Any or object. A whole number may be numpy's. A ParamError leaves without
    the arguments and the frames below: in a traceback with local variables they may show a key.
    """
    signature = inspect.signature(function)
    expected = {
        name: [re.sub(r"\[.*", "", part) for part in parameter.annotation.split(" | ")]
        for name, parameter in signature.parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
        and parameter.annotation not in ("Any", "object", parameter.empty)
    }

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if isinstance(value, int) and abs(value) >= MAX_WHOLE_NUMBER:
                raise ParamError(f"{name} is too large. It must be below 2**63.")
            if name in expected and not any(is_a(value, part) for part in expected[name]):
                nouns = [_NOUNS.get(part, f"a {part}") for part in expected[name] if part != "None"]
                kind = "None" if value is None else type(value).__name__
                raise ParamError(f"{name} must be {' or '.join(nouns)}, not {kind}.")

    def is_a(value: object, part: str) -> bool:
        if part == "None":
            return value is None
        if isinstance(value, bool):
            return part == "bool"
        return isinstance(value, _BUILT_IN.get(part) or function.__globals__[part])

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def checked_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                check(args, kwargs)
                return await function(*args, **kwargs)
            except ParamError as error:
                del args, kwargs
                raise error.with_traceback(None)  # noqa: B904 # it is the same error

        return checked_async  # type: ignore[return-value] # it is the coroutine of the function

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            check(args, kwargs)
            return function(*args, **kwargs)
        except ParamError as error:
            del args, kwargs
            raise error.with_traceback(None)  # noqa: B904 # it is the same error

    return checked
