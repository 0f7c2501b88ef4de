"""What a server's error means, and what to do next.

Servers refuse the same thing with different statuses: too long a prompt is a 400, a 413 or a 500,
an empty account a 400, a 402 or a 429. So the text decides first and the status last. ERROR_RULES
is the one table; the first row that matches wins. A row names the server on which it was seen;
tests/core/request/test_server_errors.py has a real body for every row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong
from di_magics.core.read_json import as_object
from di_magics.core.request.readers import load_json, read_count
from di_magics.core.request.retry import parse_wait
from di_magics.core.request.route import CHAT_PATH
from di_magics.core.settings.services import DEEPINFRA, UNKNOWN_SERVICE, Service
from di_magics.core.text import count_noun, replace_surrogates
from di_magics.core.visible import one_line


@dataclass(frozen=True, slots=True)
class Target:
    """Which model of which endpoint was asked; `service` says whose key and account it is."""

    model: str = ""
    endpoint: str = "The server"
    service: Service = UNKNOWN_SERVICE

    @property
    def key(self) -> str:
        """How the key is set."""
        service = self.service
        whose = f"of {service.title} " if service.title else ""
        variable = next(iter(service.key_variables), "")
        if not variable:
            variable = "DI_MAGICS_API_KEY, with the address in DI_MAGICS_BASE_URL"
        command = f"%chat key {service.name}".strip()
        return f"{whose}with {command}, or in the environment as {variable}"

    @property
    def billing(self) -> str:
        """Where funds are added."""
        if self.service.name == DEEPINFRA:
            return "at https://deepinfra.com/dash/billing"
        return f"to your account at {self.service.title or 'the endpoint'}"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """What an error of a server means: the error class and the next step.

    `pattern` is searched in the server's text and error codes, in lower case; `statuses` are the
    HTTP statuses it holds for, all where empty. 0 is an error inside a stream without a status.
    """

    pattern: str
    error: type[EndpointError]
    step: str
    source: str
    statuses: frozenset[int] = frozenset()


SHORTEN = (
    "The conversation is too long for the model: use %chat undo, %chat new, or a shorter prompt."
)
_ADD_FUNDS = "Add funds {billing}."
_SET_KEY = "Set the key {key}."
_WAIT = "Try again {wait}."
MAX_WAIT_SECONDS = 1e6
"""A server's longer wait, or an endless one, is shown as this."""
_NO_TOOLS = "This model or server cannot call tools: leave out --tools, or choose another with -m."
_NO_JSON = "This model or server cannot guarantee JSON: leave out --format json and --schema."
_NO_IMAGES = "This model cannot read images: choose one that can with -m."
_SHRINK = "Make the image smaller with --resize 1024, or leave out its turn with --last N."
_LOWER_MAX = "Lower max_tokens: %chat set max_tokens=N."
_NAME_MODEL = "Check the model's name ({model}) with %chat models."
_ADDRESS = (
    "Check the endpoint's address with %chat endpoint (most end in /v1), and the model's name with "
    "%chat models."
)
_GITHUB = "https://github.com/"
_ABOUT_REQUEST = frozenset({0, 400, 401, 403, 404, 422})
"""With another status the same text may be about the server itself, not about the request."""
_PI = "https://github.com/badlogic/pi-mono packages/ai/src/utils/overflow.ts, 2026"

