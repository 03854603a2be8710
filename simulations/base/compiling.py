"""Waiting for forms that another process compiles, and not for one that was killed while it did.

FFCx leaves an empty file for a form that is being compiled; others wait ten seconds for the result and then fail. On
a busy machine that is too short, and the file of a process that was killed stays for ever: every later run would
fail. Here the file belongs to a lock that the system drops with the process.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ffcx.codegeneration.jit as ffcx_jit

log = logging.getLogger(__name__)

_FOREIGN = 120
"""Seconds to wait for a program that does not use the lock."""
_held: dict[Path, int] = {}
Cached = Callable[[str, Sequence[str], Path, int], tuple[Any, Any]]


def install() -> None:
    """Make FFCx wait this way, in this process."""
    original: Cached = ffcx_jit.get_cached_module
    if getattr(original, "waits", False):
        return

    def get_cached_module(name: str, objects: Sequence[str], cache: Path, timeout: int) -> tuple[Any, Any]:
        _release()
        source = Path(cache) / f"{name}.c"
        ready, lock = source.with_suffix(".c.cached"), source.with_suffix(".lock")
        if ready.exists():
            return original(name, objects, cache, timeout)
        source.parent.mkdir(exist_ok=True, parents=True)
        ours = lock.exists()
        handle = _acquire(lock, ready)
        if handle is not None and ours and source.exists() and not ready.exists():
            _abandoned(source)
        try:
            found = original(name, objects, cache, max(timeout, _FOREIGN))
        except TimeoutError:
            _abandoned(source)
            found = original(name, objects, cache, timeout)
        if handle is not None:
            _held[lock] = handle
            if found[0] is not None:
                _release()
        return found

    get_cached_module.waits = True  # type: ignore[attr-defined]
    ffcx_jit.get_cached_module = get_cached_module


def _acquire(lock: Path, ready: Path) -> int | None:
    """The lock of a form, or None once somebody else has compiled it."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    while not ready.exists():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            time.sleep(0.1)
    os.close(handle)
    return None


def _abandoned(source: Path) -> None:
    log.warning("%s was left by a process that ended while it compiled: compiling anew", source.name)
    source.unlink(missing_ok=True)


def _release() -> None:
    """Give back the locks of what has been compiled meanwhile (or could not be)."""
    for lock, handle in list(_held.items()):
        source = lock.with_suffix(".c")
        if source.with_suffix(".c.cached").exists() or not source.exists():
            lock.unlink(missing_ok=True)
            os.close(handle)
            del _held[lock]
