"""Compiled loops over shapes: inscribed balls, chords, triple lines, shortest paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def free_balls(first: int, last: int, distance: Any, spacing: Any, slack: float, keep: Any) -> None:
    """Mark voxels whose inscribed ball lies in no neighbour's.

    Args:
        first: First plane.
        last: One past the last plane.
        distance: (nx, ny, nz) float32, µm, radius of the ball around each voxel; 0 outside.
        spacing: (3,) µm.
        slack: By how much, in µm, a ball may stick out of its neighbour's and still be dropped.
        keep: (nx, ny, nz) uint8, written.
    """
    nx, ny, nz = distance.shape
    step = np.empty((3, 3, 3), np.float64)
    for u in range(3):
        for v in range(3):
            for w in range(3):
                a, b, c = (u - 1) * spacing[0], (v - 1) * spacing[1], (w - 1) * spacing[2]
                step[u, v, w] = np.sqrt(a * a + b * b + c * c)
    step[1, 1, 1] = np.inf  # a ball lies in its own
    for i in range(first, last):
        for j in range(ny):
            for k in range(nz):
                own = distance[i, j, k]
                free = own > 0
                u = max(i - 1, 0)
                while free and u < min(i + 2, nx):
                    for v in range(max(j - 1, 0), min(j + 2, ny)):
                        for w in range(max(k - 1, 0), min(k + 2, nz)):
                            reach = own + step[u - i + 1, v - j + 1, w - k + 1]
                            free &= distance[u, v, w] + slack < reach
                    u += 1
                keep[i, j, k] = free


@njit(cache=True, nogil=True)
def paint_balls(first: int, last: int, keep: Any, radius: Any, widest: float, spacing: Any, out: Any) -> None:
    """Raise every voxel to the radius of the largest ball that covers it.

    Args:
        first: First plane to paint.
        last: One past the last plane.
        keep: (nx, ny, nz) uint8, the voxels whose balls are painted.
        radius: (nx, ny, nz) float32, µm.
        widest: µm, the largest radius.
        spacing: (3,) µm.
        out: (nx, ny, nz) float32, µm.
    """
    nx, ny, nz = out.shape
    far = int(widest / spacing[0])
    for ci in range(max(first - far, 0), min(last + far, nx)):
        for cj in range(ny):
            for ck in range(nz):
                if not keep[ci, cj, ck]:
                    continue
                r = radius[ci, cj, ck]
                reach = int(r / spacing[0])
                for i in range(max(ci - reach, first), min(ci + reach + 1, last)):
                    left = r * r - ((i - ci) * spacing[0]) ** 2
                    if left < 0:
                        continue
                    reach_j = int(np.sqrt(left) / spacing[1])
                    for j in range(max(cj - reach_j, 0), min(cj + reach_j + 1, ny)):
                        rest = left - ((j - cj) * spacing[1]) ** 2
                        if rest < 0:
                            continue
                        reach_k = int(np.sqrt(rest) / spacing[2])
                        row = out[i, j]
                        for k in range(max(ck - reach_k, 0), min(ck + reach_k + 1, nz)):
                            row[k] = max(row[k], r)


@njit(cache=True, nogil=True)
def histogram(first: int, last: int, table: Any, values: Any, shift: int, leading: int) -> None:
    """Count values by 16 of their bits, to find order statistics in two passes.

    Args:
        first: First plane.
        last: One past the last plane.
        table: (65536,) int64.
        values: (nx, ny, nz) uint32; zeros do not count.
        shift: Which bits: 16 for the upper half, 0 for the lower.
        leading: Upper half that values must have to count; −1 for any.
    """
    for i in range(first, last):
        for value in values[i].flat:
            if value and (leading < 0 or (value >> 16) == leading):
                table[(value >> shift) & 65535] += 1


@njit(cache=True, nogil=True)
def chords(mask: Any, whole: Any) -> Any:
    """Count runs of True along the last axis by length.

    Args:
        mask: (a, b, n) bool.
        whole: Whether to leave out runs that touch an end.

    Returns:
        (n + 1,) int64 number of runs of each length.
    """
    n = mask.shape[2]
    counts = np.zeros(n + 1, np.int64)
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            run = 0
            for k in range(n):
                if mask[i, j, k]:
                    run += 1
                elif run:
                    if not (whole and run == k):
                        counts[run] += 1
                    run = 0
            if run and not whole:
                counts[run] += 1
    return counts


@njit(cache=True, nogil=True)
def triple_edges(
    first: int, last: int, table: Any, phase: Any, reach: int, variance: float, spacing: Any
) -> None:
    """Add the projected length of voxel edges where three phases meet to ``table[axis 0…2]`` by triple.

    Args:
        first: First plane of voxel corners along x (1 … nx − 1 are inside).
        last: One past the last plane.
        table: (p, p, p) float64, µm, ``[low, middle, high]``.
        phase: (nx, ny, nz) phase indices.
        reach: Half-width of the window in voxels that the tangent is measured in.
        variance: Of the Gaussian window, voxels².
        spacing: (3,) µm.
    """
    nx, ny, nz = phase.shape
    around = np.empty(4, np.int64)
    normal = np.empty((2, 3))
    for i in range(first, last):
        for j in range(ny):
            for k in range(nz):
                for axis in range(3):
                    # the edge along `axis` at the lower corner of voxel (i, j, k) in the other two axes
                    u, v, w = int(axis != 0), int(axis != 1), int(axis != 2)
                    if (u and i == 0) or (v and j == 0) or (w and k == 0):
                        continue
                    if axis == 0:
                        around[0], around[1] = phase[i, j, k], phase[i, j - 1, k]
                        around[2], around[3] = phase[i, j, k - 1], phase[i, j - 1, k - 1]
                    elif axis == 1:
                        around[0], around[1] = phase[i, j, k], phase[i - 1, j, k]
                        around[2], around[3] = phase[i, j, k - 1], phase[i - 1, j, k - 1]
                    else:
                        around[0], around[1] = phase[i, j, k], phase[i - 1, j, k]
                        around[2], around[3] = phase[i, j - 1, k], phase[i - 1, j - 1, k]
                    like = around[0] == around[3] or around[1] == around[2]
                    if like and (around[0] == around[1] or around[0] == around[2]):
                        continue
                    a, b, c, d, unlike = around[0], -1, -1, -1, 1
                    for m in range(1, 4):
                        value = around[m]
                        if value != a and value != b and value != c:
                            unlike += 1
                            if b < 0:
                                b = value
                            elif c < 0:
                                c = value
                            else:
                                d = value
                    if unlike < 3 or d >= 0:  # four phases around one edge: a point, not a line
                        continue
                    # tangent: along both interfaces, so normal to both gradients
                    normal[:] = 0.0
                    for p in range(-reach, reach + (0 if u else 1)):
                        for q in range(-reach, reach + (0 if v else 1)):
                            for r in range(-reach, reach + (0 if w else 1)):
                                x, y, z = i + p, j + q, k + r
                                x = min(max(x, 0), nx - 1)
                                y = min(max(y, 0), ny - 1)
                                z = min(max(z, 0), nz - 1)
                                value = phase[x, y, z]
                                s, t, o = p + 0.5 * u, q + 0.5 * v, r + 0.5 * w
                                g = np.exp(-(s * s + t * t + o * o) / (2 * variance))
                                f = g * ((value == a) - int(value == b))
                                normal[0, 0] += f * s
                                normal[0, 1] += f * t
                                normal[0, 2] += f * o
                                f = g * ((value == a) - int(value == c))
                                normal[1, 0] += f * s
                                normal[1, 1] += f * t
                                normal[1, 2] += f * o
                    tx = (normal[0, 1] * normal[1, 2] - normal[0, 2] * normal[1, 1]) * spacing[0]
                    ty = (normal[0, 2] * normal[1, 0] - normal[0, 0] * normal[1, 2]) * spacing[1]
                    tz = (normal[0, 0] * normal[1, 1] - normal[0, 1] * normal[1, 0]) * spacing[2]
                    length = np.sqrt(tx * tx + ty * ty + tz * tz)
                    part = abs(tx) if axis == 0 else abs(ty) if axis == 1 else abs(tz)
                    # parallel gradients leave nothing but rounding: the line has no direction of its own
                    least = 1e-9 * np.sqrt((normal[0] ** 2).sum() * (normal[1] ** 2).sum()) * spacing.min()
                    share = part / length if length > least else 1.0
                    low, high = min(a, b, c), max(a, b, c)
                    table[low, a + b + c - low - high, high] += share * spacing[axis]


@njit(cache=True, nogil=True)
def geodesic(open_: Any, axis: int, spacing: Any, unit: float) -> Any:
    """Length of the shortest path from the first plane across ``axis``, through 26 neighbours.

    Args:
        open_: (nx, ny, nz) bool, where paths may run.
        axis: Which planes to start from.
        spacing: (3,) µm.
        unit: µm that distances are rounded to.

    Returns:
        (nx, ny, nz) float32, µm from the outer face of the first plane to each voxel's centre, or inf.
    """
    nx, ny, nz = open_.shape
    out = np.full(open_.shape, np.inf, np.float32)
    steps = np.empty((26, 3), np.int64)
    cost = np.empty(26, np.int64)
    count = 0
    longest = 0
    for u in range(-1, 2):
        for v in range(-1, 2):
            for w in range(-1, 2):
                if u or v or w:
                    steps[count] = u, v, w
                    a, b, c = u * spacing[0], v * spacing[1], w * spacing[2]
                    cost[count] = int(np.round(np.sqrt(a * a + b * b + c * c) / unit))
                    longest = max(longest, cost[count])
                    count += 1
    # Dial's algorithm: one list per rounded distance, as many lists as the longest step spans
    ring = longest + 1
    done = np.zeros(open_.shape, np.uint8)
    best = np.full(open_.shape, np.iinfo(np.int32).max, np.int32)
    head = np.full(ring, -1, np.int64)
    link = np.empty(1024, np.int64)
    item = np.empty(1024, np.int64)
    free, used = -1, 0
    start = int(np.round(0.5 * spacing[axis] / unit))
    for i in range(nx if axis != 0 else 1):
        for j in range(ny if axis != 1 else 1):
            for k in range(nz if axis != 2 else 1):
                if open_[i, j, k]:
                    best[i, j, k] = start
                    if used == len(item):
                        item = np.concatenate((item, np.empty_like(item)))
                        link = np.concatenate((link, np.empty_like(link)))
                    item[used], link[used] = (i * ny + j) * nz + k, head[start % ring]
                    head[start % ring] = used
                    used += 1
    waiting = used
    now = start
    while waiting:
        slot = now % ring
        while head[slot] >= 0:
            entry = head[slot]
            head[slot] = link[entry]
            link[entry] = free
            free = entry
            waiting -= 1
            place = item[entry]
            i, j, k = place // (ny * nz), place // nz % ny, place % nz
            if done[i, j, k]:
                continue
            done[i, j, k] = 1
            out[i, j, k] = now * unit
            for m in range(26):
                x, y, z = i + steps[m, 0], j + steps[m, 1], k + steps[m, 2]
                if not (0 <= x < nx and 0 <= y < ny and 0 <= z < nz):
                    continue
                if not open_[x, y, z] or done[x, y, z]:
                    continue
                reached = now + cost[m]
                if reached < best[x, y, z]:
                    best[x, y, z] = reached
                    if free >= 0:
                        new = free
                        free = link[new]
                    else:
                        if used == len(item):
                            item = np.concatenate((item, np.empty_like(item)))
                            link = np.concatenate((link, np.empty_like(link)))
                        new = used
                        used += 1
                    item[new], link[new] = (x * ny + y) * nz + z, head[reached % ring]
                    head[reached % ring] = new
                    waiting += 1
        now += 1
    return out
