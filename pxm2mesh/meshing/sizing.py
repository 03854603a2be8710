"""Edge lengths inside the regions: fine at interfaces and in gaps, coarse inside, graded between."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing.gmsh_mesher import SizeField
from pxm2mesh.meshing.options import Sizing
from pxm2mesh.surface import SurfaceLattice


def size_field(lattice: SurfaceLattice, sizing: Sizing, cell_size: float) -> SizeField:
    """Wanted edge length at every cell centre of the lattice.

    Args:
        lattice: The cells and their regions.
        sizing: What is wanted.
        cell_size: µm.

    Returns:
        The field.
    """
    shape = np.array(lattice.cells.shape)
    spacing = np.array(lattice.volume.shape) * lattice.volume.spacing / shape
    distance = distances(lattice.cells.astype(np.uint32), spacing)
    size = _no_steeper(sizes_inside(distance, sizing, cell_size), sizing.growth, spacing)
    return SizeField(size, lattice.volume.origin + spacing / 2, spacing)


def distances(labels: npt.NDArray[np.uint32], spacing: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of every cell centre to the nearest interface or box face.

    Args:
        labels: (a, b, c) positive numbers of what each cell belongs to.
        spacing: (3,) µm.

    Returns:
        (a, b, c) µm.
    """
    import edt

    found = edt.edt(
        np.ascontiguousarray(labels), anisotropy=tuple(spacing.tolist()), black_border=True, parallel=1
    )
    return np.asarray(found, np.float64) - 0.5 * float(spacing.mean())  # to the face, not to the next centre


def sizes_inside(
    distance: npt.NDArray[np.float64], sizing: Sizing, cell_size: float
) -> npt.NDArray[np.float64]:
    """Near + growth × distance, limited by the width of gaps and by far.

    Args:
        distance: To the nearest interface, µm.
        sizing: What is wanted.
        cell_size: µm.

    Returns:
        Edge lengths, µm, in the shape of ``distance``.
    """
    near, far = sizing.lengths(cell_size)
    size = near + sizing.growth * np.maximum(distance - cell_size, 0.0)
    if sizing.across > 1:
        size = np.minimum(size, np.maximum(2.0 * _half_width(distance) / sizing.across, 0.5 * cell_size))
    return np.asarray(np.minimum(size, far))


def _half_width(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half the local thickness: the largest distance within three cells.

    A growing cube stands in for the inscribed balls of the exact local thickness; where a region is wider
    than that, the limit does not matter.
    """
    from scipy import ndimage

    width = distance
    for _ in range(3):
        width = ndimage.maximum_filter(width, size=3)
    return np.asarray(width)


def _no_steeper(
    size: npt.NDArray[np.float64], growth: float, spacing: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """No steeper than ``growth`` along any axis."""
    out = size.copy()
    slope = max(growth, 0.05)
    for axis in range(3):
        step = slope * spacing[axis]
        planes = np.moveaxis(out, axis, 0)
        for i in range(1, len(planes)):
            np.minimum(planes[i], planes[i - 1] + step, out=planes[i])
        for i in range(len(planes) - 2, -1, -1):
            np.minimum(planes[i], planes[i + 1] + step, out=planes[i])
    return out
