"""Regions: the face-connected pieces of each phase, one id each.

A closed pore and an open one are two regions of the phase "void". Surfaces and meshes carry regions,
because a mesher that is given one volume per phase puts the inside of closed pores into the wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pxm2mesh.phases import PhaseTable
from pxm2mesh.volume import LabelVolume

OUTSIDE = -1
"""Stands in ``region_phase[0]``: region 0 is the outside of the box and has no phase."""


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a volume.

    Attributes:
        ids: (nx, ny, nz) int32, 1…n in the order of their first voxel.
        phase: (n + 1,) int32 label of each region; ``phase[0]`` is `OUTSIDE`.
        voxels: (n + 1,) int64 voxels of each region; ``voxels[0]`` is 0.
        phases: The phase table.
    """

    ids: npt.NDArray[np.int32]
    phase: npt.NDArray[np.int32]
    voxels: npt.NDArray[np.int64]
    phases: PhaseTable

    @property
    def count(self) -> int:
        """Number of regions."""
        return len(self.phase) - 1

    def of(self, name: str) -> npt.NDArray[np.int64]:
        """Ids of the regions of the named phase."""
        return np.flatnonzero(self.phase == self.phases[name].label)


def find_regions(volume: LabelVolume) -> Regions:
    """Label the 6-connected components of every phase (and of every particle id, where there are some).

    Args:
        volume: The sample.

    Returns:
        Its regions.

    References:
        W. Silversmith, cc3d: connected components on multilabel 3D images (2021).
    """
    import cc3d

    if volume.particles is None:
        keys: npt.NDArray[np.uint32] = volume.labels.astype(np.uint32) + 1
    else:  # one key per (phase, particle)
        stride = np.uint64(int(volume.labels.max()) + 1)
        pairs = volume.particles.astype(np.uint64) * stride + volume.labels
        keys = (np.unique(pairs, return_inverse=True)[1].reshape(volume.shape) + 1).astype(np.uint32)
    raw = cc3d.connected_components(keys, connectivity=6, out_dtype=np.uint32).ravel(order="C")
    first = np.full(int(raw.max()) + 1, -1, dtype=np.int64)
    first[raw[::-1]] = np.arange(raw.size - 1, -1, -1)
    present = np.flatnonzero(first >= 0)
    order = present[np.argsort(first[present])]
    rank = np.zeros(len(first), dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    ids = rank[raw].reshape(volume.shape)
    phase = np.concatenate([[OUTSIDE], volume.labels.ravel()[first[order]]]).astype(np.int32)
    voxels = np.bincount(ids.ravel(), minlength=len(phase)).astype(np.int64)
    for array in (ids, phase, voxels):
        array.flags.writeable = False
    return Regions(ids, phase, voxels, volume.phases)
