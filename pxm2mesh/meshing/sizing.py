"""Edge lengths inside the regions, and what a mesh will cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing.gmsh_mesher import SizeField
from pxm2mesh.meshing.options import Sizing
from pxm2mesh.surface import SurfaceLattice


def size_field(lattice: SurfaceLattice, sizing: Sizing, cell_size: float) -> SizeField:
    """Wanted edge length at every cell centre of the lattice: near + growth × distance, up to far.

    Args:
        lattice: The cells and their regions.
        sizing: What is wanted.
        cell_size: µm.

    Returns:
        The field.
    """
    import edt

    near, far = sizing.lengths(cell_size)
    shape = np.array(lattice.cells.shape)
    box = np.array(lattice.volume.shape) * lattice.volume.spacing
    spacing = box / shape
    distance = edt.edt(
        np.ascontiguousarray(lattice.cells).astype(np.uint32),
        anisotropy=tuple(spacing.tolist()),
        black_border=True,
        parallel=2,
    ).astype(np.float64)
    distance -= 0.5 * spacing.mean()  # from the cell's centre to the face, not to the next centre
    size = near + sizing.growth * np.maximum(distance - cell_size, 0.0)
    if sizing.across > 1:
        size = np.minimum(size, np.maximum(_half_width(distance) * 2.0 / sizing.across, 0.5 * cell_size))
    size = np.minimum(size, far)
    return SizeField(_smoothed(size, sizing.growth, spacing), lattice.volume.origin + spacing / 2, spacing)


def _half_width(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half the local thickness: the largest distance within reach of it, spread over the lattice.

    A greyscale dilation by growing cubes stands in for the inscribed balls of the exact local thickness.
    """
    from scipy import ndimage

    width = distance.copy()
    for _ in range(3):
        width = np.maximum(width, ndimage.maximum_filter(width, size=3))
    return np.asarray(width)


def _smoothed(size: npt.NDArray[np.float64], growth: float, spacing: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """No steeper than ``growth`` along any axis (two passes there and back)."""
    out = size.copy()
    slope = max(growth, 0.05)
    for axis in range(3):
        step = slope * spacing[axis]
        moved = np.moveaxis(out, axis, 0)
        for i in range(1, len(moved)):
            np.minimum(moved[i], moved[i - 1] + step, out=moved[i])
        for i in range(len(moved) - 2, -1, -1):
            np.minimum(moved[i], moved[i + 1] + step, out=moved[i])
    return out
