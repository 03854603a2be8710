"""The run folder: one run at a time, no leavings of an interrupted one, a log."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxm2mesh.errors import UsageError
from pxm2mesh.files import as_data_error

LOCK = ".lock"
_WAIT = 30.0


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the folder for this process and the solver it starts.

    The lock ends with the last process that has it open, so a run that was killed leaves none behind,
    but its solver, which takes a moment to notice, is waited for.

    Args:
        folder: The run folder; made where it is missing.

    Yields:
        The open file, to be handed to the solver.

    Raises:
        UsageError: Another run is at work in the folder.
        DataError: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise as_data_error(error, folder) from error
    try:
        _take(handle, folder)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        _sweep(folder)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    give_up = time.monotonic() + _WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            owner = os.pread(handle, 20, 0).decode(errors="replace").strip()
            alive = owner.isdigit() and Path(f"/proc/{owner}").exists()
            if alive or time.monotonic() > give_up:
                raise UsageError(
                    f"another run (process {owner or 'unknown'}) is at work in {folder};",
                    hint="wait for it to end, or choose another output folder.",
                ) from None
            time.sleep(0.1)


def _sweep(folder: Path) -> None:
    """Remove what an interrupted run was about to put in place."""
    import shutil

    inner = [
        part for part in folder.glob("*/.*.part*") if not (part.parent / LOCK).exists()
    ]  # a case at work
    for part in [*folder.glob(".*.part*"), *inner]:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append what the package logs, from INFO on, to ``path``."""
    logger = logging.getLogger("pxm2mesh")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.INFO)
    before = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        why = str(error) or type(error).__name__
        handler.handle(logger.makeRecord(logger.name, logging.ERROR, "", 0, "ended early: %s", (why,), None))
        raise
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
