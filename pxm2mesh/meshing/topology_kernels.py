"""Compiled counting of vertices, edges and pieces of polygon and cell complexes."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_BLOCK = 512  # points per parallel task, which share their scratch array


@nb.njit(cache=True)
def edge_runs(facets: Array, count: int) -> tuple[Array, Array, Array]:
    """The edges of polygons, and the polygons around each.

    Args:
        facets: (m, w) corners of polygons, in turn.
        count: How many points there are.

    Returns:
        ``(first, facet, ends)``: edge e has the polygons ``facet[first[e]:first[e + 1]]``, ascending, and the end
        points ``ends[e]``, low first; edges are in the order of their end points.
    """
    m, w = facets.shape
    start = np.zeros(count + 1, np.int64)
    for f in range(m):
        for k in range(w):
            start[min(facets[f, k], facets[f, (k + 1) % w]) + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    place = start[:-1].copy()
    high, facet = np.empty(m * w, np.int32), np.empty(m * w, np.int32)
    for f in range(m):
        for k in range(w):
            a, b = facets[f, k], facets[f, (k + 1) % w]
            at = place[min(a, b)]
            place[min(a, b)] += 1
            top = max(a, b)
            while (
                at > start[min(a, b)] and high[at - 1] > top
            ):  # few share a point: insertion keeps them in order
                high[at], facet[at] = high[at - 1], facet[at - 1]
                at -= 1
            high[at], facet[at] = top, f
    edges = 0
    for i in range(count):
        for e in range(start[i], start[i + 1]):
            edges += e == start[i] or high[e] != high[e - 1]
    first, ends = np.empty(edges + 1, np.int64), np.empty((edges, 2), np.int32)
    edges = 0
    for i in range(count):
        for e in range(start[i], start[i + 1]):
            if e == start[i] or high[e] != high[e - 1]:
                first[edges] = e
                ends[edges, 0], ends[edges, 1] = i, high[e]
                edges += 1
    first[edges] = m * w
    return first, facet, ends


@nb.njit(cache=True)
def labels_at_edges(first: Array, facet: Array, labels: Array, count: int) -> tuple[Array, Array]:
    """(e,) how many labels meet at each edge, and (count,) how many edges each label has; negative ones do not count.

    Args:
        first: From `edge_runs`.
        facet: From `edge_runs`.
        labels: (m, 2) labels of both sides of the polygons.
        count: One more than the largest label.
    """
    meeting, edges = np.zeros(len(first) - 1, np.int32), np.zeros(count, np.int64)
    seen = np.full(count, -1, np.int64)
    for e in range(len(first) - 1):
        for n in range(first[e], first[e + 1]):
            for side in range(2):
                label = labels[facet[n], side]
                if label >= 0 and seen[label] != e:
                    seen[label] = e
                    meeting[e] += 1
                    edges[label] += 1
    return meeting, edges


@nb.njit(cache=True)
def _root(parent: Array, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@nb.njit(cache=True)
def count_surfaces(first: Array, facet: Array, facets: Array, kind: Array, kinds: int) -> tuple[Array, Array]:
    """Pieces, joined across edges, and Euler number V − E + F of the polygons of each kind.

    Args:
        first: From `edge_runs`.
        facet: From `edge_runs`.
        facets: (m, w).
        kind: (m,) kind of each polygon; negative ones do not count.
        kinds: How many.

    Returns:
        (kinds,) pieces and (kinds,) Euler numbers.
    """
    pieces, euler = np.zeros(kinds, np.int64), np.zeros(kinds, np.int64)
    parent = np.arange(len(facets))
    for e in range(len(first) - 1):
        for n in range(first[e], first[e + 1]):
            mine = kind[facet[n]]
            if mine < 0:
                continue
            before = -1
            for o in range(first[e], n):
                if kind[facet[o]] == mine:
                    before = o
                    break
            if before < 0:
                euler[mine] -= 1
            else:
                a, b = _root(parent, facet[before]), _root(parent, facet[n])
                parent[max(a, b)] = min(a, b)
    seen = np.full(int(facets.max()) + 1 if len(facets) else 0, -1, np.int64)
    for f in np.argsort(kind, kind="mergesort"):
        mine = kind[f]
        if mine < 0:
            continue
        euler[mine] += 1
        pieces[mine] += _root(parent, f) == f
        for k in range(facets.shape[1]):
            if seen[facets[f, k]] != mine:
                seen[facets[f, k]] = mine
                euler[mine] += 1
    return pieces, euler


@nb.njit(cache=True, parallel=True)
def count_cell_edges(cells: Array, start: Array, items: Array, label: Array, count: int) -> Array:
    """(count,) how many edges the cells of each label have.

    Args:
        cells: (k, 4).
        start: (n + 1,) with ``items`` the cells at each point.
        items: (4k,).
        label: (k,) from 0 to count − 1.
        count: How many labels.
    """
    points = len(start) - 1
    blocks = (points + _BLOCK - 1) // _BLOCK
    found = np.zeros((blocks, count), np.int64)
    for block in nb.prange(blocks):
        most = 0
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, points)):
            most = max(most, start[i + 1] - start[i])
        keys = np.empty(3 * most, np.int64)
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, points)):
            used = 0
            for e in range(start[i], start[i + 1]):
                c = items[e]
                for k in range(4):
                    if cells[c, k] <= i:
                        continue
                    key = np.int64(cells[c, k]) * count + label[c]
                    known = False
                    for q in range(used):
                        if keys[q] == key:
                            known = True
                            break
                    if not known:
                        keys[used] = key
                        used += 1
            for q in range(used):
                found[block, keys[q] % count] += 1
    total = np.zeros(count, np.int64)
    for block in range(blocks):
        total += found[block]
    return total
