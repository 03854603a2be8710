"""What a format is to the rest of the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pxm2mesh.errors import DataError
from pxm2mesh.io._image import Image


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        open: From a path, and the path inside of the file where it has one; reads values only where the
            format does not allow to read parts of them.
        write: To a path, slab by slab where the format allows it; None for what is only read.
        write_beside: A second file that goes with it.
    """

    open: Callable[[Path, str], Image]
    write: Callable[[Image, Path], None] | None = None
    write_beside: Callable[[Image, Path], None] | None = None


def as_stack(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(z, y, x) of what a file holds: a single slice becomes a stack, axes of length 1 in front go.

    Raises:
        DataError: It is no stack of slices.
    """
    kept = tuple(int(n) for n in shape)
    while len(kept) > 3 and kept[0] == 1:
        kept = kept[1:]
    if len(kept) == 2:
        kept = (1, *kept)
    if len(kept) != 3:
        raise DataError(f"holds an array of shape {shape}, not slices of one channel.")
    return kept[0], kept[1], kept[2]


def choose(path: Path, wanted: str, found: list[str]) -> str:
    """The name of the one array to read.

    Args:
        path: Of the file.
        wanted: What was asked for, or nothing.
        found: Names of the volumes in the file.

    Raises:
        DataError: It is not there, or there are several and none was named.
    """
    names = [name.strip("/") for name in found]
    if wanted and wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    listed = ", ".join(sorted(names)) or "none"
    if wanted:
        raise DataError(f"{path} has no volume {wanted!r};", hint=f"volumes: {listed}.")
    raise DataError(
        f"{path} holds {len(names)} volumes ({listed});", hint=f'name one, "{path.name}::/{listed}".'
    )
