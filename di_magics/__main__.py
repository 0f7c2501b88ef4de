"""`python -m di_magics fetch`: get the built-in model ahead of time."""

from __future__ import annotations

import argparse
import sys

from di_magics.core.errors import DiMagicsError
from di_magics.endpoints.local_model import MODEL, fetch_model
from di_magics.endpoints.local_server import is_available
from di_magics.runtime.state_dir import state_dir


class _Progress:
    """Prints progress lines: on a terminal over the last one, elsewhere without percentages."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, line: str) -> None:
        if line == self._last or (":" in line and not sys.stderr.isatty()):
            return
        self._last = line
        end = "\r" if sys.stderr.isatty() and ":" in line else "\n"
        print(f"\x1b[K{line}" if sys.stderr.isatty() else line, end=end, file=sys.stderr)  # noqa: T201


def main() -> int:
    """Run a command and return its exit code: 0, 1 if it failed, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m di_magics", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help=f"fetch the built-in model, {MODEL.name}, once")
    parser.parse_args()
    try:
        print(fetch_model(state_dir(), _Progress()))  # noqa: T201
        if not is_available():
            hint = "The model needs llama.cpp to run. Install di_magics with its extra [local]."
            print(hint, file=sys.stderr)  # noqa: T201
    except DiMagicsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
