"""A conversation as a file: JSON, Markdown or a notebook, written and read back.

A reply in a file must not do more than in a notebook: the texts that programs display are made
harmless, and the exact ones are in the record beside them, which is what is read back. In Markdown
the record is a comment, in which no character can end it. A foreign or an edited file is only data:
at worst turns are missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from di_magics.core.conversation.record import METADATA_KEY, export_record
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.read_json import as_object, as_objects
from di_magics.core.visible import one_line

SUFFIXES = (".json", ".md", ".ipynb")
_TURN = re.compile(r"^<!-- di_magics turn (\{.*\}) -->$", re.MULTILINE)
_MARKUP = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
ToMarkdown = Callable[[str], str]


def write_transcript(turns: Sequence[Turn], suffix: str, to_markdown: ToMarkdown) -> str:
    """Return the text of a file with these turns; `to_markdown` makes a text harmless Markdown.

    Raises ChatError for an unknown suffix.
    """
    match suffix:
        case ".json":
            return json.dumps(
                {METADATA_KEY: 1, "turns": [export_record(turn) for turn in turns]}, indent=1
            )
        case ".md":
            return "\n\n".join(_as_markdown(turn, to_markdown) for turn in turns) + "\n"
        case ".ipynb":
            return json.dumps(_as_notebook(turns, to_markdown), indent=1)
        case _:
            raise _suffix_error(suffix)


def read_transcript(text: str, suffix: str) -> list[object]:
    """Return the records in a file's text. Raises ChatError for a file of another kind."""
    try:
        match suffix:
            case ".json":
                return list(json.loads(text)["turns"])
            case ".md":
                return list(_from_markdown(text))
            case ".ipynb":
                return list(_from_notebook(json.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ChatError(
            f"This {suffix} file does not hold a conversation. Load a notebook, or a file that "
            "%chat save has written."
        ) from None
    raise _suffix_error(suffix)


def _suffix_error(suffix: str) -> ChatError:
    return ChatError(
        f"The file must end in {' or '.join(SUFFIXES)}, not in {one_line(suffix, 20)!r}."
    )


def _as_markdown(turn: Turn, to_markdown: ToMarkdown) -> str:
    facts = json.dumps(export_record(turn), ensure_ascii=True).translate(_MARKUP)
    name = to_markdown(one_line(turn.reply.model or turn.model, 120)).strip()
    prompt, reply = (to_markdown(text).strip("\n") for text in (turn.prompt, turn.reply.text))
    return f"<!-- di_magics turn {facts} -->\n\n**You**\n\n{prompt}\n\n**Model:** {name}\n\n{reply}"


def _from_markdown(text: str) -> Iterator[object]:
    for mark in _TURN.finditer(text):
        try:
            yield json.loads(mark[1])
        except ValueError:
            yield None


def _as_notebook(turns: Sequence[Turn], to_markdown: ToMarkdown) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    for number, turn in enumerate(turns):
        text = to_markdown(turn.reply.clean_text)
        output = {
            "output_type": "display_data",
            "data": {"text/markdown": text, "text/plain": text},
            "metadata": {METADATA_KEY: export_record(turn)},
        }
        cells.append(
            {
                "cell_type": "code",
                "id": f"turn-{number}",
                "metadata": {},
                "execution_count": None,
                "source": f"%%chat\n{turn.prompt}",
                "outputs": [output],
            }
        )
    first = {**cells[0], "id": "load", "source": "%load_ext di_magics", "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [first, *cells],
    }


def _from_notebook(notebook: Mapping[str, Any]) -> Iterator[object]:
    for cell in notebook["cells"]:
        for output in as_objects(as_object(cell).get("outputs")):
            record = as_object(output.get("metadata")).get(METADATA_KEY)
            if record and "grid" not in as_object(record):  # a sweep is not a turn
                yield record