ERROR_RULES = (
    # It has text of the model in it, which may contain anything: first of all.
    ErrorRule(
        r"tool_use_failed|failed to call a function",
        BadRequest,
        "The model's call was malformed: run the cell again, or choose another model with -m.",
        _GITHUB + "huggingface/smolagents/issues/1119 2025-04 (Groq), "
        "HunorLaczko/ha-groq-cloud-api/issues/20 2026-02 (Groq)",
    ),
    # A quota per minute or day, which some servers report like an empty account.
    ErrorRule(
        r"resource_exhausted|please retry in [\d.]+ ?m?s",
        Busy,
        "Wait a minute, or raise the account's quota.",
        _GITHUB + "google-gemini/gemini-cli/issues/8437 2025-09 (Gemini)",
        frozenset({0, 429}),
    ),
    ErrorRule(
        r"fewer max_tokens",
        Refused,
        "Lower max_tokens, or add funds {billing}.",
        _GITHUB + "Gitlawb/openclaude/issues/1125 2026-05 (OpenRouter)",
    ),
    ErrorRule(
        r"insufficient_quota|exceeded your current quota",
        Refused,
        _ADD_FUNDS,
        _GITHUB + "ChatGPTNextWeb/NextChat/issues/3123 2023-11 (OpenAI)",
    ),
    ErrorRule(
        r"insufficient.balance|credit balance is too low|insufficient.credits",
        Refused,
        _ADD_FUNDS,
        _GITHUB + "anthropics/claude-code/issues/66314 2026-06 (Anthropic), "
        "Aider-AI/aider/issues/4851 2026-02 (DeepSeek)",
    ),
    ErrorRule(
        r"inference prohibited|enter a payment method",
        Refused,
        _ADD_FUNDS,
        "DeepInfra, body of 2024; https://docs.deepinfra.com",
    ),
    ErrorRule(
        r"tool calling is not supported|function calling is not supported",
        BadRequest,
        _NO_TOOLS,
        _GITHUB + "truefoundry/models/pull/944 2026-05 (DeepInfra, a 405)",
    ),
    ErrorRule(
        r"does not support tools|enable-auto-tool-choice",
        BadRequest,
        _NO_TOOLS,
        _GITHUB + "ollama/ollama/issues/5793 2024-07 (Ollama); vLLM",
    ),
    ErrorRule(
        r"support tool use|support the provided 'tool_choice'",
        BadRequest,
        _NO_TOOLS,
        _GITHUB + "bobrware/bobrchat/issues/60 2026-02 (OpenRouter, a 404)",
    ),
    ErrorRule(
        r"(response_format|json_object|json_schema|json mode).{0,80}not supported",
        BadRequest,
        _NO_JSON,
        _GITHUB + "web-infra-dev/midscene/issues/259 2025-01 (OpenAI); DeepInfra as a 405",
    ),
    ErrorRule(
        r"image input is not supported|is not a multimodal model|at most 0 image",
        BadRequest,
        _NO_IMAGES,
        "llama.cpp tools/server, vLLM vllm/entrypoints, 2025",
    ),
    ErrorRule(
        r"support image input|unknown variant `?image_url",
        BadRequest,
        _NO_IMAGES,
        _GITHUB + "NousResearch/hermes-agent/pull/23411 2026-05 (OpenRouter, a 404), "
        "rikkahub/rikkahub/issues/1433 2026-07 (DeepSeek)",
    ),
    ErrorRule(
        r"max_(completion_)?tokens'?.{0,40} is too large",
        BadRequest,
        _LOWER_MAX,
        _GITHUB + "HasanAldhahi/cross-precision-llm-deployment-biomni 2025 (vLLM)",
    ),
    ErrorRule(
        r"max_(completion_)?tokens`? must be less than|maximum tokens you requested exceeds",
        BadRequest,
        _LOWER_MAX,
        _GITHUB + "anomalyco/opencode/issues/1000 2025-07 (Groq), "
        "aws-samples/bedrock-access-gateway/issues/41 2024-08 (Bedrock)",
    ),
    ErrorRule(
        r"maximum input length|maximum allowed length",
        TooLong,
        SHORTEN,
        _GITHUB + "langchain-ai/langchain/pull/25671 2024-08 (DeepInfra, a 500), "
        "sgl-project/sglang/issues/4048 2025-06 (SGLang)",
    ),
    ErrorRule(
        r"context_length_exceeded|exceeds the context window|maximum context length",
        TooLong,
        SHORTEN,
        _GITHUB + "anomalyco/opencode/issues/6071 2025-12 (OpenAI), "
        "refly-ai/refly/issues/1177 2025-07 (OpenRouter); Mistral, Fireworks",
    ),
    ErrorRule(
        r"(context|prompt) (size|length|window|limit)|context_window|decoder prompt \(length",
        TooLong,
        SHORTEN,
        "https://github.com/ggml-org/llama.cpp tools/server 2025, " + _GITHUB + "QwenLM/Qwen3/"
        "issues/1321 2025-04 (SGLang), cline/cline/issues/3120 2025-04 (xAI)",
    ),
    ErrorRule(
        r"(prompt|input) (is )?too long|input length.{0,40}exceeds?",
        TooLong,
        SHORTEN,
        _GITHUB + "earendil-works/pi/issues/102 2025-12 (Anthropic), "
        "aws-samples/bedrock-chat/issues/95 2023-12 (Bedrock)",
    ),
    ErrorRule(
        r"maximum number of tokens allowed",
        TooLong,
        SHORTEN,
        _GITHUB + "google-gemini/gemini-cli/issues/6678 2025-08 (Gemini)",
    ),
    ErrorRule(
        r"reduce the length of|request too large for",
        TooLong,
        SHORTEN,
        _GITHUB + "OpenHands/OpenHands/issues/1902 2024-05 (Groq), "
        "HunorLaczko/ha-groq-cloud-api/issues/27 2026-05 (Groq, a 413), "
        "continuedev/continue/issues/10602 2026-02 (OpenAI, a 429)",
    ),
    ErrorRule(
        r"too many tokens|model token limit|max length exceeded|exceeds max length",
        TooLong,
        SHORTEN,
        _GITHUB + "cohere-ai/sandbox-topically/issues/4 2022-11 (Cohere), MoonshotAI/"
        "MoonshotAI-Cookbook/issues/18 2024-04 (Moonshot); " + _PI,
    ),
    ErrorRule(
        r"`inputs` (tokens|must have)|token count of \d+ exceeds the limit",
        TooLong,
        SHORTEN,
        _GITHUB + "stanford-crfm/helm/issues/2080 2023-12 (Together), "
        "jjleng/copilot-more/issues/35 2025-03 (Copilot)",
    ),
    ErrorRule(
        r"image.{0,40} (exceed|too large)",
        BadRequest,
        _SHRINK,
        _GITHUB + "anthropics/claude-code/issues/43056 2026-04, "
        "boldsoftware/shelley/pull/213 2026-05 (Anthropic)",
    ),
    ErrorRule(
        r"request (entity |body |payload )?(is )?too large|payload too large",
        TooLong,
        SHORTEN,
        _GITHUB + "anthropics/claude-code/issues/43056 2026-04 (Anthropic)",
    ),
    ErrorRule(
        r"content_filter|content management policy|responsibleaipolicyviolation",
        BadRequest,
        "The server's content filter blocked it: rephrase the prompt.",
        _GITHUB + "vibrantlabsai/ragas/issues/649 2024-02 (Azure)",
    ),
    ErrorRule(
        r"api[ _]key[ _](not valid|invalid)|(incorrect|invalid)[ _]api[ _](key|token)",
        Refused,
        _SET_KEY,
        _GITHUB + "cequence-io/openai-scala-client/issues/109 2026-03 (Gemini, a 400), "
        "continuedev/continue/issues/10778 2026-02 (xAI, a 400)",
        _ABOUT_REQUEST,
    ),
    ErrorRule(
        r"not authenticated|login fail|authentication (fails|error)|no auth credentials",
        Refused,
        _SET_KEY,
        _GITHUB + "xtekky/gpt4free/issues/3446 2026-05 (DeepInfra), "
        "nearai/ironclaw/issues/1742 2026-03 (MiniMax)",
    ),
    ErrorRule(
        r"not a valid model id|model_not_found|model not (found|exist)|invalid model",
        BadRequest,
        _NAME_MODEL,
        _GITHUB + "RightNow-AI/openfang/issues/697 2026-03 (OpenRouter, a 400); DeepInfra",
        _ABOUT_REQUEST,
    ),
    ErrorRule(
        r"model .{0,200}(does not exist|not found)",
        BadRequest,
        _NAME_MODEL,
        _GITHUB + "continuedev/continue/issues/10832 2026-02 (Groq); Ollama, vLLM",
        _ABOUT_REQUEST,
    ),
    ErrorRule(
        r"rate.?limit|overloaded|model busy|too many requests",
        Busy,
        _WAIT,
        "https://docs.deepinfra.com/chat/overview 2026-07 (DeepInfra)",
        frozenset({0, 403}),
    ),
    ErrorRule(
        r"use 'max_completion_tokens' instead",
        BadRequest,
        "%chat unset max_tokens, and send it as --extra max_completion_tokens=N.",
        _GITHUB + "decolua/9router/issues/560 2026-04 (OpenAI)",
        _ABOUT_REQUEST,
    ),
    ErrorRule(
        r"unsupported (value|parameter)|unrecognized request argument|unknown parameter",
        BadRequest,
        "Leave out what it names: its flag, or %chat unset NAME.",
        _GITHUB + "repowise-dev/repowise/issues/987 2026-07 (OpenAI); OpenAI, text of 2024",
        _ABOUT_REQUEST,
    ),
    # The status decides if no text above matches: RFC 9110.
    ErrorRule(r"model", BadRequest, _NAME_MODEL, "RFC 9110", frozenset({404})),
    ErrorRule("", BadRequest, _ADDRESS, "RFC 9110", frozenset({404, 405})),
    ErrorRule("", TooLong, SHORTEN, "RFC 9110", frozenset({413})),
    ErrorRule("", Refused, _ADD_FUNDS, "RFC 9110", frozenset({402})),
    ErrorRule("", Refused, _SET_KEY, "RFC 9110", frozenset({401, 403})),
    ErrorRule("", Busy, _WAIT, "RFC 9110", frozenset({408, 409, 429, *range(500, 600)})),
    ErrorRule("", BadRequest, "{moved}", "RFC 9110", frozenset(range(300, 400))),
    ErrorRule("", StreamBroken, "Run the cell again.", "ours", frozenset({0})),
    ErrorRule("", BadRequest, "%chat show --request prints what was sent.", "RFC 9110"),
)


