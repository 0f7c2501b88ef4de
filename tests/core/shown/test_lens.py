"""A turn as a lens shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.sampling import DEFAULT_ORDER
from di_magics.core.shown.lens import build_lens_data, build_text_lens, params_to_send

TOKENS = (TokenProbability("Hi", -0.5, (TokenProbability("Hi", -0.5),)),)


def turn(*, local: bool = False, **params: int | float) -> Turn:
    """Return a turn with these parameters and a reply of three tokens."""
    reply = Reply("Hi!", status="done", usage=Usage(5, 3))
    return Turn(
        id="a", prompt="hi", model="m", endpoint="e", local=local, params=params, reply=reply
    )


def test_the_settings_are_those_that_were_sent_and_the_defaults_of_the_server() -> None:
    """The built-in model's own filters are on where nothing is sent; in llama.cpp's names."""
    own = build_lens_data(turn(local=True, temperature=1.5, repetition_penalty=1.2, seed=3), TOKENS)
    assert own.settings["temperature"] == 1.5
    assert (own.settings["top_k"], own.settings["top_p"], own.settings["min_p"]) == (40, 0.95, 0.05)
    assert own.settings["repeat_penalty"] == 1.2
    assert "seed" not in own.settings
    other = build_lens_data(turn(top_p=0.9), TOKENS).settings
    assert (other["temperature"], other["top_k"], other["top_p"], other["min_p"]) == (1, 0, 0.9, 0)


def test_what_is_known_of_a_server_is_said() -> None:
    """llama.cpp's log-probabilities are raw and its order is known; others' are not."""
    own, other = build_lens_data(turn(local=True), TOKENS), build_lens_data(turn(), TOKENS)
    assert (own.basis, own.order, own.continues) == ("raw", DEFAULT_ORDER, "ids")
    assert (other.basis, other.order, other.continues) == ("unknown", None, "text")
    assert (own.model, own.most, own.unreported) == ("m", 1, 2)


@pytest.mark.parametrize(
    ("sent", "order"),
    [
        (["top_p", "temperature"], ("top_p", "temperature")),
        ([], ()),
        ("kfypmt", DEFAULT_ORDER),
        (["top_p", 7], DEFAULT_ORDER),
    ],
)
def test_the_order_is_the_one_that_was_sent(sent: object, order: tuple[str, ...]) -> None:
    """To a local model, as a list of names; of others nothing is known."""
    extra = {"samplers": sent}
    assert build_lens_data(replace(turn(local=True), extra=extra), TOKENS).order == order
    assert build_lens_data(replace(turn(), extra=extra), TOKENS).order is None


def test_only_what_changes_the_request_is_sent() -> None:
    """A value that the server uses anyway is left out, also a local model's own."""
    values = {"temperature": 0.8, "top_k": 40, "min_p": 0.05, "repeat_penalty": 1.0}
    assert params_to_send(values, {}, local=True) == {}
    assert params_to_send(values, {"top_k": 40, "min_p": 0.2}, local=False) == {
        "temperature": 0.8,
        "min_p": 0.05,
    }
    assert params_to_send({"repeat_penalty": 1.2}, {}, local=True) == {"repetition_penalty": 1.2}


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (turn(), "were not asked for. Ask again with %%chat --logprobs."),
        (turn(local=True), "%chat lens --score reads the reply again"),
        (turn(logprobs=5), "e sent no log-probabilities for m"),
        (replace(turn(), reply=Reply(status="failed")), "ended without a reply"),
        (replace(turn(logprobs=5), reply=Reply(status="stopped")), "ended without a reply"),
    ],
)
def test_a_turn_without_log_probabilities_says_where_they_come_from(asked: Turn, text: str) -> None:
    """One line."""
    with pytest.raises(ChatError) as error:
        build_lens_data(asked, ())
    assert text in str(error.value)


def test_a_scored_text_has_the_settings_of_a_local_model() -> None:
    """It cannot be continued."""
    data = build_text_lens(Reply("Hi", model="m", logprobs=TOKENS))
    assert (data.model, data.basis, data.order) == ("m", "raw", DEFAULT_ORDER)
    assert (data.settings["temperature"], data.continues) == (0.8, "none")
