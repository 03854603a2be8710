"""Compiled topological improvement: edge removal (3-2, 4-4, 5-6, 6-8, 7-10) and 2-3 flips.

Only cells of one region take part, and no face of an interface or of the box goes: regions, facets
and box stay as they are. The order of the operations is fixed, so the result is.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from pxm2mesh.meshing.quality_kernels import worst_sine

Array = npt.NDArray[Any]
MAX_RING = 7
MAX_NEW = 2 * (MAX_RING - 2)
LEAST_GAIN = 1e-3  # of the worst sine
UNKNOWN = -2  # operation: nobody has looked
BLOCK = 256  # cells per parallel task, which share their scratch arrays


@nb.njit(cache=True, parallel=True)
def neighbours(cells: Array, start: Array, items: Array) -> Array:
    """(k, 4) int32 cell across the face opposite each corner, -1 for none."""
    out = np.full(cells.shape, -1, np.int32)
    for c in nb.prange(len(cells)):
        for k in range(4):
            a, b, d = cells[c, (k + 1) & 3], cells[c, (k + 2) & 3], cells[c, (k + 3) & 3]
            if start[b + 1] - start[b] < start[a + 1] - start[a]:
                a, b = b, a
            if start[d + 1] - start[d] < start[a + 1] - start[a]:
                a, d = d, a
            for e in range(start[a], start[a + 1]):
                o = items[e]
                if o == c:
                    continue
                found = 0
                for m in range(4):
                    if cells[o, m] == b or cells[o, m] == d:
                        found += 1
                if found == 2:
                    out[c, k] = o
                    break
    return out


@nb.njit(cache=True)
def _sine(points: Array, a: int, b: int, c: int, d: int) -> float:
    return float(
        worst_sine(points[a, 0], points[a, 1], points[a, 2], points[b, 0], points[b, 1], points[b, 2],
                   points[c, 0], points[c, 1], points[c, 2], points[d, 0], points[d, 1], points[d, 2])
    )  # fmt: skip


@nb.njit(cache=True)
def _face_of(cells: Array, c: int, i: int, j: int, k: int) -> int:
    """Position of the corner of cell c that is none of i, j, k; -1 unless those are the other three."""
    position = -1
    found = 0
    for m in range(4):
        v = cells[c, m]
        if v in (i, j, k):
            found += 1
        else:
            position = m
    return position if found == 3 else -1


@nb.njit(cache=True)
def _ring(cells: Array, near: Array, region: Array, c: int, p: int, q: int, tets: Array, ring: Array) -> int:
    """Cells and points around edge (corner p, corner q) of cell c, counter-clockwise; 0 if not an inner edge."""
    a, b = cells[c, p], cells[c, q]
    # the other two corners in the order that makes (a, b, first, second) positive
    one = 0
    while one in (p, q):
        one += 1
    two = one + 1
    while two in (p, q):
        two += 1
    if ((p > q) + (p > one) + (p > two) + (q > one) + (q > two)) & 1:
        one, two = two, one
    first = cells[c, one]
    leave = one  # go on across the face opposite the first of the two
    here = c
    ahead = cells[c, two]
    behind = first
    n = 0
    while True:
        if n == MAX_RING:
            return 0
        tets[n] = here
        ring[n] = behind
        n += 1
        following = near[here, leave]
        if following < 0 or region[following] != region[c]:
            return 0
        if following == c:
            return n
        for m in range(4):
            v = cells[following, m]
            if v == ahead:
                leave = m
        fresh = -1
        for m in range(4):
            v = cells[following, m]
            if v != a and v != b and v != ahead:
                fresh = v
        behind = ahead
        ahead = fresh
        here = following


@nb.njit(cache=True)
def _best_triangulation(
    points: Array, a: int, b: int, ring: Array, n: int, floor: float, best: Array, cut: Array
) -> float:
    """Best worst sine over all triangulations of the ring (Klincsek); -1 where none beats ``floor``."""
    for i in range(n - 1):
        best[i, i + 1] = 2.0
    for span in range(2, n):
        for i in range(n - span):
            j = i + span
            best[i, j] = -1.0
            for k in range(i + 1, j):
                value = min(best[i, k], best[k, j])
                if value <= best[i, j] or value <= floor:
                    continue
                value = min(value, _sine(points, ring[i], ring[k], ring[j], b))
                if value <= best[i, j] or value <= floor:
                    continue
                value = min(value, _sine(points, ring[k], ring[i], ring[j], a))
                if value > best[i, j] and value > floor:
                    best[i, j] = value
                    cut[i, j] = k
    return float(best[0, n - 1])


@nb.njit(cache=True)
def _triangulated(a: int, b: int, ring: Array, n: int, cut: Array, new: Array) -> int:
    """Cells of the chosen triangulation into ``new``; returns how many."""
    stack = np.empty((MAX_RING, 2), np.int64)
    stack[0, 0], stack[0, 1] = 0, n - 1
    depth = 1
    count = 0
    while depth > 0:
        depth -= 1
        i, j = stack[depth, 0], stack[depth, 1]
        if j - i < 2:
            continue
        k = cut[i, j]
        new[count, 0], new[count, 1], new[count, 2], new[count, 3] = ring[i], ring[k], ring[j], b
        new[count + 1, 0], new[count + 1, 1], new[count + 1, 2], new[count + 1, 3] = (
            ring[k],
            ring[i],
            ring[j],
            a,
        )
        count += 2
        stack[depth, 0], stack[depth, 1] = i, k
        stack[depth + 1, 0], stack[depth + 1, 1] = k, j
        depth += 2
    return count


@nb.njit(cache=True)
def _replace(cells: Array, near: Array, region: Array, sine: Array, points: Array, old: Array, n_old: int,
             new: Array, n_new: int, free: Array, state: Array, outer: Array, outer_cell: Array) -> None:  # fmt: skip
    """Put the ``new`` cells where the ``old`` ones are and mend the neighbours. ``state``: cells used, free slots."""
    n_outer = 0
    for o in range(n_old):
        c = old[o]
        for k in range(4):
            across = near[c, k]
            inside = False
            for m in range(n_old):
                if old[m] == across:
                    inside = True
            if inside:
                continue
            outer_cell[n_outer] = across
            outer[n_outer, 0] = cells[c, (k + 1) & 3]
            outer[n_outer, 1] = cells[c, (k + 2) & 3]
            outer[n_outer, 2] = cells[c, (k + 3) & 3]
            n_outer += 1
    mine = region[old[0]]
    slots = np.empty(MAX_NEW, np.int32)
    for m in range(n_new):
        if m < n_old:
            slots[m] = old[m]
        elif state[1] > 0:
            state[1] -= 1
            slots[m] = free[state[1]]
        else:
            slots[m] = state[0]
            state[0] += 1
    for m in range(n_new, n_old):
        free[state[1]] = old[m]
        state[1] += 1
        cells[old[m], 0] = -1
        sine[old[m]] = 2.0
    for m in range(n_new):
        c = slots[m]
        for k in range(4):
            cells[c, k] = new[m, k]
            near[c, k] = -1
        region[c] = mine
        sine[c] = _sine(points, new[m, 0], new[m, 1], new[m, 2], new[m, 3])
    for m in range(n_new):
        c = slots[m]
        for k in range(4):
            if near[c, k] >= 0:
                continue
            i, j, v = cells[c, (k + 1) & 3], cells[c, (k + 2) & 3], cells[c, (k + 3) & 3]
            for w in range(m + 1, n_new):
                position = _face_of(cells, slots[w], i, j, v)
                if position >= 0:
                    near[c, k] = slots[w]
                    near[slots[w], position] = c
                    break
            if near[c, k] >= 0:
                continue
            for w in range(n_outer):
                hits = 0
                for s in range(3):
                    x = outer[w, s]
                    if x in (i, j, v):
                        hits += 1
                if hits == 3:
                    other = outer_cell[w]
                    near[c, k] = other
                    if other >= 0:
                        near[other, _face_of(cells, other, i, j, v)] = c
                    break


@nb.njit(cache=True)
def _try_edge(points: Array, cells: Array, near: Array, region: Array, sine: Array, c: int, p: int, q: int,
              gain: float, tets: Array, ring: Array, best: Array, cut: Array) -> tuple[float, int]:  # fmt: skip
    """What removing an edge of cell c gains, if more than ``gain``, and how many cells are around it; 0 if not."""
    size = _ring(cells, near, region, c, p, q, tets, ring)
    if size < 3:
        return gain, 0
    before = 2.0
    for m in range(size):
        before = min(before, sine[tets[m]])
    after = _best_triangulation(points, cells[c, p], cells[c, q], ring, size, before + gain, best, cut)
    return (after - before, size) if after > before + gain else (gain, 0)


@nb.njit(cache=True)
def _across(cells: Array, near: Array, c: int, k: int) -> tuple[int, int, int, int, int]:
    """Corners x, y, z of the face opposite corner k, seen from it, that corner, and the one beyond the face."""
    o = near[c, k]
    x, y, z = cells[c, (k + 1) & 3], cells[c, (k + 2) & 3], cells[c, (k + 3) & 3]
    if (k & 1) == 0:
        y, z = z, y
    return x, y, z, cells[c, k], cells[o, _face_of(cells, o, x, y, z)]


@nb.njit(cache=True)
def _try_face(points: Array, cells: Array, near: Array, region: Array, sine: Array, c: int, k: int,
              gain: float) -> float:  # fmt: skip
    """What a 2-3 flip of the face opposite corner k gains, if more than ``gain``; 0 if not."""
    o = near[c, k]
    if o < 0 or region[o] != region[c]:
        return 0.0
    x, y, z, d, e = _across(cells, near, c, k)
    before = min(sine[c], sine[o])
    after = _sine(points, e, d, x, y)
    if after <= before + gain:
        return 0.0
    after = min(after, _sine(points, e, d, y, z))
    if after <= before + gain:
        return 0.0
    after = min(after, _sine(points, e, d, z, x))
    return float(after - before) if after > before + gain else 0.0


@nb.njit(cache=True)
def _best_operation(points: Array, cells: Array, near: Array, region: Array, sine: Array, c: int, tets: Array,
                    ring: Array, best: Array, cut: Array) -> int:  # fmt: skip
    """The operation that gains most: 0 to 15 is edge 4 p + q, 16 to 19 the face opposite corner 0 to 3; -1 is none."""
    gain, chosen = LEAST_GAIN, -1
    for p in range(3):
        for q in range(p + 1, 4):
            gain, size = _try_edge(points, cells, near, region, sine, c, p, q, gain, tets, ring, best, cut)
            if size > 0:
                chosen = 4 * p + q
    for k in range(4):
        more = _try_face(points, cells, near, region, sine, c, k, gain)
        if more > 0.0:
            gain, chosen = more, 16 + k
    return chosen


@nb.njit(cache=True, parallel=True)
def best_operations(
    points: Array, cells: Array, near: Array, region: Array, sine: Array, todo: Array
) -> Array:
    """(len(todo),) int8 operation that would help each cell most as the mesh is now; see `_best_operation`."""
    out = np.empty(len(todo), np.int8)
    for block in nb.prange((len(todo) + BLOCK - 1) // BLOCK):
        tets, ring = np.empty(MAX_RING, np.int64), np.empty(MAX_RING, np.int64)
        best, cut = np.empty((MAX_RING, MAX_RING)), np.empty((MAX_RING, MAX_RING), np.int64)
        for n in range(block * BLOCK, min((block + 1) * BLOCK, len(todo))):
            out[n] = _best_operation(points, cells, near, region, sine, todo[n], tets, ring, best, cut)
    return out


@nb.njit(cache=True)
def swap_pass(points: Array, cells: Array, near: Array, region: Array, sine: Array, free: Array, state: Array,
              todo: Array, operation: Array, target: float) -> int:  # fmt: skip
    """Do what helps the cells of ``todo`` below ``target`` most, one after the other.

    Args:
        points: (n, 3).
        cells: (capacity, 4); first corner -1 for unused rows.
        near: (capacity, 4) as from `neighbours`.
        region: (capacity,).
        sine: (capacity,) worst sine of each cell, 2 for unused rows.
        free: (capacity,) stack of unused rows.
        state: [rows in use, length of the stack].
        todo: Cells to look at, in this order.
        operation: (len(todo),) from `best_operations`, or `UNKNOWN`. A cell is looked at anew only if two of its
            corners belong to cells that were replaced since: what could be done depends on the cells at its edges.
        target: Sine from which on a cell is left alone.

    Returns:
        Number of operations done.
    """
    tets, ring = np.empty(MAX_RING, np.int64), np.empty(MAX_RING, np.int64)
    best, cut = np.empty((MAX_RING, MAX_RING)), np.empty((MAX_RING, MAX_RING), np.int64)
    new = np.empty((MAX_NEW, 4), np.int64)
    outer, outer_cell = np.empty((4 * MAX_RING, 3), np.int64), np.empty(4 * MAX_RING, np.int64)
    touched = np.zeros(len(points), np.bool_)
    done = 0
    for n in range(len(todo)):
        c = todo[n]
        if cells[c, 0] < 0 or sine[c] >= target:
            continue
        if state[0] + MAX_NEW >= len(cells):
            break
        what = operation[n]
        near_swaps = (
            touched[cells[c, 0]] + touched[cells[c, 1]] + touched[cells[c, 2]] + touched[cells[c, 3]] > 1
        )
        if what == UNKNOWN or near_swaps:
            what = _best_operation(points, cells, near, region, sine, c, tets, ring, best, cut)
        if what < 0:
            continue
        if what < 16:
            p, q = what >> 2, what & 3
            _, n_old = _try_edge(
                points, cells, near, region, sine, c, p, q, LEAST_GAIN, tets, ring, best, cut
            )
            n_new = _triangulated(cells[c, p], cells[c, q], ring, n_old, cut, new)
        else:
            x, y, z, d, e = _across(cells, near, c, what - 16)
            n_old, n_new = 2, 3
            tets[0], tets[1] = c, near[c, what - 16]
            new[0, 0], new[0, 1], new[0, 2], new[0, 3] = e, d, x, y
            new[1, 0], new[1, 1], new[1, 2], new[1, 3] = e, d, y, z
            new[2, 0], new[2, 1], new[2, 2], new[2, 3] = e, d, z, x
        for m in range(n_old):
            for k in range(4):
                touched[cells[tets[m], k]] = True
        _replace(cells, near, region, sine, points, tets, n_old, new, n_new, free, state, outer, outer_cell)
        done += 1
    return done


@nb.njit(cache=True, parallel=True)
def count_faces(near: Array, region: Array) -> Array:
    """Faces without a neighbour, faces between regions (each once), and faces whose neighbour does not look back."""
    lonely = 0
    between = 0
    wrong = 0
    for c in nb.prange(len(near)):
        for k in range(4):
            o = near[c, k]
            if o < 0:
                lonely += 1
                continue
            if o > c and region[o] != region[c]:
                between += 1
            back = False
            for m in range(4):
                if near[o, m] == c:
                    back = True
            if not back:
                wrong += 1
    return np.array([lonely, between, wrong])