# The server's text --------------------------------------------------------------------------------

_TEXT_FIELDS = ("error", "detail", "message", "errors", "msg", "base_resp", "status_msg")
_CODE_FIELDS = ("code", "type", "status", "reason", "provider_error_code")
_MAX_DEPTH = 8
_MAX_NESTED_CHARS = 20_000


def error_text(payload: object, depth: int = _MAX_DEPTH) -> str | None:
    """Return the server's own text in an error body, whichever of its shapes it has."""
    if depth == 0:
        return None
    match payload:
        case str() if payload.strip():
            return _nested_text(payload, depth) or one_line(replace_surrogates(payload))
        case {"msg": str() as message, "loc": [*loc]}:  # FastAPI names the field it refuses
            place = ".".join(str(part) for part in loc if part != "body")
            return one_line(replace_surrogates(f"{place}: {message}" if place else message))
        case {**fields}:
            texts = (error_text(fields.get(name), depth - 1) for name in _TEXT_FIELDS)
            text = next(filter(None, texts), None)
            upstream = as_object(fields.get("metadata"))  # OpenRouter relays another's refusal
            raw = error_text(upstream.get("raw"), depth - 1)
            name = error_text(upstream.get("provider_name"), 1)
            if text and raw and raw not in text:
                text = one_line(f"{text}{f' ({name})' if name else ''}: {raw}")
            wrote = fields.get("failed_generation")  # Groq: a malformed call, as the model wrote it
            if text and isinstance(wrote, str) and wrote.strip():
                text = one_line(f"{text} {replace_surrogates(wrote)}", 600)
            return text
        case [*items]:
            texts = (error_text(item, depth - 1) for item in items[:3])
            return one_line("; ".join(filter(None, texts))) or None
        case _:
            return None


