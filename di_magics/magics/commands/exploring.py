"""The commands that compare replies: of a grid, of one request repeated, of two turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from di_magics.core.conversation.conversation import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.settings.flags import parse_repeats, split_line
from di_magics.core.sweep.difference import compare_texts, first_difference
from di_magics.core.sweep.difference import count_texts as different
from di_magics.core.text import one_line
from di_magics.display.sweep import Sweep
from di_magics.display.views import FinalView
from di_magics.magics.commands.answer import Words, count_noun, incomplete, say, show

BEST_EFFORT = "A seed is best effort: a server may batch and round as it likes."


class Exploring(Words):
    """Repeat, compare, plot, and take one of many."""

    def repeat(self, rest: str) -> None:
        """repeat N [--yes]: send the last request N times: identical, or where the replies part

        The replies do not enter the conversation; %chat adopt K takes one.
        """
        from di_magics.display.final import repeats_output

        words = split_line(rest) or incomplete("repeat 5")
        yes = "--yes" in words
        count = parse_repeats("repeat", " ".join(word for word in words if word != "--yes"))
        turn = self._session.conversation.turn_at()
        sweep = self._actions.again(turn, count, yes=yes)
        replies = [reply for reply in sweep.replies if reply and reply.complete]
        texts = [reply.clean_text for reply in replies]
        seeded = f" {BEST_EFFORT}" if "seed" in turn.params else " No seed was set."
        if first_difference(texts) is None:
            verdict = f"{len(texts)} of {count} replies, all identical."
        else:
            verdict = f"{len(different(texts))} different replies in {len(texts)}."
        show(repeats_output(texts, verdict + seeded))

    def diff(self, rest: str) -> None:
        """diff [A B | run A B]: two turns, two runs of the last grid, or the last two variants"""
        from di_magics.display.final import comparison_output

        words = split_line(rest)
        if words[:1] == ["run"]:
            one, other = self._two(words[1:], "diff run 0 1")
            sweep = self._last_sweep()
            texts = (sweep.reply(one).clean_text, sweep.reply(other).clean_text)
            names = (f"run {one}", f"run {other}")
        elif words:
            one, other = self._two(words, "diff 1 2")
            chat = self._session.conversation
            texts = (chat.turn_at(one).reply.clean_text, chat.turn_at(other).reply.clean_text)
            names = (f"turn {one}", f"turn {other}")
        else:
            turns = self._variants()
            texts = (turns[-2].reply.clean_text, turns[-1].reply.clean_text)
            names = (f"variant {len(turns) - 1}", f"variant {len(turns)}")
        show(comparison_output(compare_texts(*texts), names))

    def _two(self, words: Sequence[str], example: str) -> tuple[int, int]:
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            incomplete(example)
        return int(words[0]), int(words[1])

    def _variants(self) -> tuple[Turn, ...]:
        chat = self._session.conversation
        for turn in reversed(chat.path()):
            if len(variants := chat.variants(turn)) > 1:
                return variants
        raise ChatError("No turn has variants yet. %chat diff 1 2 compares two turns.")

    def plot(self, rest: str) -> None:
        """plot [Y [X]] [--out FILE]: a measure of the last grid against what was varied

        %chat plot diversity                 how different the replies of each value are
        %chat plot cost model --out cost.svg
        """
        from di_magics.display.plot import figure_images

        words = split_line(rest)
        out = None
        if "--out" in words:
            at = words.index("--out")
            out = Path(words[at + 1]) if len(words) > at + 1 else incomplete("plot --out plot.svg")
            words = words[:at] + words[at + 2 :]
        if len(words) > 2:
            raise ParamError(f"%chat plot takes Y and X, not {one_line(' '.join(words), 60)!r}.")
        drawn = self._last_sweep().plot(*words)
        if out is None:
            show({**figure_images(drawn), "text/plain": "(a plot)"})
            return
        if out.suffix not in (".png", ".svg"):
            raise ParamError(f"A plot is saved as .png or .svg, not as {one_line(out, 80)!r}.")
        try:
            drawn.savefig(out.expanduser())
        except OSError as error:
            raise ChatError(f"{out} cannot be written: {error.strerror}.") from None
        say(f"saved in {out}")

    def adopt(self, rest: str) -> None:
        """adopt K: make run K of the last grid the reply; the conversation goes on with it"""
        if not rest.isdecimal():
            incomplete("adopt 0")
        sweep, run = self._last_sweep(), int(rest)
        turn = sweep.turn(run)
        if turn.id in self._session.conversation.turns:
            raise ChatError(f"Run {run} is in the conversation already. %chat history shows it.")
        self._session.adopt(turn)
        FinalView().close(turn, [f"run {run} of {count_noun(len(sweep), 'run')}"])

    def _last_sweep(self) -> Sweep:
        sweep = self._actions.sweep
        if sweep is None:
            raise ChatError(
                "There is no grid yet: %%chat --vary temperature=0,0.7,1.4, or -n 5, makes one."
            )
        return sweep
