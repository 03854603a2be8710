"""Folders of slices, one image a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io._image import Image
from pxm2mesh.io._source import Source, Window

_SUFFIXES = (".tif", ".tiff", ".png")


def open_folder(folder: Path) -> Image:
    """Stack the slices of a folder along z, in the order of the numbers in their names.

    Args:
        folder: Holds TIFF or PNG files; other files are passed over.

    Returns:
        Values (x, y, z) to be read, and the spacing where the slices state one.

    Raises:
        DataError: No slices, a number missing in the sequence, slices of unequal size or type.
    """
    files = sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")),
        key=lambda p: _natural(p.name),
    )
    if not files:
        raise DataError(
            f"{folder} holds no {', '.join(_SUFFIXES)} files;", hint="name the folder of the slices."
        )
    _refuse_gaps(folder, files)
    first = _slice(files[0])
    for file in files[1:]:
        _refuse_unlike(_slice(file), first, file, files[0])
    _refuse_unlike(first, first, files[0], files[0])
    nx, ny, _ = first.values.shape

    def read(window: Window) -> npt.NDArray[Any]:
        x, y, z = window
        out = np.empty((z.stop - z.start, y.stop - y.start, x.stop - x.start), first.dtype)
        for place, file in enumerate(files[z]):
            out[place] = np.asarray(_slice(file).values[x, y, :])[:, :, 0].T
        return out.transpose(2, 1, 0)

    source = Source(str(folder), (nx, ny, len(files)), first.dtype, (nx, ny, 1), read)
    return Image(source, first.spacing, first.origin, first.phases)


def _slice(file: Path) -> Image:
    from pxm2mesh.io.images import open_image

    return open_image(file)


def _refuse_unlike(image: Image, first: Image, file: Path, other: Path) -> None:
    shape, wanted = image.values.shape, first.values.shape
    if shape[2] != 1:
        raise DataError(
            f"{file} holds {shape[2]} slices;", hint="read it as a stack, or keep one slice a file."
        )
    if shape != wanted:
        raise DataError(
            f"slices of unequal size: {file.name} has {shape[0]} × {shape[1]} pixels, "
            f"{other.name} {wanted[0]} × {wanted[1]};",
            hint="crop them alike.",
        )
    if image.dtype != first.dtype:
        raise DataError(
            f"slices of unequal type: {file.name} has {image.dtype}, {other.name} {first.dtype};",
            hint="convert them alike.",
        )


def _natural(name: str) -> list[tuple[int, int | str]]:
    """slice_2 before slice_10."""
    return [(0, int(part)) if part.isdigit() else (1, part.lower()) for part in re.split(r"(\d+)", name)]


def _refuse_gaps(folder: Path, files: list[Path]) -> None:
    """The last number of the names must count up by a constant step."""
    found = [re.findall(r"\d+", p.stem) for p in files]
    if len(files) < 3 or any(not numbers for numbers in found):
        return
    numbers = [int(n[-1]) for n in found]
    steps = np.diff(numbers)
    kinds, counts = np.unique(np.abs(steps), return_counts=True)
    usual = int(kinds[counts.argmax()])
    if usual and np.any(steps != usual):
        at = int(np.argmax(steps != usual))
        raise DataError(
            f"{folder}: the slices jump from {files[at].name} to {files[at + 1].name};",
            hint="add the missing slices, or renumber the files if none is missing.",
        )
