"""A model with a price, as an endpoint lists it, and a reply without a count of tokens."""

from __future__ import annotations

from typing import Any

from loopback import Reply

PRICED: dict[str, Any] = {
    "id": "a-model",
    "object": "model",
    "metadata": {
        "context_length": 8192,
        "pricing": {"input_tokens": 1, "output_tokens": 2},
        "tags": ["chat"],
    },
}


UNCOUNTED = Reply("yes", usage=None)
