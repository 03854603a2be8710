"""A volume as a folder of slices, as microscopes and reconstruction programs leave it."""

from __future__ import annotations

import os
from pathlib import Path

from pxm2mesh.errors import UsageError
from pxm2mesh.io.images import write_volume
from pxm2mesh.volume import GreyVolume, LabelVolume


def write_slices(volume: LabelVolume | GreyVolume, folder: str | os.PathLike[str]) -> list[Path]:
    """Write one TIFF for each slice across z: ``slice_0000.tif`` and so on.

    Args:
        volume: Labels or grey values.
        folder: Made where it is missing; it may not hold slices already.

    Returns:
        The files, in order.

    Raises:
        UsageError: There are TIFF files in the folder.
        DataError: The place cannot be written.

    Example:
        >>> write_slices(volume, "slices")  # doctest: +SKIP
    """
    place = Path(folder)
    if place.is_dir() and any(place.glob("*.tif")):
        raise UsageError(f"{place} holds slices already;", hint="name another folder.")
    place.mkdir(parents=True, exist_ok=True)
    values = volume.values if isinstance(volume, GreyVolume) else volume.labels
    files = []
    for k in range(values.shape[2]):
        plane = values[:, :, k : k + 1]
        one = (
            GreyVolume(plane, volume.spacing)
            if isinstance(volume, GreyVolume)
            else LabelVolume(plane, volume.phases, volume.spacing)
        )
        files.append(place / f"slice_{k:04d}.tif")
        write_volume(one, files[-1])
    return files
