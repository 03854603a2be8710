"""Compiled loops of the surface net.

Each plane of the lattice is numbered and written on its own, so that beside the result only two planes per thread are
in memory, and the bytes do not depend on the threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

Array = npt.NDArray[Any]


@njit(cache=True)
def region_at(cells: Array, i: int, j: int, k: int) -> int:
    """Region of a cell; 0 outside of the box."""
    n0, n1, n2 = cells.shape
    if i < 0 or j < 0 or k < 0 or i >= n0 or j >= n1 or k >= n2:
        return 0
    return int(cells[i, j, k])


@njit(cache=True)
def on_net(cells: Array, i: int, j: int, k: int) -> bool:
    """Whether the eight cells around a lattice corner are not all of one region."""
    first = region_at(cells, i, j, k)
    for d in range(1, 8):  # noqa: SIM110 (numba has no any())
        if region_at(cells, i - (d >> 2), j - ((d >> 1) & 1), k - (d & 1)) != first:
            return True
    return False


@njit(cache=True, parallel=True)
def count_planes(cells: Array) -> Array:
    """(n0 + 1, 2) points in each plane i of corners, and quads with their low corner in it."""
    n0, n1, n2 = cells.shape
    counts = np.zeros((n0 + 1, 2), np.int64)
    for i in prange(n0 + 1):
        points = 0
        quads = 0
        for j in range(n1 + 1):
            for k in range(n2 + 1):
                if on_net(cells, i, j, k):
                    points += 1
                mine = region_at(cells, i, j, k)
                if j < n1 and k < n2 and region_at(cells, i - 1, j, k) != mine:
                    quads += 1
                if i < n0 and k < n2 and region_at(cells, i, j - 1, k) != mine:
                    quads += 1
                if i < n0 and j < n1 and region_at(cells, i, j, k - 1) != mine:
                    quads += 1
        counts[i, 0] = points
        counts[i, 1] = quads
    return counts


@njit(cache=True)
def _number_plane(cells: Array, i: int, first: int, number: Array) -> None:
    n1 = number.shape[0]
    n2 = number.shape[1]
    for j in range(n1):
        for k in range(n2):
            if on_net(cells, i, j, k):
                number[j, k] = first
                first += 1


@njit(cache=True, parallel=True)
def fill_planes(
    cells: Array, first_point: Array, first_quad: Array, node: Array, quads: Array, sides: Array
) -> None:
    """Write the points' lattice corners, the quads and their regions.

    Args:
        cells: (n0, n1, n2) regions.
        first_point: (n0 + 2,) first point of each plane of corners.
        first_quad: (n0 + 2,) first quad of each plane.
        node: (points,) int64, receives the flat lattice index.
        quads: (quads, 4) int32, receives point indices o, o+u, o+u+w, o+w with (axis, u, w) right-handed.
        sides: (quads, 2) int32, receives the regions below and above along the axis.
    """
    n0, n1, n2 = cells.shape
    for i in prange(n0 + 1):
        here = np.zeros((n1 + 1, n2 + 1), np.int32)
        above = np.zeros((n1 + 1, n2 + 1), np.int32)
        _number_plane(cells, i, first_point[i], here)
        if i < n0:
            _number_plane(cells, i + 1, first_point[i + 1], above)
        p = first_point[i]
        q = first_quad[i]
        for j in range(n1 + 1):
            for k in range(n2 + 1):
                if on_net(cells, i, j, k):
                    node[p] = (i * (n1 + 1) + j) * (n2 + 1) + k
                    p += 1
                mine = region_at(cells, i, j, k)
                if j < n1 and k < n2:
                    low = region_at(cells, i - 1, j, k)
                    if low != mine:
                        quads[q, 0] = here[j, k]
                        quads[q, 1] = here[j + 1, k]
                        quads[q, 2] = here[j + 1, k + 1]
                        quads[q, 3] = here[j, k + 1]
                        sides[q, 0] = low
                        sides[q, 1] = mine
                        q += 1
                if i < n0 and k < n2:
                    low = region_at(cells, i, j - 1, k)
                    if low != mine:
                        quads[q, 0] = here[j, k]
                        quads[q, 1] = here[j, k + 1]
                        quads[q, 2] = above[j, k + 1]
                        quads[q, 3] = above[j, k]
                        sides[q, 0] = low
                        sides[q, 1] = mine
                        q += 1
                if i < n0 and j < n1:
                    low = region_at(cells, i, j, k - 1)
                    if low != mine:
                        quads[q, 0] = here[j, k]
                        quads[q, 1] = above[j, k]
                        quads[q, 2] = above[j + 1, k]
                        quads[q, 3] = here[j + 1, k]
                        sides[q, 0] = low
                        sides[q, 1] = mine
                        q += 1


@njit(cache=True, parallel=True)
def split_quads(quads: Array, first: Array, triangles: Array) -> None:
    """Two triangles per quad, one after the other; ``first`` True joins corners 0 and 2, False 1 and 3."""
    for q in prange(len(quads)):
        a = quads[q, 0]
        b = quads[q, 1]
        c = quads[q, 2]
        d = quads[q, 3]
        if first[q]:
            triangles[2 * q, 0] = a
            triangles[2 * q, 1] = b
            triangles[2 * q, 2] = c
            triangles[2 * q + 1, 0] = a
            triangles[2 * q + 1, 1] = c
            triangles[2 * q + 1, 2] = d
        else:
            triangles[2 * q, 0] = b
            triangles[2 * q, 1] = c
            triangles[2 * q, 2] = d
            triangles[2 * q + 1, 0] = b
            triangles[2 * q + 1, 1] = d
            triangles[2 * q + 1, 2] = a
