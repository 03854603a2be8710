"""Indicator fields: smooth functions whose ½-isosurfaces follow the bodies below the voxel.

A *body* is a phase, or one separated particle of a phase. Its indicator is 2G − G∗G of its voxels, G
a Gaussian blur: G alone shrinks a ball of radius 5 voxels by several per cent, the difference hardly
moves its surface. Bodies that are nowhere near each other share a field, so that 500 particles need
less than ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pxm2mesh.errors import UsageError
from pxm2mesh.surface import Indicators
from pxm2mesh.surfacing import indicator_kernels as kernels
from pxm2mesh.volume import LabelVolume

_OWN_FIELD = 6  # up to so many bodies each has a field of its own
_MATRIX_LIMIT = 8192  # above so many bodies the nearness matrix would be larger than the fields
_THIN_SIGMA = 0.55  # voxels: a wall of one voxel keeps its indicator at 0.88 and 0.95 of its thickness
_THIN_RUN = 8  # voxels: smaller residues of an opening are bumps, and those should be smoothed


def find_bodies(
    volume: LabelVolume,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The phase, or the particle of a phase, that every voxel belongs to.

    Args:
        volume: The sample.

    Returns:
        ``(ids, phase, particle)``: (nx, ny, nz) bodies 0…b−1 in the smallest unsigned type, and (b,) label and
        particle id (0: none) of each.
    """
    labels = volume.labels
    if volume.particles is None:
        present = np.array(sorted({int(v) for plane in labels for v in np.unique(plane)}), dtype=np.int64)
        phase, particle = present, np.zeros_like(present)
        if present[-1] < 1 << 22:
            table = np.zeros(int(present[-1]) + 1, dtype=np.int64)
            table[present] = np.arange(len(present))
            ids = table.astype(_smallest(len(present)))[labels]
        else:
            ids = np.searchsorted(present, labels).astype(_smallest(len(present)))
    else:
        stride = int(labels.max()) + 1
        keys = volume.particles.astype(np.int64) * stride + labels
        present, inverse = np.unique(keys, return_inverse=True)
        phase, particle = present % stride, present // stride
        ids = inverse.reshape(volume.shape).astype(_smallest(len(present)))
    return np.ascontiguousarray(ids), phase.astype(np.int32), particle.astype(np.int32)


