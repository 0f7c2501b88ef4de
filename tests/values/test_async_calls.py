"""The loop of the user's async functions."""

from __future__ import annotations

import asyncio
import sys

import pytest

from di_magics.core.errors import ToolError
from di_magics.values import async_calls


def test_a_loop_that_cannot_run_within_itself_is_refused_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the library, and on a loop of another kind, the error says what to do."""

    async def refused(said: str) -> None:
        with pytest.raises(ToolError, match=said):
            async_calls.check_loop()

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nest_asyncio2", None)
        patch.setattr(sys, "version_info", (3, 14))
        asyncio.run(refused("nest-asyncio2"))
    monkeypatch.setattr(asyncio, "get_running_loop", object)
    asyncio.run(refused("within itself"))


def test_nest_asyncio_is_the_fallback_of_nest_asyncio2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """nest_asyncio is installed with the package."""
    monkeypatch.setitem(sys.modules, "nest_asyncio2", None)
    monkeypatch.setattr(sys, "version_info", (3, 13))
    assert async_calls._nest_asyncio().__name__ == "nest_asyncio"
