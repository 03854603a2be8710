"""Compiled loops of the indicator fields: blur, sampling, nearness of bodies, thin voxels, majority.

Every loop gives the same bytes whatever the number of threads: threads share no sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

Array = npt.NDArray[Any]


@njit(cache=True)
def sample(field: Array, x: float, y: float, z: float, grad: Array) -> float:
    """Trilinear value of a field at a point; its gradient goes into ``grad``.

    Args:
        field: (nx, ny, nz) values at the voxel centres; outside of the outermost centres it is constant.
        x: In voxels: voxel i spans [i, i + 1), its centre is i + ½.
        y: Likewise.
        z: Likewise.
        grad: (3,) receives the gradient per voxel.

    Returns:
        The value.
    """
    n0, n1, n2 = field.shape
    x = min(max(x - 0.5, 0.0), n0 - 1.0)
    y = min(max(y - 0.5, 0.0), n1 - 1.0)
    z = min(max(z - 0.5, 0.0), n2 - 1.0)
    i = min(int(x), max(n0 - 2, 0))
    j = min(int(y), max(n1 - 2, 0))
    k = min(int(z), max(n2 - 2, 0))
    u = x - i
    v = y - j
    w = z - k
    i1 = min(i + 1, n0 - 1)
    j1 = min(j + 1, n1 - 1)
    k1 = min(k + 1, n2 - 1)
    c000 = field[i, j, k]
    c100 = field[i1, j, k]
    c010 = field[i, j1, k]
    c110 = field[i1, j1, k]
    c001 = field[i, j, k1]
    c101 = field[i1, j, k1]
    c011 = field[i, j1, k1]
    c111 = field[i1, j1, k1]
    u0 = 1.0 - u
    v0 = 1.0 - v
    w0 = 1.0 - w
    grad[0] = ((c100 - c000) * v0 + (c110 - c010) * v) * w0 + ((c101 - c001) * v0 + (c111 - c011) * v) * w
    grad[1] = ((c010 - c000) * u0 + (c110 - c100) * u) * w0 + ((c011 - c001) * u0 + (c111 - c101) * u) * w
    grad[2] = ((c001 - c000) * u0 + (c101 - c100) * u) * v0 + ((c011 - c010) * u0 + (c111 - c110) * u) * v
    low = (c000 * u0 + c100 * u) * v0 + (c010 * u0 + c110 * u) * v
    high = (c001 * u0 + c101 * u) * v0 + (c011 * u0 + c111 * u) * v
    return float(low * w0 + high * w)


@njit(cache=True)
def _blur_plane(plane: Array, out: Array, wy: Array, wz: Array) -> None:
    """Separable blur of one plane along its two axes; beyond the border the last value goes on."""
    n1, n2 = plane.shape
    ry = len(wy) // 2
    rz = len(wz) // 2
    rows = np.empty((n1, n2 + 2 * rz), np.float32)
    for j in range(n1):
        for k in range(n2):
            rows[j, k + rz] = np.float32(0.0)
        for t in range(-ry, ry + 1):
            q = min(max(j + t, 0), n1 - 1)
            weight = wy[t + ry]
            for k in range(n2):
                rows[j, k + rz] += weight * plane[q, k]
        for k in range(rz):
            rows[j, k] = rows[j, rz]
            rows[j, n2 + rz + k] = rows[j, n2 + rz - 1]
    for j in range(n1):
        for k in range(n2):
            out[j, k] = np.float32(0.0)
        for t in range(2 * rz + 1):
            weight = wz[t]
            for k in range(n2):
                out[j, k] += weight * rows[j, k + t]


@njit(cache=True, parallel=True)
def blur_mask(ids: Array, which: int, wx: Array, wy: Array, wz: Array, out: Array) -> None:
    """``out`` = Gaussian blur of ``ids == which``."""
    n0, n1, n2 = ids.shape
    rx = len(wx) // 2
    for i in prange(n0):
        plane = np.zeros((n1, n2), np.float32)
        for t in range(-rx, rx + 1):
            q = min(max(i + t, 0), n0 - 1)
            weight = wx[t + rx]
            for j in range(n1):
                for k in range(n2):
                    if ids[q, j, k] == which:
                        plane[j, k] += weight
        _blur_plane(plane, out[i], wy, wz)


@njit(cache=True, parallel=True)
def sharpen(blurred: Array, wx: Array, wy: Array, wz: Array, out: Array) -> None:
    """``out`` = 2·blurred − blur(blurred), which hardly moves the ½-isosurface of a curved body."""
    n0, n1, n2 = blurred.shape
    rx = len(wx) // 2
    two = np.float32(2.0)
    for i in prange(n0):
        plane = np.zeros((n1, n2), np.float32)
        for t in range(-rx, rx + 1):
            q = min(max(i + t, 0), n0 - 1)
            weight = wx[t + rx]
            for j in range(n1):
                for k in range(n2):
                    plane[j, k] += weight * blurred[q, j, k]
        again = np.empty((n1, n2), np.float32)
        _blur_plane(plane, again, wy, wz)
        for j in range(n1):
            for k in range(n2):
                out[i, j, k] = two * blurred[i, j, k] - again[j, k]


@njit(cache=True, parallel=True)
def thin_voxels(ids: Array) -> Array:
    """Voxels that no 2 × 2 × 2 block of their own body covers (the border counts as going on)."""
    n0, n1, n2 = ids.shape
    out = np.zeros(ids.shape, np.bool_)
    for i in prange(n0):
        for j in range(n1):
            for k in range(n2):
                mine = ids[i, j, k]
                covered = False
                for a in range(-1, 1):
                    for b in range(-1, 1):
                        for c in range(-1, 1):
                            if covered:
                                continue
                            same = True
                            for d in range(8):
                                p = min(max(i + a + (d >> 2), 0), n0 - 1)
                                q = min(max(j + b + ((d >> 1) & 1), 0), n1 - 1)
                                r = min(max(k + c + (d & 1), 0), n2 - 1)
                                if ids[p, q, r] != mine:
                                    same = False
                                    break
                            if same:
                                covered = True
                out[i, j, k] = not covered
    return out


@njit(cache=True, parallel=True)
def replace_where(near: Array, sharp: Array, field: Array) -> None:
    """Take the sharper field in the voxels of ``near``."""
    n0, n1, n2 = field.shape
    for i in prange(n0):
        for j in range(n1):
            for k in range(n2):
                if near[i, j, k]:
                    field[i, j, k] = sharp[i, j, k]


@njit(cache=True)
def near_pairs(ids: Array, count: int, reach: int) -> Array:
    """(count, count) True where two bodies come within ``reach`` voxels along one of the 13 directions."""
    n0, n1, n2 = ids.shape
    near = np.zeros((count, count), np.bool_)
    for a in range(2):
        for b in range(-1, 2):
            for c in range(-1, 2):
                if a == 0 and (b < 0 or (b == 0 and c <= 0)):
                    continue
                for t in range(1, reach + 1):
                    for i in range(n0 - a * t):
                        for j in range(max(0, -b * t), min(n1, n1 - b * t)):
                            for k in range(max(0, -c * t), min(n2, n2 - c * t)):
                                p = ids[i, j, k]
                                q = ids[i + a * t, j + b * t, k + c * t]
                                if p != q:
                                    near[p, q] = True
                                    near[q, p] = True
    return near


@njit(cache=True, parallel=True)
def majority(
    ids: Array, regions: Array, weight: Array, values: Array, group: Array, x: Array, y: Array, z: Array
) -> Array:
    """The body with most votes in each coarse cell; equal votes are decided by the indicator fields.

    Args:
        ids: (nx, ny, nz) body of each voxel.
        regions: (nx, ny, nz) region of each voxel.
        weight: (r + 1,) votes that a voxel of each region has.
        values: (g, nx, ny, nz) indicator fields.
        group: (b,) field of each body.
        x: (mx + 1,) first voxel of each cell along x, and the end.
        y: Likewise.
        z: Likewise.

    Returns:
        (mx, my, mz) int32 bodies.
    """
    m0 = len(x) - 1
    m1 = len(y) - 1
    m2 = len(z) - 1
    out = np.zeros((m0, m1, m2), np.int32)
    for i in prange(m0):
        for j in range(m1):
            for k in range(m2):
                size = (x[i + 1] - x[i]) * (y[j + 1] - y[j]) * (z[k + 1] - z[k])
                body = np.empty(size, np.int32)
                votes = np.zeros(size, np.float64)
                share = np.zeros(size, np.float64)
                found = 0
                for a in range(x[i], x[i + 1]):
                    for b in range(y[j], y[j + 1]):
                        for c in range(z[k], z[k + 1]):
                            mine = ids[a, b, c]
                            q = 0
                            while q < found and body[q] != mine:
                                q += 1
                            if q == found:
                                body[q] = mine
                                found += 1
                            votes[q] += weight[regions[a, b, c]]
                            share[q] += 1.0
                best = 0
                if found > 1:
                    for q in range(found):
                        total = 0.0
                        f = group[body[q]]
                        for a in range(x[i], x[i + 1]):
                            for b in range(y[j], y[j + 1]):
                                for c in range(z[k], z[k + 1]):
                                    total += values[f, a, b, c]
                        votes[q] *= 1.0 + 0.5 * total / (size * share[q])
                    for q in range(1, found):
                        if votes[q] > votes[best] or (votes[q] == votes[best] and body[q] < body[best]):
                            best = q
                out[i, j, k] = body[best]
    return out


@njit(cache=True)
def cell_members(
    ids: Array, regions: Array, owner: Array, x: Array, y: Array, z: Array
) -> tuple[Array, Array, Array]:
    """Which regions of voxels make up the body of each coarse cell.

    Args:
        ids: (nx, ny, nz) body of each voxel.
        regions: (nx, ny, nz) region of each voxel.
        owner: (mx, my, mz) body of each cell.
        x: (mx + 1,) first voxel of each cell along x, and the end.
        y: Likewise.
        z: Likewise.

    Returns:
        ``(region, cell, voxels)``, (m,) each: so many voxels of this region lie in this cell (flat index) and are of
        its body. Ordered by cell.
    """
    m0 = len(x) - 1
    m1 = len(y) - 1
    m2 = len(z) - 1
    capacity = owner.size + owner.size // 4 + 64
    region = np.empty(capacity, np.int32)
    cell = np.empty(capacity, np.int32)
    voxels = np.empty(capacity, np.int32)
    n = 0
    for i in range(m0):
        for j in range(m1):
            for k in range(m2):
                mine = owner[i, j, k]
                first = n
                alone = regions[x[i], y[j], z[k]]
                pure = True
                for a in range(x[i], x[i + 1]):
                    for b in range(y[j], y[j + 1]):
                        for c in range(z[k], z[k + 1]):
                            pure = pure and regions[a, b, c] == alone
                if pure and n < capacity:
                    region[n] = alone
                    cell[n] = (i * m1 + j) * m2 + k
                    voxels[n] = (x[i + 1] - x[i]) * (y[j + 1] - y[j]) * (z[k + 1] - z[k])
                    n += 1
                    continue
                for a in range(x[i], x[i + 1]):
                    for b in range(y[j], y[j + 1]):
                        for c in range(z[k], z[k + 1]):
                            if ids[a, b, c] != mine:
                                continue
                            r = regions[a, b, c]
                            q = first
                            while q < n and region[q] != r:
                                q += 1
                            if q == n:
                                if n == capacity:
                                    capacity *= 2
                                    region = np.concatenate((region, np.empty_like(region)))
                                    cell = np.concatenate((cell, np.empty_like(cell)))
                                    voxels = np.concatenate((voxels, np.empty_like(voxels)))
                                region[n] = r
                                cell[n] = (i * m1 + j) * m2 + k
                                voxels[n] = 0
                                n += 1
                            voxels[q] += 1
    return region[:n].copy(), cell[:n].copy(), voxels[:n].copy()
