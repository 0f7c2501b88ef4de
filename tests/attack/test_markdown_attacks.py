"""Whatever a model writes, what is saved is dead: in our HTML, and in our Markdown read elsewhere.

`DI_MAGICS_ATTACK=full` tries 20,000 generated texts, otherwise it is a tenth of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from xml.etree.ElementTree import Element

import html5lib
import pytest
from attack.conftest import FULL, Attacks, scaled
from attack.readers import read_all
from hostile import FRAGMENTS, HARMLESS_ATTRIBUTES, HARMLESS_ELEMENTS, documents, structured
from hostile import attacks as combine

from di_magics.core.conversation.transcript import write_transcript
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply, ToolCall
from di_magics.display import markdown as render

CHUNKS = 4
PER_CHUNK = scaled(5000)

THEIRS = HARMLESS_ELEMENTS | {"del"}
ADDRESS = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
ENDINGS = ("-->", "--!>", "->", "--\n>", "]]>", "?>")
"""What ends a comment, or a block of HTML that begins like one."""
STYLE = re.compile(r"[\w\s:;#.-]*")


def find_live(html: str, elements: Set[str], *, ours: bool) -> Iterator[str]:
    """Yield what a browser finds in this HTML that is not on the list of what is harmless."""
    root: Element = html5lib.parse(html, treebuilder="etree", namespaceHTMLElements=False)
    for element in root.iter():
        name = str(element.tag)
        if name not in elements and name not in ("html", "head", "body"):
            yield f"<{name}>"
        for attribute, value in element.attrib.items():
            if attribute == "href":
                heading = not ours and value.startswith("#")
                if not ADDRESS.match(value) and not heading:
                    yield f"href={value}"
            elif attribute == "style":
                if not STYLE.fullmatch(value):
                    yield f"style={value}"
            elif attribute not in HARMLESS_ATTRIBUTES and (
                ours or attribute not in ("align", "id")
            ):
                yield f"{attribute}={value}"


def check_dead(sources: list[str], attacks: Attacks) -> None:
    """Check that our HTML of these texts is dead, and any program's HTML of our Markdown."""
    live: list[tuple[str, str, list[str]]] = []
    for source in sources:
        if bad := list(find_live(render.to_html(source), HARMLESS_ELEMENTS, ours=True)):
            live.append((source, "to_html", bad))
    saved = [render.to_markdown(source) for source in sources]
    for reader, pages in read_all(saved).items():
        for source, page in zip(sources, pages, strict=True):
            if bad := list(find_live(page, THEIRS, ours=False)):
                live.append((source, reader, bad))
    failed = {source for source, *_ in live}
    for source in sources:
        attacks.check(source not in failed, [found for found in live if found[0] == source])


def test_known_attacks_are_dead(attacks: Attacks) -> None:
    """Every fragment alone, and a payload after every two openings."""
    check_dead([*FRAGMENTS, *combine()[:: 1 if FULL else 10]], attacks)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_attacks_are_dead(chunk: int, attacks: Attacks) -> None:
    """Fragments of Markdown and of HTML put together at random and in nested structures."""
    half = PER_CHUNK // 2
    check_dead([*documents(half, seed=1000 + chunk), *structured(half, seed=2000 + chunk)], attacks)


@pytest.mark.parametrize("suffix", [".md", ".ipynb"])
def test_a_saved_conversation_is_dead(suffix: str, attacks: Attacks) -> None:
    """`%chat save`: whatever stands in a prompt, a reply, a name, a call or the reasoning."""
    sources = [*FRAGMENTS, *documents(scaled(1000), seed=7), *map("{}<img src=x>".format, ENDINGS)]
    files = [
        write_transcript([hostile_turn(source)], suffix, render.to_markdown) for source in sources
    ]
    if suffix == ".ipynb":
        files = [
            data
            for file in files
            for data in json.loads(file)["cells"][1]["outputs"][0]["data"].values()
        ]
        sources = [source for source in sources for _ in range(2)]
    for reader, pages in read_all(files).items():
        for source, page in zip(sources, pages, strict=True):
            live = list(find_live(page, THEIRS, ours=False))
            attacks.check(not live, (source, reader, live))


def hostile_turn(text: str) -> Turn:
    """Return a turn that has a text in each of its fields."""
    reply = Reply(
        text=text,
        reasoning=text,
        model=text,
        id=text,
        finish_reason=text,
        tool_calls=(ToolCall(text, text, text),),
        status="done",
    )
    return Turn("t", text, model=text, endpoint=text, url=text, system=text, reply=reply)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_program_shows_every_word(chunk: int) -> None:
    """The words of a text are in our HTML and in what the programs make of our Markdown."""
    sources = structured(PER_CHUNK // 4, seed=3000 + chunk, words=True)
    saved = [render.to_markdown(source) for source in sources]
    pages = {"to_html": list(map(render.to_html, sources)), **read_all(saved)}
    lost = [
        (source, reader, missing)
        for reader, read in pages.items()
        for source, page in zip(sources, read, strict=True)
        if (missing := missing_words(source, page))
    ]
    assert lost == []


def missing_words(source: str, page: str) -> list[str]:
    """Return the marked words of a text that a page does not show, in the text's order."""
    root = html5lib.parse(page, treebuilder="etree", namespaceHTMLElements=False)
    shown = set(re.findall(r"w\d+w", "".join(root.itertext())))
    return [word for word in re.findall(r"w\d+w", source) if word not in shown]
