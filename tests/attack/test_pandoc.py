"""Pandoc reads more than other programs do: LaTeX, HTML attributes, raised text, boxes, titles.

nbconvert makes LaTeX and PDF of the saved Markdown by it. Whatever a model writes, pandoc finds
neither LaTeX nor HTML nor attributes in it, but for the tags that we write.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pypandoc
import pytest
from attack.conftest import Attacks, scaled
from hostile import FRAGMENTS, documents, structured

from di_magics.display import markdown as render
from di_magics.display.markdown_writer import OWN_TAGS

TEXTS = (
    *(
        r"\input{/etc/passwd}",
        r"a\def\x{y}b",
        "`<a b=c>`{=html}",
        "`a`{onclick=b}",
    ),
    *(
        "# a {onclick=b}",
        "a {onclick=b}\n===",
        "[a](http://b){onclick=c}",
        "<http://a>{onclick=b}",
    ),
    *("::: {onclick=a}\nb\n:::", "^<img/src=a/onerror=b>^", "~<img/src=a/onerror=b>~"),
    *("a^[b]", "[^1]\n\n[^1]: a", "% a", "---\na: b\n---", "$a$5 $[b]{onclick=c}$5", "(@) a"),
    *("**a**{b=c}", "https://a.b{c=d}", "a\n: b {c=d}", "Table: a {b=c}", "```{=latex}\n\\a\n```"),
    *("| `a`{b=c} |\n|---|\n| d{e=f} |\n\n: g {h=i}", "1. a{b=c}\n2. `d`{e=f}\n\n> g{h=i}"),
)
PIECES = (
    *("\\input{a}", "{onclick=b}", "{=html}", "{.a b=c}", "`c`", "[a](http://b)", "^", "~", "$x$"),
    *("<img/src=a>", "$", "5", "::: ", "\n:::\n", "\n\n", "\n", "\n# ", "\n- ", "\n> ", "| ", "%"),
    *("---\n", "a ", "*", "**", "]", "[", "(", ")", "@", "\\", "\\def", "<b>", "&lt;", "```", "{"),
    *("https://a.b", "~~~", "\\(", "\\)", "\\[", "\\]", "!", "}", "_", "=", "1. ", "    ", ":"),
)
SEPARATOR = "\n\n***\n\n"
OURS = re.compile(rf"</?(?:{'|'.join(OWN_TAGS)})>|<br ?/?>")


def find_live(node: Any) -> Iterator[object]:
    """Yield what pandoc read that is not plain: raw LaTeX or HTML, attributes, images, notes."""
    if isinstance(node, dict):
        kind: Any = node.get("t")
        content: Any = node.get("c")
        if kind in ("RawInline", "RawBlock"):
            language, raw = content
            if language != "html" or "<" in OURS.sub("", raw):
                yield node
        elif kind in ("Image", "Note") or node.get("meta"):
            yield node
        elif kind in ("Code", "CodeBlock", "Span", "Div", "Link", "Header"):
            _, classes, attributes = content[1 if kind == "Header" else 0]
            known = kind == "CodeBlock" or classes in ([], ["uri"], ["email"])
            if attributes or len(classes) > 1 or not known:
                yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from find_live(inner)


def check_dead(sources: list[str], attacks: Attacks) -> None:
    """Check that pandoc finds nothing live in the Markdown of these texts, read together."""
    saved = SEPARATOR.join(map(render.to_markdown, sources))
    read = json.loads(pypandoc.convert_text(saved, "json", format="markdown"))
    live = list(find_live(read))[:3]
    for _ in sources:
        attacks.check(not live, live)


def test_pandoc_finds_what_is_live() -> None:
    """In texts as they are: the test would see it."""
    for source in TEXTS[:8]:
        assert list(find_live(json.loads(pypandoc.convert_text(source, "json", format="markdown"))))


def test_known_texts_are_dead_in_pandoc(attacks: Attacks) -> None:
    """Each alone."""
    for text in TEXTS:
        check_dead([text], attacks)
    check_dead([*FRAGMENTS], attacks)


@pytest.mark.parametrize("chunk", range(5))
def test_generated_texts_are_dead_in_pandoc(chunk: int, attacks: Attacks) -> None:
    """Pieces of what pandoc reads, and of Markdown and HTML, put together at random."""
    numbers, count = random.Random(chunk), scaled(2000)
    pieces = ["".join(numbers.choices(PIECES, k=numbers.randint(2, 14))) for _ in range(count)]
    check_dead(pieces, attacks)
    check_dead([*documents(count, seed=chunk), *structured(count, seed=chunk)], attacks)
