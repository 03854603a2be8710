"""Processes of our own that end when we do, and our own end when somebody asks for it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Never

# Started between us and the program: asks the system to end it when we end, however we end (Linux; elsewhere it only
# starts the program).
_LEASH = (
    "import ctypes, os, signal, sys\n"
    "prctl = getattr(ctypes.CDLL(None), 'prctl', None)\n"
    "prctl and prctl(1, signal.SIGTERM)\n"
    "os.getppid() == int(sys.argv[1]) and os.execvp(sys.argv[2], sys.argv[2:])\n"
)


def leashed(command: Sequence[str]) -> list[str]:
    r"""A command that starts ``command`` and ends with this process, also when that is killed.

    Args:
        command: Program and arguments.

    Returns:
        Program and arguments; process id and exit code are those of ``command``.

    Example:
        >>> import subprocess
        >>> subprocess.run(leashed(["echo", "hello"]), capture_output=True, text=True).stdout
        'hello\n'
    """
    return [sys.executable, "-S", "-c", _LEASH, str(os.getpid()), *command]


class Terminated(KeyboardInterrupt):
    """SIGTERM, as from ``kill`` or a batch system: what is open is closed as after Ctrl-C."""


def end_on_request() -> None:
    """Let SIGTERM raise `Terminated`, also when it is sent to the private user space that this process was started in.

    There ``kill PID`` reaches bubblewrap, which ends at once and would leave this process alone.
    """
    signal.signal(signal.SIGTERM, _terminate)
    parent = os.getppid()
    if _name_of(parent) == "bwrap":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            raise Terminated


def _terminate(signum: int, frame: object) -> Never:
    raise Terminated


def _name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:  # not Linux
        return ""
