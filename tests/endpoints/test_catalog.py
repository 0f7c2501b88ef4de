"""The list of models with their prices: where it is from, and when it is fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from loopback import Hold, Loopback, Reply, Request
from priced import PRICED, UNCOUNTED
from shell import Run

import di_magics as di


def test_models_are_listed_with_their_prices(priced: Run, server: Loopback) -> None:
    """From the endpoint's own list, asked once a day; a filter picks."""
    shown = priced("%chat models").text
    assert "8,192" in shown
    assert "1.00" in shown
    assert "embedder" not in shown
    assert "own list of 20" in shown
    assert "other" not in priced("%chat models MODEL").text
    assert isinstance(priced("%chat models nothing").error, di.ParamError)
    listed = [request for request in server.requests if request.method == "GET"]
    assert [request.path for request in listed] == ["/v1/models?filter=with_meta"]


def test_an_endpoint_without_a_model_list_is_an_error(run: Run, server: Loopback) -> None:
    """An endpoint that has none, and no list from before."""
    server.models = []
    server.key = "another"
    assert isinstance(run("%chat models").error, di.Refused)


def test_the_first_reply_of_the_day_is_estimated(run: Run, server: Loopback) -> None:
    """The endpoint's list is fetched for it: in the receipt, the ledger and `%chat cost`."""
    server.models = [{**PRICED, "id": "a-model"}]
    server.default = Reply("yes", usage={"prompt_tokens": 100, "completion_tokens": 10})
    for _ in range(2):
        assert "about $0.00012 · cost estimated: price of 20" in run("%%chat\nhi").text
    assert "(an estimate)" in run("%chat cost").text
    assert di.ask("hi").cost_is_estimate
    assert len([request for request in server.requests if request.method == "GET"]) == 1


def test_the_end_of_a_reply_does_not_wait_long_for_a_price(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one only, and not for ever; a list that is late helps a later reply."""
    monkeypatch.setattr("di_magics.session.model_list.PRICE_SECONDS", 0.05)
    server.default = Reply("yes", usage={"prompt_tokens": 100, "completion_tokens": 10})
    hold = Hold()
    server.models = [{**PRICED, "id": "a-model"}]
    answer = server.answer

    def slow(request: Request) -> Any:
        found: Any = answer(request)
        return replace(found, before=[hold]) if request.method == "GET" else found

    monkeypatch.setattr(server, "answer", slow)
    assert "cost —" in run("%%chat\nhi").text
    monkeypatch.setattr("di_magics.session.model_list.PRICE_SECONDS", 3600)
    assert "cost —" in run("%%chat\nhi").text
    hold.release()
    run("%chat models")
    assert "cost estimated" in run("%%chat\nhi").text


def test_a_price_is_looked_up_when_it_is_needed(run: Run, server: Loopback) -> None:
    """By a budget before sending, by a reply without a cost when it has ended; once a day."""
    server.models = [{**PRICED, "id": "a-model"}]
    server.reply(UNCOUNTED)
    assert "cost estimated: tokens counted from the texts" in run("%%chat\nhi").text
    assert run("%%chat --budget 1\nhi").error is None
    assert [request.method for request in server.requests] == ["POST", "GET", "POST"]
