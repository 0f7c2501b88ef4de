"""What a server's error means, and what to do next."""

from __future__ import annotations

import json

import pytest
from growth import growth

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, TooLong
from di_magics.core.request import server_errors
from di_magics.core.request.error_body import error_text, mentions_param
from di_magics.core.request.error_rules import ERROR_RULES
from di_magics.core.request.retry import retry_delay
from di_magics.core.request.server_errors import Target
from di_magics.core.settings.services import SERVICES, UNKNOWN_SERVICE, Service


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
        (
            {"errors": [{"code": 7003, "message": "no route"}, {"message": "at all"}]},
            "no route; at all",
        ),
        ({"code": 1, "msg": "boom"}, "boom"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
        ([{"error": {"message": "boom"}}], "boom"),
        ({"error": {"message": '{"error": {"message": "within"}}'}}, "within"),
        ({"error": {"message": "{not JSON}"}}, "{not JSON}"),
        (
            {
                "error": {
                    "message": "Provider error",
                    "metadata": {"raw": "boom", "provider_name": "X"},
                }
            },
            "Provider error (X): boom",
        ),
        ({"error": {"message": "boom", "metadata": {"raw": '{"error": "boom"}'}}}, "boom"),
        ({"error": {"message": "half \ud83d"}}, "half \ufffd"),
        ({"error": {"message": "boom", "failed_generation": 'f{"a":\n1}'}}, 'boom f{"a": 1}'),
        ({"error": {"message": "boom", "failed_generation": " "}}, "boom"),
        ({"error": {"message": "a is gone", "replacement": "b"}}, "a is gone (replaced by b)"),
        ({"error": {"message": "use b for a", "replacement": "b"}}, "use b for a"),
        ({}, None),
        ("  ", None),
        (None, None),
        (5, None),
    ],
)
def test_the_servers_words_are_found_in_every_shape(payload: object, said: str | None) -> None:
    """All error bodies that DeepInfra and its kin send have words somewhere."""
    assert error_text(payload) == said


@pytest.mark.parametrize(
    ("status", "answer", "kind", "step"),
    [
        (400, b'{"error": "no"}', BadRequest, "show --request"),
        (401, b"", Refused, "key"),
        (402, b"", Refused, "funds"),
        (403, b'{"detail": {"error": "Not authenticated"}}', Refused, "key"),
        (404, b'{"error": "Model not found"}', BadRequest, "(m)"),
        (404, b'{"detail": "Not Found"}', BadRequest, "%chat models"),
        (405, b"", BadRequest, "address"),
        (408, b"", Busy, "Try again"),
        (409, b"", Busy, "Try again"),
        (413, b"", TooLong, "shorter"),
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
    error = server_errors.http_error(status, answer, Target("m", "here"))
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"here answered {status}")
    assert step in str(error)
    assert "<html>" not in str(error)


@pytest.mark.parametrize("answer", [b"\xff\xfe\x00", b"\xc3(", b"[" * 100_000, b"[1, 2]", b"7"])
def test_a_refusal_may_say_anything(answer: bytes) -> None:
    """Whatever the bytes are, there is an error with the status in it."""
    assert "500" in str(server_errors.http_error(500, answer))


def test_a_refusal_carries_the_headers_that_matter() -> None:
    """The request's id and the pause that the server asks for are kept."""
    error = server_errors.http_error(429, b"", headers={"Retry-After": "3"}, request_id="r-1")
    assert (error.retry_after, error.request_id) == (3.0, "r-1")


def test_a_wait_that_another_server_asked_for_is_relayed() -> None:
    """OpenRouter's own headers say nothing; those of the limit are in the body (dirge 718)."""
    reset = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0"}
    reset["X-RateLimit-Reset"] = str(1_800_054_000_000)
    answer = body("Rate limit exceeded: free-models-per-day", metadata={"headers": reset})
    error = server_errors.http_error(429, answer, now=1_800_000_000.0)
    assert error.retry_after == 54_000.0


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
        (words_and_fields("prompt is too long: 219898 tokens > 200000 maximum"), 219898, 200000),
        (
            words_and_fields(
                "The input token count (1200293) exceeds the maximum number of tokens allowed "
                "(1048576)."
            ),
            1200293,
            1048576,
        ),
        (
            words_and_fields(
                "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 "
                "maximum context length"
            ),
            65673,
            32768,
        ),
        (
            words_and_fields(
                "Request too large for gpt-4.1-2025-04-14 (for limit gpt-4.1) on tokens per min "
                "(TPM): Limit 30000, Requested 37313."
            ),
            37313,
            30000,
        ),
        (
            words_and_fields(
                "Request too large for model `llama-3.3-70b-versatile` in organization "
                "`org_01jp8byq99999999` on tokens per minute (TPM): Limit 6000, Requested 14810, "
                "please reduce your message size"
            ),
            14810,
            6000,
        ),
        (
            words_and_fields(
                "total of the prompt cannot exceed 2048 - received 6354. too many tokens"
            ),
            6354,
            2048,
        ),
        (words_and_fields("context length 8192 exceeded"), None, None),
    ],
)
def test_how_much_too_long_is_read(answer: bytes, asked: int | None, limit: int | None) -> None:
    """From llama.cpp's fields, else from the server's words; else it is not known."""
    error = server_errors.http_error(400, answer)
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
    assert mentions_param(said, param) is about


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
    error = server_errors.http_error(status, json.dumps(payload).encode())
    in_stream = server_errors.stream_error(payload)
    for item in (error, in_stream):
        assert type(item) is BadRequest
        assert "cannot read images" in str(item)
        assert retry_delay(1, item, 0.0) is None