def _smallest(count: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if count <= 256 else np.uint32  # two types only: each is compiled


def group_bodies(ids: npt.NDArray[Any], count: int, *, reach: int = 3) -> npt.NDArray[np.int32]:
    """Give bodies within ``reach`` voxels of each other different fields, and few fields in all.

    Args:
        ids: (nx, ny, nz) bodies 0…count−1.
        count: How many.
        reach: Voxels; beyond it a neighbour in the same field changes an indicator by less than 0.01.

    Returns:
        (count,) int32 field of each body; the largest bodies choose first.
    """
    if count <= _OWN_FIELD:
        return np.arange(count, dtype=np.int32)
    neighbours = _neighbours(ids, count, reach)
    sizes = np.bincount(ids.ravel(), minlength=count)
    group = np.full(count, -1, dtype=np.int32)
    for body in np.lexsort((np.arange(count), -sizes)):
        taken = set(group[neighbours[body]].tolist())
        group[body] = next(g for g in range(count) if g not in taken)
    return group


def _neighbours(ids: npt.NDArray[Any], count: int, reach: int) -> list[npt.NDArray[np.int64]]:
    if count <= _MATRIX_LIMIT:
        return [np.flatnonzero(row) for row in kernels.near_pairs(ids, count, reach)]
    keys = []
    for axis in range(3):
        for step in range(1, reach + 1):
            a = np.swapaxes(ids, 0, axis)[:-step].astype(np.int64)
            b = np.swapaxes(ids, 0, axis)[step:].astype(np.int64)
            differ = a != b
            keys.append(np.unique(np.minimum(a, b)[differ] * count + np.maximum(a, b)[differ]))
    pairs = np.unique(np.concatenate(keys))
    both = np.concatenate(
        [np.stack([pairs // count, pairs % count], 1), np.stack([pairs % count, pairs // count], 1)]
    )
    both = both[np.argsort(both[:, 0], kind="stable")]
    return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, count)))


def usual_blur(cell_size: Sequence[int] | npt.NDArray[Any]) -> list[float]:
    """Blur of the indicators along x, y, z for cells of so many voxels.

    Half a cell, and at least one voxel; 1.25 where cells are voxels, as 1 leaves so much of their staircase that the
    area of a ball of ten voxels is up to 1.2 % too large at symmetric places of the grid (1.25: up to 1.0 %).
    """
    least = 1.25 if max(cell_size) == 1 else 1.0
    return [max(least, float(size) / 2) for size in cell_size]


def indicator_fields(
    volume: LabelVolume, *, sigma: float | Sequence[float] = 1.0, islands: bool = True
) -> Indicators:
    """The indicator fields of a volume.

    Near walls and threads one voxel thick, where a blur of one voxel would push the indicator below ½
    everywhere, a narrower blur takes its place.

    Args:
        volume: The sample.
        sigma: Blur in voxels, one number or one per axis. One voxel per axis is right for anisotropic
            voxels too: what has to go is the staircase, and its steps are voxels.
        islands: Whether pieces of fewer than eight voxels are to survive; cells larger than a voxel lose them anyway.

    Returns:
        Fields, one per group of bodies; at every voxel centre they sum to 1.

    Raises:
        UsageError: ``sigma`` is not positive.

    Example:
        >>> import numpy as np
        >>> from pxm2mesh import LabelVolume
        >>> labels = np.zeros((8, 8, 8), np.uint8)
        >>> labels[4:] = 1
        >>> fields = indicator_fields(LabelVolume(labels, {"void": 0, "NMC": 1}, "1 um"))
        >>> fields.values.shape
        (2, 8, 8, 8)

    References:
        The blur 2G − G∗G is the two-step "twicing" of J. W. Tukey, Exploratory Data Analysis (1977).
    """
    widths = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (3,)).copy()
    if not np.all(np.isfinite(widths)) or np.any(widths <= 0):
        raise UsageError(f"sigma {sigma!r} must be positive;", hint="one voxel is the usual blur.")
    ids, phase, particle = find_bodies(volume)
    group = group_bodies(ids, len(phase))
    groups = int(group.max()) + 1
    members = ids if np.array_equal(group, np.arange(len(group))) else group.astype(_smallest(groups))[ids]
    values = np.empty((groups, *volume.shape), dtype=np.float32)
    near = _near_thin(ids, islands) if widths.max() > _THIN_SIGMA else None
    scratch = np.empty(volume.shape, dtype=np.float32)
    values[-1] = 1.0
    for g in range(groups - 1):  # the last is what the others leave of 1
        _smooth(members, g, widths, scratch, values[g])
        if near is not None:
            sharp = np.empty(volume.shape, dtype=np.float32)
            _smooth(members, g, np.minimum(widths, _THIN_SIGMA), scratch, sharp)
            kernels.replace_where(near, sharp, values[g])
        values[-1] -= values[g]
    return Indicators(values, group, phase, particle, widths)


def _smooth(
    members: npt.NDArray[Any],
    which: int,
    sigma: npt.NDArray[np.float64],
    scratch: npt.NDArray[np.float32],
    out: npt.NDArray[np.float32],
) -> None:
    wx, wy, wz = (_gauss(s) for s in sigma)
    kernels.blur_mask(members, which, wx, wy, wz, scratch)
    kernels.sharpen(scratch, wx, wy, wz, out)


def _gauss(sigma: float) -> npt.NDArray[np.float32]:
    reach = max(1, int(3 * sigma + 0.5))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def _near_thin(ids: npt.NDArray[Any], islands: bool) -> npt.NDArray[np.bool_] | None:
    """Voxels in and around walls and threads of one voxel, and around islands; None where there are none."""
    import cc3d
    from scipy import ndimage

    thin = kernels.thin_voxels(ids)
    if not thin.any():
        return None
    keys = ids.astype(np.uint32) + 1
    pieces = cc3d.connected_components(np.where(thin, keys, 0).astype(np.uint32), connectivity=18)
    keep = np.bincount(pieces.ravel()) >= _THIN_RUN
    keep[0] = False
    near = keep[pieces]
    if islands:
        bodies = cc3d.connected_components(keys, connectivity=6)
        near |= (np.bincount(bodies.ravel()) < _THIN_RUN)[bodies]
    if not near.any():
        return None
    return np.asarray(ndimage.binary_dilation(near, np.ones((3, 3, 3), bool)))
