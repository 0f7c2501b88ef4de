"""A teacher's policy: DI_MAGICS_POLICY's file, narrowed by a di_magics.toml beside the notebook."""

from __future__ import annotations

import errno
import getpass
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from di_magics.core.conversation.record import identity_record, outcome_record
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import PolicyError
from di_magics.core.request.redact import Secret
from di_magics.core.settings.policy import NO_POLICY, Policy, merge_policies, parse_policy
from di_magics.core.visible import one_line
from di_magics.runtime.files import file_stamp, read_bounded, read_toml

BESIDE = "di_magics.toml"
MAX_KEY_BYTES = 10_000


class PolicyFiles:
    """The policy in force; a file that has changed is read again.

    `folder` returns the notebook's folder. `file` is the value of DI_MAGICS_POLICY when the
    extension was loaded, so that no cell can change it.
    """

    def __init__(self, folder: Callable[[], Path], file: str | None) -> None:
        self._file = _identify(Path(os.path.expanduser(file))) if file else None
        self._folder = folder
        self._stamp: object = None
        self._policy = NO_POLICY

    def current(self) -> Policy:
        """Return the policy. Raises PolicyError for a file that cannot be read or is not valid."""
        outer = self._file
        beside = _identify(self._folder() / BESIDE)
        stamp = (outer, file_stamp(outer), beside, file_stamp(beside))
        if stamp != self._stamp:
            policy = _read(outer, narrowing=False) if outer else NO_POLICY
            if stamp[3]:
                policy = merge_policies(policy, _read(beside, narrowing=True))
            self._policy, self._stamp = policy, stamp
        return self._policy

    def key(self) -> Secret | None:
        """Return the API key that the policy names, or None. Raises PolicyError."""
        policy = self.current()
        if policy.key_variable:
            key = Secret(os.environ.get(policy.key_variable, "").strip())
            where = f"environment variable {one_line(policy.key_variable, 60)}"
        elif policy.key_file:
            try:
                path = Path(policy.key_file).expanduser()
                data = read_bounded(path, MAX_KEY_BYTES, policy.key_file)
                key = Secret(data.decode("utf-8").strip())
            except (OSError, ValueError):
                key = Secret()
            where = f"file {one_line(policy.key_file, 120)}"
        else:
            return None
        if not key:
            raise PolicyError(
                f"{policy.source_names} reads the key from the {where}, but there is none. "
                "Ask your teacher."
            )
        return key

    def check_log(self, policy: Policy) -> None:
        """Raise PolicyError if the policy has a log that cannot be written."""
        if policy.log:
            with _open_log(policy):
                pass

    def log(self, turn: Turn, policy: Policy) -> None:
        """Add a turn to the teacher's log, if the policy has one."""
        if policy.log:
            record = {**identity_record(turn), **outcome_record(turn.reply)}
            with _open_log(policy) as file:
                file.write(json.dumps(record) + "\n")


@contextmanager
def _open_log(policy: Policy) -> Iterator[IO[str]]:
    try:
        user = re.sub(r"[^\w.-]+", "_", getpass.getuser())
    except (KeyError, OSError):  # a container's user without a name
        user = "user"
    folder = Path(policy.log or "").expanduser()
    # Other students must not read the log, nor redirect it with a link, nor stop us with a pipe
    # that nobody reads.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{user}.jsonl", flags, 0o660)
        with open(descriptor, "a", encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            yield file
    except OSError as error:
        raise PolicyError(
            f"{policy.source_names} logs turns in {one_line(folder, 120)}, which cannot be "
            f"written ({error.strerror}). Ask your teacher."
        ) from None


def _identify(path: Path) -> Path:
    """Return the absolute path that stands for a file, by whichever links its folder was reached.

    A link in the place of the file itself is not followed: when it leads to a new version of the
    file, what was spent under the old one still counts.
    """
    return Path(os.path.realpath(path.parent), path.name)


def _read(path: Path, *, narrowing: bool) -> Policy:
    try:
        rules = read_toml(path)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or one_line(error, 120)
        raise PolicyError(
            f"The policy {one_line(path, 160)} cannot be read ({reason}). Nothing was sent: ask "
            "your teacher."
        ) from None
    return parse_policy(rules, str(path), narrowing=narrowing)
