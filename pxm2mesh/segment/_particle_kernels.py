"""Basins of a distance map, compiled: where every voxel climbs to, and the passes between basins."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]


@njit(cache=True)
def climb(depth: Any, goal: Ints) -> None:
    """Let every voxel point to the top it reaches by steepest ascent.

    Args:
        depth: (nx, ny, nz) distance map, 0 outside of the phase.
        goal: (nx·ny·nz,) filled with flat indices; −1 outside. A top points to itself.
    """
    nx, ny, nz = depth.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                here = (i * ny + j) * nz + k
                height = depth[i, j, k]
                if height <= 0:
                    goal[here] = -1
                    continue
                best, steepest = here, 0.0
                for a in range(max(i - 1, 0), min(i + 2, nx)):
                    for b in range(max(j - 1, 0), min(j + 2, ny)):
                        for c in range(max(k - 1, 0), min(k + 2, nz)):
                            rise = depth[a, b, c] - height
                            if rise <= 0:
                                continue
                            steps = abs(a - i) + abs(b - j) + abs(c - k)
                            slope = rise / np.sqrt(steps)
                            if slope > steepest:
                                best, steepest = (a * ny + b) * nz + c, slope
                goal[here] = best
    for start in range(goal.size):  # follow, and shorten the way for those who come after
        if goal[start] < 0:
            continue
        top = start
        while goal[top] != top:
            top = goal[top]
        step = start
        while goal[step] != top:
            following = goal[step]
            goal[step] = top
            step = following


@njit(cache=True)
def passes(basin: Any, depth: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Any]:
    """Every pair of face neighbours in unlike basins, with the height of the way across.

    Args:
        basin: (nx, ny, nz) basin numbers, 0 outside.
        depth: (nx, ny, nz) distance map.

    Returns:
        Lower basin, higher basin, and the smaller of the two depths, each (m,).
    """
    nx, ny, nz = basin.shape
    count = 0
    low = np.empty(0, np.int32)
    high = np.empty(0, np.int32)
    height = np.empty(0, depth.dtype)
    for fill in range(2):
        if fill:
            low = np.empty(count, np.int32)
            high = np.empty(count, np.int32)
            height = np.empty(count, depth.dtype)
            count = 0
        for i in range(nx):
            for j in range(ny):
                for k in range(nz):
                    a = basin[i, j, k]
                    if a == 0:
                        continue
                    for axis in range(3):
                        p, q, r = i + (axis == 0), j + (axis == 1), k + (axis == 2)
                        if p >= nx or q >= ny or r >= nz:
                            continue
                        b = basin[p, q, r]
                        if b == 0 or b == a:
                            continue
                        if fill:
                            low[count], high[count] = min(a, b), max(a, b)
                            height[count] = min(depth[i, j, k], depth[p, q, r])
                        count += 1
    return low, high, height


@njit(cache=True)
def join(low: Any, high: Any, height: Any, peak: Any, voxels: Ints, ratio: float, smallest: int) -> Ints:
    """Join basins over the highest passes first.

    Args:
        low: (m,) basin on one side, passes sorted from high to low.
        high: (m,) basin on the other side.
        height: (m,) height of the pass.
        peak: (n + 1,) highest depth of each basin, changed in place.
        voxels: (n + 1,) voxels of each basin, changed in place.
        ratio: Basins are one particle where the pass is higher than ``ratio`` times the lower peak.
        smallest: Basins of fewer voxels are joined in any case.

    Returns:
        (n + 1,) the basin that each is part of in the end.
    """
    root = np.arange(peak.size)
    for m in range(low.size):
        a, b = low[m], high[m]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a == b:
            continue
        if height[m] < ratio * min(peak[a], peak[b]) and min(voxels[a], voxels[b]) >= smallest:
            continue
        if peak[b] > peak[a] or (peak[b] == peak[a] and b < a):
            a, b = b, a
        root[b] = a
        voxels[a] += voxels[b]
    for n in range(root.size):
        while root[root[n]] != root[n]:
            root[n] = root[root[n]]
    return root
