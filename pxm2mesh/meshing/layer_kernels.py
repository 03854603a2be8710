"""Compiled loops for thin layers: closest points on a triangle surface, and tetrahedra cut at a level."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@nb.njit(cache=True)
def bin_triangles(corners: Array, low: Array, size: float, shape: Array) -> tuple[Array, Array]:
    """Starts and triangles of each bin of a grid: every triangle in all bins that its box touches."""
    nx, ny, nz = shape[0], shape[1], shape[2]
    start = np.zeros(nx * ny * nz + 1, np.int64)
    items = np.empty(0, np.int32)
    for turn in range(2):
        if turn == 1:
            for b in range(nx * ny * nz):
                start[b + 1] += start[b]
            items = np.empty(start[-1], np.int32)
        place = start[:-1].copy()
        for t in range(len(corners)):
            first, last = np.empty(3, np.int64), np.empty(3, np.int64)
            for a in range(3):
                lo = min(corners[t, 0, a], corners[t, 1, a], corners[t, 2, a])
                hi = max(corners[t, 0, a], corners[t, 1, a], corners[t, 2, a])
                first[a] = min(max(int((lo - low[a]) / size), 0), shape[a] - 1)
                last[a] = min(max(int((hi - low[a]) / size), 0), shape[a] - 1)
            for i in range(first[0], last[0] + 1):
                for j in range(first[1], last[1] + 1):
                    for k in range(first[2], last[2] + 1):
                        b = (i * ny + j) * nz + k
                        if turn == 0:
                            start[b + 1] += 1
                        else:
                            items[place[b]] = t
                            place[b] += 1
    return start, items


@nb.njit(cache=True)
def _closest(corners: Array, t: int, p: Array, out: Array) -> float:
    """Squared distance of p to triangle t, the closest point into ``out`` (Ericson 2005, §5.1.5)."""
    a, b, c = corners[t, 0], corners[t, 1], corners[t, 2]
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        ab, ac = b[k] - a[k], c[k] - a[k]
        d1 += ab * (p[k] - a[k])
        d2 += ac * (p[k] - a[k])
        d3 += ab * (p[k] - b[k])
        d4 += ac * (p[k] - b[k])
        d5 += ab * (p[k] - c[k])
        d6 += ac * (p[k] - c[k])
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0.0 and d2 <= 0.0:
        v, w = 0.0, 0.0
    elif d3 >= 0.0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v, w = d1 / (d1 - d3), 0.0
    elif d6 >= 0.0 and d5 <= d6:
        v, w = 0.0, 1.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        v, w = 0.0, d2 / (d2 - d6)
    elif va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        v, w = vb / (va + vb + vc), vc / (va + vb + vc)
    square = 0.0
    for k in range(3):
        out[k] = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
        square += (p[k] - out[k]) ** 2
    return square


@nb.njit(cache=True, parallel=True)
def closest_points(
    points: Array,
    corners: Array,
    low: Array,
    size: float,
    shape: Array,
    start: Array,
    items: Array,
    reach: float,
    out: Array,
) -> None:
    """The nearest point of a binned triangle surface to each point into ``out`` (n, 3); beyond ``reach`` maybe none."""
    ny, nz = shape[1], shape[2]
    for n in nb.prange(len(points)):
        p = points[n]
        trial = np.empty(3)
        centre = np.empty(3, np.int64)
        inside = math.inf  # how far the point is from the walls of its bin
        for a in range(3):
            centre[a] = min(max(int((p[a] - low[a]) / size), 0), shape[a] - 1)
            wall = p[a] - low[a] - centre[a] * size
            inside = min(inside, wall, size - wall)
        best = math.inf
        for ring in range(max(shape[0], shape[1], shape[2])):
            known = max(0.0, inside + (ring - 1) * size)  # everything nearer was looked at
            if best <= known * known or known > reach:
                break
            for i in range(max(centre[0] - ring, 0), min(centre[0] + ring, shape[0] - 1) + 1):
                for j in range(max(centre[1] - ring, 0), min(centre[1] + ring, shape[1] - 1) + 1):
                    side = max(abs(i - centre[0]), abs(j - centre[1])) == ring
                    step = 1 if side or ring == 0 else 2 * ring  # only the outermost bins are new
                    for k in range(centre[2] - ring, centre[2] + ring + 1, step):
                        if k < 0 or k >= shape[2]:
                            continue
                        b = (i * ny + j) * nz + k
                        for e in range(start[b], start[b + 1]):
                            square = _closest(corners, items[e], p, trial)
                            if square < best:
                                best = square
                                out[n, 0] = trial[0]
                                out[n, 1] = trial[1]
                                out[n, 2] = trial[2]


_PAIRS = np.array([[-1, 0, 1, 2], [0, -1, 3, 4], [1, 3, -1, 5], [2, 4, 5, -1]])
_FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])


@nb.njit(cache=True)
def cut_cells(cells: Array, sign: Array, fresh: Array, out: Array, origin: Array, inner: Array) -> int:
    """Cut cells at the level that their signs say, each part into tetrahedra that fit those of the neighbours.

    Both parts are convex; each is triangulated from its point of lowest number, and so are its faces, which is
    the same seen from both sides.

    Args:
        cells: (k, 4) with corners of both signs.
        sign: (n,) −1 below, 0 on, 1 above the level, of every point.
        fresh: (k, 6) new point on the edges 01 02 03 12 13 23, −1 where they are not cut.
        out: (m, 4) receives the parts.
        origin: (m,) receives the cell each comes from.
        inner: (m,) receives 1 below the level, else 0.

    Returns:
        How many parts there are.

    References:
        J. A. De Loera, J. Rambau, F. Santos, Triangulations (2010), §4.3.2 (pulling).
    """
    count = 0
    polygons = np.empty((5, 4), np.int64)
    sizes = np.empty(5, np.int64)
    for c in range(len(cells)):
        for side in (-1, 1):
            faces = 0
            for f in range(4):
                size = 0
                for m in range(3):
                    i, j = _FACES[f, m], _FACES[f, (m + 1) % 3]
                    if sign[cells[c, i]] != -side:
                        polygons[faces, size] = cells[c, i]
                        size += 1
                    if fresh[c, _PAIRS[i, j]] >= 0:
                        polygons[faces, size] = fresh[c, _PAIRS[i, j]]
                        size += 1
                if size >= 3:
                    sizes[faces] = size
                    faces += 1
            faces = _level_polygon(cells[c], sign, fresh[c], polygons, sizes, faces)
            apex = polygons[0, 0]
            for f in range(faces):
                for m in range(sizes[f]):
                    apex = min(apex, polygons[f, m])
            for f in range(faces):
                first, mine = 0, False
                for m in range(sizes[f]):
                    if polygons[f, m] == apex:
                        mine = True
                    if polygons[f, m] < polygons[f, first]:
                        first = m
                if mine:
                    continue
                for m in range(1, sizes[f] - 1):
                    out[count, 0] = apex
                    out[count, 1] = polygons[f, first]
                    out[count, 2] = polygons[f, (first + m) % sizes[f]]
                    out[count, 3] = polygons[f, (first + m + 1) % sizes[f]]
                    origin[count] = c
                    inner[count] = 1 if side < 0 else 0
                    count += 1
    return count


@nb.njit(cache=True)
def _level_polygon(cell: Array, sign: Array, fresh: Array, polygons: Array, sizes: Array, faces: int) -> int:
    """Add the polygon in which the level cuts a cell; returns the number of faces."""
    below = 0
    for m in range(4):
        if sign[cell[m]] < 0:
            below += 1
    size = 0
    for m in range(4):
        if sign[cell[m]] == 0:
            polygons[faces, size] = cell[m]
            size += 1
    if size == 0 and below == 2:  # four cut edges: around the quadrilateral
        a = b = c = d = -1
        for m in range(4):
            if sign[cell[m]] < 0:
                if a < 0:
                    a = m
                else:
                    b = m
            elif c < 0:
                c = m
            else:
                d = m
        polygons[faces, 0] = fresh[_PAIRS[a, c]]
        polygons[faces, 1] = fresh[_PAIRS[a, d]]
        polygons[faces, 2] = fresh[_PAIRS[b, d]]
        polygons[faces, 3] = fresh[_PAIRS[b, c]]
        size = 4
    else:
        for e in range(6):
            if fresh[e] >= 0:
                polygons[faces, size] = fresh[e]
                size += 1
    sizes[faces] = size
    return faces + 1
