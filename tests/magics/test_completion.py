"""Tab in `%%chat` cells and `%chat` lines: from the table of flags, and nothing of IPython's."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback
from shell import Run

from di_magics.core.settings.flags import FLAGS, FORMATS, KEYS, VARIED_TEXTS
from di_magics.core.settings.params import PARAMS
from di_magics.core.settings.services import ENDPOINTS
from di_magics.core.settings.settings import SETTINGS

VARIED = {f"{name}=" for name in (*PARAMS, *VARIED_TEXTS) if name != "stop"}


@pytest.fixture
def own(
    shell: InteractiveShell, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> InteractiveShell:
    """Return a shell with models, files, a variable, a function and a class to choose from."""
    folder = tmp_path / "work"
    (folder / "folder").mkdir(parents=True)
    for name in ("notes.txt", "chat.md", "folder/inside.txt", ".hidden"):
        (folder / name).touch()
    monkeypatch.chdir(folder)
    run("def add(a: int): ...\nclass Person: ...\nanswer = 1")
    run("%chat models")
    return shell


def offered(shell: InteractiveShell, cell: str) -> set[str]:
    """Return what Tab offers at the end of the cell, or at a `|` in it."""
    at = cell.find("|") if "|" in cell else len(cell)
    text = cell.replace("|", "")
    with provisionalcompleter():
        return {item.text for item in shell.Completer.completions(text, at)}


FILES = {"notes.txt", "chat.md", "folder/"}
MODELS = {"test/model"}


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("%%chat -m ", MODELS),
        ("%%chat -m te", MODELS),
        ("%%chat --model=te", {"--model=test/model"}),
        ("%chat ask -m ", MODELS),
        ("%chat ask ", set(KEYS)),
        ("%chat ask -t 0 --on", {"--once"}),
        ("%%chat --vary ", VARIED),
        ("%%chat --vary temp", {"temperature="}),
        ("%%chat -t 1 --vary top_", {"top_p=", "top_k="}),
        ("%%chat -c ", {"main"}),
        ("%%chat -o ans", {"answer"}),
        ("%%chat -a a", {"add", "answer"}),
        ("%%chat -a no", {"notes.txt"}),
        ("%%chat -a folder/", {"folder/inside.txt"}),
        ("%%chat --tools ", {"add"}),
        ("%%chat --tools add,", {"add,add"}),
        ("%%chat --tools=add,a", {"--tools=add,add"}),
        ("%%chat --schema P", {"Person"}),
        ("%%chat -f ", set(FORMATS)),
        ("%%chat --endpoint ", set(ENDPOINTS)),
        ("%%chat --last ", {"all"}),
        ("%%chat --reasoning-effort me", {"medium"}),
        ("%%chat --reasoning_effort=me", {"--reasoning_effort=medium"}),
        ("%%chat --tool-choice ", {"auto", "none", "required", "add"}),
        ("%%chat ", set(KEYS)),
        ("%%chat -t 1 ", set(KEYS)),
        ("%%chat\t--temp", {"--temperature"}),
        ("# note\n\n%%chat --temp", {"--temperature"}),
        ("%%chat --on|\nprompt", {"--once"}),
        ("%chat load ", FILES),
        ("%chat load no", {"notes.txt"}),
        ("%chat load folder/", {"folder/inside.txt"}),
        ("%chat save ", {*FILES, "--overwrite"}),
        ("%chat save chat.md --o", {"--overwrite"}),
        ("%chat help to", {"tools", "top_p", "top_k", "tool_choice"}),
        ("%chat help --to", {"--tools", "--top-p", "--top-k", "--tool-choice"}),
        ("%chat help hist", {"history"}),
        ("%chat set temp", {"temperature="}),
        (
            "%chat set ",
            {f"{name}=" for name in SETTINGS}
            | {f"reasoning_effort={level}" for level in PARAMS["reasoning_effort"].choices},
        ),
        ("%chat set seed=1 temp", {"temperature="}),
        ("%chat set reasoning_effort=me", {"reasoning_effort=medium"}),
        ("%chat unset ", {*SETTINGS, "all"}),
        ("%chat use ", {"main"}),
        ("%chat model ", MODELS),
        ("%chat endpoint lo", {"local"}),
        ("    %chat set temp", {"temperature="}),
        ("for x in y:\n    r = %chat hist", {"history"}),
    ],
)
def test_tab_offers_what_may_follow(own: InteractiveShell, cell: str, found: set[str]) -> None:
    """With a space behind the last word, and without."""
    assert offered(own, cell) - {""} == found


@pytest.mark.parametrize("command", ["", "set ", "load ", "help "])
def test_a_command_is_completed_whatever_stands_before_it(
    own: InteractiveShell, command: str
) -> None:
    """Indentation, an assignment, or a tab."""
    plain = offered(own, f"%chat {command}")
    for before in ("    %chat ", "x = %chat ", "%chat\t"):
        assert offered(own, before + command) == plain


@pytest.mark.parametrize("line", ["%%chat -m ", "%chat model "])
def test_without_a_list_of_models_tab_offers_the_one_in_use(
    shell: InteractiveShell, run: Run, server: Loopback, line: str
) -> None:
    """Tab sends no request."""
    assert offered(shell, line) == {"a-model"}
    assert server.requests == []


CELLS = [
    "%%chat\n|",
    "%%chat\npri|",
    "%%chat\nWhat is os.pa|",
    "%%chat\nimport |",
    "%%chat\nfrom os import pa|",
    "%%chat\n%ti|",
    "%%chat\n%%ti|",
    "%%chat\n!l|",
    "%%chat\nopen('no|",
    "%%chat\nd['a|",
    "%%chat\n\\alp|",
    "%%chat\nansw| er",
    "%%chat\nfirst\n\n  pri|",
    "# note\n%%chat\npri|",
    "%%chat pri|",
    "%%chat -m nowhere|",
    "%%chat -s ans|",
    "%%chat -s 'ans|",
    "%%chat -s |",
    "%%chat --budget |",
    "%%chat --once pri|",
    "%%chat --tools add,pri|",
    "%%chat --nothing|",
]


@pytest.mark.parametrize("cell", CELLS)
def test_ipython_offers_nothing_of_its_own_in_a_cell(own: InteractiveShell, cell: str) -> None:
    """A prompt is not Python: what is offered there changes nothing that was typed."""
    own.user_ns["d"] = {"abc": 1}
    before = cell.partition("|")[0]
    text = cell.replace("|", "")
    with provisionalcompleter():
        for item in own.Completer.completions(text, len(before)):
            assert item.end == len(before)
            assert before[: item.start] + item.text == before


@pytest.mark.parametrize("key", [key for key, flag in FLAGS.items() if flag.completions])
def test_every_flag_with_choices_offers_them(own: InteractiveShell, key: str) -> None:
    """Under each of its names."""
    for name in FLAGS[key].names:
        assert offered(own, f"%%chat {name} ") >= set(FLAGS[key].completions)
