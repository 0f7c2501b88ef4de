"""Replies of the built-in model token by token: completed, scored and continued."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback
from shell import Run

import di_magics as di
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ParamError
from di_magics.core.logprobs import join_pieces
from di_magics.core.money.cost import FREE
from di_magics.core.shown.lens_text import ORDERS
from di_magics.display.lens import Lens
from di_magics.display.sweep import Sweep
from di_magics.endpoints.llama import Llama
from di_magics.magics.branching import lab_functions
from di_magics.magics.chat import current
from di_magics.session.inspector import MAX_TEXT_TOKENS, Inspector
from di_magics.session.session import Session


def session_of(shell: InteractiveShell) -> Session:
    """Return the shell's session."""
    magics = current(shell)
    assert magics
    return magics.session


def last_turn(shell: InteractiveShell) -> Turn:
    """Return the last turn of the conversation."""
    return session_of(shell).conversation.turn_at()


def last_sweep(shell: InteractiveShell) -> Sweep:
    """Return the last sweep."""
    sweep = shell.user_ns["_sweep"]
    assert isinstance(sweep, Sweep)
    return sweep


def test_only_a_local_model_scores_a_text(run: Run, server: Loopback) -> None:
    """Others cannot be asked how likely a given text is."""
    with pytest.raises(ParamError, match="cannot score"):
        di.score("a text", endpoint=server.url)


def test_the_lens_of_a_cell_has_no_flags(run: Run) -> None:
    """A text on its line is a mistake."""
    assert isinstance(run("%%lens nonsense\ntext").error, ParamError)


# With the built-in model --------------------------------------------------------------------------


