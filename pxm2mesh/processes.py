"""Processes of our own that end when we do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

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
