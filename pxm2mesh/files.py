"""Files that are whole or absent: written beside, then renamed."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pxm2mesh.errors import DataError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` (same suffixes) that takes its place when the block ends well.

    Args:
        path: The final file or folder. Missing parent folders are made.

    Yields:
        Where to write. Whatever is there at an error is removed.

    Raises:
        DataError: The place is not writable or the disk is full.
    """
    final = Path(path)
    writer = f"{os.getpid()}@{platform.node()}"
    part = final.with_name(f".{writer}.part.{final.name}")
    old = final.with_name(f".{writer}.old.part.{final.name}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _clear_after_the_dead(final)
        yield part
        if final.is_dir() and part.is_dir():  # folders cannot be replaced in one step
            os.replace(final, old)
        os.replace(part, final)
    except OSError as error:
        raise as_data_error(error, final) from error
    finally:
        _remove(part)
        _put_back_or_remove(old, final)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _put_back_or_remove(old: Path, final: Path) -> None:
    if old.exists() and not final.exists():  # it ended between the two steps
        os.replace(old, final)
    _remove(old)


def _clear_after_the_dead(final: Path) -> None:
    """Tidy up after writers of the same file that were killed on this machine."""
    for place in final.parent.glob(f".*.part.{glob.escape(final.name)}"):
        writer, _, machine = place.name[1:].partition(".part.")[0].removesuffix(".old").partition("@")
        if writer.isdigit() and machine == platform.node() and not _runs(int(writer)):
            _put_back_or_remove(place, final) if ".old.part." in place.name else _remove(place)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs under another user
        return True
    return True


def as_data_error(error: OSError, path: Path | str | None = None) -> DataError:
    """An error of the operating system, told as one of ours.

    Args:
        error: What happened.
        path: The file it is about; the one that ``error`` names when None.

    Returns:
        The error to raise.
    """
    place = path if path is not None else error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"no space left on the disk while writing {place};", hint="free some or write elsewhere."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(
            f"not allowed to use {place};", hint="choose another place or change its permissions."
        )
    return DataError(f"cannot use {place}: {error.strerror or error}.")


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as JSON (UTF-8, two-space indent, keys in the given order), whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
