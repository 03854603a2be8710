"""Compiled loops over voxel pairs: projected faces, marching-cubes cells, line intersections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # sums may be taken in vectors
def projected_faces(
    first: int, last: int, table: Any, phase: Any, row: Any, kind: Any, column: Any,
    reach: int, offsets: Any, weights: Any, faces: Any, scale: Any,
) -> None:  # fmt: skip
    """Add the projected area of every voxel face between unlike keys to the table, once from each side.

    Args:
        first: First plane along x.
        last: One past the last plane.
        table: (rows, columns) float64, µm²: what each row's surface shares with each column.
        phase: (nx, ny, nz) keys, such as phase indices or particle ids.
        row: Row of each key, −1 for keys whose surface is not wanted.
        kind: (nx, ny, nz) what a surface is told apart by where it touches a voxel; often ``phase`` again.
        column: Column of each kind.
        reach: Half-width of the window in voxels.
        offsets: (3, m, 3) window positions for faces normal to x, y, z, relative to the lower voxel.
        weights: (3, m, 3) what each voxel adds to the normal.
        faces: (3,) µm², area of a voxel face normal to each axis.
        scale: (3,) 1/spacing: turns a normal on the index lattice into one in space.
    """
    nx, ny, nz = phase.shape
    count = offsets.shape[1]
    flat = phase.ravel()
    around = np.empty(count, phase.dtype)
    weights_x = np.ascontiguousarray(weights[:, :, 0])
    weights_y = np.ascontiguousarray(weights[:, :, 1])
    weights_z = np.ascontiguousarray(weights[:, :, 2])
    linear = np.empty((3, count), np.int64)
    for axis in range(3):
        for m in range(count):
            linear[axis, m] = (offsets[axis, m, 0] * ny + offsets[axis, m, 1]) * nz + offsets[axis, m, 2]
    for i in range(first, last):
        for j in range(ny):
            for k in range(nz):
                here = phase[i, j, k]
                inside = reach <= i < nx - reach and reach <= j < ny - reach and reach <= k < nz - reach
                for axis in range(3):
                    i1, j1, k1 = i + (axis == 0), j + (axis == 1), k + (axis == 2)
                    if i1 >= nx or j1 >= ny or k1 >= nz:
                        continue
                    there = phase[i1, j1, k1]
                    if there == here or (row[here] < 0 and row[there] < 0):
                        continue
                    base = (i * ny + j) * nz + k
                    if inside:
                        for m in range(count):
                            around[m] = flat[base + linear[axis, m]]
                    else:  # outside of the box the nearest voxel stands in
                        for m in range(count):
                            u = min(max(i + offsets[axis, m, 0], 0), nx - 1)
                            v = min(max(j + offsets[axis, m, 1], 0), ny - 1)
                            w = min(max(k + offsets[axis, m, 2], 0), nz - 1)
                            around[m] = phase[u, v, w]
                    a = 0.0
                    b = 0.0
                    c = 0.0
                    for m in range(count):  # no branches and no strides: this loop is all the time there is
                        side = np.float64(np.int64(around[m] == here) - np.int64(around[m] == there))
                        a += side * weights_x[axis, m]
                        b += side * weights_y[axis, m]
                        c += side * weights_z[axis, m]
                    a *= scale[0]
                    b *= scale[1]
                    c *= scale[2]
                    length = np.sqrt(a * a + b * b + c * c)
                    part = abs(a) if axis == 0 else abs(b) if axis == 1 else abs(c)
                    share = part / length if length > 0 else 1.0
                    if row[here] >= 0:
                        table[row[here], column[kind[i1, j1, k1]]] += share * faces[axis]
                    if row[there] >= 0:
                        table[row[there], column[kind[i, j, k]]] += share * faces[axis]


@njit(cache=True, nogil=True)
def marching_cells(first: int, last: int, table: Any, phase: Any, areas: Any) -> None:
    """Add the marching-cubes area of each pair to ``table[low, high]``, cell by cell of the dual lattice.

    Two phases that share a cell with others get half of (surface of A + surface of B − surface of A∪B).

    Args:
        first: First plane of cells along x; there are nx + 1, the outer ones half outside of the box.
        last: One past the last plane.
        table: (p, p) float64, µm².
        phase: (nx, ny, nz) phase indices.
        areas: (256,) µm², marching-cubes area of each corner pattern.
    """
    nx, ny, nz = phase.shape
    corner = np.empty(8, np.int64)
    for i in range(first, last):
        x0, x1 = max(i - 1, 0), min(i, nx - 1)
        for j in range(ny + 1):
            y0, y1 = max(j - 1, 0), min(j, ny - 1)
            for k in range(nz + 1):
                z0, z1 = max(k - 1, 0), min(k, nz - 1)
                corner[0] = phase[x0, y0, z0]
                corner[1] = phase[x0, y0, z1]
                corner[2] = phase[x0, y1, z0]
                corner[3] = phase[x0, y1, z1]
                corner[4] = phase[x1, y0, z0]
                corner[5] = phase[x1, y0, z1]
                corner[6] = phase[x1, y1, z0]
                corner[7] = phase[x1, y1, z1]
                unlike = False
                for m in range(1, 8):
                    unlike |= corner[m] != corner[0]
                if not unlike:
                    continue
                share = 1.0
                if i == 0 or i == nx:
                    share *= 0.5
                if j == 0 or j == ny:
                    share *= 0.5
                if k == 0 or k == nz:
                    share *= 0.5
                for m in range(8):
                    a = corner[m]
                    fresh_a = True
                    for n in range(m):
                        fresh_a &= corner[n] != a
                    if not fresh_a:
                        continue
                    for n in range(m + 1, 8):
                        b = corner[n]
                        fresh_b = b != a
                        for q in range(n):
                            fresh_b &= corner[q] != b
                        if not fresh_b:
                            continue
                        pattern_a = 0
                        pattern_b = 0
                        for q in range(8):
                            pattern_a |= (corner[q] == a) << q
                            pattern_b |= (corner[q] == b) << q
                        area = areas[pattern_a] + areas[pattern_b] - areas[pattern_a | pattern_b]
                        table[min(a, b), max(a, b)] += 0.5 * share * area


@njit(cache=True, nogil=True)
def crossings(first: int, last: int, table: Any, phase: Any, directions: Any) -> None:
    """Count steps between neighbouring voxels that lead from one phase into another.

    Steps that start or end outside of the box see the nearest voxel and count by their share inside,
    so that every direction probes each voxel once.

    Args:
        first: First plane along x; there are nx + 1 positions per axis, the outer ones half outside.
        last: One past the last plane.
        table: (d, p, p) float64, ``[direction, low, high]``.
        phase: (nx, ny, nz) phase indices.
        directions: (d, 3) steps in voxels.
    """
    nx, ny, nz = phase.shape
    for i in range(first, last):
        for d in range(len(directions)):
            u, v, w = directions[d]
            if u == 0 and i == nx:
                continue
            x0, x1 = (i, i) if u == 0 else (max(i - 1, 0), min(i, nx - 1))
            share_x = 0.5 if u != 0 and (i == 0 or i == nx) else 1.0
            for j in range(ny + (v != 0)):
                y0, y1 = (j, j) if v == 0 else (max(j - 1, 0), min(j, ny - 1))
                if v < 0:
                    y0, y1 = y1, y0
                share_xy = share_x * (0.5 if v != 0 and (j == 0 or j == ny) else 1.0)
                for k in range(nz + (w != 0)):
                    z0, z1 = (k, k) if w == 0 else (max(k - 1, 0), min(k, nz - 1))
                    if w < 0:
                        z0, z1 = z1, z0
                    here, there = phase[x0, y0, z0], phase[x1, y1, z1]
                    if here != there:
                        share = share_xy * (0.5 if w != 0 and (k == 0 or k == nz) else 1.0)
                        table[d, min(here, there), max(here, there)] += share
