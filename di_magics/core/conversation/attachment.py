"""Attachments of a prompt: images, and texts in code fences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from di_magics.core.tokens import text_weight

IMAGE_TOKENS = 16_384
"""An image counts as this many tokens in a budget: the most that Qwen's vision models make of one
(https://huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct, `max_pixels`). Most make far fewer."""

Kind = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text, or an image as a data URL; `note` says what it is and what was left out.

    `content` is empty in a loaded file, which does not store it.
    """

    kind: Kind
    name: str
    note: str
    content: str = ""


def message_content(prompt: str, attached: Sequence[Attachment]) -> str | list[dict[str, Any]]:
    """Return a user message's content: a text, or a list of the images and then the text."""
    if not attached:
        return prompt
    texts = [_attachment_text(attachment) for attachment in attached if not is_image(attachment)]
    text = "\n\n".join([*texts, prompt])
    images = [attachment for attachment in attached if is_image(attachment)]
    if not images:
        return text
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": image.content}} for image in images
    ]
    return [*parts, {"type": "text", "text": text}]


def is_image(attachment: Attachment) -> bool:
    """Return whether it is sent as an image."""
    return attachment.kind != "text" and bool(attachment.content)


def _attachment_text(attachment: Attachment) -> str:
    if not attachment.content:
        return f"({attachment.name} was attached here; its content was not kept.)"
    return f"{attachment.name} ({attachment.note}):\n\n{fence_block(attachment.content)}"


def fence_block(text: str, language: str = "") -> str:
    """Return a text as a Markdown code block; its fence is longer than any in the text."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def content_weight(content: str | Sequence[dict[str, Any]] | None, image: int) -> int:
    """Return the weight of the text in a message's content; an image weighs `image`."""
    if not content:
        return 0
    if isinstance(content, str):
        return text_weight(content)
    texts = (part.get("text") for part in content)
    return sum(image if text is None else content_weight(text, image) for text in texts)
