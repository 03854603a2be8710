"""Which part of a phase hangs together, and which part leads from one side of the box to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.quantify.areas import phase_index
from pxm2mesh.volume import LabelVolume

AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class Components:
    """The face-connected pieces of every phase; particle ids play no part.

    Attributes:
        ids: (nx, ny, nz) uint32, 1…n.
        phase: (n + 1,) position of each piece's phase in the phase table; ``[0]`` is −1.
        voxels: (n + 1,) size of each piece; ``[0]`` is 0.
        touches: (n + 1, 6) whether a piece reaches the box faces x-, x+, y-, y+, z-, z+.
    """

    ids: npt.NDArray[np.uint32]
    phase: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]
    touches: npt.NDArray[np.bool_]

    def percolating(self, axis: int) -> npt.NDArray[np.bool_]:
        """(n + 1,) whether a piece reaches both box faces across ``axis``."""
        return np.asarray(self.touches[:, 2 * axis] & self.touches[:, 2 * axis + 1])


def find_components(volume: LabelVolume) -> Components:
    """Label the 6-connected pieces of all phases in one pass.

    Args:
        volume: The sample.

    Returns:
        Its pieces.

    References:
        W. Silversmith, cc3d: connected components on multilabel 3D images (2021).
    """
    import cc3d

    from pxm2mesh.quantify import _component_kernels as kernels

    phase = phase_index(volume)
    keys = (
        phase.astype(np.uint8 if len(volume.phases) < 255 else np.uint32) + 1
    )  # cc3d takes 0 for background
    ids: npt.NDArray[np.uint32] = np.asarray(
        cc3d.connected_components(keys, connectivity=6, out_dtype=np.uint32), dtype=np.uint32
    )
    count = int(ids.max())
    phase_of = np.full(count + 1, -1, np.int64)
    voxels = np.zeros(count + 1, np.int64)
    kernels.tabulate(ids, phase, phase_of, voxels)
    touches = np.zeros((count + 1, 6), bool)
    for axis in range(3):
        for end in (0, 1):
            touches[np.unique(ids.take(-end, axis)), 2 * axis + end] = True
    for array in (ids, phase_of, voxels, touches):
        array.flags.writeable = False
    return Components(ids, phase_of, voxels, touches)
