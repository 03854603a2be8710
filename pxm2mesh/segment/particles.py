"""Touching particles told apart: basins of the distance map, joined where the neck is no neck."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.volume import LabelVolume

logger = logging.getLogger(__name__)


def separate_particles(
    volume: LabelVolume,
    phase: str,
    *,
    neck: float = 0.8,
    smoothing: float = 0.6,
    min_voxels: int = 8,
) -> LabelVolume:
    """Number the particles of one phase.

    The distance to the surface has a peak in every particle and a pass in every neck. Each voxel climbs
    to a peak; two basins are one particle where the pass between them is higher than ``neck`` times the
    lower of the two peaks. That measure is relative, so small and large particles are treated alike, and
    ridges of lengthy or bumpy particles, which have many peaks of nearly one height, are not cut.

    Args:
        volume: The sample; ids it has for other phases are kept.
        phase: Whose particles.
        neck: From 0 (connected is one particle) to 1 (every peak is a particle).
        smoothing: Standard deviation in voxels of the Gaussian that takes the steps of the voxels out of
            the distance map.
        min_voxels: Smaller pieces go to the neighbour with the highest pass, if they have one.

    Returns:
        The sample with ids in ``particles``: 1…n in the order of their first voxel, above those there are.

    Raises:
        UsageError: Unknown phase, or options out of range.
        DataError: The phase has no voxel.

    Example:
        >>> from pxm2mesh.phantoms import phantom
        >>> int(separate_particles(phantom("touching-balls", size=32), "NMC").particles.max())
        2

    References:
        J. T. Gostick, Phys. Rev. E 96, 023307 (2017) (SNOW: smoothed distance, peaks trimmed at saddles);
        S. Beucher and F. Meyer, in Mathematical Morphology in Image Processing (1993) (watershed, dynamics).
    """
    if not 0 <= neck <= 1 or smoothing < 0 or min_voxels < 1:
        raise UsageError(
            f"separate_particles: neck {neck:g}, smoothing {smoothing:g}, min_voxels {min_voxels};",
            hint="use 0 ≤ neck ≤ 1, smoothing ≥ 0, min_voxels ≥ 1.",
        )
    label = volume.require(phase).label
    inside = volume.labels == label
    own = _separate(inside, volume.spacing, neck, smoothing, min_voxels)
    count = int(own.max())
    logger.info("%s: %d particles", phase, count)
    ids = np.zeros(volume.shape, dtype=np.int32)
    if volume.particles is not None:
        ids[~inside] = volume.particles[~inside]
    ids[inside] = own[inside] + np.int32(ids.max())
    return LabelVolume(volume.labels, volume.phases, volume.spacing, volume.origin, ids)


def _separate(
    inside: npt.NDArray[np.bool_],
    spacing: npt.NDArray[np.float64],
    neck: float,
    smoothing: float,
    min_voxels: int,
) -> npt.NDArray[np.int32]:
    """(nx, ny, nz) ids from 1, 0 outside."""
    import cc3d
    import edt
    from scipy.ndimage import gaussian_filter

    from pxm2mesh.segment import _particle_kernels as kernels

    depth: npt.NDArray[np.float32] = edt.edt(
        inside, anisotropy=tuple(spacing), black_border=False, parallel=2
    )
    if smoothing > 0:  # outside stays outside; a particle that fills the box has an infinite distance
        depth = np.where(np.isfinite(depth), depth, np.float32(spacing.max() * max(inside.shape)))
        smooth = gaussian_filter(depth, smoothing, mode="nearest", truncate=3.0)
        depth = np.where(inside, np.maximum(smooth, np.float32(1e-6)), np.float32(0))
    goal = np.empty(inside.size, dtype=np.int64)
    kernels.climb(depth, goal)
    tops = np.unique(goal[goal >= 0])
    number = np.zeros(inside.size, dtype=np.int32)
    number[tops] = np.arange(1, len(tops) + 1)
    basin = np.where(goal >= 0, number[goal], 0).astype(np.int32).reshape(inside.shape)
    joined = _join(basin, depth, neck, min_voxels)
    # ascent goes over corners too, so parts of a basin can be apart by faces: the small ones find a new home
    pieces = cc3d.connected_components(joined.astype(np.uint32), connectivity=6, out_dtype=np.uint32)
    joined = _join(pieces.astype(np.int32), depth, _NEVER, min_voxels)
    return _in_order(joined)


_NEVER = 2.0
"""No pass is higher than twice a peak."""


def _join(
    basin: npt.NDArray[np.int32], depth: npt.NDArray[np.float32], neck: float, min_voxels: int
) -> npt.NDArray[np.int32]:
    from scipy.ndimage import maximum

    from pxm2mesh.segment import _particle_kernels as kernels

    count = int(basin.max())
    peak = np.concatenate([[0.0], maximum(depth, basin, np.arange(1, count + 1))])
    low, high, height = kernels.passes(basin, depth)
    order = np.lexsort((high, low, -height))
    voxels = np.bincount(basin.ravel(), minlength=count + 1).astype(np.int64)
    root = kernels.join(low[order], high[order], height[order], peak, voxels, neck, min_voxels)
    joined: npt.NDArray[np.int32] = root.astype(np.int32)[basin]
    return joined


def _in_order(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The same ids, renumbered 1…n by their first voxel."""
    flat = ids.ravel()
    first = np.full(int(flat.max()) + 1, flat.size, dtype=np.int64)
    first[flat[::-1]] = np.arange(flat.size - 1, -1, -1)
    first[0] = flat.size
    order = np.argsort(first, kind="stable")
    order = order[first[order] < flat.size]
    rank = np.zeros(len(first), dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    return rank[ids]
