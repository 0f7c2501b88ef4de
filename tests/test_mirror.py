"""The tests mirror the package: `core/text.py` is tested by `tests/core/test_text.py`.

More tests of a module may stand beside it, in files whose names go on after that of the module:
`endpoints/test_client_limits.py`, `magics/test_chat_in_kernel.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import di_magics

TESTS = Path(__file__).parent
PACKAGE = Path(di_magics.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix()
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}
FILES = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}

# Modules without a test file of their name, and the file that tests them instead: it imports the
# module, or has a line `# Tests display/final.` right above a test of it.
TESTED_BY = {
    "api/loaded": "api/test_asking.py",
    "api/sweeps": "session/test_sweep_runner.py",
    "api/tokens": "magics/commands/test_lenses.py",
    "core/conversation/cells": "core/conversation/test_conversation.py",
    "core/conversation/record_values": "core/conversation/test_record.py",
    "core/conversation/turn": "core/conversation/test_conversation.py",
    "core/settings/own_services": "core/settings/test_services.py",
    "core/settings/counts": "core/settings/test_flags.py",
    "core/request/error_body": "core/request/test_server_errors.py",
    "core/request/error_rules": "core/request/test_server_errors.py",
    "core/request/ask": "core/request/test_plan.py",
    "core/request/turn_body": "core/request/test_plan.py",
    "core/request/route": "core/request/test_plan.py",
    "core/shown/tree": "core/conversation/test_conversation.py",
    "labextension/editable_install": "test_public.py",
    "display/directions": "display/test_markdown.py",
    "display/markdown_rules": "display/test_markdown.py",
    "display/markdown_writer": "display/test_markdown.py",
    "display/plot": "session/test_sweep_runner.py",
    "display/sweep": "session/test_sweep_runner.py",
    "display/tables": "magics/commands/test_money.py",
    "display/views": "magics/test_chat.py",
    "endpoints/answers": "endpoints/test_client_limits.py",
    "endpoints/local_model": "endpoints/test_local_server.py",
    "endpoints/stream_size": "endpoints/test_client_limits.py",
    "magics/commands/command": "magics/test_chat.py",
    "magics/commands/conversing": "magics/test_chat.py",
    "magics/commands/sweeping": "session/test_sweep_runner.py",
    "magics/compose": "magics/test_chat.py",
    "magics/traits": "magics/test_panel.py",
    "runtime/interrupts": "runtime/test_loop.py",
    "session/model_list": "endpoints/test_catalog.py",
    "session/notebook": "storage/test_notebook.py",
    "session/view": "session/test_session.py",
    "storage/rows": "storage/test_turns.py",
    "values/json_schema": "values/test_reply_schema.py",
    "values/typed_json": "values/test_tool_schema.py",
}
# Tests of the whole package, and of what tests/ itself has.
OTHER_FILES = {
    "attack/test_disk.py",
    "attack/test_interrupts.py",
    "attack/test_kernels.py",
    "attack/test_kills.py",
    "attack/test_leaks.py",
    "attack/test_markdown_attacks.py",
    "attack/test_pandoc.py",
    "attack/test_wire.py",
    "test_conformance.py",
    "test_growth.py",
    "test_labextension_in_lab.py",
    "test_layers.py",
    "test_loopback.py",
    "test_map.py",
    "test_messages.py",
    "test_mirror.py",
    "test_notebooks.py",
    "test_output_tools_in_lab.py",
    "test_public.py",
}


def name_of_tests(module: str) -> str:
    """Return how the names of a module's test files begin: `core/test_text` for `core/text`."""
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}test_{name}"


@pytest.mark.parametrize("module", sorted(MODULES | TESTED_BY.keys()))
def test_each_module_has_a_test_file(module: str) -> None:
    """It has the module's name; else the table says which one it is, and only then."""
    assert module in MODULES, "The table has a module that does not exist."
    own = f"{name_of_tests(module)}.py"
    if own in FILES:
        assert module not in TESTED_BY, f"{own} exists: remove the line from the table."
    else:
        others = {file for file in FILES if file.startswith(f"{name_of_tests(module)}_")}
        assert others or TESTED_BY.get(module) in FILES, f"Write {own}, or a line in the table."


@pytest.mark.parametrize(("module", "file"), TESTED_BY.items())
def test_the_file_in_the_table_tests_the_module(module: str, file: str) -> None:
    """It cannot lose all of its tests of the module unnoticed."""
    text = (TESTS / file).read_text("utf-8")
    package, _, name = f"di_magics/{module}".replace("/", ".").rpartition(".")
    imports = rf"{re.escape(package)}(?:\.{name}\b| import (?:\w+, )*{name}\b)"
    marked = rf"^# Tests {re.escape(module)}\.\n(?=@pytest|def test_)"
    assert re.search(f"{imports}|{marked}", text, re.MULTILINE)


@pytest.mark.parametrize("file", sorted(FILES | OTHER_FILES))
def test_each_test_file_belongs_to_a_module(file: str) -> None:
    """So a module that is renamed takes its tests along."""
    assert file in FILES, "The list has a file that does not exist."
    stems = {name_of_tests(module) for module in MODULES}
    mirrors = any(file == f"{stem}.py" or file.startswith(f"{stem}_") for stem in stems)
    assert mirrors != (file in OTHER_FILES), f"{file} has the name of no module."
