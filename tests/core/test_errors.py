"""The errors: one tree, one line each, and foreign words that stay in their line."""

from __future__ import annotations

import re

import pytest

from di_magics.core import errors
from di_magics.core.errors import (
    DiMagicsError,
    EndpointError,
    Interrupted,
    ParamError,
    StreamBroken,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and kind.__module__ == errors.__name__
]


def test_the_tree_is_the_one_in_the_docstring() -> None:
    """Each class is listed there, indented below its parent."""
    listed = re.findall(r"^( *)([A-Z]\w+)(?: \(\w+\)|  |$)", errors.__doc__ or "", re.MULTILINE)
    assert {name for _, name in listed} == {kind.__name__ for kind in KINDS}
    parents: dict[int, type] = {}
    for indent, name in listed:
        kind = getattr(errors, name)
        parents[len(indent)] = kind
        if indent:
            assert issubclass(kind, parents[len(indent) - 2]), name


def test_a_wrong_parameter_is_a_value_error() -> None:
    """So that `except ValueError` around `di.ask` works as one would think."""
    assert issubclass(ParamError, ValueError)
    assert issubclass(ParamError, DiMagicsError)


def test_an_interrupt_is_a_keyboard_interrupt() -> None:
    """Nothing that catches errors swallows it."""
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_in_a_notebook(kind: type[DiMagicsError]) -> None:
    """IPython shows the name and the message, and no traceback."""
    assert kind("What to do.")._render_traceback_() == [
        f"\x1b[31m{kind.__name__}\x1b[0m: What to do."
    ]


def test_an_endpoints_error_carries_what_the_server_said() -> None:
    """Status, request id and pause are there for programs, None where there was none."""
    error = EndpointError("x", status=429, request_id="r", retry_after=1.5)
    assert (error.status, error.request_id, error.retry_after) == (429, "r", 1.5)
    assert StreamBroken("x").status is StreamBroken("x").reply is None
