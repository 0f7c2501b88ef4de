"""What a list of models says of a model besides its price: its abilities, context window and date.

Every service has fields of its own for this. What a list does not say is not known, never "no".
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping

from di_magics.core.read_json import as_count, as_list, as_number, as_object

TOOLS, IMAGES, REASONING, LOGPROBS = ABILITIES = ("tools", "images", "reasoning", "logprobs")

_NAMES = {
    "tools": TOOLS,
    "function_calling": TOOLS,
    "supports_tools": TOOLS,
    "image": IMAGES,
    "vision": IMAGES,
    "vlm": IMAGES,
    "multimodal": IMAGES,
    "supports_image_input": IMAGES,
    "reasoning": REASONING,
    "reasoning_effort": REASONING,
    "include_reasoning": REASONING,
    "logprobs": LOGPROBS,
    "top_logprobs": LOGPROBS,
}
"""What services call an ability: DeepInfra a tag, OpenRouter a parameter or a modality, llama.cpp
and Mistral a capability, Fireworks a field."""
_CONTEXTS = ("context_length", "max_context_length", "context_window", "max_model_len")
"""What services call the context window: OpenRouter and Together, Mistral, Groq, vLLM."""
_CHATS = ("completion_chat", "supports_chat")
_NO_CHAT = ("embedding", "image", "moderation", "rerank", "audio", "transcribe", "video")
_FIRST_DAY = 1420070400
"""2015-01-01 in POSIX seconds: an earlier date is a placeholder, such as DeepInfra's 0."""


def read_abilities(entry: Mapping[str, object]) -> tuple[str, ...]:
    """Return what a model can do, as far as its entry in a list says, in the order of ABILITIES."""
    names: set[object] = {name for name, value in entry.items() if value is True}
    for field in ("tags", "supported_parameters", "capabilities"):
        names.update(name for name in as_list(entry.get(field)) if isinstance(name, str))
    modalities = as_list(as_object(entry.get("architecture")).get("input_modalities"))
    names.update(name for name in modalities if isinstance(name, str))
    names.update(n for n, value in as_object(entry.get("capabilities")).items() if value is True)
    known = {_NAMES[name] for name in names if isinstance(name, str) and name in _NAMES}
    return tuple(ability for ability in ABILITIES if ability in known)


def read_context(entry: Mapping[str, object]) -> int | None:
    """Return a model's context window in tokens, None where its entry does not say."""
    return next((size for name in _CONTEXTS if (size := as_count(entry.get(name)))), None)


def read_date(seconds: object) -> str:
    """Return a day in POSIX seconds as an ISO date, "" where it cannot be right."""
    number = as_number(seconds)
    if number is None or not _FIRST_DAY <= number < 2 * _FIRST_DAY:
        return ""
    year, day = 2015, (int(number) - _FIRST_DAY) // 86400
    while day >= 365 + (year % 4 == 0):  # until 2059 every fourth year is a leap year
        day -= 365 + (year % 4 == 0)
        year += 1
    month = 1
    while day >= (length := monthrange(year, month)[1]):
        day -= length
        month += 1
    return f"{year}-{month:02}-{day + 1:02}"


def chats(entry: Mapping[str, object]) -> bool:
    """Return whether a model may chat: False only where its entry says that it does not."""
    fields = {**entry, **as_object(entry.get("capabilities"))}
    written = as_list(as_object(entry.get("architecture")).get("output_modalities"))
    return (
        entry.get("type") not in _NO_CHAT
        and not any(fields.get(name) is False for name in _CHATS)
        and (not written or "text" in written)
    )