def body(message: object, **fields: object) -> bytes:
    """Return an error body in OpenAI's shape."""
    return json.dumps({"error": {"message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (None, "in a moment"),
        (59.0, "in a moment"),
        (60.0, "in 2 minutes"),
        (432.0, "in 8 minutes"),
        (86_400.0, "in 1,441 minutes"),
        (float("inf"), "in 16,667 minutes"),
    ],
)
def test_a_long_wait_is_named(seconds: float | None, when: str) -> None:
    """A quota of a day or an hour: the server says how long, and nobody waits for it unasked."""
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    error = server_errors.http_error(429, body("slow down"), headers=headers)
    assert str(error).endswith(f": slow down. Try again {when}.")


FUNDS, KEY, TOOLS, MODEL = "Add funds", "Set the key", "leave out --tools", "%chat models"
GONE = "choose another with %chat models"
SHORTER, SYSTEM = "a shorter prompt", "%chat unset system"

# Bodies as servers have sent them; where is in the rows of ERROR_RULES.
REAL: list[tuple[int, bytes, type[EndpointError], str]] = [
    (
        400,
        body(
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 10053760 bytes "
            "> 5242880 bytes",
            type="invalid_request_error",
        ),
        BadRequest,
        "--resize 1024",
    ),
    (413, body("image content cannot exceed 30MB", code=413), BadRequest, "--resize 1024"),
    (400, body("Request too large (max 20MB)"), TooLong, SHORTER),
    (
        429,
        body(
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
            code=429,
            status="RESOURCE_EXHAUSTED",
        ),
        Busy,
        "Wait a minute",
    ),
    (
        402,
        body(
            "This request requires more credits, or fewer max_tokens. You requested up to 32000 "
            "tokens, but can only afford 27342. To increase, visit "
            "https://openrouter.ai/settings/credits and upgrade to a paid account",
            code=402,
            metadata={"provider_name": None},
        ),
        Refused,
        "Lower max_tokens, or add funds",
    ),
    (
        429,
        body(
            "You exceeded your current quota, please check your plan and billing details.",
            type="insufficient_quota",
            param=None,
            code="insufficient_quota",
        ),
        Refused,
        FUNDS,
    ),
    (
        400,
        body(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
            type="invalid_request_error",
        ),
        Refused,
        FUNDS,
    ),
    (402, body("Insufficient Balance", type="unknown_error", param=None), Refused, FUNDS),
    (
        402,
        json.dumps(
            {
                "detail": {
                    "error": "inference prohibited, please enter a payment method in "
                    "https://deepinfra.com/dash/settings"
                }
            }
        ).encode(),
        Refused,
        FUNDS,
    ),
    (
        400,
        body(
            "Failed to call a function. Please adjust your prompt. See 'failed_generation' for "
            "more details.",
            type="invalid_request_error",
            code="tool_use_failed",
            failed_generation='web_search{"query": "rate limit", "filter_year": 2016}</function>',
        ),
        BadRequest,
        "</function>. The model's call was malformed: run the cell again, or choose another model",
    ),
    (
        400,
        body(
            "tool call validation failed: parameters for tool HassTurnOff did not match schema: "
            "errors: [`/domain`: expected array, but got string]",
            type="invalid_request_error",
            param="",
            code="tool_use_failed",
        ),
        BadRequest,
        "The model's call was malformed",
    ),
    (
        400,
        body(
            "Unsupported value: 'temperature' does not support 0.3 with this model. Only the "
            "default (1) value is supported.",
            type="invalid_request_error",
            param="temperature",
            code="unsupported_value",
        ),
        BadRequest,
        "Leave out what it names: its flag, or %chat unset NAME.",
    ),
    (
        400,
        body(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            type="invalid_request_error",
        ),
        BadRequest,
        "--extra max_completion_tokens=N",
    ),
    (
        400,
        body('Invalid JSON payload received. Unknown name "min_p": Cannot find field.'),
        BadRequest,
        "%chat unset NAME",
    ),
    (
        405,
        body("Tool calling is not supported for model: NousResearch/Hermes-3-Llama-3.1-405B"),
        BadRequest,
        TOOLS,
    ),
    (400, body("llama3 does not support tools", type="api_error", code=None), BadRequest, TOOLS),
    (
        404,
        body(
            "No endpoints found that support tool use. To learn more about provider routing, "
            "visit: https://openrouter.ai/docs/guides/routing/provider-selection",
            code=404,
        ),
        BadRequest,
        TOOLS,
    ),
    (
        400,
        body(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
            "model. Learn more about supported models at the Structured Outputs guide: "
            "https://platform.openai.com/docs/guides/structured-outputs"
        ),
        BadRequest,
        "leave out --format json",
    ),
    (
        500,
        body("image input is not supported - hint: if this is unexpected, you may need the mmproj"),
        BadRequest,
        "cannot read images",
    ),
    (
        400,
        body(
            "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum "
            "context length is 65536 tokens and your request has 57879 input tokens (8192 > 65536 "
            "- 57879). None",
            type="BadRequestError",
            code=400,
        ),
        BadRequest,
        "Lower max_tokens",
    ),
    (
        400,
        body("`max_tokens` must be less than or equal to `16384`"),
        BadRequest,
        "Lower max_tokens",
    ),
    (
        500,
        body("Requested input length 99009 exceeds maximum input length 8192"),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "Your input exceeds the context window of this model. Please adjust your input and try "
            "again.",
            type="invalid_request_error",
            param="input",
            code="context_length_exceeded",
        ),
        TooLong,
        SHORTER,
    ),
    (
        400,
        json.dumps(
            {
                "object": "error",
                "message": "The input (61709 tokens) is longer than the model's context length "
                "(40960 tokens).",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            }
        ).encode(),
        TooLong,
        SHORTER,
    ),
    (
        400,
        json.dumps(
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "prompt is too long: 219898 tokens > 200000 maximum",
                },
            }
        ).encode(),
        TooLong,
        SHORTER,
    ),
    (
        400,
        json.dumps(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (1200293) exceeds the maximum number of "
                        "tokens allowed (1048576).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ]
        ).encode(),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "Please reduce the length of the messages or completion.",
            type="invalid_request_error",
            param="messages",
        ),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "too many tokens: total number of tokens (prompt and prediction) cannot exceed 2048 - "
            "received 6354. Try using a shorter prompt or a smaller max_tokens value."
        ),
        TooLong,
        SHORTER,
    ),
    (
        422,
        body(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
            "3997 `inputs` tokens and 100 `max_new_tokens`"
        ),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy. Please modify your prompt and retry. To learn more about our "
            "content filtering policies please read our documentation: "
            "https://go.microsoft.com/fwlink/?linkid=2198766",
            type=None,
            param="prompt",
            code="content_filter",
            status=400,
            innererror={"code": "ResponsibleAIPolicyViolation"},
        ),
        BadRequest,
        "content filter",
    ),
    (
        400,
        body(
            "API key not valid. Please pass a valid API key.",
            code=400,
            status="INVALID_ARGUMENT",
            details=[{"@type": "ErrorInfo", "reason": "API_KEY_INVALID"}],
        ),
        Refused,
        KEY,
    ),
    (403, json.dumps({"detail": {"error": "Not authenticated"}}).encode(), Refused, KEY),
    (
        400,
        body("healer-alpha is not a valid model ID", code=400),
        BadRequest,
        MODEL,
    ),
    (
        400,
        body("The model `llama3.1-405b` does not exist or you do not have access to it."),
        BadRequest,
        MODEL,
    ),
    (
        400,
        body(
            "The model `llama3-70b-8192` has been decommissioned and is no longer supported. "
            "Please refer to https://console.groq.com/docs/deprecations for a recommendation.",
            code="model_decommissioned",
        ),
        BadRequest,
        GONE,
    ),
    (
        410,
        body("Model kimi-k2.5 has been retired.", type="model_gone", replacement="kimi-k3"),
        BadRequest,
        GONE,
    ),
    (
        404,
        body("The model `gpt-4.5-preview` has been deprecated", code="model_not_found"),
        BadRequest,
        GONE,
    ),
    (
        400,
        body(
            "Unsupported value: 'stream' does not support true with this model. Supported values "
            "are: false.",
            code="unsupported_value",
        ),
        BadRequest,
        "--no-stream",
    ),
    (
        400,
        body(
            "Your organization must be verified to stream this model. Please go to: "
            "https://platform.openai.com/settings/organization/general",
            code="unsupported_value",
        ),
        BadRequest,
        "--no-stream",
    ),
    (400, body("Streaming is not supported for this model"), BadRequest, "--no-stream"),
    (500, body("Failed to initialize samplers: failed to parse grammar"), BadRequest, "--schema"),
    (400, body("failed to parse grammar"), BadRequest, "--schema"),
    (400, body("JSON schema conversion failed:\nUnresolved ref"), BadRequest, "--schema"),
    (403, body("rate limit exceeded"), Busy, "Try again"),
    (404, body("No such model here"), BadRequest, MODEL),
    (405, b"", BadRequest, "%chat endpoint"),
    (413, b"<html>413 Request Entity Too Large</html>", TooLong, SHORTER),
    (402, b"", Refused, FUNDS),
    (401, b"", Refused, KEY),
    (503, b"upstream connect error", Busy, "Try again"),
    (307, b"", BadRequest, "%chat endpoint"),
    (0, body("fell over"), EndpointError, "Run the cell again"),
    (418, b"", BadRequest, "show --request"),
    (
        400,
        body(
            "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 "
            "maximum context length"
        ),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body("The prompt is too long: 218849, model maximum context length: 204799"),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "This model's maximum prompt length is 131072 but the request contains 136973 tokens."
        ),
        TooLong,
        SHORTER,
    ),
    (400, body("Input is too long for requested model."), TooLong, SHORTER),
    (
        400,
        body("prompt token count of 93854 exceeds the limit of 90000", code=""),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body("Your request exceeded model token limit: 262144 (requested: 291351)"),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body(
            "The number of tokens to keep from the initial prompt is greater than the context "
            "length (n_keep: 13055>= n_ctx: 4096)."
        ),
        TooLong,
        SHORTER,
    ),
    (
        413,
        body(
            "Request too large for model llama-3.1-8b-instant in organization org_xxxxxxx service "
            "tier on_demand on tokens per minute (TPM): Limit 6000, Requested 12328, please reduce "
            "your message size and try again.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body("The decoder prompt (length 10127) is longer than the maximum model length of 8192."),
        TooLong,
        SHORTER,
    ),
    (
        400,
        body("Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
        TooLong,
        SHORTER,
    ),
    (400, body("model max length exceeded, max length:8192"), TooLong, SHORTER),
    (
        400,
        b'{"code": "invalid-argument", "error": "Incorrect API key provided: na***ys. You can '
        b'obtain an API key from https://console.x.ai."}',
        Refused,
        KEY,
    ),
    (
        401,
        body(
            "login fail: Please carry the API secret key in the 'Authorization' field of the "
            "request header (1004)",
            type="authorized_error",
        ),
        Refused,
        KEY,
    ),
    (
        404,
        body("No endpoints found that support the provided 'tool_choice' value.", code=404),
        BadRequest,
        TOOLS,
    ),
    (
        404,
        body('model "x" not found, try pulling it first', type="not_found_error"),
        BadRequest,
        MODEL,
    ),
    (429, body("Model busy, retry later", code="engine_overloaded"), Busy, "Try again"),
    (404, body("No endpoints found that support image input", code="404"), BadRequest, "images"),
    (
        400,
        body(
            "Failed to deserialize the JSON body into the target type: messages[1]: unknown "
            "variant `image_url`, expected `text` at line 1 column 679289"
        ),
        BadRequest,
        "images",
    ),
    (
        429,
        body(
            "Request too large for gpt-4.1-2025-04-14 (for limit gpt-4.1) in organization org-x on "
            "tokens per min (TPM): Limit 30000, Requested 37313. The input or output tokens must "
            "be reduced in order to run successfully.",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        TooLong,
        SHORTER,
    ),
    (400, b'{"object": "error", "message": "System role not supported"}', BadRequest, SYSTEM),
    (
        400,
        body("Developer instruction is not enabled for models/gemma-3-27b-it"),
        BadRequest,
        SYSTEM,
    ),
    (
        400,
        body("Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        BadRequest,
        SYSTEM,
    ),
    (
        500,
        body("Only user, assistant and tool roles are supported, got system.", code=500),
        BadRequest,
        SYSTEM,
    ),
    (
        500,
        body(
            "After the optional system message, conversation roles must alternate user and "
            "assistant roles except for tool calls and results. at row 189, column 164",
            code=500,
        ),
        BadRequest,
        SYSTEM,
    ),
    (
        500,
        body("model requires more system memory (19.3 GiB) than is available (14.8 GiB)"),
        BadRequest,
        "a smaller one",
    ),
    (
        500,
        body(
            "model failed to load, this may be due to resource limitations or an internal error, "
            "check ollama server logs for details"
        ),
        BadRequest,
        "a smaller one",
    ),
    (
        400,
        body("Model loading was stopped due to insufficient system resources."),
        BadRequest,
        "a smaller one",
    ),
    (503, b"The model x was not found on this node", Busy, "Try again"),
    (
        429,
        body(
            "Provider returned error",
            code=429,
            metadata={
                "raw": "deepseek/deepseek-v4-pro is temporarily rate-limited upstream.",
                "provider_name": "DeepInfra",
            },
        ),
        Busy,
        "(DeepInfra): deepseek/deepseek-v4-pro is",
    ),
    (
        404,
        b'{"success": false, "errors": [{"code": 7003, "message": "Could not route to x"}, '
        b'{"code": 7000, "message": "No route for that URI"}], "messages": [], "result": null}',
        BadRequest,
        "Could not route to x; No route for that URI",
    ),
    (
        400,
        body(
            "The maximum tokens you requested exceeds the model limit of 2048. Try again with a "
            "maximum tokens value that is lower than 2048."
        ),
        BadRequest,
        "Lower max_tokens",
    ),
    (404, b'{"detail": "Not Found"}', BadRequest, "%chat models"),
]


@pytest.mark.parametrize(("status", "answer", "kind", "step"), REAL)
def test_a_real_refusal_names_the_real_next_step(
    status: int, answer: bytes, kind: type[EndpointError], step: str
) -> None:
    """As an answer of its own, and inside a stream; what will not pass is not tried again."""
    target = Target("m", "here")
    if status:
        error = server_errors.http_error(status, answer, target)
        assert type(error) is kind
        assert error.status == status
        assert step in str(error)
        assert (retry_delay(1, error, 0.0) is None) is (kind is not Busy)
    try:
        payload = json.loads(answer)
    except ValueError:
        return
    payload = payload[0] if isinstance(payload, list) else payload
    inner = payload.get("error")
    if isinstance(inner, dict):
        inner = {"code": status, **inner} if isinstance(inner.get("code"), str | None) else inner
        in_stream = server_errors.stream_error({"error": inner}, target)
        assert isinstance(in_stream, kind)
        assert step in str(in_stream)


def test_each_row_of_the_table_is_reached_by_a_real_body() -> None:
    """So none is hidden by one before it; and each says where it was seen."""
    reached = set()
    for status, answer, _, _ in REAL:
        try:
            payload = json.loads(answer)
        except ValueError:
            payload = None
        reached.add(ERROR_RULES.index(server_errors.find_rule(status, payload)))
    assert reached == set(range(len(ERROR_RULES)))
    assert all(row.source for row in ERROR_RULES)


@pytest.mark.parametrize("status", [302, 303])
def test_a_redirect_to_a_page_is_no_move(status: int) -> None:
    """A login page is not to be set as an endpoint (hermex 220)."""
    page = "https://sso.example/login"
    error = str(server_errors.http_error(status, b"", Target("m", "here"), location=page))
    assert f"It leads to {page}, perhaps to log in. Check the endpoint's address" in error
    assert "moved" not in error


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://new.example/v1/chat/completions", "It has moved to https://new.example/v1:"),
        ("/v2/chat/completions", "/v2"),
        (None, "%chat endpoint"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_where_to(status: int, location: str | None, said: str) -> None:
    """It is not followed: the key would go along."""
    error = server_errors.http_error(status, b"", Target("m", "here"), location=location)
    assert said in str(error)


@pytest.mark.parametrize(
    ("service", "status", "said"),
    [
        (
            SERVICES["deepinfra"],
            401,
            "%chat key deepinfra, or in the environment as DEEPINFRA_TOKEN",
        ),
        (
            SERVICES["groq"],
            401,
            "of Groq with %chat key groq, or in the environment as GROQ_API_KEY",
        ),
        (UNKNOWN_SERVICE, 401, "DI_MAGICS_API_KEY"),
        (SERVICES["deepinfra"], 402, "deepinfra.com/dash/billing"),
        (SERVICES["groq"], 402, "your account at Groq"),
        (UNKNOWN_SERVICE, 402, "your account at the endpoint"),
    ],
)
def test_the_key_and_the_account_are_those_of_the_endpoint(
    service: Service, status: int, said: str
) -> None:
    """Also for an error inside a stream; none but DeepInfra's names DeepInfra."""
    target = Target("m", "here", service)
    for error in (
        server_errors.http_error(status, b"", target),
        server_errors.stream_error({"error": {"code": status}}, target),
    ):
        assert said in str(error)
        assert (service.name == "deepinfra") == ("deepinfra" in str(error).lower())


@pytest.mark.parametrize("code", [429, "429"])
def test_a_code_may_be_a_number_or_a_text(code: object) -> None:
    """It means the same."""
    error = server_errors.stream_error({"error": {"code": code, "message": "slow"}})
    assert (type(error), error.status) == (Busy, 429)


@pytest.mark.parametrize("piece", ["model ", "{", "1,", "response_format "])
def test_a_refusal_of_any_size_is_read_in_linear_time(piece: str) -> None:
    """A server may send a megabyte of anything."""

    def read(content: bytes) -> None:
        assert str(server_errors.http_error(400, content))

    assert growth(read, 100_000, lambda n: body(piece * n)) <= 3
    assert growth(read, 100_000, lambda n: piece.encode() * n) <= 3
