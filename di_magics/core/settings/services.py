"""The one table of endpoints that have a name: where they are, what holds their key, what is known.

`%chat endpoint`, Tab, the help, the panel, the messages about keys and the README's table read it;
tests/test_public.py compares the README. A user's own endpoints (c.ChatMagics.endpoints, or a TOML
file) become rows of the same form: own_services.py reads them.

A fact is in the table only with its source, and the month in which that source was written or, for
a page without a date, read. Where nothing is known, nothing is said and nothing is changed: the
server decides. Only llama.cpp's facts are tried against the server itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import Basis
from di_magics.core.sampling import DEFAULTS
from di_magics.core.settings.params import MAX_LOGPROBS, PARAMS, Param, Value, suggest
from di_magics.core.visible import one_line

DEEPINFRA, LOCAL = "deepinfra", "local"

PREFILL = "prefill"
"""The fact about how an endpoint continues a reply that it is sent as the last message."""
LAST, FINAL, PREFIX = "last message", "continue_final_message", "prefix"
"""LAST: nothing is added. FINAL: this field in the request. PREFIX: this field in the message."""
ASK_TO_CONTINUE = "go on"
"""The model is asked in a message to continue: the endpoint is not known to continue a message."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one parameter or field of a request at an endpoint, and the source of it.

    field       its name there
    refused     the endpoint answers it with an error
    ignored     it has no effect
    when        for which models it is refused or ignored
    default     what holds if it is not sent
    max_count   how many strings (stop) or alternatives (logprobs) there may be
    min_count   how many alternatives must be asked for
    below       numbers must be below this one, or are read as others
    choices     the strings that are accepted
    basis       whether log-probabilities are known to be the model's own (`raw`)
    length      an id must have so many letters and digits
    send_back   after tool calls it must be sent back in later turns as well
    is_number   `logprobs` itself is the number of alternatives
    """

    source: str = ""
    date: str = ""
    field: str = ""
    refused: bool = False
    ignored: bool = False
    when: str = ""
    default: str = ""
    max_count: int | None = None
    min_count: int = 0
    below: int | None = None
    choices: tuple[str, ...] = ()
    basis: Basis = "unknown"
    length: int = 0
    send_back: bool = False
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """An endpoint with a name.

    `title` is its name in a sentence, `url` the base address (empty for our own llama.cpp server),
    `key_variables` the environment variables that may hold its key, and `key_page` where to get
    one. `start` is the command that starts it, if it is a server on this machine, and `fetch` the
    one that fetches a model for it. `model` is its default model, `facts` what is known, by the
    name of a parameter or field, and `like` the name of the row of the table with these facts.
    `headers` and `query` are sent with every request; a value `$NAME` is that of an environment
    variable.
    """

    name: str = ""
    title: str = ""
    url: str = ""
    key_variables: tuple[str, ...] = ()
    key_page: str = ""
    start: str = ""
    fetch: str = ""
    model: str = ""
    like: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    def fact(self, name: str) -> Fact:
        """Return what is known of a parameter or field, an empty fact for nothing."""
        return self.facts.get(name, NOTHING_KNOWN)

    def name_of(self, param: str) -> str:
        """Return the name of a parameter here."""
        return self.fact(param).field or param

    def default(self, param: Param) -> str:
        """Return what holds where a parameter is not sent, "" if that is not known."""
        return self.fact(param.name).default or ("" if param.shapes else param.default)

    def check(self, params: Mapping[str, Value]) -> None:
        """Raise ParamError for a value that this endpoint is known to refuse or to misread."""
        title = self.title or "this endpoint"
        for name, value in params.items():
            fact = self.fact(name)
            most = fact.max_count
            if name == "logprobs" and most is None:
                most = MAX_LOGPROBS
            if fact.refused and not fact.when:
                raise ParamError(
                    f"{title} refuses {name}. Leave it out (%chat unset {name}), or send it all "
                    f"the same: --extra {name}=…"
                )
            if fact.choices and value not in fact.choices:
                raise ParamError(
                    f"{name} must be one of {', '.join(fact.choices)} for {title}, not {value}."
                )
            if fact.below is not None and isinstance(value, int) and value >= fact.below:
                raise ParamError(f"{name} must be below {fact.below} for {title}, not {value}.")
            count = len(value) if isinstance(value, tuple) else value
            if most is not None and isinstance(count, int) and count > most:
                more = "" if self.like == LOCAL else " A local model sends more."
                raise ParamError(
                    f"{name} must be at most {most} for {title}, not {count}."
                    f"{more if name == 'logprobs' else ''}"
                )

    def warnings(self, params: Iterable[str]) -> list[str]:
        """Return what is known against sending these parameters."""
        facts = ((name, self.fact(name)) for name in params)
        return [
            f"{self.title} {'refuses' if fact.refused else 'ignores'} {name}"
            f"{f' {fact.when}' if fact.when else ''}."
            for name, fact in facts
            if fact.refused or fact.ignored
        ]


NOTHING_KNOWN = Fact()
UNKNOWN_SERVICE = Service()
"""An endpoint that is in no table."""


def _known(source: str, date: str, **facts: Fact) -> dict[str, Fact]:
    return {name: replace(fact, source=source, date=date) for name, fact in facts.items()}


_REFUSED, _IGNORED = Fact(refused=True), Fact(ignored=True)
_REPEAT = Fact(field="repeat_penalty")
_GITHUB = "https://github.com/"


def _llama_fact(param: str, fact: Fact = NOTHING_KNOWN) -> Fact:
    """Return a fact with llama.cpp's default; a number that turns the parameter off is said so."""
    default, off = f"{DEFAULTS[fact.field or param]:g}", PARAMS[param].default
    return replace(fact, default=off if off == f"{default} (off)" else default)


