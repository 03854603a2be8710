"""Compiled loops over labelled components."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def tabulate(ids: Any, phase: Any, phase_of: Any, voxels: Any) -> None:
    """Fill the phase and the voxel count of every component.

    Args:
        ids: (nx, ny, nz) component of each voxel.
        phase: (nx, ny, nz) phase index of each voxel.
        phase_of: (n + 1,) int64, written.
        voxels: (n + 1,) int64, zero on entry, written.
    """
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            for k in range(ids.shape[2]):
                own = ids[i, j, k]
                voxels[own] += 1
                phase_of[own] = phase[i, j, k]


@njit(cache=True, nogil=True)
def extents(ids: Any, voxels: Any, total: Any, low: Any, high: Any) -> None:
    """Voxel count, sum of indices and bounding box of every component but 0.

    Args:
        ids: (nx, ny, nz) component of each voxel.
        voxels: (n + 1,) int64, zero on entry, written.
        total: (n + 1, 3) float64, zero on entry, written.
        low: (n + 1, 3) int64, large on entry, written.
        high: (n + 1, 3) int64, −1 on entry, written.
    """
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            for k in range(ids.shape[2]):
                own = ids[i, j, k]
                if own == 0:
                    continue
                voxels[own] += 1
                for axis, at in enumerate((i, j, k)):
                    total[own, axis] += at
                    low[own, axis] = min(low[own, axis], at)
                    high[own, axis] = max(high[own, axis], at)
