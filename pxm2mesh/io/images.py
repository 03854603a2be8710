"""Image files: the only home of their formats.

Slices stack along z; the first axis of a slice is y, the second x. In memory arrays are indexed (x, y, z).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import DataError, UsageError, did_you_mean
from pxm2mesh.files import replacing
from pxm2mesh.io._image import Image
from pxm2mesh.io._image_formats import FORMATS, Format
from pxm2mesh.io._slices import read_folder
from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import GreyVolume, LabelVolume, SpacingLike, parse_spacing

logger = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
Corners = tuple[Sequence[int], Sequence[int]]


def read_volume(
    path: PathLike,
    phases: PhaseTable | dict[str, int] | None = None,
    *,
    spacing: SpacingLike | None = None,
    origin: Sequence[float] | None = None,
    crop: Corners | None = None,
) -> LabelVolume:
    """Read a segmented volume.

    Args:
        path: A folder of TIFF or PNG slices, ``.tif``, ``.png``, ``.npy``, ``.npz``, ``.raw`` with its
            sidecar, ``.h5`` (``file.h5::/path`` where it holds several arrays), ``.vti``, ``.nrrd``,
            ``.nii``, ``.zarr``.
        phases: What the labels stand for; may be left out for a file that `write_volume` wrote.
        spacing: Edge lengths of a voxel, such as ``"0.4 um"``; needed where the file has none, and it
            wins over the file's.
        origin: (3,) µm; the file's, else 0, when None.
        crop: First voxel and one past the last, ``((0, 0, 0), (100, 100, 100))``.

    Returns:
        The volume; particle ids are kept in ``.npz``.

    Raises:
        DataError: Unreadable or damaged file, values that are not labels, or a label without a phase.
        UsageError: No spacing or no phases anywhere, or a file of an unknown format.

    Example:
        >>> volume = read_volume("cathode.tif", {"void": 0, "NMC": 1}, spacing="0.4 um")  # doctest: +SKIP
    """
    image = read_image(path)
    if phases is None and image.phases is None:
        raise UsageError(
            f"{path} does not say what its labels stand for;", hint='give the phases, "void=0,NMC=1".'
        )
    table = (
        image.phases if phases is None else phases if isinstance(phases, PhaseTable) else PhaseTable(phases)
    )
    assert table is not None
    step = _spacing(path, image, spacing)
    corner = image.origin if origin is None else np.asarray(origin, dtype=np.float64)
    try:
        volume = LabelVolume(image.values, table, step, corner, image.particles)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from None
    return volume if crop is None else volume.crop(*crop)


def read_grey(
    path: PathLike,
    *,
    spacing: SpacingLike | None = None,
    origin: Sequence[float] | None = None,
    crop: Corners | None = None,
) -> GreyVolume:
    """Read a scan; arguments and errors as in `read_volume`."""
    image = read_image(path)
    values, corner = image.values, image.origin if origin is None else np.asarray(origin, dtype=np.float64)
    step = _spacing(path, image, spacing)
    if crop is not None:
        low, high = (np.asarray(c) for c in crop)
        if np.any(low < 0) or np.any(high > values.shape) or np.any(low >= high):
            raise UsageError(
                f"crop {crop} does not fit a volume of {values.shape} voxels;",
                hint=f"give first voxels from 0 on, and ends up to {list(values.shape)}.",
            )
        values = values[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        corner = corner + low * step
    return GreyVolume(values, step, corner)


def read_image(path: PathLike) -> Image:
    """Read whatever a file of a known format says: values, and spacing and phases where it has them.

    Args:
        path: As in `read_volume`.

    Returns:
        Values (x, y, z) and what the file knows about them.

    Raises:
        DataError: Missing, damaged or not three-dimensional.
        UsageError: Unknown format.
    """
    file, _, inner = str(path).partition("::")
    place = Path(file)
    if not place.exists():
        raise DataError(f"there is no file {place};", hint="check the path.")
    if place.is_dir() and place.suffix != ".zarr":
        return read_folder(place)
    form = _format(place)
    if place.is_file() and place.stat().st_size == 0:
        raise DataError(f"{place} is empty;", hint="copy it again.")
    try:
        image = form.read(place, inner)
    except (DataError, UsageError):
        raise
    except Exception as error:  # every reader has its own kinds of complaint about damaged files
        raise DataError(f"{place} cannot be read: {error};", hint="it may be damaged or cut off.") from error
    if image.values.ndim != 3 or 0 in image.values.shape:
        raise DataError(f"{path} holds an array of shape {image.values.shape}, not a volume.")
    return image


def write_volume(volume: LabelVolume | GreyVolume, path: PathLike) -> None:
    """Write a volume in the format of the suffix, with spacing, origin and phases where it has room for them.

    Args:
        volume: Labels or grey values.
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
    image = Image.of(volume)
    with replacing(place) as part:
        form.write(image, part)
    if form.write_beside is not None:
        form.write_beside(image, place)


def _format(place: Path) -> Format:
    name = place.name.lower()
    for suffix, form in FORMATS.items():
        if name.endswith(suffix):
            return form
    hint = did_you_mean(place.suffix, FORMATS) if place.suffix else "known: " + ", ".join(FORMATS) + "."
    raise UsageError(f"{place}: unknown image format {place.suffix!r};", hint=hint)


def _spacing(path: PathLike, image: Image, given: SpacingLike | None) -> npt.NDArray[np.float64]:
    if given is None:
        if image.spacing is None:
            raise UsageError(
                f"{path} does not state its voxel spacing;", hint='give it, for example "0.4 um".'
            )
        return image.spacing
    chosen = parse_spacing(given)
    if image.spacing is not None and not np.allclose(chosen, image.spacing, rtol=1e-3):
        logger.warning("%s states a spacing of %s µm; the given %s µm is used.", path, image.spacing, chosen)
    return chosen