def _nested_text(text: str, depth: int) -> str | None:
    """Return the text of an error that is JSON within a text."""
    if len(text) > _MAX_NESTED_CHARS or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return error_text(load_json(text), depth - 1)
    except ValueError:
        return None


def _codes(payload: object) -> Iterator[str]:
    """Yield the error codes of a body that are texts."""
    outer = as_object(payload[0] if isinstance(payload, list) and payload else payload)
    inner = as_object(outer.get("error"))
    details = inner.get("details")
    for fields in (
        outer,
        inner,
        as_object(inner.get("metadata")),
        as_object(inner.get("innererror")),
        *(map(as_object, details[:3]) if isinstance(details, list) else ()),
    ):
        yield from (value for name in _CODE_FIELDS if isinstance(value := fields.get(name), str))


_SUCCESS = frozenset({"none", "", "0", "200", "ok", "success"})


def find_error(payload: object) -> Mapping[str, Any] | None:
    """Return the part of a payload that reports an error, None if there is none.

    Servers say so in a field, in the first choice, or with an error code in place of choices.
    """
    if not isinstance(payload, dict):
        return None
    choices = payload.get("choices")
    first = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    if payload.get("error"):
        return payload
    if first.get("error"):
        return {"error": first["error"]}
    if as_object(payload.get("base_resp")).get("status_code"):  # MiniMax
        return payload
    code = payload.get("code")
    failed = (
        payload.get("detail")
        or payload.get("object") == "error"
        or payload.get("errors")
        or payload.get("success") is False
        or (str(code).lower() not in _SUCCESS and ("msg" in payload or "message" in payload))
    )
    return payload if failed and not choices else None


