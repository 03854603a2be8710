"""Loops over voxels for `repair`, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Labels = npt.NDArray[Any]


@njit(cache=True)
def _like(labels: Labels, i: int, j: int, k: int, value: int) -> int:
    """Face neighbours of a voxel that have ``value``."""
    nx, ny, nz = labels.shape
    count = 0
    if i > 0 and labels[i - 1, j, k] == value:
        count += 1
    if i < nx - 1 and labels[i + 1, j, k] == value:
        count += 1
    if j > 0 and labels[i, j - 1, k] == value:
        count += 1
    if j < ny - 1 and labels[i, j + 1, k] == value:
        count += 1
    if k > 0 and labels[i, j, k - 1] == value:
        count += 1
    if k < nz - 1 and labels[i, j, k + 1] == value:
        count += 1
    return count


@njit(cache=True)
def cut_bridges(labels: Labels) -> int:
    """Relabel voxels that hang on two opposite neighbours of their own phase and on nothing else.

    Args:
        labels: (nx, ny, nz), changed in place; a voxel takes the commonest label of its other neighbours.

    Returns:
        How many were relabelled.
    """
    nx, ny, nz = labels.shape
    changed = 0
    around = np.empty(6, labels.dtype)
    for i in range(1, nx - 1):
        for j in range(1, ny - 1):
            for k in range(1, nz - 1):
                own = labels[i, j, k]
                around[0], around[1] = labels[i - 1, j, k], labels[i + 1, j, k]
                around[2], around[3] = labels[i, j - 1, k], labels[i, j + 1, k]
                around[4], around[5] = labels[i, j, k - 1], labels[i, j, k + 1]
                same = 0
                for a in range(6):
                    same += around[a] == own
                if same != 2:
                    continue
                opposite = False
                for a in (0, 2, 4):
                    opposite = opposite or (around[a] == own and around[a + 1] == own)
                if not opposite:
                    continue
                best, votes = own, 0
                for a in range(6):
                    count = 0
                    for b in range(6):
                        count += around[b] == around[a]
                    if around[a] != own and (count > votes or (count == votes and around[a] < best)):
                        best, votes = around[a], count
                labels[i, j, k] = best
                changed += 1
    return changed


@njit(cache=True)
def part_contacts(labels: Labels) -> tuple[int, int]:
    """Resolve voxels of one phase that meet along an edge or at a corner only.

    Of the two voxels that meet, the one with fewer face neighbours of its phase takes the label that is
    commonest among the voxels between them.

    Args:
        labels: (nx, ny, nz), changed in place.

    Returns:
        How many edge contacts and how many corner contacts were resolved in this pass.
    """
    nx, ny, nz = labels.shape
    edges, corners = 0, 0
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                for di in range(2):
                    for dj in range(-1, 2):
                        for dk in range(-1, 2):
                            steps = di + abs(dj) + abs(dk)
                            if steps < 2 or (di == 0 and (dj < 1 if dj != 0 else dk < 1)):
                                continue
                            p, q, r = i + di, j + dj, k + dk
                            if not (p < nx and 0 <= q < ny and 0 <= r < nz):
                                continue
                            own = labels[i, j, k]
                            if labels[p, q, r] != own:
                                continue
                            between, joined = own, False
                            for a in range(2):
                                for b in range(2):
                                    for c in range(2):
                                        if (a and not di) or (b and not dj) or (c and not dk):
                                            continue
                                        if a + b + c in (0, steps):
                                            continue
                                        value = labels[i + a * di, j + b * dj, k + c * dk]
                                        joined = joined or value == own
                                        between = value
                            if joined:
                                continue
                            if _like(labels, i, j, k, own) <= _like(labels, p, q, r, own):
                                labels[i, j, k] = between
                            else:
                                labels[p, q, r] = between
                            if steps == 2:
                                edges += 1
                            else:
                                corners += 1
    return edges, corners