@pytest.fixture
def local(
    shell: InteractiveShell, run: Run, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Runs cells in a shell that asks the built-in model."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    monkeypatch.delenv("DI_MAGICS_MODEL")
    monkeypatch.setenv("DI_MAGICS_ENDPOINT", "local")
    yield run
    run("%chat forget --all --yes")


@pytest.mark.parametrize("most", [24, 25])
def test_the_lens_has_as_many_tokens_as_the_server_counts(
    local: Run, shell: InteractiveShell, most: int
) -> None:
    """Also where emoji are split into pieces, which llama.cpp does not report.

    The first pieces of a character at the end, of which nothing was sent, are only counted.
    """
    flags = f"--logprobs 3 --seed 4 --max-tokens {most}"
    local(f"%%chat {flags}\nTell me a joke about a fox 🦊. Use emojis.")
    turn = last_turn(shell)
    data = session_of(shell).inspector.lens_data(turn)
    assert len(data.tokens) + data.unreported == turn.reply.usage.completion_tokens == most
    assert data.unreported < 3
    groups = list(join_pieces(data.tokens))
    assert groups
    assert all(text.strip() in turn.reply.text for _, _, text in groups)
    assert b"".join(token.data for token in data.tokens).decode() == turn.reply.text
    assert all(token.logprob is not None for token in data.tokens)
    assert data.vocabulary == 49_152
    assert len(data.prompt) > 20


def test_the_end_of_a_reply_is_its_last_token(local: Run, shell: InteractiveShell) -> None:
    """The server counts it, and sends no entry for it."""
    local("%%chat --logprobs 3 -t 0 --max-tokens 60\nSay only: yes")
    turn = last_turn(shell)
    assert turn.reply.finish_reason == "stop"
    data = session_of(shell).inspector.lens_data(turn)
    assert len(data.tokens) == turn.reply.usage.completion_tokens
    assert (data.tokens[-1].data, data.tokens[-1].id) == (b"", 2)


def test_log_probabilities_survive_a_restart(local: Run, shell: InteractiveShell) -> None:
    """They are read from the disk."""
    local("%%chat --logprobs 3 -t 0 --max-tokens 5\nName a colour.")
    reply = shell.user_ns["_reply"]
    assert len(reply.logprobs) == 5
    assert last_turn(shell).reply.logprobs == ()
    kept = session_of(shell).inspector.lens_data(last_turn(shell)).tokens
    assert [t.logprob for t in kept] == [t.logprob for t in reply.logprobs]
    assert [t.id for t in kept] == [t.id for t in reply.logprobs]


def test_a_branch_without_a_change_is_exact(local: Run, shell: InteractiveShell) -> None:
    """By token ids and from the same cache the greedy reply comes again, to the last bit."""
    local("%%chat --logprobs 3 -t 0 --max-tokens 24\nTell me about foxes.")
    whole = shell.user_ns["_reply"]
    local("%%chat -t 0 --once --max-tokens 8\nSomething else.")
    for position in (12, 4):
        assert local(f"%chat branch 1:{position} -n 2 --max-tokens {24 - position}").error is None
        for reply in last_sweep(shell).replies:
            assert reply
            assert reply.text == whole.text
            assert [t.id for t in reply.logprobs] == [t.id for t in whole.logprobs]
            drawn = [t.logprob for t in reply.logprobs]
            assert drawn == pytest.approx([t.logprob for t in whole.logprobs], abs=1e-6)


def test_a_branch_is_exact_after_the_server_has_ended(local: Run, shell: InteractiveShell) -> None:
    """It is started again, and the reply is read token by token, as it was written."""
    local("%%chat --logprobs 3 -t 0 --max-tokens 24\nTell me about foxes.")
    whole = shell.user_ns["_reply"]
    session_of(shell).routing.close()
    assert local("%chat branch 1:10 -n 1 --max-tokens 14").error is None
    (reply,) = last_sweep(shell).replies
    assert reply
    assert reply.text == whole.text
    drawn = [t.logprob for t in reply.logprobs]
    assert drawn == pytest.approx([t.logprob for t in whole.logprobs], abs=1e-6)


def test_scoring_can_be_interrupted(
    local: Run, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, whatever the model is doing."""

    async def force(*arguments: object) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(Llama, "force", force)
    with pytest.raises(di.Interrupted, match="Stopped"):
        session_of(shell).inspector.score("A text.")


def test_a_branch_with_another_token_has_it(local: Run, shell: InteractiveShell) -> None:
    """Draws differ by their seed, and the adopted one is the turn's variant."""
    local("%%chat --logprobs 5 --seed 1 --max-tokens 12\nTell me about foxes.")
    second = shell.user_ns["_reply"].logprobs[2].top[1]
    assert local("%chat branch 1:3 --rank 2 -n 3 --max-tokens 6").error is None
    assert f"token 3 is {second.text!r} in all runs" in last_sweep(shell).summary
    replies = [reply for reply in last_sweep(shell).replies if reply]
    assert {reply.logprobs[2].id for reply in replies} == {second.id}
    assert [reply.request["seed"] for reply in replies if reply.request] == [1, 2, 3]
    assert all(len(reply.logprobs) > 3 for reply in replies)
    assert "token ids" in local("%chat adopt 2").text
    assert last_turn(shell).reply.text == replies[2].text


def test_a_lab_continues_with_its_order_of_filters(local: Run, shell: InteractiveShell) -> None:
    """It changes what is drawn; request and receipt have it, and the next lab begins with it."""
    local("%%chat --logprobs 5 --seed 1 -t 1.7 --max-tokens 6\nTell me about foxes.")
    asking = shell.magics_manager.registry["ChatMagics"].asking

    def go_on(order: Sequence[str]) -> list[str]:
        turn = last_turn(shell)
        data = session_of(shell).inspector.lens_data(turn)
        lab = Lens(data, lab=True, order=order)
        functions = lab_functions(asking, turn, data)
        functions["continue_from"](3, data.tokens[3].text, lab.values, lab.order, lambda grid: None)
        return [reply.text for reply in last_sweep(shell).replies if reply]

    usual = go_on(ORDERS["llama.cpp"])
    assert all("samplers" not in (r.request or {}) for r in last_sweep(shell).replies if r)
    assert go_on(ORDERS["vLLM"]) != usual
    names = '["penalties", "temperature", "min_p", "top_k", "top_p"]'
    assert f"samplers={names}" in local("%chat adopt 0").text
    assert '"samplers"' in local("%chat show --request").text
    assert tuple(last_turn(shell).extra["samplers"]) == ORDERS["vLLM"]
    assert session_of(shell).inspector.lens_data(last_turn(shell)).order == ORDERS["vLLM"]


def test_the_built_in_model_continues_where_another_endpoint_is_set(
    local: Run, shell: InteractiveShell
) -> None:
    """And says so, because the endpoint would be expected to."""
    local("%%chat --logprobs 5 --seed 1 --max-tokens 6\nTell me about foxes.")
    words = "The built-in model continues, because it wrote this reply; http://127.0.0.1:9/v1"
    assert "built-in" not in local("%chat branch 1:3 -n 1 --max-tokens 2").text
    local("%chat endpoint http://127.0.0.1:9/v1")
    branched = local("%chat branch 1:3 -n 1 --max-tokens 2")
    assert branched.error is None
    assert words in branched.text
    asking, turn = shell.magics_manager.registry["ChatMagics"].asking, last_turn(shell)
    data = session_of(shell).inspector.lens_data(turn)
    go_on = lab_functions(asking, turn, data)["continue_from"]
    assert words in go_on(3, data.tokens[3].text, {}, ORDERS["llama.cpp"], lambda grid: None)


def test_a_policy_without_extras_keeps_the_order(
    local: Run, shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says which order can be chosen; with it the reply is continued."""
    policy = tmp_path / "class.toml"
    policy.write_text("[parameters]\nmax_tokens = { max = 50 }\n")
    monkeypatch.setenv("DI_MAGICS_POLICY", str(policy))
    local("%reload_ext di_magics")
    local("%%chat --logprobs 5 --seed 1 --max-tokens 6\nTell me about foxes.")
    asking = shell.magics_manager.registry["ChatMagics"].asking
    turn = last_turn(shell)
    data = session_of(shell).inspector.lens_data(turn)
    go_on = lab_functions(asking, turn, data)["continue_from"]
    text = shell.user_ns["_reply"].logprobs[3].text
    with pytest.raises(di.PolicyError, match=r"does not allow the extra samplers.* top_k, top_p,"):
        go_on(3, text, {}, ORDERS["vLLM"], lambda grid: None)
    go_on(3, text, {}, ORDERS["llama.cpp"], lambda grid: None)
    assert len(last_sweep(shell).replies) == 4


def test_the_zeros_of_a_reply_are_read(local: Run, shell: InteractiveShell) -> None:
    """Those that a repetition penalty needs, before and after the server has ended."""
    local("%%chat --logprobs 20 -t 0 --max-tokens 24\nTell me about foxes.")
    inspector, turn = session_of(shell).inspector, last_turn(shell)
    data = inspector.lens_data(turn)
    zeros = inspector.normalizer_reader(turn, data)([20, 21, 22, 23])
    assert all(zero is not None and 5 < zero < 50 for zero in zeros)
    session_of(shell).routing.close()
    again = inspector.normalizer_reader(turn, data)
    assert again([21]) == pytest.approx(zeros[1:2], abs=1e-5)
    assert again([20, 21, 22, 23]) == pytest.approx(zeros, abs=1e-5)


def test_a_reply_can_be_read_again(local: Run, shell: InteractiveShell) -> None:
    """One that was asked for without log-probabilities; the lens says so."""
    local("%%chat -t 0 --max-tokens 8\nTell me about foxes.")
    data = session_of(shell).inspector.score_turn(last_turn(shell))
    assert b"".join(t.data for t in data.tokens).decode() == last_turn(shell).reply.text
    assert "was scored again later" in data.note
    assert all(t.logprob is not None and t.logprob > -3 for t in data.tokens)


def test_a_text_of_ones_own_is_scored(local: Run, shell: InteractiveShell) -> None:
    """The order of the words decides, and a prompt may stand before it."""
    plain, mixed = "The sky is blue today.", "Blue sky today is the."
    assert (di.score(plain).perplexity or 0) < (di.score(mixed).perplexity or 0)
    answer = di.score("Paris", prompt="What is the capital of France?")
    other = di.score("Paris", prompt="What do you eat?")
    assert (answer.perplexity or 0) < (other.perplexity or 0)
    assert (answer.text, len(answer.logprobs)) == ("Paris", 1)
    assert answer.cost == FREE
    assert "Paris" in local("%%lens\nParis is a city.").text


@pytest.mark.parametrize(
    ("text", "message"), [("", "empty"), ("a " * (MAX_TEXT_TOKENS + 9), "Shorten")]
)
def test_a_text_that_cannot_be_scored_is_refused(
    local: Run, shell: InteractiveShell, text: str, message: str
) -> None:
    """Empty, or so long that it would take minutes."""
    inspector: Inspector = session_of(shell).inspector
    with pytest.raises(ParamError, match=message):
        inspector.score(text)
