"""Find a Chrome or Chromium for the browser tests, or fetch one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OWN = "playwright"
"""Says, in place of a path, that Playwright is to start the browser it downloaded itself."""

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "chrome",
    "msedge",
)
MAC = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
    "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
START = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    playwright.chromium.launch(args=["--no-sandbox"]).close()
"""


def find() -> str | None:
    """Return the browser DI_MAGICS_BROWSER names, else an installed one, else None."""
    if named := os.environ.get("DI_MAGICS_BROWSER"):
        return named
    return next(filter(_starts, _installed()), None)


def fetch(python: str) -> str | None:
    """Fetch a browser and return it, or None; `python` is one that has Playwright.

    As root on Debian or Ubuntu it is the package `chromium`, else Playwright's own download.
    """
    packages = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")
    if packages:
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
        install = [*apt, "install", "-y", "--no-install-recommends", "chromium"]
        _succeeds([*apt, "update"])
        if _succeeds(install, DEBIAN_FRONTEND="noninteractive") and (found := find()):
            return found
    libraries = ["--with-deps"] if packages else []
    if _succeeds([python, "-m", "playwright", "install", *libraries, "chromium"]) and _succeeds(
        [python, "-c", START]
    ):
        return OWN
    return None


def _installed() -> Iterator[str]:
    yield from filter(None, map(shutil.which, NAMES))
    roots: list[Path]
    places: list[Path] = []
    if sys.platform == "darwin":
        roots = [Path("/Applications"), Path.home() / "Applications"]
        places = [root / name for root in roots for name in MAC]
    elif sys.platform == "win32":
        variables = "PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"
        roots = [Path(os.environ[name]) for name in variables if name in os.environ]
        places = [root / name for root in roots for name in WINDOWS]
    yield from (str(place) for place in places if place.exists())


def _starts(browser: str) -> bool:
    """Return whether it is a browser and not Ubuntu's stand-in that asks for a snap."""
    return sys.platform == "win32" or _succeeds([browser, "--version"])


def _succeeds(command: list[str], **env: str) -> bool:
    """Run a command, keep its words for the case that it fails, and say whether it succeeded."""
    try:
        ran = subprocess.run(
            command,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return False
    if ran.returncode:
        print(f"{' '.join(command[:3])} …: {ran.stdout.strip()[-2000:]}", file=sys.stderr)
    return ran.returncode == 0
