"""Image files: the only home of their formats.

Slices stack along z; the first axis of a slice is y, the second x. In memory arrays are indexed (x, y, z).
`open_volume` leaves the voxels in the file until a part of them is asked for; `read_volume` and `read_grey`
read no more of it than they are asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, Pxm2meshError, UsageError, did_you_mean
from pxm2mesh.files import replacing
from pxm2mesh.io._format import Format
from pxm2mesh.io._image import Image
from pxm2mesh.io._image_formats import FORMATS
from pxm2mesh.io._slices import open_folder
from pxm2mesh.io._source import unreadable
from pxm2mesh.io._vti import CellArray, write_image_data
from pxm2mesh.io.lazy import VolumeOnDisk
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import (
    GreyVolume,
    LabelVolume,
    SpacingLike,
    box_window,
    parse_spacing,
    refuse_odd_spacing,
)

logger = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
Corners = tuple[Sequence[int], Sequence[int]]
Table = PhaseTable | dict[str, int]


def read_volume(
    path: PathLike,
    phases: Table | None = None,
    *,
    spacing: SpacingLike | None = None,
    origin: Sequence[float] | None = None,
    crop: Corners | None = None,
    bin: int = 1,
) -> LabelVolume:
    """Read a segmented volume.

    Args:
        path: A folder of TIFF or PNG slices, ``.tif``, ``.png``, ``.npy``, ``.npz``, ``.raw`` with its
            sidecar, ``.h5`` (``file.h5::/path`` where it holds several arrays), ``.vti``, ``.nrrd``,
            ``.nii``, ``.zarr``.
        phases: What the labels stand for; may be left out for a file that `write_volume` wrote.
        spacing: Edge lengths of a voxel of the file, such as ``"0.4 um"``; needed where the file has none,
            and it wins over the file's.
        origin: (3,) µm; the file's, else 0, when None.
        crop: First voxel and one past the last, ``((0, 0, 0), (100, 100, 100))``; nothing else is read.
        bin: Make one voxel of blocks of this many per axis, by the majority of their labels.

    Returns:
        The volume; particle ids are kept in ``.npz``, unless binned.

    Raises:
        DataError: Unreadable or damaged file, values that are not labels, or a label without a phase.
        UsageError: No spacing or no phases anywhere, or a file of an unknown format.

    Example:
        >>> volume = read_volume("cathode.tif", {"void": 0, "NMC": 1}, spacing="0.4 um")  # doctest: +SKIP
    """
    image = open_image(path)
    table = _table(path, image, phases)
    if bin != 1:
        if image.particles is not None:
            logger.warning("%s: particle ids are left out, as the labels are binned.", path)
        volume = _on_disk(path, image, spacing, origin, table)
        volume = (volume if crop is None else volume.crop(*crop)).binned(bin)
        image = replace(image, particles=None)
        values, step, corner = np.asarray(volume.values), volume.spacing, volume.origin
    else:
        image, step, corner = _part(path, image, spacing, origin, crop)
        values = image.array
    try:
        return LabelVolume(values, table, step, corner, image.particles)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from None


def read_grey(
    path: PathLike,
    *,
    spacing: SpacingLike | None = None,
    origin: Sequence[float] | None = None,
    crop: Corners | None = None,
    bin: int = 1,
) -> GreyVolume:
    """Read a scan; also ``.txm`` and ``.txrm``; arguments and errors as in `read_volume`, bins by the mean."""
    image = open_image(path)
    if bin != 1:
        volume = _on_disk(path, image, spacing, origin, None)
        found = (volume if crop is None else volume.crop(*crop)).binned(bin).load()
        assert isinstance(found, GreyVolume)
        return found
    image, step, corner = _part(path, image, spacing, origin, crop)
    return GreyVolume(image.array, step, corner)


def open_volume(
    path: PathLike,
    phases: Table | None = None,
    *,
    spacing: SpacingLike | None = None,
    origin: Sequence[float] | None = None,
) -> VolumeOnDisk:
    """Open a volume that may be larger than memory; crop or bin it before it is read.

    Args:
        path: As in `read_volume`.
        phases: What the labels stand for; the file's own when None, and none for grey values.
        spacing: As in `read_volume`.
        origin: As in `read_volume`.

    Returns:
        The volume, still in its file. ``.npz``, ``.nii.gz``, compressed ``.nrrd`` and ``.vti`` files of
        other programs cannot be read in parts and are read as a whole.

    Raises:
        DataError: Missing or damaged file.
        UsageError: No spacing anywhere, or a file of an unknown format.

    Example:
        >>> scan = open_volume("scan.h5", spacing="0.65 um")  # doctest: +SKIP
        >>> part = scan.crop((0, 0, 500), (2000, 2000, 700)).binned(2).load()  # doctest: +SKIP
    """
    image = open_image(path)
    table = image.phases if phases is None else _table(path, image, phases)
    return _on_disk(path, image, spacing, origin, table)


def open_image(path: PathLike) -> Image:
    """Look at a file of a known format: what it says of its values, which stay where they are if they can.

    Args:
        path: As in `read_volume`.

    Returns:
        Values (x, y, z) to be read and what the file knows about them.

    Raises:
        DataError: Missing, damaged or not three-dimensional.
        UsageError: Unknown format.
    """
    file, _, inner = str(path).partition("::")
    place = Path(file)
    if not place.exists():
        raise DataError(f"there is no file {place};", hint="check the path.")
    if place.is_dir() and place.suffix != ".zarr":
        return open_folder(place)
    form = _format(place)
    if place.is_file() and place.stat().st_size == 0:
        raise DataError(f"{place} is empty;", hint="copy it again.")
    try:
        image = form.open(place, inner)
    except (Pxm2meshError, MemoryError):
        raise
    except Exception as error:  # every reader has its own kinds of complaint about damaged files
        raise unreadable(place, error) from error
    if image.values.ndim != 3 or 0 in image.values.shape:
        raise DataError(f"{path} holds an array of shape {image.values.shape}, not a volume.")
    return image


def read_image(path: PathLike) -> Image:
    """Read whatever a file of a known format says: as `open_image`, with the values in memory."""
    return open_image(path).loaded()


def write_volume(volume: LabelVolume | GreyVolume | VolumeOnDisk, path: PathLike) -> None:
    """Write a volume in the format of the suffix, with spacing, origin and phases where it has room for them.

    Args:
        volume: Labels or grey values; a volume on disk is written a few slices at a time, except to
            ``.npy``, ``.npz`` and ``.nii``.
        path: Ends in ``.tif``, ``.npy``, ``.npz``, ``.raw``, ``.h5``, ``.vti``, ``.nrrd``, ``.nii``,
            ``.nii.gz`` or ``.zarr``; whole or not at all.

    Raises:
        UsageError: Unknown format, or one that is only read.
        DataError: The place cannot be written.
    """
    place = Path(path)
    form = _format(place)
    if form.write is None:
        raise UsageError(f"{place.suffix} files are only read;", hint='write ".tif", ".npz" or ".vti".')
    if isinstance(volume, VolumeOnDisk):
        image = Image(volume.values, volume.spacing, volume.origin, volume.phases)
    else:
        image = Image.of(volume)
    with replacing(place) as part:
        form.write(image, part)
    if form.write_beside is not None:
        form.write_beside(image, place)


def write_fields(
    path: PathLike,
    fields: Mapping[str, npt.NDArray[Any]],
    *,
    spacing: npt.NDArray[np.float64],
    origin: npt.NDArray[np.float64],
) -> None:
    """Write values per voxel for ParaView and other programs that read VTK files.

    Args:
        path: ``.vti``; whole or not at all.
        fields: (nx, ny, nz) arrays by name, with the unit in the name: ``"local_thickness [um]"``.
        spacing: (3,) µm.
        origin: (3,) µm.

    Raises:
        UsageError: Another suffix.
        DataError: The place cannot be written.
    """
    place = Path(path)
    if place.suffix.lower() != ".vti":
        raise UsageError(f"{place.name}: fields are written as .vti;", hint="choose that suffix.")
    shape = next(iter(fields.values())).shape
    arrays = {name: CellArray.of(values) for name, values in fields.items()}
    with replacing(place) as part:
        write_image_data(part, shape, arrays, spacing=spacing.tolist(), origin=origin.tolist())


def _format(place: Path) -> Format:
    name = place.name.lower()
    for suffix, form in FORMATS.items():
        if name.endswith(suffix):
            return form
    hint = did_you_mean(place.suffix, FORMATS) if place.suffix else "known: " + ", ".join(FORMATS) + "."
    raise UsageError(f"{place}: unknown image format {place.suffix!r};", hint=hint)


def _table(path: PathLike, image: Image, phases: Table | None) -> PhaseTable:
    if phases is not None:
        return phases if isinstance(phases, PhaseTable) else PhaseTable(phases)
    if image.phases is None:
        raise UsageError(
            f"{path} does not say what its labels stand for;", hint='give the phases, "void=0,NMC=1".'
        )
    return image.phases


def _part(
    path: PathLike,
    image: Image,
    spacing: SpacingLike | None,
    origin: Sequence[float] | None,
    crop: Corners | None,
) -> tuple[Image, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A box of an image in memory, with its spacing and origin."""
    step = _spacing(path, image, spacing)
    corner = image.origin if origin is None else np.asarray(origin, dtype=np.float64)
    if crop is None:
        return image.loaded(), step, corner
    window = box_window(*crop, image.values.shape)
    return image.loaded(window), step, corner + np.array([part.start for part in window]) * step


def _on_disk(
    path: PathLike,
    image: Image,
    spacing: SpacingLike | None,
    origin: Sequence[float] | None,
    phases: PhaseTable | None,
) -> VolumeOnDisk:
    known = replace(image, spacing=_spacing(path, image, spacing), phases=phases)
    if origin is not None:
        known = replace(known, origin=np.asarray(origin, dtype=np.float64))
    return VolumeOnDisk.of_image(known)


def _spacing(path: PathLike, image: Image, given: SpacingLike | None) -> npt.NDArray[np.float64]:
    if given is None:
        if image.spacing is None:
            raise UsageError(
                f"{path} does not state its voxel spacing;", hint='give it, for example "0.4 um".'
            )
        refuse_odd_spacing(image.spacing, f"{path} states a")
        return image.spacing
    chosen = parse_spacing(given)
    if image.spacing is not None and not np.allclose(chosen, image.spacing, rtol=1e-3):
        logger.warning("%s states a spacing of %s µm; the given %s µm is used.", path, image.spacing, chosen)
    return chosen
