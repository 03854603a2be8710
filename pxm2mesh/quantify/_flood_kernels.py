"""Percolation by flooding rows of 64-bit words: 500³ voxels in a few tenths of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_WORD = np.uint64
_ONE = np.uint64(1)
_ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def pack(first: int, last: int, phase: Any, conducts: Any, bits: Any) -> None:
    """Set the bit of every conducting voxel.

    Args:
        first: First plane along x.
        last: One past the last plane.
        phase: (nx, ny, nz) phase indices.
        conducts: (p,) uint8, 1 for phases that conduct.
        bits: (nx, ny, ⌈nz/64⌉) uint64, written.
    """
    nz = phase.shape[2]
    for i in range(first, last):
        for j in range(phase.shape[1]):
            row = phase[i, j]
            for w in range(bits.shape[2]):
                word = _ZERO
                for t in range(min(64, nz - 64 * w)):
                    word |= _WORD(conducts[row[64 * w + t]]) << _WORD(t)
                bits[i, j, w] = word


@njit(cache=True, nogil=True)
def unpack(first: int, last: int, bits: Any, padded: Any) -> None:
    """Write bits as 0 and 1 into the interior of a uint8 array that is padded by one voxel on every side."""
    nz = padded.shape[2] - 2
    for i in range(first, last):
        for j in range(bits.shape[1]):
            row = padded[i + 1, j + 1]
            for w in range(bits.shape[2]):
                word = bits[i, j, w]
                for t in range(min(64, nz - 64 * w)):
                    row[1 + 64 * w + t] = (word >> _WORD(t)) & _ONE


@njit(cache=True, nogil=True)
def _towards_low(seed: Any, mask: Any) -> Any:
    """Spread bits to lower ones through an unbroken run of the mask."""
    run = mask
    for h in (1, 2, 4, 8, 16, 32):
        seed |= run & (seed >> _WORD(h))
        run &= run >> _WORD(h)
    return seed


@njit(cache=True, nogil=True)
def flood(mask: Any, wet: Any, length: int, wrap_y: bool, wrap_z: bool) -> int:
    """Grow ``wet`` inside ``mask`` through voxel faces until nothing changes.

    Args:
        mask: (nx, ny, words) uint64.
        wet: The same shape: the seed on entry, what it reaches on return.
        length: Voxels in a row.
        wrap_y: Whether the sides across y are periodic.
        wrap_z: Whether the sides across z are periodic.

    Returns:
        Sweeps through the volume.
    """
    nx, ny, words = mask.shape
    waiting = np.ones((nx, ny), np.uint8)
    row = np.empty(words, np.uint64)
    final = _WORD((length - 1) % 64)
    top = _WORD(63)
    sweeps = 0
    more = True
    while more:
        more = False
        for way in range(2):
            sweeps += 1
            for step_i in range(nx):
                i = step_i if way == 0 else nx - 1 - step_i
                for step_j in range(ny):
                    j = step_j if way == 0 else ny - 1 - step_j
                    if waiting[i, j] == 0:
                        continue
                    waiting[i, j] = 0
                    below, above = j - 1, j + 1
                    if wrap_y:
                        below = below if below >= 0 else ny - 1
                        above = above if above < ny else 0
                    for w in range(words):
                        seed = wet[i, j, w]
                        if i > 0:
                            seed |= wet[i - 1, j, w]
                        if i < nx - 1:
                            seed |= wet[i + 1, j, w]
                        if below >= 0:
                            seed |= wet[i, below, w]
                        if above < ny:
                            seed |= wet[i, above, w]
                        row[w] = seed & mask[i, j, w]
                    for _ in range(2 if wrap_z else 1):
                        carry = (row[words - 1] >> final) & _ONE if wrap_z else _ZERO
                        for w in range(words):
                            allowed = mask[i, j, w]
                            seed = (row[w] | carry) & allowed
                            if seed:  # adding carries each seed bit up through the run of ones
                                seed = seed | (allowed & ~(allowed + seed))
                            row[w] = seed
                            carry = seed >> top
                        carry = (row[0] & _ONE) << final if wrap_z else _ZERO
                        for w in range(words - 1, -1, -1):
                            allowed = mask[i, j, w]
                            seed = (row[w] | carry) & allowed
                            if seed:
                                seed = _towards_low(seed, allowed)
                            row[w] = seed
                            carry = (seed & _ONE) << top
                    changed = False
                    for w in range(words):
                        if row[w] != wet[i, j, w]:
                            wet[i, j, w] = row[w]
                            changed = True
                    if changed:
                        more = True
                        if i > 0:
                            waiting[i - 1, j] = 1
                        if i < nx - 1:
                            waiting[i + 1, j] = 1
                        if below >= 0:
                            waiting[i, below] = 1
                        if above < ny:
                            waiting[i, above] = 1
    return sweeps
