"""Compiled loops that resample labels to finer voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pxm2mesh.surfacing.indicator_kernels import sample

Array = npt.NDArray[Any]


@njit(cache=True, parallel=True)
def refine_labels(
    values: Array, offset: Array, fx: int, fy: int, fz: int, band: float
) -> tuple[Array, Array]:
    """The field with the largest value at the centre of each fine voxel.

    Args:
        values: (g, nx, ny, nz) fields.
        offset: (g,) added to them.
        fx: Fine voxels per voxel along x.
        fy: Likewise along y.
        fz: Likewise along z.
        band: Largest lead over the second best that counts as close.

    Returns:
        ``(best, close)``: (nx·fx, ny·fy, nz·fz) fields, and per plane (nx·fx, g) how many voxels each field wins or
        loses closely.
    """
    groups, n0, n1, n2 = values.shape
    out = np.zeros((n0 * fx, n1 * fy, n2 * fz), np.int32)
    close = np.zeros((n0 * fx, groups), np.int64)
    for i in prange(n0 * fx):
        grad = np.empty(3)
        for j in range(n1 * fy):
            for k in range(n2 * fz):
                x = (i + 0.5) / fx
                y = (j + 0.5) / fy
                z = (k + 0.5) / fz
                best = -1
                second = -1
                top = -1e30
                next_top = -1e30
                for g in range(groups):
                    value = sample(values[g], x, y, z, grad) + offset[g]
                    if value > top:
                        next_top = top
                        second = best
                        top = value
                        best = g
                    elif value > next_top:
                        next_top = value
                        second = g
                out[i, j, k] = best
                if second >= 0 and top - next_top < band:
                    close[i, best] += 1
                    close[i, second] += 1
    return out, close


@njit(cache=True, parallel=True)
def nearest_body(ids: Array, group: Array, best: Array, fx: int, fy: int, fz: int) -> Array:
    """The nearest body of the winning field within two voxels of each fine voxel; the voxel's own if there is none."""
    n0, n1, n2 = ids.shape
    out = np.zeros(best.shape, np.int32)
    for i in prange(best.shape[0]):
        for j in range(best.shape[1]):
            for k in range(best.shape[2]):
                a = i // fx
                b = j // fy
                c = k // fz
                out[i, j, k] = ids[a, b, c]
                if group[ids[a, b, c]] == best[i, j, k]:
                    continue
                nearest = 1e30
                for p in range(max(a - 2, 0), min(a + 3, n0)):
                    for q in range(max(b - 2, 0), min(b + 3, n1)):
                        for r in range(max(c - 2, 0), min(c + 3, n2)):
                            if group[ids[p, q, r]] == best[i, j, k]:
                                dx = p + 0.5 - (i + 0.5) / fx
                                dy = q + 0.5 - (j + 0.5) / fy
                                dz = r + 0.5 - (k + 0.5) / fz
                                d = dx * dx + dy * dy + dz * dz
                                if d < nearest:
                                    nearest = d
                                    out[i, j, k] = ids[p, q, r]
    return out
