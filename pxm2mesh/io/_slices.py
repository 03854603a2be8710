"""Folders of slices, one image a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError
from pxm2mesh.io._image import Image

_SUFFIXES = (".tif", ".tiff", ".png")


def read_folder(folder: Path) -> Image:
    """Stack the slices of a folder along z, in the order of the numbers in their names.

    Args:
        folder: Holds TIFF or PNG files; other files are passed over.

    Returns:
        Values (x, y, z), and the spacing where the slices state one.

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
    values = np.empty((*first.values.shape[:2], len(files)), dtype=first.values.dtype)
    for index, file in enumerate(files):
        values[:, :, index] = _matching(_slice(file).values, first.values, file, files[0])
    image = Image(values, first.spacing, first.origin, first.phases)
    return image


def _slice(file: Path) -> Image:
    from pxm2mesh.io.images import read_image

    return read_image(file)


def _matching(
    values: npt.NDArray[np.generic], first: npt.NDArray[np.generic], file: Path, other: Path
) -> npt.NDArray[np.generic]:
    if values.shape[2] != 1:
        raise DataError(
            f"{file} holds {values.shape[2]} slices;", hint="read it as a stack, or keep one slice a file."
        )
    if values.shape != first.shape:
        raise DataError(
            f"slices of unequal size: {file.name} has {values.shape[0]} × {values.shape[1]} pixels, "
            f"{other.name} {first.shape[0]} × {first.shape[1]};",
            hint="crop them alike.",
        )
    if values.dtype != first.dtype:
        raise DataError(
            f"slices of unequal type: {file.name} has {values.dtype}, {other.name} {first.dtype};",
            hint="convert them alike.",
        )
    return values[:, :, 0]


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
    usual = int(np.bincount(np.abs(steps)).argmax())
    if usual and np.any(steps != usual):
        at = int(np.argmax(steps != usual))
        raise DataError(
            f"{folder}: the slices jump from {files[at].name} to {files[at + 1].name};",
            hint="add the missing slices, or renumber the files if none is missing.",
        )