def mentions_param(text: str, param: str) -> bool:
    """Return whether a server's text is about this parameter, and not only contains its name."""
    pattern = rf"['\"`]{param}['\"`]|\b{param}:|\bparameter {param}\b"
    return bool(re.search(pattern, text)) or ("_" in param and param in text)


# The errors ---------------------------------------------------------------------------------------


def http_error(
    status: int,
    answer: bytes,
    target: Target | None = None,
    *,
    headers: Mapping[str, object] | None = None,
    now: float = 0.0,
    request_id: str | None = None,
    location: str | None = None,
) -> EndpointError:
    """Return the error for a response that is not 200: the server's text and the next step.

    `headers` and the local time `now` say when to try again, `location` is where a redirect points
    to.
    """
    try:
        payload: object = load_json(answer)
    except ValueError:
        text = answer.decode("utf-8", "replace").strip()
        payload = None if text.startswith("<") else text
    # OpenRouter relays the headers of the server behind it.
    upstream = as_object(as_object(as_object(payload).get("error")).get("metadata"))
    retry_after = parse_wait({**as_object(upstream.get("headers")), **(headers or {})}, now)
    error = _error(status, payload, target or Target(), location, retry_after)
    error.request_id, error.retry_after = request_id, retry_after
    return error


def stream_error(payload: Mapping[str, Any], target: Target | None = None) -> EndpointError:
    """Return the error that a payload inside a stream reports."""
    inner = payload.get("error")
    code = (inner if isinstance(inner, dict) else payload).get("code")
    number = int(code) if isinstance(code, str) and re.fullmatch("[45][0-9]{2}", code) else code
    status = number if isinstance(number, int) and 400 <= number < 600 else 0
    return _error(status, payload, target or Target())


def find_rule(status: int, payload: object) -> ErrorRule:
    """Return the row of ERROR_RULES that an error body with this status is about."""
    text = (error_text(payload) or "").rstrip(".")
    signs = " ".join([text, *_codes(payload)]).lower()[:2000]
    return next(
        row
        for row in ERROR_RULES
        if (not row.statuses or status in row.statuses) and re.search(row.pattern, signs)
    )


def _error(
    status: int,
    payload: object,
    target: Target,
    location: str | None = None,
    retry_after: float | None = None,
) -> EndpointError:
    text = (error_text(payload) or "").rstrip(".")
    rule = find_rule(status, payload)
    if status:
        answered = f"{target.endpoint} answered {status}{f': {text}' if text else ''}."
    else:
        answered = f"{target.endpoint} reported an error: {text or 'no reason given'}."
    moved = one_line(location or "", 200).removesuffix(CHAT_PATH)
    minutes = int(min(retry_after or 0.0, MAX_WAIT_SECONDS) // 60)
    step = rule.step.format(
        wait=f"in {count_noun(minutes + 1, 'minute')}" if minutes else "in a moment",
        model=target.model,
        billing=target.billing,
        key=target.key,
        moved=f"It has moved to {moved}: if you trust that address, set it with %chat endpoint URL."
        if moved
        else _ADDRESS,
    )
    error = rule.error(f"{answered} {step}", status=status or None)
    if isinstance(error, TooLong):
        error.server_text = answered
        error.asked, error.limit = _parse_lengths(text, payload)
    return error


# A number that stands alone: not a part of a model's name or an id.
_COUNT = r"(?<![\w.-])(\d{1,9}(?:,\d{3})*)(?![\w-])"
_LIMITS = (
    re.compile(rf"{_COUNT}(?: tokens)? max", re.IGNORECASE),
    re.compile(
        r"(?:maximum|limit|context (?:size|length|window)|cannot exceed|n_ctx|must be <=|less than)"
        rf"[^\d]{{0,40}}?{_COUNT}",
        re.IGNORECASE,
    ),
)


def _parse_lengths(text: str, payload: object) -> tuple[int | None, int | None]:
    """Return how long the input was and may be: llama.cpp's fields, else numbers of the text."""
    fields = as_object(as_object(payload).get("error"))
    asked, limit = read_count(fields.get("n_prompt_tokens")), read_count(fields.get("n_ctx"))
    if not asked or not limit:
        match = next(filter(None, (pattern.search(text) for pattern in _LIMITS)), None)
        limit = int(match[1].replace(",", "")) if match else None
        asked = max((int(count.replace(",", "")) for count in re.findall(_COUNT, text)), default=0)
    return (asked, limit) if limit and asked and asked > limit else (None, None)
