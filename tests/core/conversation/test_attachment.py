"""What goes along with a prompt: texts in fences, and images before what is said."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from di_magics.core.conversation.attachment import (
    Attachment,
    content_weight,
    fence_block,
    message_content,
)
from di_magics.core.request.body import build_body
from di_magics.core.request.export import as_json

TABLE = Attachment("text", "df", "DataFrame, 2 rows", "| a |\n|---|\n| 1 |")
NOTES = Attachment("text", "notes.txt", "5 characters", "hello")
IMAGE = Attachment("image", "cat.png", "image, 2 × 2", "data:image/png;base64,AAAA")
LOST = Attachment("image", "cat.png", "image, 2 × 2")


def url(image: str) -> dict[str, Any]:
    """Return the part of a message that is this image."""
    return {"type": "image_url", "image_url": {"url": image}}


def test_a_prompt_alone_is_a_text() -> None:
    """Exactly as it was written."""
    assert message_content(" Hi\n", ()) == " Hi\n"


def test_texts_stand_before_the_prompt() -> None:
    """In their order, each with its name and what was left out of it."""
    assert message_content("Hi", (TABLE, NOTES)) == (
        "df (DataFrame, 2 rows):\n\n```\n| a |\n|---|\n| 1 |\n```\n\n"
        "notes.txt (5 characters):\n\n```\nhello\n```\n\nHi"
    )


def test_images_are_parts_before_the_text() -> None:
    """Whatever their order among the texts."""
    other = Attachment("image", "b", "", "data:image/jpeg;base64,BBBB")
    assert message_content("Hi", (IMAGE, NOTES, other)) == [
        url(IMAGE.content),
        url(other.content),
        {"type": "text", "text": "notes.txt (5 characters):\n\n```\nhello\n```\n\nHi"},
    ]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_what_was_not_kept_is_said(kind: Any) -> None:
    """A conversation that was loaded knows only that something was attached."""
    assert message_content("Hi", (Attachment(kind, "x.y", "n"),)) == (
        "(x.y was attached here; its content was not kept.)\n\nHi"
    )
    assert message_content("Hi", (LOST, IMAGE)) == [
        url(IMAGE.content),
        {"type": "text", "text": "(cat.png was attached here; its content was not kept.)\n\nHi"},
    ]


@pytest.mark.parametrize(
    ("text", "fence"),
    [
        ("", "```"),
        ("x", "```"),
        ("`x` ``y``", "```"),
        ("```\nx\n```", "````"),
        ("a `````b\n```", "``````"),
        ("~~~", "```"),
    ],
)
def test_a_fence_is_longer_than_any_in_the_text(text: str, fence: str) -> None:
    """So that nothing in a text ends its block."""
    assert fence_block(text) == f"{fence}\n{text}\n{fence}"
    assert fence_block(text, "py") == f"{fence}py\n{text}\n{fence}"


@pytest.mark.parametrize(
    "text", ["a\n```\nb", "````\n```` x", "- ```\n  ~~~\n", "> ```", "`" * 500, "<!--", "    ```"]
)
def test_a_text_is_one_block_to_markdown(text: str) -> None:
    """A reader of Markdown finds in it what was put into it."""
    [block] = MarkdownIt().parse(fence_block(text))
    assert (block.type, block.content) == ("fence", f"{text}\n")


@pytest.mark.parametrize(
    ("found", "weight"),
    [
        (None, 0),
        ("", 0),
        ([], 0),
        ("aä", 3),
        ("\ud800", 2),
        (message_content("Hi", (IMAGE,)), 1000 + 3),
        ([url("x"), url("y"), {"type": "text", "text": "ä"}], 2000 + 2),
        ([{"type": "text", "text": ""}], 0),
        ([{"type": "text", "text": None}], 1000),
    ],
)
def test_a_message_weighs_its_texts(found: Any, weight: int) -> None:
    """An image weighs what it is said to, however long its data are."""
    assert content_weight(found, 1000) == weight


def test_a_request_is_shown_without_the_bytes_of_an_image() -> None:
    """Only their beginning, and how many there are; short ones are whole."""
    data = "data:image/png;base64," + "A" * 4978
    images = (Attachment("image", "a", "b", data), IMAGE)
    sent = build_body("m", [{"role": "user", "content": message_content("Hi", images)}], {})
    shown = as_json(sent)
    assert f'"{data[:60]}… (5,000 characters)"' in shown
    assert f'"{IMAGE.content}"' in shown
    assert data not in shown


def test_a_prompt_that_begins_like_an_image_is_shown_whole() -> None:
    """Text is no address of bytes."""
    prompt = "data: " + ", ".join(map(str, range(100))) + ". What is their mean?"
    assert prompt in as_json(build_body("m", [{"role": "user", "content": prompt}], {}))
