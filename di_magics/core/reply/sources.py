"""The web pages that a searching model names: what `[1]` in its text stands for.

Perplexity and xAI send the whole list with each part of a reply, in the order of the numbers;
OpenRouter and OpenAI send each page once. A page without an address keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from di_magics.core.read_json import as_list, as_object, as_objects, as_text
from di_magics.core.text import replace_surrogates
from di_magics.core.visible import one_line

MAX_SOURCES = 50
MAX_ADDRESS_CHARS = 2000


class Source(NamedTuple):
    """A web page: its address, "" if that is not https, and its title."""

    url: str
    title: str


def parse_source(value: object) -> Source:
    """Return the source of a JSON value: an object with `url` and `title`, or an address."""
    fields = value if isinstance(value, dict) else {"url": value}
    url = replace_surrogates(as_text(fields.get("url")).strip())
    title = replace_surrogates(as_text(fields.get("title")))
    named = one_line(title, 120) or one_line(url, 120) or "no address"
    plain = url.isprintable() and " " not in url and len(url) <= MAX_ADDRESS_CHARS
    return Source(url if plain and url.startswith("https://") else "", named)


def parse_list(payload: Mapping[str, object]) -> tuple[Source, ...]:
    """Return the whole list of a payload, () if it has none."""
    found, bare = (as_list(payload.get(name)) for name in ("search_results", "citations"))
    longest = found if len(found) >= len(bare) else bare
    return tuple(map(parse_source, longest[:MAX_SOURCES]))


def parse_annotations(message: Mapping[str, object]) -> tuple[Source, ...]:
    """Return the pages that a message, or a part of one, cites."""
    entries = as_objects(as_list(message.get("annotations"))[:MAX_SOURCES])
    cited = (entry for entry in entries if entry.get("type") == "url_citation")
    return tuple(parse_source(as_object(entry.get("url_citation"))) for entry in cited)


def add_sources(known: Iterable[Source], more: Iterable[Source]) -> tuple[Source, ...]:
    """Return the known sources, then those that are new."""
    return tuple(dict.fromkeys([*known, *more]))[:MAX_SOURCES]


def list_sources(sources: Iterable[Source]) -> str:
    """Return the sources as lines of plain text, each with its number."""
    lines = (f"[{number}] {title} {url}" for number, (url, title) in enumerate(sources, 1))
    return "".join(f"{line.rstrip()}\n" for line in lines)
