"""Reasoning that a model writes into its reply between `<think>` and `</think>`, or other tags.

ThinkTagParser separates it while the reply streams. An opening tag counts only at the very
beginning of a reply: later the tags are ordinary text.

Some chat templates (DeepSeek R1, QwQ, Qwen3 Thinking) put `<think>` into the prompt, so that the
reply begins with the reasoning and only `</think>` is seen, thousands of tokens later. Until then
such a reply looks like a plain one, and displayed text is not taken back; so separate_lone_thinking
separates it when the reply has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from di_magics.core.reply.fold import Finished, Reasoning, ReplyEvent, Text
from di_magics.core.reply.reply import Reply

OPEN, CLOSE = "<think>", "</think>"
TAGS = {
    OPEN: CLOSE,
    "<thinking>": "</thinking>",  # QwenLM/qwen-code/issues/10791
    "<thought>": "</thought>",  # NousResearch/hermes-agent/pull/8991
    "<|channel>thought": "<channel|>",  # Gemma 4: laurent22/joplin/pull/16595
    "[THINK]": "[/THINK]",  # Magistral
    "<seed:think>": "</seed:think>",  # Seed-OSS
    "◁think▷": "◁/think▷",  # Kimi-VL
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
}
"""What models write before their reasoning, and after it; the last is gpt-oss."""
MAX_SPACES = 1000
"""More white space than this before a tag is text: a model may write it without end."""


class ThinkTagParser:
    """Turns the reasoning in the texts of one reply into Reasoning events.

    Text that may become a tag is held back until it is clear whether it is one; `close` returns
    the rest.
    """

    def __init__(self) -> None:
        self._state = "begin"
        self._pending = ""
        self._end = CLOSE

    def feed(self, events: Iterable[ReplyEvent]) -> list[ReplyEvent]:
        """Return these events, with the texts that are reasoning as Reasoning."""
        out: list[ReplyEvent] = []
        for event in events:
            if isinstance(event, Text) and self._state != "text":
                out += self._split(event.text)
            else:
                if isinstance(event, Finished):
                    out += self.close()
                out.append(event)
        return out

    def close(self) -> list[ReplyEvent]:
        """Return what was held back: it can no longer become a tag."""
        pending, self._pending = self._pending, ""
        if self._state == "after":
            return []
        return _reasoning_events(pending) if self._state == "thought" else _text_events(pending)

    def _split(self, piece: str) -> list[ReplyEvent]:
        pending, self._pending = self._pending, ""
        text = pending + piece
        if self._state == "begin":
            begun = text.lstrip()
            blanks = len(text) - len(begun)
            opening = next(filter(begun.startswith, TAGS), "")
            may_open = not opening and any(tag.startswith(begun) for tag in TAGS)
            if blanks <= MAX_SPACES and may_open:
                self._pending = text
                return []
            if blanks > MAX_SPACES or not opening:
                self._state = "text"
                return _text_events(pending, piece)  # the last piece may be an end token
            self._state, text, self._end = "opened", begun[len(opening) :], TAGS[opening]
        if self._state == "opened":
            text = text.lstrip("\n")
            self._state = "thought" if text else "opened"
        if self._state == "after":
            return self._after(text)
        thought, tag, rest = text.partition(self._end)
        if tag:
            self._state = "after"
            return [*_reasoning_events(thought), *self._after(rest)]
        kept = _partial_tag_length(thought, self._end)
        self._pending = thought[len(thought) - kept :]
        return _reasoning_events(thought[: len(thought) - kept])

    def _after(self, text: str) -> list[ReplyEvent]:
        """Leave out the empty lines between the reasoning and the reply."""
        bare = text.lstrip()
        blanks = len(text) - len(bare)
        if not bare and blanks <= MAX_SPACES:
            self._pending = text
            return []
        self._state = "text"
        if blanks > MAX_SPACES:
            return _text_events(text)
        return _text_events(_indentation(text[:blanks]), bare)


def separate_lone_thinking(reply: Reply) -> Reply:
    """Return the reply with its text before a lone `</think>` as reasoning.

    The tag must begin or end a line that has no backtick, outside of a code block: a reply that is
    about the tag quotes it. A reply whose reasoning is known, or that has `<think>`, is unchanged,
    except that a tag at its very beginning is left out.
    """
    before, tag, after = reply.text.partition(CLOSE)
    line_before = before.rpartition("\n")[2]
    line_after = after.partition("\n")[0]
    alone = not line_before.strip() or not line_after.strip()
    fences = sum(line.lstrip().startswith(("```", "~~~")) for line in before.split("\n"))
    known = (reply.reasoning and before.strip()) or OPEN in before
    if not tag or known or not alone or "`" in line_before + line_after or fences % 2:
        return reply
    bare = after.lstrip()
    text = _indentation(after[: len(after) - len(bare)]) + bare
    return replace(reply, reasoning=reply.reasoning or before.strip("\n"), text=text)


def _indentation(blanks: str) -> str:
    """Return the white space of the last of some empty lines."""
    return blanks.rpartition("\n")[2] if "\n" in blanks else ""


def _text_events(*texts: str) -> list[ReplyEvent]:
    return [Text(text) for text in texts if text]


def _reasoning_events(text: str) -> list[ReplyEvent]:
    return [Reasoning(text)] if text else []


def _partial_tag_length(text: str, tag: str) -> int:
    """Return how many characters at the end may be the beginning of the closing tag."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
