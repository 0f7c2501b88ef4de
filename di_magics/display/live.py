"""A reply that streams: its text, its reasoning, and the rounds before it."""

from __future__ import annotations

from collections.abc import Callable

from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import MAX_SHOWN_CHARS, Reply, Round
from di_magics.core.reply.tool_calls import round_folds
from di_magics.display.channel import Channel, Message
from di_magics.display.widgets import LiveWidget

MAX_CHARS_SHOWN = 2000
AWAY = "ended while this page was closed; %chat show has its receipt"


class ReplyContent:
    """A reply as a channel streams it.

    A whole has `text`, `thought` and `rounds`; a delta has what was added to `text` and `thought`.
    An empty field is left out.
    """

    def __init__(self) -> None:
        self.reply = Reply()
        self.status = ""
        self._sent = (0, 0)
        self._sent_rounds: tuple[Round, ...] = ()

    @property
    def size(self) -> int:
        """How many characters the reply has."""
        return len(self.reply.clean_text) + len(self.reply.reasoning)

    def build_whole(self) -> Message:
        """Return all of the reply."""
        self._sent, self._sent_rounds = (0, 0), self.reply.rounds
        rounds = [_round_fields(step) for step in self.reply.rounds]
        return self._new_texts() | ({"rounds": rounds} if rounds else {})

    def build_delta(self) -> Message | None:
        """Return the text and the reasoning that are new."""
        return self._new_texts() if self.reply.rounds is self._sent_rounds else None

    def _new_texts(self) -> Message:
        reply, (text, thought) = self.reply, self._sent
        self._sent = (len(reply.clean_text), len(reply.reasoning))
        fields = {
            "text": reply.clean_text[text:MAX_SHOWN_CHARS],
            "thought": reply.reasoning[thought:MAX_SHOWN_CHARS],
        }
        return {name: value for name, value in fields.items() if value}


def _round_fields(step: Round) -> Message:
    """Return a round as the widget shows it; the final output has all of it."""
    return {
        "text": step.text[:MAX_SHOWN_CHARS],
        "thought": step.reasoning[:MAX_CHARS_SHOWN],
        "calls": round_folds(step, MAX_CHARS_SHOWN),
    }


class WidgetView:
    """Streams a reply to a widget, then shows the final output in its place."""

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain
        self._content = ReplyContent()
        self._channel = Channel(self._content, AWAY)

    @property
    def seen(self) -> bool:
        """Whether a page confirmed the end; True if no page was connected."""
        return self._channel.seen

    def open(self, stop: Callable[[], None]) -> None:
        """Display the widget."""
        line = self._content.status
        self._channel.open(LiveWidget(self._channel.receive, line=line, plain=self._plain), stop)

    def status(self, line: str) -> None:
        """Show a line in place of a receipt."""
        self._content.status = line
        self._channel.update()

    def show(self, reply: Reply) -> None:
        """Show what is new of the reply."""
        with self._channel.lock:
            self._content.reply = reply
            self._content.status = reply.model or self._content.status
        self._channel.update()

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Replace the widget by the final output."""
        # Loaded only now, so that the first text is shown sooner.
        from di_magics.display.final import final_output

        self._channel.close(*final_output(turn, notes))
