"""All attacks in one command, and a table of what was tried and what held.

`python tests/attack/run.py` tries all of them; `--part` a tenth, as in a usual run of the tests.
Each row is a selection of tests. A test that counts its attacks reports them, any other is one.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
ROWS = {
    "HTML, links and images in Markdown, in our HTML and in five other programs": (
        "attack/test_markdown_attacks.py",
    ),
    "LaTeX, HTML attributes and more that pandoc reads in our Markdown": ("attack/test_pandoc.py",),
    "the same in JupyterLab: live, saved, trusted, alone": (
        "display/test_live_in_lab.py::test_model_text_never_runs",
        "display/test_live_in_lab.py::test_the_saved_markdown_is_harmless_alone",
        "display/test_live_in_lab.py::test_hundreds_of_hostile_texts_are_harmless_alone_and_trusted",
        "display/test_live_in_lab.py::test_dozens_of_hostile_texts_are_harmless_live",
        "display/test_live_in_lab.py::test_a_reply_made_to_be_slow_leaves_the_page_alone",
    ),
    "texts made to take long: time at twice the size": (
        "core",
        "display/test_markdown.py",
        "values/test_attach.py",
        "values/test_environment_secrets.py",
    ),
    "answers of a server: broken, endless, compressed, slow": (
        "attack/test_wire.py",
        "endpoints/test_client_limits.py",
    ),
    "keys repeated by a server, in every place and spelling": (
        "endpoints/test_client_keys.py",
        "core/request/test_redact.py",
    ),
    "secrets searched for in every byte written, published or sent": ("attack/test_leaks.py",),
    "`kill -9` of the kernel and of the local model": ("attack/test_kills.py",),
    "interrupts at random moments": ("attack/test_interrupts.py",),
    "disk full, locked, corrupt, read-only, of a newer version": ("attack/test_disk.py",),
    "replies of kernels that run at once on one folder": ("attack/test_kernels.py",),
    "messages of a page: odd, too many, lost": (
        "display/test_channel.py",
        "magics/test_panel.py::test_odd_messages_do_no_harm",
        "magics/test_panel.py::test_a_thousand_messages_are_drawn_together",
        "display/test_live_in_lab.py::test_a_websocket_that_drops_in_the_middle_loses_nothing",
        "display/test_live_in_lab.py::test_two_tabs_on_one_notebook_share_a_kernel_and_a_conversation",
    ),
}
GROWTH = "texts made to take long: time at twice the size"


class Counter:
    """Counts the attacks of the tests that run."""

    def __init__(self) -> None:
        self.tried = self.held = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when it has ended, or when its preparation failed."""
        if report.when == "teardown" or (report.when == "setup" and report.failed):
            counts: Any = [value for name, value in report.user_properties if name == "attacks"]
            tried, held = counts[0] if counts else (1, int(not report.failed))
            self.tried += tried
            self.held += held


def run(row: str, options: list[str]) -> tuple[int, int, int]:
    """Run the tests of a row; return how many attacks were tried and held, and pytest's result."""
    counter = Counter()
    chosen = [str(TESTS / path) for path in ROWS[row]]
    chosen += ["-k", "linear or time_grows or takes_long"] if row == GROWTH else []
    result = pytest.main(["-q", "-p", "no:cacheprovider", *chosen, *options], plugins=[counter])
    return counter.tried, counter.held, int(result)


def main() -> int:
    """Run the rows and print the table."""
    parser = argparse.ArgumentParser(description="Attack di_magics, and count what held.")
    parser.add_argument("--part", action="store_true", help="a tenth of the attacks")
    parser.add_argument("--row", help="only the rows whose name has this in it", default="")
    chosen, options = parser.parse_known_args()
    os.environ["DI_MAGICS_ATTACK"] = "part" if chosen.part else "full"
    lines, results = ["| attack | tried | held |", "|---|---|---|"], []
    for row in ROWS:
        if chosen.row in row:
            tried, held, result = run(row, options)
            results.append(result)
            lines.append(f"| {row} | {tried:,} | {'all' if tried == held else f'{held:,}'} |")
    print("", *lines, sep="\n")
    return max(results, default=1)


if __name__ == "__main__":
    sys.exit(main())
