"""The one table of what a server's error means, and what to do next.

The text decides first and the status last; the first row that matches wins (server_errors.py finds
it). A row names the server on which it was seen; tests/core/request/test_server_errors.py has a
real body for every row.
"""

from __future__ import annotations

from dataclasses import dataclass

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong


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
_NO_TOOLS = "This model or server cannot call tools: leave out --tools, or choose another with -m."
_NO_JSON = "This model or server cannot guarantee JSON: leave out --format json and --schema."
NO_IMAGES = "This model cannot read images: choose one that can with -m."
_NO_SYSTEM = (
    "This model may not support system prompts: leave out -s, or type %chat unset system, and "
    "write its text into the prompt."
)
_SHRINK = "Make the image smaller with --resize 1024, or leave out its turn with --last N."
_LOWER_MAX = "Lower max_tokens: %chat set max_tokens=N."
_NAME_MODEL = "Check the model's name ({model}) with %chat models."
CHECK_ADDRESS = (
    "Check the endpoint's address with %chat endpoint (most end in /v1), and the model's name with "
    "%chat models."
)
_GITHUB = "https://github.com/"
_ABOUT_REQUEST = frozenset({0, 400, 401, 403, 404, 422})
"""With another status the same text may be about the server itself, not about the request."""
_PI = "https://github.com/badlogic/pi-mono packages/ai/src/utils/overflow.ts, 2026"

ERROR_RULES = (
    # First, because the body quotes the model, whose text could match any other row.
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
        r"failed to (parse grammar|initialize samplers)|json schema conversion failed",
        BadRequest,
        "The server cannot enforce this form: leave out --schema, or choose simpler types.",
        _GITHUB
        + "ggml-org/llama.cpp/issues/19051 2026-01, 23775 2026-05 (llama.cpp, a 400 or 500)",
    ),
    ErrorRule(
        r"image input is not supported|is not a multimodal model|at most 0 image",
        BadRequest,
        NO_IMAGES,
        "llama.cpp tools/server, vLLM vllm/entrypoints, 2025",
    ),
    ErrorRule(
        r"support image input|unknown variant `?image_url",
        BadRequest,
        NO_IMAGES,
        _GITHUB + "NousResearch/hermes-agent/pull/23411 2026-05 (OpenRouter, a 404), "
        "rikkahub/rikkahub/issues/1433 2026-07 (DeepSeek)",
    ),
    ErrorRule(
        r"(system|developer) (role|instruction).{0,30}not (supported|enabled)"
        r"|does not support 'system'|roles are supported, got system|roles must alternate",
        BadRequest,
        _NO_SYSTEM,
        _GITHUB + "huggingface/chat-ui/issues/1386 2024-08 (vLLM), 0xPlaygrounds/rig/issues/788 "
        "2025-09 (Gemini), anomalyco/opencode/issues/5034 2025-12 (llama.cpp, a 500)",
    ),
    ErrorRule(
        r"requires more system memory|insufficient system resources|due to resource limitations",
        BadRequest,
        "The server has too little memory for this model: choose a smaller one with -m.",
        _GITHUB + "continuedev/continue/issues/9160 2025-12 (Ollama, a 500), "
        "lmstudio-ai/lmstudio-bug-tracker/issues/1202 2025-11 (LM Studio)",
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
        r"decommissioned|model_gone|model .{0,200}(has been|was|is) (retired|deprecated)",
        BadRequest,
        "The server has given up this model: choose another with %chat models.",
        _GITHUB + "ItzCrazyKns/Vane/issues/771 2025-05 (Groq, a 400), "
        "getkimchi/kimchi/pull/1176 2026-09 (a 410)",
        _ABOUT_REQUEST | {410},
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
        r"'stream' does not support|verified to stream"
        r"|\bstream(ing)?\b['\"`]?.{0,30} not (supported|available|allowed)",
        BadRequest,
        "Ask without streaming: --no-stream.",
        _GITHUB + "ChatGPTNextWeb/NextChat/issues/5410 2024-09, just-every/code/issues/331 2025-10 "
        "(OpenAI)",
        _ABOUT_REQUEST,
    ),
    ErrorRule(
        r"unsupported (value|parameter)|unrecognized request argument|unknown (parameter|name)",
        BadRequest,
        "Leave out what it names: its flag, or %chat unset NAME.",
        _GITHUB + "repowise-dev/repowise/issues/987 2026-07 (OpenAI); OpenAI, text of 2024; "
        "MinLL/SkyrimNet-GamePlugin/issues/77 2025-08 (Gemini)",
        _ABOUT_REQUEST,
    ),
    # The status decides if no text above matches: RFC 9110.
    ErrorRule(r"model", BadRequest, _NAME_MODEL, "RFC 9110", frozenset({404})),
    ErrorRule("", BadRequest, CHECK_ADDRESS, "RFC 9110", frozenset({404, 405})),
    ErrorRule("", TooLong, SHORTEN, "RFC 9110", frozenset({413})),
    ErrorRule("", Refused, _ADD_FUNDS, "RFC 9110", frozenset({402})),
    ErrorRule("", Refused, _SET_KEY, "RFC 9110", frozenset({401, 403})),
    ErrorRule("", Busy, _WAIT, "RFC 9110", frozenset({408, 409, 429, *range(500, 600)})),
    ErrorRule("", BadRequest, "{moved}", "RFC 9110", frozenset(range(300, 400))),
    ErrorRule("", StreamBroken, "Run the cell again.", "ours", frozenset({0})),
    ErrorRule("", BadRequest, "%chat show --request prints what was sent.", "RFC 9110"),
)