_LLAMA_CPP = _known(
    "https://github.com/ggml-org/llama.cpp tools/server/README.md; measured",
    "2026-11",
    temperature=_llama_fact("temperature"),
    top_k=_llama_fact("top_k"),
    top_p=_llama_fact("top_p"),
    min_p=_llama_fact("min_p"),
    presence_penalty=_llama_fact("presence_penalty"),
    frequency_penalty=_llama_fact("frequency_penalty"),
    repetition_penalty=_llama_fact("repetition_penalty", _REPEAT),
    # It keeps 32 bits, and reads all ones as "a new one every time".
    seed=Fact(below=2**32 - 1),
    user=_IGNORED,
    reasoning_effort=_IGNORED,
    # It sends nothing for 0 alternatives.
    logprobs=Fact(basis="raw", min_count=1, max_count=10_000),
    prefill=Fact(field=LAST),
)
_REASONING = "with reasoning models"
_THINKING = "while it thinks, which is the default"

SERVICES: Mapping[str, Service] = {
    service.name: replace(service, like=service.name)
    for service in (
        Service(
            DEEPINFRA,
            "DeepInfra",
            "https://api.deepinfra.com/v1/openai",
            ("DEEPINFRA_TOKEN", "DEEPINFRA_API_KEY", "DEEPINFRA_API_TOKEN"),
            "https://deepinfra.com/dash/api_keys",
            model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
            facts=_known(
                "https://docs.deepinfra.com and its openapi.json",
                "2026-05",
                temperature=Fact(default="1"),
                top_p=Fact(default="1 (off)"),
                min_p=Fact(default="0 (off)"),
                top_k=Fact(default="0 (off)"),
                presence_penalty=Fact(default="0 (off)"),
                frequency_penalty=Fact(default="0 (off)"),
                repetition_penalty=Fact(default="1 (off)"),
                stop=Fact(max_count=16),
                reasoning_effort=Fact(choices=("none", "low", "medium", "high", "xhigh")),
                logprobs=Fact(max_count=20),
                prefill=Fact(field=FINAL),
            ),
        ),
        Service(LOCAL, "the local model", facts=_LLAMA_CPP),
        Service(
            "ollama",
            "Ollama",
            "http://127.0.0.1:11434/v1",
            start="ollama serve",
            fetch="ollama pull llama3.2",
            facts={
                **_known(
                    "https://docs.ollama.com/api/openai-compatibility, its list of fields",
                    "2026-11",
                    min_p=_IGNORED,
                    top_k=_IGNORED,
                    repetition_penalty=_IGNORED,
                    user=_IGNORED,
                ),
                **_known(
                    _GITHUB + "ollama/ollama/issues/17744",
                    "2026-08",
                    temperature=Fact(default="1"),
                    top_p=Fact(default="1 (off)"),
                ),
                **_known(
                    _GITHUB + "ollama/ollama/issues/16196", "2026-05", logprobs=Fact(basis="raw")
                ),
            },
        ),
        Service(
            "lmstudio",
            "LM Studio",
            "http://127.0.0.1:1234/v1",
            start="lms server start",
            fetch="lms get",
            facts=_known(
                "https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
                "2026-04",
                repetition_penalty=_REPEAT,
            ),
        ),
        Service(
            "llamacpp",
            "llama.cpp",
            "http://127.0.0.1:8080/v1",
            ("LLAMA_API_KEY",),
            start="llama-server -m FILE.gguf",
            facts=_LLAMA_CPP,
        ),
        Service(
            "vllm",
            "vLLM",
            "http://127.0.0.1:8000/v1",
            ("VLLM_API_KEY",),
            start="vllm serve MODEL",
            facts={
                **_known(
                    "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
                    "2026-11",
                    user=_IGNORED,
                    prefill=Fact(field=FINAL),
                ),
                **_known(
                    "vLLM's --max-logprobs and --logprobs-mode, their defaults",
                    "2026-11",
                    logprobs=Fact(max_count=20, basis="raw"),
                ),
            },
        ),
        Service(
            "openai",
            "OpenAI",
            "https://api.openai.com/v1",
            ("OPENAI_API_KEY",),
            "https://platform.openai.com/api-keys",
            facts={
                **_known(
                    _GITHUB + "devnullvoid/dms-ai-assistant/issues/12",
                    "2026-05",
                    max_tokens=Fact(field="max_completion_tokens"),
                ),
                **_known(
                    _GITHUB + "xlinx/sd-webui-decadetw-auto-prompt-llm/issues/29: an argument "
                    "that the API reference does not have",
                    "2024-10",
                    top_k=_REFUSED,
                    min_p=_REFUSED,
                    repetition_penalty=_REFUSED,
                ),
                **_known(
                    "https://help.openai.com/en/articles/5072263",
                    "2026-11",
                    stop=Fact(max_count=4),
                ),
                **_known(
                    "https://platform.openai.com/docs/api-reference/chat",
                    "2026-11",
                    temperature=Fact(default="1"),
                    top_p=Fact(default="1 (off)"),
                    presence_penalty=Fact(default="0 (off)"),
                    frequency_penalty=Fact(default="0 (off)"),
                    logprobs=Fact(max_count=20),
                ),
            },
        ),
        Service(
            "openrouter",
            "OpenRouter",
            "https://openrouter.ai/api/v1",
            ("OPENROUTER_API_KEY",),
            "https://openrouter.ai/settings/keys",
            facts=_known(
                "https://openrouter.ai/docs/api_reference/parameters",
                "2026-11",
                temperature=Fact(default="1"),
                top_p=Fact(default="1 (off)"),
                top_k=Fact(default="0 (off)"),
                logprobs=Fact(max_count=20),
            ),
        ),
        Service(
            "groq",
            "Groq",
            "https://api.groq.com/openai/v1",
            ("GROQ_API_KEY",),
            "https://console.groq.com/keys",
            facts=_known("https://console.groq.com/docs/openai", "2026-11", logprobs=_REFUSED),
        ),
        Service(
            "mistral",
            "Mistral",
            "https://api.mistral.ai/v1",
            ("MISTRAL_API_KEY",),
            "https://console.mistral.ai/api-keys",
            facts={
                **_known(
                    _GITHUB + "simonw/llm-mistral/issues/2",
                    "2023-12",
                    seed=Fact(field="random_seed"),
                ),
                **_known(
                    _GITHUB + "dnakov/anon-kode/issues/53", "2025-03", stream_options=_REFUSED
                ),
                **_known(
                    _GITHUB + "anomalyco/opencode/issues/1680",
                    "2025-08",
                    tool_call_id=Fact(length=9),
                ),
                **_known(
                    "https://docs.litellm.ai/docs/completion/prefix",
                    "2026-10",
                    prefill=Fact(field=PREFIX),
                ),
                **_known(
                    _GITHUB + "osaurus-ai/osaurus/issues/556: a field that the API's schema does "
                    "not have",
                    "2026-03",
                    top_k=_REFUSED,
                    min_p=_REFUSED,
                    repetition_penalty=_REFUSED,
                    logprobs=_REFUSED,
                ),
            },
        ),
        Service(
            "together",
            "Together",
            "https://api.together.xyz/v1",
            ("TOGETHER_API_KEY",),
            "https://api.together.ai/settings/api-keys",
            facts=_known(
                "https://docs.together.ai/reference/chat-completions-1",
                "2026-11",
                logprobs=Fact(max_count=20, min_count=1, is_number=True),
            ),
        ),
        Service(
            "fireworks",
            "Fireworks",
            "https://api.fireworks.ai/inference/v1",
            ("FIREWORKS_API_KEY",),
            "https://app.fireworks.ai/settings/users/api-keys",
        ),
        Service(
            "xai",
            "xAI",
            "https://api.x.ai/v1",
            ("XAI_API_KEY",),
            "https://console.x.ai",
            facts={
                **_known(
                    "https://docs.x.ai/docs/guides/reasoning",
                    "2026-11",
                    stop=Fact(refused=True, when=_REASONING),
                    frequency_penalty=Fact(refused=True, when=_REASONING),
                ),
                **_known(
                    _GITHUB + "miaoxworld/NativeTavern/issues/83",
                    "2026-09",
                    presence_penalty=_REFUSED,
                ),
            },
        ),
        Service(
            "deepseek",
            "DeepSeek",
            "https://api.deepseek.com/v1",
            ("DEEPSEEK_API_KEY",),
            "https://platform.deepseek.com/api_keys",
            facts={
                **_known(
                    "https://api-docs.deepseek.com/guides/thinking_mode",
                    "2026-11",
                    temperature=Fact(ignored=True, when=_THINKING),
                    presence_penalty=Fact(ignored=True, when=_THINKING),
                    frequency_penalty=Fact(ignored=True, when=_THINKING),
                    reasoning_content=Fact(send_back=True),
                    reasoning_effort=Fact(
                        choices=("minimal", "low", "medium", "high", "xhigh", "max")
                    ),
                ),
                **_known(
                    "https://docs.camel-ai.org/reference/camel.configs.deepseek_config",
                    "2026-11",
                    stop=Fact(max_count=16),
                    logprobs=Fact(max_count=20),
                ),
            },
        ),
        Service(
            "gemini",
            "Gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            "https://aistudio.google.com/apikey",
            facts={
                **_known(
                    _GITHUB + "sleepydeer666/RPGBox/issues/2",
                    "2026-08",
                    frequency_penalty=_REFUSED,
                    presence_penalty=_REFUSED,
                ),
                **_known(_GITHUB + "Vali-98/ChatterUI/issues/227", "2025-02", seed=_REFUSED),
                **_known(
                    _GITHUB + "MinLL/SkyrimNet-GamePlugin/issues/77", "2025-08", top_k=_REFUSED
                ),
            },
        ),
    )
}

ENDPOINTS = tuple(SERVICES)
"""The names of the endpoints in the table."""
FIXED = frozenset(name for name, service in SERVICES.items() if not service.start)
"""The names that a user's own endpoint cannot have; a server on this machine may be elsewhere."""


def is_local(endpoint: str) -> bool:
    """Return whether an endpoint's name means a model on this machine that we run ourselves."""
    return endpoint == LOCAL or endpoint.startswith(LOCAL + ":")


_NAME = re.compile(r"[A-Za-z][\w-]{0,39}")


def is_name(text: str) -> bool:
    """Return whether this may be the name of an endpoint, and not its address."""
    return bool(_NAME.fullmatch(text))


def find_service(name: str, own: Mapping[str, Service]) -> Service:
    """Return the endpoint of that name; the user's `own` come first.

    Raises ParamError for an unknown name, with the nearest ones.
    """
    service = own.get(name) or SERVICES.get(name)
    if service is None:
        raise ParamError(
            f"There is no endpoint {one_line(name, 60)!r}.{suggest(name, [*SERVICES, *own])} "
            "%chat endpoint lists them; a URL such as https://host/v1 works as well."
        )
    return service
