"""What the lists of models of different services say of a model."""

from __future__ import annotations

from typing import Any

import pytest

from di_magics.core.money.abilities import (
    ABILITIES,
    chats,
    read_abilities,
    read_context,
    read_date,
)

ROUTER = {
    "supported_parameters": ["tools", "include_reasoning", "top_logprobs", "seed", 1],
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
}
MISTRAL = {"completion_chat": True, "function_calling": True, "vision": False}


@pytest.mark.parametrize(
    ("entry", "abilities"),
    [
        (ROUTER, ABILITIES),
        ({"tags": ["chat", "vlm", "reasoning_effort"]}, ("images", "reasoning")),
        ({"capabilities": MISTRAL}, ("tools",)),
        ({"capabilities": ["completion", "multimodal"]}, ("images",)),
        ({"supports_tools": True, "supports_image_input": False}, ("tools",)),
        ({"id": "m", "object": "model", "owned_by": "us"}, ()),
        ({"tags": "tools", "capabilities": 1, "architecture": [], "tools": "true"}, ()),
    ],
)
def test_abilities_have_one_name_each(entry: dict[str, Any], abilities: tuple[str, ...]) -> None:
    """Whatever the service calls them; what is not said is not known."""
    assert read_abilities(entry) == abilities


@pytest.mark.parametrize(
    ("entry", "context"),
    [
        ({"context_length": 4096}, 4096),
        ({"max_context_length": 4096}, 4096),
        ({"context_length": None, "context_window": 4096}, 4096),
        ({"max_model_len": 4096}, 4096),
        ({"context_length": "4096"}, None),
        ({"context_length": 0}, None),
    ],
)
def test_the_context_window_has_several_names(entry: dict[str, Any], context: int | None) -> None:
    """Those of OpenRouter, Mistral, Groq and vLLM."""
    assert read_context(entry) == context


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        (1763856000, "2025-11-23"),
        (1763856000.9, "2025-11-23"),
        (1420070399, ""),
        (1420070400, "2015-01-01"),
        (1709164800, "2024-02-29"),
        (1735689599, "2024-12-31"),
        (1735689600, "2025-01-01"),
        (2840140799, "2059-12-31"),
        (0, ""),
        (1763856000000, ""),
        (10**400, ""),
        (float("nan"), ""),
        ("1763856000", ""),
        (None, ""),
        (True, ""),
    ],
)
def test_a_date_that_cannot_be_right_is_not_known(seconds: object, date: str) -> None:
    """0 and milliseconds are no seconds."""
    assert read_date(seconds) == date


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (ROUTER, True),
        ({"type": "chat"}, True),
        ({"type": "embedding"}, False),
        ({"capabilities": {"completion_chat": False}}, False),
        ({"supports_chat": False}, False),
        ({"architecture": {"output_modalities": ["image"]}}, False),
        ({"type": ["chat"]}, True),
        ({}, True),
    ],
)
def test_a_model_chats_unless_its_entry_denies_it(entry: dict[str, Any], expected: bool) -> None:
    """Together, Mistral, Fireworks and OpenRouter say so in different fields."""
    assert chats(entry) == expected
