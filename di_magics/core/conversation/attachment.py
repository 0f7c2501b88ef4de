"""What goes along with a prompt: images, and texts in fences that say what was left out of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

IMAGE_TOKENS = 16_384
"""A budget takes an image for so many tokens: the most that Qwen's vision models make of one
(https://huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct, `max_pixels`); most make far fewer."""

Kind = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text, or an image as a data URL; `note` says what it is and what was left out of it.

    Without `content` it is known only that there was one: files of conversations do not hold it.
    """

    kind: Kind
    name: str
    note: str
    content: str = ""


def message_content(prompt: str, attached: Sequence[Attachment]) -> str | list[dict[str, Any]]:
    """Return a user message's content: a text, or parts where there are images, those first."""
    if not attached:
        return prompt
    said = "\n\n".join([*(_attachment_text(each) for each in attached if _is_text(each)), prompt])
    images = [each for each in attached if not _is_text(each)]
    if not images:
        return said
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": image.content}} for image in images
    ]
    return [*parts, {"type": "text", "text": said}]


def _is_text(each: Attachment) -> bool:
    return each.kind == "text" or not each.content


def _attachment_text(each: Attachment) -> str:
    if not each.content:
        return f"({each.name} was attached here; what it held was not kept.)"
    return f"{each.name} ({each.note}):\n\n{fence_block(each.content)}"


def fence_block(text: str, language: str = "") -> str:
    """Return a text as a block of code in Markdown, whatever fences are in it."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def content_bytes(found: str | Sequence[dict[str, Any]] | None, image: int) -> int:
    """Return how many bytes of text a message's content holds; an image counts for `image`."""
    if not found:
        return 0
    if isinstance(found, str):
        return len(found.encode("utf-8", "replace"))
    texts = (part.get("text") for part in found)
    return sum(image if text is None else content_bytes(text, image) for text in texts)
