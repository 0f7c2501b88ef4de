"""What a server's refusal means, and what to do next."""

from __future__ import annotations

import json

import pytest

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, TooLong
from di_magics.core.request import refusals
from di_magics.core.request.retry import retry_delay


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("boom", "boom"),
        ({"error": "boom"}, "boom"),
        ({"error": {"message": "boom"}}, "boom"),
        ({"detail": "boom"}, "boom"),
        ({"detail": {"error": "boom"}}, "boom"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"error": None, "message": "boom"}, "boom"),
        ({"error": 500, "detail": "boom"}, "boom"),
        ({"detail": [{"loc": ["body", "top_p"], "msg": "too big", "type": "x"}]}, "top_p: too big"),
        ({"detail": [{"loc": ["body"], "msg": "a"}, {"loc": [1, "b"], "msg": "c"}]}, "a; 1.b: c"),
        ({"detail": [{"loc": [], "msg": str(i)} for i in range(9)]}, "0; 1; 2"),
        ({"detail": []}, None),
        ({"detail": [{}, None]}, None),
        ({"error": {"message": "a\nb\x1b[2J"}}, "a b"),
        ({}, None),
        ("  ", None),
        (None, None),
        (5, None),
    ],
)
def test_the_servers_words_are_found_in_every_shape(payload: object, said: str | None) -> None:
    """All error bodies that DeepInfra and its kin send have words somewhere."""
    assert refusals.error_text(payload) == said


@pytest.mark.parametrize(
    ("status", "answer", "kind", "step"),
    [
        (400, b'{"error": "no"}', BadRequest, "show --request"),
        (401, b"", Refused, "key"),
        (402, b"", Refused, "funds"),
        (403, b'{"detail": {"error": "Not authenticated"}}', Refused, "key"),
        (404, b'{"error": "Model not found"}', BadRequest, "(m)"),
        (404, b'{"detail": "Not Found"}', BadRequest, "address"),
        (405, b"", BadRequest, "address"),
        (408, b"", Busy, "Try again"),
        (409, b"", Busy, "Try again"),
        (413, b"", BadRequest, "show --request"),
        (422, b"", BadRequest, "show --request"),
        (429, b"Rate limited", Busy, "Try again"),
        (500, b"", Busy, "Try again"),
        (502, b"<html>bad gateway</html>", Busy, "Try again"),
        (504, b"The upstream took too long to answer", Busy, "Try again"),
        (
            500,
            b'{"error": "Input length 9 exceeds maximum input length 8"}',
            TooLong,
            "%chat new",
        ),
        (400, b"the prompt is too long", TooLong, "%chat new"),
        (302, b"", BadRequest, "address"),
    ],
)
def test_a_refusal_says_what_to_do_next(
    status: int, answer: bytes, kind: type[EndpointError], step: str
) -> None:
    """The class follows the status, unless the words say that the input is too long."""
    error = refusals.http_error(status, answer, model="m", endpoint="here")
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"here answered {status}")
    assert step in str(error)
    assert "<html>" not in str(error)


@pytest.mark.parametrize("answer", [b"\xff\xfe\x00", b"\xc3(", b"[" * 100_000, b"[1, 2]", b"7"])
def test_a_refusal_may_say_anything(answer: bytes) -> None:
    """Whatever the bytes are, there is an error with the status in it."""
    assert "500" in str(refusals.http_error(500, answer))


def test_a_refusal_carries_the_headers_that_matter() -> None:
    """The request's id and the pause that the server asks for are kept."""
    error = refusals.http_error(429, b"", retry_after=3.0, request_id="r-1")
    assert (error.retry_after, error.request_id) == (3.0, "r-1")


def words_and_fields(message: str, **fields: int) -> bytes:
    """Return an answer that says this."""
    return json.dumps({"error": {"message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("answer", "asked", "limit"),
    [
        (
            words_and_fields("Requested input length 99009 exceeds maximum input length 8192"),
            99009,
            8192,
        ),
        (
            words_and_fields(
                "This model's maximum context length is 8,192 tokens. However, you requested "
                "9,500 tokens (9,000 in the messages, 500 in the completion)."
            ),
            9500,
            8192,
        ),
        (
            words_and_fields(
                "the request exceeds the available context size, try increasing it",
                n_prompt_tokens=9001,
                n_ctx=8192,
            ),
            9001,
            8192,
        ),
        (words_and_fields("the request (9000 tokens) exceeds the context size (512)"), 9000, 512),
        (words_and_fields("prompt is too long"), None, None),
        (words_and_fields("context length 8192 exceeded"), None, None),
    ],
)
def test_how_much_too_long_is_read(answer: bytes, asked: int | None, limit: int | None) -> None:
    """From llama.cpp's fields, else from the server's words; else it is not known."""
    error = refusals.http_error(400, answer)
    assert isinstance(error, TooLong)
    assert (error.asked, error.limit) == (asked, limit)
    assert error.server_text
    assert "%chat" not in error.server_text


@pytest.mark.parametrize(
    ("said", "param", "about"),
    [
        ("'seed' is not supported", "seed", True),
        ("seed: not permitted", "seed", True),
        ("Unknown parameter seed", "seed", True),
        ("top_k must be below 100", "top_k", True),
        ("the user is over quota", "user", False),
        ("please stop", "stop", False),
    ],
)
def test_a_refusal_is_about_a_parameter(said: str, param: str, about: bool) -> None:
    """Where its name stands as one, not as a word of the language."""
    assert refusals.mentions_param(said, param) is about


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Qwen2.5-7B-Instruct is not a multimodal model"),
        (400, "At most 0 image(s) may be provided in one request."),
        (422, "Image input is not supported"),
    ],
)
def test_a_model_without_eyes_is_not_asked_again(status: int, said: str) -> None:
    """Whatever the status is, another try would be refused as well."""
    payload = {"error": {"message": said, "code": status}}
    error = refusals.http_error(status, json.dumps(payload).encode(), model="m")
    in_stream = refusals.stream_error(payload)
    for each in (error, in_stream):
        assert type(each) is BadRequest
        assert "cannot look at images" in str(each)
        assert retry_delay(1, each, 0.0) is None
